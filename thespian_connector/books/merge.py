"""Several venues' books of one symbol as one, and what a size would cost in it.

Levels of equal price become one that keeps each venue's share. A merged book may be crossed or locked: that is an
arbitrage to be seen, never repaired. Only LIVE books are merged; the rest are named with their trust.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Protocol

from thespian_connector.model import (
    CONTEXT,
    BestPrices,
    BestSide,
    BookSource,
    Level,
    MergedBook,
    MergedLevel,
    OrderBook,
    Trust,
)

_ZERO = Decimal(0)


class PricedLevel(Protocol):
    """A level of a book or of a merged book."""

    @property
    def price(self) -> Decimal: ...

    @property
    def quantity(self) -> Decimal: ...


def merge(books: Iterable[OrderBook], depth: int = 0) -> MergedBook:
    """One book of the LIVE ones among `books`, `depth` levels a side (0: all), as deep as all of them reach.

    A price behind the last level that one venue's book was given with is left out: what that venue has there is not
    known, and the deeper books' shares alone would look like the whole. (A side without levels hides nothing.)

    :raises ValueError: no book, books of different symbols, or two of one exchange.
    """
    symbol, live, excluded = _sorted_out(books)
    bids_best_first = _side({book.exchange: book.bids for book in live}, depth, descending=True)
    asks_best_first = _side({book.exchange: book.asks for book in live}, depth, descending=False)
    both = bool(bids_best_first and asks_best_first)
    return MergedBook(
        symbol=symbol,
        bids=tuple(bids_best_first),
        asks=tuple(asks_best_first),
        exchanges=tuple(book.exchange for book in live),
        excluded=excluded,
        crossed=both and bids_best_first[0].price > asks_best_first[0].price,
        locked=both and bids_best_first[0].price == asks_best_first[0].price,
        received_time_ns=max((book.received_time_ns for book in live), default=0),
        sources={book.exchange: BookSource(book.stream, book.update_id) for book in live},
    )


def best(books: Iterable[OrderBook]) -> BestPrices:
    """The best bid and ask over the LIVE ones; at equal prices the larger quantity, then the first name, is shown.

    :raises ValueError: as :func:`merge`.
    """
    symbol, live, excluded = _sorted_out(books)
    live.sort(key=lambda book: book.exchange)
    bids = [BestSide(book.bids[0].price, book.bids[0].quantity, book.exchange) for book in live if book.bids]
    asks = [BestSide(book.asks[0].price, book.asks[0].quantity, book.exchange) for book in live if book.asks]
    bid = max(bids, key=lambda side: (side.price, side.quantity), default=None)
    ask = min(asks, key=lambda side: (side.price, -side.quantity), default=None)
    spread = CONTEXT.subtract(ask.price, bid.price) if bid and ask else None
    return BestPrices(
        symbol=symbol,
        bid=bid,
        ask=ask,
        spread=spread,
        crossed=spread is not None and spread < 0,
        excluded=excluded,
    )


def vwap(levels: Iterable[PricedLevel], quantity: Decimal) -> tuple[Decimal | None, Decimal]:
    """The volume-weighted average price of taking `quantity` from `levels` (best first), and how much could be taken.

    The average is exact to 34 significant digits; None when nothing could be taken. A caller who needs the whole size
    compares the second number with what was asked.

    :raises ValueError: `quantity` is not positive.
    """
    if quantity <= 0:
        raise ValueError(f"quantity: must be positive, not {quantity}")
    left, cost = quantity, _ZERO
    for level in levels:
        taken = min(left, level.quantity)
        cost = CONTEXT.fma(taken, level.price, cost)
        left = CONTEXT.subtract(left, taken)
        if not left:
            break
    filled = CONTEXT.subtract(quantity, left)
    return (CONTEXT.divide(cost, filled) if filled else None), filled


def _sorted_out(books: Iterable[OrderBook]) -> tuple[str, list[OrderBook], dict[str, Trust]]:
    given = list(books)
    symbols = {book.symbol for book in given}
    if len(symbols) != 1:
        raise ValueError(f"books: one symbol's are merged, not {', '.join(sorted(symbols)) or 'none'}")
    if len({book.exchange for book in given}) != len(given):
        raise ValueError("books: two of one exchange")
    live = [book for book in given if book.trust is Trust.LIVE]
    excluded: dict[str, Trust] = {book.exchange: book.trust for book in given if book.trust is not Trust.LIVE}
    return symbols.pop(), live, excluded


def _side(sides: Mapping[str, tuple[Level, ...]], depth: int, *, descending: bool) -> list[MergedLevel]:
    """Best first. Of each book no more than `depth` levels can be among the best `depth` of the merged one."""
    if depth:
        sides = {exchange: levels[:depth] for exchange, levels in sides.items()}
    merged = sorted(_merged(sides).values(), key=lambda level: level.price, reverse=descending)
    edges = [levels[-1].price for levels in sides.values() if levels and not 0 < depth == len(levels)]
    if edges:
        edge = max(edges) if descending else min(edges)
        merged = [level for level in merged if (level.price >= edge if descending else level.price <= edge)]
    return merged[:depth] if depth else merged


def _merged(sides: Mapping[str, tuple[Level, ...]]) -> dict[Decimal, MergedLevel]:
    merged: dict[Decimal, MergedLevel] = {}
    for exchange, levels in sides.items():
        for price, quantity in levels:
            known = merged.get(price)
            if known is None:
                merged[price] = MergedLevel(price, quantity, {exchange: quantity})
            else:
                shares = known.shares | {exchange: quantity}
                merged[price] = MergedLevel(price, CONTEXT.add(known.quantity, quantity), shares)
    return merged
