"""The bench: what the package is measured by, beside a bare reader, cryptofeed and ccxt.pro where they do the same.

Figures inform; they never decide pass or fail. What does: a book that is not what the venue's was.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

import row_bus
import row_feed
import row_latency
import row_order
import row_past
import row_recovery
import row_system
from rich.console import Console
from scale import Scale
from soak import soak

from thespian_connector.model.errors import ConnectorError

Row = tuple[Callable[[Scale], dict[str, Any]], Callable[[dict[str, Any], Console], None]]
ROWS: dict[str, Row] = {
    "feed": (row_feed.measure, row_feed.show),
    "bus": (row_bus.measure, row_bus.show),
    "latency": (row_latency.measure, row_latency.show),
    "busy": (row_latency.measure_busy, row_latency.show_busy),
    "order": (row_order.measure, row_order.show),
    "recovery": (row_recovery.measure, row_recovery.show),
    "past": (row_past.measure, row_past.show),
    "start": (row_system.measure_start, row_system.show_start),
    "memory": (row_system.measure_memory, row_system.show_memory),
}
_PIPE_COLUMNS = 120


def rows_of(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in ROWS]
    if unknown or not names:
        raise argparse.ArgumentTypeError(f"no row {', '.join(unknown) or 'named'}; there are {', '.join(ROWS)}")
    return names


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    add = parser.add_argument
    add("--rows", type=rows_of, default=list(ROWS), metavar="ROW,...", help=f"of {', '.join(ROWS)} (default all)")
    add("--quick", action="store_true", help="smaller numbers, in a third of the time")
    add("--count", type=int, metavar="N", help="updates a client of the row `feed` reads (default 30,000)")
    add("--rounds", type=int, metavar="N", help="interleaved rounds of the row `feed`, the median counts (default 3)")
    add("--kill-rounds", type=int, default=2, metavar="N", help="how often each process is killed (default 2)")
    add("--soak", type=float, metavar="SECONDS", help="only the soak: a system read for so long, figures every minute")
    add("--soak-every", type=float, default=60, metavar="SECONDS", help="the soak's figures so often (default 60)")
    add("--json", action="store_true", help="only the JSON document, on stdout")
    return parser.parse_args()


def measure(options: argparse.Namespace, scale: Scale, console: Console) -> dict[str, Any]:
    """Row -> what was measured; a row that could not be measured says why, and is not right."""
    results: dict[str, Any] = {}
    for name in options.rows:
        run, show = ROWS[name]
        begun = time.monotonic()
        try:
            results[name] = run(scale)
            show(results[name], console)
        except (ConnectorError, TimeoutError) as error:
            results[name] = {"error": str(error), "right": False}
            console.print(f"{name}: not measured: {error}", style="red", highlight=False)
        results[name]["took_s"] = round(time.monotonic() - begun, 1)
        results[name]["load"] = round(os.getloadavg()[0], 1)
        console.print()
    loads = ", ".join(f"{name} {result['load']}" for name, result in results.items())
    console.print(f"Load average at the end of each row, on {os.cpu_count()} cores: {loads}", highlight=False)
    return results


def main() -> int:
    options = parse()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was started is ended on the way out
    progress = Console(stderr=True)
    console = progress if options.json else Console()
    if not console.is_terminal:
        console.width = _PIPE_COLUMNS
    scale = Scale(
        progress,
        quick=options.quick,
        count=options.count or (10_000 if options.quick else 30_000),
        rounds=options.rounds or (1 if options.quick else 3),
        kill_rounds=options.kill_rounds,
    )
    if options.soak is not None:
        results = {"soak": soak(options.soak, options.soak_every, console)}
    else:
        results = measure(options, scale, console)
    machine = {"cores": os.cpu_count(), "python": platform.python_version()}
    if options.json:
        print(json.dumps({"machine": machine, **results}))
    return 0 if all(result["right"] for result in results.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
