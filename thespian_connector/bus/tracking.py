"""What a reader knows of one publisher and its topics, and what it concludes from numbers and silence. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from thespian_connector.model import BestPrices, BookStatus, MergedBook, OrderBook, Trust

from .codec import STATE_KINDS, decode
from .events import BusEvent, BusHeader, Marker, Record


class TopicState:
    """One topic of one publisher.

    `sequence`: of the newest message that has come, None before the first and before any beat. `waiting`: what was
    shown last may not be the newest, and stays marked until a beat or a message says otherwise. `last`: the newest
    record given, with its own number and incarnation.
    """

    __slots__ = (
        "asked_ns",
        "exchange",
        "is_state",
        "kind",
        "last",
        "last_incarnation",
        "last_sequence",
        "name",
        "sequence",
        "symbol",
        "waiting",
    )

    def __init__(self, name: bytes, kind: str, exchange: str, symbol: str) -> None:
        self.name = name
        self.kind, self.exchange, self.symbol = kind, exchange, symbol
        self.is_state = kind in STATE_KINDS
        self.sequence: int | None = None
        self.waiting = False
        self.asked_ns: int | None = None
        self.last: Record | None = None
        self.last_sequence = self.last_incarnation = 0


class Message:
    """A message that was taken but not decoded: with conflation most never are."""

    __slots__ = ("incarnation", "payload", "sequence", "topic", "trusted")

    def __init__(self, topic: TopicState, payload: bytes, sequence: int, incarnation: int, trusted: bool) -> None:
        self.topic = topic
        self.payload = payload
        self.sequence = sequence
        self.incarnation = incarnation
        self.trusted = trusted

    def event(self) -> BusEvent:
        """:raises MalformedMessage: the payload is no record of the topic's kind."""
        topic = self.topic
        record = decode(topic.kind, self.payload)
        topic.last_sequence, topic.last_incarnation = self.sequence, self.incarnation
        if topic.is_state:
            topic.last = record
        shown = record if self.trusted else distrusted(record)
        return BusEvent(topic.kind, topic.exchange, topic.symbol, self.sequence, self.incarnation, shown)


class Again:
    """The topic's last record once more, because it may be believed again, or no longer."""

    __slots__ = ("topic", "trusted")

    def __init__(self, topic: TopicState, trusted: bool) -> None:
        self.topic = topic
        self.trusted = trusted

    def event(self) -> BusEvent | None:
        """None if nothing was given yet, or what was given said no more than STALE anyway."""
        topic, last = self.topic, self.topic.last
        if last is None or distrusted(last) is last:
            return None
        shown = last if self.trusted else distrusted(last)
        return BusEvent(topic.kind, topic.exchange, topic.symbol, topic.last_sequence, topic.last_incarnation, shown)


class Note:
    """A marker that the reader makes."""

    __slots__ = ("detail", "missed", "topic", "what")

    def __init__(self, topic: TopicState, what: str, *, missed: int = 0, detail: str = "") -> None:
        self.topic = topic
        self.what = what
        self.missed = missed
        self.detail = detail

    def event(self) -> BusEvent:
        topic = self.topic
        marker = Marker(what=self.what, missed=self.missed, detail=self.detail, channel=topic.kind)
        return BusEvent("marker", topic.exchange, topic.symbol, topic.last_sequence, topic.last_incarnation, marker)


Item = Message | Again | Note


class PublisherState:
    """One publisher, as heard at one endpoint. Its methods say what to tell the reader's user.

    `settled_beat`: a beat after which nothing was open. The same one again says nothing but that the publisher lives.
    """

    __slots__ = ("heard_ns", "incarnation", "name", "settled_beat", "silent", "topics")

    def __init__(self, name: str, now_ns: int) -> None:
        self.name = name
        self.incarnation = 0
        self.heard_ns = now_ns
        self.silent = False
        self.settled_beat: bytes | None = None
        self.topics: dict[bytes, TopicState] = {}

    @property
    def is_waiting(self) -> bool:
        """What was shown last of some topic may not be the newest."""
        return any(topic.waiting for topic in self.topics.values())

    def renew(self, incarnation: int) -> Iterator[Item]:
        """A message of a younger publisher: nothing of the old one will follow."""
        restarted = self.incarnation != 0
        self.incarnation = incarnation
        self.settled_beat = None
        if restarted:
            for topic in self.topics.values():
                topic.sequence, topic.asked_ns = 0, None
                topic.waiting = True
                yield Note(topic, "restarted")
                yield Again(topic, trusted=False)

    def fall_silent(self, detail: str) -> Iterator[Item]:
        """No beat for too long: nothing of it can be believed to be the newest."""
        self.silent = True
        self.settled_beat = None
        for topic in self.topics.values():
            topic.waiting = True
            yield Note(topic, "stale", detail=detail)
            yield Again(topic, trusted=False)

    def accept(self, topic: TopicState, header: BusHeader, payload: bytes) -> Iterator[Item]:
        """A message. Nothing if it is known: the last value comes to all readers when a new one subscribes."""
        have = topic.sequence
        if have is not None and header.sequence <= have:
            return
        topic.sequence = header.sequence
        if have is not None and not topic.is_state and header.sequence > have + 1:
            yield Note(topic, "missed", missed=header.sequence - have - 1)
        if topic.waiting and not self.silent:
            topic.waiting = False
            yield Note(topic, "live")
        yield Message(topic, payload, header.sequence, header.incarnation, trusted=not self.silent)

    def settle(self, topic: TopicState, number: int) -> Iterator[Item]:
        """A beat told a topic's last number: what came before the beat is here by now, or lost.

        A state that is behind is the caller's to ask for; it stays `waiting` if it was.
        """
        have = topic.sequence
        if topic.is_state:
            if have is None or have < number:
                return
        else:
            topic.sequence = number
            if have is not None and have < number:
                yield Note(topic, "missed", missed=number - have)
        if topic.waiting and number:
            topic.waiting = False
            yield Note(topic, "live")
            yield Again(topic, trusted=True)


def distrusted(record: Record) -> Record:
    """`record`, STALE where it said LIVE; of several exchanges together nothing is left then but their names."""
    if isinstance(record, OrderBook | BookStatus) and record.trust is Trust.LIVE:
        return replace(record, trust=Trust.STALE)
    if isinstance(record, MergedBook) and record.exchanges:
        stale = dict.fromkeys(record.exchanges, Trust.STALE)
        return replace(
            record,
            bids=(),
            asks=(),
            exchanges=(),
            excluded=record.excluded | stale,
            crossed=False,
            locked=False,
            sources={},
        )
    if isinstance(record, BestPrices) and (record.bid or record.ask):
        stale = {side.exchange: Trust.STALE for side in (record.bid, record.ask) if side}
        return replace(record, bid=None, ask=None, spread=None, crossed=False, excluded=record.excluded | stale)
    return record
