"""What an answer that is no success means.

The venue's code decides where there is one; the HTTP status where the body is a gateway's page (the firewall's 403, a
removed endpoint's 410, any 5xx). A 5xx never says "failed": the execution is unknown.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import msgspec

from thespian_connector.model.errors import (
    AuthError,
    Banned,
    ClockError,
    ExchangeError,
    InsufficientBalance,
    Maintenance,
    OrderNotFound,
    OutcomeUnknown,
    RateLimited,
    Rejected,
    ServerFault,
)

EXCHANGE = "binance"
#: Bans last two minutes to three days; a larger number is no number of seconds (the WebSocket API uses epoch ms).
RETRY_AFTER_S_MAX = 7 * 86400
MESSAGE_CHARS_MAX = 300

#: Codes whose meaning does not depend on the text beside them. Any other negative code is a definite refusal: by
#: filters and parameters (-1013, -11xx), by the engine (-2010, -2011, -2038), for ids of two orders (-2039), of a
#: cancel-replace of which neither half happened (-2022).
_BY_CODE: dict[int, type[ExchangeError]] = {
    -1000: ServerFault,  # UNKNOWN: an internal error
    -1001: ServerFault,  # DISCONNECTED
    -1002: AuthError,
    -1003: RateLimited,
    -1006: OutcomeUnknown,  # UNEXPECTED_RESP
    -1007: OutcomeUnknown,  # TIMEOUT of the engine
    -1008: ServerFault,  # SERVER_BUSY: resolve before sending an order again
    -1015: RateLimited,  # TOO_MANY_ORDERS: the account's limit, not the IP's
    -1021: ClockError,
    -1022: AuthError,
    -1034: RateLimited,  # too many connections
    -2013: OrderNotFound,
    -2014: AuthError,
    -2015: AuthError,
    -2016: Maintenance,  # no trading window
    -2021: OutcomeUnknown,  # cancel-replace: exactly one leg happened; its `data` says which
    -2026: OrderNotFound,  # archived: older than 90 days, without a fill
}
#: Their errors carry the whole body: it says what became of each half of a cancel-replace.
_WITH_DATA = frozenset((-2021, -2022))
_BY_STATUS: dict[int, type[ExchangeError]] = {
    401: AuthError,
    403: Banned,  # the firewall; abuse of the limits is its usual reason
    404: Rejected,
    410: Rejected,  # removed: the listenKey paths answer so, in HTML
    418: Banned,
    429: RateLimited,
}
_TEXTS: dict[tuple[int, str], type[ExchangeError]] = {
    (-2010, "insufficient balance"): InsufficientBalance,
    (-2010, "market is closed"): Maintenance,
    (-2010, "this action is disabled on this account"): AuthError,
    (-2010, "this account may not place or cancel orders"): AuthError,
    (-2011, "this action is disabled on this account"): AuthError,
    (-2011, "this account may not place or cancel orders"): AuthError,
    (-2011, "unknown order sent"): OrderNotFound,
    (-1003, "banned"): Banned,
}


class _Envelope(msgspec.Struct):
    code: int
    msg: str = ""
    data: Any = None


_envelope = msgspec.json.Decoder(_Envelope)


def classify(status: int, headers: Mapping[str, str], body: bytes) -> ExchangeError | None:
    """The error in an answer, None if there is none. Never raises; the message holds nothing of the request."""
    if 200 <= status < 300:
        return None
    envelope = _read(body)
    if envelope is None:
        kind = ServerFault if status >= 500 else _BY_STATUS.get(status, ServerFault)
        message = f"{EXCHANGE}: HTTP {status} without an answer of the venue"
        if kind is Rejected:
            message = f"{EXCHANGE}: HTTP {status}, the venue has no such endpoint (any more)"
        return kind(message, exchange=EXCHANGE, status=status, retry_after_s=_retry_after_s(headers))
    return _error(status, envelope, _retry_after_s(headers), body)


def of_socket(status: int, error: bytes) -> ExchangeError:
    """The error of a WebSocket API's answer: `error` is ``{"code":..,"msg":..,"data":{..}}``, `status` as HTTP's."""
    envelope = _read(error)
    if envelope is None:
        kind = ServerFault if status >= 500 else _BY_STATUS.get(status, ServerFault)
        return kind(f"{EXCHANGE}: status {status} without an error", exchange=EXCHANGE, status=status)
    pause = None
    if isinstance(envelope.data, dict):  # epoch milliseconds, both
        until, now = envelope.data.get("retryAfter"), envelope.data.get("serverTime")
        if type(until) is int and type(now) is int:
            pause = _sane((until - now) / 1000)
    return _error(status, envelope, pause, error)


def _error(status: int, envelope: _Envelope, retry_after_s: float | None, body: bytes) -> ExchangeError:
    return _kind(status, envelope)(
        f"{EXCHANGE}: {envelope.msg[:MESSAGE_CHARS_MAX]} (code {envelope.code}, HTTP {status})",
        exchange=EXCHANGE,
        code=envelope.code,
        status=status,
        retry_after_s=retry_after_s,
        data=body if envelope.code in _WITH_DATA else b"",
    )


def _kind(status: int, envelope: _Envelope) -> type[ExchangeError]:
    code, text = envelope.code, envelope.msg.lower()
    if status >= 500:  # whatever the code says, the execution status is unknown
        return OutcomeUnknown if _BY_CODE.get(code) is OutcomeUnknown else ServerFault
    if status == 418:
        return Banned
    for (of, words), kind in _TEXTS.items():
        if of == code and words in text:
            return kind
    if code in _BY_CODE:
        return _BY_CODE[code]
    if status == 429:
        return RateLimited
    # A body in the envelope's shape with no code of the venue (a proxy's, say) is judged by its status.
    return Rejected if code < 0 else _BY_STATUS.get(status, ServerFault)


def _read(body: bytes) -> _Envelope | None:
    try:
        return _envelope.decode(body)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None


def _retry_after_s(headers: Mapping[str, str]) -> float | None:
    for name, value in headers.items():
        if name.lower() == "retry-after":
            try:
                return _sane(float(value))
            except ValueError:  # an HTTP date: not this venue's
                return None
    return None


def _sane(seconds: float) -> float | None:
    return seconds if math.isfinite(seconds) and 0 <= seconds <= RETRY_AFTER_S_MAX else None
