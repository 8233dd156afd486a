"""The simulated Binance in this process, on a free port, and a raw client beside it: aiohttp and JSON, none of ours.

The order flow does not run by itself: a test plays it event by event (:meth:`Front.step`). Timed streams follow the
clock, as they do in the whole simulator.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from aiohttp.test_utils import TestServer

from thespian_connector.model.decimals import dec, text
from thespian_connector.simulator.binance import BOOK_IDS, SETTINGS, make_app
from thespian_connector.simulator.market import Market
from thespian_connector.simulator.world import World, WorldOptions

#: How long a message may take to come.
PATIENCE_S = 60.0

Side = list[list[str]]


class Front:
    """A running front, its market BTCUSDT, and a client's HTTP session."""

    def __init__(self, world: World, base: str, http: aiohttp.ClientSession) -> None:
        self.world = world
        self.venue = world.venues["binance"]
        self.market: Market = self.venue.markets["BTCUSDT"]
        self.base = base
        self.http = http

    def step(self, events: int = 1) -> None:
        """Play events of the flow that change this venue's BTCUSDT; what others do happens in between."""
        done = self.market.batch_id + events
        while self.market.batch_id < done:
            self.world.flow.step(time.time_ns())

    async def call(self, path: str, method: str = "GET", **keywords: Any) -> tuple[aiohttp.ClientResponse, bytes]:
        """The answer to a request, with its body."""
        async with self.http.request(method, self.base + path, **keywords) as answer:
            return answer, await answer.read()

    async def result(self, path: str, **keywords: Any) -> Any:
        """The document of a good answer."""
        answer, body = await self.call(path, **keywords)
        assert answer.status == 200, body
        return json.loads(body)

    async def refusal(self, path: str, **keywords: Any) -> tuple[int, int]:
        """(HTTP status, code) of a refusal."""
        answer, body = await self.call(path, **keywords)
        document = json.loads(body)
        assert set(document) == {"code", "msg"}
        return answer.status, document["code"]

    @asynccontextmanager
    async def socket(self, path: str = "/ws", **keywords: Any) -> AsyncIterator[Socket]:
        """A connection to a path; pings are left to the test with ``autoping=False``."""
        async with self.http.ws_connect(self.base + path, max_msg_size=0, **keywords) as ws:
            yield Socket(ws)

    def fault(self, kind: str, **fields: object) -> int:
        """Inject a fault; its id."""
        return self.world.faults.add({"venue": "binance", "kind": kind, **fields}).fault_id

    def fired(self, fault_id: int) -> int:
        fault = self.world.faults.get(fault_id)
        assert fault is not None
        return fault.fired

    def truth(self, update_id: int) -> tuple[Side, Side]:
        """The whole true book at an update id, as canonical text."""
        batch_id = self.market.history.find(BOOK_IDS, update_id)
        assert batch_id is not None, f"{update_id} is not known"
        sides = self.market.levels_at(batch_id)
        assert sides is not None
        bids, asks = ([[text(price), text(quantity)] for price, quantity in side] for side in sides)
        return bids, asks


class Socket:
    """The client's side of a stream connection."""

    def __init__(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        self.ws = ws
        self.kept: list[Any] = []

    async def frame(self) -> aiohttp.WSMessage:
        """The next frame of any kind."""
        return await self.ws.receive(timeout=PATIENCE_S)

    async def next(self) -> Any:
        """The next document."""
        if self.kept:
            return self.kept.pop(0)
        message = await self.frame()
        assert message.type is aiohttp.WSMsgType.TEXT, message
        return json.loads(message.data)

    async def ask(self, method: str, *params: object, request_id: object = 1) -> Any:
        """The reply to a request; what streams send before it is kept for :meth:`next`."""
        request: dict[str, object] = {"method": method, "id": request_id}
        if params:
            request["params"] = list(params)
        return await self.say(json.dumps(request))

    async def say(self, text: str) -> Any:
        """The reply to a text frame."""
        await self.ws.send_str(text)
        kept: list[Any] = []
        while True:
            document = await self.next()
            if "result" in document or "error" in document:
                self.kept = kept
                return document
            kept.append(document)

    async def closed(self) -> int | None:
        """Read on until the connection ends; its close code (1006: it was cut)."""
        while True:
            message = await self.frame()
            if message.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.CLOSING):
                return self.ws.close_code
            if message.type is aiohttp.WSMsgType.ERROR:
                return 1006


class ClientBook:
    """A book kept by Binance's own recipe, with every step asserted."""

    def __init__(self, snapshot: Any) -> None:
        self.update_id = snapshot["lastUpdateId"]
        self.sides = {name: {dec(p): dec(q) for p, q in snapshot[long]} for name, long in _SIDES}
        self.applied = 0

    def apply(self, event: Any) -> None:
        """Apply a diff; one that is older than the snapshot is dropped."""
        if event["u"] <= self.update_id:
            return
        assert event["U"] <= self.update_id + 1, "a gap"
        if self.applied:
            assert event["U"] == self.update_id + 1, "the next U is the last u + 1"
        for name, side in self.sides.items():
            for price, quantity in event[name]:
                if dec(quantity):
                    side[dec(price)] = dec(quantity)
                else:
                    side.pop(dec(price), None)
        self.update_id = event["u"]
        self.applied += 1

    def levels(self) -> tuple[Side, Side]:
        """All levels as canonical text, best first."""
        bids, asks = (
            [[text(price), text(side[price])] for price in sorted(side, reverse=name == "b")]
            for name, side in self.sides.items()
        )
        return bids, asks


_SIDES = (("b", "bids"), ("a", "asks"))


@asynccontextmanager
async def binance_front(
    symbols: tuple[str, ...] = ("BTC/USDT",), levels: int = 120, walk: int = 80, **settings: float
) -> AsyncIterator[Front]:
    """A front with these settings; `walk` is how many levels of the book its price passes in a second of flow."""
    world = World(
        WorldOptions(
            symbols=symbols,
            ladder_levels={"binance": levels, "bybit": 10},
            walk=walk,
            settings={"binance": {**SETTINGS, **settings}},
        )
    )
    world.warm_up()
    async with (
        TestServer(make_app(world.venues["binance"])) as server,
        aiohttp.ClientSession(trust_env=False) as http,
    ):
        yield Front(world, str(server.make_url("")).rstrip("/"), http)


async def eventually(condition: Callable[[], Any], what: str) -> Any:
    """The value of `condition` once it is true."""
    deadline = time.monotonic() + PATIENCE_S
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not within {PATIENCE_S:g} s: {what}"
        await asyncio.sleep(0.005)
    return value


def with_front(check: Any, **options: Any) -> None:
    """Run a coroutine function of a front."""

    async def scenario() -> None:
        async with binance_front(**options) as front:
            await check(front)

    asyncio.run(asyncio.wait_for(scenario(), 300))


async def diffs(front: Front, socket: Socket, count: int) -> list[Any]:
    """That many diffs, with events played in between so that there are some."""
    taken: list[Any] = []
    while len(taken) < count:
        front.step(3)
        taken.append(await socket.next())
    return taken
