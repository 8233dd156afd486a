"""What an order may hold, without an account."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thespian_connector.model.decimals import text
from thespian_connector.simulator.bybit.envelope import VenueError
from thespian_connector.simulator.bybit.order_params import Fields, Rules
from thespian_connector.simulator.market import Market
from thespian_connector.simulator.world import market_spec

MARKETS = {"BTCUSDT": Market(market_spec("bybit", "BTC/USDT", 1))}
SPEC = MARKETS["BTCUSDT"].spec
STRICT, LENIENT = Rules(band=False, padded_refused=True), Rules(band=False, padded_refused=False)


def outcome(rules: Rules = STRICT, **fields: Any) -> Any:
    """The order, or the code of its refusal."""
    limit = {"category": "spot", "symbol": "BTCUSDT", "side": "Buy", "orderType": "Limit", "qty": "1", "price": "100"}
    try:
        return rules.new_order(Fields({**limit, **fields}), MARKETS)
    except VenueError as error:
        return error.code


@given(ticks=st.integers(1, 10**8), steps=st.integers(1, 71_000_000))
def test_what_is_on_both_grids_is_taken_exactly_and_what_is_off_one_is_not(ticks: int, steps: int) -> None:
    price, quantity = ticks * SPEC.tick, steps * SPEC.step
    taken = outcome(price=text(price), qty=text(quantity))
    if price * quantity < SPEC.min_notional:
        assert taken == 170140
    elif price > SPEC.max_price:
        assert taken == 170132
    else:
        assert (taken.price, taken.quantity) == (price, quantity)
    off = text(quantity + SPEC.step / 2)
    assert outcome(price="100", qty=off) == 170137
    assert outcome(price=text(ticks * SPEC.tick + SPEC.tick / 2), qty="1") == 170134


@given(st.text(max_size=12).filter(lambda word: not word.replace(".", "", 1).isdecimal()))
def test_only_plain_decimal_numbers_are_numbers(word: str) -> None:
    assert outcome(qty=word) in (170105, 170130)


def test_padding_is_refused_only_where_so_set() -> None:
    assert outcome(price="100.000") == 170134
    assert outcome(qty="1.0000000") == 170137
    assert outcome(price="100.00", qty="1.000000").price == Decimal(100)
    assert outcome(LENIENT, price="100.0000", qty="1.00000000").quantity == 1
    assert outcome(LENIENT, price="100.0001") == 170134


def test_a_post_only_order_may_be_larger() -> None:
    assert outcome(qty="72") == 170381
    assert outcome(qty="72", timeInForce="PostOnly").quantity == 72
    assert outcome(qty="359", timeInForce="PostOnly") == 170381


@pytest.mark.parametrize(
    ("fields", "in_quote"),
    [({"side": "Buy"}, True), ({"side": "Sell"}, False), ({"side": "Buy", "marketUnit": "baseCoin"}, False)],
)
def test_the_unit_of_a_market_order_depends_on_its_side(fields: dict[str, Any], in_quote: bool) -> None:
    order = outcome(**fields, orderType="Market", qty="5")
    assert (order.in_quote, order.time_in_force, order.price) == (in_quote, "IOC", None)
    assert order.market_unit == ("quoteCoin" if in_quote else "baseCoin")


def test_a_trigger_price_counts_only_with_a_filter_that_has_one() -> None:
    assert outcome(triggerPrice="90").trigger_price is None
    assert outcome(triggerPrice="90", orderFilter="tpslOrder").trigger_price == 90
    assert outcome(triggerPrice="90.001", orderFilter="StopOrder") == 170134
