"""Orders and fills, in FIX's terms."""

from __future__ import annotations

from decimal import Decimal

from msgspec import Struct

from .decimals import ZERO, refuse_floats
from .enums import OrderStatus, OrderType, Side, TimeInForce


class Fill(Struct, frozen=True, kw_only=True):
    """One execution of one order. `execution_id` is the venue's, unique within (exchange, symbol)."""

    execution_id: str
    price: Decimal
    quantity: Decimal
    fee: Decimal
    fee_asset: str
    time_ns: int
    maker: bool

    def __post_init__(self) -> None:
        refuse_floats(self, "price", "quantity", "fee")


class NewOrder(Struct, frozen=True, kw_only=True):
    """An order as it is asked for (FIX NewOrderSingle). `client_order_id` is ours: 1 to 36 of ``[A-Za-z0-9_-]``.

    A limit, limit_maker or stop_limit order has `quantity` (base) and `price`; stop_limit has `stop_price`, too. A
    market order has either `quantity` (base) or `quote_quantity` (what to spend or get, in quote).
    """

    client_order_id: str
    exchange: str
    symbol: str
    side: Side
    type: OrderType
    quantity: Decimal | None = None
    quote_quantity: Decimal | None = None
    price: Decimal | None = None
    stop_price: Decimal | None = None
    time_in_force: TimeInForce = TimeInForce.GTC

    def __post_init__(self) -> None:
        refuse_floats(self, "price", "stop_price", "quantity", "quote_quantity")


class Order(Struct, frozen=True, kw_only=True):
    """One order of ours, as far as the venue has proved it.

    `price` is None for a market order, `avg_price` until the first fill. A market order by quote amount has
    `quote_quantity` and, until it is done, no `quantity`. `outcome_known` is False while `status` is UNKNOWN.
    """

    client_order_id: str
    exchange: str
    symbol: str
    side: Side
    type: OrderType
    status: OrderStatus
    order_id: str | None = None
    price: Decimal | None = None
    stop_price: Decimal | None = None
    quantity: Decimal | None = None
    quote_quantity: Decimal | None = None
    time_in_force: TimeInForce = TimeInForce.GTC
    filled: Decimal = ZERO
    avg_price: Decimal | None = None
    fills: tuple[Fill, ...] = ()
    reason: str = ""
    created_ns: int = 0
    updated_ns: int = 0
    #: Nobody placed it through this system (as far as it is known yet): the venue told of it.
    foreign: bool = False

    def __post_init__(self) -> None:
        refuse_floats(self, "price", "stop_price", "quantity", "quote_quantity", "filled", "avg_price")

    @property
    def outcome_known(self) -> bool:
        return self.status is not OrderStatus.UNKNOWN
