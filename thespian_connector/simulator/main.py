"""Runs the simulator: ``python -m thespian_connector.simulator --seed 1 --json``, and the command `simulate`."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence

from .options import Options, add_arguments, options

EXIT_FAILED = 1
EXIT_USAGE = 2


def run(chosen: Options, *, as_json: bool) -> int:
    """Run until a signal; the exit code. A failure is one line on stderr."""
    try:
        from .server import ParentGone, StartError, serve
    except ImportError as error:
        if (error.name or "").partition(".")[0] != "aiohttp":
            raise
        print("simulate: aiohttp is missing; install it with: pip install 'thespian_connector[paper]'", file=sys.stderr)
        return EXIT_FAILED
    from .venue import SettingError

    try:
        asyncio.run(serve(chosen, as_json=as_json))
    except StartError as error:
        print(f"simulate: {error}", file=sys.stderr)
        return EXIT_FAILED
    except SettingError as error:
        print(f"simulate: --tune {error}", file=sys.stderr)
        return EXIT_USAGE
    except ParentGone:
        return EXIT_FAILED
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """The simulator's own small command line."""
    parser = argparse.ArgumentParser(prog="python -m thespian_connector.simulator", description=__doc__)
    add_arguments(parser)
    parser.add_argument("--json", action="store_true", help="the ready line as one JSON document")
    args = parser.parse_args(argv)
    return run(options(args), as_json=args.json)
