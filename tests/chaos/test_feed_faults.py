"""Every fault of a market feed: a book is never LIVE and wrong, never LIVE and old, and right again by itself."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.market import MarketFeed
from support.simulator import Simulator, kept_port
from support.waiting import wait_until

from thespian_connector.model import OrderBook, Trust

NATIVE = "BTCUSDT"
#: A LIVE book may be behind the venue for this long at most: silence (3 s) + grace (1 s), or two repeats of Bybit's
#: level 1 (6.5 s); the rest is for a starved machine.
OLD_S = 30.0
#: From the end of a fault to LIVE and right, on any machine.
RECOVERY_S = 120.0


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator(seed=11, rate=60, walk=40) as running:
        yield running


class Judge:
    """Looks at the book again and again: whenever it is LIVE, it is the true one, and not an old one."""

    def __init__(self, simulator: Simulator, feed: MarketFeed) -> None:
        self.simulator = simulator
        self.feed = feed
        self._behind_since: tuple[int, float] | None = None

    def look(self) -> OrderBook:
        book = self.feed.session.book("BTC/USDT")
        if book.trust is not Trust.LIVE:
            self._behind_since = None
            return book
        self.feed.check(book)
        now = self.simulator.book(self.feed.venue, NATIVE, book.stream)
        if now["update_id"] == book.update_id:
            self._behind_since = None
        elif self._behind_since is None or self._behind_since[0] != book.update_id:
            self._behind_since = (book.update_id, time.monotonic())
        else:
            old_s = time.monotonic() - self._behind_since[1]
            assert old_s < OLD_S, f"LIVE at {book.update_id} for {old_s:.1f} s while the venue is at {now['update_id']}"
        return book

    def look_until(self, condition: Any, timeout_s: float, what: str) -> None:
        deadline = time.monotonic() + timeout_s
        while not condition(self.look()):
            assert time.monotonic() < deadline, f"not within {timeout_s:g} s: {what}; {self.feed.session.counters}"

    def look_for(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.look()

    def recovered(self) -> None:
        """LIVE, true, and going on."""
        self.look_until(lambda book: book.trust is Trust.LIVE, RECOVERY_S, "LIVE again")
        update_id = self.look().update_id
        self.look_until(
            lambda book: book.trust is Trust.LIVE and book.update_id != update_id, RECOVERY_S, "LIVE and moving"
        )


VENUES = [("binance", 0), ("bybit", 50)]
FORMS = ("truncated", "binary", "huge", "wrong_types", "not_json", "empty", "deep")
#: kind, its fields, and the counter that must show that the session noticed ("" where there is nothing to notice).
STREAM_FAULTS: list[tuple[str, dict[str, Any], str]] = [
    ("ws_drop", {}, "connects"),
    ("ws_silent", {}, "dropped_silent"),
    ("ws_silent", {"seconds": 60}, "dropped_silent"),
    ("ws_gap", {"count": 3, "symbol": NATIVE}, "gaps"),
    ("ws_duplicate", {"count": 20}, ""),
    *((("ws_malformed", {"form": form, "count": 1, "symbol": NATIVE}, "")) for form in FORMS),
    ("ws_slow", {"bytes_per_s": 500, "seconds": 8}, ""),
    ("server_shutdown", {"lead_ms": 300}, "shutdowns"),
    ("latency", {"latency_ms": 5_000, "seconds": 8, "surface": "stream"}, "late"),
    ("clock_skew", {"skew_ms": 4_000, "seconds": 3}, ""),
    ("clock_skew", {"skew_ms": -20_000, "seconds": 5}, ""),
]


def name(fault: tuple[str, dict[str, Any], str]) -> str:
    return "-".join([fault[0], *(str(value) for value in fault[1].values())])


@pytest.mark.parametrize("fault", STREAM_FAULTS, ids=name)
@pytest.mark.parametrize(("venue", "depth"), VENUES)
def test_a_fault_of_the_stream(
    simulator: Simulator, venue: str, depth: int, fault: tuple[str, dict[str, Any], str], tmp_path: Path
) -> None:
    kind, fields, counter = fault
    if kind == "server_shutdown" and venue == "bybit":
        pytest.skip("Bybit announces nothing")
    with MarketFeed(simulator, venue, tmp_path, depth=depth, every=0) as feed:
        feed.wait_trust(Trust.LIVE)
        judge = Judge(simulator, feed)
        before = feed.session.counters.get(counter, 0)
        fault_id = simulator.fault(venue, kind, **fields)
        try:
            if counter:
                judge.look_until(
                    lambda _: feed.session.counters.get(counter, 0) > before, RECOVERY_S, f"{kind} was noticed"
                )
            elif kind != "clock_skew":
                judge.look_until(lambda _: simulator.fired(fault_id) > 0, RECOVERY_S, f"{kind} happened")
            if kind in ("ws_slow", "ws_silent", "latency"):
                judge.look_until(lambda _: feed.markers("stale"), RECOVERY_S, "readers are told")
            if kind == "ws_silent" and "seconds" in fields:  # the next connection is as silent, meanwhile
                judge.look_for(2)
                simulator.clear_faults()
            else:
                judge.look_for(fields.get("seconds", 0) + 1)
            judge.recovered()
        finally:
            simulator.clear_faults()


@pytest.mark.parametrize("venue", ["binance", "bybit"])
def test_one_symbol_falls_silent_among_living_ones(simulator: Simulator, venue: str, tmp_path: Path) -> None:
    symbols = ("BTC/USDT", "ETH/USDT")
    with MarketFeed(simulator, venue, tmp_path, symbols=symbols, depth=50, every=0) as feed:
        for symbol in symbols:
            feed.wait_trust(Trust.LIVE, symbol)
        judge = Judge(simulator, feed)
        connects = feed.session.counters["connects"]
        simulator.fault(venue, "ws_silent", symbol=NATIVE, seconds=600)
        judge.look_until(
            lambda book: book.trust is not Trust.LIVE and feed.trust("ETH/USDT") is Trust.LIVE,
            RECOVERY_S,
            "the silent book is no longer LIVE, the other one is",
        )
        simulator.clear_faults()
        judge.recovered()
        assert feed.session.counters["connects"] == connects, "the other symbol's connection was left alone"


@pytest.mark.parametrize("kind", ["ws_snapshot", "ws_restart"])
def test_bybits_own_troubles(simulator: Simulator, kind: str, tmp_path: Path) -> None:
    with MarketFeed(simulator, "bybit", tmp_path, depth=50, every=0) as feed:
        feed.wait_trust(Trust.LIVE)
        judge = Judge(simulator, feed)
        fault_id = simulator.fault("bybit", kind)
        judge.look_until(lambda _: simulator.fired(fault_id) > 0, RECOVERY_S, f"{kind} happened")
        judge.look_for(1)
        judge.recovered()


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("http_5xx", {"status": 502, "count": 4}),
        ("http_timeout", {"timeout_ms": 1500, "count": 2}),
        ("http_429", {"retry_after_s": 2}),
        ("http_ban", {"status": 418, "retry_after_s": 3}),
        ("latency", {"latency_ms": 1500, "seconds": 6, "surface": "rest"}),
    ],
)
def test_rest_fails_while_snapshots_are_needed(
    simulator: Simulator, kind: str, fields: dict[str, Any], tmp_path: Path
) -> None:
    with MarketFeed(simulator, "binance", tmp_path, every=0) as feed:
        feed.wait_trust(Trust.LIVE)
        judge = Judge(simulator, feed)
        fault_id = simulator.fault("binance", kind, **{"surface": "rest", **fields})
        simulator.fault("binance", "ws_drop")
        try:
            judge.look_until(lambda _: simulator.fired(fault_id) > 0, RECOVERY_S, f"{kind} happened")
            judge.look_for(1)
            judge.recovered()
        finally:
            simulator.clear_faults()


@pytest.mark.parametrize(("venue", "depth"), VENUES)
def test_a_frozen_exchange_never_looks_live_for_long(venue: str, depth: int, tmp_path: Path) -> None:
    with Simulator(seed=5, rate=60) as own, MarketFeed(own, venue, tmp_path, depth=depth, every=0) as feed:
        feed.wait_trust(Trust.LIVE)
        own.process.send_signal(signal.SIGSTOP)
        frozen = time.monotonic()
        try:
            wait_until(lambda: feed.trust() is not Trust.LIVE, RECOVERY_S, "no longer LIVE")
            assert feed.session.book("BTC/USDT").bids, "levels stay shown, marked"
            until = frozen + 9  # longer than it takes to look again, and to give up
            while time.monotonic() < until:
                assert feed.trust() is not Trust.LIVE
                time.sleep(0.05)
        finally:
            own.process.send_signal(signal.SIGCONT)
        Judge(own, feed).recovered()


@pytest.mark.parametrize(("venue", "depth"), VENUES)
def test_a_killed_exchange_that_comes_back(venue: str, depth: int, tmp_path: Path) -> None:
    ports = {"binance_port": kept_port(), "bybit_port": kept_port()}
    first = Simulator(seed=5, rate=60, **ports).__enter__()
    feed = MarketFeed(first, venue, tmp_path, depth=depth, every=0)
    try:
        with feed:
            feed.wait_trust(Trust.LIVE)
            first.process.kill()
            first.process.wait(60)
            wait_until(lambda: feed.trust() is not Trust.LIVE, 60, "no longer LIVE")
            with Simulator(seed=6, rate=60, **ports) as second:
                feed.simulator = second
                Judge(second, feed).recovered()
    finally:
        first.__exit__(InterruptedError, None, None)  # it was killed: its exit code is no news
