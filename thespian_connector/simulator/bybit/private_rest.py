"""The signed REST endpoints: order entry and what may be asked about orders and account.

Whatever the answer, it has HTTP 200, and tells in its headers what is left of the endpoint's rolling second.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from aiohttp import web

from thespian_connector.simulator.venue import Venue
from thespian_connector.simulator.writes import Done, Injected, Write, answered, hidden_ms, perform

from . import envelope
from . import refusals as no
from .account import AccountQueries
from .auth import BAD_KEY, BAD_SIGNATURE, check_request
from .entry import Entry, neutral
from .envelope import PARAMETER_ERROR, VenueError
from .gate import HANG_MS, Gate
from .queries import Queries, Query
from .trading import OPERATIONS, Trading

_Answer = tuple[bytes, dict[str, str]]
_SURFACES = ("trade", "rest")
WRITES = frozenset(f"/v5/order/{operation}" for operation in OPERATIONS)


class PrivateRest:
    """The handlers."""

    def __init__(self, venue: Venue, gate: Gate, trading: Trading, entry: Entry) -> None:
        self._venue = venue
        self._gate = gate
        self._entry = entry
        orders, account = Queries(trading), AccountQueries(venue)
        self._reads: dict[str, tuple[str, Callable[[Query], dict[str, Any]]]] = {
            "/v5/order/realtime": ("query_max", orders.realtime),
            "/v5/order/history": ("query_max", orders.history),
            "/v5/execution/list": ("query_max", orders.executions),
            "/v5/account/wallet-balance": ("query_max", account.wallet_balance),
            "/v5/account/info": ("query_max", account.info),
            "/v5/account/fee-rate": ("fee_rate_max", account.fee_rate),
            "/v5/user/query-api": ("query_max", account.api_key),
            "/v5/asset/coin/query-info": ("fee_rate_max", account.coins),
        }

    def routes(self) -> list[web.RouteDef]:
        """Every path with its handler."""
        return [
            *(web.get(path, self._read, allow_head=False) for path in self._reads),
            *(web.post(path, self._write) for path in sorted(WRITES)),
        ]

    async def _read(self, request: web.Request) -> web.Response:
        setting, handler = self._reads[request.path]
        raw_query = request.raw_path.partition("?")[2].encode()
        headers: dict[str, str] = {}
        op = request.path.rsplit("/", 1)[-1]
        try:
            self._check(request.headers, raw_query, ("rest",), (op,))
            budget = self._entry.rates.charge(request.path, setting)
            headers = budget.headers()
            if not budget.admitted:
                raise no.refusal(no.TOO_MANY_VISITS)
            body = envelope.success(handler(Query(request.query)), self._venue.now_ms())
        except VenueError as error:
            body = self._refusal(error)
        return self._respond(request, body, headers)

    async def _write(self, request: web.Request) -> web.Response:
        body, operation = await request.read(), request.path.rsplit("/", 1)[-1]
        document = envelope.decoded(body)
        fields = document if isinstance(document, dict) else {}
        write = Write(
            path=request.path,
            method=request.method,
            ops=(neutral(operation), operation),
            surfaces=_SURFACES,
            symbol=str(fields.get("symbol", "")),
            client_id=str(fields.get("orderLinkId", "")),
        )

        def execute() -> Done:
            headers: dict[str, str] = {}
            try:
                self._check(request.headers, body, _SURFACES, write.ops)
                if document is None:
                    raise no.refusal(PARAMETER_ERROR)
                budget = self._entry.charge(operation)
                headers = budget.headers()
                result = self._entry.run(operation, document, budget, hidden_ms(self._venue, write))
            except VenueError as error:
                return Done(executed=False, answer=(self._refusal(error), headers))
            answer = (envelope.success(result, self._venue.now_ms()), headers)
            changed = operation != "cancel-all" or bool(result["list"])
            return Done(changed, answer, result.get("orderLinkId", ""), result.get("orderId", ""))

        outcome, row = await perform(self._venue, write, execute)
        await self._entry.ack_delay()
        if not isinstance(outcome, Injected):
            answered(row, 200)
            answer: _Answer = outcome.answer
            return self._respond(request, *answer)
        if outcome.silent:
            await asyncio.sleep(outcome.fault.params.get("timeout_ms", HANG_MS) / 1000)
            return self._gate.cut(request)
        code = int(self._venue.setting("server_error_code"))
        if code and outcome.fault.kind == "http_5xx":
            body = envelope.failure(code, "Server error.", self._venue.now_ms())
            response = self._respond(request, body, {})
        else:
            response = self._gate.injected(request, outcome.fault)
        answered(row, response.status)
        return response

    def _check(
        self, headers: Mapping[str, str], payload: bytes, surfaces: tuple[str, ...], ops: tuple[str, ...]
    ) -> None:
        """Key, clock and signature of a request, and whether the key still stands."""
        if self._venue.take(surfaces, "key_revoked", op=ops) is not None:
            raise VenueError(BAD_KEY, "API key is invalid.")
        check_request(self._venue.account, headers, payload, self._venue.now_ms(op=ops[-1]))

    def _refusal(self, error: VenueError) -> bytes:
        if error.code in (BAD_KEY, BAD_SIGNATURE):
            self._venue.usage.auth_failures += 1
        return envelope.failure(error.code, error.message, self._venue.now_ms())

    def _respond(self, request: web.Request, body: bytes, headers: dict[str, str]) -> web.Response:
        if self._venue.setting("missing_key_401") and "X-BAPI-API-KEY" not in request.headers:
            return web.Response(status=401, body=b"null", content_type="application/json")
        return web.Response(body=body, headers=headers, content_type="application/json")
