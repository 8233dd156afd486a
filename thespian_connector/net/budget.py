"""One budget of requests per venue and egress IP, shared by every process of the host.

A process charges before it sends, under the file's lock, and a charge is never taken back: one that is killed in
between has spent what it never sent, and nobody ever sends what was not charged. Answers' headers correct the count
upwards only, because what we hold more of may still be on its way.

**What a new file means.** Nobody knows what was spent before it, so the current window counts as spent, as far as that
is needed:

- A limit that the headers tell (Binance's weight): all but the slice of cancels is spent until an answer tells. One
  process sends one request of weight 1 for the venue's time; its header is the truth about the window, and its body
  tells where the window ends. So a first start waits for one round trip, not for a minute.
- A short window that no header tells (Bybit: 600 in 5 s): data's whole share is taken for spent. Until the window has
  passed data may borrow from the slice above it, up to reconciliation's share: 60 requests at once, the rest after 5 s.
  Even if an earlier life of ours had spent all that data may, the venue sees no more than its cap.
- A long window that no header tells (connects in 5 minutes): half is taken for spent. A system connects some ten times
  when it starts; to have spent more than half a window before, and lost the file, takes a storm that was already an
  incident, and shutting the feeds for five minutes would be a worse one.
- A file that *was* there and cannot be read (torn, foreign, removed under us) gets no such benefit of the doubt: data's
  whole share is spent in long windows too.

Windows live on the host's monotonic clock, and aligned ones on the venue's clock as an offset to it: steps of the wall
clock move nothing.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable, Mapping
from enum import IntEnum
from pathlib import Path
from typing import NamedTuple, Self
from urllib.parse import urlsplit

from msgspec import Struct

from thespian_connector import limits as caps
from thespian_connector.drivers.base import Driver, Limit, Usage
from thespian_connector.model.errors import LimitExceeded, UsageError

from .ledger import UNMEASURED, Ledger, State
from .meter import COUNT_MAX, NS, Knowledge, Meter
from .timebase import SYSTEM, Timebase

#: A window that no header tells and that is waited out rather than guessed.
SHORT_WINDOW_S = 10
#: How often a process looks whether another one's probe has been answered.
_PROBE_POLL_NS = 20_000_000
_JITTER_S = 0.02
#: Hosts of the venues that count together, whichever of them is asked (``api1.binance.com``, ``api.bytick.com``).
_LIVE_HOST = re.compile(r"api(\d+|-gcp)?\.[a-z]+\.(com|nl|eu)", re.ASCII)


class Priority(IntEnum):
    """Who goes first. Each may fill its share of a limit, and what lies above is kept for those before it."""

    CANCEL = 0
    ORDER = 1
    RECONCILE = 2
    DATA = 3


_SHARES = {
    Priority.CANCEL: caps.BUDGET_SHARE_CANCEL,
    Priority.ORDER: caps.BUDGET_SHARE_ORDER,
    Priority.RECONCILE: caps.BUDGET_SHARE_RECONCILE,
    Priority.DATA: caps.BUDGET_SHARE_DATA,
}


def ceiling(cap: int, priority: Priority) -> int:
    """How full `priority` may make a limit of `cap`; at least 1."""
    return max(1, cap * _SHARES[priority] // 1000)


class Grant(NamedTuple):
    """Leave to send one request, now. `used` is what each reported limit stood at, this request included."""

    at_ns: int
    used: Mapping[str, int]


class Probe(NamedTuple):
    """How to learn an unknown window: `send` sends a request for the venue's time, of `weight`, and hands its answer
    to `Budget.learn`; what it raises reaches the caller who waited for room."""

    weight: int
    send: Callable[[Grant], None]


class LimitUse(Struct, frozen=True, kw_only=True):
    """How one limit stands. `known` is "counted", or "unknown" or "assumed" after the file was made anew."""

    limit: str
    kind: str
    used: int
    cap: int
    window_s: int
    paused_until_ns: int
    known: str


class _Answer(NamedTuple):
    wait_ns: int
    grant: Grant | None = None
    probe: bool = False
    why: str = ""


def venue_file(exchange: str, base_url: str, directory: Path, egress: str = "") -> Path:
    """Where :meth:`Budget.for_venue` keeps its count. All production hosts of a venue count together."""
    parts = urlsplit(base_url)
    host = parts.hostname or ""
    place = "live" if _LIVE_HOST.fullmatch(host) else f"{host}_{parts.port or parts.scheme}"
    name = re.sub(r"[^A-Za-z0-9._-]", "_", "-".join(filter(None, (exchange, place, egress))))
    return directory / f"{name}.budget"


class Budget:
    """Thread-safe, and safe across fork; every process and system of a host opens its own on the same `path`.

    :raises ConfigError: the file cannot be opened.
    """

    def __init__(
        self,
        path: Path,
        limits: Iterable[Limit],
        *,
        exchange: str = "",
        timebase: Timebase = SYSTEM,
        rng: random.Random | None = None,
    ) -> None:
        self.exchange = exchange
        self._time = timebase
        self._rng = rng or random.Random()
        self._ledger = Ledger(path, tuple(limits), timebase, self._remake)
        with self._ledger.transaction() as state:
            self._fresh_ns = min(meter.guard_ns for meter in state.meters) // 2

    @classmethod
    def for_venue(
        cls,
        driver: Driver,
        base_url: str,
        directory: Path,
        *,
        egress: str = "",
        timebase: Timebase = SYSTEM,
        rng: random.Random | None = None,
    ) -> Self:
        """The budget of the venue behind `base_url`, in `directory`, which all systems of the user must share.

        `egress` names the outgoing address where there are several.
        """
        path = venue_file(driver.exchange, base_url, directory, egress)
        return cls(path, driver.limits, exchange=driver.exchange, timebase=timebase, rng=rng)

    @property
    def path(self) -> Path:
        return self._ledger.path

    def close(self) -> None:
        self._ledger.close()

    # -- spending

    def acquire(
        self, kind: str, cost: int = 1, priority: Priority = Priority.DATA, timeout_s: float | None = None
    ) -> Grant:
        """Charges `cost` units of every limit of `kind`, as soon as there is room. A kind that the venue does not limit
        is free.

        :param timeout_s: how long to wait for room; None: as long as it takes.
        :raises LimitExceeded: there will be no room in time; `retry_after_s` says when there may be.
        :raises UsageError: `cost` is more than `priority` may ever spend at once.
        """
        return self._acquire({kind: cost}, priority, timeout_s, None)

    def try_acquire(self, kind: str, cost: int = 1, priority: Priority = Priority.DATA) -> float:
        """Charges like `acquire` if there is room now and returns 0.0; else charges nothing and returns how many
        seconds to wait before asking again."""
        return self._attempt({kind: cost}, priority, None).wait_ns / NS

    def acquire_request(
        self,
        weight: int,
        priority: Priority = Priority.DATA,
        timeout_s: float | None = None,
        probe: Probe | None = None,
    ) -> Grant:
        """Like `acquire`, for one HTTP request: its weight, and one request."""
        return self._acquire({"weight": weight, "requests": 1}, priority, timeout_s, probe)

    def fresh(self, grant: Grant) -> bool:
        """Whether `grant` may still be used: one that lay about (a stopped process) may be of a window gone by."""
        return self._time.now_ns() - grant.at_ns <= self._fresh_ns

    def _acquire(
        self, costs: Mapping[str, int], priority: Priority, timeout_s: float | None, probe: Probe | None
    ) -> Grant:
        started_ns = self._time.now_ns()
        while True:
            answer = self._attempt(costs, priority, probe)
            if answer.grant is not None and not answer.probe:
                return answer.grant
            if answer.probe:
                assert probe is not None
                assert answer.grant is not None
                self._send_probe(probe, answer.grant)
                continue
            wait_s = answer.wait_ns / NS
            if timeout_s is not None and wait_s > timeout_s - (self._time.now_ns() - started_ns) / NS:
                raise LimitExceeded(
                    f"{self.exchange or self.path.name}: {answer.why}; room in {wait_s:.2f} s, later than the deadline",
                    retry_after_s=wait_s,
                )
            self._time.sleep(min(wait_s, caps.BUDGET_SLEEP_S_MAX) + self._rng.uniform(0.0, min(_JITTER_S, wait_s)))

    def _attempt(self, costs: Mapping[str, int], priority: Priority, probe: Probe | None) -> _Answer:
        with self._ledger.transaction() as state:
            if state.pause_ns > state.now_ns:
                return _Answer(state.pause_ns - state.now_ns, why="the venue told this IP to be silent")
            wait_ns, unknown, why = 0, False, ""
            for meter in state.meters:
                units = costs.get(meter.limit.kind, 0)
                if not units:
                    continue
                clock_ns, slack_ns = state.clock(meter)
                meter.expire(state.now_ns, clock_ns, slack_ns)
                if meter.knowledge is Knowledge.UNKNOWN and priority is not Priority.CANCEL:
                    unknown = True
                    continue
                top = self._top(meter, priority, units)
                meter_ns = meter.wait_ns(units, top, clock_ns, slack_ns)
                if meter_ns > wait_ns:
                    used = meter.used(clock_ns, slack_ns)
                    wait_ns = meter_ns
                    why = f"{used} of {top} {meter.limit.name} are used and {units} more are wanted"
            if wait_ns:
                return _Answer(wait_ns, why=why)
            if unknown:
                if probe is None or state.probe_ns > state.now_ns:
                    return _Answer(_PROBE_POLL_NS, why="what this IP has used is not known yet")
                costs = {"weight": probe.weight, "requests": 1}
                state.probe_ns = state.now_ns + int(caps.BUDGET_PROBE_S_MAX * NS)
            return _Answer(0, grant=self._charge(state, costs), probe=unknown)

    def _top(self, meter: Meter, priority: Priority, units: int) -> int:
        if meter.knowledge is Knowledge.ASSUMED and priority is Priority.DATA:
            priority = Priority.RECONCILE  # data borrows while its own share counts as spent
        top = ceiling(meter.cap, priority)
        if units > top:
            raise UsageError(
                f"{self.exchange}: {units} of {meter.limit.name} at once are more than the {top} that"
                f" {priority.name.lower()} may spend in a window; ask for less"
            )
        return top

    def _charge(self, state: State, costs: Mapping[str, int]) -> Grant:
        used: dict[str, int] = {}
        for meter in state.meters:
            units = costs.get(meter.limit.kind, 0)
            if units:
                clock_ns, slack_ns = state.clock(meter)
                meter.charge(units, clock_ns, slack_ns)
                if meter.limit.reported:
                    used[meter.limit.name] = meter.used(clock_ns, slack_ns)
        state.dirty = True
        return Grant(state.now_ns, used)

    def _send_probe(self, probe: Probe, grant: Grant) -> None:
        answered = False
        try:
            probe.send(grant)
            answered = True
        finally:
            if not answered:
                with self._ledger.transaction() as state:  # the next may try at once
                    state.probe_ns = 0
                    state.dirty = True

    # -- learning

    def correct(self, grant: Grant, usage: Iterable[Usage]) -> None:
        """What the headers of the answer to `grant`'s request say. Costs nothing when they say no more than we hold."""
        news = {use.limit: use.used for use in usage if use.used > grant.used.get(use.limit, -1)}
        if not news:
            return
        with self._ledger.transaction() as state:
            for meter in state.meters:
                if meter.limit.name in news and meter.knowledge is not Knowledge.UNKNOWN:
                    clock_ns, slack_ns = state.clock(meter)
                    sent_ns = clock_ns - (state.now_ns - grant.at_ns)
                    meter.raise_to(news[meter.limit.name], sent_ns, clock_ns, slack_ns)
                    state.dirty = True

    def learn(self, grant: Grant, usage: Iterable[Usage], venue_ns: int) -> None:
        """The answer to a probe: the venue's time and, from its headers, what is used. A limit that should be in them
        and is not is taken for half spent from now on."""
        told = {use.limit: use.used for use in usage}
        with self._ledger.transaction() as state:
            # The venue's clock has milliseconds only.
            error_ns = (state.now_ns - grant.at_ns) // 2 + 1_000_000
            self._set_clock(state, venue_ns - (grant.at_ns + state.now_ns) // 2, error_ns)
            for meter in state.meters:
                if meter.knowledge is not Knowledge.UNKNOWN:
                    continue
                clock_ns, slack_ns = state.clock(meter)
                if meter.limit.name in told:
                    meter.learn(told[meter.limit.name], clock_ns, slack_ns)
                else:
                    half = meter.cap // 2 + meter.granted
                    meter.assume(half, Knowledge.ASSUMED, clock_ns, state.now_ns, slack_ns)
            state.probe_ns = 0
            state.dirty = True

    def set_venue_clock(self, offset_ns: int, error_ns: int) -> None:
        """The venue's time less `Timebase.now_ns`, freshly measured; tells where aligned windows end."""
        with self._ledger.transaction() as state:
            self._set_clock(state, offset_ns, error_ns)

    def _set_clock(self, state: State, offset_ns: int, error_ns: int) -> None:
        before = [state.clock(meter) for meter in state.meters]
        state.offset_ns, state.error_ns, state.measured_ns = offset_ns, max(0, error_ns), state.now_ns
        for meter, (before_ns, slack_before_ns) in zip(state.meters, before, strict=True):
            after_ns, slack_ns = state.clock(meter)
            meter.shift(before_ns, after_ns, slack_before_ns, slack_ns)
        state.dirty = True

    def set_caps(self, limits: Iterable[Limit]) -> None:
        """The caps that the venue itself named (`Driver.limits_of`), for every process. A limit that we do not keep,
        or over another window, is left out."""
        with self._ledger.transaction() as state:
            told = {(limit.name, limit.kind, limit.window_s): limit.cap for limit in limits}
            for meter in state.meters:
                cap = told.get((meter.limit.name, meter.limit.kind, meter.limit.window_s), meter.cap)
                if cap != meter.cap and 0 < cap <= COUNT_MAX:
                    meter.cap = cap
                    state.dirty = True

    def pause(self, seconds: float | None, *, banned: bool = False) -> None:
        """The venue wants silence from this IP: no process sends anything, cancels included, until it is over. A pause
        never shortens another. None: the venue did not say how long."""
        if seconds is None:
            seconds = caps.BUDGET_BAN_S_DEFAULT if banned else caps.BUDGET_PAUSE_S_DEFAULT
        length_ns = int(min(max(seconds, 0.0), caps.BUDGET_PAUSE_S_MAX) * NS)
        with self._ledger.transaction() as state:
            state.pause_ns = max(state.pause_ns, state.now_ns + length_ns)
            state.pause_wall_ns = self._time.wall_ns() + state.pause_ns - state.now_ns
            state.dirty = True

    def pause_until(self, time_ns: int) -> None:
        """`pause`, until a time of the epoch."""
        self.pause((time_ns - self._time.wall_ns()) / NS)

    # -- reading

    def used(self) -> list[LimitUse]:
        """How each limit stands, for status; `paused_until_ns` is of the epoch, 0 when there is no pause."""
        with self._ledger.transaction() as state:
            left_ns = state.pause_ns - state.now_ns
            paused_until_ns = self._time.wall_ns() + left_ns if left_ns > 0 else 0
            for meter in state.meters:
                meter.expire(state.now_ns, *state.clock(meter))
            return [
                LimitUse(
                    limit=meter.limit.name,
                    kind=meter.limit.kind,
                    used=meter.used(*state.clock(meter)),
                    cap=meter.cap,
                    window_s=meter.limit.window_s,
                    paused_until_ns=paused_until_ns,
                    known=meter.knowledge.name.lower(),
                )
                for meter in state.meters
            ]

    # -- a record made anew

    @staticmethod
    def _remake(state: State, existed: bool) -> None:
        assert state.error_ns == UNMEASURED
        for meter in state.meters:
            cap = meter.cap
            clock_ns, slack_ns = state.clock(meter)
            if meter.limit.reported:
                spent, knowledge = ceiling(cap, Priority.ORDER), Knowledge.UNKNOWN
            elif existed or meter.limit.window_s <= SHORT_WINDOW_S:
                spent, knowledge = ceiling(cap, Priority.DATA), Knowledge.ASSUMED
            else:
                spent, knowledge = cap // 2, Knowledge.ASSUMED
            meter.assume(spent, knowledge, clock_ns, state.now_ns, slack_ns)
