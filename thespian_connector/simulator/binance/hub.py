"""Who listens to which stream, and one encoding a message for all of them."""

from __future__ import annotations

from collections.abc import Callable

from thespian_connector.simulator.sockets import Message, ServerSocket

from .names import Stream

#: Builds a payload; the argument is what a millisecond is multiplied with (1, or 1000 for microseconds).
Build = Callable[[int], bytes]


class Listener:
    """A connection's side of its subscriptions: how it wants its messages."""

    def __init__(self, *, combined: bool, time_factor: int) -> None:
        self.socket: ServerSocket | None = None
        self.combined = combined
        self.time_factor = time_factor
        self.streams: dict[str, Stream] = {}

    def about(self, symbol: str) -> bool:
        """Whether any stream of the connection is about a symbol."""
        return any(stream.native in (symbol, "") for stream in self.streams.values())


class Hub:
    """Streams by name, each with its listeners."""

    def __init__(self) -> None:
        self._listeners: dict[str, dict[Listener, None]] = {}
        self._streams: dict[str, Stream] = {}
        #: Called when a stream gets its first listener, and when it has lost its last.
        self.on_first: list[Callable[[Stream], None]] = []
        self.on_last: list[Callable[[Stream], None]] = []

    def wanted(self, name: str) -> bool:
        """Whether anyone listens."""
        return name in self._listeners

    def streams(self) -> list[Stream]:
        """All streams that someone listens to."""
        return list(self._streams.values())

    def subscribe(self, listener: Listener, stream: Stream) -> None:
        """Let a connection have a stream; a second time changes nothing."""
        listener.streams[stream.name] = stream
        if stream.name not in self._listeners:
            self._listeners[stream.name] = {}
            self._streams[stream.name] = stream
            for begin in self.on_first:
                begin(stream)
        self._listeners[stream.name][listener] = None

    def unsubscribe(self, listener: Listener, name: str) -> None:
        """Take a stream from a connection; one that it has not changes nothing."""
        if listener.streams.pop(name, None) is None:
            return
        listeners = self._listeners[name]
        del listeners[listener]
        if not listeners:
            del self._listeners[name]
            stream = self._streams.pop(name)
            for end in self.on_last:
                end(stream)

    def drop(self, listener: Listener) -> None:
        """The connection is gone."""
        for name in list(listener.streams):
            self.unsubscribe(listener, name)

    def publish_same(self, stream: Stream, payload: bytes) -> None:
        """Send a message that holds no time, so that it is the same in every unit."""

        def build(factor: int) -> bytes:
            return payload

        self.publish(stream, build)

    def publish(self, stream: Stream, build: Build) -> None:
        """Send a message to all who listen, encoded once for each way in which they want it."""
        made: dict[tuple[int, bool], Message] = {}
        for listener in list(self._listeners.get(stream.name, ())):
            way = (listener.time_factor, listener.combined)
            message = made.get(way)
            if message is None:
                payload = build(listener.time_factor)
                if listener.combined:
                    payload = b'{"stream":"%s","data":%s}' % (stream.name.encode(), payload)
                message = made[way] = Message(payload, stream.kind, stream.native)
            assert listener.socket is not None, "who listens is connected"
            listener.socket.publish(message)
