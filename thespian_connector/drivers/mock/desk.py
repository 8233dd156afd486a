"""The mock venue's matching: our orders against its book.

The book is what the test (or the seeded flow) makes it; our orders are not shown in it. An order takes the levels that
it crosses as they stand, at their prices. What rests is filled at its own price as soon as the other side of the book
reaches it, oldest of the best price first, and the levels that do so are used up. A stop triggers when a trade is
printed at or beyond its stop price. All of it happens within the call that causes it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import NamedTuple, Protocol

from msgspec.structs import replace

from thespian_connector.model import (
    CONTEXT,
    Instrument,
    NewOrder,
    OrderStatus,
    OrderType,
    Side,
    TimeInForce,
    dec,
    is_multiple,
    quantize_down,
)
from thespian_connector.model.decimals import ZERO
from thespian_connector.model.private import BalanceReport, FillReport, OrderReport

from .ledger import OPEN_ORDERS_MAX, MockLedger, MockOrder
from .market import Change, MockMarket

#: Of what an order gets, for either role.
FEE_RATE = Decimal("0.001")


class Refusal(Exception):
    """A request that the venue says no to, with its HTTP status."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status = status


class Floor(Protocol):
    """What the desk does to the public market."""

    time_ns: int

    def take(self, market: MockMarket, changes: list[Change]) -> None: ...

    def print_trade(self, market: MockMarket, aggressor: Side, price: Decimal, quantity: Decimal) -> str: ...

    def tell(self, record: OrderReport | FillReport | BalanceReport) -> None: ...


class _Piece(NamedTuple):
    price: Decimal
    quantity: Decimal


class MockDesk:
    """Orders of the one account. Every refusal leaves everything as it was."""

    def __init__(self, markets: Mapping[str, MockMarket], instruments: Mapping[str, Instrument], floor: Floor) -> None:
        self.ledger = MockLedger()
        self._markets = markets
        self._instruments = instruments
        self._floor = floor
        self._busy = False

    def place(self, native: str, asked: NewOrder) -> MockOrder:
        """:raises Refusal: 400 the order cannot be, 402 not enough balance, 409 an open order has that id."""
        market, instrument = self._markets[native], self._instruments[native]
        _check(asked, instrument)
        before = self.ledger.find(native, "", asked.client_order_id)
        if before is not None and before.open:
            raise Refusal(409, "duplicate client order id")
        if len(self.ledger.open_orders()) >= OPEN_ORDERS_MAX:
            raise Refusal(400, f"more than {OPEN_ORDERS_MAX} open orders")
        order = MockOrder(instrument, _first_report(native, asked, self._floor.time_ns))
        order.waiting = asked.type is OrderType.STOP_LIMIT
        pieces = [] if order.waiting else _pieces(order, market)
        if asked.type is OrderType.LIMIT_MAKER and pieces:
            raise Refusal(400, "the order would match")
        needs = order.needed() or sum((order.cost(*piece) for piece in pieces), ZERO)
        if needs > self.ledger.asset(order.pays).free:
            raise Refusal(402, f"not enough {order.pays}")
        order.report = replace(order.report, order_id=self.ledger.next_id())
        self.ledger.add(order)
        self.ledger.relock(order)
        self._tell(order)
        self._alone(market, lambda: self._take(order, market, pieces))
        return order

    def cancel(self, order: MockOrder) -> None:
        if not order.open:
            raise Refusal(410, "no such open order")
        self._end(order, OrderStatus.CANCELED, "")

    def amend(self, order: MockOrder, quantity: Decimal | None, price: Decimal | None) -> None:
        """The same order with another total or price; it may match at once.

        :raises Refusal: 410 it is done, 400 it cannot be changed so, 402 not enough balance.
        """
        if not order.open:
            raise Refusal(410, "no such open order")
        total = order.report.quantity if quantity is None else quantity
        at = order.report.price if price is None else price
        if total is None or at is None or total <= order.filled or at <= 0:
            raise Refusal(400, "an order cannot be changed to that")
        _check_grid(order.instrument, total, at)
        changed = MockOrder(order.instrument, replace(order.report, quantity=total, price=at), order.waiting)
        if changed.needed() > self.ledger.asset(order.pays).free + order.locked:
            raise Refusal(402, f"not enough {order.pays}")
        order.report = replace(changed.report, time_ns=self._floor.time_ns)
        self.ledger.relock(order)
        self._tell(order)
        market = self._markets[order.report.native]
        pieces = [] if order.waiting else _pieces(order, market)
        self._alone(market, lambda: self._take(order, market, pieces))

    def deposit(self, asset: str, quantity: Decimal) -> None:
        """More of an asset; less, if negative."""
        held = self.ledger.asset(asset)
        if held.free + quantity < 0:
            raise ValueError(f"there is only {held.free} {asset}")
        held.free += quantity
        self._floor.tell(self.ledger.balance(asset, self._floor.time_ns))

    def on_market(self, market: MockMarket) -> None:
        """The book changed, or a trade was printed: orders that this reaches are triggered and filled."""
        self._alone(market, lambda: None)

    def _alone(self, market: MockMarket, work: Callable[[], None]) -> None:
        """What we do to the market is seen by our other orders when it is done, not while."""
        if self._busy:
            return
        self._busy = True
        try:
            work()
            while self._trigger(market) or self._reach(market):
                pass
        finally:
            self._busy = False

    def _take(self, order: MockOrder, market: MockMarket, pieces: list[_Piece]) -> None:
        against = _other(order.side)
        for price, quantity in pieces:
            self._floor.take(market, [(against, price, market.sides[against][price] - quantity)])
            self._fill(order, market, price, quantity, maker=False)
        if not order.open:
            return
        if _spent(order, market):
            self._end(order, OrderStatus.FILLED, "")
        elif order.report.type is OrderType.MARKET or order.report.time_in_force is not TimeInForce.GTC:
            self._end(order, OrderStatus.EXPIRED, "the rest found nothing to match")

    def _trigger(self, market: MockMarket) -> bool:
        last = market.last
        for order in self.ledger.open_orders(market.native):
            stop = order.report.stop_price
            if not order.waiting or stop is None or not last:
                continue
            if last >= stop if order.side is Side.BUY else last <= stop:
                order.waiting = False
                self._take(order, market, _pieces(order, market))
                return True
        return False

    def _reach(self, market: MockMarket) -> bool:
        """One fill of a resting order, if the book reaches any."""
        for side in Side:
            against = market.levels(_other(side), 1)
            resting = [order for order in self.ledger.open_orders(market.native) if order.side is side]
            resting = [order for order in resting if not order.waiting and order.report.price is not None]
            if not against or not resting:
                continue
            order = (max if side is Side.BUY else min)(resting, key=lambda one: one.report.price or ZERO)
            price, level = order.report.price or ZERO, against[0]
            if level.price <= price if side is Side.BUY else level.price >= price:
                quantity = min(level.quantity, order.left)
                self._floor.take(market, [(_other(side), level.price, level.quantity - quantity)])
                self._fill(order, market, price, quantity, maker=True)
                return True
        return False

    def _fill(self, order: MockOrder, market: MockMarket, price: Decimal, quantity: Decimal, *, maker: bool) -> None:
        aggressor = _other(order.side) if maker else order.side
        got = quantity if order.side is Side.BUY else price * quantity
        fill = FillReport(
            native=market.native,
            execution_id=self._floor.print_trade(market, aggressor, price, quantity),
            order_id=order.report.order_id,
            client_order_id=order.report.client_order_id,
            side=order.side,
            price=price,
            quantity=quantity,
            fee=dec(got * FEE_RATE),
            fee_asset=order.gets,
            maker=maker,
            time_ns=self._floor.time_ns,
        )
        self.ledger.settle(order, fill)
        done = order.report.quantity is not None and not order.left
        status = OrderStatus.FILLED if done else OrderStatus.PARTIALLY_FILLED
        order.report = replace(order.report, status=status, status_word=status.value, time_ns=self._floor.time_ns)
        self.ledger.relock(order)
        self._floor.tell(fill)
        self._tell(order, order.gets)

    def _end(self, order: MockOrder, status: OrderStatus, reason: str) -> None:
        order.report = replace(
            order.report, status=status, status_word=status.value, reason=reason, time_ns=self._floor.time_ns
        )
        self.ledger.relock(order)
        self._tell(order)

    def _tell(self, order: MockOrder, *assets: str) -> None:
        self._floor.tell(order.report)
        for asset in (order.pays, *assets):
            self._floor.tell(self.ledger.balance(asset, self._floor.time_ns))


def _pieces(order: MockOrder, market: MockMarket) -> list[_Piece]:
    """What the order would take of the book now, best first; nothing, if it is all or nothing and cannot have all."""
    report, left = order.report, order.left
    quote_left = report.quote_quantity
    pieces = []
    for level in market.levels(_other(order.side)):
        beyond = level.price - (report.price or level.price)
        if beyond > 0 if order.side is Side.BUY else beyond < 0:
            break
        if quote_left is not None:
            left = quantize_down(CONTEXT.divide(quote_left, level.price), order.instrument.step_size)
        quantity = min(left, level.quantity)
        if not quantity:
            break
        pieces.append(_Piece(level.price, quantity))
        left -= quantity
        quote_left = None if quote_left is None else quote_left - quantity * level.price
    all_or_nothing = report.time_in_force is TimeInForce.FOK and report.type is not OrderType.MARKET
    return [] if all_or_nothing and left else pieces


def _spent(order: MockOrder, market: MockMarket) -> bool:
    """Whether an order by quote amount has too little left for one more step of the book."""
    report, best = order.report, market.levels(_other(order.side), 1)
    if report.quote_quantity is None or not best:
        return False
    return report.quote_quantity - (report.filled_quote or ZERO) < best[0].price * order.instrument.step_size


def _first_report(native: str, asked: NewOrder, time_ns: int) -> OrderReport:
    return OrderReport(
        native=native,
        client_order_id=asked.client_order_id,
        order_id="",
        status=OrderStatus.NEW,
        status_word=OrderStatus.NEW.value,
        side=asked.side,
        type=asked.type,
        time_in_force=asked.time_in_force,
        price=asked.price,
        stop_price=asked.stop_price,
        quantity=asked.quantity,
        quote_quantity=asked.quote_quantity,
        filled=ZERO,
        filled_quote=ZERO,
        created_ns=time_ns,
        time_ns=time_ns,
    )


def _check(asked: NewOrder, instrument: Instrument) -> None:
    given = (asked.quantity, asked.quote_quantity, asked.price, asked.stop_price)
    have = tuple(amount is not None for amount in given)
    fits = {
        OrderType.MARKET: ((True, False, False, False), (False, True, False, False)),
        OrderType.STOP_LIMIT: ((True, False, True, True),),
    }.get(asked.type, ((True, False, True, False),))
    if have not in fits or not asked.client_order_id:
        raise Refusal(400, f"not a whole {asked.type.value} order")
    if any(amount is not None and amount <= 0 for amount in given):
        raise Refusal(400, "an amount that is not positive")
    _check_grid(instrument, asked.quantity, asked.price, asked.stop_price)


def _check_grid(instrument: Instrument, quantity: Decimal | None, *prices: Decimal | None) -> None:
    if quantity is not None and not is_multiple(quantity, instrument.step_size):
        raise Refusal(400, "the quantity is no multiple of the step size")
    if any(price is not None and not is_multiple(price, instrument.tick_size) for price in prices):
        raise Refusal(400, "a price is no multiple of the tick size")


def _other(side: Side) -> Side:
    return Side.SELL if side is Side.BUY else Side.BUY
