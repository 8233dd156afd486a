"""A journal that cannot be read: its exchange takes no orders and says why; the rest runs; mended, it goes on."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.paper import all_live
from support.simulator import Simulator
from support.system import System, traded_at
from support.waiting import wait_until

PLACE = ("order", "place", "bybit", "BTC/USDT", "buy", "0.01", "--price", "30000")


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator(seed=8) as one:
        yield one


@pytest.fixture
def system(simulator: Simulator, tmp_path: Path) -> Iterator[System]:
    overrides, keys = traded_at(simulator)
    with System(*overrides, f"store.url=sqlite:///{tmp_path}/orders.db", "orders.timeout_s=30") as one:
        one.environment.update(keys)
        yield one


def first_entry(file: Path, stream: str, body: bytes) -> bytes:
    """Writes it; returns what it was."""
    with sqlite3.connect(file) as connection:
        where = "where stream = ? and sequence = 1"
        [was] = connection.execute(f"select body from tc_entries {where}", (stream,)).fetchone()
        connection.execute(f"update tc_entries set body = ? {where}", (body, stream))
    connection.close()
    return bytes(was)


@pytest.mark.parametrize("stream", ["commands/bybit", "venue/bybit"])
def test_a_damaged_entry_stops_the_orders_of_its_exchange_alone(system: System, tmp_path: Path, stream: str) -> None:
    system.start("--wait", "live", "--timeout", "120")
    placed = system.json(*PLACE)
    wait_until(lambda: system.json("order", "list")["status"] == "NEW", 60, "the venue told of it")
    assert system.run("stop").returncode == 0
    was = first_entry(tmp_path / "orders.db", stream, b"other")

    system.start("--wait", "live", "--timeout", "120")
    pids = system.pids()
    words = f"{stream} entry 1 is not what was written; restore a copy"
    asked = PLACE if stream.startswith("commands") else ("order", "show", placed["client_order_id"])

    def told_again() -> bool:
        done = system.run(*asked)
        assert done.returncode == 4, done.stderr
        why = words in done.stderr.splitlines()[-1]  # or that it is just starting
        return why and (system.runtime / "log.jsonl").read_text().count("tried again in") >= 3

    wait_until(told_again, 60, "it was tried, and tried again")
    assert system.pids() == pids, "nothing ended"
    other = list(PLACE)
    other[2] = "binance"
    assert system.json(*other)["status"] == "NEW"
    wait_until(lambda: all_live(system.json("status")), 60, "all books go on")

    first_entry(tmp_path / "orders.db", stream, was)
    wait_until(lambda: system.run(*PLACE).returncode == 0, 60, "it takes orders again, by itself")
    wait_until(lambda: system.run("order", "show", placed["client_order_id"]).returncode == 0, 60, "and tells of them")
    assert system.pids() == pids
