"""Order entry: what a create, an amend, a cancel and a cancel-all do, whichever way they came (v5 docs: "Trade").

An answer only says that the request was taken; what becomes of the order is told by the order stream.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from thespian_connector.model.enums import OrderType
from thespian_connector.simulator.desk import Desk, DeskRules
from thespian_connector.simulator.orders import OrderEvent, Refusal, Refused, SimOrder
from thespian_connector.simulator.venue import Venue

from . import refusals as no
from .auth import NO_PERMISSION
from .data import TRADE_ID_BASE
from .envelope import PARAMETER_ERROR, VenueError
from .order_params import LINKED_FILTERS, Fields, Rules
from .order_views import Booked, asked_of, ticket
from .settings import CLOSED_ORDERS_MAX, FEE_RATE, FEE_STEP, ORDER_ID_BASE, ORDER_ID_STRIDE, STOP_ORDERS_MAX

_REFUSALS = {
    Refusal.FUNDS: no.NO_BALANCE,
    Refusal.DUPLICATE: no.DUPLICATE_LINK_ID,
    Refusal.WOULD_TAKE: no.POST_ONLY_PRICE,
    Refusal.WOULD_TRIGGER: no.TRIGGERS_AT_ONCE,
    Refusal.HALTED: no.NOT_OPEN_FOR_TRADING,
    Refusal.OPEN_ORDERS: no.TOO_MANY_ORDERS,
    Refusal.OPEN_STOPS: no.TOO_MANY_ORDERS,
    Refusal.NOT_OPEN: no.ORDER_NOT_FOUND,
    Refusal.NO_CHANGE: PARAMETER_ERROR,
    Refusal.TOO_SMALL: no.QUANTITY_BELOW_FILLED,
}
_MS = 1_000_000
#: Operations with the setting of their rolling second.
OPERATIONS = {
    "create": "create_max",
    "amend": "amend_max",
    "cancel": "cancel_max",
    "cancel-all": "cancel_max",
}


class Trading:
    """The account's orders. Each operation takes the request's document and returns ``result``, or raises VenueError.

    :ivar on_race: told of an order that was filled just before a cancel of it came.
    """

    def __init__(self, venue: Venue) -> None:
        self.venue = venue
        self._next_id = ORDER_ID_BASE
        self.desk = Desk(
            venue,
            DeskRules(
                order_id=self._take_id,
                execution_id=lambda trade_id, _maker: str(TRADE_ID_BASE + trade_id),
                maker_fee=FEE_RATE,
                taker_fee=FEE_RATE,
                fee_step=FEE_STEP,
                client_ids_for_ever=True,
                post_only_accepted=True,
                stops_lock=False,
                open_orders_max=int(venue.setting("open_orders_max")),
                symbol_stops_max=STOP_ORDERS_MAX,
            ),
        )
        self.rules = Rules(band=bool(venue.setting("price_band")), padded_refused=bool(venue.setting("padded_refused")))
        self.on_race: list[Callable[[SimOrder], None]] = []
        #: Orders that ended, the newest last, as far as order/realtime still knows them.
        self.closed: deque[SimOrder] = deque(maxlen=CLOSED_ORDERS_MAX)
        #: Every fill, the newest last; and by order.
        self.fills: list[Booked] = []
        self.fills_of: dict[SimOrder, list[Booked]] = {}
        self.desk.on_order.append(self._remember)

    def restart(self) -> None:
        """The venue's service restarted: order/realtime knows no closed order any more."""
        self.closed.clear()

    def _remember(self, event: OrderEvent) -> None:
        if event.fill is not None:
            order = event.order
            assert order.quantity is not None, "what trades has a quantity"
            left = order.quantity - order.filled
            booked = Booked(len(self.fills), order, event.fill, order.quantity, order.price, left)
            self.fills.append(booked)
            self.fills_of.setdefault(order, []).append(booked)
        if not event.order.open:
            self.closed.append(event.order)

    def run(self, operation: str, document: object, hidden_ms: int = 0) -> dict[str, Any]:
        """Do an operation of :data:`OPERATIONS`.

        :param hidden_ms: for how long queries shall miss an order that is placed now.
        :raises VenueError: it is refused; nothing has changed.
        """
        if self.venue.setting("read_only"):
            raise VenueError(NO_PERMISSION, "Permission denied, please check your API key permissions.")
        fields = Fields(document)
        try:
            if operation == "create":
                return self._create(fields, hidden_ms)
            if operation == "amend":
                return self._amend(fields)
            return self._cancel(fields) if operation == "cancel" else self._cancel_all(fields)
        except Refused as refused:
            if refused.why is Refusal.NO_CHANGE:
                message = "The order remains unchanged as the parameters entered match the existing ones."
                raise VenueError(PARAMETER_ERROR, message) from None
            raise no.refusal(_REFUSALS[refused.why]) from None

    def _take_id(self, _native: str) -> int:
        self._next_id += ORDER_ID_STRIDE
        return self._next_id

    def _create(self, fields: Fields, hidden_ms: int = 0) -> dict[str, Any]:
        asked = self.rules.new_order(fields, self.venue.markets)
        # Who sends no id of his own gets the one after the order's.
        link_id = asked.link_id or str(self._next_id + ORDER_ID_STRIDE + 1)
        wanted = ticket(asked, link_id)
        return _ids(self.desk.place(wanted, hidden_ms=hidden_ms))

    def _amend(self, fields: Fields) -> dict[str, Any]:
        fields.spot()
        market = fields.market(self.venue.markets)
        order = self._found(fields, market.spec.native)
        change = self.rules.change(fields, market)
        quantity, price = change.quantity or order.quantity, change.price or order.price
        if order.ticket.type is not OrderType.MARKET and quantity is not None and price is not None:
            post_only = order.ticket.type is OrderType.LIMIT_MAKER
            self.rules.amended(market, is_buy=order.is_buy, post_only=post_only, quantity=quantity, price=price)
        if order.working and change.trigger_price is not None:
            raise no.refusal(no.BAD_VALUE, "triggerPrice")
        self.desk.amend(order, quantity=change.quantity, price=change.price, stop_price=change.trigger_price)
        return _ids(order)

    def _cancel(self, fields: Fields) -> dict[str, Any]:
        fields.spot()
        market = fields.market(self.venue.markets)
        order_filter = fields.order_filter()
        order = self._found(fields, market.spec.native)
        if order_filter != filter_of(order):
            raise no.refusal(no.ORDER_NOT_FOUND)
        age_ns = self.venue.time_ns() - order.updated_ns
        if not order.open and order.filled and age_ns < self.venue.setting("race_window_ms") * _MS:
            # The cancel was taken before the fill was known: it is refused on the stream.
            for listener in self.on_race:
                listener(order)
            return _ids(order)
        self.desk.cancel(order)
        return _ids(order)

    def _cancel_all(self, fields: Fields) -> dict[str, Any]:
        fields.spot()
        native = fields.market(self.venue.markets).spec.native if fields.text("symbol") else None
        order_filter, base = fields.order_filter(*LINKED_FILTERS), fields.text("baseCoin")
        gone = [
            order
            for order in self.desk.register.open(native, owner=self.venue.account.api_key)
            if filter_of(order) == order_filter and base in ("", self.venue.markets[order.native].spec.base)
        ]
        for order in gone:
            self.desk.cancel(order)
        return {"list": [_ids(order) for order in gone], "success": "1"}

    def _found(self, fields: Fields, native: str) -> SimOrder:
        """The order that a request names; ``orderId`` before ``orderLinkId``."""
        order_id, link_id = fields.text("orderId"), fields.text("orderLinkId")
        if not order_id and not link_id:
            raise VenueError(PARAMETER_ERROR, "params error: OrderId or orderLinkId is required")
        register = self.desk.register
        if order_id:
            number = int(order_id) if order_id.isascii() and order_id.isdigit() and len(order_id) < 20 else 0
            order = register.by_id(native, number)
        else:
            order = register.by_client(native, link_id)
        if order is None:
            raise no.refusal(no.ORDER_NOT_FOUND)
        return order


def filter_of(order: SimOrder) -> str:
    """The ``orderFilter`` that finds an order: a triggered one is an order like any other."""
    return "Order" if order.working else asked_of(order).order_filter


def _ids(order: SimOrder) -> dict[str, Any]:
    return {"orderId": str(order.order_id), "orderLinkId": order.client_id}
