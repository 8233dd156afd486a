"""Publisher and Subscriber over real sockets."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import pytest
import zmq
from support.bus_records import image, trade
from support.waiting import wait_until

from thespian_connector.bus import publisher as publisher_module
from thespian_connector.bus import subscriber as subscriber_module
from thespian_connector.bus.codec import BEAT, encode, pack
from thespian_connector.bus.context import close_socket, open_socket
from thespian_connector.bus.events import BusEvent, BusHeader, Marker
from thespian_connector.bus.publisher import Publisher
from thespian_connector.bus.subscriber import Subscriber
from thespian_connector.limits import BUS_SILENCE_NS
from thespian_connector.model import OrderBook, Trade, Trust
from thespian_connector.model.errors import ConfigError, Refused

BOOK, TRADES = "book|binance|BTC/USDT", "trade|binance|BTC/USDT"


@pytest.fixture
def directory() -> Iterator[Path]:
    """A short path: a socket's is limited to 107 characters."""
    path = Path(tempfile.mkdtemp(prefix="bus"))
    yield path
    shutil.rmtree(path)


class Clock:
    def __init__(self) -> None:
        self.now_ns = time.monotonic_ns()

    def __call__(self) -> int:
        return self.now_ns


def publisher_at(directory: Path, incarnation: int = 1, name: str = "feed") -> Publisher:
    return Publisher(f"ipc://{directory}/{name}", incarnation=incarnation, lock_path=directory / f"{name}.lock")


def serve(publisher: Publisher) -> None:
    publisher.poll()
    publisher.beat(time.monotonic_ns())


def connected(publisher: Publisher, *subscribers: Subscriber) -> None:
    """Subscriptions take a moment to arrive: beats prove that they have."""
    for subscriber in subscribers:
        before = subscriber.counters["received"]
        deadline = time.monotonic() + 60
        while subscriber.counters["received"] == before:
            assert time.monotonic() < deadline
            serve(publisher)
            assert not subscriber.poll(20)


def gather(
    publisher: Publisher, subscriber: Subscriber, enough: Callable[[list[BusEvent]], bool], timeout_s: float = 60
) -> list[BusEvent]:
    events: list[BusEvent] = []
    deadline = time.monotonic() + timeout_s
    while not enough(events):
        assert time.monotonic() < deadline, f"not enough: {len(events)} events, {events[-3:]}"
        serve(publisher)
        events += subscriber.poll(20)
    return events


def books(events: list[BusEvent]) -> list[OrderBook]:
    return [event.record for event in events if isinstance(event.record, OrderBook)]


def trades(events: list[BusEvent]) -> list[Trade]:
    return [event.record for event in events if isinstance(event.record, Trade)]


def markers(events: list[BusEvent]) -> list[Marker]:
    return [event.record for event in events if isinstance(event.record, Marker)]


def test_a_reader_gets_exact_records_with_their_numbers(directory: Path) -> None:
    with publisher_at(directory, 7) as publisher, Subscriber({"a": publisher.endpoint}, [BOOK, TRADES]) as reader:
        connected(publisher, reader)
        publisher.publish("book", "binance", "BTC/USDT", image(5))
        publisher.publish("trade", "binance", "BTC/USDT", trade(9))
        events = gather(publisher, reader, lambda found: len(found) >= 2)
    book, traded = events
    assert (book.kind, book.exchange, book.symbol, book.sequence, book.incarnation) == (
        "book",
        "binance",
        "BTC/USDT",
        1,
        7,
    )
    assert isinstance(book.record, OrderBook)
    assert book.record.update_id == 5
    assert book.record.bids[0] == (Decimal("60000.1"), Decimal("0.5"))
    assert traded.record == trade(9)


def test_the_last_value_goes_to_whoever_subscribes_later(directory: Path) -> None:
    with publisher_at(directory) as publisher:
        for update in range(1, 6):
            publisher.publish("book", "binance", "BTC/USDT", image(update))
        with Subscriber({"a": publisher.endpoint}, [BOOK]) as first:
            assert [b.update_id for b in books(gather(publisher, first, bool))] == [5]
            with Subscriber({"a": publisher.endpoint}, [BOOK]) as second:
                assert [b.update_id for b in books(gather(publisher, second, bool))] == [5]
            assert not first.poll(50), "a reader that has the value is not told again"
            first.subscribe("book|binance|")
            publisher.publish("book", "binance", "ETH/USDT", image(8, symbol="ETH/USDT"))
            assert [b.symbol for b in books(gather(publisher, first, bool))] == ["ETH/USDT"]


def test_a_topic_is_exact_unless_it_ends_as_a_prefix(directory: Path) -> None:
    with publisher_at(directory) as publisher, Subscriber({"a": publisher.endpoint}, ["book|x|BTC/USD"]) as reader:
        connected(publisher, reader)
        publisher.publish("book", "x", "BTC/USDT", image(1, exchange="x"))
        publisher.publish("book", "x", "BTC/USD", image(2, exchange="x", symbol="BTC/USD"))
        events = gather(publisher, reader, bool)
        assert [event.symbol for event in events] == ["BTC/USD"]


@pytest.mark.parametrize(("conflate", "given"), [(True, 1), (False, 300)])
def test_a_busy_reader_finds_the_newest_book_or_each_if_it_wants(directory: Path, conflate: bool, given: int) -> None:
    with (
        publisher_at(directory) as publisher,
        Subscriber({"a": publisher.endpoint}, [BOOK], conflate=conflate) as reader,
    ):
        connected(publisher, reader)
        for update in range(1, 301):
            publisher.publish("book", "binance", "BTC/USDT", image(update))
        found: list[OrderBook] = []
        deadline = time.monotonic() + 60
        while not found or found[-1].update_id < 300:
            assert time.monotonic() < deadline
            time.sleep(0.05)  # the reader is busy
            found += books(reader.poll(0))
        assert found[-1].update_id == 300
        assert len(found) <= 20 if conflate else len(found) == given
        assert reader.counters["conflated"] + len(found) == 300


def test_every_trade_comes_in_order(directory: Path) -> None:
    with publisher_at(directory) as publisher, Subscriber({"a": publisher.endpoint}, [TRADES]) as reader:
        connected(publisher, reader)
        found: list[Trade] = []
        for number in range(3000):
            publisher.publish("trade", "binance", "BTC/USDT", trade(number))
            if number % 500 == 0:
                found += trades(reader.poll(0))
        found += trades(gather(publisher, reader, lambda events: len(trades(events)) + len(found) == 3000))
        assert [int(t.trade_id) for t in found] == list(range(3000))
        assert reader.counters["missed"] == 0


def test_a_slow_reader_costs_itself_only_and_learns_what_it_missed(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with publisher_at(directory) as publisher, Subscriber({"a": publisher.endpoint}, [TRADES]) as quick:
        monkeypatch.setattr(subscriber_module, "BUS_MESSAGES_QUEUED_MAX", 10)
        with Subscriber({"a": publisher.endpoint}, [TRADES]) as slow:
            connected(publisher, quick, slow)
            found: list[BusEvent] = []
            total = 40_000
            for number in range(total):
                publisher.publish("trade", "binance", "BTC/USDT", trade(number, note="x" * 900))
                if number % 200 == 0:
                    found += quick.poll(0)
            found += gather(publisher, quick, lambda events: len(trades(events)) + len(trades(found)) == total)
            assert quick.counters["missed"] == 0
            late = gather(
                publisher, slow, lambda events: len(trades(events)) + sum(m.missed for m in markers(events)) == total
            )
            assert 0 < len(trades(late)) < total
            assert "missed" in {m.what for m in markers(late)}


def test_a_reader_behind_the_beat_asks_for_the_last_book(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publisher_module, "BUS_MESSAGES_QUEUED_MAX", 10)
    monkeypatch.setattr(subscriber_module, "BUS_MESSAGES_QUEUED_MAX", 10)
    with publisher_at(directory) as publisher, Subscriber({"a": publisher.endpoint}, [BOOK]) as reader:
        connected(publisher, reader)
        for update in range(1, 5001):
            publisher.publish("book", "binance", "BTC/USDT", image(update, levels=100))
        events = gather(publisher, reader, lambda found: bool(books(found)) and books(found)[-1].update_id == 5000)
        assert reader.counters["asked"] >= 1
        assert reader.counters["received"] < 5000
        assert books(events)[-1].trust is Trust.LIVE


def test_a_silent_publisher_makes_its_books_stale_until_it_is_heard_again(directory: Path) -> None:
    clock = Clock()
    with (
        publisher_at(directory) as publisher,
        Subscriber({"a": publisher.endpoint}, [BOOK, TRADES], monotonic_ns=clock) as reader,
    ):
        connected(publisher, reader)
        publisher.publish("book", "binance", "BTC/USDT", image(1))
        assert books(gather(publisher, reader, bool))[-1].trust is Trust.LIVE
        clock.now_ns += BUS_SILENCE_NS + 1
        events = reader.poll(0)
        assert [m.what for m in markers(events)] == ["stale"]
        assert [b.trust for b in books(events)] == [Trust.STALE]
        publisher.publish("book", "binance", "BTC/USDT", image(2))
        deadline = time.monotonic() + 60
        while not (events := reader.poll(20)):
            assert time.monotonic() < deadline
        assert [(b.update_id, b.trust) for b in books(events)] == [(2, Trust.STALE)], "no beat, no trust"
        events = gather(publisher, reader, bool)
        assert [m.what for m in markers(events)] == ["live"]
        assert [(b.update_id, b.trust) for b in books(events)] == [(2, Trust.LIVE)]


def test_a_publisher_without_news_is_believed_again_when_it_beats_again(directory: Path) -> None:
    """The beats before and after its silence are the same, letter by letter."""
    clock = Clock()
    with (
        publisher_at(directory) as publisher,
        Subscriber({"a": publisher.endpoint}, [BOOK], monotonic_ns=clock) as reader,
    ):
        connected(publisher, reader)
        publisher.publish("book", "binance", "BTC/USDT", image(1))
        assert books(gather(publisher, reader, bool))[-1].trust is Trust.LIVE
        for _ in range(2):
            connected(publisher, reader)
        clock.now_ns += BUS_SILENCE_NS + 1
        assert [b.trust for b in books(reader.poll(0))] == [Trust.STALE]
        assert [b.trust for b in books(gather(publisher, reader, bool))] == [Trust.LIVE]


def test_a_publisher_that_restarts_at_the_same_place_is_told(directory: Path) -> None:
    with Subscriber({"a": f"ipc://{directory}/feed"}, [BOOK, TRADES]) as reader:
        with publisher_at(directory, 1) as old:
            connected(old, reader)
            old.publish("book", "binance", "BTC/USDT", image(10))
            old.publish("trade", "binance", "BTC/USDT", trade(1))
            gather(old, reader, lambda found: bool(books(found) and trades(found)))
        with publisher_at(directory, 2) as new:
            new.publish("book", "binance", "BTC/USDT", image(3))
            events = gather(new, reader, lambda found: any(b.trust is Trust.LIVE for b in books(found)))
            assert {m.channel for m in markers(events) if m.what == "restarted"} == {"book", "trade"}
            assert [(b.update_id, b.trust) for b in books(events)] == [(10, Trust.STALE), (3, Trust.LIVE)]
            assert next(e for e in events if isinstance(e.record, OrderBook)).incarnation == 1
            assert events[-1].incarnation == 2


def test_two_publishers_cannot_share_an_endpoint(directory: Path) -> None:
    with publisher_at(directory), pytest.raises(Refused, match="another process publishes here"):
        publisher_at(directory)
    publisher_at(directory).close()


def test_a_directory_that_others_may_write_to_is_refused(directory: Path) -> None:
    open_to_all = directory / "open"
    open_to_all.mkdir()
    open_to_all.chmod(0o777)
    with pytest.raises(ConfigError, match="0700"):
        publisher_at(open_to_all)
    made = directory / "made"
    publisher_at(made).close()
    assert made.stat().st_mode & 0o777 == 0o700


HOLD = """
import sys, time
from pathlib import Path
from thespian_connector.bus.publisher import Publisher
directory = Path(sys.argv[1])
publisher = Publisher(f"ipc://{directory}/feed", incarnation=1, lock_path=directory / "feed.lock")
print("ready", flush=True)
while True:
    publisher.poll()
    publisher.beat(time.monotonic_ns())
    time.sleep(0.02)
"""


def test_a_killed_publishers_place_is_free_and_its_readers_go_on(directory: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(directory)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        with pytest.raises(Refused):
            publisher_at(directory, 2)
        with Subscriber({"a": f"ipc://{directory}/feed"}, [BOOK]) as reader:
            deadline = time.monotonic() + 60
            while not reader.counters["received"]:
                assert time.monotonic() < deadline
                reader.poll(20)
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            with publisher_at(directory, 2) as publisher:
                publisher.publish("book", "binance", "BTC/USDT", image(1))
                assert books(gather(publisher, reader, lambda found: bool(books(found))))[-1].update_id == 1
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def test_what_is_no_message_of_ours_is_counted_and_harms_nothing(directory: Path) -> None:
    socket = open_socket(zmq.PUB)
    try:
        socket.bind(f"ipc://{directory}/feed")
        with Subscriber({"a": f"ipc://{directory}/feed"}, [""]) as reader:
            head = BusHeader(1, 1, 0)
            garbage = [
                b"",
                b"no header",
                BOOK.encode() + b"\0" + b"\xff" * 23,
                pack(BOOK.encode(), head, b"\xc1"),
                pack(b"no topic", head, b""),
                pack(b"\xff|x|y", head, b""),
                pack(b"bogus|x|y", head, encode(image(1))),
                pack(BEAT, head, b"\x93"),
                pack(TRADES.encode(), head, encode({"price": "abc"})),
            ]
            deadline = time.monotonic() + 60
            while reader.counters["malformed"] < len(garbage):
                assert time.monotonic() < deadline
                for message in garbage:
                    socket.send(message)
                assert not reader.poll(20)
            socket.send(pack(BOOK.encode(), BusHeader(1, 10_000, 0), encode(image(4))))
            while not (events := reader.poll(20)):
                assert time.monotonic() < deadline
            assert [b.update_id for b in books(events)] == [4]
    finally:
        close_socket(socket)


FORK = """
import os, sys, time
from pathlib import Path
from thespian_connector.bus.publisher import Publisher
from thespian_connector.bus.subscriber import Subscriber
directory = Path(sys.argv[1])
reader = Subscriber({"a": f"ipc://{directory}/feed"}, [""])
pid = os.fork()
if pid == 0:
    publisher = Publisher(f"ipc://{directory}/feed", incarnation=1, lock_path=directory / "feed.lock")
    while os.getppid() != 1 and not (directory / "done").exists():
        publisher.poll()
        publisher.beat(time.monotonic_ns())
        time.sleep(0.02)
    publisher.close()
    os._exit(0)
deadline = time.monotonic() + 60
while not reader.counters["received"] and time.monotonic() < deadline:
    reader.poll(20)
(directory / "done").touch()
assert os.waitpid(pid, 0)[1] == 0
assert reader.counters["received"]
reader.close()
"""


def test_a_forked_child_has_a_context_of_its_own(directory: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORK, str(directory)], timeout=60, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_closing_leaves_no_socket_file_and_no_thread(directory: Path) -> None:
    threads = len(os.listdir("/proc/self/task"))
    descriptors = len(os.listdir("/proc/self/fd"))
    publisher = publisher_at(directory)
    reader = Subscriber({"a": publisher.endpoint}, [""])
    assert reader.descriptors()
    reader.close()
    publisher.close()
    publisher.close()
    reader.close()
    assert [path.name for path in directory.iterdir()] == ["feed.lock"]
    wait_until(lambda: len(os.listdir("/proc/self/task")) <= threads, 60, "no thread is left")
    assert len(os.listdir("/proc/self/fd")) <= descriptors


def test_a_removed_publishers_topics_are_stale(directory: Path) -> None:
    with (
        publisher_at(directory) as publisher,
        publisher_at(directory, name="other") as other,
        Subscriber({"a": publisher.endpoint}, [BOOK]) as reader,
    ):
        publisher.publish("book", "binance", "BTC/USDT", image(1))
        gather(publisher, reader, bool)
        reader.add("a", publisher.endpoint)
        assert not reader.poll(0)
        reader.add("a", other.endpoint)
        assert reader.endpoints == {"a": other.endpoint}
        events = reader.poll(0)
        assert [m.what for m in markers(events)] == ["stale"]
        assert [b.trust for b in books(events)] == [Trust.STALE]
        reader.remove("no such")
