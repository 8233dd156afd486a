"""A subclass that forgets what its base leaves to it cannot be made: it fails at once, not in the midst of its work."""

from __future__ import annotations

from typing import Any

import pytest

from thespian_connector.actors.exchange import Exchange
from thespian_connector.actors.host_agent import HostAgent
from thespian_connector.actors.root import Root
from thespian_connector.actors.supervisor import Supervisor
from thespian_connector.simulator.bybit.feeds import BookFeed, Feed
from thespian_connector.simulator.bybit.tape_feeds import _StateFeed

BASES = [(Supervisor, {"begin"}), (Feed, {"tick"}), (BookFeed, {"tick", "restart"}), (_StateFeed, {"state", "encode"})]


@pytest.mark.parametrize(("base", "left"), BASES, ids=lambda value: getattr(value, "__name__", ""))
def test_what_a_base_leaves_to_its_subclasses_is_theirs_to_give(base: Any, left: set[str]) -> None:
    forgetful = type(base)("Forgetful", (base,), {})
    assert forgetful.__abstractmethods__ == left
    with pytest.raises(TypeError, match="abstract"):
        object.__new__(forgetful)  # not called: a supervisor's __init__ would tie this process to its parent


@pytest.mark.parametrize("actor", [Root, HostAgent, Exchange])
def test_the_supervisors_of_a_system_leave_nothing_open(actor: type[Supervisor]) -> None:
    assert not actor.__abstractmethods__
