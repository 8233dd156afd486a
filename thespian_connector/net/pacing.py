"""Plain call counts of one process, paced by `ratelimit`: frames a second on one connection and the like."""

from __future__ import annotations

import time
from collections.abc import Callable

from ratelimit import RateLimitDecorator, RateLimitException


class Pacer:
    """At most `calls` in any `period_s`, wherever that period begins. Not thread-safe: it is its session's.

    `ratelimit` counts in a fixed window that begins with a call, and lets twice its number through around a boundary.
    So it is given a window of one call, `period_s / (calls - 1)` long: calls are then that far apart, and even a period
    that begins and ends exactly on a call holds `calls` of them. (A single call a period keeps the period between.)

    :raises ValueError: `calls` or `period_s` is not positive.
    """

    def __init__(
        self,
        calls: int,
        period_s: float = 1.0,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if calls < 1 or period_s <= 0:
            raise ValueError(f"{calls} calls in {period_s} s cannot be paced")
        self.gap_s = period_s / max(1, calls - 1)
        self._monotonic = monotonic
        self._sleep = sleep
        self._free_at = monotonic()
        limiter = RateLimitDecorator(calls=1, period=self.gap_s, clock=monotonic)
        # Its first window begins when it is made, not with the first call: end it at once.
        limiter.last_reset = self._free_at - self.gap_s
        self._limited: Callable[[], None] = limiter(lambda: None)

    def try_call(self) -> bool:
        """Counts one call if it may be made now."""
        try:
            self._limited()
        except RateLimitException:
            return False
        self._free_at = self._monotonic() + self.gap_s
        return True

    def ready_in(self) -> float:
        """Seconds until the next call may be made; counts nothing."""
        return max(0.0, self._free_at - self._monotonic())

    def wait(self) -> None:
        """Sleeps until a call may be made, and counts it."""
        while not self.try_call():
            self._sleep(max(self.ready_in(), 0.001))
