"""Orders -> the parameters and requests that ask for them (Binance's "Trading endpoints" and "Account endpoints").

Weights: since 2026-04-02 an order operation that succeeds weighs nothing, one that fails weighs what is listed. Which
it will be is not known when the shared budget is charged, so it is charged as if it failed: one unit, a few percent
of the IP's weight at the most orders an account may send. The next answer's headers put the budget right.

No write is idempotent: an id is refused only while an order of that id is open, so that a second copy of an order that
was filled at once would be a second order. Whether to repeat a cancel is the caller's to decide.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Decimal
from hashlib import sha256

from thespian_connector.drivers.base import RestRequest
from thespian_connector.drivers.trading import Auth, OrderKey
from thespian_connector.model import Instrument, NewOrder, OrderType, text
from thespian_connector.model.errors import InvalidOrder, UsageError

from .errors import EXCHANGE
from .signing import KEY_HEADER, signed_query

Params = list[tuple[str, str]]

ORDER_PATH = "/api/v3/order"
#: Rows of one page of orders or trades; a page with fewer is the last.
PAGE_ROWS = 1000
#: 2017-01-01: earlier times are refused, and the venue has no data of them.
TIME_MS_MIN = 1_483_228_800_000
#: Our stop_limit triggers when the price passes the stop in the order's own direction (a buy above, a sell below the
#: market): STOP_LOSS_LIMIT. TAKE_PROFIT_LIMIT triggers on the other side.
TYPES: dict[OrderType, str] = {
    OrderType.LIMIT: "LIMIT",
    OrderType.MARKET: "MARKET",
    OrderType.LIMIT_MAKER: "LIMIT_MAKER",
    OrderType.STOP_LIMIT: "STOP_LOSS_LIMIT",
}
_CLIENT_ID = re.compile(r"[A-Za-z0-9_-]{1,36}", re.ASCII)
_ORDER_ID = re.compile(r"[0-9]{1,19}", re.ASCII)


def placing(order: NewOrder, instrument: Instrument) -> Params:
    """The parameters of a new order. FULL answers for every type: stops and LIMIT_MAKER would get no status else.

    :raises InvalidOrder: the order lacks what its type needs, or has what its type cannot have.
    """
    if not _CLIENT_ID.fullmatch(order.client_order_id):
        raise InvalidOrder(f"client_order_id: {order.client_order_id!r} is not 1 to 36 of A-Z a-z 0-9 _ -")
    _check_shape(order)
    params = [("symbol", instrument.native), ("side", order.side.value.upper()), ("type", TYPES[order.type])]
    if order.type in (OrderType.LIMIT, OrderType.STOP_LIMIT):
        params.append(("timeInForce", order.time_in_force.value.upper()))
    amounts = (
        ("quantity", order.quantity),
        ("quoteOrderQty", order.quote_quantity),
        ("price", order.price),
        ("stopPrice", order.stop_price),
    )
    params += [(name, text(amount)) for name, amount in amounts if amount is not None]
    return [*params, ("newClientOrderId", order.client_order_id), ("newOrderRespType", "FULL")]


def _check_shape(order: NewOrder) -> None:
    given = {
        "quantity": order.quantity is not None,
        "quote_quantity": order.quote_quantity is not None,
        "price": order.price is not None,
        "stop_price": order.stop_price is not None,
    }
    if order.type is OrderType.MARKET:
        fine = given["quantity"] != given["quote_quantity"] and not (given["price"] or given["stop_price"])
    else:
        stop = order.type is OrderType.STOP_LIMIT
        fine = given == {"quantity": True, "quote_quantity": False, "price": True, "stop_price": stop}
    if not fine:
        have = ", ".join(name for name, is_given in given.items() if is_given) or "no amount"
        raise InvalidOrder(f"a {order.type.value} order cannot have {have}", client_order_id=order.client_order_id)


def naming(key: OrderKey, by_order_id: str = "orderId", by_client_id: str = "origClientOrderId") -> Params:
    """Which order a request is about: by the venue's id, the quickest to look up, where it is known."""
    if key.order_id is None:
        return [(by_client_id, key.client_order_id)]
    if not _ORDER_ID.fullmatch(key.order_id):
        raise UsageError(f"order_id: {key.order_id!r} is no order id of {EXCHANGE}")
    return [(by_order_id, key.order_id)]


def cancel_id(client_order_id: str) -> str:
    """The id that a cancel of this order bears.

    The venue then knows the canceled order by the cancel's id and not by its own. One that can be worked out from the
    order's own id lets the order be found whose cancel was answered by silence (see `queries`).
    """
    return f"c-{sha256(client_order_id.encode()).hexdigest()[:32]}"


def canceling(key: OrderKey) -> Params:
    return [("symbol", key.native), *naming(key), ("newClientOrderId", cancel_id(key.client_order_id))]


def place(order: NewOrder, instrument: Instrument, auth: Auth) -> RestRequest:
    return _write("POST", ORDER_PATH, placing(order, instrument), auth)


def cancel(key: OrderKey, auth: Auth) -> RestRequest:
    return _write("DELETE", ORDER_PATH, canceling(key), auth)


def cancel_all(native: str, auth: Auth) -> RestRequest:
    return _write("DELETE", "/api/v3/openOrders", [("symbol", native)], auth)


def amend(key: OrderKey, quantity: Decimal | None, price: Decimal | None, auth: Auth) -> RestRequest:
    """``order/amend/keepPriority``: less of the same order, which keeps its place in the queue and (because we say so:
    the default is a random one) its client order id."""
    if quantity is None or price is not None:
        raise UsageError(f"{EXCHANGE}: an order can be amended in place to a smaller quantity, to nothing else")
    params = [
        ("symbol", key.native),
        *naming(key),
        ("newClientOrderId", key.client_order_id),
        ("newQty", text(quantity)),
    ]
    return _write("PUT", "/api/v3/order/amend/keepPriority", params, auth, weight=4)


def cancel_replace(key: OrderKey, order: NewOrder, instrument: Instrument, auth: Auth) -> RestRequest:
    """Only while the old order is unfilled, and the new one only if the old one is gone."""
    params = [
        ("cancelReplaceMode", "STOP_ON_FAILURE"),
        ("cancelRestrictions", "ONLY_NEW"),
        *naming(key, "cancelOrderId", "cancelOrigClientOrderId"),
        ("cancelNewClientOrderId", cancel_id(key.client_order_id)),
    ]
    return _write("POST", "/api/v3/order/cancelReplace", [*placing(order, instrument), *params], auth)


def queries(key: OrderKey, auth: Auth) -> list[RestRequest]:
    """By the venue's id; else by the order's own id, then by the id that a cancel of ours gave it."""
    names = [naming(key)]
    if key.order_id is None:
        names.append([("origClientOrderId", cancel_id(key.client_order_id))])
    return [_read(ORDER_PATH, [("symbol", key.native), *name], auth, weight=4) for name in names]


def open_orders(native: str | None, auth: Auth) -> RestRequest:
    params = [] if native is None else [("symbol", native)]
    return _read("/api/v3/openOrders", params, auth, weight=80 if native is None else 6)


def order_history(native: str, since_ms: int, cursor: str, auth: Auth) -> RestRequest:
    return _read("/api/v3/allOrders", _page(native, "orderId", since_ms, cursor), auth, weight=20)


def fills(native: str, order_id: str | None, since_ms: int, cursor: str, auth: Auth) -> RestRequest:
    """Of the combinations that ``myTrades`` allows: orderId [+ fromId], startTime, fromId; others are -1128."""
    if order_id is None:
        return _read("/api/v3/myTrades", _page(native, "fromId", since_ms, cursor), auth, weight=20)
    key = OrderKey(native=native, client_order_id="", order_id=order_id)
    onwards = [("fromId", cursor)] if cursor else []
    params = [("symbol", native), *naming(key), *onwards, ("limit", str(PAGE_ROWS))]
    return _read("/api/v3/myTrades", params, auth, weight=5)


def balances(auth: Auth) -> RestRequest:
    return _read("/api/v3/account", [("omitZeroBalances", "true")], auth, weight=20)


def fees(native: str, auth: Auth) -> RestRequest:
    return _read("/api/v3/account/commission", [("symbol", native)], auth, weight=20)


def _page(native: str, from_id: str, since_ms: int, cursor: str) -> Params:
    """The first page begins at a time (oldest first), the others at the id after the last one's; ids grow in time."""
    start = (from_id, cursor) if cursor else ("startTime", str(max(since_ms, TIME_MS_MIN)))
    return [("symbol", native), start, ("limit", str(PAGE_ROWS))]


def _write(method: str, path: str, params: Iterable[tuple[str, str]], auth: Auth, weight: int = 1) -> RestRequest:
    return RestRequest(
        method=method,
        path=path,
        query=signed_query(params, auth),
        headers=((KEY_HEADER, auth.signer.api_key),),
        weight=weight,
        idempotent=False,
        surface="orders",
    )


def _read(path: str, params: Iterable[tuple[str, str]], auth: Auth, weight: int) -> RestRequest:
    return RestRequest(
        method="GET",
        path=path,
        query=signed_query(params, auth),
        headers=((KEY_HEADER, auth.signer.api_key),),
        weight=weight,
        surface="private",
    )
