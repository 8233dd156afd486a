"""Logging: every process appends its own JSON lines to one file (a line is one write), and people get stderr.

Thespian would forward records to a process of its own: slow, lost when that process dies, and a record that cannot be
pickled raises into the handler that logged. So the actors take back the root logger that the launcher configured.
"""

from __future__ import annotations

import logging
import logging.config
import multiprocessing
import sys
import tomllib
from pathlib import Path
from typing import Any

from thespian_connector.model.errors import ConfigError

_root = logging.root
_manager = logging.Logger.manager

_OUTPUT = "thespian_connector.actors.log_output."
_READABLE = "%(asctime)s %(levelname)-8s %(processName)s: %(message)s"
_FIELDS = "%(levelname)s %(name)s %(processName)s %(process)d %(threadName)s %(message)s"


def reclaim(process_name: str) -> None:
    """In an actor: makes the launcher's handlers those of this process again; `process_name` is in every line."""
    logging.root = _root
    logging.Logger.root = _root
    logging.Logger.manager = _manager
    multiprocessing.current_process().name = process_name


def configure(path: Path, level: str, *, stderr: bool, override: Path | None = None) -> None:
    """In the launcher, once, before anything is forked.

    :param path: where the JSON lines go.
    :param level: the lowest level that is logged.
    :param stderr: also write the readable form there.
    :param override: a TOML file in the shape of :func:`logging.config.dictConfig` (config/logging.toml), which is laid
        over the default.
    :raises ConfigError: that file, or what it says, cannot be used, or the log cannot be written.
    """
    handlers: dict[str, Any] = {
        "lines": {"()": _OUTPUT + "LineFile", "filename": str(path), "formatter": "json", "filters": ["flood"]}
    }
    if stderr:
        handlers["people"] = {
            "class": "logging.StreamHandler",
            "stream": "ext://sys.stderr",
            "formatter": "readable",
            "filters": ["flood"],
        }
    settings: dict[str, Any] = {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "json": {
                "()": "pythonjsonlogger.json.JsonFormatter",
                "fmt": _FIELDS,
                "timestamp": "time",
                "rename_fields": {"levelname": "level", "name": "logger", "processName": "actor", "process": "pid"},
            },
            "readable": {"()": _OUTPUT + "Readable", "fmt": _READABLE},
        },
        "filters": {"flood": {"()": _OUTPUT + "FloodLimit"}},
        "handlers": handlers,
        "root": {"level": level, "handlers": list(handlers)},
    }
    if override is not None:
        _lay_over(settings, read(override))
    try:
        logging.config.dictConfig(settings)
    except (ValueError, TypeError, AttributeError, ImportError) as error:
        raise ConfigError(_why(error, path, override)) from error
    logging.captureWarnings(True)
    sys.stderr.flush()


def read(override: Path) -> dict[str, Any]:
    """What a file to be laid over the set-up says.

    :raises ConfigError: it cannot be read, or is no TOML.
    """
    try:
        return tomllib.loads(override.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{override}: {error.strerror}; name an existing file") from None
    except ValueError as error:
        raise ConfigError(f"{override}: not TOML: {error}; quote strings, put tables in [brackets]") from None


def _why(error: Exception, path: Path, override: Path | None) -> str:
    cause = error.__cause__
    if isinstance(cause, OSError) and cause.filename == str(path):
        return f"{path}: {cause.strerror}; the log cannot be written there: correct system.log_file in the config"
    said = f"{error}: {cause}" if cause is not None else str(error)
    return f"{override or 'the logging set-up'}: {said}; config/logging.toml shows the shape"


def _lay_over(base: dict[str, Any], over: dict[str, Any]) -> None:
    for key, value in over.items():
        if isinstance(value, dict) and isinstance(base.get(key), dict):
            _lay_over(base[key], value)
        else:
            base[key] = value
