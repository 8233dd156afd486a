"""Reliable exchange connectivity for trading engines: Binance Spot and Bybit v5 Spot, supervised, exact, one API.

    from thespian_connector import Connector

    with Connector.start("config/paper.toml") as c:
        print(c.order_book("binance", "BTC/USDT", depth=5))

Names are loaded when first asked for: a program that only wants a driver pays for no more, and the command line minds
Ctrl-C before anything is loaded that takes time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .connector import Connector
    from .model import (
        CONTEXT,
        Balance,
        BestPrices,
        BestSide,
        BookSource,
        BookStatus,
        Channel,
        ConnectorError,
        Environment,
        ExecType,
        FeeRates,
        Fill,
        Instrument,
        InstrumentStatus,
        Level,
        MergedBook,
        MergedLevel,
        NewOrder,
        Order,
        OrderBook,
        OrderStatus,
        OrderType,
        Position,
        Side,
        Ticker,
        TimeInForce,
        Trade,
        Trust,
        canonical,
        dec,
        is_multiple,
        plain,
        quantize_down,
        quantize_half_even,
        quantize_up,
        text,
        to_json,
    )

__all__ = [
    "CONTEXT",
    "Balance",
    "BestPrices",
    "BestSide",
    "BookSource",
    "BookStatus",
    "Channel",
    "Connector",
    "ConnectorError",
    "Environment",
    "ExecType",
    "FeeRates",
    "Fill",
    "Instrument",
    "InstrumentStatus",
    "Level",
    "MergedBook",
    "MergedLevel",
    "NewOrder",
    "Order",
    "OrderBook",
    "OrderStatus",
    "OrderType",
    "Position",
    "Side",
    "Ticker",
    "TimeInForce",
    "Trade",
    "Trust",
    "canonical",
    "dec",
    "is_multiple",
    "plain",
    "quantize_down",
    "quantize_half_even",
    "quantize_up",
    "text",
    "to_json",
]


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name in ("connector", "model"):
        return import_module(f"{__name__}.{name}")
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{'connector' if name == 'Connector' else 'model'}"), name)
