"""The connections of a feed session: one, or two while one takes over from the other, or two all the time.

**Rotation.** A connection that is near the venue's own cut, or that the venue announced to close, is *retiring*:
another is opened beside it, and when that one alone would do (`Sharing.covers`), the retiring one is closed.
**Redundancy** is the same with two that stay, each in a *seat* of its own: what is lost is dialled again for that seat,
with its own back-off, under the venue's limit of connects (`Redial`).
"""

from __future__ import annotations

import logging
import random
import select
import time
from collections.abc import Callable, Collection, Iterable
from functools import partial
from typing import Final, Protocol

from thespian_connector import limits
from thespian_connector.drivers.base import Driver

from .errands import Mailbox
from .events import FeedTiming
from .line import Line
from .redial import Redial
from .sharing import Sharing
from .socket import Dropped, StreamSocket, connect

_NS: Final = 1_000_000_000
_LOG = logging.getLogger(__name__)


class Owner(Protocol):
    """What becomes of the books when connections come and go."""

    def came_up(self, now_ns: int) -> None:
        """There is a connection where there was none."""

    def line_left(self, line: Line, now_ns: int) -> None:
        """`line` is closed, for whatever reason; `Lines.open` has those that go on."""

    def count(self, what: str) -> None: ...


class Lines:
    """Session's thread only, but for `open`, which any thread may read.

    :param redundancy: how many connections are kept open.
    :param rotate_after_s: the age at which a connection retires, at most (each draws a share of it, so that not all
        connections of a host go at once); 0: a little before the venue cuts it, if it does.
    :ivar open: the connections that are open, the oldest first.
    """

    def __init__(
        self,
        name: str,
        driver: Driver,
        url: str,
        *,
        topics: Collection[str],
        owner: Owner,
        sharing: Sharing,
        mailbox: Mailbox,
        redial: Callable[[Callable[[int], StreamSocket], Callable[[StreamSocket], None]], Redial],
        redundancy: int,
        rotate_after_s: float,
        timing: FeedTiming,
        rng: random.Random,
    ) -> None:
        self.open: tuple[Line, ...] = ()
        self.connects = 0
        self._name = name
        self._driver = driver
        self._url = url
        self._topics = topics
        self._owner = owner
        self._sharing = sharing
        self._lifetime_s = rotate_after_s or driver.stream_limits.lifetime_s
        self._timing = timing
        self._rng = rng
        self._by_fd: dict[int, Line] = {}
        self._poll = select.poll()
        self._poll.register(mailbox.wake_fd, select.POLLIN)
        self._redials = [redial(self._connect, partial(self._opened, seat)) for seat in range(redundancy)]

    def wait(self, timeout_ms: int) -> Iterable[Line]:
        """The connections that have something to read, after `timeout_ms` at most."""
        lines = self.open
        if len(lines) == 1 and lines[0].socket.filled:
            return lines
        full = [line for line in lines if line.socket.filled]
        ready = [self._by_fd[fd] for fd, _ in self._poll.poll(0 if full else timeout_ms) if fd in self._by_fd]
        return ready + [line for line in full if line not in ready] if full else ready

    # -- the clock

    @property
    def complete(self) -> bool:
        """All that are wanted are open, and none is to be replaced."""
        return len(self.open) == len(self._redials) and not any(line.retiring for line in self.open)

    def tick(self, now_ns: int) -> None:
        """Dial what is missing, close what has a successor, give up what is dead."""
        for line in self.open:
            try:
                for _ in range(line.check(now_ns)):
                    self._owner.count("acks_missing")
            except Dropped as dropped:
                self.lose(line, dropped.reason, str(dropped))
        if len(self.open) > 1:
            self._find_silent(now_ns)
            self._find_dead_topic(now_ns)
        staying = [line for line in self.open if not line.retiring]
        if len(staying) < len(self._redials):
            self._dial(now_ns)
        elif len(staying) < len(self.open) and all(self._sharing.covers(line, now_ns) for line in staying):
            for line in self.open:
                if line.retiring:
                    self._owner.count("rotations")
                    _LOG.info("%s: a connection was replaced after %d s", self._name, (now_ns - line.opened_ns) / _NS)
                    self._leave(line, now_ns)

    def send_due(self, now_ns: int) -> None:
        for line in self.open:
            self.send(line, now_ns)

    def send(self, line: Line, now_ns: int) -> None:
        """Send what `line` owes, and wait for room to send only while something waits to be sent."""
        try:
            line.send_due(now_ns)
        except Dropped as dropped:
            self.lose(line, dropped.reason, str(dropped))
            return
        if line.socket.unsent is not line.watched:
            line.watched = line.socket.unsent
            self._poll.modify(line.socket.fileno(), select.POLLIN | (select.POLLOUT if line.watched else 0))

    def _find_silent(self, now_ns: int) -> None:
        """A connection that brings no data while another does is dead, though its pongs may come."""
        newest_ns = max(line.data_ns for line in self.open)
        for line in self.open:
            if line.data_ns >= line.behind_ns:
                line.behind_ns = now_ns if newest_ns > line.data_ns else 0
            elif now_ns - line.behind_ns >= self._timing.silent_reconnect_s * _NS:
                self.lose(line, "silent", "no data, while another connection brings some")

    def _find_dead_topic(self, now_ns: int) -> None:
        """One that brings nothing of some topic, while another does, is no second one."""
        found = self._sharing.deliveries.dead(self.open, now_ns)
        if found is not None:
            line, topic = found
            self.lose(line, "dead_topic", f"nothing of {topic}, while another connection brings it")

    # -- coming and going

    def _dial(self, now_ns: int) -> None:
        """For each seat that nobody stays in."""
        taken = {line.seat for line in self.open if not line.retiring}
        for seat, redial in enumerate(self._redials):
            if seat not in taken:
                redial.tick(now_ns)

    def _connect(self, wake_fd: int) -> StreamSocket:
        return connect(self._url, timeout_s=self._timing.connect_s, wake_fd=wake_fd, classify=self._driver.classify)

    def _opened(self, seat: int, socket: StreamSocket) -> None:
        now_ns = time.monotonic_ns()
        self.connects += 1
        line = Line(
            socket,
            self._driver,
            key=self.connects,
            seat=seat,
            topics=self._topics,
            timing=self._timing,
            lifetime_s=self._lifetime_s * self._rng.uniform(*limits.LIFETIME_SHARE),
            now_ns=now_ns,
        )
        others = self.open
        self.open = (*others, line)
        self._by_fd[socket.fileno()] = line
        self._poll.register(socket.fileno(), select.POLLIN)
        if others:
            self._sharing.opened(line, others)
        else:
            self._owner.came_up(now_ns)
        self.send(line, now_ns)

    def lose(self, line: Line, reason: str, detail: str) -> None:
        """`line` is over; another is dialled."""
        if line not in self.open:
            return
        _LOG.warning("%s: connection lost: %s", self._name, detail)
        self._owner.count(f"dropped_{reason}")
        now_ns = time.monotonic_ns()
        self._redials[line.seat].lost(now_ns - line.opened_ns, now_ns)
        self._leave(line, now_ns)
        if not self.open:
            self._dial(now_ns)

    def lose_all(self, reason: str, detail: str) -> None:
        for line in self.open:
            self.lose(line, reason, detail)

    def _leave(self, line: Line, now_ns: int) -> None:
        self._remove(line)
        self._owner.line_left(line, now_ns)

    def _remove(self, line: Line) -> None:
        self.open = tuple(other for other in self.open if other is not line)
        del self._by_fd[line.socket.fileno()]
        self._poll.unregister(line.socket.fileno())
        line.socket.close()

    def close(self) -> None:
        """The session ends; nobody is told."""
        for line in self.open:
            self._remove(line)
        for redial in self._redials:
            redial.close(limits.JOIN_S)
