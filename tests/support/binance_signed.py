"""A hand-made signing client of the simulated Binance: REST as the documents describe it, and nothing of our driver."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import aiohttp
from yarl import URL

from .binance_front import Front


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
