"""What a client may ask on a stream connection: SUBSCRIBE and its like, with Binance's replies and errors.

``{"method":"SUBSCRIBE","params":["btcusdt@aggTrade"],"id":1}`` -> ``{"result":null,"id":1}``
``{"method":"NO","id":2}`` -> ``{"error":{"code":2,"msg":"Invalid request: ..."},"id":2}``
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

import msgspec

from .hub import Hub, Listener
from .names import Stream, parse

_METHODS = ("SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY", "GET_PROPERTY")
_ID = re.compile(r"[A-Za-z0-9]{1,36}")
_INT64_MAX = 2**63 - 1


class RequestError(Exception):
    """A request that is refused. Codes: 0 unknown property, 1 wrong type, 2 invalid request, 3 invalid JSON."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


def invalid_stream(name: str) -> RequestError:
    """The name is of no stream (which one is told, beyond what Binance says)."""
    return RequestError(2, f"Invalid request: invalid stream {name[:60]!r}")


class Requests:
    """Answers one connection's requests."""

    def __init__(self, hub: Hub, listener: Listener, natives: Collection[str], streams_max: int) -> None:
        self._hub = hub
        self._listener = listener
        self._natives = natives
        self._streams_max = streams_max

    def handle(self, text: str) -> bytes:
        """The reply to a text frame."""
        request_id: Any = None
        try:
            request = self._decode(text)
            request_id = _checked_id(request.get("id"))
            document: dict[str, Any] = {"result": self._result(request), "id": request_id}
        except RequestError as error:
            document = {"error": {"code": error.code, "msg": str(error)}, "id": request_id}
        return msgspec.json.encode(document)

    def _decode(self, text: str) -> dict[str, Any]:
        try:
            request = msgspec.json.decode(text)
        except msgspec.DecodeError as error:
            raise RequestError(3, f"Invalid JSON: {error}") from None
        if not isinstance(request, dict):
            raise RequestError(2, "Invalid request: an object was expected")
        if "method" not in request:
            raise RequestError(2, "Invalid request: missing field `method`")
        for name in request:
            if name not in ("method", "params", "id"):
                raise RequestError(2, f"Invalid request: unknown field `{name[:60]}`")
        return request

    def _result(self, request: dict[str, Any]) -> Any:
        method = request["method"]
        if method not in _METHODS:
            choices = ", ".join(f"`{known}`" for known in _METHODS)
            raise RequestError(2, f"Invalid request: unknown variant `{str(method)[:60]}`, expected one of {choices}")
        params = request.get("params", [])
        if not isinstance(params, list):
            raise RequestError(2, "Invalid request: params must be an array")
        if method == "SUBSCRIBE":
            return self.subscribe(_names(params))
        if method == "UNSUBSCRIBE":
            for name in _names(params):
                self._hub.unsubscribe(self._listener, name)
            return None
        if method == "LIST_SUBSCRIPTIONS":
            if params:
                raise RequestError(2, "Invalid request: too many parameters")
            return list(self._listener.streams)
        return self._property(method, params)

    def subscribe(self, names: list[str]) -> None:
        """Subscribe to all of the names, or to none.

        :raises RequestError: a name is no stream's, or they are too many.
        """
        streams: list[Stream] = []
        for name in names:
            stream = parse(name, self._natives)
            if stream is None:
                raise invalid_stream(name)
            streams.append(stream)
        if len({*self._listener.streams, *names}) > self._streams_max:
            raise RequestError(2, f"Invalid request: more than {self._streams_max} streams on a connection")
        for stream in streams:
            self._hub.subscribe(self._listener, stream)

    def _property(self, method: str, params: list[Any]) -> Any:
        expected = 2 if method == "SET_PROPERTY" else 1
        if len(params) != expected:
            word = "many" if len(params) > expected else "few"
            raise RequestError(2, f"Invalid request: too {word} parameters")
        if params[0] != "combined":
            raise RequestError(0, "Unknown property")
        if method == "GET_PROPERTY":
            return self._listener.combined
        if not isinstance(params[1], bool):
            raise RequestError(1, "Invalid value type: expected Boolean")
        self._listener.combined = params[1]
        return None


def _names(params: list[Any]) -> list[str]:
    if not params or not all(isinstance(name, str) for name in params):
        raise RequestError(2, "Invalid request: params must be names of streams")
    return params


def _checked_id(request_id: Any) -> Any:
    if request_id is None:
        return None
    if isinstance(request_id, int) and not isinstance(request_id, bool) and abs(request_id) <= _INT64_MAX:
        return request_id
    if isinstance(request_id, str) and _ID.fullmatch(request_id):
        return request_id
    raise RequestError(2, "Invalid request: request ID must be an int64, an alphanumeric string or null")
