"""The shell around :mod:`.policy`: creates, watches, probes and kills real processes.

A supervisor has no threads and alone creates actors. It knows its children's pids from the system, not from the child,
and holds a pidfd on each: what Thespian reports (twice, or early, or never for a frozen child) is not needed.
"""

from __future__ import annotations

import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any, ClassVar

from . import process
from .base import BaseActor
from .messages import Address, Announce, Heard, Message, Probe, ProbeReply, Start, Started, Stop, Stopping
from .outbox import Outbox
from .policy import (
    Action,
    AllStopped,
    ChildSpec,
    Escalate,
    Kill,
    SendProbe,
    Spawn,
    State,
    Strategy,
    Supervision,
    Terminate,
    Timing,
)
from .threads import crash

logger = logging.getLogger(__name__)

_last_incarnation = 0


def new_incarnation() -> int:
    """Milliseconds since the epoch, and never the same twice from one supervisor: newer is larger."""
    global _last_incarnation  # noqa: PLW0603 - one counter a process
    _last_incarnation = max(_last_incarnation + 1, time.time_ns() // 1_000_000)
    return _last_incarnation


class Escalation(Exception):
    """More restarts than the intensity allows; the supervisor's own process ends with it."""


class Process:
    """One life of one child."""

    def __init__(self, handle: Any, address: Address, incarnation: int) -> None:
        self.address = address
        self.incarnation = incarnation
        self.started_ns = time.time_ns()
        self._handle = handle
        self.pid = int(handle.pid)
        self.pidfd = process.open_pidfd(self.pid)

    @property
    def ended_in_order(self) -> bool:
        """Only meaningful once it is gone; asking reaps it."""
        return bool(self._handle.exitcode == 0)


class Supervisor(BaseActor, ABC):
    """Subclasses say which children there are (`begin`) and where news of them go (`announce`)."""

    kind = "supervisor"
    tick_s = 1.0
    #: Between two ticks while a child comes or goes, or while somebody else is to be answered in time.
    busy_tick_s: ClassVar[float] = 0.1
    strategy: ClassVar[Strategy] = Strategy.ONE_FOR_ONE
    timing: ClassVar[Timing] = Timing()

    def __init__(self) -> None:
        super().__init__()
        self._processes: dict[str, Process] = {}
        self.news = Outbox()
        self.supervision: Supervision

    # -- for subclasses

    @abstractmethod
    def begin(self, body: bytes) -> tuple[ChildSpec, ...]:
        """The children to start with."""

    def announce(self, message: Announce) -> None:
        """Where an Announce goes: to Root, unless told otherwise."""
        self.send_news(self.news.put(message))

    def send_news(self, news: Iterable[Announce]) -> None:
        """What the peer's credit allows."""
        for message in news:
            if self.context.root is not None:
                self.send(self.context.root, message)

    def child_context(self) -> Any:
        return self.context

    def add_child(self, spec: ChildSpec) -> None:
        self._do(self.supervision.add(spec, time.monotonic()))

    def is_busy(self) -> bool:
        """Whether the next tick is needed soon."""
        return self.supervision.in_transition

    def child_ready(self, name: str, address: Address, incarnation: int) -> None:
        """A child answered its Start."""

    # -- BaseActor

    def started(self, body: bytes) -> None:
        self.supervision = Supervision(self.begin(body), self.strategy, self.timing)
        self._do(self.supervision.start(time.monotonic()))

    def tick(self, now: float) -> None:
        self._do(self.supervision.on_tick(now))

    def stop(self) -> None:
        self._do(self.supervision.stop(time.monotonic()))

    def handle(self, message: Message, sender: Address) -> None:
        if isinstance(message, Started):
            self._on_started(message, sender)
        elif isinstance(message, ProbeReply):
            name = self._name_of(message.source)
            if name is not None:
                now = time.monotonic()
                self._do(self.supervision.on_probe_reply(name, message.nonce, message.threads, now))
        elif isinstance(message, Heard):
            self.send_news(self.news.heard())
        elif not isinstance(message, Stopping):
            super().handle(message, sender)

    # -- mechanics

    def _name_of(self, incarnation: int) -> str | None:
        for name, child in self._processes.items():
            if child.incarnation == incarnation:
                return name
        return None  # a life that ended meanwhile

    def _on_started(self, message: Started, sender: Address) -> None:
        name = self._name_of(message.source)
        if name is None:
            return
        child = self._processes[name]
        child.address = sender
        self._do(self.supervision.on_started(name, time.monotonic()))
        self._announce(name)
        self.child_ready(name, sender, message.source)

    def _do(self, actions: list[Action]) -> None:
        for action in actions:
            match action:
                case Spawn(name):
                    self._spawn(self.supervision.children[name].spec)
                case Kill(name, reason):
                    logger.error("%s kills %s: %s", self.name, name, reason)
                    child = self._processes[name]
                    if child.pidfd is not None:
                        process.kill(child.pidfd)
                case Terminate(name):
                    child = self._processes[name]
                    self.send(child.address, Stop(child.incarnation))
                case SendProbe(name, nonce):
                    child = self._processes[name]
                    self.send(child.address, Probe(child.incarnation, nonce))
                case Escalate(reason):
                    crash(self.name, Escalation(reason))
                case AllStopped():
                    self.finish()
        self.set_pace()

    def set_pace(self) -> None:
        self.pace(self.busy_tick_s if self.is_busy() else self.tick_s)

    def _spawn(self, spec: ChildSpec) -> None:
        incarnation = new_incarnation()
        known = {info.childProc.pid for info in self._thespian_children()}
        address = self.createActor(spec.actor)
        created = [info for info in self._thespian_children() if info.childProc.pid not in known]
        if not created:
            raise RuntimeError(f"Thespian did not fork {spec.name}; its own log says why")
        child = self._processes[spec.name] = Process(created[0].childProc, address, incarnation)
        self.send(address, Start(incarnation, spec.name, self.incarnation, self.child_context(), spec.body))
        self._announce(spec.name)
        if child.pidfd is None:
            self._gone(spec.name, child)
        else:
            self.watch(child.pidfd, lambda: self._on_pidfd(spec.name, child))

    def _thespian_children(self) -> list[Any]:
        """Thespian's own list of the processes that this one forked: the only place that knows their pids."""
        return list(getattr(self._myRef, "_child_procs", []))

    def _on_pidfd(self, name: str, child: Process) -> None:
        if child.pidfd is not None and process.has_exited(child.pidfd):
            self.unwatch(child.pidfd)
            process.close_fd(child.pidfd)
            child.pidfd = None
            self._gone(name, child)

    def _gone(self, name: str, child: Process) -> None:
        in_order = child.ended_in_order
        level = logging.INFO if in_order else logging.ERROR
        logger.log(level, "%s (pid %d) is gone%s", name, child.pid, ", in order" if in_order else "")
        actions = self.supervision.on_gone(name, in_order, time.monotonic())
        self._announce(name)
        self._do(actions)

    def _announce(self, name: str) -> None:
        child, entry = self._processes[name], self.supervision.children[name]
        state = entry.state if entry.state is not State.ENDING else State.RUNNING
        self.announce(
            Announce(
                self.context.root_incarnation,
                name,
                entry.spec.actor.rpartition(".")[2],
                state.value,
                child.address if state is State.RUNNING else None,
                child.incarnation,
                child.pid,
                entry.restarts,
                child.started_ns,
                self.context.host,
                entry.spec.endpoint,
                entry.spec.symbols,
            )
        )
