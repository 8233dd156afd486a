"""A snapshot taken anywhere, and the facts after it, tell what all the facts tell: no order, fill or sum is other for
what was forgotten, had again, pruned or told twice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from support.feeds import instrument
from support.orders import (
    NATIVE,
    SYMBOL,
    absent,
    answered,
    cancel_intended,
    executed,
    fill,
    intended,
    report,
    reported,
)

from thespian_connector import limits
from thespian_connector.actors.keeping import Keeping, KeptOrders, commands_stream, venue_stream
from thespian_connector.model import OrderStatus, Side
from thespian_connector.model.private import BalanceReport
from thespian_connector.orders.codec import encode
from thespian_connector.orders.desk import Desk
from thespian_connector.orders.events import AmendIntended, BalancesTold, Event, Executed, Operation, VenueEvent
from thespian_connector.orders.kept import KeptLeg
from thespian_connector.orders.leg import Leg
from thespian_connector.storage import Durability, Store, open_store

EXCHANGE = "binance"
DAY_NS = 86_400 * 1_000_000_000
NAMES = ("a", "b", "c")


@st.composite
def story(draw: st.DrawFn, name: str, number: int) -> list[Event]:
    """What was meant with one order, and what the venue told of it, from several sources."""
    side = draw(st.sampled_from(Side))
    told: list[Event] = []
    ours = draw(st.booleans())
    if ours:
        told.append(intended(name, side=side))
        told.append(
            draw(
                st.sampled_from(
                    [
                        answered(name, report(name, at=3, side=side)),
                        answered(name, known=False, why="gone"),
                        answered(name, why="no"),
                    ]
                )
            )
        )
        if draw(st.booleans()):
            told.append(absent(name))
    count = draw(st.integers(0, 3))
    for place in range(count):
        at = draw(st.integers(10, 40))
        terms = {"quantity": "0.5", "price": str(100 + draw(st.integers(-9, 9))), "at": at, "side": side}
        fee = draw(st.sampled_from(["0", "0.001"]))
        asset = draw(_fee_assets)
        one = fill(name, number * 10 + place, **terms, fee=fee, fee_asset=asset)
        anonymous = fill(name, number * 10 + place, **terms, fee=fee, fee_asset=asset, client_order_id="")
        without_fee = fill(name, number * 10 + place, **terms, fee="0", fee_asset="")
        told.append(executed(draw(st.sampled_from([one, anonymous]))))
        if fee != "0" and draw(st.booleans()):
            told.append(executed(without_fee))
        state = report(name, OrderStatus.PARTIALLY_FILLED, str(Decimal("0.5") * (place + 1)), at=at, side=side)
        told.append(reported(state, source=draw(st.sampled_from(["stream", "query"]))))
    if ours and draw(st.booleans()):
        told.append(cancel_intended(name))
        if draw(st.booleans()):
            end = report(name, OrderStatus.CANCELED, str(Decimal("0.5") * count), at=50, side=side)
            told.append(answered(name, end, Operation.CANCEL, operation_id="c1", at=51))
    if ours and draw(st.booleans()):
        told += _replaced(draw, name, number, count, side)
    elif draw(st.booleans()):
        told.append(reported(report(name, OrderStatus.CANCELED, str(Decimal("0.5") * count), at=60, side=side)))
    return told


def _replaced(draw: st.DrawFn, name: str, number: int, count: int, side: Side) -> list[Event]:
    successor = f"{name}_1"
    amend = AmendIntended(
        client_order_id=name,
        operation_id="m1",
        quantity=Decimal(4),
        price=Decimal(101),
        deadline_ns=9,
        recv_window_ns=1,
        time_ns=6,
        successor=successor,
    )
    ended = report(name, OrderStatus.CANCELED, str(Decimal("0.5") * count), at=55, side=side)
    told: list[Event] = [amend, intended(successor, at=8, replaces=name, side=side)]
    told.append(answered(name, ended, Operation.AMEND, 56, "m1"))
    told.append(answered(successor, report(successor, OrderStatus.NEW, at=57, side=side)))
    if draw(st.booleans()):
        told.append(executed(fill(successor, number * 10 + 9, "0.25", "103", at=58, side=side)))
    if draw(st.booleans()):
        told.append(reported(report(successor, OrderStatus.CANCELED, "0.25", at=61, side=side)))
    return told


@st.composite
def facts(draw: st.DrawFn) -> list[Event]:
    told = [event for number, name in enumerate(NAMES) for event in draw(story(name, number))]
    for _ in range(draw(st.integers(0, 3))):
        asked_at = draw(st.none() | st.integers(0, 2))
        free = Decimal(draw(st.integers(0, 5)))
        rows = tuple(BalanceReport(asset=asset, free=free, locked=Decimal(0)) for asset in draw(_assets))
        told.append(BalancesTold(balances=rows, time_ns=5, asked_at=asked_at))
    repeats = draw(st.lists(st.sampled_from(told), max_size=6)) if told else []
    return draw(st.permutations(told + repeats))


_fee_assets = st.sampled_from(["USDT", "BTC", "BNB"])
_assets = st.lists(st.sampled_from(["BTC", "USDT"]), unique=True)


def new_desk(store: Store) -> Desk:
    desk = Desk(EXCHANGE, lambda told, of: of.quote, KeptOrders(store, EXCHANGE))
    desk.learn([instrument(EXCHANGE, SYMBOL)])
    return desk


def seen(desk: Desk) -> tuple[object, ...]:
    """All that is told of it, and all that decides what is done next."""
    ledger = desk.ledger
    legs = [leg for name in (*NAMES, *(f"{name}_1" for name in NAMES)) if (leg := ledger.leg(name)) is not None]
    return (
        [desk.order(name) for name in NAMES],
        desk.orders(open_only=False, symbol=None, most=99),
        desk.orders(open_only=True, symbol=None, most=99),
        desk.orders(open_only=False, symbol=SYMBOL, most=99),
        desk.positions({SYMBOL: Decimal(100)}),
        sorted(desk.balances(), key=lambda one: one.asset),
        ledger.balances_told,
        sorted(leg.client_order_id for leg in desk.active()),
        [(_sorted(leg), leg.status, leg.pending(), leg.traded(), leg.reason) for leg in legs],
        sorted(ledger.unclaimed()),
        [list(ledger.chain_of(name)) for name in NAMES],
        (ledger.natives(), ledger.first_order_ns(NATIVE), ledger.newest_fill_ns(NATIVE)),
        sorted(desk.recovery.unanswered),
    )


def _sorted(leg: Leg) -> KeptLeg:
    """Whatever came first."""
    kept = leg.kept(named=True)
    fills = sorted(kept.fills, key=lambda one: one.execution_id)
    operations = sorted(kept.operations, key=lambda one: one.operation_id)
    return replace(kept, fills=tuple(fills), operations=tuple(operations))


@contextmanager
def small() -> Iterator[None]:
    """A snapshot after few facts; nothing ended stays in memory, and no entry that a snapshot stands for."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "SNAPSHOT_FACTS", 2)
        patch.setattr(limits, "SNAPSHOT_FACTS_READ", 5)
        patch.setattr(limits, "ENDED_IN_MEMORY_MAX", 1)
        patch.setattr(limits, "ENTRIES_KEPT", 1)
        yield


@settings(max_examples=100, deadline=None)
@given(st.data(), facts())
def test_what_was_kept_and_what_came_after_tell_what_all_of_it_tells(data: st.DataObject, told: list[Event]) -> None:
    straight = new_desk(open_store("memory", Durability.NONE))
    straight.load(told)
    straight.loaded()
    store = open_store("memory", Durability.NONE)
    journals = [store.open(venue_stream(EXCHANGE)), store.open(commands_stream(EXCHANGE))]
    cuts = sorted(data.draw(st.sets(st.integers(0, len(told)), max_size=3)))
    with small():
        for first, last in zip([0, *cuts], [*cuts, len(told)], strict=True):
            # What one life journals; each next one begins with what the one before has kept.
            for event in told[first:last]:
                journals[not isinstance(event, VenueEvent)].append([encode(event)], 1)
            desk = new_desk(store)
            Keeping(store, EXCHANGE, 7 * DAY_NS, 0).read(desk, journals[0], lambda: None)
    assert len(desk.ledger) <= len(straight.ledger)
    assert seen(desk) == seen(straight)


@settings(max_examples=100, deadline=None)
@given(facts(), st.integers(0, 60))
def test_facts_that_are_told_again_after_they_were_kept_change_nothing(told: list[Event], at: int) -> None:
    """However long they were forgotten: an execution is counted once."""
    store = open_store("memory", Durability.NONE)
    journal = store.open(venue_stream(EXCHANGE))
    journal.append([encode(event) for event in told], 1)
    with small():
        desk = new_desk(store)
        Keeping(store, EXCHANGE, 7 * DAY_NS, 0).read(desk, journal, lambda: None)
        before = desk.positions({}), desk.orders(open_only=False, symbol=None, most=99)
        again = [event for event in told if isinstance(event, Executed)]
        for event in again[at % (len(again) + 1) :]:
            desk.fold([event])
    after = desk.positions({}), desk.orders(open_only=False, symbol=None, most=99)
    assert after == before


_trade = st.tuples(
    st.sampled_from(Side), st.integers(1, 9), st.integers(90, 110), st.sampled_from(["0", "0.003"]), _fee_assets
)


@settings(max_examples=100, deadline=None)
@given(st.data(), st.lists(_trade, min_size=1, max_size=25), st.booleans())
def test_fills_that_are_a_sum_make_the_position_that_all_of_them_make(
    data: st.DataObject, trades: list[tuple[Side, int, int, str, str]], late: bool
) -> None:
    """One by one, as they happened: exactly; late ones, that come after what they came before: held and paid exactly,
    and none is lost or counted twice."""
    told: list[Event] = [
        executed(fill(f"o{n}", n, str(size), str(price), at=n, side=side, fee=fee, fee_asset=asset))
        for n, (side, size, price, fee, asset) in enumerate(trades)
    ]
    straight = new_desk(open_store("memory", Durability.NONE))
    straight.load(told)
    if late:
        told = data.draw(st.permutations(told))
    told += data.draw(st.lists(st.sampled_from(told), max_size=5))
    store = open_store("memory", Durability.NONE)
    journal = store.open(venue_stream(EXCHANGE))
    with small(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "FILLS_UNSUMMED_MAX", 1)
        for event in told:
            journal.append([encode(event)], 1)
            if data.draw(st.booleans()):
                desk = new_desk(store)
                Keeping(store, EXCHANGE, 7 * DAY_NS, 0).read(desk, journal, lambda: None)
        desk = new_desk(store)
        Keeping(store, EXCHANGE, 7 * DAY_NS, 0).read(desk, journal, lambda: None)
    [mine], [true] = desk.positions({}), straight.positions({})
    assert (mine.quantity, mine.fees) == (true.quantity, true.fees)
    assert late or mine == true
