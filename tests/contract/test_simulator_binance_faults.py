"""Faults of the simulated Binance's streams, as a raw client meets them."""

from __future__ import annotations

import asyncio
import json

import aiohttp
import pytest
from support.binance_front import Front, diffs, eventually, with_front

FAST, TOP = "btcusdt@depth@100ms", "btcusdt@bookTicker"


@pytest.mark.parametrize(("path", "combined"), [(f"/ws/{TOP}", False), (f"/stream?streams={TOP}", True)])
def test_a_shutdown_is_announced_and_then_comes(path: str, combined: bool) -> None:
    async def check(front: Front) -> None:
        async with front.socket(path) as socket:
            await socket.ask("LIST_SUBSCRIPTIONS")
            fault = front.fault("server_shutdown", lead_ms=150)
            notice = await socket.next()
            if combined:
                assert notice["stream"] == "!serverShutdown"
                notice = notice["data"]
            assert notice["e"] == "serverShutdown"
            async with front.socket() as other:
                assert await socket.closed() == 1001
                assert (await other.ask("LIST_SUBSCRIPTIONS"))["result"] == []
            assert front.fired(fault) == 1

    with_front(check)


def test_a_drop_cuts_open_connections_at_once_as_many_as_it_says() -> None:
    async def check(front: Front) -> None:
        async with front.socket(f"/ws/{TOP}") as first, front.socket(f"/ws/{TOP}") as second:
            await second.ask("LIST_SUBSCRIPTIONS")
            fault = front.fault("ws_drop", count=1)
            assert await first.closed() == 1006
            assert (await second.ask("LIST_SUBSCRIPTIONS"))["result"] == [TOP]
            assert front.fired(fault) == 1

    with_front(check)


def test_a_drop_for_a_symbol_spares_those_who_do_not_listen_to_it() -> None:
    async def check(front: Front) -> None:
        async with front.socket("/ws/ethusdt@bookTicker") as other, front.socket(f"/ws/{TOP}") as one:
            await one.ask("LIST_SUBSCRIPTIONS")
            front.fault("ws_drop", symbol="BTC/USDT", seconds=60)
            assert await one.closed() == 1006
            assert (await other.ask("LIST_SUBSCRIPTIONS"))["result"] == ["ethusdt@bookTicker"]

    with_front(check, symbols=("BTC/USDT", "ETH/USDT"))


def test_gapped_and_duplicated_messages() -> None:
    async def check(front: Front) -> None:
        async with front.socket(f"/ws/{FAST}") as socket:
            before = (await diffs(front, socket, 1))[-1]
            fault = front.fault("ws_gap", op="depth", count=1)
            front.step(1)
            await eventually(lambda: front.fired(fault), "the gap happened")
            after = (await diffs(front, socket, 1))[-1]
            assert after["U"] > before["u"] + 1
            front.fault("ws_duplicate", count=1)
            twice = await diffs(front, socket, 1)
            assert await socket.next() == twice[0]

    with_front(check)


@pytest.mark.parametrize("form", ["truncated", "binary", "huge", "wrong_types", "not_json", "empty", "deep"])
def test_malformed_messages_are_malformed_in_the_way_asked_for(form: str) -> None:
    async def check(front: Front) -> None:
        async with front.socket(f"/ws/{FAST}") as socket:
            await socket.ask("LIST_SUBSCRIPTIONS")
            front.fault("ws_malformed", form=form, count=1)
            front.step(3)
            message = await socket.frame()
            expected = aiohttp.WSMsgType.BINARY if form == "binary" else aiohttp.WSMsgType.TEXT
            assert message.type is expected
            if form in ("truncated", "not_json", "empty"):
                with pytest.raises(json.JSONDecodeError):
                    json.loads(message.data)
            elif form == "huge":
                assert len(message.data) > 16 * 1024 * 1024
            elif form == "wrong_types":
                document = json.loads(message.data)
                assert document["e"] == "depthUpdate"
                assert not isinstance(document["u"], int)
                assert not isinstance(document["b"], list)
            following = (await diffs(front, socket, 1))[-1]
            assert following["e"] == "depthUpdate"

    with_front(check)


def test_a_silent_connection_sends_nothing_more_and_stays_open() -> None:
    async def check(front: Front) -> None:
        async with front.socket(f"/ws/{TOP}", autoping=False) as mute:
            await mute.ask("LIST_SUBSCRIPTIONS")
            fault = front.fault("ws_silent", count=1)
            front.step(10)
            assert front.fired(fault) == 1
            await mute.ws.ping(b"there?")
            async with front.socket(f"/ws/{TOP}") as fresh:
                await fresh.ask("LIST_SUBSCRIPTIONS")
                front.step(10)
                assert (await fresh.next())["s"] == "BTCUSDT"
            with pytest.raises(asyncio.TimeoutError):
                await mute.ws.receive(timeout=0.3)
            await eventually(lambda: front.venue.usage.sockets_open == 1, "the other one alone is closed")

    with_front(check, ping_interval_s=0.1)


def test_slow_bytes_trickle_in_order() -> None:
    async def check(front: Front) -> None:
        async with front.socket(f"/ws/{TOP}") as socket:
            await socket.ask("LIST_SUBSCRIPTIONS")
            front.fault("ws_slow", bytes_per_s=400, count=1)
            loop = asyncio.get_running_loop()
            started = loop.time()
            front.step(20)
            slow = await socket.next()
            assert loop.time() - started > 0.15, "about 120 bytes at 400 a second"
            ids = [slow["u"], *[(await socket.next())["u"] for _ in range(3)]]
            assert ids == sorted(ids)

    with_front(check)


def test_a_consumer_that_does_not_read_is_disconnected_and_others_go_on() -> None:
    async def check(front: Front) -> None:
        async with front.socket(f"/ws/{FAST}") as lazy, front.socket(f"/ws/{TOP}") as keen:
            await keen.ask("LIST_SUBSCRIPTIONS")
            assert lazy.ws._response.connection is not None
            transport = lazy.ws._response.connection.transport
            transport.pause_reading()
            # One message that no socket's buffers hold, so that the next one finds the connection behind.
            fault = front.fault("ws_malformed", form="huge", op="depth", count=1)
            front.step(1)
            await eventually(lambda: front.fired(fault), "the huge message was sent")
            front.step(1)
            await eventually(lambda: front.venue.usage.ws_dropped["slow_consumer"], "the slow one was cut")
            await eventually(lambda: front.venue.usage.sockets_open == 1, "it alone is closed")
            assert (await keen.next())["s"] == "BTCUSDT"
            transport.resume_reading()

    with_front(check, send_buffer_bytes_max=4_096)
