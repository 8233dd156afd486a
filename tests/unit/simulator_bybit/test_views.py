"""Views of the best N levels, and the differences between them."""

from __future__ import annotations

import random
from decimal import Decimal

import pytest

from thespian_connector.simulator.bybit.views import RawLevels, Spelling, diff


@pytest.mark.parametrize(
    ("step", "count", "text"),
    [
        ("0.01", 6_000_010, "60000.1"),
        ("0.01", 6_000_000, "60000"),
        ("0.000001", 48, "0.000048"),
        ("0.5", 3, "1.5"),
        ("0.25", 2, "0.5"),
        ("10", 7, "70"),
        ("1E+2", 7, "700"),
        ("0.01", 0, "0"),
    ],
)
def test_numbers_are_written_plainly_and_without_padding(step: str, count: int, text: str) -> None:
    assert Spelling(Decimal(step))(count) == text


def test_every_multiple_is_spelled_exactly() -> None:
    spell = Spelling(Decimal("0.0025"))
    assert all(Decimal(spell(count)) == count * Decimal("0.0025") for count in range(3_000))


BIDS = [(105, 1), (104, 2), (103, 3)]


@pytest.mark.parametrize("tell", [False, True])
def test_no_change_is_no_difference(tell: bool) -> None:
    assert diff(BIDS, list(BIDS), 3, is_bid=True, tell_pushed_out=tell) == []


def test_a_pushed_out_level_is_told_only_if_asked_for() -> None:
    after = [(106, 9), (105, 1), (104, 2)]
    assert diff(BIDS, after, 3, is_bid=True, tell_pushed_out=False) == [(106, 9)]
    assert diff(BIDS, after, 3, is_bid=True, tell_pushed_out=True) == [(106, 9), (103, 0)]


def test_a_level_that_comes_back_into_the_view_is_sent_again() -> None:
    assert diff([(106, 9), (105, 1), (104, 2)], BIDS, 3, is_bid=True, tell_pushed_out=False) == [(106, 0), (103, 3)]


def test_a_level_that_is_gone_is_deleted_also_when_the_view_is_not_full() -> None:
    assert diff(BIDS, BIDS[:2], 3, is_bid=True, tell_pushed_out=False) == [(103, 0)]
    asks = [(101, 1), (102, 2), (103, 3)]
    assert diff(asks, asks[1:], 3, is_bid=False, tell_pushed_out=False) == [(101, 0)]
    assert diff(asks, [], 3, is_bid=False, tell_pushed_out=False) == [(101, 0), (102, 0), (103, 0)]


@pytest.mark.parametrize("is_bid", [False, True])
@pytest.mark.parametrize("tell", [False, True])
def test_a_client_that_cuts_its_side_always_has_the_view(is_bid: bool, tell: bool) -> None:
    rng, depth = random.Random(7), 5
    book: dict[int, int] = {}
    before: RawLevels = []
    client: dict[int, int] = {}
    for _ in range(3_000):
        for _ in range(rng.randint(1, 4)):
            price = rng.randint(1, 20)
            if rng.random() < 0.5:
                book.pop(price, None)
            else:
                book[price] = rng.randint(1, 3)
        after = sorted(book.items(), reverse=is_bid)[:depth]
        for price, quantity in diff(before, after, depth, is_bid=is_bid, tell_pushed_out=tell):
            if quantity:
                client[price] = quantity
            else:
                assert client.pop(price), "only what the client has is deleted"
        client = dict(sorted(client.items(), reverse=is_bid)[:depth])
        assert list(client.items()) == after
        before = after
