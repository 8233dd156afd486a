"""Bybit's public REST endpoints for spot (v5 docs: "Market").

Parameters are checked as Bybit does: a missing or unknown category, symbol or interval and a limit out of range answer
10001 with HTTP 200.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aiohttp import web

from thespian_connector.model.decimals import text
from thespian_connector.simulator.market import Market
from thespian_connector.simulator.venue import Venue

from . import data
from .envelope import PARAMETER_ERROR, ROUTE_NOT_FOUND, VenueError, failure, success
from .hub import REST_DEPTH, Hub
from .settings import FULL_DEPTH_MAX
from .topics import INTERVALS

CATEGORIES = ("spot", "linear", "inverse", "option")
STATUSES = ("Trading", "PreLaunch", "Delivering", "Closed", "Settling")
KLINE_LIMIT_MAX = 1000
KLINE_LIMIT_DEFAULT = 200


class Params:
    """The query of a request, checked."""

    def __init__(self, request: web.Request, venue: Venue) -> None:
        self._query = request.query
        self._venue = venue

    def get(self, name: str) -> str:
        """A parameter, empty if it was not sent."""
        return self._query.get(name, "")

    def category(self, default: str = "") -> str:
        """The product category.

        :raises VenueError: 10001 for a missing or unknown one.
        """
        category = self.get("category") or default
        if category not in CATEGORIES:
            raise VenueError(PARAMETER_ERROR, "params error: Category is invalid")
        return category

    def market(self, default_category: str = "") -> Market:
        """The market that category and symbol name.

        :raises VenueError: 10001 for a category without markets (all but spot here) or an unknown symbol.
        """
        category, symbol = self.category(default_category), self.get("symbol")
        market = self._venue.markets.get(symbol) if category == "spot" else None
        if market is None:
            raise VenueError(PARAMETER_ERROR, "Not supported symbols" if symbol else "params error: Symbol is invalid")
        return market

    def integer(self, name: str, default: int, lowest: int, highest: int) -> int:
        """A whole number in a range.

        :raises VenueError: 10001 for anything else.
        """
        value = self.get(name)
        if not value:
            return default
        if not (value.isascii() and value.isdigit()) or not lowest <= int(value[:20]) <= highest:
            raise VenueError(PARAMETER_ERROR, f"params error: {name} is invalid")
        return int(value)


class Rest:
    """The handlers. Each returns the ``result`` of the answer."""

    def __init__(self, venue: Venue, hub: Hub) -> None:
        self._venue = venue
        self._hub = hub

    def routes(self) -> list[web.RouteDef]:
        """Every path with its handler."""
        handlers: dict[str, Callable[[Params], dict[str, Any]]] = {
            "time": self.time,
            "instruments-info": self.instruments,
            "orderbook": self.order_book,
            "full_orderbook": self.full_order_book,
            "tickers": self.tickers,
            "recent-trade": self.recent_trades,
            "kline": self.klines,
            "price-limit": self.price_limit,
        }
        return [web.get(f"/v5/market/{name}", self._answer(handler)) for name, handler in handlers.items()]

    def _answer(self, handler: Callable[[Params], dict[str, Any]]) -> Callable[[web.Request], Any]:
        async def answer(request: web.Request) -> web.Response:
            try:
                body = success(handler(Params(request, self._venue)), self._venue.now_ms())
            except VenueError as error:
                body = failure(error.code, error.message, self._venue.now_ms())
            return web.Response(body=body, content_type="application/json")

        return answer

    def not_found(self) -> web.Response:
        """No such path, or not by this method."""
        body = failure(ROUTE_NOT_FOUND, "Route not found.", self._venue.now_ms())
        return web.Response(status=404, body=body, content_type="application/json")

    def time(self, _params: Params) -> dict[str, Any]:
        now_ns = self._venue.now_ns(op="time")
        return {"timeSecond": str(now_ns // 1_000_000_000), "timeNano": str(now_ns)}

    def instruments(self, params: Params) -> dict[str, Any]:
        category, symbol, status = params.category(), params.get("symbol"), params.get("status")
        if status and status not in STATUSES:
            raise VenueError(PARAMETER_ERROR, "params error: Status is invalid")
        if category != "spot":
            return {"category": category, "list": [], "nextPageCursor": ""}
        if symbol and symbol not in self._venue.markets:
            raise VenueError(PARAMETER_ERROR, "Not supported symbols")
        listed = [
            data.instrument(market.spec, number)
            for number, (native, market) in enumerate(self._venue.markets.items(), start=1)
            if symbol in ("", native) and status in ("", "Trading")
        ]
        return {"category": category, "list": listed}

    def order_book(self, params: Params) -> dict[str, Any]:
        market, limit = params.market(), params.integer("limit", 1, 1, REST_DEPTH)
        feed = self._hub.depth(market.spec.native)
        return {
            "s": market.spec.native,
            "b": feed.spell(feed.bids[:limit]),
            "a": feed.spell(feed.asks[:limit]),
            "ts": self._venue.now_ms(),
            "u": feed.update_id,
            "seq": data.sequence(feed.batch_id),
            "cts": feed.engine_ns // 1_000_000,
        }

    def full_order_book(self, params: Params) -> dict[str, Any]:
        market = params.market()
        feed = self._hub.full(market.spec.native)
        sides = market.levels_at(feed.batch_id)
        assert sides is not None, "the stream's last tick is younger than what history keeps"
        bids, asks = ([(text(price), text(size)) for price, size in side[:FULL_DEPTH_MAX]] for side in sides)
        return {
            "s": market.spec.native,
            "b": bids,
            "a": asks,
            "ts": self._venue.now_ms(),
            "u": feed.update_id,
            "seq": data.sequence(feed.batch_id),
            "cts": feed.engine_ns // 1_000_000,
        }

    def tickers(self, params: Params) -> dict[str, Any]:
        category = params.category()
        if params.get("symbol"):
            markets = [params.market()]
        else:
            markets = list(self._venue.markets.values()) if category == "spot" else []
        now_ms = self._venue.now_ms()
        return {
            "category": category,
            "list": [data.rest_ticker(market, self._venue.markets, now_ms) for market in markets],
        }

    def recent_trades(self, params: Params) -> dict[str, Any]:
        market = params.market()
        limit = params.integer("limit", data.RECENT_TRADES_MAX, 1, data.RECENT_TRADES_MAX)
        return {"category": "spot", "list": self._hub.tapes[market.spec.native].recent(limit)}

    def klines(self, params: Params) -> dict[str, Any]:
        market = params.market(default_category="linear")
        interval = params.get("interval")
        if interval not in INTERVALS:
            raise VenueError(PARAMETER_ERROR, "params error: Interval is invalid")
        limit = params.integer("limit", KLINE_LIMIT_DEFAULT, 1, KLINE_LIMIT_MAX)
        start, end = params.integer("start", 0, 0, 2**62), params.integer("end", 2**62, 0, 2**62)
        bars = [bar for bar in data.klines(market, interval) if start <= bar.open_ms <= end]
        rows = [
            [str(bar.open_ms), *map(text, (bar.open, bar.high, bar.low, bar.close, bar.volume, bar.turnover))]
            for bar in bars[: -limit - 1 : -1]
        ]
        return {"category": "spot", "symbol": market.spec.native, "list": rows}

    def price_limit(self, params: Params) -> dict[str, Any]:
        market = params.market(default_category="linear")
        buy, sell = data.price_limits(market)
        now = str(self._venue.now_ms())
        return {"symbol": market.spec.native, "buyLmt": buy, "sellLmt": sell, "ts": now}
