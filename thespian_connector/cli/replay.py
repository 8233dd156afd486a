"""``replay``: what a recorded session makes of its books, by the code that live traffic takes."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from ._output import print_document, say

if TYPE_CHECKING:
    from thespian_connector.net.replay import ReplayBook

_DESCRIPTION = "What a recorded session makes of its books, by the code that live traffic takes."
EPILOG = """a capture is JSON lines {"t": ns, "kind": "ws"|"rest", "url": "...", "data": ...}, as 'record' writes them,
gzip-compressed or not."""


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "replay", help="run a capture through driver and books", description=_DESCRIPTION, epilog=EPILOG
    )
    parser.add_argument("--exchange", required=True, metavar="X", help="whose traffic it is: binance, bybit")
    parser.add_argument("file", metavar="FILE", help="the capture")
    parser.add_argument("--dump-book", action="store_true", help="also every level held, best first")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from thespian_connector.drivers.registry import driver_for
    from thespian_connector.model.errors import CaptureError
    from thespian_connector.net.capture import CaptureReader
    from thespian_connector.net.replay import Replay

    replay = Replay(driver_for(args.exchange))
    reader = CaptureReader(args.file)
    replay.feed_all(reader)
    for words in replay.warnings:
        say(f"warning: {args.file} {words}")
    if replay.warnings_more:
        say(f"warning: {args.file}: and {replay.warnings_more} more like these")
    if reader.torn:
        say(f"warning: {reader.torn}; the lines before it count")
    results = replay.results(dump=args.dump_book)
    if not results:
        raise CaptureError(f"{args.file}: holds no book or trade of {args.exchange}; is it another exchange's?")
    if args.json:
        for result in results:
            print_document(result)
    else:
        _print_tables(args.exchange, results)
    return 0


def _print_tables(exchange: str, results: list[ReplayBook]) -> None:
    from msgspec import UnsetType
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    # A pipe has no width; 140 columns hold every number whole.
    console = Console(width=None if sys.stdout.isatty() else 140)
    table = Table(title=f"Replay of {exchange}", box=SIMPLE_HEAD)
    table.add_column("symbol", no_wrap=True)
    table.add_column("trust", no_wrap=True)
    for name in ("update", "bids", "best bid", "best ask", "asks", "applied", "ignored", "gaps", "trades"):
        table.add_column(name, justify="right", overflow="fold")
    for book in results:
        shown = ", ".join(map(str, book.gap_lines[:5])) + (", ..." if book.gaps > 5 else "")
        table.add_row(
            book.symbol,
            f"[green]{book.trust}" if book.trust == "LIVE" else f"[red]{book.trust}",
            str(book.update_id),
            str(book.bids),
            book.best_bid or "-",
            book.best_ask or "-",
            str(book.asks),
            str(book.applied),
            str(book.ignored),
            f"[red]{book.gaps} (line {shown})" if book.gaps else "0",
            str(book.trades),
        )
    console.print(table)
    for book in results:
        if book.reason:
            console.print(f"{book.symbol} is {book.trust}: {book.reason}", markup=False)
    for book in results:
        if isinstance(book.levels, UnsetType):
            continue
        levels = Table(title=book.symbol, box=SIMPLE_HEAD)
        for name in ("bid quantity", "bid", "ask", "ask quantity"):
            levels.add_column(name, justify="right")
        for row in range(max(book.bids, book.asks)):
            bid = book.levels.bids[row] if row < book.bids else ("", "")
            ask = book.levels.asks[row] if row < book.asks else ("", "")
            levels.add_row(bid[1], bid[0], ask[0], ask[1])
        console.print(levels)
