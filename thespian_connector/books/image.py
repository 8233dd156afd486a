"""A book as it goes over the bus: an `OrderBook` whose numbers are still text, so that only a reader makes Decimals."""

from __future__ import annotations

from msgspec import Struct

from thespian_connector.model import Trust


class BookImage(Struct, kw_only=True, gc=False):
    """Encoded (msgpack, JSON) it is the same bytes as the `OrderBook` of the same book, and decodes as one.

    Numbers are canonical text. The fields, and their order, are OrderBook's.
    """

    exchange: str
    symbol: str
    stream: str
    update_id: int
    trust: Trust
    bids: list[tuple[str, str]]
    asks: list[tuple[str, str]]
    certified: tuple[int, int]
    since_ns: int = 0
    span: int = 0
    verified_at_ns: int = 0
    venue_time_ns: int = 0
    received_time_ns: int = 0
