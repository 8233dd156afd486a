"""What a reader makes of the last record of a publisher that it hears no more."""

from __future__ import annotations

from decimal import Decimal

from thespian_connector.bus.tracking import distrusted
from thespian_connector.model import BestPrices, BestSide, BookSource, MergedBook, MergedLevel, Trust

ONE = Decimal(1)


def test_nothing_of_a_merged_book_is_shown_as_live() -> None:
    level = MergedLevel(ONE, ONE, {"binance": ONE})
    book = MergedBook(
        symbol="BTC/USDT",
        bids=(level,),
        asks=(level,),
        exchanges=("binance",),
        excluded={"bybit": Trust.SUSPECT},
        crossed=False,
        locked=True,
        sources={"binance": BookSource("s", 1)},
    )
    shown = distrusted(book)
    assert isinstance(shown, MergedBook)
    assert (shown.bids, shown.asks, shown.exchanges, shown.sources, shown.locked) == ((), (), (), {}, False)
    assert shown.excluded == {"bybit": Trust.SUSPECT, "binance": Trust.STALE}
    assert distrusted(shown) is shown, "told once"


def test_best_prices_neither() -> None:
    side = BestSide(ONE, ONE, "bybit")
    prices = BestPrices(symbol="BTC/USDT", bid=side, ask=None, spread=None, crossed=False, excluded={})
    shown = distrusted(prices)
    assert isinstance(shown, BestPrices)
    assert (shown.bid, shown.excluded) == (None, {"bybit": Trust.STALE})
    assert distrusted(shown) is shown
