"""The matching book: price first, then time; every change told once, as an absolute total."""

from __future__ import annotations

from decimal import Decimal

import pytest

from thespian_connector.simulator.engine import MatchingBook

BUY, SELL = True, False


@pytest.fixture
def book() -> MatchingBook:
    return MatchingBook(tick=Decimal("0.01"), step=Decimal("0.001"))


def fills(execution: object) -> list[tuple[int, int, int]]:
    return [(fill.maker.order_id, fill.price, fill.quantity) for fill in execution.fills]  # type: ignore[attr-defined]


def test_the_best_price_trades_first_and_then_who_came_first(book: MatchingBook) -> None:
    late_worse = book.submit(SELL, 5, 102).order_id
    first = book.submit(SELL, 5, 101).order_id
    second = book.submit(SELL, 5, 101).order_id
    taker = book.submit(BUY, 12, 102)
    assert fills(taker) == [(first, 101, 5), (second, 101, 5), (late_worse, 102, 2)]
    assert taker.left == 0
    assert taker.resting is None
    assert book.raw_levels(SELL) == [(102, 3)]


def test_what_does_not_fill_rests_at_its_limit_unless_it_shall_not(book: MatchingBook) -> None:
    book.submit(SELL, 2, 100)
    resting = book.submit(BUY, 5, 100)
    assert (resting.left, book.raw_levels(BUY)) == (3, [(100, 3)])
    assert book.submit(SELL, 9, 101, rest=False).left == 9
    assert book.raw_levels(SELL) == []


def test_a_market_order_eats_the_whole_side_and_never_rests(book: MatchingBook) -> None:
    book.submit(BUY, 2, 100)
    book.submit(BUY, 2, 90)
    taker = book.submit(SELL, 10)
    assert [fill.price for fill in taker.fills] == [100, 90]
    assert (taker.left, taker.resting, book.best(BUY), book.best(SELL)) == (6, None, None, None)


def test_a_sell_matches_down_to_its_limit_and_no_further(book: MatchingBook) -> None:
    for price in (100, 99, 98):
        book.submit(BUY, 1, price)
    taker = book.submit(SELL, 5, 99)
    assert [fill.price for fill in taker.fills] == [100, 99]
    assert (book.raw_levels(BUY), book.raw_levels(SELL)) == ([(98, 1)], [(99, 3)])


def test_a_cancelled_order_is_gone_and_a_second_cancel_finds_nothing(book: MatchingBook) -> None:
    kept = book.submit(BUY, 1, 100).order_id
    order = book.submit(BUY, 4, 100).order_id
    cancelled = book.cancel(order)
    assert cancelled is not None
    assert cancelled.quantity == 4
    assert book.cancel(order) is None
    assert [resting.order_id for resting in book.queue(BUY, 100)] == [kept]


def test_a_reduced_order_keeps_its_place(book: MatchingBook) -> None:
    first = book.submit(BUY, 5, 100).order_id
    second = book.submit(BUY, 5, 100).order_id
    assert book.reduce(first, 3)
    assert not book.reduce(first, 2), "to nothing is a cancel"
    assert fills(book.submit(SELL, 3, 100)) == [(first, 100, 2), (second, 100, 1)]


def test_a_batch_tells_each_changed_level_once_with_before_and_after(book: MatchingBook) -> None:
    book.submit(BUY, 5, 100)
    book.drain()
    book.submit(SELL, 7, 100)
    gone = book.submit(BUY, 1, 50)
    book.cancel(gone.order_id)
    assert book.drain() == [(BUY, 100, 5, 0), (SELL, 100, 0, 2)]
    assert book.drain() == []


def test_levels_are_exact_decimals_best_first(book: MatchingBook) -> None:
    for price in (99, 100, 98):
        book.submit(BUY, price, price)
    for price in (102, 101):
        book.submit(SELL, 7, price)
    assert book.levels("bid", 2) == [(Decimal("1.00"), Decimal("0.100")), (Decimal("0.99"), Decimal("0.099"))]
    assert book.levels("ask") == [(Decimal("1.01"), Decimal("0.007")), (Decimal("1.02"), Decimal("0.007"))]
    assert book.prices_within(BUY, 99) == [99, 100]
    assert book.prices_within(SELL, 101) == [101]


def test_a_seeded_side_is_no_change(book: MatchingBook) -> None:
    book.seed(BUY, [(98, 1), (99, 2)])
    assert book.drain() == []
    assert book.price_at(BUY, 0) == 99
    assert book.price_at(BUY, -1) == 98
    assert fills(book.submit(SELL, 3)) == [(2, 99, 2), (1, 98, 1)]
