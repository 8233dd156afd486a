"""A private session: what a venue tells of our account, and the thread that keeps the connection for it alive.

connect -> login -> subscribe -> facts, as `orders.events` has them. Nothing of the past is told on such a stream, and
nothing is repeated: what happened while it was not there must be asked for, so it says when it begins and ends. No
actor is needed::

    session = PrivateSession(driver, trading, endpoints, auth, on_facts)
    session.start()
    ...
    session.stop()
"""

from __future__ import annotations

import logging
import random
import select
import threading
import time
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Final

from thespian_connector import limits
from thespian_connector.drivers.base import Driver, Endpoints
from thespian_connector.drivers.trading import Auth, TradingDriver
from thespian_connector.model.errors import AuthError
from thespian_connector.model.private import BalanceReport, FillReport, OrderReport, PrivateEvent, StreamEnded
from thespian_connector.model.wire import Ack, Ignored, Pong, ServerShutdown
from thespian_connector.orders.events import BalancesTold, Connected, Disconnected, Executed, Fact, Reported

from .budget import Budget
from .errands import Mailbox
from .events import FeedTiming
from .redial import ConnectGuard, Redial
from .socket import Dropped, StreamSocket, connect

_NS: Final = 1_000_000_000
_LOG = logging.getLogger(__name__)
_LOGIN, _SUBSCRIBE = 1, 2


class _State(Enum):
    LOGIN = "its login is not answered yet"
    SUBSCRIBE = "its subscription is not answered yet"
    LIVE = "connected"


class _Refused(Exception):
    """The venue does not want this login or subscription."""


class _Line:
    """One connection: what is sent on it and when, and when it must be given up. Methods may raise `Dropped`."""

    def __init__(
        self,
        socket: StreamSocket,
        trading: TradingDriver,
        auth: Auth,
        *,
        timing: FeedTiming,
        lifetime_s: float,
        now_ns: int,
    ) -> None:
        self.socket = socket
        self.state = _State.LOGIN
        self.opened_ns = self._bytes_ns = self._kept_alive_ns = self._asked_ns = now_ns
        self._trading = trading
        self._timing = timing
        self._lifetime_ns = int(lifetime_s * _NS)
        self._requests = _SUBSCRIBE
        self._unanswered_ns = 0
        socket.send_text(trading.private_login(_LOGIN, auth))

    def read(self, now_ns: int) -> list[bytes]:
        messages = self.socket.read()
        self._bytes_ns = now_ns
        return messages

    def acked(self, ack: Ack, now_ns: int) -> bool:
        """Whether everything is subscribed by it.

        :raises _Refused: what it answers was refused.
        """
        expected = _LOGIN if self.state is _State.LOGIN else _SUBSCRIBE
        if self.state is _State.LIVE or ack.request_id not in (0, expected):  # 0: the venue echoes none
            return False
        if not ack.ok:
            what = "login" if self.state is _State.LOGIN else "subscription"
            raise _Refused(f"the venue refuses the {what}: {ack.message}")
        frame = self._trading.private_subscribe(_SUBSCRIBE) if self.state is _State.LOGIN else None
        if frame is None:
            self.state = _State.LIVE
            return True
        self.state, self._asked_ns = _State.SUBSCRIBE, now_ns
        self.socket.send_text(frame)
        return False

    def ponged(self) -> None:
        self._unanswered_ns = 0

    def tick(self, now_ns: int) -> None:
        """Sends what is due, looks at the deadlines."""
        self.socket.flush()
        caps = self._trading.private_limits
        if self.state is not _State.LIVE and now_ns - self._asked_ns >= self._timing.ack_s * _NS:
            raise Dropped("no_ack", self.state.value)
        if now_ns - self._bytes_ns >= caps.silence_s * _NS:
            raise Dropped("mute", f"not a byte for {caps.silence_s:g} s")
        if self._unanswered_ns and now_ns - self._unanswered_ns >= self._timing.pong_s * _NS:
            raise Dropped("no_pong", f"our ping is unanswered for {self._timing.pong_s:g} s")
        if self._lifetime_ns and now_ns - self.opened_ns >= self._lifetime_ns:
            raise Dropped("old", "the venue would cut it soon")
        if caps.keepalive_s and now_ns - self._kept_alive_ns >= caps.keepalive_s * _NS:
            self._keep_alive(now_ns)

    def _keep_alive(self, now_ns: int) -> None:
        self._requests += 1
        self._kept_alive_ns = now_ns
        frame = self._trading.private_keepalive(self._requests)
        if frame is None:
            self.socket.send_ping()
            return
        self.socket.send_text(frame)
        self._unanswered_ns = self._unanswered_ns or now_ns


class PrivateSession:
    """The private stream of one account at one venue.

    :param auth: of now, for each login anew; quick. Its clock should be right: a venue refuses a login that is late.
    :param on_facts: called on the session's thread with what one read brought, in its order, and with Connected and
        Disconnected. What it raises ends the session.
    :param budget: guards the venue's limit of connects, for all sessions of the host together.
    :param login_retry_s: the pause after a refused login; it doubles with each in a row.
    :param on_failure: called at the end of the thread with what ended it, if that was not `stop`. Without it the
        exception goes on to `threading.excepthook`.
    :raises ConfigError: the venue's endpoints lack the private one.
    """

    def __init__(
        self,
        driver: Driver,
        trading: TradingDriver,
        endpoints: Endpoints,
        auth: Callable[[], Auth],
        on_facts: Callable[[Sequence[Fact]], None],
        *,
        budget: Budget | None = None,
        rng: random.Random | None = None,
        timing: FeedTiming | None = None,
        login_retry_s: float = limits.LOGIN_RETRY_FIRST_S,
        time_ns: Callable[[], int] = time.time_ns,
        on_failure: Callable[[BaseException], None] | None = None,
        name: str = "private",
    ) -> None:
        #: What ended the thread, if it was not `stop`.
        self.failure: BaseException | None = None
        #: When the thread last showed that it runs, on the monotonic clock.
        self.heartbeat_ns = time.monotonic_ns()
        #: Why the venue does not let us in, as long as it does not.
        self.refusal: AuthError | None = None
        self._driver = driver
        self._trading = trading
        self._url = trading.private_url(endpoints)
        self._auth = auth
        self._on_facts = on_facts
        self._timing = timing = timing or FeedTiming()
        self._rng = rng = rng or random.Random()
        self._time_ns = time_ns
        self._login_retry_s = login_retry_s
        self._on_failure = on_failure
        self._name = name
        self._counters: dict[str, int] = {}
        self._mailbox = Mailbox()
        self._redial = Redial(
            name,
            self._connect,
            self._opened,
            mailbox=self._mailbox,
            count=self._count,
            guard=ConnectGuard(budget),
            timing=timing,
            rng=rng,
        )
        self._line: _Line | None = None
        self._refusals = 0
        self._login_due_ns = 0
        self._next_tick_ns = 0
        self._stopping = False
        self._thread = threading.Thread(target=self._main, name=name, daemon=True)

    # -- for any thread

    def start(self) -> None:
        """Once."""
        self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> bool:
        """Close the connection and end the thread; nothing is told after it returns. False: it still hangs in a name's
        resolution, and ends by itself."""
        self._stopping = True
        self._mailbox.wake()
        if self._thread is threading.current_thread():
            return True
        if self._thread.ident is None:
            self._close()
            return True
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    @property
    def connected(self) -> bool:
        """What happens to the account is being told."""
        line = self._line
        return line is not None and line.state is _State.LIVE

    @property
    def counters(self) -> dict[str, int]:
        """What happened so far, by name."""
        return dict(self._counters)

    # -- the thread

    def _main(self) -> None:
        try:
            while not self._stopping:
                self._turn()
        except BaseException as error:
            self.failure = error
            _LOG.critical("%s: the private session failed: %r", self._name, error)
            if self._on_failure is None:
                raise
            self._on_failure(error)
        finally:
            self._close()

    def _close(self) -> None:
        if self._line is not None:
            self._line.socket.close()
            self._line = None
        self._redial.close(limits.JOIN_S)
        self._mailbox.run()  # a connection made in this very moment is closed by its delivery
        self._mailbox.close()

    def _turn(self) -> None:
        """Wait for data, mail or the next tick, whichever comes first, and do what there is to do."""
        now_ns = self.heartbeat_ns = time.monotonic_ns()
        if now_ns >= self._next_tick_ns:
            self._tick(now_ns)
        line = self._line
        poll = select.poll()
        poll.register(self._mailbox.wake_fd, select.POLLIN)
        if line is not None:
            poll.register(line.socket.fileno(), select.POLLIN | (select.POLLOUT if line.socket.unsent else 0))
        ready = poll.poll(max(0, self._next_tick_ns - now_ns) // 1_000_000 + 1)
        if self._mailbox.waiting:
            self._mailbox.run()
        if line is not None and line is self._line and any(fd == line.socket.fileno() for fd, _ in ready):
            self._guarded(line, lambda: self._read(line, time.monotonic_ns()))

    def _tick(self, now_ns: int) -> None:
        late_ns = now_ns - self._next_tick_ns if self._next_tick_ns else 0
        calm = limits.PRIVATE_QUIET_TICKS if self.connected else 1
        self._next_tick_ns = now_ns + int(self._timing.tick_s * calm * _NS)
        line = self._line
        if line is None:
            if now_ns >= self._login_due_ns:
                self._redial.tick(now_ns)
        elif late_ns >= self._timing.held_up_s * _NS:
            self._count("held_up")  # what waits in the socket decides; the deadlines are looked at after it was read
        else:
            self._guarded(line, lambda: line.tick(now_ns))

    def _guarded(self, line: _Line, work: Callable[[], None]) -> None:
        """`work` may find that the line is over."""
        try:
            work()
        except _Refused as refused:
            self._refuse(line, str(refused))
        except Dropped as dropped:
            self._count(f"dropped_{dropped.reason}")
            self._lose(line, str(dropped))

    # -- connections come and go

    def _connect(self, wake_fd: int) -> StreamSocket:
        return connect(self._url, timeout_s=self._timing.connect_s, wake_fd=wake_fd, classify=self._driver.classify)

    def _opened(self, socket: StreamSocket) -> None:
        if self._stopping:
            socket.close()
            return
        now_ns = time.monotonic_ns()
        self._count("connects")
        lifetime_s = self._trading.private_limits.lifetime_s * self._rng.uniform(*limits.LIFETIME_SHARE)
        try:
            self._line = _Line(
                socket,
                self._trading,
                self._auth(),
                timing=self._timing,
                lifetime_s=lifetime_s,
                now_ns=now_ns,
            )
        except Dropped as dropped:
            socket.close()
            self._count(f"dropped_{dropped.reason}")
            self._redial.lost(0, now_ns)

    def _lose(self, line: _Line, reason: str) -> None:
        _LOG.warning("%s: connection lost: %s", self._name, reason)
        now_ns = time.monotonic_ns()
        told = line.state is _State.LIVE
        line.socket.close()
        self._line = None
        self._redial.lost(now_ns - line.opened_ns, now_ns)
        self._next_tick_ns = now_ns
        if told:
            self._on_facts([Disconnected(reason=reason, time_ns=self._time_ns())])

    def _refuse(self, line: _Line, reason: str) -> None:
        """Seldom tried again: a venue bans who insists. The owner is told, whatever was told before."""
        self._count("refused")
        self.refusal = AuthError(f"{self._trading.exchange}: {reason}", exchange=self._trading.exchange)
        pause_s = min(limits.LOGIN_RETRY_MAX_S, self._login_retry_s * 2.0 ** min(self._refusals, 30))
        self._refusals += 1
        self._login_due_ns = time.monotonic_ns() + int(pause_s * self._rng.uniform(0.5, 1.0) * _NS)
        line.state = _State.LOGIN
        self._lose(line, reason)
        self._on_facts([Disconnected(reason=reason, time_ns=self._time_ns())])

    # -- what comes

    def _read(self, line: _Line, now_ns: int) -> None:
        facts: list[Fact] = []
        balances: list[BalanceReport] = []
        try:
            for message in line.read(now_ns):
                for event in self._trading.decode_private(message):
                    if isinstance(event, BalanceReport):
                        balances.append(event)
                    else:
                        self._take(line, event, facts, now_ns)
        finally:
            if balances:
                told = BalancesTold(balances=tuple(balances), time_ns=self._time_ns())
                facts.append(told)
            if facts:
                self._count("facts", len(facts))
                self._on_facts(facts)

    def _take(self, line: _Line, event: PrivateEvent, facts: list[Fact], now_ns: int) -> None:
        match event:
            case OrderReport():
                facts.append(Reported(report=event, source="stream", time_ns=self._time_ns()))
            case FillReport():
                facts.append(Executed(fill=event, source="stream", time_ns=self._time_ns()))
            case Ack():
                if line.acked(event, now_ns):
                    self.refusal = None
                    self._refusals = 0
                    facts.append(Connected(time_ns=self._time_ns()))
            case Pong():
                line.ponged()
            case ServerShutdown():
                raise Dropped("shutdown", "the venue will close it soon")
            case StreamEnded(reason):
                raise Dropped("ended", reason)
            case Ignored(reason):
                self._count(f"ignored {reason}")

    def _count(self, what: str, times: int = 1) -> None:
        self._counters[what] = self._counters.get(what, 0) + times
