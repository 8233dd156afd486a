"""All orders of one exchange, and what their fills and the venue's balances add up to: a fold of journaled facts.

A handle is the client order id that the user knows. Where the venue could amend an order only by another one, the
handle stands for a chain of legs, and `order` tells it as one order: fills of all, state of the last that exists.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal

from thespian_connector.model import Balance, NewOrder, Order, OrderStatus, Position
from thespian_connector.model.private import FillReport, OrderReport

from .balances import BalanceBook
from .chain import as_order
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
from .kept import FORM, Keep, KeptAccount, KeptOrder, Nowhere, by_client_id, by_order_id
from .leg import Leg
from .positions import Market, PositionBook
from .recovery import Command


class Ledger:
    """:param market_of: the venue's name of an instrument -> its symbol and assets.
    :param keep: where orders are that are not in memory. What is kept of one that is in memory is not newer than that.
    :param had_again: called with the handle of an order that came from there into memory.
    :param is_gone: called with the handle of what was taken for an order, and is another's other id.
    :param counts: whether fills are added up to positions.
    """

    def __init__(
        self,
        exchange: str,
        market_of: Callable[[str], Market],
        keep: Keep | None = None,
        had_again: Callable[[str], None] = lambda _: None,
        is_gone: Callable[[str], None] = lambda _: None,
        *,
        counts: bool = True,
    ) -> None:
        self.exchange = exchange
        self._market_of = market_of
        self._keep = keep or Nowhere()
        self._had_again = had_again
        self._is_gone = is_gone
        self._counts = counts
        #: In memory; so are the other three for those legs.
        self._legs: dict[str, Leg] = {}
        #: (native, order id) -> client order id: where the venue tells an execution without the client's id.
        self._by_order_id: dict[tuple[str, str], str] = {}
        #: Fills of order ids that no report has named yet.
        self._unclaimed: dict[tuple[str, str], list[Executed]] = {}
        #: handle -> the ids of its chain, in order; a leg -> its handle.
        self._chains: dict[str, list[str]] = {}
        self._handles: dict[str, str] = {}
        self._balances = BalanceBook()
        self._positions = PositionBook()
        #: The venue's name of an instrument -> (when its first order was made, when one last changed).
        self._seen: dict[str, tuple[int, int]] = {}
        #: The venue's name of an instrument -> its base asset, as our own orders tell it: before instruments are known.
        self._bases: dict[str, str] = {}
        self._dropped_ns = 0

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
                report = event.report
                known = self._claimed(report.native, report.order_id)
                if known is None and self._was_dropped(report):
                    return ()
                if known is not None and self._is_ours(report.client_order_id) and not self._is_ours(known):
                    self._join(known, report.client_order_id)
                    known = None
                leg = self._leg(known or report.client_order_id)
                leg.reported(event)
            case Absent():
                leg = self._leg(event.client_order_id)
                leg.absent(event)
            case Executed():
                found = self._leg_of(event.fill)
                if found is None and event.fill.time_ns < self._dropped_ns:
                    return ()
                if found is None:
                    key = (event.fill.native, event.fill.order_id)
                    self._unclaimed.setdefault(key, []).append(event)
                    return ()
                leg = found
                leg.executed(event.fill, event.time_ns)
            case BalancesTold():
                self._balances.tell(event)
                return ()
        self._named(leg)
        self._count(leg)
        if leg.native:
            first_ns, last_ns = self._seen.get(leg.native, (leg.since_ns, 0))
            self._seen[leg.native] = min(first_ns, leg.since_ns), max(last_ns, leg.updated_ns)
            if leg.intent is not None and leg.native not in self._bases:
                self._bases[leg.native] = leg.intent.order.symbol.partition("/")[0]
        return (self.handle_of(leg.client_order_id),)

    def adds(self, event: VenueEvent) -> bool:
        """Whether the venue tells anything new by it. What does not need not be journaled: listings repeat."""
        match event:
            case Reported():
                leg = self.leg(event.report.client_order_id)
                return not self._was_dropped(event.report) if leg is None else leg.adds(event)
            case Executed():
                return self._adds_fill(event.fill)
            case BalancesTold():
                # What a stream tells is compared with nothing: what came just before may not be folded in yet.
                return event.asked_at is None or self._balances.changed(event) != {}
            case Absent():
                return True

    def _adds_fill(self, fill: FillReport) -> bool:
        known = self._claimed(fill.native, fill.order_id)
        leg = self.leg(name) if (name := known or fill.client_order_id) else None
        if leg is not None:
            return leg.adds_fill(fill)
        if fill.time_ns < self._dropped_ns:
            return False
        waiting = self._unclaimed.get((fill.native, fill.order_id), ())
        return all(event.fill.execution_id != fill.execution_id for event in waiting)

    def _was_dropped(self, report: OrderReport) -> bool:
        """Of an order that is not known: whether it is one that was forgotten for good."""
        ended = report.status is not None and report.status.terminal and report.time_ns < self._dropped_ns
        return ended and self.leg(report.client_order_id) is None

    def _leg(self, client_order_id: str) -> Leg:
        leg = self.leg(client_order_id)
        if leg is None:
            leg = self._legs[client_order_id] = Leg(client_order_id)
        return leg

    def _claimed(self, native: str, order_id: str) -> str | None:
        """The client order id that the venue's stands for."""
        key = (native, order_id)
        if key not in self._by_order_id and order_id:
            self._have(by_order_id(native, order_id))
        return self._by_order_id.get(key)

    def _leg_of(self, fill: FillReport) -> Leg | None:
        known = self._claimed(fill.native, fill.order_id)
        if known is not None:
            return self._legs[known]
        if not fill.client_order_id:
            return None
        leg = self.leg(fill.client_order_id)
        return self._leg(fill.client_order_id) if leg is None and fill.time_ns >= self._dropped_ns else leg

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
            if self._counts:
                self._positions.add(fill, before)

    def _is_ours(self, client_order_id: str) -> bool:
        return self.intent(client_order_id) is not None

    def _join(self, alias: str, own: str) -> None:
        """An order of ours that was told under another id first (that of its cancel, or the venue's) is one order."""
        other, leg = self._legs.pop(alias), self._legs[own]
        leg.join(other)
        leg.new_fills()  # they are counted
        self._by_order_id[other.native, other.order_id] = own
        self._is_gone(alias)

    def _chain(self, handle: str, successor: str) -> None:
        self.leg(handle)
        self._link(self._handles.get(handle, handle), successor)

    def _link(self, handle: str, successor: str) -> None:
        chain = self._chains.setdefault(handle, [handle])
        # The venue may have told of it, and even of what replaced it, before we knew whose place it takes.
        joining = [name for name in self._chains.pop(successor, [successor]) if name not in chain]
        if joining:
            chain += joining
            chain.sort(key=lambda name: (name != handle, len(name), name))  # successors are numbered
            self._handles.update(dict.fromkeys(joining, handle))

    # -- to be kept, and had again

    def handles(self) -> Iterable[str]:
        """Of the orders in memory, the longest in it first."""
        return dict.fromkeys(self._handles.get(name, name) for name in self._legs)

    def kept(self, handle: str) -> KeptOrder:
        chain, named = self._chains.get(handle, []), self._by_order_id
        legs = [leg for name in chain or [handle] if (leg := self._legs.get(name)) is not None]
        kept = tuple(leg.kept(named=named.get((leg.native, leg.order_id)) == leg.client_order_id) for leg in legs)
        return KeptOrder(form=FORM, handle=handle, legs=kept, chain=tuple(chain))

    def forget(self, handle: str) -> None:
        """Of an order that is kept as it is: until somebody asks for it, it is not in memory."""
        for name in self._chains.pop(handle, [handle]):
            self._handles.pop(name, None)
            leg = self._legs.pop(name, None)
            if leg is not None and self._by_order_id.get((leg.native, leg.order_id)) == name:
                del self._by_order_id[leg.native, leg.order_id]

    def _have(self, name: str) -> None:
        kept = self._keep.find(name)
        if kept is not None:
            self.have(kept)

    def have(self, kept: KeptOrder) -> None:
        """Into memory."""
        for one in kept.legs:
            if one.client_order_id in self._legs:
                continue
            self._legs[one.client_order_id] = Leg.again(one)
            if one.named:
                self._by_order_id.setdefault((one.native, one.order_id), one.client_order_id)
        for name in kept.chain[1:]:
            self._link(kept.handle, name)
        self._had_again(kept.handle)

    def drop(self, before_ns: int) -> None:
        """Orders that ended and were last changed before then are forgotten for good. What is told of one later, of a
        time before then, is not taken for something new."""
        self._dropped_ns = max(self._dropped_ns, before_ns)
        for key, events in list(self._unclaimed.items()):
            if all(event.fill.time_ns < before_ns for event in events):
                del self._unclaimed[key]

    def kept_account(self, sum_before_ns: int, unanswered: tuple[Command, ...]) -> KeptAccount:
        """:param sum_before_ns: see `positions.PositionBook`."""
        return KeptAccount(
            form=FORM,
            balances=self._balances.told,
            balances_at=dict(self._balances.told_at),
            balances_told=self._balances.count,
            unclaimed=tuple(event for events in self._unclaimed.values() for event in events),
            positions=self._positions.sum_up(sum_before_ns, self._base_of),
            seen=dict(self._seen),
            dropped_ns=self._dropped_ns,
            unanswered=unanswered,
        )

    def _base_of(self, native: str) -> str:
        return self._market_of(native).base or self._bases.get(native, "")

    def have_account(self, kept: KeptAccount) -> None:
        """At the start."""
        self._balances = BalanceBook(kept.balances, kept.balances_at, kept.balances_told)
        self._positions = PositionBook(kept.positions)
        self._seen, self._dropped_ns = dict(kept.seen), kept.dropped_ns
        for event in kept.unclaimed:
            self._unclaimed.setdefault((event.fill.native, event.fill.order_id), []).append(event)

    # -- what is

    def handle_of(self, client_order_id: str) -> str:
        self.leg(client_order_id)
        return self._handles.get(client_order_id, client_order_id)

    def __len__(self) -> int:
        return len(self._legs)

    def legs(self) -> Iterable[Leg]:
        """Those in memory; so many are `len` of this."""
        return self._legs.values()

    def leg(self, client_order_id: str) -> Leg | None:
        if not self.remembers(client_order_id):
            self._have(by_client_id(client_order_id))
        return self._legs.get(client_order_id)

    def remembers(self, client_order_id: str) -> bool:
        """Whether the order is in memory."""
        return client_order_id in self._legs or client_order_id in self._handles or client_order_id in self._chains

    def natives(self, since_ns: int = 0) -> set[str]:
        """Venue's names of instruments of which an order changed after then."""
        return {native for native, (_, last_ns) in self._seen.items() if last_ns > since_ns}

    def first_order_ns(self, native: str) -> int | None:
        """When the first known order in it was made."""
        return self._seen[native][0] if native in self._seen else None

    def unclaimed(self) -> list[tuple[str, str]]:
        """(native, order id) of fills that no report has named an order for yet."""
        return list(self._unclaimed)

    def newest_fill_ns(self, native: str) -> int:
        """0: none is known."""
        return self._positions.newest_ns(native)

    def chain_of(self, handle: str) -> Sequence[str]:
        """The ids that the handle stands for, oldest first."""
        self.leg(handle)
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
        leg = self.leg(client_order_id)
        return leg.intent.order if leg is not None and leg.intent is not None else None

    def order(self, handle: str) -> Order | None:
        """The order as the user sees it; None: unknown, or of a venue's order that was not told whole yet."""
        current = self.current(handle)
        if current is None:
            return None
        legs = [leg for name in self.chain_of(handle) if (leg := self._legs.get(name)) is not None]
        successor = self._legs.get(current.successor) if current.successor is not None else None
        symbol = self._market_of(current.native).symbol
        return as_order(handle, exchange=self.exchange, symbol=symbol, legs=legs, current=current, successor=successor)

    def orders(self, *, open_only: bool = False) -> list[Order]:
        """Every order in memory, oldest first; each chain once."""
        orders = [order for handle in self.handles() if (order := self.order(handle)) is not None]
        wanted = [order for order in orders if not (open_only and order.status.terminal)]
        return sorted(wanted, key=lambda order: (order.created_ns, order.client_order_id))

    def balances(self) -> list[Balance]:
        return self._balances.balances(self.exchange)

    @property
    def balances_told(self) -> int:
        """How many facts about balances were folded in."""
        return self._balances.count

    def positions(self, marks: Mapping[str, Decimal]) -> list[Position]:
        """:param marks: symbol -> the price to value what is held; a symbol without one has no unrealised PnL."""
        found = []
        for native in self._positions.natives():
            market = self._market_of(native)
            found.append(self._positions.position(native, self.exchange, market, marks.get(market.symbol)))
        return sorted(found, key=lambda position: position.symbol)
