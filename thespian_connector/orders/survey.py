"""What OrderState asks the venue, in which order, and what the answers say. Pure: who asks is the caller.

A *round* asks for everything: open orders, fills, balances. A listing that lacks an order proves nothing about it (it
may be older than the order, or be late): such an order is asked for by name, and only the venue's word about it counts.
Beside the rounds, `reconcile` says which single orders are in doubt.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

from msgspec import Struct, field

from thespian_connector import limits
from thespian_connector.model.private import BalanceReport, FillReport, OrderReport

from .desk import UNSETTLED, Desk
from .events import Absent, Answered, BalancesTold, Event, Executed, Reported, VenueEvent
from .leg import Leg
from .owed import OwedBalances
from .reconcile import Due, Inquiry, Reconciler

_NS = 1_000_000_000
#: What the stream may take to tell of what is known already.
_QUIET_NS = int(limits.RECONCILE_QUIET_S * _NS)
#: What a listing of balances may lag behind: such an answer proves nothing of what moved in that time.
_LAG_NS = int(limits.RECONCILE_MARGIN_S * _NS)
#: Balances that a stream owes are asked for no more often.
_BALANCES_NS = int(limits.BALANCES_EVERY_S * _NS)
_MS = 1_000_000

#: What a question is about: its kind, then whatever tells it from others of that kind.
Key = tuple[str, ...]
OPEN_ORDERS, FILLS, BALANCES, ORDER, ORDER_FILLS, FOREIGN = (
    "open_orders",
    "fills",
    "balances",
    "order",
    "order_fills",
    "foreign",
)


class Question(Struct, frozen=True, kw_only=True):
    """A signed read: `operation` and `arguments` as Gateway takes them.

    `expected`: of a listing of open orders, the orders that should be in it. `asked_at`: see `BalancesTold`.
    """

    key: Key
    operation: str
    arguments: dict[str, Any]
    expected: tuple[str, ...] = ()
    asked_at: int = 0


class Answer(Struct, frozen=True, kw_only=True):
    """What the venue told. Both times are by its own clock: before it was asked, and when the answer was there."""

    asked_ns: int
    now_ns: int
    orders: list[OrderReport] = field(default_factory=list)
    fills: list[FillReport] = field(default_factory=list)
    balances: list[BalanceReport] = field(default_factory=list)


class _Task(Struct):
    """A question that stands until it is answered. `again`: whatever is in the air is too old an answer."""

    due_ns: int = 0
    tries: int = 0
    again: bool = False


class Survey:
    """:param symbols: whose fills are asked for in a first round even if no order of theirs is known.
    :param engine_timeout_ns: see `Reconciler`.
    :param now_ns: the venue's time when this life began.

    Times are by the venue's clock. Tasks are few: they are listings, and orders that a listing lacked.
    """

    def __init__(self, desk: Desk, symbols: Iterable[str], engine_timeout_ns: int, now_ns: int) -> None:
        self._desk = desk
        self._symbols = tuple(symbols)
        self._reconciler = Reconciler(engine_timeout_ns)
        self._began_ns = now_ns
        self._tasks: dict[Key, _Task] = {}
        self._air: dict[Key, Question] = {}
        #: What was not found, until everything is asked for again.
        self._given_up: set[Key] = set()
        self._round_ns = 0
        #: When open orders were listed last, in a round or between two.
        self._listed_ns = 0
        self._whole = True
        self._owed = OwedBalances()
        #: When balances were asked for last.
        self._balances_ns = now_ns
        #: Whether a private stream tells of what happens.
        self.connected = False
        self.rounds = 0

    # -- when

    def everything(self) -> None:
        """What happened until now must be asked for: a stream begins, or has lost something."""
        self._round_ns = 0
        self._whole = True
        self._given_up.clear()

    def wait_s(self, now_ns: int) -> float:
        """Until something may be due that is known of now."""
        due_ns = [task.due_ns for key, task in self._tasks.items() if key not in self._air]
        rounds_ns = min(self._next_round_ns, self._next_listing_ns)
        next_ns = min(*due_ns, self._reconciler.next_ns, rounds_ns, self._balances_due_ns)
        return max(0.0, (next_ns - now_ns) / _NS)

    @property
    def _next_round_ns(self) -> int:
        every_s = limits.SURVEY_EVERY_S if self.connected else limits.SURVEY_BLIND_EVERY_S
        return self._round_ns + int(every_s * _NS)

    @property
    def _next_listing_ns(self) -> float:
        """Open orders are listed between two rounds, too: what the stream leaves out of one is missing from there."""
        if next(self._resting(), None) is None:
            return math.inf
        return self._listed_ns + int(limits.SURVEY_OPEN_EVERY_S * _NS)

    def _resting(self) -> Iterator[Leg]:
        return (leg for leg in self._desk.active() if leg.evidence and not leg.status.terminal)

    @property
    def _balances_due_ns(self) -> float:
        """When balances are asked for because the stream owes them, and has had the time to tell."""
        since_ns = self._owed.since_ns()
        if since_ns is None or (BALANCES,) in self._tasks:
            return math.inf
        return max(since_ns + _QUIET_NS, self._balances_ns + _BALANCES_NS)

    @property
    def in_air(self) -> int:
        return len(self._air)

    def questions(self, now_ns: int) -> list[Question]:
        """What to ask now; each is then in the air until `answered` or `failed`."""
        if now_ns >= self._next_round_ns:
            self._begin(now_ns)
        elif now_ns >= self._next_listing_ns:
            self._list(now_ns)
        if now_ns >= self._balances_due_ns:
            self._tasks[BALANCES,] = _Task(due_ns=now_ns)
        asked = []
        for key, make in self._waiting(now_ns):
            if len(self._air) >= limits.INQUIRIES_IN_AIR_MAX:
                break
            if key in self._air:
                continue
            question = make()
            if question is not None:
                self._air[key] = question
                asked.append(question)
                if key == (BALANCES,):
                    self._balances_ns = now_ns
        return asked

    def _begin(self, now_ns: int) -> None:
        self._round_ns = self._listed_ns = now_ns
        self.rounds += 1
        keys: list[Key] = [(OPEN_ORDERS,), (BALANCES,)]
        keys += [(FILLS, native) for native in sorted(self._natives(now_ns))]
        self._whole = False
        for key in keys:
            task = self._tasks.setdefault(key, _Task())
            task.due_ns, task.tries, task.again = now_ns, 0, key in self._air

    def _list(self, now_ns: int) -> None:
        """Symbol by symbol, which costs little (Binance: weight 6 instead of 80), unless they are many."""
        self._listed_ns = now_ns
        natives = sorted({leg.native for leg in self._resting()})
        few = len(natives) <= limits.SURVEY_SYMBOLS_MAX
        keys: list[Key] = [(OPEN_ORDERS, native) for native in natives] if few else [(OPEN_ORDERS,)]
        for key in keys:
            self._tasks.setdefault(key, _Task(due_ns=now_ns))

    def _natives(self, now_ns: int) -> set[str]:
        """Whose fills to list: in a round after a gap of every symbol; else of those with orders that live or lately
        did."""
        recent_ns = now_ns - int(limits.FILLS_RECENT_S * _NS)
        if self._whole:
            return self._desk.natives(self._symbols) | self._desk.ledger.natives()
        return {leg.native for leg in self._desk.active() if leg.native} | self._desk.ledger.natives(recent_ns)

    def _waiting(self, now_ns: int) -> Iterator[tuple[Key, Callable[[], Question | None]]]:
        """Listings first, which tell most; then what is in doubt; then single orders that a listing lacked."""
        due = [key for key, task in self._tasks.items() if now_ns >= task.due_ns]
        for key in due:
            if key[0] != ORDER:
                yield key, partial(self._question, key)
        for one in self._reconciler.due(self._desk.active(), now_ns):
            yield self._key(one), partial(self._doubt, one, now_ns)
        for key in due:
            if key[0] == ORDER:
                yield key, partial(self._question, key)

    # -- what

    @staticmethod
    def _key(due: Due) -> Key:
        return (ORDER if due.inquiry is Inquiry.ORDER else ORDER_FILLS, due.client_order_id)

    def _doubt(self, due: Due, now_ns: int) -> Question | None:
        question = self._question(self._key(due))
        if question is not None:
            self._reconciler.asked(due, now_ns, self._desk.ledger.leg(due.client_order_id))
        return question

    def _question(self, key: Key) -> Question | None:
        """None: it cannot be asked yet, the venue's name of the instrument is not known."""
        match key:
            case ("open_orders",):
                expected = tuple(leg.client_order_id for leg in self._resting())
                return Question(key=key, operation="open_orders", arguments={}, expected=expected)
            case ("open_orders", native):
                expected = tuple(leg.client_order_id for leg in self._resting() if leg.native == native)
                return Question(key=key, operation="open_orders", arguments={"native": native}, expected=expected)
            case ("balances",):
                return Question(key=key, operation="balances", arguments={}, asked_at=self._desk.ledger.balances_told)
            case ("fills", native):
                arguments = {"native": native, "since_ms": self._since_ns(native) // _MS}
                return Question(key=key, operation="fills", arguments=arguments)
            case ("foreign", native, order_id):
                if (native, order_id) not in self._desk.ledger.unclaimed():
                    del self._tasks[key]
                    return None
                named = {"native": native, "client_order_id": "", "order_id": order_id}
                return Question(key=key, operation="query_order", arguments={"key": named})
            case (kind, name):
                leg = self._desk.ledger.leg(name)
                native = self._desk.native_of(leg) if leg is not None else ""
                if leg is None or not native:
                    return None
                if leg.status.terminal and key in self._tasks:  # the stream was quicker
                    del self._tasks[key]
                    return None
                if kind == ORDER_FILLS:
                    arguments = {"native": native, "order_id": leg.order_id}
                    return Question(key=key, operation="fills", arguments=arguments)
                return Question(key=key, operation="query_order", arguments={"key": self._named(leg, native)})
        raise AssertionError(f"no such question: {key}")

    def _named(self, leg: Leg, native: str) -> dict[str, Any]:
        return {
            "native": native,
            "client_order_id": leg.client_order_id,
            "order_id": leg.order_id or None,
            "conditional": self._desk.conditional(leg),
        }

    def _since_ns(self, native: str) -> int:
        """The newest fill that is known, less a margin. Without one: since our first order, or this life, began. (A
        fill older than others that are known is found by its order, whose filled quantity it is missing from.)"""
        newest_ns = self._desk.ledger.newest_fill_ns(native)
        if not newest_ns:
            first_ns = self._desk.ledger.first_order_ns(native)
            newest_ns = self._began_ns if first_ns is None else first_ns
        return max(0, newest_ns - int(limits.FILLS_MARGIN_S * _NS))

    # -- answers

    def failed(self, question: Question, now_ns: int) -> None:
        """No answer came, or an error. It is asked again, later each time."""
        if self._air.pop(question.key, None) is None:
            return
        task = self._tasks.get(question.key)
        if task is not None:
            self._later(task, now_ns)

    def answered(self, question: Question, answer: Answer, now_ns: int) -> list[VenueEvent]:
        """The facts in it."""
        if self._air.pop(question.key, None) is None:
            return []
        kind = question.key[0]
        facts: list[VenueEvent]
        if kind in (ORDER, FOREIGN):
            facts = self._order(question, answer, now_ns)
        else:
            self._done(question.key, now_ns)
            if kind == BALANCES:
                self._owed.forgive(self._balances_ns - _LAG_NS)
                told = tuple(answer.balances)
                return [BalancesTold(balances=told, time_ns=answer.asked_ns, asked_at=question.asked_at)]
            if kind == OPEN_ORDERS:
                return self._listing(question, answer, now_ns)
            facts = [Executed(fill=fill, source="query", time_ns=answer.asked_ns) for fill in answer.fills]
        return facts

    def _listing(self, question: Question, answer: Answer, now_ns: int) -> list[VenueEvent]:
        listed = {report.client_order_id or report.order_id for report in answer.orders}
        for name in question.expected:
            leg = self._desk.ledger.leg(name)
            if name not in listed and leg is not None and not leg.status.terminal:
                self._tasks.setdefault((ORDER, name), _Task(due_ns=now_ns))
        return [Reported(report=one, source="open_orders", time_ns=answer.asked_ns) for one in answer.orders]

    def _order(self, question: Question, answer: Answer, now_ns: int) -> list[VenueEvent]:
        if answer.orders:
            self._done(question.key, now_ns)
            return [Reported(report=one, source="query", time_ns=answer.asked_ns) for one in answer.orders]
        task = self._tasks.get(question.key)
        if task is not None:
            self._later(task, now_ns)
            if task.tries >= limits.SURVEY_TRIES_MAX:
                del self._tasks[question.key]
                self._given_up.add(question.key)
        if question.key[0] == FOREIGN:
            return []
        name = question.key[1]
        leg = self._desk.ledger.leg(name)
        if leg is not None and leg.status in UNSETTLED and self._reconciler.not_found(leg, answer.asked_ns):
            return [Absent(client_order_id=name, time_ns=answer.asked_ns)]
        return []

    def folded(self, events: Iterable[Event], now_ns: int) -> None:
        """The facts are in the ledger. Balances that they moved are owed; fills of orders that nobody has named are
        followed up."""
        for event in events:
            match event:
                case BalancesTold(asked_at=None):
                    self._owed.told(event.balances, now_ns)
                case Answered(report=OrderReport() as report) | Reported(report=report):
                    market = self._desk.market_of(report.native)
                    self._owed.order(report, self._desk.side_of(report), market, now_ns)
                case Executed():
                    self._owed.fill(event.fill, self._desk.market_of(event.fill.native), now_ns)
        for native, order_id in self._desk.ledger.unclaimed():
            key = (FOREIGN, native, order_id)
            if key not in self._given_up:
                self._tasks.setdefault(key, _Task(due_ns=now_ns + int(limits.RECONCILE_QUIET_S * _NS)))

    def _done(self, key: Key, now_ns: int) -> None:
        task = self._tasks.get(key)
        if task is None:
            return
        if task.again:
            task.again, task.due_ns = False, now_ns
        else:
            del self._tasks[key]

    @staticmethod
    def _later(task: _Task, now_ns: int) -> None:
        pause_s = min(limits.SURVEY_RETRY_MAX_S, limits.SURVEY_RETRY_FIRST_S * 2.0 ** min(task.tries, 30))
        task.tries += 1
        task.again = False
        task.due_ns = now_ns + int(pause_s * _NS)
