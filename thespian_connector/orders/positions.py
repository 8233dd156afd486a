"""Positions from fills: average cost, realised and unrealised PnL in the quote asset, fees by asset.

Fills arrive in any order and perhaps twice; a position is a function of the set of them, taken in the venue's order of
time. Fees are told apart and are in no PnL; one taken in base makes the position smaller (that much was never
received) at an unchanged average cost.
"""

from __future__ import annotations

from bisect import insort
from decimal import Decimal
from typing import NamedTuple

from thespian_connector.model import Position, Side
from thespian_connector.model.decimals import CONTEXT, ZERO, canonical
from thespian_connector.model.private import FillReport


class Market(NamedTuple):
    symbol: str
    base: str
    quote: str


class _Running:
    """One symbol's fills in order, and what the first of them add up to."""

    def __init__(self) -> None:
        #: (time, length of the execution id, it, order id): in the venue's order, whatever order they came in.
        self.keys: list[tuple[int, int, str, str]] = []
        #: By order and execution: an order that meets another of ours gives both the same execution id.
        self.fills: dict[tuple[str, str], FillReport] = {}


class PositionBook:
    """The fills of one exchange."""

    def __init__(self) -> None:
        self._running: dict[str, _Running] = {}

    def add(self, fill: FillReport) -> None:
        """Counted once, by order and execution id; one that tells more (the fee) replaces one that told less."""
        running = self._running.setdefault(fill.native, _Running())
        key = (fill.order_id, fill.execution_id)
        if key not in running.fills:
            insort(running.keys, (fill.time_ns, len(fill.execution_id), fill.execution_id, fill.order_id))
        running.fills[key] = fill

    def newest_ns(self, native: str) -> int:
        """When the newest known fill was; 0: there is none."""
        running = self._running.get(native)
        return running.keys[-1][0] if running is not None else 0

    def natives(self) -> list[str]:
        return list(self._running)

    def position(self, native: str, exchange: str, market: Market, mark: Decimal | None) -> Position:
        """:param mark: the price to value it at; None: no unrealised PnL."""
        running = self._running[native]
        quantity, cost, realized = ZERO, ZERO, ZERO
        fees: dict[str, Decimal] = {}
        for _, _, execution_id, order_id in running.keys:
            fill = running.fills[order_id, execution_id]
            quantity, cost, realized = _fold(quantity, cost, realized, fill, market.base)
            if fill.fee:
                fees[fill.fee_asset] = CONTEXT.add(fees.get(fill.fee_asset, ZERO), fill.fee)
        average = CONTEXT.divide(cost, quantity) if quantity else ZERO
        unrealized = None
        if mark is not None:
            unrealized = canonical(CONTEXT.subtract(CONTEXT.multiply(mark, quantity), cost))
        return Position(
            exchange=exchange,
            symbol=market.symbol,
            quantity=canonical(quantity),
            avg_cost=canonical(average),
            realized_pnl=canonical(realized),
            unrealized_pnl=unrealized,
            fees={asset: canonical(fee) for asset, fee in sorted(fees.items())},
        )


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
