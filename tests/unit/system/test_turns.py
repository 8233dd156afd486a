"""One wait of Thespian's loop, beside the standard library's selector."""

from __future__ import annotations

import os
import selectors
import socket
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from thespian_connector.system import turns

Made = Callable[[], "turns.DefaultSelector | selectors.BaseSelector"]
BOTH = pytest.mark.parametrize("make", [turns.DefaultSelector, selectors.DefaultSelector], ids=["ours", "theirs"])


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    left, right = socket.socketpair()
    with left, right:
        yield left, right


def waited(make: Made, timeout_s: float | None, *wanted: tuple[int, int]) -> dict[int, int]:
    with closing(make()) as selector:
        for fd, event in wanted:
            selector.register(fd, event)
        return {key.fd: event for key, event in selector.select(timeout_s)}


@BOTH
def test_nothing_is_ready(make: Made, pair: tuple[socket.socket, socket.socket]) -> None:
    assert waited(make, 0, (pair[0].fileno(), turns.EVENT_READ)) == {}
    assert waited(make, -1, (pair[0].fileno(), turns.EVENT_READ)) == {}
    assert waited(make, 0.01) == {}


@BOTH
def test_who_can_be_read_and_who_can_be_written_to(make: Made, pair: tuple[socket.socket, socket.socket]) -> None:
    left, right = pair
    left.send(b"x")
    wanted = ((left.fileno(), turns.EVENT_WRITE), (right.fileno(), turns.EVENT_READ))
    assert waited(make, None, *wanted) == {left.fileno(): turns.EVENT_WRITE, right.fileno(): turns.EVENT_READ}


@BOTH
def test_the_other_ends_end_is_something_to_read(make: Made, pair: tuple[socket.socket, socket.socket]) -> None:
    left, right = pair
    right.close()
    assert waited(make, None, (left.fileno(), turns.EVENT_READ)) == {left.fileno(): turns.EVENT_READ}
    assert waited(make, None, (left.fileno(), turns.EVENT_WRITE)) == {left.fileno(): turns.EVENT_WRITE}


@BOTH
def test_a_pipe_that_nobody_writes_to_any_more_is_something_to_read(make: Made) -> None:
    reading, writing = os.pipe()
    os.close(writing)
    assert waited(make, None, (reading, turns.EVENT_READ)) == {reading: turns.EVENT_READ}
    os.close(reading)


@BOTH
def test_what_is_no_descriptor_is_an_error(make: Made) -> None:
    reading, writing = os.pipe()
    for fd in (reading, writing):
        os.close(fd)
    for fd in (reading, -1):
        with pytest.raises((OSError, ValueError)):  # Thespian takes either, and looks which one it was
            waited(make, 0, (fd, turns.EVENT_READ))


def test_the_events_are_the_standard_ones() -> None:
    assert (turns.EVENT_READ, turns.EVENT_WRITE) == (selectors.EVENT_READ, selectors.EVENT_WRITE)
