"""``balances``, ``positions``, ``fees``: what we have, what our fills add up to, what we pay."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ._output import console, print_document, progress, table

#: Of averages and what comes from them.
_SHOWN_STEP = Decimal("0.00000001")

if TYPE_CHECKING:
    from thespian_connector.model import Balance, FeeRates, Position


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    balances = subparsers.add_parser("balances", help="what is on the accounts")
    balances.add_argument("--exchange", metavar="X", help="only this one's")
    balances.set_defaults(run=run_balances)
    positions = subparsers.add_parser(
        "positions",
        help="what our fills add up to",
        description="Average cost, realised and unrealised PnL in the quote asset, fees by asset. A fee taken in base"
        " makes the position smaller; no PnL has fees in it.",
    )
    positions.add_argument("--exchange", metavar="X", help="only this one's")
    positions.set_defaults(run=run_positions)
    fees = subparsers.add_parser("fees", help="the accounts' maker and taker rates, asked from the exchange")
    fees.add_argument("exchange", nargs="?", metavar="EXCHANGE", help="one exchange's (default: all with an account)")
    fees.add_argument("--symbol", action="append", default=[], metavar="SYMBOL", help="only this one; may be repeated")
    fees.set_defaults(run=run_fees)


def run_balances(args: argparse.Namespace) -> int:
    from thespian_connector.connector import Connector

    with Connector.attach(args.system) as connector:
        balances = connector.balances(args.exchange)
    if not _documents(args, balances):
        _print_balances(balances)
    return 0


def run_positions(args: argparse.Namespace) -> int:
    from thespian_connector.connector import Connector

    with Connector.attach(args.system) as connector:
        positions = connector.positions(args.exchange)
    if not _documents(args, positions):
        _print_positions(positions)
    return 0


def run_fees(args: argparse.Namespace) -> int:
    from thespian_connector.connector import Connector

    with Connector.attach(args.system) as connector, progress("asking"):
        exchanges = [args.exchange] if args.exchange is not None else connector.accounts()
        fees = [one for exchange in exchanges for one in connector.fees(exchange, args.symbol)]
    if not _documents(args, fees):
        _print_fees(fees)
    return 0


def _documents(args: argparse.Namespace, records: Iterable[Any]) -> bool:
    """Prints them, if documents are wanted."""
    if args.json:
        for record in records:
            print_document(record)
    return bool(args.json)


def _print_balances(balances: Iterable[Balance]) -> None:
    from thespian_connector.model import text

    shown = table("exchange", "asset", "free", "locked", left=2)
    for one in balances:
        shown.add_row(one.exchange, one.asset, text(one.free), text(one.locked))
    console().print(shown)


def _print_positions(positions: Iterable[Position]) -> None:
    from thespian_connector.model import text

    shown = table("exchange", "symbol", "quantity", "average cost", "realised", "unrealised", "fees", left=2)
    for one in positions:
        fees = ", ".join(f"{text(fee)} {asset}" for asset, fee in one.fees.items())
        unrealized = "-" if one.unrealized_pnl is None else _pnl(one.unrealized_pnl)
        numbers = (text(one.quantity), text(_short(one.avg_cost)), _pnl(one.realized_pnl), unrealized)
        shown.add_row(one.exchange, one.symbol, *numbers, fees or "-")
    console().print(shown)


def _pnl(value: Decimal) -> str:
    from thespian_connector.model import text

    shown = text(_short(value))
    return f"[{'red' if value < 0 else 'green'}]{shown}[/]" if value else shown


def _short(value: Decimal) -> Decimal:
    """For people: averages have 34 digits, ``--json`` shows them."""
    from thespian_connector.model import quantize_half_even

    return quantize_half_even(value, _SHOWN_STEP)


def _print_fees(fees: Iterable[FeeRates]) -> None:
    shown = table("exchange", "symbol", "maker", "taker", left=2)
    for one in fees:
        shown.add_row(one.exchange, one.symbol, *(f"{rate:%}" for rate in (one.maker, one.taker)))
    console().print(shown)
