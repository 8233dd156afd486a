"""The user data stream's events (Binance: "User Data Stream"), made at the moment when each thing happens.

An order's story: NEW, then a TRADE for each fill, then perhaps CANCELED, EXPIRED, TRADE_PREVENTION or REPLACED; after
all events of one call, one outboundAccountPosition with the assets that may have changed.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

from thespian_connector.model.decimals import ZERO
from thespian_connector.model.enums import OrderStatus
from thespian_connector.simulator.orders import OrderEvent, SimOrder
from thespian_connector.simulator.venue import Account, Venue

from .reports import EXPIRY_REASONS, NO_LIST, stamp, status_word
from .spelling import amount, padded

#: Builds an event; the argument is what a millisecond is multiplied with.
Event = Callable[[int], dict[str, Any]]
_WORDS = {"accepted": "NEW", "fill": "TRADE", "amended": "REPLACED", "prevented": "TRADE_PREVENTION"}


class UserEvents:
    """Turns the desk's events into Binance's, for whoever listens: `on_event(owner, kind, symbol, build)`."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self._executions = itertools.count(1_000_001, 3)
        self._last: dict[SimOrder, int] = {}
        self.on_event: list[Callable[[str, str, str, Event], None]] = []

    def execution_id(self, order: SimOrder) -> int:
        """The execution id of the newest event of an order: they increase, with holes."""
        return self._last[order]

    def _tell(self, owner: str, kind: str, symbol: str, fields: Callable[[int], dict[str, Any]]) -> None:
        event_ns = self._venue.now_ns("private", kind)

        def build(factor: int) -> dict[str, Any]:
            return {"e": kind, "E": stamp(event_ns, factor), **fields(factor)}

        for listener in self.on_event:
            listener(owner, kind, symbol, build)

    def on_order(self, event: OrderEvent) -> None:
        """One executionReport. A stop order's trigger is told by its working alone, with the next event."""
        order = event.order
        if event.what == "triggered":
            return
        self._last[order] = next(self._executions)
        report = execution_report(event, self._last[order])
        self._tell(order.owner, "executionReport", order.native, report)

    def on_balances(self, account: Account, assets: list[str]) -> None:
        """The outboundAccountPosition after a call."""
        rows = [
            {"a": asset, "f": amount(account.free.get(asset, ZERO)), "l": amount(account.locked.get(asset, ZERO))}
            for asset in assets
        ]
        now_ns = self._venue.time_ns()
        self._tell(
            account.api_key,
            "outboundAccountPosition",
            "",
            lambda factor: {"u": stamp(now_ns, factor), "B": rows},
        )


def _word(event: OrderEvent) -> str:
    if event.what == "ended":
        return "CANCELED" if event.order.status is OrderStatus.CANCELED else "EXPIRED"
    return _WORDS[event.what]


def execution_report(event: OrderEvent, execution_id: int) -> Callable[[int], dict[str, Any]]:
    """The fields of an executionReport but `e` and `E`; the order is read now, the times are spelled later."""
    order, ticket, fill = event.order, event.order.ticket, event.fill
    report: dict[str, Any] = {
        "s": order.native,
        "c": order.client_id,
        "S": ticket.side.value.upper(),
        "o": ticket.venue_type,
        "f": ticket.time_in_force.value.upper(),
        "q": amount(order.quantity or ZERO),
        "p": amount(order.price or ZERO),
        "P": amount(order.stop_price or ZERO),
        "F": padded(ZERO),
        "g": NO_LIST,
        "C": event.former_client_id,
        "x": _word(event),
        "X": status_word(order),
        "r": "NONE",
        "i": order.order_id,
        "l": padded(fill.quantity if fill else ZERO),
        "z": padded(order.filled),
        "L": padded(fill.price if fill else ZERO),
        "n": amount(fill.fee) if fill else "0",
        "N": fill.fee_asset if fill else None,
        "t": fill.trade_id if fill else -1,
        "I": execution_id,
        "w": order.open and order.working and (event.what == "accepted" or order.resting is not None),
        "m": bool(fill and fill.maker),
        "M": fill is not None,
        "Z": amount(order.filled_quote),
        "Y": amount(fill.price * fill.quantity) if fill else padded(ZERO),
        "Q": amount(ticket.quote_quantity or ZERO),
        "V": ticket.venue_self_trade,
    }
    if order.prevented:
        report["A"] = padded(order.prevented)
    if event.what == "prevented":
        report |= _prevention(event)
    if order.reason in EXPIRY_REASONS:
        report["eR"] = EXPIRY_REASONS[order.reason]
    time_ns, created_ns, works, working_ns = event.time_ns, order.created_ns, order.working, order.working_ns

    def fields(factor: int) -> dict[str, Any]:
        times = {"T": stamp(time_ns, factor), "O": stamp(created_ns, factor)}
        if works:
            times["W"] = stamp(working_ns, factor)
        return report | times

    return fields


def _prevention(event: OrderEvent) -> dict[str, Any]:
    counter = event.counter
    fields: dict[str, Any] = {"B": padded(event.prevented), "u": 1, "pl": padded(event.prevented)}
    if counter is not None:
        maker = counter if counter.resting is not None else event.order
        price = maker.price or ZERO
        fields |= {
            "U": counter.order_id,
            "Cs": counter.native,
            "pL": amount(price),
            "pY": amount(price * event.prevented),
        }
    return fields
