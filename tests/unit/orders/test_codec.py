"""Every kind of event comes back exactly; what is none is told."""

from __future__ import annotations

from decimal import Decimal

import pytest
from support.orders import absent, answered, cancel_intended, executed, fill, intended, report, reported

from thespian_connector.model.errors import StoreError
from thespian_connector.model.private import BalanceReport
from thespian_connector.orders.codec import decode, encode
from thespian_connector.orders.events import AmendIntended, BalancesTold, Event

EVENTS: list[Event] = [
    intended(quantity="0.00000001", price="12345678901234567890.12345678", replaces="b"),
    cancel_intended(),
    AmendIntended(
        client_order_id="a",
        operation_id="m",
        quantity=Decimal("1.5"),
        price=None,
        deadline_ns=1,
        recv_window_ns=2,
        time_ns=3,
    ),
    answered("a", report("a", fills=(fill(fee="0.1"),), filled_quote=Decimal(3))),
    answered("a", known=False, why="timeout"),
    reported(report("a", None, status_word="Odd"), source="query"),
    executed(fill(price="0.1")),
    BalancesTold(balances=(BalanceReport(asset="BTC", free=Decimal("0.1"), locked=Decimal(0)),), asked_at=3, time_ns=1),
    absent(),
]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_it_comes_back_exactly(event: Event) -> None:
    assert decode(encode(event)) == event


@pytest.mark.parametrize("body", [b"", b"\xc1", b"\x81\xa4type\xa3new", encode(absent())[:-3]])
def test_what_is_none_is_told(body: bytes) -> None:
    with pytest.raises(StoreError, match="cannot read"):
        decode(body)
