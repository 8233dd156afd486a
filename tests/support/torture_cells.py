"""The cells: what is struck, and how. Each name is a victim and a point, or a fault of the venues; both at once."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from thespian_connector.model.errors import ConnectorError

from .torture import PATIENCE_S, VENUES, Rig, Traffic
from .waiting import wait_until

Cell = Callable[[Rig, Traffic], None]

#: A supervisor whose children end five times in ten seconds gives up, on purpose.
KILLS_APART_S = 3.5
_KILLS = 2
_FAULT_S = 4.0
#: Open orders are right so soon after a new start, at most.
RESTART_S_MAX = 5.0


def _names(component: str) -> list[str]:
    return [f"exchange/{venue}/{component}" for venue in VENUES]


def _crash(component: str, point: str) -> Cell:
    """Each venue's process is killed the next time that it passes the point."""

    def strike(rig: Rig, traffic: Traffic) -> None:
        directory = Path(rig.system.runtime) / "crash-points"
        old = {name: wait_until(lambda name=name: rig.pid(name), PATIENCE_S, name) for name in _names(component)}
        directory.mkdir(mode=0o700, exist_ok=True)
        files = [directory / f"{name.replace('/', '-')}.{point}" for name in old]
        traffic.struck()
        for file in files:
            file.touch()
        wait_until(lambda: not any(file.exists() for file in files), PATIENCE_S, f"{point} is passed")
        rig.replaced(old)
        directory.rmdir()

    return strike


def _kill(*names: str) -> Cell:
    """At random moments, more than once."""

    def strike(rig: Rig, traffic: Traffic) -> None:
        for number in range(_KILLS):
            if number:
                time.sleep(KILLS_APART_S)
            time.sleep(random.Random(f"{rig.seed}/{traffic.name}/{number}").uniform(0, 0.3))
            if not number:
                traffic.struck()
            rig.replaced(rig.kill(*names))

    return strike


def _kill_root(rig: Rig, traffic: Traffic) -> None:
    """The launcher starts everything anew."""
    traffic.struck()
    rig.replaced(rig.kill("root"))
    wait_until(rig.trades, PATIENCE_S, "orders are told again")


def _kill_launcher(rig: Rig, traffic: Traffic) -> None:
    """All of it ends; then it is started again in the same directory."""
    traffic.go.clear()
    pid = rig.system.pid("launcher")
    traffic.struck()
    os.kill(pid, signal.SIGKILL)
    rig.system.gone(PATIENCE_S)
    traffic.strike.start_s = rig.start()
    begun = time.monotonic()
    wait_until(lambda: _open_right(rig, traffic), PATIENCE_S, "open orders are right", 0.05)
    traffic.strike.restart_s = time.monotonic() - begun
    traffic.go.set()


def _open_right(rig: Rig, traffic: Traffic) -> bool:
    """Of those orders that nothing was under way for when it ended."""
    begun = traffic.strike.begun
    doubtful = {one.handle for one in traffic.done if one.outcome != "ok" or one.ended > begun}
    settled = {one.handle for one in traffic.done} - doubtful
    true = {
        order["client_order_id"].partition("_")[0]
        for venue in VENUES
        for order in rig.simulator.truth(venue, "orders")
        if order["status"] in ("NEW", "PARTIALLY_FILLED")
    }
    try:
        ours = {order.client_order_id for order in rig.connector.orders(open_only=True)}
    except ConnectorError:
        return False
    return ours & settled == true & settled


def _fault(kind: str, count: int = 10, **terms: Any) -> Cell:
    """The next so many writes meet it."""

    def strike(rig: Rig, traffic: Traffic) -> None:
        traffic.struck()
        for op in ("place", "cancel", "amend"):
            traffic.strike.faults += rig.fault(kind, count=count if op == "place" else count // 3, op=op, **terms)

    return strike


def _spell(kind: str, **terms: Any) -> Cell:
    """It lasts for a while."""

    def strike(rig: Rig, traffic: Traffic) -> None:
        traffic.struck()
        ids = rig.fault(kind, seconds=60, **terms)
        traffic.strike.faults += ids
        time.sleep(_FAULT_S)
        rig.no_fault(ids)

    return strike


def _slow(rig: Rig, traffic: Traffic) -> None:
    """Slower than what keeps requests in the air anyway, and than the venues' own time windows."""
    traffic.ease()
    _spell("latency", latency_ms=2_500, surface="trade")(rig, traffic)


def _unseen(rig: Rig, traffic: Traffic) -> None:
    """Answers are lost, the stream tells nothing, and queries miss the orders meanwhile."""
    traffic.struck()
    ids = rig.fault("visibility_delay", delay_ms=3_000, seconds=60)
    ids += rig.fault("user_event_drop", seconds=60)
    traffic.strike.faults += ids
    rig.fault("ack_lost", op="place", count=5)
    time.sleep(_FAULT_S)
    rig.no_fault(ids)


def _private(kind: str) -> Cell:
    """The private stream's sockets end, more than once."""

    def strike(rig: Rig, traffic: Traffic) -> None:
        traffic.struck()
        for _ in range(_KILLS):
            traffic.strike.faults += rig.fault(kind, surface="private", count=1)
            time.sleep(_FAULT_S / _KILLS)

    return strike


CELLS: dict[str, Cell] = {
    **{
        f"order-command.{point}": _crash("order-command", point)
        for point in ("after_intent", "after_send", "after_answer", "before_reply")
    },
    **{f"order-state.{point}": _crash("order-state", point) for point in ("before_store", "after_store")},
    **{
        f"{component}.random": _kill(*_names(component))
        for component in ("order-command", "order-state", "user-data", "gateway")
    },
    "exchange": _kill(*(f"exchange/{venue}" for venue in VENUES)),
    "hostagent": _kill("hostagent/local"),
    "root": _kill_root,
    "launcher": _kill_launcher,
    **{
        f"{kind}.{'executed' if executed else 'lost'}": _fault(kind, executed=executed)
        for kind in ("http_5xx", "http_timeout")
        for executed in (True, False)
    },
    "ack_lost": _fault("ack_lost"),
    "http_429": _fault("http_429", count=3, retry_after_s=1),
    "latency": _slow,
    "clock_skew.ahead": _spell("clock_skew", skew_ms=5_000),
    "clock_skew.behind": _spell("clock_skew", skew_ms=-5_000),
    "maintenance": _spell("maintenance"),
    "key_revoked": _spell("key_revoked"),
    "visibility_delay": _unseen,
    "user_event_drop": _spell("user_event_drop"),
    "user_event_duplicate": _spell("user_event_duplicate"),
    "ws_silent": _spell("ws_silent", surface="private"),
    "ws_drop": _private("ws_drop"),
    "server_shutdown": _private("server_shutdown"),
}
