"""The trading half of the mock venue's driver, and its protocol.

The bodies are the model's own records as JSON: a :class:`NewOrder` is posted to ``/order?native=N``; the answer is
``{"order": OrderReport}`` (null where a query finds none). ``DELETE`` and ``PUT /order`` cancel and amend,
``DELETE /orders?native=N`` cancels all; ``GET /order``, ``/orders``, ``/fills`` (a :class:`Page` each), ``/balances``
and ``/fees`` read. Every request has the key, its time and its window in headers; nobody checks a signature.

On a socket, ``{"id":1,"op":"login","headers":{..}}`` and then ``{"id":2,"op":"subscribe","topics":["account"]}`` bring
``{"stream":"account","order":OrderReport}`` (or "fill", "balance"). An order request on a socket is the REST request in
a frame, ``{"id":"r1","op":"request","method":"POST","path":"/order",..}``, and its answer REST's:
``{"answer":"r1","status":200,"body":{..}}``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from typing import Any, ClassVar, TypeVar
from urllib.parse import urlencode

import msgspec
from msgspec import Raw, Struct, structs

from thespian_connector.drivers.base import Endpoints, Limit, RestRequest, StreamLimits, Usage
from thespian_connector.drivers.trading import AmendWay, Auth, Fees, OrderKey, Page, TradeAnswer, TradingDriver
from thespian_connector.model import Instrument, NewOrder, Order, dec, text
from thespian_connector.model.decimals import ZERO
from thespian_connector.model.errors import ExchangeError, ServerFault
from thespian_connector.model.private import BalanceReport, FillReport, OrderReport, PrivateEvent
from thespian_connector.model.wire import Ack, Ignored, Pong, ServerShutdown

from . import protocol
from .driver import MockDriver

KEY_HEADER, TIME_HEADER, WINDOW_HEADER = "X-Mock-Key", "X-Mock-Time-Ms", "X-Mock-Window-Ms"
ACCOUNT_TOPIC = "account"
#: Rows of one page of orders or fills.
PAGE_ROWS = 100
NS_PER_MS = 1_000_000
_TIME_NS_MAX = 2**63 - 1

_Record = TypeVar("_Record", bound=Struct)
_Body = TypeVar("_Body")


class OrderBody(Struct):
    order: OrderReport | None


class BalancesBody(Struct):
    balances: list[BalanceReport]


class _AccountFrame(Struct):
    stream: str
    order: OrderReport | None = None
    fill: FillReport | None = None
    balance: BalanceReport | None = None


class _AnswerFrame(Struct):
    answer: str
    status: int
    body: Raw


class MockTrading(TradingDriver):
    """Orders and account of the mock venue. It amends in place, and a login comes before the private subscription."""

    exchange: ClassVar[str] = protocol.EXCHANGE
    account_limits: ClassVar[tuple[Limit, ...]] = (
        Limit(name="place_1s", kind="place", cap=100, window_s=1, aligned=False),
    )
    private_limits: ClassVar[StreamLimits] = StreamLimits(topics_max=1, args_max=1, keepalive_s=10.0, silence_s=20.0)
    engine_timeout_s: ClassVar[float] = 1.0
    client_ids_unique_forever: ClassVar[bool] = False

    def account_usage(self, headers: Mapping[str, str]) -> list[Usage]:  # noqa: ARG002 - it tells none
        return []

    # -- orders

    def place(self, order: NewOrder, instrument: Instrument, auth: Auth) -> RestRequest:
        return _request("POST", "/order", auth, {"native": instrument.native}, msgspec.json.encode(order))

    def parse_placed(self, body: bytes, order: NewOrder, instrument: Instrument) -> OrderReport:
        return _own(body, OrderKey(native=instrument.native, client_order_id=order.client_order_id))

    def cancel(self, key: OrderKey, auth: Auth) -> RestRequest:
        return _request("DELETE", "/order", auth, _named(key))

    def parse_canceled(self, body: bytes, key: OrderKey) -> OrderReport:
        return _own(body, key)

    def amend_way(self, order: Order, quantity: Decimal | None, price: Decimal | None) -> AmendWay:  # noqa: ARG002
        return AmendWay.IN_PLACE  # whatever is to be changed

    def amend(self, key: OrderKey, quantity: Decimal | None, price: Decimal | None, auth: Auth) -> RestRequest:
        told = {"quantity": quantity, "price": price}
        changes = {name: text(amount) for name, amount in told.items() if amount is not None}
        return _request("PUT", "/order", auth, _named(key) | changes)

    def parse_amended(self, body: bytes, key: OrderKey) -> OrderReport:
        return _own(body, key)

    def cancel_all(self, native: str, auth: Auth) -> list[RestRequest]:
        """`parse_orders` reads the answer: what was canceled."""
        return [_request("DELETE", "/orders", auth, {"native": native})]

    # -- queries

    def queries(self, key: OrderKey, auth: Auth) -> list[RestRequest]:
        return [_request("GET", "/order", auth, _named(key))]

    def parse_query(self, body: bytes, key: OrderKey) -> OrderReport | None:
        return None if protocol.parsed(body, OrderBody).order is None else _own(body, key)

    def open_orders(self, native: str | None, cursor: str, auth: Auth) -> list[RestRequest]:
        params = {"open": "1"} | ({} if native is None else {"native": native}) | _from(cursor)
        return [_request("GET", "/orders", auth, params)]

    def order_history(self, native: str, since_ms: int, cursor: str, auth: Auth) -> RestRequest:
        return _request("GET", "/orders", auth, {"native": native, "since_ms": str(since_ms)} | _from(cursor))

    def parse_orders(self, body: bytes) -> Page:
        page = _read(body, Page)
        with _reading("page of orders"):
            return Page(orders=[_checked(order) for order in page.orders], cursor=page.cursor)

    def fills(self, native: str, order_id: str | None, since_ms: int, cursor: str, auth: Auth) -> RestRequest:
        which = {"since_ms": str(since_ms)} if order_id is None else {"order_id": order_id}
        return _request("GET", "/fills", auth, {"native": native} | which | _from(cursor))

    def parse_fills(self, body: bytes) -> Page:
        page = _read(body, Page)
        with _reading("page of fills"):
            return Page(fills=[_checked(fill) for fill in page.fills], cursor=page.cursor)

    def balances(self, auth: Auth) -> RestRequest:
        return _request("GET", "/balances", auth, {})

    def parse_balances(self, body: bytes) -> list[BalanceReport]:
        with _reading("account"):
            return [_checked(balance) for balance in _read(body, BalancesBody).balances]

    def fees(self, native: str, auth: Auth) -> RestRequest:
        return _request("GET", "/fees", auth, {"native": native})

    def parse_fees(self, body: bytes, native: str) -> Fees:
        with _reading("fees"):
            fees = _checked(_read(body, Fees))
            if fees.native != native:
                raise ValueError("another symbol's")
            return fees

    # -- the private stream

    def private_url(self, endpoints: Endpoints) -> str:
        return endpoints.stream

    def private_login(self, request_id: int, auth: Auth) -> str:
        return _frame(protocol.Request(id=request_id, op="login", headers=_headers(auth)))

    def private_subscribe(self, request_id: int) -> str | None:
        return _frame(protocol.Request(id=request_id, op="subscribe", topics=[ACCOUNT_TOPIC]))

    def decode_private(self, frame: bytes) -> Sequence[PrivateEvent]:
        event = protocol.decode(frame)  # acks, pongs and the like are the public stream's
        if isinstance(event, Ack | Pong | ServerShutdown):
            return [event]
        try:
            told = msgspec.json.decode(frame, type=_AccountFrame)
            records = [_checked(one) for one in (told.order, told.fill, told.balance) if one is not None]
        except (msgspec.DecodeError, ValueError, TypeError, RecursionError):
            return [Ignored("malformed")]
        return records if records and told.stream == ACCOUNT_TOPIC else [Ignored("kind")]

    def private_keepalive(self, request_id: int) -> str | None:
        return _frame(protocol.Request(id=request_id, op="ping"))

    # -- orders over a socket

    def trade_url(self, endpoints: Endpoints) -> str | None:
        return endpoints.stream

    def trade_login(self, request_id: str, auth: Auth) -> str | None:  # noqa: ARG002 - every request has the key
        return None

    def place_frame(self, request_id: str, order: NewOrder, instrument: Instrument, auth: Auth) -> str:
        return _framed(request_id, self.place(order, instrument, auth))

    def cancel_frame(self, request_id: str, key: OrderKey, auth: Auth) -> str:
        return _framed(request_id, self.cancel(key, auth))

    def decode_trade(self, frame: bytes, pending: Mapping[str, NewOrder | OrderKey]) -> Iterable[TradeAnswer]:
        try:
            answer = msgspec.json.decode(frame, type=_AnswerFrame)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return ()
        asked = pending.get(answer.answer)
        if asked is None:
            return ()
        error = MockDriver().classify(answer.status, {}, bytes(answer.body))
        report: OrderReport | None = None
        if error is None:
            try:
                report = _placed_or_canceled(bytes(answer.body), asked)
            except ExchangeError as fault:
                error = fault
        return (TradeAnswer(request_id=answer.answer, report=report, error=error),)

    def trade_keepalive(self, request_id: str) -> str | None:
        return _frame(protocol.Request(id=request_id, op="ping"))


def _request(method: str, path: str, auth: Auth, params: Mapping[str, str], body: bytes = b"") -> RestRequest:
    return RestRequest(
        method=method,
        path=path,
        query=urlencode(params),
        body=body,
        headers=tuple(_headers(auth).items()),
        idempotent=method == "GET",
        surface="private" if method == "GET" else "orders",
    )


def _headers(auth: Auth) -> dict[str, str]:
    window = str(auth.recv_window_ms)
    return {KEY_HEADER: auth.signer.api_key, TIME_HEADER: str(auth.time_ms), WINDOW_HEADER: window}


def _named(key: OrderKey) -> dict[str, str]:
    by_id = {} if key.order_id is None else {"order_id": key.order_id}
    return {"native": key.native, "client_order_id": key.client_order_id} | by_id


def _from(cursor: str) -> dict[str, str]:
    return {"cursor": cursor} if cursor else {}


def _framed(request_id: str, request: RestRequest) -> str:
    return _frame(
        protocol.Request(
            id=request_id,
            op="request",
            headers=dict(request.headers),
            method=request.method,
            path=request.path,
            query=request.query,
            body=request.body.decode(),
        )
    )


def _frame(request: protocol.Request) -> str:
    return msgspec.json.encode(request).decode()


def _placed_or_canceled(body: bytes, asked: NewOrder | OrderKey) -> OrderReport:
    if isinstance(asked, OrderKey):
        return _own(body, asked)
    told = _read(body, OrderBody).order  # an order names no instrument by the venue's name: the answer's it is
    return _own(body, OrderKey(native="" if told is None else told.native, client_order_id=asked.client_order_id))


def _own(body: bytes, key: OrderKey) -> OrderReport:
    with _reading("report of an order"):
        order = _read(body, OrderBody).order
        if order is None or (order.native, order.client_order_id) != (key.native, key.client_order_id):
            raise ValueError("another order's")
        if key.order_id not in (None, order.order_id):
            raise ValueError("another order's")
        return _checked(order)


def _read(body: bytes, kind: type[_Body]) -> _Body:
    with _reading(kind.__name__):
        return msgspec.json.decode(body, type=kind)


@contextmanager
def _reading(what: str) -> Iterator[None]:
    try:
        yield
    except ServerFault:
        raise
    except (msgspec.DecodeError, ValueError, TypeError, RecursionError):
        raise protocol.not_a(what) from None


def _checked(record: _Record) -> _Record:
    """`record` with exact numbers.

    :raises ValueError: an amount that is none or negative (but a fee), a time that cannot be.
    """
    exact: dict[str, Any] = {}
    for name in record.__struct_fields__:
        value = getattr(record, name)
        if isinstance(value, Decimal):
            exact[name] = dec(value, name)
            if exact[name] < ZERO and name != "fee":
                raise ValueError(f"{name}: negative")
        elif type(value) is int and not 0 <= value <= _TIME_NS_MAX:
            raise ValueError(f"{name}: an impossible time")
        elif isinstance(value, tuple):
            exact[name] = tuple(_checked(fill) for fill in value)
    return structs.replace(record, **exact)
