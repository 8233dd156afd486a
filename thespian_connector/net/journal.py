"""Writing a journal from several threads: what waits together is committed together, in order.

One sync to the disk serves every command that came while the last one ran.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

from thespian_connector import limits
from thespian_connector.model.errors import ConnectorError, Fenced, StoreError
from thespian_connector.orders.codec import encode
from thespian_connector.orders.events import Event
from thespian_connector.storage import Journal

#: (sequence number of the first, events, their bytes) of each commit.
OnDurable = Callable[[int, Sequence[Event], Sequence[bytes]], None]
#: Called on the journal's thread, with None when the events are durable, or with why they are not.
Done = Callable[[ConnectorError | None], None]
#: Something else that the journal's thread does with it.
Between = Callable[[Journal], None]


class _Writer:
    """Of one thread at a time."""

    def __init__(self, journal: Journal, last: int, on_durable: OnDurable, time_ns: Callable[[], int]) -> None:
        self._journal = journal
        self._last = last
        self._on_durable = on_durable
        self._time_ns = time_ns
        self.close = journal.close

    def write(self, events: Sequence[Event]) -> ConnectorError | None:
        """None: they are durable. Else why none of them is.

        :raises Fenced: another writer took the stream over.
        """
        bodies = [encode(event) for event in events]
        try:
            last = self._journal.append(bodies, self._time_ns())
        except Fenced:
            raise
        except ConnectorError as error:
            return error
        if events:
            self._on_durable(self._last + 1, events, bodies)
        self._last = last
        return None


class _Waiting:
    """Events that a thread waits for."""

    def __init__(self, events: Sequence[Event]) -> None:
        self.events = events
        self.written = False
        self.error: ConnectorError | None = None


class SharedJournal:
    """For threads that wait until what they write is durable: whose turn it is writes what the others have, too. So
    that alone, which is the usual thing, none waits for another thread.

    :param on_durable: called before those go on whose events they are.
    """

    def __init__(
        self, journal: Journal, last: int, on_durable: OnDurable, *, time_ns: Callable[[], int] = time.time_ns
    ) -> None:
        self._writer = _Writer(journal, last, on_durable, time_ns)
        self._turn = threading.Lock()
        self._waiting: deque[_Waiting] = deque()
        self._closed = False
        #: Monotonic, of the commit at hand; 0: there is none.
        self.busy_since_ns = 0

    def write(self, events: Sequence[Event]) -> None:
        """Returns when they are durable, all of them.

        :raises Fenced: another writer took the stream over: this process must not go on.
        :raises ConnectorError: none of them is.
        """
        mine = _Waiting(events)
        self._waiting.append(mine)
        with self._turn:
            if not mine.written:
                self._commit()
        if mine.error is not None:
            raise mine.error

    def _commit(self) -> None:
        batch: list[_Waiting] = []
        while self._waiting and len(batch) < limits.JOURNAL_BATCH_MAX:
            batch.append(self._waiting.popleft())
        self.busy_since_ns = time.monotonic_ns()
        error: ConnectorError | None = StoreError("the journal is closed: the process ends")
        try:
            if not self._closed:
                error = self._writer.write([event for one in batch for event in one.events])
        except BaseException:
            self._closed = True  # nobody goes on as if it were written
            raise
        finally:
            for one in batch:
                one.written, one.error = True, error
            self.busy_since_ns = 0

    def close(self, timeout_s: float) -> None:
        """After the commit at hand, if that is quick."""
        if self._turn.acquire(timeout=timeout_s):
            self._closed = True
            self._writer.close()
            self._turn.release()


class _Entry(NamedTuple):
    events: Sequence[Event]
    done: Done


class JournalThread:
    """For a thread that must not wait.

    :param on_durable: called before the `done` of each.
    :param on_failure: an unexpected exception, or another writer took the stream over: this process must not go on.
    """

    def __init__(
        self,
        journal: Journal,
        last: int,
        on_durable: OnDurable,
        on_failure: Callable[[BaseException], None],
        *,
        time_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._journal = journal
        self._writer = _Writer(journal, last, on_durable, time_ns)
        self._on_failure = on_failure
        self._entries: queue.SimpleQueue[_Entry | Between | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        #: Monotonic, of the commit at hand; 0: there is none.
        self.busy_since_ns = 0

    def start(self) -> None:
        self._thread.start()

    def write(self, events: Sequence[Event], done: Done) -> None:
        """From any thread: `done` is called when they are durable, all or none."""
        self._entries.put(_Entry(events, done))

    def between(self, work: Between) -> None:
        """From any thread: `work` is done between two commits, on the journal's thread."""
        self._entries.put(work)

    def stop(self, timeout_s: float) -> None:
        """What waits is written first."""
        self._entries.put(None)
        self._thread.join(timeout_s)

    def _run(self) -> None:
        try:
            ending = False
            while not ending:
                first = self._entries.get()
                self.busy_since_ns = time.monotonic_ns()
                batch = [first]
                while len(batch) < limits.JOURNAL_BATCH_MAX and not self._entries.empty():
                    batch.append(self._entries.get())
                ending = None in batch
                self._commit([entry for entry in batch if isinstance(entry, _Entry)])
                for work in batch:
                    if work is not None and not isinstance(work, _Entry):
                        work(self._journal)
                self.busy_since_ns = 0
            self._writer.close()
        except BaseException as error:  # noqa: BLE001 - whatever it was: the owner ends the process
            self._on_failure(error)

    def _commit(self, batch: list[_Entry]) -> None:
        error = self._writer.write([event for entry in batch for event in entry.events])
        for entry in batch:
            entry.done(error)
