"""What a client of the trade socket may ask, and how it is answered (v5 docs: "Websocket Trade Guideline").

No socket and no order here: a frame comes in; either the reply to it or the order request that it is comes out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from . import refusals as no
from .auth import BAD_KEY, BAD_SIGNATURE, NO_PERMISSION, check_clock
from .envelope import PARAMETER_ERROR, VenueError, decoded

#: Operations of the socket, as those of :mod:`trading`.
OPERATIONS = {"order.create": "create", "order.amend": "amend", "order.cancel": "cancel"}
REQUEST_ID_CHARS_MAX = 36
#: Request ids remembered of one connection. At the limit the oldest may be used again.
REQUEST_IDS_MAX = 100_000
_NAMELESS = (BAD_KEY, BAD_SIGNATURE, NO_PERMISSION, no.TOO_MANY_FROM_IP)
_AUTH_TEXTS = {
    PARAMETER_ERROR: "Params Error",
    BAD_KEY: "API key is invalid.",
    BAD_SIGNATURE: "Error sign, please check your signature generation algorithm.",
}


@dataclass(frozen=True)
class OrderRequest:
    """An order request that passed the session: what :meth:`TradeSession.admit` still has to see is its clock."""

    op: str
    request_id: str
    header: dict[str, Any]
    arg: dict[str, Any]

    @property
    def operation(self) -> str:
        return OPERATIONS[self.op]


class TradeSession:
    """One connection.

    :param check: the code of what is wrong with the arguments of an ``auth``, 0 if nothing is.
    :param now_ms: the venue's clock.
    :param nameless: refusals for permission or address come without ``reqId``, as Bybit's were seen to do.
    """

    def __init__(
        self,
        connection_id: str,
        check: Callable[[object], int],
        now_ms: Callable[[], int],
        *,
        nameless: bool = False,
    ) -> None:
        self.authenticated = False
        self.auth_failures = 0
        #: The service is about to restart: what comes now is refused.
        self.restarting = False
        self._connection_id = connection_id
        self._check = check
        self._now_ms = now_ms
        self._nameless = nameless
        self._request_ids: dict[str, None] = {}

    def handle(self, frame: str | bytes) -> dict[str, Any] | OrderRequest:
        """The reply to a frame, or the order request in it."""
        request = decoded(frame)
        if not isinstance(request, dict):
            return self._control("", "", PARAMETER_ERROR, "Request parameter error.")
        op, request_id = request.get("op"), request.get("reqId", "")
        op = op if isinstance(op, str) else ""
        if not isinstance(request_id, str) or len(request_id) > REQUEST_ID_CHARS_MAX:
            return self._control(op, "", PARAMETER_ERROR, "Request parameter error.")
        if op == "ping":
            return {**self._control("pong", request_id), "data": [str(self._now_ms())]}
        if op == "auth":
            return self._authenticate(request_id, request.get("args"))
        try:
            return self._order(op, request_id, request)
        except VenueError as error:
            return self.answer(op, request_id, {}, code=error.code, message=error.message)

    def answer(
        self,
        op: str,
        request_id: str,
        data: dict[str, Any],
        *,
        code: int = 0,
        message: str = "OK",
        header: dict[str, str] | None = None,
    ) -> dict[str, Any]:
        """The answer to an order request; ``reqId`` is there if it was sent."""
        named = request_id and not (self._nameless and code in _NAMELESS)
        head = {"reqId": request_id} if named else {}
        now = str(self._now_ms())
        return {
            **head,
            "retCode": code,
            "retMsg": message,
            "op": op,
            "data": data,
            "retExtInfo": {},
            "header": {**(header or {}), "Traceid": f"{int(now):032x}", "Timenow": now},
            "connId": self._connection_id,
        }

    def admit(self, request: OrderRequest) -> None:
        """Check the clock of an order request when its turn has come.

        :raises VenueError: 10002, or 10001 without a timestamp; 10019 while the service restarts.
        """
        if self.restarting:
            raise no.refusal(no.SERVER_RESTARTING)
        timestamp, window = request.header.get("X-BAPI-TIMESTAMP", ""), request.header.get("X-BAPI-RECV-WINDOW", "")
        # The header's numbers come as text; plain integers are taken too.
        check_clock(str(timestamp), str(window), self._now_ms())

    def _order(self, op: str, request_id: str, request: dict[str, Any]) -> OrderRequest:
        if op not in OPERATIONS:
            raise no.refusal(no.BAD_OPERATION)
        if not self.authenticated:
            raise VenueError(NO_PERMISSION, "Permission denied, please authenticate first.")
        if request_id in self._request_ids:
            raise no.refusal(no.DUPLICATE_REQUEST_ID)
        header, args = request.get("header"), request.get("args")
        one = args[0] if isinstance(args, list) and len(args) == 1 else None
        if not isinstance(header, dict) or not isinstance(one, dict):
            raise VenueError(PARAMETER_ERROR, "Request parameter error.")
        if one.get("category") != "spot":
            raise no.refusal(no.BAD_OPERATION)
        if request_id:
            self._request_ids[request_id] = None
            if len(self._request_ids) > REQUEST_IDS_MAX:
                del self._request_ids[next(iter(self._request_ids))]
        return OrderRequest(op, request_id, header, one)

    def _authenticate(self, request_id: str, args: object) -> dict[str, Any]:
        if self.authenticated:
            return self._control("auth", request_id, no.REPEATED_AUTH, "Repeat auth")
        code = self._check(args)
        if code:
            self.auth_failures += 1
            return self._control("auth", request_id, code, _AUTH_TEXTS[code])
        self.authenticated = True
        return self._control("auth", request_id)

    def _control(self, op: str, request_id: str, code: int = 0, message: str = "OK") -> dict[str, Any]:
        head = {"reqId": request_id} if request_id else {}
        return {**head, "retCode": code, "retMsg": message, "op": op, "connId": self._connection_id}
