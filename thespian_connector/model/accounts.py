"""What we hold."""

from __future__ import annotations

from decimal import Decimal

from msgspec import Struct

from .decimals import refuse_floats


class Balance(Struct, frozen=True, kw_only=True):
    """One asset at one venue: `free` to trade, `locked` in open orders."""

    exchange: str
    asset: str
    free: Decimal
    locked: Decimal

    def __post_init__(self) -> None:
        refuse_floats(self, "free", "locked")


class Position(Struct, frozen=True, kw_only=True):
    """What our fills of one instrument add up to: average cost method, PnL in the quote asset."""

    exchange: str
    symbol: str
    quantity: Decimal
    avg_cost: Decimal
    realized_pnl: Decimal
    unrealized_pnl: Decimal | None
    fees: dict[str, Decimal]

    def __post_init__(self) -> None:
        refuse_floats(self, "quantity", "avg_cost", "realized_pnl", "unrealized_pnl", "fees")


class FeeRates(Struct, frozen=True, kw_only=True):
    """What the account pays at one venue for one symbol, as shares of the traded value (0.001 is 0.1 %)."""

    exchange: str
    symbol: str
    maker: Decimal
    taker: Decimal

    def __post_init__(self) -> None:
        refuse_floats(self, "maker", "taker")
