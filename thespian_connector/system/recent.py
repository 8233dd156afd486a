"""What commands answered lately. The query side hears of it a moment later, and who asks it next must not be told less.

For any thread.
"""

from __future__ import annotations

import threading

from thespian_connector.limits import ORDERS_RECENT_MAX
from thespian_connector.model import Order


class Recent:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        #: (exchange, client order id) -> when the newest fact was written that the answer was made of.
        self._told: dict[tuple[str, str], int] = {}

    def told(self, order: Order) -> None:
        """By who carries commands out."""
        key = (order.exchange, order.client_order_id)
        with self._lock:
            self._told[key] = max(order.updated_ns, self._told.pop(key, 0))
            while len(self._told) > ORDERS_RECENT_MAX:
                del self._told[next(iter(self._told))]

    def of(self, exchange: str) -> list[str]:
        """The client order ids of which the query side at `exchange` may not have heard all."""
        with self._lock:
            return [name for place, name in self._told if place == exchange]

    def told_ns(self, exchange: str, client_order_id: str) -> int:
        """0: nothing that the query side may not have heard."""
        with self._lock:
            return self._told.get((exchange, client_order_id), 0)

    def caught_up(self, order: Order) -> bool:
        """Whether `order`, as the query side tells it, has all that was told; then it is asked no more."""
        key = (order.exchange, order.client_order_id)
        with self._lock:
            if order.updated_ns < self._told.get(key, 0):
                return False
            self._told.pop(key, None)
            return True

    def forget(self, exchange: str, client_order_id: str) -> None:
        """It took too long: what the query side tells is taken as it is."""
        with self._lock:
            self._told.pop((exchange, client_order_id), None)
