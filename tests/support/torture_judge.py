"""What is wrong after a cell, by the simulator's own record alone."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from thespian_connector import plain
from thespian_connector.drivers.registry import trading_for
from thespian_connector.limits import RECV_WINDOW_MS, SURVEY_EVERY_S
from thespian_connector.model.decimals import canonical, text
from thespian_connector.model.errors import ConnectorError
from thespian_connector.orders.codec import decode
from thespian_connector.orders.events import Absent, Answered, Event
from thespian_connector.orders.recovery import INTERRUPTED
from thespian_connector.storage import Durability, open_store

from .torture import IN_FLIGHT_MIN, VENUES, Command, Rig, Traffic
from .torture_cells import RESTART_S_MAX
from .waiting import wait_until

#: Past the venue's own bound: what queries may lag, the pause between two, and a slow machine.
MARGIN_S = 20.0
_UNSETTLED = ("UNKNOWN", "PENDING_NEW", "PENDING_CANCEL", "PENDING_REPLACE")
_PLACES = ("place", "cancel_replace")
_OPEN = ("NEW", "PARTIALLY_FILLED")

Document = dict[str, Any]


@dataclass
class Verdict:
    """Of one cell. `unknown`: commands whose outcome nobody knew for a while, by the journal; `interrupted` of them
    because the process ended; `faults`: how often the cell's own came; `right_s`: from the last answer until all was
    equal."""

    cell: str
    commands: int
    taken: int
    outcomes: dict[str, int]
    errors: dict[str, int]
    in_flight: int
    in_the_air: int
    unknown: int
    interrupted: int
    faults: int
    right_s: float
    start_s: float | None
    restart_s: float | None
    wrong: list[str]

    @property
    def right(self) -> bool:
        return not self.wrong


def base(client_order_id: str) -> str:
    """The handle of an order that may have taken another's place."""
    return client_order_id.partition("_")[0]


def bound_s(venue: str) -> float:
    """How long after its deadline a command may still be in doubt."""
    return RECV_WINDOW_MS / 1000 + trading_for(venue).engine_timeout_s + MARGIN_S


class Judge:
    """Of all cells of one rig."""

    def __init__(self, rig: Rig, cells: Sequence[Traffic]) -> None:
        self.rig = rig
        self.cells = cells
        self.commands: dict[str, list[Command]] = {}
        for cell in cells:
            for command in cell.done:
                self.commands.setdefault(command.handle, []).append(command)
        #: handle -> when it was last seen unsettled.
        self._unsettled: dict[str, float] = {}
        self._wrong: dict[str, list[str]] = {}
        self._common: list[str] = []

    def verdicts(self) -> list[Verdict]:
        """Waits, within the bounds, until all is right, or says what is not."""
        ended = max(one.ended for cell in self.cells for one in cell.done)
        # Orders have their own bounds; what else is told must be right after a whole round of questions.
        last = ended + SURVEY_EVERY_S + MARGIN_S
        with contextlib.suppress(AssertionError):  # `_wrong` says what
            wait_until(self._look, max(1.0, last - time.monotonic()), "all is right", 0.25)
        right_s = time.monotonic() - ended
        return [self._verdict(cell, right_s) for cell in self.cells]

    # -- orders as they are told

    def _look(self) -> bool:
        try:
            ours = {order["client_order_id"]: order for order in map(plain, self.rig.connector.orders())}
            still_open = {order.client_order_id for order in self.rig.connector.orders(open_only=True)}
            self._common = self._balances() + self._positions()
        except ConnectorError as error:
            self._common = [f"nobody tells: {error}"]
            return False
        now = time.monotonic()
        chains = self._chains()
        self._wrong = {}
        for handle, commands in self.commands.items():
            mine, true = ours.get(handle), chains.get(handle, [])
            if mine is not None and mine["status"] in _UNSETTLED:
                self._unsettled[handle] = now
            wrong = _order_wrong(mine, true, commands)
            if bool(true and true[-1]["status"] in _OPEN) != (handle in still_open):
                wrong.append(f"among the open orders: {handle in still_open}, truly {true and true[-1]['status']}")
            if wrong:
                self._wrong[handle] = wrong
        unasked = [handle for handle in chains if handle not in self.commands]
        self._common += [f"{handle}: nobody asked for it" for handle in unasked]
        return not self._wrong and not self._common

    def _chains(self) -> dict[str, list[Document]]:
        """handle -> the venue's orders of it, in their turn."""
        chains: dict[str, list[Document]] = {}
        for venue in VENUES:
            for order in self.rig.simulator.truth(venue, "orders"):
                chains.setdefault(base(order["client_order_id"]), []).append(order)
        for chain in chains.values():
            chain.sort(key=lambda order: int(order["client_order_id"].partition("_")[2] or 0))
        return chains

    def _balances(self) -> list[str]:
        wrong = []
        for venue in VENUES:
            ours = {one.asset: (text(one.free), text(one.locked)) for one in self.rig.connector.balances(venue)}
            for row in self.rig.simulator.truth(venue, "balances"):
                true = (row["free"], row["locked"])
                if ours.get(row["asset"], ("0", "0")) != true:
                    wrong.append(f"{venue} {row['asset']}: {ours.get(row['asset'])}, truly {true}")
        return wrong

    def _positions(self) -> list[str]:
        wrong = []
        for venue in VENUES:
            ours = {one.symbol: text(one.quantity) for one in self.rig.connector.positions(venue)}
            true: dict[str, Decimal] = {}
            for order in self.rig.simulator.truth(venue, "orders"):
                for fill in order["fills"]:
                    change = Decimal(fill["quantity"]) * (1 if order["side"] == "buy" else -1)
                    if fill["fee_asset"] == order["symbol"].partition("/")[0]:
                        change -= Decimal(fill["fee"])
                    true[order["symbol"]] = true.get(order["symbol"], Decimal(0)) + change
            expected = {symbol: text(canonical(quantity)) for symbol, quantity in true.items()}
            if ours != expected:
                wrong.append(f"{venue} positions {ours}, truly {expected}")
        return wrong

    # -- one cell

    def _verdict(self, cell: Traffic, right_s: float) -> Verdict:
        handles = {one.handle for one in cell.done}
        wrong = list(self._common)
        wrong += [f"{handle}: {what}" for handle in sorted(handles) for what in self._wrong.get(handle, ())]
        wrong += self._late(handles) + self._sent(handles) + self._told(cell.done) + self._rash(handles)
        wrong += [str(failure) for failure in cell.failures]
        unknown, interrupted = self._doubts(handles)
        taken = cell.taken
        if taken < cell.commands:
            wrong.append(f"only {taken} commands")
        if cell.strike.in_flight < IN_FLIGHT_MIN:
            wrong.append(f"only {cell.strike.in_flight} in flight")
        if cell.strike.faults and not cell.strike.fired:
            wrong.append("the fault never came")
        if not unknown:
            wrong.append("none was unknown")
        if (cell.strike.restart_s or 0.0) > RESTART_S_MAX:
            wrong.append(f"open orders were right {cell.strike.restart_s:.1f} s after a new start")
        return Verdict(
            cell=cell.name,
            commands=len(cell.done),
            taken=taken,
            outcomes=dict(Counter(one.outcome for one in cell.done)),
            errors=dict(Counter(type(one.error).__name__ for one in cell.done if one.error is not None)),
            in_flight=cell.strike.in_flight,
            in_the_air=cell.strike.in_the_air,
            unknown=unknown,
            interrupted=interrupted,
            faults=cell.strike.fired,
            right_s=right_s,
            start_s=cell.strike.start_s,
            restart_s=cell.strike.restart_s,
            wrong=wrong,
        )

    def _late(self, handles: Iterable[str]) -> list[str]:
        """Who was in doubt for longer than may be."""
        late = []
        for handle in handles:
            last = max(one.deadline + bound_s(one.venue) for one in self.commands[handle])
            if self._unsettled.get(handle, 0.0) > last:
                late.append(f"{handle}: in doubt {self._unsettled[handle] - last:.1f} s past its bound")
        return late

    def _sent(self, handles: set[str]) -> list[str]:
        """No id is placed twice, nothing is done oftener than it was asked for, or though it was told to be refused."""
        wrong = []
        done: Counter[tuple[str, str]] = Counter()
        accepted = {order["client_order_id"] for chain in self._chains().values() for order in chain}
        for venue in VENUES:
            rows = [
                row for row in self.rig.simulator.truth(venue, "requests") if base(row["client_order_id"]) in handles
            ]
            # What was refused without effect, its timestamp say, may be sent again.
            perhaps = [row for row in rows if row["executed"] or not row["answered"] or row["status"] >= 500]
            placed = Counter(row["client_order_id"] for row in perhaps if row["op"] in _PLACES)
            wrong += [f"{name}: placed {count} times" for name, count in placed.items() if count > 1]
            amended = Counter(base(row["client_order_id"]) for row in perhaps if row["op"] == "amend")
            for name, count in amended.items():
                asked = sum(one.op == "amend" for one in self.commands[name])
                if count > asked:
                    wrong.append(f"{name}: amended {count} times, asked for {asked}")
            for row in rows:
                if row["executed"] and (row["op"] not in _PLACES or row["client_order_id"] in accepted):
                    replaces = row["op"] in _PLACES and base(row["client_order_id"]) != row["client_order_id"]
                    done[base(row["client_order_id"]), "amend" if replaces else row["op"]] += 1
        for (name, op), count in done.items():
            meant = [one for one in self.commands[name] if one.op == op and one.outcome != "refused"]
            by_amendment = op == "cancel" and any(one.op == "amend" for one in self.commands[name])
            if op in ("cancel", "amend") and count > len(meant) and not by_amendment:
                wrong.append(f"{name}: {op} done {count} times, told to be refused but {len(meant)} times")
        return wrong

    def _told(self, commands: Iterable[Command]) -> list[str]:
        """What a caller was told to be done is; what was told not to be is not."""
        chains = self._chains()
        wrong = []
        for one in commands:
            true = chains.get(one.handle, [])
            if one.op in ("rest", "cross") and one.outcome == "ok" and not true:
                wrong.append(f"{one.handle}: told to be placed, and is not")
            if one.op in ("rest", "cross") and one.outcome == "refused" and true and true[0]["status"] != "REJECTED":
                wrong.append(f"{one.handle}: told not to be placed ({one.error!r}), and is")
            if one.op == "cancel" and one.outcome == "ok" and true and true[-1]["status"] in _OPEN:
                wrong.append(f"{one.handle}: told to be canceled, and is not")
        return wrong

    def _doubts(self, handles: set[str]) -> tuple[int, int]:
        """How many commands the journal holds without a known outcome, and how many of them a crash left."""
        unknown = [
            fact.refusal
            for fact in self._journal("commands")
            if isinstance(fact, Answered)
            and base(fact.client_order_id) in handles
            and fact.refusal is not None
            and not fact.refusal.outcome_known
        ]
        return len(unknown), sum(refusal.type == INTERRUPTED for refusal in unknown)

    def _rash(self, handles: set[str]) -> list[str]:
        """Of whom it was concluded that they never got there, and they did."""
        accepted = {order["client_order_id"] for chain in self._chains().values() for order in chain}
        absent = {fact.client_order_id for fact in self._journal("venue") if isinstance(fact, Absent)}
        return [f"{name}: concluded to be absent, and is not" for name in absent & accepted if base(name) in handles]

    def _journal(self, stream: str) -> list[Event]:
        store = open_store(f"sqlite:///{self.rig.system.runtime / 'state.db'}", Durability.PROCESS)
        try:
            return [decode(entry.body) for venue in VENUES for entry in store.load(f"{stream}/{venue}")]
        finally:
            store.close()


def _order_wrong(mine: Document | None, true: list[Document], commands: list[Command]) -> list[str]:
    if not true:
        if mine is None or mine["status"] == "REJECTED":
            return []
        return [f"{mine['status']}, the venue has no such order"]
    if mine is None:
        return [f"not known, at the venue {true[-1]['status']}"]
    last, before = true[-1], sum((Decimal(order["filled"]) for order in true[:-1]), Decimal(0))
    quantity = Decimal(last["quantity"]) + before
    expected = {
        "status": "PARTIALLY_FILLED" if last["status"] == "NEW" and before else last["status"],
        "filled": text(canonical(Decimal(last["filled"]) + before)),
        "quantity": text(canonical(quantity)),
        "order_id": last["order_id"],
        "price": last["price"],
        "side": last["side"],
        "type": last["type"],
    }
    wrong = [f"{name} {mine[name]}, truly {value}" for name, value in expected.items() if mine[name] != value]
    fills = sorted(_fill(fill) for fill in mine["fills"])
    truly = sorted(_fill(fill) for order in true for fill in order["fills"])
    if fills != truly:
        wrong.append(f"fills {fills}, truly {truly}")
    return wrong


def _fill(fill: Document) -> tuple[str, ...]:
    return tuple(str(fill[name]) for name in ("execution_id", "price", "quantity", "fee", "fee_asset"))
