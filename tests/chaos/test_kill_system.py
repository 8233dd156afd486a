"""The top of the tree: what its death does to the rest, and that nothing is ever left behind."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator

import pytest
from support.system import System
from support.waiting import wait_until

from thespian_connector.actors import process
from thespian_connector.system.hardening import SignedPickle

#: No venue is needed here: nothing listens at these ports, and a system must run and report all the same.
UNREACHABLE = (
    "exchanges.binance.urls.rest=http://127.0.0.1:9",
    "exchanges.binance.urls.stream=ws://127.0.0.1:9",
    "exchanges.bybit.enabled=false",
)


@pytest.fixture
def system() -> Iterator[System]:
    with System(*UNREACHABLE) as one:
        yield one


def test_a_killed_launcher_takes_everything_along() -> None:
    """The simulator that it started, too."""
    with System() as system:
        system.start()
        names = {"launcher", "admin", "logger", "root", "registry", "hostagent/local", "simulator"}
        wait_until(lambda: settled(system, names), 60, "all of it is there")
        os.kill(system.pid("launcher"), signal.SIGKILL)
        took = system.gone(60)
        print(f"\nlauncher killed: nothing left after {took:.3f} s")
        assert system.sockets() == []
        kept = {"log.jsonl", "launcher.out", "thespian.log"}
        kept |= {f"state.db{end}" for end in ("", "-wal", "-shm", "-journal")}  # whatever it was about to write
        assert {entry.name for entry in system.runtime.iterdir()} <= kept
        assert system.run("status").returncode == 3
        system.start()
        assert system.run("stop").returncode == 0
        assert system.sockets() == []


@pytest.mark.parametrize("victim", ["admin", "root"])
def test_the_launcher_starts_everything_anew(system: System, victim: str) -> None:
    system.start()
    before = system.pids()
    begun = time.monotonic()
    os.kill(system.pid(victim), signal.SIGKILL)
    wanted = {"admin", "root", "hostagent/local", "exchange/binance/market-data/0"}

    def anew() -> bool:
        new = {name for pid, name in system.pids().items() if pid not in before}
        return wanted <= new and system.run("status").returncode == 0

    wait_until(anew, 60, "the system runs again")
    print(f"\n{victim} killed: answers again after {time.monotonic() - begun:.2f} s")
    after = system.pids()
    assert {name for pid, name in after.items() if pid in before} == {"launcher", "janitor"}
    assert system.json("status")["system"]["restarts"] == 1


def new_names(system: System, before: dict[int, str]) -> set[str]:
    return {name for pid, name in system.pids().items() if pid not in before}


class Spin:
    """A pickle that never ends being read."""

    def __reduce__(self) -> tuple[object, ...]:
        return (exec, ("while True: pass",))


def test_an_admin_that_spins_is_found(system: System) -> None:
    """It runs, and its kernel accepts connections: only the knock at its port tells."""
    system.start()
    before = system.pids()
    body = SignedPickle((system.runtime / "secret").read_bytes()).dumps(Spin())
    port = system.json("status")["system"]["admin_port"]
    with socket.create_connection(("127.0.0.1", port), 60) as connection:
        connection.sendall(b"%d>" % len(body) + body)
        begun = time.monotonic()
        wait_until(lambda: "admin" in new_names(system, before), 60, "another admin runs")
    wait_until(lambda: system.run("status").returncode == 0, 60, "the system answers again")
    print(f"\nadmin spins: answers again after {time.monotonic() - begun:.2f} s")
    assert "admin, which hung, has ended" in (system.runtime / "log.jsonl").read_text()


def settled(system: System, names: set[str]) -> bool:
    """All there, and each once: a process just forked bears its parent's title until it takes its own."""
    titles = sorted(system.pids().values())
    return names <= set(titles) and len(titles) == len(set(titles))


def test_a_supervisor_past_its_intensity_gives_up_and_its_parent_replaces_it(system: System) -> None:
    system.start()
    name, above = "exchange/binance/gateway", "exchange/binance"
    wait_until(lambda: settled(system, {name, above, f"{above}/market-data/0"}), 60, "the tree is there")
    before = {title: pid for pid, title in system.pids().items()}
    sibling = before[f"{above}/market-data/0"]
    killed: set[int] = set()
    waits: list[float] = []
    begun = time.monotonic()
    while os.path.exists(f"/proc/{before[above]}") and time.monotonic() - begun < 60:
        # As soon as it is forked: what its start takes does not count, so that six fit into the ten seconds (nearly)
        # anywhere; where they do not, it takes some more until six do.
        for pid in set(process.children(before[above])) - {sibling} - killed:
            waits.append(time.monotonic() - begun)
            begun = time.monotonic()
            os.kill(pid, signal.SIGKILL)
            killed.add(pid)
    assert not os.path.exists(f"/proc/{before[above]}"), f"it gives up, but not after {len(killed)}"
    assert len(killed) >= 6, "five restarts in ten seconds are allowed"
    print("\nrestarts after", ", ".join(f"{wait:.2f}" for wait in waits[1:]), "s")
    assert waits[-1] > 1.0, "they back off: 0, 0.2, 0.4, 0.8, 1.6 s"
    wait_until(lambda: settled(system, {name, above, f"{above}/market-data/0"}), 60, "HostAgent goes on")
    after = {title: pid for pid, title in system.pids().items()}
    changed = {title for title, pid in before.items() if after[title] != pid}
    assert changed == {title for title in before if title.startswith(above)}
    assert "gateway and its siblings ended 6 times in 10 s" in (system.runtime / "log.jsonl").read_text()


def test_past_the_limit_the_launcher_ends_and_says_why(system: System) -> None:
    launcher = system.foreground("--set", "system.log_level=ERROR")
    killed: set[int] = set()

    def another_root() -> int:
        """Once everything is there."""
        roots = {pid for pid, name in system.pids().items() if name == "root"} - killed
        return roots.pop() if roots and (system.runtime / "system.json").exists() else 0

    for _ in range(6):
        pid = wait_until(another_root, 60, "it runs")
        killed.add(pid)
        os.kill(pid, signal.SIGKILL)
    assert launcher.wait(60) == 1
    assert launcher.stderr is not None
    with launcher.stderr as stderr:
        last = stderr.read().strip().splitlines()[-1]
    assert "ended 6 times in 60 s" in last
    assert "root" in last
    assert not system.pids()
    assert system.sockets() == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_system_in_the_foreground_cleanly(system: System, number: signal.Signals) -> None:
    launcher = system.foreground()
    wait_until(lambda: "exchange/binance/gateway" in system.pids().values(), 60, "it runs")
    begun = time.monotonic()
    launcher.send_signal(number)
    assert launcher.wait(60) == 0
    print(f"\n{number.name}: ended after {time.monotonic() - begun:.2f} s")
    assert launcher.stderr is not None
    launcher.stderr.close()
    assert not system.pids()
    assert system.sockets() == []
    assert not (system.runtime / "secret").exists()
