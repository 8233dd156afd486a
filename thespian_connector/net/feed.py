"""A feed session: one market-data connection of one venue, its books, and the thread that keeps both alive.

socket -> frames -> `driver.decode` -> `TrackedBook` -> your callback, on one thread (`intake`). Around it: reconnects
with back-off under the venue's limit of connects (`redial`), subscriptions in batches that survive a bad symbol
(`line`, `subscriber`), snapshots, resyncs and proof of freshness (`care`). No actor is needed::

    session = FeedSession(driver, endpoints, instruments, [Subscription("BTC/USDT")], on_event, rest=market_rest)
    session.start()
    ...
    session.stop()
"""

from __future__ import annotations

import logging
import random
import select
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final

from thespian_connector import limits
from thespian_connector.books.tracked import TrackedBook
from thespian_connector.drivers.base import Driver, Endpoints
from thespian_connector.model import BookStatus, Instrument, OrderBook
from thespian_connector.model.errors import UnknownSymbol, UsageError
from thespian_connector.model.wire import Ack

from .budget import Budget
from .care import BookCare, DepthSource
from .errands import Errands, Mailbox
from .events import FeedEvent, FeedTiming, Subscription
from .intake import Intake, Tap
from .line import Line
from .redial import Redial
from .slot import Slot
from .socket import Dropped, StreamSocket, connect

_NS: Final = 1_000_000_000
_LOG = logging.getLogger(__name__)


class FeedSession:
    """The feeds of some symbols of one venue over one connection.

    :param instruments: unified symbol -> instrument; at least those subscribed.
    :param on_event: called on the session's thread, in the order of the stream. What it raises ends the session: a
        consumer that failed must be seen. It should not block: the books that it sees are as old as it is slow, unless
        `conflate`, which tells of each changed book once, after all that waited has been read.
    :param rest: where snapshots come from and silence is checked; may be None where the stream does both (Bybit).
    :param budget: guards the venue's limit of connects, for all sessions of the host together.
    :param tick: called about every 100 ms on the session's thread, with the monotonic clock in nanoseconds.
    :param tap: gets every text frame as it came: ("ws", url, frame).
    :param on_failure: called at the end of the thread with what ended it, if that was not `stop`. Without it the
        exception goes on to `threading.excepthook`.
    :raises UsageError: nothing to subscribe, more topics than one connection may have, an unknown depth, no `rest`.
    :raises UnknownSymbol: a symbol that is not among `instruments`.
    """

    def __init__(
        self,
        driver: Driver,
        endpoints: Endpoints,
        instruments: Mapping[str, Instrument],
        subscriptions: Sequence[Subscription],
        on_event: Callable[[FeedEvent], None],
        *,
        rest: DepthSource | None = None,
        budget: Budget | None = None,
        rng: random.Random | None = None,
        timing: FeedTiming | None = None,
        conflate: bool = False,
        tick: Callable[[int], None] | None = None,
        tap: Tap | None = None,
        on_failure: Callable[[BaseException], None] | None = None,
        name: str = "feed",
    ) -> None:
        self.exchange: Final = driver.exchange
        #: What ended the thread, if it was not `stop`.
        self.failure: BaseException | None = None
        #: When the thread last showed that it runs, on the monotonic clock.
        self.heartbeat_ns = time.monotonic_ns()
        self._driver = driver
        self._url = driver.stream_url(endpoints)
        self._timing = timing = timing or FeedTiming()
        self._on_failure = on_failure
        self._user_tick = tick
        self._name = name
        rng = rng or random.Random()
        self._slots = _slots(driver, instruments, subscriptions)
        self._by_topic = {topic: slot for slot in self._slots.values() for topic in slot.topics}
        _check_size(driver, self._slots.values(), list(self._by_topic), rest)
        self._mailbox = Mailbox()
        self._errands = Errands(f"{name}-rest", self._mailbox)
        self._intake = Intake(
            driver,
            self._slots.values(),
            self,
            on_event,
            timing=timing,
            conflate=conflate,
            tap=tap,
            url=self._url,
        )
        self._care = BookCare(
            self, self._intake, self._slots.values(), rest=rest, errands=self._errands, timing=timing, rng=rng
        )
        self._redial = Redial(
            name,
            mailbox=self._mailbox,
            connect=self._connect,
            opened=self._opened,
            count=self.count,
            budget=budget,
            timing=timing,
            rng=rng,
        )
        #: Venues cut old connections; we leave a little earlier, each session at another time.
        self._lifetime_s = driver.stream_limits.lifetime_s * rng.uniform(*limits.LIFETIME_SHARE)
        self._line: Line | None = None
        self._connects = 0
        self._next_tick_ns = 0
        self._refused_due_ns = 0
        self._poll = select.poll()
        self._poll.register(self._mailbox.wake_fd, select.POLLIN)
        self._stopping = self._closed = False
        self._thread = threading.Thread(target=self._main, name=name, daemon=True)

    # -- for any thread

    def start(self) -> None:
        """Start the session's threads. Once."""
        self._errands.start()
        self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> bool:
        """Close the connection and end the threads; no event comes after it returns. False: a thread still hangs in a
        REST read or a name's resolution; it ends by itself. From within a callback it returns at once."""
        self._stopping = self._intake.interrupted = self._intake.muted = True
        self._mailbox.wake()
        if self._thread is threading.current_thread():
            return True
        deadline = time.monotonic() + timeout_s
        if self._thread.ident is None:
            self._close()
        else:
            self._thread.join(timeout_s)
        ended = self._errands.stop(max(0.0, deadline - time.monotonic()))
        return ended and not self._thread.is_alive()

    @property
    def alive(self) -> bool:
        """The session's thread runs."""
        return self._thread.is_alive()

    @property
    def connected(self) -> bool:
        return self._line is not None

    def book(self, symbol: str, depth: int = 0) -> OrderBook:
        """The certified levels of `symbol`'s book, `depth` a side (0: all), as of the last message that was read.

        :raises UnknownSymbol: its book is not subscribed here.
        """
        slot = self._slots.get(symbol)
        if slot is None or slot.tracked is None:
            raise UnknownSymbol(f"{self.exchange}: no book of {symbol} in this session")
        with self._intake.lock:
            return slot.tracked.order_book(depth)

    def status(self) -> list[BookStatus]:
        """How each book stands; where the venue refused its topic, `reason` has the venue's words."""
        return self._intake.status()

    @property
    def counters(self) -> dict[str, int]:
        """What happened so far, by name. `lag_ms` is a level, not a count: how far the last update that was read lags
        behind the quickest of the last minute, on the venue's own clock."""
        return {**self._intake.counters(), "connects": self._connects}

    # -- the thread

    def _main(self) -> None:
        try:
            while not self._stopping:
                self._turn()
        except BaseException as error:
            self.failure = error
            _LOG.critical("%s: the feed session failed: %r", self._name, error)
            if self._on_failure is None:
                raise
            self._on_failure(error)
        finally:
            self._close()

    def _close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._intake.interrupted = self._intake.muted = True
        line, self._line = self._line, None
        if line is not None:
            line.socket.close()
        self._care.closed()
        self._redial.close(limits.JOIN_S)
        self._mailbox.run()  # a connection made in this very moment is closed by its delivery
        self._mailbox.close()

    def _turn(self) -> None:
        """Wait for data, mail or the next tick, whichever comes first, and do what there is to do."""
        now_ns = self.heartbeat_ns = time.monotonic_ns()
        if now_ns >= self._next_tick_ns:
            self._tick(now_ns)
        line = self._line
        if line is None or not line.socket.filled:
            ready = self._poll.poll(max(0, self._next_tick_ns - now_ns) // 1_000_000 + 1)
            if not ready:
                return
            now_ns = time.monotonic_ns()
            if len(ready) == 1 and ready[0][0] == self._mailbox.wake_fd:
                self._mailbox.run()
                return
        if self._mailbox.waiting:
            self._mailbox.run()
        if line is not None and line is self._line:
            try:
                self._take(line, line.read(now_ns), now_ns)
            except Dropped as dropped:
                self._lost(line, dropped.reason, str(dropped))

    def _take(self, line: Line, messages: list[bytes], now_ns: int) -> None:
        """All messages of one chunk, with a look at the clock between batches."""
        batch = limits.FEED_BATCH_MESSAGES
        for start in range(0, len(messages), batch):
            self._intake.take(messages[start : start + batch] if len(messages) > batch else messages, now_ns)
            if self._line is not line or self._stopping:
                return
            if len(messages) > batch:
                late_ns = self.heartbeat_ns = time.monotonic_ns()
                if late_ns >= self._next_tick_ns:
                    self._tick(late_ns)
        self._intake.chunk_done(drained=not line.socket.filled)
        if self._line is line:
            line.send_due(now_ns)
            if line.socket.unsent is not line.watched:
                self._watch(line)

    def _tick(self, now_ns: int) -> None:
        late_ns = now_ns - self._next_tick_ns if self._next_tick_ns else 0
        self._next_tick_ns = now_ns + int(self._timing.tick_s * _NS)
        if self._user_tick is not None:
            self._user_tick(now_ns)
        line = self._line
        if line is None:
            self._redial.tick(now_ns)
            return
        if late_ns >= self._timing.held_up_s * _NS:
            self.count("held_up")
            self._intake.held_up(late_ns)
            return  # what waits in the socket decides; the deadlines are looked at after it was read
        try:
            for _ in range(line.check(now_ns)):
                self.count("acks_missing")
            self._care.tick(now_ns)
            if self._line is line:
                if now_ns >= self._refused_due_ns and line.subscriber.refused:
                    self._refused_due_ns = now_ns + int(self._timing.refused_retry_s * _NS)
                    line.subscriber.subscribe(list(line.subscriber.refused))
                line.send_due(now_ns)
                if line.socket.unsent is not line.watched:
                    self._watch(line)
        except Dropped as dropped:
            self._lost(line, dropped.reason, str(dropped))

    def _watch(self, line: Line) -> None:
        """Wait for room to send only while something waits to be sent."""
        line.watched = line.socket.unsent
        self._poll.modify(line.socket.fileno(), select.POLLIN | (select.POLLOUT if line.watched else 0))

    # -- the connection

    def _connect(self, wake_fd: int) -> StreamSocket:
        return connect(self._url, timeout_s=self._timing.connect_s, wake_fd=wake_fd, classify=self._driver.classify)

    def _opened(self, socket: StreamSocket) -> None:
        now_ns = time.monotonic_ns()
        line = Line(
            socket,
            self._driver,
            topics=self._by_topic,
            timing=self._timing,
            lifetime_s=self._lifetime_s,
            now_ns=now_ns,
        )
        self._line = line
        self._intake.interrupted = self._stopping
        self._refused_due_ns = now_ns + int(self._timing.refused_retry_s * _NS)
        self._poll.register(socket.fileno(), select.POLLIN)
        self._connects += 1
        self._care.connected(now_ns)
        if self._connects > 1:
            self._intake.tell_reconnected()
        try:
            line.send_due(now_ns)
        except Dropped as dropped:
            self._lost(line, dropped.reason, str(dropped))

    def _lost(self, line: Line, reason: str, detail: str) -> None:
        if self._line is not line:
            return
        _LOG.warning("%s: connection lost: %s", self._name, detail)
        self.count(f"dropped_{reason}")
        self._line = None
        self._intake.interrupted = True
        self._poll.unregister(line.socket.fileno())
        line.socket.close()
        now_ns = time.monotonic_ns()
        self._redial.lost(now_ns - line.opened_ns, now_ns)
        self._care.disconnected()
        self._redial.tick(now_ns)

    # -- what intake and care ask for

    def give_up(self, reason: str, detail: str) -> None:
        if self._line is not None:
            self._lost(self._line, reason, detail)

    def acked(self, ack: Ack, now_ns: int) -> None:
        if self._line is None:
            return
        confirmed, refused = self._line.subscriber.on_ack(ack)
        for topic in confirmed:
            slot = self._by_topic[topic]
            slot.refused = ""
            if topic == slot.book_topic:
                self._care.subscribed(slot, now_ns)
        for topic in refused:
            self.count("topics_refused")
            _LOG.error("%s: the venue refuses %s: %s", self._name, topic, ack.message)
            self._intake.tell_refused(self._by_topic[topic], ack.message)
        if not ack.ok:
            self.count("acks_refused")

    def ponged(self) -> None:
        if self._line is not None:
            self._line.pong()

    def lost_track(self, slot: Slot, now_ns: int) -> None:
        self._care.attend(slot, now_ns)

    def resubscribe(self, slot: Slot) -> None:
        """Leave the book's topics and join them again; other topics are untouched."""
        if self._line is not None:
            slot.subscribed_ns = 0
            self._intake.apply(TrackedBook.restart, slot)
            self._line.subscriber.resubscribe((slot.book_topic, *slot.proof_topics))

    def silent_for_ns(self, now_ns: int) -> int:
        """How long the connection as a whole has brought nothing but control frames."""
        return now_ns - max(self._line.opened_ns, self._intake.data_ns) if self._line is not None else 0

    def count(self, what: str) -> None:
        self._intake.count(what)


def _slots(
    driver: Driver, instruments: Mapping[str, Instrument], subscriptions: Sequence[Subscription]
) -> dict[str, Slot]:
    slots: dict[str, Slot] = {}
    for wanted in subscriptions:
        if wanted.symbol not in instruments:
            raise UnknownSymbol(f"{driver.exchange} has no {wanted.symbol}; symbols are written BASE/QUOTE")
        if wanted.symbol in slots:
            raise UsageError(f"{wanted.symbol} is subscribed twice: put all its channels into one Subscription")
        slots[wanted.symbol] = Slot(driver, instruments[wanted.symbol], wanted)
    return slots


def _check_size(driver: Driver, slots: Collection[Slot], topics: Collection[str], rest: DepthSource | None) -> None:
    caps = driver.stream_limits
    if not topics:
        raise UsageError("nothing to subscribe: name at least one symbol and one channel")
    if len(topics) > caps.topics_max:
        raise UsageError(f"{len(topics)} topics: {driver.exchange} allows {caps.topics_max} a connection; use several")
    if caps.args_text_max and sum(map(len, topics)) > caps.args_text_max:
        raise UsageError(f"the topics' names are above {caps.args_text_max} characters; use several sessions")
    if driver.snapshot_by_rest and rest is None and any(slot.tracked for slot in slots):
        raise UsageError(f"{driver.exchange}'s books begin with a snapshot over REST: pass `rest`")
