"""The journal tells the book at any batch that it remembers, exactly."""

from __future__ import annotations

import random
from decimal import Decimal

import pytest

from thespian_connector.simulator import history as module
from thespian_connector.simulator.engine import MatchingBook
from thespian_connector.simulator.history import History, Levels

SECOND = 1_000_000_000


def play(book: MatchingBook, history: History, batches: int, seed: int = 7) -> list[tuple[Levels, Levels]]:
    """Random batches, a second apart; the true book after each, and at index 0 the one before the first."""
    rng = random.Random(seed)
    truth = [(book.levels("bid"), book.levels("ask"))]
    for number in range(1, batches + 1):
        for _ in range(rng.randint(1, 4)):
            book.submit(rng.random() < 0.5, rng.randint(1, 9), rng.randint(90, 110))
        history.append(number, number * SECOND, book.drain())
        truth.append((book.levels("bid"), book.levels("ask")))
    return truth


@pytest.fixture
def book() -> MatchingBook:
    return MatchingBook(Decimal(1), Decimal(1))


@pytest.mark.parametrize("checkpoint_changes", [1, 10, 10_000])
def test_every_remembered_batch_is_the_book_as_it_was(
    book: MatchingBook, checkpoint_changes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHECKPOINT_CHANGES", checkpoint_changes)
    history = History(book)
    truth = play(book, history, 60)
    assert (history.oldest, history.newest) == (0, 60)
    for batch_id, expected in enumerate(truth):
        assert history.book_at(batch_id) == expected, f"batch {batch_id}"


def test_what_is_older_than_kept_is_forgotten_and_what_is_to_come_unknown(book: MatchingBook) -> None:
    history = History(book, keep_ns=10 * SECOND)
    truth = play(book, history, 60)
    assert history.oldest == 49
    assert history.book_at(48) is None
    assert history.book_at(61) is None
    assert history.book_at(49) == truth[49]
    assert history.book_at(60) == truth[60]


def test_a_minute_is_kept_by_default() -> None:
    assert module.HISTORY_KEEP_NS >= 60 * SECOND


def test_the_number_of_batches_is_bounded_at_any_rate(book: MatchingBook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HISTORY_BATCHES_MAX", 5)
    history = History(book)
    truth = play(book, history, 20)
    assert history.book_at(14) is None
    assert history.book_at(15) == truth[15]


def test_an_update_id_of_a_stream_finds_its_batch_and_no_other_stream_s(book: MatchingBook) -> None:
    history = History(book)
    play(book, history, 3)
    history.note("slow", 500, 3)
    history.note("fast", 7, 2)
    assert (history.find("slow", 500), history.find("fast", 7)) == (3, 2)
    assert history.find("fast", 500) is None
    assert (history.last_id("slow"), history.last_id("none")) == (500, None)


def test_update_ids_of_forgotten_batches_are_forgotten_too(book: MatchingBook) -> None:
    history = History(book, keep_ns=5 * SECOND)
    for number in range(1, 101):
        book.submit(True, 1, 100)
        history.append(number, number * SECOND, book.drain())
        history.note("ids", 1_000 + number, number)
    assert history.find("ids", 1_010) is None
    assert history.oldest_id("ids") == 1_094
    assert history.find("ids", 1_100) == 100


def test_the_book_of_a_while_ago_and_its_id(book: MatchingBook) -> None:
    history = History(book)
    play(book, history, 10)
    history.note("ids", 40, 4)
    history.note("ids", 90, 9)
    assert history.batch_at(int(6.5 * SECOND)) == 6
    assert history.batch_at(0) == 0
    assert (history.id_at("ids", 6), history.id_at("ids", 9), history.id_at("ids", 3)) == (40, 90, None)
