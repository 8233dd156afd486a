"""A real supervisor over real processes: what is killed, frozen or crashed comes back, alone and once."""

from __future__ import annotations

import json
import os
import pickle
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.waiting import wait_until

from thespian_connector.actors import process
from thespian_connector.actors.status import listening
from thespian_connector.system.hardening import SignedPickle

TESTS = Path(__file__).parents[1]


class Toys:
    """The toy system as a subprocess; everything below it dies with it.

    `patience_s`: what a child may take to start, to answer, and to end, before it counts as hung.
    """

    def __init__(
        self, directory: Path, strategy: str, restart: str, patience_s: float = 60.0, period_s: float = 3.0
    ) -> None:
        self.directory = directory
        self.secret = secrets.token_bytes(32)
        words = [str(directory), strategy, restart, str(patience_s), str(period_s), self.secret.hex()]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "support.toys", *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=TESTS,
        )
        self.facts = self._read()

    def _read(self) -> Any:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "the toy system has ended"
        return json.loads(line)

    def order(self, text: str) -> Any:
        assert self.process.stdin is not None
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()
        return self._read()

    def table(self) -> dict[str, dict[str, Any]]:
        return self.order("table") or {}

    def running(self) -> dict[str, dict[str, Any]]:
        """The table once all three run."""

        def all_run() -> dict[str, dict[str, Any]]:
            table = self.table()
            up = len(table) == 3 and all(row["state"] == "running" for row in table.values())
            return table if up else {}

        return wait_until(all_run, 60, "all children run")

    def replaced(self, name: str, old: dict[str, Any], timeout_s: float = 60) -> float:
        """Seconds until another life of `name` runs."""
        begun = time.monotonic()

        def other_runs() -> bool:
            row = self.table()[name]
            return row["state"] == "running" and row["pid"] != old["pid"]

        wait_until(other_runs, timeout_s, f"{name} is replaced")
        return time.monotonic() - begun

    def end(self) -> list[int]:
        below = process.descendants(self.process.pid)
        self.process.kill()
        self.process.wait(60)
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            stream.close()
        return below


def alive(pid: int) -> bool:
    return os.path.exists(f"/proc/{pid}") and not process.is_zombie(pid)


@pytest.fixture
def toys(tmp_path: Path) -> Iterator[Callable[..., Toys]]:
    made: list[Toys] = []

    def make(strategy: str = "one_for_one", restart: str = "permanent", **timing: float) -> Toys:
        made.append(Toys(tmp_path, strategy, restart, **timing))
        return made[-1]

    yield make
    for one in made:
        below = one.end()
        wait_until(lambda below=below: not any(alive(pid) for pid in below), 60, "nothing of the toy system is left")


@pytest.mark.parametrize("how", ["raise", "thread", "segv", "kill", "term"])
def test_a_child_that_ends_is_replaced_alone(toys: Callable[..., Toys], how: str) -> None:
    system = toys()
    before = system.running()
    if how in ("kill", "term"):
        os.kill(before["a"]["pid"], signal.SIGKILL if how == "kill" else signal.SIGTERM)
    else:
        system.order(f"a {how}")
    took = system.replaced("a", before["a"])
    after = system.running()
    assert after["a"]["incarnation"] > before["a"]["incarnation"]
    assert after["a"]["restarts"] == 1
    assert [after[name]["pid"] for name in "bc"] == [before[name]["pid"] for name in "bc"]
    if how == "raise":
        assert (system.directory / "a").read_text() == "raise\n", "the handler ran once"
    print(f"{how}: replaced after {took:.2f} s")


@pytest.mark.parametrize("how", ["stop", "hang", "stall"])
def test_a_child_that_hangs_is_killed_and_replaced(toys: Callable[..., Toys], how: str) -> None:
    """Frozen by SIGSTOP, in an endless handler, with a thread that stands still."""
    system = toys(patience_s=2)
    before = system.running()
    if how == "stop":
        os.kill(before["b"]["pid"], signal.SIGSTOP)
    else:
        system.order(f"b {how}")
    took = system.replaced("b", before["b"])
    assert not alive(before["b"]["pid"])
    print(f"{how}: replaced after {took:.2f} s")


def test_a_start_that_hangs_is_found(toys: Callable[..., Toys], tmp_path: Path) -> None:
    (tmp_path / "c.hang-start").touch()
    system = toys(patience_s=3)
    assert system.running()["c"]["restarts"] >= 1


def test_a_frozen_supervisor_blames_nobody_when_it_thaws(toys: Callable[..., Toys]) -> None:
    system = toys(patience_s=5)
    before = system.running()
    os.kill(system.facts["supervisor"], signal.SIGSTOP)
    time.sleep(6)  # longer than the time to answer a probe: the point of the test
    os.kill(system.facts["supervisor"], signal.SIGCONT)
    time.sleep(1)
    after = system.running()
    assert {name: row["pid"] for name, row in after.items()} == {name: row["pid"] for name, row in before.items()}


def test_one_for_all_replaces_all(toys: Callable[..., Toys]) -> None:
    system = toys("one_for_all")
    before = system.running()
    os.kill(before["b"]["pid"], signal.SIGKILL)
    system.replaced("b", before["b"])
    after = system.running()
    assert all(after[name]["pid"] != before[name]["pid"] for name in "abc")


def test_rest_for_one_replaces_those_after_it(toys: Callable[..., Toys]) -> None:
    system = toys("rest_for_one")
    before = system.running()
    os.kill(before["b"]["pid"], signal.SIGKILL)
    system.replaced("b", before["b"])
    system.replaced("c", before["c"])
    after = system.running()
    assert after["a"]["pid"] == before["a"]["pid"]
    assert after["c"]["incarnation"] > after["b"]["incarnation"], "in the order in which they were named"
    assert not alive(before["c"]["pid"])


#: What a child with that restart kind becomes after it ended so.
AFTER_ITS_END = {
    ("permanent", "finish"): "running",
    ("permanent", "kill"): "running",
    ("transient", "finish"): "stopped",
    ("transient", "kill"): "running",
    ("temporary", "finish"): "stopped",
    ("temporary", "kill"): "stopped",
}


@pytest.mark.parametrize("restart", ["permanent", "transient", "temporary"])
def test_the_restart_kind_says_who_comes_back(toys: Callable[..., Toys], restart: str) -> None:
    system = toys(restart=restart)
    before = system.running()
    system.order("a finish")
    os.kill(before["b"]["pid"], signal.SIGKILL)
    wait_until(lambda: not alive(before["a"]["pid"]) and not alive(before["b"]["pid"]), 60, "both have ended")
    wanted = {"a": AFTER_ITS_END[restart, "finish"], "b": AFTER_ITS_END[restart, "kill"], "c": "running"}

    def states() -> dict[str, str]:
        return {name: row["state"] for name, row in system.table().items() if row["pid"] != before[name]["pid"]} | {
            name: row["state"] for name, row in system.table().items() if row["state"] == "stopped" or name == "c"
        }

    wait_until(lambda: states() == wanted, 60, f"{wanted}, but {states()}")
    time.sleep(0.5)  # who is to stay away stays away
    assert states() == wanted
    assert system.table()["c"]["pid"] == before["c"]["pid"]


def test_restarts_back_off_and_begin_anew_after_a_quiet_period(toys: Callable[..., Toys]) -> None:
    """Who is to wait is told to be restarting; who is not, to be starting, at once."""
    period_s = 6.0
    system = toys(period_s=period_s)
    system.running()
    waits, waited = [], []
    for quiet in (False, False, False, False, True):
        if quiet:
            time.sleep(period_s)
        old = system.table()["a"]
        os.kill(old["pid"], signal.SIGKILL)
        waits.append(system.replaced("a", old))
        waited.append("restarting" in system.table()["a"]["states"][len(old["states"]) :])
    assert waited == [False, True, True, True, False]
    assert waits[3] >= 0.2, "0, 0.05, 0.1, 0.2 s by the toys' timing"
    print("\nrestarts after", ", ".join(f"{wait:.2f}" for wait in waits), "s")


def test_a_message_for_another_life_is_dropped(toys: Callable[..., Toys]) -> None:
    system = toys()
    system.running()
    system.order("a stale")
    system.order("a ok")
    wait_until(lambda: (system.directory / "a").exists(), 60, "a hears what is for it")
    assert (system.directory / "a").read_text() == "ok\n"


def test_past_the_intensity_the_supervisor_ends_and_takes_its_children_along(toys: Callable[..., Toys]) -> None:
    system = toys(period_s=60)
    supervisor = system.facts["supervisor"]
    known: set[int] = set()

    def kill_a() -> bool:
        if not alive(supervisor):
            return True
        for pid in process.descendants(supervisor):
            known.add(pid)
        children = sorted(process.descendants(supervisor))
        if children:
            os.kill(children[-1], signal.SIGKILL)
        return False

    wait_until(kill_a, 60, "the supervisor gives up", every_s=0.1)
    wait_until(lambda: not any(alive(pid) for pid in known), 60, "its children are gone with it")


def test_ticks_survive_a_flood(toys: Callable[..., Toys]) -> None:
    """Thespian's own wakeups are lost while an actor sends more than it can; the timerfd is not."""
    system = toys()
    system.running()
    system.order("a flood")

    def ticks() -> int:
        system.order("a ok")
        return int((system.directory / "a.ticks").read_text())

    wait_until((system.directory / "a.ticks").exists, 60, "the flood was heard")
    first = ticks()
    wait_until(lambda: ticks() >= first + 5, 60, "it ticks on")


def exchange_bytes(port: int, data: bytes) -> bytes:
    """What the port answers to `data` until it closes or a second has passed."""
    answer = b""
    with socket.create_connection(("127.0.0.1", port), 60) as connection:
        connection.settimeout(1.0)
        try:
            connection.sendall(data)
            while chunk := connection.recv(4096):
                answer += chunk
        except (TimeoutError, ConnectionError):
            pass
    return answer


class Exploit:
    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (os.mkdir, (str(self._path),))


def test_a_stranger_runs_nothing_and_stops_nothing(toys: Callable[..., Toys], tmp_path: Path) -> None:
    system = toys()
    before = system.running()
    everyone = {pid: title(pid) for pid in (system.process.pid, *process.descendants(system.process.pid)) if alive(pid)}
    addresses = listening(list(everyone))
    assert len(addresses) >= 7, "admin, logger, launcher, supervisor and three children listen"
    assert all(address.startswith("127.0.0.1:") for address in addresses), addresses

    def framed(body: bytes) -> bytes:
        return b"%d>" % len(body) + body

    payload = Exploit(tmp_path / "ran")
    attacks = [
        framed(pickle.dumps(payload)),
        framed(bytes(32) + pickle.dumps(payload)),
        framed(SignedPickle(b"wrong").dumps(payload)),
        b"-5>x",
        b"1000000000000>" + b"x" * 100_000,
        b"\x00" * 100,
    ]
    for address in addresses:
        port = int(address.rpartition(":")[2])
        for attack in attacks:
            exchange_bytes(port, attack)
    assert not (tmp_path / "ran").exists()
    assert [name for pid, name in everyone.items() if not alive(pid)] == []
    assert system.running() == before

    signed = framed(SignedPickle(system.secret).dumps(payload))
    exchange_bytes(system.facts["admin_port"], signed)
    wait_until((tmp_path / "ran").exists, 60, "the same payload, signed, runs: the attacks above could have succeeded")


def test_the_logger_may_die(toys: Callable[..., Toys]) -> None:
    system = toys()
    before = system.running()
    [logger] = [pid for pid in process.descendants(system.process.pid) if title(pid).endswith(" logger")]
    os.kill(logger, signal.SIGKILL)
    wait_until(
        lambda: [
            pid for pid in process.descendants(system.process.pid) if title(pid).endswith(" logger") and pid != logger
        ],
        60,
        "another logger runs",
    )
    assert system.running() == before


def title(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").decode()
    except FileNotFoundError:
        return ""


# -- commands that crash their handler


def ask(system: Toys, order: str) -> dict[str, Any]:
    """The child's answer, or its error, in the end."""
    system.order(order)
    last: dict[str, Any] = wait_until(lambda: system.order("last"), 60, f"an answer to {order!r}")
    return last


def crashed(system: Toys, order: str) -> dict[str, Any]:
    """`order` ends its child; returns the row of the next life."""
    before = system.running()["a"]
    system.order(order)
    system.replaced("a", before)
    return system.running()["a"]


@pytest.mark.parametrize("operation", ["halve", "halve-slowly"], ids=["in the handler", "on the worker"])
def test_a_command_that_crashed_its_handler_twice_is_refused(toys: Callable[..., Toys], operation: str) -> None:
    system = toys()
    crashed(system, f"a {operation} x")
    assert ask(system, f"a {operation} 3")["answer"]["half"] == 1.5
    third = crashed(system, f"a {operation} x")
    for _ in range(2):
        error = ask(system, f"a {operation} x")["error"]
        assert (error["type"], error["retry"], error["outcome_known"]) == ("PoisonCommand", "never", True)
        assert error["message"].startswith(f'a refuses {operation} {{"value":"x"}}: it crashed its handler 2 times')
    assert ask(system, f"a {operation} 4")["answer"] == {"half": 2.0, "pid": third["pid"]}, "it lives on"
    assert ask(system, f"b {operation} 4")["answer"]["half"] == 2.0
    crashed(system, f"a {operation} y")  # another command is another: it has its two tries
    assert system.running()["a"]["restarts"] == 3


def test_an_actor_that_is_no_component_remembers_too(toys: Callable[..., Toys]) -> None:
    system = toys()
    crashed(system, "a raise")
    third = crashed(system, "a raise")
    assert ask(system, "a raise")["error"]["type"] == "PoisonCommand"
    assert system.running()["a"] == third
    assert (system.directory / "a").read_text() == "raise\nraise\n", "the third time the handler did not see it"
