"""The command side without any actor, on each simulated venue: what is answered is what the venue did."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from concurrent.futures import Future
from decimal import Decimal
from typing import Any

import pytest
from support.trading import Trader, soon, trader
from support.waiting import wait_until

from thespian_connector.model import NewOrder, Order, OrderStatus
from thespian_connector.model.decimals import text
from thespian_connector.model.errors import (
    ConnectorError,
    DeadlineExceeded,
    DuplicateClientOrderId,
    InvalidOrder,
    OrderNotFound,
    Rejected,
)
from thespian_connector.net.commands import Commands
from thespian_connector.orders.codec import decode
from thespian_connector.orders.events import Answered, Event, PlaceIntended
from thespian_connector.orders.ledger import Ledger
from thespian_connector.orders.positions import Market
from thespian_connector.storage.memory import MemoryStore

D = Decimal
ENDS = (OrderStatus.FILLED, OrderStatus.CANCELED)


class Desk:
    """Commands whose replies are futures, and the journal to look into."""

    def __init__(self, one: Trader) -> None:
        self.one = one
        self.store = MemoryStore()
        self.failures: queue.SimpleQueue[BaseException] = queue.SimpleQueue()
        self.ledger = Ledger(one.exchange, lambda native: Market("BTC/USDT", "BTC", "USDT"))
        self.commands = Commands(
            one.rest,
            self.ledger,
            one.instruments.__getitem__,
            on_durable=lambda first, bodies: None,
            on_failure=self.failures.put,
        )
        self.commands.start(self.store.open("commands"), 0)

    def close(self) -> None:
        self.commands.stop(60.0)
        assert self.failures.empty(), self.failures.get()

    def events(self) -> list[Event]:
        return [decode(entry.body) for entry in self.store.load("commands")]

    def place(self, order: NewOrder, deadline: float | None = None) -> Future[Order]:
        future, reply = answer()
        self.commands.place(order, deadline or soon(), reply)
        return future

    def cancel(self, client_order_id: str) -> Future[Order]:
        future, reply = answer()
        self.commands.cancel(client_order_id, soon(), reply)
        return future

    def amend(self, client_order_id: str, quantity: str | None = None, price: Decimal | None = None) -> Future[Order]:
        future, reply = answer()
        total = None if quantity is None else D(quantity)
        self.commands.amend(client_order_id, total, price, soon(), reply)
        return future

    def resting(self, **terms: Any) -> NewOrder:
        """An order that the venue has in its book."""
        order = self.one.order(**terms)
        self.place(order).result(60)
        self.is_open(order.client_order_id)
        return order

    def is_open(self, client_order_id: str) -> None:
        wait_until(lambda: client_order_id in self.open_ids(), 60, f"{client_order_id} rests")

    def open_ids(self) -> set[str]:
        return {row.client_order_id for row in self.one.rest.open_orders("BTCUSDT", soon())}

    def times_received(self, order: NewOrder) -> int:
        """How many placements of that id the venue got."""
        told = self.one.simulator.truth(self.one.exchange, "requests")
        rows = told["requests"] if isinstance(told, dict) else told
        return sum(
            row["client_order_id"] == order.client_order_id and "cancel" not in str(row["path"]).lower() for row in rows
        )


def answer() -> tuple[Future[Order], Any]:
    future: Future[Order] = Future()

    def reply(result: Order | ConnectorError) -> None:
        if isinstance(result, Order):
            future.set_result(result)
        else:
            future.set_exception(result)

    return future, reply


@pytest.fixture(scope="module", params=["binance", "bybit"])
def one(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trader]:
    with trader(request.param, tmp_path_factory.mktemp("budgets")) as made:
        yield made


@pytest.fixture
def desk(one: Trader) -> Iterator[Desk]:
    made = Desk(one)
    yield made
    one.simulator.clear_faults()
    made.close()


def test_the_intent_is_journaled_before_the_answer(desk: Desk) -> None:
    order = desk.one.order()
    placed = desk.place(order).result(60)
    assert placed.client_order_id == order.client_order_id
    assert placed.order_id == desk.one.true_order(order)["order_id"]
    [intent, told] = desk.events()
    assert isinstance(intent, PlaceIntended)
    assert isinstance(told, Answered)
    assert intent.order == order
    assert told.report is not None


def test_twenty_at_once_are_twenty_orders(desk: Desk) -> None:
    orders = [desk.one.order(far=f"0.9{10 + number}") for number in range(12)]
    futures = [desk.place(order) for order in orders]
    ids = {future.result(60).order_id for future in futures}
    assert len(ids) == 12
    for order in orders:
        assert desk.times_received(order) == 1
        assert desk.one.true_order(order)["order_id"] in ids


def test_the_same_order_again_is_the_first(desk: Desk) -> None:
    order = desk.one.order()
    first, second = desk.place(order), desk.place(order)
    assert first.result(60).order_id == second.result(60).order_id
    assert desk.place(order).result(60).order_id == first.result(60).order_id
    assert desk.times_received(order) == 1
    other = desk.one.order(client_order_id=order.client_order_id, quantity="0.02")
    with pytest.raises(DuplicateClientOrderId):
        desk.place(other)


def test_what_cannot_be_is_refused_and_not_journaled(desk: Desk) -> None:
    with pytest.raises(InvalidOrder, match="quantity"):
        desk.place(desk.one.order(quantity="0.000000001"))
    with pytest.raises(OrderNotFound):
        desk.cancel("nobody")
    assert desk.events() == []


def test_too_late_is_not_sent(desk: Desk) -> None:
    order = desk.one.order()
    with pytest.raises(DeadlineExceeded):
        desk.place(order, deadline=soon(-1)).result(60)
    assert desk.times_received(order) == 0
    again = desk.place(order).result(60)
    assert (again.status, desk.times_received(order)) == (OrderStatus.REJECTED, 0)


def test_cancel_of_a_resting_order(desk: Desk) -> None:
    order = desk.resting()
    canceled = desk.cancel(order.client_order_id).result(60)
    assert canceled.status in (OrderStatus.CANCELED, OrderStatus.PENDING_CANCEL)  # Bybit only accepts it
    wait_until(lambda: desk.one.true_order(order)["status"].upper() == "CANCELED", 60, "it is canceled")


def test_cancel_of_a_filled_order_tells_the_fill(desk: Desk) -> None:
    order = desk.one.crossing()
    desk.place(order).result(60)
    wait_until(lambda: desk.one.true_order(order)["status"].upper() == "FILLED", 60, "it is filled")
    told = desk.cancel(order.client_order_id).result(60)
    assert (told.status, text(told.filled)) == (OrderStatus.FILLED, desk.one.true_order(order)["filled"])


def test_commands_of_one_order_take_turns(desk: Desk) -> None:
    order = desk.one.order(quantity="0.03")
    placed = desk.place(order)
    placed.result(60)
    desk.is_open(order.client_order_id)
    amended, canceled = desk.amend(order.client_order_id, "0.02"), desk.cancel(order.client_order_id)
    assert amended.result(60).client_order_id == order.client_order_id
    canceled.result(60)
    wait_until(lambda: desk.one.true_order(order)["status"].upper() == "CANCELED", 60, "it is canceled")


@pytest.mark.parametrize("executed", [True, False])
@pytest.mark.parametrize("kind", ["http_5xx", "http_timeout"])
def test_a_lost_answer_is_unknown_and_never_resent(desk: Desk, kind: str, executed: bool) -> None:
    extra = {"timeout_ms": 300} if kind == "http_timeout" else {}
    fault = desk.one.simulator.fault(
        desk.one.exchange, kind, count=1, surface="rest", op="place", executed=executed, **extra
    )
    order = desk.one.order()
    with pytest.raises(ConnectorError) as caught:
        desk.place(order, soon(10.0)).result(60)
    assert (caught.value.outcome_known, caught.value.client_order_id) == (False, order.client_order_id)
    assert desk.one.simulator.fired(fault) == 1
    again = desk.place(order).result(60)
    assert (again.status, again.outcome_known) == (OrderStatus.UNKNOWN, False)
    assert desk.times_received(order) == 1
    assert (order.client_order_id in desk.open_ids()) is executed


def test_a_refused_timestamp_is_signed_anew(desk: Desk) -> None:
    desk.one.clock.measure(lambda: desk.one.clock.now_ns() + 30_000_000_000)  # as if the local clock had been set
    order = desk.one.order()
    assert desk.place(order).result(60).order_id
    desk.is_open(order.client_order_id)


def test_an_order_grows_and_moves(desk: Desk) -> None:
    """In place on Bybit; another order in its place on Binance."""
    order = desk.resting(quantity="0.02")
    assert order.price is not None
    price = order.price - 10 * desk.one.instrument.tick_size
    amended = desk.amend(order.client_order_id, "0.03", price).result(60)
    assert amended.client_order_id == order.client_order_id

    def moved() -> bool:
        rows = [row for row in desk.one.rest.open_orders("BTCUSDT", soon()) if row.price == price]
        return [row.quantity for row in rows] == [D("0.03")]

    wait_until(moved, 60, "one order stands where it was moved")
    if desk.one.exchange == "binance":
        assert (amended.quantity, amended.price, amended.status) == (D("0.03"), price, OrderStatus.NEW)
        assert desk.one.true_order(order)["status"].upper() == "CANCELED"
    desk.cancel(order.client_order_id).result(60)
    wait_until(lambda: price not in {row.price for row in desk.one.rest.open_orders("BTCUSDT", soon())}, 60, "gone")


def test_an_amendment_of_an_order_that_is_filled_says_so(desk: Desk) -> None:
    """Whether or not we have heard of it: only a stream tells, and it is not this desk's."""
    order = desk.one.crossing()
    desk.place(order).result(60)
    wait_until(lambda: desk.one.true_order(order)["status"] == "FILLED", 60, "it is filled")
    with pytest.raises(Rejected, match="the order has ended: FILLED") as told:
        desk.amend(order.client_order_id, "0.03").result(60)
    assert told.value.client_order_id == order.client_order_id
    assert desk.ledger.order(order.client_order_id).status is OrderStatus.FILLED


def test_an_amendment_to_what_it_is_already_sends_nothing_that_could_cost_its_place(desk: Desk) -> None:
    if desk.one.exchange != "binance":
        pytest.skip("it amends in place")
    order = desk.resting(quantity="0.02")
    before = desk.one.true_order(order)["order_id"]
    sent = len(desk.one.simulator.truth("binance", "requests"))
    for terms in (("0.02", None), (None, order.price), ("0.02", order.price)):
        assert desk.amend(order.client_order_id, *terms).result(60).status is OrderStatus.NEW
    assert (desk.one.true_order(order)["order_id"], desk.one.true_order(order)["status"]) == (before, "NEW")
    assert len(desk.one.simulator.truth("binance", "requests")) == sent


def test_an_amendment_of_which_only_the_cancel_is_done_says_so(desk: Desk) -> None:
    if desk.one.exchange != "binance":
        pytest.skip("it amends in place")
    order = desk.one.order()
    desk.place(order).result(60)
    halted = desk.one.simulator.fault("binance", "maintenance")
    with pytest.raises(ConnectorError, match="the order was canceled, and what should take its place was not") as told:
        desk.amend(order.client_order_id, "0.03").result(60)
    desk.one.simulator.delete_fault(halted)
    assert told.value.outcome_known
    assert desk.ledger.order(order.client_order_id).status is OrderStatus.CANCELED
    assert desk.one.true_order(order)["status"] == "CANCELED"


def test_an_amendment_that_the_venue_refuses_leaves_the_order(desk: Desk) -> None:
    order = desk.one.crossing()
    desk.place(order).result(60)
    wait_until(lambda: desk.one.true_order(order)["status"].upper() == "FILLED", 60, "it is filled")
    with pytest.raises(ConnectorError) as caught:
        desk.amend(order.client_order_id, "0.5").result(60)
    assert caught.value.outcome_known
    assert desk.one.true_order(order)["status"].upper() == "FILLED"
