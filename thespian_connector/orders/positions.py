"""Positions from fills: average cost, realised and unrealised PnL in the quote asset, fees by asset.

Fills arrive in any order and perhaps twice; a position is a function of the set of them, taken in the venue's order of
time. Fees are told apart and are in no PnL; one taken in base makes the position smaller (that much was never
received) at an unchanged average cost.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import NamedTuple

from msgspec import Struct, field
from msgspec.structs import replace

from thespian_connector import limits
from thespian_connector.model import Position, Side
from thespian_connector.model.decimals import CONTEXT, ZERO, canonical
from thespian_connector.model.private import FillReport


class Market(NamedTuple):
    symbol: str
    base: str
    quote: str


class Totals(Struct, frozen=True, kw_only=True):
    """What fills add up to: the quantity held, what it cost and earned in quote, and fees by asset."""

    quantity: Decimal = ZERO
    cost: Decimal = ZERO
    realized: Decimal = ZERO
    fees: dict[str, Decimal] = field(default_factory=dict)

    def after(self, fill: FillReport, base: str) -> Totals:
        """With one fill more."""
        quantity, cost, realized = _fold(self.quantity, self.cost, self.realized, fill, base)
        return Totals(quantity=quantity, cost=cost, realized=realized, fees=_with_fee(self.fees, fill))

    def corrected(self, before: FillReport, after: FillReport, base: str) -> Totals:
        """Of a fill that is in it already, `after` tells the fee, and `before` did not."""
        fee = replace(after, quantity=ZERO)
        quantity, cost, realized = _fold(self.quantity, self.cost, self.realized, fee, base)
        fees = _with_fee(_with_fee(self.fees, replace(before, fee=-before.fee)), after)
        return Totals(quantity=quantity, cost=cost, realized=realized, fees=fees)


class Summed(Struct, frozen=True, kw_only=True):
    """One symbol's fills: the older ones as what they add up to, taken in `base` asset; the newest as they are."""

    native: str
    totals: Totals
    base: str
    #: Venue's time of the newest fill in `totals`.
    until_ns: int
    fills: tuple[FillReport, ...]


#: In the venue's order, whatever order they came in: (time, length of the execution id, it, order id).
_Key = tuple[int, int, str, str]


class _Running:
    """One symbol's fills: `first` is what the oldest add up to, `_newest` what all do."""

    def __init__(self, summed: Summed | None = None) -> None:
        self.first = summed.totals if summed is not None else Totals()
        self.base = summed.base if summed is not None else ""
        self.until_ns = summed.until_ns if summed is not None else 0
        self.keys: list[_Key] = []
        #: By order and execution: an order that meets another of ours gives both the same execution id.
        self.fills: dict[tuple[str, str], FillReport] = {}
        #: (base asset, what all add up to); None: it is to be counted anew.
        self._newest: tuple[str, Totals] | None = None
        for fill in summed.fills if summed is not None else ():
            self.add(fill, None)

    def add(self, fill: FillReport, before: FillReport | None) -> None:
        key = (fill.order_id, fill.execution_id)
        place = (fill.time_ns, len(fill.execution_id), fill.execution_id, fill.order_id)
        if key in self.fills:
            if self.fills[key] != fill:
                self._newest = None
        elif before is not None:
            self.first = self.first.corrected(before, fill, self.base)
            self._newest = None
            return
        elif fill.time_ns < self.until_ns:  # too late to be taken in its turn, and still a fill
            self.first = self.first.after(fill, self.base)
            self._newest = None
            return
        else:
            if self._newest is not None and (not self.keys or place > self.keys[-1]):
                self._newest = (self._newest[0], self._newest[1].after(fill, self._newest[0]))
            else:
                self._newest = None
            insort(self.keys, place)
        self.fills[key] = fill

    @property
    def newest_ns(self) -> int:
        return self.keys[-1][0] if self.keys else self.until_ns

    def totals(self, base: str) -> Totals:
        if self._newest is None or self._newest[0] != base:
            totals = self.first
            for _, _, execution_id, order_id in self.keys:
                totals = totals.after(self.fills[order_id, execution_id], base)
            self._newest = (base, totals)
        return self._newest[1]

    def sum_up(self, before_ns: int, base: str) -> None:
        """Fills from before then, and the oldest of too many, are kept as a sum only."""
        over = max(bisect_left(self.keys, (before_ns,)), len(self.keys) - limits.FILLS_UNSUMMED_MAX)
        if over <= 0 or not base:
            return
        for time_ns, _, execution_id, order_id in self.keys[:over]:
            self.first = self.first.after(self.fills.pop((order_id, execution_id)), base)
            self.until_ns = max(self.until_ns, time_ns)
        del self.keys[:over]
        self.base = base


class PositionBook:
    """The fills of one exchange.

    Who adds a fill knows whether it is new. Those of long ago are kept as a sum: one that is older still, and comes
    after all, is counted as if it had been the last of them (the quantity and the fees are exact whatever the order).
    """

    def __init__(self, summed: Iterable[Summed] = ()) -> None:
        self._running = {one.native: _Running(one) for one in summed}

    def add(self, fill: FillReport, before: FillReport | None = None) -> None:
        """:param before: the same fill as it was added before: it told less (no fee)."""
        self._running.setdefault(fill.native, _Running()).add(fill, before)

    def newest_ns(self, native: str) -> int:
        """When the newest known fill was; 0: there is none."""
        running = self._running.get(native)
        return running.newest_ns if running is not None else 0

    def natives(self) -> list[str]:
        return list(self._running)

    def sum_up(self, before_ns: int, base_of: Callable[[str], str]) -> tuple[Summed, ...]:
        """All that is known, after fills from before `before_ns` were made a sum (where the base asset is known, in
        which a fee may be)."""
        for native, running in self._running.items():
            running.sum_up(before_ns, base_of(native) or running.base)
        return tuple(
            Summed(
                native=native,
                totals=one.first,
                base=one.base,
                until_ns=one.until_ns,
                fills=tuple(one.fills[order_id, execution_id] for _, _, execution_id, order_id in one.keys),
            )
            for native, one in self._running.items()
        )

    def position(self, native: str, exchange: str, market: Market, mark: Decimal | None) -> Position:
        """:param mark: the price to value it at; None: no unrealised PnL."""
        totals = self._running[native].totals(market.base)
        average = CONTEXT.divide(totals.cost, totals.quantity) if totals.quantity else ZERO
        unrealized = None
        if mark is not None:
            unrealized = canonical(CONTEXT.subtract(CONTEXT.multiply(mark, totals.quantity), totals.cost))
        return Position(
            exchange=exchange,
            symbol=market.symbol,
            quantity=canonical(totals.quantity),
            avg_cost=canonical(average),
            realized_pnl=canonical(totals.realized),
            unrealized_pnl=unrealized,
            fees={asset: canonical(fee) for asset, fee in sorted(totals.fees.items())},
        )


def _with_fee(fees: dict[str, Decimal], fill: FillReport) -> dict[str, Decimal]:
    if not fill.fee:
        return fees
    fee = CONTEXT.add(fees.get(fill.fee_asset, ZERO), fill.fee)
    return {asset: one for asset, one in (fees | {fill.fee_asset: fee}).items() if one}


def _fold(
    quantity: Decimal, cost: Decimal, realized: Decimal, fill: FillReport, base: str
) -> tuple[Decimal, Decimal, Decimal]:
    """(quantity, what it cost, realised PnL) after a fill; a negative quantity is sold short of what we bought here.

    What closes realises against the average cost; what is left over opens at the fill's price.
    """
    change = fill.quantity if fill.side is Side.BUY else -fill.quantity
    closing = min(abs(change), abs(quantity)) if quantity and (change > 0) != (quantity > 0) else ZERO
    if closing:
        average = CONTEXT.divide(cost, quantity)
        sign = 1 if quantity > 0 else -1
        gain = CONTEXT.multiply(CONTEXT.subtract(fill.price, average), closing) * sign
        realized = CONTEXT.add(realized, gain)
        left = CONTEXT.subtract(quantity, closing * sign)
        cost = CONTEXT.multiply(average, left) if left else ZERO
        quantity = left
        change = CONTEXT.add(change, closing * sign)
    if change:
        quantity = CONTEXT.add(quantity, change)
        cost = CONTEXT.add(cost, CONTEXT.multiply(fill.price, change))
    if fill.fee and fill.fee_asset == base:
        left = CONTEXT.subtract(quantity, fill.fee)
        average = CONTEXT.divide(cost, quantity) if quantity else fill.price
        quantity, cost = left, CONTEXT.multiply(average, left)
    return quantity, cost, realized
