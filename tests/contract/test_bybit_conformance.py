"""Bybit's driver keeps the promises of a driver, and reads captured traffic as what it is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from thespian_connector.drivers.base import SubscribeFrame
from thespian_connector.drivers.bybit import BybitDriver
from thespian_connector.drivers.conformance import Samples, check_driver
from thespian_connector.model import errors
from thespian_connector.model.wire import BookDiff, BookSnapshot

CAPTURE = Path(__file__).resolve().parents[3] / "shared" / "data" / "bybit_spot_2024.jsonl"


def envelope(result: object, code: int = 0, text: str = "OK") -> bytes:
    return json.dumps(
        {"retCode": code, "retMsg": text, "result": result, "retExtInfo": {}, "time": 1784800000123}
    ).encode()


def accepted(frame: SubscribeFrame) -> bytes:
    op, req_id = json.loads(frame.frame)["op"], json.loads(frame.frame)["req_id"]
    return json.dumps({"success": True, "ret_msg": op, "conn_id": "c-1", "req_id": req_id, "op": op}).encode()


def refused(frame: SubscribeFrame) -> bytes:
    sent = json.loads(frame.frame)
    answer = {"success": False, "ret_msg": "args size >10", "conn_id": "c", "req_id": sent["req_id"], "op": sent["op"]}
    return json.dumps(answer).encode()


FRAMES = (
    b'{"topic":"orderbook.50.BTCUSDT","ts":1784800000002,"type":"snapshot","data":{"s":"BTCUSDT",'
    b'"b":[["64200.1","0.5"],["64200","1.25"]],"a":[["64200.2","0.75"]],"u":177400507,"seq":66544703342},'
    b'"cts":1784800000001}',
    b'{"topic":"orderbook.50.BTCUSDT","ts":1784800000022,"type":"delta","data":{"s":"BTCUSDT","b":[["64200.1","0"]],'
    b'"a":[],"u":177400508,"seq":66544703350},"cts":1784800000021}',
    b'{"topic":"orderbook.1.BTCUSDT","ts":1784800003002,"type":"snapshot","data":{"s":"BTCUSDT",'
    b'"b":[["64200.1","0.5"]],"a":[["64200.2","0.75"]],"u":88,"seq":66544703342},"cts":1784800000001}',
    b'{"topic":"publicTrade.BTCUSDT","ts":1784800000003,"type":"snapshot","data":[{"i":"2290000000012345678",'
    b'"T":1784800000001,"p":"64200.2","v":"0.001","S":"Buy","s":"BTCUSDT","BT":false,"RPI":false,"seq":66544703343},'
    b'{"i":"2290000000012345679","T":1784800000002,"p":"64200.3","v":"0.002","S":"Sell","s":"BTCUSDT","BT":false,'
    b'"RPI":true,"seq":66544703343}]}',
    b'{"topic":"tickers.BTCUSDT","ts":1784800000050,"type":"snapshot","cs":2588407389,"data":{"symbol":"BTCUSDT",'
    b'"lastPrice":"64200.2","highPrice24h":"65000","lowPrice24h":"63000.5","prevPrice24h":"63900","volume24h":"8123.5",'
    b'"turnover24h":"520000000.12","price24hPcnt":"-0.0046","usdIndexPrice":"64198.4"}}',
    b'{"success":true,"ret_msg":"pong","conn_id":"c-1","op":"ping"}',
)
INSTRUMENT = {
    "symbolId": 9,
    "symbol": "BTCUSDT",
    "baseCoin": "BTC",
    "quoteCoin": "USDT",
    "innovation": "0",
    "status": "Trading",
    "marginTrading": "utaOnly",
    "lotSizeFilter": {
        "basePrecision": "0.000001",
        "quotePrecision": "0.0000001",
        "minOrderQty": "0.000011",
        "maxOrderQty": "83",
        "minOrderAmt": "5",
        "maxOrderAmt": "8000000",
        "maxLimitOrderQty": "83",
        "maxMarketOrderQty": "41.5",
        "postOnlyMaxLimitOrderSize": "60000",
    },
    "priceFilter": {"tickSize": "0.1"},
    "riskParameters": {"priceLimitRatioX": "0.005", "priceLimitRatioY": "0.01"},
}
SAMPLES = Samples(
    native="BTCUSDT",
    frames=FRAMES,
    instruments=envelope({"category": "spot", "list": [INSTRUMENT]}),
    depth=envelope(
        {
            "s": "BTCUSDT",
            "b": [["64200.1", "0.5"], ["64200", "1.25"]],
            "a": [["64200.2", "0.75"]],
            "ts": 1784800000002,
            "u": 99001,
            "seq": 66544703342,
            "cts": 1784800000001,
        }
    ),
    trades=envelope(
        {
            "category": "spot",
            "list": [
                {
                    "execId": f"229000000001234567{number}",
                    "symbol": "BTCUSDT",
                    "price": "64200.2",
                    "size": "0.001",
                    "side": side,
                    "time": str(1784800000000 + number),
                    "isBlockTrade": False,
                    "isRPITrade": False,
                    "seq": "66544703343",
                }
                for number, side in ((9, "Sell"), (8, "Buy"))
            ],
        }
    ),
    ticker=envelope(
        {
            "category": "spot",
            "list": [
                {
                    "symbol": "BTCUSDT",
                    "bid1Price": "64200.1",
                    "bid1Size": "0.5",
                    "ask1Price": "64200.2",
                    "ask1Size": "0.75",
                    "lastPrice": "64200.2",
                    "prevPrice24h": "63900",
                    "price24hPcnt": "0.0046",
                    "highPrice24h": "65000",
                    "lowPrice24h": "63000.5",
                    "turnover24h": "520000000.12",
                    "volume24h": "8123.5",
                    "usdIndexPrice": "64198.4",
                }
            ],
        }
    ),
    time=envelope({"timeSecond": "1784800000", "timeNano": "1784800000123456789"}),
    accepted=accepted,
    refused=refused,
    errors=(
        (200, {}, envelope({}, 10001, "Not supported symbols"), errors.Rejected),
        (200, {}, envelope({}, 10002, "req_timestamp[1],server_timestamp[2],recv_window[5000]"), errors.ClockError),
        (200, {}, envelope({}, 10004, "error sign! origin_string[1784KEY5000a=b]"), errors.AuthError),
        (200, {"X-Bapi-Limit-Reset-Timestamp": "1784800000623"}, envelope({}, 10006, "Too many"), errors.RateLimited),
        (200, {}, envelope({}, 10016, "Server error"), errors.ServerFault),
        (403, {}, b"<html>access too frequent</html>", errors.Banned),
        (401, {}, b"null", errors.AuthError),
        (404, {}, b"", errors.Rejected),
        (429, {"Retry-After": "2"}, b"", errors.RateLimited),
    ),
)


def test_bybit_is_a_driver() -> None:
    assert check_driver(BybitDriver(), SAMPLES) > 5_000


def test_a_captured_snapshot_and_the_delta_after_it() -> None:
    if not CAPTURE.exists():
        pytest.skip(f"no captured traffic at {CAPTURE}")
    lines = [json.loads(line) for line in CAPTURE.read_text().splitlines()]
    snapshot, delta = (BybitDriver().decode(json.dumps(line["data"]).encode()) for line in lines)

    assert isinstance(snapshot, BookSnapshot)
    assert (snapshot.native, snapshot.stream, snapshot.limit) == ("BTCUSDT", "orderbook.50.BTCUSDT", 50)
    assert (len(snapshot.bids), len(snapshot.asks)) == (50, 50)
    assert snapshot.bids[0] == ("75848.74", "0.067669")
    assert snapshot.asks[0] == ("75848.75", "0.747137")
    assert isinstance(delta, BookDiff)
    assert delta.first_id == delta.last_id == snapshot.update_id + 1
    assert delta.bids == [("75848.62", "0.014895"), ("75837.13", "0")]
    assert len(delta.asks) == 5
    assert delta.venue_time_ns == 1731035685342 * 10**6, "the matching engine's time, not the push's"
    assert delta.sequence > snapshot.sequence
