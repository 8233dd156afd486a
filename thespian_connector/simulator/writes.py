"""How a write (an order, a cancel, an amendment) meets the injected faults, and what the judge writes down of it.

One path for every front: :func:`perform` runs the front's own function, or does not, as the faults say, and keeps the
row of ``/truth/<venue>/requests`` true while that goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .faults import Fault
from .venue import Venue

_KINDS = ("http_ban", "http_429", "http_5xx", "http_timeout", "ack_lost")


@dataclass(frozen=True, kw_only=True)
class Write:
    """A write as it came in.

    :param ops: its names that a fault may give, the venue-neutral one first: ``place``, ``cancel``, ``amend``,
        ``cancel_all``, ``cancel_replace``, ``test``; then the venue's (``order``, ``order.place``).
    :param surfaces: what it came by: ``("trade", "rest")`` by REST, ``("trade",)`` by a WebSocket.
    """

    path: str
    method: str
    ops: tuple[str, ...]
    surfaces: tuple[str, ...]
    symbol: str = ""
    client_id: str = ""


@dataclass(frozen=True)
class Done:
    """What the front's function did.

    :param executed: whether it changed anything at the venue.
    :param answer: what the front shall answer.
    :param client_id: of the order, if the venue had to choose it.
    """

    executed: bool
    answer: Any
    client_id: str = ""
    order_id: str = ""


@dataclass(frozen=True)
class Injected:
    """Answer as this fault says: an error, a refusal, or (`silent`) nothing at all, ever."""

    fault: Fault
    executed: bool

    @property
    def silent(self) -> bool:
        return self.fault.kind in ("http_timeout", "ack_lost")


def note(venue: Venue, write: Write, *, fault: str | None = None) -> dict[str, Any]:
    """A new row for the judge; its `executed`, `answered` and `status` are filled in as they become true."""
    row: dict[str, Any] = {
        "time_ns": venue.time_ns(),
        "client_order_id": write.client_id,
        "client_id": write.client_id,
        "order_id": "",
        "method": write.method,
        "path": write.path,
        "op": write.ops[0] if write.ops else "",
        "symbol": write.symbol,
        "executed": False,
        "answered": False,
        "status": None,
        "fault": fault,
        "during_ban": fault == "ban",
    }
    venue.requests.append(row)
    return row


def answered(row: dict[str, Any], status: int) -> None:
    """The answer with this HTTP status (or the WebSocket's like) is going out."""
    row["answered"], row["status"] = True, status


async def perform(venue: Venue, write: Write, execute: Callable[[], Done]) -> tuple[Done | Injected, dict[str, Any]]:
    """Do a write, as far as the faults let it be done.

    :param execute: synchronous; what the venue refuses is a :class:`Done` too, not an exception.
    :returns: how to answer, and the row: call :func:`answered` with it when the answer goes out.
    """
    row = note(venue, write)
    slow = venue.take(write.surfaces, "latency", op=write.ops, symbol=write.symbol)
    if slow is not None:
        row["fault"] = slow.kind
        await asyncio.sleep(slow.params["latency_ms"] / 1_000)
    fault = venue.take(write.surfaces, *_KINDS, op=write.ops, symbol=write.symbol)
    if fault is not None:
        row["fault"] = fault.kind
    runs = fault is None or fault.kind == "ack_lost" or fault.params.get("executed", False)
    done = execute() if runs else Done(executed=False, answer=None)
    row["executed"] = done.executed
    row["client_order_id"] = row["client_id"] = done.client_id or write.client_id
    row["order_id"] = done.order_id
    return (done if fault is None else Injected(fault, done.executed)), row


def hidden_ms(venue: Venue, write: Write) -> int:
    """For how long queries shall miss the order that a write places (`visibility_delay`)."""
    fault = venue.take(write.surfaces, "visibility_delay", op=write.ops, symbol=write.symbol)
    return fault.params["delay_ms"] if fault is not None else 0
