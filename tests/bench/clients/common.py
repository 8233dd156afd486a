"""What a client of the feed bench measures of itself, from the first update to the last."""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from typing import Any


def arguments() -> tuple[str, str, int]:
    """(REST URL, stream URL, the update id that ends the run)."""
    return sys.argv[1], sys.argv[2], int(sys.argv[3])


#: The figures wanted are not processor time, but when the reader had which update: see `Ages`.
AGES = os.environ.get("BENCH_AGES") == "1"


class Ages:
    """When the reader had the book with which update, top of book read.

    With BENCH_WORK_MS the reader works so long (a strategy that thinks), then lets as long pass, and so on: it is busy
    half of the time.
    """

    def __init__(self) -> None:
        self._seen: list[tuple[int, int]] = []
        self._work_ns = int(float(os.environ.get("BENCH_WORK_MS", "0")) * 1e6)
        self._next_ns = 0

    def note(self, update_id: int) -> None:
        now_ns = time.monotonic_ns()
        self._seen.append((update_id, now_ns))
        if self._work_ns and now_ns >= self._next_ns:
            while time.monotonic_ns() < now_ns + self._work_ns:
                pass
            self._next_ns = time.monotonic_ns() + self._work_ns

    def report(self, best: Any, **more: Any) -> None:
        print(json.dumps({"best": best, "seen": self._seen, **more}), flush=True)


class Stopwatch:
    def start(self) -> None:
        self._cpu, self._wall = _cpu_s(), time.perf_counter()

    def report(self, best: Any, hand_overs: int, **more: Any) -> None:
        """`best`: the last best prices, for the check; `hand_overs`: how often the client gave its user a book."""
        cpu, wall = _cpu_s() - self._cpu, time.perf_counter() - self._wall
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        measured = {"hand_overs": hand_overs, "cpu_s": cpu, "wall_s": wall, "best": best, "peak_kb": peak, **more}
        print(json.dumps(measured), flush=True)


def _cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime
