"""Whether a book is as new as the venue: silence is a question, and so is a stream that says it is in time.

Three things prove a book fresh: an update that follows; a stream that repeats and agrees (Bybit ``orderbook.1``); an
answer of REST that knows no later update. Where nothing repeats, REST is asked when a book has been silent for a
while; and once in a while about a book that is busy, because a stream that was late from its first message on looks
timely by its own clock. Pongs prove nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

from thespian_connector import limits
from thespian_connector.books.tracked import TrackedBook
from thespian_connector.model import Trust

from .events import FeedTiming
from .intake import Intake
from .slot import Slot

_NS: Final = 1_000_000_000


class Session(Protocol):
    """What is asked of the session that the books belong to."""

    def resubscribe(self, slot: Slot) -> None:
        """Leave the book's topics and join them again."""

    def give_up(self, reason: str, detail: str) -> None:
        """This connection is of no use: make another."""

    def silent_for_ns(self, now_ns: int) -> int:
        """How long the connection as a whole has brought no data."""


class Resubscriber(Protocol):
    def resubscribe(self, slot: Slot, now_ns: int) -> None:
        """The book's stream is dead: leave and join it, with patience if that was in vain before."""


class Freshness:
    """The judge of one session's books. Session's thread only; time is an argument.

    :param asks: there is a REST to ask.
    """

    def __init__(
        self,
        care: Resubscriber,
        session: Session,
        intake: Intake,
        slots: Sequence[Slot],
        timing: FeedTiming,
        *,
        asks: bool,
    ) -> None:
        self._care = care
        self._session = session
        self._intake = intake
        self._slots = slots
        self._timing = timing
        self._asks = asks
        self._probe_due_ns = 0
        self._audit_due_ns = 0
        #: How often REST showed that this connection's updates are late.
        self._lag_proofs = 0

    def connected(self, now_ns: int) -> None:
        """A new connection may be late from its first message on, so its first audit comes early."""
        self._audit_due_ns = now_ns + int(self._timing.audit_s * _NS) // 5
        self._lag_proofs = 0

    def judge(self, now_ns: int) -> bool:
        """Look at every book. False: the connection was given up."""
        lagging_ns = self._intake.lagging_since_ns
        if lagging_ns and now_ns - lagging_ns >= self._timing.silent_reconnect_s * _NS:
            self._session.give_up("lagging", "what waits to be read is too old to be worth it")
            return False
        silent_ns = int(self._timing.silence_check_s * _NS)
        quiet = sum(1 for slot in self._slots if slot.subscribed_ns and now_ns - slot.proved_ns >= silent_ns)
        return all(self._judge(slot, quiet, now_ns) for slot in self._slots if slot.subscribed_ns)

    def _judge(self, slot: Slot, quiet: int, now_ns: int) -> bool:
        tracked, timing = slot.tracked, self._timing
        if tracked is None or not tracked.joined:
            return True
        if slot.ahead and not self._judge_ahead(slot, now_ns):
            return False
        if slot.proof_topics:
            allowed_s = timing.stale_stream_s
        else:
            # With many quiet books each is checked less often; none of them is called STALE just for its turn's sake.
            allowed_s = max(timing.stale_rest_s, timing.silence_check_s + 2 * quiet * timing.silence_check_every_s)
        unproved_ns = now_ns - slot.proved_ns
        if unproved_ns >= allowed_s * _NS and tracked.trust is Trust.LIVE:
            self._intake.count("stale")
            self._stale(slot, f"no proof of freshness for {unproved_ns / _NS:.1f} s")
        # Where a stream repeats, a silent connection needs no second look: it is dead.
        patience_ns = int((allowed_s if slot.proof_topics else timing.silent_reconnect_s) * _NS)
        if unproved_ns >= patience_ns and self._session.silent_for_ns(now_ns) >= patience_ns:
            self._session.give_up("silent", f"no data for {patience_ns / _NS:g} s, and no proof that this is quiet")
            return False
        if (
            tracked.joined
            and slot.proof_topics
            and unproved_ns >= timing.silent_reconnect_s * _NS
            and now_ns >= slot.due_ns
        ):
            self._dead(slot, "its streams are silent", now_ns)
        return True

    # -- the venue was seen ahead of the book

    def _judge_ahead(self, slot: Slot, now_ns: int) -> bool:
        """Updates in flight arrive within the grace. Then a silent stream is dead, and one that goes on and still has
        not come so far is late."""
        grace_ns = int(self._timing.behind_grace_s * _NS)
        stopped_ns = int(limits.BEHIND_GRACES_STOPPED * grace_ns)
        if slot.position >= slot.ahead:
            waited_ns = now_ns - slot.ahead_ns
            asked = slot.ahead_asked
            slot.proved(slot.ahead_ns)
            if self._intake.lagging_since_ns and asked and waited_ns < grace_ns:
                self._intake.not_lagging(now_ns, rebase=True)
        elif slot.heard_ns - slot.ahead_ns >= self._timing.lag_stale_s * _NS:
            late_ns = slot.heard_ns - slot.ahead_ns
            slot.ahead = 0
            self._intake.lag_proved(late_ns, grace_ns, now_ns)
            self._lag_proofs += 1
            if self._lag_proofs >= limits.LAG_PROOFS_MAX:  # it catches up too slowly to wait for it
                self._session.give_up("lagging", f"{slot.symbol}: updates come {late_ns / _NS:.1f} s late, again")
                return False
        elif now_ns - max(slot.ahead_ns, slot.heard_ns) >= stopped_ns and not self._intake.lagging_since_ns:
            return self._behind(slot, now_ns)
        elif now_ns - slot.ahead_ns >= self._timing.silent_reconnect_s * _NS:
            slot.ahead = 0  # neither reached nor disproved: ask anew
        return True

    def _behind(self, slot: Slot, now_ns: int) -> bool:
        reason = f"the venue is at {slot.ahead}, the stream stopped at {slot.position}"
        self._intake.count("behind")
        if self._session.silent_for_ns(now_ns) < self._timing.behind_grace_s * _NS:
            self._dead(slot, reason, now_ns)
            return True
        self._stale(slot, reason)
        self._session.give_up("silent", f"{slot.symbol}: {reason}")
        return False

    def _dead(self, slot: Slot, reason: str, now_ns: int) -> None:
        """This book's stream alone is dead, while the connection lives."""
        self._intake.apply(lambda book, wall_ns: book.mark_suspect(wall_ns, reason), slot)
        self._intake.changed(slot, levels=False)
        self._care.resubscribe(slot, now_ns)

    def _stale(self, slot: Slot, reason: str) -> None:
        self._intake.apply(lambda book, wall_ns: book.mark_stale(wall_ns, reason), slot)
        self._intake.changed(slot, levels=False)

    # -- asking REST

    def wanting_probe(self, now_ns: int) -> Slot | None:
        """The book to ask the venue about: the one longest without proof, if that is long; else any, in its turn."""
        if not self._asks or now_ns < self._probe_due_ns:
            return None
        lagging = bool(self._intake.lagging_since_ns)
        quiet_ns = 0 if lagging else int(self._timing.silence_check_s * _NS)
        able = [
            slot
            for slot in self._slots
            if slot.subscribed_ns
            and not slot.ahead
            and slot.tracked is not None
            and slot.tracked.joined
            and now_ns >= slot.check_due_ns
        ]
        due = [s for s in able if (lagging or not s.proof_topics) and now_ns - s.proved_ns >= quiet_ns]
        if due:
            return min(due, key=lambda slot: slot.proved_ns)
        if now_ns < self._audit_due_ns:
            return None
        return min(able, key=lambda slot: slot.audited_ns, default=None)

    def probing(self, slot: Slot, now_ns: int) -> None:
        """REST is being asked where `slot`'s book is."""
        self._intake.count("silence_checks")
        slot.audited_ns = now_ns
        slot.check_due_ns = self._probe_due_ns = now_ns + int(self._timing.silence_check_every_s * _NS)
        self._audit_due_ns = now_ns + int(self._timing.audit_s * _NS)

    def probed(self, slot: Slot, asked_ns: int, position: int, now_ns: int) -> None:
        """The venue, asked at `asked_ns`, was at `position`."""
        if slot.tracked is None or not slot.tracked.joined:
            return
        if position > slot.position:
            slot.seen_ahead(position, now_ns, asked=True)
        elif self._intake.lagging_since_ns:
            self._intake.not_lagging(now_ns, rebase=True)
        else:
            slot.proved(asked_ns)
            self._intake.apply(TrackedBook.mark_verified, slot)
            self._intake.verified(slot, now_ns)

    def not_probed(self, slot: Slot, now_ns: int) -> None:
        slot.check_due_ns = now_ns + int(self._timing.behind_grace_s * _NS)
