from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thespian_connector.books import PriceBook, TrackedBook
from thespian_connector.books import side as side_module
from thespian_connector.limits import BOOK_PRICES_REMEMBERED_MAX
from thespian_connector.model import Level, OrderBook
from thespian_connector.model.wire import BookDiff, BookSnapshot


def book_of(bids: list[tuple[str, str]], asks: list[tuple[str, str]]) -> PriceBook:
    book = PriceBook()
    book.replace(bids, asks)
    return book


def shown(book: PriceBook) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    bids, asks = book.levels()
    return [(str(p), str(q)) for p, q in bids], [(str(p), str(q)) for p, q in asks]


def test_levels_are_canonical_and_best_first() -> None:
    book = book_of([("99.50", "1.000"), ("100.00000000", "2.50000000")], [("101", "3"), ("100.5", "0.10")])
    assert shown(book) == ([("100", "2.5"), ("99.5", "1")], [("100.5", "0.1"), ("101", "3")])
    assert book.best_bid() == Level(Decimal(100), Decimal("2.5"))
    assert book.best_ask() == Level(Decimal("100.5"), Decimal("0.1"))
    assert book.levels(1) == ((book.best_bid(),), (book.best_ask(),))


def test_one_price_in_several_spellings_is_one_level() -> None:
    book = book_of([("100", "1")], [])
    book.apply([("100.0", "2")], [])
    book.apply([("100.00000000", "3.0")], [])
    assert shown(book)[0] == [("100", "3")]


@pytest.mark.parametrize("zero", ["0", "0.0", "0.00000000", "00", "00.000", "0." + "0" * 40, "0" * 33])
def test_any_zero_deletes_also_where_nothing_was(zero: str) -> None:
    book = book_of([("100", "1"), ("99", "5")], [("101", "1")])
    book.apply([("100", zero), ("98", zero)], [])
    assert shown(book)[0] == [("99", "5")]
    assert book.best_bid() == Level(Decimal(99), Decimal(5))
    assert book.bids.count() == 1


def test_the_smallest_quantity_is_no_zero() -> None:
    book = book_of([("100", "0." + "0" * 33 + "1")], [])
    assert book.best_bid() == Level(Decimal(100), Decimal("1E-34"))


def test_a_finer_price_widens_the_scale_and_rounds_nothing() -> None:
    book = book_of([("100", "1")], [("101.5", "1")])
    assert book.scale == 1
    book.apply([("100.000000001", "2")], [("101.49999", "1")])
    assert book.scale == 9
    assert shown(book) == ([("100.000000001", "2"), ("100", "1")], [("101.49999", "1"), ("101.5", "1")])
    book.apply([("100.00", "0")], [])
    assert shown(book)[0] == [("100.000000001", "2")]


BAD = [
    "",
    " ",
    "abc",
    "-1",
    "+1",
    "1e5",
    "NaN",
    "Infinity",
    "1_000",
    " 1",
    "1 ",
    "1 2",
    ".5",
    "5.",
    ".",
    "1.2.3",
    "1,5",
]
BAD += ["١", "1\n", "0x1", "1" * 40, "0." + "1" * 40]


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("where", ["price", "quantity"])
@pytest.mark.parametrize("side", ["bids", "asks"])
@pytest.mark.parametrize("others", ["2.0", "2"])
def test_a_malformed_number_changes_nothing(bad: str, where: str, side: str, others: str) -> None:
    book = book_of([("100", "1")], [("101", "1")])
    before = shown(book)
    level = (bad, others) if where == "price" else ("100.5", bad)
    good = [("99", others), ("98", others)]
    levels = {"bids": good, "asks": [("102", others)]}
    levels[side] = [*levels[side], level]
    with pytest.raises(ValueError):
        book.apply(levels["bids"], levels["asks"])
    assert shown(book) == before
    with pytest.raises(ValueError):
        book.replace(levels["bids"], levels["asks"])
    assert shown(book) == before


def test_a_price_of_zero_is_malformed() -> None:
    with pytest.raises(ValueError, match="no price"):
        book_of([("0.00", "1")], [])


def test_crossed_is_a_bid_at_or_above_an_ask() -> None:
    assert not book_of([("100", "1")], [("100.01", "1")]).crossed()
    assert book_of([("100", "1")], [("100.00", "1")]).crossed()
    assert book_of([("100.5", "1")], [("100", "1")]).crossed()
    assert not book_of([("100", "1")], []).crossed()


def test_the_best_levels_decimals_are_made_once() -> None:
    book = book_of([("100", "1"), ("99", "1")], [])
    first = book.best_bid()
    book.apply([("99", "2")], [])
    assert book.best_bid() is first
    book.apply([("100", "1.5")], [])
    assert book.best_bid() == Level(Decimal(100), Decimal("1.5"))


def test_the_memory_of_prices_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    assert BOOK_PRICES_REMEMBERED_MAX > 5_000, "fewer than the deepest snapshot has would be forgotten in every read"
    assert BOOK_PRICES_REMEMBERED_MAX <= 5_461, "more would double the dict, and what an hour of walking fills"
    monkeypatch.setattr(side_module, "BOOK_PRICES_REMEMBERED_MAX", 20)
    book = PriceBook()
    for price in range(1, 200):
        book.apply([(str(price), "1"), (str(price + 1), "1")], [])
        book.apply([(str(price), "0")], [])
        book.levels()
    assert shown(book)[0] == [("200", "1")]
    assert len(book.bids._remembered) <= 22
    assert len(book.bids._prices) <= 20
    assert len(book.bids._touched) <= 600


PRICES = st.sampled_from(["1", "1.5", "1.50", "2", "2.0", "2.25", "3", "3.125", "0.5", "10", "9.999"])
QUANTITIES = st.sampled_from(["0", "0.0", "0.00000000", "1", "1.0", "2.5", "0.001", "10"])
SIDES = st.lists(st.tuples(PRICES, QUANTITIES), max_size=6)


@given(st.lists(st.tuples(SIDES, SIDES, st.booleans()), max_size=30))
def test_a_book_is_two_dicts_of_decimals(
    changes: list[tuple[list[tuple[str, str]], list[tuple[str, str]], bool]],
) -> None:
    book = PriceBook()
    truth: tuple[dict[Decimal, Decimal], dict[Decimal, Decimal]] = ({}, {})
    for bids, asks, look in changes:
        book.apply(bids, asks)
        for side, levels in zip(truth, (bids, asks), strict=True):
            for price, quantity in levels:
                side[Decimal(price)] = Decimal(quantity)
        expected = [{p: q for p, q in side.items() if q} for side in truth]
        best = max(expected[0], default=None), min(expected[1], default=None)
        got = book.best_bid(), book.best_ask()
        assert tuple(level and level.price for level in got) == best
        if look:
            assert [dict(side) for side in book.levels()] == expected


def test_an_image_is_the_same_bytes_as_the_order_book() -> None:
    book = TrackedBook("x", "A/B", "s", sequencing="range", snapshot_by_rest=True, depth=0)
    book.on_snapshot(BookSnapshot("AB", "", 5, [("1.50", "2.00")], [("2.0", "1.0"), ("3", "0.10")], 10), 7)
    book.on_diff(BookDiff("AB", "s", 6, 6, [("1.250", "7.0")], [("3.000", "0.0")], 8), 9)
    for depth in (0, 1):
        data = msgspec.msgpack.encode(book.image(depth))
        assert data == msgspec.msgpack.encode(book.order_book(depth))
        assert msgspec.msgpack.decode(data, type=OrderBook) == book.order_book(depth)


def test_reading_changes_nothing_so_that_threads_may_read_at_once() -> None:
    book = PriceBook()
    prices = [f"{100 + n}.5" for n in range(40)]
    book.replace([(price, "1") for price in prices], [(f"{200 + n}.5", "1") for n in range(40)])
    book.bids.bound = book.bids.keys[5]
    book.apply([(price, "0.000") for price in prices[1:30:3]], [("210.5", "0")])
    book.apply([(prices[4], "7")], [])
    sides = (book.bids, book.asks)
    before = [(list(side.keys), dict(side._quantities), list(side._touched)) for side in sides]
    wanted = sorted((p for p in prices if p not in prices[1:30:3] or p == prices[4]), reverse=True)
    bids, asks = book.levels(certified=False)
    assert [str(level.price) for level in bids] == wanted
    assert len(asks) == 39
    assert book.bids.count() == len(wanted)
    assert book.bids.certified() == len([price for price in wanted if price >= prices[5]])
    assert [str(level.price) for level in book.levels(7)[0]] == wanted[:7]
    assert [price for price, _ in book.bids.pairs_beyond(book.bids.bound, book.scale)] == sorted(
        price for price in wanted if price < prices[5]
    )
    assert book.best_bid() is not None
    assert [(list(side.keys), dict(side._quantities), list(side._touched)) for side in sides] == before
