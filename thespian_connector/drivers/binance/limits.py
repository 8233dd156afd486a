"""Binance Spot's limits on an IP and on a connection, as data.

The REST and WebSocket numbers are defaults to start with: the venue changes them, and tells its present ones in every
exchangeInfo (`limits_of`). Windows are fixed and aligned to the clock, not rolling.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from thespian_connector.drivers.base import Limit, StreamLimits, Usage

_INTERVALS = {"SECOND": (1, "s"), "MINUTE": (60, "m"), "HOUR": (3600, "h"), "DAY": (86400, "d")}
#: ORDERS is missing on purpose: it counts per account, not per IP.
_KINDS = {"REQUEST_WEIGHT": "weight", "RAW_REQUESTS": "requests", "CONNECTIONS": "connects"}
_USED_WEIGHT = re.compile(r"x-mbx-used-weight-(\d{1,6})([smhd])", re.IGNORECASE | re.ASCII)
_COUNT = re.compile(r"\d{1,15}", re.ASCII)

LIMITS: tuple[Limit, ...] = (
    Limit(name="weight_1m", kind="weight", cap=6000, window_s=60, aligned=True, reported=True),
    Limit(name="requests_5m", kind="requests", cap=300_000, window_s=300, aligned=True),
    Limit(name="connects_5m", kind="connects", cap=300, window_s=300, aligned=True),
)

#: Streams in one SUBSCRIBE. The venue names no number, but knows "too many params"; 200 keeps a frame near 5 KB and
#: fills a whole connection (1024 streams) with six frames, well under its five a second.
PARAMS_PER_FRAME_MAX = 200

STREAM_LIMITS = StreamLimits(
    topics_max=1024,
    args_max=PARAMS_PER_FRAME_MAX,
    inbound_per_s=5,
    lifetime_s=24 * 3600,
    silence_s=30.0,  # the venue pings every 20 s
)


def limits_of(exchange_info: bytes) -> tuple[Limit, ...]:
    """The limits that an exchangeInfo answer names; a kind that it does not name, or unreadably, keeps its default."""
    try:
        body = msgspec.json.decode(exchange_info)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return LIMITS
    rows = body.get("rateLimits") if isinstance(body, dict) else None
    learned = [limit for row in (rows if isinstance(rows, list) else ()) if (limit := _limit(row)) is not None]
    kinds = {limit.kind for limit in learned}
    return (*learned, *(limit for limit in LIMITS if limit.kind not in kinds))


def _limit(row: Any) -> Limit | None:
    if not isinstance(row, dict):
        return None
    kind, interval = row.get("rateLimitType"), row.get("interval")
    count, cap = row.get("intervalNum"), row.get("limit")
    if not (isinstance(kind, str) and isinstance(interval, str) and kind in _KINDS and interval in _INTERVALS):
        return None
    if type(count) is not int or type(cap) is not int or count < 1 or cap < 1:
        return None
    seconds, letter = _INTERVALS[interval]
    name = _KINDS[kind]
    return Limit(
        name=f"{name}_{count}{letter}",
        kind=name,
        cap=cap,
        window_s=count * seconds,
        aligned=True,
        reported=name == "weight",  # X-MBX-USED-WEIGHT-1M is on every answer
    )


def usage(headers: Mapping[str, str]) -> list[Usage]:
    """What ``X-MBX-USED-WEIGHT-<n><letter>`` headers (of any case) say about the weight used in the current window."""
    found = []
    for name, value in headers.items():
        match = _USED_WEIGHT.fullmatch(name)
        if match and _COUNT.fullmatch(value.strip()):
            found.append(Usage(f"weight_{int(match[1])}{match[2].lower()}", int(value)))
    return found
