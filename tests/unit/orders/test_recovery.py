"""After a crash, an intent without an answer is of unknown outcome; one with an answer is not."""

from __future__ import annotations

from support.orders import answered, cancel_intended, intended, ledger, report

from thespian_connector.model import OrderStatus
from thespian_connector.orders.events import Event, Operation
from thespian_connector.orders.recovery import Recovery


def interrupted(*events: Event) -> list[tuple[str, Operation]]:
    recovery = Recovery()
    for event in events:
        recovery.see(event)
    return [(one.client_order_id, one.operation) for one in recovery.interrupted(9)]


def test_only_what_has_no_answer() -> None:
    assert interrupted(intended("a"), intended("b"), answered("a", report("a"))) == [("b", Operation.PLACE)]
    assert interrupted(intended("a"), answered("a", report("a")), cancel_intended("a")) == [("a", Operation.CANCEL)]
    told = answered("a", report("a", OrderStatus.CANCELED), Operation.CANCEL, operation_id="c1")
    assert interrupted(intended("a"), answered("a", report("a")), cancel_intended("a"), told) == []


def test_an_interrupted_place_is_unknown_until_the_venue_tells() -> None:
    recovery, folded = Recovery(), ledger()
    recovery.see(intended("a"))
    folded.apply(intended("a"))
    for event in recovery.interrupted(9):
        folded.apply(event)
    order = folded.order("a")
    assert order is not None
    assert (order.status, order.outcome_known) == (OrderStatus.UNKNOWN, False)
