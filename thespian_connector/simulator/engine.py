"""A price-time matching book.

Prices are integer ticks and quantities integer steps inside: exact, and cheap enough to hold tens of thousands of
orders. Decimals appear at the edge (:meth:`MatchingBook.levels`). Every call is synchronous, and what it changed is
collected until :meth:`MatchingBook.drain`, so that a market can publish several calls as one batch.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable
from decimal import Decimal
from typing import NamedTuple

#: (is a bid, price in ticks, total quantity in steps before, after)
RawChange = tuple[bool, int, int, int]


class Resting:
    """An order in the book. `quantity` is what is left of it, in steps; `owner` is empty for the simulated flow."""

    __slots__ = ("is_buy", "order_id", "owner", "price", "quantity")

    def __init__(self, order_id: int, is_buy: bool, price: int, quantity: int, owner: str) -> None:
        self.order_id = order_id
        self.is_buy = is_buy
        self.price = price
        self.quantity = quantity
        self.owner = owner


class Fill(NamedTuple):
    """One match, at the maker's price. `maker.quantity` is what the maker has left after it."""

    maker: Resting
    price: int
    quantity: int


class Execution(NamedTuple):
    """What became of an order: its fills in order, what is left, and the resting rest (None if nothing rests)."""

    order_id: int
    fills: list[Fill]
    left: int
    resting: Resting | None


class _Half:
    """One side: a queue of orders a price, the totals, and the prices in ascending order."""

    __slots__ = ("prices", "queues", "totals")

    def __init__(self) -> None:
        self.queues: dict[int, list[Resting]] = {}
        self.totals: dict[int, int] = {}
        self.prices: list[int] = []

    def insert(self, order: Resting) -> None:
        queue = self.queues.get(order.price)
        if queue is None:
            self.queues[order.price] = [order]
            self.totals[order.price] = order.quantity
            insort(self.prices, order.price)
        else:
            queue.append(order)
            self.totals[order.price] += order.quantity

    def reduce(self, order: Resting, quantity: int) -> None:
        """Take `quantity` off `order`; an emptied order leaves its queue, an emptied queue its price."""
        price = order.price
        order.quantity -= quantity
        self.totals[price] -= quantity
        if order.quantity == 0:
            queue = self.queues[price]
            queue.remove(order)
            if not queue:
                del self.queues[price], self.totals[price]
                del self.prices[bisect_left(self.prices, price)]


class MatchingBook:
    """Both sides of one instrument.

    :param tick: the price of one tick, in the quote asset.
    :param step: the quantity of one step, in the base asset.
    """

    def __init__(self, tick: Decimal, step: Decimal) -> None:
        self.tick = tick
        self.step = step
        self._bids = _Half()
        self._asks = _Half()
        self._orders: dict[int, Resting] = {}
        self._next_id = 1
        self._touched: dict[tuple[bool, int], int] = {}

    def seed(self, is_buy: bool, ladder: Iterable[tuple[int, int]]) -> None:
        """Lay out one whole side at once, an order a price: (ticks, steps), in ascending order. No change is told."""
        half = self._bids if is_buy else self._asks
        assert not half.prices, "a side is laid out once, before anything trades"
        for price, quantity in ladder:
            order = Resting(self._next_id, is_buy, price, quantity, "")
            self._next_id += 1
            self._orders[order.order_id] = order
            half.queues[price] = [order]
            half.totals[price] = quantity
            half.prices.append(price)

    def submit(
        self, is_buy: bool, quantity: int, price: int | None = None, *, owner: str = "", rest: bool = True
    ) -> Execution:
        """Match an order against the other side, best price first, then first come; rest what is left of it.

        :param price: the limit in ticks; None is a market order, which never rests.
        :param rest: False cancels what does not fill at once (IOC).
        """
        assert quantity > 0, "an order has a quantity"
        order_id = self._next_id
        self._next_id += 1
        fills: list[Fill] = []
        left = quantity
        while left:
            best = self.best(not is_buy)
            if best is None or (price is not None and (best > price if is_buy else best < price)):
                break
            left = self._match_level(not is_buy, best, left, fills)
        resting = None
        if left and rest and price is not None:
            resting = Resting(order_id, is_buy, price, left, owner)
            self._touch(is_buy, price)
            (self._bids if is_buy else self._asks).insert(resting)
            self._orders[order_id] = resting
        return Execution(order_id, fills, left, resting)

    def _match_level(self, is_bid: bool, price: int, left: int, fills: list[Fill]) -> int:
        half = self._bids if is_bid else self._asks
        self._touch(is_bid, price)
        for maker in list(half.queues[price]):
            traded = min(left, maker.quantity)
            half.reduce(maker, traded)
            if not maker.quantity:
                del self._orders[maker.order_id]
            fills.append(Fill(maker, price, traded))
            left -= traded
            if not left:
                break
        return left

    def cancel(self, order_id: int) -> Resting | None:
        """Take an order out of the book; the order with what was left of it, or None if it is not resting."""
        order = self._orders.pop(order_id, None)
        if order is None:
            return None
        self._touch(order.is_buy, order.price)
        left = order.quantity
        (self._bids if order.is_buy else self._asks).reduce(order, left)
        order.quantity = left
        return order

    def reduce(self, order_id: int, quantity: int) -> bool:
        """Make a resting order smaller by `quantity` steps; it keeps its place. False: not resting, or not larger."""
        order = self._orders.get(order_id)
        if order is None or not 0 < quantity < order.quantity:
            return False
        self._touch(order.is_buy, order.price)
        (self._bids if order.is_buy else self._asks).reduce(order, quantity)
        return True

    def best(self, is_bid: bool) -> int | None:
        """The best price of a side in ticks, None if it is empty."""
        if is_bid:
            return self._bids.prices[-1] if self._bids.prices else None
        return self._asks.prices[0] if self._asks.prices else None

    def count(self, is_bid: bool) -> int:
        """How many prices a side has."""
        return len((self._bids if is_bid else self._asks).prices)

    def count_within(self, is_bid: bool, limit: int) -> int:
        """How many prices a side has that are no further from the market than `limit` (ticks)."""
        if is_bid:
            return len(self._bids.prices) - bisect_left(self._bids.prices, limit)
        return bisect_right(self._asks.prices, limit)

    def price_at(self, is_bid: bool, index: int) -> int:
        """The price of the level number `index` from the best (0); a negative index counts from the worst."""
        return self._bids.prices[-1 - index] if is_bid else self._asks.prices[index]

    def queue(self, is_bid: bool, price: int) -> tuple[Resting, ...]:
        """The orders at a price, first come first."""
        return tuple((self._bids if is_bid else self._asks).queues.get(price, ()))

    def prices_within(self, is_bid: bool, limit: int) -> list[int]:
        """The prices of a side that an order with the limit `limit` (ticks) would reach, in ascending order."""
        if is_bid:
            return self._bids.prices[bisect_left(self._bids.prices, limit) :]
        return self._asks.prices[: bisect_right(self._asks.prices, limit)]

    def total(self, is_bid: bool, price: int) -> int:
        """The quantity at a price in steps, 0 if there is no such level."""
        return (self._bids if is_bid else self._asks).totals.get(price, 0)

    def totals(self, is_bid: bool) -> dict[int, int]:
        """A copy of a whole side: ticks -> steps."""
        return dict((self._bids if is_bid else self._asks).totals)

    def raw_levels(self, is_bid: bool, depth: int = 0) -> list[tuple[int, int]]:
        """The best `depth` levels (0: all) as (ticks, steps), best first."""
        half = self._bids if is_bid else self._asks
        if is_bid:
            prices = half.prices[: -depth - 1 : -1] if depth else half.prices[::-1]
        else:
            prices = half.prices[:depth] if depth else half.prices
        totals = half.totals
        return [(price, totals[price]) for price in prices]

    def levels(self, side: str, depth: int = 0) -> list[tuple[Decimal, Decimal]]:
        """The best `depth` levels (0: all) of ``"bid"`` or ``"ask"`` as (price, quantity), best first."""
        return [(price * self.tick, quantity * self.step) for price, quantity in self.raw_levels(side == "bid", depth)]

    def drain(self) -> list[RawChange]:
        """The levels whose total differs from what it was at the last drain, in the order they were first touched."""
        changes: list[RawChange] = []
        for (is_bid, price), before in self._touched.items():
            after = self.total(is_bid, price)
            if after != before:
                changes.append((is_bid, price, before, after))
        self._touched.clear()
        return changes

    def _touch(self, is_bid: bool, price: int) -> None:
        key = (is_bid, price)
        if key not in self._touched:
            self._touched[key] = self.total(is_bid, price)
