"""Requests to Bybit's market endpoints, and what their answers become."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from thespian_connector.drivers.bybit import BybitDriver
from thespian_connector.model import InstrumentStatus, Side
from thespian_connector.model.errors import ServerFault

DRIVER = BybitDriver()


def answer(result: object, code: int = 0) -> bytes:
    return json.dumps({"retCode": code, "retMsg": "", "result": result, "time": 1784800000123}).encode()


def listed(**changes: Any) -> dict[str, Any]:
    return {
        "symbol": "BTCUSDT",
        "baseCoin": "BTC",
        "quoteCoin": "USDT",
        "status": "Trading",
        "lotSizeFilter": {
            "basePrecision": "0.000001",
            "quotePrecision": "0.0000001",
            "minOrderQty": "0.000011",
            "maxOrderQty": "9",
            "minOrderAmt": "5",
            "maxOrderAmt": "8000000",
            "maxLimitOrderQty": "83",
            "maxMarketOrderQty": "41.5",
        },
        "priceFilter": {"tickSize": "0.10"},
    } | changes


def test_every_request_names_the_category_and_carries_no_body() -> None:
    requests = [
        DRIVER.instruments_request(),
        DRIVER.depth_request("BTCUSDT", 50),
        DRIVER.trades_request("BTCUSDT", 10),
        DRIVER.ticker_request("BTCUSDT"),
    ]
    assert [request.path for request in requests] == [
        "/v5/market/instruments-info",
        "/v5/market/orderbook",
        "/v5/market/recent-trade",
        "/v5/market/tickers",
    ]
    assert all("category=spot" in request.query for request in requests), "Bybit's default is linear"
    assert all(request.method == "GET" and not request.body for request in [*requests, DRIVER.time_request()])


@pytest.mark.parametrize(("asked", "sent"), [(1, 1), (7, 7), (1000, 1000), (5000, 1000), (0, 1000)])
def test_the_depth_is_always_sent_because_the_default_is_one_level(asked: int, sent: int) -> None:
    assert DRIVER.depth_request("BTCUSDT", asked).query == f"category=spot&symbol=BTCUSDT&limit={sent}"


@pytest.mark.parametrize(("asked", "sent"), [(0, 1), (60, 60), (1000, 60)])
def test_at_most_sixty_trades_are_asked_for(asked: int, sent: int) -> None:
    assert DRIVER.trades_request("BTCUSDT", asked).query.endswith(f"&limit={sent}")


def test_names_are_percent_encoded() -> None:
    assert DRIVER.ticker_request("A&B").query == "category=spot&symbol=A%26B"


def test_an_instrument_has_the_filters_that_bybit_checks() -> None:
    (instrument,) = DRIVER.parse_instruments(answer({"category": "spot", "list": [listed()]}))
    assert (instrument.exchange, instrument.symbol, instrument.native) == ("bybit", "BTC/USDT", "BTCUSDT")
    assert instrument.status is InstrumentStatus.TRADING
    assert str(instrument.tick_size) == "0.1"
    assert instrument.step_size == instrument.market_step_size == Decimal("0.000001")
    assert instrument.quote_step_size == Decimal("0.0000001")
    assert instrument.min_notional == 5
    assert instrument.max_quantity == 83, "maxLimitOrderQty, not the maxOrderQty that is checked no more"
    assert instrument.market_max_quantity == Decimal("41.5")
    assert instrument.min_quantity is None, "minOrderQty is checked no more"
    assert instrument.max_notional is None, "maxOrderAmt is checked no more"
    assert instrument.max_open_orders == 500


def test_a_limit_that_is_missing_empty_or_zero_is_none() -> None:
    for value in ("", "0", "0.000"):
        lot = listed()["lotSizeFilter"] | {"maxLimitOrderQty": value, "minOrderAmt": value}
        (instrument,) = DRIVER.parse_instruments(answer({"list": [listed(lotSizeFilter=lot)]}))
        assert instrument.max_quantity is None
        assert instrument.min_notional is None
    lot = {"basePrecision": "0.01"}
    (instrument,) = DRIVER.parse_instruments(answer({"list": [listed(lotSizeFilter=lot)]}))
    assert instrument.market_max_quantity is None


@pytest.mark.parametrize(
    "change",
    [
        {"priceFilter": {"tickSize": "0"}},
        {"priceFilter": {"tickSize": "-0.1"}},
        {"priceFilter": {"tickSize": "NaN"}},
        {"priceFilter": {"tickSize": 0.1}},
        {"priceFilter": {}},
        {"lotSizeFilter": {"basePrecision": ""}},
        {"lotSizeFilter": {"basePrecision": "1", "minOrderAmt": "-5"}},
        {"lotSizeFilter": None},
        {"symbol": ""},
        {"baseCoin": None},
        {"quoteCoin": 5},
    ],
)
def test_an_instrument_that_is_not_understood_is_left_out_and_the_others_stay(change: dict[str, Any]) -> None:
    other = listed(symbol="ETHUSDT", baseCoin="ETH")
    found = DRIVER.parse_instruments(answer({"list": [listed(**change), other, None, 5]}))
    assert [instrument.symbol for instrument in found] == ["ETH/USDT"]


def test_a_status_that_is_new_to_us_is_unknown() -> None:
    (instrument,) = DRIVER.parse_instruments(answer({"list": [listed(status="PreLaunch")]}))
    assert instrument.status is InstrumentStatus.UNKNOWN


def test_rest_depth_belongs_to_the_stream_of_a_thousand_levels() -> None:
    body = answer({"s": "BTCUSDT", "b": [["2", "1"], ["1", "1"]], "a": [], "u": 5, "seq": 9, "ts": 20, "cts": 19})
    book = DRIVER.parse_depth("BTCUSDT", 50, body)
    assert (book.stream, book.update_id, book.limit, book.sequence) == ("orderbook.1000.BTCUSDT", 5, 50, 9)
    assert book.bids == [("2", "1"), ("1", "1")]
    assert book.venue_time_ns == 19 * 10**6
    with pytest.raises(ServerFault, match="ETHUSDT"):
        DRIVER.parse_depth("ETHUSDT", 50, body)


def test_trades_are_turned_oldest_first() -> None:
    items = [
        {"execId": str(n), "symbol": "BTCUSDT", "price": "1", "size": "2", "side": side, "time": str(1000 + n)}
        for n, side in ((3, "Sell"), (2, "Buy"))
    ]
    trades = DRIVER.parse_trades("BTCUSDT", answer({"list": items}))
    assert [(t.trade_id, t.aggressor, t.venue_time_ns) for t in trades] == [
        ("2", Side.BUY, 1002 * 10**6),
        ("3", Side.SELL, 1003 * 10**6),
    ]
    for change in ({"side": "?"}, {"time": "x"}, {"time": "9" * 19}, {"price": "-1"}, {"symbol": "X"}, {"execId": ""}):
        with pytest.raises(ServerFault):
            DRIVER.parse_trades("BTCUSDT", answer({"list": [items[0], items[1] | change]}))


def test_rest_tickers_have_a_bid_and_an_ask() -> None:
    item = {"symbol": "BTCUSDT", "lastPrice": "5", "bid1Price": "4", "bid1Size": "1", "ask1Price": "", "ask1Size": ""}
    ticker = DRIVER.parse_ticker("BTCUSDT", answer({"list": [{"symbol": "X", "lastPrice": "1"}, item]}))
    assert (ticker.bid, ticker.bid_quantity, ticker.ask, ticker.ask_quantity) == ("4", "1", None, None)
    assert ticker.venue_time_ns == 1784800000123 * 10**6, "the envelope's time"
    with pytest.raises(ServerFault):
        DRIVER.parse_ticker("ETHUSDT", answer({"list": [item]}))


def test_the_venues_time_is_read_to_the_nanosecond() -> None:
    assert DRIVER.parse_time_ns(answer({"timeSecond": "1784800000", "timeNano": "1784800000123456789"})) == (
        1784800000123456789
    )
    for value in ("", "-1", "1e9", "9" * 19, 5):
        with pytest.raises(ServerFault):
            DRIVER.parse_time_ns(answer({"timeNano": value}))


def test_an_error_is_no_listing() -> None:
    for body in (answer({"list": []}, code=10016), answer({}), answer(None), b"", b"<html>", b'{"result":{"list":[]}}'):
        with pytest.raises(ServerFault):
            DRIVER.parse_instruments(body)
    assert DRIVER.parse_instruments(answer({"list": []})) == []
