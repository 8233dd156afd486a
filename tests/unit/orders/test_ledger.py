"""One order's way through what is known of it; positions; chains; the reconciler's rules."""

from __future__ import annotations

import itertools
from decimal import Decimal
from typing import Any

import pytest
from support.orders import (
    SECOND,
    SYMBOL,
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

from thespian_connector.model import OrderStatus, Side
from thespian_connector.model.private import FillReport
from thespian_connector.orders.chain import REST_NOT_PLACED
from thespian_connector.orders.events import AmendIntended, Event, Operation
from thespian_connector.orders.ledger import Ledger
from thespian_connector.orders.positions import PositionBook
from thespian_connector.orders.reconcile import Due, Inquiry, Reconciler

D = Decimal


def folded(*events: Event) -> Ledger:
    one = ledger()
    for event in events:
        one.apply(event)
    return one


def status(*events: Event) -> OrderStatus:
    order = folded(*events).order("a")
    assert order is not None
    return order.status


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ([], OrderStatus.PENDING_NEW),
        ([answered("a", report("a", None))], OrderStatus.PENDING_NEW),  # an accept-ack is no state
        ([answered("a", report("a"))], OrderStatus.NEW),
        ([answered("a", why="no")], OrderStatus.REJECTED),
        ([answered("a", known=False)], OrderStatus.UNKNOWN),
        ([answered("a", known=False), reported(report("a"))], OrderStatus.NEW),
        ([answered("a", known=False), absent("a")], OrderStatus.REJECTED),
        ([answered("a", known=False), absent("a"), executed(fill())], OrderStatus.PARTIALLY_FILLED),  # reopened
        ([answered("a", why="no"), executed(fill(quantity="2"))], OrderStatus.FILLED),  # evidence beats words
        ([executed(fill(quantity="2"))], OrderStatus.FILLED),  # before any report
        ([reported(report("a", OrderStatus.FILLED, "2")), reported(report("a", at=9))], OrderStatus.FILLED),
        ([answered("a", report("a")), cancel_intended()], OrderStatus.PENDING_CANCEL),
        (
            [answered("a", report("a")), cancel_intended(), answered("a", None, Operation.CANCEL, operation_id="c1")],
            OrderStatus.NEW,  # the venue refused to cancel
        ),
        (
            [
                answered("a", report("a")),
                cancel_intended(),
                answered("a", None, Operation.CANCEL, operation_id="c1", known=False),
            ],
            OrderStatus.PENDING_CANCEL,
        ),
        (
            [
                answered("a", report("a")),
                cancel_intended(),
                answered("a", None, Operation.CANCEL, operation_id="c1", known=False),
                reported(report("a"), at=9 * SECOND, source="query"),
            ],
            OrderStatus.NEW,  # asked after it could no longer arrive
        ),
    ],
)
def test_status(facts: list[Event], expected: OrderStatus) -> None:
    assert status(intended(), *facts) is expected


def test_why_it_ended() -> None:
    gone = folded(intended(), answered("a", known=False, why="timeout"), absent("a")).order("a")
    assert gone is not None
    assert gone.reason == "never_reached_venue"
    lost = folded(intended(), answered("a", known=False, why="timeout")).order("a")
    assert lost is not None
    assert (lost.reason, lost.outcome_known) == ("timeout", False)


def test_a_fill_is_counted_once_whoever_tells_it() -> None:
    first = fill(number=7, quantity="0.5", price="100", fee="0.05")
    told = folded(
        intended(),
        answered("a", report("a", OrderStatus.PARTIALLY_FILLED, "0.5", fills=(first,))),
        executed(first),
        executed(fill(number=7, quantity="0.5", price="100", fee="0.05", client_order_id="")),
    )
    order = told.order("a")
    assert order is not None
    assert (order.filled, order.avg_price, [one.execution_id for one in order.fills]) == (D("0.5"), D(100), ["7"])
    [position] = told.positions({SYMBOL: D(110)})
    assert (position.quantity, position.avg_cost, position.unrealized_pnl) == (D("0.5"), D(100), D(5))
    assert position.fees == {"USDT": D("0.05")}


def test_more_filled_than_told_is_asked_for() -> None:
    told = folded(intended(), reported(report("a", OrderStatus.PARTIALLY_FILLED, "1", filled_quote=D(99))))
    order = told.order("a")
    assert order is not None
    assert (order.filled, order.avg_price, order.fills) == (D(1), D(99), ())
    assert Reconciler(10 * SECOND).due(told.legs(), 60 * SECOND) == [Due("a", Inquiry.FILLS)]


def test_an_average_price_is_exact_to_34_digits() -> None:
    told = folded(
        intended(quantity="3"), executed(fill(quantity="1", price="100")), executed(fill(number=2, price="101"))
    )
    told.apply(executed(fill(number=3, price="100")))
    order = told.order("a")
    assert order is not None
    assert order.avg_price == D("100.3333333333333333333333333333333")


@pytest.mark.parametrize(
    ("fills", "expected"),
    [
        # quantity, average cost, realised
        ([("buy", "2", "100", "0", "USDT")], ("2", "100", "0")),
        ([("buy", "2", "100", "0", "USDT"), ("buy", "2", "110", "0", "USDT")], ("4", "105", "0")),
        ([("buy", "2", "100", "0", "USDT"), ("sell", "1", "110", "1", "USDT")], ("1", "100", "10")),
        ([("buy", "2", "100", "0", "USDT"), ("sell", "3", "110", "0", "USDT")], ("-1", "110", "20")),
        ([("sell", "1", "110", "0", "USDT"), ("buy", "1", "100", "0", "USDT")], ("0", "0", "10")),
        ([("buy", "2", "100", "0.002", "BTC")], ("1.998", "100", "0")),
        ([("buy", "2", "100", "0.002", "BTC"), ("sell", "1.998", "110", "0", "USDT")], ("0", "0", "19.98")),
    ],
)
def test_positions(fills: list[tuple[str, str, str, str, str]], expected: tuple[str, str, str]) -> None:
    told = ledger()
    for number, (side, quantity, price, fee, asset) in enumerate(fills):
        one = fill(f"o{number}", number, quantity, price, at=number, side=Side(side), fee=fee, fee_asset=asset)
        told.apply(executed(one))
    [position] = told.positions({})
    assert (position.quantity, position.avg_cost, position.realized_pnl) == tuple(map(D, expected))
    assert position.unrealized_pnl is None


def test_an_order_that_meets_our_own_is_two_fills_of_one_execution() -> None:
    told = folded(
        executed(fill("x", 1, "1", "100", at=1, fee="0.1")),
        executed(fill("y", 1, "1", "100", at=1, side=Side.SELL, fee="0.1")),
    )
    [position] = told.positions({})
    assert (position.quantity, position.realized_pnl, position.fees) == (D(0), D(0), {"USDT": D("0.2")})


def test_positions_do_not_depend_on_the_order_of_arrival() -> None:
    fills = [
        executed(fill("x", 1, "1", "100", at=1)),
        executed(fill("y", 2, "1", "120", at=2, side=Side.SELL)),
        executed(fill("z", 3, "1", "90", at=3)),
    ]
    assert folded(*fills).positions({}) == folded(*reversed(fills)).positions({})


def test_a_replaced_order_is_one_order_to_its_user() -> None:
    amend = AmendIntended(
        client_order_id="a",
        operation_id="m1",
        quantity=D(5),
        price=D(101),
        deadline_ns=9,
        recv_window_ns=1,
        time_ns=6,
        successor="a_1",
    )
    told = folded(intended(), answered("a", report("a")), executed(fill(quantity="0.5")), amend)
    assert told.order("a").status is OrderStatus.PENDING_REPLACE  # type: ignore[union-attr]
    told.apply(reported(report("a", OrderStatus.CANCELED, "0.5", at=7)))
    told.apply(intended("a_1", at=8, replaces="a", quantity="4.5", price="101"))
    told.apply(answered("a", report("a", OrderStatus.CANCELED, "0.5", at=7), Operation.AMEND, 8, "m1"))
    told.apply(answered("a_1", report("a_1", OrderStatus.NEW, at=9)))
    order = told.order("a")
    assert order is not None
    assert (order.status, order.quantity, order.price, order.filled) == (
        OrderStatus.PARTIALLY_FILLED,
        D(5),
        D(101),
        D("0.5"),
    )
    assert order.order_id == "id-a_1"
    told.apply(executed(fill("a_1", 9, "4.5", "101")))
    order = told.order("a")
    assert order is not None
    assert (order.status, order.filled, len(order.fills)) == (OrderStatus.FILLED, D(5), 2)
    assert [one.client_order_id for one in told.orders()] == ["a"]


def test_a_replacement_that_was_refused_leaves_what_the_cancel_left() -> None:
    told = folded(
        intended(),
        answered("a", report("a", OrderStatus.CANCELED, "0.5", at=7), Operation.CANCEL, 7, "m1"),
        intended("a_1", at=8, replaces="a"),
        answered("a_1", why="no funds"),
    )
    order = told.order("a")
    assert order is not None
    assert (order.status, order.order_id) == (OrderStatus.CANCELED, "id-a")


def test_an_order_that_is_told_under_its_cancels_id_is_still_itself() -> None:
    told = folded(intended(), answered("a", report("a")))
    told.apply(reported(report("cancel-id", OrderStatus.CANCELED, at=9, order_id="id-a"), source="history"))
    [order] = told.orders()
    assert (order.client_order_id, order.status) == ("a", OrderStatus.CANCELED)


def test_an_order_that_somebody_else_placed_is_told_as_the_venue_tells_it() -> None:
    told = folded(reported(report("theirs", quantity=D(3), price=D(7)), source="open_orders"))
    [order] = told.orders(open_only=True)
    assert (order.client_order_id, order.quantity, order.price, order.status) == ("theirs", D(3), D(7), OrderStatus.NEW)
    assert told.intent("theirs") is None
    assert order.foreign
    told.apply(intended("theirs", quantity="3", price="7"))
    assert [one.foreign for one in told.orders()] == [False]


def unknown() -> Ledger:
    return folded(intended(at=SECOND), answered("a", known=False, at=2 * SECOND))


def test_an_unknown_order_is_asked_for_with_growing_pauses() -> None:
    told, reconciler = unknown(), Reconciler(10 * SECOND)
    asked, now = [], 2 * SECOND
    while now < 30 * SECOND:
        for due in reconciler.due(told.legs(), now):
            reconciler.asked(due, now)
            asked.append(now / SECOND)
        now += SECOND // 20
    pauses = [round(later - earlier, 2) for earlier, later in itertools.pairwise(asked)]
    assert pauses[:6] == [0.25, 0.5, 1.0, 2.0, 4.0, 5.0]
    assert set(pauses[6:]) == {5.0}


def test_absence_is_proved_only_past_the_bound_and_twice() -> None:
    told, reconciler = unknown(), Reconciler(10 * SECOND)
    leg = told.leg("a")
    assert leg is not None
    bound = reconciler.conclusive_ns(leg)
    assert bound == (1 + 5 + 2 + 10 + 2) * SECOND
    assert not reconciler.not_found(leg, bound)
    assert not reconciler.not_found(leg, bound + 1)
    assert reconciler.not_found(leg, bound + 2)


def test_an_order_with_evidence_is_never_declared_absent() -> None:
    told, reconciler = unknown(), Reconciler(0)
    told.apply(executed(fill()))
    leg = told.leg("a")
    assert leg is not None
    late = reconciler.conclusive_ns(leg) + 1
    assert [reconciler.not_found(leg, late + step) for step in range(5)] == [False] * 5


class _NeverWalked(dict[str, FillReport]):
    """A leg's fills, which may be thousands: whatever goes over all of them for one fact costs their square."""

    def values(self) -> Any:
        raise AssertionError("walked for one fact")

    __iter__ = items = keys = values


def test_one_more_fill_costs_the_same_however_many_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    told = ledger()
    told.apply(intended())
    leg = told.leg("a")
    assert leg is not None
    leg.fills = _NeverWalked()
    counted: list[str] = []
    add = PositionBook.add
    monkeypatch.setattr(PositionBook, "add", lambda book, one, _: (counted.append(one.execution_id), add(book, one)))
    for number in range(4):
        event = executed(fill(number=number, quantity="0.5"))
        assert told.adds(event)
        told.apply(event)
        assert not told.adds(event)
        partial = reported(report(status=OrderStatus.PARTIALLY_FILLED, filled=str((number + 1) * Decimal("0.5"))), 9)
        assert told.adds(partial)
        told.apply(partial)
        assert (leg.filled, leg.fills_missing) == ((number + 1) * Decimal("0.5"), False)
        assert leg.status is (OrderStatus.FILLED if number == 3 else OrderStatus.PARTIALLY_FILLED)
    assert counted == ["0", "1", "2", "3"], "each fill is counted by itself"


def test_a_fill_that_tells_more_takes_the_place_of_the_one_that_told_less() -> None:
    told = ledger()
    told.apply(intended())
    told.apply(executed(fill(quantity="1", price="100", fee_asset="")))
    told.apply(executed(fill(quantity="1", price="100", fee="0.1", fee_asset="BNB")))
    leg = told.leg("a")
    assert leg is not None
    assert leg.traded() == (1, 100)
    [position] = told.positions({})
    assert position.fees == {"BNB": Decimal("0.1")}


def _amended(successor: str | None, at: int = 5) -> AmendIntended:
    return AmendIntended(
        client_order_id="a",
        operation_id=f"m{at}",
        quantity=D(3),
        price=None,
        deadline_ns=at + SECOND,
        recv_window_ns=SECOND,
        time_ns=at,
        successor=successor,
    )


@pytest.mark.parametrize(
    ("events", "reason"),
    [
        ([_amended("a_1")], REST_NOT_PLACED),
        ([_amended("a_1"), intended("a_1", replaces="a", at=6)], ""),  # nobody knows yet what became of it
        (
            [_amended("a_1"), intended("a_1", replaces="a", at=6), answered("a_1", why="no funds", at=7)],
            f"{REST_NOT_PLACED}: no funds",
        ),
        ([_amended("a_1"), cancel_intended(at=6)], ""),  # a cancel that was meant as one
        ([_amended(None)], ""),
    ],
)
def test_an_order_that_an_amendment_ended_half_way_says_so(events: list[Event], reason: str) -> None:
    placed = [intended(), answered(told=report())]
    told = folded(*placed, *events, reported(report(status=OrderStatus.CANCELED, at=8), 8)).order("a")
    assert told is not None
    assert told.reason == reason


def test_an_order_of_ours_that_was_told_under_another_id_first_is_one_order() -> None:
    """Its answer was lost, a listing told a fill by the venue's id alone, then the venue told what that order is."""
    one = fill(quantity="2", client_order_id="")
    told = folded(
        intended(),
        executed(one),
        reported(report("4711", OrderStatus.FILLED, "2", order_id="id-a"), 5),  # by the id of its cancel, say
        answered(known=False, at=6),
    )
    assert {(order.client_order_id, order.status.value) for order in told.orders()} == {
        ("a", "UNKNOWN"),
        ("4711", "FILLED"),
    }
    own = reported(report("a", OrderStatus.FILLED, "2"), 7)
    assert told.adds(own)
    told.apply(own)
    assert not told.adds(own)
    [order] = told.orders()
    assert (order.client_order_id, order.status, order.filled, order.foreign) == ("a", OrderStatus.FILLED, 2, False)
    assert [one.execution_id for one in order.fills] == ["1"]
    [position] = told.positions({})
    assert position.quantity == 2, "its fill is counted once"
    told.apply(executed(one))
    [position] = told.positions({})
    assert position.quantity == 2
