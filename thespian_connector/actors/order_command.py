"""OrderCommand: the command side of one exchange's orders: journals, sends, journals again, answers.

The only writer of the stream ``commands/<exchange>``. OrderState asks it for what is new in it.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from thespian_connector.limits import (
    COMMAND_THREAD_SILENT_S_MAX,
    FACTS_AFTER_S,
    FACTS_HELD_S_MAX,
    INSTRUMENTS_RETRY_FIRST_S,
    INSTRUMENTS_RETRY_MAX_S,
    MAINTENANCE_RETRY_S,
)
from thespian_connector.model import NewOrder, Order
from thespian_connector.model.decimals import dec
from thespian_connector.model.errors import ConnectorError, OrderNotFound, Refused, UsageError
from thespian_connector.net.commands import Commands
from thespian_connector.net.trading import TradeRest
from thespian_connector.orders.codec import encode
from thespian_connector.orders.ledger import Ledger
from thespian_connector.storage import Durability, Journal, Store, open_store

from .account import trade_rest
from .component import Arguments, Component
from .crash_points import crash_points
from .door import Answer, Door, door_path
from .facts import FactsSource
from .keeping import KeptOrders, commands_stream, read_commands, venue_stream
from .messages import Address, FactsWanted, Message, Reply, Request, ThreadAge, failure, pack, unpack
from .settings import ExchangeStart
from .threads import LateMailbox, crash
from .venue import Upkeep, Venue

logger = logging.getLogger(__name__)

_COMMANDS = ("place", "cancel", "amend")
_NS = 1_000_000_000


class OrderCommand(Component):
    kind = "order-command"
    tick_s = MAINTENANCE_RETRY_S

    def started(self, body: bytes) -> None:
        self.start = unpack(body, ExchangeStart)
        self.venue = Venue(self.start)
        self.commands: Commands | None = None
        self._store: Store | None = None
        self._why_not = "its journal is being read"
        self.crash_point = crash_points(self.context, self.name)
        self._ending = threading.Event()
        self._durable = LateMailbox(FACTS_HELD_S_MAX, FACTS_AFTER_S)
        self.watch_mailbox(self._durable, lambda item: self.facts.add(*item))
        self.facts = FactsSource(self.incarnation, self.send, self._load_after)
        self.slow["cancel_all"] = self.cancel_all
        self._trade: TradeRest | None = None
        self._door: Door | None = None
        self.start_worker("loader")
        self.upkeep = Upkeep(self.name, self.venue, self.worker)
        self.worker.submit(self._load)

    @property
    def stream(self) -> str:
        return commands_stream(self.start.exchange)

    def thread_ages(self) -> tuple[ThreadAge, ...]:
        ages = super().thread_ages()
        if self.commands is None:
            return ages
        since_ns = self.commands.busy_since_ns
        age_ns = time.monotonic_ns() - since_ns if since_ns else 0
        return (*ages, ThreadAge("journal", age_ns, round(COMMAND_THREAD_SILENT_S_MAX * _NS)))

    def tick(self, now: float) -> None:
        if self.commands is not None:
            self.upkeep.tick(now)
            if self.commands.crowded:
                self.worker.submit(self._forget)

    def _failed(self, error: BaseException, request: Request | None = None) -> None:
        """On any thread."""
        if request is not None:
            self.crashes.note(request)
        crash(f"{self.name}'s commands", error)

    def stopping(self) -> None:
        self._ending.set()
        if self._door is not None:
            self._door.close()
        self.worker.stop(timeout_s=1.0)
        if self.commands is not None:
            self.commands.stop(timeout_s=3.0)
        if self._store is not None:
            self._store.close()
        self.venue.close()

    # -- messages

    def handle(self, message: Message, sender: Address) -> None:
        if isinstance(message, FactsWanted):
            self.facts.want(message, sender)
        elif isinstance(message, Request) and message.operation in _COMMANDS:
            self._command(message, sender)
        else:
            super().handle(message, sender)

    def _command(self, request: Request, client: Address) -> None:
        self._take(request, lambda answer: self._answers.put((client, answer)), here=False)

    def _at_door(self, request: Request, answer: Answer) -> None:
        """On the thread of who asks: the whole command is done on it."""
        if (refusal := self.crashes.refusal(self.name, request)) is not None:
            answer(failure(request.correlation, refusal))
        else:
            self._take(request, answer, here=True)

    def _take(self, request: Request, answer: Answer, *, here: bool) -> None:
        asker = self.asker(request)

        def reply(result: Order | ConnectorError) -> None:
            """On any thread."""
            if isinstance(result, ConnectorError):
                answer(failure(request.correlation, result, asker))
            else:
                answer(Reply(asker, request.correlation, True, pack(result)))
            self._durable.ring()

        try:
            self._begin_command(request.operation, unpack(request.body, Arguments), reply, here)
        except ConnectorError as error:
            reply(error)

    def _begin_command(
        self, operation: str, arguments: Arguments, reply: Callable[[Order | ConnectorError], None], here: bool
    ) -> None:
        if self.commands is None:
            raise Refused(f"{self.name} takes no orders yet: {self._why_not}")
        deadline = arguments["deadline_mono_ns"] / _NS
        if operation == "place":
            try:
                order = msgspec.convert(arguments["order"], NewOrder)
            except msgspec.ValidationError as error:
                raise UsageError(f"order: {error}") from None
            self.commands.place(order, deadline, reply, here=here)
            return
        client_order_id = str(arguments["client_order_id"])
        if operation == "cancel":
            self.commands.cancel(client_order_id, deadline, reply, here=here)
        else:
            quantity, price = (
                None if arguments.get(name) is None else dec(arguments[name], name) for name in ("quantity", "price")
            )
            self.commands.amend(client_order_id, quantity, price, deadline, reply, here=here)

    def _load_after(self, after: int) -> Iterator[bytes]:
        assert self._store is not None, "who asks was told of facts"
        return (entry.body for entry in self._store.load(self.stream, after))

    # -- on the loader thread

    def _load(self) -> None:
        """Until journal, instruments and clock are there; then commands are taken."""
        wait_s = INSTRUMENTS_RETRY_FIRST_S
        journal: Journal | None = None
        while not self._ending.is_set():
            self.worker.beat()
            try:
                if journal is None:
                    trade = trade_rest(self.start, self.venue, lambda: self.crash_point("after_send"))
                    store = self._store = open_store(self.start.store.url, Durability(self.start.store.durability))
                    journal = store.open(self.stream)
                self.venue.load_instruments()
                self.venue.measure_clock()
                self._take_over(store, journal, trade)
            except ConnectorError as error:
                self._why_not = str(error)
                logger.warning("%s: %s; tried again in %g s", self.name, error, wait_s)
                if journal is None and self._store is not None:
                    self._store.close()
            else:
                return
            self._ending.wait(wait_s)
            wait_s = min(wait_s * 2, INSTRUMENTS_RETRY_MAX_S)

    def _take_over(self, store: Store, journal: Journal, trade: TradeRest) -> None:
        """:raises StoreError: what is journaled cannot be read."""
        keep = KeptOrders(store, self.start.exchange)
        ledger, recovery, last = read_commands(
            store,
            self.start.exchange,
            lambda: Ledger(self.start.exchange, self.venue.market_of, keep, counts=False),
            self.worker.beat,
        )
        interrupted = recovery.interrupted(time.time_ns())
        if interrupted:
            logger.warning(
                "%s: %d commands were interrupted; their outcome is being asked for", self.name, len(interrupted)
            )
            last = journal.append([encode(event) for event in interrupted], time.time_ns())
            for answered in interrupted:
                ledger.apply(answered)
        commands = Commands(
            trade,
            ledger,
            self.venue.instrument,
            on_durable=lambda first, bodies: self._durable.put((first, bodies)),
            on_failure=self._failed,
            crash_point=self.crash_point,
        )
        self.facts.begin(last)
        commands.start(journal, last)
        self.commands, self._trade = commands, trade
        self._door = Door(
            door_path(Path(self.context.runtime_dir), self.name),
            self._at_door,
            on_failure=self._failed,
        )
        logger.info("%s takes orders: %d entries read, %d interrupted", self.name, last, len(interrupted))

    def _forget(self) -> None:
        """Orders that OrderState has kept."""
        assert self._store is not None, "its journal is in it"
        assert self.commands is not None, "it is called with them"
        try:
            head = self._store.head(venue_stream(self.start.exchange))
        except ConnectorError as error:
            logger.warning("%s: %s; tried again in %g s", self.name, error, MAINTENANCE_RETRY_S)
        else:
            self.commands.forget(head.covers.get(self.stream, 0) if head is not None else 0)

    def cancel_all(self, arguments: Arguments) -> list[str]:
        """Every open order on the account, whoever placed it, symbol by symbol; returns the venue's names of those."""
        if self._trade is None:
            raise Refused(f"{self.name} takes no orders yet: {self._why_not}")
        deadline = arguments["deadline_mono_ns"] / _NS
        natives = sorted({order.native for order in self._trade.open_orders(None, deadline)})
        for native in natives:
            self.worker.beat()
            with contextlib.suppress(OrderNotFound):  # the last of them has just ended
                self._trade.cancel_all(native, deadline)
        return natives

    # -- quick

    def status(self, arguments: Arguments) -> dict[str, Any]:
        return super().status(arguments) | {
            "breakers": self.venue.breakers(),
            "limits": self.venue.limits(),
            "takes_orders": self.commands is not None,
        }
