"""The bench: one feed, in process, beside a bare reader, cryptofeed and ccxt.pro, on the same frames in one run.

Figures inform; they never decide pass or fail. What does: a client that ends with a wrong best price.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

HERE = Path(__file__).parent
CLIENTS = {
    "bare reader, no book": "bare.py",
    "thespian_connector": "ours.py",
    "cryptofeed": "cryptofeed_client.py",
    "ccxt.pro (floats)": "ccxtpro_client.py",
}


def measure(script: str, feed: dict[str, Any], count: int) -> dict[str, Any]:
    command = [sys.executable, str(HERE / "clients" / script), feed["url"], feed["stream"], str(feed["last_id"])]
    environment = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, env=environment, check=False)
    if done.returncode or not done.stdout.strip():
        return {"error": (done.stderr.strip().splitlines() or ["no output"])[-1]}
    result: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    result["cpu_us"] = result["cpu_s"] / count * 1e6
    result["per_cpu_s"] = count / result["cpu_s"]
    result["right"] = result["best"] in (None, feed["best"])
    return result


def one_feed(count: int, rounds: int, progress: Console) -> dict[str, Any]:
    feed_process = subprocess.Popen(
        [sys.executable, str(HERE / "feed.py"), "--count", str(count)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert feed_process.stdout is not None
        feed = json.loads(feed_process.stdout.readline())
        runs: dict[str, list[dict[str, Any]]] = {name: [] for name in CLIENTS}
        for n in range(rounds):  # interleaved, so that a noisy minute hits them all
            for name, script in CLIENTS.items():
                progress.print(f"round {n + 1}/{rounds}: {name}", style="dim")
                runs[name].append(measure(script, feed, count))
    finally:
        feed_process.terminate()
        feed_process.wait(10)
        assert feed_process.stdout is not None
        feed_process.stdout.close()
    rows = {}
    for name, measured in runs.items():
        good = [m for m in measured if "error" not in m]
        if not good:
            rows[name] = {"error": measured[0]["error"]}
            continue
        rows[name] = {
            key: statistics.median(m[key] for m in good) for key in ("cpu_us", "per_cpu_s", "peak_kb", "hand_overs")
        }
        rows[name]["right"] = all(m["right"] for m in good)
    bare = rows["bare reader, no book"].get("cpu_us")
    for row in rows.values():
        if bare and "cpu_us" in row:
            row["ratio_to_bare"] = row["cpu_us"] / bare
    return {"updates": count, "rounds": rounds, "rows": rows}


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


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("--count", type=int, default=30_000, help="updates a client reads (default 30,000)")
    parser.add_argument("--rounds", type=int, default=3, help="the median of so many interleaved rounds (default 3)")
    parser.add_argument("--json", action="store_true", help="only the JSON document, on stdout")
    options = parser.parse_args()
    console = Console(stderr=options.json)
    result = {"one_feed": one_feed(options.count, options.rounds, console)}
    show(result["one_feed"], console)
    print(json.dumps(result))
    return 0 if all(row.get("right", True) for row in result["one_feed"]["rows"].values()) else 1


if __name__ == "__main__":
    sys.exit(main())
