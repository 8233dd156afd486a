"""Bybit's answers as the error tree. The table is data: market data, orders and sockets read the same one.

A business error comes with HTTP 200 and a ``retCode``; HTTP's own status speaks of limits, gateways and paths.
Codes decide, texts never do: Bybit changes them, and that of 10004 holds the API key.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct

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

from .limits import ACCOUNT_WINDOW_S, BAN_S

EXCHANGE = "bybit"
#: A venue's text in our message is cut here.
TEXT_MAX = 200
#: The longest pause that a header may ask for; a larger one is a broken header.
PAUSE_S_MAX = 3600.0


class Fate(Enum):
    """What a retCode says about the order request that it answers (Bybit v5: Error Codes)."""

    #: It did nothing and never will.
    NOT_PLACED = "not_placed"
    #: A limiter's answer: it did nothing; the same client order id may be sent again after a pause.
    LIMITED = "limited"
    #: It failed, says the venue; one query should confirm it.
    VERIFY = "verify"
    #: The order is already done, or not there: query it; a cancel has nothing left to do.
    DONE = "done"
    #: The client order id is taken: an earlier send won. Query it and adopt what it made.
    DUPLICATE = "duplicate"
    #: Another change of the order is under way: wait a little, query, then repeat the cancel.
    BUSY = "busy"
    #: The venue does not know. Query by client order id.
    UNKNOWN = "unknown"


class Rule(NamedTuple):
    """One retCode: the error it becomes, what it says of an order, and our words for it."""

    error: type[ExchangeError]
    fate: Fate
    meaning: str


def _rules() -> dict[int, Rule]:
    table: dict[int, Rule] = {}
    for error, fate, meaning, codes in _TABLE:
        for code in codes:
            assert code not in table, code
            table[code] = Rule(error, fate, meaning)
    return table


# Backend trouble is ServerFault, so that a read is repeated; an order is not, its outcome being unknown either way.
_TABLE: tuple[tuple[type[ExchangeError], Fate, str, tuple[int, ...]], ...] = (
    (ServerFault, Fate.UNKNOWN, "Bybit's backend timed out", (10000, 170007)),
    (ServerFault, Fate.UNKNOWN, "Bybit's backend failed or restarts", (10016, 170001, 170032, 170234)),
    (OutcomeUnknown, Fate.UNKNOWN, "submitted, and not yet known what came of it", (170035, 170146)),
    (OutcomeUnknown, Fate.UNKNOWN, "the cancel or amend timed out", (170147, 170310)),
    (OutcomeUnknown, Fate.UNKNOWN, "a duplicate request; the first may have been executed", (10014, 20006)),
    (OutcomeUnknown, Fate.DUPLICATE, "the client order id is taken by an earlier order", (110072, 170141, 12141)),
    (OutcomeUnknown, Fate.BUSY, "another change of the order is under way", (110079, 170144, 170191, 170212, 40004)),
    (ClockError, Fate.NOT_PLACED, "our timestamp is outside the receive window", (10002,)),
    (AuthError, Fate.NOT_PLACED, "the API key is invalid or of another environment", (10003,)),
    (AuthError, Fate.NOT_PLACED, "the signature is wrong", (10004,)),
    (AuthError, Fate.NOT_PLACED, "the API key lacks the permission or has expired", (10005, 10007, 33004, -2015)),
    (AuthError, Fate.NOT_PLACED, "the API key is not bound to this IP", (10010,)),
    (AuthError, Fate.NOT_PLACED, "the account is banned or not of the needed kind", (10008, 10027, 10028)),
    (AuthError, Fate.NOT_PLACED, "not allowed for this account or region", (10009, 10024, 10029)),
    (AuthError, Fate.NOT_PLACED, "not allowed for this account or region", (170209, 170219, 170224, 170227, 170241)),
    (AuthError, Fate.NOT_PLACED, "not allowed for this account or region", (170344, 170348, 170355, 170358, 170359)),
    (RateLimited, Fate.LIMITED, "over the rate limit", (10006, 429, 10403, 10429, 20003, 170005, 170222)),
    (Banned, Fate.NOT_PLACED, "over the IP's rate limit", (10018,)),
    (Maintenance, Fate.NOT_PLACED, "the trade socket restarts; connect again", (10019,)),
    (Maintenance, Fate.NOT_PLACED, "the pair does not trade, or not this way, now", (170151, 170159, 170206, 170217)),
    (OrderNotFound, Fate.DONE, "no such order", (110001, 170213)),
    (OrderNotFound, Fate.DONE, "the order is already done", (110008, 110010, 170139, 170142, 170143, 170190)),
    (Rejected, Fate.VERIFY, "the request failed", (170149, 170150, 170210, 170311)),
    (InsufficientBalance, Fate.NOT_PLACED, "not enough free balance", (170131, 170033, 110004, 110007, 110012)),
    (Rejected, Fate.NOT_PLACED, "a parameter is wrong or missing", (10001, 170105, 170115, 170116, 170117, 170130)),
    (Rejected, Fate.NOT_PLACED, "the symbol is not valid", (170121,)),
    (Rejected, Fate.NOT_PLACED, "no such route or operation", (10017, 10404)),
    (Rejected, Fate.NOT_PLACED, "the order filter is not valid", (170201,)),
    (Rejected, Fate.NOT_PLACED, "the quantity or amount is above the maximum", (170124, 170341, 170381, 170382)),
    (Rejected, Fate.NOT_PLACED, "the quantity or amount is below the minimum", (170136, 170140, 110094)),
    (Rejected, Fate.NOT_PLACED, "the price is outside the allowed band", (170132, 170133, 170192, 170193, 170194)),
    (Rejected, Fate.NOT_PLACED, "the price is outside the allowed band", (170371, 170372, 30208, 30209, 110003)),
    (Rejected, Fate.NOT_PLACED, "too many decimals", (170134, 170137, 170148)),
    (Rejected, Fate.NOT_PLACED, "the pair does not trade over the API", (170157,)),
    (Rejected, Fate.NOT_PLACED, "this order cannot be changed so", (170145, 170312, 170313)),
    (Rejected, Fate.NOT_PLACED, "too many open orders", (170810, 110020)),
    (Rejected, Fate.NOT_PLACED, "refused by a sanity check of size or price", (170197, 170198, 170199, 170200)),
    (Rejected, Fate.NOT_PLACED, "refused by a sanity check of size or price", (170202, 170203, 170204, 170218)),
    (Rejected, Fate.NOT_PLACED, "refused by a sanity check of size or price", (170228, 170229)),
)
RULES: Mapping[int, Rule] = _rules()
#: A code that is in no table: whatever it was, an order may have come of it.
UNKNOWN_CODE = Rule(OutcomeUnknown, Fate.UNKNOWN, "a code we do not know")
#: Limits of an account or of one of its sessions: the rest of the IP goes on.
ACCOUNT_LIMIT_CODES = frozenset((10006, 20003, 170005, 170222))
#: On the trade socket 10003 means that the account has too many sessions.
TRADE_SOCKET_SESSIONS = Rule(RateLimited, Fate.LIMITED, "too many trade sessions of this account")


class _Envelope(Struct, rename="camel"):
    ret_code: int
    ret_msg: Any = ""
    time: Any = 0


_ENVELOPE = msgspec.json.Decoder(_Envelope)


def rule(code: int) -> Rule:
    """What `code` means; `UNKNOWN_CODE` for one that is in no table."""
    return RULES.get(code, UNKNOWN_CODE)


def classify(status: int, headers: Mapping[str, str], body: bytes) -> ExchangeError | None:
    """The error in an HTTP answer, None if it is a good one. Never raises.

    HTTP 403 is an IP over its limit, a forbidden region or a GET with a body; for all three the whole IP must be
    silent for `BAN_S`, or the ban never lifts; unless the answer itself says for how long.
    """
    low = {name.lower(): value for name, value in headers.items()}
    if status == 403:
        told = _retry_after_s(low)
        pause = BAN_S if told is None else told
        return Banned(
            f"{EXCHANGE}: HTTP 403: the IP is over its limit, or its region is refused",
            exchange=EXCHANGE,
            status=status,
            retry_after_s=pause,
        )
    if status == 429:
        return RateLimited(
            f"{EXCHANGE}: HTTP 429: it is overloaded",
            exchange=EXCHANGE,
            status=status,
            retry_after_s=_retry_after_s(low),
        )
    envelope = _envelope(body)
    if 200 <= status < 300:
        if envelope is None:
            return ServerFault(
                f"{EXCHANGE}: HTTP {status} with a body that is not Bybit's", exchange=EXCHANGE, status=status
            )
        return None if envelope.ret_code == 0 else _of_envelope(status, low, envelope)
    if 400 <= status < 500 and status != 408:
        if envelope is not None and envelope.ret_code in RULES:
            return _of_envelope(status, low, envelope)
        kind = AuthError if status == 401 else Rejected
        return kind(f"{EXCHANGE}: HTTP {status}: wrong method, path or key", exchange=EXCHANGE, status=status)
    return ServerFault(f"{EXCHANGE}: HTTP {status}", exchange=EXCHANGE, status=status)


def _envelope(body: bytes) -> _Envelope | None:
    try:
        return _ENVELOPE.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _of_envelope(status: int, headers: Mapping[str, str], envelope: _Envelope) -> ExchangeError:
    return error_of(envelope.ret_code, envelope.ret_msg, status=status, headers=headers, answered_ms=envelope.time)


def error_of(
    code: int,
    text: object,
    *,
    status: int | None = None,
    headers: Mapping[str, str] = MappingProxyType({}),
    answered_ms: object = None,
    trade_socket: bool = False,
    client_order_id: str | None = None,
) -> ExchangeError:
    """The error that `code` means.

    :param headers: the answer's, names in lower case; they say when a limit resets.
    :param answered_ms: the venue's time of the answer.
    :param trade_socket: the answer came on the trade socket, where one code means something else.
    """
    error, _, meaning = TRADE_SOCKET_SESSIONS if trade_socket and code == 10003 else rule(code)
    pause: float | None = None
    if error is Banned:
        pause = BAN_S
    elif code == 10006:
        pause = _reset_s(headers, answered_ms)
    message = f"{EXCHANGE}: {code}: {meaning}"
    if error is not AuthError and (words := spoken(text)):
        message += f" ({words})"
    return error(
        message, exchange=EXCHANGE, code=code, status=status, retry_after_s=pause, client_order_id=client_order_id
    )


def spoken(venue_text: object) -> str:
    """The venue's words, "" for none and for those of a signature error, under whatever code: they hold the string
    that was signed, and so the API key."""
    if not isinstance(venue_text, str) or "sign" in venue_text.lower():
        return ""
    return printable(venue_text)


def printable(venue_text: str) -> str:
    """The venue's words on one line, cut at `TEXT_MAX`."""
    return "".join(c if c.isprintable() else " " for c in venue_text[:TEXT_MAX])


def _retry_after_s(headers: Mapping[str, str]) -> float | None:
    """``Retry-After`` in seconds; None without one, or for one that is a date or nonsense."""
    value = headers.get("retry-after", "")
    return min(float(value), PAUSE_S_MAX) if value.isascii() and value.isdigit() and len(value) < 10 else None


def _reset_s(headers: Mapping[str, str], answered_ms: object) -> float:
    """How long until the limit of a 10006 resets: the header's time less the answer's own, both the venue's clock."""
    value = headers.get("x-bapi-limit-reset-timestamp", "")
    if not (value.isascii() and value.isdigit() and len(value) < 19) or not isinstance(answered_ms, int):
        return ACCOUNT_WINDOW_S
    left_ms = int(value) - answered_ms
    # A reset that has passed contradicts the refusal; the header of an answer that was not limited says just "now".
    return min(left_ms, int(PAUSE_S_MAX * 1000)) / 1000 if left_ms > 0 else ACCOUNT_WINDOW_S
