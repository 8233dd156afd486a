"""What can be said of an order before anything is sent: its shape, and the instrument's filters.

The venue judges in the end (its price bands move); what it would surely refuse is refused here, for nothing, with the
field and the fix. Binance: "Filters"; Bybit: "Get Instruments Info", `lotSizeFilter` and `priceFilter`.
"""

from __future__ import annotations

from decimal import Decimal
from typing import NoReturn

from thespian_connector.model import Instrument, InstrumentStatus, NewOrder, OrderType, TimeInForce
from thespian_connector.model.decimals import CONTEXT, is_multiple, quantize_down, text
from thespian_connector.model.errors import InvalidOrder

from .ids import check_client_order_id


def check_order(order: NewOrder, instrument: Instrument) -> None:
    """:raises InvalidOrder: it cannot be; the message names the field and says what would do."""
    check_client_order_id(order.client_order_id)
    if instrument.status is not InstrumentStatus.TRADING:
        _refuse(order, "symbol", f"{order.symbol} takes no new orders now: {instrument.status}")
    if order.type is OrderType.MARKET:
        _check_market(order, instrument)
    else:
        _check_limit(order, instrument)


def check_amendment(
    order_type: OrderType, quantity: Decimal | None, price: Decimal | None, filled: Decimal, instrument: Instrument
) -> None:
    """`quantity` is the new total.

    :raises InvalidOrder: nothing would change, the total is not above what is filled, or a filter refuses it.
    """
    if quantity is None and price is None:
        raise InvalidOrder("amend: give a new quantity, a new price, or both")
    if order_type is OrderType.MARKET:
        raise InvalidOrder("amend: a market order cannot be amended")
    if quantity is not None:
        if quantity <= filled:
            raise InvalidOrder(f"quantity: the new total {text(quantity)} must be above the filled {text(filled)}")
        _on_grid("quantity", quantity, instrument.step_size)
        _within("quantity", quantity, instrument.min_quantity, instrument.max_quantity)
    if price is not None:
        _check_price("price", price, instrument)


def _check_limit(order: NewOrder, instrument: Instrument) -> None:
    if order.quote_quantity is not None:
        _refuse(order, "quote_quantity", "only a market order can be by quote amount; give quantity")
    if order.quantity is None:
        _refuse(order, "quantity", "a limit order needs one")
    if order.price is None:
        _refuse(order, "price", f"a {order.type} order needs one")
    if (order.type is OrderType.STOP_LIMIT) != (order.stop_price is not None):
        _refuse(order, "stop_price", "a stop_limit order needs one, and no other order has one")
    if order.type is OrderType.LIMIT_MAKER and order.time_in_force is not TimeInForce.GTC:
        _refuse(order, "time_in_force", "a limit_maker order rests: only gtc")
    _check_price("price", order.price, instrument)
    if order.stop_price is not None:
        _check_price("stop_price", order.stop_price, instrument)
    _on_grid("quantity", order.quantity, instrument.step_size)
    _within("quantity", order.quantity, instrument.min_quantity, instrument.max_quantity)
    notional = CONTEXT.multiply(order.price, order.quantity)
    _within("price * quantity", notional, instrument.min_notional, instrument.max_notional)


def _check_market(order: NewOrder, instrument: Instrument) -> None:
    for field in ("price", "stop_price"):
        if getattr(order, field) is not None:
            _refuse(order, field, "a market order has none")
    if order.time_in_force is TimeInForce.FOK:
        _refuse(order, "time_in_force", "a market order takes what there is: leave it out")
    if (order.quantity is None) == (order.quote_quantity is None):
        _refuse(order, "quantity", "a market order needs either quantity or quote_quantity")
    if order.quantity is not None:
        _on_grid("quantity", order.quantity, instrument.step_size)
        if instrument.market_step_size:
            _on_grid("quantity", order.quantity, instrument.market_step_size)
        least = instrument.market_min_quantity or instrument.min_quantity
        _within("quantity", order.quantity, least, instrument.market_max_quantity or instrument.max_quantity)
    elif order.quote_quantity is not None:
        if instrument.quote_step_size:
            _on_grid("quote_quantity", order.quote_quantity, instrument.quote_step_size)
        least = instrument.min_notional if instrument.min_notional_applies_to_market else None
        _within("quote_quantity", order.quote_quantity, least, None)


def _check_price(field: str, price: Decimal, instrument: Instrument) -> None:
    _on_grid(field, price, instrument.tick_size)
    _within(field, price, instrument.min_price, instrument.max_price)


def _on_grid(field: str, value: Decimal, step: Decimal) -> None:
    if value <= 0:
        raise InvalidOrder(f"{field}: {text(value)} must be above 0")
    if not is_multiple(value, step):
        raise InvalidOrder(
            f"{field}: {text(value)} is not a multiple of {text(step)}; {text(quantize_down(value, step))} is"
        )


def _within(field: str, value: Decimal, least: Decimal | None, most: Decimal | None) -> None:
    if value <= 0:
        raise InvalidOrder(f"{field}: {text(value)} must be above 0")
    if least is not None and value < least:
        raise InvalidOrder(f"{field}: {text(value)} is below the least, {text(least)}")
    if most is not None and value > most:
        raise InvalidOrder(f"{field}: {text(value)} is above the most, {text(most)}")


def _refuse(order: NewOrder, field: str, why: str) -> NoReturn:
    raise InvalidOrder(f"{field}: {why}", client_order_id=order.client_order_id)
