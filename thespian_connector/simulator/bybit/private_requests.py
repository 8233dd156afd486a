"""What a client of the private socket may ask, and what it is answered (v5 docs: "Websocket / Connect", "Private").

No socket here: a frame comes in, and the reply goes out; :attr:`PrivateSession.topics` says what the client gets.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .envelope import decoded
from .settings import ARGS_A_REQUEST_MAX

#: Topics by the all-in-one topic that they are a form of: a form with a category gets that category only.
TOPICS = {
    "order": "order",
    "order.spot": "order",
    "execution": "execution",
    "execution.spot": "execution",
    "execution.fast": "execution.fast",
    "execution.fast.spot": "execution.fast",
    "wallet": "wallet",
    "dcp.spot": "dcp",
}
#: Forms of categories that have no orders here: a client may ask for them, and hears nothing.
_OTHER = tuple(
    f"{topic}.{category}"
    for topic in ("order", "execution", "execution.fast")
    for category in ("linear", "inverse", "option")
)


class PrivateSession:
    """One connection: who it is, and what it listens to.

    :param check: the code of what is wrong with the arguments of an ``auth``, 0 if nothing is.
    :param now_ms: the venue's clock, which a pong tells.
    """

    def __init__(self, connection_id: str, check: Callable[[object], int], now_ms: Callable[[], int]) -> None:
        self.authenticated = False
        self.auth_failures = 0
        self.topics: dict[str, None] = {}
        self._connection_id = connection_id
        self._check = check
        self._now_ms = now_ms

    def handle(self, frame: str | bytes) -> dict[str, Any]:
        """The reply to one frame of the client."""
        request = decoded(frame)
        if not isinstance(request, dict):
            return self._reply({}, "", success=False, message="error:invalid request")
        op, args = request.get("op"), request.get("args")
        if op == "ping":
            pong = {"op": "pong", "args": [str(self._now_ms())], "conn_id": self._connection_id}
            return {"req_id": request["req_id"], **pong} if isinstance(request.get("req_id"), str) else pong
        if op == "auth":
            return self._authenticate(request, args)
        if op not in ("subscribe", "unsubscribe"):
            return self._reply(request, op, success=False, message=f"error:invalid op:{op}")
        if not self.authenticated:
            return self._reply(request, op, success=False, message="Request not authorized")
        if not isinstance(args, list) or not args or not all(isinstance(arg, str) for arg in args):
            return self._reply(request, op, success=False, message="error:invalid args")
        if op == "unsubscribe":
            for arg in args:
                self.topics.pop(arg, None)
            return self._reply(request, op)
        problem = self._problem(args)
        if not problem:
            self.topics.update(dict.fromkeys(args))
        return self._reply(request, op, success=not problem, message=problem)

    def listens(self, kind: str) -> list[str]:
        """The topics of a kind (``order``, ``execution``, ``execution.fast``, ``wallet``) that were asked for."""
        return [topic for topic in self.topics if TOPICS.get(topic) == kind]

    def _authenticate(self, request: dict[str, Any], args: object) -> dict[str, Any]:
        if self._check(args) == 0:
            self.authenticated = True
            return self._reply(request, "auth")
        self.auth_failures += 1
        return self._reply(request, "auth", success=False, message="Params Error")

    def _problem(self, args: list[str]) -> str:
        """Why a subscription is refused whole; empty if it is not."""
        if len(args) > ARGS_A_REQUEST_MAX:
            return f"args size >{ARGS_A_REQUEST_MAX}"
        for arg in args:
            if arg not in TOPICS and arg not in _OTHER:
                return f"error:handler not found,topic:{arg}"
        for kind in ("order", "execution", "execution.fast"):
            if kind in args and any(arg == f"{kind}.{arg.rsplit('.', 1)[-1]}" and arg in _FORMS for arg in args):
                # "All-in-one and categorised topics cannot be in the same subscription request."
                return f"error:{kind} and its categorised topics in one request"
        return ""

    def _reply(self, request: dict[str, Any], op: object, *, success: bool = True, message: str = "") -> dict[str, Any]:
        reply: dict[str, Any] = {"success": success, "ret_msg": message, "op": op if isinstance(op, str) else ""}
        if isinstance(request.get("req_id"), str):
            reply["req_id"] = request["req_id"]
        return {**reply, "conn_id": self._connection_id}


_FORMS = frozenset((*_OTHER, *(topic for topic in TOPICS if topic.endswith(".spot"))))
