"""Orders that cannot be are refused with the field and the fix; those that can pass."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from thespian_connector.model import Instrument, InstrumentStatus, NewOrder, OrderType, Side, TimeInForce
from thespian_connector.model.errors import InvalidOrder, UsageError
from thespian_connector.orders.checks import check_amendment, check_order
from thespian_connector.orders.ids import check_client_order_id, is_ours, make_client_order_id, successor_id

D = Decimal
INSTRUMENT = Instrument(
    exchange="binance",
    symbol="BTC/USDT",
    native="BTCUSDT",
    base="BTC",
    quote="USDT",
    status=InstrumentStatus.TRADING,
    tick_size=D("0.01"),
    step_size=D("0.001"),
    min_price=D("0.01"),
    max_price=D(1_000_000),
    min_quantity=D("0.001"),
    max_quantity=D(100),
    market_max_quantity=D(10),
    min_notional=D(5),
    max_notional=D(1_000_000),
    quote_step_size=D("0.01"),
)


def order(**terms: Any) -> NewOrder:
    told = {"type": OrderType.LIMIT, "quantity": "0.5", "price": "60000.01", **terms}
    numbers = ("quantity", "price", "stop_price", "quote_quantity")
    told = {name: D(value) if name in numbers and value is not None else value for name, value in told.items()}
    return NewOrder(client_order_id="x", exchange="binance", symbol="BTC/USDT", side=Side.BUY, **told)


@pytest.mark.parametrize(
    "terms",
    [
        {},
        {"time_in_force": TimeInForce.FOK},
        {"type": OrderType.LIMIT_MAKER},
        {"type": OrderType.STOP_LIMIT, "stop_price": "61000"},
        {"type": OrderType.MARKET, "price": None},
        {"type": OrderType.MARKET, "price": None, "quantity": None, "quote_quantity": "100.5"},
    ],
)
def test_what_can_be_passes(terms: dict[str, Any]) -> None:
    check_order(order(**terms), INSTRUMENT)


@pytest.mark.parametrize(
    ("terms", "field", "says"),
    [
        ({"price": "60000.001"}, "price", "60000 is"),
        ({"quantity": "0.0015"}, "quantity", "0.001 is"),
        ({"quantity": "0"}, "quantity", "above 0"),
        ({"quantity": "-1"}, "quantity", "above 0"),
        ({"quantity": "101"}, "quantity", "100"),
        ({"price": "0.01"}, "price \\* quantity", "least, 5"),
        ({"price": None}, "price", "needs one"),
        ({"quantity": None}, "quantity", "needs one"),
        ({"stop_price": "1"}, "stop_price", "no other order"),
        ({"type": OrderType.STOP_LIMIT}, "stop_price", "needs one"),
        ({"type": OrderType.LIMIT_MAKER, "time_in_force": TimeInForce.IOC}, "time_in_force", "only gtc"),
        ({"quote_quantity": "5"}, "quote_quantity", "only a market order"),
        ({"type": OrderType.MARKET}, "price", "has none"),
        ({"type": OrderType.MARKET, "price": None, "quantity": "11"}, "quantity", "10"),
        ({"type": OrderType.MARKET, "price": None, "quantity": None}, "quantity", "either"),
        ({"type": OrderType.MARKET, "price": None, "quote_quantity": "9"}, "quantity", "either"),
        (
            {"type": OrderType.MARKET, "price": None, "quantity": None, "quote_quantity": "4"},
            "quote_quantity",
            "least, 5",
        ),
    ],
)
def test_what_cannot_be_is_refused_with_field_and_fix(terms: dict[str, Any], field: str, says: str) -> None:
    with pytest.raises(InvalidOrder, match=f"^{field}: .*{says}") as caught:
        check_order(order(**terms), INSTRUMENT)
    assert caught.value.outcome_known


def test_a_halted_instrument_takes_no_orders() -> None:
    halted = Instrument(
        **{name: getattr(INSTRUMENT, name) for name in INSTRUMENT.__struct_fields__ if name != "status"},
        status=InstrumentStatus.HALTED,
    )
    with pytest.raises(InvalidOrder, match="HALTED"):
        check_order(order(), halted)


@pytest.mark.parametrize(
    ("quantity", "price", "says"),
    [(None, None, "give"), ("0.2", None, "above the filled 0.2"), ("0.7005", None, "0.7 is"), (None, "0.001", "0 is")],
)
def test_amendments_that_cannot_be(quantity: str | None, price: str | None, says: str) -> None:
    numbers = [None if value is None else D(value) for value in (quantity, price)]
    with pytest.raises(InvalidOrder, match=says):
        check_amendment(OrderType.LIMIT, *numbers, D("0.2"), INSTRUMENT)


def test_an_amendment_that_can_be() -> None:
    check_amendment(OrderType.LIMIT, D("0.3"), D("60001"), D("0.2"), INSTRUMENT)


@pytest.mark.parametrize("bad", ["", "x" * 37, "a b", "ä", "a/b", "a\n"])
def test_client_order_ids(bad: str) -> None:
    with pytest.raises(InvalidOrder, match="client_order_id"):
        check_client_order_id(bad)


def test_ids_are_made_of_the_prefix_and_a_token() -> None:
    made = make_client_order_id("tc1", bytes(range(13)))
    assert check_client_order_id(made) == made
    assert is_ours(made, "tc1")
    assert not is_ours(made, "tc")
    assert made != make_client_order_id("tc1", bytes(range(1, 14)))
    assert len(made) == 24
    with pytest.raises(UsageError, match="prefix"):
        make_client_order_id("too-long-", b"0" * 13)


def test_a_successor_is_found_again_and_fits() -> None:
    assert successor_id("abc", 2) == "abc_2"
    assert len(successor_id("x" * 36, 12)) == 36
    assert successor_id("x" * 36, 12).endswith("_12")
