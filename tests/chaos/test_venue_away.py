"""A venue that is away: at start, and for a while later. Everything else runs; it comes back by itself.

TC_AWAY_S says for how long (60: the minute that is promised); by default long enough for every pause to have grown.
"""

from __future__ import annotations

import os
import time
from typing import Any
from urllib.parse import urlsplit

import pytest
from support.paper import EXCHANGES, SYMBOLS, actors, all_live, all_run, wrong_books
from support.simulator import Simulator
from support.system import System
from support.waiting import wait_until

from thespian_connector import Connector
from thespian_connector.model.errors import ConnectorError

AWAY_S = float(os.environ.get("TC_AWAY_S", "12"))


def ports(simulator: Simulator) -> dict[str, int]:
    urls = {"binance_port": simulator.urls["binance"]["rest"], "bybit_port": simulator.urls["bybit"]["rest"]}
    found = {name: urlsplit(url).port for name, url in urls.items()}
    return {name: port for name, port in found.items() if port is not None}


def trusts(status: dict[str, Any], exchange: str) -> set[str]:
    return {book["trust"] for book in status["books"] if book["exchange"] == exchange}


@pytest.mark.timeout(600 + 2 * AWAY_S)
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
        away_at_start = time.monotonic()
        with System(*settings) as system:
            monkeypatch.setenv("XDG_RUNTIME_DIR", str(system.directory))
            system.start()
            with Connector.attach(system.name) as connector:
                wait_until(lambda: trusts(connector.status(), "bybit") == {"LIVE"}, 60, "Bybit does not wait")
                wait_until(lambda: all_run(connector), 60, "all processes run, those of Binance too")
                pids = {name: row["pid"] for name, row in actors(connector.status()).items()}
                assert trusts(connector.status(), "binance") == {"SYNCING"}
                with pytest.raises(ConnectorError, match=r"127\.0\.0\.1|instruments|ask again|not asked"):
                    connector.order_book("binance", SYMBOLS[0])
                wait_until(lambda: alone(connector), 60, "Bybit alone is merged, once the Aggregator has heard of it")
                never_notices(connector, until=away_at_start + AWAY_S)
                with Simulator(seed=1, **free):
                    begun = time.monotonic()
                    wait_until(lambda: all_live(connector.status()), 60, "Binance came")
                    print(f"\ndown at start: LIVE {time.monotonic() - begun:.2f} s after it came")
                gone = time.monotonic()
                wait_until(lambda: trusts(connector.status(), "binance") <= {"STALE", "SYNCING"}, 60, "it is missed")
                print(f"away: no longer LIVE after {time.monotonic() - gone:.2f} s")
                wait_until(lambda: alone(connector), 60, "Bybit alone")
                never_notices(connector, until=gone + AWAY_S)
                with Simulator(seed=3, **free) as back:
                    begun = time.monotonic()
                    wait_until(lambda: all_live(connector.status()), 60, "Binance is back")
                    print(f"away for {AWAY_S:g} s: LIVE {time.monotonic() - begun:.2f} s after it came back")
                    right = wait_until(lambda: right_on(connector, back, other), 60, "right on both")
                    assert right
                    after = {name: row["pid"] for name, row in actors(connector.status()).items()}
                assert after == pids, "nobody was restarted for it"
            assert system.run("stop").returncode == 0


def never_notices(connector: Connector, until: float) -> None:
    """Bybit's books, and what is merged, stay as they are."""
    while time.monotonic() < until:
        assert trusts(connector.status(), "bybit") == {"LIVE"}
        assert alone(connector)
        time.sleep(0.2)  # a look now and then; a client that asks all the time is not what is tested


def alone(connector: Connector) -> bool:
    return connector.merged_book(SYMBOLS[0], depth=1).exchanges == ("bybit",)


def right_on(connector: Connector, binance: Simulator, bybit: Simulator) -> bool:
    controls = dict(zip(EXCHANGES, (binance.control, bybit.control), strict=True))
    return not wrong_books(connector, controls)
