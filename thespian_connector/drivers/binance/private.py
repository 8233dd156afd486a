"""The user data stream -> the model's records.

There are no listen keys any more: a connection of the WebSocket API subscribes with one signed request (any type of
key), and its events come as ``{"subscriptionId":0,"event":{"e":"executionReport",...}}``, before or after the answer
to the request that caused them. The subscription dies with its socket; nothing is replayed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from thespian_connector.drivers.trading import Auth
from thespian_connector.limits import FRAME_BYTES_MAX
from thespian_connector.model import dec
from thespian_connector.model.private import BalanceReport, FillReport, OrderReport, PrivateEvent, StreamEnded
from thespian_connector.model.wire import Ack, Ignored, ServerShutdown

from .reports import SIDES, STATUSES, TIMES_IN_FORCE, TYPES, Whole, amount, instant, known_amount, quote_filled
from .signing import signed_params

_SUBSCRIBED_ALREADY = -2035
_UNAUTHORIZED = 401
_WORDS_MAX = 300
_ID_MAX = 2**63 - 1
_Name = Annotated[str, Meta(min_length=1)]


class _Execution(Struct, kw_only=True):
    """An ``executionReport``; the order's state (`X`), and (`x` TRADE) one execution of it."""

    s: _Name
    c: str  # the client order id; of a cancel or an amendment, that one's own
    C: str | None = None  # the order's, where c is another's
    i: Whole  # the order id
    S: str
    x: str
    X: str
    T: Whole
    o: str = ""
    f: str = ""
    q: str | None = None
    p: str | None = None
    P: str | None = None
    Q: str | None = None
    r: str | None = None  # why it was rejected
    eR: str | None = None  # why it expired
    z: str | None = None  # cumulative
    Z: str | None = None
    l: str | None = None  # noqa: E741 - the venue's name of the last quantity
    L: str | None = None
    n: str | None = None
    N: str | None = None
    t: int | None = None  # the trade's id, -1 where there is none
    m: bool = False
    O: Whole | None = None  # noqa: E741 - the venue's name of the order's creation


class _Balance(Struct):
    a: _Name
    f: str
    l: str  # noqa: E741 - the venue's name of what is locked


class _Position(Struct):
    """An ``outboundAccountPosition``: the assets that an event may have changed, absolute."""

    u: Whole
    B: list[_Balance]


def subscribe(request_id: int, auth: Auth) -> str:
    """The one request of a connection; signed anew for each."""
    request = {"id": request_id, "method": "userDataStream.subscribe.signature", "params": signed_params([], auth)}
    return msgspec.json.encode(request).decode()


def decode(frame: bytes) -> list[PrivateEvent]:
    """What a frame says. Never raises: what is not understood is `Ignored`, with a reason of a fixed few."""
    if len(frame) > FRAME_BYTES_MAX:
        return [Ignored("frame too large")]
    try:
        message = _any.decode(frame)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return [Ignored("not JSON")]
    if not isinstance(message, dict):
        return [Ignored("not an object")]
    event = message.get("event")
    if isinstance(event, dict):
        return _event(event)
    return [_answer(message)] if "status" in message else [Ignored("no event")]


def _event(event: dict[str, Any]) -> list[PrivateEvent]:
    name = event.get("e")
    read = _READERS.get(name) if isinstance(name, str) else None
    if read is None:
        return [Ignored("event not used")]
    try:
        return read(event)
    except (ValueError, RecursionError):  # msgspec.ValidationError is a ValueError
        return [Ignored(f"malformed {name}")]


def _execution(event: dict[str, Any]) -> list[PrivateEvent]:
    told = msgspec.convert(event, _Execution)
    own_id, order_id, when = told.C or told.c, str(told.i), instant(told.T)
    reason = told.r if told.r not in (None, "", "NONE") else told.eR
    order = OrderReport(
        native=told.s,
        client_order_id=own_id,
        order_id=order_id,
        status=STATUSES.get(told.X),
        status_word=told.X[:_WORDS_MAX],
        side=SIDES.get(told.S),
        type=TYPES.get(told.o),
        time_in_force=TIMES_IN_FORCE.get(told.f),
        price=amount(told.p, "p") or None,  # zero: it has none
        stop_price=amount(told.P, "P") or None,
        quantity=amount(told.q, "q") or None,
        quote_quantity=amount(told.Q, "Q") or None,
        filled=amount(told.z, "z"),
        filled_quote=quote_filled(told.Z),
        reason=(reason or "")[:_WORDS_MAX],
        created_ns=instant(told.O),
        time_ns=when,
    )
    if told.x != "TRADE":  # the last quantity of anything else (a prevented self-trade's) is no fill
        return [order]
    if told.t is None or told.t < 0 or told.l is None or told.L is None or order.side is None:
        raise ValueError("a trade without its id, side, quantity or price")
    fill = FillReport(
        native=told.s,
        execution_id=str(told.t),
        order_id=order_id,
        client_order_id=own_id,
        side=order.side,
        price=known_amount(told.L, "L"),
        quantity=known_amount(told.l, "l"),
        fee=dec(told.n or "0", "n"),
        fee_asset=told.N or "",
        maker=told.m,
        time_ns=when,
    )
    return [fill, order]


def _balances(event: dict[str, Any]) -> list[PrivateEvent]:
    told = msgspec.convert(event, _Position)
    when = instant(told.u)
    return [
        BalanceReport(asset=row.a, free=known_amount(row.f, "f"), locked=known_amount(row.l, "l"), time_ns=when)
        for row in told.B
    ]


def _answer(message: dict[str, Any]) -> PrivateEvent:
    """``{"id":1,"status":200,"result":{"subscriptionId":0}}``, or an error in place of the result.

    A 401 that names no request is the end of everything on this connection: the key was revoked.
    """
    number, status, error = message.get("id"), message["status"], message.get("error")
    request_id = number if type(number) is int and 0 < number <= _ID_MAX else 0
    if error is None:
        return Ack(request_id, status == 200, "" if status == 200 else "refused without a reason")
    code, words = (error.get("code"), error.get("msg")) if isinstance(error, dict) else (None, error)
    reason = f"{words} (code {code})"[:_WORDS_MAX]
    if number is None and status == _UNAUTHORIZED:
        return StreamEnded(reason)
    return Ack(request_id, code == _SUBSCRIBED_ALREADY, reason)


_any = msgspec.json.Decoder()
#: balanceUpdate and externalLockUpdate tell a difference, which could be counted twice; outboundAccountPosition tells
#: the balance. listStatus repeats what the orders of a list tell by themselves.
_READERS: dict[str, Callable[[dict[str, Any]], list[PrivateEvent]]] = {
    "executionReport": _execution,
    "outboundAccountPosition": _balances,
    "eventStreamTerminated": lambda _: [StreamEnded("the venue ended the subscription")],
    "serverShutdown": lambda _: [ServerShutdown()],
}
