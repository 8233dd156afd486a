"""What a driver makes of a venue's word about our account: orders, fills, balances. Absolute, cumulative, exact."""

from __future__ import annotations

from decimal import Decimal

from msgspec import Struct

from .decimals import refuse_floats
from .enums import OrderStatus, OrderType, Side, TimeInForce
from .wire import Ack, Ignored, Pong, ServerShutdown


class FillReport(Struct, frozen=True, kw_only=True):
    """One execution. `client_order_id` is "" where the venue does not tell it (Binance's listing of trades)."""

    native: str
    execution_id: str
    order_id: str
    client_order_id: str
    side: Side
    price: Decimal
    quantity: Decimal
    fee: Decimal
    fee_asset: str
    maker: bool
    time_ns: int

    def __post_init__(self) -> None:
        refuse_floats(self, "price", "quantity", "fee")


class OrderReport(Struct, frozen=True, kw_only=True):
    """The state of one order as the venue tells it; None (or "" for ids) is what this message does not tell.

    `client_order_id` is the order's own, whatever id a cancel or an amendment had. `filled` and `filled_quote` are
    cumulative; None where not told. `status` None: accepted, nothing said of the state, or a word that we do not know.
    `status_word` is the venue's own. `fills`: executions that this very message tells. `reason`: the venue's words
    for why it ended. `time_ns`: the venue's time of this state.
    """

    native: str
    client_order_id: str
    order_id: str
    status: OrderStatus | None = None
    status_word: str = ""
    side: Side | None = None
    type: OrderType | None = None
    time_in_force: TimeInForce | None = None
    price: Decimal | None = None
    stop_price: Decimal | None = None
    quantity: Decimal | None = None
    quote_quantity: Decimal | None = None
    filled: Decimal | None = None
    filled_quote: Decimal | None = None
    fills: tuple[FillReport, ...] = ()
    reason: str = ""
    created_ns: int = 0
    time_ns: int = 0

    def __post_init__(self) -> None:
        refuse_floats(self, "price", "stop_price", "quantity", "quote_quantity", "filled", "filled_quote")


class BalanceReport(Struct, frozen=True, kw_only=True):
    """One asset. An asset that is not told is unchanged on a stream, zero in a whole listing."""

    asset: str
    free: Decimal
    locked: Decimal
    time_ns: int = 0

    def __post_init__(self) -> None:
        refuse_floats(self, "free", "locked")


class StreamEnded(Struct, frozen=True):
    """The venue ends our subscription (the key was revoked, a session expired): log in anew."""

    reason: str


PrivateEvent = OrderReport | FillReport | BalanceReport | Ack | Pong | ServerShutdown | StreamEnded | Ignored
