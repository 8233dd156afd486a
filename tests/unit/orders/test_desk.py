"""What of the facts is news, and what is at hand to answer with."""

from __future__ import annotations

from decimal import Decimal

import pytest
from msgspec.structs import replace
from support.feeds import instrument
from support.orders import (
    NATIVE,
    SECOND,
    SYMBOL,
    answered,
    cancel_intended,
    executed,
    fill,
    intended,
    report,
    reported,
)

from thespian_connector.model import OrderStatus
from thespian_connector.model.private import BalanceReport
from thespian_connector.orders.desk import Desk
from thespian_connector.orders.events import AmendIntended, BalancesTold, Event, Operation, Reported, VenueEvent


@pytest.fixture
def desk() -> Desk:
    one = Desk("binance", lambda told, of: of.base if told.side.value == "buy" else of.quote)
    one.learn([instrument("binance", SYMBOL)])
    return one


def balances(*rows: tuple[str, str], at: int = 1, asked_at: int | None = None) -> BalancesTold:
    told = tuple(BalanceReport(asset=name, free=Decimal(free), locked=Decimal(0), time_ns=at) for name, free in rows)
    return BalancesTold(balances=told, time_ns=at, asked_at=asked_at)


def test_news_are_the_order_and_each_fill_once(desk: Desk) -> None:
    news = desk.fold([intended(), answered(told=report())])
    assert [(one.client_order_id, one.status) for one in news.orders] == [("a", OrderStatus.NEW)]
    news = desk.fold([executed(fill()), reported(report(status=OrderStatus.PARTIALLY_FILLED, filled="1", at=6))])
    assert [(one.status, one.filled) for one in news.orders] == [(OrderStatus.PARTIALLY_FILLED, 1)]
    assert [(symbol, one.execution_id) for symbol, one in news.fills] == [(SYMBOL, "1")]
    news = desk.fold([executed(fill()), executed(fill(number=2))])
    assert [one.execution_id for _, one in news.fills] == ["2"]
    assert [one.status for one in news.orders] == [OrderStatus.FILLED]


def test_what_was_loaded_is_no_news(desk: Desk) -> None:
    desk.load([intended(), answered(told=report()), executed(fill()), balances(("BTC", "1"))])
    desk.loaded()
    assert not any(desk.fold([executed(fill()), balances(("BTC", "1"), asked_at=1)]))
    assert [one.filled for one in desk.orders(open_only=True, symbol=SYMBOL, most=9)] == [1]
    assert [one.free for one in desk.balances()] == [1]


REPORT = report(status=OrderStatus.PARTIALLY_FILLED, filled="1", at=6)


@pytest.mark.parametrize(
    ("known", "told", "new"),
    [
        ([reported(REPORT)], reported(REPORT, at=99), False),
        ([reported(REPORT)], reported(replace(REPORT, time_ns=5), at=99), False),
        ([reported(REPORT)], reported(replace(REPORT, time_ns=7), at=99), True),
        ([reported(REPORT)], reported(replace(REPORT, filled=Decimal("1.5")), at=99), True),
        ([reported(REPORT)], reported(replace(REPORT, status=None), at=99), False),
        ([reported(REPORT)], reported(replace(REPORT, price=Decimal(9)), at=99), True),
        ([reported(REPORT)], reported(replace(REPORT, fills=(fill(),)), at=99), True),
        ([reported(REPORT), executed(fill())], reported(replace(REPORT, fills=(fill(),)), at=99), False),
        ([], executed(fill()), True),
        ([executed(fill())], executed(fill(), at=99), False),
        ([executed(fill(fee_asset=""))], executed(fill()), True),
        ([executed(fill())], executed(fill(fee_asset="")), False),
        ([executed(fill(client_order_id=""))], executed(fill(client_order_id=""), at=99), False),
        ([executed(fill(client_order_id=""))], executed(fill(number=2, client_order_id="")), True),
        ([balances(("BTC", "1"))], balances(("BTC", "1")), True),  # what came in between may not be folded in yet
        ([balances(("BTC", "1"))], balances(("BTC", "2"), asked_at=1), True),
        ([balances(("BTC", "1"))], balances(("BTC", "2"), asked_at=0), False),  # the stream told it since
        ([balances(("BTC", "1"))], balances(("BTC", "1"), asked_at=1), False),
        ([balances(("BTC", "1"), ("ETH", "1"))], balances(("BTC", "1"), asked_at=1), True),
        ([balances(("BTC", "1"), ("ETH", "1"))], balances(("BTC", "1"), asked_at=0), False),
    ],
)
def test_only_what_tells_something_new_is_journaled(
    desk: Desk, known: list[Event], told: VenueEvent, *, new: bool
) -> None:
    desk.fold(known)
    assert bool(desk.sift([told])) is new


def test_an_answer_that_settles_a_cancel_is_new_though_the_order_is_the_same(desk: Desk) -> None:
    desk.fold([intended(), answered(told=report()), cancel_intended(at=4)])
    order = desk.order("a")
    assert order is not None
    assert order.status is OrderStatus.PENDING_CANCEL
    late = reported(report(), at=20 * SECOND, source="query")
    assert desk.sift([late]) == [late]


def test_answers_that_tell_nothing_new_are_not_counted(desk: Desk) -> None:
    """What is not journaled must leave no trace: a replay of the journal would count otherwise."""
    desk.fold([balances(("BTC", "1"))])
    assert desk.sift([balances(("BTC", "1"), asked_at=1)]) == []
    assert desk.ledger.balances_told == 1


def test_the_asset_of_a_fee_is_told_with_the_fill(desk: Desk) -> None:
    [event] = desk.sift([executed(fill(fee="0.1", fee_asset=""))])
    desk.fold([event])
    order = desk.order("a")
    assert order is None, "its terms are not told"
    desk.fold([intended()])
    order = desk.order("a")
    assert order is not None
    assert [one.fee_asset for one in order.fills] == ["BTC"]


def test_an_order_without_a_clients_id_bears_the_venues(desk: Desk) -> None:
    [event] = desk.sift([reported(report("", order_id="4711"))])
    assert isinstance(event, Reported)
    assert event.report.client_order_id == "4711"


def test_a_successor_told_before_its_intent_is_no_order_of_its_own(desk: Desk) -> None:
    desk.fold([intended(), answered(told=report())])
    desk.fold([reported(report("a_1"))])
    assert len(desk.orders(open_only=False, symbol=None, most=9)) == 2
    amend = AmendIntended(
        client_order_id="a",
        operation_id="m1",
        quantity=None,
        price=Decimal(90),
        deadline_ns=9,
        recv_window_ns=1,
        time_ns=5,
        successor="a_1",
    )
    desk.fold([amend, intended("a_1", at=5, replaces="a")])
    assert [one.client_order_id for one in desk.orders(open_only=False, symbol=None, most=9)] == ["a"]
    order = desk.order("a_1")
    assert order is not None
    assert order.client_order_id == "a"


def test_what_turns_out_to_be_another_name_of_an_order_is_told_no_more(desk: Desk) -> None:
    """Its place was not answered, and it was canceled: the venue knows it by the id of the cancel."""
    desk.fold([reported(report("c-1", OrderStatus.CANCELED, "1", order_id="id-a"), 5), executed(fill())])
    desk.fold([intended(), answered(known=False, at=6)])
    desk.changes(0)
    desk.kept()
    news = desk.fold([reported(report("a", OrderStatus.CANCELED, "1"), 7)])
    assert [(one.client_order_id, one.status, one.filled) for one in news.orders] == [("a", OrderStatus.CANCELED, 1)]
    assert [one.execution_id for _, one in news.fills] == ["1"]
    assert [one.client_order_id for one in desk.orders(open_only=False, symbol=None, most=9)] == ["a"]
    assert list(desk.active()) == []
    assert desk.order("c-1") is None
    changes = desk.changes(0)
    assert ([one.kept.handle for one in changes.orders], changes.gone) == (["a"], ["c-1"])


def test_before_the_instruments_are_known_a_foreign_order_bears_the_venues_name() -> None:
    desk = Desk("binance", lambda told, _: told.fee_asset)
    desk.fold([reported(report("web_1"))])
    assert [one.symbol for one in desk.orders(open_only=True, symbol=None, most=9)] == [NATIVE]
    desk.learn([instrument("binance", SYMBOL)])
    assert [one.symbol for one in desk.orders(open_only=True, symbol=None, most=9)] == [SYMBOL]


def test_orders_are_chosen_and_the_newest_are_told_oldest_first(desk: Desk) -> None:
    desk.fold([intended(name, at=number) for number, name in enumerate("abcd", 1)])
    desk.fold([answered("b", at=9, why="no")])
    assert [one.client_order_id for one in desk.orders(open_only=False, symbol=SYMBOL, most=2)] == ["c", "d"]
    assert [one.client_order_id for one in desk.orders(open_only=True, symbol=SYMBOL, most=9)] == ["a", "c", "d"]
    assert desk.orders(open_only=True, symbol="ETH/USDT", most=9) == []


def test_an_amendment_that_was_only_taken_is_pending_until_the_order_shows_it(desk: Desk) -> None:
    amend = AmendIntended(
        client_order_id="a",
        operation_id="m1",
        quantity=None,
        price=Decimal(90),
        deadline_ns=9 * SECOND,
        recv_window_ns=SECOND,
        time_ns=5,
    )
    taken = answered(told=report(status=None, at=0), operation=Operation.AMEND, at=6, operation_id="m1")
    desk.fold([intended(), answered(told=report(price=Decimal(100))), amend, taken])
    order = desk.order("a")
    assert order is not None
    assert (order.status, order.price) == (OrderStatus.PENDING_REPLACE, 100)
    desk.fold([reported(report(price=Decimal(90), at=7))])
    order = desk.order("a")
    assert order is not None
    assert (order.status, order.price) == (OrderStatus.NEW, 90)


def test_what_a_stream_tells_last_stands_whatever_clock_it_bears(desk: Desk) -> None:
    """The venue's clock may step back; an answer may be older than what the stream told while it was on its way."""
    desk.fold([balances(("BTC", "1"), at=9), balances(("BTC", "2"), at=3)])
    assert [one.free for one in desk.balances()] == [2]
    desk.fold([balances(("BTC", "1"), at=99, asked_at=1)])
    assert [one.free for one in desk.balances()] == [2]
    desk.fold([balances(("BTC", "5"), at=1, asked_at=3)])
    assert [one.free for one in desk.balances()] == [5]


def test_a_balance_that_is_gone_is_news_of_nothing(desk: Desk) -> None:
    desk.fold([balances(("BTC", "1"), ("ETH", "1"))])
    news = desk.fold([balances(("BTC", "1"), asked_at=1)])
    assert [(one.asset, one.free, one.locked) for one in news.balances] == [("ETH", 0, 0)]
