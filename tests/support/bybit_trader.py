"""A raw trading client of the simulated Bybit: hand-signed requests, the private and the trade socket."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import aiohttp
from yarl import URL

from .bybit_front import PATIENCE_S, Front, bybit_front

REALTIME, HISTORY, EXECUTIONS = "/v5/order/realtime", "/v5/order/history", "/v5/execution/list"
SPOT = {"category": "spot", "symbol": "BTCUSDT"}


def sign(secret: str, text: str) -> str:
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()


class Trader:
    """The account of a front."""

    def __init__(self, front: Front) -> None:
        self.front = front
        self.key, self.secret = front.venue.account.api_key, front.venue.account.secret
        #: The headers of the last answer.
        self.headers: dict[str, str] = {}

    def sign_headers(self, payload: str, *, ahead_ms: int = 0, window: str = "5000") -> dict[str, str]:
        stamp = str(time.time_ns() // 1_000_000 + ahead_ms)
        return {
            "X-BAPI-API-KEY": self.key,
            "X-BAPI-TIMESTAMP": stamp,
            "X-BAPI-RECV-WINDOW": window,
            "X-BAPI-SIGN": sign(self.secret, f"{stamp}{self.key}{window}{payload}"),
            "Content-Type": "application/json",
        }

    async def send(self, method: str, path: str, payload: str, headers: dict[str, str]) -> tuple[int, Any]:
        """(HTTP status, decoded body or text) of what is sent exactly so."""
        url, data = self.front.base + path, None
        if method == "GET":
            url += f"?{payload}" if payload else ""
        else:
            data = payload.encode()
        async with self.front.http.request(method, URL(url, encoded=True), data=data, headers=headers) as answer:
            self.headers = dict(answer.headers)
            if answer.content_type == "application/json":
                return answer.status, await answer.json()
            return answer.status, await answer.text()

    async def post(self, path: str, **body: object) -> Any:
        """The envelope of a signed POST."""
        payload = json.dumps(body)
        status, answer = await self.send("POST", path, payload, self.sign_headers(payload))
        assert status == 200, (status, answer)
        return answer

    async def get(self, path: str, query: str = "", /, **params: object) -> Any:
        """The envelope of a signed GET, whose query is signed as it is sent."""
        payload = query or urlencode(params)
        status, answer = await self.send("GET", path, payload, self.sign_headers(payload))
        assert status == 200, (status, answer)
        return answer

    async def result(self, path: str, **params: object) -> Any:
        answer = await self.get(path, **params)
        assert answer["retCode"] == 0, answer
        return answer["result"]

    async def create(self, **fields: str) -> Any:
        """The envelope of a create: a limit buy of 0.01 BTC unless the fields say otherwise (empty: left out)."""
        defaults = {**SPOT, "side": "Buy", "orderType": "Limit", "qty": "0.01"}
        body = {name: value for name, value in {**defaults, **fields}.items() if value}
        return await self.post("/v5/order/create", **body)

    async def place(self, **fields: str) -> str:
        """The order id of an order that was accepted."""
        answer = await self.create(**fields)
        assert answer["retCode"] == 0, answer
        return str(answer["result"]["orderId"])

    async def order(self, order_id: str) -> Any:
        """An order as order/realtime shows it."""
        (order,) = (await self.result("/v5/order/realtime", **SPOT, orderId=order_id))["list"]
        return order

    async def balances(self) -> dict[str, tuple[str, str]]:
        """(walletBalance, locked) of each coin."""
        (account,) = (await self.result("/v5/account/wallet-balance", accountType="UNIFIED"))["list"]
        return {coin["coin"]: (coin["walletBalance"], coin["locked"]) for coin in account["coin"]}

    def auth(self, *, ahead_ms: int = 10_000) -> dict[str, Any]:
        expires = time.time_ns() // 1_000_000 + ahead_ms
        return {"op": "auth", "args": [self.key, expires, sign(self.secret, f"GET/realtime{expires}")]}

    @asynccontextmanager
    async def private(self, *topics: str) -> AsyncIterator[Frames]:
        """A private connection that subscribed to `topics`."""
        async with self.front.http.ws_connect(f"{self.front.base}/v5/private", max_msg_size=0) as ws:
            frames = Frames(ws)
            assert (await frames.ask(self.auth()))["success"] is True
            if topics:
                assert (await frames.ask({"op": "subscribe", "args": list(topics)}))["success"] is True
            yield frames

    @asynccontextmanager
    async def trade(self) -> AsyncIterator[TradeClient]:
        """A trade connection that is authenticated."""
        async with self.front.http.ws_connect(f"{self.front.base}/v5/trade", max_msg_size=0) as ws:
            frames = TradeClient(ws)
            answer = await frames.ask({**self.auth(), "reqId": "auth"})
            assert answer == {"reqId": "auth", "retCode": 0, "retMsg": "OK", "op": "auth", "connId": answer["connId"]}
            yield frames


class Frames:
    """The client's side of a private socket: what has a topic is data, all else control."""

    def __init__(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        self.ws = ws
        self.seen: list[Any] = []

    async def receive(self) -> Any:
        return await self.ws.receive_json(timeout=PATIENCE_S)

    async def ask(self, request: object) -> Any:
        """The reply to a request; data that comes before it is kept."""
        await self.ws.send_json(request)
        while "topic" in (frame := await self.receive()):
            self.seen.append(frame)
        return frame

    async def until(self, wanted: Callable[[Any], bool]) -> Any:
        """The first data frame, kept or to come, that is wanted; all of them stay in `seen`."""
        for frame in self.seen:
            if wanted(frame):
                return frame
        while True:
            frame = await self.receive()
            self.seen.append(frame)
            if wanted(frame):
                return frame

    async def quiet(self) -> list[Any]:
        """Everything that had been sent when a ping was answered."""
        await self.ask({"op": "ping"})
        return self.seen

    def of(self, topic: str) -> list[Any]:
        """The items of a topic seen so far, in the order of their coming."""
        return [item for frame in self.seen if frame["topic"] == topic for item in frame["data"]]


class TradeClient:
    """The client's side of a trade socket."""

    def __init__(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        self.ws = ws

    async def ask(self, request: object) -> Any:
        await self.ws.send_json(request)
        return await self.ws.receive_json(timeout=PATIENCE_S)

    async def order(self, op: str, request_id: str = "", *, ahead_ms: int = 0, **arg: Any) -> Any:
        """The answer to one order request."""
        return await self.ask(order_request(op, request_id, ahead_ms=ahead_ms, **arg))


def order_request(op: str, request_id: str = "", *, ahead_ms: int = 0, **arg: Any) -> dict[str, Any]:
    """An order request of the trade socket."""
    head = {"reqId": request_id} if request_id else {}
    stamp = str(time.time_ns() // 1_000_000 + ahead_ms)
    return {**head, "header": {"X-BAPI-TIMESTAMP": stamp}, "op": op, "args": [{**SPOT, **arg}]}


def run(
    scenario: Callable[[Front, Trader], Awaitable[None]],
    levels: int = 60,
    symbols: tuple[str, ...] = ("BTC/USDT",),
    **settings: Any,
) -> None:
    """Run a scenario against a front with these settings; `levels` is how deep its book is."""

    async def main() -> None:
        async with bybit_front(symbols=symbols, levels=levels, **settings) as front:
            await scenario(front, Trader(front))

    asyncio.run(main())


def best(front: Front, side: str) -> Decimal:
    """The best price of "bid" or "ask"."""
    return front.market.book.levels(side, 1)[0][0]


def below(front: Front, distance: str = "100") -> str:
    """A price that no seller is near."""
    return str(best(front, "bid") - Decimal(distance))
