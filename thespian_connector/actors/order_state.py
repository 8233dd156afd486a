"""OrderState: the query side of one exchange's orders: what became of them, what we hold, and what to ask the venue.

The only writer of the stream ``venue/<exchange>``. It has the facts of OrderCommand and of UserData from them, and asks
Gateway for the rest. What is new goes to its bus endpoint once it is durable.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from thespian_connector.drivers.registry import trading_for
from thespian_connector.limits import (
    COMMAND_THREAD_SILENT_S_MAX,
    FEED_THREAD_SILENT_S_MAX,
    INSTRUMENTS_RETRY_FIRST_S,
    INSTRUMENTS_RETRY_MAX_S,
    ORDERS_ASKED_MAX,
)
from thespian_connector.model import Balance, Order, Position
from thespian_connector.model.decimals import dec
from thespian_connector.model.errors import ConnectorError, Refused
from thespian_connector.net.journal import JournalThread
from thespian_connector.orders.codec import decode, decode_fact
from thespian_connector.orders.desk import Desk, News
from thespian_connector.orders.events import BalancesTold, Connected, Disconnected, Event, Fact, VenueEvent
from thespian_connector.orders.survey import Survey
from thespian_connector.storage import Durability, Journal, Store, open_store

from .component import Arguments, Component
from .crash_points import crash_points
from .door import Answer, Door, Guest, door_path
from .facts import FactsSink
from .inquiries import Inquiries
from .keeping import Keeping, KeptOrders, commands_stream, venue_stream
from .messages import Address, Announce, Facts, Found, Message, Reply, Request, ThreadAge, failure, unpack
from .parked import Parked
from .publishing import OrderPublisher
from .settings import OrderStateStart
from .threads import Mailbox, crash
from .watching import Watching

logger = logging.getLogger(__name__)

_NS = 1_000_000_000
_DAY_NS = 86_400 * _NS
#: Between two ticks while something is awaited.
_BUSY_TICK_S = 0.05


class OrderState(Component):
    kind = "order-state"
    tick_s = 1.0

    def started(self, body: bytes) -> None:
        start = unpack(body, OrderStateStart)
        self.start = start.exchange
        self.exchange = start.exchange.exchange
        self.trading = trading_for(self.exchange)
        self.desk: Desk | None = None
        self.keeping: Keeping
        self.survey: Survey
        self.journal: JournalThread | None = None
        self.commands: FactsSink
        self.stream: FactsSink
        self._store: Store | None = None
        self._door: Door | None = None
        self._stream_told = "it was not heard of yet"
        #: Questions to the venue in a row that were not answered.
        self._unanswered = 0
        self._why_not = "its journal is being read"
        self._ending = threading.Event()
        self._mail = Mailbox()
        self.watch_mailbox(self._mail, lambda job: job())
        self.watching = Watching(f"exchange/{self.exchange}/*", self.incarnation, self.send)
        self.inquiries = Inquiries(self.incarnation, self.send)
        self.parked = Parked(self.send)
        self.crash_point = crash_points(self.context, self.name)
        failed = partial(crash, f"{self.name}'s bus thread")
        self.publisher = OrderPublisher(self.exchange, start.endpoint, Path(start.lock_path), self.incarnation, failed)
        self.publisher.start()
        self.quick |= {"orders": self.orders, "balances": self.balances, "positions": self.positions}
        self.start_worker("loader")
        self.worker.submit(self._load)

    def thread_ages(self) -> tuple[ThreadAge, ...]:
        now_ns = time.monotonic_ns()
        bus = ThreadAge("bus", now_ns - self.publisher.heartbeat_ns, round(FEED_THREAD_SILENT_S_MAX * _NS))
        if self.journal is None:
            return (*super().thread_ages(), bus)
        since_ns = self.journal.busy_since_ns
        age_ns = now_ns - since_ns if since_ns else 0
        return (*super().thread_ages(), bus, ThreadAge("journal", age_ns, round(COMMAND_THREAD_SILENT_S_MAX * _NS)))

    def stopping(self) -> None:
        self._ending.set()
        if self._door is not None:
            self._door.close()
        self.worker.stop(timeout_s=1.0)
        if self.journal is not None:
            self.journal.stop(timeout_s=2.0)
        if self._store is not None:
            self._store.close()
        self.publisher.stop(timeout_s=1.0)

    # -- on the loader thread

    def _load(self) -> None:
        """Until the journal is there."""
        wait_s = INSTRUMENTS_RETRY_FIRST_S
        journal: Journal | None = None
        while not self._ending.is_set():
            self.worker.beat()
            try:
                if journal is None:
                    store = self._store = open_store(self.start.store.url, Durability(self.start.store.durability))
                    journal = store.open(venue_stream(self.exchange))
                desk = Desk(self.exchange, self.trading.fee_asset, KeptOrders(store, self.exchange))
                keeping = Keeping(store, self.exchange, self.start.orders.retention_days * _DAY_NS, time.time_ns())
                # What is in the command side's journal is read here, too, so that nobody waits for that process.
                keeping.read(desk, journal, self.worker.beat)
            except ConnectorError as error:
                self._why_not = str(error)
                logger.warning("%s: %s; tried again in %g s", self.name, error, wait_s)
                if journal is None and self._store is not None:
                    self._store.close()
            else:
                self._mail.put(partial(self._take_over, desk, journal, keeping))
                return
            self._ending.wait(wait_s)
            wait_s = min(wait_s * 2, INSTRUMENTS_RETRY_MAX_S)

    # -- the main thread again

    def _take_over(self, desk: Desk, journal: Journal, keeping: Keeping) -> None:
        assert self._store is not None, "the journal is in it"
        engine_ns = int(self.trading.engine_timeout_s * _NS)
        self.survey = Survey(desk, self.start.settings.symbols, engine_ns, time.time_ns())
        failed = partial(crash, f"{self.name}'s journal")
        self.journal = JournalThread(journal, keeping.venue, self._durable, failed)
        self.journal.start()
        lost_with_life = self._store.durability is Durability.NONE
        self.commands = FactsSink(self.incarnation, self.send, keeping.commands, anew=lost_with_life)
        self.stream = FactsSink(self.incarnation, self.send, 0, anew=True)
        self.desk, self.keeping = desk, keeping
        path = door_path(Path(self.context.runtime_dir), self.name)
        self._door = Door(path, self._at_door, on_failure=lambda error, _: crash(f"{self.name}'s door", error))
        self.publisher.publish(News([], [], desk.balances()))
        logger.info("%s knows %d facts of the venue's, %d of ours", self.name, keeping.venue, keeping.commands)
        now = time.monotonic()
        self._find(now)
        self.tick(now)

    def tick(self, now: float) -> None:
        self.watching.tick(now)
        if self.desk is None:
            return
        self.commands.tick(now)
        self.stream.tick(now)
        now_ns = self.inquiries.now_ns()
        for question in self.inquiries.overdue(now):
            self.survey.failed(question, now_ns)
        self.parked.expire(now, self.desk)
        if self.desk.crowded:
            self.desk.forget()
        if self.inquiries.ready:
            self.inquiries.instruments(now)
            for question in self.survey.questions(now_ns):
                self.inquiries.ask(question, now)
        wait_s = _BUSY_TICK_S if self.parked else self.survey.wait_s(now_ns)
        self.pace(min(max(wait_s, _BUSY_TICK_S), self.tick_s))

    def handle(self, message: Message, sender: Address) -> None:
        if isinstance(message, Facts):
            self._on_facts(message)
        elif isinstance(message, Reply):
            self._on_reply(message)
        elif isinstance(message, Found):
            if self.watching.found(message, time.monotonic()):
                self._find(time.monotonic())
        elif isinstance(message, Announce):
            self.watching.registry(message, time.monotonic())
        elif isinstance(message, Request) and message.operation in ("order", "settled"):
            if isinstance(sender, Guest) or self.desk is None:  # without it the worker reads the journal
                self._one_order(message, sender)
            elif not self.worker.submit(partial(self._at_door, message, partial(self.send, sender))):
                self.too_many(message, sender)
        else:
            super().handle(message, sender)

    def _at_door(self, request: Request, answer: Answer) -> None:
        """On a thread that may wait (who asks has one, or the worker); passed to the main thread, like a message."""
        self._read_commands()
        self._mail.put(partial(self.receiveMessage, request, Guest(answer)))

    def send(self, to: Address | Guest, message: Message) -> None:
        if isinstance(to, Guest):
            assert isinstance(message, Reply), "a guest gets the answer"
            to.answer(message)
        else:
            super().send(to, message)

    def _find(self, now: float) -> None:
        """The others of this exchange, as Registry knows them."""
        if self.desk is None:
            return
        known = {name.rpartition("/")[2]: one for name, one in self.watching.known.items()}
        self.commands.found(known.get("order-command"), now)
        if self.stream.found(known.get("user-data"), now):
            self._blind("its process is another")
        for question in self.inquiries.gateway(known.get("gateway")):
            self.survey.failed(question, self.inquiries.now_ns())

    # -- facts

    def _on_facts(self, message: Facts) -> None:
        now = time.monotonic()
        if self.desk is None:
            return
        if (missing := self.commands.take(message)) is not None:
            assert missing <= 0, "the journal has them all"
            self._fold_commands(message.first, message.bodies)
            self.commands.taken(message.first + len(message.bodies) - 1, now)
        elif (missing := self.stream.take(message)) is not None:
            if missing > 0 and self.stream.after:  # a new life begins with asking for everything anyway
                logger.warning("%s: %d facts of the private stream were lost; all is asked for", self.name, missing)
                self.survey.everything()
            events = [event for body in message.bodies if (event := self._of_venue(decode_fact(body))) is not None]
            last = message.first + len(message.bodies) - 1
            self._store_events(events, partial(self._had, last))

    def _read_commands(self) -> None:
        """On a thread that may wait. An intent is durable before it is sent, an outcome before it is told: so they are
        folded before what the venue made of it, and before an answer to who asks. OrderCommand tells them in its time.
        """
        if self.desk is None or self._store is None:
            return
        after = self.commands.after
        try:
            bodies = [entry.body for entry in self._store.load(commands_stream(self.exchange), after)]
        except ConnectorError as error:
            logger.warning("%s: %s; OrderCommand will tell what is in it", self.name, error)
            return
        if bodies:
            self._mail.put(partial(self._fold_commands, after + 1, bodies))

    def _fold_commands(self, first: int, bodies: Sequence[bytes]) -> None:
        new = self.commands.fresh(first, bodies)
        if new:
            self.keeping.folded_commands(self.commands.after, len(new))
            self._fold([decode(body) for body in new])

    def _had(self, last: int, error: ConnectorError | None) -> None:
        if error is None:
            self.stream.taken(last, time.monotonic())
        else:
            self.stream.failed()

    def _of_venue(self, fact: Fact) -> VenueEvent | None:
        if isinstance(fact, Connected):
            self.survey.connected = True
            self.survey.everything()
            self._stream_told = "connected"
            self.pace(_BUSY_TICK_S)
            return None
        if isinstance(fact, Disconnected):
            self._blind(fact.reason)
            return None
        assert isinstance(fact, VenueEvent), "UserData tells what the venue told"
        return fact

    def _blind(self, reason: str) -> None:
        self.survey.connected = False
        self._stream_told = reason

    def _store_events(self, events: Sequence[VenueEvent], done: Any = None) -> None:
        """Makes durable what is new in them; then it is folded, told, and `done` hears of it."""
        assert self.desk is not None, "it is called with facts"
        assert self.journal is not None, "it begins with the desk"
        new = self.desk.sift(events)
        if not new:
            if done is not None:
                done(None)
            return

        def on_done(error: ConnectorError | None) -> None:
            """On the journal's thread."""
            if error is not None:
                logger.error("%s: %s; what the venue told is asked for again", self.name, error)
            self._mail.put(partial(self._stored, error, done))

        self.crash_point("before_store")
        self.journal.write(new, on_done)

    def _durable(self, first: int, events: Sequence[Event], _bodies: Sequence[bytes]) -> None:
        """On the journal's thread."""
        self.crash_point("after_store")
        if not all(isinstance(event, BalancesTold) for event in events):
            self._read_commands()
        self._mail.put(partial(self._fold_own, first + len(events) - 1, events))

    def _fold_own(self, last: int, events: Sequence[Event]) -> None:
        self.keeping.folded_venue(last, len(events))
        self._fold(events)

    def _stored(self, error: ConnectorError | None, done: Any) -> None:
        if done is not None:
            done(error)
        elif error is not None:
            self.survey.everything()

    def _fold(self, events: Sequence[Event]) -> None:
        assert self.desk is not None, "facts come after it"
        news = self.desk.fold(events)
        if any(news):
            self.publisher.publish(news)
            self.parked.look(news.orders, self.desk)
        self.survey.folded(events, self.inquiries.now_ns())
        assert self.journal is not None, "it begins with the desk"
        self.keeping.keep(self.desk, self.journal, time.time_ns(), self._mail.put)
        self.pace(_BUSY_TICK_S)

    # -- questions to the venue

    def _on_reply(self, reply: Reply) -> None:
        if self.desk is None:
            return
        taken = self.inquiries.answered(reply)
        now_ns = self.inquiries.now_ns()
        if taken.instruments is not None:
            self.desk.learn(taken.instruments)
        if taken.question is not None and taken.answer is not None:
            self._store_events(self.survey.answered(taken.question, taken.answer, now_ns))
            self._unanswered = 0
        elif taken.question is not None:
            # The first of a row: a venue that is away, or silent for a while, is asked every second or so.
            level = logging.DEBUG if self._unanswered else logging.WARNING
            self._unanswered += 1
            logger.log(level, "%s: %s was not answered: %s", self.name, " ".join(taken.question.key), taken.error)
            self.survey.failed(taken.question, now_ns)
        self.tick(time.monotonic())

    # -- queries

    def _ready(self) -> Desk:
        if self.desk is None:
            raise Refused(f"{self.name} cannot tell yet: {self._why_not}")
        return self.desk

    def _one_order(self, request: Request, client: Address) -> None:
        arguments = unpack(request.body, Arguments)
        try:
            desk = self._ready()
            self.parked.ask(request, self.asker(request), client, arguments, desk)
        except ConnectorError as error:
            self.send(client, failure(request.correlation, error, self.asker(request)))
        else:
            if self.parked:
                self.pace(_BUSY_TICK_S)

    def orders(self, arguments: Arguments) -> list[Order]:
        """`open_only`, `symbol` (None: all), `limit`: the newest so many; oldest first."""
        most = min(int(arguments.get("limit") or ORDERS_ASKED_MAX), ORDERS_ASKED_MAX)
        symbol = arguments.get("symbol")
        return self._ready().orders(open_only=bool(arguments.get("open_only")), symbol=symbol, most=most)

    def balances(self, arguments: Arguments) -> list[Balance]:
        del arguments
        return self._ready().balances()

    def positions(self, arguments: Arguments) -> list[Position]:
        """`marks`: symbol -> the price to value what is held."""
        marks = {str(symbol): dec(price, "mark") for symbol, price in (arguments.get("marks") or {}).items()}
        return self._ready().positions(marks)

    def status(self, arguments: Arguments) -> dict[str, Any]:
        return super().status(arguments) | {"accounts": [self._account()]}

    def _account(self) -> dict[str, Any]:
        if self.desk is None or self._store is None:
            return {"exchange": self.exchange, "ready": False, "why_not": self._why_not}
        return {
            "exchange": self.exchange,
            "ready": True,
            "store": self._store.name,
            "durability": self._store.durability.value,
            "stream": self._stream_told,
            "rounds": self.survey.rounds,
            "in_doubt": sum(leg.unknown for leg in self.desk.active()),
        }
