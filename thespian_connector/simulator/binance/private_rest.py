"""The private endpoints by REST: from bytes to parameters, and from outcomes to answers with their headers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from urllib.parse import parse_qsl

from aiohttp import web

from thespian_connector.simulator.faults import Fault
from thespian_connector.simulator.venue import Venue
from thespian_connector.simulator.writes import Done, Injected, answered, note, perform

from .auth import without_signature
from .errors import ApiError, json_response
from .limits import IpLimits, Refusal
from .private import PREFIX, PRIVATE_ENDPOINTS, PrivateDoor, PrivateEndpoint, Request
from .refusals import refuse

_FORM = "application/x-www-form-urlencoded"
#: What the venue itself answers when a write's fate is unknown to it; other 5xx come from what stands before it.
UNKNOWN_OUTCOMES = {
    500: ApiError(
        -1006, "An unexpected response was received from the message bus. Execution status unknown.", 500, executed=True
    ),
    504: ApiError(
        -1007, "Timeout waiting for response from backend server. Send status unknown; execution status unknown.", 504
    ),
}

#: Answers as an injected fault says, or cuts the connection after a silence.
Inject = Callable[[web.Request, str, Fault], Awaitable[web.Response]]


class PrivateRest:
    """Answers the private paths."""

    def __init__(self, venue: Venue, door: PrivateDoor, limits: IpLimits) -> None:
        self._venue = venue
        self._door = door
        self._limits = limits
        self._endpoints = {(endpoint.method, PREFIX + endpoint.path): endpoint for endpoint in PRIVATE_ENDPOINTS}

    def endpoint(self, request: web.Request) -> PrivateEndpoint | None:
        """The endpoint of a path and method; None if there is none."""
        return self._endpoints.get((request.method, request.path))

    async def note_banned(self, request: web.Request, endpoint: PrivateEndpoint, ban: Refusal) -> None:
        """Write down whose write it was that came during a ban."""
        asked = await self._read(request, endpoint)
        answered(note(self._venue, asked.write, fault="ban"), ban.status)

    async def read(self, request: web.Request, endpoint: PrivateEndpoint, address: str) -> web.Response:
        """Answer a read that no ban or fault has taken."""
        asked = await self._read(request, endpoint)
        refusal = self._limits.charge(address, endpoint.weight(asked.values))
        if refusal is not None:
            return refuse(self._venue, refusal, request)
        try:
            return json_response(self._door.run(asked).document)
        except ApiError as error:
            return error.response()

    async def write(
        self, request: web.Request, endpoint: PrivateEndpoint, address: str, inject: Inject
    ) -> web.Response:
        """Answer a write that no ban has taken; faults are the business of this."""
        asked = await self._read(request, endpoint)

        def execute() -> Done:
            refusal = self._limits.charge(address, 0 if endpoint.free else endpoint.weight(asked.values))
            return Done(executed=False, answer=refusal) if refusal is not None else self._door.done(asked)

        done, row = await perform(self._venue, asked.write, execute)
        if isinstance(done, Injected):
            status = done.fault.params.get("status", 503)
            if done.fault.kind == "http_5xx" and status in UNKNOWN_OUTCOMES:
                response = UNKNOWN_OUTCOMES[status].response()
            else:
                response = await inject(request, address, done.fault)
            if not done.silent:
                answered(row, response.status)
            return response
        response = self._response(request, asked, address, done)
        answered(row, response.status)
        return response

    def _response(self, request: web.Request, asked: Request, address: str, done: Done) -> web.Response:
        if isinstance(done.answer, Refusal):
            return refuse(self._venue, done.answer, request)
        if isinstance(done.answer, ApiError):
            if asked.endpoint.free:
                # Free of weight only if it succeeds.
                self._limits.charge(address, asked.endpoint.weight(asked.values), raw=0)
            return done.answer.response()
        response = json_response(done.answer.document)
        if done.answer.placed:
            response.headers.update(self._door.counts.headers(done.answer.order.owner))
        return response

    async def _read(self, request: web.Request, endpoint: PrivateEndpoint) -> Request:
        surfaces = ("trade", "rest") if endpoint.write else ("rest",)
        arrived_ms = self._door.now_ms(surfaces)
        query = request.raw_path.partition("?")[2]
        body = await request.text() if request.content_type == _FORM and request.can_read_body else ""
        # Of a name that is in both the query's value wins.
        values = dict(parse_qsl(body, keep_blank_values=True)) | dict(parse_qsl(query, keep_blank_values=True))
        payload = without_signature(query) + without_signature(body)
        return Request(
            endpoint=endpoint,
            values=values,
            payload=payload.encode("utf-8", "surrogateescape"),
            api_key=request.headers.get("X-MBX-APIKEY"),
            time_unit=request.headers.get("X-MBX-TIME-UNIT"),
            surfaces=surfaces,
            arrived_ms=arrived_ms,
        )
