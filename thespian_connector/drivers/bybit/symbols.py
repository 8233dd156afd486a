"""Bybit's listing (``GET /v5/market/instruments-info?category=spot``) as instruments."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import msgspec
from msgspec import Struct

from thespian_connector.model import Instrument, InstrumentStatus, dec

from .limits import OPEN_ORDERS_MAX

#: Spot lists what trades and nothing else: a symbol that vanished is halted or delisted.
_STATUS = {"Trading": InstrumentStatus.TRADING}


class _Lot(Struct, rename="camel"):
    base_precision: str
    quote_precision: str = ""
    min_order_amt: str = ""
    max_limit_order_qty: str = ""
    max_market_order_qty: str = ""


class _PriceFilter(Struct, rename="camel"):
    tick_size: str


class _Item(Struct, rename="camel"):
    symbol: str
    base_coin: str
    quote_coin: str
    lot_size_filter: _Lot
    price_filter: _PriceFilter
    status: str = ""


def instruments(listing: list[Any]) -> Iterator[Instrument]:
    """The instruments of `listing` that can be understood.

    ``minOrderQty``, ``maxOrderQty`` and ``maxOrderAmt`` are not read: Bybit keeps sending them and checks them no more.
    """
    for raw in listing:
        try:
            item = msgspec.convert(raw, _Item)
            yield _instrument(item)
        except (msgspec.ValidationError, ValueError):
            # One listing that Bybit spells in a new way must not hide the other thousand.
            continue


def _instrument(item: _Item) -> Instrument:
    """:raises ValueError: a name that is empty, a step that is no positive number."""
    if not (item.symbol and item.base_coin and item.quote_coin):
        raise ValueError("an instrument without a name")
    lot = item.lot_size_filter
    step = _positive(lot.base_precision, "basePrecision")
    return Instrument(
        exchange="bybit",
        symbol=f"{item.base_coin}/{item.quote_coin}",
        native=item.symbol,
        base=item.base_coin,
        quote=item.quote_coin,
        status=_STATUS.get(item.status, InstrumentStatus.UNKNOWN),
        tick_size=_positive(item.price_filter.tick_size, "tickSize"),
        step_size=step,
        max_quantity=_limit(lot.max_limit_order_qty, "maxLimitOrderQty"),
        market_max_quantity=_limit(lot.max_market_order_qty, "maxMarketOrderQty"),
        market_step_size=step,
        quote_step_size=_limit(lot.quote_precision, "quotePrecision"),
        min_notional=_limit(lot.min_order_amt, "minOrderAmt"),
        max_open_orders=OPEN_ORDERS_MAX,
    )


def _positive(value: str, field: str) -> Decimal:
    number = dec(value, field)
    if number <= 0:
        raise ValueError(f"{field}: {value!r} is not positive")
    return number


def _limit(value: str, field: str) -> Decimal | None:
    """A limit, None where Bybit sets none: left out, empty or zero."""
    if not value:
        return None
    number = dec(value, field)
    if number < 0:
        raise ValueError(f"{field}: {value!r} is negative")
    return number or None
