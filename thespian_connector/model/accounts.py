"""What we hold."""

from __future__ import annotations

from decimal import Decimal

from msgspec import Struct


class Balance(Struct, frozen=True, kw_only=True):
    """One asset at one venue: `free` to trade, `locked` in open orders."""

    exchange: str
    asset: str
    free: Decimal
    locked: Decimal


class Position(Struct, frozen=True, kw_only=True):
    """What our fills of one instrument add up to: average cost method, PnL in the quote asset."""

    exchange: str
    symbol: str
    quantity: Decimal
    avg_cost: Decimal
    realized_pnl: Decimal
    unrealized_pnl: Decimal | None
    fees: dict[str, Decimal]
