"""Merged books held against the simulator's truth at the updates that they name."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import requests

from thespian_connector import Connector
from thespian_connector.bus.subscriber import Subscriber
from thespian_connector.model import MergedBook

Truth = dict[Decimal, dict[str, Decimal]]


def each_merged(connector: Connector, symbol: str = "BTC/USDT") -> Iterator[MergedBook]:
    """Every merged book that is published, not only the newest at each look: what is short is not missed."""
    [one] = connector.components("aggregator")
    with Subscriber({"aggregator": str(one["endpoint"])}, [f"merged|*|{symbol}"], conflate=False) as subscriber:
        yield from (event.record for event in subscriber if isinstance(event.record, MergedBook))


def truth_of(control: str, book: MergedBook) -> tuple[Truth, Truth]:
    """(bids, asks): price -> exchange -> quantity, whole, of every exchange in `book` at its update."""
    bids: Truth = {}
    asks: Truth = {}
    for exchange, source in book.sources.items():
        answer = requests.get(
            f"{control}/truth/{exchange}/book/{book.symbol.replace('/', '')}",
            params={"stream": source.stream, "update_id": str(source.update_id)},
            timeout=60,
        )
        answer.raise_for_status()
        found: Any = answer.json()
        for side, levels in ((bids, found["bids"]), (asks, found["asks"])):
            for price, quantity in levels:
                side.setdefault(Decimal(price), {})[exchange] = Decimal(quantity)
    return bids, asks


def check_merged(control: str, book: MergedBook) -> None:
    """Every level is there, in order, with every exchange's share, down to the last that is shown."""
    bids, asks = truth_of(control, book)
    for levels, truth, descending in ((book.bids, bids, True), (book.asks, asks, False)):
        expected = [(price, truth[price]) for price in sorted(truth, reverse=descending)][: len(levels)]
        assert [(level.price, level.shares) for level in levels] == expected
        assert all(level.quantity == sum(level.shares.values()) for level in levels)
