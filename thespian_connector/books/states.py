"""What a tracked book answers and asks for."""

from __future__ import annotations

from enum import Enum

from msgspec import Struct


class Outcome(Enum):
    """What became of a message. APPLIED: it is in the book. BUFFERED: it waits for a snapshot (or, itself a snapshot,
    for the stream to reach it). IGNORED: the book has it already, or cannot use it. GAP: with it the book lost track.
    """

    APPLIED = "applied"
    BUFFERED = "buffered"
    IGNORED = "ignored"
    GAP = "gap"


class Wants(Enum):
    """What the owner must do for the book. SNAPSHOT: fetch one over REST, *after* the subscription is acknowledged.
    REFILL: the same, without hurry: the book is LIVE. RESUBSCRIBE: unsubscribe, subscribe, and call `restart`.
    """

    NOTHING = "nothing"
    SNAPSHOT = "snapshot"
    REFILL = "refill"
    RESUBSCRIBE = "resubscribe"


class Counts(Struct, kw_only=True):
    """Every update message is exactly once `applied` or `ignored`: it is ignored until it is in the book, so that those
    that wait for a snapshot move over when it comes. The message that revealed a gap is ignored too (until a snapshot
    joins it); each loss of continuity by a message, a malformed one included, is one of `gaps`. Snapshots are counted
    apart: `snapshots` were used, `snapshots_unused` were too old or malformed.
    """

    received: int = 0
    applied: int = 0
    gaps: int = 0
    malformed: int = 0
    crossed: int = 0
    exhausted: int = 0
    snapshots: int = 0
    snapshots_unused: int = 0

    @property
    def ignored(self) -> int:
        return self.received - self.applied
