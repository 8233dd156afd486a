"""What Binance sends, by its documentation of 2026-07: the shapes, with numbers of our own."""

from __future__ import annotations

import json
from typing import Any

E_MS = 1_672_515_782_136

DEPTH = {
    "e": "depthUpdate",
    "E": E_MS,
    "s": "BTCUSDT",
    "U": 157,
    "u": 160,
    "b": [["60000.10000000", "0.50000000"], ["59999.90000000", "0.00000000"]],
    "a": [["60000.20000000", "1.25000000"]],
}
TRADE = {
    "e": "trade",
    "E": E_MS,
    "s": "BTCUSDT",
    "t": 12345,
    "p": "60000.10000000",
    "q": "0.01000000",
    "T": E_MS - 1,
    "m": True,
    "M": True,
}
AGG_TRADE = {
    "e": "aggTrade",
    "E": E_MS,
    "s": "BTCUSDT",
    "a": 5933014,
    "p": "60000.10000000",
    "q": "0.02000000",
    "f": 100,
    "l": 105,
    "T": E_MS - 2,
    "m": False,
    "M": True,
}
TICKER = {
    "e": "24hrTicker",
    "E": E_MS,
    "s": "BTCUSDT",
    "p": "-15.50000000",
    "P": "-0.026",
    "w": "60010.00000000",
    "x": "60000.00000000",
    "c": "60000.10000000",
    "Q": "0.01000000",
    "b": "60000.00000000",
    "B": "3.10000000",
    "a": "60000.20000000",
    "A": "1.25000000",
    "o": "60015.60000000",
    "h": "61000.00000000",
    "l": "59000.00000000",
    "v": "10000.00000000",
    "q": "600000000.00000000",
    "O": E_MS - 86_400_000,
    "C": E_MS,
    "F": 0,
    "L": 18150,
    "n": 18151,
}
BOOK_TICKER = {
    "u": 400900217,
    "s": "BTCUSDT",
    "b": "60000.00000000",
    "B": "31.21000000",
    "a": "60000.20000000",
    "A": "40.66000000",
}
PARTIAL_DEPTH = {"lastUpdateId": 160, "bids": [["0.0024", "10"]], "asks": [["0.0026", "100"]]}

STREAMS: dict[str, dict[str, Any]] = {
    "btcusdt@depth@100ms": DEPTH,
    "btcusdt@trade": TRADE,
    "btcusdt@aggTrade": AGG_TRADE,
    "btcusdt@ticker": TICKER,
    "btcusdt@bookTicker": BOOK_TICKER,
}


def compact(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def combined(stream: str, data: Any) -> bytes:
    return compact({"stream": stream, "data": data})


FRAMES = tuple(combined(stream, data) for stream, data in STREAMS.items())


def symbol_row(**changes: Any) -> dict[str, Any]:
    row: dict[str, Any] = {
        "symbol": "BTCUSDT",
        "status": "TRADING",
        "baseAsset": "BTC",
        "baseAssetPrecision": 8,
        "quoteAsset": "USDT",
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS_LIMIT"],
        "quoteOrderQtyMarketAllowed": True,
        "isSpotTradingAllowed": True,
        "filters": [
            {
                "filterType": "PRICE_FILTER",
                "minPrice": "0.01000000",
                "maxPrice": "1000000.00",
                "tickSize": "0.01000000",
            },
            {"filterType": "LOT_SIZE", "minQty": "0.00001000", "maxQty": "9000.00000000", "stepSize": "0.00001000"},
            {"filterType": "MARKET_LOT_SIZE", "minQty": "0.00000000", "maxQty": "120.5", "stepSize": "0.00000000"},
            {
                "filterType": "NOTIONAL",
                "minNotional": "5.00000000",
                "applyMinToMarket": True,
                "maxNotional": "9000000.00000000",
                "applyMaxToMarket": False,
                "avgPriceMins": 5,
            },
            {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": 200},
            {"filterType": "T_PLUS_SELL", "endTime": 17},
        ],
        "permissions": [],
        "permissionSets": [["SPOT", "MARGIN"]],
    }
    return row | changes


def listing(*rows: Any, **changes: Any) -> bytes:
    body = {
        "timezone": "UTC",
        "serverTime": E_MS,
        "rateLimits": [
            {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 1200},
            {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 100},
            {"rateLimitType": "RAW_REQUESTS", "interval": "MINUTE", "intervalNum": 5, "limit": 61000},
        ],
        "exchangeFilters": [],
        "symbols": list(rows) or [symbol_row()],
    }
    return compact(body | changes)


REST_DEPTH = compact(
    {
        "lastUpdateId": 1027024,
        "bids": [["60000.00000000", "431.00000000"], ["59999.00000000", "1.00000000"]],
        "asks": [["60000.20000000", "12.00000000"]],
    }
)
REST_TRADES = compact(
    [
        {
            "id": number,
            "price": "60000.10000000",
            "qty": "12.00000000",
            "quoteQty": "48.000012",
            "time": E_MS + number,
            "isBuyerMaker": number % 2 == 0,
            "isBestMatch": True,
        }
        for number in (28457, 28458)
    ]
)
REST_TICKER = compact(
    {
        "symbol": "BTCUSDT",
        "priceChange": "-94.99999800",
        "lastPrice": "60000.10000000",
        "lastQty": "200.00000000",
        "bidPrice": "60000.00000000",
        "bidQty": "100.00000000",
        "askPrice": "60000.20000000",
        "askQty": "100.00000000",
        "openPrice": "99.00000000",
        "highPrice": "100.00000000",
        "lowPrice": "0.10000000",
        "volume": "8913.30000000",
        "quoteVolume": "15.30000000",
        "openTime": E_MS - 86_400_000,
        "closeTime": E_MS,
    }
)
REST_TIME = compact({"serverTime": E_MS})


def error(code: int, msg: str) -> bytes:
    return compact({"code": code, "msg": msg})
