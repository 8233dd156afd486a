"""``book``, ``best``, ``watch``: what the venues show."""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ._output import print_document

if TYPE_CHECKING:
    from thespian_connector.bus.events import BusEvent
    from thespian_connector.model import Level, MergedBook, MergedLevel, OrderBook

    AnyLevel = Level | MergedLevel

_DEPTH = 10
_PIPE_COLUMNS = 140


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    book = subparsers.add_parser("book", help="an order book", description="The certified levels of a live book.")
    book.add_argument("symbol", metavar="SYMBOL", help="like BTC/USDT")
    book.add_argument("--exchange", metavar="X", help="one venue's (default: the merged book of all)")
    book.add_argument(
        "--depth", type=int, default=_DEPTH, metavar="N", help=f"levels a side (default {_DEPTH}; 0: all)"
    )
    book.set_defaults(run=run_book)
    best = subparsers.add_parser("best", help="the best prices and who quotes them")
    best.add_argument("symbol", metavar="SYMBOL", help="like BTC/USDT")
    best.set_defaults(run=run_best)
    watch = subparsers.add_parser("watch", help="events as they come", description="One line an event.")
    watch.add_argument("symbol", metavar="SYMBOL", help="like BTC/USDT")
    watch.add_argument(
        "--channel", action="append", default=[], metavar="C", help="book, trade, ticker (default: book)"
    )
    watch.add_argument("--exchange", action="append", default=[], metavar="X", help="only this one; may be repeated")
    watch.add_argument("-n", dest="count", type=int, metavar="N", help="end after N events")
    watch.set_defaults(run=run_watch)


def run_book(args: argparse.Namespace) -> int:
    from thespian_connector.connector import Connector

    with Connector.attach(args.system) as connector:
        if args.exchange is None:
            merged = connector.merged_book(args.symbol, args.depth)
            if args.json:
                print_document(merged)
            else:
                _print_sides(_merged_title(merged), merged.bids, merged.asks)
            return 0
        book = connector.order_book(args.exchange, args.symbol, args.depth)
    if args.json:
        print_document(book)
    else:
        _print_sides(_book_title(book), book.bids, book.asks)
    return 0


def run_best(args: argparse.Namespace) -> int:
    from thespian_connector.connector import Connector
    from thespian_connector.model import text

    with Connector.attach(args.system) as connector:
        best = connector.best(args.symbol)
    if args.json:
        print_document(best)
        return 0
    for name, side in (("bid", best.bid), ("ask", best.ask)):
        print(f"{name} {text(side.quantity)} @ {text(side.price)} {side.exchange}" if side else f"{name} none")
    print(f"spread {text(best.spread) if best.spread is not None else 'none'}{' CROSSED' if best.crossed else ''}")
    return 0


def _book_title(book: OrderBook) -> str:
    colour = "green" if book.trust.value == "LIVE" else "yellow"
    return f"{book.exchange} {book.symbol} [{colour}]{book.trust}[/] update {book.update_id} of {book.stream}"


def _merged_title(book: MergedBook) -> str:
    left_out = "".join(f", [yellow]{exchange} {trust}[/]" for exchange, trust in book.excluded.items())
    crossed = " [red]crossed[/]" if book.crossed else ""
    return f"{book.symbol} of {', '.join(book.exchanges) or 'no exchange'}{left_out}{crossed}"


def _print_sides(title: str, bids: Sequence[AnyLevel], asks: Sequence[AnyLevel]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    from thespian_connector.model import text

    table = Table("bid quantity", "bid", "ask", "ask quantity", title=title, box=SIMPLE_HEAD)
    for column in table.columns:
        column.justify = "right"
    for bid, ask in itertools.zip_longest(bids, asks):
        left = (text(bid.quantity), text(bid.price)) if bid else ("", "")
        right = (text(ask.price), text(ask.quantity)) if ask else ("", "")
        table.add_row(*left, *right)
    Console(width=None if sys.stdout.isatty() else _PIPE_COLUMNS).print(table)


def run_watch(args: argparse.Namespace) -> int:
    from thespian_connector.connector import Connector

    with Connector.attach(args.system) as connector:
        stream = connector.stream(args.symbol, tuple(args.channel) or ("book",), tuple(args.exchange))
    for event in itertools.islice(stream, args.count):
        document = event_document(event)
        if args.json:
            print_document(document)
        else:
            print(_line(document))
        sys.stdout.flush()
    return 0


def event_document(event: BusEvent) -> dict[str, Any]:
    """The event as `watch --json` prints it: the record's fields after what the bus knows of it."""
    from thespian_connector.model import plain

    head = {
        "kind": event.kind,
        "exchange": event.exchange,
        "symbol": event.symbol,
        "sequence": event.sequence,
        "incarnation": event.incarnation,
    }
    return {**plain(event.record), **head}


def _line(document: dict[str, Any]) -> str:
    head = f"{document['kind']:<7} {document['exchange']:<8} {document['symbol']:<10}"
    if document["kind"] == "book":
        bid, ask = ((side[0] if side else ("-", "-")) for side in (document["bids"], document["asks"]))
        return f"{head} {document['trust']:<8} {bid[1]:>14} @ {bid[0]:<12} {ask[0]:>12} @ {ask[1]:<14}"
    if document["kind"] == "trade":
        return f"{head} {document['aggressor']:<4} {document['quantity']} @ {document['price']}"
    rest = {key: value for key, value in document.items() if key not in ("kind", "exchange", "symbol")}
    return head + " " + " ".join(f"{key}={value}" for key, value in rest.items() if value is not None)
