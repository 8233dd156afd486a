"""The last minute of a book, exactly: what the control port judges with.

A journal of what every batch changed, with the quantities from before: the book at an older batch is the book of now
with those put back. A checkpoint now and then bounds how much has to be undone; both are dropped once they are older
than what is kept.
"""

from __future__ import annotations

from collections import deque
from decimal import Decimal
from itertools import islice
from typing import NamedTuple

from .engine import MatchingBook, RawChange

#: How far back the truth is known. At the limit the oldest batches are forgotten, and asking for them answers 410.
HISTORY_KEEP_NS = 75 * 1_000_000_000
#: Batches kept whatever their age: bounds memory at absurd event rates, at the price of a shorter memory.
HISTORY_BATCHES_MAX = 400_000
#: A checkpoint holds two whole sides (about 0.6 MB at 6,000 levels), so there are few of them.
CHECKPOINT_CHANGES = 60_000

Levels = list[tuple[Decimal, Decimal]]


class _Entry(NamedTuple):
    batch_id: int
    time_ns: int
    changes: list[RawChange]


class _Checkpoint(NamedTuple):
    batch_id: int
    bids: dict[int, int]
    asks: dict[int, int]


class _Ids(NamedTuple):
    """The update ids of one stream: to look one up, and in their order. The order is never empty."""

    batches: dict[int, int]
    order: deque[tuple[int, int]]


class History:
    """The journal of one book, and which batch each update id of each stream stood for."""

    def __init__(self, book: MatchingBook, keep_ns: int = HISTORY_KEEP_NS) -> None:
        self._book = book
        self._keep_ns = keep_ns
        self._entries: deque[_Entry] = deque()
        self._checkpoints: deque[_Checkpoint] = deque()
        self._since_checkpoint = 0
        self._newest = 0
        self._ids: dict[str, _Ids] = {}

    @property
    def newest(self) -> int:
        """The last batch, 0 before the first."""
        return self._newest

    @property
    def oldest(self) -> int:
        """The first batch at which the book can still be told."""
        return self._entries[0].batch_id - 1 if self._entries else self._newest

    def append(self, batch_id: int, time_ns: int, changes: list[RawChange]) -> None:
        """Keep a batch; batches are numbered without holes."""
        assert batch_id == self._newest + 1, "batches are journaled one by one"
        self._newest = batch_id
        self._entries.append(_Entry(batch_id, time_ns, changes))
        self._since_checkpoint += len(changes)
        if self._since_checkpoint >= CHECKPOINT_CHANGES:
            self._since_checkpoint = 0
            self._checkpoints.append(_Checkpoint(batch_id, self._book.totals(True), self._book.totals(False)))
        self._forget(time_ns)

    def _forget(self, now_ns: int) -> None:
        entries = self._entries
        horizon = now_ns - self._keep_ns
        while entries and (entries[0].time_ns < horizon or len(entries) > HISTORY_BATCHES_MAX):
            entries.popleft()
        while self._checkpoints and self._checkpoints[0].batch_id < self.oldest:
            self._checkpoints.popleft()

    def book_at(self, batch_id: int) -> tuple[Levels, Levels] | None:
        """The whole (bids, asks) right after a batch, best first; None if it is forgotten or yet to come."""
        if not self.oldest <= batch_id <= self._newest:
            return None
        base = next((point for point in self._checkpoints if point.batch_id >= batch_id), None)
        upto = base.batch_id if base else self._newest
        sides = (
            dict(base.asks) if base else self._book.totals(False),
            dict(base.bids) if base else self._book.totals(True),
        )
        before: dict[tuple[bool, int], int] = {}
        first = self._entries[0].batch_id if self._entries else 0
        for entry in islice(self._entries, batch_id + 1 - first, upto + 1 - first):
            for is_bid, price, old, _new in entry.changes:
                before.setdefault((is_bid, price), old)
        for (is_bid, price), old in before.items():
            if old:
                sides[is_bid][price] = old
            else:
                sides[is_bid].pop(price, None)
        return self._decimals(sides[True], True), self._decimals(sides[False], False)

    def _decimals(self, totals: dict[int, int], best_highest: bool) -> Levels:
        tick, step = self._book.tick, self._book.step
        return [(price * tick, totals[price] * step) for price in sorted(totals, reverse=best_highest)]

    def note(self, stream: str, update_id: int, batch_id: int) -> None:
        """Remember that `update_id` of `stream` (the venue's own numbering) is the book after `batch_id`."""
        ids = self._ids.get(stream)
        if ids is None:
            ids = self._ids[stream] = _Ids({}, deque())
        ids.batches[update_id] = batch_id
        ids.order.append((update_id, batch_id))
        oldest = self.oldest
        while ids.order[0][1] < oldest:
            forgotten, batch = ids.order.popleft()
            # A numbering that began anew may have noted the id again meanwhile.
            if ids.batches.get(forgotten) == batch:
                del ids.batches[forgotten]

    def find(self, stream: str, update_id: int) -> int | None:
        """The batch that an update id of a stream stood for; None if there was none, or it is forgotten."""
        ids = self._ids.get(stream)
        return ids.batches.get(update_id) if ids else None

    def last_id(self, stream: str) -> int | None:
        """The newest update id noted for a stream."""
        ids = self._ids.get(stream)
        return ids.order[-1][0] if ids else None

    def oldest_id(self, stream: str) -> int | None:
        """The oldest update id of a stream that is still known."""
        ids = self._ids.get(stream)
        return ids.order[0][0] if ids else None

    def batch_at(self, time_ns: int) -> int:
        """The last batch not after a time; the oldest known if the time is further back than that."""
        for entry in reversed(self._entries):
            if entry.time_ns <= time_ns:
                return entry.batch_id
        return self.oldest

    def id_at(self, stream: str, batch_id: int) -> int | None:
        """The update id of a stream that stood for a batch, or for the last one before it that has one."""
        ids = self._ids.get(stream)
        for update_id, noted in reversed(ids.order if ids else ()):
            if noted <= batch_id:
                return update_id
        return None
