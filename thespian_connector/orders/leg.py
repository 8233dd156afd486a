"""What is known of one order as the venue has it, folded from facts in any order.

An order of ours is one leg; an amendment that the venue can only do by another order makes it a chain (`orders.chain`).
Every method is a join: facts may come twice and in any order, and the state is the same. Venues promise no order
between an answer, the private stream and a query (Bybit: "Private stream, ordering").
"""

from __future__ import annotations

from copy import copy
from decimal import Decimal

from msgspec.structs import replace

from thespian_connector.model import NewOrder, OrderStatus
from thespian_connector.model.decimals import CONTEXT, ZERO, canonical
from thespian_connector.model.private import FillReport, OrderReport

from .events import Absent, AmendIntended, Answered, CancelIntended, Operation, PlaceIntended, Reported
from .kept import KeptLeg, as_told

#: Word for the end of an order that the venue provably never got.
NEVER_REACHED = "never_reached_venue"
#: A fill, and what was told of it before, if it tells more than that.
NewFill = tuple[FillReport, FillReport | None]


class Leg:
    """One client order id at one venue. `native` and `order_id` are "" until told."""

    def __init__(self, client_order_id: str) -> None:
        self.client_order_id = client_order_id
        self.native = ""
        self.order_id = ""
        self.intent: PlaceIntended | None = None
        #: By execution id.
        self.fills: dict[str, FillReport] = {}
        self._new_fills: list[NewFill] = []
        #: What the fills add up to, and what that cost in quote.
        self._traded = self._cost = ZERO
        self.created_ns = 0
        self.updated_ns = 0
        self._answer: Answered | None = None
        self._report: OrderReport | None = None
        #: field -> (the venue's time of it, value): what each report told last.
        self._told: dict[str, tuple[int, object]] = {}
        self._absent = False
        self._operations: dict[str, CancelIntended | AmendIntended] = {}
        self._settled: set[str] = set()
        #: Of `_operations`: the venue took it, and has not said what became of it (Bybit: "asynchronous").
        self._accepted: set[str] = set()
        #: When the venue was last asked, by our clock.
        self.asked_ns = 0

    # -- facts

    def intended(self, event: PlaceIntended) -> None:
        self.intent = event
        self._seen(event.time_ns)

    def operated(self, event: CancelIntended | AmendIntended) -> None:
        self._operations[event.operation_id] = event
        self._seen(event.time_ns)

    def answered(self, event: Answered) -> None:
        """A later answer of the place replaces an unknown one; nothing replaces a known one."""
        self._seen(event.time_ns)
        if event.report is not None:
            self._tell(event.report)
        if event.operation is Operation.PLACE:
            if self._answer is None or not _known(self._answer) or (_known(event) and event.report is not None):
                self._answer = event
        elif _known(event):
            taken = event.report is not None and event.report.status is None
            (self._accepted if taken else self._settled).add(event.operation_id)

    def reported(self, event: Reported) -> None:
        self._seen(event.time_ns)
        if event.source != "stream":
            self.asked_ns = max(self.asked_ns, event.time_ns)
        self._tell(event.report)

    def executed(self, fill: FillReport, time_ns: int) -> None:
        # One that tells the fee and its asset wins over one that does not (Bybit's fast executions).
        if self.adds_fill(fill):
            self._add(fill)
        self._name(fill.native, fill.order_id)
        self._seen(time_ns)

    def _add(self, fill: FillReport) -> None:
        known = self.fills.get(fill.execution_id)
        self._new_fills.append((fill, known))
        if known is not None:
            self._traded = CONTEXT.subtract(self._traded, known.quantity)
            self._cost = CONTEXT.subtract(self._cost, CONTEXT.multiply(known.price, known.quantity))
        self.fills[fill.execution_id] = fill
        self._traded = CONTEXT.add(self._traded, fill.quantity)
        self._cost = CONTEXT.add(self._cost, CONTEXT.multiply(fill.price, fill.quantity))

    def new_fills(self) -> list[NewFill]:
        """Those that came since this was asked last."""
        new, self._new_fills = self._new_fills, []
        return new

    def absent(self, event: Absent) -> None:
        self._absent = True
        self._seen(event.time_ns)

    def join(self, other: Leg) -> None:
        """What was told of it as of another."""
        for fill in other.fills.values():
            self.executed(fill, other.updated_ns)
        if other._report is not None:
            self._tell(other._report)
        for field, (time_ns, value) in other._told.items():
            self._tell_field(field, time_ns, value)
        self.asked_ns = max(self.asked_ns, other.asked_ns)

    def adds(self, event: Reported) -> bool:
        """Whether it tells anything that is not known; when something was told is nothing."""
        if any(self.adds_fill(fill) for fill in event.report.fills):
            return True
        after = copy(self)
        after._told = dict(self._told)
        after.reported(replace(event, report=replace(event.report, fills=())))
        return after._facts() != self._facts()

    def adds_fill(self, fill: FillReport) -> bool:
        known = self.fills.get(fill.execution_id)
        return known is None or (not known.fee_asset and bool(fill.fee_asset))

    def _facts(self) -> tuple[object, ...]:
        named = (self.native, self.order_id, self.created_ns)
        return (*named, self._report, self._told, self.pending_kinds())

    def _tell(self, report: OrderReport) -> None:
        self._name(report.native, report.order_id)
        for fill in report.fills:
            self.executed(fill, 0)
        for field in ("side", "type", "time_in_force", "price", "stop_price", "quantity", "quote_quantity"):
            value = getattr(report, field)
            if value is not None:
                self._tell_field(field, report.time_ns, value)
        if report.status is not None and (self._report is None or _rank(report) > _rank(self._report)):
            self._report = report
        if report.created_ns and (not self.created_ns or report.created_ns < self.created_ns):
            self.created_ns = report.created_ns

    def _tell_field(self, field: str, time_ns: int, value: object) -> None:
        told = self._told.get(field)
        if told is None or (time_ns, str(value)) > (told[0], str(told[1])):
            self._told[field] = (time_ns, value)

    def _name(self, native: str, order_id: str) -> None:
        self.native = self.native or native
        self.order_id = self.order_id or order_id

    def _seen(self, time_ns: int) -> None:
        self.updated_ns = max(self.updated_ns, time_ns)

    # -- to be kept, and had again

    def kept(self, *, named: bool) -> KeptLeg:
        """:param named: the venue's order id stands for this leg."""
        answer, report = self._answer, self._report
        return KeptLeg(
            client_order_id=self.client_order_id,
            native=self.native,
            order_id=self.order_id,
            intent=self.intent,
            fills=tuple(self.fills.values()),
            created_ns=self.created_ns,
            updated_ns=self.updated_ns,
            asked_ns=self.asked_ns,
            # What the reports told beside the state is in the leg's own fields.
            answer=replace(answer, report=None) if answer is not None and answer.report is not None else answer,
            report=replace(report, fills=()) if report is not None and report.fills else report,
            told={field: (time_ns, str(value)) for field, (time_ns, value) in self._told.items()},
            absent=self._absent,
            operations=tuple(self._operations.values()),
            settled=tuple(sorted(self._settled)),
            accepted=tuple(sorted(self._accepted)),
            named=named,
        )

    @classmethod
    def again(cls, kept: KeptLeg) -> Leg:
        leg = cls(kept.client_order_id)
        leg.native, leg.order_id, leg.intent = kept.native, kept.order_id, kept.intent
        for fill in kept.fills:
            leg._add(fill)
        leg._new_fills.clear()
        leg.created_ns, leg.updated_ns, leg.asked_ns = kept.created_ns, kept.updated_ns, kept.asked_ns
        leg._answer, leg._report, leg._absent = kept.answer, kept.report, kept.absent
        leg._told = {field: (time_ns, as_told(field, text)) for field, (time_ns, text) in kept.told.items()}
        leg._operations = {event.operation_id: event for event in kept.operations}
        leg._settled, leg._accepted = set(kept.settled), set(kept.accepted)
        return leg

    # -- conclusions

    @property
    def evidence(self) -> bool:
        """The venue has shown that it has, or had, the order."""
        return self._report is not None or bool(self.fills) or bool(self.order_id)

    @property
    def since_ns(self) -> int:
        """When it was made: by the venue's word; until that is known, when it was meant, or first heard of."""
        return self.created_ns or (self.intent.time_ns if self.intent is not None else self.updated_ns)

    @property
    def filled(self) -> Decimal:
        """By the sum of the fills or the venue's cumulative word, whichever knows more."""
        told = self._report.filled if self._report is not None and self._report.filled is not None else ZERO
        return max(told, canonical(self._traded))

    @property
    def fills_missing(self) -> bool:
        """The venue told more filled quantity than it told fills."""
        return self._traded < self.filled

    @property
    def quantity(self) -> Decimal | None:
        value = self._field("quantity")
        assert value is None or isinstance(value, Decimal)
        return value

    @property
    def status(self) -> OrderStatus:
        if self._report is not None and self._report.status is not None and self._report.status.terminal:
            return self._report.status
        quantity = self.quantity
        if quantity is not None and self._traded >= quantity:
            return OrderStatus.FILLED
        if self.evidence:
            return self._open_status()
        if self._answer is not None and _known(self._answer) and self._answer.refusal is not None:
            return OrderStatus.REJECTED
        if self._absent:
            return OrderStatus.REJECTED
        if self._answer is not None and not _known(self._answer):
            return OrderStatus.UNKNOWN
        return OrderStatus.PENDING_NEW

    @property
    def unknown(self) -> bool:
        """Only the venue's word, or its proved absence, ends this."""
        return self.status is OrderStatus.UNKNOWN

    @property
    def reason(self) -> str:
        """Why it ended, or why nobody knows."""
        if self._report is not None and self._report.reason:
            return self._report.reason
        if self.evidence:
            return ""
        if self._absent and not (self._answer is not None and _known(self._answer)):
            return NEVER_REACHED
        if self._answer is not None and self._answer.refusal is not None:
            return self._answer.refusal.message
        return ""

    def pending(self) -> list[CancelIntended | AmendIntended]:
        """Cancels and amendments whose outcome is not known, oldest first; none of an order that has ended."""
        return [] if self.status.terminal else self._pending()

    @property
    def successor(self) -> str | None:
        """The id of the order that is to take its place, if that was the last that was asked of it."""
        last = max(self._operations.values(), key=lambda event: event.time_ns, default=None)
        return last.successor if isinstance(last, AmendIntended) else None

    def _pending(self) -> list[CancelIntended | AmendIntended]:
        waiting = [event for name, event in self._operations.items() if name not in self._settled]
        waiting = [event for event in waiting if self.asked_ns <= bound_ns(event) and not self._shows(event)]
        return sorted(waiting, key=lambda event: event.time_ns)

    def _shows(self, event: CancelIntended | AmendIntended) -> bool:
        """Whether the order has become what an amendment, that the venue took, makes of it; that, or a later one."""
        if not isinstance(event, AmendIntended) or event.operation_id not in self._accepted:
            return False
        later = [
            other
            for other in self._operations.values()
            if isinstance(other, AmendIntended)
            and other.operation_id in self._accepted
            and other.time_ns >= event.time_ns
        ]
        return any(self._has(amendment) for amendment in later)

    def _has(self, amendment: AmendIntended) -> bool:
        asked = (("price", amendment.price), ("quantity", amendment.quantity))
        return all(value is None or self._field(name) == value for name, value in asked)

    @property
    def accepted(self) -> bool:
        """A request was taken, and what became of it is still to be told."""
        return any(event.operation_id in self._accepted for event in self.pending())

    def _open_status(self) -> OrderStatus:
        pending = self.pending_kinds()
        if CancelIntended in pending:
            return OrderStatus.PENDING_CANCEL
        if AmendIntended in pending:
            return OrderStatus.PENDING_REPLACE
        if self.filled:
            return OrderStatus.PARTIALLY_FILLED
        return self._report.status if self._report is not None and self._report.status else OrderStatus.PENDING_NEW

    def pending_kinds(self) -> set[type]:
        return {type(event) for event in self._pending()}

    def terms(self, exchange: str, symbol: str) -> NewOrder | None:
        """What was asked for, as it stands now; of a foreign order what the venue tells. None: not told enough."""
        asked = self.intent.order if self.intent is not None else None
        side, kind = self._field("side"), self._field("type")
        if side is None or kind is None:
            return None
        tif = self._field("time_in_force")
        extra = {} if tif is None else {"time_in_force": tif}
        return NewOrder(
            client_order_id=self.client_order_id,
            exchange=exchange,
            symbol=asked.symbol if asked is not None else symbol,
            side=side,  # type: ignore[arg-type]  # by field name
            type=kind,  # type: ignore[arg-type]
            **{name: self._field(name) for name in ("price", "stop_price", "quantity", "quote_quantity")},  # type: ignore[arg-type]
            **extra,  # type: ignore[arg-type]
        )

    def _field(self, name: str) -> object:
        if name in self._told:
            return self._told[name][1]
        return getattr(self.intent.order, name) if self.intent is not None else None

    def traded(self) -> tuple[Decimal, Decimal | None]:
        """(filled, what it cost in quote); the cost is None while fills are missing and the venue did not tell it."""
        if not self.fills_missing:
            return self.filled, self._cost
        return self.filled, self._report.filled_quote if self._report is not None else None


def bound_ns(event: PlaceIntended | CancelIntended | AmendIntended) -> int:
    """After this, by the venue's clock, a request of the intent is refused by the venue's own time window."""
    return event.deadline_ns + event.recv_window_ns


def _known(answer: Answered) -> bool:
    return answer.refusal is None or answer.refusal.outcome_known


def _rank(report: OrderReport) -> tuple[bool, Decimal, int, str, str]:
    """Newest wins: an end over anything, then more filled, then later (Bybit: "order" topic); the rest breaks ties."""
    assert report.status is not None
    return report.status.terminal, report.filled or ZERO, report.time_ns, report.status.value, report.reason
