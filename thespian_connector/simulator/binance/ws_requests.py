"""The WebSocket API's requests and replies (Binance: "Request format", "Response format").

``{"id":"u1","method":"order.place","params":{...}}`` -> ``{"id":"u1","status":200,"result":{...},"rateLimits":[...]}``
or ``{"id":"u1","status":400,"error":{"code":-2010,"msg":"..."},"rateLimits":[...]}``
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from thespian_connector.simulator.venue import Venue

from .auth import sorted_payload
from .errors import ApiError
from .limits import IpLimits, interval

#: A parameter that every request may have; if the request is signed, it is a part of what is.
RATE_LIMITS = "returnRateLimits"
_ID = re.compile(r"[a-zA-Z0-9\-_]{1,36}")
#: Method -> the path of the REST endpoint that answers alike.
PUBLIC_METHODS = {
    "ping": "ping",
    "time": "time",
    "exchangeInfo": "exchangeInfo",
    "depth": "depth",
    "trades.recent": "trades",
    "trades.historical": "historicalTrades",
    "trades.aggregate": "aggTrades",
    "klines": "klines",
    "uiKlines": "uiKlines",
    "avgPrice": "avgPrice",
    "ticker.24hr": "ticker/24hr",
    "ticker.price": "ticker/price",
    "ticker.book": "ticker/bookTicker",
    "ticker": "ticker",
}


@dataclass(frozen=True)
class Ask:
    """A request as it was sent. `values` are its parameters as text, as the venue prints them for the signature."""

    request_id: Any
    method: str
    values: Mapping[str, str]
    rate_limits: bool
    #: A JSON float is among the parameters: its text is not the client's any more, so no signature can fit.
    has_float: bool

    @property
    def payload(self) -> bytes:
        """What its signature must be of; nothing that can be signed if a float is in it."""
        return b"\x00" if self.has_float else sorted_payload(self.values)


class BadRequest(Exception):
    """No request at all; `request_id` is None if it could not be read."""

    def __init__(self, message: str, request_id: Any = None) -> None:
        super().__init__(message)
        self.request_id = request_id


def _text(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def decode(text: str, *, rate_limits: bool) -> Ask:
    """The request of a text frame.

    :param rate_limits: whether replies on this connection tell the limits.
    :raises BadRequest: it is no JSON object with an id and a method.
    """
    try:
        document = msgspec.json.decode(text)
    except msgspec.DecodeError:
        raise BadRequest("Invalid JSON Request") from None
    if not isinstance(document, dict):
        raise BadRequest("Invalid JSON Request")
    request_id = document.get("id")
    if isinstance(request_id, bool) or not (
        request_id is None or isinstance(request_id, int) or (isinstance(request_id, str) and _ID.fullmatch(request_id))
    ):
        raise BadRequest("Parameter 'id' is not valid; it is an integer, up to 36 of A-Z, a-z, 0-9, -, _, or null.")
    method, params = document.get("method"), document.get("params", {})
    if not isinstance(method, str) or not isinstance(params, dict):
        raise BadRequest("A request has a method and an object of params.", request_id)
    wanted = params.get(RATE_LIMITS, rate_limits)
    return Ask(
        request_id=request_id,
        method=method.removeprefix("v3/"),
        values={name: _text(value) for name, value in params.items() if value is not None},
        rate_limits=wanted is True or wanted == "true",
        has_float=any(isinstance(value, float) for value in params.values()),
    )


def weight_row(venue: Venue, limits: IpLimits, address: str) -> dict[str, Any]:
    """How much weight the address has used, as `rateLimits` tells it."""
    word, number = interval(venue.setting("weight_window_s"))
    return {
        "rateLimitType": "REQUEST_WEIGHT",
        "interval": word,
        "intervalNum": number,
        "limit": int(venue.setting("weight_limit")),
        "count": limits.used_weight(address),
    }


def good(request_id: Any, result: Any, rows: list[dict[str, Any]] | None) -> bytes:
    """A reply. `result` may be JSON already (bytes)."""
    raw = msgspec.Raw(result) if isinstance(result, bytes) else result
    return _reply({"id": request_id, "status": 200, "result": raw}, rows)


def bad(request_id: Any, error: ApiError, rows: list[dict[str, Any]] | None = None) -> bytes:
    """An error's reply."""
    return _reply({"id": request_id, "status": error.status, "error": error.document()}, rows)


def _reply(document: dict[str, Any], rows: list[dict[str, Any]] | None) -> bytes:
    if rows is not None:
        document["rateLimits"] = rows
    return msgspec.json.encode(document)


def refusal_error(venue: Venue, status: int, until_ms: int) -> ApiError:
    """429, 418 or 403 as this door tells them: until when, in epoch milliseconds, not for how long."""
    text = (
        f"Way too much request weight used; IP banned until {until_ms}. Please use WebSocket Streams for live updates."
    )
    if status == 429:
        limit = int(venue.setting("weight_limit"))
        text = f"Too much request weight used; current limit is {limit} request weight per 1 MINUTE."
    data = {"serverTime": venue.time_ns() // 1_000_000, "retryAfter": until_ms}
    return ApiError(-1003, text, status, data=data)
