"""What to ask the venue about, and when its silence proves something. Decisions only; who asks is the caller.

Binance: "5xx ... execution status is UNKNOWN"; Bybit: a timeout says nothing. Nothing is ever resent. An order of
unknown outcome is asked for by its client id, with pauses that grow. That the venue does not know it counts only after
it can no longer arrive (deadline + recv window + the engine's own timeout + a margin for queries that lag), and only
when it was not found twice in a row after that, a pause apart.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

from msgspec import Struct

from thespian_connector import limits
from thespian_connector.model import OrderStatus

from .leg import Leg, bound_ns

_SECOND_NS = 1_000_000_000


class Inquiry(Enum):
    #: Its state, by client id.
    ORDER = "order"
    #: Its executions: the venue told more filled than we were told fills of.
    FILLS = "fills"


class Due(Struct, frozen=True):
    """One question that is due now."""

    client_order_id: str
    inquiry: Inquiry


class Tries(Struct):
    """What was asked about one order so far."""

    asked: int = 0
    next_ns: int = 0
    #: Not found, in a row, since it can no longer arrive.
    misses: int = 0


class Reconciler:
    """Which orders need to be asked for, and whether not finding one is proof.

    :param engine_timeout_ns: how long a request may lie at the venue after it was taken in time.
    """

    def __init__(self, engine_timeout_ns: int) -> None:
        self._engine_timeout_ns = engine_timeout_ns
        self._tries: dict[tuple[str, Inquiry], Tries] = {}

    def due(self, legs: Iterable[Leg], now_ns: int) -> list[Due]:
        """What to ask now, the longest waiting first; at most `limits.RECONCILE_BATCH_MAX`."""
        found: list[tuple[int, Due]] = []
        live: set[tuple[str, Inquiry]] = set()
        for leg in legs:
            inquiry = self._inquiry(leg, now_ns)
            if inquiry is None:
                continue
            key = (leg.client_order_id, inquiry)
            live.add(key)
            tries = self._tries.setdefault(key, Tries())
            if now_ns >= tries.next_ns:
                found.append((tries.next_ns, Due(*key)))
        for key in [key for key in self._tries if key not in live]:
            del self._tries[key]
        found.sort(key=lambda pair: pair[0])
        return [due for _, due in found[: limits.RECONCILE_BATCH_MAX]]

    @property
    def next_ns(self) -> float:
        """When the next known question is due; infinite: none is known."""
        return min((tries.next_ns for tries in self._tries.values()), default=float("inf"))

    def _inquiry(self, leg: Leg, now_ns: int) -> Inquiry | None:
        if leg.unknown:
            return Inquiry.ORDER
        quiet = now_ns - leg.updated_ns > limits.RECONCILE_QUIET_S * _SECOND_NS
        status = leg.status
        if status is OrderStatus.PENDING_NEW and leg.intent is not None:
            # Accepted, and the stream has not told its state; or nobody has answered at all.
            return Inquiry.ORDER if quiet else None
        if quiet and leg.accepted:
            return Inquiry.ORDER
        pending = leg.pending()
        if pending and now_ns > bound_ns(pending[0]):
            return Inquiry.ORDER
        if leg.fills_missing and quiet:
            return Inquiry.FILLS if leg.order_id else Inquiry.ORDER
        return None

    def asked(self, due: Due, now_ns: int, leg: Leg | None = None) -> None:
        """The question is on its way; the next about it waits, longer each time, but not past the moment from which on
        not finding `leg` counts."""
        tries = self._tries.setdefault((due.client_order_id, due.inquiry), Tries())
        tries.asked += 1
        pause_s = min(limits.RECONCILE_MAX_S, limits.RECONCILE_FIRST_S * 2.0 ** min(tries.asked - 1, 30))
        tries.next_ns = now_ns + int(pause_s * _SECOND_NS)
        if leg is not None and leg.intent is not None and now_ns <= self.conclusive_ns(leg) < tries.next_ns:
            tries.next_ns = self.conclusive_ns(leg) + 1

    def not_found(self, leg: Leg, asked_ns: int) -> bool:
        """The venue, asked at `asked_ns`, did not know it. True: that proves that it never got there."""
        tries = self._tries.setdefault((leg.client_order_id, Inquiry.ORDER), Tries())
        if leg.evidence or leg.intent is None or asked_ns <= self.conclusive_ns(leg):
            tries.misses = 0
            return False
        tries.misses += 1
        tries.next_ns = min(tries.next_ns, asked_ns + int(limits.RECONCILE_AGAIN_S * _SECOND_NS))
        return tries.misses >= limits.RECONCILE_MISSES_MIN

    def conclusive_ns(self, leg: Leg) -> int:
        """From when on not finding the order counts."""
        assert leg.intent is not None, "only of an order of ours"
        return bound_ns(leg.intent) + self._engine_timeout_ns + int(limits.RECONCILE_MARGIN_S * _SECOND_NS)
