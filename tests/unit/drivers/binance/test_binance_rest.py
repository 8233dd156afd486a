import json
from decimal import Decimal
from typing import Any

import pytest
from support.binance_samples import (
    E_MS,
    REST_DEPTH,
    REST_TICKER,
    REST_TIME,
    REST_TRADES,
    compact,
    error,
    listing,
    symbol_row,
)

from thespian_connector.drivers.base import Limit, Usage
from thespian_connector.drivers.binance.driver import BinanceDriver
from thespian_connector.model import Channel, Environment, Instrument, InstrumentStatus, Side
from thespian_connector.model.errors import ConfigError, ServerFault, UsageError

driver = BinanceDriver()


def _one(**changes: Any) -> Instrument | None:
    found = driver.parse_instruments(listing(symbol_row(**changes)))
    return found[0] if found else None


def _filters(**by_type: dict[str, Any]) -> list[dict[str, Any]]:
    kept = [row for row in symbol_row()["filters"] if row["filterType"] not in by_type]
    return kept + [{"filterType": name, **fields} for name, fields in by_type.items() if fields]


def test_an_instrument_is_read_exactly() -> None:
    assert _one() == Instrument(
        exchange="binance",
        symbol="BTC/USDT",
        native="BTCUSDT",
        base="BTC",
        quote="USDT",
        status=InstrumentStatus.TRADING,
        tick_size=Decimal("0.01"),
        step_size=Decimal("0.00001"),
        min_price=Decimal("0.01"),
        max_price=Decimal(1000000),
        min_quantity=Decimal("0.00001"),
        max_quantity=Decimal(9000),
        market_min_quantity=None,
        market_max_quantity=Decimal("120.5"),
        market_step_size=None,
        quote_step_size=Decimal("0.00000001"),
        min_notional=Decimal(5),
        max_notional=Decimal(9000000),
        min_notional_applies_to_market=True,
        max_open_orders=200,
    )


@pytest.mark.parametrize(("word", "status"), [
    ("TRADING", InstrumentStatus.TRADING), ("CANCEL_ONLY", InstrumentStatus.CANCEL_ONLY),
    ("HALT", InstrumentStatus.HALTED), ("BREAK", InstrumentStatus.HALTED), ("END_OF_DAY", InstrumentStatus.HALTED),
    ("A_WORD_OF_NEXT_YEAR", InstrumentStatus.UNKNOWN), ("", InstrumentStatus.UNKNOWN),
])  # fmt: skip
def test_statuses(word: str, status: InstrumentStatus) -> None:
    found = _one(status=word)
    assert found is not None
    assert found.status is status


def test_a_pair_without_spot_trading_is_not_for_trading() -> None:
    found = _one(isSpotTradingAllowed=False)
    assert found is not None
    assert found.status is InstrumentStatus.HALTED


def test_zero_in_a_filter_means_that_the_venue_does_not_check_and_precision_still_does() -> None:
    zeros = {"minPrice": "0.00000000", "maxPrice": "0.00000000", "tickSize": "0.00000000"}
    found = _one(filters=_filters(PRICE_FILTER=zeros, LOT_SIZE={}))
    assert found is not None
    assert (found.tick_size, found.step_size) == (Decimal("1E-8"), Decimal("1E-8"))
    assert (found.min_price, found.max_price, found.min_quantity) == (None, None, None)


def test_the_older_notional_filter() -> None:
    older = {"minNotional": "10.00000000", "applyToMarket": False, "avgPriceMins": 5}
    found = _one(filters=_filters(NOTIONAL={}, MIN_NOTIONAL=older))
    assert found is not None
    assert (found.min_notional, found.max_notional) == (Decimal(10), None)
    assert found.min_notional_applies_to_market is False
    both = _one(filters=_filters(MIN_NOTIONAL=older))
    assert both is not None
    assert (both.min_notional, both.max_notional) == (Decimal(10), Decimal(9000000))


def test_symbols_may_be_any_unicode() -> None:
    found = _one(symbol="这是测试币456", baseAsset="这是测试币", quoteAsset="456")
    assert found is not None
    assert found.symbol == "这是测试币/456"
    assert driver.topics(Channel.BOOK, found.native) == ("这是测试币456@depth@100ms",)
    assert driver.topics(Channel.TRADE, "ÄBTC") == ("Äbtc@trade",)
    assert driver.depth_request("这4", 5).query == "symbol=%E8%BF%994&limit=100"


@pytest.mark.parametrize("changes", [
    {"symbol": ""}, {"baseAsset": "A/B"}, {"quoteAsset": None}, {"filters": "none"}, {"symbol": "A@B"},
    {"filters": _filters(PRICE_FILTER={"tickSize": 0.01})}, {"filters": _filters(LOT_SIZE={"stepSize": "-1"})},
    {"filters": _filters(LOT_SIZE={"stepSize": "x"})}, {"filters": [], "baseAssetPrecision": 10**6},
    {"filters": [], "quotePrecision": None, "quoteAssetPrecision": None},
])  # fmt: skip
def test_a_row_that_is_not_understood_is_left_out_and_the_others_stay(changes: dict[str, Any]) -> None:
    good = symbol_row(symbol="ETHUSDT", baseAsset="ETH")
    found = driver.parse_instruments(listing(symbol_row(**changes), good, 5, None))
    assert [instrument.native for instrument in found] == ["ETHUSDT"]


def test_limits_are_learned_from_the_listing() -> None:
    weight = Limit(name="weight_1m", kind="weight", cap=1200, window_s=60, aligned=True, reported=True)
    requests = Limit(name="requests_5m", kind="requests", cap=61000, window_s=300, aligned=True)
    connects = next(limit for limit in driver.limits if limit.kind == "connects")
    assert driver.limits_of(listing()) == (weight, requests, connects)


@pytest.mark.parametrize("rows", [
    None, [], "x", [5], [{"rateLimitType": "REQUEST_WEIGHT", "interval": "FORTNIGHT", "intervalNum": 1, "limit": 1}],
    [{"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": "6000"}],
    [{"rateLimitType": ["x"], "interval": {}, "intervalNum": 1, "limit": 0}],
])  # fmt: skip
def test_unreadable_limits_keep_their_defaults(rows: Any) -> None:
    assert driver.limits_of(listing(rateLimits=rows)) == driver.limits
    assert driver.limits_of(b"<html>") == driver.limits


def test_used_weight_is_read_in_any_case() -> None:
    for name in ("X-MBX-USED-WEIGHT-1M", "x-mbx-used-weight-1m", "X-Mbx-Used-Weight-1M"):
        assert driver.usage({"Date": "x", name: "42"}) == [Usage("weight_1m", 42)]
    assert driver.usage({"X-MBX-USED-WEIGHT-1M": "many", "X-MBX-USED-WEIGHT": "3"}) == []
    assert driver.limits[0].name == "weight_1m"


@pytest.mark.parametrize(("asked", "levels", "weight"), [
    (1, 100, 5), (100, 100, 5), (101, 500, 25), (500, 500, 25), (501, 1000, 50), (1000, 1000, 50), (1001, 5000, 250),
    (10**6, 5000, 250), (0, 1000, 50),
])  # fmt: skip
def test_a_snapshot_is_as_deep_as_its_weight_buys(asked: int, levels: int, weight: int) -> None:
    request = driver.depth_request("BTCUSDT", asked)
    assert (request.query, request.weight) == (f"symbol=BTCUSDT&limit={levels}", weight)


def test_a_snapshot_claims_no_side_to_be_complete_that_may_not_be() -> None:
    def depth(bids: int, asks: int) -> bytes:
        sides = [[[str(1000 - n), "1"] for n in range(bids)], [[str(1001 + n), "1"] for n in range(asks)]]
        return compact({"lastUpdateId": 7, "bids": sides[0], "asks": sides[1]})

    assert driver.parse_depth("X", 10, depth(10, 7)).limit == 10
    assert driver.parse_depth("X", 20, depth(60, 7)).limit == 100, "depth_request(20) asks for 100"
    assert driver.parse_depth("X", 100, depth(100, 100)).limit == 100
    assert driver.parse_depth("X", 10, depth(300, 200)).limit == 200, "an answer to no request of ours"
    assert driver.parse_depth("X", 10**6, depth(3, 2)).limit == 5000


def test_rest_answers() -> None:
    snapshot = driver.parse_depth("BTCUSDT", 100, REST_DEPTH)
    assert (snapshot.update_id, snapshot.bids[1], len(snapshot.asks)) == (1027024, ("59999.00000000", "1.00000000"), 1)
    older, newer = driver.parse_trades("BTCUSDT", REST_TRADES)
    assert (older.trade_id, older.aggressor, newer.aggressor) == ("28457", Side.BUY, Side.SELL)
    assert older.venue_time_ns == (E_MS + 28457) * 1_000_000
    ticker = driver.parse_ticker("BTCUSDT", REST_TICKER)
    assert (ticker.last, ticker.bid, ticker.ask_quantity) == ("60000.10000000", "60000.00000000", "100.00000000")
    assert driver.parse_time_ns(REST_TIME) == E_MS * 1_000_000
    with pytest.raises(ServerFault, match="ETHUSDT"):
        driver.parse_ticker("ETHUSDT", REST_TICKER)


def test_trades_come_oldest_first_whatever_the_order_of_the_answer() -> None:
    backwards = compact(list(reversed(json.loads(REST_TRADES))))
    assert driver.parse_trades("BTCUSDT", backwards) == driver.parse_trades("BTCUSDT", REST_TRADES)


def test_subscriptions_take_few_frames() -> None:
    topics = [f"s{number}usdt@depth@100ms" for number in range(1024)]
    frames = driver.subscribe(topics, 7)
    assert [frame.request_id for frame in frames] == list(range(7, 13)), "a whole connection in about a second"
    assert [topic for frame in frames for topic in frame.topics] == topics
    assert frames[0].frame.startswith('{"method":"SUBSCRIBE","params":["s0usdt@depth@100ms",')
    assert frames[0].frame.endswith('"id":7}')
    assert driver.unsubscribe(["a@trade"], 1)[0].frame == '{"method":"UNSUBSCRIBE","params":["a@trade"],"id":1}'


def test_a_depth_that_is_not_served_is_refused_with_those_that_are() -> None:
    with pytest.raises(UsageError, match="100, 500, 1000"):
        driver.topics(Channel.BOOK, "BTCUSDT", 5001)


def test_hosts() -> None:
    live = driver.endpoints(Environment.LIVE, {})
    assert live.rest == "https://api.binance.com"
    assert driver.stream_url(live) == "wss://stream.binance.com:443/stream"
    assert live.ws_api == "wss://ws-api.binance.com:443/ws-api/v3"
    testnet = driver.endpoints(Environment.TESTNET, {})
    assert (testnet.rest, testnet.stream) == ("https://testnet.binance.vision", "wss://stream.testnet.binance.vision")
    assert driver.endpoints(Environment.DEMO, {}).ws_api == "wss://demo-ws-api.binance.com/ws-api/v3"


def test_paths_that_come_with_a_copied_url_are_taken_off() -> None:
    urls = {"rest": "http://127.0.0.1:1/api", "stream": "ws://127.0.0.1:2/stream", "ws_api": "ws://127.0.0.1:3"}
    hosts = driver.endpoints(Environment.PAPER, urls)
    assert (hosts.rest, hosts.stream) == ("http://127.0.0.1:1", "ws://127.0.0.1:2")
    assert hosts.ws_api == "ws://127.0.0.1:3/ws-api/v3"
    assert driver.endpoints(Environment.PAPER, urls | {"stream": "ws://127.0.0.1:2/ws"}) == hosts


def test_plain_text_is_for_loopback() -> None:
    with pytest.raises(ConfigError, match="https://"):
        driver.endpoints(Environment.LIVE, {"rest": "http://proxy.example"})
    assert driver.endpoints(Environment.LIVE, {"rest": "http://localhost:8080"}).rest == "http://localhost:8080"
    with pytest.raises(ConfigError, match="private"):
        driver.endpoints(Environment.LIVE, {"private": "wss://x"})


def test_an_error_says_what_the_venue_said_and_when_to_come_back() -> None:
    limited = driver.classify(429, {"retry-after": "13"}, error(-1003, "Too much request weight used."))
    assert limited is not None
    assert (limited.code, limited.status, limited.retry_after_s, limited.exchange) == (-1003, 429, 13.0, "binance")
    assert "Too much request weight used." in str(limited)
    orders = driver.classify(429, {}, error(-1015, "Too many new orders."))
    assert orders is not None
    assert orders.code in driver.account_limit_codes, "the account's limit is no reason to stop reading"
    absurd = driver.classify(418, {"Retry-After": "1659146400000"}, b"")
    assert absurd is not None
    assert absurd.retry_after_s is None
