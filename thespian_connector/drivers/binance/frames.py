"""Stream frames -> records.

We use combined mode: every frame is ``{"stream":"<name>","data":{...}}`` and so says what it is about, even a
bookTicker or a partial depth, whose payloads name no event. A cheap look at the stream's name picks a typed decoder;
whatever that does not take goes the general way, which depends on no order and no spelling of the frame. Raw frames
(the payload alone) go there too.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Literal

import msgspec

from thespian_connector.limits import FRAME_BYTES_MAX
from thespian_connector.model import Side
from thespian_connector.model.wire import (
    Ack,
    BookDiff,
    Ignored,
    ServerShutdown,
    TopOfBook,
    WireEvent,
    WireLevels,
    WireTicker,
    WireTrade,
    WireTrades,
)

from .symbols import stream_name

_ID_MAX = 2**63 - 1
#: Milliseconds of the year 5138, microseconds of March 1973: what is above is in microseconds.
_MICROSECONDS_FROM = 10**14
_NUMBER = re.compile(r"\d{1,40}(?:\.\d{1,40})?", re.ASCII)
_ACK_CHARS_MAX = 300
_SHUTDOWN = "serverShutdown"
#: (stream's name or "", typed payload) -> record
_Build = Callable[[str, Any], WireEvent]


class _Depth(msgspec.Struct, gc=False):
    """``{"e":"depthUpdate","E":ms,"s":"BNBBTC","U":157,"u":160,"b":[["0.0024","10"]],"a":[["0.0026","100"]]}``"""

    e: Literal["depthUpdate"]
    E: int
    s: str
    U: int
    u: int
    b: WireLevels
    a: WireLevels


class _Trade(msgspec.Struct, gc=False):
    """``{"e":"trade","E":ms,"s":"BNBBTC","t":12345,"p":"0.001","q":"100","T":ms,"m":true,"M":true}``"""

    e: Literal["trade"]
    s: str
    t: int
    p: str
    q: str
    T: int
    m: bool


class _AggTrade(msgspec.Struct, gc=False):
    """``{"e":"aggTrade","E":ms,"s":"BNBBTC","a":5933014,"p":"0.001","q":"100","f":100,"l":105,"T":ms,"m":true}``"""

    e: Literal["aggTrade"]
    s: str
    a: int
    p: str
    q: str
    T: int
    m: bool


class _Ticker(msgspec.Struct, gc=False):
    """``{"e":"24hrTicker","E":ms,"s":"BNBBTC","c":last,"b","B","a","A","o","h","l","v":base,"q":quote,...}``"""

    e: Literal["24hrTicker"]
    E: int
    s: str
    c: str
    b: str
    B: str
    a: str
    A: str
    o: str
    h: str
    l: str  # noqa: E741 - the venue's name of the low
    v: str
    q: str


class _BookTicker(msgspec.Struct, gc=False):
    """``{"u":400900217,"s":"BNBUSDT","b":"25.35","B":"31.21","a":"25.36","A":"40.66"}``: no event, no time."""

    u: int
    s: str
    b: str
    B: str
    a: str
    A: str
    e: Literal["bookTicker"] = "bookTicker"


def decode(frame: bytes) -> WireEvent:
    """What a text frame says. Never raises: what is not understood is `Ignored`, with a reason of a fixed few."""
    if len(frame) > FRAME_BYTES_MAX:
        return Ignored("frame too large")
    if frame[:11] == b'{"stream":"':
        at = frame.find(b"@", 11, 96) + 1
        quick = _QUICK.get(frame[at : frame.find(b'"', at, at + 16)]) if at else None
        if quick is not None:
            decoder, build = quick
            try:
                combined = decoder.decode(frame)
            except (msgspec.DecodeError, UnicodeError, RecursionError):
                return _decode_any(frame)
            return build(combined.stream, combined.data)
    return _decode_any(frame)


def _decode_any(frame: bytes) -> WireEvent:
    try:
        message = _any.decode(frame)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return Ignored("not JSON")
    if not isinstance(message, dict):
        return Ignored("not an object")
    stream, data = message.get("stream"), message.get("data")
    if isinstance(stream, str) and data is not None:
        if stream == f"!{_SHUTDOWN}":
            return ServerShutdown()
        return _payload(stream, data) if isinstance(data, dict) else Ignored("event not used")
    wrapped = message.get("event")  # the WebSocket API's way
    if isinstance(wrapped, dict) and wrapped.get("e") == _SHUTDOWN:
        return ServerShutdown()
    if "e" not in message and (_REPLY & message.keys() or type(message.get("code")) is int):
        return _ack(message)
    return _payload("", message)


def _payload(stream: str, data: dict[str, Any]) -> WireEvent:
    event = data.get("e")
    if event is None:
        if "lastUpdateId" in data:  # it may never stand for a book that diffs continue
            return Ignored("partial depth")
        if not data.keys() >= _BOOK_TICKER_KEYS:
            return Ignored("no event")
        event = "bookTicker"
    if event == _SHUTDOWN:
        return ServerShutdown()
    known = _EVENTS.get(event) if isinstance(event, str) else None
    if known is None:
        return Ignored("event not used")
    shape, build = known
    try:
        typed = msgspec.convert(data, shape)
    except (msgspec.ValidationError, RecursionError):
        return Ignored(f"malformed {event}")
    return build(stream, typed)


def _diff(stream: str, data: _Depth) -> WireEvent:
    first, last, when = data.U, data.u, time_ns(data.E)
    if not 0 <= first <= last <= _ID_MAX or when is None or not _about(stream, data.s):
        return Ignored("malformed depthUpdate")
    return BookDiff(data.s, stream or f"{stream_name(data.s)}@depth", first, last, data.b, data.a, when)


def _trade(stream: str, data: _Trade) -> WireEvent:
    when = time_ns(data.T)
    ok = is_number(data.p) and is_number(data.q) and 0 <= data.t <= _ID_MAX
    if not ok or when is None or not _about(stream, data.s):
        return Ignored("malformed trade")
    aggressor = Side.SELL if data.m else Side.BUY
    trade = WireTrade(data.s, str(data.t), data.p, data.q, aggressor, when)
    return WireTrades(stream or f"{stream_name(data.s)}@trade", [trade])


def _agg_trade(stream: str, data: _AggTrade) -> WireEvent:
    """Fills of one taker at one price as one. Its ids are a space of their own, hence the prefix."""
    when = time_ns(data.T)
    ok = is_number(data.p) and is_number(data.q) and 0 <= data.a <= _ID_MAX
    if not ok or when is None or not _about(stream, data.s):
        return Ignored("malformed aggTrade")
    aggressor = Side.SELL if data.m else Side.BUY
    trade = WireTrade(data.s, f"agg:{data.a}", data.p, data.q, aggressor, when)
    return WireTrades(stream or f"{stream_name(data.s)}@aggTrade", [trade])


def _ticker(stream: str, data: _Ticker) -> WireEvent:
    when = time_ns(data.E)
    numbers = (data.c, data.b, data.B, data.a, data.A, data.o, data.h, data.l, data.v, data.q)
    ok = all(map(is_number, numbers))
    if not ok or when is None or not _about(stream, data.s):
        return Ignored("malformed 24hrTicker")
    bid, bid_quantity = price_and_quantity(data.b, data.B)
    ask, ask_quantity = price_and_quantity(data.a, data.A)
    return WireTicker(
        native=data.s,
        stream=stream or f"{stream_name(data.s)}@ticker",
        last=data.c,
        bid=bid,
        bid_quantity=bid_quantity,
        ask=ask,
        ask_quantity=ask_quantity,
        open=data.o,
        high=data.h,
        low=data.l,
        volume=data.v,
        quote_volume=data.q,
        venue_time_ns=when,
    )


def _book_ticker(stream: str, data: _BookTicker) -> WireEvent:
    numbers = (data.b, data.B, data.a, data.A)
    if not all(map(is_number, numbers)) or not 0 <= data.u <= _ID_MAX or not _about(stream, data.s):
        return Ignored("malformed bookTicker")
    bid, bid_quantity = price_and_quantity(data.b, data.B)
    ask, ask_quantity = price_and_quantity(data.a, data.A)
    return TopOfBook(
        native=data.s,
        stream=stream or f"{stream_name(data.s)}@bookTicker",
        update_id=data.u,
        bid=None if bid is None or bid_quantity is None else (bid, bid_quantity),
        ask=None if ask is None or ask_quantity is None else (ask, ask_quantity),
    )


def _ack(message: dict[str, Any]) -> Ack:
    """``{"result":null,"id":1}``; refused: ``{"error":{"code":2,"msg":""},"id":1}`` or ``{"code":2,"msg":""}``."""
    number = message.get("id")
    request_id = number if type(number) is int and number > 0 else 0
    error = message.get("error")
    if error is None and "code" in message and "result" not in message:
        error = message
    if error is None:
        return Ack(request_id, True)
    words = f"{error.get('msg', '')} (code {error.get('code', '?')})" if isinstance(error, dict) else str(error)
    return Ack(request_id, False, words[:_ACK_CHARS_MAX])


def time_ns(stamp: int) -> int | None:
    """A time of the venue, in milliseconds or (if so large) microseconds, as nanoseconds; None: no possible time."""
    nanoseconds = stamp * 1000 if stamp >= _MICROSECONDS_FROM else stamp * 1_000_000
    return nanoseconds if 0 <= nanoseconds <= _ID_MAX else None


def is_number(text: str) -> bool:
    """Whether `text` is a plain decimal number that is not negative, as the venue spells prices and quantities."""
    return _NUMBER.fullmatch(text) is not None


def price_and_quantity(price: str, quantity: str) -> tuple[str, str] | tuple[None, None]:
    """One side's best; an empty side is told as zeros."""
    return (price, quantity) if price.strip("0.") and quantity.strip("0.") else (None, None)


def _about(stream: str, native: str) -> bool:
    """Whether a frame of `stream` ("" in raw mode) may speak of `native`."""
    return bool(native) and (not stream or stream.partition("@")[0] == stream_name(native))


class _Combined(msgspec.Struct, gc=False):
    stream: str


class _CombinedDepth(_Combined, gc=False):
    data: _Depth


class _CombinedTrade(_Combined, gc=False):
    data: _Trade


class _CombinedAggTrade(_Combined, gc=False):
    data: _AggTrade


class _CombinedTicker(_Combined, gc=False):
    data: _Ticker


class _CombinedBookTicker(_Combined, gc=False):
    data: _BookTicker


_any = msgspec.json.Decoder()
_EVENTS: dict[str, tuple[Any, _Build]] = {
    "depthUpdate": (_Depth, _diff),
    "trade": (_Trade, _trade),
    "aggTrade": (_AggTrade, _agg_trade),
    "24hrTicker": (_Ticker, _ticker),
    "bookTicker": (_BookTicker, _book_ticker),
}
#: By what follows the @ in a stream's name.
_QUICK: dict[bytes, tuple[Any, _Build]] = {
    b"depth@100ms": (msgspec.json.Decoder(_CombinedDepth), _diff),
    b"depth": (msgspec.json.Decoder(_CombinedDepth), _diff),
    b"trade": (msgspec.json.Decoder(_CombinedTrade), _trade),
    b"aggTrade": (msgspec.json.Decoder(_CombinedAggTrade), _agg_trade),
    b"ticker": (msgspec.json.Decoder(_CombinedTicker), _ticker),
    b"bookTicker": (msgspec.json.Decoder(_CombinedBookTicker), _book_ticker),
}
_REPLY = frozenset(("result", "error"))
_BOOK_TICKER_KEYS = frozenset("usbBaA")
