"""What can be traded, and on which grid."""

from __future__ import annotations

from decimal import Decimal

from msgspec import Struct

from .decimals import refuse_floats
from .enums import InstrumentStatus


class Instrument(Struct, frozen=True, kw_only=True):
    """One spot pair of one venue.

    Prices are multiples of `tick_size`, quantities of `step_size`, both in their own unit (quote a base, base).
    `None` in a limit means that the venue sets none. `native` is the venue's own name (``BTCUSDT``), `symbol` ours
    (``BTC/USDT``).
    """

    exchange: str
    symbol: str
    native: str
    base: str
    quote: str
    status: InstrumentStatus
    tick_size: Decimal
    step_size: Decimal
    min_price: Decimal | None = None
    max_price: Decimal | None = None
    min_quantity: Decimal | None = None
    max_quantity: Decimal | None = None
    market_min_quantity: Decimal | None = None
    market_max_quantity: Decimal | None = None
    market_step_size: Decimal | None = None
    quote_step_size: Decimal | None = None
    min_notional: Decimal | None = None
    max_notional: Decimal | None = None
    min_notional_applies_to_market: bool = True
    max_open_orders: int | None = None

    def __post_init__(self) -> None:
        refuse_floats(
            self,
            "tick_size",
            "step_size",
            "min_price",
            "max_price",
            "min_quantity",
            "max_quantity",
            "market_min_quantity",
            "market_max_quantity",
            "market_step_size",
            "quote_step_size",
            "min_notional",
            "max_notional",
        )
