"""Connections that are replaced every few seconds under a busy market: nobody notices."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from support.market import PATIENT, MarketFeed
from support.simulator import Simulator
from support.waiting import wait_until

from thespian_connector.model import Channel, Trade, Trust

SYMBOLS = ("BTC/USDT", "ETH/USDT")
ROTATIONS = 3


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator(seed=5, rate=120, walk=60) as running:
        yield running


def tape(feed: MarketFeed, symbol: str) -> list[str]:
    return [event.trade_id for event in feed.events if isinstance(event, Trade) and event.symbol == symbol]


def same_tape(feed: MarketFeed, reference: MarketFeed) -> None:
    """Every trade that a plain connection brought meanwhile, once and in order."""
    for symbol in SYMBOLS:
        wait_until(lambda s=symbol: len(tape(feed, s)) > 50, 60, "enough trades to prove something")  # type: ignore[misc]  # binds the loop's value
        ours = tape(feed, symbol)
        wait_until(lambda s=symbol, last=ours[-1]: last in tape(reference, s), 60, "the reference is as far")  # type: ignore[misc]  # binds the loop's values
        theirs = tape(reference, symbol)
        start, end = theirs.index(ours[0]), theirs.index(ours[-1])
        assert ours == theirs[start : end + 1]


@pytest.mark.parametrize(("venue", "depth", "redundancy"), [("binance", 0, 1), ("bybit", 50, 1), ("binance", 0, 2)])
def test_rotation_is_not_noticed(simulator: Simulator, venue: str, depth: int, redundancy: int, tmp_path: Path) -> None:
    with ExitStack() as stack:
        reference = stack.enter_context(
            MarketFeed(
                simulator,
                venue,
                tmp_path / "r",
                symbols=SYMBOLS,
                channels=[Channel.BOOK, Channel.TRADE],
                every=0,
                timing=PATIENT,
            )
        )
        reference.wait_trust(Trust.LIVE)
        most = 0

        def look(_: object) -> None:
            nonlocal most
            most = max(most, len(feed.session.connections))

        feed = MarketFeed(
            simulator,
            venue,
            tmp_path / "f",
            symbols=SYMBOLS,
            channels=list(Channel),
            depth=depth,
            every=5,
            redundancy=redundancy,
            rotate_after_s=8,  # the new one has taken over before it is old itself, on a busy machine too
            timing=PATIENT,
            on_event=look,
        )
        stack.enter_context(feed)
        for symbol in SYMBOLS:
            feed.wait_trust(Trust.LIVE, symbol)
        deadline = time.monotonic() + 300
        while feed.session.counters.get("rotations", 0) < ROTATIONS:
            assert time.monotonic() < deadline, feed.session.counters
            feed.compare(5)
        feed.compare(20)
        assert [marker.what for marker in feed.events if hasattr(marker, "what")] == ["live"] * len(SYMBOLS)
        counters = feed.session.counters
        assert counters["gaps"] == 0
        assert counters.get("trades_missed", 0) == 0
        assert counters["connects"] >= ROTATIONS + redundancy
        assert most >= redundancy + 1, "the new one was never open beside the old one"
        same_tape(feed, reference)
