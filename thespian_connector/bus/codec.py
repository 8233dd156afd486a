"""Bytes of the bus: one frame a message, with topic, header, and msgpack of the model's records, decoded by their kind.

A frame is the topic (what readers' prefixes are held against), a zero byte, incarnation, sequence and `sent_ns` as
unsigned 64-bit little-endian numbers, and the payload. One frame, because each further one costs every thread that it
passes as much as the first.
"""

from __future__ import annotations

from struct import Struct as Layout
from typing import Any, Final

import msgspec

from thespian_connector.model import (
    Balance,
    BestPrices,
    BookStatus,
    Fill,
    MergedBook,
    Order,
    OrderBook,
    Position,
    Ticker,
    Trade,
)

from .events import BusHeader, Marker, Record

#: The publisher's heartbeat: its payload maps each topic to its last sequence number. Every reader subscribes it.
BEAT: Final = b"~beat"

#: Kinds whose last message says all: it goes to a new reader, and a slow one may get the newest only.
STATE_KINDS: Final = frozenset({"book", "merged", "best", "ticker", "status", "balance", "position"})
#: Kinds of which each message counts: never conflated, losses are told.
EVENT_KINDS: Final = frozenset({"trade", "order", "fill", "marker"})

_TYPES: Final[dict[str, Any]] = {
    "book": OrderBook,
    "merged": MergedBook,
    "best": BestPrices,
    "ticker": Ticker,
    "status": BookStatus,
    "balance": Balance,
    "position": Position,
    "trade": Trade,
    "order": Order,
    "fill": Fill,
    "marker": Marker,
}
_decoders: Final = {kind: msgspec.msgpack.Decoder(record) for kind, record in _TYPES.items()}
_header: Final = Layout("<QQQ")
_beat: Final = msgspec.msgpack.Decoder(dict[str, int])
encode: Final = msgspec.msgpack.Encoder().encode


class MalformedMessage(ValueError):
    """Bytes on the bus that are no message of ours. Counted by the reader, never fatal."""


def topic_of(kind: str, exchange: str, symbol: str) -> str:
    """The topic's text; on the wire it is UTF-8.

    :raises ValueError: an unknown kind, or a ``|`` in a name.
    """
    if kind not in _TYPES:
        raise ValueError(f"kind: {kind!r} is not one of {', '.join(_TYPES)}")
    if "|" in exchange or "|" in symbol:
        raise ValueError(f"topic: no '|' in names, but {exchange!r}, {symbol!r}")
    return f"{kind}|{exchange}|{symbol}"


def split_topic(topic: bytes) -> tuple[str, str, str]:
    """(kind, exchange, symbol).

    :raises MalformedMessage: it is no topic.
    """
    try:
        kind, exchange, symbol = topic.decode().split("|")
    except ValueError as error:
        raise MalformedMessage(f"topic {topic[:80]!r}") from error
    if kind not in _TYPES:
        raise MalformedMessage(f"kind {kind[:20]!r}")
    return kind, exchange, symbol


def pack(topic: bytes, header: BusHeader, payload: bytes) -> bytes:
    """A whole message; its numbers are not negative and below 2**64."""
    return b"%b\0%b%b" % (topic, _header.pack(header.incarnation, header.sequence, header.sent_ns), payload)


def unpack(message: bytes) -> tuple[bytes, BusHeader, bytes]:
    """(topic, header, payload).

    :raises MalformedMessage: it is too short to be one.
    """
    end = message.find(b"\0") + 1
    payload = end + _header.size
    if not end or len(message) < payload:
        raise MalformedMessage(f"message {message[:80]!r}")
    return message[: end - 1], BusHeader(*_header.unpack_from(message, end)), message[payload:]


def decode_beat(data: bytes) -> dict[str, int]:
    """:raises MalformedMessage: it is no beat."""
    try:
        return _beat.decode(data)
    except msgspec.MsgspecError as error:
        raise MalformedMessage(f"beat: {error}") from error


def decode(kind: str, data: bytes) -> Record:
    """The record of a payload.

    :raises MalformedMessage: it is none of that kind.
    """
    try:
        record: Record = _decoders[kind].decode(data)
    except (msgspec.MsgspecError, ValueError, ArithmeticError) as error:  # Decimal's own errors are arithmetic ones
        raise MalformedMessage(f"{kind}: {error}") from error
    return record
