"""What a client of the feed bench measures of itself, from the first update to the last."""

from __future__ import annotations

import json
import resource
import sys
import time
from typing import Any


def arguments() -> tuple[str, str, int]:
    """(REST URL, stream URL, the update id that ends the run)."""
    return sys.argv[1], sys.argv[2], int(sys.argv[3])


class Stopwatch:
    def start(self) -> None:
        self._cpu, self._wall = _cpu_s(), time.perf_counter()

    def report(self, best: Any, hand_overs: int) -> None:
        """`best`: the last best prices, for the check; `hand_overs`: how often the client gave its user a book."""
        cpu, wall = _cpu_s() - self._cpu, time.perf_counter() - self._wall
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        measured = {"hand_overs": hand_overs, "cpu_s": cpu, "wall_s": wall, "best": best, "peak_kb": peak}
        print(json.dumps(measured), flush=True)


def _cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime
