"""kill -9 of each process, one after another, and a feed that is frozen: how long until every book is LIVE again.

Recovered means: a new process has the name, every book of the system is LIVE, and the merged book leaves no exchange
out. Then every book is compared, level by level, with what the simulator says it was at that very update.
"""

from __future__ import annotations

import os
import signal
import time
from typing import Any

from figures import spread
from local import Local, WrongBook, running, runtime_directory, until
from rich.console import Console
from rich.table import Table
from scale import Scale

from thespian_connector.bus.events import Marker
from thespian_connector.bus.subscriber import Subscriber

#: Between two kills: more deaths in a short time, and a supervisor gives up on purpose.
SPACING_S = 3.2
#: The death of one of these restarts all of the system; the launcher allows five in a minute.
TOPS = ("admin", "root", "hostagent/local")
_FEED = "exchange/binance/market-data/0"
_RECOVERY_S_MAX = 30.0


def measure(scale: Scale) -> dict[str, Any]:
    rounds = 1 if scale.quick else scale.kill_rounds
    killed: dict[str, list[float]] = {}
    faults: list[str] = []
    with runtime_directory(), running() as system:
        books = len(system.status()["books"])
        victims = _order([name for name in system.pids() if name != "launcher"])
        for n in range(rounds):
            for name in victims:
                scale.tell(f"recovery, round {n + 1}/{rounds}: kill -9 {name}")
                took = _strike(system, name, signal.SIGKILL, books, faults)
                if took is None:
                    return _result(killed, [], faults)
                killed.setdefault(name, []).append(took)
        frozen = []
        for n in range(rounds):
            scale.tell(f"recovery, round {n + 1}/{rounds}: SIGSTOP {_FEED}")
            told_s = _Stale(system)
            took = _strike(system, _FEED, signal.SIGSTOP, books, faults, told_s)
            if took is None:
                break
            frozen.append({"live_s": took, "stale_s": told_s.seconds})
    return _result(killed, frozen, faults)


def _order(names: list[str]) -> list[str]:
    """Those whose death restarts everything evenly among the others."""
    others = [name for name in names if name not in TOPS]
    tops = [name for name in names if name in TOPS]
    step = max(1, len(others) // max(1, len(tops)))
    for n, name in enumerate(tops):
        others.insert(n * (step + 1), name)
    return others


def _strike(
    system: Local, name: str, number: signal.Signals, books: int, faults: list[str], stale: _Stale | None = None
) -> float | None:
    """Seconds to recovery; None: never, or into a wrong book."""
    old = system.pids()[name]
    begun = time.monotonic()
    os.kill(old, number)
    try:
        if stale is not None:
            stale.wait(begun)
        until(lambda: _recovered(system, name, old, books), _RECOVERY_S_MAX, f"recovery of {name}", 0.01)
        took = time.monotonic() - begun
        system.check_truth()
    except (TimeoutError, WrongBook) as error:
        faults.append(f"{name}: {error}")
        return None
    finally:
        if stale is not None:
            stale.close()
    time.sleep(max(0.0, begun + SPACING_S - time.monotonic()))
    until(lambda: _recovered(system, name, old, books), _RECOVERY_S_MAX, f"{name} stays recovered")
    return took


def _recovered(system: Local, name: str, old: int, books: int) -> bool:
    status = system.status()
    pids = {row["name"]: int(row["pid"]) for row in status["actors"] if row["state"] == "running"}
    if pids.get(name) in (None, old):
        return False
    trusts = [row["trust"] for row in status["books"]]
    return len(trusts) == books and set(trusts) == {"LIVE"} and system.merged()


class _Stale:
    """A reader of the feed's bus that waits for the first word that its books may not be believed."""

    def __init__(self, system: Local) -> None:
        feeds = system.connector.components(_FEED)
        self._subscriber = Subscriber({_FEED: str(feeds[0]["endpoint"])}, ["book|binance|BTC/USDT"])
        self.seconds: float | None = None
        until(lambda: self._subscriber.poll(200), 5, "a first book")

    def wait(self, begun: float) -> None:
        """:raises TimeoutError: nothing said so within 10 s."""
        until(lambda: any(self._doubts(event.record) for event in self._subscriber.poll(50)), 10, "STALE", 0)
        self.seconds = time.monotonic() - begun

    @staticmethod
    def _doubts(record: object) -> bool:
        return isinstance(record, Marker) and record.what == "stale"

    def close(self) -> None:
        self._subscriber.close()


def _result(killed: dict[str, list[float]], frozen: list[dict[str, Any]], faults: list[str]) -> dict[str, Any]:
    every = [took for times in killed.values() for took in times]
    return {
        "kills": len(every),
        "all_s": spread(every),
        "by_process_s": killed,
        "frozen_feed": frozen,
        "faults": faults,
        "right": not faults,
    }


def show(result: dict[str, Any], console: Console) -> None:
    table = Table(title="kill -9 to every book LIVE again, and equal to the venue's", title_justify="left")
    for heading in ("process", "kills", "p50 s", "max s"):
        table.add_column(heading, justify="left" if heading == "process" else "right", no_wrap=heading == "process")
    for name, times in sorted(result["by_process_s"].items()):
        one = spread(times)
        table.add_row(name, str(len(times)), f"{one['p50']:.2f}", f"{one['max']:.2f}")
    every = result["all_s"]
    table.add_section()
    table.add_row(f"all, p99 {every['p99']:.2f}", str(result["kills"]), f"{every['p50']:.2f}", f"{every['max']:.2f}")
    console.print(table)
    for one in result["frozen_feed"]:
        told = f"STALE at its reader after {one['stale_s']:.2f} s, " if one["stale_s"] is not None else ""
        console.print(f"feed frozen (SIGSTOP): {told}LIVE again after {one['live_s']:.2f} s", highlight=False)
    for fault in result["faults"]:
        console.print(f"FAULT: {fault}", style="red", highlight=False)
