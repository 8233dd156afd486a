"""Killed whole, a system that has had many orders knows the open ones again, and every id of the others."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from support.past import FEE, PRICE, QUANTITY, past_id, write_past
from support.simulator import Simulator
from support.system import System, traded_at
from support.waiting import wait_until

from thespian_connector.storage import Durability, open_store

KEPT, JOURNALED = 20_000, 1_500
PLACE = ("order", "place", "binance", "BTC/USDT", "buy")


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator(seed=11) as one:
        yield one


@pytest.fixture
def system(simulator: Simulator, tmp_path: Path) -> Iterator[System]:
    url = f"sqlite:///{tmp_path}/orders.db"
    store = open_store(url, Durability.PROCESS)
    write_past(store, "binance", KEPT, JOURNALED)
    store.close()
    overrides, keys = traded_at(simulator)
    with System(*overrides, f"store.url={url}", "orders.timeout_s=30") as one:
        one.environment.update(keys)
        yield one


def open_orders(system: System) -> set[str]:
    """Of binance."""
    done = system.run("order", "list", "--open", "--exchange", "binance", "--json")
    return {word.split('"')[3] for word in done.stdout.splitlines() if word.startswith('{"client_order_id"')}


def position(system: System) -> tuple[Decimal, Decimal]:
    done = system.json("positions", "--exchange", "binance")
    return Decimal(done["quantity"]), Decimal(done["fees"]["USDT"])


def kill_all(system: System) -> None:
    """Nobody has the time to end anything."""
    for _ in range(3):  # what was just being started, too
        for pid in system.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    system.gone(60)


def place_past(system: System, number: int, quantity: Decimal) -> Any:
    words = (*PLACE, str(quantity), "--price", str(PRICE), "--client-order-id", past_id(number))
    return system.run(*words, "--json")


def test_open_orders_and_past_ids_are_known_after_a_kill(system: System) -> None:
    system.start("--wait", "live", "--timeout", "120")
    everything = KEPT + JOURNALED
    wait_until(lambda: system.run("positions").returncode == 0, 120, "past orders were read")
    assert position(system) == (QUANTITY * everything, FEE * everything)
    resting = {system.json(*PLACE, "0.01", "--price", str(20000 + number))["client_order_id"] for number in range(3)}
    wait_until(lambda: open_orders(system) == resting, 60, "they rest")
    kill_all(system)

    system.start("--wait", "live", "--timeout", "120")
    wait_until(lambda: open_orders(system) == resting, 60, "what is open, and nothing else")
    assert position(system) == (QUANTITY * everything, FEE * everything)
    for number in (3, KEPT - 1, KEPT + 7, everything - 1):
        again = place_past(system, number, QUANTITY)
        assert again.returncode == 0, again.stderr
        assert '"status":"FILLED"' in again.stdout.replace(" ", "")
        other = place_past(system, number, QUANTITY * 2)
        assert other.returncode != 0
        assert "DuplicateClientOrderId" in other.stdout
        assert system.json("order", "show", past_id(number))["fills"][0]["fee"] == str(FEE)
    canceled = [system.json("order", "cancel", name)["status"] for name in resting]
    wait_until(lambda: open_orders(system) == set(), 60, f"all are canceled: {canceled}")
    assert system.run("stop").returncode == 0
