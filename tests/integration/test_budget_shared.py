"""Several processes that each want all of a limit, one of them killed in the middle of a window: judged by the count of
a server that counts as the venue does. Not one request may be too many, and the limit must still be used."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections import Counter, deque
from pathlib import Path
from typing import Any

import pytest
from support.http_server import Asked, HttpServer, Reply, document
from support.limiter import clients
from support.waiting import wait_until

WEIGHT = 5
CAP = 400
DATA = CAP * 80 // 100
#: Of what is allowed, this share at least is used, also on a machine that can hardly send so much.
USED_SHARE_MIN = 0.2


class AlignedVenue:
    """Counts like Binance: weight in windows aligned to its own clock, which is not ours; tells it in a header."""

    WINDOW_S = 2
    AHEAD_S = 0.9

    def __init__(self) -> None:
        self.windows: Counter[int] = Counter()
        self.refused = 0
        self._lock = threading.Lock()

    def now_s(self) -> float:
        return time.time() + self.AHEAD_S

    def window(self) -> int:
        return int(self.now_s() // self.WINDOW_S)

    def __call__(self, asked: Asked) -> Reply:
        weight = 1 if asked.target.endswith("/time") else WEIGHT
        with self._lock:
            window = self.window()
            self.windows[window] += weight
            used = self.windows[window]
            over = used > CAP
            self.refused += over
        body = {"serverTime": int(self.now_s() * 1000)}
        status = 429 if over else 200
        return document(body if not over else {"code": -1003, "msg": "x"}, status, X_MBX_USED_WEIGHT_2S=str(used))

    def limits(self) -> list[dict[str, Any]]:
        common = {"window_s": self.WINDOW_S, "aligned": True}
        return [{"name": "weight_2s", "kind": "weight", "cap": CAP, "reported": True, **common}]


class RollingVenue:
    """Counts like Bybit: requests in any stretch of the window's length; tells nothing, and bans who is over."""

    WINDOW_S = 2
    CAP = 100

    def __init__(self) -> None:
        self.arrivals: list[float] = []
        self._window: deque[float] = deque()
        self.refused = 0
        self._lock = threading.Lock()

    def __call__(self, _: Asked) -> Reply:
        with self._lock:
            now = time.monotonic()
            self.arrivals.append(now)
            self._window.append(now)
            while self._window[0] <= now - self.WINDOW_S:
                self._window.popleft()
            over = len(self._window) > self.CAP
            self.refused += over
        return Reply(b"access too frequent", 403) if over else document({"retCode": 0, "retMsg": "OK", "time": 1})

    def limits(self) -> list[dict[str, Any]]:
        return [
            {"name": "requests_2s", "kind": "requests", "cap": self.CAP, "window_s": self.WINDOW_S, "aligned": False}
        ]


@pytest.mark.slow
def test_aligned_windows_are_filled_and_never_overfilled(tmp_path: Path) -> None:
    venue = AlignedVenue()
    options: dict[str, Any] = {"exchange": "binance", "directory": str(tmp_path), "limits": venue.limits()}
    with (
        HttpServer(venue) as server,
        clients(**options, url=server.url, path="/api/v3/depth", weight=WEIGHT, seconds=9.0) as started,
    ):
        victim = started.start()
        started.start()
        wait_until(lambda: len(venue.windows) >= 2, 60, "requests in two windows")
        full_from = venue.window()
        wait_until(lambda: venue.window() > full_from and venue.windows[venue.window()] > DATA // 4, 60, "mid window")
        started.kill(victim)
        started.start(seconds=6.0)
        counts = started.counts(40)
    assert venue.refused == 0
    assert all("RateLimited" not in count for count in counts)
    whole = [venue.windows[window] for window in range(full_from, max(venue.windows))]
    print(f"\nweight used in whole windows: {whole}, of {DATA}")
    assert len(whole) >= 2
    assert sum(whole) / len(whole) >= USED_SHARE_MIN * DATA, whole
    assert max(whole) <= CAP


@pytest.mark.slow
def test_rolling_windows_are_filled_and_never_overfilled(tmp_path: Path) -> None:
    venue = RollingVenue()
    options: dict[str, Any] = {"exchange": "bybit", "directory": str(tmp_path), "limits": venue.limits()}
    with HttpServer(venue) as server, clients(**options, url=server.url, path="/v5/x", seconds=9.0) as started:
        victim = started.start()
        started.start()
        wait_until(lambda: len(venue.arrivals) > 40, 60, "the middle of the first whole burst")
        started.kill(victim)
        started.start(seconds=6.0)
        started.counts(40)
    assert venue.refused == 0
    # A burst a window, the last of which was not yet earned by waiting.
    data = 0.8 * venue.CAP
    steady = [arrived for arrived in venue.arrivals if arrived > venue.arrivals[0] + venue.WINDOW_S]
    rate = (len(steady) - data) / (steady[-1] - steady[0])
    print(f"\nrequests: {rate:.0f} of {data / venue.WINDOW_S:.0f} a second")
    assert rate >= USED_SHARE_MIN * data / venue.WINDOW_S


@pytest.mark.slow
def test_a_process_stopped_between_its_charge_and_its_request_does_not_send_into_the_next_window(
    tmp_path: Path,
) -> None:
    """SIGSTOP at any moment, for longer than a window: what was charged before is charged again before it goes."""
    venue = AlignedVenue()
    options: dict[str, Any] = {"exchange": "binance", "directory": str(tmp_path), "limits": venue.limits()}
    with (
        HttpServer(venue) as server,
        clients(**options, url=server.url, path="/api/v3/depth", weight=WEIGHT, seconds=11.0, threads=3) as started,
    ):
        frozen = started.start()
        started.start()
        wait_until(lambda: len(venue.windows) >= 2, 60, "requests in two windows")
        # It may be stopped with the file's lock in its hands: then the others are refused, and spend nothing, until it
        # goes on. So the fault lasts a fixed time, and nobody's progress meanwhile is waited for.
        os.kill(frozen.pid, signal.SIGSTOP)
        time.sleep(2.5 * venue.WINDOW_S)
        os.kill(frozen.pid, signal.SIGCONT)
        resumed_at = venue.window()
        counts = started.counts(40)
    assert venue.refused == 0, json.dumps(counts)
    assert max(venue.windows) > resumed_at, "they went on"
