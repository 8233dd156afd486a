"""Streams from a running system, and recordings of its venue."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support.system import System
from support.waiting import wait_until

from thespian_connector import Connector, Trust
from thespian_connector.model import OrderBook, Trade
from thespian_connector.model.errors import UnknownChannel, UnknownExchange, UnknownSymbol


@pytest.fixture(scope="module")
def paper() -> Iterator[System]:
    with System() as system:
        system.start("--wait", "live", "--timeout", "120")
        yield system


@pytest.fixture
def connector(paper: System, monkeypatch: pytest.MonkeyPatch) -> Iterator[Connector]:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(paper.directory))
    with Connector.attach(paper.name) as one:
        yield one


def test_the_last_book_comes_first_and_then_newer_ones(connector: Connector) -> None:
    books: list[OrderBook] = []
    stream = connector.stream("BTC/USDT", exchanges=("binance",))
    for event in stream:
        if isinstance(event.record, OrderBook):
            books.append(event.record)
            live = [book for book in books if book.trust is Trust.LIVE]
            if len(live) >= 3 and live[-1].update_id > live[0].update_id:
                break
    stream.close()  # type: ignore[attr-defined]  # a generator
    assert all(len(book.bids) == 20 for book in books)
    ids = [book.update_id for book in books]
    assert ids == sorted(ids)


def test_trades_of_both_venues_come_with_consecutive_numbers(connector: Connector) -> None:
    events = [
        event
        for event in itertools.islice(connector.stream("BTC/USDT", channels=("trade",)), 40)
        if isinstance(event.record, Trade)
    ]
    for exchange in {event.exchange for event in events}:
        numbers = [event.sequence for event in events if event.exchange == exchange]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert events


def test_asyncio_gets_the_same(connector: Connector) -> None:
    async def take() -> list[str]:
        kinds = []
        stream = connector.astream("ETH/USDT", channels=("book", "ticker"))
        async for event in stream:
            kinds.append(event.kind)
            if {"book", "ticker"} <= set(kinds):
                break
        await stream.aclose()  # type: ignore[attr-defined]  # a generator
        return kinds

    assert {"book", "ticker"} <= set(asyncio.run(asyncio.wait_for(take(), 300)))


def test_forty_readers_of_one_connector_begin_at_once(connector: Connector) -> None:
    """More than any process may owe answers at once: they wait their turn, none is refused."""
    together = threading.Barrier(40)

    def first(_: int) -> str:
        together.wait(60)
        stream = connector.stream("BTC/USDT", channels=("book",))
        try:
            return next(event.kind for event in stream)
        finally:
            stream.close()  # type: ignore[attr-defined]  # a generator

    with ThreadPoolExecutor(40) as pool:
        assert set(pool.map(first, range(40))) <= {"book", "marker"}


def test_what_cannot_be_streamed(connector: Connector) -> None:
    with pytest.raises(UnknownChannel):
        connector.stream("BTC/USDT", channels=("candles",))
    with pytest.raises(UnknownExchange):
        connector.stream("BTC/USDT", exchanges=("nowhere",))
    with pytest.raises(UnknownSymbol):
        connector.stream("XYZ/USDT")


def test_watch_prints_one_document_a_line(paper: System) -> None:
    done = paper.run("watch", "BTC/USDT", "--exchange", "bybit", "--channel", "trade", "-n", "5", "--json")
    assert done.returncode == 0
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(events) == 5
    assert all({"kind", "exchange", "symbol", "sequence", "incarnation"} <= event.keys() for event in events)
    trade = next(event for event in events if event["kind"] == "trade")
    assert isinstance(trade["price"], str)


@pytest.mark.parametrize("exchange", ["binance", "bybit"])
def test_a_recording_replays_to_live_books(paper: System, tmp_path: Path, exchange: str) -> None:
    file = tmp_path / "capture.jsonl.gz"
    for seconds in ("3", "10", "40"):  # a busy machine may need longer until all is LIVE
        words = ("record", "--exchange", exchange, "BTC/USDT", "ETH/USDT", str(file), "--overwrite")
        record = paper.json(*words, "--seconds", seconds)
        done = paper.run("replay", "--exchange", exchange, str(file), "--json")
        assert done.returncode == 0
        results = {line["symbol"]: line for line in map(json.loads, done.stdout.splitlines())}
        if all(results[symbol]["applied"] > 5 for symbol in ("BTC/USDT", "ETH/USDT")):
            break
    assert record["frames"] > 10
    assert {book["trust"] for book in record["books"]} == {"LIVE"}
    for symbol in ("BTC/USDT", "ETH/USDT"):
        assert (results[symbol]["trust"], results[symbol]["gaps"]) == ("LIVE", 0)
        assert results[symbol]["applied"] > 5


def test_a_recording_does_not_overwrite(paper: System, tmp_path: Path) -> None:
    file = tmp_path / "capture.jsonl"
    file.write_text("mine")
    done = paper.run("record", "--exchange", "bybit", "BTC/USDT", str(file), "--seconds", "1")
    assert done.returncode == 2
    assert file.read_text() == "mine"


OWNER = """
import sys
from thespian_connector import Connector
connector = Connector.start(system=sys.argv[1], overrides=sys.argv[2:], wait_live=False)
print(connector.ping()["pid"], flush=True)
sys.stdin.read()
"""


def test_a_system_ends_with_the_program_that_started_it() -> None:
    with System("exchanges.bybit.enabled=false") as system:
        overrides = [word for word in system._overrides if word != "--set"]
        owner = subprocess.Popen(
            [sys.executable, "-c", OWNER, system.name, *overrides],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=system.environment,
        )
        assert owner.stdin is not None
        assert owner.stdout is not None
        root = int(owner.stdout.readline())
        assert system.pids()[root] == "root"
        os.kill(owner.pid, signal.SIGKILL)
        owner.wait(60)
        owner.stdin.close()
        owner.stdout.close()
        print(f"\nowner killed: nothing left after {system.gone(60):.2f} s")
        wait_until(lambda: not system.sockets(), 60, "no socket is left")


def test_a_with_block_starts_and_ends_a_system(monkeypatch: pytest.MonkeyPatch) -> None:
    with System() as system:
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(system.directory))
        with Connector.start(
            system=system.name, overrides=["exchanges.bybit.enabled=false"], timeout_s=120
        ) as connector:
            book = connector.order_book("binance", "BTC/USDT", depth=5)
            assert len(book.bids) == 5
            assert book.trust in (Trust.LIVE, Trust.STALE), "it was LIVE; a busy machine may be late since"
            assert connector.ticker("binance", "BTC/USDT").last > 0
            assert len(connector.trades("binance", "BTC/USDT", limit=5)) == 5
            assert {"BTC/USDT", "ETH/USDT"} <= {one.symbol for one in connector.instruments("binance")}
        assert not system.pids()
        assert system.sockets() == []
