"""The simulated Bybit in this process, on a free port, with a raw client beside it: aiohttp and JSON, nothing of ours.

The order flow does not run by itself: a test plays it event by event (:meth:`Front.step`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from aiohttp.test_utils import TestServer

from thespian_connector.model.decimals import text
from thespian_connector.simulator.bybit import SETTINGS, make_app
from thespian_connector.simulator.faults import Fault
from thespian_connector.simulator.market import Market
from thespian_connector.simulator.world import World, WorldOptions

#: How long a message may take to come.
PATIENCE_S = 60.0

Side = list[list[str]]


class Front:
    """A running front, its market BTCUSDT, and a client's HTTP session."""

    def __init__(self, world: World, base: str, http: aiohttp.ClientSession) -> None:
        self.world = world
        self.venue = world.venues["bybit"]
        self.market: Market = self.venue.markets["BTCUSDT"]
        self.base = base
        self.http = http

    def step(self, events: int = 1) -> None:
        """Play events of the flow."""
        for _ in range(events):
            self.world.flow.step(time.time_ns())

    async def get(self, path: str, **params: object) -> tuple[int, Any]:
        """(HTTP status, decoded body or text) of a GET."""
        query = {name: str(value) for name, value in params.items()}
        async with self.http.get(self.base + path, params=query) as answer:
            if answer.content_type == "application/json":
                return answer.status, await answer.json()
            return answer.status, await answer.text()

    async def result(self, path: str, **params: object) -> Any:
        """The ``result`` of a good answer."""
        status, body = await self.get(path, **params)
        assert (status, body["retCode"]) == (200, 0), body
        return body["result"]

    async def code(self, path: str, **params: object) -> int:
        """The ``retCode`` of a refusal, which comes with HTTP 200."""
        status, body = await self.get(path, **params)
        assert status == 200
        assert body["result"] == {}
        return int(body["retCode"])

    @asynccontextmanager
    async def socket(self, *topics: str) -> AsyncIterator[Socket]:
        """A connection to the public spot stream that subscribed to `topics`."""
        async with self.http.ws_connect(f"{self.base}/v5/public/spot", max_msg_size=0) as ws:
            socket = Socket(ws)
            if topics:
                await socket.ask({"op": "subscribe", "args": list(topics), "req_id": "1"})
                ack = await socket.control()
                assert ack["success"] is True, ack
            yield socket

    def fault(self, kind: str, **fields: object) -> Fault:
        """Inject a fault."""
        return self.world.faults.add({"venue": "bybit", "kind": kind, **fields})

    def truth(self, stream: str, update_id: int) -> tuple[Side, Side]:
        """The whole true book at an update id of a stream, as canonical text."""
        batch_id = self.market.history.find(stream, update_id)
        assert batch_id is not None, f"{stream} {update_id} is not known"
        sides = self.market.levels_at(batch_id)
        assert sides is not None
        bids, asks = ([[text(price), text(quantity)] for price, quantity in side] for side in sides)
        return bids, asks


class Socket:
    """The client's side of a stream. A frame is data if it has a topic, else it is control (Bybit's own rule)."""

    def __init__(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        self.ws = ws
        self._data: list[Any] = []
        self._control: list[Any] = []

    async def ask(self, request: object) -> None:
        await self.ws.send_json(request)

    async def _receive(self) -> None:
        frame = (await self.ws.receive_json(timeout=PATIENCE_S)) if not self.ws.closed else None
        assert frame is not None, "the connection is closed"
        (self._data if "topic" in frame else self._control).append(frame)

    async def control(self) -> Any:
        """The next reply."""
        while not self._control:
            await self._receive()
        return self._control.pop(0)

    async def data(self, topic: str = "") -> Any:
        """The next message of a topic (any topic, if none is named)."""
        while True:
            for index, frame in enumerate(self._data):
                if topic in ("", frame["topic"]):
                    return self._data.pop(index)
            await self._receive()

    async def pong(self) -> list[Any]:
        """Ask for a pong; the data frames that came before it."""
        await self.ask({"op": "ping", "req_id": "p"})
        reply = await self.control()
        assert reply["ret_msg"] == "pong"
        received, self._data = self._data, []
        return received


class ClientBook:
    """A depth stream's book as Bybit tells a client to keep it: replace, upsert, delete, sort, cut to the depth."""

    def __init__(self, depth: int) -> None:
        self._depth = depth
        self._sides: dict[str, dict[str, str]] = {"b": {}, "a": {}}
        self.update_id = 0

    def apply(self, message: Any) -> None:
        data = message["data"]
        if message["type"] == "snapshot":
            self._sides = {"b": {}, "a": {}}
        else:
            assert data["u"] == self.update_id + 1, "an update id was skipped"
        self.update_id = data["u"]
        for name, side in self._sides.items():
            for price, quantity in data[name]:
                if quantity == "0":
                    side.pop(price, None)
                else:
                    side[price] = quantity
            for price in sorted(side, key=float, reverse=name == "b")[self._depth :]:
                del side[price]

    def levels(self) -> tuple[Side, Side]:
        bids, asks = (
            [[price, side[price]] for price in sorted(side, key=float, reverse=name == "b")]
            for name, side in self._sides.items()
        )
        return bids, asks


@asynccontextmanager
async def bybit_front(
    symbols: tuple[str, ...] = ("BTC/USDT",), levels: int = 1_100, walk: int = 80, **settings: float
) -> AsyncIterator[Front]:
    """A front with these settings; `walk` is how many levels of the book its price passes in a second of flow."""
    world = World(
        WorldOptions(
            symbols=symbols,
            ladder_levels={"binance": 10, "bybit": levels},
            walk=walk,
            settings={"bybit": {**SETTINGS, **settings}},
        )
    )
    world.warm_up()
    async with (
        TestServer(make_app(world.venues["bybit"])) as server,
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
