"""A feed session: market data of one venue, its books, and the thread that keeps both alive.

socket -> frames -> `driver.decode` -> `TrackedBook` -> your callback, on one thread (`intake`). Around it: connections
that replace or double each other (`lines`, `sharing`), reconnects with back-off under the venue's limit of connects
(`redial`), subscriptions in batches that survive a bad symbol (`line`, `subscriber`), snapshots, resyncs and proof of
freshness (`care`). No actor is needed::

    session = FeedSession(driver, endpoints, instruments, [Subscription("BTC/USDT")], on_event, rest=market_rest)
    session.start()
    ...
    session.stop()
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Final

from thespian_connector import limits
from thespian_connector.books.image import BookImage
from thespian_connector.books.tracked import TrackedBook
from thespian_connector.drivers.base import Driver, Endpoints
from thespian_connector.model import BookStatus, Instrument, OrderBook
from thespian_connector.model.errors import UnknownSymbol, UsageError, shown
from thespian_connector.model.wire import Ack

from .budget import Budget
from .care import BookCare, DepthSource
from .errands import Errands, Mailbox
from .events import FeedEvent, FeedTiming, Subscription
from .intake import Intake, Tap
from .line import Line
from .lines import Lines
from .redial import ConnectGuard, Redial
from .slot import Slot
from .socket import Dropped

_NS: Final = 1_000_000_000
_LOG = logging.getLogger(__name__)


class FeedSession:
    """The feeds of some symbols of one venue over one connection, or over two that bring the same.

    :param instruments: unified symbol -> instrument; at least those subscribed.
    :param on_event: called on the session's thread, in the order of the stream. What it raises ends the session: a
        consumer that failed must be seen. It should not block: the books that it sees are as old as it is slow, unless
        `conflate`, which tells of each changed book once, after all that waited has been read.
    :param rest: where snapshots come from and silence is checked; may be None where the stream does both (Bybit).
    :param budget: guards the venue's limit of connects, for all sessions of the host together.
    :param redundancy: how many connections are kept open all the time, 1 or 2. Of two, either may be lost without a
        change of any book's trust, a missing or a doubled trade.
    :param rotate_after_s: after this long at most a connection is replaced by a new one in the same way; 0: a little
        before the venue's own cut.
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
        redundancy: int = 1,
        rotate_after_s: float = 0,
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
        self._lines = self._connections(budget, redundancy, rotate_after_s, rng)
        #: The connection whose messages are being taken.
        self._reading: Line | None = None
        self._next_tick_ns = 0
        self._stopping = self._closed = False
        self._thread = threading.Thread(target=self._main, name=name, daemon=True)

    def _connections(self, budget: Budget | None, redundancy: int, rotate_after_s: float, rng: random.Random) -> Lines:
        timing = self._timing
        guard = ConnectGuard(budget)
        redial = partial(
            Redial, self._name, mailbox=self._mailbox, count=self.count, guard=guard, timing=timing, rng=rng
        )
        return Lines(
            self._name,
            self._driver,
            self._url,
            topics=self._by_topic,
            owner=self,
            sharing=self._intake.sharing,
            mailbox=self._mailbox,
            redial=redial,
            redundancy=redundancy,
            rotate_after_s=rotate_after_s,
            timing=timing,
            rng=rng,
        )

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
        return bool(self._lines.open)

    @property
    def connections(self) -> list[dict[str, float | bool]]:
        """Those open now, the oldest first: age in seconds, and whether it is only open until another took over."""
        now_ns = time.monotonic_ns()
        return [
            {"age_s": round((now_ns - line.opened_ns) / _NS, 1), "retiring": line.retiring} for line in self._lines.open
        ]

    def book(self, symbol: str, depth: int = 0) -> OrderBook:
        """The certified levels of `symbol`'s book, `depth` a side (0: all), as of the last message that was read.

        :raises UnknownSymbol: its book is not subscribed here.
        """
        tracked = self._tracked(symbol)
        with self._intake.lock:
            return tracked.order_book(depth)

    def image(self, symbol: str, depth: int = 0) -> BookImage:
        """As :meth:`book`, for whom it is only passed on: the numbers stay text, a third of the memory."""
        tracked = self._tracked(symbol)
        with self._intake.lock:
            return tracked.image(depth)

    def _tracked(self, symbol: str) -> TrackedBook:
        slot = self._slots.get(symbol)
        if slot is None or slot.tracked is None:
            raise UnknownSymbol(f"{self.exchange}: no book of {symbol} in this session")
        return slot.tracked

    def status(self) -> list[BookStatus]:
        """How each book stands; where the venue refused its topic, `reason` has the venue's words."""
        return self._intake.status()

    @property
    def counters(self) -> dict[str, int]:
        """What happened so far, by name. `lag_ms` is a level, not a count: how far the last update that was read lags
        behind the quickest of the last minute, on the venue's own clock."""
        return {**self._intake.counters(), "connects": self._lines.connects}

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
        self._care.closed()
        self._lines.close()
        self._mailbox.run()  # a connection made in this very moment is closed by its delivery
        self._mailbox.close()

    def _turn(self) -> None:
        """Wait for data, mail or the next tick, whichever comes first, and do what there is to do."""
        now_ns = self.heartbeat_ns = time.monotonic_ns()
        if now_ns >= self._next_tick_ns:
            self._tick(now_ns)
        ready = self._lines.wait(max(0, self._next_tick_ns - now_ns) // 1_000_000 + 1)
        if self._mailbox.waiting:
            self._mailbox.run()
        for line in ready:
            if line in self._lines.open:
                self._read(line, time.monotonic_ns())

    def _read(self, line: Line, now_ns: int) -> None:
        try:
            messages = line.read(now_ns)
        except Dropped as dropped:
            self._lines.lose(line, dropped.reason, str(dropped))
            return
        self._reading = line
        self._take(line, messages, now_ns)
        self._reading = None

    def _take(self, line: Line, messages: list[bytes], now_ns: int) -> None:
        """All messages of one chunk, with a look at the clock between batches."""
        batch = limits.FEED_BATCH_MESSAGES
        for start in range(0, len(messages), batch):
            if self._intake.take(
                messages[start : start + batch] if len(messages) > batch else messages, now_ns, line.key
            ):
                line.data_ns = now_ns
            if self._stopping or line not in self._lines.open:
                return
            if len(messages) > batch:
                late_ns = self.heartbeat_ns = time.monotonic_ns()
                if late_ns >= self._next_tick_ns:
                    self._tick(late_ns)
        self._intake.chunk_done(drained=not line.socket.filled)
        if line in self._lines.open:
            self._lines.send(line, now_ns)

    def _tick(self, now_ns: int) -> None:
        late_ns = now_ns - self._next_tick_ns if self._next_tick_ns else 0
        self._next_tick_ns = now_ns + int(self._timing.tick_s * _NS)
        if self._user_tick is not None:
            self._user_tick(now_ns)
        if self._lines.open and late_ns >= self._timing.held_up_s * _NS:
            self.count("held_up")
            self._intake.held_up(late_ns)
            return  # what waits in the sockets decides; the deadlines are looked at after they were read
        self._lines.tick(now_ns)
        if not self._lines.open:
            return
        sharing = self._intake.sharing
        if sharing.active:
            self._intake.prints.tell(sharing.overdue(now_ns), time.time_ns())
        self._care.tick(now_ns)
        self._lines.send_due(now_ns)
        if self._is_quiet(now_ns):
            self._next_tick_ns = now_ns + int(self._timing.tick_s * _NS) * limits.FEED_QUIET_TICKS

    def _is_quiet(self, now_ns: int) -> bool:
        """Nothing comes and nothing is wanting."""
        silent = self.silent_for_ns(now_ns) >= self._timing.tick_s * _NS
        return silent and self._lines.complete and self._care.content

    # -- connections come and go

    def came_up(self, now_ns: int) -> None:
        self._care.connected(now_ns)
        if self._lines.connects > 1:
            self._intake.tell_reconnected()

    def line_left(self, line: Line, now_ns: int) -> None:
        if not self._lines.open:
            self._intake.sharing.dissolve()
            self._care.disconnected()
            return
        torn, trades = self._intake.sharing.closed(line, self._lines.open, now_ns)
        self._intake.prints.tell(trades, time.time_ns())
        if torn:
            self._care.torn(torn)
            self._intake.tell_reconnected(torn)

    # -- what intake and care ask for

    def give_up(self, reason: str, detail: str) -> None:
        """What the connections bring is of no use, or they bring nothing: make new ones."""
        self._lines.lose_all(reason, detail)

    def shut_down(self) -> None:
        """The venue will close the connection that is being read."""
        if self._reading is not None and not self._reading.retiring:
            self.count("shutdowns")
            self._reading.retiring = True

    def acked(self, ack: Ack, now_ns: int) -> None:
        line = self._reading
        if line is None:
            return
        confirmed, refused = line.subscriber.on_ack(ack)
        for topic in confirmed:
            slot = self._by_topic[topic]
            slot.refused = ""
            line.confirmed_ns[topic] = now_ns
            if topic == slot.book_topic and not slot.subscribed_ns:
                self._care.subscribed(slot, now_ns)
        for topic in refused:
            self.count("topics_refused")
            _LOG.error("%s: the venue refuses %s: %s", self._name, topic, ack.message)
            self._intake.tell_refused(self._by_topic[topic], ack.message)
        if not ack.ok:
            self.count("acks_refused")

    def ponged(self) -> None:
        if self._reading is not None:
            self._reading.pong()

    def lost_track(self, slot: Slot, now_ns: int) -> None:
        self._care.attend(slot, now_ns)

    def resubscribe(self, slot: Slot) -> None:
        """Leave the book's topics and join them again; other topics are untouched."""
        slot.subscribed_ns = 0
        self._intake.apply(TrackedBook.restart, slot)
        self._intake.sharing.resubscribed(slot, self._lines.open)
        for line in self._lines.open:
            line.resubscribe((slot.book_topic, *slot.proof_topics))

    def silent_for_ns(self, now_ns: int) -> int:
        """How long the session as a whole has heard nothing but control frames."""
        return now_ns - max((line.data_ns for line in self._lines.open), default=now_ns)

    def count(self, what: str) -> None:
        self._intake.count(what)


def _slots(
    driver: Driver, instruments: Mapping[str, Instrument], subscriptions: Sequence[Subscription]
) -> dict[str, Slot]:
    slots: dict[str, Slot] = {}
    for wanted in subscriptions:
        if wanted.symbol not in instruments:
            raise UnknownSymbol(f"{driver.exchange} has no {shown(wanted.symbol)}; symbols are written BASE/QUOTE")
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
