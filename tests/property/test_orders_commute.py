"""Facts of an order, in any order and with repeats, lead to the same state: no interleaving loses or doubles a fill."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st
from support.orders import (
    absent,
    answered,
    cancel_intended,
    executed,
    fill,
    intended,
    ledger,
    report,
    reported,
)

from thespian_connector.model import OrderStatus
from thespian_connector.orders.events import Event, Operation
from thespian_connector.orders.ledger import Ledger

OPEN = (OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED)


@st.composite
def facts(draw: st.DrawFn) -> list[Event]:
    """The story of a few orders as a venue could tell it, from several sources."""
    told: list[Event] = []
    for name in ("a", "b"):
        told.append(intended(name))
        fills = draw(st.integers(0, 3))
        known = draw(st.sampled_from(["answer", "lost", "refused", "none"]))
        if known == "refused":
            told.append(answered(name, why="no"))
            continue
        if known == "answer":
            told.append(answered(name, report(name, at=3)))
        if known == "lost":
            told.append(answered(name, known=False, why="gone"))
            if draw(st.booleans()):
                told.append(absent(name))
                continue
        for number in range(1, fills + 1):
            quantity = "0.5"
            one = fill(name, number + (100 if name == "b" else 0), quantity, at=10 + number, fee="0.001")
            anonymous = fill(
                name, number + (100 if name == "b" else 0), quantity, at=10 + number, fee="0.001", client_order_id=""
            )
            told.append(executed(draw(st.sampled_from([one, anonymous]))))
            if draw(st.booleans()):
                state = report(name, OrderStatus.PARTIALLY_FILLED, str(Decimal(quantity) * number), at=10 + number)
                told.append(reported(state, source=draw(st.sampled_from(["stream", "query"]))))
        if draw(st.booleans()):
            told.append(cancel_intended(name))
        if draw(st.booleans()):
            end = report(name, OrderStatus.CANCELED, str(Decimal("0.5") * fills), at=30, reason="by user")
            told.append(answered(name, end, Operation.CANCEL, operation_id="c1", at=31))
        elif fills or draw(st.booleans()):
            told.append(reported(report(name, draw(st.sampled_from(OPEN)), str(Decimal("0.5") * fills), at=20)))
    return told


def state(folded: Ledger) -> tuple[object, ...]:
    return folded.orders(), folded.positions({}), folded.balances()


@settings(max_examples=300)
@given(st.data(), facts())
def test_any_order_and_repeats_lead_to_the_same_state(data: st.DataObject, told: list[Event]) -> None:
    straight = ledger()
    for event in told:
        straight.apply(event)
    shuffled = ledger()
    repeats = data.draw(st.lists(st.sampled_from(told), max_size=4))
    for event in data.draw(st.permutations(told + repeats)):
        shuffled.apply(event)
    assert state(shuffled) == state(straight)


@settings(max_examples=300)
@given(st.data(), facts())
def test_no_step_takes_back_a_fill_or_an_end(data: st.DataObject, told: list[Event]) -> None:
    folded = ledger()
    for event in data.draw(st.permutations(told)):
        before = {order.client_order_id: order for order in folded.orders()}
        folded.apply(event)
        for order in folded.orders():
            earlier = before.get(order.client_order_id)
            if earlier is None:
                continue
            assert order.filled >= earlier.filled
            assert {one.execution_id for one in earlier.fills} <= {one.execution_id for one in order.fills}
            if earlier.status in (OrderStatus.FILLED, OrderStatus.CANCELED):
                assert order.status is earlier.status
