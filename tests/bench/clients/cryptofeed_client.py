"""cryptofeed's Binance feed, its two endpoints changed; the top of the book read in each callback."""

from __future__ import annotations

import asyncio
import os
from decimal import Decimal

import cryptofeed.connection
from common import AGES, Ages, Stopwatch, arguments
from cryptofeed import FeedHandler
from cryptofeed.connection import RestEndpoint, Routes, WebsocketEndpoint
from cryptofeed.defines import L2_BOOK
from cryptofeed.exchanges import Binance

REST, STREAM, LAST_ID = arguments()
READ_TOP = os.environ.get("READ_TOP", "1") == "1"
watch = Stopwatch()
ages = Ages() if AGES else None
seen = 0

# cryptofeed takes wss:// addresses only; the local feed speaks plain ws://, as it does to every other client.
_connect = cryptofeed.connection.connect
cryptofeed.connection.connect = lambda address, **options: _connect(address.replace("wss://", "ws://"), **options)


class Local(Binance):
    websocket_endpoints = [WebsocketEndpoint(STREAM.replace("ws://", "wss://"))]  # noqa: RUF012 - cryptofeed's own way to set them
    rest_endpoints = [  # noqa: RUF012 - the same
        RestEndpoint(REST, routes=Routes("/api/v3/exchangeInfo", l2book="/api/v3/depth?symbol={}&limit={}"))
    ]


async def on_book(book: object, _receipt: float) -> None:
    global seen
    if seen == 0:
        watch.start()
    seen += 1
    sides = book.book  # type: ignore[attr-defined]  # a C extension without stubs
    if READ_TOP:
        bid, ask = sides.bids.index(0)[0], sides.asks.index(0)[0]
    if ages is not None:
        ages.note(book.sequence_number)  # type: ignore[attr-defined]  # the same
    if book.sequence_number >= LAST_ID:  # type: ignore[attr-defined]  # the same
        bid, ask = sides.bids.index(0)[0], sides.asks.index(0)[0]
        best = [f"{Decimal(bid):.8f}", f"{Decimal(ask):.8f}"]
        if ages is not None:
            ages.report(best)
        else:
            watch.report(best, seen - 1)
        os._exit(0)


def main() -> None:
    asyncio.set_event_loop(asyncio.new_event_loop())
    handler = FeedHandler(config={"log": {"disabled": True}})
    handler.add_feed(Local(symbols=["BTC-USDT"], channels=[L2_BOOK], callbacks={L2_BOOK: on_book}))
    handler.run()


main()
