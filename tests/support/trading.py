"""An account on the simulator, traded through the real driver; the judge's word on it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

from thespian_connector.drivers.registry import driver_for, trading_for
from thespian_connector.drivers.signing import signer_of
from thespian_connector.drivers.trading import OrderKey
from thespian_connector.model import Environment, Instrument, NewOrder, OrderType, Side, TimeInForce
from thespian_connector.model.decimals import quantize_down, text
from thespian_connector.net.account import AccountBudget
from thespian_connector.net.budget import Budget
from thespian_connector.net.clock import ClockOffset
from thespian_connector.net.market import MarketRest
from thespian_connector.net.rest import RestClient
from thespian_connector.net.trading import TradeRest

from .simulator import Simulator

NATIVE, SYMBOL = "BTCUSDT", "BTC/USDT"


class Trader:
    """`rest`: the trading half over REST. `instrument`: BTC/USDT."""

    def __init__(self, simulator: Simulator, exchange: str, directory: Path) -> None:
        self.simulator = simulator
        self.exchange = exchange
        self.driver, self.trading = driver_for(exchange), trading_for(exchange)
        urls = simulator.urls[exchange]
        self.endpoints = self.driver.endpoints(Environment.PAPER, urls)
        account = simulator.truth(exchange, "account")
        account = account[0] if isinstance(account, list) else account
        self.signer = signer_of(account["api_key"], account["secret"])
        self.budget = Budget.for_venue(self.driver, self.endpoints.rest, directory)
        self.account = AccountBudget.of(self.trading, self.signer, directory)
        self.clock = ClockOffset()
        self.client = RestClient(self.driver, self.endpoints.rest, budget=self.budget, resync=self.resync)
        self.market = MarketRest(self.driver, self.client)
        self.rest = TradeRest(self.trading, self.client, self.signer, self.clock, self.account)
        self.resync()
        self.instruments = {one.symbol: one for one in self.market.instruments()}
        self.instrument = self.instruments[SYMBOL]

    def resync(self) -> None:
        self.market.measure_clock(self.clock)

    def close(self) -> None:
        self.client.close()
        self.budget.close()
        self.account.close()

    def top(self) -> tuple[Decimal, Decimal]:
        """(best bid, best ask), true and now."""
        book = self.simulator.book(self.exchange, NATIVE)
        return Decimal(book["bids"][0][0]), Decimal(book["asks"][0][0])

    def order(self, side: Side = Side.BUY, quantity: str | None = "0.01", far: str = "0.99", **terms: Any) -> NewOrder:
        """A limit order that rests: `far` times the best bid (or over the best ask, for a sell)."""
        kind = terms.setdefault("type", OrderType.LIMIT)
        if kind is not OrderType.MARKET and "price" not in terms:
            bid, ask = self.top()
            price = bid * Decimal(far) if side is Side.BUY else ask / Decimal(far)
            terms["price"] = quantize_down(price, self.instrument.tick_size)
        return NewOrder(
            client_order_id=terms.pop("client_order_id", f"t-{uuid4().hex[:20]}"),
            exchange=self.exchange,
            symbol=SYMBOL,
            side=side,
            quantity=None if quantity is None else Decimal(quantity),
            **terms,
        )

    def crossing(self, side: Side = Side.BUY, quantity: str = "0.01", **terms: Any) -> NewOrder:
        """A limit order that takes: one per cent beyond the other side's best."""
        bid, ask = self.top()
        price = ask * Decimal("1.004") if side is Side.BUY else bid * Decimal("0.996")
        return self.order(side, quantity, price=quantize_down(price, self.instrument.tick_size), **terms)

    def key(self, order: NewOrder, order_id: str | None = None) -> OrderKey:
        return OrderKey(
            native=NATIVE,
            client_order_id=order.client_order_id,
            order_id=order_id,
            conditional=order.type is OrderType.STOP_LIMIT,
        )

    def true_order(self, order: NewOrder) -> dict[str, Any]:
        """The judge's word on it."""
        told = self.simulator.truth(self.exchange, "orders")
        rows = told["orders"] if isinstance(told, dict) else told
        [row] = [row for row in rows if row["client_order_id"] == order.client_order_id]
        return dict(row)

    def true_balances(self) -> dict[str, tuple[str, str]]:
        told = self.simulator.truth(self.exchange, "balances")
        rows = told["balances"] if isinstance(told, dict) else told
        return {row["asset"]: (row["free"], row["locked"]) for row in rows}


@contextlib.contextmanager
def trader(exchange: str, directory: Path, **options: object) -> Iterator[Trader]:
    with Simulator(**options) as simulator:  # type: ignore[arg-type]  # options by name
        one = Trader(simulator, exchange, directory)
        try:
            yield one
        finally:
            one.close()


def soon(seconds: float = 60.0) -> float:
    """A deadline."""
    return time.monotonic() + seconds


__all__ = ["NATIVE", "SYMBOL", "Instrument", "TimeInForce", "Trader", "soon", "text", "trader"]
