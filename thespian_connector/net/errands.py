"""What a reading thread must not wait for, done on other threads: REST reads, name resolution, connecting."""

from __future__ import annotations

import os
import queue
import threading
from collections import deque
from collections.abc import Callable
from typing import TypeVar

from .socket import Cancelled, StreamSocket

T = TypeVar("T")


class Mailbox:
    """Work for the owner's thread, put in by any thread; `wake_fd` is readable while there is some."""

    def __init__(self) -> None:
        self.wake_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._items: deque[Callable[[], None]] = deque()
        self._lock = threading.Lock()
        self._closed = False

    def put(self, item: Callable[[], None]) -> bool:
        """False: nobody will ever run it, the owner is gone."""
        with self._lock:
            if self._closed:
                return False
            self._items.append(item)
            os.eventfd_write(self.wake_fd, 1)
            return True

    def wake(self) -> None:
        with self._lock:
            if not self._closed:
                os.eventfd_write(self.wake_fd, 1)

    @property
    def waiting(self) -> bool:
        return bool(self._items)

    def run(self) -> None:
        """Owner only: run what is there."""
        try:
            os.eventfd_read(self.wake_fd)
        except BlockingIOError:
            return
        while self._items:
            self._items.popleft()()

    def close(self) -> None:
        with self._lock:
            self._closed = True
            self._items.clear()
            os.close(self.wake_fd)


class Errands:
    """One thread that runs one job at a time and hands the result to the owner's mailbox."""

    def __init__(self, name: str, mailbox: Mailbox) -> None:
        self.busy = False
        self._mailbox = mailbox
        self._jobs: queue.SimpleQueue[Callable[[], Callable[[], None]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def run(self, job: Callable[[], T], done: Callable[[T | BaseException], None]) -> None:
        """Owner's thread: do `job` elsewhere, then `done` with its result or what it raised, here."""
        assert not self.busy, "one errand at a time"
        self.busy = True

        def finish(result: T | BaseException) -> None:
            self.busy = False
            done(result)

        def work() -> Callable[[], None]:
            try:
                result: T | BaseException = job()
            except BaseException as error:  # noqa: BLE001  # handed to the owner, who knows which errors to expect
                return lambda failure=error: finish(failure)  # type: ignore[misc]  # binds the error past its block
            return lambda: finish(result)

        self._jobs.put(work)

    def _work(self) -> None:
        while True:
            job = self._jobs.get()
            if job is None:
                return
            if not self._mailbox.put(job()):
                return

    def stop(self, timeout_s: float) -> bool:
        """Ends after the job that runs; False if that takes longer."""
        self._jobs.put(None)
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()


class Dial:
    """One attempt to connect, on a thread of its own; `done` gets the socket or the error on the owner's thread."""

    def __init__(
        self,
        name: str,
        mailbox: Mailbox,
        connect: Callable[[int], StreamSocket],
        done: Callable[[StreamSocket | BaseException], None],
    ) -> None:
        self._mailbox = mailbox
        self._connect = connect
        self._done = done
        self._cancel_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._lock = threading.Lock()
        self._over = False
        self._cancelled = False
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def _work(self) -> None:
        result: StreamSocket | BaseException
        try:
            result = self._connect(self._cancel_fd)
        except BaseException as error:  # noqa: BLE001  # handed to the owner, who knows which errors to expect
            result = error
        with self._lock:
            self._over = True
            os.close(self._cancel_fd)
        if isinstance(result, Cancelled):
            return
        if not self._mailbox.put(lambda: self._hand_over(result)) and isinstance(result, StreamSocket):
            result.close()

    def _hand_over(self, result: StreamSocket | BaseException) -> None:
        if self._cancelled:
            if isinstance(result, StreamSocket):
                result.close()
            return
        self._done(result)

    def cancel(self, timeout_s: float) -> bool:
        """Owner only: give it up. False if the thread still hangs (only a name's resolution cannot be interrupted)."""
        with self._lock:
            self._cancelled = True
            if not self._over:
                os.eventfd_write(self._cancel_fd, 1)
        self._thread.join(timeout_s)
        return not self._thread.is_alive()
