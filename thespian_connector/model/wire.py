"""What a driver makes of a venue's frames: the same few records for every venue, numbers still as the venue wrote them.

Prices and quantities stay text here, because a book needs most of them only as integer ticks, and text is exact.
These records live for microseconds between decode and book; they are not garbage-collector tracked and not frozen.
"""

from __future__ import annotations

from msgspec import Struct

from .enums import Side

#: Levels of one side: (price, quantity) as the venue spells them. Quantities are absolute; a zero one deletes.
WireLevels = list[tuple[str, str]]


class BookSnapshot(Struct, gc=False):
    """A whole book (as deep as it was asked for). It replaces what was known.

    `limit`: how many levels a side were asked for or are served by the stream; a side with fewer is complete.
    `sequence`: the venue's cross-stream order number where it has one (Bybit ``seq``), else 0.
    """

    native: str
    stream: str
    update_id: int
    bids: WireLevels
    asks: WireLevels
    limit: int
    venue_time_ns: int = 0
    sequence: int = 0


class BookDiff(Struct, gc=False):
    """Absolute new quantities of some levels. It spans the venue's update ids `first_id` to `last_id`."""

    native: str
    stream: str
    first_id: int
    last_id: int
    bids: WireLevels
    asks: WireLevels
    venue_time_ns: int = 0
    sequence: int = 0


class TopOfBook(Struct, gc=False):
    """The best level of each side, from a feed of its own (Bybit ``orderbook.1``, Binance ``bookTicker``); may repeat.

    A side that is empty is None. It feeds tickers and proves freshness; it never changes a book.
    """

    native: str
    stream: str
    update_id: int
    bid: tuple[str, str] | None
    ask: tuple[str, str] | None
    venue_time_ns: int = 0
    sequence: int = 0


class WireTrade(Struct, gc=False):
    native: str
    trade_id: str
    price: str
    quantity: str
    aggressor: Side
    venue_time_ns: int


class WireTrades(Struct, gc=False):
    """One or more trades of one message, in the venue's order."""

    stream: str
    trades: list[WireTrade]


class WireTicker(Struct, gc=False):
    native: str
    stream: str
    last: str
    bid: str | None = None
    bid_quantity: str | None = None
    ask: str | None = None
    ask_quantity: str | None = None
    open: str | None = None
    high: str | None = None
    low: str | None = None
    volume: str | None = None
    quote_volume: str | None = None
    venue_time_ns: int = 0


class Ack(Struct, gc=False):
    """The venue's answer to a request of ours on the stream. `request_id` is 0 when the venue did not echo it.

    A refused one has `ok` False and the venue's words; Bybit then subscribed *nothing* of that request.
    """

    request_id: int
    ok: bool
    message: str = ""


class Pong(Struct, gc=False):
    """The venue answered our keepalive. It proves that the socket lives, not that any stream does."""


class ServerShutdown(Struct, gc=False):
    """The venue will close this connection soon: open another now."""


class Ignored(Struct, gc=False):
    """A frame that means nothing to us, and why. Counted by `reason`: a small, fixed set of words, no frame text."""

    reason: str


WireEvent = BookDiff | BookSnapshot | TopOfBook | WireTrades | WireTicker | Ack | Pong | ServerShutdown | Ignored
