"""What each order command does, step by step: events to make durable come out, requests go out in between.

Each is a generator that yields the events to be journaled and goes on when they are. Nothing is ever resent that the
venue may have got: its outcome is unknown then, and says so.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable, Generator, Sequence
from decimal import Decimal

from thespian_connector.drivers.trading import AmendWay, OrderKey
from thespian_connector.model import Instrument, NewOrder, Order, OrderStatus, OrderType
from thespian_connector.model.decimals import CONTEXT, canonical
from thespian_connector.model.errors import ConnectorError, DeadlineExceeded, OrderNotFound, Refused, Rejected
from thespian_connector.model.private import OrderReport
from thespian_connector.orders.checks import check_amendment
from thespian_connector.orders.events import (
    AmendIntended,
    Answered,
    CancelIntended,
    Event,
    Operation,
    PlaceIntended,
    Refusal,
    Reported,
)
from thespian_connector.orders.ids import successor_id
from thespian_connector.orders.ledger import Ledger

from .trading import TradeRest

logger = logging.getLogger(__name__)

#: Events to journal come out of it, the order is what it returns.
Command = Generator[Sequence[Event], None, Order]
#: A part of a command.
Step = Generator[Sequence[Event], None, None]

_NS = 1_000_000_000


class Procedures:
    """:param ledger: what is durable so far, read under `lock`.
    :param instrument_of: of a symbol; raises UnknownSymbol.
    :param crash_point: the test hook, called with the point's name.
    """

    def __init__(
        self,
        trade: TradeRest,
        ledger: Ledger,
        lock: threading.RLock,
        instrument_of: Callable[[str], Instrument],
        *,
        crash_point: Callable[[str], None] = lambda _: None,
        monotonic: Callable[[], float] = time.monotonic,
        time_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._trade = trade
        self._ledger = ledger
        self._lock = lock
        self._instrument_of = instrument_of
        self._crash_point = crash_point
        self._monotonic = monotonic
        self._time_ns = time_ns

    def place(self, order: NewOrder, instrument: Instrument, deadline: float) -> Command:
        yield [self._intent(order, deadline)]
        self._crash_point("after_intent")
        yield from self._send_place(order, instrument, deadline)
        return self.told(order.client_order_id)

    def _send_place(self, order: NewOrder, instrument: Instrument, deadline: float) -> Step:
        """After the intent: sends it and journals the answer.

        :raises ConnectorError: what the answer was instead of a report.
        """
        name = order.client_order_id
        try:
            report = self._trade.place(order, instrument, deadline)
        except ConnectorError as error:
            self._crash_point("after_answer")
            yield [self._answered(name, Operation.PLACE, error)]
            error.client_order_id = name
            raise
        self._crash_point("after_answer")
        yield [self._answered(name, Operation.PLACE, report)]

    def cancel(self, handle: str, deadline: float) -> Command:
        operation_id = uuid.uuid4().hex
        key, _ = self._key(handle)
        yield [
            CancelIntended(
                client_order_id=key.client_order_id,
                operation_id=operation_id,
                deadline_ns=self._venue_deadline_ns(deadline),
                recv_window_ns=self._recv_window_ns,
                time_ns=self._time_ns(),
            )
        ]
        self._crash_point("after_intent")
        yield from self._send_cancel(key, operation_id, deadline)
        return self.told(handle)

    def _send_cancel(
        self, key: OrderKey, operation_id: str, deadline: float
    ) -> Generator[Sequence[Event], None, OrderReport]:
        """An order that the venue no longer has open is asked for: it may just have been filled."""
        answer: OrderReport | ConnectorError
        try:
            answer = self._trade.cancel(key, deadline)
        except OrderNotFound as error:
            answer = self._looked_up(key, deadline) or error
        except ConnectorError as error:
            answer = error
        self._crash_point("after_answer")
        yield [self._answered(key.client_order_id, Operation.CANCEL, answer, operation_id)]
        if isinstance(answer, ConnectorError):
            answer.client_order_id = self._ledger.handle_of(key.client_order_id)
            raise answer
        return answer

    def _looked_up(self, key: OrderKey, deadline: float) -> OrderReport | None:
        try:
            return self._trade.query(key, deadline)
        except ConnectorError as error:
            logger.warning("%s: what became of it could not be asked: %s", key.client_order_id, error)
            return None

    def amend(self, handle: str, quantity: Decimal | None, price: Decimal | None, deadline: float) -> Command:
        key, order = self._key(handle)
        instrument = self._instrument_of(order.symbol)
        way = self._trade.trading.amend_way(order, quantity, price)
        if way is not AmendWay.IN_PLACE:
            yield from self._learn(key, deadline)
            key, order = self._key(handle)
            way = self._trade.trading.amend_way(order, quantity, price)
        if order.status.terminal:
            raise Rejected(f"amend: the order has ended: {order.status}", client_order_id=handle)
        check_amendment(order.type, quantity, price, order.filled, instrument)
        if way is not AmendWay.IN_PLACE and quantity in (None, order.quantity) and price in (None, order.price):
            return order  # another in its place would go to the end of the queue, for nothing
        number = len(self._ledger.chain_of(handle))
        successor = None if way is AmendWay.IN_PLACE else successor_id(handle, number)
        intent = AmendIntended(
            client_order_id=key.client_order_id,
            operation_id=uuid.uuid4().hex,
            quantity=quantity,
            price=price,
            deadline_ns=self._venue_deadline_ns(deadline),
            recv_window_ns=self._recv_window_ns,
            time_ns=self._time_ns(),
            successor=successor,
        )
        if successor is None:
            yield [intent]
            yield from self._amend_in_place(key, intent, deadline)
        elif way is AmendWay.CANCEL_REPLACE:
            replacement = _replacement(order, successor, quantity, price, order.filled)
            yield [intent, self._intent(replacement, deadline, handle)]
            yield from self._cancel_replace(key, intent, replacement, instrument, deadline)
        else:
            yield [intent]
            yield from self._cancel_then_place(handle, key, intent, order, deadline)
        return self.told(handle)

    def _learn(self, key: OrderKey, deadline: float) -> Step:
        """How much of it is filled decides how, and by how much, it is replaced; the private stream tells others."""
        asked_ns = self._trade.clock.now_ns()
        try:
            report = self._trade.query(key, deadline)
        except ConnectorError as error:
            raise Refused(f"amend: the order could not be asked for, nothing was sent: {error}") from error
        if report is not None:
            yield [Reported(report=report, source="query", time_ns=asked_ns)]

    def _amend_in_place(self, key: OrderKey, intent: AmendIntended, deadline: float) -> Step:
        self._crash_point("after_intent")
        answer: OrderReport | ConnectorError
        try:
            answer = self._trade.amend(key, intent.quantity, intent.price, deadline)
        except OrderNotFound as error:
            answer = self._looked_up(key, deadline) or error
        except ConnectorError as error:
            answer = error
        self._crash_point("after_answer")
        yield [self._answered(key.client_order_id, Operation.AMEND, answer, intent.operation_id)]
        if isinstance(answer, ConnectorError):
            raise answer
        if answer.status is not None and answer.status.terminal:
            handle = self._ledger.handle_of(key.client_order_id)
            raise Rejected(f"amend: the order has ended: {answer.status}", client_order_id=handle)

    def _cancel_replace(
        self, key: OrderKey, intent: AmendIntended, order: NewOrder, instrument: Instrument, deadline: float
    ) -> Step:
        self._crash_point("after_intent")
        name = order.client_order_id
        cancel: OrderReport | ConnectorError
        place: OrderReport | ConnectorError
        try:
            replaced = self._trade.cancel_replace(key, order, instrument, deadline)
            cancel = replaced.canceled or replaced.cancel_error or Rejected("not canceled")
            place = replaced.placed or replaced.place_error or Rejected("not attempted: the cancel was refused")
        except ConnectorError as error:
            cancel = place = error
        self._crash_point("after_answer")
        yield [
            self._answered(key.client_order_id, Operation.AMEND, cancel, intent.operation_id),
            self._answered(name, Operation.PLACE, place),
        ]
        if isinstance(place, ConnectorError) and isinstance(cancel, OrderReport):
            place.message = f"amend: the order was canceled, and what should take its place was not: {place.message}"
        for answer in (cancel, place):
            if isinstance(answer, ConnectorError):
                answer.client_order_id = self._ledger.handle_of(key.client_order_id)
                raise answer

    def _cancel_then_place(
        self, handle: str, key: OrderKey, intent: AmendIntended, order: Order, deadline: float
    ) -> Step:
        """The rest is placed only when the final fill is known."""
        self._crash_point("after_intent")
        ended = yield from self._send_cancel(key, intent.operation_id, deadline)
        if ended.status is None or not ended.status.terminal:
            found = self._looked_up(key, deadline)
            if found is None or found.status is None or not found.status.terminal:
                raise DeadlineExceeded(
                    "amend: it is not known yet that the old order has ended; nothing new was placed",
                    client_order_id=handle,
                )
            ended = found
            yield [self._answered(key.client_order_id, Operation.AMEND, found, intent.operation_id)]
        if ended.status is not OrderStatus.CANCELED:
            raise Rejected(f"amend: the order ended as {ended.status}", client_order_id=handle)
        assert intent.successor is not None, "this way has one"
        with self._lock:
            filled = self._ledger.order(handle)
        assert filled is not None, "it was there"
        rest = _replacement(order, intent.successor, intent.quantity, intent.price, filled.filled)
        assert rest.quantity is not None, "amend is for limit orders"
        if rest.quantity <= 0:
            return
        yield [self._intent(rest, deadline, handle)]
        yield from self._send_place(rest, self._instrument_of(order.symbol), deadline)

    # -- events

    def _intent(self, order: NewOrder, deadline: float, replaces: str | None = None) -> PlaceIntended:
        return PlaceIntended(
            order=order,
            deadline_ns=self._venue_deadline_ns(deadline),
            recv_window_ns=self._recv_window_ns,
            time_ns=self._time_ns(),
            replaces=replaces,
        )

    def _answered(
        self, name: str, operation: Operation, answer: OrderReport | ConnectorError, operation_id: str = ""
    ) -> Answered:
        told = answer if isinstance(answer, OrderReport) else None
        return Answered(
            client_order_id=name,
            operation=operation,
            operation_id=operation_id,
            time_ns=self._time_ns(),
            report=told,
            refusal=None if isinstance(answer, OrderReport) else refusal_of(answer),
        )

    def _venue_deadline_ns(self, deadline: float) -> int:
        """By the venue's clock: what its own time windows are compared with."""
        return self._trade.clock.now_ns() + int(max(0.0, deadline - self._monotonic()) * _NS)

    @property
    def _recv_window_ns(self) -> int:
        return self._trade.recv_window_ms * 1_000_000

    def _key(self, handle: str) -> tuple[OrderKey, Order]:
        """How the venue knows the order now, and the order."""
        with self._lock:
            leg, order = self._ledger.current(handle), self._ledger.order(handle)
            assert leg is not None, "a handle has a leg"
            assert order is not None, "an order of ours has terms"
        native = leg.native or self._instrument_of(order.symbol).native
        waits = order.type is OrderType.STOP_LIMIT and not order.filled
        return OrderKey(
            native=native, client_order_id=leg.client_order_id, order_id=leg.order_id or None, conditional=waits
        ), order

    def told(self, handle: str) -> Order:
        with self._lock:
            order = self._ledger.order(handle)
        assert order is not None, "an order of ours has terms"
        return order


def refusal_of(error: ConnectorError) -> Refusal:
    code = getattr(error, "code", None)
    return Refusal(type=type(error).__name__, message=error.message, outcome_known=error.outcome_known, code=code)


def _replacement(order: Order, name: str, quantity: Decimal | None, price: Decimal | None, filled: Decimal) -> NewOrder:
    """What is left of the new total, as an order of its own."""
    assert order.quantity is not None, "amend is for limit orders"
    return NewOrder(
        client_order_id=name,
        exchange=order.exchange,
        symbol=order.symbol,
        side=order.side,
        type=order.type,
        quantity=canonical(CONTEXT.subtract(order.quantity if quantity is None else quantity, filled)),
        price=order.price if price is None else price,
        stop_price=order.stop_price,
        time_in_force=order.time_in_force,
    )
