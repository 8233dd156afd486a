"""Whether an update follows: one small type for each way that venues number their book updates.

A sequencer belongs to one book on one socket. It knows the last update id that is in the book and answers, for the ids
of the next message, one of three: apply, stale, gap. It never repairs anything; what a gap means is the book's matter.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from enum import Enum


class Verdict(Enum):
    """APPLY: the update follows. STALE: all of it is in the book already. GAP: at least one update is missing."""

    APPLY = "apply"
    STALE = "stale"
    GAP = "gap"


_APPLY, _STALE, _GAP = Verdict.APPLY, Verdict.STALE, Verdict.GAP
#: `last_id` of a sequencer that was not started: every update is a gap.
NOT_STARTED = -1


class Sequencer(ABC):
    """Base of both. `last_id` is the id of the last update in the book, NOT_STARTED before the first snapshot."""

    __slots__ = ("last_id",)

    def __init__(self) -> None:
        self.last_id = NOT_STARTED

    def start(self, update_id: int) -> None:
        """A snapshot of that id is the book now."""
        self.last_id = update_id

    def reset(self) -> None:
        """Continuity is lost: nothing follows until :meth:`start`."""
        self.last_id = NOT_STARTED

    @abstractmethod
    def check(self, first_id: int, last_id: int) -> Verdict:
        """What to do with an update that spans `first_id` to `last_id`. APPLY moves on to `last_id`."""


class RangeSequencer(Sequencer):
    """Binance: an event spans U..u; events may overlap the snapshot, and after it each U is the last u plus one.

    Only ``U > last + 1`` is a gap ("How to manage a local order book correctly"): an event that ended exactly on the
    snapshot's id makes the next one start right behind it, so that none need *contain* the id. An overlapping event
    (``U <= last < u``) applies, because its quantities are absolute and are those at u.
    """

    __slots__ = ()

    def check(self, first_id: int, last_id: int) -> Verdict:
        last = self.last_id
        if last < 0 or first_id > last + 1:
            return _GAP
        if last_id <= last:
            return _STALE
        self.last_id = last_id
        return _APPLY


class StepSequencer(Sequencer):
    """Bybit: each message's u is the last one's plus one. ``seq`` jumps by design and says nothing about gaps.

    ``u == 1`` means that the service began anew; such a message *replaces* the book and never comes to `check`.
    """

    __slots__ = ()

    def check(self, first_id: int, last_id: int) -> Verdict:
        last = self.last_id
        if last < 0 or first_id > last + 1:
            return _GAP
        if last_id <= last:
            return _STALE
        if first_id <= last:  # part of it is in the book already: steps do not overlap, so the numbering is not ours
            return _GAP
        self.last_id = last_id
        return _APPLY


def sequencer_for(kind: str) -> Sequencer:
    """The sequencer of a venue; `kind` is the value of its driver's ``sequencing``: "range" or "step".

    :raises ValueError: no such kind.
    """
    if kind == "range":
        return RangeSequencer()
    if kind == "step":
        return StepSequencer()
    raise ValueError(f"sequencing: {kind!r} is not one of range, step")
