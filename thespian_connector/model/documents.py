"""Records as JSON documents: every Decimal as its one canonical string, never a JSON number."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from .decimals import text

_encoder = msgspec.json.Encoder()


def plain(value: Any) -> Any:
    """`value` (records, containers, scalars) as dicts, lists and scalars, with Decimals as canonical strings."""
    return _canonical(msgspec.to_builtins(value, builtin_types=(Decimal,)))


def _canonical(value: Any) -> Any:
    if isinstance(value, Decimal):
        return text(value)
    if isinstance(value, dict):
        return {key: _canonical(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_canonical(item) for item in value]
    return value


def to_json(value: Any) -> bytes:
    """`value` as one JSON document on one line."""
    return _encoder.encode(plain(value))
