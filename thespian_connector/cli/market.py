"""``book``, ``best``, ``ticker``, ``instruments``: what the venues show now."""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from ._output import console, paint, print_document, table, trust_colour

if TYPE_CHECKING:
    from decimal import Decimal

    from thespian_connector.connector import Connector
    from thespian_connector.model import BestPrices, Instrument, MergedBook, OrderBook, Ticker
    from thespian_connector.model.errors import ConnectorError

_DEPTH = 10


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    book = subparsers.add_parser(
        "book",
        help="an order book, one venue's or all merged",
        description="The certified levels: of one venue's book, or as deep as all LIVE venues' books are proved.",
    )
    _symbol(book)
    book.add_argument("--exchange", metavar="X", help="one venue's (default: the merged book of all)")
    book.add_argument(
        "--depth", type=int, default=_DEPTH, metavar="N", help=f"levels a side (default {_DEPTH}; 0: all)"
    )
    book.set_defaults(run=run_book)
    best = subparsers.add_parser("best", help="the best prices and who quotes them")
    _symbol(best)
    best.set_defaults(run=run_best)
    ticker = subparsers.add_parser("ticker", help="last price and 24 hours of each venue, asked over REST")
    _symbol(ticker)
    ticker.add_argument("--exchange", metavar="X", help="one venue's (default: all that carry it)")
    ticker.set_defaults(run=run_ticker)
    instruments = subparsers.add_parser("instruments", help="what can be traded, and on which grid")
    instruments.add_argument("exchange", nargs="?", metavar="EXCHANGE", help="one venue's (default: all)")
    instruments.add_argument(
        "--symbol", action="append", default=[], metavar="SYMBOL", help="only this one; may be repeated"
    )
    instruments.set_defaults(run=run_instruments)


def _symbol(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("symbol", metavar="SYMBOL", help="like BTC/USDT")


# -- book, best


def run_book(args: argparse.Namespace) -> int:
    from thespian_connector.connector import Connector, check_depth

    check_depth(args.depth)
    with Connector.attach(args.system) as connector:
        if args.exchange is None:
            merged = connector.merged_book(args.symbol, args.depth)
            if args.json:
                print_document(merged)
            else:
                print_merged(merged)
            return 0
        book = connector.order_book(args.exchange, args.symbol, args.depth)
    if args.json:
        print_document(book)
    else:
        _print_book(book)
    return 0


def run_best(args: argparse.Namespace) -> int:
    from thespian_connector.connector import Connector

    with Connector.attach(args.system) as connector:
        best = connector.best(args.symbol)
    if args.json:
        print_document(best)
    else:
        _print_best(best)
    return 0


def _print_book(book: OrderBook) -> None:
    from thespian_connector.model import text

    trust = f"[{trust_colour(book.trust)}]{book.trust}[/]"
    title = f"{book.exchange} {book.symbol} {trust} update {book.update_id} of {book.stream}"
    shown = table("bid quantity", "bid", "ask", "ask quantity")
    for bid, ask in itertools.zip_longest(book.bids, book.asks):
        left = (text(bid.quantity), f"[green]{text(bid.price)}") if bid else ("", "")
        right = (f"[red]{text(ask.price)}", text(ask.quantity)) if ask else ("", "")
        shown.add_row(*left, *right)
    console().print(title, shown, sep="\n")


def print_merged(book: MergedBook) -> None:
    """A table: prices in the middle, totals beside them, each venue's share outside."""
    from thespian_connector.model import text

    left_out = "".join(f", without {exchange}: [yellow]{trust}[/]" for exchange, trust in book.excluded.items())
    crossed = ", [red]crossed[/]" if book.crossed else ", [yellow]locked[/]" if book.locked else ""
    title = f"{book.symbol} of {', '.join(book.exchanges) or 'no exchange'}{left_out}{crossed}"
    venues = book.exchanges
    shown = table(*venues, "bid quantity", "bid", "ask", "ask quantity", *venues)
    for bid, ask in itertools.zip_longest(book.bids, book.asks):
        left, right = [""] * (len(venues) + 2), [""] * (len(venues) + 2)
        if bid:
            left = [*_shares(bid.shares, venues), text(bid.quantity), f"[green]{text(bid.price)}"]
        if ask:
            right = [f"[red]{text(ask.price)}", text(ask.quantity), *_shares(ask.shares, venues)]
        shown.add_row(*left, *right)
    console().print(title, shown, sep="\n")


def _shares(shares: dict[str, Decimal], venues: Iterable[str]) -> list[str]:
    from thespian_connector.model import text

    return [f"[dim]{text(shares[venue])}" if venue in shares else "" for venue in venues]


def _print_best(best: BestPrices) -> None:
    from thespian_connector.model import text

    for name, side, colour in (("bid", best.bid, "green"), ("ask", best.ask, "red")):
        price = f"{paint(text(side.price), colour)} x {text(side.quantity)} at {side.exchange}" if side else "none"
        print(f"{name:<8} {price}")
    crossed = paint(" crossed", "red") if best.crossed else ""
    print(f"{'spread':<8} {text(best.spread) if best.spread is not None else 'none'}{crossed}")
    for exchange, trust in best.excluded.items():
        print(f"{'without':<8} {exchange}: {paint(trust, 'yellow')}")


# -- ticker, instruments


def run_ticker(args: argparse.Namespace) -> int:
    from thespian_connector.connector import Connector
    from thespian_connector.model.errors import ConnectorError

    tickers: list[Ticker] = []
    failed: list[ConnectorError] = []
    with Connector.attach(args.system) as connector:
        for exchange in [args.exchange] if args.exchange is not None else _carriers(connector, args.symbol):
            try:
                tickers.append(connector.ticker(exchange, args.symbol))
            except ConnectorError as error:
                failed.append(error)
    if args.json:
        for ticker in tickers:
            print_document(ticker)
    elif tickers:
        _print_tickers(tickers)
    if failed:
        raise failed[0]  # after what the other venues say
    return 0


def _carriers(connector: Connector, symbol: str) -> list[str]:
    from thespian_connector.model.errors import UnknownSymbol, shown

    carried = connector.exchanges()
    found = [exchange for exchange, symbols in carried.items() if symbol in symbols]
    if not found:
        known = dict.fromkeys(itertools.chain.from_iterable(carried.values()))
        raise UnknownSymbol(
            f"no exchange of this system carries {shown(symbol)}; they carry {', '.join(known) or 'nothing'};"
            " name an --exchange to ask it for another"
        )
    return found


def _print_tickers(tickers: Sequence[Ticker]) -> None:
    shown = table("exchange", "symbol", "last", "bid", "ask", "open 24 h", "high", "low", "volume", "in quote", left=2)
    for one in tickers:
        numbers = (one.last, one.bid, one.ask, one.open, one.high, one.low, one.volume, one.quote_volume)
        shown.add_row(one.exchange, one.symbol, *map(_number, numbers))
    console().print(shown)


def run_instruments(args: argparse.Namespace) -> int:
    from thespian_connector.connector import Connector

    with Connector.attach(args.system) as connector:
        exchanges = [args.exchange] if args.exchange is not None else list(connector.exchanges())
        found = [one for exchange in exchanges for one in connector.instruments(exchange, args.symbol)]
    if args.json:
        for one in found:
            print_document(one)
    else:
        _print_instruments(found)
    return 0


def _print_instruments(instruments: Sequence[Instrument]) -> None:
    shown = table(
        "exchange", "symbol", "native", "status", "tick", "step", "min quantity", "max quantity", "min notional", left=4
    )
    for one in instruments:
        status = f"[{'green' if one.status == 'TRADING' else 'yellow'}]{one.status}[/]"
        numbers = (one.tick_size, one.step_size, one.min_quantity, one.max_quantity, one.min_notional)
        shown.add_row(one.exchange, one.symbol, one.native, status, *map(_number, numbers))
    console().print(shown)


def _number(value: Any) -> str:
    from thespian_connector.model import text

    return "-" if value is None else text(value)
