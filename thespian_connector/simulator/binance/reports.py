"""How Binance tells of an order: the answers ACK, RESULT and FULL, of queries, cancels, amendments, trades.

``transactTime``, ``time`` and their like are in milliseconds times `factor`.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from thespian_connector.model.decimals import ZERO
from thespian_connector.model.enums import OrderStatus
from thespian_connector.simulator.orders import OrderFill, Reason, SimOrder

from .spelling import amount, padded

EXPIRY_REASONS = {
    Reason.IOC: "UNFILLED_IOC_QUANTITY_EXPIRED",
    Reason.FOK: "UNFILLED_FOK_ORDER_EXPIRED",
    Reason.NO_LIQUIDITY: "INSUFFICIENT_LIQUIDITY",
    Reason.FUNDS: "REJECTED",
}
#: No order is part of a list.
NO_LIST = -1


def status_word(order: SimOrder) -> str:
    """The order's status in Binance's words."""
    if order.status is OrderStatus.EXPIRED and order.reason is Reason.SELF_TRADE:
        return "EXPIRED_IN_MATCH"
    return told(order).value


def told(order: SimOrder) -> OrderStatus:
    """What the venue's word for it means: Binance has no REJECTED for an order that it once took."""
    return OrderStatus.EXPIRED if order.status is OrderStatus.REJECTED else order.status


def stamp(time_ns: int, factor: int) -> int:
    """A time as the client wants it."""
    return time_ns * factor // 1_000_000


def working_time(order: SimOrder, factor: int) -> int:
    """When it began to work; -1 while a stop order waits."""
    return stamp(order.working_ns, factor) if order.working else -1


def ack(order: SimOrder, factor: int) -> dict[str, Any]:
    return {
        "symbol": order.native,
        "orderId": order.order_id,
        "orderListId": NO_LIST,
        "clientOrderId": order.client_id,
        "transactTime": stamp(order.updated_ns, factor),
    }


def _money(value: Decimal | None) -> str:
    return amount(ZERO if value is None else value)


def _state(order: SimOrder) -> dict[str, Any]:
    return {
        "price": _money(order.price),
        "origQty": _money(order.quantity),
        "executedQty": padded(order.filled),
        "origQuoteOrderQty": _money(order.ticket.quote_quantity),
        "cummulativeQuoteQty": amount(order.filled_quote),
        "status": status_word(order),
        "timeInForce": order.ticket.time_in_force.value.upper(),
        "type": order.ticket.venue_type,
        "side": order.ticket.side.value.upper(),
    }


def _sometimes(order: SimOrder) -> dict[str, Any]:
    extra: dict[str, Any] = {}
    if order.prevented:
        extra["preventedQuantity"] = padded(order.prevented)
    if order.reason in EXPIRY_REASONS:
        extra["expiryReason"] = EXPIRY_REASONS[order.reason]
    return extra


def result(order: SimOrder, factor: int) -> dict[str, Any]:
    document = ack(order, factor) | _state(order)
    document["workingTime"] = working_time(order, factor)
    document["selfTradePreventionMode"] = order.ticket.venue_self_trade
    if order.stop_price is not None:
        document["stopPrice"] = padded(order.stop_price)
    return document | _sometimes(order)


def full(order: SimOrder, factor: int) -> dict[str, Any]:
    return result(order, factor) | {"fills": [_taken(fill) for fill in order.fills if not fill.maker]}


def _taken(fill: OrderFill) -> dict[str, Any]:
    return {
        "price": padded(fill.price),
        "qty": padded(fill.quantity),
        "commission": amount(fill.fee),
        "commissionAsset": fill.fee_asset,
        "tradeId": fill.trade_id,
    }


def cancelled(order: SimOrder, former_client_id: str, factor: int) -> dict[str, Any]:
    """A cancel's answer: `clientOrderId` is the cancel's own id."""
    document = {"symbol": order.native, "origClientOrderId": former_client_id} | ack(order, factor) | _state(order)
    document["selfTradePreventionMode"] = order.ticket.venue_self_trade
    if order.stop_price is not None:
        document["stopPrice"] = padded(order.stop_price)
    return document | _sometimes(order)


def queried(order: SimOrder, factor: int) -> dict[str, Any]:
    """As GET order, openOrders and allOrders tell it."""
    document = ack(order, factor) | _state(order)
    del document["transactTime"]
    document |= {
        "stopPrice": _money(order.stop_price),
        "icebergQty": padded(ZERO),
        "time": stamp(order.created_ns, factor),
        "updateTime": stamp(order.updated_ns, factor),
        "isWorking": order.working,
        "workingTime": working_time(order, factor),
        "selfTradePreventionMode": order.ticket.venue_self_trade,
    }
    return document | _sometimes(order)


def amended(order: SimOrder, former_client_id: str, execution_id: int, factor: int) -> dict[str, Any]:
    """An amendment's answer; its names are its own."""
    return {
        "transactTime": stamp(order.updated_ns, factor),
        "executionId": execution_id,
        "amendedOrder": {
            "symbol": order.native,
            "orderId": order.order_id,
            "orderListId": NO_LIST,
            "origClientOrderId": former_client_id,
            "clientOrderId": order.client_id,
            "price": _money(order.price),
            "qty": _money(order.quantity),
            "executedQty": padded(order.filled),
            "preventedQty": padded(order.prevented),
            "quoteOrderQty": _money(order.ticket.quote_quantity),
            "cumulativeQuoteQty": amount(order.filled_quote),
            "status": status_word(order),
            "timeInForce": order.ticket.time_in_force.value.upper(),
            "type": order.ticket.venue_type,
            "side": order.ticket.side.value.upper(),
            "workingTime": working_time(order, factor),
            "selfTradePreventionMode": order.ticket.venue_self_trade,
        },
    }


def trade(order: SimOrder, fill: OrderFill, factor: int) -> dict[str, Any]:
    """A row of myTrades."""
    return {
        "symbol": order.native,
        "id": fill.trade_id,
        "orderId": order.order_id,
        "orderListId": NO_LIST,
        "price": padded(fill.price),
        "qty": padded(fill.quantity),
        "quoteQty": amount(fill.price * fill.quantity),
        "commission": amount(fill.fee),
        "commissionAsset": fill.fee_asset,
        "time": stamp(fill.time_ns, factor),
        "isBuyer": order.is_buy,
        "isMaker": fill.maker,
        "isBestMatch": True,
    }
