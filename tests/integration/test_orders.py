"""Orders through a running system, both venues: each is what the simulator's own record says."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from decimal import Decimal

import pytest
from msgspec import structs
from support.system import System
from support.trader import SYMBOL, Trader, new_id
from support.waiting import wait_until

from thespian_connector.model import Balance, FeeRates, Fill, NewOrder, Order, OrderStatus, OrderType, Side
from thespian_connector.model.errors import ConnectorError, DuplicateClientOrderId, OrderNotFound


@pytest.fixture(scope="module")
def system() -> Iterator[System]:
    with System() as one:
        one.start("--wait", "live", "--timeout", "120")
        yield one


@pytest.fixture(params=["binance", "bybit"])
def trader(system: System, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Trader]:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(system.directory))
    with Trader(system, request.param) as one:
        yield one


def test_an_order_that_rests_is_amended_and_canceled(trader: Trader) -> None:
    order = trader.limit()
    placed = trader.place(order)
    assert placed.client_order_id == order.client_order_id
    resting = trader.settled(order.client_order_id)
    assert (resting.status, resting.price, resting.filled) == (OrderStatus.NEW, order.price, 0)
    trader.all_right()
    trader.amend(order.client_order_id, quantity="0.008")
    assert trader.settled(order.client_order_id).quantity == Decimal("0.008")
    assert order.price is not None
    lower = order.price - 10
    trader.amend(order.client_order_id, price=str(lower))
    amended = trader.settled(order.client_order_id)
    assert (amended.status, amended.price, amended.quantity) == (OrderStatus.NEW, lower, Decimal("0.008"))
    assert order.client_order_id in {one.client_order_id for one in trader.ask("orders", list[Order], open_only=True)}
    trader.cancel(order.client_order_id)
    assert trader.settled(order.client_order_id).status is OrderStatus.CANCELED
    assert trader.cancel(order.client_order_id).status in {OrderStatus.CANCELED, OrderStatus.PENDING_CANCEL}
    trader.all_right()


def test_an_order_that_crosses_is_filled_and_its_fills_make_a_position(trader: Trader) -> None:
    order = trader.limit("1.01", "0.02")
    before = trader.positions().get(SYMBOL)
    trader.place(order)

    def filled() -> Order | None:
        one = trader.order(order.client_order_id)
        return one if one.status is OrderStatus.FILLED and sum(f.quantity for f in one.fills) == one.filled else None

    done = wait_until(filled, 40, "it is filled")
    assert done.filled == Decimal("0.02")
    assert all(fill.fee_asset == "BTC" for fill in done.fills)
    trader.all_right()
    position = trader.positions(**{SYMBOL: str(order.price)})[SYMBOL]
    held = before.quantity if before is not None else Decimal(0)
    assert position.quantity == held + done.filled - sum(fill.fee for fill in done.fills)
    assert position.unrealized_pnl is not None


def test_an_order_that_is_partly_filled_is_amended_to_its_new_total(trader: Trader) -> None:
    with trader.paused():
        price, there = trader.best_ask()
        total = there + 5  # the venue may be a moment further than its record
        order = structs.replace(trader.limit(), price=price, quantity=total)
        trader.place(order)
        wait_until(
            lambda: trader.order(order.client_order_id).status is OrderStatus.PARTIALLY_FILLED,
            40,
            "it is partly filled",
        )
        trader.amend(order.client_order_id, quantity=str(total - Decimal("0.02")), price=str(price - 10))
        amended = trader.settled(order.client_order_id)
        assert amended.status is OrderStatus.PARTIALLY_FILLED
        assert amended.quantity == total - Decimal("0.02")
        assert amended.price == price - 10
        trader.cancel(order.client_order_id)
        ended = trader.settled(order.client_order_id)
        assert (ended.status, ended.filled) == (OrderStatus.CANCELED, amended.filled)
        trader.all_right()


def test_a_market_order_by_amount_is_what_was_traded(trader: Trader) -> None:
    order = NewOrder(
        client_order_id=new_id(),
        exchange=trader.exchange,
        symbol=SYMBOL,
        side=Side.SELL,
        type=OrderType.MARKET,
        quantity=Decimal("0.003"),
    )
    trader.place(order)
    wait_until(lambda: trader.order(order.client_order_id).status is OrderStatus.FILLED, 40, "it is filled")
    trader.all_right()


def test_the_same_order_again_is_the_first_and_other_terms_are_refused(trader: Trader) -> None:
    order = trader.limit()
    trader.place(order)
    assert trader.place(order).client_order_id == order.client_order_id
    writes = [row for row in trader.truth("requests") if row["client_order_id"] == order.client_order_id]
    assert len(writes) == 1
    with pytest.raises(DuplicateClientOrderId):
        trader.place(structs.replace(order, quantity=Decimal("0.02")))
    trader.cancel(order.client_order_id)
    trader.all_right()


def test_orders_fills_and_balances_are_published_once_they_are_known(trader: Trader) -> None:
    with trader.events("order", "fill", "balance") as events:
        wait_until(lambda: {event.kind for event in events()} >= {"balance"}, 40, "the last balances come first")
        order = trader.limit("1.01")
        trader.place(order)

        def told() -> bool:
            records = [event.record for event in events()]
            done = any(
                isinstance(one, Order)
                and (one.client_order_id, one.status) == (order.client_order_id, OrderStatus.FILLED)
                for one in records
            )
            traded = sum(one.quantity for one in records if isinstance(one, Fill))
            held = [one.free for one in records if isinstance(one, Balance) and one.asset == "BTC"]
            return done and traded == order.quantity and str(held[-1]) == dict(trader.balances())["BTC"][0]

        wait_until(told, 40, "the order, its fills and what is held then are told")
        ids = [event.record.execution_id for event in events() if isinstance(event.record, Fill)]
        assert len(ids) == len(set(ids)), "each fill is told once"


def test_what_the_venue_makes_of_an_order_is_told_after_the_order(trader: Trader) -> None:
    """Its event comes long before its answer, and OrderCommand tells of nothing before it replied."""
    with trader.events("order") as events:
        wait_until(lambda: trader.place(trader.limit()) and events(), 60, "orders are heard of", 0.5)
        order = trader.limit()
        trader.fault("http_timeout", count=1, op="place", executed=True, timeout_ms=1000)
        with contextlib.suppress(ConnectorError):
            trader.place(order)

        def told() -> list[Order]:
            records = [event.record for event in events() if isinstance(event.record, Order)]
            return [one for one in records if one.client_order_id == order.client_order_id]

        wait_until(lambda: told() and told()[-1].status is OrderStatus.NEW, 60, "it rests")
        assert not any(one.foreign for one in told())
    trader.all_right()


def test_what_nobody_knows_is_not_found(trader: Trader) -> None:
    with pytest.raises(OrderNotFound):
        trader.order("tc-nobody")
    with pytest.raises(OrderNotFound):
        trader.cancel("tc-nobody")


def test_the_accounts_rates_are_told(trader: Trader) -> None:
    rates = trader.ask("fees", list[FeeRates], symbols=[SYMBOL])
    assert [(one.exchange, one.symbol) for one in rates] == [(trader.exchange, SYMBOL)]
    assert 0 < rates[0].maker <= rates[0].taker < Decimal("0.01")


def test_an_answer_that_is_lost_is_asked_for_and_never_sent_again(trader: Trader) -> None:
    order = trader.limit()
    trader.fault("ack_lost", count=1, op="place")
    with pytest.raises(ConnectorError) as lost:
        trader.place(order, timeout_s=10)
    assert not lost.value.outcome_known
    assert trader.settled(order.client_order_id).status is OrderStatus.NEW
    writes = [row for row in trader.truth("requests") if row["client_order_id"] == order.client_order_id]
    assert [(row["op"], row["executed"]) for row in writes] == [("place", True)]
    trader.cancel(order.client_order_id)
    trader.all_right()


def test_what_the_stream_leaves_out_is_asked_for(trader: Trader) -> None:
    trader.fault("user_event_drop", seconds=3600)
    try:
        resting, crossing = trader.limit(), trader.limit("1.01")
        trader.place(resting)
        trader.place(crossing)
        assert trader.settled(resting.client_order_id).status is OrderStatus.NEW
        wait_until(
            lambda: sum(fill.quantity for fill in trader.order(crossing.client_order_id).fills) == Decimal("0.01"),
            40,
            "its fills were asked for",
        )
        trader.cancel(resting.client_order_id)
        assert trader.settled(resting.client_order_id).status is OrderStatus.CANCELED
        trader.all_right()  # balances too: the stream tells none of them
    finally:
        trader.clear_faults()
