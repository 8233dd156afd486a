"""Short ways to say what is known of an order."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from thespian_connector.model import NewOrder, OrderStatus, OrderType, Side
from thespian_connector.model.private import FillReport, OrderReport
from thespian_connector.orders.events import (
    Absent,
    Answered,
    CancelIntended,
    Executed,
    Operation,
    PlaceIntended,
    Refusal,
    Reported,
)
from thespian_connector.orders.ledger import Ledger
from thespian_connector.orders.positions import Market

SECOND = 1_000_000_000
NATIVE, SYMBOL = "BTCUSDT", "BTC/USDT"


def ledger() -> Ledger:
    return Ledger(
        "binance", lambda native: Market(SYMBOL, "BTC", "USDT") if native == NATIVE else Market(native, "", "")
    )


def new_order(name: str = "a", quantity: str = "2", price: str = "100", side: Side = Side.BUY) -> NewOrder:
    return NewOrder(
        client_order_id=name,
        exchange="binance",
        symbol=SYMBOL,
        side=side,
        type=OrderType.LIMIT,
        quantity=Decimal(quantity),
        price=Decimal(price),
    )


def intended(name: str = "a", at: int = 1, replaces: str | None = None, **terms: Any) -> PlaceIntended:
    order = new_order(name, **terms)
    return PlaceIntended(
        order=order, deadline_ns=at + 5 * SECOND, recv_window_ns=2 * SECOND, time_ns=at, replaces=replaces
    )


def cancel_intended(name: str = "a", operation_id: str = "c1", at: int = 2) -> CancelIntended:
    return CancelIntended(
        client_order_id=name,
        operation_id=operation_id,
        deadline_ns=at + SECOND,
        recv_window_ns=2 * SECOND,
        time_ns=at,
    )


def report(
    name: str = "a", status: OrderStatus | None = OrderStatus.NEW, filled: str = "0", at: int = 3, **more: Any
) -> OrderReport:
    return OrderReport(
        native=NATIVE,
        client_order_id=name,
        order_id=more.pop("order_id", f"id-{name}"),
        status=status,
        side=more.pop("side", Side.BUY),
        type=OrderType.LIMIT,
        filled=Decimal(filled),
        time_ns=at,
        **more,
    )


def fill(
    name: str = "a",
    number: int = 1,
    quantity: str = "1",
    price: str = "100",
    at: int = 4,
    side: Side = Side.BUY,
    fee: str = "0",
    fee_asset: str = "USDT",
    client_order_id: str | None = None,
) -> FillReport:
    return FillReport(
        native=NATIVE,
        execution_id=str(number),
        order_id=f"id-{name}",
        client_order_id=name if client_order_id is None else client_order_id,
        side=side,
        price=Decimal(price),
        quantity=Decimal(quantity),
        fee=Decimal(fee),
        fee_asset=fee_asset,
        maker=False,
        time_ns=at,
    )


def answered(
    name: str = "a",
    told: OrderReport | None = None,
    operation: Operation = Operation.PLACE,
    at: int = 3,
    operation_id: str = "",
    known: bool = True,
    why: str = "",
) -> Answered:
    refusal = None if told is not None else Refusal(type="Rejected", message=why, outcome_known=known)
    return Answered(
        client_order_id=name,
        operation=operation,
        operation_id=operation_id,
        time_ns=at,
        report=told,
        refusal=refusal,
    )


def reported(told: OrderReport, at: int = 5, source: str = "stream") -> Reported:
    return Reported(report=told, source=source, time_ns=at)


def executed(told: FillReport, at: int = 5) -> Executed:
    return Executed(fill=told, source="stream", time_ns=at)


def absent(name: str = "a", at: int = 60 * SECOND) -> Absent:
    return Absent(client_order_id=name, time_ns=at)
