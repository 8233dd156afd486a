"""A market's trades as Binance tells them: single, aggregated by taker and price, and as klines."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal
from itertools import groupby
from typing import Any

from thespian_connector.simulator.candles import Bar
from thespian_connector.simulator.market import TAPE_MAX, Market, SimTrade

from .names import INTERVALS_MS
from .spelling import padded

_DAY_MS = 86_400_000
#: 1970-01-01 was a Thursday; weeks begin on Mondays.
_MONDAY_MS = 4 * _DAY_MS
#: Klines made up for one stretch without trades. A longer one stays a hole.
FILLERS_MAX = 2_000


@dataclass(frozen=True, slots=True)
class AggregateTrade:
    """Trades of one taker at one price."""

    aggregate_id: int
    price: Decimal
    quantity: Decimal
    first_id: int
    last_id: int
    time_ns: int
    buyer_is_maker: bool


class Aggregates:
    """The aggregate trades of one market, as old as the tape."""

    def __init__(self, market: Market) -> None:
        self.rows: deque[AggregateTrade] = deque(maxlen=TAPE_MAX)
        self._next_id = 1
        self.add(market.tape)

    def add(self, trades: Iterable[SimTrade]) -> list[AggregateTrade]:
        """Take in trades in their order; what they make."""
        made: list[AggregateTrade] = []
        for (_, price), group in groupby(trades, key=lambda trade: (trade.taker_id, trade.price)):
            rows = list(group)
            first, last = rows[0], rows[-1]
            quantity = sum((row.quantity for row in rows), Decimal(0))
            ids = (first.trade_id, last.trade_id)
            made.append(AggregateTrade(self._next_id, price, quantity, *ids, last.time_ns, first.taker_side == "sell"))
            self._next_id += 1
        self.rows.extend(made)
        return made


def opening(interval: str, offset_ms: int = 0) -> Callable[[int], int]:
    """When the kline of a time opens (epoch milliseconds both).

    :param offset_ms: how far the time zone of the days is ahead of UTC.
    """
    width = INTERVALS_MS[interval]

    def plain(time_ms: int) -> int:
        return time_ms - (time_ms + offset_ms) % width

    def week(time_ms: int) -> int:
        return time_ms - (time_ms + offset_ms - _MONDAY_MS) % width

    def month(time_ms: int) -> int:
        day = time.gmtime((time_ms + offset_ms) // 1_000).tm_mday
        local = time_ms + offset_ms
        return local - local % _DAY_MS - (day - 1) * _DAY_MS - offset_ms

    return {"1w": week, "1M": month}.get(interval, plain)


def _closing(interval: str, offset_ms: int, open_ms: int) -> int:
    if interval != "1M":
        return open_ms + INTERVALS_MS[interval] - 1
    # Thirty-one days and a bit after any month's first is in the next month.
    return opening(interval, offset_ms)(open_ms + INTERVALS_MS[interval] + _DAY_MS) - 1


def _empty(open_ms: int, price: Decimal) -> Bar:
    zero = Decimal(0)
    return Bar(open_ms, price, price, price, price, zero, zero, zero, zero, 0, -1, -1)


def klines(market: Market, interval: str, offset_ms: int, now_ms: int) -> list[tuple[Bar, int]]:
    """Every kline with its closing time, oldest first; intervals without a trade repeat the close before them."""
    opens = opening(interval, offset_ms)
    rows: list[tuple[Bar, int]] = []
    upto = opens(now_ms)
    for bar in market.candles.bars(INTERVALS_MS[interval], opens):
        _fill(rows, bar.open_ms, interval, offset_ms)
        rows.append((bar, _closing(interval, offset_ms, bar.open_ms)))
    _fill(rows, upto + 1, interval, offset_ms)
    return rows


def _fill(rows: list[tuple[Bar, int]], upto_ms: int, interval: str, offset_ms: int) -> None:
    """Add klines without a trade after the last one, for all that open before `upto_ms`."""
    for _ in range(FILLERS_MAX):
        if not rows or rows[-1][1] + 1 >= upto_ms:
            return
        before, closed = rows[-1]
        rows.append((_empty(closed + 1, before.close), _closing(interval, offset_ms, closed + 1)))


def trade_row(trade: SimTrade, factor: int = 1) -> dict[str, Any]:
    """As REST trades tells it."""
    return {
        "id": trade.trade_id,
        "price": padded(trade.price),
        "qty": padded(trade.quantity),
        "quoteQty": padded(trade.price * trade.quantity),
        "time": trade.time_ns * factor // 1_000_000,
        "isBuyerMaker": trade.taker_side == "sell",
        "isBestMatch": True,
    }


def aggregate_row(row: AggregateTrade, factor: int = 1) -> dict[str, Any]:
    """As REST aggTrades tells it; the stream adds e, E and s."""
    return {
        "a": row.aggregate_id,
        "p": padded(row.price),
        "q": padded(row.quantity),
        "f": row.first_id,
        "l": row.last_id,
        "T": row.time_ns * factor // 1_000_000,
        "m": row.buyer_is_maker,
        "M": True,
    }


def trade_event(native: str, trade: SimTrade, event_us: int, factor: int) -> dict[str, Any]:
    """As ``<s>@trade`` tells it."""
    return {
        "e": "trade",
        "E": event_us * factor // 1_000,
        "s": native,
        "t": trade.trade_id,
        "p": padded(trade.price),
        "q": padded(trade.quantity),
        "T": trade.time_ns * factor // 1_000_000,
        "m": trade.taker_side == "sell",
        "M": True,
    }


def aggregate_event(native: str, row: AggregateTrade, event_us: int, factor: int) -> dict[str, Any]:
    """As ``<s>@aggTrade`` tells it."""
    return {"e": "aggTrade", "E": event_us * factor // 1_000, "s": native, **aggregate_row(row, factor)}
