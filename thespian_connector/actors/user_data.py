"""UserData: what an exchange tells of our account by itself, numbered, for OrderState to fetch."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from typing import Any

from thespian_connector.drivers.registry import trading_for
from thespian_connector.drivers.trading import Auth
from thespian_connector.limits import (
    FACTS_KEPT_MAX,
    FEED_THREAD_SILENT_S_MAX,
    INSTRUMENTS_RETRY_FIRST_S,
    INSTRUMENTS_RETRY_MAX_S,
    MAINTENANCE_RETRY_S,
    RECV_WINDOW_MS,
)
from thespian_connector.model.errors import ConnectorError
from thespian_connector.net.private import PrivateSession
from thespian_connector.orders.codec import encode
from thespian_connector.orders.events import Connected, Disconnected, Fact, StreamEvent

from .component import Arguments, Component
from .facts import FactsSource
from .keys import signer_for
from .messages import Address, FactsWanted, Message, ThreadAge, unpack
from .settings import ExchangeStart
from .threads import Mailbox, crash
from .venue import Upkeep, Venue

logger = logging.getLogger(__name__)


class UserData(Component):
    kind = "user-data"
    tick_s = MAINTENANCE_RETRY_S

    def started(self, body: bytes) -> None:
        self.start = unpack(body, ExchangeStart)
        self.venue = Venue(self.start)
        self.session: PrivateSession | None = None
        self._why_not = "it is being connected"
        self._ending = threading.Event()
        #: How the stream stands: the first thing that a new life of OrderState is told.
        self._state: StreamEvent = Disconnected(reason=self._why_not, time_ns=time.time_ns())
        self._asker = 0
        self._mail = Mailbox()
        self.watch_mailbox(self._mail, self._on_facts)
        self.facts = FactsSource(self.incarnation, self.send)
        self.start_worker("loader")
        self.upkeep = Upkeep(self.name, self.venue, self.worker, instruments=False)
        self.worker.submit(self._load)

    def thread_ages(self) -> tuple[ThreadAge, ...]:
        if self.session is None:
            return super().thread_ages()
        age_ns = time.monotonic_ns() - self.session.heartbeat_ns
        return (*super().thread_ages(), ThreadAge("private", age_ns, round(FEED_THREAD_SILENT_S_MAX * 1e9)))

    def tick(self, now: float) -> None:
        if self.session is not None:
            if self.session.refusal is not None:
                self.upkeep.doubt_clock()
            self.upkeep.tick(now)

    def stopping(self) -> None:
        self._ending.set()
        self.worker.stop(timeout_s=1.0)
        if self.session is not None and not self.session.stop(timeout_s=1.0):
            logger.warning("%s: the private stream's thread did not end in time", self.name)
            return  # its socket is still in use: the process's end closes it
        self.venue.close()

    def handle(self, message: Message, sender: Address) -> None:
        if not isinstance(message, FactsWanted):
            super().handle(message, sender)
            return
        if message.asker != self._asker:
            self._asker = message.asker
            self._add([self._state])
        else:
            self.facts.forget(message.after)
        self.facts.want(message, sender)

    # -- on the loader thread

    def _load(self) -> None:
        """Until there is a key and the venue's time; then the session begins."""
        wait_s = INSTRUMENTS_RETRY_FIRST_S
        while not self._ending.is_set():
            self.worker.beat()
            try:
                signer = signer_for(self.start)
                self.venue.measure_clock()
                break
            except ConnectorError as error:
                self._why_not = str(error)
                logger.warning("%s: %s; tried again in %g s", self.name, error, wait_s)
            self._ending.wait(wait_s)
            wait_s = min(wait_s * 2, INSTRUMENTS_RETRY_MAX_S)
        else:
            return
        session = PrivateSession(
            self.venue.driver,
            trading_for(self.start.exchange),
            self.venue.endpoints,
            lambda: Auth(signer, self.venue.clock.now_ms(), RECV_WINDOW_MS),
            self._mail.put,
            budget=self.venue.budget,
            on_failure=lambda error: crash(f"{self.name}'s private stream", error),
            name=f"private-{self.start.exchange}",
        )
        session.start()
        self.session = session

    # -- the main thread again

    def _on_facts(self, facts: Sequence[Fact]) -> None:
        for fact in facts:
            if isinstance(fact, Connected | Disconnected):
                self._state = fact
                logger.info("%s: %s", self.name, "connected" if isinstance(fact, Connected) else fact.reason)
        self._add(facts)

    def _add(self, facts: Sequence[Fact]) -> None:
        """Past what is kept (`FACTS_KEPT_MAX`) the oldest are lost, and OrderState sees that by the numbers."""
        for start in range(0, len(facts), FACTS_KEPT_MAX):
            self.facts.add(self.facts.next, [encode(fact) for fact in facts[start : start + FACTS_KEPT_MAX]])

    def status(self, arguments: Arguments) -> dict[str, Any]:
        session = self.session
        refusal = session.refusal if session is not None else None
        return super().status(arguments) | {
            "limits": self.venue.limits(),
            "stream": {
                "connected": session is not None and session.connected,
                "why_not": str(refusal) if refusal is not None else self._why_not if session is None else "",
                "counters": session.counters if session is not None else {},
            },
        }
