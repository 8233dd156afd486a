"""The REST door: limits, faults and headers around every endpoint."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote_plus

from aiohttp import web

from thespian_connector.simulator.faults import Fault
from thespian_connector.simulator.venue import Venue
from thespian_connector.simulator.writes import Write, answered, note

from .errors import ApiError, html, json_response
from .feeds import Feeds
from .limits import IpLimits, Refusal
from .market_data import ENDPOINTS, Call, Endpoint, MarketData
from .params import Params, time_factor
from .private import PREFIX, PrivateDoor
from .private_rest import PrivateRest
from .refusals import refuse

_REQUEST_FAULTS = ("http_ban", "http_429", "http_5xx", "http_timeout")
#: What the firewall in front of Binance takes for an attack ("SQL keywords in params").
_SQL = re.compile(r"(?i)\b(select\s|union\s|insert\s|drop\s|--)")
#: A request that is never answered is given up on after so long; a client that hangs up ends it earlier.
NO_ANSWER_MS = 60_000
_GATEWAY = {500: "Internal Server Error", 502: "Bad Gateway", 503: "Service Unavailable", 504: "Gateway Time-out"}
#: Seconds of Retry-After that an injected 429 tells, and that an injected ban lasts, unless the fault says.
RETRY_AFTER_S = 5
BAN_S = 10


class Rest:
    """Answers every HTTP request that is no WebSocket's."""

    def __init__(self, venue: Venue, feeds: Feeds, limits: IpLimits, door: PrivateDoor) -> None:
        self._venue = venue
        self._limits = limits
        self._data = MarketData(venue, feeds)
        self._private = PrivateRest(venue, door, limits)
        self._endpoints = {PREFIX + endpoint.path: endpoint for endpoint in ENDPOINTS}

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """One request, from the limits to the headers."""
        self._venue.usage.request(request.path)
        address = request.remote or ""
        response = await self._respond(request, address)
        used = str(self._limits.used_weight(address))
        response.headers["X-MBX-USED-WEIGHT"] = used
        response.headers[f"X-MBX-USED-WEIGHT-{self._limits.header_suffix()}"] = used
        return response

    async def _respond(self, request: web.Request, address: str) -> web.Response:
        private = self._private.endpoint(request)
        ban = self._limits.banned(address)
        if ban is not None:
            if private is not None and private.write:
                await self._private.note_banned(request, private, ban)
            else:
                write = Write(path=request.path, method=request.method, ops=(), surfaces=())
                answered(note(self._venue, write, fault="ban"), ban.status)
            return refuse(self._venue, ban, request)
        if request.method == "GET" and request.body_exists:
            # The servers in front of Binance refuse a GET with a body.
            return refuse(self._venue, Refusal(403, 0, injected=False), request)
        if private is not None and private.write:
            return await self._private.write(request, private, address, self._injected)
        endpoint = self._endpoints.get(request.path)
        ops = private.ops if private is not None else (request.path.removeprefix(PREFIX).rpartition("/")[2],)
        response = await self._faulty(request, address, ops)
        if response is not None:
            return response
        if private is not None:
            return await self._private.read(request, private, address)
        return self._answer(request, address, endpoint, ops[0])

    async def _faulty(self, request: web.Request, address: str, ops: tuple[str, ...]) -> web.Response | None:
        """The answer of an injected fault; None to go on."""
        symbol = request.query.get("symbol", "")
        slow = self._venue.take("rest", "latency", op=ops, symbol=symbol)
        if slow is not None:
            await asyncio.sleep(slow.params["latency_ms"] / 1_000)
        fault = self._venue.take("rest", *_REQUEST_FAULTS, op=ops, symbol=symbol)
        return None if fault is None else await self._injected(request, address, fault)

    async def _injected(self, request: web.Request, address: str, fault: Fault) -> web.Response:
        if fault.kind == "http_ban":
            seconds = fault.params.get("retry_after_s", BAN_S)
            ban = self._limits.ban(address, seconds, status=fault.params.get("status", 418), injected=True)
            return refuse(self._venue, ban, request)
        if fault.kind == "http_429":
            seconds = fault.params.get("retry_after_s", RETRY_AFTER_S)
            return refuse(self._venue, Refusal(429, seconds, injected=True), request)
        if fault.kind in ("http_timeout", "ack_lost"):
            await _hang(request, fault.params.get("timeout_ms", NO_ANSWER_MS))
        status = fault.params.get("status", 503)
        return html(status, _GATEWAY.get(status, "Server Error"))

    def _answer(self, request: web.Request, address: str, endpoint: Endpoint | None, op: str) -> web.Response:
        if _SQL.search(unquote_plus(request.rel_url.raw_query_string)):
            return refuse(self._venue, Refusal(403, 0, injected=False), request)
        gone = _gone(request)
        if gone is not None or endpoint is None:
            refusal = self._limits.charge(address, 1)
            if refusal is not None:
                return refuse(self._venue, refusal, request)
            return gone if gone is not None else _not_found(request)
        if request.method != "GET":
            return _not_found(request) if request.method == "OPTIONS" else html(405, "Method Not Allowed")
        unread = Params(request.query, list(request.query), self._venue.markets)
        refusal = self._limits.charge(address, endpoint.weight(unread))
        if refusal is not None:
            return refuse(self._venue, refusal, request)
        try:
            return json_response(self._run(request, endpoint.handler, endpoint.known, op))
        except ApiError as error:
            return error.response()

    def _run(
        self, request: web.Request, handler: Callable[[MarketData, Call], Any], known: tuple[str, ...], op: str
    ) -> Any:
        factor = time_factor(request.headers.get("X-MBX-TIME-UNIT"))
        params = Params(request.query, known, self._venue.markets)
        return handler(self._data, Call(params, self._venue.now_ns("rest", op), factor))


async def _hang(request: web.Request, timeout_ms: int) -> None:
    """Leave a request without an answer until the client hangs up or the time is over; then cut the connection."""
    loop = asyncio.get_running_loop()
    until = loop.time() + timeout_ms / 1_000
    while loop.time() < until and request.transport is not None and not request.transport.is_closing():
        await asyncio.sleep(min(0.05, max(0.0, until - loop.time())))
    if request.transport is not None:
        request.transport.abort()


def _gone(request: web.Request) -> web.Response | None:
    """What Binance has removed: listen keys (2026-02-20) answer 410 in HTML, /api/v1 (2026-03-25) 404."""
    if request.path.startswith(PREFIX + "userDataStream"):
        return html(410, "Gone")
    if request.path.startswith("/api/v1/"):
        return html(404, "Not Found")
    return None


def _not_found(request: web.Request) -> web.Response:
    """HTML for those who accept it, nothing for others."""
    if "text/html" in request.headers.get("Accept", ""):
        return html(404, "Not Found")
    return web.Response(status=404)
