"""Depths that no book has are the caller's error, told before anybody is asked."""

from __future__ import annotations

from typing import Any

import pytest

from thespian_connector.connector import Connector
from thespian_connector.model.errors import UsageError


@pytest.mark.parametrize("depth", [-1, 1_000_001, 10**23, -(10**5000)], ids=["negative", "many", "huge", "endless"])
def test_a_depth_that_cannot_be(depth: int) -> None:
    connector = Connector("nowhere")
    with pytest.raises(UsageError, match="take 0 for all"):
        connector.order_book("bybit", "BTC/USDT", depth)
    with pytest.raises(UsageError, match="take 0 for all"):
        connector.merged_book("BTC/USDT", depth)


@pytest.mark.parametrize("depth", ["x", 1.5, None, True])
def test_a_depth_that_is_no_whole_number(depth: Any) -> None:
    with pytest.raises(UsageError, match=f"{depth!r} is no whole number"):
        Connector("nowhere").order_book("bybit", "BTC/USDT", depth)
