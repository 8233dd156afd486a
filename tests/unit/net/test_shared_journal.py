"""Several threads that write one journal, and wait until it is durable."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from support.waiting import wait_until

from thespian_connector.model.errors import ConnectorError, Fenced, StoreError
from thespian_connector.net.journal import SharedJournal
from thespian_connector.orders.codec import encode
from thespian_connector.orders.events import CancelIntended, Event
from thespian_connector.storage import Journal, Snapshot

PATIENCE_S = 60.0


class Slow(Journal):
    """Each append waits to be let go; `errors` are what the next ones raise."""

    def __init__(self) -> None:
        self.batches: list[list[bytes]] = []
        self.errors: list[ConnectorError] = []
        self.begun = threading.Semaphore(0)
        self.go = threading.Semaphore(0)
        self.last = 0

    def append(self, bodies: Sequence[bytes], time_ns: int) -> int:
        self.begun.release()
        assert self.go.acquire(timeout=PATIENCE_S)
        if self.errors:
            raise self.errors.pop(0)
        self.batches.append(list(bodies))
        self.last += len(bodies)
        return self.last

    def snapshot(self, snapshot: Snapshot) -> None:
        raise AssertionError("only entries are written")

    def prune(self, keep: int, most: int) -> int:
        raise AssertionError("only entries are written")

    drop = prune

    def close(self) -> None:
        pass


def event(name: str) -> Event:
    return CancelIntended(client_order_id=name, operation_id=name, deadline_ns=1, recv_window_ns=1, time_ns=1)


class Writers:
    """One that writes, and others that came meanwhile."""

    def __init__(self, *names: str) -> None:
        self.journal = Slow()
        self.told: list[tuple[int, int]] = []
        self.shared = SharedJournal(self.journal, 0, lambda first, events, _: self.told.append((first, len(events))))
        self.pool = ThreadPoolExecutor(len(names))
        self.first = self.write(names[0])
        assert self.journal.begun.acquire(timeout=PATIENCE_S)
        self.others = [self.write(name) for name in names[1:]]
        wait_until(lambda: len(self.shared._waiting) == len(names) - 1, PATIENCE_S, "all wait")

    def write(self, name: str) -> Future[None]:
        return self.pool.submit(self.shared.write, [event(name)])

    def let_go(self, appends: int) -> None:
        for _ in range(appends):
            self.journal.go.release()
        self.pool.shutdown()


def outcome(future: Future[None]) -> type[BaseException] | None:
    error = future.exception(PATIENCE_S)
    return None if error is None else type(error)


def test_those_who_wait_are_written_by_one_of_them() -> None:
    writers = Writers("a", "b", "c", "d")
    writers.let_go(2)
    assert [outcome(one) for one in (writers.first, *writers.others)] == [None] * 4
    first, second = writers.journal.batches
    assert first == [encode(event("a"))]
    assert sorted(second) == sorted(encode(event(name)) for name in "bcd")
    assert writers.told == [(1, 1), (2, 3)]


def test_what_is_not_durable_is_told_to_each_and_the_next_is_written() -> None:
    writers = Writers("a", "b", "c")
    writers.journal.errors = [StoreError("the disk is full")]
    writers.let_go(2)
    assert outcome(writers.first) is StoreError
    assert [outcome(one) for one in writers.others] == [None, None]
    assert writers.told == [(1, 2)]


@pytest.mark.parametrize("cause", [Fenced, RuntimeError])
def test_after_what_ends_the_process_nobody_goes_on(cause: Callable[[str], ConnectorError]) -> None:
    writers = Writers("a", "b", "c")
    writers.journal.errors = [cause("another writer")]
    writers.let_go(2)
    assert outcome(writers.first) is cause
    assert [outcome(one) for one in writers.others] == [StoreError, StoreError]
    assert (writers.journal.batches, writers.told) == ([], [])
