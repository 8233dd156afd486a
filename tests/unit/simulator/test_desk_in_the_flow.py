"""Orders in the midst of the seeded flow: it hits them, runs over them, and never takes them away."""

from __future__ import annotations

import random
from decimal import Decimal

from thespian_connector.model.enums import OrderType, Side, TimeInForce
from thespian_connector.simulator.binance import SETTINGS
from thespian_connector.simulator.binance.trading import make_desk
from thespian_connector.simulator.orders import SelfTrade, Ticket
from thespian_connector.simulator.world import World, WorldOptions

D = Decimal
EVENTS = 3_000


def test_the_flow_trades_with_our_orders_and_nothing_is_lost() -> None:
    world = World(
        WorldOptions(
            seed=3,
            symbols=("BTC/USDT",),
            ladder_levels={"binance": 60, "bybit": 10},
            walk=400,
            settings={"binance": dict(SETTINGS)},
        )
    )
    venue = world.venues["binance"]
    market, account, rng = venue.markets["BTCUSDT"], venue.account, random.Random(3)
    desk = make_desk(venue)
    world.warm_up()
    for number in range(EVENTS):
        world.flow.step(venue.time_ns())
        bids, asks = market.book.best(True), market.book.best(False)
        assert bids is not None
        assert asks is not None
        assert bids < asks
        if number % 5 == 0:
            side = rng.choice((Side.BUY, Side.SELL))
            touch = bids if side is Side.BUY else asks
            ticket = Ticket(
                client_id=f"c{number}",
                native="BTCUSDT",
                side=side,
                type=OrderType.LIMIT,
                quantity=rng.randint(1, 300) * market.spec.step,
                price=(touch + rng.randint(-30, 30)) * market.spec.tick,
                time_in_force=rng.choice((TimeInForce.GTC, TimeInForce.GTC, TimeInForce.IOC)),
                self_trade=rng.choice(list(SelfTrade)),
            )
            desk.place(ticket)
        if number % 7 == 0 and (still := desk.register.open()):
            desk.cancel(rng.choice(still))
    fills = [(order, fill) for order in venue.orders for fill in order.fills]
    assert {fill.maker for _, fill in fills} == {True, False}
    tape = {trade.trade_id: trade for trade in market.tape}
    for _, fill in fills:
        if fill.trade_id in tape:
            trade = tape[fill.trade_id]
            assert (trade.price, trade.quantity, trade.time_ns) == (fill.price, fill.quantity, fill.time_ns)
    expected = dict(account.starting)
    for order, fill in fills:
        sign = 1 if order.is_buy else -1
        expected["BTC"] += sign * fill.quantity
        expected["USDT"] -= sign * fill.quantity * fill.price
        expected[fill.fee_asset] -= fill.fee
    for asset, amount in expected.items():
        assert account.free[asset] + account.locked[asset] == amount
    for order in desk.register.open():
        assert order.resting is not None
        assert order.price is not None
        queue = market.book.queue(order.is_buy, int(order.price / market.spec.tick))
        left = {resting.order_id: resting.quantity for resting in queue}[order.resting]
        assert left * market.spec.step == order.left
