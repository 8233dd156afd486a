"""What readers and callers see of a feed that has died or stands still: nobody takes its books for LIVE for long."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support.merged import each_merged
from support.paper import actors, healed, lives
from support.system import System
from support.waiting import wait_until

from thespian_connector import Connector, Trust
from thespian_connector.model import OrderBook
from thespian_connector.model.errors import ConnectorError

NAME = "exchange/binance/market-data/0"
#: Any machine: it says "nobody waits for ever". (A query's own timeout is 5 s.)
ANSWER_S_MAX = 60.0


@pytest.fixture(scope="module")
def system() -> Iterator[System]:
    with System() as one:
        one.start("--wait", "live", "--timeout", "120")
        yield one


@pytest.fixture
def connector(system: System, monkeypatch: pytest.MonkeyPatch) -> Iterator[Connector]:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(system.directory))
    with Connector.attach(system.name) as one:
        wait_until(lambda: lives(one), 60, "all LIVE before the test")
        yield one


class Observer:
    """Threads that note (when asked, when seen, what) until told to end."""

    def __init__(self) -> None:
        self.seen: dict[str, list[tuple[float, float, Any]]] = {}
        self._ended = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self, name: str, look: Callable[[], Iterator[Any]]) -> None:
        """`look` gives what is seen, one after another; None is nothing."""
        notes = self.seen[name] = []

        def run() -> None:
            asked = time.monotonic()
            for what in look():
                now = time.monotonic()
                if what is not None:
                    notes.append((asked, now, what))
                if self._ended.is_set():
                    return
                asked = time.monotonic()

        self._run(run)

    def _run(self, run: Callable[[], None]) -> None:
        self._threads.append(threading.Thread(target=run))
        self._threads[-1].start()

    def end(self) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join(60)
        assert not any(thread.is_alive() for thread in self._threads)


def repeated(ask: Callable[[], Any]) -> Callable[[], Iterator[Any]]:
    def look() -> Iterator[Any]:
        while True:
            begun = time.monotonic()
            try:
                yield ask()
            except ConnectorError as error:
                yield error
            time.sleep(max(0.0, 0.2 - (time.monotonic() - begun)))

    return look


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "frozen"])
def test_nobody_sees_live_from_a_dead_feed_for_long(connector: Connector, how: signal.Signals) -> None:
    old = actors(connector.status())[NAME]
    observer = Observer()
    markers: list[tuple[float, str]] = []

    def book_trust() -> Iterator[Any]:
        for event in connector.stream("BTC/USDT", exchanges=("binance",)):
            if isinstance(event.record, OrderBook):
                yield (event.record.trust, event.incarnation)
            else:
                markers.append((time.monotonic(), event.record.what))
                yield None

    def merged_trust() -> Iterator[Any]:
        for book in each_merged(connector):
            yield "binance" in book.exchanges

    def status_trust() -> Any:
        status = connector.status()
        row = next(row for row in status["books"] if (row["exchange"], row["symbol"]) == ("binance", "BTC/USDT"))
        return (row["trust"], actors(status)[NAME]["pid"])

    observer.start("stream", book_trust)
    observer.start("merged stream", merged_trust)
    observer.start("status", repeated(status_trust))
    observer.start("book", repeated(lambda: connector.order_book("binance", "BTC/USDT", depth=1)))
    observer.start("best", repeated(lambda: connector.best("BTC/USDT").excluded))
    try:
        wait_until(lambda: all(observer.seen.values()), 60, "everybody sees something")
        wait_until(lambda: observer.seen["merged stream"][-1][2], 60, "the merged book has both")
        incarnation = observer.seen["stream"][0][2][1]
        begun = time.monotonic()
        os.kill(old["pid"], how)
        ended = time.monotonic()
        healed(connector, {NAME: old}, 120)
        wait_until(lambda: observer.seen["merged stream"][-1][2], 60, "the merged book has both again")

        def live_again() -> bool:
            trust, life = observer.seen["stream"][-1][2]
            return trust is Trust.LIVE and life != incarnation

        wait_until(live_again, 60, "the reader, too")
    finally:
        observer.end()
    # Readers of the bus: nothing of the old life is LIVE once they have seen its end; of a frozen one they know by its
    # silence, before another takes its place.
    distrust = next(
        seen
        for _, seen, (trust, life) in observer.seen["stream"]
        if seen > begun and (trust is not Trust.LIVE or life != incarnation)
    )
    without = [seen for _, seen, has_it in observer.seen["merged stream"] if seen > begun and not has_it]
    print(f"\n{how.name}: a reader distrusts it after {distrust - begun:.2f} s,", end=" ")
    print(f"the merged book after {without[0] - begun:.2f} s" if without else "another life was there before a merge")
    later = [what for _, seen, what in observer.seen["stream"] if seen > distrust]
    assert (Trust.LIVE, incarnation) not in later
    if how is signal.SIGSTOP:
        told = [what for seen, what in markers if seen > begun]
        next_life = next(seen for _, seen, (_, life) in observer.seen["stream"] if life != incarnation)
        assert without, "it stands still for longer than any merge takes"
        assert without[0] < next_life, "it is left out for its silence, before another takes its place"
        assert told[0] == "stale", "no beat: it is distrusted, and not only when the next life is heard of"

    # Callers: what they are answered about the old life is not LIVE, and they are answered in time.
    for asked, seen, what in observer.seen["status"]:
        if asked > ended and not isinstance(what, ConnectorError):
            assert what != ("LIVE", old["pid"]), "status"
            assert seen - asked < ANSWER_S_MAX
    answers = [note for note in observer.seen["book"] if note[0] > ended]
    refused = [what for _, seen, what in observer.seen["book"] if seen > ended and isinstance(what, ConnectorError)]
    for asked, seen, _ in answers:
        assert seen - asked < ANSWER_S_MAX
    if how is signal.SIGSTOP:
        assert refused, "who does not answer is not answered for"
    for asked, seen, excluded in observer.seen["best"]:
        frozen = how is signal.SIGSTOP and without[0] < asked and seen < ended + 2.0  # nobody replaces it so soon
        if frozen and not isinstance(excluded, ConnectorError):
            assert "binance" in excluded
