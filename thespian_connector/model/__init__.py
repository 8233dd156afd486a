"""What every part of the package speaks of: exact money, instruments, market data, orders, accounts, errors.

Pure: no socket, no clock, no thread. Every record is a frozen :class:`msgspec.Struct` that survives pickle, msgpack
and JSON exactly; money is :class:`decimal.Decimal`, times are integer nanoseconds since the epoch (``_ns``).
"""

from .accounts import Balance, FeeRates, Position
from .decimals import CONTEXT, canonical, dec, is_multiple, quantize_down, quantize_half_even, quantize_up, text
from .documents import plain, to_json
from .enums import Channel, Environment, ExecType, InstrumentStatus, OrderStatus, OrderType, Side, TimeInForce, Trust
from .errors import ConnectorError
from .instruments import Instrument
from .market import (
    BestPrices,
    BestSide,
    BookSource,
    BookStatus,
    Level,
    MergedBook,
    MergedLevel,
    OrderBook,
    Ticker,
    Trade,
)
from .orders import Fill, NewOrder, Order

__all__ = [
    "CONTEXT",
    "Balance",
    "BestPrices",
    "BestSide",
    "BookSource",
    "BookStatus",
    "Channel",
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
