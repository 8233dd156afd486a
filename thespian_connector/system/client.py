"""A client of a running system: asks Root, one fresh private context and one correlation id a request."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from typing import Any, TypeVar

from thespian_connector.actors.component import result_of
from thespian_connector.actors.messages import Reply, Request, pack, unpack
from thespian_connector.model.errors import ConnectorError, DeadlineExceeded, NotRunning

from . import hardening
from .runtime import Runtime, SystemFile

T = TypeVar("T")

_PROBE_S_MAX = 1.0
#: How often a question that waits looks whether the life of the system that it was put to has ended.
_LOOK_S = 0.1
#: Thespian's secret and its patches are the process's, not the connection's: one system a process at a time.
_attach_lock = threading.Lock()
_attached: dict[str, Any] = {}


class Client:
    """Thread-safe. Follows the system through restarts of Root and of the whole of it.

    Attaching patches Thespian in this process (:mod:`.hardening`).
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def close(self) -> None:
        """Closes what this process holds open towards the system; the next question opens it again."""
        _detach(self._runtime.name)

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

    def ask(self, operation: str, arguments: dict[str, Any], kind: type[T], timeout_s: float = 5.0) -> T:
        """The answer to `operation`.

        :raises NotRunning: nobody is there to ask, or who was asked has ended: ask again.
        :raises DeadlineExceeded: no answer within `timeout_s`.
        :raises ConnectorError: what the component answered instead.
        """
        system = self.system
        self._probe(system)
        correlation = uuid.uuid4().hex
        request = Request(system.root_incarnation, correlation, operation, pack(arguments), timeout_s)
        try:
            reply = self._exchange(system, request, correlation, timeout_s)
        except ConnectorError:
            raise
        except Exception as error:  # Thespian raises several unrelated types for "nobody answers"
            raise self._lost(system.name) from error
        if reply is None:
            if self._runtime.launcher_pid() is None:
                raise self._lost(system.name)
            raise DeadlineExceeded(f"the system {system.name!r} did not answer {operation} within {timeout_s:g} s")
        return unpack(result_of(reply), kind)

    def _probe(self, system: SystemFile) -> None:
        """Thespian would start a daemon of its own where nobody listens."""
        try:
            socket.create_connection((system.bind, system.admin_port), _PROBE_S_MAX).close()
        except OSError:
            raise self._lost(system.name) from None

    def _lost(self, name: str) -> NotRunning:
        if self._runtime.launcher_pid() is None:
            return self._runtime.not_running()
        return NotRunning(f"the system {name!r} is starting or restarting; ask again in a moment")

    def _exchange(self, system: SystemFile, request: Request, correlation: str, timeout_s: float) -> Reply | None:
        from thespian.system.transport.TCPTransport import TCPTransport

        deadline = time.monotonic() + timeout_s
        with self._private(system) as context:
            root = TCPTransport.getAddressFromString(system.root)
            answer = context.ask(root, request, min(timeout_s, _LOOK_S))
            while not (isinstance(answer, Reply) and answer.correlation == correlation):
                left = deadline - time.monotonic()
                if left <= 0:
                    return None
                if answer is None:
                    self._check_life(system)
                answer = context.listen(min(left, _LOOK_S))
            return answer

    def _check_life(self, asked: SystemFile) -> None:
        """Thespian does not tell that who was asked has died: the launcher takes away or renews the system's file.

        :raises NotRunning: no answer will come.
        """
        if self.system.root_incarnation != asked.root_incarnation:
            raise self._lost(asked.name)

    @contextlib.contextmanager
    def _private(self, system: SystemFile) -> Iterator[Any]:
        """A context of its own, so that answers never reach another thread, or a later request."""
        context = _attach(system, self._runtime).external_clone()
        try:
            yield context
        finally:
            hardening.close_transport(context.transport)


def _attach(system: SystemFile, runtime: Runtime) -> Any:
    """The process's own end of this life of the system."""
    secret = runtime.read_secret()
    key = (os.getpid(), system.name, system.admin_port, secret)
    with _attach_lock:
        if _attached.get("key") == key:
            return _attached["base"]
        hardening.install(secret, system.bind)
        hardening.forbid_start()
        os.environ.setdefault("THESPLOG_FILE", str(runtime.thespian_log))
        from thespian.actors import ActorSystem

        attached = ActorSystem("multiprocTCPBase", {"Admin Port": system.admin_port}, transientUnique=True)._systemBase
        previous = _attached.get("base")
        _attached.update(key=key, base=attached)
        if previous is not None:
            hardening.close_transport(previous.transport)
        return attached


def _detach(name: str) -> None:
    with _attach_lock:
        if _attached and _attached["key"][1] == name:
            hardening.close_transport(_attached["base"].transport)
            _attached.clear()
