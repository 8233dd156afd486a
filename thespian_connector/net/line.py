"""One open connection of a feed session: what is sent on it and when, and when it must be given up."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from thespian_connector.drivers.base import Driver

from .events import FeedTiming
from .socket import Dropped, StreamSocket
from .subscriber import Pace, Subscriber, Unanswered

_NS = 1_000_000_000


class Line:
    """A socket and its subscriptions. Every method may raise `Dropped`: then it is over.

    :param key: names it among the connections of its session, past ones too.
    :param seat: which of the connections that are kept open it is; a successor has its predecessor's.
    :param lifetime_s: another one should take over after this long (0: never).
    :ivar data_ns: when data came last; acks and pongs are none.
    :ivar behind_ns: since when another connection brings data and this one does not (0: it does).
    :ivar retiring: it is open only until another has taken over.
    :ivar confirmed_ns: topic -> when the venue confirmed it.
    """

    def __init__(
        self,
        socket: StreamSocket,
        driver: Driver,
        *,
        key: int,
        seat: int,
        topics: Iterable[str],
        timing: FeedTiming,
        lifetime_s: float,
        now_ns: int,
    ) -> None:
        limits = driver.stream_limits
        self.socket = socket
        self.subscriber = Subscriber(driver, timing.ack_s)
        self.subscriber.subscribe(topics)
        self.key = key
        self.seat = seat
        self.opened_ns = self.data_ns = self._bytes_ns = self._kept_alive_ns = now_ns
        self.behind_ns = 0
        self.retiring = False
        self.confirmed_ns: dict[str, int] = {}
        self._refused_due_ns = now_ns + int(timing.refused_retry_s * _NS)
        self._refused_retry_ns = int(timing.refused_retry_s * _NS)
        #: Whether the session waits for room to send on this socket.
        self.watched = False
        self._driver = driver
        self._pace = Pace(limits.inbound_per_s)
        self._accounted = 0
        self._keepalive_ns = int(limits.keepalive_s * _NS)
        self._silence_ns = int(limits.silence_s * _NS)
        self._pong_ns = int(timing.pong_s * _NS)
        self._lifetime_ns = int(lifetime_s * _NS)
        self._ping_unanswered_ns = 0
        self._keepalives = 0

    def read(self, now_ns: int) -> list[bytes]:
        messages = self.socket.read()
        self._bytes_ns = now_ns
        self._account(now_ns)
        return messages

    def resubscribe(self, topics: Sequence[str]) -> None:
        """Leave `topics` and join them again."""
        for topic in topics:
            self.confirmed_ns.pop(topic, None)
        self.subscriber.resubscribe(topics)

    def subscribed(self, topics: Iterable[str]) -> bool:
        """The venue has answered for all of `topics`, if only with a refusal."""
        refused = self.subscriber.refused
        return all(topic in self.confirmed_ns or topic in refused for topic in topics)

    def pong(self) -> None:
        self._ping_unanswered_ns = 0

    def _account(self, now_ns: int) -> None:
        sent = self.socket.frames_sent
        if sent != self._accounted:
            self._pace.sent(sent - self._accounted, now_ns)
            self._accounted = sent

    def send_due(self, now_ns: int) -> None:
        """Send what is due, as far as the venue's limit of frames allows; keepalives first."""
        self.socket.flush()
        if self._keepalive_ns and now_ns - self._kept_alive_ns >= self._keepalive_ns and self._pace.room(now_ns):
            self._keepalives += 1
            frame = self._driver.keepalive_frame(self._keepalives)
            if frame is None:
                self.socket.send_ping()
            else:
                self.socket.send_text(frame)
                self._ping_unanswered_ns = self._ping_unanswered_ns or now_ns
            self._kept_alive_ns = now_ns
            self._account(now_ns)
        while self._pace.room(now_ns):
            text = self.subscriber.next_frame(now_ns)
            if text is None:
                return
            self.socket.send_text(text)
            self._account(now_ns)

    def check(self, now_ns: int) -> int:
        """Look at the deadlines; returns how many subscribe requests had to be repeated."""
        if now_ns - self._bytes_ns >= self._silence_ns:
            raise Dropped("mute", f"not a byte for {self._silence_ns / _NS:g} s")
        if self._ping_unanswered_ns and now_ns - self._ping_unanswered_ns >= self._pong_ns:
            raise Dropped("no_pong", f"our ping is unanswered for {self._pong_ns / _NS:g} s")
        if self._lifetime_ns and now_ns - self.opened_ns >= self._lifetime_ns:
            self.retiring = True
        if now_ns >= self._refused_due_ns and self.subscriber.refused:
            self._refused_due_ns = now_ns + self._refused_retry_ns
            self.subscriber.subscribe(list(self.subscriber.refused))
        try:
            return self.subscriber.check(now_ns)
        except Unanswered as error:
            raise Dropped("no_ack", str(error)) from None
