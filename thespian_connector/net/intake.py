"""From frames to books, trades and tickers, to the consumer: the way of every message, on the session's thread."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from typing import Final, Protocol

from thespian_connector import limits
from thespian_connector.books.states import Outcome
from thespian_connector.books.tracked import TrackedBook
from thespian_connector.drivers.base import Driver
from thespian_connector.model import BookStatus, Trust
from thespian_connector.model.wire import (
    Ack,
    BookDiff,
    BookSnapshot,
    Ignored,
    Pong,
    ServerShutdown,
    TopOfBook,
    WireEvent,
    WireTicker,
    WireTrades,
)

from . import records
from .events import FeedEvent, FeedMarker, FeedTiming
from .lag import LagMeter
from .prints import Prints
from .records import Top
from .sharing import Sharing
from .slot import Slot

_LOG = logging.getLogger(__name__)
_CONFLATE_NS_MAX = int(limits.CONFLATE_S_MAX * 1_000_000_000)
_MARKERS: Final = {Trust.LIVE: "live", Trust.STALE: "stale", Trust.SUSPECT: "gap"}

#: Gets every text frame as it came: ("ws", url, frame).
Tap = Callable[[str, str, bytes], None]


class Control(Protocol):
    """What messages that are not data mean to the session."""

    def acked(self, ack: Ack, now_ns: int) -> None: ...

    def ponged(self) -> None: ...

    def shut_down(self) -> None: ...

    def lost_track(self, slot: Slot, now_ns: int) -> None: ...


class Intake:
    """Takes messages, keeps the books, and tells the consumer.

    :ivar interrupted: the session was told to stop: what is left of this chunk is not for anyone.
    """

    def __init__(
        self,
        driver: Driver,
        slots: Iterable[Slot],
        control: Control,
        on_event: Callable[[FeedEvent], None],
        *,
        timing: FeedTiming,
        conflate: bool,
        tap: Tap | None,
        url: str,
    ) -> None:
        self.interrupted = False
        #: The session was told to stop: no event comes any more.
        self.muted = False
        self.lag = LagMeter(timing.lag_stale_s)
        self.lagging_since_ns = 0
        #: Books that are STALE for no other reason.
        self._lagged: set[Slot] = set()
        self.messages = 0
        #: Readers of other threads take it; held while one message changes one book.
        self.lock = threading.Lock()
        self._exchange = driver.exchange
        self._decode = driver.decode
        self._slots = {slot.native: slot for slot in slots}
        self._control = control
        self._on_event = on_event
        self._verified_told_ns = int(timing.verified_told_s * 1e9)
        self._conflate = conflate
        self._tap = tap
        self._url = url
        self._dirty: dict[Slot, None] = {}
        self._told_ns = 0
        self._control_messages = 0
        self._counts: dict[str, int] = {}
        self.sharing = Sharing(self._slots.values(), self.lock, timing.silent_reconnect_s / 2)
        self.prints = Prints(driver.exchange, self._slots, on_event, self.count, lambda: self.interrupted)

    # -- messages

    def take(self, messages: list[bytes], now_ns: int, line: int) -> bool:
        """The hot path: decode, find the book, apply, tell. Returns whether connection `line` brought any data."""
        decode, slots, lock, emit, lag = self._decode, self._slots, self.lock, self._on_event, self.lag
        tap, conflate, sharing = self._tap, self._conflate, self.sharing
        shared = sharing.active
        self.messages += len(messages)
        wall_ns = time.time_ns()
        control_before = self._control_messages
        venue_ns = 0
        event: WireEvent
        for message in messages:
            if tap is not None:
                tap("ws", self._url, message)
            event = decode(message)
            if type(event) is not BookDiff:
                self._other(event, line, now_ns, wall_ns)
                if self.interrupted:
                    return True
                continue
            slot = slots.get(event.native)
            if slot is None or slot.tracked is None or slot.changed is None:
                self.count("unexpected")
                continue
            tracked = slot.tracked
            with lock:
                if shared and slot.arbiter is not None:
                    sharing.deliveries.note(event.stream, line, now_ns)
                    outcome = sharing.on_diff(slot, slot.arbiter, line, event, now_ns=now_ns, wall_ns=wall_ns)
                else:
                    slot.heard_ns = slot.proved_ns = now_ns
                    slot.sequence = event.sequence
                    outcome = tracked.on_diff(event, wall_ns)
                if not shared or outcome is Outcome.APPLIED:  # the slower connection's copies make nothing late
                    venue_ns = event.venue_time_ns
                    if now_ns - venue_ns > lag.late_after:
                        self._late(slot, venue_ns, now_ns, wall_ns)
            if outcome is Outcome.APPLIED and tracked.trust is slot.trust:
                if conflate:
                    self._dirty[slot] = None
                else:
                    emit(slot.changed)
            elif outcome is not Outcome.BUFFERED:
                self._aside(slot, tracked, outcome, now_ns)
            if self.interrupted:
                return True
        if venue_ns:
            self._note_lag(venue_ns, now_ns)
        return self._control_messages - control_before < len(messages)

    def _aside(self, slot: Slot, tracked: TrackedBook, outcome: Outcome, now_ns: int) -> None:
        """An update that did not just go in: it revealed a gap, brought a book back, or was old."""
        if outcome is Outcome.GAP:
            _LOG.warning("%s %s: %s", self._exchange, slot.symbol, tracked.reason)
            self._control.lost_track(slot, now_ns)
        self.changed(slot, levels=outcome is Outcome.APPLIED)

    def _other(self, event: WireEvent, line: int, now_ns: int, wall_ns: int) -> None:
        if self.sharing.active and isinstance(event, WireTrades | TopOfBook | BookSnapshot | WireTicker):
            self.sharing.deliveries.note(event.stream, line, now_ns)
        if isinstance(event, WireTrades):
            self.prints.trades(event, line, now_ns, wall_ns)
        elif isinstance(event, TopOfBook):
            self._top(event, (event.bid, event.ask), now_ns, wall_ns)
        elif isinstance(event, BookSnapshot):
            self._snapshot(event, line, now_ns, wall_ns)
        elif isinstance(event, WireTicker):
            self.prints.ticker(event, wall_ns, shared=self.sharing.active)
        else:
            self._control_messages += 1
            self._no_data(event, now_ns)

    def _no_data(self, event: WireEvent, now_ns: int) -> None:
        if isinstance(event, Ack):
            self._control.acked(event, now_ns)
        elif isinstance(event, Pong):
            self._control.ponged()
        elif isinstance(event, ServerShutdown):
            self._control.shut_down()
        else:
            assert isinstance(event, Ignored), f"an unknown kind of wire record: {type(event).__name__}"
            self.count(f"ignored_{event.reason}")

    def _snapshot(self, event: BookSnapshot, line: int, now_ns: int, wall_ns: int) -> None:
        slot = self._slots.get(event.native)
        if slot is None or slot.tracked is None or event.stream != slot.book_topic:
            if slot is not None and event.limit == 1:  # a stream of one level is a top of book by another name
                self._top(event, _ends(event), now_ns, wall_ns)
            else:
                self.count("unexpected")
            return
        with self.lock:
            if slot.arbiter is not None:
                outcome = self.sharing.on_snapshot(slot, slot.arbiter, line, event, now_ns=now_ns, wall_ns=wall_ns)
            else:
                slot.heard_ns = slot.proved_ns = now_ns
                slot.sequence = event.sequence
                outcome = slot.tracked.on_snapshot(event, wall_ns)
        if now_ns - event.venue_time_ns <= self.lag.late_after:  # that of a quiet book may be old without being late
            self.lag.note(event.venue_time_ns, now_ns)
        if outcome is Outcome.GAP:
            self._control.lost_track(slot, now_ns)
        self.changed(slot, levels=outcome is Outcome.APPLIED)
        if event.limit == 1 and outcome is Outcome.APPLIED:  # a book of one level is the ticker's bid and ask too
            self.prints.top(slot, _ends(event), wall_ns)

    def _top(self, event: TopOfBook | BookSnapshot, top: tuple[Top, Top], now_ns: int, wall_ns: int) -> None:
        """A stream that repeats says where the venue is. It never changes a book: it proves one fresh, or behind."""
        slot = self._slots.get(event.native)
        if slot is None:
            self.count("unexpected")
            return
        position = event.sequence or event.update_id
        order = event.venue_time_ns or position
        if order < slot.top_order and self.sharing.active:
            return  # another connection brought a later one: this says nothing any more
        slot.top_order = order
        tracked = slot.tracked
        if tracked is not None and tracked.joined and not self.lagging_since_ns:
            if position <= slot.position or records.same_top(tracked.best(), top):
                slot.proved(now_ns)
                with self.lock:
                    tracked.mark_verified(wall_ns)
                self.verified(slot, now_ns)
            else:
                slot.seen_ahead(position, now_ns)
        self.prints.top(slot, top, wall_ns)

    # -- lag

    def _late(self, slot: Slot, venue_time_ns: int, now_ns: int, wall_ns: int) -> None:
        """Lock held. An update so late that what it says is history: no book of this connection is fresh."""
        if not venue_time_ns or slot.tracked is None:
            return
        self.count("late")
        late_ns = now_ns - venue_time_ns - self.lag.base_ns
        if not self.lagging_since_ns:
            self._start_lagging(now_ns, wall_ns, late_ns)
        self._lagged.add(slot)
        slot.tracked.mark_stale(wall_ns, _late_reason(late_ns))

    def _start_lagging(self, now_ns: int, wall_ns: int, late_ns: int) -> None:
        self.lagging_since_ns = now_ns
        for slot in self._slots.values():
            if slot.tracked is not None and slot.tracked.trust is Trust.LIVE:
                self._lagged.add(slot)
                slot.tracked.mark_stale(wall_ns, _late_reason(late_ns))

    def _note_lag(self, venue_time_ns: int, now_ns: int) -> None:
        if now_ns - venue_time_ns <= self.lag.late_after:
            if self.lagging_since_ns:
                self.not_lagging(now_ns, rebase=self.lag.guessed)
            self.lag.note(venue_time_ns, now_ns)
        else:
            self.lag.last_ns = now_ns - venue_time_ns - self.lag.base_ns
            self.tell_trust()

    def lag_proved(self, late_ns: int, grace_ns: int, now_ns: int) -> None:
        """REST showed that the stream, which looks timely by its own clock, is so late."""
        self.count("lag_proved")
        self.lag.late_by(late_ns, grace_ns)
        with self.lock:
            self._start_lagging(now_ns, time.time_ns(), late_ns)
        self.tell_trust()

    def not_lagging(self, now_ns: int, *, rebase: bool) -> None:
        """Updates come in time again; with `rebase`: the venue showed that they always did, and a clock jumped."""
        if rebase:
            self.lag.rebase()
        self.lagging_since_ns = 0
        lagged, self._lagged = self._lagged, set()
        for slot in lagged:
            if slot.tracked is not None and slot.tracked.joined:
                slot.proved(now_ns)
                self.apply(TrackedBook.mark_verified, slot)
                self.changed(slot, levels=False)

    def held_up(self, late_ns: int) -> None:
        """We ourselves did not run: what the books say is that old."""
        reason = f"this process was held up for {late_ns / 1e9:.1f} s"
        for slot in self._slots.values():
            self.apply(lambda book, wall_ns: book.mark_stale(wall_ns, reason), slot)
        self.tell_trust()

    def disconnected(self) -> None:
        """How late the last connection's updates were says nothing about the next; what is timely stays known."""
        self.lagging_since_ns = 0
        self._lagged.clear()

    # -- telling

    def changed(self, slot: Slot, *, levels: bool) -> None:
        """Tell if the book has another trust than was told last, or (`levels`) other levels."""
        tracked = slot.tracked
        if tracked is None or slot.changed is None or self.muted:
            return
        if tracked.trust is slot.trust:
            if levels:
                self._on_event(slot.changed)
            return
        slot.trust = tracked.trust
        self._dirty.pop(slot, None)
        self._on_event(slot.changed)
        what = _MARKERS.get(slot.trust)
        if what is not None and not self.muted:
            self._on_event(FeedMarker(symbol=slot.symbol, what=what, detail=tracked.reason))

    def verified(self, slot: Slot, now_ns: int) -> None:
        """The book was shown to be fresh. In a quiet market that is news of its own, now and then."""
        told_ns = max(slot.heard_ns, slot.verified_told_ns)
        due = now_ns - told_ns >= self._verified_told_ns
        if due:
            slot.verified_told_ns = now_ns
        self.changed(slot, levels=due)

    def tell_trust(self) -> None:
        for slot in self._slots.values():
            self.changed(slot, levels=False)

    def tell_reconnected(self, slots: Iterable[Slot] | None = None) -> None:
        """Trades of `slots` (None: all) may have been missed."""
        for slot in self._slots.values() if slots is None else slots:
            if not self.muted:
                self._on_event(FeedMarker(symbol=slot.symbol, what="reconnected"))

    def tell_refused(self, slot: Slot, words: str) -> None:
        slot.refused = words
        self._on_event(FeedMarker(symbol=slot.symbol, what="stale", detail=f"refused: {words}"))

    def chunk_done(self, drained: bool) -> None:
        """With conflation: everything that waited was read (or enough of it), so tell what changed."""
        if self._dirty and (drained or time.monotonic_ns() - self._told_ns >= _CONFLATE_NS_MAX):
            self._told_ns = time.monotonic_ns()
            dirty, self._dirty = self._dirty, {}
            for slot in dirty:
                if slot.tracked is not None and slot.changed is not None and not self.muted:
                    with self.lock:
                        slot.tracked.tidy()
                    self._on_event(slot.changed)

    def apply(self, change: Callable[[TrackedBook, int], object], slot: Slot) -> None:
        """Do `change` to the slot's book under the readers' lock."""
        if slot.tracked is not None:
            with self.lock:
                change(slot.tracked, time.time_ns())

    # -- counting

    def count(self, what: str, number: int = 1) -> None:
        self._counts[what] = self._counts.get(what, 0) + number

    def counters(self) -> dict[str, int]:
        counts = dict(self._counts)
        counts["messages"] = self.messages
        counts["lag_ms"] = self.lag.last_ns // 1_000_000
        books = [slot.tracked.counts for slot in self._slots.values() if slot.tracked is not None]
        for name in ("applied", "ignored", "gaps", "malformed", "crossed", "snapshots"):
            counts[name] = counts.get(name, 0) + sum(getattr(book, name) for book in books)
        return counts

    def status(self) -> list[BookStatus]:
        with self.lock:
            return [slot.status() for slot in self._slots.values() if slot.tracked is not None]


def _ends(event: BookSnapshot) -> tuple[Top, Top]:
    return event.bids[0] if event.bids else None, event.asks[0] if event.asks else None


def _late_reason(late_ns: int) -> str:
    return f"updates come {late_ns / 1e9:.1f} s late"
