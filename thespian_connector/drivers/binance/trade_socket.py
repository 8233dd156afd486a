"""Orders over the WebSocket API: the same parameters and answers as over REST, in another envelope.

Every request is signed by itself, which every type of key can do (only Ed25519 could log on once). Answers may come in
any order, and say by their `id` which request they are to.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from thespian_connector.drivers.trading import Auth, OrderKey, TradeAnswer
from thespian_connector.limits import FRAME_BYTES_MAX
from thespian_connector.model import Instrument, NewOrder
from thespian_connector.model.errors import ExchangeError, ServerFault

from . import errors, orders, reports
from .signing import signed_params


class _Answer(Struct):
    id: str | int | None
    status: int
    result: Raw = Raw()
    error: Raw | UnsetType = UNSET


_answer = msgspec.json.Decoder(_Answer)


def place(request_id: str, order: NewOrder, instrument: Instrument, auth: Auth) -> str:
    return _frame(request_id, "order.place", orders.placing(order, instrument), auth)


def cancel(request_id: str, key: OrderKey, auth: Auth) -> str:
    return _frame(request_id, "order.cancel", orders.canceling(key), auth)


def _frame(request_id: str, method: str, params: orders.Params, auth: Auth) -> str:
    # an order id is a JSON number; everything else of an order is text, so that it is signed as it is written
    typed = [(name, int(value) if name == "orderId" else value) for name, value in params]
    request: dict[str, Any] = {"id": request_id, "method": method, "params": signed_params(typed, auth)}
    return msgspec.json.encode(request).decode()


def decode(frame: bytes, pending: Mapping[str, NewOrder | OrderKey]) -> tuple[TradeAnswer, ...]:
    """The answer to one of `pending`; () for whatever else comes. Never raises.

    An error without an id (a revoked key's 401) is an answer to nobody: `request_id` is "".
    """
    if len(frame) > FRAME_BYTES_MAX:
        return ()
    try:
        answer = _answer.decode(frame)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return ()
    failed = answer.status != 200
    if answer.id is None:
        return (TradeAnswer(request_id="", error=_error(answer)),) if failed else ()
    request_id = str(answer.id)
    asked = pending.get(request_id)
    if asked is None:
        return ()
    if failed:
        return (TradeAnswer(request_id=request_id, error=_error(answer)),)
    try:
        if isinstance(asked, NewOrder):
            report = reports.placed(bytes(answer.result), asked, None)
        else:
            report = reports.parse_canceled(bytes(answer.result), asked)
    except ServerFault as error:
        return (TradeAnswer(request_id=request_id, error=error),)
    return (TradeAnswer(request_id=request_id, report=report),)


def _error(answer: _Answer) -> ExchangeError:
    return errors.of_socket(answer.status, b"" if answer.error is UNSET else bytes(answer.error))
