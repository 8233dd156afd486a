"""Order commands of one account: who may begin, in which order, on which thread, and who hears what became of it.

Commands of one order run one after another, those of different orders side by side. What each does is in `procedures`;
it sends, and may block, on a sender's thread.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import partial

from thespian_connector import limits
from thespian_connector.model import Instrument, NewOrder, Order
from thespian_connector.model.errors import (
    Busy,
    ConnectorError,
    DuplicateClientOrderId,
    Fenced,
    LimitExceeded,
    OrderNotFound,
    StoreError,
)
from thespian_connector.orders.checks import check_amendment, check_order
from thespian_connector.orders.events import Event
from thespian_connector.orders.ledger import Ledger
from thespian_connector.storage import Journal

from .journal import SharedJournal
from .procedures import Command, Procedures
from .trading import TradeRest

#: What the asker gets: the order as it is now, or why not.
Reply = Callable[[Order | ConnectorError], None]


class _Placing:
    """A place that is under way, and who else waits for it."""

    def __init__(self, order: NewOrder, reply: Reply) -> None:
        self.order = order
        self.replies = [reply]


class Commands:
    """Thread-safe. Deadlines are on the monotonic clock, seconds.

    :param ledger: folded from the journal's stream already; from now on it is ours.
    :param instrument_of: of a symbol; raises UnknownSymbol.
    :param on_durable: (sequence number of the first, bodies) of each commit, in order, on any thread.
    :param on_failure: something unexpected; this process must not go on.
    :param crash_point: the test hook, called with the point's name.
    """

    def __init__(
        self,
        trade: TradeRest,
        ledger: Ledger,
        instrument_of: Callable[[str], Instrument],
        *,
        on_durable: Callable[[int, Sequence[bytes]], None],
        on_failure: Callable[[BaseException], None],
        crash_point: Callable[[str], None] = lambda _: None,
        monotonic: Callable[[], float] = time.monotonic,
        time_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._ledger = ledger
        self._instrument_of = instrument_of
        self._on_durable = on_durable
        self._on_failure = on_failure
        self._crash_point = crash_point
        self._monotonic = monotonic
        self._time_ns = time_ns
        self._lock = threading.RLock()
        self._do = Procedures(
            trade,
            ledger,
            self._lock,
            instrument_of,
            crash_point=crash_point,
            monotonic=monotonic,
            time_ns=time_ns,
        )
        self._placing: dict[str, _Placing] = {}
        #: handle -> commands that wait for it; the first is running.
        self._lines: dict[str, deque[Callable[[], None]]] = {}
        #: handle -> the number of the last entry that is about it, of those that were written by this life.
        self._touched: dict[str, int] = {}
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._senders: list[threading.Thread] = []
        self._journal: SharedJournal

    def start(self, journal: Journal, last: int) -> None:
        """:param last: the sequence number of the journal's last entry."""
        self._touched = dict.fromkeys(self._ledger.handles(), last)
        self._journal = SharedJournal(journal, last, self._durable, time_ns=self._time_ns)
        for number in range(limits.SENDERS_MAX):
            sender = threading.Thread(target=self._send, name=f"sender-{number}", daemon=True)
            sender.start()
            self._senders.append(sender)

    def stop(self, timeout_s: float) -> None:
        """What is being sent is finished and journaled, if that is quick."""
        deadline = self._monotonic() + timeout_s
        for _ in self._senders:
            self._work.put(None)
        for sender in self._senders:
            sender.join(max(0.0, deadline - self._monotonic()))
        self._journal.close(max(0.1, deadline - self._monotonic()))

    @property
    def busy_since_ns(self) -> int:
        """Since when the commit at hand takes, monotonic; 0: there is none."""
        return self._journal.busy_since_ns

    @property
    def crowded(self) -> bool:
        """There are orders in memory to be forgotten."""
        return len(self._ledger) > 2 * limits.ENDED_IN_MEMORY_MAX

    def forget(self, kept: int) -> None:
        """Orders of which nothing is under way, and all entries are in the snapshot, which has those up to number
        `kept`; but the newest."""
        with self._lock:
            held = [
                handle
                for handle in self._ledger.handles()
                if self._touched.get(handle, 0) <= kept and handle not in self._lines and handle not in self._placing
            ]
            for handle in held[: -limits.ENDED_IN_MEMORY_MAX]:
                self._ledger.forget(handle)
                self._touched.pop(handle, None)

    # -- commands

    def place(self, order: NewOrder, deadline: float, reply: Reply, *, here: bool = False) -> None:
        """:param here: as in all three: on the caller's thread, which may wait, unless the order's line is not empty.
        :raises DuplicateClientOrderId: the id is of an order with other terms.
        :raises InvalidOrder, UnknownSymbol: it cannot be.
        """
        name = order.client_order_id
        with self._lock:
            placing = self._placing.get(name)
            known = placing.order if placing is not None else self._ledger.intent(name)
            if known is not None and known != order:
                raise DuplicateClientOrderId(
                    f"client_order_id: {name} is an order with other terms; take another id", client_order_id=name
                )
            if placing is not None:
                placing.replies.append(reply)
                return
            if known is not None:
                reply(self._do.told(name))
                return
            instrument = self._instrument_of(order.symbol)
            check_order(order, instrument)
            self._placing[name] = _Placing(order, reply)
        self._enter(
            name, lambda: self._do.place(order, instrument, deadline), lambda result: self._placed(name, result), here
        )

    def cancel(self, client_order_id: str, deadline: float, reply: Reply, *, here: bool = False) -> None:
        """:raises OrderNotFound: no order of ours has that id."""
        handle, order = self._known(client_order_id)
        if order.status.terminal:
            reply(order)
            return
        self._enter(handle, lambda: self._do.cancel(handle, deadline), reply, here)

    def amend(
        self,
        client_order_id: str,
        quantity: Decimal | None,
        price: Decimal | None,
        deadline: float,
        reply: Reply,
        *,
        here: bool = False,
    ) -> None:
        """`quantity` is the new total.

        :raises OrderNotFound: no order of ours has that id.
        :raises InvalidOrder: it cannot be.
        """
        handle, order = self._known(client_order_id)
        check_amendment(order.type, quantity, price, order.filled, self._instrument_of(order.symbol))
        self._enter(handle, lambda: self._do.amend(handle, quantity, price, deadline), reply, here)

    def _known(self, client_order_id: str) -> tuple[str, Order]:
        with self._lock:
            handle = self._ledger.handle_of(client_order_id)
            order = self._ledger.order(handle)
        if order is None:
            raise OrderNotFound(f"no order of ours has the id {client_order_id!r:.60}", client_order_id=client_order_id)
        return handle, order

    # -- threads

    def _enter(self, handle: str, command: Callable[[], Command], reply: Reply, here: bool) -> None:
        with self._lock:
            if handle not in self._lines and len(self._lines) >= limits.ORDERS_UNANSWERED_MAX:
                reply(Busy(f"{len(self._lines)} orders have commands under way; ask again in a moment"))
                return
            line = self._lines.setdefault(handle, deque())
            if len(line) >= limits.COMMANDS_AN_ORDER_MAX:
                full = LimitExceeded(f"{handle}: {len(line)} commands wait for this order; ask again later")
                reply(full)
                return
            work = partial(self._run, handle, command, reply)
            line.append(work)
            if len(line) > 1:
                return
        if here:
            work()
        else:
            self._work.put(work)

    def _send(self) -> None:
        try:
            while (work := self._work.get()) is not None:
                work()
        except BaseException as error:  # noqa: BLE001 - whatever it was: the owner ends the process
            self._on_failure(error)

    def _run(self, handle: str, make: Callable[[], Command], reply: Reply) -> None:
        """A command, to its end: it goes on when its events are durable, and hears of it when they are not."""
        try:
            command = make()
            events = next(command)
            while True:
                try:
                    self._journal.write(events)
                except Fenced:
                    raise
                except ConnectorError as error:
                    events = command.throw(error)
                else:
                    events = next(command)
        except StopIteration as end:
            self._end(handle, reply, end.value)
        except Fenced:
            raise
        except ConnectorError as refused:
            self._end(handle, reply, refused)

    def _end(self, handle: str, reply: Reply, result: Order | ConnectorError) -> None:
        self._crash_point("before_reply")
        reply(result)
        with self._lock:
            line = self._lines[handle]
            line.popleft()
            if line:
                self._work.put(line[0])
            else:
                del self._lines[handle]

    def _placed(self, name: str, result: Order | ConnectorError) -> None:
        with self._lock:
            replies = self._placing.pop(name).replies
        for reply in replies:
            reply(result)

    def _durable(self, first: int, events: Sequence[Event], bodies: Sequence[bytes]) -> None:
        with self._lock:
            try:
                for number, event in enumerate(events, first):
                    for handle in self._ledger.apply(event):
                        self._touched[handle] = number
            except StoreError as error:
                # What was kept of an order. To the command it would say that its events are not durable, and they are.
                raise RuntimeError(f"a journaled fact could not be folded in: {error}") from error
        self._on_durable(first, bodies)
