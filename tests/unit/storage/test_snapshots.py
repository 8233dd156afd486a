"""A snapshot stands for entries: whole or not at all, found by name, never silently other than it was written."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from thespian_connector.model.errors import Fenced, StoreError
from thespian_connector.storage import Durability, Entry, Head, Journal, Page, Snapshot, Store, open_store

STREAM, OTHER = "venue/binance", "commands/binance"


@pytest.fixture(params=["memory", "process", "power"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    url = "memory" if request.param == "memory" else f"sqlite:///{tmp_path}/state.db"
    durability = Durability.NONE if request.param == "memory" else Durability(request.param)
    one = open_store(url, durability)
    yield one
    one.close()


@pytest.fixture
def journal(store: Store) -> Journal:
    return store.open(STREAM)


def page(key: str, *names: str, live: bool = False, group: str = "BTC/USDT", at: int = 1, body: bytes = b"") -> Page:
    return Page(key, names or (f"={key}",), live, group, at, at, body or key.encode(), b"shown " + key.encode())


def covering(*pages: Page, gone: tuple[str, ...] = (), **covers: int) -> Snapshot:
    return Snapshot({f"{name}/binance": number for name, number in covers.items()}, b"sum", pages, gone)


def test_the_newest_is_the_one_that_counts(store: Store, journal: Journal) -> None:
    assert store.head(STREAM) is None
    journal.snapshot(covering(venue=3, commands=4))
    journal.snapshot(Snapshot({STREAM: 7, OTHER: 9}, b"other"))
    assert store.head(STREAM) == Head({STREAM: 7, OTHER: 9}, b"other")
    assert store.head(OTHER) is None


def test_a_page_is_found_by_any_of_its_names(store: Store, journal: Journal) -> None:
    journal.snapshot(covering(page("a", "=a", "=a_1", "BTCUSDT=7"), page("b", live=True)))
    assert [store.page(STREAM, name) for name in ("=a", "=a_1", "BTCUSDT=7", "=b", "=c")] == [b"a"] * 3 + [b"b", None]
    assert store.page(OTHER, "=a") is None
    assert list(store.live(STREAM)) == [b"b"]


def test_a_later_page_takes_the_place_of_an_earlier_one_and_of_one_that_is_gone(store: Store, journal: Journal) -> None:
    journal.snapshot(covering(page("a", live=True), page("a_1", live=True), page("b")))
    journal.snapshot(covering(page("a", "=a", "=a_1", body=b"both"), gone=("a_1",)))
    assert [store.page(STREAM, name) for name in ("=a", "=a_1", "=b")] == [b"both", b"both", b"b"]
    assert list(store.live(STREAM)) == []
    assert sorted(store.newest(STREAM, (), 9)) == [b"shown a", b"shown b"]


def test_the_newest_pages_of_some_groups(store: Store, journal: Journal) -> None:
    pages = [page(f"{number}", at=number, group=("BTC", "ETH", "SOL")[number % 3]) for number in range(30)]
    journal.snapshot(covering(*pages, page("hidden", at=99)._replace(shown=b"")))
    assert set(store.newest(STREAM, (), 3)) >= {b"shown 29", b"shown 28"}
    assert set(store.newest(STREAM, ("BTC",), 2)) == {b"shown 27", b"shown 24"}
    assert set(store.newest(STREAM, ("BTC", "ETH", "BTC"), 2)) >= {b"shown 28", b"shown 27"}
    assert store.newest(STREAM, ("XRP",), 2) == []


def test_only_what_a_snapshot_stands_for_is_pruned_and_some_of_it_stays(store: Store, journal: Journal) -> None:
    commands = store.open(OTHER)
    journal.append([b"v%d" % number for number in range(1, 11)], 1)
    commands.append([b"c%d" % number for number in range(1, 11)], 1)
    assert journal.prune(2, 100) == 0, "nothing stands for them"
    journal.snapshot(covering(venue=6, commands=8))
    assert journal.prune(2, 3) == 3, "a little at a time"
    while journal.prune(2, 3):
        pass
    assert list(store.load(STREAM, 4)) == [Entry(number, b"v%d" % number) for number in range(5, 11)]
    assert list(store.load(OTHER, 6)) == [Entry(number, b"c%d" % number) for number in range(7, 11)]
    with pytest.raises(StoreError, match="lacks entry 1"):
        list(store.load(STREAM))


def test_a_stream_whose_entries_are_gone_goes_on_counting(store: Store, journal: Journal) -> None:
    journal.append([b"one", b"two"], 1)
    journal.snapshot(covering(venue=2))
    while journal.prune(0, 10):
        pass
    journal.close()
    assert store.open(STREAM).append([b"three"], 2) == 3
    assert list(store.load(STREAM, 2)) == [Entry(3, b"three")]


def test_entries_that_another_store_has_are_none_of_ours(store: Store, journal: Journal) -> None:
    """What lives in its writer is not with who reads it."""
    journal.append([b"one"], 1)
    journal.snapshot(covering(venue=1, commands=50))
    assert journal.prune(1, 9) == 0
    assert list(store.load(OTHER, 50)) == list(store.load(OTHER)) == []


def test_what_is_live_or_was_changed_lately_is_not_dropped(store: Store, journal: Journal) -> None:
    journal.snapshot(covering(page("old", at=1), page("open", at=1, live=True), page("new", at=9), page("older", at=0)))
    assert journal.drop(5, 1) == 1
    assert journal.drop(5, 9) == 1
    assert journal.drop(5, 9) == 0
    assert [store.page(STREAM, name) for name in ("=old", "=older", "=open", "=new")] == [None, None, b"open", b"new"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.db"


def opened(path: Path) -> Store:
    return open_store(f"sqlite:///{path}", Durability.PROCESS)


def change(path: Path, *statements: str) -> None:
    connection = sqlite3.connect(path)
    with connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()


@pytest.mark.parametrize(
    ("damage", "read", "says"),
    [
        ("update tc_snapshots set body = x'00'", lambda store: store.head(STREAM), "the snapshot of venue/binance is"),
        ("update tc_snapshots set covers = '{}'", lambda store: store.head(STREAM), "the snapshot of venue/binance is"),
        ("update tc_pages set body = x'00'", lambda store: store.page(STREAM, "=a"), "venue/binance a is not what"),
        ("update tc_pages set key = 'b'", lambda store: list(store.live(STREAM)), "venue/binance b is not what"),
        ("update tc_pages set shown = x'00'", lambda store: store.newest(STREAM, (), 1), "venue/binance a is not what"),
        ("delete from tc_snapshots", lambda store: list(store.load(STREAM)), "lacks entry 1"),
    ],
)
def test_a_damaged_snapshot_is_named_and_refused(
    path: Path, damage: str, read: Callable[[Store], object], says: str
) -> None:
    store = opened(path)
    journal = store.open(STREAM)
    journal.append([b"one", b"two"], 1)
    journal.snapshot(covering(page("a", live=True), venue=2))
    journal.prune(1, 9)
    journal.close()
    store.close()
    change(path, damage)
    with pytest.raises(StoreError, match=says) as caught:
        read(opened(path))
    assert str(path) in str(caught.value)


def test_a_writer_that_was_replaced_can_neither_keep_nor_remove(path: Path) -> None:
    store, other = opened(path), opened(path)
    journal = store.open(STREAM)
    journal.append([b"one", b"two"], 1)
    journal.snapshot(covering(page("a"), venue=2))
    path.with_name("state.db.venue-binance.lock").unlink()  # as if it were held on another host
    other.open(STREAM)
    for late in (
        lambda: journal.snapshot(covering(page("b"), venue=1)),
        lambda: journal.prune(1, 9),
        lambda: journal.drop(9, 9),
    ):
        with pytest.raises(Fenced, match=STREAM):
            late()
    assert (store.head(STREAM), store.page(STREAM, "=b")) == (Head({STREAM: 2}, b"sum"), None)
    assert len(list(store.load(STREAM))) == 2


def test_a_snapshot_that_does_not_fit_leaves_the_last_one(path: Path) -> None:
    store = opened(path)
    journal = store.open(STREAM)
    journal.snapshot(covering(page("a"), venue=1))
    with journal._connection.begin():  # type: ignore[attr-defined]  # the limit is a connection's
        journal._connection.exec_driver_sql("PRAGMA max_page_count = 30")  # type: ignore[attr-defined]
    with pytest.raises(StoreError, match="full"):
        journal.snapshot(covering(page("a", body=b"x" * 300_000), page("b"), venue=2))
    assert store.head(STREAM) == Head({STREAM: 1}, b"sum")
    assert [store.page(STREAM, name) for name in ("=a", "=b")] == [b"a", None]
    assert journal.append([b"one"], 1) == 1


def test_a_database_of_the_version_before_is_taken_over(path: Path) -> None:
    store = opened(path)
    store.open(STREAM).append([b"one", b"two"], 1)
    store.close()
    change(
        path,
        *(f"drop table {name}" for name in ("tc_snapshots", "tc_pages", "tc_page_names")),
        "update tc_meta set value = '1' where key = 'schema'",
    )
    again = opened(path)
    assert list(again.load(STREAM)) == [Entry(1, b"one"), Entry(2, b"two")]
    assert again.head(STREAM) is None
    path.with_name("state.db.venue-binance.lock").unlink()
    journal = again.open(STREAM)
    journal.snapshot(covering(page("a"), venue=2))
    assert (again.page(STREAM, "=a"), journal.append([b"three"], 2)) == (b"a", 3)
