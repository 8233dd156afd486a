"""A running system's door and log, as a stranger on the machine finds them."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import signal
import socket
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.paper import actors, lives
from support.system import System
from support.waiting import wait_until

from thespian_connector import Connector
from thespian_connector.actors import process
from thespian_connector.actors.status import listening
from thespian_connector.limits import OPEN_FILES_MAX
from thespian_connector.system.hardening import SignedPickle

UNREACHABLE = (
    "exchanges.binance.urls.rest=http://127.0.0.1:9",
    "exchanges.binance.urls.stream=ws://127.0.0.1:9",
    "exchanges.bybit.enabled=false",
)
#: Whatever holds an API key, in the environment of the launcher and so of all.
API_KEY = "k3y-0f-the-environment-never-to-be-seen"
CONNECTIONS = 1000
CLIENTS = 200


@pytest.fixture(scope="module")
def system() -> Iterator[System]:
    with System() as one:
        one.environment["BINANCE_API_KEY"] = API_KEY
        one.start("--wait", "live", "--timeout", "120")
        yield one


@pytest.fixture
def connector(system: System, monkeypatch: pytest.MonkeyPatch) -> Iterator[Connector]:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(system.directory))
    with Connector.attach(system.name) as one:
        yield one


class Exploit:
    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (os.mkdir, (str(self._path),))


def framed(body: bytes) -> bytes:
    return b"%d>" % len(body) + body


def say(port: int, data: bytes) -> None:
    """Until it is taken or refused; a large one is cut off on its way."""
    with socket.create_connection(("127.0.0.1", port), 60) as connection:
        connection.settimeout(0.5)
        with contextlib.suppress(TimeoutError, ConnectionError):
            connection.sendall(data)
            while connection.recv(4096):
                pass


def doors(system: System) -> dict[str, int]:
    """name -> the port of each process where Thespian listens: a child inherits its parent's listeners, too."""
    found: dict[str, int] = {}
    parents = process.parents()
    for pid, name in system.pids().items():
        if name not in ("simulator", "launcher", "janitor"):
            [address] = set(listening([pid])) - set(listening([parents[pid]]))
            found[name] = int(address.rpartition(":")[2])
    return found


def memory(pid: int) -> int:
    return next(
        int(line.split()[1]) * 1024
        for line in Path(f"/proc/{pid}/status").read_text().splitlines()
        if line.startswith("VmRSS")
    )


def test_a_stranger_runs_nothing_and_stops_nothing(system: System, connector: Connector, tmp_path: Path) -> None:
    before = {name: row["pid"] for name, row in actors(connector.status()).items()}
    ports = doors(system)
    assert ports["admin"] == connector.status()["system"]["admin_port"]
    assert {"root", "registry", "exchange/bybit/market-data/0"} <= set(ports)
    memories = {name: memory(pid) for name, pid in before.items()}
    payload = Exploit(tmp_path / "ran")
    attacks = [
        framed(pickle.dumps(payload)),
        framed(SignedPickle(b"another secret").dumps(payload)),
        framed(bytes(32) + pickle.dumps(payload)),
        b"-5>x",
        b"1073741824>" + b"x" * 4_000_000,
        b"99999999999999999999>x",
        b"GET / HTTP/1.1\r\n\r\n",
    ]
    for name in ("admin", "root", "registry", "exchange/bybit/market-data/0"):
        for attack in attacks:
            say(ports[name], attack)
    assert not (tmp_path / "ran").exists()
    status = connector.status()
    assert {name: row["pid"] for name, row in actors(status).items()} == before
    assert all(row["state"] == "running" for row in actors(status).values())
    grown = {name: memory(pid) - memories[name] for name, pid in before.items() if name in ports}
    assert max(grown.values()) < 64 * 1024 * 1024, grown

    secret = (system.runtime / "secret").read_bytes()
    signed = framed(SignedPickle(secret).dumps(payload))
    for name in ("admin", "registry"):
        say(ports[name], signed)
        wait_until((tmp_path / "ran").exists, 60, "the same payload, signed, runs: what was refused could have worked")
        (tmp_path / "ran").rmdir()
    wait_until(lambda: lives(connector), 60, "it goes on")


def at_work(connector: Connector) -> bool:
    """A book may be late on a busy machine, with or without strangers."""
    return lives(connector) and bool(connector.order_book("binance", "BTC/USDT", depth=1).bids)


@pytest.mark.parametrize("name", ["admin", "root", "exchange/binance/market-data/0"])
def test_a_thousand_connections_leave_it_at_work(system: System, connector: Connector, name: str) -> None:
    before = {row["name"]: row["pid"] for row in connector.status()["actors"]}
    port = doors(system)[name]
    times = []
    with contextlib.ExitStack() as stack:
        for number in range(CONNECTIONS):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", port), 60))
            if number % 2:
                connection.sendall(b"12")  # the beginning of a packet, and then nothing
        for _ in range(5):
            begun = time.monotonic()
            wait_until(lambda: at_work(connector), 60, "it answers, and all is LIVE")
            times.append(time.monotonic() - begun)
    print(
        f"\n{CONNECTIONS} connections to {name}: two answers in {min(times) * 1000:.0f} to {max(times) * 1000:.0f} ms"
    )
    assert {row["name"]: row["pid"] for row in connector.status()["actors"]} == before


@pytest.mark.parametrize("name", ["root", "admin"])
def test_clients_that_come_and_go_leave_no_connection_behind(system: System, connector: Connector, name: str) -> None:
    pid = actors(connector.status())[name]["pid"]

    def open_now() -> int:
        return len(os.listdir(f"/proc/{pid}/fd"))

    before = open_now()
    for _ in range(CLIENTS):
        with Connector.attach(system.name) as client:
            client.ping()
    wait_until(lambda: open_now() < before + CLIENTS // 10, 60, f"{name} has closed what is no longer used")


def test_the_limit_of_descriptors_is_raised_for_all(system: System) -> None:
    for pid in system.pids():
        for line in Path(f"/proc/{pid}/limits").read_text().splitlines():
            if line.startswith("Max open files"):
                soft, hard = line.split()[3:5]
    assert int(soft) == min(int(hard), OPEN_FILES_MAX)


def test_no_secret_is_to_be_seen(system: System) -> None:
    secret = (system.runtime / "secret").read_bytes()
    seen = json.dumps(system.json("status")) + system.run("status").stdout
    for path in system.runtime.iterdir():
        if path.is_file() and path.name != "secret":
            seen += path.read_bytes().decode(errors="replace")
    for pid in system.pids():
        seen += Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
    assert "status" in seen or "running" in seen
    for form in (API_KEY, secret.hex(), repr(secret)[2:-1], secret.decode(errors="replace")):
        assert form not in seen


def test_what_is_written_is_the_owners_alone(system: System) -> None:
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in system.runtime.iterdir()}
    assert {"log.jsonl", "secret", "system.json", "launcher.pid"} <= set(modes)
    assert {name: oct(mode) for name, mode in modes.items() if mode & 0o077} == {}


def test_all_processes_write_to_one_log(system: System) -> None:
    def silent() -> set[str]:
        lines = (system.runtime / "log.jsonl").read_text().rpartition("\n")[0].splitlines()
        names = set(system.pids().values()) - {"simulator", "admin", "logger", "janitor"}
        return names - {json.loads(line)["actor"] for line in lines}

    wait_until(lambda: not silent(), 60, f"each has written: {silent()}")


def six_or_more(addresses: list[str]) -> list[str]:
    return addresses if len(addresses) >= 6 else []


def test_it_listens_on_the_one_address_that_is_named() -> None:
    with System(*UNREACHABLE, "system.bind=127.0.0.2") as system:
        system.start()
        named = wait_until(lambda: six_or_more(listening(list(system.pids()))), 60, "its processes listen")
        assert all(address.startswith("127.0.0.2:") for address in named), named
        assert system.json("status")["system"]["name"] == system.name
        assert system.run("stop").returncode == 0


def test_people_read_stderr_and_programs_the_file(tmp_path: Path) -> None:
    (tmp_path / "tc.toml").write_text('[system]\nlogging = "mine.toml"\n[exchanges.binance]\n')
    (tmp_path / "mine.toml").write_text('[loggers."thespian_connector.actors.base"]\nlevel = "WARNING"\n')
    with System(*UNREACHABLE[:2], f"system.log_file={tmp_path}/elsewhere.jsonl", config=tmp_path / "tc.toml") as system:
        launcher = system.foreground()
        wait_until(lambda: "exchange/binance/gateway" in system.pids().values(), 60, "it runs")
        wait_until(lambda: "exchange/binance/gateway: " in (tmp_path / "elsewhere.jsonl").read_text(), 60, "it speaks")
        launcher.send_signal(signal.SIGTERM)
        assert launcher.stderr is not None
        with launcher.stderr as stderr:
            shown = stderr.read()
        assert launcher.wait(60) == 0
    assert stat.S_IMODE((tmp_path / "elsewhere.jsonl").stat().st_mode) == 0o600
    lines = [json.loads(line) for line in (tmp_path / "elsewhere.jsonl").read_text().splitlines()]
    line = next(line for line in lines if line["actor"] == "exchange/binance/gateway")
    assert line["level"] == "WARNING"
    readable = next(text for text in shown.splitlines() if line["message"] in text)
    assert " WARNING " in readable
    assert "exchange/binance/gateway:" in readable
    assert not any(line["logger"].endswith("actors.base") and line["level"] == "INFO" for line in lines), "laid over"


def test_the_kernel_names_every_process(system: System) -> None:
    for name, row in actors(system.json("status")).items():
        if name != "simulator":
            assert process.title(row["pid"]) == f"thespian-connector {system.name} {name}"
