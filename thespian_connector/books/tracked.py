"""One book of one venue and what is known about it: which update comes next, which levels are proved, what to trust.

The way of an update: `on_diff` asks the sequencer; APPLY changes the levels, STALE changes nothing, GAP makes the book
SUSPECT with that very message and drops continuity until a snapshot joins it again. Time is always an argument.

**A book whose snapshot comes over REST** (Binance, "How to manage a local order book correctly") keeps the updates that
come before its snapshot; the snapshot joins them if none between is missing (``U <= lastUpdateId + 1``; the recipe's
``U <= lastUpdateId <= u`` fails on an exact boundary), else another one is wanted. A snapshot proves its levels only:
a side that came as deep as was asked ends at a *bound*, and levels beyond it, though known when they change, are not
certified. When the price has walked until few certified levels are left, `wants` says REFILL; updates are then kept, so
that the new snapshot joins at its own id, and the two proofs together reach further, with no break in continuity.

**A book whose snapshot comes on the stream** (Bybit) is the best N levels: any snapshot, and any message with
``u == 1``, replaces it; all levels held are certified; those that fall out of the best N are forgotten.
"""

from __future__ import annotations

from collections import deque

from thespian_connector.limits import BOOK_BUFFER_DIFFS_MAX, BOOK_LEVELS_MAX
from thespian_connector.model import Trust
from thespian_connector.model.wire import BookDiff, BookSnapshot

from .book import PriceBook
from .join import Joined, join, unite
from .sequencer import Verdict, sequencer_for
from .states import Counts, Outcome, Wants
from .view import BookView


class TrackedBook(BookView):
    """The book of `symbol` on `exchange`, as fed by `stream`. One thread changes it, and nobody reads it meanwhile; any
    number of threads may read it while it stands still.

    :param sequencing: "range" or "step", the driver's ``sequencing.value``.
    :param depth: levels a side that readers are promised. A REST book refills before it has fewer certified ones; a
        stream book whose snapshots do not say their limit is cut to it. 0: no promise.
    :param buffer_max: updates kept while waiting for a snapshot; at the limit the oldest go.
    """

    def __init__(
        self,
        exchange: str,
        symbol: str,
        stream: str,
        *,
        sequencing: str,
        snapshot_by_rest: bool,
        depth: int,
        buffer_max: int = BOOK_BUFFER_DIFFS_MAX,
    ) -> None:
        super().__init__(exchange, symbol, stream)
        self.wants = Wants.SNAPSHOT if snapshot_by_rest else Wants.NOTHING
        self.counts = Counts()
        #: The levels and the sequencer's id belong together, and every update since is in: the next one can follow.
        self.joined = False
        self._by_rest, self._depth = snapshot_by_rest, depth
        self._sequencer = sequencer_for(sequencing)
        self._renumbers = sequencing == "step"
        #: The stream has shown (or the owner vouched) that it began before the snapshot.
        self._proved = False
        self._exhausted = False
        self._disconnected = False
        #: Before the join: all updates. After it, while a refill is under way: those behind `_kept_from`.
        self._kept: deque[BookDiff] = deque(maxlen=buffer_max)
        self._keeping = snapshot_by_rest
        self._kept_from = 0
        #: A refill that the stream has not reached yet.
        self._ahead: BookSnapshot | None = None
        self._levels_max = depth
        self._levels_low = 1
        self._had_sides = (False, False)

    # -- what comes in

    def on_diff(self, diff: BookDiff, now_ns: int) -> Outcome:
        """Take the next update of the stream."""
        counts = self.counts
        counts.received += 1
        if self._renumbers and diff.last_id == 1:
            return self._on_restart_diff(diff, now_ns)
        if not self.joined:
            return self._keep(diff)
        verdict = self._sequencer.check(diff.first_id, diff.last_id)
        if verdict is Verdict.APPLY:
            try:
                self._book.apply(diff.bids, diff.asks)
            except ValueError as error:
                counts.malformed += 1
                return self._lose(now_ns, f"malformed update: {error}")
            counts.applied += 1
            self.update_id = diff.last_id
            self.received_time_ns = now_ns
            self.venue_time_ns = diff.venue_time_ns
            if self._keeping:
                self._keep(diff)
            if self._settle(now_ns) and self.trust is not Trust.LIVE:
                self._prove(now_ns)
            return Outcome.APPLIED
        if verdict is Verdict.STALE:
            self._prove(now_ns)
            return Outcome.IGNORED
        self._lose(now_ns, f"gap: expected update {self.update_id + 1}, got {diff.first_id}")
        self._keep(diff)
        return Outcome.GAP

    def on_snapshot(self, snapshot: BookSnapshot, now_ns: int, *, subscribed: bool = True) -> Outcome:
        """Take a whole book. A REST book joins it to its stream; a stream book is replaced by it.

        :param subscribed: the stream's subscription was acknowledged before this snapshot was asked for. If not, the
            book is not LIVE until an update shows that it follows: a quiet stream might hide a gap for minutes.
        """
        if self._disconnected:
            self.counts.snapshots_unused += 1
            return Outcome.IGNORED
        if not self._by_rest:
            return self._replace(snapshot, now_ns)
        if self.joined:
            return self._refill(snapshot, now_ns)
        kept = sorted(self._kept, key=_ids)
        joined = join(snapshot, kept, self._sequencer)
        self._kept.clear()
        if joined.book is None:
            self._kept.extend(kept[joined.useless :])
            return self._unused(joined)
        self.counts.applied += joined.applied
        self._proved = subscribed or joined.followed
        self._adopt(joined.book, joined, now_ns, snapshot.limit)
        self._resynced(now_ns)
        return Outcome.APPLIED

    def on_disconnect(self, now_ns: int) -> None:
        """The socket is gone. Levels stay shown, marked; nothing joins them before `restart`."""
        self._drop_continuity()
        self._disconnected = True
        self.wants = Wants.NOTHING
        if self.trust is Trust.LIVE:
            self._set(Trust.STALE, "disconnected", now_ns)

    def restart(self, now_ns: int) -> None:
        """The stream was subscribed (again): what comes now need not follow what came before.

        The owner drops the answer of a snapshot request that it made before, or passes it with ``subscribed=False``.
        """
        self._drop_continuity()
        self._disconnected = False
        self.wants = Wants.SNAPSHOT if self._by_rest else Wants.NOTHING
        if self.trust is Trust.LIVE:
            self._set(Trust.STALE, "resubscribed, no snapshot yet", now_ns)

    def mark_stale(self, now_ns: int, reason: str) -> None:
        """Freshness can no longer be proved. The next update that follows, or `mark_verified`, ends it."""
        if self.trust is Trust.LIVE:
            self._set(Trust.STALE, reason, now_ns)

    def mark_verified(self, now_ns: int) -> None:
        """The venue itself showed that the book is not behind. A book that lost track stays what it is."""
        if self.joined:
            self.verified_at_ns = now_ns
            self._prove(now_ns)

    def mark_suspect(self, now_ns: int, reason: str) -> None:
        """Something outside shows that the book misses updates (it is behind the venue): resync."""
        self._distrust(now_ns, reason)

    def tidy(self) -> None:
        """Make the reads that follow as cheap as can be. It changes the book's inside, as `on_diff` does."""
        self._book.bids.sweep()
        self._book.asks.sweep()

    # -- joining

    def _keep(self, diff: BookDiff) -> Outcome:
        """Keep an update for a snapshot to come; a stream book has no use for it."""
        if not self._by_rest:
            return Outcome.IGNORED
        if len(self._kept) == self._kept.maxlen:
            self._kept_from = self._kept[0].last_id
        self._kept.append(diff)
        return Outcome.BUFFERED

    def _on_restart_diff(self, diff: BookDiff, now_ns: int) -> Outcome:
        """Bybit: ``u == 1`` is the whole book after a restart of the service, whatever the message calls itself."""
        limit, venue_time_ns = self._levels_max, diff.venue_time_ns
        outcome = self._replace(
            BookSnapshot(diff.native, diff.stream, diff.last_id, diff.bids, diff.asks, limit, venue_time_ns), now_ns
        )
        if outcome is Outcome.APPLIED:
            self.counts.applied += 1
        return outcome

    def _replace(self, snapshot: BookSnapshot, now_ns: int) -> Outcome:
        book = PriceBook()
        try:
            book.replace(snapshot.bids, snapshot.asks)
        except ValueError as error:
            self.counts.malformed += 1
            self.counts.snapshots_unused += 1
            return self._lose(now_ns, f"malformed snapshot: {error}")
        self._proved = True
        self._had_sides = bool(book.bids.keys), bool(book.asks.keys)
        joined = Joined(book=book, update_id=snapshot.update_id, venue_time_ns=snapshot.venue_time_ns)
        self._adopt(book, joined, now_ns, snapshot.limit)
        self._resynced(now_ns)
        return Outcome.APPLIED

    def _refill(self, snapshot: BookSnapshot, now_ns: int) -> Outcome:
        """A snapshot for a book that follows its stream: at its own id, it proves more levels."""
        if snapshot.update_id > self.update_id:
            self._start_keeping()
            self._ahead = snapshot
            self.wants = Wants.NOTHING
            return Outcome.BUFFERED
        if snapshot.update_id < (self._kept_from if self._keeping else self.update_id):
            self.counts.snapshots_unused += 1
            return Outcome.IGNORED
        joined = join(snapshot, self._kept, type(self._sequencer)())
        if joined.book is None:
            return self._unused(joined)
        assert joined.update_id == self.update_id, "the kept updates end where the book does"
        unite(joined.book, self._book)
        self._adopt(joined.book, joined, now_ns, snapshot.limit)
        if self._exhausted:
            self._resynced(now_ns)
        else:
            self.wants = Wants.NOTHING
            self._settle(now_ns)
        return Outcome.APPLIED

    def _unused(self, joined: Joined) -> Outcome:
        counts = self.counts
        counts.snapshots_unused += 1
        if joined.malformed:
            counts.malformed += 1
            self.reason = joined.malformed
        if joined.applied or (joined.malformed and joined.useless):
            counts.gaps += 1
            return Outcome.GAP
        return Outcome.IGNORED

    def _adopt(self, book: PriceBook, joined: Joined, now_ns: int, limit: int) -> None:
        self._book = book
        book.bids.spare = book.asks.spare = -1
        self._sequencer.start(joined.update_id)
        self.update_id = joined.update_id
        self.venue_time_ns = joined.venue_time_ns or self.venue_time_ns
        self.received_time_ns = self.verified_at_ns = now_ns
        self.joined = True
        self.counts.snapshots += 1
        self._stop_keeping()
        if self._by_rest:
            self._levels_low = max(1, limit // 4, min(self._depth, limit // 2))
        else:
            self._levels_max = limit or self._depth

    def _start_keeping(self) -> None:
        if not self._keeping:
            self._keeping = True
            self._kept_from = self.update_id

    def _stop_keeping(self) -> None:
        self._kept.clear()
        self._keeping = False
        self._ahead = None

    # -- trust

    def _resynced(self, now_ns: int) -> None:
        self.span += 1
        self._exhausted = False
        self.wants = Wants.NOTHING
        self.reason = "no update that follows the snapshot yet"
        if self._settle(now_ns) and self._proved:
            self._prove(now_ns)

    def _settle(self, now_ns: int) -> bool:
        """After every change of the levels: whether the book is still possible, and what it needs."""
        book = self._book
        bids, asks = book.bids, book.asks
        if book.crossed():
            self.counts.crossed += 1
            self._distrust(now_ns, f"crossed at update {self.update_id}")
            return False
        if not self._by_rest:
            return self._cut(now_ns)
        if bids.spare < 0 or asks.spare < 0:
            bids.cap(BOOK_LEVELS_MAX)
            asks.cap(BOOK_LEVELS_MAX)
            low = self._levels_low
            if not (bids.proves(low) & asks.proves(low)):
                self._run_low(now_ns)
        if self._ahead is not None and self.update_id >= self._ahead.update_id:
            self._refill(self._ahead, now_ns)
        return self.joined

    def _cut(self, now_ns: int) -> bool:
        """Keep a stream book to its best levels. Bybit: a book that became empty after a message must be resynced."""
        bids, asks = self._book.bids, self._book.asks
        levels_max = self._levels_max
        if levels_max:
            if len(bids.keys) > levels_max:
                bids.trim(levels_max)
            if len(asks.keys) > levels_max:
                asks.trim(levels_max)
        had_bids, had_asks = self._had_sides
        if (had_bids and not bids.keys) or (had_asks and not asks.keys):
            self._distrust(now_ns, f"a side became empty at update {self.update_id}")
            return False
        return True

    def _run_low(self, now_ns: int) -> None:
        """Few certified levels are left on some side, or none."""
        book = self._book
        if not (book.bids.proves(1) and book.asks.proves(1)):
            if not self._exhausted:
                self._exhausted = True
                self.counts.exhausted += 1
                if self.trust is not Trust.SYNCING:
                    self._set(Trust.SUSPECT, "the price left the levels that the snapshot proved", now_ns)
            wanted = Wants.SNAPSHOT
        else:
            wanted = Wants.SNAPSHOT if self._exhausted else Wants.REFILL
        self._start_keeping()
        self.wants = Wants.NOTHING if self._ahead is not None else wanted

    def _prove(self, now_ns: int) -> None:
        """The stream is known to follow the levels."""
        self._proved = True
        if self.trust is not Trust.LIVE and not self._exhausted:
            self._set(Trust.LIVE, "", now_ns)

    def _lose(self, now_ns: int, reason: str) -> Outcome:
        self.counts.gaps += 1
        self._distrust(now_ns, reason)
        return Outcome.GAP

    def _distrust(self, now_ns: int, reason: str) -> None:
        self._drop_continuity()
        self._set(self.trust if self.trust is Trust.SYNCING else Trust.SUSPECT, reason, now_ns)
        self.wants = Wants.SNAPSHOT if self._by_rest else Wants.RESUBSCRIBE

    def _drop_continuity(self) -> None:
        self.joined = self._proved = self._exhausted = False
        self._sequencer.reset()
        self._kept.clear()
        self._keeping = self._by_rest
        self._ahead = None

    def _set(self, trust: Trust, reason: str, now_ns: int) -> None:
        if trust is not self.trust:
            self.trust, self.since_ns = trust, now_ns
        self.reason = reason


def _ids(diff: BookDiff) -> tuple[int, int]:
    return diff.first_id, diff.last_id
