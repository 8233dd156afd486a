"""The public REST endpoints: what each costs, takes and answers."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from thespian_connector.simulator.candles import Bar
from thespian_connector.simulator.venue import Venue

from . import tickers
from .errors import ApiError, exclusive, invalid, missing
from .feeds import Feeds
from .info import exchange_info, status
from .names import INTERVALS_MS
from .params import Params
from .settings import DEPTH_MAX
from .spelling import padded
from .tape import aggregate_row, klines, trade_row

_Row = TypeVar("_Row")
_WINDOW = re.compile(r"([1-9][0-9]?)([mhd])")
_WINDOW_UNITS = {"m": (59, 60_000), "h": (23, 3_600_000), "d": (7, 86_400_000)}
_ZONE = re.compile(r"([+-]?)(\d{1,2})(?::([0-5]\d))?")
_SPOT_PERMISSIONS = ("SPOT", "TRD_GRP_004")


@dataclass(frozen=True)
class Call:
    """A request that passed the limits. `factor`: 1, or 1000 if the client wants microseconds."""

    params: Params
    now_ns: int
    factor: int

    @property
    def now_ms(self) -> int:
        return self.now_ns // 1_000_000

    @property
    def stamp(self) -> int:
        """The time as the client wants it."""
        return self.now_ns * self.factor // 1_000_000


def depth_weight(limit: str | None) -> int:
    """5, 25, 50 or 250 by the levels asked for."""
    levels = int(limit) if limit is not None and limit.isdecimal() else 100
    return 5 if levels <= 100 else 25 if levels <= 500 else 50 if levels <= 1_000 else 250


def day_weight(symbols: int) -> int:
    """Of ticker/24hr for so many symbols, 0 for all."""
    return 80 if symbols == 0 or symbols > 100 else 2 if symbols <= 20 else 40


class MarketData:
    """The handlers. Each returns a document, or the bytes of one."""

    def __init__(self, venue: Venue, feeds: Feeds) -> None:
        self._venue = venue
        self._feeds = feeds

    def ping(self, call: Call) -> Any:
        return {}

    def time(self, call: Call) -> Any:
        return {"serverTime": call.stamp}

    def exchange_info(self, call: Call) -> Any:
        params = call.params
        wanted = params.status()
        permissions = params.text("permissions")
        for name, value in (("permissions", permissions), ("symbolStatus", wanted)):
            if value is not None and params.named():
                raise exclusive("symbol(s)", name)
        natives, _ = params.symbols()
        if permissions is not None and not any(word in permissions for word in _SPOT_PERMISSIONS):
            natives = []
        sets = params.choice("showPermissionSets", ("true", "false"), invalid("showPermissionSets")) != "false"
        return exchange_info(self._venue, natives, call.stamp, permission_sets=sets, wanted_status=wanted)

    def _one(self, call: Call) -> str:
        """The symbol of a request for one, in the status that the request asks for."""
        native = call.params.symbol()
        wanted = call.params.status()
        if wanted not in (None, status(self._venue, native)):
            raise ApiError(-1220, "The symbol's status does not match the requested symbolStatus.")
        return native

    def _many(self, call: Call) -> tuple[list[str], bool]:
        natives, single = call.params.symbols()
        wanted = call.params.status()
        if single:
            return [self._one(call)], True
        return [native for native in natives if wanted in (None, status(self._venue, native))], False

    def depth(self, call: Call) -> Any:
        native = self._one(call)
        limit = call.params.limit(100, DEPTH_MAX)
        book = self._feeds.books[native]
        # Snapshots come from a cache that may lag the stream; the fault makes it lag for certain.
        fault = self._venue.faults.matching(
            self._venue.name, "rest", op="depth", symbol=native, kinds=("visibility_delay",)
        )
        if fault is not None and fault.op == "depth":
            fault.fire()
            return book.snapshot_before(limit, fault.params["delay_ms"])
        return book.snapshot(limit)

    def trades(self, call: Call) -> Any:
        market = self._venue.markets[call.params.symbol()]
        rows = list(market.tape)[-call.params.limit() :]
        return [trade_row(row, call.factor) for row in rows]

    def historical_trades(self, call: Call) -> Any:
        market = self._venue.markets[call.params.symbol()]
        limit = call.params.limit()
        first = call.params.integer("fromId")
        rows = list(market.tape)
        if first is not None:
            rows = [row for row in rows if row.trade_id >= first][:limit]
        return [trade_row(row, call.factor) for row in rows[-limit:]]

    def agg_trades(self, call: Call) -> Any:
        params = call.params
        native = params.symbol()
        limit = params.limit()
        first, start, end = params.integer("fromId"), params.time_ms("startTime"), params.time_ms("endTime")
        rows = list(self._feeds.aggregates[native].rows)
        if first is not None:
            if start is not None or end is not None:
                raise exclusive("fromId", "startTime/endTime")
            rows = [row for row in rows if row.aggregate_id >= first][:limit]
        else:
            rows = ranged(rows, start, end, limit, lambda row: row.time_ns // 1_000_000)
        return [aggregate_row(row, call.factor) for row in rows]

    def klines(self, call: Call) -> Any:
        params = call.params
        native = params.symbol()
        interval = params.text("interval")
        if interval is None:
            raise missing("interval")
        if interval not in INTERVALS_MS:
            raise ApiError(-1120, "Invalid interval.")
        offset_ms = time_zone_ms(params.text("timeZone"))
        limit, start, end = params.limit(), params.time_ms("startTime"), params.time_ms("endTime")
        rows = klines(self._venue.markets[native], interval, offset_ms, call.now_ms)
        return [
            kline_row(bar, close_ms, call.factor)
            for bar, close_ms in ranged(rows, start, end, limit, lambda row: row[0].open_ms)
        ]

    def avg_price(self, call: Call) -> Any:
        price, last_ms = tickers.average(self._venue.markets[call.params.symbol()], call.now_ms)
        return {"mins": tickers.AVERAGE_MINUTES, "price": price, "closeTime": last_ms * call.factor}

    def ticker_day(self, call: Call) -> Any:
        full = _full(call.params)
        natives, single = self._many(call)
        rows = [
            tickers.statistics(self._feeds.books[native], call.now_ms, full=full, factor=call.factor)
            for native in natives
        ]
        return rows[0] if single else rows

    def ticker(self, call: Call) -> Any:
        full = _full(call.params)
        if not call.params.named():
            raise missing("symbol")
        window_ms = rolling_window_ms(call.params.text("windowSize") or "1d")
        natives, single = self._many(call)
        rows = [
            tickers.statistics(
                self._feeds.books[native],
                call.now_ms,
                window_ms=window_ms,
                full=full,
                with_book=False,
                factor=call.factor,
            )
            for native in natives
        ]
        return rows[0] if single else rows

    def ticker_price(self, call: Call) -> Any:
        natives, single = self._many(call)
        rows = [tickers.price_ticker(self._feeds.books[native]) for native in natives]
        return rows[0] if single else rows

    def ticker_book(self, call: Call) -> Any:
        natives, single = self._many(call)
        rows = [tickers.book_ticker(self._feeds.books[native]) for native in natives]
        return rows[0] if single else rows


def _full(params: Params) -> bool:
    return params.choice("type", ("FULL", "MINI"), ApiError(-1139, "Invalid ticker type.")) != "MINI"


def ranged(
    rows: Sequence[_Row], start: int | None, end: int | None, limit: int, time_of: Callable[[_Row], int]
) -> list[_Row]:
    """Binance's rule for ranges: none: the latest; a start: the oldest from there; only an end: the latest up to it."""
    chosen = [row for row in rows if (start is None or time_of(row) >= start) and (end is None or time_of(row) <= end)]
    return chosen[:limit] if start is not None else chosen[-limit:]


def time_zone_ms(text: str | None) -> int:
    """``-1:00``, ``05:45``, ``8`` -> milliseconds ahead of UTC, from -12:00 to +14:00."""
    if text is None:
        return 0
    match = _ZONE.fullmatch(text)
    if match is not None:
        minutes = int(match[2]) * 60 + int(match[3] or 0)
        minutes = -minutes if match[1] == "-" else minutes
        if -720 <= minutes <= 840:
            return minutes * 60_000
    raise invalid("timeZone")


def rolling_window_ms(text: str) -> int:
    """``15m``, ``4h``, ``7d`` -> milliseconds."""
    match = _WINDOW.fullmatch(text)
    if match is not None and int(match[1]) <= _WINDOW_UNITS[match[2]][0]:
        return int(match[1]) * _WINDOW_UNITS[match[2]][1]
    raise invalid("windowSize")


def kline_row(bar: Bar, close_ms: int, factor: int) -> list[Any]:
    """``[openTime,o,h,l,c,volume,closeTime,quoteVolume,trades,takerBase,takerQuote,"0"]``"""
    return [
        bar.open_ms * factor,
        padded(bar.open),
        padded(bar.high),
        padded(bar.low),
        padded(bar.close),
        padded(bar.volume),
        close_ms * factor + (factor - 1),
        padded(bar.turnover),
        bar.count,
        padded(bar.buy_volume),
        padded(bar.buy_turnover),
        "0",
    ]


@dataclass(frozen=True)
class Endpoint:
    """A path below /api/v3, what a request to it costs, and the parameters it knows."""

    path: str
    handler: Callable[[MarketData, Call], Any]
    weight: Callable[[Params], int]
    known: tuple[str, ...] = ()


def _costs(weight: int) -> Callable[[Params], int]:
    def always(params: Params) -> int:
        return weight

    return always


def _ticker_weight(params: Params) -> int:
    return 2 if params.single() else 4


_SYMBOLS = ("symbol", "symbols", "symbolStatus")
_RANGE = ("startTime", "endTime", "limit")
_KLINES = ("symbol", "interval", "timeZone", *_RANGE)
ENDPOINTS = (
    Endpoint("ping", MarketData.ping, _costs(1)),
    Endpoint("time", MarketData.time, _costs(1)),
    Endpoint(
        "exchangeInfo",
        MarketData.exchange_info,
        _costs(20),
        (*_SYMBOLS, "permissions", "showPermissionSets"),
    ),
    Endpoint(
        "depth", MarketData.depth, lambda params: depth_weight(params.raw("limit")), ("symbol", "limit", "symbolStatus")
    ),
    Endpoint("trades", MarketData.trades, _costs(25), ("symbol", "limit")),
    Endpoint("historicalTrades", MarketData.historical_trades, _costs(25), ("symbol", "limit", "fromId")),
    Endpoint("aggTrades", MarketData.agg_trades, _costs(4), ("symbol", "fromId", *_RANGE)),
    Endpoint("klines", MarketData.klines, _costs(2), _KLINES),
    Endpoint("uiKlines", MarketData.klines, _costs(2), _KLINES),
    Endpoint("avgPrice", MarketData.avg_price, _costs(2), ("symbol",)),
    Endpoint("ticker/24hr", MarketData.ticker_day, lambda params: day_weight(params.named()), (*_SYMBOLS, "type")),
    Endpoint("ticker/price", MarketData.ticker_price, _ticker_weight, _SYMBOLS),
    Endpoint("ticker/bookTicker", MarketData.ticker_book, _ticker_weight, _SYMBOLS),
    Endpoint(
        "ticker",
        MarketData.ticker,
        lambda params: min(200, 4 * max(1, params.named())),
        (*_SYMBOLS, "windowSize", "type"),
    ),
)
