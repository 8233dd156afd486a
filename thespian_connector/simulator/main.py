"""Runs the simulator: ``python -m thespian_connector.simulator --seed 1 --json``, and the command `simulate`."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence

from thespian_connector.model import to_json
from thespian_connector.model.errors import ConnectorError, UsageError

from .options import Options, add_arguments, options

EXIT_FAILED = 1
_DESCRIPTION = "Binance and Bybit on loopback, with faults on demand and the truth on a control port."


def run(chosen: Options, *, as_json: bool) -> int:
    """Run until a signal; the exit code. A failure is one line on stderr, and with `as_json` a document."""
    try:
        from .server import ParentGone, StartError, serve
    except ImportError as error:
        if (error.name or "").partition(".")[0] != "aiohttp":
            raise
        words = "aiohttp is missing; install it with: pip install 'thespian_connector[paper]'"
        return _fail(ConnectorError(words), as_json=as_json)
    from .venue import SettingError

    try:
        asyncio.run(serve(chosen, as_json=as_json))
    except StartError as error:
        return _fail(ConnectorError(str(error)), as_json=as_json)
    except SettingError as error:
        return _fail(UsageError(f"--tune {error}"), as_json=as_json)
    except ParentGone:
        return EXIT_FAILED
    return 0


def _fail(error: ConnectorError, *, as_json: bool) -> int:
    if as_json:
        print(to_json({"error": error.document()}).decode(), flush=True)
    print(f"simulate: {error}", file=sys.stderr)
    return error.exit_code


def set_title(title: str) -> None:
    from setproctitle import setproctitle

    setproctitle(title)


def main(argv: Sequence[str] | None = None) -> int:
    """The simulator's own small command line."""
    parser = argparse.ArgumentParser(prog="python -m thespian_connector.simulator", description=_DESCRIPTION)
    add_arguments(parser)
    parser.add_argument("--json", action="store_true", help="the ready line as one JSON document")
    parser.add_argument("--title", help="what ps shows")
    parser.add_argument(
        "--listen-on",
        type=json.loads,
        metavar="DOCUMENT",
        help='descriptors that listen already: {"binance": 5, "bybit": 6, "control": 7}',
    )
    args = parser.parse_args(argv)
    if args.title:
        set_title(args.title)
    return run(options(args), as_json=args.json)
