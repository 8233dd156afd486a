"""The reading end: topics of any number of publishers, with what was lost, restarted or silent told in the same list.

A slow reader costs itself only: of states (books, tickers) it gets the newest, whole; of events (trades, orders) it
gets each, or a marker with the number lost. It trusts no silence: without a beat for a second it marks books itself.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import TracebackType

import zmq

from thespian_connector.limits import (
    BUS_ASK_NS,
    BUS_BEAT_NS,
    BUS_MESSAGE_BYTES_MAX,
    BUS_MESSAGES_A_POLL_MAX,
    BUS_MESSAGES_QUEUED_MAX,
    BUS_SILENCE_NS,
    BUS_TOPICS_MAX,
)

from .codec import BEAT, MalformedMessage, decode_beat, split_topic, unpack
from .context import close_socket, open_socket
from .events import BusEvent
from .tracking import Item, Message, Note, PublisherState, TopicState

_NS_A_MS = 1_000_000
_NOBLOCK = int(zmq.NOBLOCK)  # the enum costs a look-up at every message


class _Source:
    __slots__ = ("endpoint", "publisher", "socket")

    def __init__(self, endpoint: str, socket: zmq.Socket[bytes], publisher: PublisherState) -> None:
        self.endpoint = endpoint
        self.socket = socket
        self.publisher = publisher


class Subscriber:
    """Reads `topics` of the publishers at `endpoints` (name -> endpoint). For one thread.

    :param topics: ``kind|exchange|symbol``, or a prefix that ends in ``|``, or "" for everything.
    :param conflate: of a state's messages that wait in one poll only the newest is given.
    :param monotonic_ns: the clock that silence is measured on.
    """

    def __init__(
        self,
        endpoints: Mapping[str, str],
        topics: Iterable[str],
        *,
        conflate: bool = True,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._topics: set[str] = set()
        self._prefixes: list[str] = []
        self._conflate = conflate
        self._clock = monotonic_ns
        self._sources: dict[str, _Source] = {}
        self._by_socket: dict[zmq.Socket[bytes], _Source] = {}
        self._poller = zmq.Poller()
        self._out: list[Item] = []
        #: Where in `_out` the newest of each state is.
        self._places: dict[TopicState, int] = {}
        #: received, malformed, duplicate, old (a dead publisher's), conflated, missed, asked, refused.
        self.counters: Counter[str] = Counter()
        self.closed = False
        for topic in topics:
            self.subscribe(topic)
        try:
            for name, endpoint in endpoints.items():
                self.add(name, endpoint)
        except BaseException:
            self.close()
            raise

    # -- where and what is read

    @property
    def endpoints(self) -> dict[str, str]:
        return {name: source.endpoint for name, source in self._sources.items()}

    def add(self, name: str, endpoint: str) -> None:
        """Read from one more publisher; one of the same name and another endpoint is replaced."""
        known = self._sources.get(name)
        if known is not None:
            if known.endpoint == endpoint:
                return
            self.remove(name)
        socket = open_socket(zmq.SUB)
        try:
            socket.linger = 0
            socket.rcvhwm = BUS_MESSAGES_QUEUED_MAX
            socket.setsockopt(zmq.MAXMSGSIZE, BUS_MESSAGE_BYTES_MAX)
            socket.setsockopt(zmq.RECONNECT_IVL, 20)
            socket.setsockopt(zmq.RECONNECT_IVL_MAX, 500)
            socket.subscribe(BEAT)
            for topic in self._topics:
                socket.subscribe(topic.encode())
            socket.connect(endpoint)
        except BaseException:
            close_socket(socket)
            raise
        source = _Source(endpoint, socket, PublisherState(name, self._clock()))
        self._sources[name] = self._by_socket[socket] = source
        self._poller.register(socket, zmq.POLLIN)

    def remove(self, name: str) -> None:
        """Read no more from it. The next poll tells that its topics are stale. No such name: nothing happens."""
        source = self._sources.pop(name, None)
        if source is None:
            return
        del self._by_socket[source.socket]
        self._poller.unregister(source.socket)
        close_socket(source.socket)
        self._put(source.publisher.fall_silent("no longer read"))

    def subscribe(self, topic: str) -> None:
        """Read one more topic (or prefix), beginning with its last value if it is a state."""
        if topic not in self._topics:
            self._topics.add(topic)
            if topic.endswith("|") or not topic:
                self._prefixes.append(topic)
            for source in self._sources.values():
                source.publisher.settled_beat = None
                source.socket.subscribe(topic.encode())

    def descriptors(self) -> list[int]:
        """For an event loop. They are edge-triggered: after one is readable, and at least every 200 ms, `poll(0)`
        until it is empty."""
        return [int(source.socket.getsockopt(zmq.FD)) for source in self._sources.values()]

    # -- reading

    def poll(self, timeout_ms: int) -> list[BusEvent]:
        """The events that have come, in order; waits for at least one up to `timeout_ms`."""
        deadline_ns = time.monotonic_ns() + timeout_ms * _NS_A_MS
        ready = self._poller.poll(0)
        while True:
            self._drain(ready)
            self._check_silence()
            events = self._take()
            left_ns = deadline_ns - time.monotonic_ns()
            if events or left_ns <= 0:
                return events
            ready = self._poller.poll(max(1, min(left_ns, BUS_BEAT_NS) // _NS_A_MS))

    def __iter__(self) -> Iterator[BusEvent]:
        """Events for ever, until `close`."""
        while not self.closed:
            yield from self.poll(BUS_BEAT_NS // _NS_A_MS)

    def close(self) -> None:
        """Free the sockets. Calling it again does nothing."""
        self.closed = True
        for source in self._sources.values():
            close_socket(source.socket)
        self._sources.clear()
        self._by_socket.clear()
        self._poller = zmq.Poller()

    def __enter__(self) -> Subscriber:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- inside

    def _drain(self, ready: list[tuple[zmq.Socket[bytes], int]]) -> None:
        """Take everything that waits, so that what is given is the newest.

        Mostly that is one message in each of these sockets, and asking whether there is another costs a fraction of
        what `zmq.Again` costs: only a socket that has a second one is read until it raises.
        """
        budget = BUS_MESSAGES_A_POLL_MAX
        for socket, _ in ready:
            budget -= self._read(self._by_socket[socket], 1)
        for socket, _ in self._poller.poll(0) if ready else ():
            budget -= self._read(self._by_socket[socket], budget)

    def _read(self, source: _Source, count_max: int) -> int:
        """Handle up to `count_max` messages; how many there were."""
        receive = source.socket.recv
        for count in range(count_max):
            try:
                message = receive(_NOBLOCK)
            except zmq.Again:
                return count
            self.counters["received"] += 1
            try:
                self._handle(source, message)
            except MalformedMessage:
                self.counters["malformed"] += 1
        return count_max

    def _handle(self, source: _Source, message: bytes) -> None:
        """:raises MalformedMessage: it is no message of ours."""
        name, header, payload = unpack(message)
        publisher = source.publisher
        if header.incarnation != publisher.incarnation:
            if header.incarnation < publisher.incarnation:
                self.counters["old"] += 1
                return
            self._put(publisher.renew(header.incarnation))
        if name == BEAT:
            self._on_beat(source, payload)
            return
        topic = publisher.topics.get(name) or self._new_topic(publisher, name)
        if topic is None:
            return
        if topic.sequence is not None and header.sequence <= topic.sequence:
            self.counters["duplicate"] += 1
            return
        self._put(publisher.accept(topic, header, payload))

    def _on_beat(self, source: _Source, payload: bytes) -> None:
        """:raises MalformedMessage: it is no beat."""
        publisher = source.publisher
        now_ns = self._clock()
        publisher.heard_ns = now_ns
        if payload == publisher.settled_beat:
            return
        publisher.silent = behind = False
        for text, number in decode_beat(payload).items():
            name = text.encode()
            topic = publisher.topics.get(name) or self._new_topic(publisher, name)
            if topic is not None:
                self._put(publisher.settle(topic, number))
                if topic.is_state and (topic.sequence or 0) < number:
                    behind = True
                    self._ask(source, topic, now_ns)
        publisher.settled_beat = None if behind or publisher.is_waiting else payload

    def _ask(self, source: _Source, topic: TopicState, now_ns: int) -> None:
        """Let the publisher send the topic's last value: it does so to whoever subscribes."""
        if topic.asked_ns is not None and now_ns - topic.asked_ns < BUS_ASK_NS:
            return
        topic.asked_ns = now_ns
        self.counters["asked"] += 1
        source.socket.unsubscribe(topic.name)
        source.socket.subscribe(topic.name)

    def _new_topic(self, publisher: PublisherState, name: bytes) -> TopicState | None:
        """State for a topic that is read; a prefix on the wire matches more than was asked for."""
        kind, exchange, symbol = split_topic(name)
        if not self._wants(name.decode()):
            return None
        if len(publisher.topics) >= BUS_TOPICS_MAX:
            self.counters["refused"] += 1
            return None
        topic = publisher.topics[name] = TopicState(name, kind, exchange, symbol)
        return topic

    def _wants(self, topic: str) -> bool:
        return topic in self._topics or any(map(topic.startswith, self._prefixes))

    def _put(self, items: Iterable[Item]) -> None:
        """Queue what is to be told; with conflation a state's newer message takes its older one's place."""
        for item in items:
            if isinstance(item, Note):
                if item.missed:
                    self.counters["missed"] += item.missed
                self._places.pop(item.topic, None)
            elif isinstance(item, Message) and self._conflate and item.topic.is_state:
                place = self._places.setdefault(item.topic, len(self._out))
                if place < len(self._out):
                    self.counters["conflated"] += 1
                    self._out[place] = item
                    continue
            self._out.append(item)

    def _check_silence(self) -> None:
        now_ns = self._clock()
        for source in self._sources.values():
            publisher = source.publisher
            if not publisher.silent and now_ns - publisher.heard_ns > BUS_SILENCE_NS:
                self._put(publisher.fall_silent(f"no beat of {publisher.name} for a second"))

    def _take(self) -> list[BusEvent]:
        """Decode what is queued."""
        events = []
        for item in self._out:
            try:
                event = item.event()
            except MalformedMessage:
                self.counters["malformed"] += 1
                continue
            if event is not None:
                events.append(event)
        self._out.clear()
        self._places.clear()
        return events
