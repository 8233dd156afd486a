"""Trades from several connections: each once, in order, whoever is first, slow, lossy or dead."""

from __future__ import annotations

import random

import pytest

from thespian_connector import limits
from thespian_connector.model import Side
from thespian_connector.model.wire import WireTrade
from thespian_connector.net.tape import Tape, Told

A, B = 1, 2
S = 1_000_000_000


def trade(number: int, prefix: str = "") -> WireTrade:
    return WireTrade("BTCUSDT", f"{prefix}{number}", "1", "1", Side.BUY, number)


def ids(told: list[Told]) -> list[int]:
    return [wire.venue_time_ns for _, wire in told]


def pair(*, numbered: bool) -> Tape:
    tape = Tape(numbered=numbered)
    assert ids(tape.take(A, trade(4), 0)) == [4]
    tape.share(A, in_step=True)
    tape.share(B, in_step=False)
    return tape


@pytest.mark.parametrize("numbered", [True, False])
def test_a_connection_that_begins_ahead_waits_for_the_one_that_is_in_step(numbered: bool) -> None:
    tape = pair(numbered=numbered)
    assert ids(tape.take(B, trade(6), 0)) == []
    assert ids(tape.take(B, trade(7), 0)) == []
    assert ids(tape.take(A, trade(5), 0)) == [5] + ([6, 7] if numbered else [])
    assert ids(tape.take(A, trade(6), 0)) == ([] if numbered else [6, 7])
    assert ids(tape.take(B, trade(8), 0)) == [8], "in step: the first to bring it tells it"
    assert ids(tape.take(A, trade(7), 0)) == []
    assert ids(tape.take(A, trade(8), 0)) == []
    assert ids(tape.take(A, trade(9), 0)) == [9]


@pytest.mark.parametrize("numbered", [True, False])
def test_what_waits_is_told_when_the_other_is_gone_or_silent(numbered: bool) -> None:
    tape = pair(numbered=numbered)
    tape.take(B, trade(6), 0)
    assert ids(tape.leave(A)) == [6]
    assert ids(tape.take(B, trade(7), 0)) == [7]
    tape = pair(numbered=numbered)
    tape.take(B, trade(6), 0)
    assert tape.overdue(S // 2) == []
    told = tape.overdue(S)
    assert ids(told) == [6]
    assert told[0][0] == (1 if numbered else 0), "the missing trade is counted where there are numbers"
    assert ids(tape.take(A, trade(6), S)) == []


def test_a_hole_of_one_connection_is_filled_by_the_other() -> None:
    tape = pair(numbered=True)
    assert ids(tape.take(B, trade(5), 0)) == [5]
    assert ids(tape.take(A, trade(5), 0)) == []
    assert ids(tape.take(A, trade(7), 0)) == [], "6 was lost on A"
    assert ids(tape.take(B, trade(6), 0)) == [6, 7]
    assert ids(tape.take(A, trade(8), 0)) == [8]


def test_numbers_that_begin_anew_are_told() -> None:
    tape = Tape(numbered=True)
    assert ids(tape.take(A, trade(10**9), 0)) == [10**9]
    assert tape.take(A, trade(5), 0) == [(0, trade(5))]
    assert tape.take(A, trade(8), 0) == [(2, trade(8))]


def test_memory_is_bounded() -> None:
    tape = pair(numbered=False)
    waiting = [tape.take(B, trade(number), 0) for number in range(10, 10 + limits.TRADES_WAITING_MAX)]
    assert not any(waiting[:-1])
    assert len(waiting[-1]) == limits.TRADES_WAITING_MAX


@pytest.mark.parametrize("numbered", [True, False])
@pytest.mark.parametrize("seed", range(20))
def test_any_interleaving_of_two_connections_tells_every_trade_once_in_order(numbered: bool, seed: int) -> None:
    rng = random.Random(seed)
    tape = Tape(numbered=numbered)
    told = [number for n in range(1, 5) for number in ids(tape.take(A, trade(n), 0))]
    begins, ends = rng.randint(2, 30), 60
    tape.share(A, in_step=True)
    tape.share(B, in_step=False)
    left = {A: list(range(5, ends)), B: list(range(begins, ends))}
    if numbered:  # each loses some that the other has
        for line, lost in ((A, range(begins + 1, ends, 7)), (B, range(begins + 4, ends, 7))):
            left[line] = [number for number in left[line] if number not in lost]
    while any(left.values()):
        line = rng.choice([line for line in left if left[line]])
        told += ids(tape.take(line, trade(left[line].pop(0)), 0))
    told += ids(tape.leave(A))
    assert told == list(range(1, ends))
