"""The config: a TOML file, and ``--set key=value`` over it, checked. An error names the file, the key and the fix."""

from __future__ import annotations

import math
import os
import re
import stat
import tomllib
from collections.abc import Sequence
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from thespian_connector.actors import logs
from thespian_connector.actors.settings import NAME_FORM, ExchangeSettings, Settings, StoreSettings, SystemSettings
from thespian_connector.drivers.registry import VENUES, driver_for, trading_for
from thespian_connector.limits import ROTATE_AFTER_S_MIN
from thespian_connector.model import Channel, Environment
from thespian_connector.model.errors import ConfigError, UsageError

from .runtime import check_name

_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
_KEYS = ("api_key", "api_secret")
#: What to write instead, where a pattern alone would not say it.
_SHAPES = {
    "api_key": "is no place; write env:NAME or file:PATH (a file that only you can read), never the key itself",
    "api_secret": "is no place; write env:NAME or file:PATH (a file that only you can read), never the secret itself",
    "prefix": "is no order prefix; take 1 to 8 letters or digits",
    "symbols": "one is no symbol; write BASE/QUOTE in capitals and digits, 1 to 20 each, like BTC/USDT",
    "name": f"is no name; take {NAME_FORM}",
    "host": f"is no name; take {NAME_FORM}",
}
#: Of the keys that take one of a few words.
_CHOICES: dict[str, tuple[str, ...]] = {
    "environment": tuple(one.value for one in Environment),
    "channels": tuple(one.value for one in Channel),
    "durability": ("process", "power"),
}

#: What runs when nobody says otherwise: both venues, simulated.
DEFAULT = {"exchanges": {exchange: {"environment": "paper"} for exchange in ("binance", "bybit")}}


def system_name(given: str | None, config: Settings | None = None) -> str:
    """Which system is meant: --system, TC_SYSTEM, the config, "default"."""
    return given or os.environ.get("TC_SYSTEM") or (config.system.name if config is not None else "default")


def load(path: Path | None, overrides: Sequence[str] = (), name: str | None = None) -> Settings:
    """The settings of `path` (None: both venues on the simulator) with `overrides` (``exchanges.bybit.depth=50``).

    :param name: the system's name where the caller knows better than the file.
    :raises ConfigError: saying file (or ``--set``), key and fix.
    """
    blame = _Blame(str(path) if path is not None else "the built-in config")
    data = _read(path) if path is not None else _copy(DEFAULT)
    for override in overrides:
        blame.overrides.append(_override(data, override))
    if name is not None:
        system = data.setdefault("system", {})
        if isinstance(system, dict):
            system["name"] = name
            blame.named = True
    try:
        settings = msgspec.convert(data, type=Settings)
    except msgspec.ValidationError as error:
        raise _explain(blame, data, error) from None
    settings = _with_paths(settings, path.parent if path is not None else Path.cwd())
    _check(blame, settings)
    _check_log_files(blame, settings.system, path.parent if path is not None else Path.cwd())
    return settings


def check_timeout(timeout_s: float) -> None:
    """:raises UsageError: nobody can wait that long."""
    if not 0 < timeout_s < math.inf:
        raise UsageError(f"timeout: {timeout_s:g} s is no time to wait; take a number of seconds above 0")


def bind_warning(settings: Settings) -> str:
    """What to tell whoever opens a system to the network; "" when it listens on loopback."""
    bind = settings.system.bind
    if IPv4Address(bind).is_loopback:
        return ""
    return (
        f"warning: system.bind = {bind} is not loopback: other machines can reach this system's ports, and what they"
        " carry is signed but not encrypted; use a network that you trust"
    )


class _Blame:
    """Who said the value of a key: the file, or the ``--set`` that was laid over it."""

    def __init__(self, source: str) -> None:
        self.source = source
        #: The keys of every ``--set``.
        self.overrides: list[str] = []
        #: The caller gave the system's name.
        self.named = False

    def error(self, key: str, words: str) -> ConfigError:
        if key == "system.name" and self.named:
            return ConfigError(f"--system (or TC_SYSTEM): {key}: {words}")
        plain = key.partition("[")[0]
        for override in reversed(self.overrides):
            if plain == override:
                return ConfigError(f"--set {override}: {words}")
            if f"{plain}.".startswith(f"{override}.") or f"{override}.".startswith(f"{plain}."):
                return ConfigError(f"--set {override}: {key}: {words}")
        return ConfigError(f"{self.source}: {key}: {words}")


def _read(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}; pass an existing file to --config") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 at byte {error.start}; save it as UTF-8, as TOML is") from None
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: not TOML: {error}; quote strings, put tables in [brackets]") from None


def _copy(value: Any) -> Any:
    return {key: _copy(item) for key, item in value.items()} if isinstance(value, dict) else value


def _override(data: dict[str, Any], override: str) -> str:
    """Lays it over `data`; returns its key."""
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
    return ".".join(parts)


def _explain(blame: _Blame, data: dict[str, Any], error: msgspec.ValidationError) -> ConfigError:
    """msgspec says ``Expected `int`, got `str` - at `$.system.admin_port```, and ``[...]`` for the key of a table."""
    what, key = _parted(error)
    exchanges = data.get("exchanges")
    if isinstance(exchanges, dict) and "exchanges" in key:
        for exchange, one in exchanges.items():
            if exchange not in VENUES:
                return _no_such_exchange(blame, exchange)
            try:
                msgspec.convert(one, type=ExchangeSettings)
            except msgspec.ValidationError as inner:
                what, below = _parted(inner)
                key = f"exchanges.{exchange}" + (f".{below}" if below else "")
                break
    unknown = re.search(r"unknown field `(.*)`", what)
    if unknown is not None:
        key = f"{key}.{unknown[1]}" if key else unknown[1]
        return blame.error(key, "no such key; remove it or correct its spelling (config/paper.toml lists the keys)")
    name = key.rpartition(".")[2].partition("[")[0]
    if name in _SHAPES and "regex" in what:
        return blame.error(key, _SHAPES[name])
    if name in _CHOICES and "enum" in what:
        given = what.removeprefix("Invalid enum value ")
        return blame.error(key, f"{given} is none of {', '.join(_CHOICES[name])}; take one of them")
    return blame.error(key or "top level", f"{what}; correct the value")


def _parted(error: msgspec.ValidationError) -> tuple[str, str]:
    """(what is wrong, the key that it is wrong with)."""
    what, _, where = str(error).rpartition(" - at ")
    if not what:
        return str(error), ""
    return what, where.strip("`").removeprefix("$").removeprefix(".")


def _with_paths(settings: Settings, directory: Path) -> Settings:
    """Paths of key files are relative to the config: where a process happens to run must not matter."""

    def absolute(place: str) -> str:
        kind, _, where = place.partition(":")
        return f"file:{directory.absolute() / Path(where).expanduser()}" if kind == "file" else place

    exchanges = {
        name: replace(one, api_key=absolute(one.api_key), api_secret=absolute(one.api_secret))
        for name, one in settings.exchanges.items()
    }
    return replace(settings, exchanges=exchanges)


def _check(blame: _Blame, settings: Settings) -> None:
    _check_system(blame, settings.system)
    _check_store(blame, settings.store)
    for exchange, one in settings.exchanges.items():
        key = f"exchanges.{exchange}"
        if exchange not in VENUES:
            raise _no_such_exchange(blame, exchange)
        if len(set(one.symbols)) != len(one.symbols):
            raise blame.error(f"{key}.symbols", "names a symbol twice; remove one")
        if Channel.BOOK not in one.channels:
            raise blame.error(f"{key}.channels", "lacks 'book', which everything else is judged by; add it")
        _check_depth(blame, exchange, one)
        _check_rotation(blame, exchange, one)
        _check_urls(blame, exchange, one)
        _check_keys(blame, exchange, one)
    if not any(one.enabled for one in settings.exchanges.values()):
        choices = " or ".join(f"[exchanges.{name}]" for name in VENUES)
        raise blame.error("exchanges", f"none is enabled, so there is nothing to run; add {choices}, or enable one")


def _no_such_exchange(blame: _Blame, exchange: str) -> ConfigError:
    words = "is for tests in memory, no system can run it" if exchange == "mock" else "no such exchange"
    return blame.error(f"exchanges.{exchange}", f"{words}; take one of {', '.join(VENUES)}")


def _check_system(blame: _Blame, system: SystemSettings) -> None:
    if system.log_level not in _LEVELS:
        raise blame.error("system.log_level", f"{system.log_level!r} is no level; take one of {', '.join(_LEVELS)}")
    try:
        IPv4Address(system.bind)
    except ValueError:
        raise blame.error(
            "system.bind", f"{system.bind!r} is no IP address (of version 4); take 127.0.0.1 or one of this machine"
        ) from None

    try:
        check_name(system.name)
    except UsageError as error:
        raise blame.error("system.name", str(error)) from None


def _check_log_files(blame: _Blame, system: SystemSettings, directory: Path) -> None:
    """Now, because the launcher that opens them has nobody to tell.

    :param directory: what `system.logging` is relative to.
    """
    if system.log_file:
        problem = _unfit_log(Path(system.log_file))
        if problem:
            raise blame.error("system.log_file", problem)
    if system.logging:
        try:
            logs.read(directory / system.logging)
        except ConfigError as error:
            raise blame.error("system.logging", str(error)) from None


def _unfit_log(path: Path) -> str:
    if path.is_dir():
        return f"{path} is a directory; name a file in it"
    if not path.parent.is_dir():
        return f"{path.parent} is no directory; make it, or name a file in another"
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        return f"{path} cannot be written by you; name another file"
    return ""


def _check_depth(blame: _Blame, exchange: str, one: ExchangeSettings) -> None:
    """The driver knows which depths the venue streams."""
    try:
        driver_for(exchange).topics(Channel.BOOK, "X", one.depth)
    except UsageError as error:
        words = str(error).removeprefix(f"{exchange}: ")
        raise blame.error(f"exchanges.{exchange}.depth", words) from None


def _check_rotation(blame: _Blame, exchange: str, one: ExchangeSettings) -> None:
    """A new connection needs its time to take over, and the venue's own cut must not come first."""
    key = f"exchanges.{exchange}.rotate_after_s"
    cut_s = driver_for(exchange).stream_limits.lifetime_s
    if 0 < one.rotate_after_s < ROTATE_AFTER_S_MIN:
        raise blame.error(key, f"below {ROTATE_AFTER_S_MIN:g} s; take more, or 0 for the default")
    if cut_s and one.rotate_after_s > cut_s:
        raise blame.error(key, f"the venue cuts connections after {cut_s} s; take less, or 0 for the default")


def _check_urls(blame: _Blame, exchange: str, one: ExchangeSettings) -> None:
    if one.environment is Environment.PAPER and not one.urls:
        return  # gets a simulator of its own
    try:
        endpoints = driver_for(exchange).endpoints(one.environment, one.urls)
        if one.enabled and one.api_key:
            trading_for(exchange).private_url(endpoints)
    except ConfigError as error:
        words = str(error).removeprefix(f"{exchange}: ")
        named = re.match(r"urls\.(\w+)", words)
        key = f"exchanges.{exchange}.{named[0]}" if named else f"exchanges.{exchange}.urls"
        raise blame.error(key, words) from None


def _check_keys(blame: _Blame, exchange: str, one: ExchangeSettings) -> None:
    """That both are where they should be; what they are is read by the processes that sign, nowhere else."""
    if not one.enabled:
        return
    for name, other in (_KEYS, _KEYS[::-1]):
        if getattr(one, name) and not getattr(one, other):
            raise blame.error(f"exchanges.{exchange}.{other}", f"is missing, {name} is there; name both or neither")
    for name in _KEYS:
        kind, _, where = getattr(one, name).partition(":")
        problem = _missing_variable(where) if kind == "env" else _unfit_file(Path(where)) if kind == "file" else ""
        if problem:
            raise blame.error(f"exchanges.{exchange}.{name}", problem)


def _missing_variable(name: str) -> str:
    return "" if os.environ.get(name) else f"the environment variable {name} is not set here; export it"


def _unfit_file(path: Path) -> str:
    try:
        status = path.stat()
    except OSError as error:
        return f"{path}: {error.strerror}; name an existing file"
    if not stat.S_ISREG(status.st_mode) or not status.st_size:
        return f"{path}: empty, or no file; put the key into it"
    if stat.S_IMODE(status.st_mode) & 0o077:
        return f"{path}: can be read by others; chmod 600 it"
    return "" if os.access(path, os.R_OK) else f"{path}: cannot be read by you; chown it"


def _check_store(blame: _Blame, store: StoreSettings) -> None:
    if store.url == "sqlite":
        return
    if store.url == "memory":
        if store.durability == "power":
            raise blame.error("store.durability", 'memory survives nothing; take url = "sqlite" for "power"')
        return
    from sqlalchemy import make_url  # who names no database does without it
    from sqlalchemy.exc import ArgumentError

    try:
        make_url(store.url).get_dialect().import_dbapi()
    except (ArgumentError, ValueError, ImportError):
        # Without the words of the library, which may quote the URL's password.
        words = 'is no database that can be used here; take "sqlite", "memory", or a URL as SQLAlchemy spells it'
        raise blame.error("store.url", f"{words} (and install its driver)") from None
