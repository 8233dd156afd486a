"""Binance's private reads: orders, trades, the account. The same for REST and for the WebSocket API."""

from __future__ import annotations

from thespian_connector.simulator.desk import Desk
from thespian_connector.simulator.orders import OrderFill, SimOrder
from thespian_connector.simulator.venue import Venue

from . import reports
from .errors import ApiError, invalid
from .info import filters
from .ordercount import OrderCount
from .spelling import amount, padded
from .trading import Outcome, PrivateCall, Trading

DAY_MS = 86_400_000
#: The combinations of myTrades besides the symbol; any other is refused with -1128.
_TRADE_COMBINATIONS = (
    (),
    ("orderId",),
    ("startTime",),
    ("endTime",),
    ("fromId",),
    ("startTime", "endTime"),
    ("orderId", "fromId"),
)


class Queries:
    """The reads of one venue."""

    def __init__(self, venue: Venue, desk: Desk, trading: Trading, counts: OrderCount) -> None:
        self._venue = venue
        self._desk = desk
        self._trading = trading
        self._counts = counts

    def order(self, call: PrivateCall) -> Outcome:
        """GET order."""
        order = self._trading.find(call, visible=True)
        if order is None:
            raise ApiError(-2013, "Order does not exist.")
        return Outcome(reports.queried(order, call.factor), order)

    def open_orders(self, call: PrivateCall) -> Outcome:
        """GET openOrders, of one symbol or of all."""
        native = call.params.symbol() if call.params.raw("symbol") is not None else None
        orders = self._desk.register.open(native, owner=call.account.api_key, visible=True)
        return Outcome([reports.queried(order, call.factor) for order in orders])

    def all_orders(self, call: PrivateCall) -> Outcome:
        """GET allOrders: from an order id on, or of a time, or the newest."""
        native, limit = call.params.symbol(), call.params.limit()
        from_id = call.params.integer("orderId")
        start, end = self._range(call)
        orders = [
            order
            for order in self._desk.register.all(native, owner=call.account.api_key)
            if (from_id is None or order.order_id >= from_id) and _within(order.created_ns, start, end)
        ]
        chosen = orders[:limit] if from_id is not None or start is not None else orders[-limit:]
        return Outcome([reports.queried(order, call.factor) for order in chosen])

    def _range(self, call: PrivateCall) -> tuple[int | None, int | None]:
        start, end = call.params.time_ms("startTime"), call.params.time_ms("endTime")
        if start is not None and end is not None:
            if end < start:
                raise invalid("endTime")
            if end - start > DAY_MS:
                raise ApiError(-1127, "More than 24 hours between startTime and endTime.")
        return start, end

    def my_trades(self, call: PrivateCall) -> Outcome:
        """GET myTrades: from a trade id on, or of an order or a time, or the newest."""
        native, limit = call.params.symbol(), call.params.limit()
        names = ("orderId", "startTime", "endTime", "fromId")
        sent = tuple(name for name in names if call.params.text(name) is not None)
        timed = tuple(name for name in sent if name != "orderId")
        if sent not in _TRADE_COMBINATIONS and (timed not in _TRADE_COMBINATIONS or "fromId" in timed):
            raise ApiError(-1128, "Combination of optional parameters invalid.")
        order_id, from_id = call.params.integer("orderId"), call.params.integer("fromId")
        start, end = self._range(call)
        rows: list[tuple[SimOrder, OrderFill]] = [
            (order, fill)
            for order in self._desk.register.all(native, owner=call.account.api_key)
            if order_id in (None, order.order_id)
            for fill in order.fills
            if (from_id is None or fill.trade_id >= from_id) and _within(fill.time_ns, start, end)
        ]
        rows.sort(key=lambda row: row[1].trade_id)
        chosen = rows[:limit] if from_id is not None or start is not None else rows[-limit:]
        return Outcome([reports.trade(order, fill, call.factor) for order, fill in chosen])

    def account(self, call: PrivateCall) -> Outcome:
        """GET account."""
        wanted = call.params.choice("omitZeroBalances", ("true", "false"), invalid("omitZeroBalances"))
        rules, account = self._desk.rules, call.account
        balances = [
            {"asset": asset, "free": amount(free), "locked": amount(account.locked[asset])}
            for asset, free in account.free.items()
            if wanted != "true" or free or account.locked[asset]
        ]
        return Outcome(
            {
                "makerCommission": int(rules.maker_fee * 10_000),
                "takerCommission": int(rules.taker_fee * 10_000),
                "buyerCommission": 0,
                "sellerCommission": 0,
                "commissionRates": {
                    "maker": padded(rules.maker_fee),
                    "taker": padded(rules.taker_fee),
                    "buyer": "0.00000000",
                    "seller": "0.00000000",
                },
                "canTrade": True,
                "canWithdraw": False,
                "canDeposit": False,
                "brokered": False,
                "requireSelfTradePrevention": False,
                "preventSor": False,
                "updateTime": call.now_ms * call.factor,
                "accountType": "SPOT",
                "balances": balances,
                "permissions": ["SPOT"],
                "uid": 354937868,
            }
        )

    def order_counts(self, call: PrivateCall) -> Outcome:
        """GET rateLimit/order."""
        return Outcome(self._counts.rows(call.account.api_key))

    def my_filters(self, call: PrivateCall) -> Outcome:
        """GET myFilters: those of the symbol; no asset is limited."""
        market = self._venue.markets[call.params.symbol()]
        return Outcome({"exchangeFilters": [], "symbolFilters": filters(market.spec), "assetFilters": []})


def _within(time_ns: int, start_ms: int | None, end_ms: int | None) -> bool:
    time_ms = time_ns // 1_000_000
    return (start_ms is None or time_ms >= start_ms) and (end_ms is None or time_ms <= end_ms)
