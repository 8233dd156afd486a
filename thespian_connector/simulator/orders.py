"""What a client may order, and the whole story of what became of it, in words that no venue owns."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Any

from thespian_connector.model.decimals import ZERO, text
from thespian_connector.model.enums import OrderStatus, OrderType, Side, TimeInForce


class SelfTrade(StrEnum):
    """What happens before an order would trade with one of the same account. The taker's mode decides."""

    NONE = "none"
    EXPIRE_TAKER = "expire_taker"
    EXPIRE_MAKER = "expire_maker"
    EXPIRE_BOTH = "expire_both"
    #: Both lose the quantity that would have matched; whoever has none left expires.
    DECREMENT = "decrement"


class Reason(StrEnum):
    """Why an order ended without being filled."""

    NONE = ""
    USER = "user"
    IOC = "ioc"
    FOK = "fok"
    NO_LIQUIDITY = "no_liquidity"
    SELF_TRADE = "self_trade"
    #: Bybit's way with a post-only order that would take: accepted, then rejected.
    POST_ONLY = "post_only"
    #: A triggered order whose funds were not locked, and are gone.
    FUNDS = "funds"


class Refusal(StrEnum):
    """Why an order, a cancel or an amendment is not accepted at all."""

    FUNDS = "funds"
    DUPLICATE = "duplicate"
    WOULD_TAKE = "would_take"
    WOULD_TRIGGER = "would_trigger"
    HALTED = "halted"
    OPEN_ORDERS = "open_orders"
    OPEN_STOPS = "open_stops"
    NOT_OPEN = "not_open"
    NO_CHANGE = "no_change"
    #: An amended quantity that is not above what is filled.
    TOO_SMALL = "too_small"


class Refused(Exception):
    """The desk says no; nothing has changed."""

    def __init__(self, why: Refusal) -> None:
        super().__init__(why.value)
        self.why = why


@dataclass(frozen=True, kw_only=True)
class Ticket:
    """An order as it is asked for, checked against the venue's filters already.

    :param native: the venue's name of the instrument.
    :param quantity: of base; None if `quote_quantity` says how much to spend or get (market orders only).
    :param stop_price: the order waits until the last trade's price reaches it; then it is a limit order if `price` is
        set, else a market order.
    :param trigger_above: it waits for a rise to `stop_price`; False: for a fall.
    :param locks: a stop order that locks its funds when it is placed, whatever the venue's rule for others.
    :param venue_type: the venue's own words for type and self-trade mode, kept for its answers.
    """

    client_id: str
    native: str
    side: Side
    type: OrderType
    quantity: Decimal | None = None
    quote_quantity: Decimal | None = None
    price: Decimal | None = None
    stop_price: Decimal | None = None
    trigger_above: bool = True
    time_in_force: TimeInForce = TimeInForce.GTC
    self_trade: SelfTrade = SelfTrade.NONE
    locks: bool = False
    venue_type: str = ""
    venue_self_trade: str = ""

    def __post_init__(self) -> None:
        assert (self.quantity is None) != (self.quote_quantity is None), "one of the two quantities"
        assert self.quote_quantity is None or self.type is OrderType.MARKET, "only a market order is by quote"
        assert (self.price is None) == (self.type is OrderType.MARKET), "a price unless it is a market order"

    @property
    def is_buy(self) -> bool:
        return self.side is Side.BUY


@dataclass(frozen=True)
class OrderFill:
    """One execution of an order. `trade_id` is the market's; `execution_id` the venue's text of this side of it."""

    execution_id: str
    trade_id: int
    price: Decimal
    quantity: Decimal
    fee: Decimal
    fee_asset: str
    maker: bool
    time_ns: int

    def document(self) -> dict[str, Any]:
        """As the truth tells it."""
        return {
            "execution_id": self.execution_id,
            "price": text(self.price),
            "quantity": text(self.quantity),
            "fee": text(self.fee),
            "fee_asset": self.fee_asset,
            "maker": self.maker,
            "time_ns": self.time_ns,
        }


@dataclass(eq=False)
class SimOrder:
    """One order that was accepted, with everything that happened to it.

    `client_id` is what it goes by now, `ticket.client_id` what it was accepted with: a cancel or an amendment may give
    it another (Binance). `quantity` is None while an order by quote amount has not been matched. `working` is False
    for a stop order that waits. `locked` is what of the account's locked funds is its own.
    """

    ticket: Ticket
    owner: str
    order_id: int
    symbol: str
    client_id: str
    quantity: Decimal | None
    price: Decimal | None
    stop_price: Decimal | None
    created_ns: int
    updated_ns: int
    status: OrderStatus = OrderStatus.NEW
    reason: Reason = Reason.NONE
    working: bool = True
    #: When it began to work in the book (a stop order: when it was triggered).
    working_ns: int = 0
    filled: Decimal = ZERO
    filled_quote: Decimal = ZERO
    prevented: Decimal = ZERO
    locked: Decimal = ZERO
    amendments: int = 0
    fills: list[OrderFill] = field(default_factory=list)
    #: A market order by quote amount for all of which there is no liquidity: it expires when it has what there is.
    short: bool = False
    #: The engine's number while it rests in the book.
    resting: int | None = None
    #: Monotonic; queries miss it before.
    hidden_until_ns: int = 0

    @property
    def native(self) -> str:
        return self.ticket.native

    @property
    def is_buy(self) -> bool:
        return self.ticket.is_buy

    @property
    def open(self) -> bool:
        return not self.status.terminal

    @property
    def left(self) -> Decimal:
        """What may still trade: 0 of an order that has ended."""
        return self.quantity - self.filled - self.prevented if self.open and self.quantity is not None else ZERO

    def document(self) -> dict[str, Any]:
        """As ``/truth/<venue>/orders`` tells it, but for the status: that is the venue's word."""
        return {
            "client_order_id": self.ticket.client_id,
            "order_id": str(self.order_id),
            "symbol": self.symbol,
            "native": self.native,
            "side": self.ticket.side.value,
            "type": self.ticket.type.value,
            "time_in_force": self.ticket.time_in_force.value,
            "price": _text(self.price),
            "stop_price": _text(self.stop_price),
            "quantity": _text(self.quantity),
            "quote_quantity": _text(self.ticket.quote_quantity),
            "status": self.status.value,
            "reason": self.reason.value,
            "filled": text(self.filled),
            "filled_quote": text(self.filled_quote),
            "prevented": text(self.prevented),
            "fills": [fill.document() for fill in self.fills],
            "working": self.working,
            "amendments": self.amendments,
            "created_ns": self.created_ns,
            "updated_ns": self.updated_ns,
        }


def _text(number: Decimal | None) -> str | None:
    return None if number is None else text(number)


@dataclass(frozen=True)
class OrderEvent:
    """What just happened to an order, told when the order already shows it.

    `what` is one of: ``accepted``; ``triggered`` (a stop began to work); ``fill`` (with `fill`; `order.status` FILLED
    if it was the last); ``amended``; ``prevented`` (self-trade prevention took `prevented` off it, which ended it if
    `order.open` is false); ``ended`` (cancelled, expired or rejected: `order.status`, `order.reason`).
    """

    what: str
    order: SimOrder
    time_ns: int
    fill: OrderFill | None = None
    prevented: Decimal = ZERO
    #: The order on the other side of a prevented match.
    counter: SimOrder | None = None
    #: The client id that the order had before a cancel or an amendment gave it another.
    former_client_id: str = ""
