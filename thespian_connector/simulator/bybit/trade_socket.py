"""One connection of the trade socket, ``/v5/trade``."""

from __future__ import annotations

import asyncio
from itertools import count

import msgspec
from aiohttp import web

from thespian_connector.simulator.faults import Fault
from thespian_connector.simulator.sockets import Message, ServerSocket, Sockets
from thespian_connector.simulator.venue import Venue
from thespian_connector.simulator.writes import Done, Injected, Write, answered, hidden_ms, perform

from . import refusals as no
from .auth import BAD_KEY, socket_refusal
from .connection import Connection, converse, shake_hands
from .entry import Entry, neutral
from .envelope import SERVER_ERROR, VenueError
from .private_socket import idle_seconds
from .trade_requests import OrderRequest, TradeSession

_INJECTED = {"http_429": no.OVERLOADED, "http_ban": no.TOO_MANY_FROM_IP}


class TradeSocket(Connection):
    """The server's side of it. A fault's `op` is ``create``, ``amend`` or ``cancel``, about their answers."""

    def __init__(self, venue: Venue, request: web.Request, session: TradeSession) -> None:
        super().__init__(venue, "trade", request)
        self.session = session
        self.tasks: set[asyncio.Task[None]] = set()


class TradeStream:
    """The endpoint."""

    def __init__(self, venue: Venue, entry: Entry) -> None:
        self._venue = venue
        self._entry = entry
        self.sockets = Sockets(venue, "trade", _restarting)
        self._numbers = count(1)
        venue.faults.listeners.append(self._on_fault)

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """One connection, from handshake to end."""
        ws = await shake_hands(request)
        session = TradeSession(
            f"trade-{next(self._numbers):08x}",
            self._refusal,
            lambda: self._venue.now_ms("trade"),
            nameless=bool(self._venue.setting("nameless_refusals")),
        )
        socket = TradeSocket(self._venue, request, session)

        def answer(frame: str | bytes) -> None:
            failures = session.auth_failures
            outcome = session.handle(frame)
            self._venue.usage.auth_failures += session.auth_failures - failures
            if not isinstance(outcome, OrderRequest):
                socket.send(msgspec.json.encode(outcome))
                return
            # Order requests run side by side: one that a fault delays does not hold up the next.
            task = asyncio.create_task(self._order(socket, outcome))
            socket.tasks.add(task)
            task.add_done_callback(socket.tasks.discard)

        await converse(ws, socket, self.sockets, idle_seconds(request, self._venue.setting("idle_s")), answer)
        return ws

    async def _order(self, socket: TradeSocket, request: OrderRequest) -> None:
        session, arg, operation = socket.session, request.arg, request.operation
        write = Write(
            path=f"/v5/trade {request.op}",
            method="WS",
            ops=(neutral(operation), operation, request.op),
            surfaces=("trade",),
            symbol=str(arg.get("symbol", "")),
            client_id=str(arg.get("orderLinkId", "")),
        )

        def execute() -> Done:
            header: dict[str, str] = {}
            try:
                session.admit(request)
                if self._venue.take("trade", "key_revoked", op=write.ops) is not None:
                    raise VenueError(BAD_KEY, "API key is invalid.")
                self._entry.check_flood()
                budget = self._entry.charge(operation)
                header = budget.headers()
                result = self._entry.run(operation, arg, budget, hidden_ms(self._venue, write))
            except VenueError as error:
                answer = session.answer(
                    request.op, request.request_id, {}, code=error.code, message=error.message, header=header
                )
                return Done(executed=False, answer=answer)
            answer = session.answer(request.op, request.request_id, result, header=header)
            return Done(True, answer, client_id=result["orderLinkId"], order_id=result["orderId"])

        outcome, row = await perform(self._venue, write, execute)
        await self._entry.ack_delay()
        if isinstance(outcome, Injected):
            if outcome.silent:
                return
            code, message = self._injected(outcome.fault)
            reply = session.answer(request.op, request.request_id, {}, code=code, message=message)
        else:
            reply = outcome.answer
        if not socket.ended:
            answered(row, 200)
            socket.publish(Message(msgspec.json.encode(reply), operation, write.symbol))

    def _injected(self, fault: Fault) -> tuple[int, str]:
        """The code and text of an injected error."""
        if fault.kind == "http_5xx":
            return int(self._venue.setting("server_error_code")) or SERVER_ERROR, "Server error."
        refused = no.refusal(_INJECTED[fault.kind])
        return refused.code, refused.message

    def _refusal(self, args: object) -> int:
        if self._venue.take("trade", "key_revoked", op="auth") is not None:
            return BAD_KEY
        sessions = sum(1 for one in self.sockets.open if isinstance(one, TradeSocket) and one.session.authenticated)
        if sessions >= self._venue.setting("trade_sessions_max"):
            # On this socket 10003 also means too many sessions of a user.
            return BAD_KEY
        return socket_refusal(self._venue.account, args, self._venue.now_ms("trade", "auth"))

    def _on_fault(self, fault: Fault) -> None:
        """A key that is revoked ends the connections that it opened."""
        if fault.venue == self._venue.name and fault.surface in ("", "trade") and fault.kind == "key_revoked":
            for socket in self.sockets.open:
                socket.end("key_revoked")


def _restarting(socket: ServerSocket) -> None:
    """Before the end requests are refused with 10019; those that were taken are still answered."""
    if isinstance(socket, TradeSocket):
        socket.session.restarting = True
