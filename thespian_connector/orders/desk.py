"""What the query side of one exchange knows, and what of it is news: a ledger, with its answers kept at hand."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal
from typing import NamedTuple

from msgspec.structs import replace

from thespian_connector import limits
from thespian_connector.model import Balance, Fill, Instrument, Order, OrderStatus, OrderType, Position, Side
from thespian_connector.model.private import FillReport, OrderReport

from .events import BalancesTold, Event, Executed, PlaceIntended, Reported, VenueEvent
from .kept import Keep, KeptAccount, KeptOrder, Nowhere
from .ledger import Ledger
from .leg import Leg
from .positions import Market
from .recovery import Recovery

#: Of which nobody can say how they stand.
UNSETTLED = (OrderStatus.PENDING_NEW, OrderStatus.UNKNOWN)
#: Something that was asked of them is under way.
CHANGING = (OrderStatus.PENDING_CANCEL, OrderStatus.PENDING_REPLACE)


class News(NamedTuple):
    """What is other than it was. `fills` with their symbol."""

    orders: list[Order]
    fills: list[tuple[str, Fill]]
    balances: list[Balance]


class Change(NamedTuple):
    """An order as it is to be kept, and as it is told; None: it is not known enough. `live`: see `Desk.active`."""

    kept: KeptOrder
    live: bool
    order: Order | None
    updated_ns: int


class Changes(NamedTuple):
    """`gone`: handles of orders that are part of another's."""

    account: KeptAccount
    orders: list[Change]
    gone: list[str]


class Desk:
    """Facts come in, orders, fills and balances come out. Pure; for one thread.

    :param fee_asset: in what a fill's fee was paid, where the venue did not tell it.
    :param keep: where orders are that have ended, and were forgotten here; see `changes`.
    """

    def __init__(
        self, exchange: str, fee_asset: Callable[[FillReport, Instrument], str], keep: Keep | None = None
    ) -> None:
        self.exchange = exchange
        self._fee_asset = fee_asset
        self._keep = keep or Nowhere()
        self.ledger = Ledger(exchange, self.market_of, self._keep, self._had_again, self._is_gone)
        self.recovery = Recovery()
        self._instruments: dict[str, Instrument] = {}
        self._natives: dict[str, str] = {}
        self._orders: dict[str, Order] = {}
        self._balances: dict[str, Balance] = {}
        #: Ids of legs that have not ended, or whose fills are not all known; a dict as an ordered set.
        self._active: dict[str, None] = {}
        #: Handles of orders that are not kept as they are, and those whose changes are being written.
        self._changed: dict[str, None] = {}
        self._written: dict[str, None] = {}
        #: Handles that became part of another's chain.
        self._gone: dict[str, None] = {}
        self._written_gone: dict[str, None] = {}

    # -- instruments

    def learn(self, instruments: Iterable[Instrument]) -> None:
        """What the venue's names stand for. Until they are known, foreign orders bear the venue's name as symbol."""
        self._instruments = {one.native: one for one in instruments}
        self._natives = {one.symbol: one.native for one in self._instruments.values()}
        for handle in list(self._orders):
            self._renew(handle)

    def market_of(self, native: str) -> Market:
        found = self._instruments.get(native)
        return Market(found.symbol, found.base, found.quote) if found is not None else Market(native, "", "")

    def native_of(self, leg: Leg) -> str:
        """The venue's name of what the order trades; "" while it is not known."""
        if leg.native or leg.intent is None:
            return leg.native
        return self._natives.get(leg.intent.order.symbol, "")

    def side_of(self, report: OrderReport) -> Side | None:
        """Some reports tell the order's id only."""
        leg = self.ledger.leg(report.client_order_id)
        intent = leg.intent if leg is not None else None
        return report.side or (intent.order.side if intent is not None else None)

    def natives(self, symbols: Iterable[str]) -> set[str]:
        return {self._natives[symbol] for symbol in symbols if symbol in self._natives}

    # -- facts

    def load(self, events: Iterable[Event]) -> None:
        """At the start: nothing of it is news. Then comes :meth:`loaded`."""
        for event in events:
            self._journaled(event)

    def loaded(self) -> None:
        for handle in self.ledger.handles():
            self._renew(handle)
        self._balances = {one.asset: one for one in self.ledger.balances()}

    def sift(self, events: Iterable[VenueEvent]) -> list[VenueEvent]:
        """Those that tell something new, to be journaled and then folded. The others are folded at once: they may be
        newer, if they tell the same."""
        new = []
        for event in map(self._whole, events):
            if self.ledger.adds(event):
                new.append(event)
            else:
                self._apply(event)
        return new

    def fold(self, events: Iterable[Event]) -> News:
        """Facts that are durable."""
        touched: dict[str, None] = {}
        balances = False
        for event in events:
            touched.update(dict.fromkeys(self._journaled(event)))
            balances = balances or isinstance(event, BalancesTold)
        orders, fills = [], []
        for handle in touched:
            before = self._orders.get(handle)
            after = self._renew(handle)
            if after is None or after == before:
                continue
            orders.append(after)
            known = {fill.execution_id for fill in before.fills} if before is not None else set()
            fills += [(after.symbol, fill) for fill in after.fills if fill.execution_id not in known]
        return News(orders, fills, self._changed_balances() if balances else [])

    def _apply(self, event: Event) -> tuple[str, ...]:
        handles = self.ledger.apply(event)
        for handle in handles:
            self._watch_all(handle)
        return handles

    def _journaled(self, event: Event) -> tuple[str, ...]:
        handles = self._apply(event)
        self._changed.update(dict.fromkeys(handles))
        self.recovery.see(event)
        if isinstance(event, PlaceIntended) and event.replaces is not None:
            self._gone[event.order.client_order_id] = None
        return handles

    def _had_again(self, handle: str) -> None:
        """An order that was forgotten is in memory."""
        self._watch_all(handle)
        self._renew(handle)

    def _is_gone(self, handle: str) -> None:
        """It was another name of an order."""
        for some in (self._orders, self._active, self._changed):
            some.pop(handle, None)
        self._gone[handle] = None

    def _watch_all(self, handle: str) -> None:
        for name in self.ledger.chain_of(handle):
            leg = self.ledger.leg(name)
            if leg is not None:
                self._watch(leg)

    def _watch(self, leg: Leg) -> None:
        if leg.status.terminal and not leg.fills_missing:
            self._active.pop(leg.client_order_id, None)
        else:
            self._active[leg.client_order_id] = None

    def _renew(self, handle: str) -> Order | None:
        order = self.ledger.order(handle)
        if order is not None:
            self._orders[handle] = order
        for successor in self.ledger.chain_of(handle)[1:]:
            self._orders.pop(successor, None)  # the venue told of it before we knew whose place it takes
        return order

    def _changed_balances(self) -> list[Balance]:
        now = {one.asset: one for one in self.ledger.balances()}
        zero = Decimal(0)
        gone = [
            Balance(exchange=self.exchange, asset=asset, free=zero, locked=zero)
            for asset in self._balances
            if asset not in now
        ]
        changed = [one for asset, one in now.items() if self._balances.get(asset) != one]
        self._balances = now
        return changed + gone

    def _whole(self, event: VenueEvent) -> VenueEvent:
        """An order that was placed without a client's id is known by the venue's; a fill says in what its fee was."""
        if isinstance(event, Executed):
            return replace(event, fill=self._with_fee_asset(event.fill))
        if not isinstance(event, Reported):
            return event
        report = event.report
        if report.client_order_id and not report.fills:
            return event
        fills = tuple(self._with_fee_asset(fill) for fill in report.fills)
        name = report.client_order_id or report.order_id
        return replace(event, report=replace(report, client_order_id=name, fills=fills))

    def _with_fee_asset(self, fill: FillReport) -> FillReport:
        instrument = self._instruments.get(fill.native)
        if fill.fee_asset or not fill.fee or instrument is None:
            return fill
        return replace(fill, fee_asset=self._fee_asset(fill, instrument))

    # -- to be kept, and had again

    def had(self, account: KeptAccount, orders: Iterable[KeptOrder]) -> None:
        """At the start, before the facts that came after they were kept."""
        self.ledger.have_account(account)
        self.recovery = Recovery(account.unanswered)
        for kept in orders:
            self.ledger.have(kept)

    def changes(self, sum_before_ns: int) -> Changes:
        """What is other than what is kept; then comes :meth:`kept`, or :meth:`not_kept`. One at a time."""
        assert not self._written, "one at a time"
        self._written = dict.fromkeys(map(self.ledger.handle_of, self._changed))
        self._written_gone = {name: None for name in self._gone if name not in self._written}
        self._changed, self._gone = {}, {}
        account = self.ledger.kept_account(sum_before_ns, self.recovery.unanswered)
        return Changes(account, [self._change(handle) for handle in self._written], list(self._written_gone))

    def _change(self, handle: str) -> Change:
        kept = self.ledger.kept(handle)
        legs = [leg for name in self.ledger.chain_of(handle) if (leg := self.ledger.leg(name)) is not None]
        return Change(
            kept=kept,
            live=any(leg.client_order_id in self._active for leg in legs),
            order=self.ledger.order(handle),
            updated_ns=max(leg.updated_ns for leg in legs),
        )

    def kept(self) -> None:
        self._written = {}
        self.forget()

    def not_kept(self) -> None:
        self._changed, self._gone = self._written | self._changed, self._written_gone | self._gone
        self._written = {}

    @property
    def crowded(self) -> bool:
        """There are orders in memory to be forgotten, whoever asked for them."""
        return len(self.ledger) - len(self._active) > 2 * limits.ENDED_IN_MEMORY_MAX

    def forget(self) -> None:
        """Of the orders that have ended, and are kept as they are, those that are in memory the longest."""
        active = {self.ledger.handle_of(name) for name in self._active}
        held = [
            handle
            for handle in self.ledger.handles()
            if not any(handle in some for some in (active, self._changed, self._written))
        ]
        for handle in held[: -limits.ENDED_IN_MEMORY_MAX]:
            for name in self.ledger.chain_of(handle):
                self._orders.pop(name, None)
            self.ledger.forget(handle)

    # -- answers

    def active(self) -> Iterator[Leg]:
        """Legs that have not ended, or whose fills are not all known."""
        for name in self._active:
            leg = self.ledger.leg(name)
            assert leg is not None, "only legs are watched"
            yield leg

    def order(self, client_order_id: str) -> Order | None:
        return self._orders.get(self.ledger.handle_of(client_order_id))

    def orders(self, *, open_only: bool, symbol: str | None, most: int) -> list[Order]:
        """The newest `most`, oldest first."""
        if open_only:
            handles = dict.fromkeys(map(self.ledger.handle_of, self._active))
            orders = [order for handle in handles if (order := self._orders.get(handle)) is not None]
        else:
            orders = [*self._orders.values(), *self._forgotten(symbol, most)]
        found = [
            order for order in orders if not (open_only and order.status.terminal) and symbol in (None, order.symbol)
        ]
        found.sort(key=lambda order: (order.created_ns, order.client_order_id))
        return found[-most:]

    def _forgotten(self, symbol: str | None, most: int) -> Iterator[Order]:
        """The newest of those that are not in memory."""
        symbols = () if symbol is None else (symbol, self._natives.get(symbol, symbol))
        for order in self._keep.newest(symbols, most):
            if not self.ledger.remembers(order.client_order_id):
                instrument = self._instruments.get(order.symbol)  # it was not known then what the name stands for
                yield order if instrument is None else replace(order, symbol=instrument.symbol)

    def balances(self) -> list[Balance]:
        return list(self._balances.values())

    def positions(self, marks: Mapping[str, Decimal]) -> list[Position]:
        return self.ledger.positions(marks)

    def conditional(self, leg: Leg) -> bool:
        """A stop order that is not known to have triggered: some venues keep those apart."""
        terms = leg.terms(self.exchange, "")
        return terms is not None and terms.type is OrderType.STOP_LIMIT and not leg.filled
