"""A client of a running system: asks Root, or a component itself, with a correlation id of its own for each request."""

from __future__ import annotations

import os
import random
import threading
import time
import uuid
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from thespian_connector.actors import process
from thespian_connector.actors.component import result_of, unanswered
from thespian_connector.actors.messages import Reply, Request, pack, unpack
from thespian_connector.model.errors import Busy, ConnectorError, DeadlineExceeded, NotRunning, Refused

from . import contexts
from .runtime import Runtime, SystemFile

T = TypeVar("T")

#: How often a question that waits looks whether the life that it was put to has ended.
_LOOK_S = 0.1
#: How long to look for a component before Root is asked to pass a question on.
_FIND_S_MAX = 0.5
#: How long to wait before somebody who is busy is asked again, drawn between these.
_BUSY_S = (0.01, 0.06)


class _Place:
    """Where a component's present life is to be asked."""

    def __init__(self, system: SystemFile, component: str, address: str, incarnation: int, pid: int) -> None:
        """:raises ProcessLookupError: it has just ended."""
        self.component = component
        self.address = address
        self.incarnation = incarnation
        self._root_incarnation = system.root_incarnation
        self._pidfd = os.pidfd_open(pid)

    def __del__(self) -> None:
        """With the last question that waits for it."""
        if hasattr(self, "_pidfd"):
            os.close(self._pidfd)

    def lives(self, system: SystemFile) -> bool:
        return system.root_incarnation == self._root_incarnation and not process.has_exited(self._pidfd)

    def check(self) -> None:
        """:raises Interrupted, Refused: it has ended; no answer will come."""
        if process.has_exited(self._pidfd):
            raise unanswered(
                self.component, Refused(f"{self.component} ended while it worked on it; ask again in a moment")
            )


class Client:
    """Thread-safe. Follows the system through restarts of Root and of the whole of it.

    Attaching patches Thespian in this process (:mod:`.hardening`).
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._places: dict[str, _Place] = {}
        self._lock = threading.Lock()

    def close(self) -> None:
        """Closes what this process holds open towards the system; the next question opens it again."""
        with self._lock:
            self._places.clear()
        contexts.detach(self._runtime.name)

    @property
    def system(self) -> SystemFile:
        """:raises NotRunning: no such system, or it is just being started anew."""
        try:
            return self._runtime.read_system()
        except NotRunning:
            raise self._lost(self._runtime.name) from None

    @property
    def running(self) -> bool:
        """Whether anybody runs the system, or is about to."""
        return self._runtime.launcher_pid() is not None

    def ask(
        self,
        operation: str,
        arguments: dict[str, Any],
        kind: type[T],
        timeout_s: float = 5.0,
        *,
        component: str = "",
    ) -> T:
        """The answer to `operation`.

        :param component: who answers it. It is asked without Root in between, if it can be: that is quicker, and Root
            says why not when it cannot.
        :raises NotRunning: nobody is there to ask, or who was asked has ended: ask again.
        :raises Busy: too many others asked all the time.
        :raises DeadlineExceeded: no answer within `timeout_s`.
        :raises ConnectorError: what the component answered instead.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                return unpack(self._ask(operation, arguments, deadline, component), kind)
            except Busy:
                pause_s = random.uniform(*_BUSY_S)
                if time.monotonic() + pause_s >= deadline:
                    raise
            time.sleep(pause_s)

    def _ask(self, operation: str, arguments: dict[str, Any], deadline: float, component: str) -> bytes:
        """The body of one question's answer."""
        system = self.system
        timeout_s = max(0.0, deadline - time.monotonic())
        place = self._place(system, component, min(timeout_s, _FIND_S_MAX)) if component else None
        address, incarnation, check = system.root, system.root_incarnation, partial(self._check_life, system)
        if place is not None:
            address, incarnation, check = place.address, place.incarnation, partial(place.check)
        left_s = max(0.0, deadline - time.monotonic())
        request = Request(incarnation, uuid.uuid4().hex, operation, pack(arguments), left_s)
        try:
            reply = self._exchange(system, address, request, deadline, check)
        except ConnectorError:
            raise
        except Exception as error:  # Thespian raises several unrelated types for "nobody answers"
            raise self._lost(system.name) from error
        return result_of(reply)

    def _place(self, system: SystemFile, component: str, timeout_s: float) -> _Place | None:
        """None: it is not there, or not on this host."""
        with self._lock:
            known = self._places.get(component)
        if known is not None and known.lives(system):
            return known
        try:
            [row] = self.ask("resolve", {"pattern": component}, list[dict[str, Any]], timeout_s)
            if row["state"] != "running" or row["host"] != system.host:
                return None
            place = _Place(system, component, row["address"], row["incarnation"], row["pid"])
        except (ConnectorError, ValueError, ProcessLookupError):
            return None
        with self._lock:
            self._places[component] = place
        return place

    def _lost(self, name: str) -> NotRunning:
        if self._runtime.launcher_pid() is None:
            return self._runtime.not_running()
        return NotRunning(f"the system {name!r} is starting or restarting; ask again in a moment")

    def _exchange(
        self, system: SystemFile, address: str, request: Request, deadline: float, check: Callable[[], None]
    ) -> Reply:
        """`check` raises when no answer will come: Thespian does not tell that who was asked has died.

        :raises DeadlineExceeded: no answer in time.
        """
        from thespian.system.transport.TCPTransport import TCPTransport

        with contexts.private(system, self._runtime) as context:
            to = TCPTransport.getAddressFromString(address)
            answer = context.ask(to, request, min(request.timeout_s, _LOOK_S))
            while not (isinstance(answer, Reply) and answer.correlation == request.correlation):
                left_s = deadline - time.monotonic()
                if left_s <= 0:
                    if self._runtime.launcher_pid() is None:
                        raise self._lost(system.name)
                    raise DeadlineExceeded(
                        f"the system {system.name!r} did not answer {request.operation} within {request.timeout_s:g} s"
                    )
                if answer is None:
                    check()
                answer = context.listen(min(left_s, _LOOK_S))
            return answer

    def _check_life(self, asked: SystemFile) -> None:
        """The launcher takes away or renews the system's file, or has ended itself.

        :raises NotRunning: no answer will come.
        """
        if not self.running or self.system.root_incarnation != asked.root_incarnation:
            raise self._lost(asked.name)
