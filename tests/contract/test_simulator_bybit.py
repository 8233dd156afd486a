"""The simulated Bybit keeps the protocol, as a raw client sees it: REST."""

from __future__ import annotations

import asyncio
import json
import time

import aiohttp
import pytest
from support.bybit_front import bybit_front, eventually

MARKET = "/v5/market/"
BTC = {"category": "spot", "symbol": "BTCUSDT"}


def test_an_answer_has_the_envelope_and_numbers_are_strings() -> None:
    async def scenario() -> None:
        async with bybit_front() as front:
            status, body = await front.get(MARKET + "time")
            assert status == 200
            assert list(body) == ["retCode", "retMsg", "result", "retExtInfo", "time"]
            assert abs(body["time"] - time.time() * 1000) < 5_000
            assert body["result"]["timeNano"].startswith(body["result"]["timeSecond"])

            (ticker,) = (await front.result(MARKET + "tickers", **BTC))["list"]
            assert all(isinstance(value, str) for value in ticker.values())
            assert float(ticker["bid1Price"]) < float(ticker["ask1Price"])

    asyncio.run(scenario())


def test_instruments_tell_the_filters() -> None:
    async def scenario() -> None:
        async with bybit_front(symbols=("BTC/USDT", "ETH/USDT")) as front:
            listed = (await front.result(MARKET + "instruments-info", category="spot"))["list"]
            assert [item["symbol"] for item in listed] == ["BTCUSDT", "ETHUSDT"]
            (one,) = (await front.result(MARKET + "instruments-info", category="spot", symbol="ETHUSDT"))["list"]
            assert one["baseCoin"] == "ETH"
            assert one["status"] == "Trading"
            spec = front.venue.markets["ETHUSDT"].spec
            assert one["priceFilter"]["tickSize"] == str(spec.tick)
            assert one["lotSizeFilter"]["basePrecision"] == str(spec.step)
            assert (await front.result(MARKET + "instruments-info", category="linear"))["list"] == []
            assert (await front.result(MARKET + "instruments-info", category="spot", status="Closed"))["list"] == []

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("path", "params"),
    [
        ("orderbook", {"symbol": "BTCUSDT"}),
        ("orderbook", {"category": "swap", "symbol": "BTCUSDT"}),
        ("orderbook", {"category": "spot"}),
        ("orderbook", {"category": "spot", "symbol": "btcusdt"}),
        ("orderbook", {"category": "linear", "symbol": "BTCUSDT"}),
        ("orderbook", {**BTC, "limit": "0"}),
        ("orderbook", {**BTC, "limit": "1001"}),
        ("orderbook", {**BTC, "limit": "ten"}),
        ("recent-trade", {**BTC, "limit": "61"}),
        ("instruments-info", {}),
        ("kline", {**BTC, "interval": "7"}),
        # Without a category these two mean linear.
        ("kline", {"symbol": "BTCUSDT", "interval": "1"}),
        ("price-limit", {"symbol": "BTCUSDT"}),
    ],
)
def test_a_wrong_parameter_is_10001_with_http_200(path: str, params: dict[str, str]) -> None:
    async def scenario() -> None:
        async with bybit_front(levels=20) as front:
            assert await front.code(MARKET + path, **params) == 10001

    asyncio.run(scenario())


def test_the_order_book_has_one_level_unless_asked_for_more_and_is_the_true_one() -> None:
    async def scenario() -> None:
        async with bybit_front() as front:
            front.step(20)
            book = await front.result(MARKET + "orderbook", **BTC)
            assert (len(book["b"]), len(book["a"])) == (1, 1)
            for limit in (50, 1000):
                front.step(5)
                book = await front.result(MARKET + "orderbook", **BTC, limit=limit)
                bids, asks = front.truth("orderbook.1000", book["u"])
                assert book["b"] == bids[:limit]
                assert book["a"] == asks[:limit]
                assert len(bids) > 1000, "the true book is deeper than what is served"

    asyncio.run(scenario())


def test_the_full_order_book_is_the_whole_true_one() -> None:
    async def scenario() -> None:
        async with bybit_front() as front:
            front.step(20)
            book = await front.result(MARKET + "full_orderbook", **BTC)
            assert (book["b"], book["a"]) == front.truth("orderbook.full", book["u"])
            assert len(book["b"]) > 1000

    asyncio.run(scenario())


def test_recent_trades_are_the_newest_first() -> None:
    async def scenario() -> None:
        async with bybit_front() as front:
            while len(front.market.tape) < 70:
                front.step(10)
            trades = (await front.result(MARKET + "recent-trade", **BTC))["list"]
            assert len(trades) == 60
            ids = [int(trade["execId"]) for trade in trades]
            assert ids == sorted(ids, reverse=True)
            assert len(trades[0]["execId"]) == 19
            assert all(isinstance(trade["seq"], str) for trade in trades)
            newest = front.market.tape[-1]
            assert (trades[0]["price"], trades[0]["side"].lower()) == (
                f"{newest.price.normalize():f}",
                newest.taker_side,
            )
            assert len((await front.result(MARKET + "recent-trade", **BTC, limit=7))["list"]) == 7

    asyncio.run(scenario())


def test_klines_are_newest_first_and_hold_the_tape() -> None:
    async def scenario() -> None:
        async with bybit_front() as front:
            front.step(100)
            rows = (await front.result(MARKET + "kline", **BTC, interval="60"))["list"]
            starts = [int(row[0]) for row in rows]
            assert starts == sorted(starts, reverse=True)
            assert all(start % 3_600_000 == 0 for start in starts)
            assert float(rows[0][4]) == float(front.market.tape[-1].price)
            total = sum(trade.quantity for trade in front.market.tape)
            assert sum(float(row[5]) for row in rows) == pytest.approx(float(total))
            band = await front.result(MARKET + "price-limit", **BTC)
            assert float(band["sellLmt"]) < float(rows[0][4]) < float(band["buyLmt"])

    asyncio.run(scenario())


def test_a_get_with_a_body_is_refused_and_an_unknown_path_is_not_found() -> None:
    async def scenario() -> None:
        async with bybit_front(levels=20) as front:
            async with front.http.get(front.base + MARKET + "time", data=b"{}") as answer:
                assert answer.status == 403
            assert front.venue.usage.earned[403] == 1
            status, body = await front.get("/v5/market/nothing")
            assert (status, body["retCode"]) == (404, 10017)
            async with front.http.post(front.base + MARKET + "time") as answer:
                assert answer.status == 404

    asyncio.run(scenario())


def test_too_many_requests_of_an_ip_are_banned_for_a_while() -> None:
    async def scenario() -> None:
        async with bybit_front(levels=20, requests_max=5, requests_window_s=5, ban_s=3) as front:
            statuses = [(await front.get(MARKET + "time"))[0] for _ in range(8)]
            assert statuses == [200] * 5 + [403] * 3
            assert front.venue.usage.earned[403] == 3
            assert front.venue.usage.injected[403] == 0
            assert len(front.venue.requests) == 2, "requests during a ban are remembered"
            until = time.monotonic() + 60
            while (await front.get(MARKET + "time"))[0] == 403:
                assert time.monotonic() < until, "the ban never ends"
                # The window has to pass too, or the next request earns the next ban.
                front.venue.settings["requests_max"] = 10_000

    asyncio.run(scenario())


def test_faults_of_http() -> None:
    async def scenario() -> None:
        async with bybit_front(levels=20) as front:
            front.fault("http_5xx", status=503, count=1)
            assert (await front.get(MARKET + "time"))[0] == 503
            front.fault("http_5xx", op="orderbook", count=1)
            assert (await front.get(MARKET + "time"))[0] == 200, "a fault of one endpoint leaves the others alone"
            assert (await front.get(MARKET + "orderbook", **BTC))[0] == 502
            # Two: the client asks once more by itself when a kept connection ends without an answer.
            front.fault("http_timeout", timeout_ms=10, count=2)
            with pytest.raises(aiohttp.ServerDisconnectedError):
                await front.get(MARKET + "recent-trade", **BTC)
            front.fault("http_429", count=1)
            assert (await front.get(MARKET + "time"))[0] == 429
            front.fault("latency", latency_ms=80, count=1)
            started = time.monotonic()
            assert (await front.get(MARKET + "time"))[0] == 200
            assert time.monotonic() - started >= 0.08
            front.fault("clock_skew", skew_ms=-60_000, seconds=60)
            status, body = await front.get(MARKET + "time")
            assert status == 200
            assert -65_000 < body["time"] - time.time() * 1000 < -55_000
            front.fault("http_ban", retry_after_s=60, count=1)
            assert [(await front.get(MARKET + "time"))[0] for _ in range(2)] == [403, 403]
            assert front.venue.usage.injected[403] == 2
            assert front.venue.usage.injected[429] == 1
            assert front.venue.usage.earned.total() == 0

    asyncio.run(scenario())


def test_too_many_connects_are_refused_at_the_handshake() -> None:
    async def scenario() -> None:
        async with bybit_front(levels=20, connects_max=3) as front:
            for _ in range(3):
                async with front.socket():
                    pass
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                async with front.socket():
                    pass
            assert refused.value.status == 403
            assert front.venue.usage.ws_refused == 1
            await eventually(lambda: front.venue.usage.sockets_open == 0, "the closed sockets are counted as closed")

    asyncio.run(scenario())


def test_a_quiet_connection_is_closed_and_pings_keep_one_open() -> None:
    async def scenario() -> None:
        async with bybit_front(levels=20, idle_s=3) as front, front.socket() as quiet, front.socket() as kept:
            async with asyncio.timeout(60):
                while True:
                    await kept.pong()
                    if front.venue.usage.ws_dropped["idle"]:
                        break
            assert (await quiet.ws.receive(timeout=60)).type is aiohttp.WSMsgType.CLOSE
            assert await kept.pong() == []

    asyncio.run(scenario())


def test_frames_that_are_no_request_are_answered() -> None:
    async def scenario() -> None:
        async with bybit_front(levels=20) as front, front.socket() as socket:
            for text in ("{", "[]", json.dumps({"op": "dance"}), json.dumps({"op": "subscribe", "args": "x"})):
                await socket.ws.send_str(text)
                assert (await socket.control())["success"] is False
            await socket.ws.ping(b"beat")
            assert await socket.pong() == [], "the connection lives"

    asyncio.run(scenario())
