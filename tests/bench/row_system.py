"""A system of two exchanges: how fast it starts, what it holds in memory, what it costs when nothing happens."""

from __future__ import annotations

import time
from typing import Any

from figures import spread
from local import Local, running, runtime_directory, until
from processes import cpu_ns, memory
from rich.console import Console
from rich.table import Table
from scale import Scale

_SETTLE_S = 5.0
#: A venue is no part of the system that is measured.
_VENUE = "simulator"


def measure_start(scale: Scale) -> dict[str, Any]:
    """From the call to the first merged book that leaves no exchange out; the simulator's own start is in it."""
    answers, merged = [], []
    for n in range(int(scale.pick(3, 2))):
        scale.tell(f"start {n + 1}")
        with runtime_directory():
            begun = time.monotonic()
            with running(wait_live=False) as system:
                answers.append(time.monotonic() - begun)
                until(system.merged, 30, "a merged book of both exchanges", 0.01)
                merged.append(time.monotonic() - begun)
    return {"answers_s": spread(answers), "merged_s": spread(merged), "starts": len(merged), "right": True}


def measure_memory(scale: Scale) -> dict[str, Any]:
    seconds = scale.pick(12, 5)
    with runtime_directory(), running() as system:
        time.sleep(_SETTLE_S)
        pids = system.pids()
        scale.tell(f"memory and processor with the flow on, {seconds:g} s")
        flowing = _shares(pids, seconds)
        system.control("/pause", post=True)
        time.sleep(_SETTLE_S)
        scale.tell(f"processor with the flow paused, {seconds:g} s")
        idle = _shares(pids, seconds)
        return {"seconds": seconds, "processes": _sizes(pids, flowing, idle), "right": _unchanged(system, pids)}


def _unchanged(system: Local, pids: dict[str, int]) -> bool:
    """Figures of processes that died meanwhile are none."""
    return system.pids() == pids


def _shares(pids: dict[str, int], seconds: float) -> dict[str, float]:
    """Per cent of a core."""
    before = {name: cpu_ns(pid) for name, pid in pids.items()}
    begun = time.monotonic()
    time.sleep(seconds)
    took = time.monotonic() - begun
    return {name: (cpu_ns(pid) - before[name]) / took / 1e7 for name, pid in pids.items()}


def _sizes(pids: dict[str, int], flowing: dict[str, float], idle: dict[str, float]) -> dict[str, dict[str, float]]:
    rows = {}
    for name, pid in pids.items():
        size = memory(pid)
        if size is not None:
            rows[name] = {"pss_mb": size.pss / 1024, "rss_mb": size.rss / 1024}
            rows[name] |= {"flowing_percent": flowing[name], "idle_percent": idle[name]}
    return rows


def show_start(result: dict[str, Any], console: Console) -> None:
    console.print(
        f"Start of a system of two simulated exchanges ({result['starts']} times): answers after"
        f" {result['answers_s']['p50']:.2f} s, merged book LIVE after {result['merged_s']['p50']:.2f} s (median),"
        f" {result['merged_s']['max']:.2f} s (max)",
        highlight=False,
    )


def show_memory(result: dict[str, Any], console: Console) -> None:
    title = f"Memory, and processor over {result['seconds']:g} s with the venues' flow on and paused"
    table = Table(title=title, title_justify="left")
    for heading in ("process", "PSS MB", "RSS MB", "% of a core, flow on", "paused"):
        table.add_column(heading, justify="left" if heading == "process" else "right", no_wrap=heading == "process")
    keys = ("pss_mb", "rss_mb", "flowing_percent", "idle_percent")
    formats = ("{:.1f}", "{:.1f}", "{:.2f}", "{:.2f}")
    rows = result["processes"]
    ours = [name for name in sorted(rows) if name != _VENUE]
    for name in ours:
        table.add_row(name, *(form.format(rows[name][key]) for key, form in zip(keys, formats, strict=True)))
    table.add_section()
    total = [sum(rows[name][key] for name in ours) for key in keys]
    table.add_row(f"all {len(ours)}", *(form.format(value) for value, form in zip(total, formats, strict=True)))
    if _VENUE in rows:
        cells = [form.format(rows[_VENUE][key]) for key, form in zip(keys, formats, strict=True)]
        table.add_row("the simulator, apart", *cells)
    console.print(table)
