"""Market data over REST: requests, and what their answers say.

Weights are the documentation's, of the shared 6000 a minute (read the present limit with `limits.limits_of`).
"""

from __future__ import annotations

from typing import TypeVar
from urllib.parse import quote

import msgspec

from thespian_connector.drivers.base import RestRequest
from thespian_connector.model import Side
from thespian_connector.model.errors import ServerFault
from thespian_connector.model.wire import BookSnapshot, WireLevels, WireTicker, WireTrade

from .errors import EXCHANGE
from .frames import is_number, price_and_quantity, time_ns
from .symbols import stream_name

#: Snapshot depths worth asking for, each the deepest of its price, and what it weighs.
DEPTH_WEIGHTS: tuple[tuple[int, int], ...] = ((100, 5), (500, 25), (1000, 50), (5000, 250))
DEPTH_MAX = DEPTH_WEIGHTS[-1][0]
#: What a book gets whose user names no depth. 5000 levels cost five times the weight: 24 snapshots a minute for all
#: books of an IP, so that one reconnect of many symbols would earn a ban.
DEPTH_DEFAULT = 1000
TRADES_MAX = 1000
#: The faster of the two diff streams. Their U/u spans differ: they must not be mixed.
DEPTH_STREAM = "depth@100ms"

T = TypeVar("T")


class _Depth(msgspec.Struct):
    lastUpdateId: int
    bids: WireLevels
    asks: WireLevels


class _Trade(msgspec.Struct):
    id: int
    price: str
    qty: str
    time: int
    isBuyerMaker: bool


class _Ticker(msgspec.Struct):
    symbol: str
    lastPrice: str
    bidPrice: str
    bidQty: str
    askPrice: str
    askQty: str
    openPrice: str
    highPrice: str
    lowPrice: str
    volume: str
    quoteVolume: str
    closeTime: int


class _Time(msgspec.Struct):
    serverTime: int


_depth = msgspec.json.Decoder(_Depth)
_trades = msgspec.json.Decoder(list[_Trade])
_ticker = msgspec.json.Decoder(_Ticker)
_time = msgspec.json.Decoder(_Time)


def instruments_request() -> RestRequest:
    return RestRequest(method="GET", path="/api/v3/exchangeInfo", weight=20)


def time_request() -> RestRequest:
    return RestRequest(method="GET", path="/api/v3/time", weight=1)


def served_depth(depth: int) -> tuple[int, int]:
    """(levels, weight) of the snapshot that holds `depth` levels; none given (0) is the default."""
    wanted = depth if depth > 0 else DEPTH_DEFAULT
    return next((step for step in DEPTH_WEIGHTS if wanted <= step[0]), DEPTH_WEIGHTS[-1])


def depth_request(native: str, depth: int) -> RestRequest:
    """A snapshot of at least `depth` levels (up to 5000): rounded up to the most that the same weight buys."""
    levels, weight = served_depth(depth)
    return RestRequest(
        method="GET", path="/api/v3/depth", query=f"symbol={_spelled(native)}&limit={levels}", weight=weight
    )


def trades_request(native: str, limit: int) -> RestRequest:
    count = min(max(limit, 1), TRADES_MAX)
    return RestRequest(method="GET", path="/api/v3/trades", query=f"symbol={_spelled(native)}&limit={count}", weight=25)


def ticker_request(native: str) -> RestRequest:
    return RestRequest(method="GET", path="/api/v3/ticker/24hr", query=f"symbol={_spelled(native)}", weight=2)


def parse_depth(native: str, depth: int, body: bytes) -> BookSnapshot:
    """The snapshot; the answer names no symbol and no time.

    `limit` becomes `depth` as it was asked for, or as `depth_request` rounded it if the answer holds more than `depth`
    levels: never more than was really asked for, so that a side is never thought complete that is not.

    :raises ServerFault: the body is no depth answer.
    """
    answer = _read(_depth, body, "a depth answer")
    if not 0 <= answer.lastUpdateId < 2**63:
        raise ServerFault(f"{EXCHANGE}: a depth answer with an impossible lastUpdateId", exchange=EXCHANGE)
    sides = len(answer.bids), len(answer.asks)
    # an answer longer than we ever ask for proves nothing about where a side ends
    asked = next(
        (n for n in (min(depth, DEPTH_MAX), served_depth(depth)[0]) if 0 < n >= max(sides)), max(1, min(sides))
    )
    return BookSnapshot(
        native=native,
        stream=f"{stream_name(native)}@{DEPTH_STREAM}",
        update_id=answer.lastUpdateId,
        bids=answer.bids,
        asks=answer.asks,
        limit=asked,
    )


def parse_trades(native: str, body: bytes) -> list[WireTrade]:
    """Oldest first. Trade ids grow within a symbol, and only there.

    :raises ServerFault: the body is no list of trades.
    """
    rows = _read(_trades, body, "a list of trades")
    trades = []
    for row in sorted(rows, key=lambda row: row.id):
        when = time_ns(row.time)
        if not is_number(row.price) or not is_number(row.qty) or when is None or row.id < 0:
            raise ServerFault(f"{EXCHANGE}: not a trade in a list of trades", exchange=EXCHANGE)
        trades.append(
            WireTrade(
                native=native,
                trade_id=str(row.id),
                price=row.price,
                quantity=row.qty,
                aggressor=Side.SELL if row.isBuyerMaker else Side.BUY,
                venue_time_ns=when,
            )
        )
    return trades


def parse_ticker(native: str, body: bytes) -> WireTicker:
    """:raises ServerFault: the body is no 24 h ticker of `native`."""
    row = _read(_ticker, body, "a 24 h ticker")
    when = time_ns(row.closeTime)
    tops = (row.bidPrice, row.bidQty, row.askPrice, row.askQty)
    numbers = (row.lastPrice, *tops, row.openPrice, row.highPrice, row.lowPrice, row.volume, row.quoteVolume)
    if row.symbol != native or when is None or not all(map(is_number, numbers)):
        raise ServerFault(f"{EXCHANGE}: not a 24 h ticker of {native}", exchange=EXCHANGE)
    bid, bid_quantity = price_and_quantity(row.bidPrice, row.bidQty)
    ask, ask_quantity = price_and_quantity(row.askPrice, row.askQty)
    return WireTicker(
        native=native,
        stream=f"{stream_name(native)}@ticker",
        last=row.lastPrice,
        bid=bid,
        bid_quantity=bid_quantity,
        ask=ask,
        ask_quantity=ask_quantity,
        open=row.openPrice,
        high=row.highPrice,
        low=row.lowPrice,
        volume=row.volume,
        quote_volume=row.quoteVolume,
        venue_time_ns=when,
    )


def parse_time_ns(body: bytes) -> int:
    """:raises ServerFault: the body is no server time."""
    when = time_ns(_read(_time, body, "a server time").serverTime)
    if when is None:
        raise ServerFault(f"{EXCHANGE}: not a server time", exchange=EXCHANGE)
    return when


def _read(decoder: msgspec.json.Decoder[T], body: bytes, what: str) -> T:
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise ServerFault(f"{EXCHANGE}: not {what}: {error}", exchange=EXCHANGE) from None


def _spelled(native: str) -> str:
    return quote(native, safe="")
