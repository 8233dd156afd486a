"""Binance Spot, trading: the modules beside this one put together as a `TradingDriver`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import ClassVar

import msgspec
from msgspec import Raw, Struct

from thespian_connector.drivers.base import Endpoints, Limit, RestRequest, StreamLimits, Usage
from thespian_connector.drivers.trading import AmendWay, Auth, CancelReplacing, Fees, OrderKey, Page, Replaced
from thespian_connector.drivers.trading import TradeAnswer as Answer
from thespian_connector.model import Instrument, NewOrder, Order
from thespian_connector.model.errors import ConfigError, ExchangeError, ServerFault
from thespian_connector.model.private import BalanceReport, OrderReport, PrivateEvent

from . import errors, limits, orders, private, reports, trade_socket

#: Status of an inner refusal of a cancel-replace, which has none of its own.
_REFUSED = 400
_WORD_CHARS_MAX = 100


class _Halves(Struct):
    """``{"cancelResult":"SUCCESS","newOrderResult":"FAILURE","cancelResponse":{..},"newOrderResponse":{..}}``"""

    cancelResult: str
    newOrderResult: str
    cancelResponse: Raw = Raw(b"null")
    newOrderResponse: Raw = Raw(b"null")


class _HalvesOfError(Struct):
    data: _Halves


_halves = msgspec.json.Decoder(_Halves)
_halves_of_error = msgspec.json.Decoder(_HalvesOfError)


class BinanceTrading(CancelReplacing):
    """Binance Spot. Orders over REST or the WebSocket API, the account's events over the latter.

    Not found is an error of the venue's here (OrderNotFound), never a `parse_query` of None.
    """

    exchange: ClassVar[str] = errors.EXCHANGE
    account_limits: ClassVar[tuple[Limit, ...]] = limits.ACCOUNT_LIMITS
    private_limits: ClassVar[StreamLimits] = limits.PRIVATE_LIMITS
    #: -1007 TIMEOUT: the engine had 10 s.
    engine_timeout_s: ClassVar[float] = 10.0
    client_ids_unique_forever: ClassVar[bool] = False

    def account_limits_of(self, instruments_body: bytes) -> tuple[Limit, ...]:
        return limits.account_limits_of(instruments_body)

    def account_usage(self, headers: Mapping[str, str]) -> list[Usage]:
        return limits.account_usage(headers)

    # -- orders

    def place(self, order: NewOrder, instrument: Instrument, auth: Auth) -> RestRequest:
        return orders.place(order, instrument, auth)

    def parse_placed(self, body: bytes, order: NewOrder, instrument: Instrument) -> OrderReport:
        return reports.parse_placed(body, order, instrument)

    def cancel(self, key: OrderKey, auth: Auth) -> RestRequest:
        return orders.cancel(key, auth)

    def parse_canceled(self, body: bytes, key: OrderKey) -> OrderReport:
        return reports.parse_canceled(body, key)

    def amend_way(self, order: Order, quantity: Decimal | None, price: Decimal | None) -> AmendWay:
        """In place only to a smaller quantity at the same price: the venue amends to nothing else.

        Ten amendments an order are the venue's usual limit (-2038, Rejected, afterwards).
        """
        whole = order.quantity
        less = quantity is not None and whole is not None and order.filled < quantity < whole
        if less and price in (None, order.price):
            return AmendWay.IN_PLACE
        return AmendWay.CANCEL_THEN_PLACE if order.filled else AmendWay.CANCEL_REPLACE

    def amend(self, key: OrderKey, quantity: Decimal | None, price: Decimal | None, auth: Auth) -> RestRequest:
        return orders.amend(key, quantity, price, auth)

    def parse_amended(self, body: bytes, key: OrderKey) -> OrderReport:
        return reports.parse_amended(body, key)

    def cancel_all(self, native: str, auth: Auth) -> list[RestRequest]:
        """`parse_orders` reads the answer. With no open order it is refused: OrderNotFound."""
        return [orders.cancel_all(native, auth)]

    # -- a cancel and an order in one

    def cancel_replace(self, key: OrderKey, order: NewOrder, instrument: Instrument, auth: Auth) -> RestRequest:
        return orders.cancel_replace(key, order, instrument, auth)

    def parse_replaced(
        self, answer: bytes | ExchangeError, key: OrderKey, order: NewOrder, instrument: Instrument
    ) -> Replaced:
        """HTTP 200: both happened. 400 (-2022): neither. 409 (-2021): exactly one, and the body says which.

        The error of a half is a ServerFault where the venue's word about it cannot be read: its outcome is unknown.
        """
        if isinstance(answer, ExchangeError):
            try:
                halves = _halves_of_error.decode(answer.data).data
            except (msgspec.DecodeError, UnicodeError, RecursionError):
                raise answer from None
        else:
            with reports.reading("the answer to a cancel-replace"):
                halves = _halves.decode(answer)
        canceled, cancel_error = _half(
            halves.cancelResult, halves.cancelResponse, lambda body: reports.parse_canceled(body, key)
        )
        if halves.newOrderResult == "NOT_ATTEMPTED":
            return Replaced(canceled=canceled, cancel_error=cancel_error)
        placed, place_error = _half(
            halves.newOrderResult, halves.newOrderResponse, lambda body: reports.parse_placed(body, order, instrument)
        )
        return Replaced(canceled=canceled, cancel_error=cancel_error, placed=placed, place_error=place_error)

    # -- queries

    def queries(self, key: OrderKey, auth: Auth) -> list[RestRequest]:
        """Two where only the client's id is known: a canceled order bears its cancel's. OrderNotFound: ask the next."""
        return orders.queries(key, auth)

    def parse_query(self, body: bytes, key: OrderKey) -> OrderReport | None:
        return reports.parse_query(body, key)

    def open_orders(self, native: str | None, cursor: str, auth: Auth) -> list[RestRequest]:
        """One listing, whole: there is no page after the first."""
        return [] if cursor else [orders.open_orders(native, auth)]

    def order_history(self, native: str, since_ms: int, cursor: str, auth: Auth) -> RestRequest:
        return orders.order_history(native, since_ms, cursor, auth)

    def parse_orders(self, body: bytes) -> Page:
        return reports.parse_orders(body)

    def fills(self, native: str, order_id: str | None, since_ms: int, cursor: str, auth: Auth) -> RestRequest:
        return orders.fills(native, order_id, since_ms, cursor, auth)

    def parse_fills(self, body: bytes) -> Page:
        return reports.parse_fills(body)

    def balances(self, auth: Auth) -> RestRequest:
        return orders.balances(auth)

    def parse_balances(self, body: bytes) -> list[BalanceReport]:
        return reports.parse_balances(body)

    def fees(self, native: str, auth: Auth) -> RestRequest:
        return orders.fees(native, auth)

    def parse_fees(self, body: bytes, native: str) -> Fees:
        return reports.parse_fees(body, native)

    # -- the private stream

    def private_url(self, endpoints: Endpoints) -> str:
        """:raises ConfigError: a paper environment without ``urls.ws_api``."""
        if not endpoints.ws_api:
            raise ConfigError("binance: urls.ws_api is missing; an account's events come from there")
        return endpoints.ws_api

    def private_login(self, request_id: int, auth: Auth) -> str:
        return private.subscribe(request_id, auth)

    def private_subscribe(self, request_id: int) -> str | None:  # noqa: ARG002 - the login subscribes
        return None

    def decode_private(self, frame: bytes) -> Sequence[PrivateEvent]:
        return private.decode(frame)

    def private_keepalive(self, request_id: int) -> str | None:  # noqa: ARG002 - none is ever needed
        """None: the venue pings every 20 s, and pongs of the WebSocket layer answer it."""
        return None

    # -- orders over the WebSocket API

    def trade_url(self, endpoints: Endpoints) -> str | None:
        return endpoints.ws_api or None

    def trade_login(self, request_id: str, auth: Auth) -> str | None:  # noqa: ARG002 - every request is signed
        return None

    def place_frame(self, request_id: str, order: NewOrder, instrument: Instrument, auth: Auth) -> str:
        return trade_socket.place(request_id, order, instrument, auth)

    def cancel_frame(self, request_id: str, key: OrderKey, auth: Auth) -> str:
        return trade_socket.cancel(request_id, key, auth)

    def decode_trade(self, frame: bytes, pending: Mapping[str, NewOrder | OrderKey]) -> Iterable[Answer]:
        return trade_socket.decode(frame, pending)

    def trade_keepalive(self, request_id: str) -> str | None:  # noqa: ARG002 - none is ever needed
        return None


def _half(
    result: str, response: Raw, parse: Callable[[bytes], OrderReport]
) -> tuple[OrderReport | None, ExchangeError | None]:
    body = bytes(response)
    if result == "FAILURE":
        return None, errors.of_socket(_REFUSED, body)
    try:
        with reports.reading("a result of a cancel-replace that we know"):
            if result != "SUCCESS":
                raise ValueError(result[:_WORD_CHARS_MAX])
        return parse(body), None
    except ServerFault as error:
        return None, error
