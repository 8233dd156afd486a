"""A client of a running system: asks Root, or at a component's door, with a correlation id for each request."""

from __future__ import annotations

import random
import time
import uuid
from typing import Any, TypeVar

from msgspec.structs import replace

from thespian_connector.actors.component import result_of
from thespian_connector.actors.messages import Reply, Request, pack, unpack
from thespian_connector.model.errors import Busy, ConnectorError, DeadlineExceeded, NotRunning

from . import contexts
from .doors import Doors
from .runtime import Runtime, SystemFile

T = TypeVar("T")

#: How often a question that waits looks whether the life that it was put to has ended.
_LOOK_S = 0.1
#: How long to wait before somebody who is busy is asked again, drawn between these.
_BUSY_S = (0.01, 0.06)


class Client:
    """Thread-safe. Follows the system through restarts of Root and of the whole of it.

    Attaching patches Thespian in this process (:mod:`.hardening`).
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._doors = Doors(runtime.path)

    def close(self) -> None:
        """Closes what this process holds open towards the system; the next question opens it again."""
        self._doors.close()
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

        :param component: who answers it, if it has a door: it is asked there when it can be, which is quicker, else
            through Root, who says why not.
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
        timeout_s = max(0.0, deadline - time.monotonic())
        request = Request(0, uuid.uuid4().hex, operation, pack(arguments), timeout_s)
        reply = self._doors.ask(component, request, deadline) if component else None
        if reply is None:
            reply = self._ask_root(replace(request, target=self.system.root_incarnation), deadline)
        return result_of(reply)

    def _ask_root(self, request: Request, deadline: float) -> Reply:
        system = self.system
        try:
            return self._exchange(system, request, deadline)
        except ConnectorError:
            raise
        except Exception as error:  # Thespian raises several unrelated types for "nobody answers"
            raise self._lost(system.name) from error

    def _lost(self, name: str) -> NotRunning:
        if self._runtime.launcher_pid() is None:
            return self._runtime.not_running()
        return NotRunning(f"the system {name!r} is starting or restarting; ask again in a moment")

    def _exchange(self, system: SystemFile, request: Request, deadline: float) -> Reply:
        """:raises DeadlineExceeded: no answer in time."""
        from thespian.system.transport.TCPTransport import TCPTransport

        with contexts.private(system, self._runtime) as context:
            root = TCPTransport.getAddressFromString(system.root)
            answer = context.ask(root, request, min(request.timeout_s, _LOOK_S))
            while not (isinstance(answer, Reply) and answer.correlation == request.correlation):
                left_s = deadline - time.monotonic()
                if left_s <= 0:
                    if not self.running:
                        raise self._lost(system.name)
                    raise DeadlineExceeded(
                        f"the system {system.name!r} did not answer {request.operation} within {request.timeout_s:g} s"
                    )
                if answer is None:
                    self._check_life(system)
                answer = context.listen(min(left_s, _LOOK_S))
            return answer

    def _check_life(self, asked: SystemFile) -> None:
        """Thespian does not tell that who was asked has died: the launcher takes away or renews the system's file, or
        has ended itself.

        :raises NotRunning: no answer will come.
        """
        if not self.running or self.system.root_incarnation != asked.root_incarnation:
            raise self._lost(asked.name)
