"""Bybit's market data as `model.wire` records: frames of ``/v5/public/spot`` and bodies of ``/v5/market/*``.

The frames (key order differs between message kinds and must not matter)::

    {"topic":"orderbook.50.BTCUSDT","ts":1784,"type":"snapshot|delta","cts":1783,
     "data":{"s":"BTCUSDT","b":[["p","q"]],"a":[["p","q"]],"u":177400507,"seq":66544703342}}
    {"topic":"publicTrade.BTCUSDT","ts":1784,"type":"snapshot",
     "data":[{"i":"229","T":1783,"p":"p","v":"q","S":"Buy","s":"BTCUSDT","BT":false,"seq":1}]}
    {"topic":"tickers.BTCUSDT","ts":1784,"type":"snapshot","data":{"symbol":"BTCUSDT","lastPrice":"p", ...}}
    {"success":true,"ret_msg":"subscribe","conn_id":"...","req_id":"7","op":"subscribe"}
    {"success":true,"ret_msg":"pong","conn_id":"...","op":"ping"}

A frame is data if and only if it has a ``topic``.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType, field

from thespian_connector.model import Side
from thespian_connector.model.wire import (
    Ack,
    BookDiff,
    BookSnapshot,
    Ignored,
    Pong,
    WireEvent,
    WireLevels,
    WireTicker,
    WireTrade,
    WireTrades,
)

from .envelope import MS, Ms, fault, nanoseconds, result
from .errors import printable
from .limits import BOOK_DEPTHS, DEPTH_MAX

#: Ids that do not fit 63 bits are no ids of any venue.
_Id = Annotated[int, Meta(ge=0, le=2**63 - 1)]

# Reasons of Ignored.
NOT_JSON = "json"
MALFORMED = "malformed"
UNKNOWN_TOPIC = "topic"
UNKNOWN_CONTROL = "control"

_DEPTH_OF_PREFIX = {f"orderbook.{depth}.": depth for depth in BOOK_DEPTHS}
_BOOK_START = b'{"topic":"orderbook.'
_SIDES = {"Buy": Side.BUY, "Sell": Side.SELL}
#: As many digits as `model.dec` takes, so that what passes here never fails there.
_NUMBER = re.compile(r"[0-9]{1,34}|(?=.{3,35}$)[0-9]+\.[0-9]+", re.ASCII)
_BAD = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class _Book(Struct, gc=False):
    s: str
    b: WireLevels
    a: WireLevels
    u: _Id
    seq: _Id = 0


class _BookFrame(Struct, gc=False):
    topic: str
    type: str
    data: _Book
    ts: Ms = 0
    cts: Ms = 0


class _Trade(Struct, gc=False):
    i: str
    T: Ms
    p: str
    v: str
    S: str
    s: str


class _TradeFrame(Struct, gc=False):
    topic: str
    data: list[_Trade]


class _Ticker(Struct, gc=False):
    """A ticker of REST or stream; only REST's has a bid and an ask."""

    symbol: str
    last: str = field(name="lastPrice")
    bid: str = field(name="bid1Price", default="")
    bid_quantity: str = field(name="bid1Size", default="")
    ask: str = field(name="ask1Price", default="")
    ask_quantity: str = field(name="ask1Size", default="")
    open: str = field(name="prevPrice24h", default="")
    high: str = field(name="highPrice24h", default="")
    low: str = field(name="lowPrice24h", default="")
    volume: str = field(name="volume24h", default="")
    quote_volume: str = field(name="turnover24h", default="")


class _TickerFrame(Struct, gc=False):
    topic: str
    data: _Ticker
    ts: Ms = 0


class _Head(Struct, gc=False):
    topic: str | UnsetType = UNSET


class _Control(Struct, gc=False):
    op: str = ""
    success: bool | None = None
    ret_msg: str = ""
    req_id: Any = ""


_BOOK_FRAME = msgspec.json.Decoder(_BookFrame)
_TRADE_FRAME = msgspec.json.Decoder(_TradeFrame)
_TICKER_FRAME = msgspec.json.Decoder(_TickerFrame)
_HEAD = msgspec.json.Decoder(_Head)
_CONTROL = msgspec.json.Decoder(_Control)


# -- streams


def decode(frame: bytes) -> WireEvent:
    """What a text frame says; `Ignored` with one of four reasons (json, malformed, topic, control) when nothing."""
    try:
        # Most frames are books that start so; one that is spelled in another order takes the second way to the same.
        if frame.startswith(_BOOK_START):
            return _book(_BOOK_FRAME.decode(frame))
        topic = _HEAD.decode(frame).topic
        if topic is UNSET:
            return _control(_CONTROL.decode(frame))
        if topic.startswith("orderbook."):
            return _book(_BOOK_FRAME.decode(frame)) if _streamed(topic) else Ignored(UNKNOWN_TOPIC)
        if topic.startswith("publicTrade."):
            return _trades(_TRADE_FRAME.decode(frame))
        if topic.startswith("tickers."):
            return _ticker_frame(_TICKER_FRAME.decode(frame))
        return Ignored(UNKNOWN_TOPIC)
    except msgspec.ValidationError:
        return Ignored(MALFORMED)
    except _BAD:
        return Ignored(NOT_JSON)


def _streamed(topic: str) -> bool:
    return topic.startswith(tuple(_DEPTH_OF_PREFIX))


def _book(frame: _BookFrame) -> WireEvent:
    """A snapshot, or the message with ``u == 1`` that follows a restart of the venue's service, replaces the book.

    Bybit v5, Orderbook: "Occasionally, you'll receive UpdateId=1, which is a snapshot data due to the restart of the
    service" - so whatever its ``type`` says, such a message comes out as a snapshot.
    """
    topic, data = frame.topic, frame.data
    limit = _DEPTH_OF_PREFIX.get(topic.removesuffix(data.s))
    if limit is None or not data.s:
        return Ignored(MALFORMED if _streamed(topic) else UNKNOWN_TOPIC)
    time_ns = (frame.cts or frame.ts) * MS
    if frame.type == "snapshot" or (data.u == 1 and frame.type == "delta"):
        return BookSnapshot(data.s, topic, data.u, data.b, data.a, limit, time_ns, data.seq)
    if frame.type == "delta":
        return BookDiff(data.s, topic, data.u, data.u, data.b, data.a, time_ns, data.seq)
    return Ignored(MALFORMED)


def _trades(frame: _TradeFrame) -> WireEvent:
    trades = []
    for item in frame.data:
        side = _SIDES.get(item.S)
        if side is None or not item.i or not (_is_number(item.p) and _is_number(item.v)):
            return Ignored(MALFORMED)
        if frame.topic != f"publicTrade.{item.s}":
            return Ignored(MALFORMED)
        trades.append(WireTrade(item.s, item.i, item.p, item.v, side, item.T * MS))
    return WireTrades(frame.topic, trades)


def _ticker_frame(frame: _TickerFrame) -> WireEvent:
    if frame.topic != f"tickers.{frame.data.symbol}" or not _is_number(frame.data.last):
        return Ignored(MALFORMED)
    return _ticker(frame.data, frame.topic, frame.ts * MS)


def _ticker(item: _Ticker, stream: str, time_ns: int) -> WireTicker:
    return WireTicker(
        native=item.symbol,
        stream=stream,
        last=item.last,
        bid=_number_or_none(item.bid),
        bid_quantity=_number_or_none(item.bid_quantity),
        ask=_number_or_none(item.ask),
        ask_quantity=_number_or_none(item.ask_quantity),
        open=_number_or_none(item.open),
        high=_number_or_none(item.high),
        low=_number_or_none(item.low),
        volume=_number_or_none(item.volume),
        quote_volume=_number_or_none(item.quote_volume),
        venue_time_ns=time_ns,
    )


def _control(frame: _Control) -> WireEvent:
    """An answer to something that we sent. The public spot socket answers a ping with ``op`` "ping", others "pong"."""
    if frame.op in ("ping", "pong"):
        return Pong()
    if frame.op == "auth" or frame.success is None:
        return Ignored(UNKNOWN_CONTROL)
    if frame.op in ("subscribe", "unsubscribe") or not frame.success:
        # Subscribed twice is subscribed: nothing is missing, so it is no failure.
        ok = frame.success or "already subscribed" in frame.ret_msg
        return Ack(request_id(frame.req_id), ok, printable(frame.ret_msg))
    return Ignored(UNKNOWN_CONTROL)


def request_id(echo: object) -> int:
    """Our request id out of the venue's echo of it; 0 where it echoed nothing (``""``) or what we never sent."""
    return int(echo) if isinstance(echo, str) and echo.isascii() and echo.isdigit() and len(echo) < 19 else 0


def _is_number(value: str) -> bool:
    return _NUMBER.fullmatch(value) is not None


def _number_or_none(value: str) -> str | None:
    return value if _is_number(value) else None


# -- REST


class _TradeItem(Struct, rename="camel"):
    exec_id: str
    symbol: str
    price: str
    size: str
    side: str
    time: str


class _List(Struct, rename={"items": "list"}):
    items: list[Any]


class _TradeList(Struct, rename={"items": "list"}):
    items: list[_TradeItem]


class _TickerList(Struct, rename={"items": "list"}):
    items: list[_Ticker]


class _Depth(Struct):
    s: str
    b: WireLevels
    a: WireLevels
    u: _Id
    seq: _Id = 0
    ts: Ms = 0
    cts: Ms = 0


class _Time(Struct, rename="camel"):
    time_nano: str


def parse_listing(body: bytes) -> list[Any]:
    """The items of ``instruments-info``, as they are."""
    return result(body, _List, "a list of instruments")[0].items


def parse_depth(native: str, depth: int, body: bytes) -> BookSnapshot:
    """REST's order book. Its ``u`` is that of the stream of 1000 levels, so that is the stream it names."""
    book, _ = result(body, _Depth, "an order book")
    if book.s != native:
        raise fault(f"the order book of {native}")
    return BookSnapshot(
        native=native,
        stream=f"orderbook.{DEPTH_MAX}.{native}",
        update_id=book.u,
        bids=book.b,
        asks=book.a,
        limit=depth,
        venue_time_ns=(book.cts or book.ts) * MS,
        sequence=book.seq,
    )


def parse_trades(native: str, body: bytes) -> list[WireTrade]:
    """Recent trades, oldest first; Bybit's answer has the newest first."""
    answer, _ = result(body, _TradeList, "a list of trades")
    trades = [_past_trade(item) for item in reversed(answer.items)]
    known = [trade for trade in trades if trade is not None and trade.native == native]
    if len(known) < len(trades):
        raise fault(f"the trades of {native}")
    return known


def _past_trade(item: _TradeItem) -> WireTrade | None:
    side = _SIDES.get(item.side)
    time_ns = nanoseconds(item.time, MS)
    if side is None or time_ns is None or not item.exec_id or not (_is_number(item.price) and _is_number(item.size)):
        return None
    return WireTrade(item.symbol, item.exec_id, item.price, item.size, side, time_ns)


def parse_ticker(native: str, body: bytes) -> WireTicker:
    answer, time_ms = result(body, _TickerList, "a ticker")
    for item in answer.items:
        if item.symbol == native and _is_number(item.last):
            return _ticker(item, f"tickers.{native}", time_ms * MS)
    raise fault(f"the ticker of {native}")


def parse_time_ns(body: bytes) -> int:
    answer, _ = result(body, _Time, "the venue's time")
    time_ns = nanoseconds(answer.time_nano, 1)
    if time_ns is None:
        raise fault("the venue's time")
    return time_ns
