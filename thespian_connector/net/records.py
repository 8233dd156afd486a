"""A driver's wire records as the records that users see: Decimals and unified symbols. Pure."""

from __future__ import annotations

from decimal import Decimal

from thespian_connector.model import Level, Ticker, Trade, dec
from thespian_connector.model.wire import WireTicker, WireTrade

#: One side's best level as the venue spells it.
Top = tuple[str, str] | None


def trade(exchange: str, symbol: str, wire: WireTrade, received_ns: int) -> Trade:
    """:raises ValueError: a price or a quantity that is no number."""
    return Trade(
        exchange=exchange,
        symbol=symbol,
        trade_id=wire.trade_id,
        price=dec(wire.price, "price"),
        quantity=dec(wire.quantity, "quantity"),
        aggressor=wire.aggressor,
        venue_time_ns=wire.venue_time_ns,
        received_time_ns=received_ns,
    )


def ticker(exchange: str, symbol: str, wire: WireTicker, top: tuple[Top, Top], received_ns: int) -> Ticker:
    """`top`: bid and ask from a feed of their own, for a venue whose ticker has none (Bybit).

    :raises ValueError: a field that is no number.
    """
    bid, ask = top
    return Ticker(
        exchange=exchange,
        symbol=symbol,
        last=dec(wire.last, "last"),
        bid=_maybe(bid[0] if bid else wire.bid),
        bid_quantity=_maybe(bid[1] if bid else wire.bid_quantity),
        ask=_maybe(ask[0] if ask else wire.ask),
        ask_quantity=_maybe(ask[1] if ask else wire.ask_quantity),
        open=_maybe(wire.open),
        high=_maybe(wire.high),
        low=_maybe(wire.low),
        volume=_maybe(wire.volume),
        quote_volume=_maybe(wire.quote_volume),
        venue_time_ns=wire.venue_time_ns,
        received_time_ns=received_ns,
    )


def _maybe(value: str | None) -> Decimal | None:
    return None if value is None else dec(value)


def same_top(best: tuple[Level | None, Level | None], top: tuple[Top, Top]) -> bool:
    """Whether our best levels are what the venue calls its best; a malformed one is not."""
    try:
        return all(
            (ours is None) if theirs is None else ours == (dec(theirs[0]), dec(theirs[1]))
            for ours, theirs in zip(best, top, strict=True)
        )
    except ValueError:
        return False
