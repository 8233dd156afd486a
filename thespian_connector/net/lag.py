"""How far the updates that we read lag behind those that came quickest."""

from __future__ import annotations

from typing import Final

#: An update may carry any time at all; without one there is nothing to compare.
NEVER: Final = 2**63 - 1


class LagMeter:
    """Our monotonic clock minus the venue's time, and its least value of the last one to two windows: what is above it
    is queueing, at the venue, on the way, or here. Neither clock needs to be right, only steady: a venue whose clock
    was set forward looks late until :meth:`rebase`.

    `late_after` is for the hot path: an update is late when ``now_ns - venue_time_ns`` is above it.
    """

    def __init__(self, limit_s: float, window_s: float = 30.0) -> None:
        self.late_after = NEVER
        self.last_ns = 0
        self._limit_ns = int(limit_s * 1e9)
        self._window_ns = int(window_s * 1e9)
        self.rebase()

    def rebase(self) -> None:
        """Forget the past: take the next update for a timely one."""
        self._least = self._before = NEVER
        self._window_start_ns = 0
        self.base_ns = 0
        #: What is timely was told by :meth:`late_by`, not measured.
        self.guessed = False
        self.late_after = NEVER

    def late_by(self, late_ns: int, grace_ns: int) -> None:
        """Something else showed that the last update was at least so late. Timely is from now on what comes quicker by
        that much, but for a grace; then it is time to :meth:`rebase`, for how late it really was nobody knows."""
        self.late_after = self.base_ns + self.last_ns - late_ns + grace_ns
        self._least = self._before = self.base_ns = self.late_after - self._limit_ns
        self.last_ns = late_ns
        self.guessed = True

    def note(self, venue_time_ns: int, now_ns: int) -> None:
        """An update of `venue_time_ns` was read at `now_ns`."""
        if not venue_time_ns:
            return
        delta = now_ns - venue_time_ns
        if now_ns - self._window_start_ns >= self._window_ns:
            self._before, self._least = self._least, delta
            self._window_start_ns = now_ns
        elif delta < self._least:
            self._least = delta
        base = min(self._least, self._before)
        self.base_ns = base
        self.late_after = base + self._limit_ns
        self.last_ns = delta - base
