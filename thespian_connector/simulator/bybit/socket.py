"""One connection of the public spot socket."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

import msgspec
from aiohttp import web

from thespian_connector.simulator.faults import Fault
from thespian_connector.simulator.sockets import Message, Sockets, frame
from thespian_connector.simulator.venue import Venue

from .connection import Connection, converse, shake_hands
from .hub import Hub
from .requests import Subscriptions
from .topics import Topic

_ANY_MESSAGE = ("ws_drop", "ws_silent", "ws_duplicate", "ws_malformed", "ws_slow")
_DELTAS = ("ws_gap", "ws_snapshot")


class PublicSocket(Connection):
    """The server's side of it. A fault's `op` is a topic's kind or its stream: ``orderbook`` or ``orderbook.50``."""

    def __init__(self, venue: Venue, request: web.Request, subscriptions: Subscriptions) -> None:
        super().__init__(
            venue,
            "stream",
            request,
            wants=lambda symbol: any(topic.symbol == symbol for topic in subscriptions.topics.values()),
        )
        self._faults = venue.faults
        self._venue_name = venue.name

    def data(self, topic: Topic, message: Message, snapshot: Callable[[], bytes] | None = None) -> None:
        """Send a message of a topic, through whatever faults stand."""
        if self.ended or self._transport.is_closing() or any(_about(fault, topic) for fault in self._silenced):
            return
        fault = self._fault(topic, is_delta=snapshot is not None) if self._faults.standing else None
        if fault is None:
            self._write(message.wire)
        elif fault.kind == "ws_snapshot":
            assert snapshot is not None, "only a delta is replaced by a snapshot"
            self._write(frame(snapshot()))
        elif fault.kind == "ws_silent":
            # Counted: what the fault is about falls silent here for good. In a window: for as long as it lasts.
            if fault.until_ns is None:
                self._silenced.append(fault)
        else:
            self._publish_faulty(message, fault)

    def _fault(self, topic: Topic, *, is_delta: bool) -> Fault | None:
        """The fault for a message. A gap is one of deltas unless it names a stream: elsewhere it has no meaning."""
        faults, symbol = self._faults, topic.symbol
        for op in (topic.stream, topic.kind):
            fault = faults.take(self._venue_name, "stream", op=op, symbol=symbol, kinds=_ANY_MESSAGE)
            if fault is not None:
                return fault
            fault = faults.matching(self._venue_name, "stream", op=op, symbol=symbol, kinds=_DELTAS)
            if fault is not None and (is_delta or (fault.op and fault.kind == "ws_gap")):
                fault.fire()
                return fault
        return None


def _about(fault: Fault, topic: Topic) -> bool:
    return fault.symbol in ("", topic.symbol) and fault.op in ("", topic.stream, topic.kind)


class PublicStream:
    """The endpoint ``/v5/public/spot``."""

    def __init__(self, venue: Venue, hub: Hub) -> None:
        self._venue = venue
        self._hub = hub
        # Bybit says nothing before it closes.
        self.sockets = Sockets(venue, "stream", lambda _socket: None)
        self._numbers = count(1)

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """One connection, from handshake to end."""
        ws = await shake_hands(request)
        subscriptions = Subscriptions(
            f"spot-{next(self._numbers):08x}",
            self._venue.markets,
            duplicate_error=bool(self._venue.setting("duplicate_error")),
        )
        socket = PublicSocket(self._venue, request, subscriptions)
        try:
            await converse(
                ws,
                socket,
                self.sockets,
                self._venue.setting("idle_s"),
                lambda frame: self._answer(socket, subscriptions, frame),
            )
        finally:
            for topic in subscriptions.topics.values():
                self._hub.leave(topic, socket)
        return ws

    def _answer(self, socket: PublicSocket, subscriptions: Subscriptions, frame: str | bytes) -> None:
        answer = subscriptions.handle(frame)
        for topic in answer.end:
            self._hub.leave(topic, socket)
        if answer.reply is not None:
            socket.send(msgspec.json.encode(answer.reply))
        for topic in answer.begin:
            self._hub.join(topic, socket)
