"""Merged books held against the simulator's truth at the updates that they name."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import requests

from thespian_connector.model import MergedBook

Truth = dict[Decimal, dict[str, Decimal]]


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
