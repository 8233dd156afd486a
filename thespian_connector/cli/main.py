"""The command line: ``thespian-connector COMMAND ...``, also as ``python -m thespian_connector``.

Each module of this package that has a ``register(subparsers)`` is a command group. It adds its parsers and sets
``run``, a function of the parsed arguments that returns the exit code. A group imports what is heavy inside its
functions, so that one command does not load what another needs.

Exit codes: 0 done, 1 failed, 2 usage or config, 3 no system running, 4 refused, 5 outcome unknown; 130 after Ctrl-C,
141 when the reader of stdout went away (as the shell counts SIGINT and SIGPIPE).
"""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pkgutil import iter_modules
from typing import Any, NoReturn

import thespian_connector.cli
from thespian_connector.model.errors import ConnectorError, UsageError

from ._output import print_document, say

PROGRAM = "thespian-connector"
SYSTEM_VARIABLE = "TC_SYSTEM"
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130
EXIT_BROKEN_PIPE = 141
_SET_PREFIX = "set of "


class Parser(argparse.ArgumentParser):
    """Every parser, nested ones too, takes the global options, so that they may stand before or after the command."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["allow_abbrev"] = False
        super().__init__(*args, **kwargs)
        options = self.add_argument_group("global options")
        add = options.add_argument
        add("--system", metavar="NAME", default=argparse.SUPPRESS, help=f"which system (or ${SYSTEM_VARIABLE})")
        add("--config", metavar="FILE", default=argparse.SUPPRESS, help="the config file")
        # A nested parser's value would replace its parent's list: each keeps its own, `_settings` puts them together.
        add(
            "--set",
            metavar="KEY=VALUE",
            action="append",
            dest=_SET_PREFIX + self.prog,
            default=argparse.SUPPRESS,
            help="override a (dotted) key of the config; may be repeated",
        )
        add("--json", action="store_true", default=argparse.SUPPRESS, help="one JSON document a line on stdout")

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; see '{self.prog} --help'")


def build_parser() -> Parser:
    """The whole command line. The groups are found, not listed: a new one is a new file."""
    parser = Parser(prog=PROGRAM, description="Reliable exchange connectivity for trading engines.")
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {_version()}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", dest="command")
    package = thespian_connector.cli
    for name in sorted(found.name for found in iter_modules(package.__path__)):
        if name != "main" and not name.startswith("_"):
            register = getattr(import_module(f"{package.__name__}.{name}"), "register", None)
            if register is not None:
                register(commands)
    return parser


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The arguments, with the global options `system`, `config` (None: none), `set` (pairs) and `json` always there.

    :raises UsageError: they make no command.
    """
    args = build_parser().parse_args(argv)
    if not hasattr(args, "run"):
        raise UsageError(f"a command is missing; see '{PROGRAM} --help'")
    args.set = _settings(args)
    args.system = getattr(args, "system", os.environ.get(SYSTEM_VARIABLE) or "default")
    args.config = getattr(args, "config", None)
    args.json = getattr(args, "json", False)
    return args


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code. An error is stderr's last line and, with --json, the last document."""
    words = sys.argv[1:] if argv is None else list(argv)
    as_json = "--json" in words[: words.index("--") if "--" in words else None]
    try:
        try:
            code = _run(words)
        except ConnectorError as error:
            code = _fail(error.document(), str(error), error.exit_code, as_json)
        except (KeyboardInterrupt, BrokenPipeError):
            raise
        except Exception as error:  # noqa: BLE001 - the last stop of a bug: shown whole, told in one line, counted as failed
            traceback.print_exc()
            words_ = f"internal error: {type(error).__name__}: {error}; please report it with the lines above"
            body = {"type": "InternalError", "message": words_, "retry": "never", "outcome_known": True}
            code = _fail(body, words_, EXIT_FAILED, as_json)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The interpreter flushes stdout once more on its way out, which must not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_BROKEN_PIPE
    return code


def _run(words: list[str]) -> int:
    args = parse(words)
    code = args.run(args)
    assert isinstance(code, int), "a command returns its exit code"
    return code


def _fail(body: dict[str, object], words: str, code: int, as_json: bool) -> int:
    if as_json:
        print_document({"error": body})
    say(f"{PROGRAM}: {words}")
    return code


def _settings(args: argparse.Namespace) -> list[tuple[str, str]]:
    settings = []
    for name in [name for name in vars(args) if name.startswith(_SET_PREFIX)]:
        for text in getattr(args, name):
            key, equals, value = text.partition("=")
            if not equals or not key.strip():
                raise UsageError(f"--set {text}: write it as key=value, like --set system.log_level=DEBUG")
            settings.append((key.strip(), value))
        delattr(args, name)
    return settings


def _version() -> str:
    try:
        return version("thespian_connector")
    except PackageNotFoundError:
        return "(not installed)"
