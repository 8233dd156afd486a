"""The simulated Binance keeps the protocol, as a raw client sees it: the streams."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp
import pytest
from support.binance_front import ClientBook, Front, Socket, binance_front, diffs, with_front
from yarl import URL

FAST, SLOW, TOP = "btcusdt@depth@100ms", "btcusdt@depth", "btcusdt@bookTicker"
DEPTH = "/api/v3/depth?symbol=BTCUSDT&limit=5000"


def refusal(code: int, words: str, document: Any, request_id: Any = 1) -> None:
    """Check an error reply."""
    assert set(document) == {"error", "id"}
    assert document["error"]["code"] == code
    assert words in document["error"]["msg"]
    assert document["id"] == request_id


@pytest.mark.parametrize("stream", [FAST, SLOW])
def test_snapshot_and_diffs_make_the_true_book_without_a_gap(stream: str) -> None:
    async def check(front: Front) -> None:
        async with front.socket(f"/ws/{stream}") as socket:
            buffered = await diffs(front, socket, 2)
            front.step(2)
            book = ClientBook(await front.result(DEPTH))
            for event in [*buffered, *await diffs(front, socket, 2)]:
                assert (event["e"], event["s"]) == ("depthUpdate", "BTCUSDT")
                assert event["U"] <= event["u"]
                book.apply(event)
            assert book.applied >= 2
            # The snapshot was of all levels, so the books are equal to the last one.
            assert book.levels() == front.truth(book.update_id)

    with_front(check)


def test_a_snapshot_taken_between_two_diffs_fits_any_of_them() -> None:
    async def check(front: Front) -> None:
        async with front.socket(f"/ws/{FAST}") as socket:
            events = await diffs(front, socket, 1)
            exact = await front.result(DEPTH)
            assert exact["lastUpdateId"] >= events[-1]["u"]
            while events[-1]["u"] < exact["lastUpdateId"]:
                events += await diffs(front, socket, 1)
            following = (await diffs(front, socket, 1))[0]
            assert following["U"] == events[-1]["u"] + 1

    with_front(check)


def test_an_interval_without_an_update_sends_nothing() -> None:
    async def check(front: Front) -> None:
        async with front.socket(f"/ws/{FAST}/btcusdt@avgPrice") as socket:
            front.step(1)
            first = await socket.next()
            while first["e"] != "depthUpdate":
                first = await socket.next()
            # A stream of every second goes on meanwhile, so many intervals have passed when it was heard twice.
            heard = [(await socket.next())["e"] for _ in range(2)]
            assert heard == ["avgPrice", "avgPrice"]

    with_front(check)


def test_partial_books_and_best_prices_share_the_ids_of_the_book() -> None:
    async def check(front: Front) -> None:
        async with front.socket(f"/stream?streams=btcusdt@depth5@100ms/{TOP}") as socket:
            seen: dict[str, Any] = {}
            while len(seen) < 2:
                front.step(2)
                message = await socket.next()
                seen[message["stream"]] = message["data"]
            partial, best = seen["btcusdt@depth5@100ms"], seen[TOP]
            assert list(partial) == ["lastUpdateId", "bids", "asks"]
            assert (len(partial["bids"]), len(partial["asks"])) == (5, 5)
            bids, asks = front.truth(partial["lastUpdateId"])
            assert ClientBook(partial).levels() == (bids[:5], asks[:5])
            assert list(best) == ["u", "s", "b", "B", "a", "A"]
            bids, asks = front.truth(best["u"])
            tops = {"lastUpdateId": 0, "bids": [[best["b"], best["B"]]], "asks": [[best["a"], best["A"]]]}
            assert ClientBook(tops).levels() == (bids[:1], asks[:1])

    with_front(check)


def test_trades_come_in_real_time_single_and_aggregated() -> None:
    async def check(front: Front) -> None:
        async with front.socket("/stream?streams=btcusdt@trade/btcusdt@aggTrade") as socket:
            await socket.ask("LIST_SUBSCRIPTIONS")
            known = front.market.tape[-1].trade_id
            while front.market.tape[-1].trade_id < known + 10:
                front.step(1)
            expected = [trade for trade in front.market.tape if trade.trade_id > known]
            singles: list[Any] = []
            aggregates: list[Any] = []
            while not aggregates or aggregates[-1]["l"] < expected[-1].trade_id:
                message = await socket.next()
                (singles if message["stream"] == "btcusdt@trade" else aggregates).append(message["data"])
            assert [row["t"] for row in singles] == [trade.trade_id for trade in expected]
            assert [row["m"] for row in singles] == [trade.taker_side == "sell" for trade in expected]
            assert [row["f"] for row in aggregates][1:] == [row["l"] + 1 for row in aggregates][:-1]
            assert len({row["a"] for row in aggregates}) == len(aggregates)

    with_front(check)


@pytest.mark.parametrize(
    ("stream", "kind", "keys"),
    [
        ("btcusdt@ticker", "24hrTicker", set("eEspPwxcQbBaAohlvqOCFLn")),
        ("btcusdt@ticker_1h", "1hTicker", set("eEspPwcohlvqOCFLn")),
        ("btcusdt@miniTicker", "24hrMiniTicker", set("eEscohlvq")),
        ("btcusdt@avgPrice", "avgPrice", set("eEsiwT")),
        ("btcusdt@kline_1s", "kline", set("eEsk")),
        ("btcusdt@kline_1m@+08:00", "kline", set("eEsk")),
    ],
)
def test_timed_streams_have_the_documented_fields(stream: str, kind: str, keys: set[str]) -> None:
    async def check(front: Front) -> None:
        front.step(20)
        async with front.socket(f"/ws/{stream}") as socket:
            event = await socket.next()
            assert (event["e"], event["s"], set(event)) == (kind, "BTCUSDT", keys)
            if kind == "kline":
                assert set(event["k"]) == set("tTsifLochlvnxqVQB")

    with_front(check)


def test_the_tickers_of_all_symbols_tell_the_changed_ones_only() -> None:
    async def check(front: Front) -> None:
        async with front.socket("/ws/!miniTicker@arr/btcusdt@avgPrice") as socket:
            first = await socket.next()
            while not isinstance(first, list):
                first = await socket.next()
            assert {row["s"] for row in first} == {"BTCUSDT", "ETHUSDT"}
            market = front.venue.markets["BTCUSDT"]
            market.submit(True, 1, now_ns=front.venue.time_ns())
            market.commit(front.venue.time_ns())
            second = await socket.next()
            while not isinstance(second, list):
                second = await socket.next()
            assert [row["s"] for row in second] == ["BTCUSDT"]

    with_front(check, symbols=("BTC/USDT", "ETH/USDT"))


def test_control_requests_are_answered_exactly() -> None:
    async def check(front: Front) -> None:
        async with front.socket() as socket:
            assert await socket.ask("SUBSCRIBE", FAST, TOP) == {"result": None, "id": 1}
            assert await socket.ask("LIST_SUBSCRIPTIONS", request_id="a9") == {"result": [FAST, TOP], "id": "a9"}
            assert await socket.ask("UNSUBSCRIBE", TOP, request_id=None) == {"result": None, "id": None}
            assert (await socket.ask("LIST_SUBSCRIPTIONS"))["result"] == [FAST]

    with_front(check, ws_messages_a_second=50)


def test_the_combined_property_wraps_messages_but_never_replies() -> None:
    async def check(front: Front) -> None:
        async with front.socket() as socket:
            await socket.ask("SUBSCRIBE", TOP)
            assert (await socket.ask("GET_PROPERTY", "combined", request_id=2)) == {"result": False, "id": 2}
            assert (await socket.ask("SET_PROPERTY", "combined", True, request_id=3)) == {"result": None, "id": 3}
            assert (await socket.ask("GET_PROPERTY", "combined"))["result"] is True
            front.step(20)
            message = await socket.next()
            assert message["stream"] == TOP
            assert message["data"]["s"] == "BTCUSDT"

    with_front(check, ws_messages_a_second=50)


@pytest.mark.parametrize(
    ("text", "code", "words", "request_id"),
    [
        ("{", 3, "Invalid JSON", None),
        ("[]", 2, "Invalid request", None),
        ('{"id":4}', 2, "missing field `method`", None),
        ('{"method":"DANCE","id":4}', 2, "unknown variant `DANCE`", 4),
        ('{"method":"SUBSCRIBE","params":["btcusdt@nothing"],"id":4}', 2, "invalid stream", 4),
        ('{"method":"SUBSCRIBE","params":["BTCUSDT@trade"],"id":4}', 2, "invalid stream", 4),
        ('{"method":"SUBSCRIBE","params":["nopeusdt@trade"],"id":4}', 2, "invalid stream", 4),
        ('{"method":"SUBSCRIBE","params":["!ticker@arr"],"id":4}', 2, "invalid stream", 4),
        ('{"method":"SUBSCRIBE","params":["btcusdt@depth50"],"id":4}', 2, "invalid stream", 4),
        ('{"method":"SUBSCRIBE","params":["btcusdt@depth@50ms"],"id":4}', 2, "invalid stream", 4),
        ('{"method":"SUBSCRIBE","params":[],"id":4}', 2, "Invalid request", 4),
        ('{"method":"LIST_SUBSCRIPTIONS","id":1.5}', 2, "request ID", None),
        ('{"method":"LIST_SUBSCRIPTIONS","id":"a b"}', 2, "request ID", None),
        ('{"method":"GET_PROPERTY","params":["colour"],"id":4}', 0, "Unknown property", 4),
        ('{"method":"SET_PROPERTY","params":["combined","yes"],"id":4}', 1, "expected Boolean", 4),
        ('{"method":"SET_PROPERTY","params":["combined",true,1],"id":4}', 2, "too many parameters", 4),
    ],
)
def test_a_wrong_request_is_told_its_code_and_the_connection_stays(
    text: str, code: int, words: str, request_id: Any
) -> None:
    async def check(front: Front) -> None:
        async with front.socket() as socket:
            refusal(code, words, await socket.say(text), request_id)
            assert (await socket.ask("LIST_SUBSCRIPTIONS")) == {"result": [], "id": 1}

    with_front(check)


def test_a_request_with_one_wrong_name_subscribes_to_none() -> None:
    async def check(front: Front) -> None:
        async with front.socket() as socket:
            refusal(2, "invalid stream", await socket.ask("SUBSCRIBE", TOP, "btcusdt@nothing"))
            assert (await socket.ask("LIST_SUBSCRIPTIONS"))["result"] == []

    with_front(check)


def test_streams_in_the_url_may_be_percent_encoded_and_wrong_ones_are_passed_over_in_silence() -> None:
    async def check(front: Front) -> None:
        url = URL(f"{front.base}/stream?streams=btcusdt%40trade%2F0/btcusdt%40kline_1d%40%2B08:00", encoded=True)
        async with front.http.ws_connect(url) as ws:
            names = (await Socket(ws).ask("LIST_SUBSCRIPTIONS"))["result"]
            assert names == ["btcusdt@trade", "btcusdt@kline_1d@+08:00"]
        async with front.http.ws_connect(URL(f"{front.base}/ws/btcusdt%40trade/nothing", encoded=True)) as ws:
            assert (await Socket(ws).ask("LIST_SUBSCRIPTIONS"))["result"] == ["btcusdt@trade"]

    with_front(check)


def test_the_number_of_streams_of_a_connection_is_limited() -> None:
    async def check(front: Front) -> None:
        async with front.socket() as socket:
            refusal(2, "more than 2 streams", await socket.ask("SUBSCRIBE", FAST, SLOW, TOP))
            assert (await socket.ask("SUBSCRIBE", FAST, SLOW))["result"] is None

    with_front(check, ws_streams_max=2)


def test_microseconds_are_of_the_connection_that_asked_for_them() -> None:
    async def check(front: Front) -> None:
        async with (
            front.socket(f"/ws/{FAST}?timeUnit=MICROSECOND") as fine,
            front.socket(f"/ws/{FAST}?timeUnit=millisecond") as plain,
        ):
            await plain.ask("LIST_SUBSCRIPTIONS")
            front.step(5)
            event, other = await fine.next(), await plain.next()
            assert event["E"] // 1_000 == other["E"]
            assert {**event, "E": 0} == {**other, "E": 0}
        answer, body = await front.call("/ws?timeUnit=YEAR", headers=_HANDSHAKE)
        assert (answer.status, json.loads(body)["code"]) == (400, -1194)

    with_front(check)


_HANDSHAKE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


def test_a_ping_that_is_answered_keeps_the_connection_and_one_that_is_not_ends_it() -> None:
    async def check(front: Front) -> None:
        async with front.socket(autoping=False) as deaf, front.socket() as polite:
            ping = await deaf.frame()
            assert ping.type is aiohttp.WSMsgType.PING
            assert ping.data, "a ping has a payload"
            # A pong of another payload, and one that nobody asked for, count for nothing.
            await deaf.ws.pong(b"something else")
            reading = asyncio.create_task(polite.frame())
            assert await deaf.closed() == 1008
            assert not reading.done()
            assert not polite.ws.closed
            reading.cancel()
        assert front.venue.usage.document()["ws_dropped"]["no_pong"] == 1

    with_front(check, ping_interval_s=0.15, pong_timeout_s=4, ws_messages_a_second=50)


def test_a_client_s_ping_is_answered_with_its_payload() -> None:
    async def check(front: Front) -> None:
        async with front.socket(autoping=False) as socket:
            await socket.ws.ping(b"here?")
            pong = await socket.frame()
            assert (pong.type, bytes(pong.data)) == (aiohttp.WSMsgType.PONG, b"here?")

    with_front(check)


def test_more_than_five_frames_a_second_of_any_kind_cut_the_connection_and_in_the_end_ban() -> None:
    async def check(front: Front) -> None:
        for _ in range(2):
            async with front.socket(autoping=False) as socket:
                await socket.ws.ping(b"1")
                await socket.ws.pong(b"2")
                for _ in range(4):
                    await socket.ws.send_str('{"method":"LIST_SUBSCRIPTIONS","id":1}')
                assert await socket.closed() == 1008
        assert front.venue.usage.document()["ws_dropped"]["flood"] == 2
        assert (await front.call("/api/v3/ping"))[0].status == 418
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            async with front.socket():
                pass
        assert refused.value.status == 418

    with_front(check, ws_floods_max=2)


def test_five_frames_in_a_second_are_borne() -> None:
    async def check(front: Front) -> None:
        async with front.socket() as socket:
            for _ in range(5):
                await socket.ask("LIST_SUBSCRIPTIONS")

    with_front(check)


def test_connects_are_limited_by_address() -> None:
    async def check(front: Front) -> None:
        for _ in range(2):
            async with front.socket():
                pass
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            async with front.socket():
                pass
        assert refused.value.status == 429
        usage = front.venue.usage.document()
        assert (usage["ws_connects"], usage["ws_refused"], usage["earned"]["429"]) == (2, 1, 1)

    with_front(check, ws_connects_limit=2, ws_connects_window_s=3_600)


def test_a_connection_ends_after_its_day() -> None:
    async def check(front: Front) -> None:
        async with front.socket(f"/ws/{FAST}") as socket:
            assert await socket.closed() == 1008

    with_front(check, connection_life_s=0.3)


def test_subscribers_of_a_stream_get_the_very_same_bytes() -> None:
    async def check(front: Front) -> None:
        async with front.socket(f"/ws/{FAST}") as one, front.socket(f"/ws/{FAST}") as other:
            await other.ask("LIST_SUBSCRIPTIONS")
            front.step(5)
            assert (await one.frame()).data == (await other.frame()).data

    with_front(check)


def test_when_the_server_ends_its_connections_are_closed_and_nothing_stays() -> None:
    async def scenario() -> None:
        async with binance_front() as front:
            ws = await front.http.ws_connect(front.base + f"/ws/{TOP}")
            venue = front.venue
            assert venue.usage.sockets_open == 1
        assert venue.usage.sockets_open == 0
        assert ws.closed or (await ws.receive(timeout=60)).type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED)
        left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        assert left == []

    asyncio.run(scenario())
