"""Frames of Bybit's private stream (``/v5/private``) as `model.private` records.

::

    {"id":"u-20000-7","topic":"order.spot","creationTime":1784800000010,"data":[{"category":"spot", ...}]}
    {"id":"...","topic":"execution.spot","creationTime":1784800000010,"data":[{"category":"spot", ...}]}
    {"id":"...","topic":"wallet","creationTime":1784800000011,"data":[{"accountType":"UNIFIED","coin":[...]}]}
    {"success":true,"ret_msg":"","op":"auth","conn_id":"..."}
    {"success":true,"ret_msg":"","op":"subscribe","conn_id":"..."}
    {"req_id":"7","op":"pong","args":["1675418560633"],"conn_id":"..."}

A frame is data if and only if it has a ``topic``. No topic sends a snapshot, and none is ordered to another.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import msgspec

from thespian_connector.drivers.trading import Auth
from thespian_connector.model.private import PrivateEvent
from thespian_connector.model.wire import Ack, Ignored, Pong

from . import signing
from .envelope import BAD, time_ns
from .errors import spoken
from .market import MALFORMED, NOT_JSON, UNKNOWN_CONTROL, UNKNOWN_TOPIC, request_id
from .reports import FillItem, OrderItem, Wallet, balance_reports, fill_report, order_report

#: Orders and executions of spot only, the wallet whole (it has no category). Not ``execution.fast``: the same fills
#: without their fees, and of a maker without the order's link id.
TOPICS = ("order.spot", "execution.spot", "wallet")
#: More reasons of Ignored, beside those of market data.
FOREIGN = "category"
NO_TRADE = "not a trade"

_MESSAGE = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal)


def login(request: int, auth: Auth) -> str:
    return _text({"req_id": str(request), "op": "auth", "args": signing.login_args(auth)})


def subscribe(request: int) -> str:
    return _text({"req_id": str(request), "op": "subscribe", "args": TOPICS})


def ping(request: int) -> str:
    return _text({"req_id": str(request), "op": "ping"})


def _text(message: dict[str, object]) -> str:
    return msgspec.json.encode(message).decode()


def decode(frame: bytes) -> list[PrivateEvent]:
    """What a text frame says. An item that is not understood is `Ignored` and does not hide the others of its frame."""
    try:
        message = _MESSAGE.decode(frame)
    except msgspec.ValidationError:
        return [Ignored(MALFORMED)]
    except BAD:
        return [Ignored(NOT_JSON)]
    topic = message.get("topic")
    if topic is None:
        return [_control(message)]
    if topic not in ("order", "execution", *TOPICS):
        return [Ignored(UNKNOWN_TOPIC)]
    data, told_ns = message.get("data"), time_ns(message.get("creationTime"))
    if not isinstance(data, list):
        return [Ignored(MALFORMED)]
    return [event for item in data for event in _events(topic, item, told_ns)]


def _events(topic: str, item: object, told_ns: int) -> Iterator[PrivateEvent]:
    kind = topic.partition(".")[0]
    try:
        if kind == "wallet":
            wallet = msgspec.convert(item, Wallet)
            yield from balance_reports(wallet, told_ns) if wallet.account_type == "UNIFIED" else [Ignored(FOREIGN)]
        elif not isinstance(item, dict) or item.get("category") != signing.CATEGORY:
            # The same symbol names a spot pair and a perpetual.
            yield Ignored(FOREIGN if isinstance(item, dict) else MALFORMED)
        elif kind == "order":
            yield order_report(msgspec.convert(item, OrderItem))
        else:
            yield fill_report(msgspec.convert(item, FillItem)) or Ignored(NO_TRADE)
    except BAD:
        yield Ignored(MALFORMED)


def _control(message: dict[str, Any]) -> PrivateEvent:
    """An answer to something that we sent. That to a login or a subscription has our id, or none (0)."""
    op, ok = message.get("op"), message.get("success")
    if op in ("ping", "pong"):
        return Pong()
    if ok is False or (ok is True and op in ("auth", "subscribe", "unsubscribe")):
        return Ack(request_id(message.get("req_id")), ok, spoken(message.get("ret_msg")))
    return Ignored(UNKNOWN_CONTROL)
