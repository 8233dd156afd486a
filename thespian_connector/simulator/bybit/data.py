"""What Bybit tells of a market besides its book: trades, tickers, klines, price limits, instruments."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from thespian_connector.model.decimals import CONTEXT, quantize_down, quantize_up, text
from thespian_connector.simulator.candles import MINUTE_MS, Bar
from thespian_connector.simulator.market import Batch, Market, MarketSpec, SimTrade

from .settings import PRICE_LIMIT_RATIO_X, PRICE_LIMIT_RATIO_Y
from .topics import INTERVAL_MS

#: Bybit's spot trade ids are decimal strings of about 19 digits.
TRADE_ID_BASE = 2_290_000_000_000_000_000
#: `seq` orders the messages of all streams of a symbol. It grows with the engine's batches, with holes.
SEQUENCE_BASE = 66_544_700_000
SEQUENCE_STRIDE = 3
#: Trades that REST recent-trade serves at most.
RECENT_TRADES_MAX = 60
#: What a post-only order may be larger than another limit order.
POST_ONLY_QUANTITY_TIMES = 5
#: The largest amount of a market order in quote (``maxOrderAmt``).
QUOTE_MAX = Decimal(8_000_000)
_MONDAY_MS = 4 * 86_400_000


def sequence(batch_id: int) -> int:
    """The cross sequence of an engine batch: monotonic, not contiguous."""
    return SEQUENCE_BASE + SEQUENCE_STRIDE * batch_id


def trade_item(trade: SimTrade, symbol: str, batch_id: int) -> dict[str, Any]:
    """A trade as publicTrade has it; `S` is the taker's side."""
    return {
        "i": str(TRADE_ID_BASE + trade.trade_id),
        "T": trade.time_ns // 1_000_000,
        "p": text(trade.price),
        "v": text(trade.quantity),
        "S": "Buy" if trade.taker_side == "buy" else "Sell",
        "s": symbol,
        "BT": False,
        "RPI": False,
        "seq": sequence(batch_id),
    }


class Tape:
    """The newest trades of a market with the batch that each came in, which REST tells as `seq`.

    Trades from before it was made are told with the sequence of the batch at that time.
    """

    def __init__(self, market: Market) -> None:
        earlier = list(market.tape)[-RECENT_TRADES_MAX:]
        self._items: deque[dict[str, Any]] = deque(
            (trade_item(trade, market.spec.native, market.batch_id) for trade in earlier), maxlen=RECENT_TRADES_MAX
        )

    @staticmethod
    def items(batch: Batch) -> list[dict[str, Any]]:
        """The trades of a batch as publicTrade items."""
        return [trade_item(trade, batch.spec.native, batch.batch_id) for trade in batch.trades]

    def add(self, batch: Batch) -> None:
        """Keep the trades of a batch."""
        self._items.extend(self.items(batch))

    def recent(self, limit: int) -> list[dict[str, Any]]:
        """The newest `limit` trades as REST recent-trade has them, newest first; `seq` is text there."""
        return [
            {
                "execId": item["i"],
                "symbol": item["s"],
                "price": item["p"],
                "size": item["v"],
                "side": item["S"],
                "time": str(item["T"]),
                "isBlockTrade": False,
                "isRPITrade": False,
                "seq": str(item["seq"]),
            }
            for item in list(self._items)[: -limit - 1 : -1]
        ]


def middle(market: Market) -> Decimal | None:
    """The middle of the best prices, the nearest thing to an index; None while a side is empty."""
    bid, ask = market.book.best(True), market.book.best(False)
    if bid is None or ask is None:
        return None
    return (bid + ask) * market.spec.tick / 2


def best_price(market: Market, *, is_buy: bool) -> Decimal | None:
    """The price that an order of a side would meet first; None while the other side is empty."""
    ticks = market.book.best(not is_buy)
    return None if ticks is None else ticks * market.spec.tick


def quote_step(spec: MarketSpec) -> Decimal:
    """The grid of amounts in quote (``quotePrecision``)."""
    return spec.tick * spec.step


def market_quantity_max(spec: MarketSpec) -> Decimal:
    """The largest quantity of a market order (``maxMarketOrderQty``)."""
    return quantize_down(spec.max_quantity / 2, spec.step)


def price_limits(market: Market) -> tuple[str, str]:
    """(highest buy price, lowest sell price); empty text while there is no index. The average premium is taken as 0."""
    index = middle(market)
    if index is None:
        return "", ""
    ratio = min(Decimal(PRICE_LIMIT_RATIO_X), Decimal(PRICE_LIMIT_RATIO_Y))
    tick = market.spec.tick
    return text(quantize_down(index * (1 + ratio), tick)), text(quantize_up(index * (1 - ratio), tick))


def day_ticker(market: Market, markets: Mapping[str, Market], now_ms: int) -> dict[str, str]:
    """The last day of a market as the spot tickers topic has it: without bid and ask."""
    spec, day, last = market.spec, market.day(now_ms), market.last_trade()
    price = last.price if last else middle(market) or Decimal(0)
    first = day.open if day else price
    change = CONTEXT.divide(price - first, first) if first else Decimal(0)
    return {
        "symbol": spec.native,
        "lastPrice": text(price),
        "highPrice24h": text(day.high if day else price),
        "lowPrice24h": text(day.low if day else price),
        "prevPrice24h": text(first),
        "volume24h": text(day.volume if day else Decimal(0)),
        "turnover24h": text(day.turnover if day else Decimal(0)),
        "price24hPcnt": text(change.quantize(Decimal("0.0001"))),
        "usdIndexPrice": _dollars(spec, markets),
    }


def _dollars(spec: MarketSpec, markets: Mapping[str, Market]) -> str:
    for market in markets.values():
        if market.spec.base == spec.base and market.spec.quote == "USDT":
            index = middle(market)
            return text(index) if index is not None else ""
    return ""


def rest_ticker(market: Market, markets: Mapping[str, Market], now_ms: int) -> dict[str, str]:
    """The same as REST tickers has it: with the best prices."""
    best: dict[str, str] = {}
    for side, name in (("bid", "bid1"), ("ask", "ask1")):
        levels = market.book.levels(side, 1)
        best[f"{name}Price"] = text(levels[0][0]) if levels else ""
        best[f"{name}Size"] = text(levels[0][1]) if levels else ""
    day = day_ticker(market, markets, now_ms)
    return {"symbol": day.pop("symbol"), **best, **day}


def interval_start(time_ms: int, interval: str) -> int:
    """The start of the kline that a time falls in. Weeks begin on Monday, months on the first, all UTC."""
    if interval == "M":
        moment = datetime.fromtimestamp(time_ms // 1000, UTC)
        return int(datetime(moment.year, moment.month, 1, tzinfo=UTC).timestamp()) * 1000
    width = INTERVAL_MS[interval]
    shift = _MONDAY_MS if interval == "W" else 0
    return time_ms - (time_ms - shift) % width


def interval_end(start_ms: int, interval: str) -> int:
    """The first millisecond after the kline that starts at `start_ms`."""
    if interval != "M":
        return start_ms + INTERVAL_MS[interval]
    moment = datetime.fromtimestamp(start_ms // 1000, UTC)
    year, month = (moment.year + 1, 1) if moment.month == 12 else (moment.year, moment.month + 1)
    return int(datetime(year, month, 1, tzinfo=UTC).timestamp()) * 1000


def klines(market: Market, interval: str) -> list[Bar]:
    """The bars of an interval, oldest first, the open one included."""
    bars: list[Bar] = []
    for bar in market.candles.bars(MINUTE_MS):
        start = interval_start(bar.open_ms, interval)
        if bars and bars[-1].open_ms == start:
            bars[-1].merge(bar)
        else:
            bars.append(bar.copy(start))
    return bars


def flat_bar(open_ms: int, before: Bar | None) -> Bar:
    """A bar without a trade: flat at the close before it, 0 if there was none."""
    price, nothing = before.close if before else Decimal(0), Decimal(0)
    return Bar(open_ms, price, price, price, price, nothing, nothing, nothing, nothing, 0, 0, 0)


def kline_item(bar: Bar, interval: str, *, confirm: bool, now_ms: int) -> dict[str, Any]:
    """A bar as the kline topic has it."""
    return {
        "start": bar.open_ms,
        "end": interval_end(bar.open_ms, interval) - 1,
        "interval": interval,
        "open": text(bar.open),
        "close": text(bar.close),
        "high": text(bar.high),
        "low": text(bar.low),
        "volume": text(bar.volume),
        "turnover": text(bar.turnover),
        "confirm": confirm,
        "timestamp": now_ms,
    }


def instrument(spec: MarketSpec, number: int) -> dict[str, Any]:
    """An instrument as instruments-info has it (v5 docs: "Market / Get Instruments Info", spot)."""
    return {
        "symbolId": number,
        "symbol": spec.native,
        "baseCoin": spec.base,
        "quoteCoin": spec.quote,
        "innovation": "0",
        "symbolType": "",
        "status": "Trading",
        "marginTrading": "utaOnly",
        "stTag": "0",
        "lotSizeFilter": {
            "basePrecision": text(spec.step),
            "quotePrecision": text(quote_step(spec)),
            "minOrderQty": text(spec.min_quantity),
            "maxOrderQty": text(spec.max_quantity),
            "minOrderAmt": text(spec.min_notional),
            "maxOrderAmt": text(QUOTE_MAX),
            "maxLimitOrderQty": text(spec.max_quantity),
            "maxMarketOrderQty": text(market_quantity_max(spec)),
            "postOnlyMaxLimitOrderSize": text(spec.max_quantity * POST_ONLY_QUANTITY_TIMES),
        },
        "priceFilter": {"tickSize": text(spec.tick)},
        "riskParameters": {"priceLimitRatioX": PRICE_LIMIT_RATIO_X, "priceLimitRatioY": PRICE_LIMIT_RATIO_Y},
    }
