"""The account's key, read where it is used: in the processes that sign, from the place that the config names."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from thespian_connector.drivers.signing import Signer, signer_of
from thespian_connector.model.errors import ConfigError

from .settings import ExchangeStart


def signer_for(start: ExchangeStart) -> Signer:
    """:raises ConfigError: a place that does not hold what it should; the message names it, never what is in it."""
    exchange = start.exchange
    key = _read(f"exchanges.{exchange}.api_key", start.settings.api_key)
    secret = _read(f"exchanges.{exchange}.api_secret", start.settings.api_secret)
    try:
        return signer_of(key, secret)
    except ConfigError as error:
        raise ConfigError(f"exchanges.{exchange}: {error}") from None


def _read(name: str, place: str) -> str:
    kind, _, where = place.partition(":")
    if kind == "env":
        value = os.environ.get(where, "")
        if not value:
            raise ConfigError(f"{name}: the environment variable {where} is not set where the system was started")
        return value
    path = Path(where)
    try:
        mode = path.stat().st_mode
        if stat.S_IMODE(mode) & 0o077:
            raise ConfigError(f"{name}: {path} can be read by others; chmod 600 it")
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        words = error.strerror if isinstance(error, OSError) else "not text"
        raise ConfigError(f"{name}: {path}: {words}") from None
