"""One book fed by two sockets (or more): a rotation's old and new one, or two kept open for redundancy.

Each socket has a *run*: the unbroken ids that it delivered. A socket keeps the book contiguous if its run reaches back
to the book's last update, for then everything that the book lacks has come or will come on it. From this all follows:

- an update that follows the book is applied, whichever socket brings it first; the other's copy is stale;
- an update ahead of the book waits as long as some other socket keeps the book; only when none does is it a gap;
- a snapshot on the stream starts its socket's run. It replaces the book only if no other socket keeps it, so that it
  never moves back (nor jumps ahead) a book that is whole; but a book of one level is whole in every message, and takes
  the newest, whichever socket brings it;
- Bybit's ``u == 1`` starts new numbering on its socket (an *epoch*); such a snapshot waits in the same way, until the
  other socket starts anew too, closes, or has been silent for too long.
"""

from __future__ import annotations

from collections import deque

from thespian_connector.limits import ARBITER_DIFFS_MAX, ARBITER_WAIT_NS
from thespian_connector.model.wire import BookDiff, BookSnapshot

from .states import Outcome
from .tracked import TrackedBook


class _Socket:
    """What one socket delivered. The run is empty while `last_id` is None."""

    __slots__ = ("ahead", "epoch", "first_id", "last_id", "snapshot", "waits_since_ns")

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch
        self.first_id = 0
        self.last_id: int | None = None
        #: A snapshot that may not replace the book yet, and the updates that are ahead of the book.
        self.snapshot: BookSnapshot | None = None
        self.ahead: deque[BookDiff] = deque(maxlen=ARBITER_DIFFS_MAX)
        self.waits_since_ns: int | None = None

    def extend(self, first_id: int, last_id: int) -> None:
        if self.last_id is None or first_id > self.last_id + 1:
            self.first_id = first_id
            self.ahead.clear()
        self.last_id = last_id if self.last_id is None else max(last_id, self.last_id)

    def hold(self, diff: BookDiff, now_ns: int) -> None:
        """Keep an update until the book has come this far. What is pushed out is no longer part of the run."""
        self.ahead.append(diff)
        self.first_id = max(self.first_id, self.ahead[0].first_id)
        if self.waits_since_ns is None:
            self.waits_since_ns = now_ns

    def begin(self, snapshot: BookSnapshot) -> None:
        """A snapshot of the stream: the run goes on from its id."""
        self.first_id, self.last_id = snapshot.update_id + 1, snapshot.update_id
        self.ahead.clear()
        self.snapshot = None

    def settle(self) -> None:
        """Nothing waits any more."""
        self.snapshot = None
        self.ahead.clear()
        self.waits_since_ns = None


class Arbiter:
    """Feeds `book` from several sockets, named by any integer. Pure: times come as arguments, sockets are the caller's.

    :param snapshot_by_rest: as the book's: snapshots come by `on_snapshot` without a socket.
    """

    def __init__(self, book: TrackedBook, *, snapshot_by_rest: bool) -> None:
        self.book = book
        self._by_rest = snapshot_by_rest
        self._sockets: dict[int, _Socket] = {}
        self._epoch = 0

    @property
    def sockets(self) -> tuple[int, ...]:
        return tuple(self._sockets)

    def open(self, socket: int, now_ns: int) -> None:
        """`socket` has subscribed the book (for a second time: resubscribed it). The first one restarts the book."""
        others = [state for key, state in self._sockets.items() if key != socket]
        self._sockets[socket] = _Socket(max([self._epoch, *(other.epoch for other in others)]))
        if not others or not (self._by_rest or self.book.joined):
            self.book.restart(now_ns)

    def adopt(self, socket: int) -> None:
        """`socket` is subscribed already and has fed the book without us."""
        state = self._sockets[socket] = _Socket(self._epoch)
        if self.book.joined:
            state.first_id, state.last_id = self.book.update_id + 1, self.book.update_id

    def close(self, socket: int, now_ns: int, *, whole: bool = True) -> None:
        """`socket` is gone. What another one holds takes over; with none left the book is STALE.

        :param whole: a remaining socket that has delivered nothing yet (a quiet symbol) had been subscribed well
            before, so that it keeps the book whole: should an update have been lost between the two after all, the
            next one's ids tell. If not, the book starts anew with what that socket brings.
        """
        self._sockets.pop(socket, None)
        if not self._sockets:
            self.book.on_disconnect(now_ns)
        elif self._any_keeps():
            return
        elif any(other.waits_since_ns is not None for other in self._sockets.values()):
            self._promote(now_ns)
        elif not whole and self.book.joined:
            self.book.restart(now_ns)

    def keeps(self, socket: int) -> bool:
        """Whether `socket` has brought, or will bring, everything that the book still lacks."""
        return socket in self._sockets and self._keeps(socket)

    def waits(self, socket: int) -> bool:
        """Whether what `socket` brought is ahead of the book."""
        state = self._sockets.get(socket)
        return state is not None and state.waits_since_ns is not None

    def caught_up(self, socket: int) -> bool:
        """Whether `socket` alone would do: it keeps the book and is at or past its last update."""
        state = self._sockets.get(socket)
        if state is None or state.last_id is None:
            return False
        return self._keeps(socket) and state.last_id >= self.book.update_id

    def on_diff(self, socket: int, diff: BookDiff, now_ns: int) -> Outcome:
        """Take an update from `socket`.

        :raises KeyError: the socket was not opened.
        """
        state = self._sockets[socket]
        book = self.book
        if not self._by_rest and diff.last_id == 1:  # Bybit: the whole book after a restart, whatever it calls itself
            whole = BookSnapshot(diff.native, diff.stream, 1, diff.bids, diff.asks, 0, diff.venue_time_ns)
            return self.on_snapshot(whole, now_ns, socket=socket)
        state.extend(diff.first_id, diff.last_id)
        if len(self._sockets) == 1 and state.waits_since_ns is None:
            outcome = book.on_diff(diff, now_ns)
            if not book.joined and not self._by_rest:
                state.last_id = None  # it is not in the book, nor kept: nothing may be built on this run
            return outcome
        if not book.joined and not self._by_rest:
            state.hold(diff, now_ns)  # the snapshot may come on the other socket
            return Outcome.BUFFERED
        if state.epoch < self._epoch:  # still counts as before the service's restart, which the book has followed
            return Outcome.IGNORED
        if state.epoch > self._epoch or (book.joined and diff.first_id > book.update_id + 1):
            if self._kept_by_other(socket):
                return self._wait(state, diff, now_ns)
            if state.snapshot is not None:
                state.hold(diff, now_ns)
                return self._promote(now_ns)
        if book.joined and diff.last_id <= book.update_id:
            book.counts.received += 1
            return Outcome.IGNORED  # the other's copy came first, and what is late does not show that the book is fresh
        outcome = book.on_diff(diff, now_ns)
        if outcome is Outcome.APPLIED:
            self._catch_up(now_ns)
        elif outcome is Outcome.GAP and not self._by_rest:
            state.hold(diff, now_ns)
        return outcome

    def on_snapshot(
        self, snapshot: BookSnapshot, now_ns: int, *, socket: int | None = None, subscribed: bool = True
    ) -> Outcome:
        """Take a snapshot: from the stream of `socket`, or over REST (None), which goes to the book as it is.

        :raises KeyError: the socket was not opened.
        """
        if socket is None:
            outcome = self.book.on_snapshot(snapshot, now_ns, subscribed=subscribed)
            self._catch_up(now_ns)
            return outcome
        state = self._sockets[socket]
        renumbered = state.last_id is not None and snapshot.update_id < state.last_id
        state.begin(snapshot)
        if renumbered:
            state.epoch += 1
        newest = snapshot.limit == 1 and state.epoch == self._epoch and snapshot.update_id > self.book.update_id
        if newest or not self.book.joined or not self._kept_by_other(socket):
            self._epoch = state.epoch
            return self._take(state, snapshot, now_ns)
        if state.epoch == self._epoch and snapshot.update_id <= self.book.update_id:
            state.settle()
            return Outcome.IGNORED
        state.snapshot = snapshot
        if state.waits_since_ns is None:
            state.waits_since_ns = now_ns
        return Outcome.BUFFERED

    # -- inside

    def _keeps(self, socket: int) -> bool:
        state = self._sockets[socket]
        return (
            self.book.joined
            and state.epoch == self._epoch
            and state.last_id is not None
            and state.first_id <= self.book.update_id + 1
        )

    def _kept_by_other(self, socket: int) -> bool:
        return any(key != socket and self._keeps(key) for key in self._sockets)

    def _any_keeps(self) -> bool:
        return any(map(self._keeps, self._sockets))

    def _wait(self, state: _Socket, diff: BookDiff, now_ns: int) -> Outcome:
        """Another socket will bring what is missing. If it does not in time, it is the one that is broken."""
        state.hold(diff, now_ns)
        assert state.waits_since_ns is not None, "it waits now, if it did not before"
        if now_ns - state.waits_since_ns > ARBITER_WAIT_NS:
            return self._promote(now_ns)
        return Outcome.BUFFERED

    def _take(self, state: _Socket, snapshot: BookSnapshot, now_ns: int) -> Outcome:
        outcome = self.book.on_snapshot(snapshot, now_ns)
        state.settle()
        self._catch_up(now_ns)
        return outcome

    def _promote(self, now_ns: int) -> Outcome:
        """Nothing keeps the book: the socket that waits and is furthest ahead becomes its source."""
        waiting = [state for state in self._sockets.values() if state.waits_since_ns is not None]
        state = max(waiting, key=lambda other: (other.epoch, other.last_id or 0))
        self._epoch = state.epoch
        outcome = Outcome.IGNORED
        if state.snapshot is not None:
            outcome = self.book.on_snapshot(state.snapshot, now_ns)
        diffs = list(state.ahead)
        state.settle()
        for diff in diffs:  # without a snapshot the first of them is the gap, and the rest wait for the new one
            fate = self.book.on_diff(diff, now_ns)
            outcome = Outcome.GAP if Outcome.GAP in (outcome, fate) else fate
        if not self.book.joined and not self._by_rest:
            for diff in diffs:
                state.hold(diff, now_ns)
        self._catch_up(now_ns)
        return outcome

    def _catch_up(self, now_ns: int) -> None:
        """The book has moved: updates that waited for it to come this far follow now."""
        book = self.book
        for state in self._sockets.values():
            if state.waits_since_ns is None or state.epoch != self._epoch:
                continue
            if state.snapshot is not None:
                if state.snapshot.update_id > book.update_id:
                    continue
                state.snapshot = None
            while state.ahead and book.joined and state.ahead[0].first_id <= book.update_id + 1:
                book.on_diff(state.ahead.popleft(), now_ns)
            if not state.ahead:
                state.waits_since_ns = None
