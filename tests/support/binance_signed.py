"""A hand-made signing client of the simulated Binance: REST as the documents describe it, and nothing of our driver."""

from __future__ import annotations

import hashlib
import hmac
import itertools
import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

import aiohttp
from yarl import URL

from .binance_front import PATIENCE_S, Front


def hmac_hex(secret: str, payload: str) -> str:
    return hmac.new(secret.encode(), payload.encode(), hashlib.sha256).hexdigest()


def form(params: Mapping[str, object]) -> str:
    """``a=1&b=2`` with percent-encoded values."""
    return "&".join(f"{name}={quote(str(value), safe='')}" for name, value in params.items())


class SignedClient:
    """Sends signed requests to a front as the account of its venue."""

    def __init__(self, front: Front) -> None:
        self.front = front
        self.key, self.secret = front.venue.account.api_key, front.venue.account.secret

    async def send(
        self,
        method: str,
        path: str,
        params: Mapping[str, object] | None = None,
        *,
        body: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
        sign: bool = True,
        **stamped: object,
    ) -> tuple[aiohttp.ClientResponse, Any]:
        """The answer and its document (text if it is not JSON).

        :param body: sent as a form, signed after the query.
        :param stamped: `timestamp`, `recvWindow` or `signature` other than right.
        """
        query = form({**(params or {}), "timestamp": int(time.time() * 1000), **stamped})
        sent = form(body or {})
        if sign and "signature" not in stamped:
            query += f"&signature={hmac_hex(self.secret, query + sent)}"
        url = URL(f"{self.front.base}/api/v3/{path}?{query}", encoded=True)
        all_headers = {"X-MBX-APIKEY": self.key, **(headers or {})}
        if body is not None:
            all_headers["Content-Type"] = "application/x-www-form-urlencoded"
        async with self.front.http.request(
            method, url, headers=all_headers, data=sent.encode() if body is not None else None
        ) as answer:
            text = await answer.text()
        return answer, json.loads(text) if "json" in answer.headers.get("Content-Type", "") else text

    async def ok(self, method: str, path: str, **params: object) -> Any:
        """The document of a good answer."""
        answer, document = await self.send(method, path, params)
        assert answer.status == 200, document
        return document

    async def no(self, method: str, path: str, **params: object) -> tuple[int, int, str]:
        """(HTTP status, code, text) of a refusal."""
        answer, document = await self.send(method, path, params)
        assert answer.status != 200, document
        return answer.status, document["code"], document["msg"]

    def best(self, is_bid: bool) -> Any:
        """The best price of the front's book."""
        return self.front.market.book.best(is_bid) * self.front.market.spec.tick

    async def limit(self, side: str, quantity: str, price: object, **more: object) -> Any:
        """A GTC limit order's answer."""
        return await self.ok("POST", "order", **limit(side, quantity, price, **more))


def limit(side: str, quantity: str, price: object, **more: object) -> dict[str, object]:
    """The parameters of a limit order."""
    return {
        "symbol": "BTCUSDT",
        "side": side,
        "type": "LIMIT",
        "timeInForce": "GTC",
        "quantity": quantity,
        "price": price,
        **more,
    }


class ApiSocket:
    """A connection to the WebSocket API: requests are answered by id, and events are kept for :meth:`event`."""

    def __init__(self, client: SignedClient, ws: aiohttp.ClientWebSocketResponse) -> None:
        self.client = client
        self.ws = ws
        self.events: list[Any] = []
        self._ids = itertools.count(1)

    async def next(self) -> Any:
        """The next document."""
        message = await self.ws.receive(timeout=PATIENCE_S)
        assert message.type is aiohttp.WSMsgType.TEXT, message
        return json.loads(message.data)

    def signed(self, params: Mapping[str, object]) -> dict[str, object]:
        """The parameters with key, time and signature: sorted, not percent-encoded."""
        full = {"apiKey": self.client.key, "timestamp": int(time.time() * 1000), **params}
        payload = "&".join(f"{name}={full[name]}" for name in sorted(full))
        return {**full, "signature": hmac_hex(self.client.secret, payload)}

    async def say(self, document: object) -> None:
        await self.ws.send_str(document if isinstance(document, str) else json.dumps(document))

    async def ask(self, method: str, params: Mapping[str, object] | None = None, *, sign: bool = True) -> Any:
        """The reply to a request; events that come before it are kept."""
        request_id = next(self._ids)
        sent = self.signed(params or {}) if sign else dict(params or {})
        await self.say({"id": request_id, "method": method, "params": sent})
        while True:
            document = await self.next()
            if "event" in document:
                self.events.append(document)
            else:
                assert document["id"] in (request_id, None)
                return document

    async def result(self, method: str, **params: object) -> Any:
        """The result of a request that is served."""
        reply = await self.ask(method, params)
        assert reply["status"] == 200, reply
        return reply["result"]

    async def error(self, method: str, **params: object) -> tuple[int, int, str]:
        """(status, code, text) of a refusal."""
        reply = await self.ask(method, params)
        return reply["status"], reply["error"]["code"], reply["error"]["msg"]

    async def event(self) -> Any:
        """The next event without its envelope."""
        while not self.events:
            document = await self.next()
            assert "event" in document, document
            self.events.append(document)
        return self.events.pop(0)["event"]

    async def subscribe(self) -> int:
        """Subscribe to the account's events; the subscription's id."""
        number = (await self.result("userDataStream.subscribe.signature"))["subscriptionId"]
        assert isinstance(number, int)
        return number

    async def closed(self) -> int | None:
        """Read on until the connection ends; its close code (1006: it was cut)."""
        while True:
            message = await self.ws.receive(timeout=PATIENCE_S)
            if message.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.CLOSING):
                return self.ws.close_code
            if message.type is aiohttp.WSMsgType.ERROR:
                return 1006


@asynccontextmanager
async def api_socket(client: SignedClient, query: str = "", **keywords: Any) -> AsyncIterator[ApiSocket]:
    """A connection to the WebSocket API of the client's front."""
    async with client.front.http.ws_connect(f"{client.front.base}/ws-api/v3{query}", **keywords) as ws:
        yield ApiSocket(client, ws)
