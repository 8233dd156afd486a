"""Tick to reader, and the age of the books that a reader sees who is busy half of the time.

Every update's moment of sending is the feed's own (CLOCK_MONOTONIC, one host); a reader notes when it had which update,
top of book read. The latency of an update ends when the reader first has a book with it or a later one in it.
"""

from __future__ import annotations

import json
import select
import subprocess
import sys
from typing import Any

from clients_of import BARE, CCXT, CRYPTOFEED, HERE, OURS, Feed, environment, feed, run
from figures import spread
from local import running, runtime_directory
from rich.console import Console
from rich.table import Table
from row_bus import overrides
from scale import Scale

BUS = "thespian_connector, through the bus"
RATES = (200, 2000)
BUSY_RATE = 2000
#: The busy reader works so long, then not, in turn.
WORK_MS = 10
#: The first updates of a run are not counted: caches fill, interpreters specialise.
WARM_UP_SHARE = 0.2
_CLIENTS = (BARE, OURS, BUS, CRYPTOFEED, CCXT)


def measure(scale: Scale) -> dict[str, Any]:
    seconds = scale.pick(5, 3)
    rates = {}
    for rate in RATES:
        with feed(int(rate * seconds), rate=rate) as source:
            rates[str(rate)] = {
                name: _latency(scale, name, source, f"latency at {rate}/s") for name in _CLIENTS if name != BUS
            }
        rates[str(rate)][BUS] = _through_bus(scale, rate, seconds, f"latency at {rate}/s", _latencies)
    right = all(row.get("right", True) for rows in rates.values() for row in rows.values())
    return {"rates": rates, "right": right}


def measure_busy(scale: Scale) -> dict[str, Any]:
    seconds = scale.pick(5, 3)
    what = f"busy reader at {BUSY_RATE}/s"
    work = {"BENCH_WORK_MS": str(WORK_MS)}
    rows = {}
    with feed(int(BUSY_RATE * seconds), rate=BUSY_RATE) as source:
        for name in (BARE, OURS, CRYPTOFEED, CCXT):
            scale.tell(f"{what}: {name}")
            got = run(name, source, 60, BENCH_AGES="1", BENCH_CONFLATE="1", **work)
            rows[name] = _figures(got, source, _ages)
    rows[BUS] = _through_bus(scale, BUSY_RATE, seconds, what, _ages, **work)
    return {"rate": BUSY_RATE, "rows": rows, "right": all(row.get("right", True) for row in rows.values())}


def _latency(scale: Scale, name: str, source: Feed, what: str) -> dict[str, Any]:
    scale.tell(f"{what}: {name}")
    return _figures(run(name, source, 60, BENCH_AGES="1"), source, _latencies)


def _through_bus(scale: Scale, rate: float, seconds: float, what: str, figures: Any, **settings: str) -> dict[str, Any]:
    scale.tell(f"{what}: {BUS}")
    with (
        feed(int(rate * seconds), rate=rate, hold=True) as source,
        runtime_directory(),
        running(*overrides(source, "book")) as system,
    ):
        command = [sys.executable, str(HERE / "clients" / "bus_reader.py"), system.name]
        reader = subprocess.Popen(
            [*command, str(source.facts["last_id"]), "0"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(BENCH_AGES="1", **settings),
        )
        try:
            assert reader.stdout is not None
            if not select.select([reader.stdout], [], [], 20)[0] or not reader.stdout.readline():
                return {"error": "the reader got no book"}
            source.go()
            output, complaints = reader.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            return {"error": "did not reach the last update within 60 s"}
        finally:
            reader.kill()
            reader.communicate()
        if not output.strip():
            return {"error": (complaints.strip().splitlines() or ["no output"])[-1]}
        got = json.loads(output.splitlines()[-1])
        got["right"] = got["best"] == source.facts["best"]
        return _figures(got, source, figures)


def _figures(got: dict[str, Any], source: Feed, figures: Any) -> dict[str, Any]:
    if "error" in got:
        return {"error": got["error"], "right": True}
    sent = source.sent()
    seen = [(int(update_id), int(when)) for update_id, when in got["seen"]]
    values: list[float] = figures(sent, seen)
    if not values:
        return {"error": "saw nothing in time", "right": got["right"]}
    return {**spread(values), "count": len(values), "hand_overs": len(seen), "right": got["right"]}


def _counted(sent: dict[int, int]) -> list[tuple[int, int]]:
    every = sorted(sent.items())
    return every[int(len(every) * WARM_UP_SHARE) :]


def _latencies(sent: dict[int, int], seen: list[tuple[int, int]]) -> list[float]:
    """Microseconds of each update."""
    values = []
    position = 0
    for update_id, sent_ns in _counted(sent):
        while position < len(seen) and seen[position][0] < update_id:
            position += 1
        if position == len(seen):
            break
        values.append((seen[position][1] - sent_ns) / 1e3)
    return values


def _ages(sent: dict[int, int], seen: list[tuple[int, int]]) -> list[float]:
    """Microseconds since the last update in each book that was handed over had been sent."""
    counted = dict(_counted(sent))
    return [(when - counted[update_id]) / 1e3 for update_id, when in seen if update_id in counted]


def show(result: dict[str, Any], console: Console) -> None:
    table = Table(title="Tick to reader, us", title_justify="left")
    table.add_column("client", no_wrap=True)
    for rate in result["rates"]:
        for heading in ("p50", "p99"):
            table.add_column(f"{heading} at {int(rate):,}/s", justify="right")
    table.add_column("last book", justify="right")
    for name in _CLIENTS:
        cells: list[str] = []
        right = True
        for rows in result["rates"].values():
            row = rows[name]
            right = right and row.get("right", True)
            cells += (
                ["did not run", row["error"][:40]] if "error" in row else [f"{row['p50']:,.0f}", f"{row['p99']:,.0f}"]
            )
        table.add_row(name, *cells, "-" if name == BARE else "right" if right else "WRONG")
    console.print(table)


def show_busy(result: dict[str, Any], console: Console) -> None:
    title = (
        f"A reader busy half of the time ({WORK_MS} ms in {2 * WORK_MS}), {result['rate']:,} updates/s: age of books"
    )
    table = Table(title=title, title_justify="left")
    for heading in ("client", "p50 us", "p99 us", "max us", "books handed over", "last book"):
        table.add_column(heading, justify="left" if heading == "client" else "right", no_wrap=heading == "client")
    for name in _CLIENTS:
        row = result["rows"][name]
        if "error" in row:
            table.add_row(name, f"did not run: {row['error'][:60]}")
            continue
        verdict = "-" if name == BARE else "right" if row["right"] else "WRONG"
        figures = [f"{row[key]:,.0f}" for key in ("p50", "p99", "max")]
        table.add_row(name, *figures, f"{row['hand_overs']:,}", verdict)
    console.print(table)
