"""Binance's writes: place, cancel, replace, amend. The same for REST and for the WebSocket API.

Each returns an :class:`Outcome` or raises an :class:`ApiError`; who asks, and in time, is settled before.
"""

from __future__ import annotations

import itertools
import random
import string
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from thespian_connector.simulator.desk import Desk, DeskRules
from thespian_connector.simulator.orders import Refusal, Refused, SimOrder, Ticket
from thespian_connector.simulator.venue import Account, Venue
from thespian_connector.simulator.writes import Write, hidden_ms

from . import reports
from .errors import ApiError, invalid, missing
from .info import AMENDS_MAX, OPEN_ORDERS_MAX, OPEN_STOPS_MAX
from .ordercount import OrderCount
from .params import Params
from .ticketing import failure, ticket_of

#: The first order id of every symbol: ids are unique within a symbol only.
FIRST_ORDER_ID = 10_000_000_001
_REFUSALS = {
    Refusal.FUNDS: "Account has insufficient balance for requested action.",
    Refusal.DUPLICATE: "Duplicate order sent.",
    Refusal.WOULD_TAKE: "Order would immediately match and take.",
    Refusal.WOULD_TRIGGER: "Order would trigger immediately.",
    Refusal.HALTED: "Market is closed.",
    Refusal.NOT_OPEN: "Unknown order sent.",
    Refusal.NO_CHANGE: "The requested action would change no state; rejecting.",
    Refusal.TOO_SMALL: "The new quantity must be greater than the executed quantity.",
}
_RESPONSES: dict[str, Callable[[SimOrder, int], dict[str, Any]]] = {
    "ACK": reports.ack,
    "RESULT": reports.result,
    "FULL": reports.full,
}
_FULL_BY_DEFAULT = ("MARKET", "LIMIT")
CANCEL_PARAMS = ("symbol", "orderId", "origClientOrderId", "newClientOrderId", "cancelRestrictions")
REPLACE_PARAMS = (
    "cancelReplaceMode",
    "cancelOrderId",
    "cancelOrigClientOrderId",
    "cancelNewClientOrderId",
    "cancelRestrictions",
    "orderRateLimitExceededMode",
)


@dataclass(frozen=True)
class PrivateCall:
    """A signed request that passed its gates. `factor`: 1, or 1000 if the client wants microseconds."""

    params: Params
    account: Account
    factor: int
    now_ms: int
    write: Write


@dataclass(frozen=True)
class Outcome:
    """A document, the order that it is about, and whether that was placed by it (then the order counts are told)."""

    document: Any
    order: SimOrder | None = None
    placed: bool = False


def refused(error: Refused, code: int) -> ApiError:
    """What the desk refused, in Binance's words."""
    if error.why is Refusal.OPEN_ORDERS:
        return failure("MAX_NUM_ORDERS")
    if error.why is Refusal.OPEN_STOPS:
        return failure("MAX_NUM_ALGO_ORDERS")
    return ApiError(code, _REFUSALS[error.why])


def make_desk(venue: Venue) -> Desk:
    """The venue's desk, by Binance's rules."""
    ids = {native: itertools.count(FIRST_ORDER_ID) for native in venue.markets}
    return Desk(
        venue,
        DeskRules(
            order_id=lambda native: next(ids[native]),
            execution_id=lambda trade_id, _maker: str(trade_id),
            maker_fee=Decimal(str(venue.setting("maker_fee"))),
            taker_fee=Decimal(str(venue.setting("taker_fee"))),
            fee_step=Decimal("0.00000001"),
            symbol_orders_max=OPEN_ORDERS_MAX,
            symbol_stops_max=OPEN_STOPS_MAX,
        ),
    )


class Trading:
    """The writes of one venue.

    :param execution_id: the execution id of what was told last about an order (an amendment's answer has it).
    """

    def __init__(self, venue: Venue, desk: Desk, counts: OrderCount, execution_id: Callable[[SimOrder], int]) -> None:
        self._venue = venue
        self._desk = desk
        self._counts = counts
        self._execution_id = execution_id
        self._rng = random.Random(f"client ids/{venue.account.api_key}")

    def new_client_id(self) -> str:
        """An id for who gives none."""
        return "".join(self._rng.choices(string.ascii_letters + string.digits, k=22))

    def _ticket(self, call: PrivateCall) -> tuple[Ticket, Callable[[SimOrder, int], dict[str, Any]]]:
        market = self._venue.markets[call.params.symbol()]
        word = call.params.choice("newOrderRespType", _RESPONSES, invalid("newOrderRespType"))
        ticket = ticket_of(call.params, market, call.now_ms, self.new_client_id)
        default = "FULL" if ticket.venue_type in _FULL_BY_DEFAULT else "ACK"
        return ticket, _RESPONSES[word or default]

    def _place(self, call: PrivateCall, ticket: Ticket) -> SimOrder:
        try:
            order = self._desk.place(ticket, call.account, hidden_ms=hidden_ms(self._venue, call.write))
        except Refused as error:
            raise refused(error, -2010) from None
        return order

    def place(self, call: PrivateCall) -> Outcome:
        """POST order."""
        ticket, respond = self._ticket(call)
        self._counts.check(call.account.api_key)
        order = self._place(call, ticket)
        return Outcome(respond(order, call.factor), order, placed=True)

    def test(self, call: PrivateCall) -> Outcome:
        """POST order/test: everything but the engine."""
        rates = call.params.choice("computeCommissionRates", ("true", "false"), invalid("computeCommissionRates"))
        self._ticket(call)
        return Outcome(self._commission(call.params.symbol()) if rates == "true" else {})

    def commission(self, call: PrivateCall) -> Outcome:
        """GET account/commission."""
        return Outcome(self._commission(call.params.symbol()))

    def _commission(self, native: str) -> dict[str, Any]:
        rules = self._desk.rules
        none = dict.fromkeys(("maker", "taker", "buyer", "seller"), "0.00000000")
        own = none | {"maker": f"{rules.maker_fee:.8f}", "taker": f"{rules.taker_fee:.8f}"}
        discount = {
            "enabledForAccount": False,
            "enabledForSymbol": True,
            "discountAsset": "BNB",
            "discount": "0.75000000",
        }
        return {
            "symbol": native,
            "standardCommission": own,
            "specialCommission": none,
            "taxCommission": none,
            "discount": discount,
        }

    # Cancels.

    def find(
        self, call: PrivateCall, id_name: str = "orderId", client_name: str = "origClientOrderId", *, visible: bool
    ) -> SimOrder | None:
        """The order that a request names: by its id, and then its client id must fit; or by its client id.

        :raises ApiError: -1102, neither was sent; -2039, they are of two orders.
        """
        native = call.params.symbol()
        order_id, client_id = call.params.integer(id_name), call.params.text(client_name)
        register = self._desk.register
        if order_id is not None:
            order = register.by_id(native, order_id, visible=visible)
            if order is not None and client_id is not None and order.client_id != client_id:
                raise ApiError(-2039, "Client order ID is not correct for this order ID.")
        elif client_id is not None:
            order = register.by_client(native, client_id, visible=visible)
            if order is not None and order.open and order.client_id != client_id:
                # An amendment gave it another id; an ended order is found by all it had.
                order = None
        else:
            text = f"Param '{client_name}' or '{id_name}' must be sent, but both were empty/null!"
            raise ApiError(-1102, text)
        return order if order is None or order.owner == call.account.api_key else None

    def _cancel(self, call: PrivateCall, order: SimOrder | None, id_name: str) -> dict[str, Any]:
        restriction = call.params.choice(
            "cancelRestrictions", ("ONLY_NEW", "ONLY_PARTIALLY_FILLED"), invalid("cancelRestrictions")
        )
        cancel_id = call.params.client_id(id_name) or self.new_client_id()
        if order is None or not order.open:
            raise ApiError(-2011, "Unknown order sent.")
        if restriction is not None and restriction != f"ONLY_{order.status.value}":
            raise ApiError(-2011, "Order was not canceled due to cancel restrictions.")
        former = order.client_id
        self._desk.cancel(order, client_id=cancel_id)
        return reports.cancelled(order, former, call.factor)

    def cancel(self, call: PrivateCall) -> Outcome:
        """DELETE order."""
        order = self.find(call, visible=False)
        return Outcome(self._cancel(call, order, "newClientOrderId"), order)

    def cancel_open(self, call: PrivateCall) -> Outcome:
        """DELETE openOrders: every order of a symbol."""
        orders = self._desk.register.open(call.params.symbol(), owner=call.account.api_key)
        if not orders:
            raise ApiError(-2011, "Unknown order sent.")
        return Outcome([self._cancel(call, order, "newClientOrderId") for order in orders])

    def amend(self, call: PrivateCall) -> Outcome:
        """PUT order/amend/keepPriority: a smaller quantity, at most ten times an order."""
        order = self.find(call, visible=False)
        quantity = call.params.decimal("newQty")
        client_id = call.params.client_id("newClientOrderId") or self.new_client_id()
        if quantity is None:
            raise missing("newQty")
        if order is None or not order.open or order.quantity is None:
            raise ApiError(-2038, "Unknown order sent.")
        if quantity == 0:
            raise ApiError(-1013, "Invalid quantity.")
        spec = self._venue.markets[order.native].spec
        if quantity < spec.min_quantity or quantity % spec.step:
            raise failure("LOT_SIZE")
        if quantity > order.quantity:
            raise ApiError(-2038, "Order amend (quantity increase) is not supported.")
        if quantity == order.quantity:
            raise ApiError(-2038, _REFUSALS[Refusal.NO_CHANGE])
        if order.amendments >= AMENDS_MAX:
            raise ApiError(-2038, "Filter failure: MAX_NUM_ORDER_AMENDS")
        if client_id != order.client_id and self._desk.register.taken(client_id):
            raise ApiError(-2038, _REFUSALS[Refusal.DUPLICATE])
        former = order.client_id
        try:
            self._desk.amend(order, quantity=quantity, client_id=client_id)
        except Refused as error:
            raise refused(error, -2038) from None
        return Outcome(reports.amended(order, former, self._execution_id(order), call.factor), order)

    # Cancel and replace: two legs that may end differently.

    def cancel_replace(self, call: PrivateCall) -> Outcome:
        """POST order/cancelReplace. Parameters, filters and limits are checked before anything is cancelled.

        :raises ApiError: -2022, none of both was done; -2021, one was.
        """
        params, owner = call.params, call.account.api_key
        mode = params.choice("cancelReplaceMode", ("STOP_ON_FAILURE", "ALLOW_FAILURE"), invalid("cancelReplaceMode"))
        exceeded = params.choice(
            "orderRateLimitExceededMode", ("DO_NOTHING", "CANCEL_ONLY"), invalid("orderRateLimitExceededMode")
        )
        if mode is None:
            raise missing("cancelReplaceMode")
        ticket, respond = self._ticket(call)
        target = self.find(call, "cancelOrderId", "cancelOrigClientOrderId", visible=False)
        over: ApiError | None = None
        try:
            self._counts.check(owner)
        except ApiError as error:
            if exceeded != "CANCEL_ONLY":
                raise
            over = error
        if len(self._desk.register.open(ticket.native, owner=owner)) >= OPEN_ORDERS_MAX:
            inner = failure("MAX_NUM_ORDERS").document()
            raise _legs(-2022, ("FAILURE", inner), ("FAILURE", inner))
        cancel: dict[str, Any] | ApiError
        try:
            cancel = self._cancel(call, target, "cancelNewClientOrderId")
        except ApiError as error:
            cancel = error
            if mode == "STOP_ON_FAILURE":
                self._counts.add(owner)
                raise _legs(-2022, ("FAILURE", error.document()), ("NOT_ATTEMPTED", None)) from None
        try:
            if over is not None:
                raise over
            order = self._place(call, ticket)
        except ApiError as error:
            if isinstance(cancel, ApiError):
                raise _legs(-2022, ("FAILURE", cancel.document()), ("FAILURE", error.document())) from None
            # At the order limit the two tables of the documents differ.
            status = 429 if error is over and mode == "STOP_ON_FAILURE" else 409
            raise _legs(-2021, ("SUCCESS", cancel), ("FAILURE", error.document()), status) from None
        placed = respond(order, call.factor)
        if isinstance(cancel, ApiError):
            raise _legs(-2021, ("FAILURE", cancel.document()), ("SUCCESS", placed))
        document = {
            "cancelResult": "SUCCESS",
            "newOrderResult": "SUCCESS",
            "cancelResponse": cancel,
            "newOrderResponse": placed,
        }
        return Outcome(document, order, placed=True)


def _legs(code: int, cancel: tuple[str, Any], new: tuple[str, Any], status: int = 0) -> ApiError:
    """The error of a cancelReplace: (result, answer) of each leg."""
    text = "Order cancel-replace failed." if code == -2022 else "Order cancel-replace partially failed."
    data = {
        "cancelResult": cancel[0],
        "newOrderResult": new[0],
        "cancelResponse": cancel[1],
        "newOrderResponse": new[1],
    }
    return ApiError(code, text, status or (400 if code == -2022 else 409), data=data, executed=code == -2021)
