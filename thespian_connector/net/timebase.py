"""Where time comes from: everything in `net` that asks for it takes a `Timebase`, so that tests bring their own."""

from __future__ import annotations

import time
from collections.abc import Callable

from msgspec import Struct


def boottime_ns() -> int:
    """Nanoseconds since the machine booted: like the monotonic clock, the same in every process, and goes on asleep."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


class Timebase(Struct, frozen=True):
    """`now_ns` never steps and is one clock for all processes of the host; `wall_ns` may step."""

    now_ns: Callable[[], int] = boottime_ns
    wall_ns: Callable[[], int] = time.time_ns
    sleep: Callable[[float], None] = time.sleep


SYSTEM = Timebase()
