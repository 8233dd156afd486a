"""A venue that is away: at start, and for a while later. Everything else runs; it comes back by itself."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import urlsplit

import pytest
from support.paper import EXCHANGES, SYMBOLS, actors, all_live, wrong_books
from support.simulator import Simulator
from support.system import System
from support.waiting import wait_until

from thespian_connector import Connector
from thespian_connector.model.errors import ConnectorError

AWAY_S = 8.0


def ports(simulator: Simulator) -> dict[str, int]:
    urls = {"binance_port": simulator.urls["binance"]["rest"], "bybit_port": simulator.urls["bybit"]["rest"]}
    found = {name: urlsplit(url).port for name, url in urls.items()}
    return {name: port for name, port in found.items() if port is not None}


def trusts(status: dict[str, Any], exchange: str) -> set[str]:
    return {book["trust"] for book in status["books"] if book["exchange"] == exchange}


def test_a_venue_that_is_away_at_start_or_later_comes_back_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Binance and Bybit on two simulators; Binance's is not there at first, comes, and goes for a while."""
    with Simulator(seed=1) as former, Simulator(seed=2) as other:
        free = ports(former)
        settings = [
            f"exchanges.{exchange}.urls.{key}={value}"
            for exchange, simulator in (("binance", former), ("bybit", other))
            for key, value in simulator.urls[exchange].items()
        ]
        former.__exit__(None, None, None)
        with System(*settings) as system:
            monkeypatch.setenv("XDG_RUNTIME_DIR", str(system.directory))
            system.start()
            with Connector.attach(system.name) as connector:
                pids = {name: row["pid"] for name, row in actors(connector.status()).items()}
                wait_until(lambda: trusts(connector.status(), "bybit") == {"LIVE"}, 30, "Bybit does not wait")
                assert trusts(connector.status(), "binance") == {"SYNCING"}
                with pytest.raises(ConnectorError, match=r"127\.0\.0\.1|instruments|ask again|not asked"):
                    connector.order_book("binance", SYMBOLS[0])
                wait_until(lambda: alone(connector), 10, "Bybit alone is merged, once the Aggregator has heard of it")
                with Simulator(seed=1, **free):
                    begun = time.monotonic()
                    wait_until(lambda: all_live(connector.status()), 30, "Binance came")
                    print(f"\ndown at start: LIVE {time.monotonic() - begun:.2f} s after it came")
                gone = time.monotonic()
                wait_until(lambda: trusts(connector.status(), "binance") <= {"STALE", "SYNCING"}, 15, "it is missed")
                print(f"away: no longer LIVE after {time.monotonic() - gone:.2f} s")
                while time.monotonic() < gone + AWAY_S:
                    assert trusts(connector.status(), "bybit") == {"LIVE"}, "Bybit never notices"
                    wait_until(lambda: alone(connector), 10, "Bybit alone")
                with Simulator(seed=3, **free) as back:
                    begun = time.monotonic()
                    wait_until(lambda: all_live(connector.status()), 40, "Binance is back")
                    print(f"away for {AWAY_S:g} s: LIVE {time.monotonic() - begun:.2f} s after it came back")
                    right = wait_until(lambda: right_on(connector, back, other), 20, "right on both")
                    assert right
                    after = {name: row["pid"] for name, row in actors(connector.status()).items()}
                assert after == pids, "nobody was restarted for it"
            assert system.run("stop").returncode == 0


def alone(connector: Connector) -> bool:
    return connector.merged_book(SYMBOLS[0], depth=1).exchanges == ("bybit",)


def right_on(connector: Connector, binance: Simulator, bybit: Simulator) -> bool:
    controls = dict(zip(EXCHANGES, (binance.control, bybit.control), strict=True))
    return not wrong_books(connector, controls)
