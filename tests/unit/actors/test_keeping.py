"""What is kept of orders: a start reads that, nobody counts anything twice, and ids stay known."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import pytest
from support.feeds import instrument
from support.orders import (
    NATIVE,
    SYMBOL,
    answered,
    cancel_intended,
    executed,
    fill,
    intended,
    new_order,
    report,
    reported,
)
from support.waiting import wait_until

from thespian_connector import limits
from thespian_connector.actors.keeping import Keeping, KeptOrders, commands_stream, read_commands, venue_stream
from thespian_connector.model import Order, OrderStatus
from thespian_connector.model.errors import DuplicateClientOrderId, StoreError
from thespian_connector.net.commands import Commands
from thespian_connector.net.journal import JournalThread
from thespian_connector.orders.codec import decode, encode
from thespian_connector.orders.desk import Desk
from thespian_connector.orders.events import Event, Operation, PlaceIntended, VenueEvent
from thespian_connector.orders.ledger import Ledger
from thespian_connector.orders.positions import Market
from thespian_connector.storage import Durability, Journal, Snapshot, Store, open_store

EXCHANGE = "binance"
DAY_NS = 86_400 * 1_000_000_000
VENUE, COMMANDS = venue_stream(EXCHANGE), commands_stream(EXCHANGE)
MARKET = Market(SYMBOL, "BTC", "USDT")


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A snapshot after few facts; nearly nothing ended stays in memory, and no entry that a snapshot stands for."""
    monkeypatch.setattr(limits, "SNAPSHOT_FACTS", 10)
    monkeypatch.setattr(limits, "SNAPSHOT_FACTS_READ", 20)
    monkeypatch.setattr(limits, "ENDED_IN_MEMORY_MAX", 5)
    monkeypatch.setattr(limits, "ENTRIES_KEPT", 1)
    monkeypatch.setattr(limits, "FILLS_UNSUMMED_S", 0.0)


class Streams:
    """Both journals of one exchange."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.venue, self.commands = store.open(VENUE), store.open(COMMANDS)

    def append(self, *events: Event) -> None:
        for event in events:
            journal = self.venue if isinstance(event, VenueEvent) else self.commands
            journal.append([encode(event)], 1)

    def read(self, journal: Journal | None = None, now_ns: int = 0) -> tuple[Desk, Keeping]:
        """A new life of OrderState."""
        desk = Desk(EXCHANGE, lambda told, of: of.quote, KeptOrders(self.store, EXCHANGE))
        desk.learn([instrument(EXCHANGE, SYMBOL)])
        keeping = Keeping(self.store, EXCHANGE, 7 * DAY_NS, now_ns)
        keeping.read(desk, journal or self.venue, lambda: None)
        return desk, keeping

    def ledger(self) -> tuple[Ledger, int]:
        """A new life of OrderCommand."""
        keep = KeptOrders(self.store, EXCHANGE)
        ledger, recovery, last = read_commands(
            self.store, EXCHANGE, lambda: Ledger(EXCHANGE, lambda _: MARKET, keep, counts=False), lambda: None
        )
        self.unanswered = recovery.unanswered
        return ledger, last


@pytest.fixture
def streams(tmp_path: Path) -> Iterator[Streams]:
    store = open_store(f"sqlite:///{tmp_path}/state.db", Durability.PROCESS)
    yield Streams(store)
    store.close()


def bought(name: str, number: int, at: int = 4) -> list[Event]:
    """An order, from the intent to its end."""
    one = fill(name, number, "2", "100", at=at, fee="0.1")
    filled = report(name, OrderStatus.FILLED, "2", at=at, fills=(one,))
    return [intended(name, at=at), answered(name, report(name, at=at)), reported(filled, at=at)]


def many(count: int) -> list[Event]:
    return [event for number in range(count) for event in bought(f"o{number}", number)]


def test_what_ended_is_not_in_memory_and_is_told_all_the_same(streams: Streams) -> None:
    streams.append(*many(100), intended("open"), answered("open", report("open")))
    streams.read()
    desk, _ = streams.read()
    assert len(desk.ledger) <= 2 * limits.ENDED_IN_MEMORY_MAX
    assert [one.client_order_id for one in desk.orders(open_only=True, symbol=None, most=9)] == ["open"]
    told = desk.orders(open_only=False, symbol=SYMBOL, most=200)
    assert {one.client_order_id for one in told} == {"open", *(f"o{number}" for number in range(100))}
    [position] = desk.positions({})
    assert (position.quantity, position.avg_cost) == (Decimal(200), Decimal(100))
    assert position.fees == {"USDT": Decimal(10)}
    head = streams.store.head(VENUE)
    assert head is not None
    for stream, until in head.covers.items():
        assert len(list(streams.store.load(stream, until - 1))) < limits.SNAPSHOT_FACTS_READ
        with pytest.raises(StoreError, match=f"lacks entry {until - 1}"):
            list(streams.store.load(stream, until - 2))


def test_what_is_not_kept_as_it_is_is_not_forgotten(streams: Streams) -> None:
    streams.append(*many(50))
    streams.read()
    desk, _ = streams.read()
    late = [executed(fill(f"o{number}", 1000 + number, "0.5", at=9), at=9) for number in range(20)]
    streams.append(*late)
    desk.fold(late)
    desk.forget()
    assert desk.positions({})[0].quantity == 110
    assert [desk.order(f"o{number}").filled for number in range(20)] == [Decimal("2.5")] * 20
    again, _ = streams.read()
    assert again.positions({}) == desk.positions({})
    assert [again.order(f"o{number}") for number in range(20)] == [desk.order(f"o{number}") for number in range(20)]


def test_an_execution_that_is_told_again_is_not_counted_again(streams: Streams) -> None:
    streams.append(*many(50))
    streams.read()
    desk, _ = streams.read()
    again = fill("o3", 3, "2", "100", fee="0.1")
    assert desk.ledger.leg("o3") is not None
    assert desk.sift([executed(again), reported(report("o4", OrderStatus.FILLED, "2", at=4))]) == []
    news = desk.fold([executed(fill("o5", 5, "2", "100", fee="0.1", client_order_id=""), at=4)])
    assert not any(news)
    assert desk.positions({})[0].quantity == 100


def test_a_late_fee_corrects_a_fill_that_is_part_of_a_sum(streams: Streams) -> None:
    told = [event for number in range(30) for event in bought(f"o{number}", number)]
    unnamed = fill("x", 99, "1", "100", at=1, fee="0.5", fee_asset="")
    streams.append(intended("x", quantity="1"), executed(unnamed), *told)
    streams.read()
    desk, _ = streams.read()
    before = desk.positions({})[0]
    named = fill("x", 99, "1", "100", at=1, fee="0.5", fee_asset="BTC")
    desk.fold(desk.sift([executed(named)]))
    after = desk.positions({})[0]
    assert before.quantity - after.quantity == Decimal("0.5"), "that much was never received"
    assert after.fees == {"USDT": Decimal(3), "BTC": Decimal("0.5")}


def test_a_fill_that_is_older_than_the_sum_is_counted_all_the_same(streams: Streams) -> None:
    streams.append(*[event for number in range(30) for event in bought(f"o{number}", number, at=1000 + number)])
    streams.read()
    desk, _ = streams.read()
    late = fill("late", 77, "3", "50", at=900)
    for _ in range(2):
        desk.fold([executed(late)])
    assert desk.positions({})[0].quantity == 63


def test_a_kill_between_a_snapshot_and_what_it_removes_changes_nothing(streams: Streams) -> None:
    """Entries that the snapshot stands for are still there; and each snapshot may be the last of its life."""
    told = many(40)

    class Killed(Exception):
        pass

    class Dying(Journal):
        append, drop, close = streams.venue.append, streams.venue.drop, streams.venue.close

        def snapshot(self, snapshot: Snapshot) -> None:
            streams.venue.snapshot(snapshot)
            raise Killed

        def prune(self, keep: int, most: int) -> int:
            raise AssertionError("it was killed before")

    streams.append(*told)
    lives = 0
    while True:
        try:
            desk, _ = streams.read(Dying())
        except Killed:
            lives += 1
        else:
            break
    assert lives > 5
    assert len(list(streams.store.load(VENUE))) == 40
    assert desk.positions({})[0].quantity == 80
    assert len(desk.orders(open_only=False, symbol=None, most=99)) == 40


def test_ids_stay_known_after_their_orders_were_forgotten(streams: Streams) -> None:
    streams.append(*many(50))
    streams.read()
    ledger, last = streams.ledger()
    assert len(ledger) == 0
    commands = Commands(
        cast("Any", None),
        ledger,
        lambda symbol: instrument(EXCHANGE, symbol),
        on_durable=lambda first, bodies: None,
        on_failure=lambda error: None,
    )
    commands.start(streams.commands, last)
    told: list[Any] = []
    commands.place(new_order("o7"), 0.0, told.append)
    assert isinstance(told[0], Order)
    assert (told[0].status, told[0].filled) == (OrderStatus.FILLED, Decimal(2))
    with pytest.raises(DuplicateClientOrderId):
        commands.place(new_order("o7", quantity="3"), 0.0, told.append)
    commands.cancel("o8", 0.0, told.append)
    assert told[1].status is OrderStatus.FILLED
    commands.stop(5.0)
    assert [entry.sequence for entry in streams.store.load(COMMANDS, last)] == []


def test_a_kept_order_that_cannot_be_read_ends_the_process_and_sends_nothing(
    streams: Streams, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is durable would else be taken for refused."""
    streams.append(*many(30))
    streams.read()
    ledger, last = streams.ledger()
    failures: queue.SimpleQueue[BaseException] = queue.SimpleQueue()
    commands = Commands(
        cast("Any", Unsent()),
        ledger,
        lambda symbol: instrument(EXCHANGE, symbol),
        on_durable=lambda first, bodies: None,
        on_failure=failures.put,
    )
    commands.start(streams.commands, last)
    page, reads = streams.store.page, []

    def damaged(stream: str, name: str) -> bytes | None:
        reads.append(name)
        if len(reads) > 1:  # after the check for a duplicate
            raise StoreError("it is not what was written")
        return page(stream, name)

    monkeypatch.setattr(streams.store, "page", damaged)
    told: list[Any] = []
    commands.place(new_order("n"), 0.0, told.append)
    with pytest.raises(RuntimeError, match="not what was written"):
        raise failures.get(timeout=60)
    assert told == []
    monkeypatch.undo()
    commands.stop(5.0)
    assert [type(decode(entry.body)) for entry in streams.store.load(COMMANDS, last)] == [PlaceIntended]


class Unsent:
    """A venue that nothing is sent to."""

    recv_window_ms = 1

    class clock:
        now_ns = staticmethod(lambda: 1)


def test_commands_forgets_only_what_a_snapshot_has_and_nothing_waits_for(streams: Streams) -> None:
    streams.append(*many(30))
    ledger, last = streams.ledger()
    commands = Commands(
        cast("Any", None),
        ledger,
        lambda symbol: instrument(EXCHANGE, symbol),
        on_durable=lambda first, bodies: None,
        on_failure=lambda error: None,
    )
    commands.start(streams.commands, last)
    assert commands.crowded
    commands.forget(last - 1)
    assert len(ledger) == 30
    streams.read()
    commands.forget(last)
    assert len(ledger) == limits.ENDED_IN_MEMORY_MAX
    assert ledger.intent("o1") == new_order("o1")
    commands.stop(5.0)


def test_a_command_whose_answer_is_missing_is_known_from_the_snapshot(streams: Streams) -> None:
    streams.append(intended("a"), answered("a", report("a")), cancel_intended("a"), *many(30), intended("b"))
    streams.read()
    streams.ledger()
    assert streams.unanswered == (("a", Operation.CANCEL, "c1"), ("b", Operation.PLACE, ""))


def test_a_snapshot_that_is_written_while_commands_are_read(streams: Streams, monkeypatch: pytest.MonkeyPatch) -> None:
    """Entries may go away between the two: it begins anew from the newer one."""
    streams.append(*many(30))
    head = streams.store.head
    reads = []

    def overtaken(stream: str) -> Any:
        reads.append(stream)
        found = head(stream)
        if len(reads) == 1:
            streams.read()
        return found

    monkeypatch.setattr(streams.store, "head", overtaken)
    ledger, last = streams.ledger()
    assert (last, ledger.intent("o3")) == (60, new_order("o3"))
    assert len(reads) > 2


class Running:
    """A journal's thread, and the main thread's mail."""

    def __init__(self, journal: Journal, last: int) -> None:
        self.mail: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.errors: list[BaseException] = []
        self.thread = JournalThread(journal, last, lambda *_: None, self.errors.append)
        self.thread.start()

    def settle(self) -> None:
        """All that waited for the journal's thread, and for the main one, was done."""
        for _ in range(2 * limits.PRUNES_A_SNAPSHOT_MAX):
            done = threading.Event()
            self.thread.between(lambda _, done=done: done.set())
            assert done.wait(60)
        while not self.mail.empty():
            self.mail.get()()


def test_a_running_life_keeps_what_it_learns(streams: Streams) -> None:
    desk, keeping = streams.read()
    running = Running(streams.venue, 0)
    for number in range(40):
        for event in bought(f"o{number}", number):
            streams.append(event)
            desk.fold([event])
            (keeping.folded_venue if isinstance(event, VenueEvent) else keeping.folded_commands)(
                number + 1 if isinstance(event, VenueEvent) else keeping.commands + 1, 1
            )
            keeping.keep(desk, running.thread, 0, running.mail.put)
            running.settle()
    running.thread.stop(5.0)
    assert not running.errors
    assert len(desk.ledger) <= 3 * limits.ENDED_IN_MEMORY_MAX
    head = streams.store.head(VENUE)
    assert head is not None
    assert head.covers[VENUE] >= 36
    again, _ = streams.read()
    assert again.positions({}) == desk.positions({})
    assert again.order("o1") == desk.order("o1")


def test_a_snapshot_that_could_not_be_written_is_in_the_next(
    streams: Streams, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    desk, keeping = streams.read()
    running = Running(streams.venue, 0)

    def full(snapshot: Snapshot) -> None:
        raise StoreError("the disk is full")

    def fold(events: list[Event]) -> None:
        streams.append(*events)
        desk.fold(events)
        keeping.folded_commands(sum(not isinstance(one, VenueEvent) for one in events) + keeping.commands, len(events))
        keeping.folded_venue(sum(isinstance(one, VenueEvent) for one in events) + keeping.venue, 0)
        keeping.keep(desk, running.thread, 0, running.mail.put)
        running.settle()

    with monkeypatch.context() as patch:
        patch.setattr(streams.venue, "snapshot", full)
        fold(many(10))
    assert "the disk is full" in caplog.text
    assert streams.store.head(VENUE) is None
    assert len(desk.ledger) == 10, "what is not kept is not forgotten"
    fold([event for number in range(10, 20) for event in bought(f"o{number}", number)])
    running.thread.stop(5.0)
    assert not running.errors
    assert streams.store.page(VENUE, "=o3") is not None
    again, _ = streams.read()
    assert again.positions({}) == desk.positions({})


def test_what_is_told_of_an_order_that_was_dropped_is_not_counted_again(streams: Streams) -> None:
    now = 20 * DAY_NS
    streams.append(*[event for number in range(20) for event in bought(f"o{number}", number, at=DAY_NS + number)])
    streams.append(intended("open", at=DAY_NS), answered("open", report("open", at=DAY_NS)))
    desk, keeping = streams.read(now_ns=now)
    running = Running(streams.venue, keeping.venue)
    later = now + DAY_NS
    for event in [event for number in range(20, 30) for event in bought(f"o{number}", number, at=now)]:
        desk.fold([event])
        keeping.folded_commands(keeping.commands, 1)
        keeping.keep(desk, running.thread, later, running.mail.put)
        running.settle()
    running.thread.stop(5.0)
    assert not running.errors
    assert streams.store.page(VENUE, "=o3") is None, "its time is over"
    assert streams.store.page(VENUE, "=open") is not None, "it has not ended"
    desk.forget()
    before = desk.positions({})
    assert before[0].quantity == 60
    old = fill("o3", 3, "2", "100", at=DAY_NS + 3, fee="0.1")
    unnamed = fill("o4", 4, "2", "100", at=DAY_NS + 4, fee="0.1", client_order_id="")
    ended = reported(report("o3", OrderStatus.FILLED, "2", at=DAY_NS + 3, fills=(old,)), at=later)
    for event in (executed(old, at=later), executed(unnamed, at=later), ended):
        assert desk.sift([cast("VenueEvent", event)]) == []
        assert not any(desk.fold([event]))
    assert desk.positions({}) == before
    assert desk.order("o3") is None
    assert desk.ledger.unclaimed() == []
    # What is new is new, however old the order: somebody else's, that rests.
    desk.fold([reported(report("theirs", at=DAY_NS), at=later), executed(fill("open", 500, "1", at=later), at=later)])
    assert [one.client_order_id for one in desk.orders(open_only=True, symbol=None, most=9)] == ["open", "theirs"]
    assert desk.positions({})[0].quantity == 61
    assert desk.ledger.newest_fill_ns(NATIVE) == later
    wait_until(lambda: running.mail.empty(), 5, "all was done")
