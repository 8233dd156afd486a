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
from .intake import Intake
from .slot import Slot

_NS: Final = 1_000_000_000
_LOG = logging.getLogger(__name__)
#: Levels of a read that only asks where the venue is: the cheapest there is on either venue.
_PROBE_DEPTH: Final = 5


class DepthSource(Protocol):
    """`MarketRest`, as far as books need it."""

    def depth(self, native: str, depth: int, *, deadline_s: float | None = None) -> BookSnapshot: ...


class Session(Protocol):
    """What book care asks of the session that it belongs to."""

    def resubscribe(self, slot: Slot) -> None:
        """Leave the book's topics and join them again."""

    def give_up(self, reason: str, detail: str) -> None:
        """This connection is of no use: make another."""

    def silent_for_ns(self, now_ns: int) -> int:
        """How long the connection as a whole has brought no data."""


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
        self._probe_due_ns = 0
        self._probed_last = False

    # -- connections

    def connected(self) -> None:
        self._connection += 1
        for slot in self._slots:
            self._intake.apply(TrackedBook.restart, slot)

    def disconnected(self) -> None:
        self.closed()
        for slot in self._slots:
            self._intake.changed(slot, levels=False)

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

    def tick(self, now_ns: int) -> None:
        lagging_ns = self._intake.lagging_since_ns
        if lagging_ns and now_ns - lagging_ns >= self._timing.silent_reconnect_s * _NS:
            self._session.give_up("lagging", "what waits to be read is too old to be worth it")
            return
        quiet = 0
        for slot in self._slots:
            if slot.subscribed_ns:
                quiet += now_ns - slot.proved_ns >= self._timing.silence_check_s * _NS
                self.attend(slot, now_ns)
        for slot in self._slots:
            if slot.subscribed_ns:
                self._judge(slot, quiet, now_ns)
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
            self._resubscribe(slot, now_ns)

    def _missing_stream_snapshot(self, slot: Slot, now_ns: int) -> bool:
        """The venue said yes to a stream that begins with a snapshot, and did not send one."""
        waited_ns = now_ns - slot.subscribed_ns
        return not slot.by_rest and slot.subscribed_ns > 0 and waited_ns >= self._timing.resubscribe_s * _NS

    def _resubscribe(self, slot: Slot, now_ns: int) -> None:
        slot.resubscriptions += 1
        # A symbol that stays dumb (halted, delisted) must not cost the others their connection: ask it seldom.
        often = slot.resubscriptions <= limits.RESUBSCRIBE_TRIES_MAX
        slot.due_ns = now_ns + int((self._timing.resubscribe_s if often else self._timing.refused_retry_s) * _NS)
        slot.ahead = 0
        self._intake.count("resubscribed")
        self._session.resubscribe(slot)

    # -- freshness

    def _judge(self, slot: Slot, quiet: int, now_ns: int) -> None:
        tracked = slot.tracked
        assert tracked is not None, "only books are cared for"
        if not tracked.joined:
            return
        timing = self._timing
        if slot.ahead:
            overdue = now_ns - slot.ahead_ns >= timing.behind_grace_s * _NS
            if slot.position >= slot.ahead:
                slot.proved(slot.ahead_ns)
                if self._intake.lagging_since_ns and slot.ahead_asked and not overdue:
                    self._intake.not_lagging(now_ns, rebase=True)
            elif overdue and self._intake.lagging_since_ns:
                slot.ahead = 0  # late, as the clocks said; ask again
            elif overdue:
                self._behind(slot, now_ns)
                return
        if slot.proof_topics:
            allowed = timing.stale_stream_s
        else:
            # With many quiet books each is checked less often; none of them is called STALE just for its turn's sake.
            allowed = max(timing.stale_rest_s, timing.silence_check_s + 2 * quiet * timing.silence_check_every_s)
        unproved_ns = now_ns - slot.proved_ns
        if unproved_ns >= allowed * _NS and tracked.trust is Trust.LIVE:
            self._intake.count("stale")
            reason = f"no proof of freshness for {unproved_ns / _NS:.1f} s"
            self._intake.apply(lambda book, wall_ns: book.mark_stale(wall_ns, reason), slot)
            self._intake.changed(slot, levels=False)
        # Where a stream repeats, a silent connection needs no second look: it is dead.
        patience_ns = int((allowed if slot.proof_topics else timing.silent_reconnect_s) * _NS)
        if unproved_ns >= patience_ns and self._session.silent_for_ns(now_ns) >= patience_ns:
            self._session.give_up("silent", f"no data for {patience_ns / _NS:g} s, and no proof that this is quiet")
        elif slot.proof_topics and unproved_ns >= timing.silent_reconnect_s * _NS and now_ns >= slot.due_ns:
            self._behind(slot, now_ns)

    def _behind(self, slot: Slot, now_ns: int) -> None:
        """The venue went on without us: the stream of this book is dead, or the whole connection."""
        self._intake.count("behind")
        reason = f"the venue is at {slot.ahead}, the stream stopped at {slot.position}" if slot.ahead else "silent"
        if self._session.silent_for_ns(now_ns) >= self._timing.behind_grace_s * _NS and slot.ahead:
            self._intake.apply(lambda book, wall_ns: book.mark_stale(wall_ns, reason), slot)
            self._intake.changed(slot, levels=False)
            self._session.give_up("silent", f"{slot.symbol}: {reason}")
            return
        self._intake.apply(lambda book, wall_ns: book.mark_suspect(wall_ns, reason), slot)
        self._intake.changed(slot, levels=False)
        self._resubscribe(slot, now_ns)

    # -- REST

    def _next_errand(self, now_ns: int) -> None:
        if self._rest is None or self._errands.busy:
            return
        snapshot = self._wanting_snapshot(now_ns)
        probe = self._wanting_probe(now_ns)
        if probe and not (snapshot and self._probed_last):
            self._probed_last = True
            self._probe(probe, self._rest, now_ns)
        elif snapshot:
            self._probed_last = False
            self._fetch(snapshot, self._rest)

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
            self._intake.apply(lambda book, wall_ns: book.on_snapshot(answer, wall_ns), slot)
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

    def _wanting_probe(self, now_ns: int) -> Slot | None:
        """The book that has been without proof for longest, if one is due and REST is what proves."""
        if now_ns < self._probe_due_ns:
            return None
        lagging = bool(self._intake.lagging_since_ns)
        quiet_ns = 0 if lagging else int(self._timing.silence_check_s * _NS)
        due = [
            slot
            for slot in self._slots
            if slot.subscribed_ns
            and (lagging or not slot.proof_topics)
            and not slot.ahead
            and slot.tracked is not None
            and slot.tracked.joined
            and now_ns - slot.proved_ns >= quiet_ns
            and now_ns >= slot.check_due_ns
        ]
        return min(due, key=lambda slot: slot.proved_ns, default=None)

    def _probe(self, slot: Slot, rest: DepthSource, now_ns: int) -> None:
        connection = self._connection
        self._probe_due_ns = now_ns + int(self._timing.silence_check_every_s * _NS)
        slot.check_due_ns = now_ns + int(self._timing.silence_check_every_s * _NS)
        self._intake.count("silence_checks")
        self._errands.run(
            lambda: rest.depth(slot.native, _PROBE_DEPTH, deadline_s=self._timing.silence_check_s),
            lambda answer: self._probed(slot, connection, now_ns, answer),
        )

    def _probed(self, slot: Slot, connection: int, asked_ns: int, answer: BookSnapshot | BaseException) -> None:
        """`asked_ns` is what an answer proves: what happened while it was on its way is not in it."""
        if connection != self._connection:
            return
        now_ns = time.monotonic_ns()
        assert slot.tracked is not None, "only books are cared for"
        if not isinstance(answer, BookSnapshot):
            self._failed(answer, slot, "silence_check")
            slot.check_due_ns = now_ns + int(self._timing.behind_grace_s * _NS)
        elif slot.tracked.joined:
            position = answer.sequence or answer.update_id
            if position > slot.position:
                slot.seen_ahead(position, now_ns, asked=True)
            elif self._intake.lagging_since_ns:
                self._intake.not_lagging(now_ns, rebase=True)
            else:
                slot.proved(asked_ns)
                self._intake.apply(TrackedBook.mark_verified, slot)
                self._intake.verified(slot, now_ns)
        self._next_errand(now_ns)
