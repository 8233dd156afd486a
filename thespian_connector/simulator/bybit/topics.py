"""The topics of the public spot socket, as text and taken apart."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from .settings import DEPTH_CADENCE_MS

#: The depth of ``orderbook.full``: no bound.
FULL = 0

#: Milliseconds of each kline interval that does not depend on the calendar.
INTERVAL_MS = {str(minutes): minutes * 60_000 for minutes in (1, 3, 5, 15, 30, 60, 120, 240, 360, 720)} | {
    "D": 86_400_000,
    "W": 7 * 86_400_000,
}
INTERVALS = frozenset((*INTERVAL_MS, "M"))


class Topic(NamedTuple):
    """A topic taken apart. `depth` is for order books, `interval` for klines."""

    text: str
    kind: str
    symbol: str
    depth: int = -1
    interval: str = ""

    @property
    def stream(self) -> str:
        """The topic without its symbol: ``orderbook.50``."""
        return self.text[: -len(self.symbol) - 1]


class TopicError(ValueError):
    """A topic that the socket does not serve; the text is what Bybit answers."""


def parse(text: str, symbols: Collection[str]) -> Topic:
    """The topic that `text` names.

    :raises TopicError: no such kind of topic, no such kline interval, or no such symbol: with Bybit's words.
    """
    kind, *middle, symbol = text.split(".") if "." in text else ("", text)
    topic: Topic | None = None
    if kind == "orderbook" and len(middle) == 1:
        depths = {str(depth): depth for depth in DEPTH_CADENCE_MS} | {"full": FULL}
        if middle[0] in depths:
            topic = Topic(text, kind, symbol, depth=depths[middle[0]])
    elif kind == "kline" and len(middle) == 1:
        if middle[0] not in INTERVALS:
            raise TopicError(f"Invalid kline type :[{text}]")
        topic = Topic(text, kind, symbol, interval=middle[0])
    elif kind in ("publicTrade", "tickers", "priceLimit") and not middle:
        topic = Topic(text, kind, symbol)
    if topic is None:
        raise TopicError(f"error:handler not found,topic:{text}")
    if symbol not in symbols:
        raise TopicError(f"Invalid symbol :[{text}]")
    return topic
