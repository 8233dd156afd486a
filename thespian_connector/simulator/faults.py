"""The registry of injected faults: added by the control port, asked for by the fronts.

A fault names a venue and a kind, may be narrowed by `surface`, `symbol` and `op`, and lasts for the next `count`
matching events or for `seconds`. With neither, the kinds in :data:`STANDING` last until deleted, the others happen
once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

SURFACES = ("rest", "stream", "private", "trade")
_SOCKETS = ("stream", "private", "trade")
MALFORMED_FORMS = ("truncated", "binary", "huge", "wrong_types", "not_json", "empty", "deep")
#: Faults standing at once. At the limit a further one is refused.
FAULTS_MAX = 1_000


class FaultError(ValueError):
    """The document of a fault is wrong; the message names the field and the choices."""


@dataclass(frozen=True)
class Kind:
    """What a kind is about: on which surfaces, and its own fields with how each is checked."""

    surfaces: tuple[str, ...]
    fields: Mapping[str, Callable[[str, Any], Any]] = field(default_factory=dict)


def _boolean(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise FaultError(f"{name}: {value!r} must be true or false")
    return value


def _integer(lowest: int, highest: int) -> Callable[[str, Any], int]:
    def check(name: str, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not lowest <= value <= highest:
            raise FaultError(f"{name}: {value!r} must be an integer from {lowest} to {highest}")
        return value

    return check


def _choice(*choices: Any) -> Callable[[str, Any], Any]:
    def check(name: str, value: Any) -> Any:
        if value not in choices:
            raise FaultError(f"{name}: {value!r} is not one of {', '.join(map(str, choices))}")
        return value

    return check


_MS = _integer(0, 600_000)
_REQUESTS = ("rest", "trade")
KINDS: dict[str, Kind] = {
    "ws_drop": Kind(_SOCKETS),
    "ws_silent": Kind(_SOCKETS),
    "ws_gap": Kind(_SOCKETS),
    "ws_duplicate": Kind(_SOCKETS),
    "ws_malformed": Kind(_SOCKETS, {"form": _choice(*MALFORMED_FORMS)}),
    "ws_slow": Kind(_SOCKETS, {"bytes_per_s": _integer(1, 1_000_000)}),
    # Bybit only: a snapshot in the middle of a depth stream, and all depth streams starting anew at update id 1.
    "ws_snapshot": Kind(("stream",)),
    "ws_restart": Kind(("stream",)),
    "http_5xx": Kind(_REQUESTS, {"status": _integer(500, 599), "executed": _boolean}),
    "http_timeout": Kind(_REQUESTS, {"executed": _boolean, "timeout_ms": _MS}),
    "http_429": Kind(_REQUESTS, {"retry_after_s": _integer(0, 86_400)}),
    "http_ban": Kind(_REQUESTS, {"status": _choice(418, 403, 429), "retry_after_s": _integer(0, 86_400)}),
    "latency": Kind(SURFACES, {"latency_ms": _MS}),
    "clock_skew": Kind(SURFACES, {"skew_ms": _integer(-86_400_000, 86_400_000)}),
    "ack_lost": Kind(_REQUESTS),
    "visibility_delay": Kind(_REQUESTS, {"delay_ms": _MS}),
    "user_event_drop": Kind(("private",)),
    "user_event_duplicate": Kind(("private",)),
    "server_shutdown": Kind(_SOCKETS, {"lead_ms": _MS}),
    "maintenance": Kind(_REQUESTS),
    "key_revoked": Kind(("rest", "private", "trade")),
}
STANDING = ("clock_skew", "maintenance", "key_revoked", "latency")
_REQUIRED = {"latency": "latency_ms", "clock_skew": "skew_ms", "visibility_delay": "delay_ms"}
_COMMON = ("venue", "kind", "count", "seconds", "surface", "symbol", "op")


@dataclass
class Fault:
    """One injected fault. `left` is how many more events it takes (None: no such limit), `until_ns` its end on the
    monotonic clock (None: none), `params` the kind's own fields."""

    fault_id: int
    kind: str
    venue: str
    surface: str
    symbol: str
    op: str
    left: int | None
    until_ns: int | None
    params: dict[str, Any]
    document: dict[str, Any]
    fired: int = 0

    def over(self, now_ns: int) -> bool:
        """Whether nothing more will come of it."""
        return self.left == 0 or (self.until_ns is not None and now_ns >= self.until_ns)

    def fire(self) -> None:
        """Count one event."""
        self.fired += 1
        if self.left is not None:
            self.left -= 1


def _plain_symbol(symbol: str) -> str:
    return symbol.replace("/", "").upper()


class Faults:
    """Every fault of every venue.

    :param venues: the names a fault may give.
    :param monotonic_ns: the clock of `seconds`.
    """

    def __init__(self, venues: tuple[str, ...], monotonic_ns: Callable[[], int]) -> None:
        self._venues = venues
        self._monotonic_ns = monotonic_ns
        self._faults: dict[int, Fault] = {}
        self._live: list[Fault] = []
        self._next_id = 1
        #: Called with each new fault: what acts on sockets that are open now need not wait for a message.
        self.listeners: list[Callable[[Fault], None]] = []

    def add(self, document: Mapping[str, Any]) -> Fault:
        """Register the fault that a document describes.

        :raises FaultError: an unknown kind, venue or field, a wrong value, or both `count` and `seconds`.
        """
        kind_name = document.get("kind")
        if not isinstance(kind_name, str) or kind_name not in KINDS:
            raise FaultError(f"kind: {kind_name!r} is not one of {', '.join(KINDS)}")
        kind = KINDS[kind_name]
        allowed = (*_COMMON, *kind.fields)
        for name in document:
            if name not in allowed:
                raise FaultError(f"{name}: {kind_name} has no such field; it has {', '.join(allowed)}")
        venue = _choice(*self._venues)("venue", document.get("venue"))
        surface = document.get("surface", "")
        if "surface" in document:
            _choice(*kind.surfaces)("surface", surface)
        for name in ("symbol", "op"):
            if not isinstance(document.get(name, ""), str):
                raise FaultError(f"{name}: {document[name]!r} must be a string")
        missing = _REQUIRED.get(kind_name)
        if missing is not None and missing not in document:
            raise FaultError(f"{missing}: {kind_name} needs it")
        params = {name: check(name, document[name]) for name, check in kind.fields.items() if name in document}
        left, until_ns = self._extent(kind_name, document)
        if len(self._live) >= FAULTS_MAX:
            raise FaultError(f"kind: {FAULTS_MAX} faults are standing already; delete some")
        symbol = _plain_symbol(document.get("symbol", ""))
        fault = Fault(
            self._next_id,
            kind_name,
            venue,
            surface,
            symbol,
            document.get("op", ""),
            left,
            until_ns,
            params,
            dict(document),
        )
        self._next_id += 1
        self._faults[fault.fault_id] = fault
        self._live.append(fault)
        while len(self._faults) > 2 * FAULTS_MAX:
            del self._faults[next(iter(self._faults))]
        for listener in self.listeners:
            listener(fault)
        return fault

    def _extent(self, kind: str, document: Mapping[str, Any]) -> tuple[int | None, int | None]:
        count, seconds = document.get("count"), document.get("seconds")
        if count is not None and seconds is not None:
            raise FaultError("count: give count or seconds, not both")
        if count is not None:
            return _integer(1, 1_000_000)("count", count), None
        if seconds is not None:
            if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds <= 86_400:
                raise FaultError(f"seconds: {seconds!r} must be a number above 0 and at most 86400")
            return None, self._monotonic_ns() + int(seconds * 1_000_000_000)
        return (None, None) if kind in STANDING else (1, None)

    @property
    def standing(self) -> bool:
        """Whether any fault may stand: a cheap look before the expensive one."""
        return bool(self._live)

    def matching(
        self,
        venue: str,
        surface: str | tuple[str, ...],
        *,
        op: str | tuple[str, ...] = "",
        symbol: str = "",
        kinds: tuple[str, ...],
    ) -> Fault | None:
        """The oldest standing fault that fits an event, without counting it."""
        if not self._live:
            return None
        surfaces = (surface,) if isinstance(surface, str) else surface
        ops = ("", op) if isinstance(op, str) else ("", *op)
        now_ns = self._monotonic_ns()
        if any(fault.over(now_ns) for fault in self._live):
            self._live = [fault for fault in self._live if not fault.over(now_ns)]
        plain = _plain_symbol(symbol)
        for fault in self._live:
            if (
                fault.kind in kinds
                and fault.venue == venue
                and (fault.surface in surfaces or not fault.surface)
                and any(name in KINDS[fault.kind].surfaces for name in surfaces)
                and fault.op in ops
                and (not fault.symbol or fault.symbol == plain)
            ):
                return fault
        return None

    def take(
        self,
        venue: str,
        surface: str | tuple[str, ...],
        *,
        op: str | tuple[str, ...] = "",
        symbol: str = "",
        kinds: tuple[str, ...],
    ) -> Fault | None:
        """The oldest standing fault that fits an event; the event is counted as `fired`.

        :param surface: ``rest``, ``stream``, ``private`` or ``trade``; several, if the event is on each of them: an
            order that is placed by REST is on ``rest`` and on ``trade``.
        :param op: what the client does: the path's last part on REST (``depth``), the stream's kind on a socket. A
            write has several names (see :mod:`writes`), and a fault may give any.
        :param symbol: the venue's name or the unified one.
        """
        fault = self.matching(venue, surface, op=op, symbol=symbol, kinds=kinds)
        if fault is not None:
            fault.fire()
        return fault

    def listing(self) -> list[dict[str, Any]]:
        """Every fault with its id, its document, how often it fired, and whether it still stands."""
        now_ns = self._monotonic_ns()
        live = {fault.fault_id for fault in self._live if not fault.over(now_ns)}
        return [
            {"id": fault.fault_id, **fault.document, "fired": fault.fired, "active": fault.fault_id in live}
            for fault in self._faults.values()
        ]

    def get(self, fault_id: int) -> Fault | None:
        """The fault of that id."""
        return self._faults.get(fault_id)

    def delete(self, fault_id: int | None = None) -> int:
        """Forget one fault, or all; how many there were."""
        if fault_id is None:
            gone = len(self._faults)
            self._faults.clear()
            self._live.clear()
            return gone
        fault = self._faults.pop(fault_id, None)
        self._live = [other for other in self._live if other.fault_id != fault_id]
        return 0 if fault is None else 1
