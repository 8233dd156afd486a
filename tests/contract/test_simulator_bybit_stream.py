"""The simulated Bybit keeps the protocol, as a raw client sees it: the public stream."""

from __future__ import annotations

import asyncio
import itertools
import json
from typing import Any

import aiohttp
import pytest
from support.bybit_front import PATIENCE_S, ClientBook, Front, Socket, bybit_front, eventually

TOP, FIFTY, THOUSAND = "orderbook.1.BTCUSDT", "orderbook.50.BTCUSDT", "orderbook.1000.BTCUSDT"


def run(scenario: Any) -> None:
    asyncio.run(asyncio.wait_for(scenario(), 300))


def subscribe(*topics: str, op: str = "subscribe") -> dict[str, object]:
    return {"op": op, "args": list(topics), "req_id": "r7"}


def test_replies_have_the_spot_socket_s_shape() -> None:
    async def scenario() -> None:
        async with bybit_front(levels=60) as front, front.socket() as socket:
            await socket.ask(subscribe(FIFTY))
            ack = await socket.control()
            assert ack == {
                "success": True,
                "ret_msg": "subscribe",
                "conn_id": ack["conn_id"],
                "req_id": "r7",
                "op": "subscribe",
            }
            await socket.ask({"op": "ping"})
            pong = await socket.control()
            assert (pong["success"], pong["ret_msg"], pong["op"]) == (True, "pong", "ping")
            assert pong["conn_id"] == ack["conn_id"]
            await socket.ask(subscribe(FIFTY, op="unsubscribe"))
            assert (await socket.control())["ret_msg"] == "unsubscribe"
            await socket.pong()
            front.step(20)
            assert await socket.pong() == []

    run(scenario)


@pytest.mark.parametrize(
    ("topics", "words"),
    [
        (["tickers.NOPEUSDT"], "Invalid symbol :[tickers.NOPEUSDT]"),
        ([FIFTY, "tickers.NOPEUSDT"], "Invalid symbol :[tickers.NOPEUSDT]"),
        (["kline.7.BTCUSDT"], "Invalid kline type :[kline.7.BTCUSDT]"),
        (["orderbook.25.BTCUSDT"], "error:handler not found,topic:orderbook.25.BTCUSDT"),
        ([FIFTY, "nonsense"], "error:handler not found,topic:nonsense"),
        (
            [f"kline.{interval}.BTCUSDT" for interval in (1, 3, 5, 15, 30, 60, 120, 240, 360)] + [TOP, FIFTY],
            "args size >10",
        ),
    ],
)
def test_a_refused_request_subscribes_nothing_and_the_socket_still_answers(topics: list[str], words: str) -> None:
    async def scenario() -> None:
        async with bybit_front(levels=60) as front, front.socket() as socket:
            await socket.ask(subscribe(*topics))
            reply = await socket.control()
            assert (reply["success"], reply["ret_msg"], reply["op"]) == (False, words, "subscribe")
            front.step(20)
            assert await socket.pong() == []

    run(scenario)


def test_a_duplicate_is_not_answered_at_all() -> None:
    async def scenario() -> None:
        async with bybit_front(levels=60) as front, front.socket(FIFTY) as socket:
            await socket.ask(subscribe(FIFTY))
            messages = await socket.pong()
            assert [message["type"] for message in messages] == ["snapshot"], "no reply, no second snapshot"

        async with bybit_front(levels=60, duplicate_error=1) as front, front.socket(FIFTY) as socket:
            await socket.ask(subscribe(FIFTY))
            assert (await socket.control())["ret_msg"] == f"error:already subscribed,topic:{FIFTY}"

    run(scenario)


@pytest.mark.parametrize("tell_pushed_out", [0, 1])
@pytest.mark.parametrize("depth", [50, 200, 1000])
def test_a_depth_stream_is_the_true_top_of_the_book_at_every_id(depth: int, tell_pushed_out: int) -> None:
    async def scenario() -> None:
        topic = f"orderbook.{depth}.BTCUSDT"
        # A book that walks fast, so that levels are pushed out of the view and come back.
        async with bybit_front(walk=2_000, tell_pushed_out=tell_pushed_out) as front, front.socket(topic) as socket:
            book = ClientBook(depth)
            for number in range(1000 // depth + 15):
                message = await socket.data(topic)
                assert list(message) == ["topic", "ts", "type", "data", "cts"]
                assert list(message["data"]) == ["s", "b", "a", "u", "seq"]
                assert message["type"] == ("delta" if number else "snapshot")
                book.apply(message)
                bids, asks = front.truth(f"orderbook.{depth}", book.update_id)
                assert book.levels() == (bids[:depth], asks[:depth])
                front.step(25)

    run(scenario)


def test_what_better_levels_push_out_is_told_as_deleted_only_on_demand() -> None:
    async def told(tell_pushed_out: int) -> bool:
        async with bybit_front(walk=2_000, tell_pushed_out=tell_pushed_out) as front, front.socket(FIFTY) as socket:
            view: ClientBook | None = None
            for _ in range(60):
                message = await socket.data(FIFTY)
                if view is not None:
                    truth = front.truth("orderbook.50", message["data"]["u"])
                    for name, before, now in zip("ba", view.levels(), truth, strict=True):
                        deleted = {price for price, quantity in message["data"][name] if quantity == "0"}
                        assert deleted <= {price for price, _ in before}
                        if deleted & {price for price, _ in now}:
                            return True
                else:
                    view = ClientBook(50)
                view.apply(message)
                front.step(25)
        return False

    async def scenario() -> None:
        assert await told(1)
        assert not await told(0)

    run(scenario)


def test_streams_have_their_own_ids_and_share_the_sequence() -> None:
    async def scenario() -> None:
        async with bybit_front() as front, front.socket(FIFTY, THOUSAND, "publicTrade.BTCUSDT") as socket:
            fifty, thousand = (await socket.data(FIFTY))["data"], (await socket.data(THOUSAND))["data"]
            assert fifty["u"] != thousand["u"]
            assert fifty["seq"] == thousand["seq"]
            rest = await front.result("/v5/market/orderbook", category="spot", symbol="BTCUSDT", limit=1000)
            assert (rest["u"], rest["seq"]) == (thousand["u"], thousand["seq"]), "REST has the ids of orderbook.1000"
            front.step(30)
            later = (await socket.data(THOUSAND))["data"]
            assert later["u"] == thousand["u"] + 1
            assert later["seq"] > thousand["seq"] + 1, "the sequence has holes"
            trade = (await socket.data("publicTrade.BTCUSDT"))["data"][0]
            assert thousand["seq"] < trade["seq"] <= later["seq"]

    run(scenario)


def test_messages_of_a_stream_keep_their_distance() -> None:
    async def scenario() -> None:
        async with bybit_front() as front, front.socket("orderbook.200.BTCUSDT") as socket:
            await socket.data()
            loop, times = asyncio.get_running_loop(), []
            while len(times) < 4:
                front.step(5)
                if any(message["type"] == "delta" for message in await socket.pong()):
                    times.append(loop.time())
            gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
            assert sum(gaps) >= 0.09 * len(gaps), f"orderbook.200 comes every 100 ms at most, not after {gaps}"

    run(scenario)


def test_level_one_is_whole_each_time_and_repeats_its_id() -> None:
    async def scenario() -> None:
        async with bybit_front(levels=60, top_repeat_ms=30) as front, front.socket(TOP) as socket:
            first = await socket.data()
            assert (len(first["data"]["b"]), len(first["data"]["a"])) == (1, 1)
            again = await socket.data()
            assert (again["type"], again["data"]) == ("snapshot", first["data"])
            assert again["ts"] > first["ts"]
            last = again
            while last["data"]["u"] < first["data"]["u"] + 5:
                front.step(5)
                message = await socket.data()
                assert message["type"] == "snapshot"
                assert message["data"]["u"] - last["data"]["u"] in (0, 1)
                bids, asks = front.truth("orderbook.1", message["data"]["u"])
                assert (message["data"]["b"], message["data"]["a"]) == (bids[:1], asks[:1])
                last = message

    run(scenario)


def test_the_full_book_is_deltas_on_top_of_rest() -> None:
    async def scenario() -> None:
        async with bybit_front(walk=2_000) as front, front.socket("orderbook.full.BTCUSDT") as socket:
            assert await socket.pong() == [], "no snapshot"
            front.step(30)
            await socket.data()
            rest = await front.result("/v5/market/full_orderbook", category="spot", symbol="BTCUSDT")
            book = ClientBook(10_000)
            book.apply({"type": "snapshot", "data": rest})
            for _ in range(4):
                front.step(60)
                message = await socket.data()
                assert message["type"] == "delta"
                book.apply(message)
                assert book.levels() == front.truth("orderbook.full", book.update_id)

    run(scenario)


def test_trades_come_in_order_with_the_tape_s_numbers() -> None:
    async def scenario() -> None:
        async with bybit_front() as front, front.socket("publicTrade.BTCUSDT") as socket:
            known = len(front.market.tape)
            while len(front.market.tape) < known + 20:
                front.step()
            expected = list(front.market.tape)[known:]
            trades: list[Any] = []
            while len(trades) < len(expected):
                message = await socket.data()
                assert message["type"] == "snapshot"
                trades += message["data"]
            assert [trade["p"] for trade in trades] == [f"{trade.price.normalize():f}" for trade in expected]
            assert [trade["S"].lower() for trade in trades] == [trade.taker_side for trade in expected]
            assert list(trades[0]) == ["i", "T", "p", "v", "S", "s", "BT", "RPI", "seq"]
            assert isinstance(trades[0]["seq"], int)
            ids = [int(trade["i"]) for trade in trades]
            assert ids == sorted(set(ids))
            rest = await front.result("/v5/market/recent-trade", category="spot", symbol="BTCUSDT", limit=1)
            assert rest["list"][0]["execId"] == trades[-1]["i"]

    run(scenario)


def test_ticker_kline_and_price_limit_are_whole_and_the_ticker_has_no_bid() -> None:
    async def scenario() -> None:
        topics = ("tickers.BTCUSDT", "kline.1.BTCUSDT", "priceLimit.BTCUSDT")
        async with bybit_front() as front, front.socket(*topics) as socket:
            ticker = await socket.data(topics[0])
            assert ticker["type"] == "snapshot"
            assert not {"bid1Price", "ask1Price"} & set(ticker["data"])
            kline = await socket.data(topics[1])
            assert kline["data"][0]["confirm"] is False
            assert kline["data"][0]["end"] - kline["data"][0]["start"] == 59_999
            limit = await socket.data(topics[2])
            assert float(limit["data"]["sellLmt"]) < float(ticker["data"]["lastPrice"]) < float(limit["data"]["buyLmt"])
            known = len(front.market.tape)
            while len(front.market.tape) == known:
                front.step()
            price = f"{front.market.tape[-1].price.normalize():f}"
            while (await socket.data(topics[0]))["data"]["lastPrice"] != price:
                pass
            assert (await socket.data(topics[1]))["data"][0]["close"] == price

    run(scenario)


async def settled(front: Front, socket: Socket, topic: str = FIFTY) -> int:
    """The id after the snapshot and one delta have come."""
    await socket.data(topic)
    front.step(25)
    return int((await socket.data(topic))["data"]["u"])


def test_a_restart_begins_anew_at_one_and_a_snapshot_may_come_at_any_time() -> None:
    async def scenario() -> None:
        async with bybit_front() as front, front.socket(FIFTY) as socket:
            last = await settled(front, socket)
            front.fault("ws_snapshot")
            front.step(25)
            message = await socket.data()
            assert (message["type"], message["data"]["u"], len(message["data"]["b"])) == ("snapshot", last + 1, 50)
            front.step(25)
            message = await socket.data()
            assert (message["type"], message["data"]["u"]) == ("delta", last + 2)

            front.fault("ws_restart")
            message = await socket.data()
            assert (message["type"], message["data"]["u"], len(message["data"]["a"])) == ("snapshot", 1, 50)
            bids, asks = front.truth("orderbook.50", 1)
            assert (message["data"]["b"], message["data"]["a"]) == (bids[:50], asks[:50])
            front.step(25)
            assert (await socket.data())["data"]["u"] == 2

    run(scenario)


def test_gaps_and_duplicates_of_one_stream() -> None:
    async def scenario() -> None:
        async with bybit_front() as front, front.socket(TOP, FIFTY) as socket:
            last = await settled(front, socket)
            front.fault("ws_gap", count=2)
            ids: list[int] = []
            while len(ids) < 2:
                front.step(25)
                ids += [message["data"]["u"] for message in await socket.pong() if message["topic"] == FIFTY]
            assert ids[0] == last + 3, "two deltas are missing, and nothing of orderbook.1 counted"
            assert ids[1] == last + 4
            front.fault("ws_duplicate", op="orderbook.50")
            front.step(25)
            assert (await socket.data(FIFTY))["data"] == (await socket.data(FIFTY))["data"]

    run(scenario)


def test_a_silent_stream_still_pongs() -> None:
    async def scenario() -> None:
        async with bybit_front() as front, front.socket(FIFTY) as silent, front.socket(FIFTY) as other:
            await settled(front, silent)
            await settled(front, other)
            fault = front.fault("ws_silent", count=1)
            while not fault.fired:
                front.step(25)
                await other.data()
            await silent.pong()  # what came before
            for _ in range(5):
                front.step(25)
                await other.data()
            assert await silent.pong() == []

    run(scenario)


def test_a_drop_cuts_the_connection_without_a_close_frame() -> None:
    async def scenario() -> None:
        async with bybit_front(levels=60) as front, front.socket(FIFTY) as first, front.socket(FIFTY) as second:
            await second.pong()
            front.fault("ws_drop", count=1)
            while (message := await first.ws.receive(timeout=PATIENCE_S)).type is aiohttp.WSMsgType.TEXT:
                pass
            assert message.type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)
            assert await second.pong() == [], "one, and no more"
            assert front.venue.usage.ws_dropped["ws_drop"] == 1

    run(scenario)


@pytest.mark.parametrize("form", ["truncated", "binary", "wrong_types", "huge"])
def test_a_malformed_message(form: str) -> None:
    async def scenario() -> None:
        async with bybit_front() as front, front.socket(FIFTY) as socket:
            last = await settled(front, socket)
            front.fault("ws_malformed", form=form)
            front.step(25)
            bad = await socket.ws.receive(timeout=PATIENCE_S)
            if form == "binary":
                assert bad.type is aiohttp.WSMsgType.BINARY
            elif form == "truncated":
                with pytest.raises(json.JSONDecodeError):
                    json.loads(bad.data)
            elif form == "wrong_types":
                assert json.loads(bad.data)["data"]["u"] != last + 1
            else:
                assert len(bad.data) > 16 * 1024 * 1024
            front.step(25)
            assert (await socket.data())["data"]["u"] == last + 2

    run(scenario)


def test_a_reader_that_does_not_read_is_disconnected_and_others_are_not() -> None:
    async def scenario() -> None:
        async with bybit_front(levels=60, send_buffer_bytes_max=100_000) as front, front.socket(FIFTY) as other:
            host, port = front.base.removeprefix("http://").split(":")
            reader, writer = await asyncio.open_connection(host, int(port), limit=1024)
            writer.write(
                f"GET /v5/public/spot HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
            )
            await reader.readuntil(b"\r\n\r\n")
            request = json.dumps(subscribe("publicTrade.BTCUSDT")).encode()
            writer.write(bytes([0x81, 0x80 | len(request), 0, 0, 0, 0]) + request)
            await writer.drain()
            front.fault("ws_malformed", form="huge", op="publicTrade", count=2)
            while not front.venue.usage.ws_dropped["slow_consumer"]:
                front.step(20)
                await other.pong()
            writer.close()
            front.step(20)
            await other.data(FIFTY)

    run(scenario)


def test_a_shutdown_closes_and_restarts_the_ids() -> None:
    async def scenario() -> None:
        async with bybit_front() as front, front.socket(FIFTY) as socket:
            await settled(front, socket)
            front.fault("server_shutdown", lead_ms=10)
            assert (await socket.data())["data"]["u"] == 1
            while (message := await socket.ws.receive(timeout=PATIENCE_S)).type is aiohttp.WSMsgType.TEXT:
                pass
            assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, 1001)
            async with front.socket(FIFTY) as again:
                assert (await again.data())["type"] == "snapshot"
            await eventually(lambda: front.venue.usage.sockets_open == 0, "both are closed")

    run(scenario)
