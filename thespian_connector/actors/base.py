"""The base of every actor: crash instead of continuing, tick without Thespian's wakeups, answer probes.

Thespian runs a handler *again* with the same message after an exception (an order could go out twice), and forgets the
watched descriptors when a handler returns nothing. So `receiveMessage` here never raises and always returns the watch;
what a handler did not expect is logged and ends the process, and its supervisor decides.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from typing import Any, ClassVar

from thespian.actors import Actor, ActorExitRequest, ChildActorExited, ThespianWatch, WatchMessage

from . import logs, process
from .messages import (
    Address,
    Context,
    Message,
    Probe,
    ProbeReply,
    Request,
    Start,
    Started,
    Stop,
    Stopping,
    ThreadAge,
    beat_file,
    failure,
)
from .nudge import Nudge
from .poison import CrashMemory, crash_file
from .threads import Mailbox, crash

logger = logging.getLogger(__name__)


class BaseActor(Actor):  # type: ignore[misc]  # Thespian has no types
    """A shell: subclasses say what happens in `started`, `handle`, `tick`, `stopping`.

    `__init__` does process hygiene only. Work begins with the Start message, so that a hung start is found.
    """

    #: What `status` calls it.
    kind: ClassVar[str] = "actor"
    #: Seconds between two `tick` calls, as long as :meth:`pace` does not say otherwise; 0: none. A tick costs a turn of
    #: Thespian's loop, a fifth of a millisecond and more: many in a second are what an idle system consists of.
    tick_s: ClassVar[float] = 0.0
    #: An actor without a parent of ours ends itself when the launcher has gone, and beats (at its ticks) for it.
    watches_launcher: ClassVar[bool] = False

    def __init__(self) -> None:
        super().__init__()
        process.die_with_parent()
        process.default_fatal_signals()
        logs.reclaim(type(self).__name__)
        self.incarnation = 0
        self.name = type(self).__name__
        self.context: Context
        self.crashes: CrashMemory
        self.parent: Address = None
        self.parent_incarnation = 0
        self.started_ns = time.time_ns()
        self._watched: dict[int, Callable[[], None]] = {}

    # -- what subclasses fill in

    def started(self, body: bytes) -> None:
        """The settings are here: begin. Nothing in it may block."""

    def handle(self, message: Message, sender: Address) -> None:
        """A message for this incarnation that the base does not answer itself."""
        logger.warning("%s ignores a %s from %s", self.name, message, sender)

    def child_exited(self, address: Address) -> None:
        """Thespian says that a child ended; it may say so twice, and while the process still runs."""

    def tick(self, now: float) -> None:
        """Every `tick_s`, or as :meth:`pace` says; `now` is monotonic seconds."""

    def thread_ages(self) -> tuple[ThreadAge, ...]:
        """How long ago each thread last showed that it lives."""
        return ()

    def stopping(self) -> None:
        """Join threads, close sockets; the process ends when it returns."""

    # -- what subclasses use

    def watch(self, fd: int, on_readable: Callable[[], None]) -> None:
        """Calls `on_readable` in the main thread whenever `fd` is readable; sometimes when it is not."""
        self._watched[fd] = on_readable

    def unwatch(self, fd: int) -> None:
        """To be called before `fd` is closed: Thespian must not find its number reused."""
        self._watched.pop(fd, None)

    def watch_mailbox(self, mailbox: Mailbox, on_item: Callable[[Any], None]) -> None:
        def drain() -> None:
            for item in mailbox.take():
                on_item(item)

        self.watch(mailbox.fd, drain)

    def asker(self, request: Request) -> int:
        """The incarnation that the answer is for."""
        return request.asker or self.context.root_incarnation

    def pace(self, every_s: float) -> None:
        """Ticks come so often from now on. Only for an actor that ticks at all, and has started."""
        self._ticker.pace(every_s)

    def finish(self) -> None:
        """Ends this process in order, once what was sent has left."""
        self.send(self.myAddress, ActorExitRequest(recursive=False))

    def stop(self) -> None:
        """The Stop message; a supervisor ends its children first."""
        self.finish()

    # -- the mechanics

    def receiveMessage(self, message: Any, sender: Address) -> Any:
        try:
            self._dispatch(message, sender)
        except BaseException as error:  # noqa: BLE001 - Thespian would run the handler again: see the module
            if isinstance(message, Request):
                self.crashes.note(message)
            crash(f"{self.name}'s handler of {type(message).__name__}", error)
        return ThespianWatch(list(self._watched))

    def _dispatch(self, message: Any, sender: Address) -> None:
        if isinstance(message, WatchMessage):
            for fd in message.ready:
                if fd in self._watched:  # an earlier one in this loop may have unwatched it
                    self._watched[fd]()
        elif isinstance(message, Message):
            self._own_message(message, sender)
        elif isinstance(message, ChildActorExited):
            self.child_exited(message.childAddress)
        elif isinstance(message, ActorExitRequest):
            self.stopping()
        else:
            logger.debug("%s ignores a %s", self.name, type(message).__name__)

    def _own_message(self, message: Message, sender: Address) -> None:
        if isinstance(message, Start):
            if self.incarnation == 0:
                self._begin(message, sender)
            return
        if message.target not in (0, self.incarnation) or self.incarnation == 0:
            logger.info("%s drops a %s for incarnation %d", self.name, message, message.target)
        elif isinstance(message, Probe):
            self.send(sender, ProbeReply(self.parent_incarnation, self.incarnation, message.nonce, self.thread_ages()))
        elif isinstance(message, Stop):
            self.send(sender, Stopping(self.parent_incarnation))
            self.stop()
        elif isinstance(message, Request) and (refusal := self.crashes.refusal(self.name, message)) is not None:
            self.send(sender, failure(message.correlation, refusal, self.asker(message)))
        else:
            self.handle(message, sender)

    def _begin(self, message: Start, sender: Address) -> None:
        self.incarnation = message.target
        self.name = message.name
        self.context = message.context
        self.parent = sender
        self.parent_incarnation = message.parent_incarnation
        logs.reclaim(self.name)
        self.crashes = CrashMemory(crash_file(self.context, self.name))
        process.set_title(self.context.system, self.name)
        if self.watches_launcher:
            self._watch_launcher()
        nudge = Nudge(self.context.launcher_pid)
        if self.tick_s:
            ticker = self._ticker = process.Ticker(self.tick_s)

            def on_tick() -> None:
                if ticker.read():
                    now = time.monotonic()
                    if self.watches_launcher:
                        beat_file(self.context, self.name).touch()
                        nudge.look(now)
                    self.tick(now)

            self.watch(ticker.fd, on_tick)
        self.started(message.body)
        self.send(sender, Started(self.parent_incarnation, self.incarnation, os.getpid()))
        logger.info("%s started, incarnation %d", self.name, self.incarnation)

    def _watch_launcher(self) -> None:
        pidfd = process.open_pidfd(self.context.launcher_pid)
        if pidfd is None:
            os._exit(process.EXIT_ORPHANED)

        def gone() -> None:
            if process.has_exited(pidfd):
                os._exit(process.EXIT_ORPHANED)

        self.watch(pidfd, gone)
