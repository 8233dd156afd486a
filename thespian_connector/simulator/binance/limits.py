"""Binance's limits of an IP: weight and raw requests in aligned windows, 429, and bans for those who ignore it."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from thespian_connector.simulator.venue import Venue

_LETTERS = ((86_400, "DAY"), (3_600, "HOUR"), (60, "MINUTE"), (1, "SECOND"))


def interval(seconds: float) -> tuple[str, int]:
    """A window's length as Binance names it: (``MINUTE``, 1)."""
    for unit, word in _LETTERS:
        if seconds >= unit and not seconds % unit:
            return word, int(seconds // unit)
    return "SECOND", max(1, int(seconds))


def rate_limits(venue: Venue) -> list[dict[str, object]]:
    """`rateLimits` of exchangeInfo."""
    rows = (
        ("REQUEST_WEIGHT", venue.setting("weight_window_s"), venue.setting("weight_limit")),
        ("ORDERS", 10, venue.setting("orders_10s_limit")),
        ("ORDERS", 86_400, venue.setting("orders_day_limit")),
        ("RAW_REQUESTS", venue.setting("raw_window_s"), venue.setting("raw_limit")),
    )
    limits: list[dict[str, object]] = []
    for kind, window_s, limit in rows:
        word, number = interval(window_s)
        limits.append({"rateLimitType": kind, "interval": word, "intervalNum": number, "limit": int(limit)})
    return limits


@dataclass
class _Window:
    """A count in the window of now; windows begin at multiples of their length since the epoch."""

    number: int = -1
    used: int = 0

    def add(self, now_ms: int, length_ms: int, amount: int) -> int:
        number = now_ms // length_ms
        if number != self.number:
            self.number, self.used = number, 0
        self.used += amount
        return self.used


@dataclass
class _Address:
    weight: _Window = field(default_factory=_Window)
    raw: _Window = field(default_factory=_Window)
    connects: _Window = field(default_factory=_Window)
    #: Requests that came although a 429 told to wait.
    ignored: int = 0
    wait_until_ms: int = 0
    bans: int = 0
    banned_until_ms: int = 0
    ban_status: int = 418
    ban_injected: bool = False
    floods: deque[int] = field(default_factory=deque)


@dataclass(frozen=True)
class Refusal:
    """A request that is not served: 429, 418 or 403, and how long to stay away."""

    status: int
    retry_after_s: int
    injected: bool
    banned_until_ms: int = 0


class IpLimits:
    """What each address has used up. All times are the venue's true time in epoch milliseconds."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self._addresses: dict[str, _Address] = {}

    def _of(self, address: str) -> _Address:
        return self._addresses.setdefault(address, _Address())

    def _window_ms(self, setting: str) -> int:
        return max(1, int(self._venue.setting(setting) * 1_000))

    def used_weight(self, address: str) -> int:
        """The weight used in the present window."""
        return self._of(address).weight.add(self._now_ms(), self._window_ms("weight_window_s"), 0)

    def header_suffix(self) -> str:
        """``1M`` of ``X-MBX-USED-WEIGHT-1M``."""
        word, number = interval(self._venue.setting("weight_window_s"))
        return f"{number}{word[0]}"

    def _now_ms(self) -> int:
        return self._venue.time_ns() // 1_000_000

    def banned(self, address: str) -> Refusal | None:
        """The ban that an address is under."""
        state = self._of(address)
        now_ms = self._now_ms()
        if now_ms >= state.banned_until_ms:
            return None
        seconds = -(-(state.banned_until_ms - now_ms) // 1_000)
        return Refusal(state.ban_status, seconds, state.ban_injected, state.banned_until_ms)

    def ban(self, address: str, seconds: float, *, status: int = 418, injected: bool = False) -> Refusal:
        """Ban an address."""
        state = self._of(address)
        state.banned_until_ms = self._now_ms() + int(seconds * 1_000)
        state.ban_status = status
        state.ban_injected = injected
        return Refusal(status, -(-int(seconds * 1_000) // 1_000), injected, state.banned_until_ms)

    def _earn_ban(self, address: str) -> Refusal:
        state = self._of(address)
        seconds = min(self._venue.setting("ban_s") * 2**state.bans, self._venue.setting("ban_max_s"))
        state.bans += 1
        state.ignored = 0
        state.wait_until_ms = 0
        return self.ban(address, seconds)

    def charge(self, address: str, weight: int, *, raw: int = 1) -> Refusal | None:
        """Charge a request of `weight`; a refusal if it is over a limit, or one too many after a 429.

        :param raw: what it counts as a raw request: 0 for the WebSocket API's.
        """
        state = self._of(address)
        now_ms = self._now_ms()
        limits = (
            ("weight", state.weight, "weight_window_s", "weight_limit", weight),
            ("raw_requests", state.raw, "raw_window_s", "raw_limit", raw),
        )
        wait_ms = 0
        for name, window, length, limit, amount in limits:
            length_ms = self._window_ms(length)
            used = window.add(now_ms, length_ms, amount)
            self._venue.usage.used(name, used)
            if used > self._venue.setting(limit):
                wait_ms = max(wait_ms, length_ms - now_ms % length_ms)
        if not wait_ms:
            return None
        if now_ms < state.wait_until_ms:
            state.ignored += 1
            if state.ignored >= self._venue.setting("ignored_429_max"):
                return self._earn_ban(address)
        else:
            state.ignored = 0
        state.wait_until_ms = now_ms + wait_ms
        return Refusal(429, -(-wait_ms // 1_000), injected=False)

    def connect(self, address: str) -> Refusal | None:
        """Count an attempt to open a WebSocket."""
        state = self._of(address)
        now_ms = self._now_ms()
        length_ms = self._window_ms("ws_connects_window_s")
        used = state.connects.add(now_ms, length_ms, 1)
        self._venue.usage.used("ws_connects", used)
        if used > self._venue.setting("ws_connects_limit"):
            return Refusal(429, -(-(length_ms - now_ms % length_ms) // 1_000), injected=False)
        return None

    def flooded(self, address: str) -> None:
        """A connection of the address was cut for too many messages; those who repeat it are banned."""
        state = self._of(address)
        now_ms = self._now_ms()
        state.floods.append(now_ms)
        while state.floods and state.floods[0] < now_ms - 300_000:
            state.floods.popleft()
        if len(state.floods) >= self._venue.setting("ws_floods_max"):
            state.floods.clear()
            self._earn_ban(address)
