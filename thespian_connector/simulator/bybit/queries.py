"""What may be asked about orders and fills (v5 docs: "Get Open & Closed Orders", "Get Order History", "Get Trade
History"). Ids come before every other filter: orderId before orderLinkId before symbol.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import Any, TypeVar
from urllib.parse import quote

from thespian_connector.simulator.orders import SimOrder

from . import refusals as no
from .envelope import PARAMETER_ERROR, VenueError
from .order_params import LINKED_FILTERS, ORDER_FILTERS
from .order_views import Booked, fill_item, listed_order, status
from .settings import FEE_RATE
from .trading import Trading, filter_of

ORDERS_MAX, ORDERS_DEFAULT = 50, 20
FILLS_MAX, FILLS_DEFAULT = 100, 50
_DAY_MS = 86_400_000
_WEEK_MS = 7 * _DAY_MS
_TWO_YEARS_MS = 730 * _DAY_MS
_MS = 1_000_000
#: Orders that ended so without a fill are forgotten after a day, others after two years.
_SHORT_LIVED = ("Cancelled", "Rejected", "Deactivated")
_Item = TypeVar("_Item")
_CURSOR = re.compile(r"\d{1,20}:\d{1,20},(\d{1,20}):\d{1,20}")


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
        fits, named = self._filter(query), self._named(query)
        if named is not None:
            found = [order for order in named if order.open or order in self._trading.closed]
        elif open_only:
            closed = (order for order in self._trading.closed if fits(order) and not self._hidden(order))
            found = sorted(closed, key=lambda order: order.order_id, reverse=True)
        else:
            opened = self._trading.desk.register.open(owner=self._venue.account.api_key, visible=True)
            found = [order for order in reversed(opened) if fits(order)]
        return _page(found, query, limit, listed_order, _order_key)

    def history(self, query: Query) -> dict[str, Any]:
        """Closed orders by the time they were created, newest first. What ended just now may be missing yet."""
        now_ms = self._venue.now_ms()
        start, end = query.period(now_ms)
        limit = query.integer("limit", ORDERS_DEFAULT, 1, ORDERS_MAX)
        lag_ms = self._venue.setting("history_lag_ms")
        fits, named, wanted = self._filter(query), self._named(query), query.get("orderStatus")

        def known(order: SimOrder) -> bool:
            return not order.open and lag_ms <= now_ms - order.updated_ns // _MS <= _kept_ms(order)

        def listed(order: SimOrder) -> bool:
            within = start <= order.created_ns // _MS <= end
            return within and fits(order) and wanted in ("", status(order)) and not self._hidden(order)

        every = reversed(self._venue.orders) if named is None else named
        found = (order for order in every if known(order) and (named is not None or listed(order)))
        return _page(found, query, limit, listed_order, _order_key)

    def executions(self, query: Query) -> dict[str, Any]:
        """Fills, newest first; an id overrides all other filters."""
        now_ms = self._venue.now_ms()
        start, end = query.period(now_ms)
        limit = query.integer("limit", FILLS_DEFAULT, 1, FILLS_MAX)
        lag_ms = self._venue.setting("history_lag_ms")
        fits, named = self._filter(query), self._named(query)
        of_kind = query.get("execType") in ("", "Trade")

        def listed(one: Booked) -> bool:
            return (
                of_kind and start <= one.fill.time_ns // _MS <= end and fits(one.order) and not self._hidden(one.order)
            )

        every = reversed(self._trading.fills)
        if named is not None:
            every = reversed([one for order in named for one in self._trading.fills_of.get(order, ())])
        found = (
            one for one in every if lag_ms <= now_ms - one.fill.time_ns // _MS and (named is not None or listed(one))
        )
        return _page(found, query, limit, lambda one: fill_item(one, FEE_RATE), _fill_key)

    def _named(self, query: Query) -> list[SimOrder] | None:
        """The order of an id, or none; None if no id is asked for."""
        order_id, link_id = query.get("orderId"), query.get("orderLinkId")
        if not order_id and not link_id:
            return None
        register, found = self._trading.desk.register, None
        if not query.spot():
            return []
        if not order_id:
            found = register.by_client(None, link_id, visible=True)
        elif order_id.isascii() and order_id.isdigit() and len(order_id) < 20:
            natives = (register.by_id(native, int(order_id), visible=True) for native in self._venue.markets)
            found = next((order for order in natives if order is not None), None)
        return [] if found is None else [found]

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
    return _DAY_MS if status(order) in _SHORT_LIVED else _TWO_YEARS_MS


def _order_key(order: SimOrder) -> tuple[int, int]:
    return order.order_id, order.created_ns // _MS


def _fill_key(one: Booked) -> tuple[int, int]:
    return one.number, one.fill.time_ns // _MS


def _page(
    items: Iterable[_Item],
    query: Query,
    limit: int,
    view: Callable[[_Item], dict[str, Any]],
    key: Callable[[_Item], tuple[int, int]],
) -> dict[str, Any]:
    """A page of what the cursor left, with the cursor of the next one: percent-encoded already, and there also when
    nothing follows, as Bybit has it. A cursor that was encoded once more on its way is not understood.

    :param items: by descending numbers.
    :param key: an item's number, and its time in ms.
    """
    cursor = query.get("cursor")
    if cursor:
        match = _CURSOR.fullmatch(cursor)
        if match is None:
            raise VenueError(PARAMETER_ERROR, "params error: cursor is invalid")
        last = int(match[1])
        items = (item for item in items if key(item)[0] < last)
    page = list(islice(items, limit))
    following = ""
    if page:
        ends = ",".join(f"{number}:{time_ms}" for number, time_ms in (key(page[0]), key(page[-1])))
        following = quote(ends, safe="")
    return {"category": "spot", "nextPageCursor": following, "list": [view(item) for item in page]}
