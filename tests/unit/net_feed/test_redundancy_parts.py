"""A pair of connections: each is the other's witness, and each is dialled again for itself."""

from __future__ import annotations

import random
import socket
import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest
from support.feeds import BINANCE, QUICK

from thespian_connector.limits import DEAD_TOPIC_STRIKES, INSTRUMENTS_RETRY_MAX_S, RECONNECT_MAX_S
from thespian_connector.model.errors import RateLimited
from thespian_connector.net.budget import Budget
from thespian_connector.net.deliveries import Deliveries
from thespian_connector.net.errands import Mailbox
from thespian_connector.net.line import Line
from thespian_connector.net.lines import Lines
from thespian_connector.net.redial import ConnectGuard, Redial
from thespian_connector.net.sharing import Sharing
from thespian_connector.net.socket import StreamSocket

S = 1_000_000_000
GRACE_S = 5.0


def line(key: int, *topics: str, since_s: float = 1) -> Line:
    return cast(Line, SimpleNamespace(key=key, confirmed_ns=dict.fromkeys(topics, int(since_s * S))))


class Pair:
    """Two connections with the topics "book" and "trade"; a second at a time."""

    def __init__(self) -> None:
        self.lines = [line(1, "book", "trade"), line(2, "book", "trade")]
        self.deliveries = Deliveries(["book", "trade"], GRACE_S)

    def dead_after(self, brings: Callable[[int, int, str], bool], seconds: int) -> tuple[int, str, int] | None:
        """(connection, topic, second) of the first that is found; `brings(second, connection, topic)`."""
        for second in range(2, 2 + seconds):
            for one in self.lines:
                for topic in ("book", "trade"):
                    if brings(second, one.key, topic):
                        self.deliveries.note(topic, one.key, second * S + one.key)
            found = self.deliveries.dead(self.lines, second * S + 100)
            if found is not None:
                return found[0].key, found[1], second
        return None


@pytest.mark.parametrize("topic", ["book", "trade"])
@pytest.mark.parametrize("key", [1, 2])
def test_a_topic_that_one_alone_brings_is_dead_on_the_other(key: int, topic: str) -> None:
    found = Pair().dead_after(lambda second, one, what: (one, what) != (key, topic), 60)
    assert found is not None
    assert found[:2] == (key, topic)
    assert found[2] <= 2 + DEAD_TOPIC_STRIKES * (GRACE_S + 2)


def test_a_topic_that_dies_later_is_found_too() -> None:
    found = Pair().dead_after(lambda second, one, what: (one, what) != (2, "trade") or second < 30, 60)
    assert found is not None
    assert found[:2] == (2, "trade")
    assert found[2] > 30 + GRACE_S


@pytest.mark.parametrize(
    "brings",
    [
        lambda second, one, what: True,
        lambda second, one, what: False,
        lambda second, one, what: second % 20 == 0,  # quiet
        lambda second, one, what: (second + one) % 4 == 0,  # each later than the other in turn
        lambda second, one, what: one == 1 and second == 2,  # it came while the other subscribed, then nothing
        lambda second, one, what: (one == 1 and second == 2) or second >= 30,
        lambda second, one, what: one == 1 or second % 9 == 0,  # slow, but it comes
    ],
)
def test_what_comes_on_both_in_the_end_is_no_reason(brings: Callable[[int, int, str], bool]) -> None:
    assert Pair().dead_after(brings, 120) is None


def test_a_topic_that_is_not_confirmed_yet_owes_nothing() -> None:
    pair = Pair()
    pair.lines[1] = line(2, "trade")
    assert pair.dead_after(lambda second, one, what: one == 1 or what == "trade", 60) is None


def test_connections_that_came_or_went_begin_anew() -> None:
    pair = Pair()
    assert pair.dead_after(lambda second, one, what: one == 1, 9) is None
    pair.deliveries.forget()
    found = pair.dead_after(lambda second, one, what: one == 1, 60)
    assert found is not None
    assert found[2] > 2 + 2 * GRACE_S


# -- seats


class Dialler:
    """Stands for `Redial`: notes what is asked of it."""

    def __init__(self, opened: Callable[[StreamSocket], None]) -> None:
        self.opened = opened
        self.ticks = 0
        self.lost_ns: list[int] = []

    def tick(self, now_ns: int) -> None:
        self.ticks += 1

    def lost(self, held_ns: int, now_ns: int) -> None:
        self.lost_ns.append(held_ns)

    def close(self, timeout_s: float) -> bool:
        return True


class Owner:
    def came_up(self, now_ns: int) -> None: ...

    def line_left(self, line: Line, now_ns: int) -> None: ...

    def count(self, what: str) -> None: ...


class Connected:
    """Stands for `StreamSocket`: open, and silent."""

    filled = unsent = False
    frames_sent = 0

    def __init__(self) -> None:
        self._ends = socket.socketpair()

    def fileno(self) -> int:
        return self._ends[0].fileno()

    def flush(self) -> None: ...

    def send_text(self, text: str) -> None: ...

    def close(self) -> None:
        for end in self._ends:
            end.close()


@pytest.fixture
def pair() -> Iterator[tuple[Lines, list[Dialler]]]:
    diallers: list[Dialler] = []

    def redial(connect: Any, opened: Callable[[StreamSocket], None]) -> Redial:
        diallers.append(Dialler(opened))
        return cast(Redial, diallers[-1])

    mailbox = Mailbox()
    lines = Lines(
        "test",
        BINANCE,
        "ws://127.0.0.1:9",
        topics=["btcusdt@trade"],
        owner=Owner(),
        sharing=Sharing([], threading.Lock(), GRACE_S),
        mailbox=mailbox,
        redial=redial,
        redundancy=2,
        rotate_after_s=0,
        timing=QUICK,
        rng=random.Random(1),
    )
    yield lines, diallers
    lines.close()
    mailbox.close()


def test_each_of_a_pair_has_a_back_off_of_its_own(pair: tuple[Lines, list[Dialler]]) -> None:
    lines, (first, second) = pair
    lines.tick(1)
    assert (first.ticks, second.ticks) == (1, 1), "neither waits for the other"
    first.opened(cast(StreamSocket, Connected()))
    lines.tick(2)
    assert (first.ticks, second.ticks) == (1, 2)
    for _ in range(3):
        second.opened(cast(StreamSocket, Connected()))
        lines.lose(lines.open[1], "test", "the second is lost")
    assert (len(first.lost_ns), len(second.lost_ns)) == (0, 3)
    second.opened(cast(StreamSocket, Connected()))
    lines.lose(lines.open[0], "test", "the first is lost")
    assert (len(first.lost_ns), len(second.lost_ns)) == (1, 3)
    before = second.ticks
    lines.tick(3)
    assert (first.ticks, second.ticks) == (2, before), "the second stays"


def test_a_successor_takes_the_seat(pair: tuple[Lines, list[Dialler]]) -> None:
    lines, (first, second) = pair
    for dialler in (first, second):
        dialler.opened(cast(StreamSocket, Connected()))
    old = lines.open[1]
    old.retiring = True
    lines.tick(1)
    assert (first.ticks, second.ticks) == (0, 1)
    second.opened(cast(StreamSocket, Connected()))
    assert [one.seat for one in lines.open] == [0, 1, 1]
    lines.tick(2)
    assert (first.ticks, second.ticks) == (0, 1)


def test_a_refusal_that_names_a_time_holds_for_every_seat() -> None:
    guard = ConnectGuard(None)
    assert guard.wait_s(10 * S) == 0
    guard.refused(RateLimited("429", retry_after_s=30), 10 * S)
    assert guard.wait_s(11 * S) == 29
    assert guard.wait_s(40 * S) == 0


def test_the_hosts_limit_of_connects_is_asked_for_every_dial() -> None:
    asked: list[str] = []

    class Rate:
        def try_acquire(self, limit: str) -> float:
            asked.append(limit)
            return 2.5 if len(asked) > 2 else 0.0

    guard = ConnectGuard(cast(Budget, Rate()))
    assert [guard.wait_s(S) for _ in range(3)] == [0, 0, 2.5]
    assert asked == ["connects"] * 3


def test_a_venue_that_is_back_is_not_waited_for_much_longer() -> None:
    """However long it was away: the next look at it is never more than this off."""
    assert max(RECONNECT_MAX_S, INSTRUMENTS_RETRY_MAX_S) <= 4
