"""Pings, pongs and the 24 hours of Binance's WebSockets, streams and WebSocket API alike.

Binance: "a ping frame every 20 seconds"; without a pong of the same payload within a minute the connection is cut.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Generic, TypeVar

from thespian_connector.simulator.sockets import PING, ServerSocket
from thespian_connector.simulator.venue import Venue


class Kept:
    """A connection, and the pings that it has yet to answer."""

    def __init__(self, socket: ServerSocket) -> None:
        self.socket = socket
        self.opened_ns = 0
        self.next_ping_ns = 0
        self.unanswered: dict[bytes, int] = {}

    def pong(self, payload: bytes) -> None:
        """A pong with the payload of a ping answers it and those before it; any other counts for nothing."""
        if payload in self.unanswered:
            for known in list(self.unanswered):
                del self.unanswered[known]
                if known == payload:
                    break


_Connection = TypeVar("_Connection", bound=Kept)


class KeepAlive(Generic[_Connection]):
    """The open connections of one door."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self._open: dict[ServerSocket, _Connection] = {}
        self._pings = 0

    def _ns(self, setting: str) -> int:
        return int(self._venue.setting(setting) * 1_000_000_000)

    def add(self, connection: _Connection) -> None:
        """It was accepted."""
        connection.opened_ns = self._venue.monotonic_ns()
        connection.next_ping_ns = connection.opened_ns + self._ns("ping_interval_s")
        self._open[connection.socket] = connection

    def remove(self, socket: ServerSocket) -> None:
        """It is gone."""
        del self._open[socket]

    def get(self, socket: ServerSocket) -> _Connection | None:
        """The connection of a socket that is open."""
        return self._open.get(socket)

    def all(self) -> list[_Connection]:
        """Those open now, the oldest first."""
        return list(self._open.values())

    def tick(self) -> None:
        """Ping those whose time it is; end those that are too old, or did not answer."""
        now_ns = self._venue.monotonic_ns()
        for connection in self.all():
            if now_ns - connection.opened_ns >= self._ns("connection_life_s"):
                connection.socket.end("connection_life", 1008, "24 hours are over")
            elif any(now_ns - sent >= self._ns("pong_timeout_s") for sent in connection.unanswered.values()):
                connection.socket.end("no_pong", 1008, "Pong timeout")
            elif now_ns >= connection.next_ping_ns:
                connection.next_ping_ns = now_ns + self._ns("ping_interval_s")
                self._pings += 1
                payload = f"{self._venue.time_ns() // 1_000_000}{self._pings:04d}".encode()
                connection.unanswered[payload] = now_ns
                connection.socket.send(payload, PING)

    async def emptied(self) -> None:
        """Wait a moment for the handlers of all connections to finish: they have been told to."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                while self._open:
                    await asyncio.sleep(0.005)
