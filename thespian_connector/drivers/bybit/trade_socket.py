"""Orders over Bybit's trade socket (``/v5/trade``): the same parameters as REST's, without a signature of their own.

::

    {"reqId":"r-1","header":{"X-BAPI-TIMESTAMP":"1711001595207","X-BAPI-RECV-WINDOW":"3000"},"op":"order.create",
     "args":[{...}]}
    {"reqId":"r-1","retCode":0,"retMsg":"OK","op":"order.create","data":{"orderId":"...","orderLinkId":"..."},
     "retExtInfo":{},"header":{"X-Bapi-Limit":"20","Timenow":"..."},"connId":"..."}
    {"retCode":0,"retMsg":"OK","op":"auth","connId":"..."}
    {"retCode":0,"retMsg":"OK","op":"pong","data":["1711002002529"],"connId":"..."}
    {"success":false,"ret_msg":"Params Error","op":"order.create","conn_id":"..."}

Answers come in any order, and to one refused early perhaps without its id.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

from thespian_connector.drivers.trading import Auth, OrderKey, TradeAnswer
from thespian_connector.model import NewOrder
from thespian_connector.model.errors import AuthError, ExchangeError, OutcomeUnknown, ServerFault

from . import answers, signing
from .envelope import BAD
from .errors import EXCHANGE, error_of, spoken

CREATE, CANCEL = "order.create", "order.cancel"
#: The answer to a login on a socket that is logged in.
_REPEATED_LOGIN = 20001

_MESSAGE = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal)


def login(request_id: str, auth: Auth) -> str:
    return _text({"reqId": request_id, "op": "auth", "args": signing.login_args(auth)})


def request(request_id: str, op: str, params: Mapping[str, str], auth: Auth) -> str:
    """One order in one frame."""
    header = {"X-BAPI-TIMESTAMP": str(auth.time_ms), "X-BAPI-RECV-WINDOW": str(auth.recv_window_ms)}
    return _text({"reqId": request_id, "header": header, "op": op, "args": [params]})


def ping() -> str:
    return _text({"op": "ping"})


def _text(message: Mapping[str, object]) -> str:
    return msgspec.json.encode(message).decode()


def decode(frame: bytes, pending: Mapping[str, NewOrder | OrderKey]) -> tuple[TradeAnswer, ...]:
    """See :meth:`thespian_connector.drivers.bybit.trading.BybitTrading.decode_trade`. Never raises."""
    try:
        message = _MESSAGE.decode(frame)
    except BAD:
        return ()
    op, code = message.get("op"), message.get("retCode")
    told = message.get("reqId")
    request_id = told if isinstance(told, str) else ""
    if op in ("ping", "pong"):
        return ()
    if type(code) is not int:
        return _old_refusal(message, op) if message.get("success") is False else ()
    if op == "auth":
        login_error = None if code in (0, _REPEATED_LOGIN) else _error(code, message, None)
        return (TradeAnswer(request_id=request_id, error=login_error),)
    asked = pending.get(request_id)
    if asked is None:
        # An answer to what is pending no more says nothing; a refusal of nobody knows what concerns all.
        return () if code == 0 or request_id else (TradeAnswer(request_id="", error=_error(code, message, None)),)
    if code != 0:
        return (TradeAnswer(request_id=request_id, error=_error(code, message, asked.client_order_id)),)
    return (_accepted(request_id, message.get("data"), asked),)


def _accepted(request_id: str, data: object, asked: NewOrder | OrderKey) -> TradeAnswer:
    native, order_id = (asked.native, asked.order_id) if isinstance(asked, OrderKey) else ("", None)
    try:
        report = answers.acknowledged_data(data, native, asked.client_order_id, order_id)
    except ServerFault as error:
        return TradeAnswer(request_id=request_id, error=error)
    return TradeAnswer(request_id=request_id, report=report)


def _error(code: int, message: Mapping[str, Any], client_order_id: str | None) -> ExchangeError:
    header = message.get("header")
    told = header if isinstance(header, dict) else {}
    headers = {name.lower(): value for name, value in told.items() if isinstance(value, str)}
    now = headers.get("timenow", "")
    return error_of(
        code,
        message.get("retMsg"),
        headers=headers,
        answered_ms=int(now) if now.isascii() and now.isdigit() and len(now) < 19 else None,
        trade_socket=True,
        client_order_id=client_order_id,
    )


def _old_refusal(message: Mapping[str, Any], op: object) -> tuple[TradeAnswer, ...]:
    """One without a code, in the private stream's form: of a login, or of nobody knows which order."""
    words = spoken(message.get("ret_msg")) or "no reason told"
    if op == "auth":
        return (TradeAnswer(request_id="", error=AuthError(f"the login was refused ({words})", exchange=EXCHANGE)),)
    error = OutcomeUnknown(f"a request was refused, and not said which ({words})", exchange=EXCHANGE)
    return (TradeAnswer(request_id="", error=error),)
