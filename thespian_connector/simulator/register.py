"""Every order that was ever accepted, and the ways to find one."""

from __future__ import annotations

from collections.abc import Iterator

from .orders import SimOrder
from .venue import Venue


class Register:
    """The orders of one venue.

    :param client_ids_for_ever: a client id that any order ever had is taken; False: only those of open orders.
    """

    def __init__(self, venue: Venue, client_ids_for_ever: bool) -> None:
        self._venue = venue
        self._for_ever = client_ids_for_ever
        self._by_id: dict[tuple[str, int], SimOrder] = {}
        self._by_client: dict[str, list[SimOrder]] = {}
        self._open: dict[SimOrder, None] = {}

    def add(self, order: SimOrder) -> None:
        """An order was accepted; it has its order id."""
        self._venue.orders.append(order)
        self._by_id[order.native, order.order_id] = order
        self._by_client.setdefault(order.client_id, []).append(order)
        self._open[order] = None

    def ended(self, order: SimOrder) -> None:
        """It is open no more."""
        self._open.pop(order, None)

    def rename(self, order: SimOrder, client_id: str) -> None:
        """The order goes by another client id from now on; it is still found by its former ones."""
        order.client_id = client_id
        self._by_client.setdefault(client_id, []).append(order)

    def taken(self, client_id: str) -> bool:
        """Whether a new order may not have this client id."""
        known = self._by_client.get(client_id, ())
        return bool(known) if self._for_ever else any(order.open and order.client_id == client_id for order in known)

    def open(self, native: str | None = None, *, owner: str | None = None, visible: bool = False) -> list[SimOrder]:
        """The open orders, the oldest first. `visible`: without those that queries miss as yet."""
        return [
            order
            for order in self._open
            if native in (None, order.native) and owner in (None, order.owner) and not (visible and self._hidden(order))
        ]

    def all(self, native: str | None = None, *, owner: str | None = None) -> Iterator[SimOrder]:
        """Every order that queries see, the oldest first."""
        return (
            order
            for order in self._venue.orders
            if native in (None, order.native) and owner in (None, order.owner) and not self._hidden(order)
        )

    def by_id(self, native: str, order_id: int, *, visible: bool = False) -> SimOrder | None:
        """The order of that id; None if there is none, or (`visible`) if queries miss it as yet."""
        return self._seen(self._by_id.get((native, order_id)), visible)

    def by_client(self, native: str | None, client_id: str, *, visible: bool = False) -> SimOrder | None:
        """The order that has, or had, that client id: the open one, else the newest."""
        known = [order for order in self._by_client.get(client_id, ()) if native in (None, order.native)]
        now_open = [order for order in known if order.open and order.client_id == client_id]
        best = now_open or known
        return self._seen(best[-1] if best else None, visible)

    def _seen(self, order: SimOrder | None, visible: bool) -> SimOrder | None:
        return None if order is None or (visible and self._hidden(order)) else order

    def _hidden(self, order: SimOrder) -> bool:
        return bool(order.hidden_until_ns) and self._venue.monotonic_ns() < order.hidden_until_ns
