"""More than the limits allow, from several processes, with kills in between: judged by the simulator's own count."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.limiter import Clients, clients
from support.simulator import Simulator
from support.waiting import wait_until

NOTHING = {"429": 0, "418": 0, "403": 0}
PATIENCE_S = 60.0
#: Of what is allowed, this share at least is used, also on a machine that can hardly send so much.
USED_SHARE_MIN = 0.2


def usage(simulator: Simulator, venue: str) -> Any:
    return simulator.truth(venue, "usage")


def rate_through_kills(started: Clients, requests: Callable[[], int], first: int, a_window: int, windows: int) -> float:
    """Requests a second over `windows` windows of `a_window` requests each, from request number `first`, by three
    processes of which one is SIGKILLed and one is stopped for a while."""
    victim, frozen, _ = started.start(), started.start(), started.start()
    wait_until(lambda: requests() > first, PATIENCE_S, "the start's special rules are over")
    began, before = time.monotonic(), requests()
    wait_until(lambda: requests() > before + a_window // 4, PATIENCE_S, "the middle of a window")
    started.kill(victim)
    started.start()
    frozen.send_signal(signal.SIGSTOP)
    time.sleep(0.7)  # the fault lasts this long
    frozen.send_signal(signal.SIGCONT)
    wait_until(lambda: requests() > before + windows * a_window, PATIENCE_S, f"{windows} windows are spent")
    return windows * a_window / (time.monotonic() - began)


@pytest.mark.slow
def test_binance_weight(tmp_path: Path) -> None:
    cap, window_s, weight = 1200, 3, 5
    limit = {"name": f"weight_{window_s}s", "kind": "weight", "cap": cap, "window_s": window_s, "aligned": True}
    options: dict[str, Any] = {"path": "/api/v3/depth", "query": "symbol=BTCUSDT&limit=5", "weight": weight}
    with (
        Simulator(rate=0, binance_weight_limit=cap, tune=f"binance.weight_window_s={window_s}") as simulator,
        clients(
            exchange="binance",
            url=simulator.urls["binance"]["rest"],
            directory=str(tmp_path),
            limits=[{**limit, "reported": True}],
            seconds=PATIENCE_S,
            **options,
        ) as started,
    ):
        data = cap * 8 // 10 // weight
        rate = rate_through_kills(started, lambda: int(usage(simulator, "binance")["requests"]), data, data, 3)
        counted = usage(simulator, "binance")
    assert counted["earned"] == NOTHING
    print(f"\nweight: {rate:.0f} of {data / window_s:.0f} requests/s, at most {counted['highest']['weight']} of {cap}")
    assert USED_SHARE_MIN * cap <= counted["highest"]["weight"] <= cap
    assert rate >= USED_SHARE_MIN * data / window_s


@pytest.mark.slow
def test_bybit_requests_at_its_real_limit(tmp_path: Path) -> None:
    with (
        Simulator(rate=0) as simulator,
        clients(
            exchange="bybit",
            url=simulator.urls["bybit"]["rest"],
            directory=str(tmp_path),
            path="/v5/market/time",
            seconds=PATIENCE_S,
        ) as started,
    ):
        rate = rate_through_kills(started, lambda: int(usage(simulator, "bybit")["requests"]), 70, 480, 2)
        counted = usage(simulator, "bybit")
    assert counted["earned"] == NOTHING
    print(f"\nrequests: {rate:.0f} of {480 / 5:.0f} a second")
    assert rate >= USED_SHARE_MIN * 480 / 5
