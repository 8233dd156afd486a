"""What the bus carries and what a reader gets from it."""

from __future__ import annotations

from msgspec import Struct

from thespian_connector.model import (
    Balance,
    BestPrices,
    BookStatus,
    Fill,
    MergedBook,
    Order,
    OrderBook,
    Position,
    Ticker,
    Trade,
)


class Marker(Struct, frozen=True, kw_only=True):
    """Something happened to a topic other than data.

    `what`: ``missed`` (`missed` messages of it were lost to this reader), ``restarted`` (its publisher is a new one),
    ``stale`` (its publisher is silent), ``live`` (it is heard again); from feeds also ``reconnected`` and ``gap``.
    `channel`: the kind of the topic that this reader says it of; "" when a feed says it of the symbol.
    """

    what: str
    missed: int = 0
    detail: str = ""
    channel: str = ""


Record = OrderBook | MergedBook | BestPrices | Trade | Ticker | BookStatus | Order | Fill | Balance | Position | Marker


class BusEvent(Struct, frozen=True):
    """One message of a topic, or what the reader itself found out about it (a `Marker` with a `channel`).

    `sequence` counts the topic's messages from its publisher's start, whose number is `incarnation`; a marker made by
    the reader repeats those of the last message.
    """

    kind: str
    exchange: str
    symbol: str
    sequence: int
    incarnation: int
    record: Record


class BusHeader(Struct, frozen=True):
    """What each message says of itself. `sent_ns`: the publisher's wall clock."""

    incarnation: int
    sequence: int
    sent_ns: int
