"""What stands before every handler: Bybit's limits of one IP, and the faults of HTTP.

Bybit: 600 requests in 5 s from one IP, then HTTP 403 "access too frequent" for at least ten minutes (v5 docs: "Rate
Limit / IP Limit"). 500 WebSocket connects in 5 minutes, 1000 sockets at once.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from aiohttp import web

from thespian_connector.simulator.faults import Fault
from thespian_connector.simulator.venue import Venue
from thespian_connector.simulator.writes import Write, answered, note

from . import envelope

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

#: How long a request hangs that the fault `http_timeout` holds back, if the fault does not say.
HANG_MS = 60_000
_HTTP_FAULTS = ("http_5xx", "http_timeout", "http_429", "http_ban")
_SECOND_NS = 1_000_000_000


class Window:
    """How often something happened in the last `seconds`."""

    def __init__(self, seconds: float) -> None:
        self._span_ns = int(seconds * _SECOND_NS)
        self._times: deque[int] = deque()

    def count(self, now_ns: int) -> int:
        """How often until now."""
        while self._times and self._times[0] <= now_ns - self._span_ns:
            self._times.popleft()
        return len(self._times)

    def add(self, now_ns: int) -> int:
        """It happened again: how often now."""
        self._times.append(now_ns)
        return self.count(now_ns)


class Gate:
    """Limits by IP. Every request passes :meth:`rest`, every WebSocket handshake :meth:`admits_socket`."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self._requests: dict[str, Window] = {}
        self._connects: dict[str, Window] = {}
        self._banned_until_ns: dict[str, int] = {}
        self._ban_injected: dict[str, bool] = {}
        self._ban_status: dict[str, int] = {}

    async def rest(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer a request, or refuse it as the limits and the faults say."""
        venue, address = self._venue, request.remote or ""
        venue.usage.request(request.path)
        banned = self._banned(address)
        if banned is not None:
            answered(
                note(venue, Write(path=request.path, method=request.method, ops=(), surfaces=()), fault="ban"), banned
            )
            return self._refuse_ban(address, banned, injected=self._ban_injected[address])
        used = self._requests.setdefault(address, Window(venue.setting("requests_window_s")))
        count = used.add(venue.monotonic_ns())
        venue.usage.used("raw_requests", count)
        if count > venue.setting("requests_max"):
            self._ban(address, 403, venue.setting("ban_s"), injected=False)
            return self._refuse_ban(address, 403, injected=False)
        if request.method == "POST":
            # Orders meet their faults on their own way, where it is known what they are about.
            return await handler(request)
        op, symbol = request.path.rsplit("/", 1)[-1], request.query.get("symbol", "")
        slow = venue.take("rest", "latency", op=op, symbol=symbol)
        if slow is not None:
            await asyncio.sleep(slow.params["latency_ms"] / 1000)
        fault = venue.take("rest", *_HTTP_FAULTS, op=op, symbol=symbol)
        if fault is None:
            return await handler(request)
        if fault.kind == "http_timeout":
            await asyncio.sleep(fault.params.get("timeout_ms", HANG_MS) / 1000)
            return self.cut(request)
        return self.injected(request, fault)

    def injected(self, request: web.Request, fault: Fault) -> web.Response:
        """The answer that the fault `http_5xx`, `http_429` or `http_ban` gives instead of the venue's."""
        venue = self._venue
        if fault.kind == "http_5xx":
            status = fault.params.get("status", 502)
            return web.Response(status=status, text=f"<html><body>{status}</body></html>", content_type="text/html")
        if fault.kind == "http_429":
            venue.usage.refused(429, injected=True)
            body = envelope.failure(429, "System level frequency protection", venue.now_ms())
            headers = {"Retry-After": str(fault.params.get("retry_after_s", 1))}
            return web.Response(status=429, body=body, content_type="application/json", headers=headers)
        status = fault.params.get("status", 403)
        seconds = fault.params.get("retry_after_s", venue.setting("ban_s"))
        self._ban(request.remote or "", status, seconds, injected=True)
        return self._refuse_ban(request.remote or "", status, injected=True)

    def admits_socket(self, address: str, sockets_open: int) -> bool:
        """Whether a WebSocket handshake is accepted; it counts either way."""
        connects = self._connects.setdefault(address, Window(self._venue.setting("connects_window_s")))
        count = connects.add(self._venue.monotonic_ns())
        self._venue.usage.used("ws_connects", count)
        admitted = count <= self._venue.setting("connects_max") and sockets_open < self._venue.setting("sockets_max")
        if not admitted:
            self._venue.usage.ws_refused += 1
        return admitted

    def _banned(self, address: str) -> int | None:
        until_ns = self._banned_until_ns.get(address)
        if until_ns is None:
            return None
        if self._venue.monotonic_ns() >= until_ns:
            del self._banned_until_ns[address]
            return None
        return self._ban_status[address]

    def _ban(self, address: str, status: int, seconds: float, *, injected: bool) -> None:
        self._banned_until_ns[address] = self._venue.monotonic_ns() + int(seconds * _SECOND_NS)
        self._ban_injected[address] = injected
        self._ban_status[address] = status

    def _refuse_ban(self, address: str, status: int, *, injected: bool) -> web.Response:
        """Bybit does not say how long its bans last; an injected one, which may be short, does."""
        self._venue.usage.refused(status, injected=injected)
        left_ns = self._banned_until_ns[address] - self._venue.monotonic_ns()
        headers = {"Retry-After": str(max(1, -(-left_ns // _SECOND_NS)))} if injected else None
        return web.Response(status=status, text="access too frequent. Please try again later.", headers=headers)

    @staticmethod
    def cut(request: web.Request) -> web.Response:
        """End the connection without an answer."""
        if request.transport is not None:
            request.transport.abort()
        return web.Response()
