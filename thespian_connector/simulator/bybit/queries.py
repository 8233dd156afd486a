"""What may be asked about orders and fills (v5 docs: "Get Open & Closed Orders", "Get Order History", "Get Trade
History"). Ids come before every other filter: orderId before orderLinkId before symbol.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from itertools import accumulate
from typing import Any, TypeVar
from urllib.parse import quote

from thespian_connector.simulator.orders import OrderFill, SimOrder

from . import refusals as no
from .envelope import PARAMETER_ERROR, VenueError
from .order_params import LINKED_FILTERS, ORDER_FILTERS
from .order_views import fill_item, listed_order, status
from .settings import FEE_RATE
from .trading import Trading, filter_of

ORDERS_MAX, ORDERS_DEFAULT = 50, 20
FILLS_MAX, FILLS_DEFAULT = 100, 50
_DAY_MS = 86_400_000
_WEEK_MS = 7 * _DAY_MS
_MS = 1_000_000
#: Orders that ended so without a fill are forgotten after a day, others after a week.
_SHORT_LIVED = ("Cancelled", "Rejected", "Deactivated")
_Item = TypeVar("_Item")
_CURSOR = re.compile(r"[\d-]{1,60}:\d{1,20},([\d-]{1,60}):\d{1,20}")


class Query:
    """The parameters of a GET, checked.

    :raises VenueError: 10001 for a wrong one, by every method.
    """

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values

    def get(self, name: str) -> str:
        """A parameter, empty if it was not sent."""
        return self._values.get(name, "")

    def integer(self, name: str, default: int, lowest: int, highest: int) -> int:
        """A whole number in a range."""
        value = self.get(name)
        if not value:
            return default
        if not (value.isascii() and value.isdigit()) or len(value) > 19 or not lowest <= int(value) <= highest:
            raise VenueError(PARAMETER_ERROR, f"params error: {name} is invalid")
        return int(value)

    def spot(self) -> bool:
        """Whether the category is spot; another known one has nothing to list."""
        category = self.get("category")
        if category not in ("spot", "linear", "inverse", "option"):
            raise VenueError(PARAMETER_ERROR, "params error: Category is invalid")
        return category == "spot"

    def period(self, now_ms: int) -> tuple[int, int]:
        """``startTime`` to ``endTime``: a week at most, the last week unless it is said otherwise."""
        start, end = self.integer("startTime", -1, 0, 2**62), self.integer("endTime", -1, 0, 2**62)
        if start < 0 and end < 0:
            return now_ms - _WEEK_MS, now_ms
        start = end - _WEEK_MS if start < 0 else start
        end = start + _WEEK_MS if end < 0 else end
        if not 0 <= end - start <= _WEEK_MS:
            raise VenueError(PARAMETER_ERROR, "The time range between startTime and endTime cannot exceed 7 days.")
        return start, end


class Queries:
    """Answers them. Each returns ``result``."""

    def __init__(self, trading: Trading) -> None:
        self._trading = trading
        self._venue = trading.venue

    def realtime(self, query: Query) -> dict[str, Any]:
        """Open orders (or with ``openOnly=1`` closed ones), newest first; with an id both kinds are searched."""
        open_only = query.integer("openOnly", 0, 0, 2)
        limit = query.integer("limit", ORDERS_DEFAULT, 1, ORDERS_MAX)
        mine = self._venue.account.api_key
        closed = [order for order in reversed(self._trading.closed) if not self._hidden(order)]
        opened = self._trading.desk.register.open(owner=mine, visible=True)[::-1]
        fits, named = self._filter(query), self._named(query, [*opened, *closed])
        if named is None:
            named = [order for order in (closed if open_only else opened) if fits(order)]
        return _page(named, query, limit, listed_order, _order_key)

    def history(self, query: Query) -> dict[str, Any]:
        """Closed orders by the time they were created, newest first. What ended just now may be missing yet."""
        now_ms = self._venue.now_ms()
        start, end = query.period(now_ms)
        limit = query.integer("limit", ORDERS_DEFAULT, 1, ORDERS_MAX)
        lag_ms = self._venue.setting("history_lag_ms")
        known = [
            order
            for order in self._trading.desk.register.all(owner=self._venue.account.api_key)
            if not order.open and lag_ms <= now_ms - order.updated_ns // _MS <= _kept_ms(order)
        ][::-1]
        fits, named = self._filter(query), self._named(query, known)
        if named is None:
            wanted = query.get("orderStatus")
            named = [
                order
                for order in known
                if fits(order) and wanted in ("", status(order)) and start <= order.created_ns // _MS <= end
            ]
        return _page(named, query, limit, listed_order, _order_key)

    def executions(self, query: Query) -> dict[str, Any]:
        """Fills, newest first; an id overrides all other filters."""
        now_ms = self._venue.now_ms()
        start, end = query.period(now_ms)
        limit = query.integer("limit", FILLS_DEFAULT, 1, FILLS_MAX)
        lag_ms = self._venue.setting("history_lag_ms")
        orders = [order for order in self._trading.desk.register.all(owner=self._venue.account.api_key) if order.fills]
        fits, named = self._filter(query), self._named(query, orders)
        wanted = query.get("execType") in ("", "Trade")
        fills = [
            (order, fill, filled)
            for order in (orders if named is None else named)
            for fill, filled in zip(order.fills, accumulate(fill.quantity for fill in order.fills), strict=True)
            if lag_ms <= now_ms - fill.time_ns // _MS
            and (named is not None or (wanted and fits(order) and start <= fill.time_ns // _MS <= end))
        ]
        fills.sort(key=lambda found: (found[1].time_ns, found[1].trade_id, found[0].order_id), reverse=True)
        return _page(fills, query, limit, lambda found: fill_item(*found, FEE_RATE), _fill_key)

    def _named(self, query: Query, orders: Iterable[SimOrder]) -> list[SimOrder] | None:
        """The orders of an id; None if none is asked for."""
        if not query.spot():
            return []
        order_id, link_id = query.get("orderId"), query.get("orderLinkId")
        if order_id:
            return [order for order in orders if str(order.order_id) == order_id]
        if link_id:
            return [order for order in orders if order.client_id == link_id]
        return None

    def _filter(self, query: Query) -> Callable[[SimOrder], bool]:
        """Whether an order has the category, symbol, base coin and filter that are asked for.

        :raises VenueError: 10001, 170121, 170201 for one that there is not.
        """
        spot, symbol, base = query.spot(), query.get("symbol"), query.get("baseCoin")
        order_filter = query.get("orderFilter")
        if spot and symbol and symbol not in self._venue.markets:
            raise no.refusal(no.BAD_SYMBOL)
        if order_filter and order_filter not in (*ORDER_FILTERS, *LINKED_FILTERS):
            raise no.refusal(no.BAD_ORDER_FILTER)

        def fits(order: SimOrder) -> bool:
            return (
                spot
                and symbol in ("", order.native)
                and order_filter in ("", filter_of(order))
                and base in ("", self._venue.markets[order.native].spec.base)
            )

        return fits

    def _hidden(self, order: SimOrder) -> bool:
        return self._trading.desk.register.by_id(order.native, order.order_id, visible=True) is None


def _kept_ms(order: SimOrder) -> int:
    return _DAY_MS if status(order) in _SHORT_LIVED else _WEEK_MS


def _order_key(order: SimOrder) -> tuple[str, int]:
    return str(order.order_id), order.created_ns // _MS


def _fill_key(found: tuple[SimOrder, OrderFill, Decimal]) -> tuple[str, int]:
    order, fill, _filled = found
    return f"{order.order_id}-{fill.execution_id}", fill.time_ns // _MS


def _page(
    items: list[_Item],
    query: Query,
    limit: int,
    view: Callable[[_Item], dict[str, Any]],
    key: Callable[[_Item], tuple[str, int]],
) -> dict[str, Any]:
    """A page after the cursor, with the cursor of the next one: percent-encoded already, and there also when nothing
    follows, as Bybit has it. A cursor decoded or encoded once more on its way is not understood.
    """
    cursor = query.get("cursor")
    if cursor:
        match = _CURSOR.fullmatch(cursor)
        if match is None:
            raise VenueError(PARAMETER_ERROR, "params error: cursor is invalid")
        place = next((index for index, item in enumerate(items) if key(item)[0] == match[1]), None)
        items = [] if place is None else items[place + 1 :]
    page = items[:limit]
    following = ""
    if page:
        ends = ",".join(f"{name}:{time_ms}" for name, time_ms in (key(page[0]), key(page[-1])))
        following = quote(ends, safe="")
    return {"category": "spot", "nextPageCursor": following, "list": [view(item) for item in page]}
