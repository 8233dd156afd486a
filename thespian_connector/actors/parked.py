"""Questions about one order that are answered when there is an answer, or their time is over."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

from thespian_connector.limits import ORDER_UNHEARD_S, ORDERS_PARKED_MAX
from thespian_connector.model import Order, OrderStatus
from thespian_connector.model.errors import OrderNotFound, Refused
from thespian_connector.orders.desk import CHANGING, UNSETTLED, Desk

from .messages import Address, Reply, Request, failure, pack

_NS = 1_000_000_000


class _Waiting(NamedTuple):
    client: Address
    asker: int
    correlation: str
    client_order_id: str
    #: It waits for another status than these.
    until_not: tuple[OrderStatus, ...]
    deadline: float


class Parked:
    """:param send: (to, message) as an actor does."""

    def __init__(self, send: Callable[[Address, Reply], None]) -> None:
        self._send = send
        self._waiting: list[_Waiting] = []

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def ask(self, request: Request, asker: int, client: Address, arguments: dict[str, object], desk: Desk) -> None:
        """Operation "order": the order, as soon as it is known of at all. "settled": once the venue has said how it
        stands (with `changes`: and what became of a cancel or an amendment), or, at `deadline_mono_ns`, as it is then.

        :raises Refused: too many wait.
        """
        now = time.monotonic()
        until_not: tuple[OrderStatus, ...] = ()
        deadline = now + ORDER_UNHEARD_S
        if request.operation == "settled":
            until_not = (*UNSETTLED, *CHANGING) if arguments.get("changes") else UNSETTLED
            deadline = int(str(arguments.get("deadline_mono_ns") or 0)) / _NS or now + request.timeout_s
        name = str(arguments["client_order_id"])
        one = _Waiting(client, asker, request.correlation, name, until_not, deadline)
        if self._answer(one, desk):
            return
        if len(self._waiting) >= ORDERS_PARKED_MAX:
            raise Refused(f"{len(self._waiting)} questions about orders wait already; ask again later")
        self._waiting.append(one)

    def look(self, changed: Iterable[Order], desk: Desk) -> None:
        """These orders are other than they were."""
        handles = {order.client_order_id for order in changed}
        self._waiting = [
            one
            for one in self._waiting
            if desk.ledger.handle_of(one.client_order_id) not in handles or not self._answer(one, desk)
        ]

    def expire(self, now: float, desk: Desk) -> None:
        over = [one for one in self._waiting if now >= one.deadline]
        self._waiting = [one for one in self._waiting if now < one.deadline]
        for one in over:
            order = desk.order(one.client_order_id)
            if order is not None:
                self._tell(one, order)
                continue
            error = OrderNotFound(
                f"no order is known by the id {one.client_order_id!r:.60}", client_order_id=one.client_order_id
            )
            self._send(one.client, failure(one.correlation, error, one.asker))

    def _answer(self, one: _Waiting, desk: Desk) -> bool:
        order = desk.order(one.client_order_id)
        if order is None or order.status in one.until_not:
            return False
        self._tell(one, order)
        return True

    def _tell(self, one: _Waiting, order: Order) -> None:
        self._send(one.client, Reply(one.asker, one.correlation, True, pack(order)))
