"""What books need besides their stream: snapshots over REST, resubscriptions, and proof that silence is only quiet.

Everything here runs on the session's thread; REST itself runs on the errands' thread, one read at a time, so that a
storm of resyncs after a reconnect is spread out and never stops the reading.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Iterable
from typing import Final, Protocol

from thespian_connector import limits
from thespian_connector.books.states import Wants
from thespian_connector.books.tracked import TrackedBook
from thespian_connector.model import Trust
from thespian_connector.model.errors import ConnectorError
from thespian_connector.model.wire import BookSnapshot

from .errands import Errands
from .events import FeedTiming
from .freshness import Freshness, Session
from .intake import Intake
from .sharing import rest_snapshot
from .slot import Slot

_NS: Final = 1_000_000_000
_LOG = logging.getLogger(__name__)
#: Levels of a read that only asks where the venue is: the cheapest there is on either venue.
_PROBE_DEPTH: Final = 5


class DepthSource(Protocol):
    """`MarketRest`, as far as books need it."""

    def depth(self, native: str, depth: int, *, deadline_s: float | None = None) -> BookSnapshot: ...


class BookCare:
    def __init__(
        self,
        session: Session,
        intake: Intake,
        slots: Iterable[Slot],
        *,
        rest: DepthSource | None,
        errands: Errands,
        timing: FeedTiming,
        rng: random.Random,
    ) -> None:
        self._session = session
        self._intake = intake
        self._slots = [slot for slot in slots if slot.tracked is not None]
        self._rest = rest
        self._errands = errands
        self._timing = timing
        self._rng = rng
        #: Answers that were asked for on an earlier connection say nothing about this one's stream.
        self._connection = 0
        self._probed_last = False
        self._freshness = Freshness(self, session, intake, self._slots, timing, asks=rest is not None)

    # -- connections

    def connected(self, now_ns: int) -> None:
        self._connection += 1
        self._freshness.connected(now_ns)
        for slot in self._slots:
            self._intake.apply(TrackedBook.restart, slot)

    def disconnected(self) -> None:
        self.closed()
        for slot in self._slots:
            self._intake.changed(slot, levels=False)

    def torn(self, slots: Iterable[Slot]) -> None:
        """A connection was lost, and the one that is left does not bring all of `slots` from there on."""
        self._connection += 1
        for slot in slots:
            self._intake.changed(slot, levels=True)

    def closed(self) -> None:
        """No connection any more; nobody is told."""
        self._connection += 1
        self._intake.disconnected()
        for slot in self._slots:
            slot.disconnected()
            self._intake.apply(TrackedBook.on_disconnect, slot)

    def subscribed(self, slot: Slot, now_ns: int) -> None:
        """The venue confirmed the book's topic: what comes from now on is whole."""
        slot.subscribed_ns = now_ns
        slot.proved_ns = max(slot.proved_ns, now_ns)
        slot.check_due_ns = 0

    # -- the clock

    @property
    def content(self) -> bool:
        """Every book is LIVE, and nothing is being asked for."""
        live = all(slot.tracked is not None and slot.tracked.trust is Trust.LIVE for slot in self._slots)
        return live and not self._errands.busy

    def tick(self, now_ns: int) -> None:
        for slot in self._slots:
            if slot.subscribed_ns:
                self.attend(slot, now_ns)
        if self._freshness.judge(now_ns):
            self._next_errand(now_ns)

    def attend(self, slot: Slot, now_ns: int) -> None:
        """Look at what the book wants, now: after a gap there is no time to lose."""
        assert slot.tracked is not None, "only books are cared for"
        tracked = slot.tracked
        if tracked.joined:
            slot.resubscriptions = 0
        elif now_ns >= slot.due_ns and (
            tracked.wants is Wants.RESUBSCRIBE or self._missing_stream_snapshot(slot, now_ns)
        ):
            self.resubscribe(slot, now_ns)

    def _missing_stream_snapshot(self, slot: Slot, now_ns: int) -> bool:
        """The venue said yes to a stream that begins with a snapshot, and did not send one."""
        waited_ns = now_ns - slot.subscribed_ns
        return not slot.by_rest and slot.subscribed_ns > 0 and waited_ns >= self._timing.resubscribe_s * _NS

    def resubscribe(self, slot: Slot, now_ns: int) -> None:
        slot.resubscriptions += 1
        # A symbol that stays dumb (halted, delisted) must not cost the others their connection: ask it seldom.
        often = slot.resubscriptions <= limits.RESUBSCRIBE_TRIES_MAX
        slot.due_ns = now_ns + int((self._timing.resubscribe_s if often else self._timing.refused_retry_s) * _NS)
        slot.ahead = 0
        self._intake.count("resubscribed")
        self._session.resubscribe(slot)

    # -- REST

    def _next_errand(self, now_ns: int) -> None:
        if self._rest is None or self._errands.busy:
            return
        snapshot = self._wanting_snapshot(now_ns)
        probe = self._freshness.wanting_probe(now_ns)
        if probe and not (snapshot and self._probed_last):
            self._probed_last = True
            self._probe(probe, self._rest, now_ns)
        elif snapshot:
            self._probed_last = False
            self._fetch(snapshot, self._rest)

    def _probe(self, slot: Slot, rest: DepthSource, now_ns: int) -> None:
        """Ask where the venue is; the time of asking is what an answer proves, for what came after is not in it."""
        connection = self._connection
        self._freshness.probing(slot, now_ns)

        def done(answer: BookSnapshot | BaseException) -> None:
            if connection != self._connection:
                return
            if isinstance(answer, BookSnapshot):
                self._freshness.probed(slot, now_ns, answer.sequence or answer.update_id, time.monotonic_ns())
            else:
                self._failed(answer, slot, "silence_check")
                self._freshness.not_probed(slot, time.monotonic_ns())
            self._next_errand(time.monotonic_ns())

        deadline_s = self._timing.silence_check_s
        self._errands.run(lambda: rest.depth(slot.native, _PROBE_DEPTH, deadline_s=deadline_s), done)

    def _wanting_snapshot(self, now_ns: int) -> Slot | None:
        refill = None
        for slot in self._slots:
            assert slot.tracked is not None, "only books are cared for"
            wants = slot.tracked.wants
            if not slot.subscribed_ns:
                continue
            if wants is Wants.SNAPSHOT and now_ns >= slot.due_ns and self._worth_asking(slot, now_ns):
                return slot
            if wants is Wants.REFILL and now_ns >= slot.refill_due_ns:
                refill = refill or slot
        return refill

    def _worth_asking(self, slot: Slot, now_ns: int) -> bool:
        """A snapshot from before the first update cannot be joined to it (Binance, "How to manage a local order book
        correctly", step 3 after step 2), so the first is awaited; a quiet symbol's does not come, and needs not."""
        heard = slot.heard_ns >= slot.subscribed_ns
        return heard or now_ns - slot.subscribed_ns >= self._timing.snapshot_quiet_s * _NS

    def _fetch(self, slot: Slot, rest: DepthSource) -> None:
        connection = self._connection
        self._intake.count("snapshots_asked")
        self._errands.run(
            lambda: rest.depth(slot.native, slot.depth, deadline_s=self._timing.snapshot_deadline_s),
            lambda answer: self._fetched(slot, connection, answer),
        )

    def _fetched(self, slot: Slot, connection: int, answer: BookSnapshot | BaseException) -> None:
        now_ns = time.monotonic_ns()
        was_joined = slot.tracked is not None and slot.tracked.joined
        if connection != self._connection:
            return
        if isinstance(answer, BookSnapshot):
            with self._intake.lock:
                rest_snapshot(slot, answer)
            assert slot.tracked is not None, "only books are cared for"
            if slot.tracked.wants is Wants.SNAPSHOT:
                self._intake.count("snapshots_too_old")
                self._retry(slot, now_ns)
            else:
                slot.refill_due_ns = now_ns + int(self._timing.refill_every_s * _NS)
                slot.due_ns = now_ns + int(self._timing.snapshot_retry_first_s * _NS)
                slot.tries = 0
                if not was_joined:
                    slot.proved(now_ns)
            self._intake.changed(slot, levels=True)
        else:
            self._failed(answer, slot, "snapshot")
            self._retry(slot, now_ns, answer)
        self._next_errand(now_ns)

    def _retry(self, slot: Slot, now_ns: int, error: BaseException | None = None) -> None:
        timing = self._timing
        pause_s = min(timing.snapshot_retry_first_s * 2**slot.tries, timing.snapshot_retry_max_s)
        asked_s = getattr(error, "retry_after_s", None) or 0.0
        slot.tries += 1
        slot.due_ns = now_ns + int(max(pause_s * self._rng.uniform(0.5, 1.0), asked_s) * _NS)

    def _failed(self, error: BaseException, slot: Slot, what: str) -> None:
        """Errors of the venue and refusals of our own are expected, and tried again; anything else is a bug."""
        if not isinstance(error, ConnectorError):
            raise error
        self._intake.count(f"{what}s_failed")
        _LOG.warning("%s: no %s: %s", slot.symbol, what, error)
