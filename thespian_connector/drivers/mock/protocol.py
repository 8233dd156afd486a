"""The mock venue's protocol, both ways, and how its driver reads it.

JSON text frames; prices and quantities are strings, times integer nanoseconds, quantities absolute (``"0"`` deletes)::

    {"stream":"book.BTC-USDT","kind":"snapshot","id":1000,"time_ns":1,"limit":1000,"bids":[["p","q"]],"asks":[]}
    {"stream":"book.BTC-USDT","kind":"diff","id":1001,"time_ns":2,"bids":[["p","q"]],"asks":[]}
    {"stream":"top.BTC-USDT","kind":"top","id":1001,"time_ns":2,"bid":["p","q"],"ask":null}
    {"stream":"trade.BTC-USDT","kind":"trade","trades":[{"id":"1","price":"p","quantity":"q","side":"buy","time_ns":3}]}
    {"stream":"ticker.BTC-USDT","kind":"ticker","time_ns":3,"last":"p","bid":"p","bid_quantity":"q", ...}

An update's `id` is the last one's plus one. We send ``{"id":7,"op":"subscribe","topics":["book.BTC-USDT"]}`` (or
"unsubscribe", "ping") and get ``{"reply":7,"ok":true,"message":""}`` or ``{"pong":8}``; ``{"shutdown":true}`` says
that the venue will close. A book subscription begins with a snapshot, unless the venue serves those by REST.

REST, all GET: ``/instruments``, ``/depth?native=N&depth=D``, ``/trades?native=N&limit=L`` (oldest first),
``/ticker?native=N``, ``/time``. The bodies are the structs below. An error has its HTTP status and a body like
``{"error":"no such path"}``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from thespian_connector.model import Instrument, InstrumentStatus, Side, dec
from thespian_connector.model.errors import ServerFault
from thespian_connector.model.wire import (
    Ack,
    BookDiff,
    BookSnapshot,
    Ignored,
    Pong,
    ServerShutdown,
    TopOfBook,
    WireEvent,
    WireLevels,
    WireTicker,
    WireTrade,
    WireTrades,
)

EXCHANGE = "mock"
#: Levels a side of a snapshot, and of a book: the stream shows all of it.
DEPTH_MAX = 1000
TRADES_MAX = 1000
TEXT_MAX = 200

Whole = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Name = Annotated[str, Meta(min_length=1)]
_NUMBER = re.compile(r"[0-9]{1,34}|(?=.{3,35}$)[0-9]+\.[0-9]+", re.ASCII)
_BAD = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class BookFrame(Struct, kw_only=True):
    stream: str
    kind: str
    id: Whole
    time_ns: Whole
    bids: WireLevels
    asks: WireLevels
    limit: Annotated[int, Meta(gt=0, le=DEPTH_MAX)] = DEPTH_MAX


class TopFrame(Struct, kw_only=True):
    stream: str
    kind: str = "top"
    id: Whole
    time_ns: Whole
    bid: tuple[str, str] | None
    ask: tuple[str, str] | None


class TradeItem(Struct, kw_only=True):
    id: Name
    price: str
    quantity: str
    side: Side
    time_ns: Whole


class TradeFrame(Struct, kw_only=True):
    stream: str
    kind: str = "trade"
    trades: list[TradeItem]


class TickerBody(Struct, kw_only=True):
    """REST's ticker has `native`, the stream's `stream` and `kind`. A field without a value is left out."""

    last: str
    time_ns: Whole
    native: str = ""
    stream: str = ""
    kind: str = ""
    bid: str | None = None
    bid_quantity: str | None = None
    ask: str | None = None
    ask_quantity: str | None = None
    open: str | None = None
    high: str | None = None
    low: str | None = None
    volume: str | None = None
    quote_volume: str | None = None


class InstrumentItem(Struct, kw_only=True):
    native: Name
    base: Name
    quote: Name
    tick_size: str
    step_size: str


class InstrumentsBody(Struct):
    instruments: list[Any]


class DepthBody(Struct, kw_only=True):
    native: str
    id: Whole
    time_ns: Whole
    bids: WireLevels
    asks: WireLevels


class TradesBody(Struct, kw_only=True):
    native: str
    trades: list[TradeItem]


class TimeBody(Struct):
    time_ns: Whole


class Request(Struct, kw_only=True, omit_defaults=True):
    """A frame of ours. What is below `topics` is of orders: see :mod:`thespian_connector.drivers.mock.trading`."""

    id: int | str
    op: str
    topics: list[str] = []
    headers: dict[str, str] = {}
    method: str = ""
    path: str = ""
    query: str = ""
    body: str = ""


class _Head(Struct):
    stream: str | UnsetType = UNSET
    kind: str = ""


class _Control(Struct):
    reply: Whole | None = None
    ok: bool = False
    message: str = ""
    pong: int | None = None
    shutdown: bool = False


_T = TypeVar("_T")
_HEAD = msgspec.json.Decoder(_Head)
_CONTROL = msgspec.json.Decoder(_Control)


def decode(frame: bytes) -> WireEvent:
    """What a frame says; `Ignored` for "json", "malformed" or "kind" when nothing."""
    try:
        head = _HEAD.decode(frame)
        if head.stream is UNSET:
            return _control(_CONTROL.decode(frame))
        read = _READERS.get(head.kind)
        return Ignored("kind") if read is None else read(frame, head.stream)
    except msgspec.ValidationError:
        return Ignored("malformed")
    except _BAD:
        return Ignored("json")


def _control(frame: _Control) -> WireEvent:
    if frame.reply is not None:
        return Ack(frame.reply, frame.ok, frame.message[:TEXT_MAX])
    if frame.pong is not None:
        return Pong()
    return ServerShutdown() if frame.shutdown else Ignored("kind")


def _native(stream: str, channel: str) -> str:
    """The instrument of a stream of `channel`, "" for another channel's."""
    head, _, native = stream.partition(".")
    return native if head == channel else ""


def _book(frame: bytes, stream: str) -> WireEvent:
    book, native = msgspec.json.decode(frame, type=BookFrame), _native(stream, "book")
    if not native:
        return Ignored("malformed")
    if book.kind == "snapshot":
        return BookSnapshot(native, stream, book.id, book.bids, book.asks, book.limit, book.time_ns)
    return BookDiff(native, stream, book.id, book.id, book.bids, book.asks, book.time_ns)


def _top(frame: bytes, stream: str) -> WireEvent:
    top, native = msgspec.json.decode(frame, type=TopFrame), _native(stream, "top")
    return TopOfBook(native, stream, top.id, top.bid, top.ask, top.time_ns) if native else Ignored("malformed")


def _trades(frame: bytes, stream: str) -> WireEvent:
    native = _native(stream, "trade")
    trades = [wire_trade(native, item) for item in msgspec.json.decode(frame, type=TradeFrame).trades]
    known = [trade for trade in trades if trade is not None]
    return WireTrades(stream, known) if native and len(known) == len(trades) else Ignored("malformed")


def wire_trade(native: str, item: TradeItem) -> WireTrade | None:
    """None where a number is none."""
    if not (_is_number(item.price) and _is_number(item.quantity)):
        return None
    return WireTrade(native, item.id, item.price, item.quantity, item.side, item.time_ns)


def _ticker(frame: bytes, stream: str) -> WireEvent:
    ticker = wire_ticker(_native(stream, "ticker"), stream, msgspec.json.decode(frame, type=TickerBody))
    return Ignored("malformed") if ticker is None else ticker


def wire_ticker(native: str, stream: str, body: TickerBody) -> WireTicker | None:
    """None without a name, or where a number is none."""
    names = ("bid", "bid_quantity", "ask", "ask_quantity", "open", "high", "low", "volume", "quote_volume")
    optional = {name: getattr(body, name) for name in names}
    numbers = [body.last, *(value for value in optional.values() if value is not None)]
    if not native or not all(map(_is_number, numbers)):
        return None
    return WireTicker(native, stream, body.last, **optional, venue_time_ns=body.time_ns)


def _is_number(value: str) -> bool:
    return _NUMBER.fullmatch(value) is not None


_READERS: dict[str, Callable[[bytes, str], WireEvent]] = {
    "snapshot": _book,
    "diff": _book,
    "top": _top,
    "trade": _trades,
    "ticker": _ticker,
}


def parsed(body: bytes, kind: type[_T]) -> _T:
    """A REST body as `kind`.

    :raises ServerFault: it is something else.
    """
    try:
        return msgspec.json.decode(body, type=kind)
    except _BAD:
        raise not_a(kind.__name__) from None


def not_a(what: str) -> ServerFault:
    return ServerFault(f"the answer is no {what}", exchange=EXCHANGE, status=200)


def instrument(raw: Any) -> Instrument | None:
    """None where the listing cannot be understood."""
    try:
        item = msgspec.convert(raw, InstrumentItem)
        tick, step = dec(item.tick_size, "tick_size"), dec(item.step_size, "step_size")
    except (msgspec.ValidationError, ValueError):
        return None
    if tick <= 0 or step <= 0:
        return None
    return Instrument(
        exchange=EXCHANGE,
        symbol=f"{item.base}/{item.quote}",
        native=item.native,
        base=item.base,
        quote=item.quote,
        status=InstrumentStatus.TRADING,
        tick_size=tick,
        step_size=step,
    )
