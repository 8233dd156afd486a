"""A venue that is away: at start, and for a while later. Everything else runs; it comes back by itself.

TC_AWAY_S says for how long (60: the minute that is promised); by default long enough for every pause to have grown.
"""

from __future__ import annotations

import os
import time
from typing import Any

import pytest
import requests
from support.paper import EXCHANGES, SYMBOLS, actors, all_run, lives, wrong_books
from support.simulator import Simulator, kept_port
from support.system import System
from support.waiting import wait_until

from thespian_connector import Connector
from thespian_connector.model.errors import ConnectorError

AWAY_S = float(os.environ.get("TC_AWAY_S", "12"))


def trusts(status: dict[str, Any], exchange: str) -> set[str]:
    return {book["trust"] for book in status["books"] if book["exchange"] == exchange}


@pytest.mark.timeout(600 + 2 * AWAY_S)
def test_a_venue_that_is_away_at_start_or_later_comes_back_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Binance and Bybit on two simulators; Binance's is not there at first, comes, and goes for a while."""
    free = {"binance_port": kept_port(), "bybit_port": kept_port()}
    with Simulator(seed=1, **free) as former, Simulator(seed=2) as other:
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
                spans = bybit_spans(connector)
                assert trusts(connector.status(), "binance") <= {"SYNCING", "STALE"}, "STALE: too late to be heard"
                with pytest.raises(ConnectorError, match=r"127\.0\.0\.1|instruments|ask again|not asked"):
                    connector.order_book("binance", SYMBOLS[0])
                wait_until(lambda: alone(connector), 60, "Bybit alone is merged, once the Aggregator has heard of it")
                never_notices(connector, until=away_at_start + AWAY_S)
                with Simulator(seed=1, **free):
                    begun = time.monotonic()
                    wait_until(lambda: lives(connector), 60, "Binance came")
                    print(f"\ndown at start: LIVE {time.monotonic() - begun:.2f} s after it came")
                gone = time.monotonic()
                wait_until(lambda: trusts(connector.status(), "binance") <= {"STALE", "SYNCING"}, 60, "it is missed")
                print(f"away: no longer LIVE after {time.monotonic() - gone:.2f} s")
                wait_until(lambda: alone(connector), 60, "Bybit alone")
                never_notices(connector, until=gone + AWAY_S)
                with Simulator(seed=3, **free) as back:
                    begun = time.monotonic()
                    wait_until(lambda: lives(connector), 60, "Binance is back")
                    print(f"away for {AWAY_S:g} s: LIVE {time.monotonic() - begun:.2f} s after it came back")
                    right = wait_until(lambda: right_on(connector, back, other), 60, "right on both")
                    assert right
                    after = {name: row["pid"] for name, row in actors(connector.status()).items()}
                assert after == pids, "nobody was restarted for it"
                assert bybit_spans(connector) == spans, "Bybit's books were never broken"
            assert system.run("stop").returncode == 0


def never_notices(connector: Connector, until: float) -> None:
    """Bybit's books, and what is merged, go on; a busy machine may be late with them, for a moment."""
    while time.monotonic() < until:
        wait_until(lambda: trusts(connector.status(), "bybit") == {"LIVE"}, 60, "Bybit is LIVE")
        wait_until(lambda: alone(connector), 60, "Bybit alone is merged")
        time.sleep(0.2)  # a look now and then; a client that asks all the time is not what is tested


def bybit_spans(connector: Connector) -> dict[str, int]:
    """symbol -> how often its book had to be made anew, once all of them are LIVE."""

    def live() -> dict[str, int]:
        rows = [row for row in connector.status()["books"] if row["exchange"] == "bybit"]
        return {row["symbol"]: row["span"] for row in rows} if {row["trust"] for row in rows} == {"LIVE"} else {}

    return wait_until(live, 60, "Bybit's books are LIVE")


def alone(connector: Connector) -> bool:
    return connector.merged_book(SYMBOLS[0], depth=1).exchanges == ("bybit",)


def right_on(connector: Connector, binance: Simulator, bybit: Simulator) -> bool:
    controls = dict(zip(EXCHANGES, (binance.control, bybit.control), strict=True))
    try:
        return not wrong_books(connector, controls)
    except (ConnectorError, requests.RequestException):
        return False  # the simulator is not yet as old as the book
