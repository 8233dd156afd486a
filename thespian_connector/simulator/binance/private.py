"""The private endpoints: their names at both doors, what each costs and takes, and the way through to one.

REST and the WebSocket API answer alike; how a request comes in and how its answer goes out is each door's own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from thespian_connector.simulator.orders import SimOrder
from thespian_connector.simulator.venue import Venue
from thespian_connector.simulator.writes import Done, Write

from .auth import Auth
from .errors import ApiError
from .ordercount import OrderCount
from .params import Params, time_factor
from .queries import Queries
from .ticketing import TICKET_PARAMS
from .trading import CANCEL_PARAMS, REPLACE_PARAMS, Outcome, PrivateCall, Trading, make_desk
from .user_events import UserEvents

PREFIX = "/api/v3/"
#: What every signed request may have.
SIGNED = ("timestamp", "recvWindow", "signature")


@dataclass(frozen=True, kw_only=True)
class PrivateEndpoint:
    """One endpoint.

    :param ws_method: its name in the WebSocket API.
    :param weight: by the parameters that were sent.
    :param write: its venue-neutral name as a write (see :mod:`writes`); empty: it is a read.
    :param free: it costs weight only when it fails (since 2026-04-02).
    """

    method: str
    path: str
    ws_method: str
    weight: Callable[[Mapping[str, str]], int]
    known: tuple[str, ...]
    handler: Callable[[PrivateDoor, PrivateCall], Outcome]
    write: str = ""
    free: bool = False

    @property
    def ops(self) -> tuple[str, ...]:
        """The names that a fault may give."""
        names = (self.write, self.path.rpartition("/")[2], self.ws_method)
        return tuple(dict.fromkeys(name for name in names if name))


@dataclass(frozen=True)
class Request:
    """A private request, however it came in.

    :param values: its parameters; of REST those of query and body together.
    :param payload: what its signature is of; None: it needs none, for its connection is logged on with the key.
    :param time_unit: the unit of times that the client wants, in Binance's words.
    :param surfaces: see :class:`Write`.
    :param arrived_ms: when it came in, by the venue's clock.
    :param known: parameters that its door allows besides the endpoint's.
    """

    endpoint: PrivateEndpoint
    values: Mapping[str, str]
    payload: bytes | None
    api_key: str | None
    time_unit: str | None
    surfaces: tuple[str, ...]
    arrived_ms: Decimal
    known: tuple[str, ...] = ()

    @property
    def write(self) -> Write:
        """What the judge shall know of it."""
        values = self.values
        client_id = values.get("newClientOrderId", "") if self.endpoint.write in ("place", "cancel_replace") else ""
        return Write(
            path=PREFIX + self.endpoint.path if "rest" in self.surfaces else self.endpoint.ws_method,
            method=self.endpoint.method if "rest" in self.surfaces else "WS",
            ops=self.endpoint.ops,
            surfaces=self.surfaces,
            symbol=values.get("symbol", ""),
            client_id=client_id or values.get("origClientOrderId", ""),
        )


class PrivateDoor:
    """Everything behind the signature, for both doors."""

    def __init__(self, venue: Venue) -> None:
        self.venue = venue
        self.auth = Auth(venue)
        self.desk = make_desk(venue)
        self.counts = OrderCount(venue)
        self.desk.on_order.append(self.counts.on_order)
        self.events = UserEvents(venue)
        self.desk.on_order.append(self.events.on_order)
        self.desk.on_balances.append(self.events.on_balances)
        self.trading = Trading(venue, self.desk, self.counts, self.events.execution_id)
        self.queries = Queries(venue, self.desk, self.trading, self.counts)

    def now_ms(self, surfaces: tuple[str, ...]) -> Decimal:
        """The venue's clock as the timing gates see it: finer than a millisecond."""
        return Decimal(self.venue.now_ns(surfaces)) / 1_000_000

    def run(self, request: Request) -> Outcome:
        """Check a request and do it.

        :raises ApiError: it is refused.
        """
        factor = time_factor(request.time_unit)
        key = self.auth.key(request.api_key, request.surfaces)
        account = key.account
        known = (*request.endpoint.known, *SIGNED, *request.known)
        if request.payload is None:
            self.auth.stamped(request.values, request.arrived_ms)
        else:
            self.auth.signed(key, request.values, request.payload, request.arrived_ms)
        params = Params(request.values, known, self.venue.markets)
        # A request that was held up meets the later gates; by then an order counts.
        now_ms = self.now_ms(request.surfaces)
        try:
            self.auth.in_time(request.values, now_ms)
        except ApiError:
            if request.endpoint.write == "place":
                self.counts.add(account.api_key)
            raise
        return request.endpoint.handler(self, PrivateCall(params, account, factor, int(now_ms), request.write))

    def done(self, request: Request) -> Done:
        """:meth:`run` for a write: a refusal is an answer, too."""
        try:
            outcome = self.run(request)
        except ApiError as error:
            return Done(executed=error.executed, answer=error)
        order: SimOrder | None = outcome.order
        return Done(
            executed=request.endpoint.write != "test",
            answer=outcome,
            client_id=order.ticket.client_id if order is not None else "",
            order_id=str(order.order_id) if order is not None else "",
        )


def _costs(weight: int) -> Callable[[Mapping[str, str]], int]:
    def always(values: Mapping[str, str]) -> int:
        return weight

    return always


_NAMED = ("symbol", "orderId", "origClientOrderId")
_ROWS = ("startTime", "endTime", "limit")
PRIVATE_ENDPOINTS = (
    PrivateEndpoint(
        method="POST",
        path="order",
        ws_method="order.place",
        weight=_costs(1),
        known=TICKET_PARAMS,
        handler=lambda door, call: door.trading.place(call),
        write="place",
        free=True,
    ),
    PrivateEndpoint(
        method="POST",
        path="order/test",
        ws_method="order.test",
        weight=lambda values: 20 if values.get("computeCommissionRates") == "true" else 1,
        known=(*TICKET_PARAMS, "computeCommissionRates"),
        handler=lambda door, call: door.trading.test(call),
        write="test",
    ),
    PrivateEndpoint(
        method="DELETE",
        path="order",
        ws_method="order.cancel",
        weight=_costs(1),
        known=CANCEL_PARAMS,
        handler=lambda door, call: door.trading.cancel(call),
        write="cancel",
        free=True,
    ),
    PrivateEndpoint(
        method="DELETE",
        path="openOrders",
        ws_method="openOrders.cancelAll",
        weight=_costs(1),
        known=("symbol",),
        handler=lambda door, call: door.trading.cancel_open(call),
        write="cancel_all",
        free=True,
    ),
    PrivateEndpoint(
        method="POST",
        path="order/cancelReplace",
        ws_method="order.cancelReplace",
        weight=_costs(1),
        known=(*TICKET_PARAMS, *REPLACE_PARAMS),
        handler=lambda door, call: door.trading.cancel_replace(call),
        write="cancel_replace",
        free=True,
    ),
    PrivateEndpoint(
        method="PUT",
        path="order/amend/keepPriority",
        ws_method="order.amend.keepPriority",
        weight=_costs(4),
        known=(*_NAMED, "newClientOrderId", "newQty"),
        handler=lambda door, call: door.trading.amend(call),
        write="amend",
    ),
    PrivateEndpoint(
        method="GET",
        path="order",
        ws_method="order.status",
        weight=_costs(4),
        known=_NAMED,
        handler=lambda door, call: door.queries.order(call),
    ),
    PrivateEndpoint(
        method="GET",
        path="openOrders",
        ws_method="openOrders.status",
        weight=lambda values: 6 if "symbol" in values else 80,
        known=("symbol",),
        handler=lambda door, call: door.queries.open_orders(call),
    ),
    PrivateEndpoint(
        method="GET",
        path="allOrders",
        ws_method="allOrders",
        weight=_costs(20),
        known=("symbol", "orderId", *_ROWS),
        handler=lambda door, call: door.queries.all_orders(call),
    ),
    PrivateEndpoint(
        method="GET",
        path="myTrades",
        ws_method="myTrades",
        weight=lambda values: 5 if "orderId" in values else 20,
        known=("symbol", "orderId", "fromId", *_ROWS),
        handler=lambda door, call: door.queries.my_trades(call),
    ),
    PrivateEndpoint(
        method="GET",
        path="account",
        ws_method="account.status",
        weight=_costs(20),
        known=("omitZeroBalances",),
        handler=lambda door, call: door.queries.account(call),
    ),
    PrivateEndpoint(
        method="GET",
        path="rateLimit/order",
        ws_method="account.rateLimits.orders",
        weight=_costs(40),
        known=(),
        handler=lambda door, call: door.queries.order_counts(call),
    ),
    PrivateEndpoint(
        method="GET",
        path="account/commission",
        ws_method="account.commission",
        weight=_costs(20),
        known=("symbol",),
        handler=lambda door, call: door.trading.commission(call),
    ),
    PrivateEndpoint(
        method="GET",
        path="myFilters",
        ws_method="myFilters",
        weight=_costs(40),
        known=("symbol",),
        handler=lambda door, call: door.queries.my_filters(call),
    ),
)
