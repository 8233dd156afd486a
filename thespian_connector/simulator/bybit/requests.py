"""What a client of the public spot socket may ask, and what it is answered (v5 docs: "Websocket / Connect").

No socket here: a frame comes in; a reply (or none) and the topics to begin and to end come out.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from .envelope import decoded
from .settings import ARGS_A_REQUEST_MAX, ARGS_CHARS_MAX
from .topics import Topic, TopicError, parse


@dataclass(frozen=True)
class Answer:
    """`reply` is None where Bybit stays silent."""

    reply: dict[str, Any] | None
    begin: list[Topic] = field(default_factory=list)
    end: list[Topic] = field(default_factory=list)


class Subscriptions:
    """The topics of one connection.

    :param duplicate_error: answer a duplicate as the linear socket does, instead of not at all.
    """

    def __init__(self, connection_id: str, symbols: Collection[str], *, duplicate_error: bool = False) -> None:
        self.topics: dict[str, Topic] = {}
        self._connection_id = connection_id
        self._symbols = symbols
        self._duplicate_error = duplicate_error

    def handle(self, frame: str | bytes) -> Answer:
        """Answer one frame of the client."""
        request = decoded(frame)
        if not isinstance(request, dict):
            return Answer(self._reply(False, "error:invalid request", "", ""))
        op, request_id = request.get("op"), request.get("req_id", "")
        if op == "ping":
            return Answer(self._reply(True, "pong", request_id, "ping"))
        if op not in ("subscribe", "unsubscribe"):
            return Answer(self._reply(False, f"error:invalid op:{op}", request_id, op))
        args = request.get("args")
        if not isinstance(args, list) or not args or not all(isinstance(arg, str) for arg in args):
            return Answer(self._reply(False, "error:invalid args", request_id, op))
        if len(args) > ARGS_A_REQUEST_MAX:
            return Answer(self._reply(False, f"args size >{ARGS_A_REQUEST_MAX}", request_id, op))
        if op == "unsubscribe":
            end = [self.topics.pop(arg) for arg in args if arg in self.topics]
            return Answer(self._reply(True, "unsubscribe", request_id, op), end=end)
        return self._subscribe(args, request_id)

    def _subscribe(self, args: list[str], request_id: object) -> Answer:
        """One bad topic voids the whole request; one that is subscribed already is passed over in silence."""
        begin: dict[str, Topic] = {}
        for arg in args:
            if arg in self.topics:
                if self._duplicate_error:
                    return Answer(self._reply(False, f"error:already subscribed,topic:{arg}", request_id, "subscribe"))
                continue
            try:
                begin[arg] = parse(arg, self._symbols)
            except TopicError as error:
                return Answer(self._reply(False, str(error), request_id, "subscribe"))
        if sum(map(len, self.topics)) + sum(map(len, begin)) > ARGS_CHARS_MAX:
            message = f"args length >{ARGS_CHARS_MAX}"
            return Answer(self._reply(False, message, request_id, "subscribe"))
        if not begin:
            return Answer(None)
        self.topics.update(begin)
        return Answer(self._reply(True, "subscribe", request_id, "subscribe"), begin=list(begin.values()))

    def _reply(self, success: bool, message: str, request_id: object, op: object) -> dict[str, Any]:
        return {
            "success": success,
            "ret_msg": message,
            "conn_id": self._connection_id,
            "req_id": request_id if isinstance(request_id, str) else "",
            "op": op if isinstance(op, str) else "",
        }
