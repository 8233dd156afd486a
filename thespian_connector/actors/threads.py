"""Threads of an actor: they hand results to the main thread and show that they live.

Only the main thread may talk to Thespian. A thread puts its result into a :class:`Mailbox`, whose eventfd is in the
actor's watch. What a thread did not expect ends the process: its supervisor starts a known-good one.
"""

from __future__ import annotations

import logging
import math
import os
import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from thespian_connector.limits import WORKER_QUEUE_JOBS_MAX

from .messages import ThreadAge
from .process import EXIT_CRASHED, Alarm, private_fd

logger = logging.getLogger(__name__)


def crash(where: str, error: BaseException) -> None:
    """Logs `error` and ends the process at once: half-done work of a broken process helps nobody."""
    logger.critical("unexpected exception in %s; the process ends", where, exc_info=error)
    for handler in logging.getLogger().handlers:
        handler.flush()
    os._exit(EXIT_CRASHED)


class Mailbox:
    """What threads leave for the main thread. `fd` is readable while something is in it."""

    def __init__(self) -> None:
        self.fd = private_fd(os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC))
        self._items: deque[Any] = deque()

    def put(self, item: Any) -> None:
        self._items.append(item)
        os.eventfd_write(self.fd, 1)

    def take(self) -> list[Any]:
        """Everything that is in it; may be nothing, when woken for nothing."""
        try:
            os.eventfd_read(self.fd)
        except BlockingIOError:
            return []
        return self._emptied()

    def _emptied(self) -> list[Any]:
        taken = []
        while self._items:
            taken.append(self._items.popleft())
        return taken


class LateMailbox(Mailbox):
    """For what can wait a moment: the main thread is told `late_s` after the first thing that came, or `ring_s` after
    :meth:`ring`. It shares a lock with every other thread, and a message of Thespian's takes longer than most of what
    they do."""

    def __init__(self, late_s: float, ring_s: float) -> None:
        self._alarm = Alarm()
        self.fd = self._alarm.fd
        self._items = deque()
        self._late_s, self._ring_s = late_s, ring_s
        #: When the main thread is told, monotonic seconds. It is never put off.
        self._due = math.inf

    def put(self, item: Any) -> None:
        self._items.append(item)
        self._within(self._late_s)

    def ring(self) -> None:
        if self._items:
            self._within(self._ring_s)

    def _within(self, seconds: float) -> None:
        due = time.monotonic() + seconds
        if due < self._due:
            self._due = due
            self._alarm.set(seconds)

    def take(self) -> list[Any]:
        if not self._alarm.read():
            return []
        self._due = math.inf  # first: what comes from now on sets it anew
        return self._emptied()


class Worker:
    """One thread that does jobs that may block, one at a time. Without one it sleeps, and nothing wakes it.

    :param limit_s: how long a job may take before the actor counts as hung.
    """

    def __init__(self, name: str, limit_s: float) -> None:
        self._name = name
        self._limit_ns = round(limit_s * 1e9)
        self._jobs: queue.Queue[Callable[[], None] | None] = queue.Queue(WORKER_QUEUE_JOBS_MAX)
        self._beat_ns = 0
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def submit(self, job: Callable[[], None]) -> bool:
        """False when the queue is full: the caller refuses the request."""
        try:
            self._jobs.put_nowait(job)
        except queue.Full:
            return False
        return True

    def beat(self) -> None:
        """A long job calls it between its steps."""
        self._beat_ns = time.monotonic_ns()

    def age(self) -> ThreadAge:
        """How long ago the job at hand showed that it goes on; 0 without a job."""
        beat_ns = self._beat_ns
        return ThreadAge(self._name, time.monotonic_ns() - beat_ns if beat_ns else 0, self._limit_ns)

    def stop(self, timeout_s: float) -> None:
        """Ends after the job at hand; jobs still queued are dropped."""
        while True:
            try:
                self._jobs.get_nowait()
            except queue.Empty:
                break
        self._jobs.put(None)
        self._thread.join(timeout_s)

    def _run(self) -> None:
        try:
            while True:
                job = self._jobs.get()
                if job is None:
                    return
                self.beat()
                job()
                self._beat_ns = 0
        except BaseException as error:  # noqa: BLE001 - whatever it was, the thread is dead: so must the process be
            crash(f"thread {self._name}", error)
