"""The venue's clock, as an offset to the host's monotonic one: steps of the local wall clock do not move it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import NamedTuple

from thespian_connector import limits
from thespian_connector.model.errors import ConnectorError

from .timebase import SYSTEM, Timebase

NS = 1_000_000_000
_BIAS_NS_MAX = int(limits.CLOCK_BIAS_S_MAX * NS)


class Sample(NamedTuple):
    """One question for the venue's time. It was answered somewhere between `sent_ns` and `received_ns`."""

    sent_ns: int
    received_ns: int
    venue_ns: int

    @property
    def round_trip_ns(self) -> int:
        return self.received_ns - self.sent_ns

    @property
    def offset_ns(self) -> int:
        """The venue's time less ours, right if both ways took equally long; off by half the round trip at most."""
        return self.venue_ns - (self.sent_ns + self.received_ns) // 2


class ClockOffset:
    """Thread-safe. Until the first measurement it is the wall clock.

    Timestamps are set a little behind the venue's time: Binance and Bybit refuse one that is a second ahead, whatever
    the receive window is, and forgive one that is behind by nearly all of it.
    """

    def __init__(self, timebase: Timebase = SYSTEM) -> None:
        self._time = timebase
        self._lock = threading.Lock()
        self._best: Sample | None = None

    def measure(self, fetch: Callable[[], int], samples: int = limits.CLOCK_SAMPLES) -> Sample:
        """Asks `fetch` (the venue's time in ns) several times and keeps the answer with the shortest round trip: the
        longer ones wait somewhere, and nobody knows on which way.

        An earlier measurement is replaced, since clocks drift and the venue's may step. Samples that fail are left out.

        :raises ConnectorError: all failed: the last one's error. The earlier measurement stays.
        """
        taken: list[Sample] = []
        failure: ConnectorError | None = None
        for _ in range(samples):
            sent_ns = self._time.now_ns()
            try:
                venue_ns = fetch()
            except ConnectorError as error:
                failure = error
                continue
            taken.append(Sample(sent_ns, self._time.now_ns(), venue_ns))
        if not taken:
            assert failure is not None, "at least one sample is asked for"
            raise failure
        best = min(taken, key=lambda sample: sample.round_trip_ns)
        with self._lock:
            self._best = best
        return best

    @property
    def sample(self) -> Sample | None:
        """The measurement in use."""
        return self._best

    @property
    def age_s(self) -> float | None:
        """Since the measurement; None: there is none."""
        best = self._best
        return None if best is None else (self._time.now_ns() - best.received_ns) / NS

    def now_ns(self) -> int:
        """The venue's time now, rather a little less than more."""
        best = self._best
        if best is None:
            return self._time.wall_ns()
        return self._time.now_ns() + best.offset_ns - min(best.round_trip_ns // 2, _BIAS_NS_MAX)

    def now_ms(self) -> int:
        """`now_ns` in whole milliseconds, rounded down: what signed requests carry."""
        return self.now_ns() // 1_000_000
