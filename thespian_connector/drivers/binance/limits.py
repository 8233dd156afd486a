"""Binance Spot's limits on an IP, on an account and on a connection, as data.

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
#: Of the IP.
_KINDS = {"REQUEST_WEIGHT": "weight", "RAW_REQUESTS": "requests", "CONNECTIONS": "connects"}
#: Of the account, whichever key, IP or API an order came by. Only new orders count; the first fill of one gives some
#: of its count back.
_ACCOUNT_KINDS = {"ORDERS": "place"}
_USED_WEIGHT = re.compile(r"x-mbx-used-weight-(\d{1,6})([smhd])", re.IGNORECASE | re.ASCII)
_ORDER_COUNT = re.compile(r"x-mbx-order-count-(\d{1,6})([smhd])", re.IGNORECASE | re.ASCII)
_COUNT = re.compile(r"\d{1,15}", re.ASCII)

LIMITS: tuple[Limit, ...] = (
    Limit(name="weight_1m", kind="weight", cap=6000, window_s=60, aligned=True, reported=True),
    Limit(name="requests_5m", kind="requests", cap=300_000, window_s=300, aligned=True),
    Limit(name="connects_5m", kind="connects", cap=300, window_s=300, aligned=True),
)

#: The documentation's samples of the unfilled-order limits; those in force are in exchangeInfo (`account_limits_of`).
#: They are not `reported`: the headers come with orders that succeed, not with every answer.
ACCOUNT_LIMITS: tuple[Limit, ...] = (
    Limit(name="place_10s", kind="place", cap=50, window_s=10, aligned=True),
    Limit(name="place_1d", kind="place", cap=160_000, window_s=86400, aligned=True),
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
#: A connection of the WebSocket API. One user data subscription of an account is all there is to subscribe; how many
#: messages it takes is limited by weight and orders only.
PRIVATE_LIMITS = StreamLimits(topics_max=1, args_max=1, lifetime_s=24 * 3600, silence_s=30.0)


def limits_of(exchange_info: bytes) -> tuple[Limit, ...]:
    """The limits that an exchangeInfo answer names; a kind that it does not name, or unreadably, keeps its default."""
    return _learned(exchange_info, _KINDS, LIMITS)


def account_limits_of(exchange_info: bytes) -> tuple[Limit, ...]:
    """The same for the limits of an account. Never raises."""
    return _learned(exchange_info, _ACCOUNT_KINDS, ACCOUNT_LIMITS)


def _learned(exchange_info: bytes, kinds: Mapping[str, str], defaults: tuple[Limit, ...]) -> tuple[Limit, ...]:
    try:
        body = msgspec.json.decode(exchange_info)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return defaults
    rows = body.get("rateLimits") if isinstance(body, dict) else None
    listed = rows if isinstance(rows, list) else ()
    learned = [limit for row in listed if (limit := _limit(row, kinds)) is not None]
    named = {limit.kind for limit in learned}
    return (*learned, *(limit for limit in defaults if limit.kind not in named))


def _limit(row: Any, kinds: Mapping[str, str]) -> Limit | None:
    if not isinstance(row, dict):
        return None
    kind, interval = row.get("rateLimitType"), row.get("interval")
    count, cap = row.get("intervalNum"), row.get("limit")
    if not (isinstance(kind, str) and isinstance(interval, str) and kind in kinds and interval in _INTERVALS):
        return None
    if type(count) is not int or type(cap) is not int or count < 1 or cap < 1:
        return None
    seconds, letter = _INTERVALS[interval]
    name = kinds[kind]
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
    return _used(headers, _USED_WEIGHT, "weight")


def account_usage(headers: Mapping[str, str]) -> list[Usage]:
    """What ``X-MBX-ORDER-COUNT-<n><letter>`` headers say about the account's unfilled orders in the current window."""
    return _used(headers, _ORDER_COUNT, "place")


def _used(headers: Mapping[str, str], header: re.Pattern[str], name: str) -> list[Usage]:
    found = []
    for title, value in headers.items():
        match = header.fullmatch(title)
        if match and _COUNT.fullmatch(value.strip()):
            found.append(Usage(f"{name}_{int(match[1])}{match[2].lower()}", int(value)))
    return found
