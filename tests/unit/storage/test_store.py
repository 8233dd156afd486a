"""Every store keeps what it said it kept, in order, for one writer; a damaged one is named and refused."""

from __future__ import annotations

import os
import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.waiting import wait_until

from thespian_connector.model.errors import ConfigError, Fenced, StoreError
from thespian_connector.storage import Durability, Entry, Store, open_store

STREAM = "commands/binance"


@pytest.fixture(params=["memory", "process", "power"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    url = "memory" if request.param == "memory" else f"sqlite:///{tmp_path}/state.db"
    durability = Durability.NONE if request.param == "memory" else Durability(request.param)
    one = open_store(url, durability)
    yield one
    one.close()


def test_entries_come_back_in_order(store: Store) -> None:
    journal = store.open(STREAM)
    assert journal.append([b"one", b"two"], 1) == 2
    assert journal.append([], 2) == 2
    assert journal.append([b"\x00\xff"], 3) == 3
    assert list(store.load(STREAM)) == [Entry(1, b"one"), Entry(2, b"two"), Entry(3, b"\x00\xff")]
    assert list(store.load(STREAM, after=2)) == [Entry(3, b"\x00\xff")]
    assert list(store.load("venue/binance")) == []


def test_a_stream_has_one_writer(store: Store) -> None:
    journal = store.open(STREAM)
    with pytest.raises(StoreError, match=STREAM):
        store.open(STREAM)
    store.open("venue/binance").close()
    journal.append([b"one"], 1)
    journal.close()
    again = store.open(STREAM)
    assert again.append([b"two"], 2) == 2


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.db"


def opened(path: Path) -> Store:
    return open_store(f"sqlite:///{path}", Durability.PROCESS)


@pytest.fixture
def written(path: Path) -> Path:
    store = opened(path)
    journal = store.open(STREAM)
    for number in range(200):
        journal.append([b"entry %d " % number * 50], number)
    journal.close()
    store.close()
    return path


def change(path: Path, statement: str) -> None:
    connection = sqlite3.connect(path)
    with connection:
        connection.execute(statement)
    connection.close()


def test_only_its_owner_may_read_it(written: Path) -> None:
    modes = {entry.name: stat.S_IMODE(entry.stat().st_mode) for entry in written.parent.iterdir()}
    assert set(modes.values()) == {0o600}, modes


def test_what_was_written_is_there_again(written: Path) -> None:
    assert [entry.sequence for entry in opened(written).load(STREAM)] == list(range(1, 201))


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda path: change(path, "update tc_entries set body = x'00' where sequence = 7"), "entry 7 is not what"),
        (lambda path: change(path, "delete from tc_entries where sequence = 7"), "lacks entry 7"),
        (lambda path: change(path, "update tc_entries set sequence = 500 where sequence = 200"), "lacks entry 200"),
        (lambda path: change(path, "update tc_meta set value = '99'"), "newer version .schema 99"),
        (lambda path: os.truncate(path, path.stat().st_size // 2 // 4096 * 4096), "damaged|malformed"),
        (lambda path: path.write_bytes(b"not a database at all, " * 400), "not a database"),
    ],
    ids=["changed", "missing", "moved", "newer", "torn", "foreign"],
)
def test_a_damaged_store_is_named_and_refused(written: Path, damage: Callable[[Path], object], says: str) -> None:
    damage(written)
    before = written.read_bytes()
    with pytest.raises(StoreError, match=says) as caught:
        list(opened(written).load(STREAM))
    assert str(written) in str(caught.value)
    assert written.read_bytes() == before, "nothing is dropped"


def test_a_writer_that_was_replaced_is_refused(path: Path) -> None:
    """Where no lock file can tell (another host): the epoch does."""
    store, other = opened(path), opened(path)
    journal = store.open(STREAM)
    journal.append([b"one"], 1)
    path.with_name("state.db.commands-binance.lock").unlink()  # as if it were held on another host
    replacement = other.open(STREAM)
    with pytest.raises(Fenced, match=STREAM):
        journal.append([b"late"], 2)
    assert replacement.append([b"two"], 3) == 2
    assert [entry.body for entry in store.load(STREAM)] == [b"one", b"two"]


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("nonsense", "no database"),
        ("postgresql+nodriver://user:s3cret@host/db", "no database"),
        ("sqlite:////nowhere/at/all/state.db", "cannot be opened"),
    ],
)
def test_a_url_that_names_nothing_usable(url: str, says: str) -> None:
    with pytest.raises((ConfigError, StoreError), match=says) as caught:
        open_store(url, Durability.PROCESS)
    assert "s3cret" not in str(caught.value)


def test_a_full_disk_is_told_and_nothing_is_half_written(path: Path) -> None:
    store = opened(path)
    journal = store.open(STREAM)
    journal.append([b"one"], 1)
    with journal._connection.begin():  # type: ignore[attr-defined]  # the limit is a connection's
        journal._connection.exec_driver_sql("PRAGMA max_page_count = 8")  # type: ignore[attr-defined]
    with pytest.raises(StoreError, match="full"):
        journal.append([b"x" * 100_000], 2)
    assert [entry.body for entry in store.load(STREAM)] == [b"one"]
    assert journal.append([b"two"], 3) == 2


WRITER = """
import sys
from thespian_connector.storage import Durability, open_store
store = open_store(f"sqlite:///{sys.argv[1]}", Durability.PROCESS)
journal = store.open("commands/binance")
number = 0
while True:
    number = journal.append([b"x" * 300] * 3, number)
    print(number, flush=True)
"""


def test_what_was_appended_survives_a_kill(path: Path) -> None:
    for _ in range(3):
        before = len(list(opened(path).load(STREAM)))
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True)
        assert writer.stdout is not None
        told = 0
        while told < before + 60:
            told = int(writer.stdout.readline())
        with pytest.raises(StoreError, match=f"process {writer.pid}"):
            opened(path).open(STREAM)
        writer.send_signal(signal.SIGKILL)
        told = max([told, *map(int, writer.stdout.read().split())])
        writer.wait()
        writer.stdout.close()
        kept = [entry.sequence for entry in opened(path).load(STREAM)]
        assert kept == list(range(1, len(kept) + 1))
        assert told <= len(kept) <= told + 3
        assert len(kept) % 3 == 0, "all of an append, or nothing"


def test_processes_that_start_together_make_one_database(path: Path) -> None:
    code = "import sys; from thespian_connector.storage import *; "
    code += "open_store(f'sqlite:///{sys.argv[1]}', Durability.PROCESS).open(sys.argv[2]).append([b'x'], 1)"
    writers = [subprocess.Popen([sys.executable, "-c", code, str(path), f"commands/{name}"]) for name in "abcd"]
    wait_until(lambda: all(writer.poll() is not None for writer in writers), 60, "all are done")
    assert [writer.returncode for writer in writers] == [0] * 4
    assert all(len(list(opened(path).load(f"commands/{name}"))) == 1 for name in "abcd")
