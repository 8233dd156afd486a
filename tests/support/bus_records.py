"""Records to put on a bus."""

from __future__ import annotations

from decimal import Decimal

from thespian_connector.books import BookImage
from thespian_connector.model import Side, Trade, Trust


def image(
    update_id: int,
    *,
    exchange: str = "binance",
    symbol: str = "BTC/USDT",
    levels: int = 1,
    trust: Trust = Trust.LIVE,
) -> BookImage:
    """A book as a feed publishes it, best bid 60000.1."""
    return BookImage(
        exchange=exchange,
        symbol=symbol,
        stream="s",
        update_id=update_id,
        trust=trust,
        bids=[(f"{60000 - i}.1", "0.5") for i in range(levels)],
        asks=[(f"{60001 + i}.1", "0.25") for i in range(levels)],
        certified=(levels, levels),
    )


def trade(number: int, note: str = "") -> Trade:
    """A trade whose id begins with `number`; a `note` makes it long."""
    return Trade(
        exchange="binance",
        symbol="BTC/USDT",
        trade_id=f"{number}{note}",
        price=Decimal("60000.1"),
        quantity=Decimal("0.001"),
        aggressor=Side.BUY,
        venue_time_ns=number,
    )
