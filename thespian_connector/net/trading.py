"""One account's orders and reads over REST: the driver's signed requests over a `RestClient`.

Signed at the last moment before each try, so that waiting for the budget makes no request old. A deadline is a point on
the monotonic clock (seconds), and is looked at last of all before a request is signed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from functools import partial

from thespian_connector import limits
from thespian_connector.drivers.base import RestRequest
from thespian_connector.drivers.signing import Signer
from thespian_connector.drivers.trading import Auth, CancelReplacing, Fees, OrderKey, Page, Replaced, TradingDriver
from thespian_connector.model import Instrument, NewOrder
from thespian_connector.model.errors import ConnectorError, DeadlineExceeded, ExchangeError, OrderNotFound, ServerFault
from thespian_connector.model.private import BalanceReport, FillReport, OrderReport

from .budget import Budget, Grant, Priority
from .clock import ClockOffset
from .rest import OnAnswer, RestClient

#: Makes a request for the time that it is given.
Build = Callable[[Auth], RestRequest]


class TradeRest:
    """Thread-safe. Writes raise what `RestClient.call` raises, and ServerFault (the outcome is then unknown) when the
    answer of an accepted request cannot be read.

    :param account: the budget of the account's own limits (kinds "place", "amend", "cancel", "query"), None: none.
    :param on_sent: called each time that a write is on its way and its answer not read.
    """

    def __init__(
        self,
        trading: TradingDriver,
        client: RestClient,
        signer: Signer,
        clock: ClockOffset,
        account: Budget | None = None,
        *,
        recv_window_ms: int = limits.RECV_WINDOW_MS,
        on_sent: Callable[[], None] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.trading = trading
        self.client = client
        self.clock = clock
        self.recv_window_ms = recv_window_ms
        self._signer = signer
        self._account = account
        self._on_sent = on_sent
        self._monotonic = monotonic

    def auth(self) -> Auth:
        """Of now."""
        return Auth(self._signer, self.clock.now_ms(), self.recv_window_ms)

    # -- writes

    def place(self, order: NewOrder, instrument: Instrument, deadline: float) -> OrderReport:
        body = self._write("place", lambda auth: self.trading.place(order, instrument, auth), deadline)
        return self.trading.parse_placed(body, order, instrument)

    def cancel(self, key: OrderKey, deadline: float) -> OrderReport:
        """Passes an open breaker."""
        body = self._write("cancel", lambda auth: self.trading.cancel(key, auth), deadline)
        return self.trading.parse_canceled(body, key)

    def amend(self, key: OrderKey, quantity: Decimal | None, price: Decimal | None, deadline: float) -> OrderReport:
        body = self._write("amend", lambda auth: self.trading.amend(key, quantity, price, auth), deadline)
        return self.trading.parse_amended(body, key)

    def cancel_replace(self, key: OrderKey, order: NewOrder, instrument: Instrument, deadline: float) -> Replaced:
        trading = self.trading
        assert isinstance(trading, CancelReplacing), "amend_way says who can"
        answer: bytes | ExchangeError
        try:
            answer = self._write("place", lambda auth: trading.cancel_replace(key, order, instrument, auth), deadline)
        except ExchangeError as error:
            if not error.data:
                raise
            answer = error
        return trading.parse_replaced(answer, key, order, instrument)

    def cancel_all(self, native: str, deadline: float) -> None:
        """Every open order of the symbol, whoever placed it. Each request is made, whatever became of the others.

        :raises ConnectorError: the first error of any.
        """
        failed: ConnectorError | None = None
        for build in self._each(lambda auth: self.trading.cancel_all(native, auth)):
            try:
                self._write("cancel", build, deadline)
            except ConnectorError as error:
                failed = failed or error
        if failed is not None:
            raise failed

    def _write(self, kind: str, build: Build, deadline: float) -> bytes:
        """:raises DeadlineExceeded: it was too late before anything was sent."""
        priority = Priority.CANCEL if kind == "cancel" else Priority.ORDER
        on_answer: OnAnswer | None = None
        if self._account is not None:
            grant = self._account.acquire(kind, 1, priority, max(0.0, deadline - self._monotonic()))
            on_answer = partial(self._correct, self._account, grant)
        bypass = kind == "cancel"
        return self._call(build, priority, deadline, bypass=bypass, on_sent=self._on_sent, on_answer=on_answer)

    def _correct(self, account: Budget, grant: Grant, headers: Mapping[str, str]) -> None:
        """Another system may use the same account."""
        account.correct(grant, self.trading.account_usage(headers))

    # -- reads

    def query(self, key: OrderKey, deadline: float) -> OrderReport | None:
        """None: the venue knows no such order, now."""
        for build in self._each(lambda auth: self.trading.queries(key, auth)):
            try:
                body = self._read(build, deadline)
            except OrderNotFound:
                continue
            report = self.trading.parse_query(body, key)
            if report is not None:
                return report
        return None

    def open_orders(self, native: str | None, deadline: float) -> list[OrderReport]:
        found: list[OrderReport] = []
        for number in range(len(self.trading.open_orders(native, "", self.auth()))):
            listing = partial(self._open_orders, native, number)
            found.extend(
                order for page in self._pages(listing, self.trading.parse_orders, deadline) for order in page.orders
            )
        return found

    def _open_orders(self, native: str | None, number: int, cursor: str, auth: Auth) -> RestRequest:
        requests = self.trading.open_orders(native, cursor, auth)
        return requests[0] if cursor else requests[number]  # a cursor belongs to one listing

    def order_history(self, native: str, since_ms: int, deadline: float) -> list[OrderReport]:
        pages = self._pages(
            lambda cursor, auth: self.trading.order_history(native, since_ms, cursor, auth),
            self.trading.parse_orders,
            deadline,
        )
        return [order for page in pages for order in page.orders]

    def fills(self, native: str, order_id: str | None, since_ms: int, deadline: float) -> list[FillReport]:
        pages = self._pages(
            lambda cursor, auth: self.trading.fills(native, order_id, since_ms, cursor, auth),
            self.trading.parse_fills,
            deadline,
        )
        return [fill for page in pages for fill in page.fills]

    def balances(self, deadline: float) -> list[BalanceReport]:
        return self.trading.parse_balances(self._read(self.trading.balances, deadline))

    def fees(self, native: str, deadline: float) -> Fees:
        return self.trading.parse_fees(self._read(lambda auth: self.trading.fees(native, auth), deadline), native)

    def _pages(
        self, build: Callable[[str, Auth], RestRequest], parse: Callable[[bytes], Page], deadline: float
    ) -> Iterator[Page]:
        """:raises ServerFault: a cursor that comes again: the listing would never end."""
        cursor, seen = "", {""}
        while True:
            page = parse(self._read(partial(build, cursor), deadline))
            yield page
            if not page.cursor:
                return
            if page.cursor in seen or len(seen) > limits.LISTING_PAGES_MAX:
                raise ServerFault(f"{self.trading.exchange}: a listing that does not end")
            cursor = page.cursor
            seen.add(cursor)

    def _read(self, build: Build, deadline: float) -> bytes:
        if self._account is not None:
            self._account.acquire("query", 1, Priority.RECONCILE, max(0.0, deadline - self._monotonic()))
        return self._call(build, Priority.RECONCILE, deadline, bypass=True)

    def _each(self, requests: Callable[[Auth], list[RestRequest]]) -> list[Build]:
        """A builder for each of several requests, so that each is signed when its turn comes."""

        def nth(number: int, auth: Auth) -> RestRequest:
            return requests(auth)[number]

        return [partial(nth, number) for number in range(len(requests(self.auth())))]

    # -- both

    def _call(
        self,
        build: Build,
        priority: Priority,
        deadline: float,
        *,
        bypass: bool,
        on_sent: Callable[[], None] | None = None,
        on_answer: OnAnswer | None = None,
    ) -> bytes:
        def sign(request: RestRequest) -> RestRequest:
            if self._monotonic() >= deadline:
                raise DeadlineExceeded(
                    f"{self.trading.exchange}: too late for {request.method} {request.path}, not sent"
                )
            return build(self.auth())

        return self.client.call(
            build(self.auth()),  # for its weight, path and surface
            priority=priority,
            deadline_s=max(0.0, deadline - self._monotonic()),
            bypass=bypass,
            sign=sign,
            on_sent=on_sent,
            on_answer=on_answer,
        )
