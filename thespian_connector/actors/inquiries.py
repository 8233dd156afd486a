"""OrderState's questions on their way to Gateway and back."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from thespian_connector.limits import INQUIRY_S_MAX, INSTRUMENTS_REFRESH_S, MAINTENANCE_RETRY_S
from thespian_connector.model import Instrument
from thespian_connector.model.errors import ConnectorError
from thespian_connector.orders.survey import Answer, Question

from .component import result_of
from .messages import Address, Announce, Reply, Request, pack, unpack


class _Asked(NamedTuple):
    #: None: the instruments were asked for.
    question: Question | None
    deadline: float


class Taken(NamedTuple):
    """What a reply says: an answer to `question`, or the `error` instead; or the instruments."""

    question: Question | None = None
    answer: Answer | None = None
    error: ConnectorError | None = None
    instruments: list[Instrument] | None = None


class Inquiries:
    """Of the main thread.

    :param asker: our incarnation.
    :param send: (to, message) as an actor does.
    """

    def __init__(self, asker: int, send: Callable[[Address, Request], None]) -> None:
        self._asker = asker
        self._send = send
        self._gateway: Announce | None = None
        self._asked: dict[str, _Asked] = {}
        self._count = 0
        self._offset_ns = 0
        self._instruments_due = 0.0

    def now_ns(self) -> int:
        """The venue's time, as of Gateway's last answer; until there is one, ours."""
        return time.time_ns() + self._offset_ns

    @property
    def ready(self) -> bool:
        """Somebody is there to ask."""
        return self._gateway is not None

    def gateway(self, announced: Announce | None) -> list[Question]:
        """Who Gateway is now. Returns what another life of it will never answer."""
        before = self._gateway
        self._gateway = announced if announced is not None and announced.address is not None else None
        if before is None or (self._gateway is not None and self._gateway.incarnation == before.incarnation):
            return []
        lost = [one.question for one in self._asked.values()]
        if None in lost:
            self._instruments_due = 0.0
        self._asked.clear()
        return [question for question in lost if question is not None]

    def overdue(self, now: float) -> list[Question]:
        """Questions that nobody answered in time."""
        over = {name: one for name, one in self._asked.items() if now > one.deadline}
        for name in over:
            del self._asked[name]
        return [one.question for one in over.values() if one.question is not None]

    def ask(self, question: Question, now: float) -> None:
        self._put(question, question.operation, pack(question.arguments), now)

    def instruments(self, now: float) -> None:
        """If it is time for them."""
        if now >= self._instruments_due:
            self._instruments_due = now + INQUIRY_S_MAX
            self._put(None, "instruments", b"", now)

    def _put(self, question: Question | None, operation: str, body: bytes, now: float) -> None:
        assert self._gateway is not None, "somebody is there to ask"
        self._count += 1
        correlation = f"{self._asker} {self._count}"
        self._asked[correlation] = _Asked(question, now + INQUIRY_S_MAX)
        request = Request(
            self._gateway.incarnation, correlation, operation, body, timeout_s=INQUIRY_S_MAX, asker=self._asker
        )
        self._send(self._gateway.address, request)

    def answered(self, reply: Reply) -> Taken:
        asked = self._asked.pop(reply.correlation, None)
        if asked is None:
            return Taken()  # of a question that was given up
        try:
            body = result_of(reply)
            if asked.question is None:
                self._instruments_due = time.monotonic() + INSTRUMENTS_REFRESH_S
                return Taken(instruments=unpack(body, list[Instrument]))
            answer = unpack(body, Answer)
        except ConnectorError as error:
            if asked.question is None:
                self._instruments_due = time.monotonic() + MAINTENANCE_RETRY_S
            return Taken(question=asked.question, error=error)
        except msgspec.ValidationError as error:
            raise AssertionError(f"Gateway answers what it was asked: {error}") from error
        self._offset_ns = answer.now_ns - time.time_ns()
        return Taken(question=asked.question, answer=answer)
