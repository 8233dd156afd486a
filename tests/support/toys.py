"""Toy actors under a real supervisor, in a system of their own: what the supervision tests kill, freeze and crash.

``python -m support.toys DIRECTORY STRATEGY RESTART SECRET`` (with tests/ on the path) runs the system until its stdin
closes; each line on stdin is ``CHILD OPERATION [VALUE]``, each line on stdout is a JSON document.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import sys
import threading
import time
from pathlib import Path
from typing import Any

from thespian_connector.actors import logs, process
from thespian_connector.actors.component import Arguments, Component, result_of
from thespian_connector.actors.messages import (
    Address,
    Announce,
    Context,
    Message,
    Reply,
    Request,
    Start,
    Started,
    ThreadAge,
    pack,
    unpack,
)
from thespian_connector.actors.policy import ChildSpec, Restart, Strategy, Timing
from thespian_connector.actors.supervisor import Supervisor
from thespian_connector.actors.threads import crash
from thespian_connector.model.errors import ConnectorError
from thespian_connector.system import hardening

TOY = f"{__name__}.Toy" if __name__ != "__main__" else "support.toys.Toy"


class Toy(Component):
    """Does to itself what it is told; appends each order to a file, so that one run twice is seen.

    `halve` and, on the worker, `halve-slowly` are commands of a component; they crash on what is no number.
    """

    tick_s = 0.05

    def started(self, body: bytes) -> None:
        self.orders = Path(unpack(body, str))
        self.ticks = 0
        self.stalled = False
        self.quick["halve"] = self.slow["halve-slowly"] = self.halve
        self.start_worker("worker")
        if self.orders.with_suffix(".hang-start").exists() and not self.orders.with_suffix(".hung").exists():
            self.orders.with_suffix(".hung").touch()
            time.sleep(3600)

    def tick(self, now: float) -> None:
        self.ticks += 1

    def thread_ages(self) -> tuple[ThreadAge, ...]:
        return (ThreadAge("work", 10, 5),) if self.stalled else ()

    def halve(self, arguments: Arguments) -> dict[str, Any]:
        return {"half": int(arguments["value"]) / 2, "pid": os.getpid()}

    def handle(self, message: Message, sender: Address) -> None:
        assert isinstance(message, Request)
        operation = message.operation
        if operation in (*self.quick, *self.slow):
            super().handle(message, sender)
            return
        with self.orders.open("a") as file:
            file.write(operation + "\n")
        self.orders.with_suffix(".ticks").write_text(str(self.ticks))
        if operation == "raise":
            raise RuntimeError("told to")
        if operation == "thread":
            threading.Thread(target=self._raise_in_thread).start()
        elif operation == "segv":
            ctypes.string_at(0)
        elif operation == "finish":
            self.finish()
        elif operation == "hang":
            time.sleep(3600)
        elif operation == "stall":
            self.stalled = True
        elif operation == "flood":
            for number in range(200):
                self.send(sender, Reply(0, str(number), True))
        self.send(sender, Reply(0, message.correlation, True, pack({"pid": os.getpid(), "ticks": self.ticks})))

    def _raise_in_thread(self) -> None:
        try:
            raise RuntimeError("told to, in a thread")
        except RuntimeError as error:
            crash("a thread", error)


class ToySupervisor(Supervisor):
    def begin(self, body: bytes) -> tuple[ChildSpec, ...]:
        directory, strategy, restart, patience_s, period_s = unpack(body, tuple[str, str, str, float, float])
        self.strategy = Strategy(strategy)  # type: ignore[misc]  # this one's only
        self.timing = Timing(  # type: ignore[misc]  # as above
            start_timeout_s=patience_s,
            probe_every_s=0.5,
            probe_timeout_s=patience_s,
            grace_s=patience_s,
            backoff_s=0.05,
            period_s=period_s,
        )
        self.table: dict[str, Announce] = {}
        self.states: dict[str, list[str]] = {}
        self.last: dict[str, Any] = {}
        return tuple(
            ChildSpec(name, TOY, pack(str(Path(directory) / name)), restart=Restart(restart))
            for name in ("a", "b", "c")
        )

    def announce(self, message: Announce) -> None:
        self.table[message.name] = message
        self.states.setdefault(message.name, []).append(message.state)

    def handle(self, message: Message, sender: Address) -> None:
        if isinstance(message, Request) and message.operation == "table":
            rows = {
                name: {
                    "state": one.state,
                    "states": self.states[name],
                    "pid": one.pid,
                    "incarnation": one.incarnation,
                    "restarts": one.restarts,
                }
                for name, one in self.table.items()
            }
            self.send(sender, Reply(0, message.correlation, True, pack(rows)))
        elif isinstance(message, Request) and message.operation == "last":
            self.send(sender, Reply(0, message.correlation, True, pack(self.last)))
            self.last = {}
        elif isinstance(message, Request):
            name, operation, *value = message.operation.split(" ")
            child = self.table[name]
            body = pack({"value": value[0]}) if value else b""
            # "stale" speaks to a life of that child that is over.
            target = child.incarnation - 1 if operation == "stale" else child.incarnation
            self.send(child.address, Request(target, message.correlation, operation, body))
        elif isinstance(message, Reply):
            try:
                self.last = {"answer": unpack(result_of(message) or b"\x80", dict[str, Any])}
            except ConnectorError as error:
                self.last = {"error": error.document()}
        else:
            super().handle(message, sender)


def main() -> None:
    directory, strategy, restart, patience_s, period_s, secret = sys.argv[1:]
    process.set_title("toys", "launcher")
    process.become_subreaper()
    logs.configure(Path(directory) / "log.jsonl", "INFO", stderr=False)
    os.environ["THESPLOG_FILE"] = str(Path(directory) / "thespian.log")
    hardening.install(bytes.fromhex(secret))

    from thespian.actors import ActorSystem

    from thespian_connector.system.generation import free_port

    port = free_port("127.0.0.1", 0)
    system = ActorSystem("multiprocTCPBase", {"Admin Port": port}, {"version": 1}, transientUnique=True)
    address = system.createActor("support.toys.ToySupervisor", globalName="supervisor")
    context = Context("toys", "local", directory, os.getpid())
    body = pack((directory, strategy, restart, float(patience_s), float(period_s)))
    started = system.ask(address, Start(1, "supervisor", 0, context, body), 60)
    assert isinstance(started, Started)
    say({"admin_port": port, "supervisor": started.pid, "pid": os.getpid()})
    while True:
        select.select([sys.stdin], [], [])
        line = sys.stdin.readline()
        if not line:
            return
        operation = line.strip()
        answer: Any = system.ask(address, Request(0, "x", operation), 60 if operation in ("table", "last") else 0.5)
        say(unpack(answer.body, dict) if isinstance(answer, Reply) else None)


def say(document: Any) -> None:
    print(json.dumps(document), flush=True)


if __name__ == "__main__":
    main()
