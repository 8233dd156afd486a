"""The torture of the order path: every part killed, every fault of the venues, in the midst of orders in flight.

The judge is the simulator's own record. A cell where no command's outcome was unknown for a while proves nothing, and
fails.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parent.parent))

from support.torture import Rig, Traffic
from support.torture_cells import CELLS
from support.torture_judge import Judge, Verdict

from thespian_connector.model.errors import ConnectorError

_COMMANDS, _COMMANDS_QUICK = 240, 80
_TIMEOUT_S = 5.0
#: Of what is wrong in a cell, so much is printed.
_SHOWN_MAX = 10


def _cells(words: str) -> list[str]:
    names = [name.strip() for name in words.split(",") if name.strip()]
    unknown = [name for name in names if name not in CELLS]
    if unknown or not names:
        raise argparse.ArgumentTypeError(f"no cell {', '.join(unknown) or 'named'}; there are {', '.join(CELLS)}")
    return names


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/bench --torture", description=__doc__)
    parser.add_argument("--cells", type=_cells, default=list(CELLS), metavar="NAME,...", help="default: all")
    parser.add_argument("--quick", action="store_true", help=f"{_COMMANDS_QUICK} commands a cell, not {_COMMANDS}")
    parser.add_argument("--seed", type=int, default=1, help="of the order flow and the clients (default %(default)s)")
    return parser.parse_args()


def _run(name: str, commands: int, seed: int) -> Verdict:
    with Rig(seed) as rig:
        traffic = Traffic(rig, name, commands, _TIMEOUT_S)
        try:
            traffic.run(CELLS[name])
        except AssertionError as error:
            traffic.failures.append(error)
        [verdict] = Judge(rig, [traffic]).verdicts()
    return verdict


def _line(verdict: Verdict) -> str:
    restart = ""
    if verdict.restart_s is not None:
        restart = f"; started again in {verdict.start_s:.1f} s, open orders right {verdict.restart_s:.2f} s later"
    return (
        f"{verdict.cell}: {'right' if verdict.right else 'WRONG'}; {verdict.taken} commands of {verdict.commands},"
        f" {verdict.in_flight} in flight ({verdict.in_the_air} at the venues), {verdict.unknown} unknown"
        f" ({verdict.interrupted} interrupted), all right after {verdict.right_s:.1f} s{restart}"
    )


def _table(verdicts: list[Verdict]) -> Table:
    table = Table(title="Torture of the order path")
    for title in ("cell", "right", "commands", "taken", "ok", "unknown", "refused", "in flight", "at venues"):
        table.add_column(title)
    for title in ("journal: unknown", "interrupted", "faults", "right after s", "start + right s"):
        table.add_column(title)
    for one in verdicts:
        counts = [str(one.outcomes.get(kind, 0)) for kind in ("ok", "unknown", "refused")]
        table.add_row(
            one.cell,
            "yes" if one.right else "NO",
            *(str(one.commands), str(one.taken), *counts, str(one.in_flight), str(one.in_the_air)),
            *(str(one.unknown), str(one.interrupted), str(one.faults or ""), f"{one.right_s:.1f}"),
            "" if one.restart_s is None else f"{one.start_s:.1f} + {one.restart_s:.2f}",
        )
    return table


def main() -> int:
    options = _parse()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was started is ended on the way out
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 160
    verdicts: list[Verdict] = []
    unjudged, begun = 0, time.monotonic()
    for name in options.cells:
        try:
            verdict = _run(name, _COMMANDS_QUICK if options.quick else _COMMANDS, options.seed)
        except (AssertionError, ConnectorError) as error:
            unjudged += 1
            console.print(f"{name}: not judged: {error}", style="red", soft_wrap=True, markup=False)
            continue
        verdicts.append(verdict)
        console.print(_line(verdict), soft_wrap=True)
        for what in verdict.wrong[:_SHOWN_MAX]:
            console.print(f"  {what}", style="red", soft_wrap=True, markup=False)
    console.print(_table(verdicts))
    passed = sum(verdict.unknown for verdict in verdicts)
    wrong = sum(not verdict.right for verdict in verdicts) + unjudged
    took = f"{time.monotonic() - begun:.0f} s, load {os.getloadavg()[0]:.1f}"
    console.print(f"{len(options.cells)} cells, {wrong} wrong; {passed} commands passed through UNKNOWN; {took}")
    print(json.dumps({"torture": [asdict(verdict) for verdict in verdicts], "right": not wrong}))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
