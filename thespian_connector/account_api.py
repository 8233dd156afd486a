"""What is asked about an account: the half of :class:`~thespian_connector.Connector` that changes nothing.

Who asks after a command of the same Connector was answered is told nothing older than that answer.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from .limits import ORDER_ANSWER_GRACE_S, ORDER_CATCH_UP_S, ORDER_LOOK_S
from .model import Balance, FeeRates, Order, Position, Trust
from .model.decimals import CONTEXT, canonical
from .model.documents import plain
from .model.errors import ConnectorError, NotRunning, OrderNotFound, Refused, UsageError
from .orders.ids import check_known_as
from .system.recent import Recent

if TYPE_CHECKING:
    from .model import OrderBook, Ticker
    from .system.client import Client

_ASK_S = 5.0
#: A signed question to the venue, with the wait for room in the budget.
_SIGNED_S = 15.0
_NS = 1_000_000_000


class AccountQueries:
    """What needs an account and sends no order."""

    _client: Client
    _recent: Recent

    if TYPE_CHECKING:  # Connector's

        def exchanges(self) -> dict[str, list[str]]: ...
        def order_book(self, exchange: str, symbol: str, depth: int = 0) -> OrderBook: ...
        def ticker(self, exchange: str, symbol: str) -> Ticker: ...

    def accounts(self) -> list[str]:
        """The exchanges where the system has an account."""
        return self._client.ask("accounts", {}, list[str], _ASK_S)

    def order(self, client_order_id: str, exchange: str | None = None) -> Order:
        """The order of that id, whichever exchange it is at.

        :raises OrderNotFound: no exchange of this system knows it.
        :raises UsageError: more than one does, and `exchange` does not say which is meant.
        """
        check_known_as(client_order_id)
        found: list[Order] = []
        missing: ConnectorError | None = None
        for name in self._trading(exchange):
            try:
                found.append(self._order_at(name, client_order_id))
            except OrderNotFound as error:
                missing = missing or error
            except Refused as error:
                missing = error  # it may be there
        if len(found) > 1:
            places = " and ".join(order.exchange for order in found)
            raise UsageError(f"exchange: {places} each have an order {client_order_id}; say which is meant")
        if found:
            return found[0]
        assert missing is not None, "some exchange was asked"
        missing.client_order_id = client_order_id
        raise missing

    def _order_at(self, exchange: str, client_order_id: str) -> Order:
        """:raises OrderNotFound: none is there of that id, and none was told of.
        :raises Refused: more was told of it than the query side has heard yet.
        """
        arguments = {"exchange": exchange, "client_order_id": client_order_id}
        try:
            found = self._client.ask("order", arguments, Order, _ASK_S)
            if self._recent.caught_up(found):
                return found
        except OrderNotFound:
            if not self._recent.told_ns(exchange, client_order_id):
                raise
        told_ns = self._recent.told_ns(exchange, client_order_id)
        newer = self._look(exchange, client_order_id, self._recent.caught_up, time.monotonic() + ORDER_CATCH_UP_S)
        self._recent.forget(exchange, client_order_id)
        if newer is None or newer.updated_ns < told_ns:
            raise Refused(
                f"{exchange}: order-state has not heard yet what became of {client_order_id}; ask again in a moment"
            )
        return newer

    def _catch_up(self, exchange: str) -> None:
        """Until the query side has heard of what commands answered."""
        for name in self._recent.of(exchange):
            with contextlib.suppress(OrderNotFound):
                self._order_at(exchange, name)

    def orders(self, open_only: bool = False, exchange: str | None = None) -> list[Order]:
        """Orders that the system knows, oldest first; at most the 5,000 newest of an exchange."""
        found: list[Order] = []
        for name in self._trading(exchange):
            self._catch_up(name)
            found += self._client.ask("orders", {"exchange": name, "open_only": open_only}, list[Order], _ASK_S)
        return sorted(found, key=lambda order: (order.created_ns, order.client_order_id))

    def balances(self, exchange: str | None = None) -> list[Balance]:
        """What is on the accounts, by the venues' word."""
        return [
            balance
            for name in self._trading(exchange)
            for balance in self._client.ask("balances", {"exchange": name}, list[Balance], _ASK_S)
        ]

    def positions(self, exchange: str | None = None) -> list[Position]:
        """What our fills add up to, by exchange and symbol; unrealised PnL at the middle of the best bid and ask."""
        return [position for name in self._trading(exchange) for position in self._positions(name)]

    def _positions(self, exchange: str) -> list[Position]:
        arguments: dict[str, Any] = {"exchange": exchange}
        self._catch_up(exchange)
        positions = self._client.ask("positions", arguments, list[Position], _ASK_S)
        marks = {one.symbol: mark for one in positions if (mark := self._mark(exchange, one.symbol)) is not None}
        if not marks:
            return positions
        return self._client.ask("positions", arguments | {"marks": plain(marks)}, list[Position], _ASK_S)

    def _mark(self, exchange: str, symbol: str) -> Decimal | None:
        """The middle of the live book, else of the venue's ticker; None: there is neither now."""
        bid: Decimal | None = None
        ask: Decimal | None = None
        try:
            book = self.order_book(exchange, symbol, 1)
            if book.trust is Trust.LIVE and book.bids and book.asks:
                bid, ask = book.bids[0].price, book.asks[0].price
        except ConnectorError:
            pass  # not carried, or just restarting
        if bid is None or ask is None:
            try:
                ticker = self.ticker(exchange, symbol)
            except ConnectorError:
                return None
            bid, ask = ticker.bid, ticker.ask
        return None if bid is None or ask is None else canonical(CONTEXT.divide(CONTEXT.add(bid, ask), Decimal(2)))

    def fees(self, exchange: str, symbols: Sequence[str] = ()) -> list[FeeRates]:
        """The account's maker and taker rates, asked from the venue; of `symbols`, or of those that the system carries.

        :raises UnknownExchange, UnknownSymbol: it does not run, or the venue lists none of that name.
        """
        wanted = list(symbols) or self.exchanges().get(exchange, [])
        return self._client.ask("fees", {"exchange": exchange, "symbols": wanted}, list[FeeRates], _SIGNED_S)

    def _trading(self, exchange: str | None = None) -> list[str]:
        """The exchange that is meant, or all that have an account."""
        return [exchange] if exchange is not None else self._accounts_of(())

    def _accounts_of(self, exchanges: Sequence[str]) -> list[str]:
        """Those of `exchanges` (none: of all) that have an account.

        :raises UsageError: none of them has.
        """
        wanted = [name for name in self.accounts() if not exchanges or name in exchanges]
        if not wanted:
            raise UsageError(
                f"{', '.join(exchanges) or 'no exchange'}: this system has no key of an account there; name one in the"
                " config: exchanges.<id>.api_key and api_secret"
            )
        return wanted

    def _look(self, exchange: str, name: str, enough: Callable[[Order], bool], deadline: float) -> Order | None:
        """The order once it is as `enough` says, or as it is at the deadline; None: OrderState was not heard."""
        terms = {"changes": True, "deadline_mono_ns": int(deadline * _NS)}
        arguments = {"exchange": exchange, "client_order_id": name, **terms}
        state = f"exchange/{exchange}/order-state"
        seen: Order | None = None
        while True:
            left = deadline + ORDER_ANSWER_GRACE_S - time.monotonic()
            with contextlib.suppress(NotRunning, Refused, OrderNotFound):  # restarting, or it has not heard of it yet
                seen = self._client.ask("settled", arguments, Order, max(0.0, left), component=state)
                self._recent.caught_up(seen)
            left = deadline - time.monotonic()
            if left <= 0 or (seen is not None and enough(seen)):
                return seen
            time.sleep(min(ORDER_LOOK_S, left))
