"""Orders as Bybit's parameters: the same for REST's body and the trade socket's argument. All values are text.

Bybit v5: Place Order, Amend Order, Cancel Order, Cancel All Orders (spot).
"""

from __future__ import annotations

from decimal import Decimal

from thespian_connector.drivers.trading import OrderKey
from thespian_connector.model import Instrument, NewOrder, OrderType, Side, TimeInForce
from thespian_connector.model.decimals import text
from thespian_connector.model.errors import InvalidOrder, UsageError

from .signing import CATEGORY

#: An order that waits for its trigger is found, and cancelled, only under this filter.
CONDITIONAL = "StopOrder"
#: What cancel-all must be asked for one by one, or orders of other kinds live on.
FILTERS = ("Order", CONDITIONAL, "tpslOrder", "OcoOrder", "BidirectionalTpslOrder")
_SIDES = {Side.BUY: "Buy", Side.SELL: "Sell"}
_TIMES_IN_FORCE = {TimeInForce.GTC: "GTC", TimeInForce.IOC: "IOC", TimeInForce.FOK: "FOK"}


def place(order: NewOrder, instrument: Instrument) -> dict[str, str]:
    """A market order always says in which unit its quantity is: Bybit's default differs between buy and sell.

    :raises InvalidOrder: it lacks what its type needs (`orders.checks` finds that before, and says more).
    """
    params = {"category": CATEGORY, "symbol": instrument.native, "side": _SIDES[order.side]}
    if order.type is OrderType.MARKET:
        by_quote = order.quote_quantity is not None
        if by_quote and order.quantity is not None:
            raise InvalidOrder("quantity: a market order has either quantity or quote_quantity")
        params["orderType"] = "Market"
        params["qty"] = _needed(order, "quote_quantity" if by_quote else "quantity")
        params["marketUnit"] = "quoteCoin" if by_quote else "baseCoin"
    else:
        params["orderType"] = "Limit"
        params["qty"] = _needed(order, "quantity")
        params["price"] = _needed(order, "price")
        post_only = order.type is OrderType.LIMIT_MAKER
        params["timeInForce"] = "PostOnly" if post_only else _TIMES_IN_FORCE[order.time_in_force]
        if order.type is OrderType.STOP_LIMIT:
            params["triggerPrice"] = _needed(order, "stop_price")
            params["orderFilter"] = CONDITIONAL
    params["orderLinkId"] = order.client_order_id
    return params


def _needed(order: NewOrder, field: str) -> str:
    value: Decimal | None = getattr(order, field)
    if value is None:
        raise InvalidOrder(f"{field}: a {order.type} order needs one", client_order_id=order.client_order_id)
    return text(value)


def named(key: OrderKey) -> dict[str, str]:
    """Which order: by one id only."""
    names = {"orderId": key.order_id} if key.order_id else {"orderLinkId": key.client_order_id}
    return {"category": CATEGORY, "symbol": key.native, **names}


def cancel(key: OrderKey) -> dict[str, str]:
    return named(key) | ({"orderFilter": CONDITIONAL} if key.conditional else {})


def amend(key: OrderKey, quantity: Decimal | None, price: Decimal | None) -> dict[str, str]:
    """`quantity` is the new total; what stays is left out.

    :raises UsageError: nothing would change.
    """
    changes = {name: text(value) for name, value in (("qty", quantity), ("price", price)) if value is not None}
    if not changes:
        raise UsageError("amend: give a new quantity, a new price, or both")
    return named(key) | changes


def cancel_all(native: str) -> list[dict[str, str]]:
    """One request a kind of order.

    :raises UsageError: no symbol, which would cancel every order of the account.
    """
    if not native:
        raise UsageError("cancel all: of which symbol?")
    return [{"category": CATEGORY, "symbol": native, "orderFilter": kind} for kind in FILTERS]
