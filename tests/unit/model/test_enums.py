"""The words of the field."""

from __future__ import annotations

import pickle

import msgspec
import pytest

from thespian_connector.model import (
    Channel,
    Environment,
    ExecType,
    InstrumentStatus,
    OrderStatus,
    OrderType,
    Side,
    TimeInForce,
    Trust,
)

WORDS = (Channel, Environment, ExecType, InstrumentStatus, OrderStatus, OrderType, Side, TimeInForce, Trust)
MEMBERS = [member for kind in WORDS for member in kind]


@pytest.mark.parametrize("member", MEMBERS, ids=lambda member: f"{type(member).__name__}.{member.name}")
def test_a_word_is_found_in_any_case_and_crosses_borders(member: Side) -> None:
    kind = type(member)
    assert member.name == member.value.upper()
    for spelling in (member, member.value, member.value.upper(), member.value.lower(), member.value.title()):
        assert kind.of(spelling, "field") is member
    assert pickle.loads(pickle.dumps(member)) is member
    assert msgspec.json.decode(msgspec.json.encode(member), type=kind) is member
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(member), type=kind) is member
    assert str(member) == member.value


@pytest.mark.parametrize("value", ["", "long", " buy", "buy ", "BUY\n", None, 1, b"buy"])
def test_another_word_is_refused_with_the_choices(value: object) -> None:
    with pytest.raises(ValueError, match=r"^side: .* is not one of buy, sell$"):
        Side.of(value, "side")  # type: ignore[arg-type] # that is the test


def test_the_terminal_states_are_those_of_fix_and_unknown_is_none_of_them() -> None:
    assert {status for status in OrderStatus if status.terminal} == {
        OrderStatus.FILLED,
        OrderStatus.CANCELED,
        OrderStatus.REJECTED,
        OrderStatus.EXPIRED,
    }
