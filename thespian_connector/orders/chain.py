"""Legs that stand for one order, as the user sees it: fills of all, state of the last that exists."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal

from thespian_connector.model import Fill, Order, OrderStatus
from thespian_connector.model.decimals import CONTEXT, ZERO, canonical
from thespian_connector.model.private import FillReport

from .leg import Leg

#: Why an order ended that an amendment ended half-way.
REST_NOT_PLACED = "canceled for an amendment; what was to take its place was not placed"


def as_order(
    handle: str, *, exchange: str, symbol: str, legs: Sequence[Leg], current: Leg, successor: Leg | None
) -> Order | None:
    """:param current: of `legs`, the one that stands for the order now.
    :param successor: what should have taken its place.
    :returns: None: of a venue's order that was not told whole yet.
    """
    terms = current.terms(exchange, symbol)
    if terms is None:
        return None
    filled, avg_price = traded_by(legs)
    before = total(leg.filled for leg in legs if leg is not current)
    fills = [fill_of(fill) for leg in legs for fill in leg.fills.values()]
    return Order(
        client_order_id=handle,
        exchange=exchange,
        symbol=terms.symbol,
        side=terms.side,
        type=terms.type,
        status=_status(current, before),
        order_id=current.order_id or None,
        price=terms.price,
        stop_price=terms.stop_price,
        quantity=None if terms.quantity is None else canonical(CONTEXT.add(terms.quantity, before)),
        quote_quantity=terms.quote_quantity,
        time_in_force=terms.time_in_force,
        filled=filled,
        avg_price=avg_price,
        fills=tuple(sorted(fills, key=when)),
        reason=current.reason or _why_gone(current, successor),
        created_ns=min((leg.since_ns for leg in legs), default=0),
        updated_ns=max(leg.updated_ns for leg in legs),
        foreign=all(leg.intent is None for leg in legs),
    )


def _status(current: Leg, filled_before: Decimal) -> OrderStatus:
    status = current.status
    return OrderStatus.PARTIALLY_FILLED if status is OrderStatus.NEW and filled_before else status


def _why_gone(leg: Leg, successor: Leg | None) -> str:
    """The venue does not say why we cancelled it: for an amendment that went half its way, perhaps."""
    if leg.status is not OrderStatus.CANCELED or leg.successor is None:
        return ""
    if successor is None:
        return REST_NOT_PLACED
    return f"{REST_NOT_PLACED}: {successor.reason}" if successor.status is OrderStatus.REJECTED else ""


def traded_by(legs: Sequence[Leg]) -> tuple[Decimal, Decimal | None]:
    """(filled, average price) of all; the price is None while it cannot be told, or there is none."""
    filled, cost = ZERO, ZERO
    for leg in legs:
        quantity, paid = leg.traded()
        filled = CONTEXT.add(filled, quantity)
        if quantity and paid is None:
            return total(leg.filled for leg in legs), None
        cost = CONTEXT.add(cost, paid or ZERO)
    return canonical(filled), canonical(CONTEXT.divide(cost, filled)) if filled else None


def total(values: Iterable[Decimal]) -> Decimal:
    total = ZERO
    for value in values:
        total = CONTEXT.add(total, value)
    return canonical(total)


def fill_of(report: FillReport) -> Fill:
    return Fill(
        execution_id=report.execution_id,
        price=report.price,
        quantity=report.quantity,
        fee=report.fee,
        fee_asset=report.fee_asset,
        time_ns=report.time_ns,
        maker=report.maker,
    )


def when(fill: Fill) -> tuple[int, int, str]:
    """Fills sort by it: as they happened, those of one moment as the venue numbers them."""
    return fill.time_ns, len(fill.execution_id), fill.execution_id
