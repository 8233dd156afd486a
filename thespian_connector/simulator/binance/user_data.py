"""Who gets an account's user events on which connection, and the faults that lose or repeat them."""

from __future__ import annotations

from typing import Any

import msgspec

from thespian_connector.simulator.faults import Fault
from thespian_connector.simulator.sockets import Message, ServerSocket, Sockets
from thespian_connector.simulator.venue import Venue

from .errors import ApiError
from .reports import stamp
from .user_events import Event, UserEvents

SURFACE = "private"


class Subscriber:
    """One connection's subscriptions: at most one an account. `factor`: 1, or 1000 for microseconds."""

    def __init__(self, socket: ServerSocket, factor: int) -> None:
        self.socket = socket
        self.factor = factor
        self.by_owner: dict[str, int] = {}
        self.next_id = 0


class UserData:
    """The subscriptions of all connections."""

    def __init__(self, venue: Venue, events: UserEvents, sockets: Sockets) -> None:
        self._venue = venue
        self._sockets = sockets
        self._subscribers: dict[Subscriber, None] = {}
        events.on_event.append(self._on_event)
        venue.faults.listeners.append(self._on_fault)

    def subscribe(self, subscriber: Subscriber, owner: str) -> int:
        """Let a connection have an account's events; the subscription's id.

        :raises ApiError: -2035, it has them.
        """
        if owner in subscriber.by_owner:
            raise ApiError(-2035, "User Data Stream subscription already active.")
        number = subscriber.by_owner[owner] = subscriber.next_id
        subscriber.next_id += 1
        self._subscribers[subscriber] = None
        if SURFACE not in subscriber.socket.surfaces:
            subscriber.socket.delays = (SURFACE,)
            self._sockets.widen(subscriber.socket, SURFACE)
        return number

    def unsubscribe(self, subscriber: Subscriber, number: int | None) -> None:
        """End one subscription, or all.

        :raises ApiError: -2036, there is none.
        """
        ended = [owner for owner, known in subscriber.by_owner.items() if number in (None, known)]
        if not ended:
            raise ApiError(-2036, "User Data Stream subscription not active.")
        for owner in ended:
            self._terminate(subscriber, owner)

    def drop(self, subscriber: Subscriber) -> None:
        """The connection is gone."""
        self._subscribers.pop(subscriber, None)

    def _terminate(self, subscriber: Subscriber, owner: str) -> None:
        now_ns = self._venue.now_ns(SURFACE, "eventStreamTerminated")
        number = subscriber.by_owner.pop(owner)
        event = {"e": "eventStreamTerminated", "E": stamp(now_ns, subscriber.factor)}
        self._send(subscriber, number, event, "")
        if not subscriber.by_owner:
            self.drop(subscriber)

    def _on_fault(self, fault: Fault) -> None:
        """A revoked key ends its streams at once."""
        if fault.venue == self._venue.name and fault.kind == "key_revoked" and fault.surface in ("", SURFACE):
            for subscriber in list(self._subscribers):
                fault.fire()
                for owner in list(subscriber.by_owner):
                    self._terminate(subscriber, owner)

    def _on_event(self, owner: str, kind: str, symbol: str, build: Event) -> None:
        listening = [subscriber for subscriber in self._subscribers if owner in subscriber.by_owner]
        if not listening:
            return
        times = 1
        if self._venue.faults.standing:
            ops = (kind, str(build(1).get("x", "")))
            fault = self._venue.take(SURFACE, "user_event_drop", "user_event_duplicate", op=ops, symbol=symbol)
            times = 1 if fault is None else 0 if fault.kind == "user_event_drop" else 2
        for subscriber in listening:
            for _ in range(times):
                self._send(subscriber, subscriber.by_owner[owner], build(subscriber.factor), symbol)

    def _send(self, subscriber: Subscriber, number: int, event: dict[str, Any], symbol: str) -> None:
        payload = msgspec.json.encode({"subscriptionId": number, "event": event})
        subscriber.socket.publish(Message(payload, event["e"], symbol), SURFACE)
