"""Bybit's limits of an account: so many calls of an endpoint in any second (v5 docs: "Rate Limit", spot)."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from thespian_connector.simulator.venue import Venue

_WINDOW_NS = 1_000_000_000
_MILLION = 1_000_000


class Budget(NamedTuple):
    """What a call left of its endpoint's limit, as the answer's headers tell it.

    :param reset_ms: when the next call would pass: now, unless this one did not.
    """

    cap: int
    left: int
    reset_ms: int
    admitted: bool

    def headers(self) -> dict[str, str]:
        """``X-Bapi-Limit``, ``-Status`` and ``-Reset-Timestamp``, as text on both surfaces."""
        return {
            "X-Bapi-Limit": str(self.cap),
            "X-Bapi-Limit-Status": str(self.left),
            "X-Bapi-Limit-Reset-Timestamp": str(self.reset_ms),
        }


class Rates:
    """Rolling seconds by endpoint, shared by REST and the trade socket. A refused call is not counted."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self._calls: dict[str, deque[int]] = {}

    def charge(self, endpoint: str, setting: str, amount: int = 1) -> Budget:
        """Ask for `amount` calls of an endpoint, whose cap is the setting `setting`: all are admitted, or none."""
        now_ns, cap = self._venue.monotonic_ns(), int(self._venue.setting(setting))
        calls = self._calls.setdefault(endpoint, deque())
        while calls and calls[0] <= now_ns - _WINDOW_NS:
            calls.popleft()
        now_ms = self._venue.now_ms()
        if len(calls) + amount > cap:
            wait_ns = calls[0] + _WINDOW_NS - now_ns if calls else _WINDOW_NS
            return Budget(cap, max(0, cap - len(calls)), now_ms + wait_ns // _MILLION + 1, admitted=False)
        calls.extend([now_ns] * amount)
        self._venue.usage.used(endpoint, len(calls))
        return Budget(cap, cap - len(calls), now_ms, admitted=True)
