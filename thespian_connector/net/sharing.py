"""What is different while a session has more than one connection: whose update is next, whose trade, who may go.

A second connection is opened beside one that will be cut (a rotation), or both are kept open all the time (redundancy).
Each book then gets an `Arbiter`, each tape of trades knows its connections, and all of that is taken away again when
one connection is left: it alone brings everything, on the short way.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Iterable
from typing import Final

from thespian_connector import limits
from thespian_connector.books.arbiter import Arbiter
from thespian_connector.books.states import Outcome
from thespian_connector.model.wire import BookDiff, BookSnapshot

from .deliveries import Deliveries
from .line import Line
from .slot import Slot
from .tape import Told

_OVERLAP_NS: Final = int(limits.ROTATION_OVERLAP_S * 1e9)


class Sharing:
    """Session's thread only.

    :param lock: held while a book changes.
    :param grace_s: what one connection brought, each other must have brought after this.
    :ivar active: there is more than one connection.
    """

    def __init__(self, slots: Iterable[Slot], lock: threading.Lock, grace_s: float) -> None:
        self.active = False
        self._slots = list(slots)
        self.deliveries = Deliveries((topic for slot in self._slots for topic in slot.topics), grace_s)
        self._lock = lock

    # -- connections

    def opened(self, line: Line, others: Collection[Line]) -> None:
        """`line` was opened beside `others`; it has brought nothing yet."""
        for slot in self._slots:
            if not self.active:
                for other in others:
                    slot.tape.share(other.key, in_step=True)
            slot.tape.share(line.key, in_step=False)
            if slot.tracked is None:
                continue
            with self._lock:
                if slot.arbiter is None:
                    slot.arbiter = Arbiter(slot.tracked, snapshot_by_rest=slot.by_rest)
                    for other in others:
                        slot.arbiter.adopt(other.key)
                slot.arbiter.open(line.key, time.time_ns())
        self.deliveries.forget()
        self.active = True

    def resubscribed(self, slot: Slot, lines: Collection[Line]) -> None:
        """All connections have left the book's stream and join it again, after the book was restarted."""
        if slot.arbiter is not None and slot.tracked is not None:
            slot.arbiter = Arbiter(slot.tracked, snapshot_by_rest=slot.by_rest)
            for line in lines:
                slot.arbiter.open(line.key, time.time_ns())

    def closed(self, line: Line, left: Collection[Line], now_ns: int) -> tuple[list[Slot], list[tuple[Slot, Told]]]:
        """`line` is gone, `left` go on. Returns the slots that they do not fully replace it for (their books are
        restarted), and the trades that need to wait no longer."""
        torn: list[Slot] = []
        trades: list[tuple[Slot, Told]] = []
        self.deliveries.forget()
        for slot in self._slots:
            whole = any(self._covers(other, slot, now_ns, at_once=True) for other in left)
            trades += [(slot, told) for told in slot.tape.leave(line.key)]
            if slot.arbiter is not None:
                with self._lock:
                    slot.arbiter.close(line.key, time.time_ns(), whole=whole)
                confirmed = [other.confirmed_ns.get(slot.book_topic, 0) for other in left]
                slot.subscribed_ns = min((at_ns for at_ns in confirmed if at_ns), default=0)
            if not whole:
                torn.append(slot)
        if len(left) == 1:
            self.dissolve()
        return torn, trades

    def dissolve(self) -> None:
        """One connection is left, or none."""
        self.active = False
        for slot in self._slots:
            slot.arbiter = None
            slot.tape.alone()

    def covers(self, line: Line, now_ns: int) -> bool:
        """`line` alone would do, and has for long enough that what is in flight elsewhere has arrived."""
        return all(self._covers(line, slot, now_ns, at_once=False) for slot in self._slots)

    def _covers(self, line: Line, slot: Slot, now_ns: int, *, at_once: bool) -> bool:
        """Whether everything of `slot` from here on comes on `line`.

        :param at_once: another connection is gone already, so that it need not have caught up: what it lacks will come.
        """
        since_ns = max((line.confirmed_ns.get(topic, 0) for topic in slot.topics), default=0)
        if not line.subscribed(slot.topics) or (not at_once and now_ns - since_ns < _OVERLAP_NS):
            return False
        tracked, arbiter = slot.tracked, slot.arbiter
        if tracked is None or arbiter is None or slot.book_topic not in line.confirmed_ns or not tracked.joined:
            return True  # no book, or none whose continuity could be lost
        if arbiter.keeps(line.key):
            return at_once or arbiter.caught_up(line.key)
        # A quiet symbol brings nothing on either; if so for a while since the subscription, nothing lies between.
        quiet = now_ns - since_ns >= _OVERLAP_NS and slot.heard_ns < line.confirmed_ns[slot.book_topic]
        return quiet and not arbiter.waits(line.key)

    # -- messages

    def on_diff(self, slot: Slot, arbiter: Arbiter, line: int, diff: BookDiff, *, now_ns: int, wall_ns: int) -> Outcome:
        """Lock held. Only what moves the book forward says that it is fresh: the slower connection's copies do not."""
        outcome = arbiter.on_diff(line, diff, wall_ns)
        self._moved(slot, outcome, diff.last_id, diff.sequence, now_ns)
        return outcome

    def on_snapshot(
        self, slot: Slot, arbiter: Arbiter, line: int, snapshot: BookSnapshot, *, now_ns: int, wall_ns: int
    ) -> Outcome:
        """Lock held. The stream's own snapshot, after a subscription or when the venue wants to start anew."""
        outcome = arbiter.on_snapshot(snapshot, wall_ns, socket=line)
        self._moved(slot, outcome, snapshot.update_id, snapshot.sequence, now_ns)
        return outcome

    def _moved(self, slot: Slot, outcome: Outcome, update_id: int, sequence: int, now_ns: int) -> None:
        slot.newest_sequence = max(slot.newest_sequence, sequence)
        assert slot.tracked is not None, "only books have an arbiter"
        if outcome is Outcome.APPLIED:
            slot.heard_ns = slot.proved_ns = now_ns
            # Updates that waited for this one have followed it: then the book is where the newest is.
            slot.sequence = sequence if slot.tracked.update_id == update_id else slot.newest_sequence
        elif not slot.tracked.joined:
            slot.heard_ns = now_ns

    def overdue(self, now_ns: int) -> list[tuple[Slot, Told]]:
        """Trades that have waited for too long."""
        return [(slot, told) for slot in self._slots for told in slot.tape.overdue(now_ns)]


def rest_snapshot(slot: Slot, snapshot: BookSnapshot) -> None:
    """A snapshot over REST goes to the book itself; what waited for it to come this far follows. Lock held."""
    if slot.arbiter is not None:
        slot.arbiter.on_snapshot(snapshot, time.time_ns())
    elif slot.tracked is not None:
        slot.tracked.on_snapshot(snapshot, time.time_ns())
