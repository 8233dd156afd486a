"""Order entry of one venue, in no venue's words: what its fronts share.

A front checks what its venue checks before the engine (signature, filters, limits), spells a :class:`Ticket`, and
calls :meth:`Desk.place`, :meth:`Desk.cancel` or :meth:`Desk.amend`. The desk locks the funds, trades in the market's
own book, and tells its listeners everything in the order in which it happens: the events of orders one by one, then
the balances that changed, once a call (or once a batch of the flow that hit a resting order).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from thespian_connector.model.decimals import ZERO
from thespian_connector.model.enums import OrderStatus, OrderType

from .ledger import Ledger
from .matching import Matching, funds_needed, reached
from .orders import OrderEvent, Reason, Refusal, Refused, SimOrder, Ticket
from .register import Register
from .venue import Account, Venue


@dataclass(frozen=True, kw_only=True)
class DeskRules:
    """Where venues differ.

    :param order_id: the next order id of an instrument (its native name).
    :param execution_id: the text of one side of a trade: (trade id, whether it is the maker's side).
    :param fee_step: fees are rounded down to a multiple of it.
    :param client_ids_for_ever: a client id is never taken twice (Bybit), not merely unique among open orders (Binance).
    :param post_only_accepted: a post-only order that would take is accepted and then rejected (Bybit), not refused.
    :param stops_lock: a stop order locks its funds when it is placed (Binance), not when it is triggered.
    :param open_orders_max: orders open at once in the account; `symbol_orders_max`, `symbol_stops_max`: in one
        instrument, all and stop orders alone.
    """

    order_id: Callable[[str], int]
    execution_id: Callable[[int, bool], str]
    maker_fee: Decimal
    taker_fee: Decimal
    fee_step: Decimal
    client_ids_for_ever: bool = False
    post_only_accepted: bool = False
    stops_lock: bool = True
    open_orders_max: int | None = None
    symbol_orders_max: int | None = None
    symbol_stops_max: int | None = None


class Desk:
    """Takes orders for the accounts of one venue. `register` finds them."""

    def __init__(self, venue: Venue, rules: DeskRules) -> None:
        self.venue = venue
        self.rules = rules
        self.register = Register(venue, rules.client_ids_for_ever)
        self._ledgers: dict[str, Ledger] = {}
        self._matching = Matching(venue, self.register, self._ledgers, rules.execution_id)
        self.add_account(venue.account)

    @property
    def on_order(self) -> list[Callable[[OrderEvent], None]]:
        """The listeners of all orders' events; append to it."""
        return self._matching.on_order

    @property
    def on_balances(self) -> list[Callable[[Account, list[str]], None]]:
        """The listeners of changed balances: (the account, its assets that changed), after the events of a call."""
        return self._matching.on_balances

    def add_account(self, account: Account) -> None:
        """Let an account trade; its API key is the name that its orders go by (`SimOrder.owner`)."""
        rules = self.rules
        self._ledgers[account.api_key] = Ledger(
            account, maker_fee=rules.maker_fee, taker_fee=rules.taker_fee, fee_step=rules.fee_step
        )

    def halted(self, native: str) -> bool:
        """Whether a `maintenance` keeps orders of an instrument out; the question counts as the fault's firing."""
        return self.venue.take(("trade", "rest"), "maintenance", symbol=native) is not None

    def place(self, ticket: Ticket, account: Account | None = None, *, hidden_ms: int = 0) -> SimOrder:
        """Accept an order and let it trade: what comes back may be filled or expired already.

        :param hidden_ms: queries miss the order for so long.
        :raises Refused: FUNDS, DUPLICATE, WOULD_TAKE, WOULD_TRIGGER, HALTED, OPEN_ORDERS, OPEN_STOPS.
        """
        order, amount = self._draft(ticket, account or self.venue.account)
        with self._matching.settling():
            self._ledgers[order.owner].lock(order, self.venue.markets[order.native].spec, amount)
            order.order_id = self.rules.order_id(ticket.native)
            if hidden_ms:
                order.hidden_until_ns = self.venue.monotonic_ns() + hidden_ms * 1_000_000
            self.register.add(order)
            if order.working and self._would_take(ticket, order.price):
                self._matching.end(order, OrderStatus.REJECTED, Reason.POST_ONLY)
            else:
                self._matching.tell("accepted", order)
                if order.working:
                    self._matching.work(order)
        return order

    def cancel(self, order: SimOrder, *, client_id: str | None = None) -> None:
        """End an open order at its owner's wish.

        :param client_id: the id that it goes by from now on (Binance: the cancel's).
        :raises Refused: NOT_OPEN.
        """
        if not order.open:
            raise Refused(Refusal.NOT_OPEN)
        with self._matching.settling():
            self._matching.end(order, OrderStatus.CANCELED, Reason.USER, client_id=client_id)

    def amend(
        self,
        order: SimOrder,
        *,
        quantity: Decimal | None = None,
        price: Decimal | None = None,
        stop_price: Decimal | None = None,
        client_id: str | None = None,
    ) -> None:
        """Change an open order. A smaller quantity keeps its place; more of it, or another price, queues anew.

        :param quantity: the new total, with what is filled.
        :raises Refused: NOT_OPEN, HALTED, NO_CHANGE, TOO_SMALL, WOULD_TAKE (post-only), FUNDS; nothing has changed.
        """
        if not order.open or order.quantity is None:
            raise Refused(Refusal.NOT_OPEN)
        if self.halted(order.native):
            raise Refused(Refusal.HALTED)
        new_quantity = order.quantity if quantity is None else quantity
        new_price = order.price if price is None else price
        new_stop = order.stop_price if stop_price is None or order.working else stop_price
        if client_id is None and (new_quantity, new_price, new_stop) == (
            order.quantity,
            order.price,
            order.stop_price,
        ):
            raise Refused(Refusal.NO_CHANGE)
        left = new_quantity - order.filled - order.prevented
        if left <= 0:
            raise Refused(Refusal.TOO_SMALL)
        if order.working and new_price != order.price and self._would_take(order.ticket, new_price):
            raise Refused(Refusal.WOULD_TAKE)
        with self._matching.settling():
            if order.locked:
                needed = left * new_price if order.is_buy and new_price is not None else left
                spec = self.venue.markets[order.native].spec
                self._ledgers[order.owner].lock(order, spec, needed - order.locked)
            self._change(order, new_quantity, new_price, new_stop, client_id)

    def _change(
        self,
        order: SimOrder,
        quantity: Decimal,
        price: Decimal | None,
        stop_price: Decimal | None,
        client_id: str | None,
    ) -> None:
        assert order.quantity is not None, "checked before"
        market = self.venue.markets[order.native]
        smaller = order.quantity - quantity
        keeps_place = price == order.price and smaller >= 0
        former = order.client_id
        order.quantity, order.price, order.stop_price = quantity, price, stop_price
        order.amendments += 1
        if client_id is not None:
            self.register.rename(order, client_id)
        if not keeps_place:
            self._matching.unrest(order)
        elif smaller and order.resting is not None:
            reduced = market.book.reduce(order.resting, int(smaller / market.spec.step))
            assert reduced, "the book holds what the order has left"
        self._matching.touch(order)
        self._matching.tell("amended", order, former_client_id=former)
        if order.working and order.resting is None:
            self._matching.work(order)
        market.commit(order.updated_ns)

    def _draft(self, ticket: Ticket, account: Account) -> tuple[SimOrder, Decimal]:
        """The order of an admissible ticket, and what it locks; neither is done yet."""
        market, owner = self.venue.markets[ticket.native], account.api_key
        now_ns = self.venue.time_ns()
        order = SimOrder(
            ticket=ticket,
            owner=owner,
            order_id=0,
            symbol=market.spec.symbol,
            client_id=ticket.client_id,
            quantity=ticket.quantity,
            price=ticket.price,
            stop_price=ticket.stop_price,
            created_ns=now_ns,
            updated_ns=now_ns,
            working=ticket.stop_price is None,
            working_ns=now_ns if ticket.stop_price is None else 0,
        )
        self._admit(order)
        if not (order.working or self.rules.stops_lock or ticket.locks):
            return order, ZERO
        amount = ZERO if self._cost_unknown(order) else funds_needed(market, order)
        asset = market.spec.quote if order.is_buy else market.spec.base
        if amount > self._ledgers[owner].free(asset):
            raise Refused(Refusal.FUNDS)
        return order, amount

    @staticmethod
    def _cost_unknown(order: SimOrder) -> bool:
        """A market order to come that buys by base quantity locks nothing before it is triggered."""
        return not order.working and order.price is None and order.is_buy and order.ticket.quote_quantity is None

    def _admit(self, order: SimOrder) -> None:
        rules, ticket = self.rules, order.ticket
        if self.halted(order.native):
            raise Refused(Refusal.HALTED)
        if self.register.taken(order.client_id):
            raise Refused(Refusal.DUPLICATE)
        if order.working and not rules.post_only_accepted and self._would_take(ticket, order.price):
            raise Refused(Refusal.WOULD_TAKE)
        last = self.venue.markets[order.native].last_trade()
        if not order.working and last is not None and reached(order, last.price):
            raise Refused(Refusal.WOULD_TRIGGER)
        mine = self.register.open(owner=order.owner)
        here = [known for known in mine if known.native == order.native]
        if rules.open_orders_max is not None and len(mine) >= rules.open_orders_max:
            raise Refused(Refusal.OPEN_ORDERS)
        if rules.symbol_orders_max is not None and len(here) >= rules.symbol_orders_max:
            raise Refused(Refusal.OPEN_ORDERS)
        if not order.working and rules.symbol_stops_max is not None:
            waiting = sum(1 for known in here if not known.working)
            if waiting >= rules.symbol_stops_max:
                raise Refused(Refusal.OPEN_STOPS)

    def _would_take(self, ticket: Ticket, price: Decimal | None) -> bool:
        """Whether a post-only order would trade at once."""
        if ticket.type is not OrderType.LIMIT_MAKER or price is None:
            return False
        market = self.venue.markets[ticket.native]
        best = market.book.best(not ticket.is_buy)
        limit = int(price / market.spec.tick)
        return best is not None and (best <= limit if ticket.is_buy else best >= limit)
