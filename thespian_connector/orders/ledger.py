"""All orders of one exchange, and what their fills and the venue's balances add up to: a fold of journaled facts.

A handle is the client order id that the user knows. Where the venue could amend an order only by another one, the
handle stands for a chain of legs, and `order` tells it as one order: fills of all, state of the last that exists.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal

from thespian_connector.model import Balance, Fill, NewOrder, Order, OrderStatus, Position
from thespian_connector.model.decimals import CONTEXT, ZERO, canonical
from thespian_connector.model.private import BalanceReport, FillReport

from .events import (
    Absent,
    AmendIntended,
    Answered,
    BalancesTold,
    CancelIntended,
    Event,
    Executed,
    PlaceIntended,
    Reported,
    VenueEvent,
)
from .leg import Leg, fill_of
from .positions import Market, PositionBook

_DONE_AND_REPLACED = (OrderStatus.CANCELED, OrderStatus.EXPIRED)


class Ledger:
    """:param market_of: the venue's name of an instrument -> its symbol and assets."""

    def __init__(self, exchange: str, market_of: Callable[[str], Market]) -> None:
        self.exchange = exchange
        self._market_of = market_of
        self._legs: dict[str, Leg] = {}
        #: (native, order id) -> client order id: where the venue tells an execution without the client's id.
        self._by_order_id: dict[tuple[str, str], str] = {}
        #: Fills of order ids that no report has named yet.
        self._unclaimed: dict[tuple[str, str], list[Executed]] = {}
        #: handle -> the ids of its chain, in order; a leg -> its handle.
        self._chains: dict[str, list[str]] = {}
        self._handles: dict[str, str] = {}
        self._balances: dict[str, BalanceReport] = {}
        #: asset -> the number of the fact that told of it last.
        self._balances_at: dict[str, int] = {}
        #: How many facts about balances were folded in.
        self.balances_told = 0
        self._positions = PositionBook()

    # -- facts

    def apply(self, event: Event) -> tuple[str, ...]:
        """Folds one fact in. Returns the handles of the orders whose state it may have changed."""
        match event:
            case PlaceIntended():
                leg = self._leg(event.order.client_order_id)
                leg.intended(event)
                if event.replaces is not None:
                    self._chain(event.replaces, event.order.client_order_id)
            case CancelIntended() | AmendIntended():
                leg = self._leg(event.client_order_id)
                leg.operated(event)
            case Answered():
                leg = self._leg(event.client_order_id)
                leg.answered(event)
            case Reported():
                # Binance tells a canceled order under the id of its cancel in listings: the order's own id goes first.
                known = self._by_order_id.get((event.report.native, event.report.order_id))
                leg = self._leg(known or event.report.client_order_id)
                leg.reported(event)
            case Absent():
                leg = self._leg(event.client_order_id)
                leg.absent(event)
            case Executed():
                found = self._leg_of(event.fill)
                if found is None:
                    key = (event.fill.native, event.fill.order_id)
                    self._unclaimed.setdefault(key, []).append(event)
                    return ()
                leg = found
                leg.executed(event.fill, event.time_ns)
            case BalancesTold():
                self._tell_balances(event)
                return ()
        self._named(leg)
        self._count(leg)
        return (self.handle_of(leg.client_order_id),)

    def adds(self, event: VenueEvent) -> bool:
        """Whether the venue tells anything new by it. What does not need not be journaled: listings repeat."""
        match event:
            case Reported():
                leg = self._legs.get(event.report.client_order_id)
                return leg is None or leg.adds(event)
            case Executed():
                return self._adds_fill(event.fill)
            case BalancesTold():
                # What a stream tells is compared with nothing: what came just before may not be folded in yet.
                return event.asked_at is None or self._changed_balances(event) != {}
            case Absent():
                return True

    def _adds_fill(self, fill: FillReport) -> bool:
        leg = self._leg_of(fill, make=False)
        if leg is not None:
            return leg.adds_fill(fill)
        waiting = self._unclaimed.get((fill.native, fill.order_id), ())
        return all(event.fill.execution_id != fill.execution_id for event in waiting)

    def _changed_balances(self, event: BalancesTold) -> dict[str, BalanceReport | None]:
        """What the fact changes, by asset; None: nothing is left of it."""
        told: dict[str, BalanceReport | None] = {one.asset: one for one in event.balances}
        if event.asked_at is not None:
            told |= dict.fromkeys(asset for asset in self._balances if asset not in told)
            told = {asset: one for asset, one in told.items() if self._balances_at.get(asset, 0) <= event.asked_at}
        return {asset: one for asset, one in told.items() if _held(one) != _held(self._balances.get(asset))}

    def _leg(self, client_order_id: str) -> Leg:
        leg = self._legs.get(client_order_id)
        if leg is None:
            leg = self._legs[client_order_id] = Leg(client_order_id)
        return leg

    def _leg_of(self, fill: FillReport, *, make: bool = True) -> Leg | None:
        known = self._by_order_id.get((fill.native, fill.order_id))
        if known is not None:
            return self._legs[known]
        if not fill.client_order_id:
            return None
        return self._leg(fill.client_order_id) if make else self._legs.get(fill.client_order_id)

    def _named(self, leg: Leg) -> None:
        if not leg.order_id:
            return
        key = (leg.native, leg.order_id)
        if key not in self._by_order_id:
            self._by_order_id[key] = leg.client_order_id
        for event in self._unclaimed.pop(key, ()):
            leg.executed(event.fill, event.time_ns)

    def _count(self, leg: Leg) -> None:
        for fill, before in leg.new_fills():
            if before is None:
                self._positions.add(fill)
            else:
                self._positions.add(fill, before)

    def _chain(self, handle: str, successor: str) -> None:
        handle = self._handles.get(handle, handle)
        chain = self._chains.setdefault(handle, [handle])
        if successor not in chain:
            chain.append(successor)
            chain.sort(key=lambda name: (name != handle, len(name), name))  # successors are numbered
            self._handles[successor] = handle

    def _tell_balances(self, event: BalancesTold) -> None:
        changed = self._changed_balances(event)
        if changed or event.asked_at is None:  # as many as are journaled, so that a replay counts the same
            self.balances_told += 1
        for asset, told in changed.items():
            self._balances_at[asset] = self.balances_told
            if told is None:
                del self._balances[asset]
            else:
                self._balances[asset] = told

    # -- what is

    def handle_of(self, client_order_id: str) -> str:
        return self._handles.get(client_order_id, client_order_id)

    def legs(self) -> Iterable[Leg]:
        return self._legs.values()

    def leg(self, client_order_id: str) -> Leg | None:
        return self._legs.get(client_order_id)

    def unclaimed(self) -> list[tuple[str, str]]:
        """(native, order id) of fills that no report has named an order for yet."""
        return list(self._unclaimed)

    def newest_fill_ns(self, native: str) -> int:
        """0: none is known."""
        return self._positions.newest_ns(native)

    def chain_of(self, handle: str) -> Sequence[str]:
        """The ids that the handle stands for, oldest first."""
        return self._chains.get(handle, [handle])

    def current(self, handle: str) -> Leg | None:
        """The leg that stands for the handle now: the last that the venue has, or may have, taken."""
        chain = self.chain_of(handle)
        known = [leg for name in chain if (leg := self._legs.get(name)) is not None]
        for leg in reversed(known):
            if leg.evidence or leg.status is not OrderStatus.REJECTED:
                return leg
        return known[0] if known else None

    def intent(self, client_order_id: str) -> NewOrder | None:
        """What was asked for under that id, exactly; None: the id is not of an order of ours."""
        leg = self._legs.get(client_order_id)
        return leg.intent.order if leg is not None and leg.intent is not None else None

    def order(self, handle: str) -> Order | None:
        """The order as the user sees it; None: unknown, or of a venue's order that was not told whole yet."""
        current = self.current(handle)
        if current is None:
            return None
        terms = current.terms(self.exchange, self._market_of(current.native).symbol)
        if terms is None:
            return None
        legs = [leg for name in self.chain_of(handle) if (leg := self._legs.get(name)) is not None]
        earlier = [leg for leg in legs if leg is not current]
        filled, avg_price = _traded(legs)
        before = _sum(leg.filled for leg in earlier)
        fills = [fill_of(fill) for leg in legs for fill in leg.fills.values()]
        return Order(
            client_order_id=handle,
            exchange=self.exchange,
            symbol=terms.symbol,
            side=terms.side,
            type=terms.type,
            status=_status(current, before),
            order_id=current.order_id or None,
            price=terms.price,
            stop_price=terms.stop_price,
            quantity=None if terms.quantity is None else canonical(CONTEXT.add(terms.quantity, before)),
            quote_quantity=terms.quote_quantity,
            time_in_force=terms.time_in_force,
            filled=filled,
            avg_price=avg_price,
            fills=tuple(sorted(fills, key=_when)),
            reason=current.reason,
            created_ns=min((leg.since_ns for leg in legs), default=0),
            updated_ns=max(leg.updated_ns for leg in legs),
            foreign=all(leg.intent is None for leg in legs),
        )

    def orders(self, *, open_only: bool = False) -> list[Order]:
        """Every order, oldest first; each chain once."""
        handles = [name for name in self._legs if name not in self._handles]
        orders = [order for handle in handles if (order := self.order(handle)) is not None]
        wanted = [order for order in orders if not (open_only and order.status.terminal)]
        return sorted(wanted, key=lambda order: (order.created_ns, order.client_order_id))

    def balances(self) -> list[Balance]:
        return [
            Balance(exchange=self.exchange, asset=asset, free=told.free, locked=told.locked)
            for asset, told in sorted(self._balances.items())
        ]

    def positions(self, marks: Mapping[str, Decimal]) -> list[Position]:
        """:param marks: symbol -> the price to value what is held; a symbol without one has no unrealised PnL."""
        found = []
        for native in self._positions.natives():
            market = self._market_of(native)
            found.append(self._positions.position(native, self.exchange, market, marks.get(market.symbol)))
        return sorted(found, key=lambda position: position.symbol)


def _held(told: BalanceReport | None) -> tuple[Decimal, Decimal] | None:
    return None if told is None else (told.free, told.locked)


def _status(current: Leg, filled_before: Decimal) -> OrderStatus:
    status = current.status
    return OrderStatus.PARTIALLY_FILLED if status is OrderStatus.NEW and filled_before else status


def _traded(legs: list[Leg]) -> tuple[Decimal, Decimal | None]:
    filled, cost = ZERO, ZERO
    for leg in legs:
        quantity, paid = leg.traded()
        filled = CONTEXT.add(filled, quantity)
        if quantity and paid is None:
            return _sum(leg.filled for leg in legs), None
        cost = CONTEXT.add(cost, paid or ZERO)
    return canonical(filled), canonical(CONTEXT.divide(cost, filled)) if filled else None


def _sum(values: Iterable[Decimal]) -> Decimal:
    total = ZERO
    for value in values:
        total = CONTEXT.add(total, value)
    return canonical(total)


def _when(fill: Fill) -> tuple[int, int, str]:
    return fill.time_ns, len(fill.execution_id), fill.execution_id
