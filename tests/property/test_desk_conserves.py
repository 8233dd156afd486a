"""Whatever is ordered: no unit of any asset comes from nowhere or is lost, and the book keeps price-time priority."""

from __future__ import annotations

import itertools
from collections import defaultdict
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from thespian_connector.model.enums import OrderStatus, OrderType, Side, TimeInForce
from thespian_connector.simulator.desk import Desk, DeskRules
from thespian_connector.simulator.faults import Faults
from thespian_connector.simulator.market import Market
from thespian_connector.simulator.orders import OrderEvent, Refused, SelfTrade, SimOrder, Ticket
from thespian_connector.simulator.venue import Venue, seeded_account
from thespian_connector.simulator.world import market_spec

D = Decimal
NATIVE = "BTCUSDT"
CENTRE = 6_000_000

_side = st.sampled_from(Side)
_quantity = st.integers(1, 3_000_000)
_price = st.integers(CENTRE - 8, CENTRE + 8)
_flow = st.tuples(st.just("flow"), _side, _quantity, st.none() | _price)
_kind = st.sampled_from(("limit", "limit", "limit", "market", "quote", "maker", "stop", "stop_market"))
_place = st.tuples(
    st.just("place"), _side, _quantity, _price, _kind, st.sampled_from(TimeInForce), st.sampled_from(SelfTrade), _price
)
_cancel = st.tuples(st.just("cancel"), st.integers(0, 40))
_amend = st.tuples(st.just("amend"), st.integers(0, 40), _quantity, st.none() | _price)
_steps = st.lists(_flow | _place | _place | _cancel | _amend, max_size=60)


class Play:
    """A desk under random orders, and what must be true of it at any time."""

    def __init__(self, rules: dict[str, Any]) -> None:
        self.market = Market(market_spec("binance", "BTC/USDT", 10))
        self.venue = Venue(
            "binance", {NATIVE: self.market}, Faults(("binance",), lambda: 0), account=seeded_account(1, "binance")
        )
        numbers, self.ids = itertools.count(1), itertools.count(1)
        self.desk = Desk(
            self.venue,
            DeskRules(
                order_id=lambda native: next(numbers),
                execution_id=lambda trade_id, maker: f"{trade_id}{'m' if maker else 't'}",
                maker_fee=D("0.001"),
                taker_fee=D("0.00123456789"),
                fee_step=D("0.00000001"),
                **rules,
            ),
        )
        self.events: list[OrderEvent] = []
        self.desk.on_order.append(self.events.append)
        self.told: dict[str, tuple[Decimal, Decimal]] = {}
        self.desk.on_balances.append(
            lambda account, assets: self.told.update({a: (account.free[a], account.locked[a]) for a in assets})
        )

    def step(self, what: str, *details: Any) -> None:
        try:
            getattr(self, what)(*details)
        except Refused:
            assert what != "flow"

    def flow(self, side: Side, quantity: int, price: int | None) -> None:
        self.market.submit(side is Side.BUY, quantity, price, now_ns=1, owner="")
        self.market.commit(1)

    def place(
        self, side: Side, quantity: int, price: int, kind: str, tif: TimeInForce, mode: SelfTrade, stop: int
    ) -> None:
        spec = self.market.spec
        types = {"limit": OrderType.LIMIT, "maker": OrderType.LIMIT_MAKER, "stop": OrderType.STOP_LIMIT}
        kind_of = types.get(kind, OrderType.MARKET)
        amount = quantity * spec.step
        last = self.market.last_trade()
        order = self.desk.place(
            Ticket(
                client_id=f"c{next(self.ids)}",
                native=NATIVE,
                side=side,
                type=kind_of,
                quantity=None if kind == "quote" else amount,
                quote_quantity=amount * 60_000 + D("0.003") if kind == "quote" else None,
                price=None if kind_of is OrderType.MARKET else price * spec.tick,
                stop_price=stop * spec.tick if kind.startswith("stop") else None,
                trigger_above=last is None or stop * spec.tick > last.price,
                time_in_force=TimeInForce.GTC if kind == "maker" else tif,
                self_trade=mode,
            )
        )
        if tif is TimeInForce.FOK and kind == "limit" and mode is not SelfTrade.DECREMENT:
            assert order.filled in (0, order.quantity), "all or nothing"

    def cancel(self, number: int) -> None:
        if self.venue.orders:
            self.desk.cancel(self.venue.orders[number % len(self.venue.orders)])

    def amend(self, number: int, quantity: int, price: int | None) -> None:
        if self.venue.orders:
            order = self.venue.orders[number % len(self.venue.orders)]
            spec = self.market.spec
            changed = None if price is None or order.price is None else price * spec.tick
            self.desk.amend(order, quantity=quantity * spec.step, price=changed)

    def check(self) -> None:
        account, spec = self.venue.account, self.market.spec
        expected = dict(account.starting)
        locked: dict[str, Decimal] = defaultdict(Decimal)
        for order in self.venue.orders:
            self.check_order(order)
            sign = 1 if order.is_buy else -1
            for fill in order.fills:
                expected[spec.base] += sign * fill.quantity
                expected[spec.quote] -= sign * fill.price * fill.quantity
                expected[fill.fee_asset] -= fill.fee
            locked[spec.quote if order.is_buy else spec.base] += order.locked
        for asset, amount in expected.items():
            assert account.free[asset] + account.locked[asset] == amount, asset
            assert account.locked[asset] == locked[asset], asset
            assert min(account.free[asset], account.locked[asset]) >= 0
            assert self.told.get(asset, (account.starting[asset], 0)) == (account.free[asset], account.locked[asset])

    def check_order(self, order: SimOrder) -> None:
        assert sum(fill.quantity for fill in order.fills) == order.filled
        assert sum(fill.quantity * fill.price for fill in order.fills) == order.filled_quote
        if order.price is not None and order.amendments == 0:
            better = [fill.price <= order.price if order.is_buy else fill.price >= order.price for fill in order.fills]
            assert all(better), "never worse than the limit"
        if not order.open:
            assert order.locked == 0
            assert order.resting is None
        if order.status is OrderStatus.FILLED:
            assert order.quantity is not None
            assert order.filled + order.prevented == order.quantity
        if order.open and order.working:
            assert order.resting is not None, "what is open and works rests in the book"
            assert order.price is not None
            ticks = int(order.price / self.market.spec.tick)
            resting = {one.order_id: one for one in self.market.book.queue(order.is_buy, ticks)}[order.resting]
            assert resting.quantity * self.market.spec.step == order.left
            assert order.locked == (order.left * order.price if order.is_buy else order.left), "no more than it needs"

    def check_ends(self) -> None:
        """Every order's events are a story: accepted first, one end, nothing after it."""
        stories: dict[str, list[OrderEvent]] = defaultdict(list)
        for event in self.events:
            stories[event.order.ticket.client_id].append(event)
        assert len(stories) == len(self.venue.orders)
        for order in self.venue.orders:
            story = stories[order.ticket.client_id]
            assert story[0].what in ("accepted", "ended")
            assert [event.fill for event in story if event.fill] == order.fills
        executions = [fill.execution_id for order in self.venue.orders for fill in order.fills]
        assert len(set(executions)) == len(executions)


@settings(max_examples=150, deadline=None)
@given(_steps, st.booleans(), st.booleans())
def test_balances_conserve_and_orders_are_what_the_book_says(steps: list[Any], bybit: bool, deep: bool) -> None:
    play = Play({"post_only_accepted": bybit, "stops_lock": not bybit, "client_ids_for_ever": bybit})
    if deep:
        for distance in range(1, 9):
            play.flow(Side.BUY, 200_000, CENTRE - distance)
            play.flow(Side.SELL, 200_000, CENTRE + distance)
    for step in steps:
        play.step(*step)
        play.check()
    play.check_ends()
    bids, asks = play.market.book.levels("bid"), play.market.book.levels("ask")
    assert not bids or not asks or bids[0][0] < asks[0][0]
