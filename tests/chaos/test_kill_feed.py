"""A feed's process that dies or freezes: another one, LIVE and right, within seconds; the others never notice."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from support.paper import all_live, lives
from support.system import System
from support.waiting import wait_until

from thespian_connector import Connector, plain
from thespian_connector.model.errors import ConnectorError

SYMBOLS = ("BTC/USDT", "ETH/USDT")
#: The targets are 2 s (killed) and 10 s (frozen) on a machine of our own: what it took is printed, and the bench judges
#: it. This says "it heals" on any.
HEALED_S_MAX = 120.0


@pytest.fixture(scope="module")
def system() -> Iterator[System]:
    with System() as one:
        took = one.start("--wait", "live", "--timeout", "120")
        print(f"\nstart to all LIVE: {took:.2f} s")
        yield one


@pytest.fixture
def connector(system: System, monkeypatch: pytest.MonkeyPatch) -> Iterator[Connector]:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(system.directory))
    with Connector.attach(system.name) as one:
        wait_until(lambda: lives(one), 60, "all LIVE before the test")
        yield one


def actor(status: dict[str, Any], name: str) -> dict[str, Any]:
    return next(row for row in status["actors"] if row["name"] == name)


def equals_truth(connector: Connector, control: str, exchange: str, symbol: str) -> bool:
    """Whether the book at its own update id is what the venue held then, level by level."""
    book = plain(connector.order_book(exchange, symbol))
    native = symbol.replace("/", "")
    params = {"stream": book["stream"], "update_id": book["update_id"]}
    answer = requests.get(f"{control}/truth/{exchange}/book/{native}", params=params, timeout=60)
    answer.raise_for_status()
    truth = answer.json()
    bids, asks = len(book["bids"]), len(book["asks"])
    assert min(bids, asks) >= 20, "a book worth comparing"
    return bool(book["bids"] == truth["bids"][:bids] and book["asks"] == truth["asks"][:asks])


def healed(connector: Connector, name: str, old: dict[str, Any], timeout_s: float) -> float:
    begun = time.monotonic()

    def other_is_live() -> bool:
        try:
            status = connector.status()
        except ConnectorError:
            return False
        row = next((row for row in status["actors"] if row["name"] == name), old)
        return row["state"] == "running" and row["pid"] != old["pid"] and all_live(status)

    wait_until(other_is_live, timeout_s, f"{name} runs anew and all books are LIVE")
    return time.monotonic() - begun


@pytest.mark.parametrize("exchange", ["binance", "bybit"])
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "frozen"])
def test_a_feed_comes_back_live_and_right(
    system: System, connector: Connector, exchange: str, how: signal.Signals
) -> None:
    name = f"exchange/{exchange}/market-data/0"
    before = connector.status()
    old = actor(before, name)
    [was] = list(connector.components(name))
    os.kill(old["pid"], how)
    took = healed(connector, name, old, HEALED_S_MAX)
    print(f"\n{exchange} feed, {how.name}: all LIVE again after {took:.2f} s")
    [now] = list(connector.components(name))
    assert now["incarnation"] > was["incarnation"]
    assert actor(connector.status(), name)["restarts"] == old["restarts"] + 1
    for symbol in SYMBOLS:
        assert equals_truth(connector, before["system"]["control"], exchange, symbol)
    others = [row["name"] for row in before["actors"] if row["name"] != name]
    after = connector.status()
    assert [actor(after, other)["pid"] for other in others] == [actor(before, other)["pid"] for other in others]


def test_a_frozen_feed_does_not_silence_root(system: System, connector: Connector) -> None:
    """Far more is asked of it than Root lets it owe: all get an answer or a refusal, others are answered as ever."""
    name = "exchange/binance/market-data/0"
    old = actor(connector.status(), name)
    told: list[str] = []

    def ask() -> None:
        try:
            told.append(connector.order_book("binance", "BTC/USDT", depth=1).trust)
        except ConnectorError as error:
            told.append(str(error))

    os.kill(old["pid"], signal.SIGSTOP)
    askers = [threading.Thread(target=ask) for _ in range(25)]
    for asker in askers:
        asker.start()
    begun = time.monotonic()

    def another_answers() -> bool:
        with contextlib.suppress(ConnectorError):
            return bool(connector.order_book("bybit", "BTC/USDT", depth=1).bids)
        return False

    wait_until(another_answers, 60, "the other exchange answers")
    print(f"\nanother exchange's answer meanwhile: {(time.monotonic() - begun) * 1000:.0f} ms")
    for asker in askers:
        asker.join(60)
    assert len(told) == 25, "every asker got an answer"
    healed(connector, name, old, HEALED_S_MAX)
