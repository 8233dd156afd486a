"""The one account of the mock venue: what it holds, what its open orders lock, and what it has done."""

from __future__ import annotations

from collections import deque
from decimal import Decimal

from msgspec import Struct
from msgspec.structs import replace

from thespian_connector.model import Instrument, OrderType, Side, dec
from thespian_connector.model.decimals import ZERO
from thespian_connector.model.private import BalanceReport, FillReport, OrderReport

#: Open orders; a further one is refused.
OPEN_ORDERS_MAX = 1_000
#: Orders and fills that are remembered; the oldest that are done are forgotten.
ORDERS_MAX = 10_000
FILLS_MAX = 100_000


class Held(Struct):
    """One asset."""

    free: Decimal = ZERO
    locked: Decimal = ZERO


class MockOrder(Struct, eq=False):
    """An order as the venue keeps it. `waiting`: a stop that has not triggered. `locked`: what it locks of an asset."""

    instrument: Instrument
    report: OrderReport
    waiting: bool = False
    locked: Decimal = ZERO

    @property
    def side(self) -> Side:
        assert self.report.side is not None
        return self.report.side

    @property
    def open(self) -> bool:
        return self.report.status is not None and not self.report.status.terminal

    @property
    def left(self) -> Decimal:
        """Base not filled; of an order by quote amount, nothing is known to be left."""
        return ZERO if self.report.quantity is None else self.report.quantity - self.filled

    @property
    def filled(self) -> Decimal:
        return self.report.filled or ZERO

    @property
    def pays(self) -> str:
        return self.instrument.quote if self.side is Side.BUY else self.instrument.base

    @property
    def gets(self) -> str:
        return self.instrument.base if self.side is Side.BUY else self.instrument.quote

    def cost(self, price: Decimal, quantity: Decimal) -> Decimal:
        return price * quantity if self.side is Side.BUY else quantity

    def needed(self) -> Decimal:
        """What an open order with a price locks for what is left of it."""
        resting = self.open and self.report.type is not OrderType.MARKET and self.report.price is not None
        return self.cost(self.report.price or ZERO, self.left) if resting else ZERO


class MockLedger:
    """Balances, orders, fills; all absolute, all exact."""

    def __init__(self) -> None:
        self.held: dict[str, Held] = {}
        self.fills: deque[FillReport] = deque(maxlen=FILLS_MAX)
        self._orders: dict[str, MockOrder] = {}
        self._by_client_id: dict[tuple[str, str], MockOrder] = {}
        self._ids = 0

    def next_id(self) -> str:
        self._ids += 1
        return str(self._ids)

    def add(self, order: MockOrder) -> None:
        self._orders[order.report.order_id] = order
        self._by_client_id[order.report.native, order.report.client_order_id] = order
        if len(self._orders) > ORDERS_MAX:
            oldest = next((old for old in self._orders.values() if not old.open), None)
            if oldest is not None:
                del self._orders[oldest.report.order_id]
                name = oldest.report.native, oldest.report.client_order_id
                if self._by_client_id.get(name) is oldest:
                    del self._by_client_id[name]

    def find(self, native: str, order_id: str, client_order_id: str) -> MockOrder | None:
        """By the venue's id where it is given; else the last order of the client's id."""
        if not order_id:
            return self._by_client_id.get((native, client_order_id))
        order = self._orders.get(order_id)
        return order if order is not None and order.report.native == native else None

    def orders(self) -> list[MockOrder]:
        """Oldest first."""
        return list(self._orders.values())

    def open_orders(self, native: str = "") -> list[MockOrder]:
        return [order for order in self._orders.values() if order.open and native in ("", order.report.native)]

    def asset(self, name: str) -> Held:
        return self.held.setdefault(name, Held())

    def relock(self, order: MockOrder) -> None:
        """Locks just what the order needs now."""
        held, needed = self.asset(order.pays), order.needed()
        held.free += order.locked - needed
        held.locked += needed - order.locked
        order.locked = needed

    def settle(self, order: MockOrder, fill: FillReport) -> None:
        """Money and goods of one fill change hands; the fee comes off what is got. The rest is to be locked anew."""
        paying = self.asset(order.pays)
        paying.locked -= order.locked
        paying.free += order.locked - order.cost(fill.price, fill.quantity)
        order.locked = ZERO
        got = fill.quantity if order.side is Side.BUY else fill.price * fill.quantity
        self.asset(order.gets).free += got - fill.fee
        self.fills.append(fill)
        order.report = replace(
            order.report,
            filled=dec(order.filled + fill.quantity),
            filled_quote=dec((order.report.filled_quote or ZERO) + fill.price * fill.quantity),
        )

    def balance(self, asset: str, time_ns: int) -> BalanceReport:
        held = self.asset(asset)
        return BalanceReport(asset=asset, free=dec(held.free), locked=dec(held.locked), time_ns=time_ns)

    def fills_of(self, order: MockOrder) -> tuple[FillReport, ...]:
        return tuple(fill for fill in self.fills if fill.order_id == order.report.order_id)
