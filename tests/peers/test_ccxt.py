"""ccxt, as published, against the simulator with nothing but its URLs changed: it must see the true books.

A deviation here is the simulator's or ccxt's; the venue's own documentation decides which.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support.simulator import Simulator
from support.waiting import wait_until

ccxt = pytest.importorskip("ccxt")
pro = pytest.importorskip("ccxt.pro")

SYMBOL, NATIVE = "BTC/USDT", "BTCUSDT"
VENUES = ("binance", "bybit")
#: Levels a side that are watched: a depth that Bybit has a stream of.
WATCHED = 50
PATIENCE_S = 60.0

Side = list[list[float]]


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    # ccxt.pro knows a thousand levels for as long as it listens: the price must not leave them, however long it takes.
    with Simulator(seed=7, rate=200, walk=2) as running:
        yield running


def settings(simulator: Simulator, venue: str) -> dict[str, Any]:
    """What a user of ccxt has to say to reach another host; Binance's other products have no host here."""
    urls = simulator.urls[venue]
    if venue == "bybit":
        ws = {"public": {"spot": f"{urls['ws']}/v5/public/spot"}}
        return {"urls": {"api": {"public": urls["rest"], "private": urls["rest"], "ws": ws}}}
    api = f"{urls['rest']}/api/v3"
    return {
        "urls": {"api": {"public": api, "private": api, "v1": api, "ws": {"spot": f"{urls['stream']}/ws"}}},
        "options": {"fetchMarkets": {"types": ["spot"]}},
    }


def levels(side: list[list[str]], depth: int) -> Side:
    """True levels as ccxt has its own: the nearest floats of the same decimals."""
    return [[float(price), float(quantity)] for price, quantity in side[:depth]]


def update_id(exchange: Any, venue: str, book: Any) -> tuple[str | None, int]:
    """(stream, id) of a book from REST: ccxt keeps Binance's as the nonce, Bybit's only in the answer itself."""
    if venue == "bybit":
        return "orderbook.1000", exchange.last_json_response["result"]["u"]
    return None, book["nonce"]


@pytest.mark.parametrize("venue", VENUES)
def test_rest_of_ccxt_reads_markets_books_trades_and_tickers(simulator: Simulator, venue: str) -> None:
    exchange = getattr(ccxt, venue)({**settings(simulator, venue), "enableLastJsonResponse": True})
    market = exchange.load_markets()[SYMBOL]
    assert (market["id"], market["active"], market["spot"]) == (NATIVE, True, True)
    assert market["precision"]["price"] == 0.01
    assert market["limits"]["cost"]["min"] > 0
    assert abs(exchange.fetch_time() - time.time() * 1000) < 5_000

    for limit in (5, WATCHED, 1000):
        book = exchange.fetch_order_book(SYMBOL, limit)
        stream, number = update_id(exchange, venue, book)
        truth = simulator.book(venue, NATIVE, stream, number)
        assert truth is not None
        assert len(book["bids"]) == len(book["asks"]) == limit
        assert book["bids"] == levels(truth["bids"], limit)
        assert book["asks"] == levels(truth["asks"], limit)

    def sides() -> set[str]:
        return {trade["side"] for trade in exchange.fetch_trades(SYMBOL)}

    wait_until(lambda: sides() == {"buy", "sell"}, PATIENCE_S, "buyers and sellers took what was offered")
    wait_until(lambda: len(exchange.fetch_trades(SYMBOL, limit=50)) == 50, PATIENCE_S, "often enough")
    simulator.pause()
    try:
        trades = exchange.fetch_trades(SYMBOL, limit=50)
        assert len(trades) == 50
        # ccxt sorts by time and then by the text of the id: as numbers they are a run without a hole.
        ids = sorted(int(trade["id"]) for trade in trades)
        assert ids == list(range(ids[0], ids[0] + 50))
        newest = max(trades, key=lambda trade: int(trade["id"]))
        ticker = exchange.fetch_ticker(SYMBOL)
        assert ticker["last"] == newest["price"]
        assert ticker["bid"] < ticker["ask"]
        _, _, highest, lowest, close, _ = exchange.fetch_ohlcv(SYMBOL, "1m")[-1]
        assert close == newest["price"]
        assert lowest <= close <= highest
    finally:
        simulator.resume()


def top(book: Any) -> list[Side]:
    """The best levels of both sides as ccxt.pro holds them."""
    return [[list(row[:2]) for row in book[side][:WATCHED]] for side in ("bids", "asks")]


def true_top(truth: Any) -> list[Side]:
    return [levels(truth[side], WATCHED) for side in ("bids", "asks")]


async def watched_at_ids(exchange: Any, simulator: Simulator) -> None:
    """Binance: ccxt.pro keeps the id of the last event, so its book is judged at that id while the flow goes on."""
    for _ in range(30):
        book = await exchange.watch_order_book(SYMBOL)
        mine, number = top(book), book["nonce"]
        truth = simulator.book("binance", NATIVE, "btcusdt@depth", number)
        assert truth is not None
        assert truth["update_id"] == number
        assert mine == true_top(truth)


async def watched_at_rest(exchange: Any, simulator: Simulator) -> None:
    """Bybit: ccxt.pro forgets the ids, so its book is judged whenever the flow stands still."""
    for _ in range(4):
        for _ in range(40):
            book = await exchange.watch_order_book(SYMBOL, WATCHED)
            assert book["bids"][0][0] < book["asks"][0][0]
        simulator.pause()
        try:
            await eventually(
                lambda: top(exchange.orderbooks[SYMBOL]) == true_top(simulator.book("bybit", NATIVE, "orderbook.50")),
                "ccxt's book equals the true one",
            )
        finally:
            simulator.resume()


async def eventually(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"not within {PATIENCE_S:g} s: {what}"
        await asyncio.sleep(0.02)


async def watched_trades(exchange: Any) -> None:
    """What ccxt.pro is told of trades is what REST tells (at Binance ccxt's default on REST is aggregate trades)."""
    single = {"fetchTradesMethod": "publicGetTrades"} if exchange.id == "binance" else {}
    told: dict[str, tuple[float, float, str]] = {}
    while len(told) < 5:
        for trade in await exchange.watch_trades(SYMBOL):
            told[trade["id"]] = (trade["price"], trade["amount"], trade["side"])
    known = {
        trade["id"]: (trade["price"], trade["amount"], trade["side"])
        for trade in await exchange.fetch_trades(SYMBOL, limit=60, params=single)
    }
    common = told.keys() & known.keys()
    assert common
    assert all(told[number] == known[number] for number in common)


@pytest.mark.parametrize("venue", VENUES)
def test_streams_of_ccxt_pro_follow_the_true_book(simulator: Simulator, venue: str) -> None:
    async def scenario() -> None:
        exchange = getattr(pro, venue)(settings(simulator, venue))
        try:
            await exchange.load_markets()
            await (watched_at_ids if venue == "binance" else watched_at_rest)(exchange, simulator)
            await watched_trades(exchange)
            ticker = await exchange.watch_ticker(SYMBOL)
            assert ticker["last"] > 0
        finally:
            await exchange.close()

    asyncio.run(asyncio.wait_for(scenario(), 300))
