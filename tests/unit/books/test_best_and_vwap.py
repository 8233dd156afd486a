from __future__ import annotations

from decimal import Decimal

import pytest

from thespian_connector.books import best, merge, vwap
from thespian_connector.model import BestSide, Level, OrderBook, Trust

D = Decimal


def book(exchange: str, bids: str, asks: str, trust: Trust = Trust.LIVE, symbol: str = "A/B") -> OrderBook:
    """Levels as ``price*quantity`` words."""
    sides = [tuple(Level(*map(D, word.split("*"))) for word in side.split()) for side in (bids, asks)]
    return OrderBook(
        exchange=exchange,
        symbol=symbol,
        stream="s",
        update_id=1,
        trust=trust,
        bids=sides[0],
        asks=sides[1],
        certified=(len(sides[0]), len(sides[1])),
        received_time_ns=len(exchange),
    )


def test_best_says_who_and_takes_the_larger_quantity_at_equal_prices() -> None:
    prices = best([book("y", "10*1", "11*5"), book("x", "10*2", "11*4")])
    assert prices.bid == BestSide(D(10), D(2), "x")
    assert prices.ask == BestSide(D(11), D(5), "y")
    assert prices.spread == D(1)
    empty = best([book("x", "", "11*1")])
    assert (empty.bid, empty.spread, empty.crossed) == (None, None, False)


def test_vwap_is_exact_and_says_how_much_was_there() -> None:
    asks = book("x", "", "10*1 11*2 12*10").asks
    assert vwap(asks, D("0.5")) == (D(10), D("0.5"))
    assert vwap(asks, D(3)) == (D("10.66666666666666666666666666666667"), D(3))
    assert vwap(asks, D(4)) == (D(11), D(4))
    assert vwap(asks, D(100))[1] == D(13)
    assert vwap((), D(1)) == (None, D(0))
    assert vwap(merge([book("x", "", "10*1"), book("y", "", "10*1")]).asks, D(2)) == (D(10), D(2))
    with pytest.raises(ValueError, match="positive"):
        vwap(asks, D(0))


def test_only_one_symbols_books_of_different_venues_are_merged() -> None:
    with pytest.raises(ValueError, match="none"):
        merge([])
    with pytest.raises(ValueError, match="one symbol"):
        merge([book("x", "", ""), book("y", "", "", symbol="C/D")])
    with pytest.raises(ValueError, match="two of one exchange"):
        merge([book("x", "", ""), book("x", "", "")])
