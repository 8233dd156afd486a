"""Contexts to ask with, which are used again: by one caller at a time, and only where nothing is left on its way."""

from __future__ import annotations

import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from thespian_connector.limits import CONTEXT_KEPT_S_MAX, CONTEXTS_KEPT_MAX
from thespian_connector.system import contexts, hardening
from thespian_connector.system.runtime import Runtime, SystemFile

SYSTEM = SystemFile("r", 1, 9, "127.0.0.1", "127.0.0.1:9", 1000, None, "local", {}, 0)
RUNTIME = Runtime("r")


class Base:
    """This process's end of one life of a system."""

    def external_clone(self) -> Any:
        return SimpleNamespace(transport=object())


@pytest.fixture
def closed(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[object]]:
    """The transports that were closed."""
    transports: list[object] = []
    monkeypatch.setattr(hardening, "close_transport", transports.append)
    attach(monkeypatch, Base())
    yield transports
    contexts._kept.clear()


def attach(monkeypatch: pytest.MonkeyPatch, base: Base) -> None:
    monkeypatch.setattr(contexts, "_attached", {"key": (0, "r"), "base": base})
    monkeypatch.setattr(contexts, "_attach", lambda _system, _runtime: base)


def used() -> Any:
    with contexts.private(SYSTEM, RUNTIME) as context:
        return context


def test_one_is_used_again_and_never_by_two_at_once(closed: list[object]) -> None:
    first = used()
    with contexts.private(SYSTEM, RUNTIME) as again, contexts.private(SYSTEM, RUNTIME) as other:
        assert again is first
        assert other is not first
    assert closed == []


def test_one_that_something_may_still_come_to_is_closed(closed: list[object]) -> None:
    with pytest.raises(TimeoutError), contexts.private(SYSTEM, RUNTIME) as context:
        raise TimeoutError
    assert closed == [context.transport]
    assert used() is not context


def test_of_another_life_none_is_used(closed: list[object], monkeypatch: pytest.MonkeyPatch) -> None:
    old = used()
    attach(monkeypatch, Base())
    assert used() is not old
    assert closed == [old.transport]


def test_one_that_was_not_used_for_long_is_closed(closed: list[object]) -> None:
    old = used()
    contexts._kept[0] = (time.monotonic() - CONTEXT_KEPT_S_MAX - 1, *contexts._kept[0][1:])
    assert used() is not old
    assert closed == [old.transport]


def test_so_many_are_kept(closed: list[object]) -> None:
    many = [contexts.private(SYSTEM, RUNTIME) for _ in range(CONTEXTS_KEPT_MAX + 2)]
    for one in many:
        one.__enter__()
    for one in many:
        one.__exit__(None, None, None)
    assert len(closed) == 2


def test_what_is_let_go_of_is_closed(closed: list[object]) -> None:
    context = used()
    base = contexts._attached["base"]
    base.transport = object()
    contexts.detach("another")
    assert closed == []
    contexts.detach("r")
    assert closed == [context.transport, base.transport]
