"""Which topics a connection has asked for, which the venue confirmed, and what to send next. No socket, no clock."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Final

from thespian_connector.drivers.base import Driver, SubscribeFrame
from thespian_connector.model.wire import Ack

_TRIES_MAX: Final = 2
#: The window in which frames are counted, a little wider than the venue's second: the network squeezes them together.
_PACE_WINDOW_NS: Final = 1_100_000_000


class Unanswered(Exception):
    """The venue does not answer subscribe requests: the connection is of no use."""


class Pace:
    """How many frames may leave now. Venues count every frame, our pongs too, and cut those who send too many
    (Binance: 5 a second), so one place of each second is kept for a pong."""

    def __init__(self, per_s: int) -> None:
        self._per_s = per_s
        self._sent: deque[int] = deque()

    def sent(self, frames: int, now_ns: int) -> None:
        if self._per_s:
            self._sent.extend([now_ns] * frames)

    def room(self, now_ns: int) -> int:
        if not self._per_s:
            return 100
        while self._sent and now_ns - self._sent[0] >= _PACE_WINDOW_NS:
            self._sent.popleft()
        return max(0, max(1, self._per_s - 1) - len(self._sent))


class _Request:
    __slots__ = ("frame", "sent_ns", "subscribes", "tries")

    def __init__(self, frame: SubscribeFrame, subscribes: bool, tries: int) -> None:
        self.frame = frame
        self.subscribes = subscribes
        self.tries = tries
        self.sent_ns = 0


class Subscriber:
    """One connection's subscriptions.

    A refused request of several topics is asked again in halves until the guilty one stands alone: one bad symbol costs
    nobody else anything (Bybit subscribes nothing of a request with one bad topic). `confirmed` holds topics that the
    venue acknowledged; `refused` the bad ones, with the venue's words.
    """

    def __init__(self, driver: Driver, ack_timeout_s: float) -> None:
        self.confirmed: set[str] = set()
        self.refused: dict[str, str] = {}
        self._driver = driver
        self._ack_timeout_ns = int(ack_timeout_s * 1e9)
        self._next_id = 1
        self._queue: deque[_Request] = deque()
        self._pending: dict[int, _Request] = {}

    def subscribe(self, topics: Iterable[str], *, tries: int = 0) -> None:
        topics = list(topics)
        for topic in topics:
            self.refused.pop(topic, None)
        self._ask(self._driver.subscribe(topics, self._next_id), True, tries)

    def resubscribe(self, topics: Iterable[str], *, tries: int = 0) -> None:
        """Leave and join again: the venue then starts with a fresh snapshot (Bybit). Other topics are untouched."""
        topics = list(topics)
        self.confirmed.difference_update(topics)
        self._ask(self._driver.unsubscribe(topics, self._next_id), False, tries)
        self._ask(self._driver.subscribe(topics, self._next_id), True, tries)

    def _ask(self, frames: list[SubscribeFrame], subscribes: bool, tries: int) -> None:
        for frame in frames:
            self._queue.append(_Request(frame, subscribes, tries))
            self._next_id = max(self._next_id, frame.request_id + 1)

    def next_frame(self, now_ns: int) -> str | None:
        """The next frame to send; the caller asks only when there is room for it."""
        if not self._queue:
            return None
        request = self._queue.popleft()
        request.sent_ns = now_ns
        self._pending[request.frame.request_id] = request
        return request.frame.frame

    def on_ack(self, ack: Ack) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Take the venue's answer; returns the topics that it confirms, and those that are now known to be bad."""
        if ack.request_id:
            request = self._pending.pop(ack.request_id, None)
        else:  # an answer without an id can only be for the oldest question
            request = self._pending.pop(next(iter(self._pending)), None) if self._pending else None
        if request is None or not request.subscribes:
            return (), ()
        topics = request.frame.topics
        if ack.ok:
            self.confirmed.update(topics)
            return topics, ()
        if len(topics) > 1:
            half = len(topics) // 2
            self.subscribe(topics[:half])
            self.subscribe(topics[half:])
            return (), ()
        self.refused[topics[0]] = ack.message
        return (), topics

    def check(self, now_ns: int) -> int:
        """Ask again what was not answered in time; returns how many requests that were.

        :raises Unanswered: the second time too.
        """
        late = [r for r in self._pending.values() if now_ns - r.sent_ns >= self._ack_timeout_ns]
        for request in late:
            del self._pending[request.frame.request_id]
            if not request.subscribes:
                continue
            if request.tries + 1 >= _TRIES_MAX:
                raise Unanswered(f"no answer to the subscription of {', '.join(request.frame.topics[:3])}")
            # A venue may not answer a topic that is subscribed already (Bybit), so leave first.
            self.resubscribe(request.frame.topics, tries=request.tries + 1)
        return len(late)

    @property
    def idle(self) -> bool:
        """Nothing left to send or to hear."""
        return not self._queue and not self._pending
