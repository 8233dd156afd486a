"""The mock venue's private side: signed requests, answered from the desk. The protocol is in `trading`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, NamedTuple
from urllib.parse import parse_qs

import msgspec

from thespian_connector.drivers.base import RestRequest
from thespian_connector.drivers.trading import Fees, Page
from thespian_connector.model import Instrument, NewOrder, dec
from thespian_connector.model.private import OrderReport

from .desk import FEE_RATE, Floor, MockDesk, Refusal
from .ledger import MockOrder
from .market import MockMarket
from .protocol import Request
from .trading import KEY_HEADER, NS_PER_MS, PAGE_ROWS, TIME_HEADER, WINDOW_HEADER, BalancesBody, OrderBody

#: A timestamp may be ahead of the venue's time by less than this.
AHEAD_NS = 1_000_000_000

_Query = dict[str, str]


class MockAnswer(NamedTuple):
    """An HTTP answer: what `Driver.classify` takes, in its order."""

    status: int
    headers: dict[str, str]
    body: bytes


def framed(request: Request) -> RestRequest:
    """The REST request that a frame stands for."""
    return RestRequest(
        method=request.method,
        path=request.path,
        query=request.query,
        headers=tuple(request.headers.items()),
        body=request.body.encode(),
    )


class MockService:
    """Answers what needs a key. The next `answers_lost` requests are carried out and answered by a gateway's 504."""

    def __init__(self, markets: Mapping[str, MockMarket], instruments: Mapping[str, Instrument], floor: Floor) -> None:
        self.desk = MockDesk(markets, instruments, floor)
        self.answers_lost = 0
        self._floor = floor
        self._markets = markets
        self._routes: dict[tuple[str, str], Callable[[_Query, bytes], Any]] = {
            ("POST", "/order"): self._place,
            ("DELETE", "/order"): self._cancel,
            ("PUT", "/order"): self._amend,
            ("GET", "/order"): self._query,
            ("DELETE", "/orders"): self._cancel_all,
            ("GET", "/orders"): self._orders,
            ("GET", "/fills"): self._fills,
            ("GET", "/balances"): self._balances,
            ("GET", "/fees"): self._fees,
        }

    def serves(self, path: str) -> bool:
        return any(path == known for _, known in self._routes)

    def answer(self, request: RestRequest) -> tuple[int, bytes]:
        """(HTTP status, body)."""
        answer = self._answer(request)
        if not self.answers_lost:
            return answer
        self.answers_lost -= 1
        return 504, b""

    def _answer(self, request: RestRequest) -> tuple[int, bytes]:
        try:
            self._check(dict(request.headers))
            serve = self._routes.get((request.method, request.path))
            if serve is None:
                raise Refusal(405, "no such method")
            query = {name: values[-1] for name, values in parse_qs(request.query).items()}
            native = query.get("native")
            if native is not None and native not in self._markets:
                raise Refusal(400, "no such instrument")
            return 200, msgspec.json.encode(serve(query, request.body))
        except Refusal as refusal:
            return refusal.status, msgspec.json.encode({"error": str(refusal)})
        except (msgspec.DecodeError, KeyError, ValueError) as error:
            return 400, msgspec.json.encode({"error": f"not understood: {error}"})

    def problem(self, headers: Mapping[str, str]) -> str:
        """Why a login with these is refused; "" when it is not."""
        try:
            self._check(headers)
        except Refusal as refusal:
            return str(refusal)
        return ""

    def _check(self, headers: Mapping[str, str]) -> None:
        """:raises Refusal: 401 without a key, 425 for a timestamp outside its window (nothing was done)."""
        if not headers.get(KEY_HEADER):
            raise Refusal(401, "no key")
        try:
            sent_ns = int(headers[TIME_HEADER]) * NS_PER_MS
            window_ns = int(headers[WINDOW_HEADER]) * NS_PER_MS
        except (KeyError, ValueError):
            raise Refusal(400, "no timestamp") from None
        if not -AHEAD_NS < self._floor.time_ns - sent_ns <= window_ns:
            raise Refusal(425, "the timestamp is outside of its window")

    def _place(self, query: _Query, body: bytes) -> OrderBody:
        asked = msgspec.json.decode(body, type=NewOrder)
        amounts = ("quantity", "quote_quantity", "price", "stop_price")
        exact = {name: dec(value, name) for name in amounts if (value := getattr(asked, name)) is not None}
        order = self.desk.place(query["native"], msgspec.structs.replace(asked, **exact))
        return OrderBody(msgspec.structs.replace(order.report, fills=self.desk.ledger.fills_of(order)))

    def _cancel(self, query: _Query, _body: bytes) -> OrderBody:
        order = self._found(query)
        self.desk.cancel(order)
        return OrderBody(order.report)

    def _amend(self, query: _Query, _body: bytes) -> OrderBody:
        order = self._found(query)
        self.desk.amend(order, _amount(query, "quantity"), _amount(query, "price"))
        return OrderBody(order.report)

    def _query(self, query: _Query, _body: bytes) -> OrderBody:
        order = self._find(query)
        return OrderBody(None if order is None else order.report)

    def _cancel_all(self, query: _Query, _body: bytes) -> Page:
        orders = self.desk.ledger.open_orders(query["native"])
        for order in orders:
            self.desk.cancel(order)
        return Page(orders=[order.report for order in orders])

    def _orders(self, query: _Query, _body: bytes) -> Page:
        ledger, native, since_ns = self.desk.ledger, query.get("native", ""), _since_ns(query)
        orders = ledger.open_orders(native) if "open" in query else ledger.orders()
        wanted = [one.report for one in orders if native in ("", one.report.native)]
        rows: list[OrderReport] = [report for report in wanted if report.created_ns >= since_ns]
        at = int(query.get("cursor", "0"))
        return Page(orders=rows[at : at + PAGE_ROWS], cursor=_next(at, len(rows)))

    def _fills(self, query: _Query, _body: bytes) -> Page:
        native, order_id, since_ns = query["native"], query.get("order_id", ""), _since_ns(query)
        rows = [
            fill
            for fill in self.desk.ledger.fills
            if fill.native == native and order_id in ("", fill.order_id) and fill.time_ns >= since_ns
        ]
        at = int(query.get("cursor", "0"))
        return Page(fills=rows[at : at + PAGE_ROWS], cursor=_next(at, len(rows)))

    def _balances(self, _query: _Query, _body: bytes) -> BalancesBody:
        ledger = self.desk.ledger
        return BalancesBody([ledger.balance(asset, self._floor.time_ns) for asset in sorted(ledger.held)])

    def _fees(self, query: _Query, _body: bytes) -> Fees:
        return Fees(native=query["native"], maker=FEE_RATE, taker=FEE_RATE)

    def _find(self, query: _Query) -> MockOrder | None:
        return self.desk.ledger.find(query["native"], query.get("order_id", ""), query["client_order_id"])

    def _found(self, query: _Query) -> MockOrder:
        order = self._find(query)
        if order is None:
            raise Refusal(410, "no such order")
        return order


def _amount(query: _Query, name: str) -> Decimal | None:
    return dec(query[name], name) if name in query else None


def _since_ns(query: _Query) -> int:
    return int(query.get("since_ms", "0")) * NS_PER_MS


def _next(at: int, rows: int) -> str:
    return str(at + PAGE_ROWS) if rows > at + PAGE_ROWS else ""
