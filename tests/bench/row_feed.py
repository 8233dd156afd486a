"""One feed, in process: what an update costs, beside others."""

from __future__ import annotations

import statistics
from typing import Any

from clients_of import BARE, SCRIPTS, feed, run
from rich.console import Console
from rich.table import Table
from scale import Scale


def measure(scale: Scale) -> dict[str, Any]:
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in SCRIPTS}
    with feed(scale.count) as source:
        for n in range(scale.rounds):  # interleaved, so that a noisy minute hits them all
            for name in SCRIPTS:
                scale.tell(f"one feed, round {n + 1}/{scale.rounds}: {name}")
                runs[name].append(run(name, source))
    rows = {}
    for name, measured in runs.items():
        good = [one for one in measured if "error" not in one]
        if not good:
            rows[name] = {"error": measured[0]["error"]}
            continue
        cpu_s = statistics.median(one["cpu_s"] for one in good)
        rows[name] = {key: statistics.median(one[key] for one in good) for key in ("peak_kb", "hand_overs", "wall_s")}
        rows[name] |= {"cpu_us": cpu_s / scale.count * 1e6, "per_cpu_s": scale.count / cpu_s}
        rows[name]["right"] = all(one["right"] for one in good)
    bare = rows[BARE].get("cpu_us")
    for row in rows.values():
        if bare and "cpu_us" in row:
            row["ratio_to_bare"] = row["cpu_us"] / bare
    right = all(row.get("right", True) for row in rows.values())
    return {"updates": scale.count, "rounds": scale.rounds, "rows": rows, "right": right}


def show(result: dict[str, Any], console: Console) -> None:
    title = f"One feed, in process: {result['updates']:,} Binance diffs of 20 levels, top of book read after each"
    table = Table(title=title, title_justify="left")
    for heading in ("client", "CPU us", "x bare", "a CPU s", "peak MB", "handed over", "last book"):
        table.add_column(heading, justify="left" if heading == "client" else "right", no_wrap=heading == "client")
    for name, row in result["rows"].items():
        if "error" in row:
            table.add_row(name, f"did not run: {row['error'][:70]}")
            continue
        cells = [f"{row['cpu_us']:.1f}", f"{row['ratio_to_bare']:.2f}", f"{row['per_cpu_s']:,.0f}"]
        cells += [f"{row['peak_kb'] / 1024:.0f}", f"{row['hand_overs']:,.0f}", "right" if row["right"] else "WRONG"]
        table.add_row(name, *cells)
    console.print(table)
