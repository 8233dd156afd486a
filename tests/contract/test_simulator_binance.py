"""The simulated Binance keeps the protocol, as a raw client sees it: REST."""

from __future__ import annotations

import json
import time
from decimal import Decimal

import aiohttp
import pytest
from support.binance_front import ClientBook, Front, with_front

from thespian_connector.model.decimals import is_multiple

DEPTH = "/api/v3/depth?symbol=BTCUSDT"
WEIGHT = "X-MBX-USED-WEIGHT-1M"


def test_the_book_is_the_true_one_at_its_id_best_first_and_padded() -> None:
    async def check(front: Front) -> None:
        for _ in range(5):
            front.step(7)
            document = await front.result(DEPTH + "&limit=5000")
            assert list(document) == ["lastUpdateId", "bids", "asks"]
            assert ClientBook(document).levels() == front.truth(document["lastUpdateId"])
            assert all(len(text.partition(".")[2]) == 8 for level in document["bids"] for text in level)

    with_front(check)


@pytest.mark.parametrize(
    ("limit", "levels", "weight"),
    [(None, 100, 5), (1, 1, 5), (100, 100, 5), (101, 101, 25), (501, 501, 50), (1001, 1001, 250), (9000, 5000, 250)],
)
def test_depth_serves_and_costs_by_its_limit_and_is_capped_silently(
    limit: int | None, levels: int, weight: int
) -> None:
    async def check(front: Front) -> None:
        path = DEPTH if limit is None else f"{DEPTH}&limit={limit}"
        answer, body = await front.call(path)
        document = json.loads(body)
        assert (len(document["bids"]), len(document["asks"])) == (levels, levels)
        assert answer.headers[WEIGHT] == answer.headers["X-MBX-USED-WEIGHT"] == str(weight)
        assert front.market.book.count(True) > 5_000

    with_front(check, levels=5_100)


@pytest.mark.parametrize(
    ("path", "weight"),
    [
        ("ping", 1),
        ("time", 1),
        ("exchangeInfo", 20),
        ("trades?symbol=BTCUSDT", 25),
        ("historicalTrades?symbol=BTCUSDT", 25),
        ("aggTrades?symbol=BTCUSDT", 4),
        ("klines?symbol=BTCUSDT&interval=1m", 2),
        ("avgPrice?symbol=BTCUSDT", 2),
        ("ticker/24hr?symbol=BTCUSDT", 2),
        ("ticker/24hr", 80),
        ("ticker/price?symbol=BTCUSDT", 2),
        ("ticker/price", 4),
        ("ticker/bookTicker", 4),
        ("ticker?symbols=%5B%22BTCUSDT%22,%22ETHUSDT%22%5D", 8),
    ],
)
def test_every_endpoint_costs_what_the_documents_say(path: str, weight: int) -> None:
    async def check(front: Front) -> None:
        answer, _ = await front.call("/api/v3/" + path)
        assert (answer.status, answer.headers[WEIGHT]) == (200, str(weight))

    with_front(check, symbols=("BTC/USDT", "ETH/USDT"))


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("depth", -1102),
        ("depth?symbol=", -1105),
        ("depth?symbol=NOPEUSDT", -1121),
        ("depth?symbol=btcusdt", -1100),
        ("depth?symbol=%E8%BF%99", -1121),
        ("depth?symbol=BTCUSDT&limit=ten", -1100),
        ("depth?symbol=BTCUSDT&limit=0", -1130),
        ("depth?symbol=BTCUSDT&colour=red", -1104),
        ("depth?symbol=BTCUSDT&symbolStatus=HALT", -1220),
        ("depth?symbol=BTCUSDT&symbolStatus=ODD", -1122),
        ("klines?symbol=BTCUSDT", -1102),
        ("klines?symbol=BTCUSDT&interval=1M1", -1120),
        ("klines?symbol=BTCUSDT&interval=1H", -1120),
        ("klines?symbol=BTCUSDT&interval=1m&timeZone=99", -1130),
        ("aggTrades?symbol=BTCUSDT&fromId=1&startTime=1", -1128),
        ("ticker/price?symbol=BTCUSDT&symbols=%5B%22BTCUSDT%22%5D", -1128),
        ("ticker/price?symbols=%5B%22BTCUSDT%22,%22BTCUSDT%22%5D", -1151),
        ("ticker/price?symbols=BTCUSDT", -1100),
        ("ticker/24hr?symbol=BTCUSDT&type=HUGE", -1139),
        ("ticker?symbol=BTCUSDT&windowSize=8d", -1130),
        ("ticker", -1102),
        ("exchangeInfo?symbol=BTCUSDT&permissions=SPOT", -1128),
    ],
)
def test_a_wrong_request_is_refused_with_its_code_and_still_costs(path: str, code: int) -> None:
    async def check(front: Front) -> None:
        answer, body = await front.call("/api/v3/" + path)
        assert (answer.status, json.loads(body)["code"]) == (400, code)
        assert int(answer.headers[WEIGHT]) > 0

    with_front(check)


def test_exchange_info_tells_the_rules_and_the_limits() -> None:
    async def check(front: Front) -> None:
        info = await front.result("/api/v3/exchangeInfo")
        assert {symbol["symbol"] for symbol in info["symbols"]} == {"BTCUSDT", "ETHUSDT", "ETHBTC"}
        limits = {
            (limit["rateLimitType"], limit["interval"], limit["intervalNum"]): limit["limit"]
            for limit in info["rateLimits"]
        }
        assert limits["REQUEST_WEIGHT", "MINUTE", 1] == 6_000
        assert limits["RAW_REQUESTS", "MINUTE", 5] == 300_000
        one = (await front.result("/api/v3/exchangeInfo?symbol=BTCUSDT"))["symbols"][0]
        assert (one["status"], one["baseAsset"], one["quoteAsset"]) == ("TRADING", "BTC", "USDT")
        assert one["permissions"] == []
        assert "SPOT" in one["permissionSets"][0]
        filters = {entry["filterType"]: entry for entry in one["filters"]}
        tick, step = (Decimal(filters[f][k]) for f, k in (("PRICE_FILTER", "tickSize"), ("LOT_SIZE", "stepSize")))
        book = await front.result(DEPTH)
        assert all(is_multiple(Decimal(p), tick) and is_multiple(Decimal(q), step) for p, q in book["bids"])

    with_front(check, symbols=("BTC/USDT", "ETH/USDT", "ETH/BTC"))


def test_trading_halts_in_a_maintenance_and_market_data_goes_on() -> None:
    async def check(front: Front) -> None:
        front.fault("maintenance")
        info = await front.result("/api/v3/exchangeInfo")
        assert info["symbols"][0]["status"] == "HALT"
        assert (await front.result(DEPTH))["bids"]
        front.world.faults.delete()
        info = await front.result("/api/v3/exchangeInfo")
        assert info["symbols"][0]["status"] == "TRADING"

    with_front(check)


def test_trades_aggregates_and_klines_tell_the_same_tape() -> None:
    async def check(front: Front) -> None:
        front.step(60)
        trades = await front.result("/api/v3/trades?symbol=BTCUSDT&limit=1000")
        tape = list(front.market.tape)
        assert [row["id"] for row in trades] == [trade.trade_id for trade in tape]
        assert trades[-1]["isBuyerMaker"] == (tape[-1].taker_side == "sell")
        total = sum(Decimal(row["qty"]) for row in trades)
        aggregates = await front.result("/api/v3/aggTrades?symbol=BTCUSDT&limit=1000")
        assert sum(Decimal(row["q"]) for row in aggregates) == total
        assert [row["f"] for row in aggregates][1:] == [row["l"] + 1 for row in aggregates][:-1]
        klines = await front.result("/api/v3/klines?symbol=BTCUSDT&interval=1d")
        assert sum(Decimal(row[5]) for row in klines) == total
        assert sum(row[8] for row in klines) == len(trades)
        older = await front.result("/api/v3/historicalTrades?symbol=BTCUSDT&fromId=3&limit=2")
        assert [row["id"] for row in older] == [3, 4]
        ticker = await front.result("/api/v3/ticker/24hr?symbol=BTCUSDT")
        assert Decimal(ticker["volume"]) == total
        assert (ticker["firstId"], ticker["lastId"], ticker["count"]) == (1, len(trades), len(trades))
        assert ticker["lastPrice"] == trades[-1]["price"]

    with_front(check)


def test_tickers_agree_with_the_book() -> None:
    async def check(front: Front) -> None:
        book = await front.result(DEPTH + "&limit=1")
        best = await front.result("/api/v3/ticker/bookTicker?symbol=BTCUSDT")
        assert [best["bidPrice"], best["bidQty"]] == book["bids"][0]
        assert [best["askPrice"], best["askQty"]] == book["asks"][0]
        every = await front.result("/api/v3/ticker/price")
        assert [row["symbol"] for row in every] == ["BTCUSDT"]
        mini = await front.result("/api/v3/ticker/24hr?symbol=BTCUSDT&type=MINI")
        assert "priceChange" not in mini
        assert "bidPrice" not in mini

    with_front(check)


def test_times_come_in_microseconds_on_demand() -> None:
    async def check(front: Front) -> None:
        plain = (await front.result("/api/v3/time"))["serverTime"]
        fine = (await front.result("/api/v3/time", headers={"X-MBX-TIME-UNIT": "MICROSECOND"}))["serverTime"]
        assert abs(plain - time.time() * 1e3) < 5_000
        assert abs(fine - time.time() * 1e6) < 5_000_000
        assert await front.refusal("/api/v3/time", headers={"X-MBX-TIME-UNIT": "FORTNIGHT"}) == (400, -1194)

    with_front(check)


def test_what_binance_removed_is_gone_and_not_in_json() -> None:
    async def check(front: Front) -> None:
        answer, body = await front.call("/api/v3/userDataStream", method="POST")
        assert (answer.status, answer.content_type) == (410, "text/html")
        assert b"<html>" in body
        answer, _ = await front.call("/api/v1/depth?symbol=BTCUSDT")
        assert answer.status == 404
        answer, _ = await front.call("/api/v3/nothing", headers={"Accept": "text/html"})
        assert (answer.status, answer.content_type) == (404, "text/html")
        answer, body = await front.call("/api/v3/nothing", headers={"Accept": "application/json"})
        assert (answer.status, body) == (404, b"")

    with_front(check)


def test_over_the_weight_is_429_and_ignoring_it_a_ban_that_doubles() -> None:
    async def check(front: Front) -> None:
        assert (await front.call(DEPTH))[0].status == 200
        answer, body = await front.call(DEPTH + "&limit=500")
        assert (answer.status, json.loads(body)["code"]) == (429, -1003)
        assert 0 < int(answer.headers["Retry-After"]) <= 3_600
        statuses = [(await front.call("/api/v3/ping"))[0].status for _ in range(3)]
        assert statuses == [429, 429, 418]
        answer, body = await front.call("/api/v3/ping")
        assert (answer.status, json.loads(body)["code"], answer.headers["Retry-After"]) == (418, -1003, "100")
        usage = front.venue.usage.document()
        assert usage["earned"] == {"429": 3, "418": 2, "403": 0}
        assert usage["injected"] == {"429": 0, "418": 0, "403": 0}
        assert usage["highest"]["weight"] == 5 + 25 + 3
        assert [row["during_ban"] for row in front.venue.requests] == [True]

    with_front(check, weight_limit=10, weight_window_s=3_600, ignored_429_max=3, ban_s=100)


def test_the_limits_that_are_told_are_the_limits_that_hold() -> None:
    async def check(front: Front) -> None:
        info = await front.result("/api/v3/exchangeInfo")
        weight = next(limit for limit in info["rateLimits"] if limit["rateLimitType"] == "REQUEST_WEIGHT")
        assert (weight["limit"], weight["interval"], weight["intervalNum"]) == (45, "HOUR", 1)
        answer, _ = await front.call(DEPTH + "&limit=500")
        assert (answer.status, answer.headers["X-MBX-USED-WEIGHT-1H"]) == (200, "45")
        assert (await front.call("/api/v3/ping"))[0].status == 429

    with_front(check, weight_limit=45, weight_window_s=3_600)


def test_injected_refusals_carry_their_retry_after_and_are_counted_apart() -> None:
    async def check(front: Front) -> None:
        fault = front.fault("http_429", op="depth", retry_after_s=7, count=1)
        assert (await front.call("/api/v3/ping"))[0].status == 200
        answer, body = await front.call(DEPTH)
        assert (answer.status, answer.headers["Retry-After"], json.loads(body)["code"]) == (429, "7", -1003)
        assert front.fired(fault) == 1
        assert (await front.call(DEPTH))[0].status == 200
        front.fault("http_ban", status=403, retry_after_s=60)
        answer, _ = await front.call(DEPTH)
        assert (answer.status, answer.content_type) == (403, "text/html")
        assert (await front.call("/api/v3/ping"))[0].status == 403, "an injected ban lasts as a real one does"
        usage = front.venue.usage.document()
        assert usage["injected"] == {"429": 1, "418": 0, "403": 2}
        assert usage["earned"] == {"429": 0, "418": 0, "403": 0}

    with_front(check)


def test_server_errors_come_with_a_gateway_s_page_and_a_timeout_never_answers() -> None:
    async def check(front: Front) -> None:
        front.fault("http_5xx", status=502, count=1)
        answer, _ = await front.call(DEPTH)
        assert (answer.status, answer.content_type) == (502, "text/html")
        # aiohttp's client repeats a GET once when a connection that was kept open ends.
        front.fault("http_timeout", timeout_ms=50, count=2)
        with pytest.raises(aiohttp.ClientError):
            await front.call(DEPTH)
        fault = front.fault("latency", op="time", latency_ms=80, count=1)
        started = time.monotonic()
        await front.result("/api/v3/time")
        assert time.monotonic() - started >= 0.08
        assert front.fired(fault) == 1

    with_front(check)


def test_the_clock_can_be_skewed() -> None:
    async def check(front: Front) -> None:
        front.fault("clock_skew", skew_ms=-3_600_000)
        skewed = (await front.result("/api/v3/time"))["serverTime"]
        assert abs(skewed + 3_600_000 - time.time() * 1e3) < 5_000

    with_front(check)


def test_a_snapshot_can_lag_the_book_and_is_still_true_at_its_id() -> None:
    async def check(front: Front) -> None:
        before = await front.result(DEPTH)
        fault = front.fault("visibility_delay", op="depth", delay_ms=30_000, count=1)
        front.step(20)
        lagging = await front.result(DEPTH + "&limit=5000")
        assert lagging["lastUpdateId"] <= before["lastUpdateId"]
        assert ClientBook(lagging).levels() == front.truth(lagging["lastUpdateId"])
        assert front.fired(fault) == 1
        assert (await front.result(DEPTH))["lastUpdateId"] > before["lastUpdateId"]

    with_front(check)


def test_what_looks_like_an_attack_is_forbidden() -> None:
    async def check(front: Front) -> None:
        answer, _ = await front.call("/api/v3/depth?symbol=select%20*%20from%20users")
        assert (answer.status, answer.content_type) == (403, "text/html")
        assert front.venue.usage.document()["earned"]["403"] == 1

    with_front(check)
