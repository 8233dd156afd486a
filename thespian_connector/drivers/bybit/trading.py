"""Bybit v5 spot, trading half: orders, the account and the private stream."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import ClassVar

from thespian_connector.drivers.base import Endpoints, Limit, RestRequest, StreamLimits, Usage
from thespian_connector.drivers.trading import AmendWay, Auth, Fees, OrderKey, Page, TradeAnswer, TradingDriver
from thespian_connector.model import Instrument, NewOrder, Order
from thespian_connector.model.private import BalanceReport, FillReport, OrderReport, PrivateEvent

from . import answers, private, reports, requests, trade_socket
from .endpoints import PRIVATE_PATH, TRADE_PATH
from .errors import EXCHANGE
from .limits import (
    ACCOUNT_LIMITS,
    ENGINE_TIMEOUT_S,
    FILLS_PAGE_MAX,
    HISTORY_SPAN_MS,
    ORDERS_PAGE_MAX,
    PRIVATE_LIMITS,
)
from .signing import CATEGORY, get, post

_CREATE, _CANCEL, _CANCEL_ALL = "/v5/order/create", "/v5/order/cancel", "/v5/order/cancel-all"
_AMEND, _REALTIME, _HISTORY = "/v5/order/amend", "/v5/order/realtime", "/v5/order/history"
_EXECUTIONS, _WALLET, _FEES = "/v5/execution/list", "/v5/account/wallet-balance", "/v5/account/fee-rate"


class BybitTrading(TradingDriver):
    """The answer to a create, cancel or amend says "accepted" and nothing more: what became of the order, even that a
    post-only order was refused because it would have crossed, comes on the private stream alone.

    A client order id that is taken (170141, 110072) is OutcomeUnknown, not Rejected: an earlier send of ours won, and
    whoever asks by that id finds what it made. An order that is done, or not there, is OrderNotFound, whatever was
    wanted of it; a query tells which.
    """

    exchange: ClassVar[str] = EXCHANGE
    account_limits: ClassVar[tuple[Limit, ...]] = ACCOUNT_LIMITS
    private_limits: ClassVar[StreamLimits] = PRIVATE_LIMITS
    engine_timeout_s: ClassVar[float] = ENGINE_TIMEOUT_S
    #: "Always unique", says Place Order; how long one is remembered, it does not say.
    client_ids_unique_forever: ClassVar[bool] = True

    def account_usage(self, headers: Mapping[str, str]) -> list[Usage]:
        """Nothing where it is not certain: the headers tell cap and rest (``X-Bapi-Limit``, ``X-Bapi-Limit-Status``) of
        the endpoint that was asked without naming it, and create and cancel have the same cap by default."""
        low = {name.lower(): value for name, value in headers.items()}
        cap, rest = _count(low.get("x-bapi-limit", "")), _count(low.get("x-bapi-limit-status", ""))
        limits = [limit for limit in ACCOUNT_LIMITS if limit.cap == cap]
        if len(limits) != 1 or rest is None:
            return []
        return [Usage(limits[0].name, max(limits[0].cap - rest, 0))]

    # -- orders

    def place(self, order: NewOrder, instrument: Instrument, auth: Auth) -> RestRequest:
        """:raises InvalidOrder: it lacks what its type needs."""
        return post(_CREATE, auth, requests.place(order, instrument))

    def parse_placed(self, body: bytes, order: NewOrder, instrument: Instrument) -> OrderReport:
        return answers.acknowledged(body, instrument.native, order.client_order_id)

    def cancel(self, key: OrderKey, auth: Auth) -> RestRequest:
        return post(_CANCEL, auth, requests.cancel(key))

    def parse_canceled(self, body: bytes, key: OrderKey) -> OrderReport:
        return answers.acknowledged(body, key.native, key.client_order_id, key.order_id)

    def amend_way(self, order: Order, quantity: Decimal | None, price: Decimal | None) -> AmendWay:  # noqa: ARG002 - any
        """Always in place: what Bybit cannot amend (a market order) it refuses, and nothing has happened."""
        return AmendWay.IN_PLACE

    def amend(self, key: OrderKey, quantity: Decimal | None, price: Decimal | None, auth: Auth) -> RestRequest:
        """:raises UsageError: nothing would change."""
        return post(_AMEND, auth, requests.amend(key, quantity, price))

    def parse_amended(self, body: bytes, key: OrderKey) -> OrderReport:
        return answers.acknowledged(body, key.native, key.client_order_id, key.order_id)

    def cancel_all(self, native: str, auth: Auth) -> list[RestRequest]:
        """One request for each kind of order (plain, conditional, with take-profit, pairs of them).

        :raises UsageError: no symbol, which would cancel every order of the account.
        """
        return [post(_CANCEL_ALL, auth, params) for params in requests.cancel_all(native)]

    # -- queries

    def queries(self, key: OrderKey, auth: Auth) -> list[RestRequest]:
        """Realtime (open orders and the last closed ones, forgotten when Bybit's service restarts), then history (which
        may lag). A conditional order is looked for first among the plain ones, which it is since it triggered."""
        params = requests.named(key)
        kinds = [params, params | {"orderFilter": requests.CONDITIONAL}] if key.conditional else [params]
        return [get(path, auth, one) for path in (_REALTIME, _HISTORY) for one in kinds]

    def parse_query(self, body: bytes, key: OrderKey) -> OrderReport | None:
        return answers.found(body, key)

    def open_orders(self, native: str | None, cursor: str, auth: Auth) -> list[RestRequest]:
        """Plain orders and conditional ones, apart; with a `cursor`, the next page of the one that it came from."""
        params = {"category": CATEGORY} | ({"symbol": native} if native else {})
        params |= {"openOnly": "0", "limit": str(ORDERS_PAGE_MAX)}
        plain, conditional = ({**params, "orderFilter": kind} for kind in ("Order", requests.CONDITIONAL))
        if not cursor:
            return [get(_REALTIME, auth, plain), get(_REALTIME, auth, conditional)]
        rest = cursor.removeprefix(answers.CONDITIONAL_CURSOR)
        return [get(_REALTIME, auth, plain if rest == cursor else conditional, rest)]

    def order_history(self, native: str, since_ms: int, cursor: str, auth: Auth) -> RestRequest:
        """Newest first, of the last seven days at most. What was cancelled or refused unfilled is in it for a day."""
        since = str(_within_span(since_ms, auth))
        params = {"category": CATEGORY, "symbol": native, "startTime": since, "limit": str(ORDERS_PAGE_MAX)}
        return get(_HISTORY, auth, params, cursor.removeprefix(answers.CONDITIONAL_CURSOR))

    def parse_orders(self, body: bytes) -> Page:
        return answers.orders(body)

    def fills(self, native: str, order_id: str | None, since_ms: int, cursor: str, auth: Auth) -> RestRequest:
        """Newest first, of the last seven days at most; those of one order whenever they were."""
        params = {"category": CATEGORY, "symbol": native, "limit": str(FILLS_PAGE_MAX)}
        params |= {"orderId": order_id} if order_id else {"startTime": str(_within_span(since_ms, auth))}
        return get(_EXECUTIONS, auth, params, cursor)

    def parse_fills(self, body: bytes) -> Page:
        return answers.fills(body)

    def fee_asset(self, fill: FillReport, instrument: Instrument) -> str:
        """The coin of a fill's fee, also where Bybit did not tell it (``fill.fee_asset`` is then "")."""
        return reports.fee_asset(fill, instrument)

    def balances(self, auth: Auth) -> RestRequest:
        return get(_WALLET, auth, {"accountType": "UNIFIED"})

    def parse_balances(self, body: bytes) -> list[BalanceReport]:
        return answers.balances(body)

    def fees(self, native: str, auth: Auth) -> RestRequest:
        """Five a second are allowed, fewer than of other queries."""
        return get(_FEES, auth, {"category": CATEGORY, "symbol": native})

    def parse_fees(self, body: bytes, native: str) -> Fees:
        return answers.fees(body, native)

    # -- the private stream

    def private_url(self, endpoints: Endpoints) -> str:
        return endpoints.private + PRIVATE_PATH

    def private_login(self, request_id: int, auth: Auth) -> str:
        return private.login(request_id, auth)

    def private_subscribe(self, request_id: int) -> str | None:
        """Only after the login's Ack: Bybit refuses what comes sooner. Nothing of the past is told on it."""
        return private.subscribe(request_id)

    def decode_private(self, frame: bytes) -> Sequence[PrivateEvent]:
        """Acks have request id 0 where Bybit echoes none: the first after a login is the login's."""
        return private.decode(frame)

    def private_keepalive(self, request_id: int) -> str | None:
        return private.ping(request_id)

    # -- orders over a WebSocket

    def trade_url(self, endpoints: Endpoints) -> str | None:
        return endpoints.trade + TRADE_PATH if endpoints.trade else None

    def trade_login(self, request_id: str, auth: Auth) -> str | None:
        return trade_socket.login(request_id, auth)

    def place_frame(self, request_id: str, order: NewOrder, instrument: Instrument, auth: Auth) -> str:
        """:raises InvalidOrder: it lacks what its type needs."""
        return trade_socket.request(request_id, trade_socket.CREATE, requests.place(order, instrument), auth)

    def cancel_frame(self, request_id: str, key: OrderKey, auth: Auth) -> str:
        return trade_socket.request(request_id, trade_socket.CANCEL, requests.cancel(key), auth)

    def decode_trade(self, frame: bytes, pending: Mapping[str, NewOrder | OrderKey]) -> Iterable[TradeAnswer]:
        """The answer to a login has that login's id (or "" where Bybit does not echo it), an error if it was refused,
        and neither report nor error if it was not. A placed order's report has `native` "": a NewOrder has none."""
        return trade_socket.decode(frame, pending)

    def trade_keepalive(self, request_id: str) -> str | None:  # noqa: ARG002 - Bybit's ping has no id
        return trade_socket.ping()


def _within_span(since_ms: int, auth: Auth) -> int:
    """A start that seven days from it reach to now: Bybit lists no longer span."""
    return max(since_ms, auth.time_ms - HISTORY_SPAN_MS, 0)


def _count(value: str) -> int | None:
    return int(value) if value.isascii() and value.isdigit() and len(value) < 10 else None
