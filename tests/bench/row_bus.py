"""Through an actor and the bus to a reader in another process: how fast, what is lost, what it holds in memory.

Books are conflated where they are published: one for all updates that waited together. So updates are counted where
they are applied, by their ids: the reader's last book must be the feed's last one, level by level, in the very run of
updates (`span`) in which it saw its first, LIVE all the time. Trades are not conflated: each is counted by its id.
"""

from __future__ import annotations

import json
import select
import subprocess
import sys
import time
from decimal import Decimal
from typing import Any

from clients_of import BARE, HERE, Feed, environment, feed, run
from local import Local, running, runtime_directory
from processes import cpu_ns, memory
from rich.console import Console
from rich.table import Table
from scale import Scale

_SAMPLE_S = 0.1
_READER_S_MAX = 120.0


def overrides(source: Feed, *channels: str) -> list[str]:
    """A system whose only venue is the feed."""
    return [
        f"exchanges.binance.urls.rest={source.facts['url']}",
        f"exchanges.binance.urls.stream={source.facts['stream']}",
        'exchanges.binance.symbols=["BTC/USDT"]',
        f"exchanges.binance.channels={json.dumps(channels)}",
        "exchanges.bybit.enabled=false",
    ]


def measure(scale: Scale) -> dict[str, Any]:
    count, trades = int(scale.pick(150_000, 30_000)), int(scale.pick(100_000, 20_000))
    scale.tell(f"bus: bare reader, {count:,} updates")
    with feed(count) as source:
        bare = run(BARE, source)
    rows: dict[str, dict[str, Any]] = {}
    for name, updates, tape in (("books", count, 0), ("trades", 1, trades)):
        scale.tell(f"bus: {name}, {max(updates, tape):,} through a system")
        with feed(updates, hold=True, trades=tape) as source, runtime_directory():
            channels = ("book", "trade") if tape else ("book",)
            with running(*overrides(source, *channels)) as system:
                rows[name] = _one(source, system, updates, tape)
    rows["books"]["bare_per_s"] = count / bare["wall_s"] if "error" not in bare else None
    return {"rows": rows, "right": all(row.get("right", False) for row in rows.values())}


def _one(source: Feed, system: Local, updates: int, trades: int) -> dict[str, Any]:
    actor = system.pids()["exchange/binance/market-data/0"]
    command = [sys.executable, str(HERE / "clients" / "bus_reader.py"), system.name, str(source.facts["last_id"])]
    reader = subprocess.Popen(
        [*command, str(trades)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment()
    )
    output = reader.stdout
    assert output is not None
    try:
        if not select.select([output], [], [], 20)[0] or not output.readline():
            return {"error": "the reader got no book", "right": False}
        watched = {"actor": actor, "reader": reader.pid}
        sizes: dict[str, list[float]] = {name: [] for name in watched}
        actor_ns = cpu_ns(actor)
        begun_ns = source.go()
        deadline = time.monotonic() + _READER_S_MAX
        while time.monotonic() < deadline and not select.select([output], [], [], _SAMPLE_S)[0]:
            for name, pid in watched.items():
                size = memory(pid)
                if size is not None:
                    sizes[name].append(size.pss / 1024)
        if time.monotonic() >= deadline:
            return {"error": f"the reader did not see the last update in {_READER_S_MAX:g} s", "right": False}
        got = json.loads(output.readline())
        actor_ns = cpu_ns(actor) - actor_ns
    finally:
        reader.kill()
        reader.communicate()
    seconds = ((got["ended_ns"] if trades else got["books_ns"]) - begun_ns) / 1e9
    number = trades or updates
    missed = trades - got["trades"] if trades else 0
    live = not got["not_live"] and got["spans"] == 1
    return {
        "number": number,
        "per_s": number / seconds,
        "seconds": seconds,
        "handed_over": got["trades"] if trades else got["books"],
        "missed": missed,
        "told_missed": got["lost"],
        "always_live": live,
        "right": _same(got["top"], source.facts["top"]) and missed == got["lost"],
        "actor_cpu_us": actor_ns / 1e3 / number,
        "reader_cpu_us": got["cpu_s"] * 1e6 / number,
        "memory_mb": {name: _growth(values) for name, values in sizes.items()},
    }


def _same(got: dict[str, list[list[str]]], expected: dict[str, list[list[str]]]) -> bool:
    def exact(levels: list[list[str]]) -> list[tuple[Decimal, Decimal]]:
        return [(Decimal(price), Decimal(quantity)) for price, quantity in levels]

    return all(exact(got.get(side, [])) == exact(expected[side]) for side in ("bids", "asks"))


def _growth(values: list[float]) -> dict[str, float]:
    """At the begin, at half time, at the end: a queue that grows shows between the last two."""
    if not values:
        return {}
    return {"begin": values[0], "half": values[len(values) // 2], "end": values[-1], "max": max(values)}


def show(result: dict[str, Any], console: Console) -> None:
    table = Table(title="Through an actor and the bus to another process", title_justify="left")
    for heading in ("what", "a s", "of", "handed over", "missed", "actor us", "reader us", "actor MB", "last book"):
        table.add_column(heading, justify="left" if heading == "what" else "right", no_wrap=heading == "what")
    for name, row in result["rows"].items():
        if "error" in row:
            table.add_row(name, f"did not run: {row['error']}")
            continue
        actor = row["memory_mb"]["actor"]
        memory_text = f"{actor['begin']:.0f} > {actor['half']:.0f} > {actor['end']:.0f}" if actor else "-"
        cells = [f"{row['per_s']:,.0f}", f"{row['number']:,}", f"{row['handed_over']:,}", f"{row['missed']:,}"]
        cells += [f"{row['actor_cpu_us']:.1f}", f"{row['reader_cpu_us']:.1f}", memory_text]
        verdict = "right" if row["right"] else "WRONG"
        table.add_row(name, *cells, verdict if row["always_live"] else f"{verdict}, not always LIVE")
    console.print(table)
    bare = result["rows"]["books"].get("bare_per_s")
    if bare:
        console.print(
            f"Updates applied by the feed's process until the reader held the last book; the bare reader of the same"
            f" feed, alone, takes {bare:,.0f} a second. Books are conflated, trades are not.",
            highlight=False,
        )
