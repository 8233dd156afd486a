"""What people see of an event: the few numbers that matter, never raw nanoseconds."""

from __future__ import annotations

import re

import pytest

from thespian_connector.cli.watch import event_line

HEAD = {"exchange": "bybit", "symbol": "BTC/USDT", "sequence": 3, "incarnation": 1795319913631}
TIMES = {"venue_time_ns": 1795319915959341759, "received_time_ns": 1795319915959341759}

LINES = {
    "ticker": (
        {"last": "9.5", "bid": "9", "ask": None, "volume": "3.2", "high": "77", **TIMES},
        "last 9.5 bid 9 ask - volume 3.2",
    ),
    "trade": ({"aggressor": "sell", "quantity": "0.1", "price": "9.5", "trade_id": "77", **TIMES}, "sell 0.1 @ 9.5"),
    "book": ({"trust": "STALE", "bids": [["9", "1"], ["77", "1"]], "asks": [], **TIMES}, "STALE 1 @ 9 - @ -"),
    "merged": (
        {
            "exchanges": ["binance"],
            "bids": [["9", "1", {}]],
            "asks": [["8", "2", {}]],
            "excluded": {"bybit": "STALE"},
            "crossed": True,
        },
        "binance 1 @ 9 8 @ 2 without bybit: STALE crossed",
    ),
    "best": (
        {"bid": {"price": "9", "exchange": "binance"}, "ask": None, "spread": None, "excluded": {}, "crossed": False},
        "9 binance - spread -",
    ),
    "status": ({"trust": "SUSPECT", "update_id": 5, "reason": "a gap", **TIMES}, "SUSPECT update 5 a gap"),
    "order": (
        {
            "client_order_id": "a",
            "status": "PARTIALLY_FILLED",
            "side": "buy",
            "quantity": "2",
            "quote_quantity": None,
            "price": "9.5",
            "filled": "1",
            "reason": "",
            "created_ns": 1795319915959341759,
        },
        "a PARTIALLY_FILLED buy 2 @ 9.5 filled 1",
    ),
    "fill": (
        {"execution_id": "e", "quantity": "1", "price": "9.5", "fee": "0.1", "fee_asset": "USDT", "time_ns": 1795},
        "e 1 @ 9.5 fee 0.1 USDT",
    ),
    "balance": ({"asset": "BTC", "free": "1", "locked": "0"}, "free 1 locked 0"),
    "marker": ({"what": "missed", "missed": 4, "detail": "", "channel": "trade"}, "missed trade 4 lost"),
}


@pytest.mark.parametrize("kind", LINES)
def test_a_line_an_event(kind: str) -> None:
    fields, expected = LINES[kind]
    line = event_line({"kind": kind, **HEAD, **fields})
    assert re.sub(r"\s+", " ", line).strip() == f"{kind} bybit BTC/USDT {expected}"
