"""The parts of the Binance front that need no socket: limits, diffs, klines, names, spelling."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from thespian_connector.simulator.binance import spelling
from thespian_connector.simulator.binance.limits import IpLimits, Refusal, interval
from thespian_connector.simulator.binance.market_data import ranged, rolling_window_ms, time_zone_ms
from thespian_connector.simulator.binance.names import book_streams, parse
from thespian_connector.simulator.binance.settings import SETTINGS
from thespian_connector.simulator.binance.spelling import Speller
from thespian_connector.simulator.binance.tape import Aggregates, klines, opening
from thespian_connector.simulator.faults import Faults
from thespian_connector.simulator.market import Market, SimTrade
from thespian_connector.simulator.options import LADDER_LEVELS
from thespian_connector.simulator.venue import Venue, seeded_account
from thespian_connector.simulator.world import market_spec

MINUTE_NS = 60_000_000_000
HERE, THERE = "10.0.0.1", "10.0.0.2"


class Clock:
    """Epoch nanoseconds; starts on a full minute."""

    now_ns = 29_000_000 * MINUTE_NS

    def __call__(self) -> int:
        return self.now_ns


@pytest.fixture
def clock() -> Clock:
    return Clock()


def limits(clock: Clock, **settings: Any) -> IpLimits:
    faults = Faults(("binance",), clock)
    return IpLimits(
        Venue(
            "binance",
            {},
            faults,
            account=seeded_account(1, "binance"),
            settings={**SETTINGS, **settings},
            time_ns=clock,
            monotonic_ns=clock,
        )
    )


def test_windows_are_aligned_to_the_clock_and_not_rolling(clock: Clock) -> None:
    ip = limits(clock, weight_limit=10)
    clock.now_ns += 59 * 1_000_000_000
    assert ip.charge(HERE, 10) is None
    assert ip.charge(HERE, 1) == Refusal(429, 1, injected=False)
    clock.now_ns += 1_000_000_000
    assert ip.used_weight(HERE) == 0
    assert ip.charge(HERE, 10) is None


def test_addresses_have_their_own_windows(clock: Clock) -> None:
    ip = limits(clock, weight_limit=10)
    assert ip.charge(HERE, 11) is not None
    assert ip.charge(THERE, 10) is None


def test_raw_requests_are_limited_whatever_they_weigh(clock: Clock) -> None:
    ip = limits(clock, raw_limit=3)
    assert [ip.charge(HERE, 0) is None for _ in range(4)] == [True, True, True, False]


def test_each_ban_is_twice_the_last_up_to_the_longest(clock: Clock) -> None:
    ip = limits(clock, weight_limit=1, ignored_429_max=1)
    waits = []
    for _ in range(4):
        refusal = None
        while refusal is None or refusal.status != 418:
            refusal = ip.charge(HERE, 1)
        waits.append(refusal.retry_after_s)
        assert ip.banned(HERE) is not None
        clock.now_ns += (refusal.retry_after_s - 1) * 1_000_000_000
        assert ip.banned(HERE) is not None
        clock.now_ns += 1_000_000_000
        assert ip.banned(HERE) is None
    assert waits == [120, 240, 480, 960]


def test_who_waits_after_a_429_is_not_banned(clock: Clock) -> None:
    ip = limits(clock, weight_limit=1, ignored_429_max=1)
    for _ in range(5):
        assert ip.charge(HERE, 1) is None
        refusal = ip.charge(HERE, 1)
        assert refusal is not None
        assert refusal.status == 429
        clock.now_ns += refusal.retry_after_s * 1_000_000_000


def test_windows_have_the_names_of_the_headers() -> None:
    assert [interval(seconds) for seconds in (60, 300, 10, 86_400, 3_600)] == [
        ("MINUTE", 1),
        ("MINUTE", 5),
        ("SECOND", 10),
        ("DAY", 1),
        ("HOUR", 1),
    ]


@pytest.mark.parametrize("symbol", ["BTC/USDT", "ETH/USDT", "ETH/BTC"])
def test_ticks_and_steps_are_spelled_with_eight_digits(symbol: str) -> None:
    spec = market_spec("binance", symbol, 10)
    speller = Speller(spec)
    for ticks in (1, 9, 123_456_789):
        assert Decimal(speller.price(ticks)) == ticks * spec.tick
        assert Decimal(speller.quantity(ticks)) == ticks * spec.step
        assert len(speller.price(ticks).partition(".")[2]) == 8


def test_the_texts_kept_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    deepest = 2 * LADDER_LEVELS["binance"]
    assert deepest < spelling.TEXTS_MAX < 3 * deepest, "a snapshot's are all kept, and few that have had their day"
    monkeypatch.setattr(spelling, "TEXTS_MAX", 20)
    speller = Speller(market_spec("binance", "BTC/USDT", 10))
    texts = [speller.price(ticks) for ticks in range(1, 200)]
    assert len(speller._prices) <= 20
    assert texts == [speller.price(ticks) for ticks in range(1, 200)]


@pytest.mark.parametrize("name", [*book_streams("BTCUSDT"), "btcusdt@kline_1M", "!ticker_4h@arr", "btcusdt@ticker_1d"])
def test_names_of_streams(name: str) -> None:
    stream = parse(name, ("BTCUSDT",))
    assert stream is not None
    assert stream.name == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "btcusdt",
        "btcusdt@",
        "BTCUSDT@trade",
        "ethusdt@trade",
        "!bookTicker",
        "!ticker@arr",
        "btcusdt@kline_1H",
        "btcusdt@kline_1m@+09:00",
        "btcusdt@depth7",
        "btcusdt@depth@",
        "!ticker_9h@arr",
    ],
)
def test_what_is_no_stream(name: str) -> None:
    assert parse(name, ("BTCUSDT",)) is None


def trade(trade_id: int, price: str, taker: int, side: str = "buy") -> SimTrade:
    return SimTrade(trade_id, Decimal(price), Decimal(1), side, trade_id, taker, 0)


def test_trades_of_one_taker_at_one_price_are_one_aggregate() -> None:
    aggregates = Aggregates(Market(market_spec("binance", "BTC/USDT", 10)))
    rows = aggregates.add([trade(1, "5", 7), trade(2, "5", 7), trade(3, "6", 7), trade(4, "6", 8, "sell")])
    assert [(row.aggregate_id, row.first_id, row.last_id, row.quantity, row.buyer_is_maker) for row in rows] == [
        (1, 1, 2, 2, False),
        (2, 3, 3, 1, False),
        (3, 4, 4, 1, True),
    ]


def test_a_kline_without_a_trade_repeats_the_last_close() -> None:
    market = Market(market_spec("binance", "BTC/USDT", 10))
    market.candles.add(60_000, 1, Decimal(5), Decimal(2), buyer_took=True)
    market.candles.add(61_000, 2, Decimal(7), Decimal(1), buyer_took=False)
    market.candles.add(240_500, 3, Decimal(4), Decimal(1), buyer_took=False)
    rows = klines(market, "1m", 0, 305_000)
    assert [(bar.open_ms, close, str(bar.close), bar.count) for bar, close in rows] == [
        (60_000, 119_999, "7", 2),
        (120_000, 179_999, "7", 0),
        (180_000, 239_999, "7", 0),
        (240_000, 299_999, "4", 1),
        (300_000, 359_999, "4", 0),
    ]
    first = rows[0][0]
    assert (first.open, first.high, first.low, first.volume, first.turnover) == (5, 7, 5, 3, 17)
    assert (first.buy_volume, first.buy_turnover) == (2, 10)


@pytest.mark.parametrize(
    ("interval_", "offset_ms", "opens"),
    [
        ("1m", 0, 1_753_361_760_000),  # 2025-07-24 12:56
        ("1d", 0, 1_753_315_200_000),  # 2025-07-24 00:00
        ("1d", 28_800_000, 1_753_286_400_000),  # 2025-07-23 16:00, midnight at UTC+8
        ("1w", 0, 1_753_056_000_000),  # Monday 2025-07-21
        ("1M", 0, 1_751_328_000_000),  # 2025-07-01
    ],
)
def test_when_a_kline_opens(interval_: str, offset_ms: int, opens: int) -> None:
    assert opening(interval_, offset_ms)(1_753_361_785_123) == opens


def test_ranges_follow_binance_s_rule() -> None:
    rows = list(range(10))
    assert ranged(rows, None, None, 3, int) == [7, 8, 9]
    assert ranged(rows, 2, None, 3, int) == [2, 3, 4]
    assert ranged(rows, None, 6, 3, int) == [4, 5, 6]
    assert ranged(rows, 2, 3, 5, int) == [2, 3]


def test_windows_and_time_zones_are_read() -> None:
    assert (rolling_window_ms("59m"), rolling_window_ms("23h"), rolling_window_ms("7d")) == (
        59 * 60_000,
        23 * 3_600_000,
        7 * 86_400_000,
    )
    assert (time_zone_ms("-1:00"), time_zone_ms("05:45"), time_zone_ms("8")) == (-3_600_000, 20_700_000, 28_800_000)
