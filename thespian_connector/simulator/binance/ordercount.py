"""Unfilled orders of an account in aligned windows (Binance: "Unfilled Order Count", "Rate limits").

One more for each order that is accepted, one less when it is first filled as a taker, five less as a maker. At a limit
new orders get -1015; cancels pass.
"""

from __future__ import annotations

from thespian_connector.simulator.orders import OrderEvent, SimOrder
from thespian_connector.simulator.venue import Venue

from .errors import ApiError

_WINDOWS = ((10, "SECOND", "10S", "orders_10s_limit"), (86_400, "DAY", "1D", "orders_day_limit"))
TAKER_CREDIT, MAKER_CREDIT = 1, 5


class OrderCount:
    """The counts of the venue's accounts."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self._counts: dict[tuple[str, int], tuple[int, int]] = {}
        self._credited: set[SimOrder] = set()

    def used(self, owner: str, window_s: int) -> int:
        """The count of an account in the present window."""
        number, count = self._counts.get((owner, window_s), (-1, 0))
        return count if number == self._now_s() // window_s else 0

    def _now_s(self) -> int:
        return self._venue.time_ns() // 1_000_000_000

    def check(self, owner: str) -> None:
        """Whether one more order may be placed.

        :raises ApiError: -1015.
        """
        for window_s, word, _, setting in _WINDOWS:
            limit = int(self._venue.setting(setting))
            if self.used(owner, window_s) >= limit:
                number = window_s if word == "SECOND" else 1
                text = f"Too many new orders; current limit is {limit} orders per {number} {word}."
                wait_s = window_s - self._now_s() % window_s
                self._venue.usage.refused(429)
                raise ApiError(-1015, text, 429, retry_after_s=wait_s)

    def add(self, owner: str, amount: int = 1) -> None:
        """An order was placed (or was filled: a negative amount)."""
        for window_s, *_ in _WINDOWS:
            count = max(0, self.used(owner, window_s) + amount)
            self._counts[owner, window_s] = (self._now_s() // window_s, count)
            if window_s == _WINDOWS[0][0]:
                self._venue.usage.used("orders", count)

    def on_order(self, event: OrderEvent) -> None:
        """An accepted order counts; its first fill gives some back."""
        order = event.order
        if event.what == "accepted":
            self.add(order.owner)
        if event.fill is not None and order not in self._credited:
            self._credited.add(order)
            self.add(order.owner, -(MAKER_CREDIT if event.fill.maker else TAKER_CREDIT))

    def headers(self, owner: str) -> dict[str, str]:
        """What the answer to a placed order tells."""
        return {f"X-MBX-ORDER-COUNT-{suffix}": str(self.used(owner, length)) for length, _, suffix, _ in _WINDOWS}

    def rows(self, owner: str) -> list[dict[str, object]]:
        """As `rateLimit/order` and the WebSocket API tell it."""
        return [
            {
                "rateLimitType": "ORDERS",
                "interval": word,
                "intervalNum": length if word == "SECOND" else 1,
                "limit": int(self._venue.setting(setting)),
                "count": self.used(owner, length),
            }
            for length, word, _, setting in _WINDOWS
        ]
