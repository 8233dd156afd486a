"""Rolling statistics as Binance tells them, over REST and on streams."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from thespian_connector.simulator.candles import Bar
from thespian_connector.simulator.market import Market

from .books import BookFeed
from .spelling import padded

DAY_MS = 86_400_000
AVERAGE_MINUTES = 5
_ZERO = Decimal(0)


def _bar(market: Market, now_ms: int, window_ms: int) -> Bar:
    bar = market.candles.since(now_ms - window_ms)
    return bar or Bar(now_ms, _ZERO, _ZERO, _ZERO, _ZERO, _ZERO, _ZERO, _ZERO, _ZERO, 0, -1, -1)


def _change(bar: Bar) -> tuple[str, str, str]:
    """Change, change in percent, and the weighted average price."""
    change = bar.close - bar.open
    percent = change * 100 / bar.open if bar.open else _ZERO
    average = bar.turnover / bar.volume if bar.volume else _ZERO
    return padded(change), format(percent, ".3f"), padded(average)


def _top(feed: BookFeed) -> tuple[str, str, str, str]:
    """Best bid and size, best ask and size."""
    texts: list[str] = []
    for is_bid in (True, False):
        best = feed.market.book.raw_levels(is_bid, 1)
        texts += [feed.speller.price(best[0][0]), feed.speller.quantity(best[0][1])] if best else [padded(_ZERO)] * 2
    return texts[0], texts[1], texts[2], texts[3]


def statistics(
    feed: BookFeed, now_ms: int, *, window_ms: int = DAY_MS, full: bool = True, with_book: bool = True, factor: int = 1
) -> dict[str, Any]:
    """REST ``ticker/24hr`` (with the book) and ``ticker`` (without); `full` False is the type MINI."""
    bar = _bar(feed.market, now_ms, window_ms)
    change, percent, average = _change(bar)
    document: dict[str, Any] = {"symbol": feed.market.spec.native}
    if full:
        document |= {"priceChange": change, "priceChangePercent": percent, "weightedAvgPrice": average}
        if with_book:
            document["prevClosePrice"] = padded(bar.open)
    document["lastPrice"] = padded(bar.close)
    if full and with_book:
        last = feed.market.last_trade()
        document["lastQty"] = padded(last.quantity if last else _ZERO)
        bid, bid_size, ask, ask_size = _top(feed)
        document |= {"bidPrice": bid, "bidQty": bid_size, "askPrice": ask, "askQty": ask_size}
    open_ms = now_ms - window_ms
    if not with_book:
        open_ms -= open_ms % 60_000
    return document | {
        "openPrice": padded(bar.open),
        "highPrice": padded(bar.high),
        "lowPrice": padded(bar.low),
        "volume": padded(bar.volume),
        "quoteVolume": padded(bar.turnover),
        "openTime": open_ms * factor,
        "closeTime": now_ms * factor,
        "firstId": bar.first_id,
        "lastId": bar.last_id,
        "count": bar.count,
    }


def book_ticker(feed: BookFeed) -> dict[str, str]:
    """REST ``ticker/bookTicker``."""
    bid, bid_size, ask, ask_size = _top(feed)
    return {
        "symbol": feed.market.spec.native,
        "bidPrice": bid,
        "bidQty": bid_size,
        "askPrice": ask,
        "askQty": ask_size,
    }


def price_ticker(feed: BookFeed) -> dict[str, str]:
    """REST ``ticker/price``."""
    last = feed.market.last_trade()
    return {"symbol": feed.market.spec.native, "price": padded(last.price if last else _ZERO)}


def average(market: Market, now_ms: int) -> tuple[str, int]:
    """The average price of the last five minutes, and when the last trade was (epoch ms)."""
    bar = _bar(market, now_ms, AVERAGE_MINUTES * 60_000)
    last = market.last_trade()
    return _change(bar)[2], last.time_ns // 1_000_000 if last else 0


def mini_event(feed: BookFeed, event_us: int, factor: int) -> dict[str, Any]:
    """``<s>@miniTicker``."""
    bar = _bar(feed.market, event_us // 1_000, DAY_MS)
    return {
        "e": "24hrMiniTicker",
        "E": event_us * factor // 1_000,
        "s": feed.market.spec.native,
        "c": padded(bar.close),
        "o": padded(bar.open),
        "h": padded(bar.high),
        "l": padded(bar.low),
        "v": padded(bar.volume),
        "q": padded(bar.turnover),
    }


def ticker_event(
    feed: BookFeed, event_us: int, factor: int, window: str = "", window_ms: int = DAY_MS
) -> dict[str, Any]:
    """``<s>@ticker``, or ``<s>@ticker_1h`` with a window: that one has no previous close and no book."""
    now_ms = event_us // 1_000
    bar = _bar(feed.market, now_ms, window_ms)
    change, percent, weighted = _change(bar)
    event: dict[str, Any] = {
        "e": f"{window}Ticker" if window else "24hrTicker",
        "E": event_us * factor // 1_000,
        "s": feed.market.spec.native,
        "p": change,
        "P": percent,
        "w": weighted,
        "c": padded(bar.close),
        "o": padded(bar.open),
        "h": padded(bar.high),
        "l": padded(bar.low),
        "v": padded(bar.volume),
        "q": padded(bar.turnover),
        "O": (now_ms - window_ms) * factor,
        "C": now_ms * factor,
        "F": bar.first_id,
        "L": bar.last_id,
        "n": bar.count,
    }
    if not window:
        last = feed.market.last_trade()
        bid, bid_size, ask, ask_size = _top(feed)
        event |= {
            "x": padded(bar.open),
            "Q": padded(last.quantity if last else _ZERO),
            "b": bid,
            "B": bid_size,
            "a": ask,
            "A": ask_size,
        }
    return event


def kline_event(
    native: str, interval: str, row: tuple[Bar, int], event_us: int, factor: int, *, closed: bool
) -> dict[str, Any]:
    """``<s>@kline_<i>``."""
    bar, close_ms = row
    return {
        "e": "kline",
        "E": event_us * factor // 1_000,
        "s": native,
        "k": {
            "t": bar.open_ms * factor,
            "T": close_ms * factor + (factor - 1),
            "s": native,
            "i": interval,
            "f": bar.first_id,
            "L": bar.last_id,
            "o": padded(bar.open),
            "c": padded(bar.close),
            "h": padded(bar.high),
            "l": padded(bar.low),
            "v": padded(bar.volume),
            "n": bar.count,
            "x": closed,
            "q": padded(bar.turnover),
            "V": padded(bar.buy_volume),
            "Q": padded(bar.buy_turnover),
            "B": "0",
        },
    }
