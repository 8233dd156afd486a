"""``simulate``: Binance and Bybit on loopback, with faults on demand and the truth on a control port."""

from __future__ import annotations

import argparse

from thespian_connector.simulator.options import add_arguments


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "simulate",
        help="run local venues that speak the Binance and Bybit protocols",
        description="Runs simulated venues on loopback until Ctrl-C. The first line says where they are.",
    )
    add_arguments(parser)
    parser.set_defaults(run=_simulate)


def _simulate(args: argparse.Namespace) -> int:
    from thespian_connector.simulator.main import run
    from thespian_connector.simulator.options import options

    return run(options(args), as_json=args.json)
