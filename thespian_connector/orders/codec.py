"""Events as bytes and back: msgpack, each tagged with its kind, decimals as text."""

from __future__ import annotations

import msgspec

from thespian_connector.model.errors import StoreError

from .events import Event, Fact

_ENCODER = msgspec.msgpack.Encoder()
_DECODER: msgspec.msgpack.Decoder[Event] = msgspec.msgpack.Decoder(Event)
_FACTS: msgspec.msgpack.Decoder[Fact] = msgspec.msgpack.Decoder(Fact)


def encode(event: Fact) -> bytes:
    return _ENCODER.encode(event)


def decode(body: bytes) -> Event:
    """:raises StoreError: it is no event of this version; it is never skipped."""
    try:
        return _DECODER.decode(body)
    except (msgspec.DecodeError, TypeError) as error:
        raise StoreError(f"an entry that this version cannot read ({error}); run the version that wrote it") from None


def decode_fact(body: bytes) -> Fact:
    """What one process of this version told another.

    :raises msgspec.DecodeError: it is none.
    """
    return _FACTS.decode(body)
