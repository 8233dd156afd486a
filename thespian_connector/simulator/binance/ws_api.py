"""The WebSocket API: /ws-api/v3. Order entry, account and user data on one connection (Binance: "WebSocket API")."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from aiohttp import WSMsgType, web

from thespian_connector.simulator.faults import Fault
from thespian_connector.simulator.sockets import INBOUND_BYTES_MAX, PONG, Message, ServerSocket, Sockets
from thespian_connector.simulator.venue import Venue
from thespian_connector.simulator.writes import Done, Injected, answered, note, perform

from .auth import InvalidKey
from .errors import ApiError
from .feeds import Feeds
from .keepalive import KeepAlive, Kept
from .limits import IpLimits, Refusal
from .market_data import ENDPOINTS, Call, MarketData
from .params import Params, time_factor
from .private import PRIVATE_ENDPOINTS, PrivateDoor, PrivateEndpoint, Request
from .private_rest import UNKNOWN_OUTCOMES
from .refusals import refuse
from .reports import stamp
from .rest import BAN_S, RETRY_AFTER_S
from .user_data import Subscriber, UserData
from .ws_requests import PUBLIC_METHODS, RATE_LIMITS, Ask, BadRequest, bad, decode, good, refusal_error, weight_row
from .ws_session import TRADE_SURFACE as _SURFACE
from .ws_session import Session

CONNECT_WEIGHT = 2
SESSION_WEIGHT = 2
#: Requests of one connection that wait for an answer. A further one is not read before one of them is answered.
IN_FLIGHT_MAX = 1_000


class ApiConnection(Kept):
    """One connection."""

    def __init__(self, subscriber: Subscriber, session: Session, address: str, time_unit: str | None) -> None:
        super().__init__(subscriber.socket)
        self.subscriber = subscriber
        self.session = session
        self.address = address
        self.time_unit = time_unit
        self.in_flight: set[asyncio.Task[None]] = set()


class WsApi:
    """Accepts connections and answers their requests."""

    def __init__(self, venue: Venue, feeds: Feeds, limits: IpLimits, door: PrivateDoor) -> None:
        self._venue = venue
        self._limits = limits
        self._door = door
        self._data = MarketData(venue, feeds)
        self._connections = KeepAlive[ApiConnection](venue)
        self._tasks: set[asyncio.Task[None]] = set()
        self.sockets = Sockets(venue, _SURFACE, self._notify_shutdown)
        self._users = UserData(venue, door.events, self.sockets)
        by_path = {endpoint.path: endpoint for endpoint in ENDPOINTS}
        self._public = {method: by_path[path] for method, path in PUBLIC_METHODS.items()}
        self._private = {endpoint.ws_method: endpoint for endpoint in PRIVATE_ENDPOINTS}

    def tick(self) -> None:
        """Keep the connections; to be called some times a second."""
        self._connections.tick()

    def _notify_shutdown(self, socket: ServerSocket) -> None:
        connection = self._connections.get(socket)
        if connection is not None:
            now_ns = self._venue.now_ns("private", "serverShutdown")
            event = {"e": "serverShutdown", "E": stamp(now_ns, connection.subscriber.factor)}
            socket.send(msgspec.json.encode({"event": event}))

    async def close(self) -> None:
        """The server ends."""
        for task in self._tasks:
            task.cancel()
        self.sockets.close()
        await self._connections.emptied()

    # A connection.

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """A handshake, and the connection until its end."""
        address = request.remote or ""
        refusal = (
            self._limits.banned(address)
            or self._limits.connect(address)
            or self._limits.charge(address, CONNECT_WEIGHT, raw=0)
        )
        if refusal is not None:
            self._venue.usage.ws_refused += 1
            return refuse(self._venue, refusal, request)
        unit = request.query.get("timeUnit")
        try:
            factor = time_factor(unit)
        except ApiError as error:
            return error.response()
        ws = web.WebSocketResponse(
            autoping=False, autoclose=True, compress=False, max_msg_size=INBOUND_BYTES_MAX, timeout=1.0
        )
        await ws.prepare(request)
        limit = int(self._venue.setting("send_buffer_bytes_max"))
        socket = ServerSocket(self._venue, _SURFACE, request, buffer_bytes_max=limit)
        socket.delays = ()
        rate_limits = request.query.get("returnRateLimits") != "false"
        subscriber = Subscriber(socket, factor)
        session = Session(self._venue, self._door, self._users, subscriber, rate_limits=rate_limits)
        connection = ApiConnection(subscriber, session, address, unit)
        self._connections.add(connection)
        self.sockets.add(socket)
        try:
            await self._serve(ws, connection)
        finally:
            # What was sent is done even if nobody waits for the answer any more.
            self._users.drop(connection.subscriber)
            self._connections.remove(socket)
            self.sockets.remove(socket)
        return ws

    async def _serve(self, ws: web.WebSocketResponse, connection: ApiConnection) -> None:
        async for message in ws:
            if message.type is WSMsgType.PING:
                connection.socket.send(bytes(message.data), PONG)
            elif message.type is WSMsgType.PONG:
                connection.pong(bytes(message.data))
            elif message.type is WSMsgType.TEXT:
                # Each in a task of its own, begun in order: a request that is held up holds up no other.
                task = asyncio.create_task(self._request(connection, message.data))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
                connection.in_flight.add(task)
                task.add_done_callback(connection.in_flight.discard)
                if len(connection.in_flight) >= IN_FLIGHT_MAX:
                    await asyncio.wait(connection.in_flight, return_when=asyncio.FIRST_COMPLETED)
            else:
                connection.socket.end("not_text", 1003, "Text frames only")
                return

    # A request.

    async def _request(self, connection: ApiConnection, text: str) -> None:
        try:
            ask = decode(text, rate_limits=connection.session.rate_limits)
        except BadRequest as error:
            reply = bad(error.request_id, ApiError(-1135, str(error)))
            connection.socket.publish(Message(reply), _SURFACE)
            return
        self._venue.usage.request(f"ws-api/{ask.method}")
        ban = self._limits.banned(connection.address)
        if ban is not None:
            self._answer_ban(connection, ask, ban)
            return
        endpoint = self._private.get(ask.method)
        if endpoint is not None and endpoint.write:
            await self._write(connection, ask, endpoint)
            return
        if await self._held_up(connection, ask, endpoint):
            return
        try:
            self._reply(connection, ask, self._read(connection, ask, endpoint))
        except ApiError as error:
            self._reply(connection, ask, error)

    def _reply(self, connection: ApiConnection, ask: Ask, answer: Any, *, counts: bool = False) -> int:
        """Send a result, or an error; its status."""
        rows: list[dict[str, Any]] | None = None
        if ask.rate_limits:
            rows = self._door.counts.rows(self._venue.account.api_key) if counts else []
            rows = [*rows, weight_row(self._venue, self._limits, connection.address)]
        if isinstance(answer, ApiError):
            revoked = isinstance(answer, InvalidKey) and answer.revoked
            payload = bad(None if revoked else ask.request_id, answer, rows)
        else:
            payload = good(ask.request_id, answer, rows)
        connection.socket.publish(Message(payload, ask.method, ask.values.get("symbol", "")), _SURFACE)
        return answer.status if isinstance(answer, ApiError) else 200

    def _answer_ban(self, connection: ApiConnection, ask: Ask, ban: Refusal) -> None:
        """A request during a ban: told, written down, and the connection is closed."""
        endpoint = self._private.get(ask.method)
        if endpoint is not None and endpoint.write:
            row = note(self._venue, self._signed(connection, ask, endpoint).write, fault="ban")
            answered(row, ban.status)
        self._refuse(connection, ask, ban)

    def _refuse(self, connection: ApiConnection, ask: Ask, refusal: Refusal) -> int:
        self._venue.usage.refused(refusal.status, injected=refusal.injected)
        until_ms = refusal.banned_until_ms or self._venue.time_ns() // 1_000_000 + refusal.retry_after_s * 1_000
        status = self._reply(connection, ask, refusal_error(self._venue, refusal.status, until_ms))
        if refusal.status in (418, 403):
            connection.socket.end("banned", 1008, "IP banned")
        return status

    def _charge(self, connection: ApiConnection, weight: int) -> None:
        """Charge a read.

        :raises ApiError: -1003.
        """
        refusal = self._limits.charge(connection.address, weight, raw=0)
        if refusal is not None:
            self._venue.usage.refused(refusal.status, injected=False)
            until_ms = refusal.banned_until_ms or self._venue.time_ns() // 1_000_000 + refusal.retry_after_s * 1_000
            raise refusal_error(self._venue, refusal.status, until_ms)

    def _signed(self, connection: ApiConnection, ask: Ask, endpoint: PrivateEndpoint) -> Request:
        # A signature of its own overrides the session's key.
        key = None if "signature" in ask.values else connection.session.key
        return Request(
            endpoint=endpoint,
            values=ask.values,
            payload=ask.payload if key is None else None,
            api_key=ask.values.get("apiKey") if key is None else key.api_key,
            time_unit=connection.time_unit,
            surfaces=(_SURFACE,),
            arrived_ms=self._door.now_ms((_SURFACE,)),
            known=("apiKey", RATE_LIMITS),
        )

    def _read(self, connection: ApiConnection, ask: Ask, endpoint: PrivateEndpoint | None) -> Any:
        if endpoint is not None:
            self._charge(connection, endpoint.weight(ask.values))
            return self._door.run(self._signed(connection, ask, endpoint)).document
        public = self._public.get(ask.method)
        if public is not None:
            params = Params(ask.values, (*public.known, RATE_LIMITS), self._venue.markets)
            self._charge(connection, public.weight(params))
            now_ns = self._venue.now_ns(_SURFACE, ask.method)
            return public.handler(self._data, Call(params, now_ns, connection.subscriber.factor))
        self._charge(connection, SESSION_WEIGHT)
        return connection.session.answer(ask)

    # Faults and writes.

    async def _held_up(self, connection: ApiConnection, ask: Ask, endpoint: PrivateEndpoint | None) -> bool:
        """Whether a fault has answered a read, or left it without an answer."""
        ops = endpoint.ops if endpoint is not None else (ask.method,)
        symbol = ask.values.get("symbol", "")
        slow = self._venue.take(_SURFACE, "latency", op=ops, symbol=symbol)
        if slow is not None:
            await asyncio.sleep(slow.params["latency_ms"] / 1_000)
        kinds = ("http_ban", "http_429", "http_5xx", "http_timeout")
        fault = self._venue.take(_SURFACE, *kinds, op=ops, symbol=symbol)
        if fault is None:
            return False
        self._inject(connection, ask, fault)
        return True

    def _inject(self, connection: ApiConnection, ask: Ask, fault: Fault) -> int | None:
        """Answer as a fault says; the status, None for no answer at all."""
        if fault.kind in ("http_timeout", "ack_lost"):
            return None
        if fault.kind == "http_ban":
            seconds = fault.params.get("retry_after_s", BAN_S)
            status = fault.params.get("status", 418)
            ban = self._limits.ban(connection.address, seconds, status=status, injected=True)
            return self._refuse(connection, ask, ban)
        if fault.kind == "http_429":
            seconds = fault.params.get("retry_after_s", RETRY_AFTER_S)
            return self._refuse(connection, ask, Refusal(429, seconds, injected=True))
        status = fault.params.get("status", 503)
        unknown = ApiError(-1000, "An unknown error occurred while processing the request.", status)
        return self._reply(connection, ask, UNKNOWN_OUTCOMES.get(status, unknown))

    async def _write(self, connection: ApiConnection, ask: Ask, endpoint: PrivateEndpoint) -> None:
        request = self._signed(connection, ask, endpoint)
        weight = endpoint.weight(ask.values)

        def execute() -> Done:
            refusal = self._limits.charge(connection.address, 0 if endpoint.free else weight, raw=0)
            return Done(executed=False, answer=refusal) if refusal is not None else self._door.done(request)

        done, row = await perform(self._venue, request.write, execute)
        if isinstance(done, Injected):
            status = self._inject(connection, ask, done.fault)
            if status is not None:
                answered(row, status)
            return
        if isinstance(done.answer, Refusal):
            answered(row, self._refuse(connection, ask, done.answer))
        elif isinstance(done.answer, ApiError):
            if endpoint.free:
                self._limits.charge(connection.address, weight, raw=0)
            answered(row, self._reply(connection, ask, done.answer, counts=endpoint.write != "test"))
        else:
            answered(row, self._reply(connection, ask, done.answer.document, counts=done.answer.placed))
