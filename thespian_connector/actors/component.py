"""A component that answers Root's requests: the answer, or the error of our own tree, travels back as bytes."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

from thespian_connector.model.errors import ConnectorError, Interrupted, Refused

from .base import BaseActor
from .messages import Address, Message, Reply, Request, ThreadAge, failure, pack, unpack
from .threads import Mailbox, Worker

#: What stands in a request: plain values.
Arguments = dict[str, Any]


def result_of(reply: Reply) -> bytes:
    """The body of a good answer.

    :raises ConnectorError: what the component answered instead.
    """
    if reply.ok:
        return reply.body
    error = pickle.loads(reply.body)  # noqa: S301 - part of a message whose signature was checked
    assert isinstance(error, ConnectorError)
    raise error


def unanswered(component: str, error: ConnectorError) -> ConnectorError:
    """A question that was not answered was not answered; of a command nobody knows whether it was carried out."""
    return Interrupted(error.message) if component.endswith("/order-command") else error


class Component(BaseActor):
    """Answers quick operations in the handler and slow ones from a worker thread.

    Subclasses fill `quick` and `slow` (operation -> function of the arguments, whose result is packed) in `started`.
    """

    #: Seconds that one job of the worker may take before the actor counts as hung.
    worker_limit_s = 60.0

    def __init__(self) -> None:
        super().__init__()
        self.quick: dict[str, Callable[[Arguments], Any]] = {"status": self.status}
        self.slow: dict[str, Callable[[Arguments], Any]] = {}
        self.worker: Worker

    def start_worker(self, name: str) -> None:
        self._answers = Mailbox()
        self.watch_mailbox(self._answers, self._send_answer)
        self.worker = Worker(name, self.worker_limit_s)
        self.worker.start()

    def status(self, arguments: Arguments) -> dict[str, Any]:
        """`threads`, and what the component has of `books`, `breakers`, `limits`."""
        del arguments
        return {"threads": self.thread_status()}

    def thread_status(self) -> list[dict[str, Any]]:
        return [{"name": one.name, "age_ms": one.age_ns // 1_000_000} for one in self.thread_ages()]

    def thread_ages(self) -> tuple[ThreadAge, ...]:
        return (self.worker.age(),)

    def handle(self, message: Message, sender: Address) -> None:
        if not isinstance(message, Request):
            super().handle(message, sender)
        elif message.operation in self.quick:
            self.send(sender, self._answer(self.quick[message.operation], message))
        elif message.operation in self.slow:
            self.submit(self.slow[message.operation], message, sender)
        else:
            error = Refused(f"{self.name} knows no operation {message.operation!r}")
            self.send(sender, failure(message.correlation, error, self.asker(message)))

    def submit(
        self, function: Callable[[Arguments], Any], request: Request, client: Address, worker: Worker | None = None
    ) -> None:
        """Runs `function` on the worker (the actor's first, unless another is named); what it returns, or the error of
        our tree that it raises, is the answer."""
        if not (worker or self.worker).submit(lambda: self._work(function, request, client)):
            self.too_many(request, client)

    def too_many(self, request: Request, client: Address) -> None:
        """Refuses what the worker has no room for."""
        error = Refused(f"{self.name} has too many requests waiting; ask again later")
        self.send(client, failure(request.correlation, error, self.asker(request)))

    def _work(self, function: Callable[[Arguments], Any], request: Request, client: Address) -> None:
        try:
            self._answers.put((client, self._answer(function, request)))
        except BaseException:
            self.crashes.note(request)  # the worker ends the process, and does not know for which command
            raise

    def _answer(self, function: Callable[[Arguments], Any], request: Request) -> Reply:
        asker = self.asker(request)
        try:
            result = function(unpack(request.body, Arguments) if request.body else {})
        except ConnectorError as error:
            return failure(request.correlation, error, asker)
        return Reply(asker, request.correlation, True, pack(result))

    def _send_answer(self, answer: tuple[Address, Reply]) -> None:
        self.send(*answer)
