"""One life of the actor system: Thespian's admin, Root and HostAgent, started and ended by the launcher."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

from thespian_connector.actors import process
from thespian_connector.actors.messages import Address, Context, Message, Start, Started, Stop, beat_file, pack
from thespian_connector.actors.settings import Settings
from thespian_connector.actors.supervisor import new_incarnation
from thespian_connector.limits import ADMIN_DEAF_S_MAX, TOP_SILENT_S_MAX, TOP_STOPPED_S_MAX
from thespian_connector.model.errors import ConfigError, ConnectorError

from . import hardening
from .runtime import Runtime
from .vigil import Beat, Knock, Vigil, Watch

logger = logging.getLogger(__name__)

ROOT = "thespian_connector.actors.root.Root"
HOST_AGENT = "thespian_connector.actors.host_agent.HostAgent"

_START_S_MAX = 10.0
#: What ends in order must do so within this; the rest is killed.
_STOP_S_MAX = 4.0
_KILL_S_MAX = 5.0
_ANSWER_S_MAX = 1.0
_POLL_S = 0.01


def free_port(bind: str, wanted: int) -> int:
    """`wanted`, or a free port when that is 0.

    :raises ConfigError: `bind` is not of this machine.
    :raises ConnectorError: somebody else listens there. (Thespian would try for 14 s and leave processes behind.)
    """
    with closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((bind, wanted))
            probe.listen(1)
        except OSError as error:
            if error.errno == errno.EADDRNOTAVAIL:
                raise ConfigError(
                    f"system.bind: {bind} is no address of this machine; take 127.0.0.1 or one of its own"
                ) from None
            raise ConnectorError(
                f"cannot listen on {bind}:{wanted}: {error.strerror}; set system.admin_port to a free port (0: any)"
            ) from None
        return int(probe.getsockname()[1])


class Generation:
    """Started by the constructor; `watched` are the pidfds whose end means the end of this generation."""

    def __init__(self, settings: Settings, runtime: Runtime, keep: set[int]) -> None:
        """:param keep: children of the launcher that are not of this system (the simulator).

        :raises ConnectorError: the system does not come up; nothing of it is left.
        """
        self._keep = keep
        self.watched: dict[str, int] = {}
        self.processes: dict[str, int] = {}
        self._bind = settings.system.bind
        self.port = free_port(settings.system.bind, settings.system.admin_port)
        try:
            self._boot(settings, runtime)
        except BaseException:
            self.destroy()
            raise

    def _boot(self, settings: Settings, runtime: Runtime) -> None:
        from thespian.actors import ActorSystem, ActorSystemException

        capabilities = {"Admin Port": self.port, "Process Startup Method": "fork"}
        log_definitions = {"version": 1, "disable_existing_loggers": False}
        try:
            self._system = ActorSystem("multiprocTCPBase", capabilities, log_definitions, transientUnique=True)
            self._hold("admin", self._find_admin())
            context = Context(settings.system.name, settings.system.host, str(runtime.path), os.getpid())
            self.root, self.root_incarnation = self._create(ROOT, "root", context, pack(settings))
            context = Context(
                settings.system.name,
                settings.system.host,
                str(runtime.path),
                os.getpid(),
                self.root,
                self.root_incarnation,
            )
            self._context = context
            self.host_agent_name = f"hostagent/{settings.system.host}"
            self._start_host_agent()
        except ActorSystemException as error:
            raise ConnectorError(f"Thespian's system does not start: {error}; see {runtime.thespian_log}") from error

    def _start_host_agent(self) -> None:
        created = self._create(HOST_AGENT, self.host_agent_name, self._context, b"")
        self._host_agent, self._host_agent_incarnation = created

    def restart_host_agent(self) -> None:
        """Ends what is left of HostAgent and everything below it, and starts another. Root's branch goes on.

        :raises ConnectorError: it does not come up.
        """
        from thespian.actors import ActorSystemException

        pidfd = self.watched.pop(self.host_agent_name)
        try:
            self._end_branch(pidfd)
        finally:
            process.close_fd(pidfd)
        del self.processes[self.host_agent_name]
        try:
            self._start_host_agent()
        except ActorSystemException as error:
            raise ConnectorError(f"Thespian does not start {self.host_agent_name}: {error}") from error

    def _end_branch(self, pidfd: int) -> None:
        process.kill(pidfd)
        deadline = time.monotonic() + _KILL_S_MAX
        while not process.has_exited(pidfd) or self._orphans():
            if time.monotonic() > deadline:
                raise ConnectorError(f"{self.host_agent_name}'s processes do not end although they were killed")
            for pid in self._orphans():
                process.signal_pid(pid, signal.SIGKILL)
            time.sleep(_POLL_S)

    def _orphans(self) -> list[int]:
        """Whose parent has died: they are children of the launcher, their subreaper, until they end too."""
        for _ in process.reap():
            pass
        ours = {*self._keep, self.processes["admin"]}
        return [pid for pid in process.children(os.getpid()) if pid not in ours]

    def _create(self, actor: str, name: str, context: Context, body: bytes) -> tuple[Address, int]:
        incarnation = new_incarnation()
        with _time_limit(_START_S_MAX, f"{name} was not created within {_START_S_MAX:g} s"):
            address = self._system.createActor(actor, globalName=f"{name} {incarnation}")
        answer = self.ask(address, Start(incarnation, name, 0, context, body), _START_S_MAX)
        if not isinstance(answer, Started):
            raise ConnectorError(f"{name} did not start within {_START_S_MAX:g} s; its log says why")
        if process.parents().get(answer.pid) != self.processes["admin"]:
            raise ConnectorError(f"{name} says that it is process {answer.pid}, which is no child of the admin")
        self._hold(name, answer.pid)
        return address, incarnation

    def ask(self, address: Address, message: Message, timeout_s: float) -> Any:
        return self._system.ask(address, message, timeout_s)

    @property
    def root_address(self) -> str:
        host, port = self.root.addressDetails.sockname
        return f"{host}:{port}"

    def _find_admin(self) -> int:
        for pid, parent in process.parents().items():
            if parent == os.getpid() and pid not in self._keep and not process.is_zombie(pid):
                return pid
        raise ConnectorError("Thespian's admin is not among the launcher's children")

    def _hold(self, name: str, pid: int) -> None:
        pidfd = process.open_pidfd(pid)
        if pidfd is None:
            raise ConnectorError(f"{name} ended as soon as it had started; its log says why")
        self.watched[name] = pidfd
        self.processes[name] = pid

    def vigil(self, others: Mapping[str, Callable[[], int | None]], *more: Watch) -> Vigil:
        """Over Root and HostAgent (they beat), the admin, Thespian's logger, and the launcher's other children."""
        agent = self.host_agent_name
        watches = [Watch(name, Beat(beat_file(self._context, name)), TOP_SILENT_S_MAX) for name in ("root", agent)]
        pids: dict[str, Callable[[], int | None]] = {
            name: partial(self.processes.get, name) for name in ("admin", "root", agent)
        }
        pids |= {"logger": self.logger_pid, **others}
        watches += [Watch(name, partial(_runs, pid_of), TOP_STOPPED_S_MAX) for name, pid_of in pids.items()]
        watches.append(Watch("admin", Knock((self._bind, self.port)), ADMIN_DEAF_S_MAX))
        return Vigil([*watches, *more])

    def logger_pid(self) -> int | None:
        """Thespian's logger is the one child of the admin that we did not create; the admin replaces one that dies."""
        ours = set(self.processes.values())
        return next((pid for pid in process.children(self.processes["admin"]) if pid not in ours), None)

    def keep(self, pid: int) -> None:
        """A further child of the launcher that is not of this system."""
        self._keep.add(pid)

    def stop(self) -> None:
        """Ends the exchanges in order (threads joined, sockets closed), then everything."""
        pidfd = self.watched.get(self.host_agent_name)
        if pidfd is not None and not process.has_exited(pidfd):
            self._system.ask(self._host_agent, Stop(self._host_agent_incarnation), _ANSWER_S_MAX)
            deadline = time.monotonic() + _STOP_S_MAX
            while not process.has_exited(pidfd) and time.monotonic() < deadline:
                time.sleep(_POLL_S)
        self.destroy()

    def destroy(self) -> None:
        """Kills every process below the launcher but those to keep, and returns when all have ended.

        :raises ConnectorError: one of them cannot be killed (it hangs in the kernel).
        """
        deadline = time.monotonic() + _KILL_S_MAX
        while True:
            for _ in process.reap():
                pass
            kept = set(self._keep)
            for pid in self._keep:
                kept.update(process.descendants(pid))
            left = [pid for pid in process.descendants(os.getpid()) if pid not in kept]
            if not left:
                break
            if time.monotonic() > deadline:
                raise ConnectorError(f"processes {left} do not end although they were killed")
            for pid in left:
                pidfd = process.open_pidfd(pid)
                if pidfd is not None:
                    process.kill(pidfd)
                    process.close_fd(pidfd)
            time.sleep(_POLL_S)
        for pidfd in self.watched.values():
            process.close_fd(pidfd)
        self.watched.clear()
        system = getattr(self, "_system", None)
        if system is not None:
            hardening.close_transport(system._systemBase.transport)  # shutdown() would ask an admin that is gone
            del self._system


@contextlib.contextmanager
def _time_limit(seconds: float, why: str) -> Iterator[None]:
    """Thespian waits up to 50 s for an admin that has died meanwhile. The launcher has one thread: an alarm ends it.

    :raises ConnectorError: `why`, when the block takes longer.
    """

    def ring(*_: object) -> None:
        raise ConnectorError(why)

    previous = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


def _runs(pid_of: Callable[[], int | None]) -> bool:
    pid = pid_of()
    return pid is None or not process.is_stopped(pid)


def log_path(settings: Settings, runtime: Runtime) -> Path:
    return Path(settings.system.log_file) if settings.system.log_file else runtime.log_file
