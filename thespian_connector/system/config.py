"""The config: a TOML file, and ``--set key=value`` over it, checked. An error names the file, the key and the fix."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from thespian_connector.actors.settings import ExchangeSettings, Settings
from thespian_connector.drivers.registry import EXCHANGES, driver_for
from thespian_connector.limits import ROTATE_AFTER_S_MIN
from thespian_connector.model import Channel, Environment
from thespian_connector.model.errors import ConfigError

_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")

#: What runs when nobody says otherwise: both venues, simulated.
DEFAULT = {"exchanges": {exchange: {"environment": "paper"} for exchange in ("binance", "bybit")}}


def system_name(given: str | None, config: Settings | None = None) -> str:
    """Which system is meant: --system, TC_SYSTEM, the config, "default"."""
    return given or os.environ.get("TC_SYSTEM") or (config.system.name if config is not None else "default")


def load(path: Path | None, overrides: Sequence[str] = (), name: str | None = None) -> Settings:
    """The settings of `path` (None: both venues on the simulator) with `overrides` (``exchanges.bybit.depth=50``).

    :param name: the system's name where the caller knows better than the file.
    :raises ConfigError: saying file, key and fix.
    """
    source = str(path) if path is not None else "the built-in config"
    data = _read(path) if path is not None else _copy(DEFAULT)
    for override in overrides:
        _override(data, override)
    if name is not None:
        system = data.setdefault("system", {})
        if isinstance(system, dict):
            system["name"] = name
    try:
        settings = msgspec.convert(data, type=Settings)
    except msgspec.ValidationError as error:
        raise _explain(source, error) from None
    _check(source, settings)
    return settings


def _read(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}; pass an existing file to --config") from None
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: not TOML: {error}; quote strings, put tables in [brackets]") from None


def _copy(value: Any) -> Any:
    return {key: _copy(item) for key, item in value.items()} if isinstance(value, dict) else value


def _override(data: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    parts = key.strip().split(".")
    if not equals or not all(parts):
        raise ConfigError(f"--set {override}: write it as key=value, like --set exchanges.bybit.depth=50")
    try:
        value: Any = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text  # a bare word is a string
    table = data
    for part in parts[:-1]:
        inner = table.setdefault(part, {})
        if not isinstance(inner, dict):
            raise ConfigError(f"--set {override}: {part} is a value, not a table; set that key itself")
        table = inner
    table[parts[-1]] = value


def _explain(source: str, error: msgspec.ValidationError) -> ConfigError:
    """msgspec says ``Expected `int`, got `str` - at `$.system.admin_port```."""
    what, _, where = str(error).rpartition(" - at ")
    if not what:
        what, where = str(error), ""
    key = where.strip("`").removeprefix("$").removeprefix(".") or "top level"
    if "unknown field" in what:
        fix = "remove it or correct its spelling (config/paper.toml lists the keys)"
    else:
        fix = "correct the value"
    return ConfigError(f"{source}: {key}: {what}; {fix}")


def _check(source: str, settings: Settings) -> None:
    if settings.system.log_level not in _LEVELS:
        raise ConfigError(
            f"{source}: system.log_level: {settings.system.log_level!r} is no level; take one of {', '.join(_LEVELS)}"
        )
    for exchange, one in settings.exchanges.items():
        key = f"{source}: exchanges.{exchange}"
        if exchange not in EXCHANGES:
            raise ConfigError(f"{key}: no such exchange; take one of {', '.join(EXCHANGES)}")
        if len(set(one.symbols)) != len(one.symbols):
            raise ConfigError(f"{key}.symbols: names a symbol twice; remove one")
        if Channel.BOOK not in one.channels:
            raise ConfigError(f"{key}.channels: lacks 'book', which everything else is judged by; add it")
        _check_rotation(key, exchange, one)
    _check_urls(source, settings)


def _check_rotation(key: str, exchange: str, one: ExchangeSettings) -> None:
    """A new connection needs its time to take over, and the venue's own cut must not come first."""
    cut_s = driver_for(exchange).stream_limits.lifetime_s
    if 0 < one.rotate_after_s < ROTATE_AFTER_S_MIN:
        raise ConfigError(f"{key}.rotate_after_s: below {ROTATE_AFTER_S_MIN:g} s; take more, or 0 for the default")
    if cut_s and one.rotate_after_s > cut_s:
        raise ConfigError(
            f"{key}.rotate_after_s: the venue cuts connections after {cut_s} s; take less, or 0 for the default"
        )


def _check_urls(source: str, settings: Settings) -> None:
    for exchange, one in settings.exchanges.items():
        if one.environment is Environment.PAPER and not one.urls:
            continue  # gets a simulator of its own
        try:
            driver_for(exchange).endpoints(one.environment, one.urls)
        except ConfigError as error:
            raise ConfigError(f"{source}: exchanges.{exchange}.urls: {error}") from None
