"""What a venue saw of its clients, by its own count. `/truth/<venue>/usage` is this."""

from __future__ import annotations

from collections import Counter
from typing import Any

REFUSALS = (429, 418, 403)


class Usage:
    """Counters of one venue. Refusals that the client earned and those that a fault injected are counted apart."""

    def __init__(self) -> None:
        self.requests = 0
        self.by_path: Counter[str] = Counter()
        self.highest: dict[str, int] = {"weight": 0, "raw_requests": 0, "orders": 0}
        self.earned: Counter[int] = Counter()
        self.injected: Counter[int] = Counter()
        self.ws_connects = 0
        self.ws_refused = 0
        self.ws_dropped: Counter[str] = Counter()
        self.sockets_open = 0
        self.auth_failures = 0

    def request(self, path: str) -> None:
        """A REST request came in (also one that is refused)."""
        self.requests += 1
        self.by_path[path] += 1

    def used(self, limit: str, amount: int) -> None:
        """`amount` of a limit (``weight``, ``raw_requests``, ``orders``) is used in its present window."""
        self.highest[limit] = max(self.highest.get(limit, 0), amount)

    def refused(self, status: int, *, injected: bool = False) -> None:
        """An answer 429, 418 or 403 went out."""
        (self.injected if injected else self.earned)[status] += 1

    def opened(self) -> None:
        """A WebSocket was accepted."""
        self.ws_connects += 1
        self.sockets_open += 1

    def closed(self, reason: str = "") -> None:
        """A WebSocket is gone; `reason` says why if it was the venue that ended it."""
        self.sockets_open -= 1
        assert self.sockets_open >= 0, "a socket closes once"
        if reason:
            self.ws_dropped[reason] += 1

    def document(self) -> dict[str, Any]:
        """As the control port tells it."""
        return {
            "requests": self.requests,
            "by_path": dict(self.by_path),
            "highest": dict(self.highest),
            "earned": {str(status): self.earned[status] for status in REFUSALS},
            "injected": {str(status): self.injected[status] for status in REFUSALS},
            "ws_connects": self.ws_connects,
            "ws_refused": self.ws_refused,
            "ws_dropped": dict(self.ws_dropped),
            "sockets_open": self.sockets_open,
            "auth_failures": self.auth_failures,
        }
