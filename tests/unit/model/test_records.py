"""Every record crosses process borders unchanged: pickle, msgpack and JSON give back the very same digits."""

from __future__ import annotations

import enum
import pickle
import types
import typing
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import thespian_connector
from thespian_connector import model
from thespian_connector.model import accounts, documents, instruments, market, orders, wire
from thespian_connector.model.orders import Order

INTS = st.integers(0, 2**63 - 1)
DECIMALS = st.builds(lambda c, p: Decimal(c).scaleb(-p), st.integers(-(10**18), 10**18), st.integers(0, 16))
MODULES = (accounts, instruments, market, orders, wire)
STRUCTS = sorted(
    {
        kind
        for module in MODULES
        for kind in vars(module).values()
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct) and kind is not msgspec.Struct
    },
    key=lambda kind: kind.__name__,
)
SIMPLE: dict[Any, st.SearchStrategy[Any]] = {
    int: INTS,
    bool: st.booleans(),
    str: st.text(max_size=12),
    Decimal: DECIMALS,
    type(None): st.none(),
}


def values(hint: Any) -> st.SearchStrategy[Any]:
    """Values of a field's type."""
    if hint in SIMPLE:
        return SIMPLE[hint]
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return st.one_of(*map(values, args))
    if origin is tuple and args[-1] is Ellipsis:
        return st.lists(values(args[0]), max_size=3).map(tuple)
    if origin is tuple:
        return st.tuples(*map(values, args))
    if origin is list:
        return st.lists(values(args[0]), max_size=3)
    if origin is dict:
        return st.dictionaries(values(args[0]), values(args[1]), max_size=3)
    if issubclass(hint, enum.Enum):
        return st.sampled_from(hint)
    fields = typing.get_type_hints(hint)
    return st.builds(hint, **{name: values(field) for name, field in fields.items()})


def test_there_are_records_to_test() -> None:
    assert {"OrderBook", "Order", "Instrument", "Position", "BookDiff", "MergedLevel"} <= {k.__name__ for k in STRUCTS}


@pytest.mark.parametrize("kind", STRUCTS)
@settings(max_examples=25)
@given(data=st.data())
def test_a_record_survives_every_way_out(kind: type[msgspec.Struct], data: st.DataObject) -> None:
    record = data.draw(values(kind))
    for copy in (
        pickle.loads(pickle.dumps(record)),
        msgspec.msgpack.decode(msgspec.msgpack.encode(record), type=kind),
        msgspec.json.decode(msgspec.json.encode(record), type=kind),
    ):
        assert copy == record
        assert repr(copy) == repr(record), "equal is not enough: 1.0 is not 1.00"
        assert type(copy) is kind


@pytest.mark.parametrize("kind", STRUCTS)
@settings(max_examples=10)
@given(data=st.data())
def test_a_document_has_no_number_where_money_is(kind: type[msgspec.Struct], data: st.DataObject) -> None:
    record = data.draw(values(kind))

    def floats(value: Any) -> bool:
        if isinstance(value, dict):
            return any(map(floats, value.values()))
        return any(map(floats, value)) if isinstance(value, list) else isinstance(value, float | Decimal)

    document = msgspec.json.decode(documents.to_json(record))
    assert not floats(document)
    assert document == documents.plain(record)
    assert b"\n" not in documents.to_json(record)


@pytest.mark.parametrize("module", [accounts, instruments, market, orders])
def test_what_users_hold_cannot_be_changed(module: types.ModuleType) -> None:
    for kind in vars(module).values():
        if kind in STRUCTS:
            assert kind.__struct_config__.frozen, kind


def test_decimals_in_documents_are_canonical_strings() -> None:
    level = model.Level(Decimal("60000.10"), Decimal("0E-8"))
    assert documents.plain({"level": level, "deep": [(Decimal("1E+3"),)], "n": None, "b": True, "i": 3}) == {
        "level": ["60000.1", "0"],
        "deep": [["1000"]],
        "n": None,
        "b": True,
        "i": 3,
    }
    assert documents.to_json(model.Trust.LIVE) == b'"LIVE"'
    assert documents.to_json(Decimal("-0.0")) == b'"0"'


def test_a_book_as_a_document() -> None:
    book = model.OrderBook(
        exchange="bybit",
        symbol="BTC/USDT",
        stream="orderbook.50.BTCUSDT",
        update_id=7,
        trust=model.Trust.LIVE,
        bids=(model.Level(Decimal("100.50"), Decimal("1.0")),),
        asks=(),
        certified=(1, 0),
    )
    document = documents.plain(book)
    assert document["bids"] == [["100.5", "1"]]
    assert (document["asks"], document["certified"], document["trust"]) == ([], [1, 0], "LIVE")


MONEY = [
    (kind, name)
    for kind in [*(one for one in STRUCTS if one not in vars(wire).values()), model.Level]
    for name, hint in typing.get_type_hints(kind).items()
    if Decimal in (hint, *typing.get_args(hint))
]


@pytest.mark.parametrize("wrong", [0.1, 1, "1"], ids=repr)
@pytest.mark.parametrize(("kind", "name"), MONEY, ids=lambda value: getattr(value, "__name__", value))
def test_only_a_decimal_is_money(kind: type[Any], name: str, wrong: Any) -> None:
    """A record made by hand with a float would carry 0.1 + 0.2 into an order."""
    hints = typing.get_type_hints(kind)
    fine = {field: example(hint) for field, hint in hints.items()}
    kind(**fine)
    bad = {"USDT": wrong} if typing.get_origin(hints[name]) is dict else wrong
    with pytest.raises(TypeError, match=f"{kind.__name__}.{name}: a {type(wrong).__name__} is not money"):
        kind(**fine | {name: bad})


def example(hint: Any) -> Any:
    """One value of a field's type."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return None if type(None) in args else example(args[0])
    if origin in (tuple, dict, list):
        return origin()
    return next(iter(hint)) if issubclass(hint, enum.Enum) else hint()


def test_a_level_cannot_be_changed_into_floats() -> None:
    level = model.Level(Decimal(1), Decimal(2))
    assert level._replace(price=Decimal(3)) == (Decimal(3), Decimal(2))
    with pytest.raises(TypeError, match=r"Level\.quantity: a float"):
        level._replace(quantity=typing.cast(Any, 0.5))


@pytest.mark.parametrize("codec", [msgspec.json, msgspec.msgpack], ids=lambda codec: codec.__name__)
def test_a_level_survives_every_way_out(codec: types.ModuleType) -> None:
    level = model.Level(Decimal("1.10"), Decimal("0.0"))
    for copy in (codec.decode(codec.encode(level), type=model.Level), pickle.loads(pickle.dumps(level))):
        assert type(copy) is model.Level
        assert repr(copy) == repr(level)


def test_an_order_knows_whether_its_outcome_is_known() -> None:
    def order(status: model.OrderStatus) -> Order:
        return Order(
            client_order_id="a",
            exchange="bybit",
            symbol="BTC/USDT",
            side=model.Side.BUY,
            type=model.OrderType.LIMIT,
            status=status,
        )

    assert [status for status in model.OrderStatus if not order(status).outcome_known] == [model.OrderStatus.UNKNOWN]


def test_the_public_names_are_there_and_sorted() -> None:
    assert all(hasattr(model, name) for name in model.__all__)
    assert len(model.__all__) == len(set(model.__all__))
    assert sorted(thespian_connector.__all__) == sorted([*model.__all__, "Connector"])
    assert all(getattr(thespian_connector, name) is getattr(model, name) for name in model.__all__)
