"""What the trading half of a driver is: a venue's orders, account and private stream as pure functions.

Signed requests are made at the last moment, with an :class:`Auth` of the account's signer and the venue's time; what
they say is exactly what is sent. Nothing here holds a secret longer than a call.

`net` owns sockets, time and keys; `orders` decides what to send and what an answer means for the order.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from enum import Enum
from typing import ClassVar, NamedTuple

from msgspec import Struct

from thespian_connector.model import Instrument, Order
from thespian_connector.model.errors import ExchangeError
from thespian_connector.model.orders import NewOrder
from thespian_connector.model.private import BalanceReport, FillReport, OrderReport, PrivateEvent

from .base import Endpoints, Limit, RestRequest, StreamLimits, Usage
from .signing import Signer


class Auth(NamedTuple):
    """What a signed request is made with: the account's signer, the time by the venue's clock as we estimate it, and
    for how long the request may be late (both ms)."""

    signer: Signer
    time_ms: int
    recv_window_ms: int


class OrderKey(Struct, frozen=True, kw_only=True):
    """How a request names an order that was sent before. `order_id` wins where both are known.

    `conditional`: a stop order that has not triggered yet (Bybit finds those only under another `orderFilter`).
    """

    native: str
    client_order_id: str
    order_id: str | None = None
    conditional: bool = False


class AmendWay(Enum):
    """How a venue can change an order."""

    #: One request; the order stays (and, where the venue says so, keeps its place in the queue).
    IN_PLACE = "in_place"
    #: One request that cancels it and places another (Binance ``order/cancelReplace``), only while it is unfilled.
    CANCEL_REPLACE = "cancel_replace"
    #: Cancel, read the final fill, place the rest as an order of its own.
    CANCEL_THEN_PLACE = "cancel_then_place"


class Page(Struct, frozen=True, kw_only=True):
    """Some of a listing; `cursor` asks for the next page, "" when this was the last."""

    orders: list[OrderReport] = []
    fills: list[FillReport] = []
    cursor: str = ""


class Replaced(Struct, frozen=True, kw_only=True):
    """What became of both halves of a cancel-replace: the report of each that happened, the error of each that did not.

    `placed` and `place_error` are None when the second half was not attempted.
    """

    canceled: OrderReport | None = None
    cancel_error: ExchangeError | None = None
    placed: OrderReport | None = None
    place_error: ExchangeError | None = None


class Fees(Struct, frozen=True, kw_only=True):
    """Rates of one symbol, as shares of the traded value (0.001 is 0.1 %)."""

    native: str
    maker: Decimal
    taker: Decimal


class TradeAnswer(Struct, frozen=True, kw_only=True):
    """The answer to an order request sent over a WebSocket: one of `report` and `error`; neither: logged in.

    `request_id` is "" for a refusal that does not say which request it is about (Bybit): everything that is pending on
    that socket is then unknown.
    """

    request_id: str
    report: OrderReport | None = None
    error: ExchangeError | None = None


class TradingDriver(ABC):
    """The trading half of a venue's driver. Stateless, like :class:`~thespian_connector.drivers.base.Driver`.

    Parsers raise ServerFault when a body is not what it should be: of a write, that is an unknown outcome. An
    OrderReport whose `status` is None says that the request was accepted, and nothing of the order's state.
    """

    exchange: ClassVar[str]
    #: Windows of the account (not of the IP): kinds "place", "amend", "cancel", "query".
    account_limits: ClassVar[tuple[Limit, ...]]
    private_limits: ClassVar[StreamLimits]
    #: Requests that are later than this, after their recv window, can no longer reach the venue's engine (seconds).
    engine_timeout_s: ClassVar[float]
    #: A client order id is refused if an order of that id was ever accepted (Bybit), or while one is open (Binance).
    client_ids_unique_forever: ClassVar[bool]

    def account_limits_of(self, instruments_body: bytes) -> tuple[Limit, ...]:  # noqa: ARG002 - for venues that tell
        """The account's limits as the venue's listing tells them; else the defaults, `account_limits`."""
        return self.account_limits

    @abstractmethod
    def account_usage(self, headers: Mapping[str, str]) -> list[Usage]:
        """What the headers tell of the account's limits."""

    # -- orders: requests and what their answers say

    @abstractmethod
    def place(self, order: NewOrder, instrument: Instrument, auth: Auth) -> RestRequest: ...

    @abstractmethod
    def parse_placed(self, body: bytes, order: NewOrder, instrument: Instrument) -> OrderReport:
        """With the fills that the answer tells, where it tells any."""

    @abstractmethod
    def cancel(self, key: OrderKey, auth: Auth) -> RestRequest: ...

    @abstractmethod
    def parse_canceled(self, body: bytes, key: OrderKey) -> OrderReport: ...

    @abstractmethod
    def amend_way(self, order: Order, quantity: Decimal | None, price: Decimal | None) -> AmendWay:
        """`quantity` is the new total; None leaves it."""

    @abstractmethod
    def amend(self, key: OrderKey, quantity: Decimal | None, price: Decimal | None, auth: Auth) -> RestRequest:
        """For IN_PLACE."""

    @abstractmethod
    def parse_amended(self, body: bytes, key: OrderKey) -> OrderReport: ...

    @abstractmethod
    def cancel_all(self, native: str, auth: Auth) -> list[RestRequest]:
        """Every open order of the symbol, whoever placed it."""

    # -- queries; each may need more than one place to look in (Bybit: realtime, then history)

    @abstractmethod
    def queries(self, key: OrderKey, auth: Auth) -> list[RestRequest]:
        """In the order to ask; the first that finds the order is the answer."""

    @abstractmethod
    def parse_query(self, body: bytes, key: OrderKey) -> OrderReport | None:
        """None: not found there."""

    @abstractmethod
    def open_orders(self, native: str | None, cursor: str, auth: Auth) -> list[RestRequest]:
        """One listing or more (Bybit: conditional orders apart). `cursor` only where there is one listing to page."""

    @abstractmethod
    def order_history(self, native: str, since_ms: int, cursor: str, auth: Auth) -> RestRequest: ...

    @abstractmethod
    def parse_orders(self, body: bytes) -> Page: ...

    @abstractmethod
    def fills(self, native: str, order_id: str | None, since_ms: int, cursor: str, auth: Auth) -> RestRequest:
        """Of one order, or (order_id None) of the symbol since then."""

    @abstractmethod
    def parse_fills(self, body: bytes) -> Page: ...

    def fee_asset(self, fill: FillReport, instrument: Instrument) -> str:  # noqa: ARG002 - for venues that do not tell
        """In what the fee was paid, where the venue's word is empty."""
        return fill.fee_asset

    @abstractmethod
    def balances(self, auth: Auth) -> RestRequest: ...

    @abstractmethod
    def parse_balances(self, body: bytes) -> list[BalanceReport]: ...

    @abstractmethod
    def fees(self, native: str, auth: Auth) -> RestRequest: ...

    @abstractmethod
    def parse_fees(self, body: bytes, native: str) -> Fees: ...

    # -- the private stream

    @abstractmethod
    def private_url(self, endpoints: Endpoints) -> str: ...

    @abstractmethod
    def private_login(self, request_id: int, auth: Auth) -> str:
        """The first frame; its Ack must come before `private_subscribe` may be sent. Made anew for each connection."""

    @abstractmethod
    def private_subscribe(self, request_id: int) -> str | None:
        """None where the login subscribes."""

    @abstractmethod
    def decode_private(self, frame: bytes) -> Sequence[PrivateEvent]:
        """What a text frame says, in its order. Never raises: what is not understood is `Ignored` with the reason."""

    @abstractmethod
    def private_keepalive(self, request_id: int) -> str | None: ...

    # -- orders over a WebSocket

    @abstractmethod
    def trade_url(self, endpoints: Endpoints) -> str | None:
        """None where the environment has none (Bybit's demo)."""

    @abstractmethod
    def trade_login(self, request_id: str, auth: Auth) -> str | None:
        """None where every request is signed by itself."""

    @abstractmethod
    def place_frame(self, request_id: str, order: NewOrder, instrument: Instrument, auth: Auth) -> str: ...

    @abstractmethod
    def cancel_frame(self, request_id: str, key: OrderKey, auth: Auth) -> str: ...

    @abstractmethod
    def decode_trade(self, frame: bytes, pending: Mapping[str, NewOrder | OrderKey]) -> Iterable[TradeAnswer]:
        """Answers to what is `pending` (request id -> what it asked); () for what is none."""

    @abstractmethod
    def trade_keepalive(self, request_id: str) -> str | None: ...


class CancelReplacing(TradingDriver):
    """A venue with a request that cancels one order and places another (Binance ``order/cancelReplace``)."""

    @abstractmethod
    def cancel_replace(self, key: OrderKey, order: NewOrder, instrument: Instrument, auth: Auth) -> RestRequest:
        """`order` takes the place of `key`'s, if that is still unfilled; else neither happens."""

    @abstractmethod
    def parse_replaced(
        self, answer: bytes | ExchangeError, key: OrderKey, order: NewOrder, instrument: Instrument
    ) -> Replaced:
        """Of a good answer's body, or of the error that `classify` made (its `data` is the body).

        :raises ExchangeError: the error is about the whole request; neither half is proved to have happened.
        """
