"""``book``, ``watch``: what the venues show."""

from __future__ import annotations

import argparse
import itertools
import sys
from typing import TYPE_CHECKING, Any

from ._output import print_document

if TYPE_CHECKING:
    from thespian_connector.bus.events import BusEvent
    from thespian_connector.model import OrderBook

_DEPTH = 10
_PIPE_COLUMNS = 140


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    book = subparsers.add_parser("book", help="an order book", description="The certified levels of a live book.")
    book.add_argument("symbol", metavar="SYMBOL", help="like BTC/USDT")
    book.add_argument("--exchange", metavar="X", required=True, help="whose: binance, bybit")
    book.add_argument(
        "--depth", type=int, default=_DEPTH, metavar="N", help=f"levels a side (default {_DEPTH}; 0: all)"
    )
    book.set_defaults(run=run_book)
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
        book = connector.order_book(args.exchange, args.symbol, args.depth)
    if args.json:
        print_document(book)
    else:
        _print_book(book)
    return 0


def _print_book(book: OrderBook) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    from thespian_connector.model import text

    colour = "green" if book.trust.value == "LIVE" else "yellow"
    title = f"{book.exchange} {book.symbol} [{colour}]{book.trust}[/] update {book.update_id} of {book.stream}"
    table = Table("bid quantity", "bid", "ask", "ask quantity", title=title, box=SIMPLE_HEAD)
    for column in table.columns:
        column.justify = "right"
    for bid, ask in itertools.zip_longest(book.bids, book.asks):
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
