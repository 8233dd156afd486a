"""A component's door, and who asks there."""

from __future__ import annotations

import queue
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from thespian_connector.actors.door import Answer, Door, door_path
from thespian_connector.actors.messages import Reply, Request
from thespian_connector.model.errors import DeadlineExceeded, Interrupted, Refused
from thespian_connector.system.doors import Doors

COMMAND, STATE = "exchange/mock/order-command", "exchange/mock/order-state"
PATIENCE_S = 60.0


@pytest.fixture
def directory() -> Iterator[Path]:
    """Not pytest's own: socket paths are short."""
    path = Path(tempfile.mkdtemp(prefix="tc-", dir="/tmp"))
    yield path
    shutil.rmtree(path)


@pytest.fixture
def doors(directory: Path) -> Iterator[Doors]:
    one = Doors(directory)
    yield one
    one.close()


@pytest.fixture
def opened(directory: Path) -> Iterator[Callable[[Callable[[Request, Answer], None]], queue.SimpleQueue[object]]]:
    """Opens the door of `COMMAND`; returns what it fails of."""
    made: list[Door] = []

    def open_door(handle: Callable[[Request, Answer], None]) -> queue.SimpleQueue[object]:
        failures: queue.SimpleQueue[object] = queue.SimpleQueue()
        path = door_path(directory, COMMAND)
        made.append(Door(path, handle, on_failure=lambda error, request: failures.put((error, request))))
        return failures

    yield open_door
    for door in made:
        door.close()


def asked(operation: str = "place") -> Request:
    return Request(0, operation, operation)


def ask(doors: Doors, request: Request, component: str = COMMAND, seconds: float = PATIENCE_S) -> Reply | None:
    return doors.ask(component, request, time.monotonic() + seconds)


def echo(request: Request, answer: Answer) -> None:
    answer(Reply(0, request.correlation, True, request.operation.encode()))


def test_each_gets_its_own_answer_over_a_connection_that_is_kept(doors: Doors, opened: Callable[..., object]) -> None:
    threads: set[int] = set()

    def handle(request: Request, answer: Answer) -> None:
        threads.add(threading.get_ident())
        echo(request, answer)

    opened(handle)
    for number in range(20):
        reply = ask(doors, asked(f"place {number}"))
        assert reply is not None
        assert reply.body == f"place {number}".encode()
    assert len(threads) == 1


def test_who_has_no_door_is_not_asked(doors: Doors, opened: Callable[..., object]) -> None:
    opened(echo)
    assert ask(doors, asked(), STATE) is None


def test_a_late_answer_reaches_nobody(doors: Doors, opened: Callable[..., object]) -> None:
    late: queue.SimpleQueue[Answer] = queue.SimpleQueue()

    def handle(request: Request, answer: Answer) -> None:
        if request.operation == "slow":
            late.put(answer)
        else:
            echo(request, answer)

    opened(handle)
    with pytest.raises(DeadlineExceeded, match="slow"):
        ask(doors, asked("slow"), seconds=2.0)
    late.get(timeout=PATIENCE_S)(Reply(0, "slow", True, b"slow"))
    reply = ask(doors, asked("quick"))
    assert reply is not None
    assert reply.body == b"quick"


@pytest.mark.parametrize(("component", "error"), [(COMMAND, Interrupted), (STATE, Refused)])
def test_the_end_of_who_was_asked_is_told(
    directory: Path, doors: Doors, component: str, error: type[Exception]
) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(door_path(directory, component)))
        listener.listen()

        def end() -> None:
            guest, _ = listener.accept()
            guest.recv(1)
            guest.close()

        thread = threading.Thread(target=end)
        thread.start()
        with pytest.raises(error, match="ended while it worked on it") as told:
            ask(doors, asked(), component)
        thread.join()
        assert type(told.value) is error


def test_a_connection_that_was_hung_up_is_not_used_again(doors: Doors, directory: Path) -> None:
    path = door_path(directory, COMMAND)
    first = Door(path, echo, on_failure=lambda *_: None)
    assert ask(doors, asked()) is not None
    [(_, _, connection)] = doors._kept
    with socket.socket(fileno=socket.dup(connection.fileno())) as same:
        same.shutdown(socket.SHUT_RDWR)
    first.close()
    assert ask(doors, asked()) is None, "its door is closed, too"


def test_what_the_handler_did_not_expect_is_its_owners(doors: Doors, opened: Callable[..., object]) -> None:
    def handle(request: Request, answer: Answer) -> None:
        raise RuntimeError("unexpected")

    failures = opened(handle)
    with pytest.raises(Interrupted):
        ask(doors, asked())
    assert isinstance(failures, queue.SimpleQueue)
    error, request = failures.get(timeout=PATIENCE_S)
    assert (str(error), request) == ("unexpected", asked())
