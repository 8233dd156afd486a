"""The stream server: /ws, /ws/<stream>[/<stream>...], /stream?streams=a/b, their pings, limits and ends."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from urllib.parse import unquote

import msgspec
from aiohttp import WSMsgType, web

from thespian_connector.simulator.sockets import INBOUND_BYTES_MAX, PONG, ServerSocket, Sockets
from thespian_connector.simulator.venue import Venue

from .control import RequestError, Requests
from .errors import ApiError
from .feeds import PULSE_MS, Feeds
from .hub import Listener
from .keepalive import KeepAlive, Kept
from .limits import IpLimits
from .params import time_factor
from .refusals import refuse


class Connection(Kept):
    """One stream connection: what it listens to, and what came in of late."""

    def __init__(self, socket: ServerSocket, listener: Listener, address: str) -> None:
        super().__init__(socket)
        self.listener = listener
        self.address = address
        self.inbound: deque[int] = deque()


class StreamServer:
    """Accepts connections, and sends them what the feeds bring.

    :param on_pulse: called with each pulse: the WebSocket API's connections are kept by the same clock.
    """

    def __init__(self, venue: Venue, feeds: Feeds, limits: IpLimits, on_pulse: Callable[[], None]) -> None:
        self._on_pulse = on_pulse
        self._venue = venue
        self._feeds = feeds
        self._limits = limits
        self._connections = KeepAlive[Connection](venue)
        self.sockets = Sockets(venue, "stream", self._notify_shutdown)

    async def run(self) -> None:
        """Send the timed streams and keep the connections, every 100 ms until cancelled."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        number = 0
        while True:
            number += 1
            # A process that was stopped does not send the intervals that it missed.
            due = max(due + PULSE_MS / 1_000, loop.time())
            await asyncio.sleep(due - loop.time())
            self._feeds.pulse(number)
            self._connections.tick()
            self._on_pulse()

    def _notify_shutdown(self, socket: ServerSocket) -> None:
        connection = self._connections.get(socket)
        if connection is None:
            return
        now_us = self._venue.now_ns("stream", "serverShutdown") // 1_000
        event = {"e": "serverShutdown", "E": now_us * connection.listener.time_factor // 1_000}
        document = {"stream": "!serverShutdown", "data": event} if connection.listener.combined else event
        socket.send(msgspec.json.encode(document))

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """A handshake, and the connection until its end."""
        address = request.remote or ""
        refusal = self._limits.banned(address) or self._limits.connect(address)
        if refusal is not None:
            self._venue.usage.ws_refused += 1
            return refuse(self._venue, refusal, request)
        try:
            factor = time_factor(request.query.get("timeUnit"))
        except ApiError as error:
            return error.response()
        combined = request.path.rstrip("/") == "/stream"
        names = _names(request, combined)
        ws = web.WebSocketResponse(
            autoping=False, autoclose=True, compress=False, max_msg_size=INBOUND_BYTES_MAX, timeout=1.0
        )
        await ws.prepare(request)
        listener = Listener(combined=combined, time_factor=factor)
        socket = ServerSocket(
            self._venue,
            "stream",
            request,
            wants=listener.about,
            buffer_bytes_max=int(self._venue.setting("send_buffer_bytes_max")),
        )
        listener.socket = socket
        connection = Connection(socket, listener, address)
        self._connections.add(connection)
        self.sockets.add(socket)
        try:
            await self._serve(ws, connection, names)
        finally:
            self._feeds.hub.drop(listener)
            self._connections.remove(socket)
            self.sockets.remove(socket)
        return ws

    async def _serve(self, ws: web.WebSocketResponse, connection: Connection, names: list[str]) -> None:
        requests = Requests(
            self._feeds.hub,
            connection.listener,
            self._venue.markets,
            int(self._venue.setting("ws_streams_max")),
        )
        for name in names:
            # A wrong name in the URL takes no other away, and Binance says nothing of it: ccxt.pro opens /ws/0, /ws/1
            # and so on, as names of its connections, and takes any word about that for an error of its own request.
            with contextlib.suppress(RequestError):
                requests.subscribe([name])
        async for message in ws:
            if self._floods(connection):
                self._limits.flooded(connection.address)
                connection.socket.end("flood", 1008, "Too many requests")
                return
            if message.type is WSMsgType.PING:
                connection.socket.send(bytes(message.data), PONG)
            elif message.type is WSMsgType.PONG:
                connection.pong(bytes(message.data))
            elif message.type is WSMsgType.TEXT:
                connection.socket.send(requests.handle(message.data))
            else:
                connection.socket.end("not_text", 1003, "Text frames only")
                return

    def _floods(self, connection: Connection) -> bool:
        """Whether this frame is one too many: text, ping and pong count alike."""
        now_ns = self._venue.monotonic_ns()
        connection.inbound.append(now_ns)
        while connection.inbound[0] <= now_ns - 1_000_000_000:
            connection.inbound.popleft()
        return len(connection.inbound) > self._venue.setting("ws_messages_a_second")

    async def close(self) -> None:
        """The server ends: every connection is told, and its handler finishes."""
        self.sockets.close()
        await self._connections.emptied()


def _names(request: web.Request, combined: bool) -> list[str]:
    """The streams that the URL names, percent-decoded. A ``+`` is one: it is part of ``@kline_1d@+08:00``."""
    if combined:
        pairs = (pair.partition("=") for pair in request.rel_url.raw_query_string.split("&"))
        text = next((unquote(value) for name, _, value in pairs if name == "streams"), "")
    else:
        text = unquote(request.rel_url.raw_path).removeprefix("/ws")
    return [name for name in text.split("/") if name]
