"""How far an order would get in a book, without touching it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from .engine import MatchingBook, Resting


class Reach(NamedTuple):
    """What an order would find.

    :param steps: the quantity that it would trade.
    :param cost: of that, in ticks times steps.
    :param own: the order of its own owner that it met, and before which this ends; None if it met none.
    :param short: the book (up to the limit) ended before the order's quantity or budget did.
    """

    steps: int
    cost: int
    own: Resting | None
    short: bool


def makers(book: MatchingBook, is_buy: bool, limit: int | None) -> Iterator[Resting]:
    """The resting orders that an order of this side and limit would meet, in the order of matching."""
    for index in range(book.count(not is_buy)):
        price = book.price_at(not is_buy, index)
        if limit is not None and (price > limit if is_buy else price < limit):
            return
        yield from book.queue(not is_buy, price)


def reach(
    book: MatchingBook,
    is_buy: bool,
    limit: int | None,
    *,
    steps: int | None = None,
    budget: int | None = None,
    owner: str = "",
    past_own: bool = False,
) -> Reach:
    """Up to `steps` of quantity, and as much as `budget` (ticks times steps) pays for.

    :param owner: end at the first order of this owner, or with `past_own` overlook them; empty: of no one.
    """
    got = cost = 0
    for maker in makers(book, is_buy, limit):
        take = maker.quantity
        if steps is not None:
            take = min(take, steps - got)
        if budget is not None:
            take = min(take, (budget - cost) // maker.price)
        if take <= 0:
            return Reach(got, cost, None, False)
        if owner and maker.owner == owner:
            if past_own:
                continue
            return Reach(got, cost, maker, False)
        got += take
        cost += take * maker.price
        if take < maker.quantity or got == steps:
            return Reach(got, cost, None, False)
    return Reach(got, cost, None, True)
