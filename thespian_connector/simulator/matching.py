"""What happens to accepted orders: they trade, are hit, are triggered, end; balances follow, listeners hear of it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal

from thespian_connector.model.decimals import ZERO
from thespian_connector.model.enums import OrderStatus, OrderType, TimeInForce

from .engine import Resting
from .ledger import Ledger
from .market import Batch, Market, SimTrade
from .orders import OrderEvent, OrderFill, Reason, Refused, SelfTrade, SimOrder
from .reach import Reach, reach
from .register import Register
from .venue import Account, Venue


def order_reach(market: Market, order: SimOrder, *, past_own: bool = False) -> Reach:
    """What an order would trade with others now, as its limit and self-trade mode let it.

    :param past_own: overlook orders of the same account, whatever the mode.
    """
    tick, step, ticket = market.spec.tick, market.spec.step, order.ticket
    return reach(
        market.book,
        order.is_buy,
        None if order.price is None else int(order.price / tick),
        steps=None if order.quantity is None else int(order.left / step),
        budget=None if ticket.quote_quantity is None else int(ticket.quote_quantity / (tick * step)),
        owner="" if ticket.self_trade is SelfTrade.NONE else order.owner,
        past_own=past_own or ticket.self_trade is SelfTrade.EXPIRE_MAKER,
    )


class Matching:
    """The life of accepted orders.

    :param execution_id: the text of one side of a trade: (trade id, whether it is the maker's side).
    """

    def __init__(
        self,
        venue: Venue,
        register: Register,
        ledgers: dict[str, Ledger],
        execution_id: Callable[[int, bool], str],
    ) -> None:
        self._venue = venue
        self._register = register
        self._ledgers = ledgers
        self._execution_id = execution_id
        self.on_order: list[Callable[[OrderEvent], None]] = []
        self.on_balances: list[Callable[[Account, list[str]], None]] = []
        #: Orders by the engine's numbers of them: resting ones, and those that are being matched.
        self._in_engine: dict[tuple[str, int], SimOrder] = {}
        self._prints: deque[tuple[str, list[SimTrade]]] = deque()
        self._settling = False
        for market in venue.markets.values():
            market.followers.append(self._on_batch)

    @contextmanager
    def settling(self) -> Iterator[None]:
        """One call's doings: at its end stop orders are triggered, and the balances that changed are told."""
        if self._settling:
            yield
            return
        self._settling = True
        try:
            yield
            while self._prints:
                self._trigger(*self._prints.popleft())
        finally:
            self._settling = False
        for ledger in self._ledgers.values():
            if ledger.changed:
                assets, ledger.changed = list(ledger.changed), {}
                for listener in self.on_balances:
                    listener(ledger.account, assets)

    def tell(
        self,
        what: str,
        order: SimOrder,
        *,
        fill: OrderFill | None = None,
        prevented: Decimal = ZERO,
        counter: SimOrder | None = None,
        former_client_id: str = "",
    ) -> None:
        """Tell the listeners what has just been done to an order."""
        event = OrderEvent(what, order, order.updated_ns, fill, prevented, counter, former_client_id)
        for listener in self.on_order:
            listener(event)

    def work(self, order: SimOrder) -> None:
        """Let an order into the book: it trades, and rests or ends."""
        market = self._venue.markets[order.native]
        if order.quantity is None:
            found = order_reach(market, order)
            order.quantity, order.short = found.steps * market.spec.step, found.short
        fok = order.ticket.time_in_force is TimeInForce.FOK
        if fok and order_reach(market, order).steps * market.spec.step < order.left:
            self.end(order, OrderStatus.EXPIRED, Reason.FOK)
            return
        self._match(market, order)
        if order.open and order.resting is None:
            reason = Reason.NO_LIQUIDITY if order.ticket.type is OrderType.MARKET else Reason.IOC
            self.end(order, OrderStatus.EXPIRED, reason)

    def _match(self, market: Market, order: SimOrder) -> None:
        spec, ticket = market.spec, order.ticket
        limit = None if order.price is None else int(order.price / spec.tick)
        owner = "" if ticket.self_trade is SelfTrade.NONE else order.owner
        rests = limit is not None and ticket.time_in_force is TimeInForce.GTC
        while order.open and order.left:
            steps = int(order.left / spec.step)
            ahead = reach(market.book, order.is_buy, limit, steps=steps, owner=owner)
            part = steps if ahead.own is None else ahead.steps
            if part:
                now_ns = self._venue.time_ns()
                execution = market.submit(
                    order.is_buy, part, limit, now_ns=now_ns, owner=order.owner, rest=rests and ahead.own is None
                )
                key = (order.native, execution.order_id)
                self._in_engine[key] = order
                order.resting = execution.order_id if execution.resting else None
                market.commit(now_ns)
                if order.resting is None:
                    self._in_engine.pop(key, None)
            if ahead.own is None:
                return
            self._prevent(market, order, ahead.own)

    def _prevent(self, market: Market, taker: SimOrder, resting: Resting) -> None:
        """Self-trade prevention, before `taker` would meet `resting` of the same account."""
        maker = self._in_engine[taker.native, resting.order_id]
        mode = taker.ticket.self_trade
        size = min(taker.left, maker.left)
        losses = {
            SelfTrade.EXPIRE_TAKER: ((taker, taker.left),),
            SelfTrade.EXPIRE_MAKER: ((maker, maker.left),),
            SelfTrade.EXPIRE_BOTH: ((maker, maker.left), (taker, taker.left)),
            SelfTrade.DECREMENT: ((maker, size), (taker, size)),
        }[mode]
        for order, loss in losses:
            counter = taker if order is maker else maker
            if loss == order.left:
                self.end(order, OrderStatus.EXPIRED, Reason.SELF_TRADE, counter=counter)
            else:
                order.prevented += loss
                if order.resting is not None:
                    market.book.reduce(order.resting, int(loss / market.spec.step))
                self._ledgers[order.owner].lock(order, market.spec, -self._worth(order, loss))
                self.touch(order)
                self.tell("prevented", order, prevented=loss, counter=counter)
        market.commit(self._venue.time_ns())

    @staticmethod
    def _worth(order: SimOrder, quantity: Decimal) -> Decimal:
        """What an order has locked for so much of its quantity."""
        if not order.is_buy:
            return quantity
        return quantity * order.price if order.price is not None else ZERO

    def unrest(self, order: SimOrder) -> None:
        """Take an order out of the book; :meth:`work` or :meth:`end` follows."""
        if order.resting is not None:
            self._venue.markets[order.native].book.cancel(order.resting)
            del self._in_engine[order.native, order.resting]
            order.resting = None

    def end(
        self,
        order: SimOrder,
        status: OrderStatus,
        reason: Reason,
        *,
        counter: SimOrder | None = None,
        client_id: str | None = None,
    ) -> None:
        """End an order that is not filled; its funds are free again."""
        market = self._venue.markets[order.native]
        self.unrest(order)
        lost = order.left
        if reason is Reason.SELF_TRADE:
            order.prevented += lost
        order.status, order.reason = status, reason
        self._close(order)
        former = order.client_id
        if client_id is not None:
            self._register.rename(order, client_id)
        self.touch(order)
        if reason is Reason.SELF_TRADE:
            self.tell("prevented", order, prevented=lost, counter=counter)
        else:
            self.tell("ended", order, former_client_id=former)
        market.commit(order.updated_ns)

    def _close(self, order: SimOrder) -> None:
        self._ledgers[order.owner].release(order, self._venue.markets[order.native].spec)
        self._register.ended(order)

    def touch(self, order: SimOrder) -> None:
        """Something has happened to it now."""
        order.updated_ns = max(order.updated_ns, self._venue.time_ns())

    def _on_batch(self, batch: Batch) -> None:
        """A batch of the market: our orders that traded in it get their fills, in the order of the trades."""
        if not batch.trades:
            return
        with self.settling():
            native = batch.spec.native
            self._prints.append((native, batch.trades))
            for trade in batch.trades:
                maker = self._in_engine.get((native, trade.maker_id))
                taker = self._in_engine.get((native, trade.taker_id))
                if taker is not None:
                    self._fill(taker, batch, trade, is_maker=False)
                if maker is not None:
                    self._fill(maker, batch, trade, is_maker=True)

    def _fill(self, order: SimOrder, batch: Batch, trade: SimTrade, *, is_maker: bool) -> None:
        fee, asset = self._ledgers[order.owner].settle(order, batch.spec, trade.price, trade.quantity, maker=is_maker)
        fill = OrderFill(
            self._execution_id(trade.trade_id, is_maker),
            trade.trade_id,
            trade.price,
            trade.quantity,
            fee,
            asset,
            is_maker,
            trade.time_ns,
        )
        order.fills.append(fill)
        order.filled += trade.quantity
        order.filled_quote += trade.price * trade.quantity
        if order.left or order.short:
            order.status = OrderStatus.PARTIALLY_FILLED
        else:
            order.status = OrderStatus.FILLED
            if order.resting is not None:
                del self._in_engine[order.native, order.resting]
                order.resting = None
            self._close(order)
        order.updated_ns = max(order.updated_ns, trade.time_ns)
        self.tell("fill", order, fill=fill)

    def _trigger(self, native: str, trades: list[SimTrade]) -> None:
        """Stop orders whose price the trades reached begin to work, the oldest first."""
        for order in self._register.open(native):
            if order.working or not order.open or not any(reached(order, trade.price) for trade in trades):
                continue
            market = self._venue.markets[native]
            order.working = True
            self.touch(order)
            order.working_ns = order.updated_ns
            self.tell("triggered", order)
            if not order.locked:
                try:
                    self._ledgers[order.owner].lock(order, market.spec, funds_needed(market, order))
                except Refused:
                    self.end(order, OrderStatus.REJECTED, Reason.FUNDS)
                    continue
            self.work(order)


def reached(order: SimOrder, price: Decimal) -> bool:
    """Whether a trade at `price` triggers a stop order."""
    assert order.stop_price is not None, "only a stop order waits"
    return price >= order.stop_price if order.ticket.trigger_above else price <= order.stop_price


def funds_needed(market: Market, order: SimOrder) -> Decimal:
    """What an order that begins to work must have locked: quote if it buys, base if it sells."""
    spec = market.spec
    if order.quantity is not None and not order.is_buy:
        return order.left
    if order.quantity is not None and order.price is not None:
        return order.left * order.price
    if order.ticket.quote_quantity is not None and order.is_buy:
        return order.ticket.quote_quantity
    # Not less than it can cost: what the prevention of self-trades spares is given back.
    found = order_reach(market, order, past_own=True)
    return found.cost * spec.tick * spec.step if order.is_buy else found.steps * spec.step
