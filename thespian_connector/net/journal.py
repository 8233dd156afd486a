"""A journal's own thread: commits what waits together, then says so, in order.

One sync to the disk serves every command that came while the last one ran.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from thespian_connector import limits
from thespian_connector.model.errors import ConnectorError, Fenced
from thespian_connector.orders.codec import encode
from thespian_connector.orders.events import Event
from thespian_connector.storage import Journal

#: Called on the journal's thread, with None when the events are durable, or with why they are not.
Done = Callable[[ConnectorError | None], None]


class _Entry(NamedTuple):
    events: Sequence[Event]
    done: Done


class JournalThread:
    """:param on_durable: (sequence number of the first, events, their bytes), before the `done` of each.
    :param on_failure: an unexpected exception, or another writer took the stream over: this process must not go on.
    """

    def __init__(
        self,
        journal: Journal,
        last: int,
        on_durable: Callable[[int, Sequence[Event], Sequence[bytes]], None],
        on_failure: Callable[[BaseException], None],
        *,
        time_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._journal = journal
        self._last = last
        self._on_durable = on_durable
        self._on_failure = on_failure
        self._time_ns = time_ns
        self._entries: queue.SimpleQueue[_Entry | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        #: Monotonic, of the commit at hand; 0: there is none.
        self.busy_since_ns = 0

    def start(self) -> None:
        self._thread.start()

    def write(self, events: Sequence[Event], done: Done) -> None:
        """From any thread: `done` is called when they are durable, all or none."""
        self._entries.put(_Entry(events, done))

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
                self._commit([entry for entry in batch if entry is not None])
                self.busy_since_ns = 0
            self._journal.close()
        except BaseException as error:  # noqa: BLE001 - whatever it was: the owner ends the process
            self._on_failure(error)

    def _commit(self, batch: list[_Entry]) -> None:
        events = [event for entry in batch for event in entry.events]
        bodies = [encode(event) for event in events]
        try:
            last = self._journal.append(bodies, self._time_ns())
        except Fenced:
            raise
        except ConnectorError as error:
            for entry in batch:
                entry.done(error)
            return
        if events:
            self._on_durable(self._last + 1, events, bodies)
        self._last = last
        for entry in batch:
            entry.done(None)
