"""The trading half of :class:`~thespian_connector.Connector`: the commands.

The client order id is made here, before anybody is asked. So a question whose answer is lost is put again, under the
same id, and the order is placed once; and a caller who gives up knows what to look for.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any, TypeVar

from .account_api import AccountQueries
from .limits import CANCELS_AT_ONCE_MAX, ORDER_ANSWER_GRACE_S, ORDER_REPEAT_S, ORDER_TIMEOUT_S_MAX
from .model import NewOrder, Order, OrderStatus, OrderType, Side, TimeInForce, dec
from .model.decimals import ZERO
from .model.documents import plain
from .model.errors import (
    ConnectorError,
    DeadlineExceeded,
    Interrupted,
    InvalidOrder,
    NotRunning,
    OrderNotFound,
    OutcomeUnknown,
    Refused,
    Rejected,
    UsageError,
)
from .orders.doubts import last_word, unknown
from .orders.ids import check_client_order_id, check_known_as, make_client_order_id

T = TypeVar("T")
#: What may stand for money: never a float.
Money = str | int | Decimal

_TOKEN_BYTES = 16
_NS = 1_000_000_000
_UNDECIDED = (OrderStatus.PENDING_NEW, OrderStatus.UNKNOWN)


class TradingCalls(AccountQueries):
    """What needs an account. Every error that is about one order has its `client_order_id`."""

    # -- commands

    def place_order(
        self,
        exchange: str,
        symbol: str,
        *,
        side: str | Side,
        type: str | OrderType,
        quantity: Money | None = None,
        price: Money | None = None,
        stop_price: Money | None = None,
        quote_quantity: Money | None = None,
        time_in_force: str | TimeInForce = TimeInForce.GTC,
        client_order_id: str | None = None,
        timeout_s: float | None = None,
    ) -> Order:
        """Places an order; returns it as the venue has it. The same id and terms again: the same order, not a second.

        :param quantity: in base; a market order may have `quote_quantity` (what to spend, or to get) instead.
        :param client_order_id: 1 to 36 of ``[A-Za-z0-9_-]``; None: one is made.
        :param timeout_s: nothing is sent later than this; None: what the config says (5). After a second more the call
            returns, or raises.
        :raises InvalidOrder: it cannot be; nothing was sent. TypeError: a float for money.
        :raises Refused: we declined (breaker, limit, deadline, an id that is taken); nothing was sent.
        :raises Rejected: the venue said no; or it provably never got there.
        :raises OutcomeUnknown: nobody knows yet. The system goes on finding out: `order` with the error's
            `client_order_id` tells; or place it again under that id.
        """
        name = self._make_id() if client_order_id is None else check_client_order_id(client_order_id)
        try:
            order = NewOrder(
                client_order_id=name,
                exchange=exchange,
                symbol=symbol,
                side=Side.of(side, "side"),
                type=OrderType.of(type, "type"),
                quantity=_money(quantity, "quantity"),
                quote_quantity=_money(quote_quantity, "quote_quantity"),
                price=_money(price, "price"),
                stop_price=_money(stop_price, "stop_price"),
                time_in_force=TimeInForce.of(time_in_force, "time_in_force"),
            )
        except ValueError as error:
            raise InvalidOrder(str(error), client_order_id=name) from None
        return self._place(order, self._deadline(timeout_s))

    def _place(self, order: NewOrder, deadline: float) -> Order:
        exchange, name, begun_ns = order.exchange, order.client_order_id, time.time_ns()
        ends_at_once = order.type is OrderType.MARKET or order.time_in_force is not TimeInForce.GTC

        def decided(now: Order) -> bool:
            known = now.status.terminal if ends_at_once else now.status not in _UNDECIDED
            return known and _whole(now)

        told = self._command("place", exchange, name, {"order": plain(order)}, deadline)
        if told.updated_ns < begun_ns:  # it was there before: OrderState knows what became of it since
            told = self._look(exchange, name, decided, deadline) or told
        else:
            told = self._follow(told, decided, deadline)
        unheard = told.status is OrderStatus.PENDING_NEW and told.order_id is None  # no venue has acknowledged it
        if not told.outcome_known or unheard:
            raise unknown(exchange, name, told.reason or "no venue has told of it")
        if told.status is OrderStatus.REJECTED:
            raise Rejected(f"{exchange}: {told.reason or 'rejected'}", exchange=exchange, client_order_id=name)
        return told

    def cancel_order(self, exchange: str, client_order_id: str, *, timeout_s: float | None = None) -> Order:
        """Cancels an order of ours; returns it as it ended. One that has ended already stays as it is.

        :raises OrderNotFound: no order of ours has that id.
        :raises OutcomeUnknown: nobody knows whether it was cancelled; do it again.
        """
        check_known_as(client_order_id)
        deadline = self._deadline(timeout_s)
        told = self._command("cancel", exchange, client_order_id, {"client_order_id": client_order_id}, deadline)
        told = self._follow(told, lambda now: _ended(now) and _whole(now), deadline)
        if not _ended(told):
            raise unknown(exchange, client_order_id, "the cancel was taken, its end is not told")
        return told

    def amend_order(
        self,
        exchange: str,
        client_order_id: str,
        *,
        quantity: Money | None = None,
        price: Money | None = None,
        timeout_s: float | None = None,
    ) -> Order:
        """Changes an open order of ours, which keeps its id.

        :param quantity: the new total, what is filled already included.
        :raises InvalidOrder: it cannot be; nothing was sent. TypeError: a float for money.
        :raises OrderNotFound: no order of ours has that id.
        :raises Rejected: the venue said no, or the order has ended and is not what was asked for.
        :raises OutcomeUnknown: nobody knows whether it was changed; `order` tells.
        """
        try:
            total, limit = _money(quantity, "quantity"), _money(price, "price")
        except ValueError as error:
            raise InvalidOrder(str(error), client_order_id=client_order_id) from None
        check_known_as(client_order_id)
        deadline = self._deadline(timeout_s)

        def is_it(now: Order) -> bool:
            return (total is None or now.quantity == total) and (limit is None or now.price == limit)

        def decided(now: Order) -> bool:
            return (_ended(now) or (is_it(now) and now.status is not OrderStatus.PENDING_REPLACE)) and _whole(now)

        terms = {"client_order_id": client_order_id, "quantity": plain(total), "price": plain(limit)}
        try:
            told = self._command("amend", exchange, client_order_id, terms, deadline, repeat=False)
        except OutcomeUnknown:
            found = self._look(exchange, client_order_id, decided, deadline)
            if found is None or not decided(found):
                raise
            told = found
        else:
            told = self._follow(told, decided, deadline)
        if _ended(told) and not is_it(told):
            words = f"{exchange}: the order has ended as {told.status} and was not changed"
            raise Rejected(
                f"{words}: {told.reason}" if told.reason else words, exchange=exchange, client_order_id=client_order_id
            )
        if not is_it(told) or told.status is OrderStatus.PENDING_REPLACE:
            raise unknown(exchange, client_order_id, "the amendment was taken, its end is not told")
        return told

    def cancel_all(self, exchange: str, *, foreign: bool = False, timeout_s: float | None = None) -> list[Order]:
        """Cancels every open order of ours at `exchange`; returns them as they ended.

        :param foreign: those too that others placed on the same account.
        :raises ConnectorError: the first error, after all were tried.
        """
        found = self.orders(open_only=True, exchange=exchange)
        failed: list[ConnectorError] = []

        def cancel(order: Order) -> Order | None:
            try:
                return self.cancel_order(exchange, order.client_order_id, timeout_s=timeout_s)
            except OrderNotFound:
                return order if foreign else None  # not one of ours
            except ConnectorError as error:
                failed.append(error)
                return None

        with ThreadPoolExecutor(CANCELS_AT_ONCE_MAX, "cancel") as pool:
            ended = [order for order in pool.map(cancel, found) if order is not None]
        if foreign:
            ended = self._cancel_foreign(exchange, ended, timeout_s)
        if failed:
            raise failed[0]
        return ended

    def _cancel_foreign(self, exchange: str, orders: Sequence[Order], timeout_s: float | None) -> list[Order]:
        """Whatever is left at the venue, symbol by symbol; `orders`, which were open, are followed to their end."""
        deadline = self._deadline(timeout_s)
        arguments = {"exchange": exchange, "deadline_mono_ns": int(deadline * _NS)}
        self._client.ask("cancel_all", arguments, list[str], deadline + ORDER_ANSWER_GRACE_S - time.monotonic())
        return [self._follow(order, _ended, deadline) for order in orders]

    # -- putting the question

    def _make_id(self) -> str:
        return make_client_order_id(self._client.system.orders.prefix, secrets.token_bytes(_TOKEN_BYTES))

    def _deadline(self, timeout_s: float | None) -> float:
        """On the monotonic clock, which all processes of a host share."""
        seconds = self._client.system.orders.timeout_s if timeout_s is None else timeout_s
        if isinstance(seconds, bool) or not isinstance(seconds, int | float):
            raise UsageError(f"timeout_s: {seconds!r} is no number of seconds")
        if not 0 < seconds <= ORDER_TIMEOUT_S_MAX:
            raise UsageError(f"timeout_s: {seconds:g} is not above 0 and at most {ORDER_TIMEOUT_S_MAX:g}")
        return time.monotonic() + seconds

    def _command(
        self, operation: str, exchange: str, name: str, terms: dict[str, Any], deadline: float, *, repeat: bool = True
    ) -> Order:
        """The order as OrderCommand answers. Who ends meanwhile is asked again, under the same id: it is done once.

        :param repeat: once it may have been done, whether it may be asked for again.
        """
        arguments = {"exchange": exchange, **terms, "deadline_mono_ns": int(deadline * _NS)}
        commands = f"exchange/{exchange}/order-command"
        last = deadline + ORDER_ANSWER_GRACE_S
        running = self._client.running
        perhaps = ""
        problem: ConnectorError
        while True:
            try:
                left = max(0.0, last - time.monotonic())
                told = self._client.ask(operation, arguments, Order, left, component=commands)
                self._recent.told(told)
                return told
            except (Interrupted, NotRunning) as error:
                if isinstance(error, NotRunning) and not running:
                    raise  # nobody was there to ask
                perhaps, problem = str(error), error
            except Refused as error:
                late = isinstance(error, DeadlineExceeded) and time.monotonic() >= last
                if late:
                    perhaps = str(error)
                elif type(error) is not Refused:
                    raise last_word(exchange, name, perhaps, error) from None
                problem = error
            except ConnectorError as error:
                # A second cancel finds nothing where the first, whose answer was lost, has done it.
                raise last_word(exchange, name, perhaps if operation == "cancel" else "", error) from None
            # What was refused until now is not sent after the deadline; what may be under way is heard of until `last`.
            if time.monotonic() + ORDER_REPEAT_S >= (last if perhaps else deadline) or (perhaps and not repeat):
                raise last_word(exchange, name, perhaps, problem)
            time.sleep(ORDER_REPEAT_S)

    def _follow(self, told: Order, enough: Callable[[Order], bool], deadline: float) -> Order:
        """What the venue makes of it, as far as that is known by the deadline: some venues only acknowledge."""
        if enough(told):
            return told
        return self._look(told.exchange, told.client_order_id, enough, deadline) or told


def _money(value: Money | None, field: str) -> Decimal | None:
    """:raises TypeError: a float. ValueError: no number."""
    return None if value is None else dec(value, field)


def _ended(order: Order) -> bool:
    return order.status.terminal


def _whole(order: Order) -> bool:
    """All fills are told that its filled quantity is made of."""
    return sum((fill.quantity for fill in order.fills), ZERO) >= order.filled
