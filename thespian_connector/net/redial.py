"""When to connect, and again: back-off, the venue's limit of connects, and its refusals."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from typing import Final

from thespian_connector.model.errors import Banned, ConnectorError, RateLimited

from .budget import Budget
from .errands import Dial, Mailbox
from .events import FeedTiming
from .socket import StreamSocket

_NS: Final = 1_000_000_000
_LOG = logging.getLogger(__name__)


class ConnectGuard:
    """What every dial of a session asks first: the host's limit of connects, and a refusal that named a time."""

    def __init__(self, budget: Budget | None) -> None:
        self._budget = budget
        self._until_ns = 0

    def wait_s(self, now_ns: int) -> float:
        """0: go ahead, it is paid for."""
        if now_ns < self._until_ns:
            return (self._until_ns - now_ns) / _NS
        return self._budget.try_acquire("connects") if self._budget is not None else 0.0

    def refused(self, error: RateLimited, now_ns: int) -> None:
        """429, 418, 403: silence every process of the host, through the budget, for as long as the venue says."""
        self._until_ns = max(self._until_ns, now_ns + int((error.retry_after_s or 0.0) * _NS))
        if self._budget is not None:
            self._budget.pause(error.retry_after_s, banned=isinstance(error, Banned))


class Redial:
    """Makes one connection, and another when that is lost, on threads of its own, and hands it to `opened`. Owner's
    thread only.

    Pauses double from the first to the largest, each drawn at random between half and whole; a connection that held
    for `reconnect_stable_s` ends the doubling.
    """

    def __init__(
        self,
        name: str,
        connect: Callable[[int], StreamSocket],
        opened: Callable[[StreamSocket], None],
        *,
        mailbox: Mailbox,
        count: Callable[[str], None],
        guard: ConnectGuard,
        timing: FeedTiming,
        rng: random.Random,
    ) -> None:
        self._name = name
        self._mailbox = mailbox
        self._connect = connect
        self._opened = opened
        self._count = count
        self._guard = guard
        self._timing = timing
        self._rng = rng
        self._dial: Dial | None = None
        self._due_ns = 0
        self._attempts = 0

    def tick(self, now_ns: int) -> None:
        """No connection is there: make one if it is time."""
        if self._dial is not None or now_ns < self._due_ns:
            return
        wait_s = self._guard.wait_s(now_ns)
        if wait_s > 0:
            self._count("connects_paced")
            self._due_ns = now_ns + int(min(wait_s, self._timing.reconnect_max_s) * _NS)
            return
        self._count("dials")
        self._dial = Dial(f"{self._name}-dial", self._mailbox, self._connect, self._done)

    def _done(self, result: StreamSocket | BaseException) -> None:
        self._dial = None
        if isinstance(result, StreamSocket):
            self._opened(result)
            return
        if not isinstance(result, ConnectorError):
            raise result
        self._count("dials_failed")
        _LOG.warning("%s: no connection: %s", self._name, result)
        now_ns = time.monotonic_ns()
        if isinstance(result, RateLimited):
            self._guard.refused(result, now_ns)
        self._later(now_ns)

    def lost(self, held_ns: int, now_ns: int) -> None:
        """The connection that was handed over is gone after `held_ns`."""
        if held_ns >= self._timing.reconnect_stable_s * _NS:
            self._attempts = 0
        self._later(now_ns)

    def _later(self, now_ns: int) -> None:
        pause_s = min(self._timing.reconnect_first_s * 2 ** min(self._attempts, 30), self._timing.reconnect_max_s)
        self._attempts += 1
        self._due_ns = now_ns + int(pause_s * self._rng.uniform(0.5, 1.0) * _NS)

    def close(self, timeout_s: float) -> bool:
        """Give up an attempt that runs. False: its thread still hangs in a name's resolution."""
        return self._dial is None or self._dial.cancel(timeout_s)
