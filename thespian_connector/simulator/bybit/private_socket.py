"""One connection of the private socket, ``/v5/private``."""

from __future__ import annotations

import re
from itertools import count

import msgspec
from aiohttp import web

from thespian_connector.simulator.faults import Fault
from thespian_connector.simulator.sockets import Sockets
from thespian_connector.simulator.venue import Venue

from .auth import BAD_KEY, socket_refusal
from .connection import Connection, converse, shake_hands
from .private_requests import PrivateSession

_IDLE = re.compile(r"(\d{1,3})([sm])")


def idle_seconds(request: web.Request, default_s: float) -> float:
    """How long a private or trade connection may be idle: its ``max_active_time``, 30 s to 600 s, else the default."""
    match = _IDLE.fullmatch(request.query.get("max_active_time", ""))
    if match is None:
        return default_s
    asked_s = int(match[1]) * (60 if match[2] == "m" else 1)
    return min(default_s, asked_s) if 30 <= asked_s <= 600 else default_s


class PrivateSocket(Connection):
    """The server's side of it. A fault's `op` is a topic's kind: ``order``, ``execution``, ``wallet``."""

    def __init__(self, venue: Venue, request: web.Request, session: PrivateSession) -> None:
        super().__init__(venue, "private", request)
        self.session = session

    def listens(self, kind: str) -> list[str]:
        """The topics of a kind that its client asked for."""
        return self.session.listens(kind) if self.session.authenticated else []


class PrivateStream:
    """The endpoint."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        # Bybit says nothing before it closes.
        self.sockets = Sockets(venue, "private", lambda _socket: None)
        self._numbers = count(1)
        venue.faults.listeners.append(self._on_fault)

    def open(self) -> list[PrivateSocket]:
        """Those open now."""
        return [socket for socket in self.sockets.open if isinstance(socket, PrivateSocket)]

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """One connection, from handshake to end."""
        ws = await shake_hands(request)
        session = PrivateSession(
            f"private-{next(self._numbers):08x}", self._refusal, lambda: self._venue.now_ms("private")
        )
        socket = PrivateSocket(self._venue, request, session)

        def answer(frame: str | bytes) -> None:
            failures = session.auth_failures
            socket.send(msgspec.json.encode(session.handle(frame)))
            self._venue.usage.auth_failures += session.auth_failures - failures

        await converse(ws, socket, self.sockets, idle_seconds(request, self._venue.setting("idle_s")), answer)
        return ws

    def _refusal(self, args: object) -> int:
        if self._venue.take("private", "key_revoked", op="auth") is not None:
            return BAD_KEY
        return socket_refusal(self._venue.account, args, self._venue.now_ms("private", "auth"))

    def _on_fault(self, fault: Fault) -> None:
        """A key that is revoked ends the connections that it opened."""
        about = fault.venue == self._venue.name and fault.surface in ("", "private")
        if about and fault.kind == "key_revoked":
            for socket in self.open():
                if socket.session.authenticated:
                    socket.end("key_revoked")
