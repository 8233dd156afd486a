"""What the venue's side of its three WebSockets has in common: pongs that prove nothing, and an end when idle."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aiohttp import WSMsgType, web

from thespian_connector.simulator.sockets import PONG, TEXT, ServerSocket, Sockets, frame
from thespian_connector.simulator.venue import Venue

from .settings import CLIENT_FRAME_BYTES_MAX


class Connection(ServerSocket):
    """One of them.

    :param wants: whether it is about a symbol; None: about all.
    """

    def __init__(
        self, venue: Venue, surface: str, request: web.Request, *, wants: Callable[[str], bool] | None = None
    ) -> None:
        limit = int(venue.setting("send_buffer_bytes_max"))
        super().__init__(venue, surface, request, wants=wants, buffer_bytes_max=limit)
        self._loop = asyncio.get_running_loop()
        #: When either side last sent something, on the loop's clock.
        self.last_active = self._loop.time()

    def send(self, payload: bytes, opcode: int = TEXT) -> None:
        """Send a reply or a pong, also on a socket whose streams fell silent: at Bybit a pong proves no stream."""
        if not self.ended and not self._transport.is_closing():
            self._write(frame(payload, opcode))

    def _write(self, wire: bytes, bytes_a_second: int = 0, **about: str) -> None:
        self.last_active = self._loop.time()
        super()._write(wire, bytes_a_second, **about)


async def shake_hands(request: web.Request) -> web.WebSocketResponse:
    """Accept a connection, uncompressed and with pings left to the front."""
    ws = web.WebSocketResponse(autoping=False, compress=False, max_msg_size=CLIENT_FRAME_BYTES_MAX)
    await ws.prepare(request)
    return ws


async def converse(
    ws: web.WebSocketResponse,
    connection: Connection,
    sockets: Sockets,
    idle_s: float,
    answer: Callable[[str | bytes], None],
) -> None:
    """Hand every frame of the client to `answer`, until either side ends or nothing was sent for `idle_s`."""
    sockets.add(connection)
    try:
        loop = asyncio.get_running_loop()
        while not connection.ended:
            left_s = connection.last_active + idle_s - loop.time()
            if left_s <= 0:
                connection.end("idle")
                return
            try:
                message = await ws.receive(timeout=left_s)
            except TimeoutError:
                continue
            connection.last_active = loop.time()
            if message.type is WSMsgType.PING:
                connection.send(message.data, PONG)
            elif message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                answer(message.data)
            elif message.type is not WSMsgType.PONG:
                return
    finally:
        sockets.remove(connection)
