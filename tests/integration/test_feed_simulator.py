"""A session over the bundled simulator: its book is the true one, update by update, wherever the price walks."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec import structs
from support.market import PATIENT, MarketFeed
from support.simulator import Simulator
from support.waiting import wait_until

from thespian_connector.model import Channel, OrderBook, Ticker, Trade, Trust


@pytest.fixture(scope="module")
def walking() -> Iterator[Simulator]:
    """A market in which the price passes fifty levels a second: a refill that is late by seconds is still in time."""
    with Simulator(seed=7, rate=150, walk=50) as simulator:
        yield simulator


def left(first: OrderBook, later: OrderBook) -> bool:
    """Whether the best price of `later` is beyond all that `first` showed of that side."""
    return later.bids[0].price < first.bids[-1].price or later.asks[0].price > first.asks[-1].price


@pytest.mark.parametrize(("venue", "depth"), [("binance", 500), ("bybit", 50), ("bybit", 1000)])
def test_hundreds_of_books_are_the_true_book_while_the_price_walks(
    walking: Simulator, venue: str, depth: int, tmp_path: Path
) -> None:
    with MarketFeed(walking, venue, tmp_path, depth=depth, timing=PATIENT) as feed:
        first = feed.wait_trust(Trust.LIVE)
        count = 80 if depth != 1000 else 40
        books: list[OrderBook] = []
        deadline = time.monotonic() + 120
        # A refill tells of the same update again.
        while len({book.update_id for book in books}) < count or (
            depth != 1000 and not any(left(first, book) for book in books)
        ):
            assert time.monotonic() < deadline, "too few, or the price never left the first snapshot"
            books += feed.compare(10)
        counters = feed.session.counters
        assert counters["gaps"] == 0
        assert not feed.markers("gap")
        assert not feed.markers("stale")
        # Of a stream each is certified; what REST tells runs lower the later a busy machine brings the next.
        least = 1 if venue == "binance" else 50
        assert min(min(book.certified) for book in books) >= least, "certified levels ran out"


def test_a_shallow_snapshot_is_refilled_before_the_price_walks_off_it(walking: Simulator, tmp_path: Path) -> None:
    with MarketFeed(walking, "binance", tmp_path, depth=100, timing=PATIENT) as feed:
        feed.wait_trust(Trust.LIVE)
        feed.compare(60)
        wait_until(lambda: feed.session.counters["snapshots"] > 1, 60, "it is refilled")
        feed.compare(10)
        assert feed.session.counters["gaps"] == 0


@pytest.mark.parametrize("venue", ["binance", "bybit"])
def test_trades_and_tickers_of_several_symbols(walking: Simulator, venue: str, tmp_path: Path) -> None:
    symbols = ("BTC/USDT", "ETH/USDT")
    with MarketFeed(
        walking, venue, tmp_path, symbols=symbols, channels=list(Channel), depth=50, every=7, timing=PATIENT
    ) as feed:
        for symbol in symbols:
            feed.wait_trust(Trust.LIVE, symbol)
        wait_until(
            lambda: {(type(e), e.symbol) for e in feed.events} >= {(t, s) for t in (Trade, Ticker) for s in symbols},
            60,
            "trades and tickers of both symbols",
        )
        feed.compare(40)
        ids = [event.trade_id for event in feed.events if isinstance(event, Trade) and event.symbol == "BTC/USDT"]
        assert len(ids) == len(set(ids))
        assert feed.session.counters.get("trades_missed", 0) == 0
        ticker = next(event for event in reversed(feed.events) if isinstance(event, Ticker))
        assert ticker.bid is not None
        assert ticker.ask is not None


@pytest.mark.parametrize("venue", ["binance", "bybit"])
def test_a_market_that_stands_still_stays_live_and_is_verified(tmp_path: Path, venue: str) -> None:
    """It is asked about every three seconds; called STALE without proof for four times that."""
    timing = structs.replace(PATIENT, stale_rest_s=12, stale_stream_s=12)
    with (
        Simulator(seed=3, rate=50) as simulator,
        MarketFeed(simulator, venue, tmp_path, depth=50, timing=timing) as feed,
    ):
        feed.wait_trust(Trust.LIVE)
        simulator.pause()
        before = feed.session.book("BTC/USDT")
        wait_until(
            lambda: feed.session.book("BTC/USDT").verified_at_ns > before.received_time_ns + 14_000_000_000,
            60,
            "proof of freshness long after the last update",
        )
        assert not feed.markers("stale")
        simulator.resume()
        wait_until(lambda: feed.session.book("BTC/USDT").update_id > before.update_id, 60, "updates again")
        assert not feed.markers("stale")
