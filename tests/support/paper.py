"""A running paper system as its users see it: what `status` lists, books against the simulator's truth."""

from __future__ import annotations

import time
from typing import Any

import requests

from thespian_connector import Connector, plain
from thespian_connector.model.errors import ConnectorError

from .waiting import wait_until

EXCHANGES = ("binance", "bybit")
SYMBOLS = ("BTC/USDT", "ETH/USDT")


def actors(status: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in status["actors"]}


def all_live(status: dict[str, Any]) -> bool:
    return len(status["books"]) == 4 and all(book["trust"] == "LIVE" for book in status["books"])


def lives(connector: Connector) -> bool:
    """Whether all is LIVE, and is told in time."""
    try:
        return all_live(connector.status())
    except ConnectorError:
        return False


def all_run(connector: Connector) -> bool:
    """Everything is there, down to the feeds."""
    rows = actors(connector.status())
    feeds = [name for name in rows if name.endswith("/market-data/0")]
    return bool(feeds) and all(row["state"] == "running" for row in rows.values())


def wrong_books(connector: Connector, control: str | dict[str, str]) -> list[str]:
    """The books that are not LIVE, or not, level by level, what the venue held at their own update id.

    :param control: the simulator's control port, or that of each exchange's own.
    """
    return [
        f"{exchange} {symbol}"
        for exchange in EXCHANGES
        for symbol in SYMBOLS
        if not _right(connector, control if isinstance(control, str) else control[exchange], exchange, symbol)
    ]


def _right(connector: Connector, control: str, exchange: str, symbol: str) -> bool:
    book = plain(connector.order_book(exchange, symbol))
    params = {"stream": book["stream"], "update_id": book["update_id"]}
    url = f"{control}/truth/{exchange}/book/{symbol.replace('/', '')}"
    answer = requests.get(url, params=params, timeout=60)
    answer.raise_for_status()
    truth = answer.json()
    bids, asks = len(book["bids"]), len(book["asks"])
    same = book["bids"] == truth["bids"][:bids] and book["asks"] == truth["asks"][:asks]
    return bool(same and min(bids, asks) >= 20 and book["trust"] == "LIVE")


def healed(connector: Connector, old: dict[str, dict[str, Any]], timeout_s: float) -> tuple[float, dict[str, Any]]:
    """Seconds until other processes bear the names of `old`, every actor runs and every book, the merged one too, is
    LIVE; and the status that says so."""
    begun = time.monotonic()

    def others_run() -> dict[str, Any]:
        try:
            status = connector.status()
            rows = actors(status)
            new = all(name in rows and rows[name]["pid"] != row["pid"] for name, row in old.items())
            if new and len(rows) >= 14 and all(row["state"] == "running" for row in rows.values()) and all_live(status):
                merged = connector.merged_book(SYMBOLS[0], depth=5)
                return status if merged.exchanges and not merged.excluded else {}
        except ConnectorError:
            pass  # nobody is there to ask, for a moment
        return {}

    status = wait_until(others_run, timeout_s, f"{', '.join(old)} are replaced and all is LIVE")
    return time.monotonic() - begun, status
