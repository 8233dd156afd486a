"""Several venues' books as one: shares add up, only LIVE ones count, and no level hides what is not known."""

from __future__ import annotations

import random
from decimal import Decimal

import pytest

from thespian_connector.books.merge import best, merge
from thespian_connector.model import BookSource, Level, OrderBook, Trust


def book(exchange: str, bids: str, asks: str, trust: Trust = Trust.LIVE, symbol: str = "BTC/USDT") -> OrderBook:
    """Levels are spelled ``price:quantity``."""

    def levels(text: str) -> tuple[Level, ...]:
        pairs = (word.split(":") for word in text.split())
        return tuple(Level(Decimal(price), Decimal(quantity)) for price, quantity in pairs)

    sides = levels(bids), levels(asks)
    return OrderBook(
        exchange=exchange,
        symbol=symbol,
        stream=f"{exchange}-depth",
        update_id=7,
        trust=trust,
        bids=sides[0],
        asks=sides[1],
        certified=(len(sides[0]), len(sides[1])),
    )


def shown(levels: tuple[object, ...]) -> list[str]:
    return [f"{level.price}:{level.quantity}" for level in levels]  # type: ignore[attr-defined]  # merged levels


def test_equal_prices_are_one_level_with_each_venues_share() -> None:
    merged = merge([book("binance", "10:1 9:2", "11:1"), book("bybit", "10:0.5 9:1", "11.5:3")])
    assert shown(merged.bids) == ["10:1.5", "9:3"]
    assert merged.bids[0].shares == {"binance": Decimal(1), "bybit": Decimal("0.5")}
    assert merged.exchanges == ("binance", "bybit")
    assert merged.sources["bybit"] == BookSource("bybit-depth", 7)


def test_what_a_venue_may_hold_behind_its_last_level_is_left_out() -> None:
    deep, shallow = book("binance", "10:1 9:1 8:1 7:1", "11:1 12:1 13:1"), book("bybit", "9.5:1 8:1", "12:1")
    merged = merge([deep, shallow])
    assert shown(merged.bids) == ["10:1", "9.5:1", "9:1", "8:2"]
    assert shown(merged.asks) == ["11:1", "12:2"]


def test_the_best_n_need_the_best_n_of_each() -> None:
    merged = merge([book("binance", "10:1 9:1 8:1", "11:1"), book("bybit", "9.5:1 8.5:1 8:1", "12:1")], depth=2)
    assert shown(merged.bids) == ["10:1", "9.5:1"]


def test_a_side_without_levels_hides_nothing() -> None:
    merged = merge([book("binance", "10:1 9:1", "11:1"), book("bybit", "", "11:1")])
    assert shown(merged.bids) == ["10:1", "9:1"]


@pytest.mark.parametrize("trust", [Trust.STALE, Trust.SUSPECT, Trust.SYNCING])
def test_only_live_books_are_merged_and_the_others_named(trust: Trust) -> None:
    books = [book("binance", "10:1", "11:1"), book("bybit", "10.5:1", "10.6:1", trust)]
    merged = merge(books)
    assert (merged.excluded, merged.exchanges) == ({"bybit": trust}, ("binance",))
    assert shown(merged.bids) == ["10:1"]
    prices = best(books)
    assert prices.bid is not None
    assert (prices.bid.exchange, prices.excluded) == ("binance", {"bybit": trust})


def test_crossed_and_locked_are_shown_not_repaired() -> None:
    crossed = merge([book("binance", "10:1", "11:1"), book("bybit", "12:1", "13:1")])
    assert (crossed.crossed, crossed.locked, shown(crossed.bids)[0]) == (True, False, "12:1")
    assert merge([book("binance", "10:1", "11:1"), book("bybit", "11:1", "13:1")]).locked


def test_any_depth_is_what_the_whole_books_merged_begin_with() -> None:
    """Judged by a plain dict over the venues' whole books, at every depth."""
    rng = random.Random(5)
    for _ in range(50):
        books, whole = [], {}
        for exchange in ("a", "b", "c"):
            prices = sorted(rng.sample(range(1, 60), 30), reverse=True)
            for price in prices:
                whole.setdefault(price, {})[exchange] = Decimal(rng.randint(1, 9))
            given = prices[: rng.randint(10, 30)]
            books.append(book(exchange, " ".join(f"{p}:{whole[p][exchange]}" for p in given), "99:1"))
        truth = [(Decimal(price), whole[price]) for price in sorted(whole, reverse=True)]
        for depth in (0, 1, 5, 10, 40):
            bids = merge(books, depth).bids
            assert [(level.price, level.shares) for level in bids] == truth[: len(bids)]
            assert len(bids) == depth or depth in (0, 40)
