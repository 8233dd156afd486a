"""The messages of the public spot socket, encoded once for all who get them.

Key order is spot's: ``ts`` before ``type`` (v5 docs, samples of the spot socket; linear has them the other way round).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from .settings import TRADES_A_MESSAGE_MAX
from .views import TextLevels


def order_book(
    topic: str,
    kind: str,
    symbol: str,
    bids: TextLevels,
    asks: TextLevels,
    *,
    update_id: int,
    sequence: int,
    push_ms: int,
    engine_ms: int,
) -> bytes:
    """``{"topic":"orderbook.50.BTCUSDT","ts":..,"type":"snapshot|delta","data":{"s","b","a","u","seq"},"cts":..}``"""
    return msgspec.json.encode(
        {
            "topic": topic,
            "ts": push_ms,
            "type": kind,
            "data": {"s": symbol, "b": bids, "a": asks, "u": update_id, "seq": sequence},
            "cts": engine_ms,
        }
    )


def trades(topic: str, items: Sequence[dict[str, Any]], push_ms: int) -> Iterator[bytes]:
    """``{"topic":"publicTrade.BTCUSDT","ts":..,"type":"snapshot","data":[..]}``, at most 1024 trades a message."""
    for start in range(0, len(items), TRADES_A_MESSAGE_MAX):
        part = items[start : start + TRADES_A_MESSAGE_MAX]
        yield msgspec.json.encode({"topic": topic, "ts": push_ms, "type": "snapshot", "data": part})


def ticker(topic: str, data: dict[str, str], sequence: int, push_ms: int) -> bytes:
    """``{"topic":"tickers.BTCUSDT","ts":..,"type":"snapshot","cs":..,"data":{..}}``; spot has no bid or ask in it."""
    return msgspec.json.encode({"topic": topic, "ts": push_ms, "type": "snapshot", "cs": sequence, "data": data})


def kline(topic: str, data: dict[str, Any], push_ms: int) -> bytes:
    """``{"type":"snapshot","topic":"kline.1.BTCUSDT","data":[{..}],"ts":..}``"""
    return msgspec.json.encode({"type": "snapshot", "topic": topic, "data": [data], "ts": push_ms})


def price_limit(topic: str, data: dict[str, str], push_ms: int) -> bytes:
    """``{"topic":"priceLimit.BTCUSDT","ts":..,"data":{"symbol","buyLmt","sellLmt"}}``"""
    return msgspec.json.encode({"topic": topic, "ts": push_ms, "data": data})
