"""Market data as users see it: Decimals, unified symbols, trust."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any, NamedTuple, Self

from msgspec import Struct, field

from .decimals import refuse_floats
from .enums import Side, Trust


class _Level(NamedTuple):
    price: Decimal
    quantity: Decimal


class Level(_Level):
    """One price of one side: quote a base, and the base quantity that rests there.

    :raises TypeError: one of them is no Decimal.
    """

    __slots__ = ()

    def __new__(cls, price: Decimal, quantity: Decimal) -> Self:
        level = tuple.__new__(cls, (price, quantity))
        if price.__class__ is not Decimal or quantity.__class__ is not Decimal:
            refuse_floats(level, "price", "quantity")
        return level

    @classmethod
    def _make(cls, iterable: Iterable[Any]) -> Self:  # type: ignore[override] # mypy has it return any NamedTuple
        """What ``_replace`` makes its copy with; the one of NamedTuple would not look at the types."""
        return cls(*iterable)


class OrderBook(Struct, frozen=True, kw_only=True):
    """One venue's book of one instrument, best level first.

    `update_id` is the last id of `stream` (the venue's own name of the feed) that is in it. `certified` is how many
    levels a side the snapshot and the unbroken updates since really prove; no level beyond is ever in `bids`, `asks`.
    `since_ns`: since when `trust` holds. `span`: which unbroken run of updates this is; it grows with each resync.
    `verified_at_ns`: when the venue last proved that the book was not behind.
    """

    exchange: str
    symbol: str
    stream: str
    update_id: int
    trust: Trust
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]
    certified: tuple[int, int]
    since_ns: int = 0
    span: int = 0
    verified_at_ns: int = 0
    venue_time_ns: int = 0
    received_time_ns: int = 0


class BookStatus(Struct, frozen=True, kw_only=True):
    """How a book stands, without its levels."""

    exchange: str
    symbol: str
    trust: Trust
    update_id: int
    since_ns: int
    span: int
    received_time_ns: int = 0
    verified_at_ns: int = 0
    reason: str = ""


class Trade(Struct, frozen=True, kw_only=True):
    """One trade on the public tape. `aggressor` is the side of the order that took liquidity."""

    exchange: str
    symbol: str
    trade_id: str
    price: Decimal
    quantity: Decimal
    aggressor: Side
    venue_time_ns: int
    received_time_ns: int = 0

    def __post_init__(self) -> None:
        refuse_floats(self, "price", "quantity")


class Ticker(Struct, frozen=True, kw_only=True):
    """Best prices and the last 24 hours. A venue that does not send a field leaves it None."""

    exchange: str
    symbol: str
    last: Decimal
    bid: Decimal | None = None
    bid_quantity: Decimal | None = None
    ask: Decimal | None = None
    ask_quantity: Decimal | None = None
    open: Decimal | None = None
    high: Decimal | None = None
    low: Decimal | None = None
    volume: Decimal | None = None
    quote_volume: Decimal | None = None
    venue_time_ns: int = 0
    received_time_ns: int = 0

    def __post_init__(self) -> None:
        refuse_floats(
            self, "last", "bid", "bid_quantity", "ask", "ask_quantity", "open", "high", "low", "volume", "quote_volume"
        )


class MergedLevel(Struct, frozen=True, array_like=True):
    """One price of the merged book: the total and each venue's share of it."""

    price: Decimal
    quantity: Decimal
    shares: dict[str, Decimal]

    def __post_init__(self) -> None:
        refuse_floats(self, "price", "quantity", "shares")


class BookSource(Struct, frozen=True):
    """Which book went into a merged one: the last update of which of the venue's streams."""

    stream: str
    update_id: int


class MergedBook(Struct, frozen=True, kw_only=True):
    """The LIVE books of one symbol as one, best level first; each level holds the shares of all of them.

    `excluded` names each venue that is left out and its trust. `crossed`: some venue's bid is above another's ask;
    `locked`: they are equal. Both are shown, never repaired: a crossed merged book is an arbitrage, not an error.
    `sources` says by exchange which state of its book it was.
    """

    symbol: str
    bids: tuple[MergedLevel, ...]
    asks: tuple[MergedLevel, ...]
    exchanges: tuple[str, ...]
    excluded: dict[str, Trust]
    crossed: bool
    locked: bool
    received_time_ns: int = 0
    sources: dict[str, BookSource] = field(default_factory=dict)


class BestSide(Struct, frozen=True):
    price: Decimal
    quantity: Decimal
    exchange: str

    def __post_init__(self) -> None:
        refuse_floats(self, "price", "quantity")


class BestPrices(Struct, frozen=True, kw_only=True):
    """The best bid and ask over the LIVE venues, and who quotes them. `spread` is None when a side is empty."""

    symbol: str
    bid: BestSide | None
    ask: BestSide | None
    spread: Decimal | None
    crossed: bool
    excluded: dict[str, Trust]

    def __post_init__(self) -> None:
        refuse_floats(self, "spread")
