"""A store as a system leaves it after many orders: most of them kept, the last only journaled."""

from __future__ import annotations

import time
from decimal import Decimal

from msgspec.structs import replace

from thespian_connector.actors.keeping import commands_stream, snapshot_of, venue_stream
from thespian_connector.model import Fill, NewOrder, Order, OrderStatus, OrderType, Side
from thespian_connector.model.private import FillReport, OrderReport
from thespian_connector.orders.codec import encode
from thespian_connector.orders.desk import Change, Changes
from thespian_connector.orders.events import Answered, Operation, PlaceIntended, Reported
from thespian_connector.orders.kept import FORM, KeptAccount, KeptLeg, KeptOrder
from thespian_connector.orders.positions import Summed, Totals
from thespian_connector.storage import Store

SYMBOL, NATIVE = "BTC/USDT", "BTCUSDT"
QUANTITY, PRICE, FEE = Decimal("0.01"), Decimal(30000), Decimal("0.3")
_ORDERS_A_SNAPSHOT = 5_000
_NS = 1_000_000_000


def past_id(number: int) -> str:
    return f"past-{number:020d}"


class _Past:
    """One order of long ago, bought at once and whole."""

    def __init__(self, exchange: str, number: int, at: int) -> None:
        self.name, order_id = past_id(number), f"9{number:012d}"
        order = NewOrder(
            client_order_id=self.name,
            exchange=exchange,
            symbol=SYMBOL,
            side=Side.BUY,
            type=OrderType.LIMIT,
            quantity=QUANTITY,
            price=PRICE,
        )
        self.intent = PlaceIntended(order=order, deadline_ns=at + 5 * _NS, recv_window_ns=2 * _NS, time_ns=at)
        self.fill = FillReport(
            native=NATIVE,
            execution_id=f"8{number:012d}",
            order_id=order_id,
            client_order_id=self.name,
            side=Side.BUY,
            price=PRICE,
            quantity=QUANTITY,
            fee=FEE,
            fee_asset="USDT",
            maker=True,
            time_ns=at,
        )
        self.report = OrderReport(
            native=NATIVE,
            client_order_id=self.name,
            order_id=order_id,
            status=OrderStatus.FILLED,
            side=Side.BUY,
            type=OrderType.LIMIT,
            price=PRICE,
            quantity=QUANTITY,
            filled=QUANTITY,
            filled_quote=QUANTITY * PRICE,
            created_ns=at,
            time_ns=at,
        )

    def change(self) -> Change:
        at, report, fill = self.report.time_ns, self.report, self.fill
        leg = KeptLeg(
            client_order_id=self.name,
            native=NATIVE,
            order_id=report.order_id,
            intent=self.intent,
            fills=(fill,),
            created_ns=at,
            updated_ns=at,
            report=report,
            named=True,
        )
        order = Order(
            client_order_id=self.name,
            exchange=self.intent.order.exchange,
            symbol=SYMBOL,
            side=Side.BUY,
            type=OrderType.LIMIT,
            status=OrderStatus.FILLED,
            order_id=report.order_id,
            price=PRICE,
            quantity=QUANTITY,
            filled=QUANTITY,
            avg_price=PRICE,
            fills=(
                Fill(
                    execution_id=fill.execution_id,
                    price=PRICE,
                    quantity=QUANTITY,
                    fee=FEE,
                    fee_asset="USDT",
                    time_ns=at,
                    maker=True,
                ),
            ),
            created_ns=at,
            updated_ns=at,
        )
        return Change(KeptOrder(form=FORM, handle=self.name, legs=(leg,)), live=False, order=order, updated_ns=at)


def write_past(store: Store, exchange: str, kept: int, journaled: int) -> None:
    """Orders of the last hours, one after another, each filled; the newest `journaled` of them are in the journals
    alone, where they are to be read at the start."""
    venue, commands = store.open(venue_stream(exchange)), store.open(commands_stream(exchange))
    began = time.time_ns() - 7_200 * _NS
    covers = {venue_stream(exchange): venue.append([b"of long ago"], began)}
    covers[commands_stream(exchange)] = commands.append([b"of long ago"], began)
    step = 3_600 * _NS // max(1, kept + journaled)
    for first in range(0, kept, _ORDERS_A_SNAPSHOT):
        last = min(kept, first + _ORDERS_A_SNAPSHOT)
        changes = [_Past(exchange, number, began + number * step).change() for number in range(first, last)]
        venue.snapshot(snapshot_of(Changes(_account(last, began, began + last * step), changes, []), covers))
    for number in range(kept, kept + journaled):
        one = _Past(exchange, number, began + number * step)
        answered = Answered(client_order_id=one.name, operation=Operation.PLACE, time_ns=began, report=one.report)
        commands.append([encode(one.intent), encode(answered)], began)
        filled = replace(one.report, fills=(one.fill,))
        venue.append([encode(Reported(report=filled, source="stream", time_ns=began))], began)
    venue.close()
    commands.close()


def _account(count: int, first_ns: int, last_ns: int) -> KeptAccount:
    totals = Totals(quantity=QUANTITY * count, cost=QUANTITY * PRICE * count, fees={"USDT": FEE * count})
    return KeptAccount(
        form=FORM,
        balances=(),
        balances_at={},
        balances_told=0,
        unclaimed=(),
        positions=(Summed(native=NATIVE, totals=totals, base="BTC", until_ns=last_ns, fills=()),),
        seen={NATIVE: (first_ns, last_ns)},
        dropped_ns=0,
        unanswered=(),
    )
