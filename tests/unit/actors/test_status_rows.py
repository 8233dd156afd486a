"""Rows of the status document that several processes report."""

from __future__ import annotations

import itertools

import pytest

from thespian_connector.actors.status import _worst


@pytest.mark.parametrize("order", list(itertools.permutations(["closed", "half_open", "open"])))
def test_a_breaker_is_listed_once_at_its_worst(order: tuple[str, ...]) -> None:
    rows = [one for state in order for one in (row("binance", "public", state), row("bybit", "public", "closed"))]
    assert _worst(rows) == [row("binance", "public", "open"), row("bybit", "public", "closed")]


def row(exchange: str, surface: str, state: str) -> dict[str, object]:
    return {"exchange": exchange, "surface": surface, "state": state}
