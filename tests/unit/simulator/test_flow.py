"""The order flow: the same for the same seed, deep, walking, and one market for all venues."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from thespian_connector.simulator.options import LADDER_LEVELS
from thespian_connector.simulator.world import World, WorldOptions

SMALL = {"binance": 300, "bybit": 200}


def world(seed: int = 1, **fields: Any) -> World:
    return World(WorldOptions(seed=seed, ladder_levels=fields.pop("levels", SMALL), **fields))


def record(chosen: World, events: int) -> list[Any]:
    """What the events did, without when."""
    done = []
    for number in range(events):
        batch = chosen.flow.step(now_ns=number)
        done.append(
            (
                chosen.flow.due_us,
                None if batch is None else (batch.spec, batch.raw, [trade[:4] for trade in batch.trades]),
            )
        )
    return done


def test_the_same_seed_plays_the_same_events_to_the_last_digit() -> None:
    one, other = world(seed=42), world(seed=42)
    assert record(one, 2_000) == record(other, 2_000)
    for venue, markets in ((name, chosen.markets) for name, chosen in one.venues.items()):
        for native, market in markets.items():
            twin = other.venues[venue].markets[native]
            assert market.book.raw_levels(True) == twin.book.raw_levels(True)
            assert market.book.raw_levels(False) == twin.book.raw_levels(False)


def test_another_seed_plays_other_events_and_has_another_account() -> None:
    one, other = world(seed=1), world(seed=2)
    assert record(one, 50) != record(other, 50)
    assert one.venues["binance"].account.secret != other.venues["binance"].account.secret
    assert one.venues["binance"].account.secret == world(seed=1).venues["binance"].account.secret


def test_books_stay_uncrossed_and_as_deep_as_asked_while_the_price_walks() -> None:
    chosen = world(seed=3, walk=200)
    for number in range(6_000):
        batch = chosen.flow.step(now_ns=number)
        if batch is None:
            continue
        market = next(
            found for venue in chosen.venues.values() for found in venue.markets.values() if found.spec is batch.spec
        )
        bid, ask = market.book.best(True), market.book.best(False)
        assert bid is not None
        assert ask is not None
        assert bid < ask
        if number % 50 == 0:
            for is_bid in (True, False):
                assert market.book.count(is_bid) >= market.spec.ladder_levels - 25
                assert market.book.count(is_bid) <= market.spec.ladder_levels * 1.05 + 25


def test_every_book_is_deeper_than_what_its_venue_serves() -> None:
    assert LADDER_LEVELS["binance"] > 5_000 + 250
    assert LADDER_LEVELS["bybit"] > 1_000 + 250


def test_within_a_minute_the_price_passes_what_was_the_edge_of_a_snapshot_of_5000_levels() -> None:
    chosen = World(WorldOptions(seed=1, symbols=("BTC/USDT",)))
    market = chosen.venues["binance"].markets["BTCUSDT"]
    lowest = market.book.raw_levels(True, 5_000)[-1][0]
    highest = market.book.raw_levels(False, 5_000)[-1][0]
    while chosen.flow.due_us < 90_000_000:
        chosen.flow.step(now_ns=chosen.flow.due_us * 1_000)
        bid, ask = market.book.best(True), market.book.best(False)
        assert bid is not None
        assert ask is not None
        if bid > highest or ask < lowest:
            break
    else:
        pytest.fail("after 90 s of flow the price is still inside the first snapshot")
    assert market.book.count(True) >= 5_000
    assert market.book.count(False) >= 5_000


def test_without_a_walk_the_price_stays_where_it_is() -> None:
    chosen = world(walk=0)
    market = chosen.venues["bybit"].markets["BTCUSDT"]
    record(chosen, 3_000)
    bid, ask = market.book.best(True), market.book.best(False)
    assert bid is not None
    assert ask is not None
    assert abs((bid + ask) / 2 * 0.01 - 60_000) < 0.5


def test_all_venues_trade_around_one_price_and_the_cross_is_the_quotient() -> None:
    chosen = world(seed=5)
    record(chosen, 5_000)
    middle = {
        (name, market.spec.symbol): (market.book.levels("bid", 1)[0][0] + market.book.levels("ask", 1)[0][0]) / 2
        for name, venue in chosen.venues.items()
        for market in venue.markets.values()
    }
    for symbol in ("BTC/USDT", "ETH/USDT", "ETH/BTC"):
        assert abs(middle["binance", symbol] / middle["bybit", symbol] - 1) < Decimal("0.001")
    cross = middle["binance", "ETH/USDT"] / middle["binance", "BTC/USDT"]
    assert abs(middle["binance", "ETH/BTC"] / cross - 1) < Decimal("0.001")


def test_the_flow_adds_takes_away_and_trades() -> None:
    chosen = world(seed=9)
    batches = [batch for number in range(1_000) if (batch := chosen.flow.step(now_ns=number)) is not None]
    changes = [change for batch in batches for change in batch.raw]
    assert any(before == 0 for _, _, before, _ in changes)
    assert any(after == 0 for _, _, _, after in changes)
    assert {trade.taker_side for batch in batches for trade in batch.trades} == {"buy", "sell"}


def test_events_come_at_the_rate_asked_for() -> None:
    chosen = world(rate=Decimal(100))
    record(chosen, 4_000)
    assert 18_000_000 < chosen.flow.due_us < 22_000_000, "two venues at 100/s each"


@pytest.mark.parametrize("is_bid", [True, False])
def test_an_owner_s_order_far_away_is_no_end_of_the_makers_ladder(is_bid: bool) -> None:
    """Else they would go on from there, the near side would wear away, and the way back would take for ever."""
    chosen = world(seed=3, walk=200)
    venue = chosen.venues["bybit"]
    market = venue.markets["BTCUSDT"]
    far = market.book.best(is_bid)
    assert far is not None
    far = far * 5 // 6 if is_bid else far * 6 // 5
    resting = market.book.submit(is_bid, 10, far, owner="somebody").resting
    assert resting is not None
    for number in range(20_000):
        batch = chosen.flow.step(now_ns=number)
        if batch is None or batch.spec is not market.spec:
            continue
        best = market.book.best(is_bid)
        assert best is not None
        near = market.book.count_within(is_bid, (best * 99 if is_bid else best * 101) // 100)
        assert SMALL["bybit"] * 9 // 10 <= near <= SMALL["bybit"] * 11 // 10
        assert len(market.book.totals(is_bid)) <= near + 1
    assert market.book.queue(is_bid, far) == (resting,)
