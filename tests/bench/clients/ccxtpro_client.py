"""ccxt.pro's watch_order_book, its URLs changed; the top of the book read whenever it hands the book over."""

from __future__ import annotations

import asyncio

import ccxt.pro
from common import AGES, Ages, Stopwatch, arguments


async def main() -> None:
    rest, stream, last_id = arguments()
    options = {"defaultType": "spot", "fetchMarkets": {"types": ["spot"]}, "fetchMargins": False}
    exchange = ccxt.pro.binance({"options": options, "enableRateLimit": False})
    exchange.has["fetchCurrencies"] = False
    exchange.urls["api"]["public"] = f"{rest}/api/v3"
    exchange.urls["api"]["ws"]["spot"] = f"{stream}/ws"
    watch = Stopwatch()
    ages = Ages() if AGES else None
    try:
        await exchange.load_markets()
        watch.start()
        hand_overs = 0
        while True:
            book = await exchange.watch_order_book("BTC/USDT")
            hand_overs += 1
            bid, ask = book["bids"][0], book["asks"][0]
            if ages is not None and book["nonce"] is not None:
                ages.note(book["nonce"])
            if book["nonce"] is not None and book["nonce"] >= last_id:
                break
        best = [f"{bid[0]:.8f}", f"{ask[0]:.8f}"]
        if ages is not None:
            ages.report(best)
        else:
            watch.report(best, hand_overs)
    finally:
        await exchange.close()


asyncio.run(main())
