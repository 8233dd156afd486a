"""The circuit breaker of one venue and surface: pybreaker's state machine, without its lock around the request.

``CircuitBreaker.call`` runs the request under its lock, so that five calls at once take five times as long. Here a call
passes two gates instead: `enter` before the request (is the breaker open? may this be the probe?) and, when its outcome
is there, `_settle`, which replays the outcome through pybreaker's ``call`` in microseconds, so that counting and
tripping stay pybreaker's. It re-opens by the monotonic clock, and the error that trips it is never replaced.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

import pybreaker

from thespian_connector import limits
from thespian_connector.model.errors import CircuitOpen, ExchangeError, TransportError

_STATES = {
    pybreaker.STATE_CLOSED: "closed",
    pybreaker.STATE_OPEN: "open",
    pybreaker.STATE_HALF_OPEN: "half_open",
}


class _Storage(pybreaker.CircuitMemoryStorage):
    """Remembers on the monotonic clock when the breaker opened.

    pybreaker compares `opened_at` with the wall clock, which may step; `enter` has compared already, so "no time" is
    the right answer for it: it then goes on to half-open.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        super().__init__(pybreaker.STATE_CLOSED)
        self._monotonic = monotonic
        self.opened_s = 0.0

    @property
    def opened_at(self) -> datetime | None:
        return None

    @opened_at.setter
    def opened_at(self, _wall: datetime) -> None:
        self.opened_s = self._monotonic()


class Breaker:
    """Thread-safe. Only `TransportError` counts against the surface: an answer of the venue, even a refusal, speaks for
    it, and whatever was refused before it was sent says nothing."""

    def __init__(
        self,
        name: str,
        *,
        failures_max: int = limits.BREAKER_FAILURES_MAX,
        reset_s: float = limits.BREAKER_RESET_S,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self._reset_s = reset_s
        self._monotonic = monotonic
        self._storage = _Storage(monotonic)
        self._circuit = pybreaker.CircuitBreaker(
            fail_max=failures_max,
            reset_timeout=reset_s,
            state_storage=self._storage,
            name=name,
            throw_new_error_on_trip=False,
        )
        self._lock = threading.Lock()
        self._probing = False

    @property
    def state(self) -> str:
        """``closed``, ``open`` or ``half_open``."""
        return _STATES[self._circuit.current_state]

    def check(self) -> None:
        """Fails fast, before anything is spent on a call that `guard` would refuse.

        :raises CircuitOpen:
        """
        with self._lock:
            self._refuse_if_open()

    @contextmanager
    def guard(self, *, bypass: bool = False) -> Iterator[None]:
        """Around one request. With `bypass` (cancels, order queries, the kill switch) it passes an open breaker.

        :raises CircuitOpen: open, or half-open with its one probe still in the air.
        """
        probe = self._enter(bypass)
        outcome: BaseException | None = None
        answered = False
        try:
            yield
            answered = True
        except ExchangeError as error:
            answered, outcome = True, error
            raise
        finally:
            self._settle(probe, answered, outcome)

    def _refuse_if_open(self) -> None:
        state = self._circuit.current_state
        left_s = self._storage.opened_s + self._reset_s - self._monotonic()
        if state == pybreaker.STATE_OPEN and left_s > 0:
            raise CircuitOpen(f"{self.name}: too many failures in a row; not asked again for {left_s:.1f} s")
        if state == pybreaker.STATE_HALF_OPEN and self._probing:
            raise CircuitOpen(f"{self.name}: too many failures in a row; one request is finding out whether it is back")

    def _enter(self, bypass: bool) -> bool:
        """Whether this call is the probe of a half-open breaker."""
        with self._lock:
            try:
                self._refuse_if_open()
            except CircuitOpen:
                if bypass:
                    return False
                raise
            if self._circuit.current_state == pybreaker.STATE_CLOSED:
                return False
            if self._circuit.current_state == pybreaker.STATE_OPEN:
                self._circuit.half_open()
            self._probing = True
            return True

    def _settle(self, probe: bool, answered: bool, outcome: BaseException | None) -> None:
        with self._lock:
            if probe:
                self._probing = False
            # Late outcomes, of calls that began before it opened or passed it by, neither close nor re-open it.
            if not answered or (self._circuit.current_state != pybreaker.STATE_CLOSED and not probe):
                return
            try:
                self._circuit.call(_replay, outcome if isinstance(outcome, TransportError) else None)
            except TransportError:
                return  # pybreaker hands back what it was given; the caller gets the original


def _replay(outcome: TransportError | None) -> None:
    if outcome is not None:
        # A copy: raising the original here would grow its traceback.
        raise type(outcome)(outcome.message)
