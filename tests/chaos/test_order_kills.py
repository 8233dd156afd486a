"""Each process of an exchange's orders killed, between and in the middle of orders: what is told is right again."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.system import System
from support.trader import PATIENCE_S, Trader
from support.waiting import wait_until

from thespian_connector.model import NewOrder, Order, OrderStatus
from thespian_connector.model.errors import ConnectorError

#: A supervisor whose children end five times in ten seconds gives up, on purpose.
KILLS_APART_S = 3.0
COMPONENTS = ("order-command", "order-state", "user-data", "gateway")


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


def pid_of(trader: Trader, component: str) -> int:
    """Once it runs."""
    name = f"exchange/{trader.exchange}/{component}"

    def running() -> int:
        rows = trader.insist_on_status()["actors"]
        return next((row["pid"] for row in rows if row["name"] == name and row["state"] == "running"), 0)

    return wait_until(running, PATIENCE_S, f"{name} runs")


def kill(trader: Trader, component: str) -> None:
    old = pid_of(trader, component)
    os.kill(old, signal.SIGKILL)
    wait_until(lambda: pid_of(trader, component) != old, PATIENCE_S, f"{component} is replaced")


def replaced(trader: Trader, component: str, old: int) -> None:
    wait_until(lambda: pid_of(trader, component) != old, PATIENCE_S, f"{component} is replaced")


def placed(trader: Trader, order: NewOrder) -> Order:
    """Placed with the same id until somebody answers."""

    def answered() -> Order | None:
        with contextlib.suppress(ConnectorError):
            return trader.place(order)
        return None

    return wait_until(answered, PATIENCE_S, "it is placed")


@pytest.mark.parametrize("component", COMPONENTS)
def test_a_process_killed_between_orders_leaves_everything_right(trader: Trader, component: str) -> None:
    resting, crossing = trader.limit(), trader.limit("1.01")
    placed(trader, resting)
    placed(trader, crossing)
    wait_until(lambda: trader.order(crossing.client_order_id).status is OrderStatus.FILLED, PATIENCE_S, "filled")
    begun = time.monotonic()
    kill(trader, component)
    trader.all_right()
    right_s = time.monotonic() - begun
    assert trader.insist("order", Order, client_order_id=resting.client_order_id).status is OrderStatus.NEW
    another = trader.limit("1.01")
    placed(trader, another)
    wait_until(
        lambda: trader.insist("order", Order, client_order_id=another.client_order_id).status is OrderStatus.FILLED,
        PATIENCE_S,
        "filled",
    )
    wait_until(lambda: canceled(trader, resting.client_order_id), PATIENCE_S, "it is canceled")
    trader.all_right()
    print(f"{trader.exchange} {component}: right {right_s:.2f} s after the kill")


def canceled(trader: Trader, name: str) -> bool:
    with contextlib.suppress(ConnectorError):
        trader.cancel(name)
    return trader.insist("order", Order, client_order_id=name).status is OrderStatus.CANCELED


@pytest.mark.parametrize("point", ["after_intent", "after_answer", "before_reply"])
def test_a_command_side_killed_in_the_middle_of_a_place_has_one_effect(trader: Trader, point: str) -> None:
    order = trader.limit()
    old = arm(trader, "order-command", point)
    with contextlib.suppress(ConnectorError):
        trader.place(order, timeout_s=10)
    replaced(trader, "order-command", old)
    assert len(writes(trader, order)) == (0 if point == "after_intent" else 1)
    has_one_effect(trader, order)


def test_a_command_side_killed_while_it_waits_for_the_answer_has_one_effect(trader: Trader) -> None:
    time.sleep(KILLS_APART_S)
    order = trader.limit()
    trader.fault("http_timeout", count=1, op="place", executed=True)

    def place() -> None:
        with contextlib.suppress(ConnectorError):
            trader.place(order, timeout_s=20)

    thread = threading.Thread(target=place)
    thread.start()
    wait_until(lambda: writes(trader, order), PATIENCE_S, "it was sent")
    kill(trader, "order-command")
    thread.join()
    has_one_effect(trader, order)


def writes(trader: Trader, order: NewOrder) -> list[dict[str, Any]]:
    """What the venue got of it."""
    rows = trader.truth("requests")
    return [row for row in rows if row["op"] == "place" and row["client_order_id"] == order.client_order_id]


def has_one_effect(trader: Trader, order: NewOrder) -> None:
    ended = trader.settled_again(order.client_order_id)
    sent = writes(trader, order)
    assert len(sent) <= 1, "nothing is ever sent twice"
    if sent and sent[0]["executed"]:
        assert ended.status is OrderStatus.NEW
        wait_until(lambda: canceled(trader, order.client_order_id), PATIENCE_S, "it is canceled")
    else:
        assert (ended.status, ended.reason) == (OrderStatus.REJECTED, "never_reached_venue")
    trader.all_right()


@pytest.mark.parametrize("point", ["before_store", "after_store"])
def test_a_query_side_killed_around_its_journal_counts_everything_once(trader: Trader, point: str) -> None:
    old = arm(trader, "order-state", point)
    order = trader.limit("1.01")
    placed(trader, order)
    replaced(trader, "order-state", old)
    # A venue may tell NEW an instant before FILLED.
    wait_until(lambda: trader.settled_again(order.client_order_id).status is OrderStatus.FILLED, 60, "it is filled")
    trader.all_right()
    fills = trader.insist("order", Order, client_order_id=order.client_order_id).fills
    assert sum(fill.quantity for fill in fills) == order.quantity


def arm(trader: Trader, component: str, point: str) -> int:
    """Has the process killed when it passes `point`; its pid now."""
    time.sleep(KILLS_APART_S)
    old = pid_of(trader, component)
    directory = Path(trader.system.runtime) / "crash-points"
    directory.mkdir(mode=0o700, exist_ok=True)
    (directory / f"exchange-{trader.exchange}-{component}.{point}").touch()
    return old


@pytest.mark.slow
def test_orders_go_on_through_kills_and_none_is_lost_or_doubled(trader: Trader) -> None:
    orders = [trader.limit("1.01" if number % 2 else "0.95", "0.001") for number in range(24)]
    pending = list(orders)
    lock = threading.Lock()

    def work() -> None:
        while True:
            with lock:
                if not pending:
                    return
                order = pending.pop()
            with contextlib.suppress(ConnectorError):
                trader.place(order, timeout_s=3)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for component in ("order-command", "user-data", "order-state"):
        kill(trader, component)
        time.sleep(KILLS_APART_S)
    for thread in threads:
        thread.join()
    for order in orders:
        if trader.known(order.client_order_id):  # else the process that was to take it was dead
            trader.settled_again(order.client_order_id)
    trader.all_right()
    sent: dict[str, int] = {}
    for row in trader.truth("requests"):
        if row["op"] == "place":
            sent[row["client_order_id"]] = sent.get(row["client_order_id"], 0) + 1
    assert max(sent.values()) == 1
    for order in orders[::2]:
        with contextlib.suppress(ConnectorError):
            trader.cancel(order.client_order_id)
