"""The frame of every REST answer, ``{"retCode","retMsg","result","retExtInfo","time"}``; refusals have HTTP 200 too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

PARAMETER_ERROR = 10001
SERVER_ERROR = 10016
ROUTE_NOT_FOUND = 10017


class VenueError(Exception):
    """What Bybit answers instead of a result: a ``retCode`` and its text."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


def success(result: Mapping[str, Any], now_ms: int, message: str = "OK") -> bytes:
    """The body of a good answer."""
    return msgspec.json.encode(
        {"retCode": 0, "retMsg": message, "result": result, "retExtInfo": {}, "time": now_ms},
    )


def failure(code: int, message: str, now_ms: int) -> bytes:
    """The body of a refusal; ``result`` is empty."""
    return msgspec.json.encode(
        {"retCode": code, "retMsg": message, "result": {}, "retExtInfo": {}, "time": now_ms},
    )


def decoded(frame: str | bytes) -> object:
    """The document that a client sent; None if it is no JSON, or nested deeper than anything real."""
    try:
        return msgspec.json.decode(frame)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
