"""A start with very many past orders in the store: when it tells right what there is, what it holds, how it answers.

The orders are of the last hours, all of one exchange, and known by their ids still; the newest of them are only
journaled, and read at the start. Beside it, the same system without any.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from local import Local, running, runtime_directory, until
from processes import memory
from rich.console import Console
from rich.table import Table
from scale import Scale

from thespian_connector.storage import Durability, open_store

sys.path.insert(0, str(Path(__file__).parent.parent))

from support.past import PRICE, QUANTITY, SYMBOL, past_id, write_past

_EXCHANGE = "binance"
#: Read at each start: fewer than are kept in one go.
_JOURNALED = 150
_PATIENCE_S = 600.0


def measure(scale: Scale) -> dict[str, Any]:
    count = int(scale.pick(500_000, 50_000))
    results = {"none": _start(0, kill=False)}
    scale.tell(f"past orders: {count:,} are written")
    with runtime_directory() as directory:
        file = directory / "orders.db"
        store = open_store(f"sqlite:///{file}", Durability.PROCESS)
        write_past(store, _EXCHANGE, count - _JOURNALED, _JOURNALED)
        store.close()
        scale.tell("past orders: two starts, the second after kill -9 of all")
        results["first"] = _start(count, kill=True, url=f"sqlite:///{file}")
        results["killed"] = _start(count, kill=False, url=f"sqlite:///{file}")
        size_mb = file.stat().st_size / 1e6
    right = all(one["right"] for one in results.values())
    return {"orders": count, "file_mb": round(size_mb), **results, "right": right}


def _start(count: int, *, kill: bool, url: str = "sqlite") -> dict[str, Any]:
    with runtime_directory():
        begun = time.monotonic()
        with running(f"store.url={url}", wait_live=False) as system:
            answered_s = time.monotonic() - begun
            told = until(lambda: _told(system, count), _PATIENCE_S, "past orders are told")
            told_s = time.monotonic() - begun
            until(lambda: _takes_orders(system), _PATIENCE_S, "orders are taken")
            takes_s = time.monotonic() - begun
            result = {"answers_s": answered_s, "told_s": told_s, "takes_s": takes_s, "right": told}
            result |= {"memory_mb": _memory(system), "queries_ms": _queries(system)}
            if count:
                result["right"] = told and _known(system, count)
            if kill:
                for pid in system.pids().values():
                    os.kill(pid, signal.SIGKILL)
            return result


def _told(system: Local, count: int) -> bool:
    [*positions] = system.connector.positions(_EXCHANGE)
    return sum(one.quantity for one in positions) == QUANTITY * count


def _takes_orders(system: Local) -> bool:
    placed = system.connector.place_order(
        _EXCHANGE, SYMBOL, side="buy", type="limit", quantity=QUANTITY, price=PRICE / 2
    )
    return system.connector.cancel_order(_EXCHANGE, placed.client_order_id).status.terminal


def _known(system: Local, count: int) -> bool:
    """An id of long ago, placed again, is the first order."""
    connector, known = system.connector, past_id(count // 3)
    again = connector.place_order(
        _EXCHANGE, SYMBOL, side="buy", type="limit", quantity=QUANTITY, price=PRICE, client_order_id=known
    )
    return again.status == "FILLED" and connector.order(known).filled == QUANTITY


def _memory(system: Local) -> dict[str, float]:
    pids = system.pids()
    sizes = {part: memory(pids[f"exchange/{_EXCHANGE}/{part}"]) for part in ("order-command", "order-state")}
    return {part: size.pss / 1024 for part, size in sizes.items() if size is not None}


def _queries(system: Local) -> dict[str, float]:
    connector = system.connector
    asked: dict[str, Callable[[], object]] = {
        "positions": lambda: connector.positions(_EXCHANGE),
        "open orders": lambda: connector.orders(open_only=True, exchange=_EXCHANGE),
        "the newest 5,000": lambda: connector.orders(exchange=_EXCHANGE),
    }
    took = {}
    for name, ask in asked.items():
        begun = time.monotonic()
        ask()
        took[name] = (time.monotonic() - begun) * 1e3
    return took


def show(result: dict[str, Any], console: Console) -> None:
    count = f"{result['orders']:,}"
    table = Table(
        title=f"Start with {count} past orders of one exchange in the store ({result['file_mb']:,} MB), seconds",
        title_justify="left",
    )
    for heading in ("", "answers", "tells of orders", "takes orders", "OrderState MB", "OrderCommand MB"):
        table.add_column(heading, justify="right" if heading else "left", no_wrap=not heading)
    names = {"none": "no past orders", "first": count, "killed": f"{count}, after kill -9 of all"}
    for key, name in names.items():
        one = result[key]
        times = [f"{one[part]:.2f}" for part in ("answers_s", "told_s", "takes_s")]
        sizes = [f"{one['memory_mb'][part]:.1f}" for part in ("order-state", "order-command")]
        table.add_row(name, *times, *sizes)
    console.print(table)
    asked = "; ".join(f"{name} {took:.1f}" for name, took in result["killed"]["queries_ms"].items())
    console.print(f"Queries then, ms: {asked}", highlight=False)
