"""How much of one limit is spent: pure arithmetic on slots of time, with time as an argument.

*Aligned* windows (Binance) begin at multiples of their length on the venue's clock. A slot is one window. A request
that leaves within the guard of a boundary may be counted in the window before or after it, so it must fit in both and
is charged to both.

*Rolling* windows (Bybit, and whatever does not say when it begins) are kept as a ring of short slots. Everything in
the slots that a window plus guard can touch counts, so that no interval of the window's length ever holds more than
the cap, wherever the venue lets it begin.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from enum import IntEnum
from typing import ClassVar

from thespian_connector import limits as caps
from thespian_connector.drivers.base import Limit

NS = 1_000_000_000
COUNT_MAX = 2**32 - 1


class Knowledge(IntEnum):
    """What a meter's count rests on."""

    #: Every charge since before the window began is in it.
    COUNTED = 0
    #: The file was made anew: the window counts as spent until an answer's header tells.
    UNKNOWN = 1
    #: The file was made anew and no header will tell: the window counts as spent by data, whose requests borrow from
    #: the share of the others until it has passed.
    ASSUMED = 2


class Meter:
    """One limit's count. `clock_ns` is the venue's time where `aligned`, else the host's monotonic time; `slack_ns` is
    how far the estimate of the venue's time may be off."""

    HEAD: ClassVar[struct.Struct] = struct.Struct("<BIqqI")
    SLOTS_ALIGNED: ClassVar[int] = 4
    SLOTS_ROLLING: ClassVar[int] = 64
    #: Slots that one rolling window is cut into: the price of the ring is one slot's time of patience.
    SLOTS_A_WINDOW: ClassVar[int] = 48

    def __init__(self, limit: Limit) -> None:
        self.limit = limit
        self.window_ns = limit.window_s * NS
        self.guard_ns = min(self.window_ns // 20, int(caps.BUDGET_GUARD_S_MAX * NS))
        # No header says when a venue's window of connects begins, so they are never taken for aligned.
        self.aligned = limit.aligned and limit.kind != "connects"
        self.slots = self.SLOTS_ALIGNED if self.aligned else self.SLOTS_ROLLING
        self.slot_ns = self.window_ns if self.aligned else self.window_ns // self.SLOTS_A_WINDOW
        self._record = struct.Struct(f"<{self.slots}I")
        self.size = self.HEAD.size + self._record.size
        #: The venue's present cap, where it told one (`Budget.set_caps`).
        self.cap = limit.cap
        self.knowledge = Knowledge.COUNTED
        self.since_ns = 0
        #: Units granted since `since_ns` while UNKNOWN: the header that tells may not have counted them yet. While
        #: ASSUMED: the units that were assumed.
        self.granted = 0
        self.newest = 0
        self.counts = [0] * self.slots

    # -- record

    def load(self, buffer: bytes | bytearray, at: int) -> None:
        knowledge, self.cap, self.since_ns, self.newest, self.granted = self.HEAD.unpack_from(buffer, at)
        self.knowledge = Knowledge(knowledge)
        self.counts = list(self._record.unpack_from(buffer, at + self.HEAD.size))

    def store(self, buffer: bytearray, at: int) -> None:
        granted = min(self.granted, COUNT_MAX)
        self.HEAD.pack_into(buffer, at, self.knowledge, self.cap, self.since_ns, self.newest, granted)
        self._record.pack_into(buffer, at + self.HEAD.size, *self.counts)

    # -- slots

    def _advance(self, slot: int) -> None:
        """Slots up to `slot` exist; those that were never charged are empty."""
        if slot - self.newest >= self.slots:
            self.counts = [0] * self.slots
        else:
            for empty in range(self.newest + 1, slot + 1):
                self.counts[empty % self.slots] = 0
        self.newest = max(self.newest, slot)

    def _count(self, slot: int) -> int:
        return self.counts[slot % self.slots] if self.newest - self.slots < slot <= self.newest else 0

    def _add(self, slot: int, units: int) -> None:
        self._advance(slot)
        assert slot > self.newest - self.slots, "time went back, and a charge would be lost"
        self.counts[slot % self.slots] = min(self.counts[slot % self.slots] + units, COUNT_MAX)

    def _put(self, units: int, clock_ns: int, slack_ns: int) -> None:
        for slot in self._windows(clock_ns, slack_ns) if self.aligned else (clock_ns // self.slot_ns,):
            self._add(slot, units)

    def _guard(self, slack_ns: int) -> int:
        """At most half a window: then each request may be counted in one of two, and more cannot be."""
        return min(self.guard_ns + slack_ns, self.window_ns // 2 - 1)

    def _windows(self, clock_ns: int, slack_ns: int) -> Sequence[int]:
        """The aligned windows that a request sent now may be counted in."""
        guard = self._guard(slack_ns)
        return range((clock_ns - guard) // self.window_ns, (clock_ns + guard) // self.window_ns + 1)

    def _recent(self, clock_ns: int) -> Sequence[int]:
        """The rolling slots that a window ending now may hold."""
        return range((clock_ns - self.window_ns - self.guard_ns) // self.slot_ns, clock_ns // self.slot_ns + 1)

    # -- questions

    def used(self, clock_ns: int, slack_ns: int = 0) -> int:
        """Units spent in the window that is current, the fuller one where two may be."""
        if self.aligned:
            return max(self._count(window) for window in self._windows(clock_ns, slack_ns))
        return sum(self._count(slot) for slot in self._recent(clock_ns))

    def wait_ns(self, units: int, ceiling: int, clock_ns: int, slack_ns: int = 0) -> int:
        """How long until `units` more fit under `ceiling` if nobody else spends; 0 if they fit now.

        `units` alone must fit under `ceiling`.
        """
        if self.aligned:
            full = [w for w in self._windows(clock_ns, slack_ns) if self._count(w) + units > ceiling]
            guard = self._guard(slack_ns)
            return (full[-1] + 1) * self.window_ns + guard - clock_ns if full else 0
        over = self.used(clock_ns) + units - ceiling
        if over <= 0:
            return 0
        for slot in self._recent(clock_ns):
            over -= self._count(slot)
            if over <= 0:
                return (slot + 1) * self.slot_ns + self.window_ns + self.guard_ns - clock_ns
        raise AssertionError(f"{units} units never fit under {ceiling}")

    # -- changes

    def charge(self, units: int, clock_ns: int, slack_ns: int = 0) -> None:
        self._put(units, clock_ns, slack_ns)
        if self.knowledge is Knowledge.UNKNOWN:
            self.granted += units

    def raise_to(self, units: int, sent_ns: int, clock_ns: int, slack_ns: int = 0) -> None:
        """An answer's header says that the venue counted `units`. The count only ever goes up: what we hold more may be
        on its way. Ignored when the request and its answer saw different windows, for then the header may mean either.
        """
        if self.aligned:
            windows = self._windows(clock_ns, slack_ns)
            if len(windows) > 1 or self._windows(sent_ns, slack_ns) != windows:
                return
        missing = min(units, COUNT_MAX) - self.used(clock_ns, slack_ns)
        if missing > 0:
            self._add(clock_ns // self.slot_ns, missing)

    def learn(self, units: int, clock_ns: int, slack_ns: int = 0) -> None:
        """The header that ends UNKNOWN: the truth, and whatever was granted meanwhile."""
        units += self.granted
        self.forget()
        self._put(units, clock_ns, slack_ns)

    def assume(self, units: int, knowledge: Knowledge, clock_ns: int, now_ns: int, slack_ns: int = 0) -> None:
        """Starts anew with `units` spent, though nobody counted them."""
        self.forget()
        self._put(units, clock_ns, slack_ns)
        self.knowledge, self.since_ns = knowledge, now_ns
        if knowledge is Knowledge.ASSUMED:
            self.granted = units

    def forget(self) -> None:
        self.knowledge, self.granted, self.newest, self.counts = Knowledge.COUNTED, 0, 0, [0] * self.slots

    def expire(self, now_ns: int, clock_ns: int, slack_ns: int = 0) -> None:
        """Ends UNKNOWN and ASSUMED when the window that they were about has surely passed."""
        if self.knowledge is Knowledge.COUNTED:
            return
        if now_ns - self.since_ns <= self.window_ns + 2 * self._guard(slack_ns):
            return
        if self.knowledge is Knowledge.UNKNOWN:
            self.learn(0, clock_ns, slack_ns)
        else:
            self.knowledge = Knowledge.COUNTED

    def shift(self, before_ns: int, after_ns: int, slack_before_ns: int, slack_ns: int) -> None:
        """The estimate of the venue's time moved from `before_ns` to `after_ns`. What was charged lately may lie in the
        present window by the new estimate, so all of it is taken to."""
        if not self.aligned or abs(after_ns - before_ns) <= self.guard_ns:
            return
        window = before_ns // self.slot_ns
        recent = [self._count(slot) for slot in range(window - 1, window + 2)]
        # While nothing was known of the venue's clock each charge went to two windows, the present one among them.
        doubled = self._guard(slack_before_ns) == self._guard(self.window_ns)
        knowledge, since_ns, granted = self.knowledge, self.since_ns, self.granted
        spent = max(recent) if doubled else sum(recent)
        if knowledge is Knowledge.ASSUMED and not doubled:  # what was assumed is spent once, whichever windows hold it
            spent -= granted * max(0, sum(count >= granted for count in recent) - 1)
        self.forget()
        self._put(spent, after_ns, slack_ns)
        self.knowledge, self.since_ns, self.granted = knowledge, since_ns, granted
