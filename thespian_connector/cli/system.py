"""``start``, ``stop``, ``status``: the life of a system."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from ._output import print_document, progress, say, sigterm_interrupts

_DEFAULT_TIMEOUT_S = 30.0
#: A pipe has no width; this holds every row whole.
_PIPE_COLUMNS = 140


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    start = subparsers.add_parser(
        "start", help="run a system", description="Run a system here until Ctrl-C, or leave one running (--detach)."
    )
    start.add_argument("--detach", action="store_true", help="return when it answers and leave it running")
    start.add_argument("--wait", choices=("live",), help="with --detach: return when every configured book is LIVE")
    start.add_argument(
        "--timeout",
        type=float,
        default=_DEFAULT_TIMEOUT_S,
        metavar="S",
        help=f"with --detach: give up (leaving nothing) after S seconds (default {_DEFAULT_TIMEOUT_S:g})",
    )
    start.set_defaults(run=run_start)
    stop = subparsers.add_parser("stop", help="end a system", description="Returns when nothing of it is left.")
    stop.set_defaults(run=run_stop)
    status = subparsers.add_parser("status", help="every process, book, breaker and limit")
    status.set_defaults(run=run_status)


def run_start(args: argparse.Namespace) -> int:
    from thespian_connector.system import config

    config.check_timeout(args.timeout)
    path = Path(args.config) if args.config is not None else None
    overrides = [f"{key}={value}" for key, value in args.set]
    settings = config.load(path, overrides, args.system)
    if warning := config.bind_warning(settings):
        say(warning)
    if args.detach:
        from thespian_connector.system import spawn

        wait_live = args.wait == "live"
        with sigterm_interrupts(), progress(f"starting {args.system}") as tell:
            spawn.start_detached(
                args.system, path, overrides, timeout_s=args.timeout, wait_live=wait_live, progress=tell
            )
        _say_started(args)
        return 0
    from thespian_connector.system.launcher import Launcher

    Launcher(settings, directory=path.parent if path is not None else Path.cwd()).run()
    return 0


def _say_started(args: argparse.Namespace) -> None:
    from thespian_connector.system.runtime import Runtime

    system = Runtime(args.system).read_system()
    if args.json:
        print_document(
            {
                "system": {
                    "name": system.name,
                    "state": "running",
                    "admin_port": system.admin_port,
                    "host": system.host,
                    "control": system.control,
                }
            }
        )
    else:
        say(f"system {system.name!r} runs; see: thespian-connector --system {system.name} status")


def run_stop(args: argparse.Namespace) -> int:
    from thespian_connector.system import spawn

    with progress(f"stopping {args.system}"):
        spawn.stop(args.system)
    if not args.json:
        say(f"system {args.system!r} has ended")
    return 0


def run_status(args: argparse.Namespace) -> int:
    from thespian_connector.connector import Connector

    with Connector.attach(args.system) as connector:
        document = connector.status()
    if args.json:
        print_document(document)
    else:
        _print_tables(document)
    return 0


def _print_tables(document: dict[str, Any]) -> None:
    from rich.console import Console

    console = Console(width=None if sys.stdout.isatty() else _PIPE_COLUMNS)
    system = document["system"]
    control = f", simulator control {system['control']}" if system["control"] else ""
    console.print(f"[bold]{system['name']}[/] {system['state']}, admin port {system['admin_port']}{control}")
    processes = [
        (row["name"], row["pid"], _state(row["state"]), row["restarts"], f"{row['up_s']:.0f} s")
        for row in document["actors"]
    ]
    console.print(_table(("process", "pid", "state", "restarts", "up"), processes))
    books = [
        (row["exchange"], row["symbol"], _trust(row["trust"]), row["update_id"], _age(row["age_ms"]), row["reason"])
        for row in document["books"]
    ]
    console.print(_table(("exchange", "symbol", "trust", "update", "age", "reason"), books))
    limits = [(row["exchange"], row["limit"], _spent(row), f"{row['window_s']} s") for row in document["limits"]]
    console.print(_table(("exchange", "limit", "used", "window"), limits))
    accounts = [(row["exchange"], *_account(row)) for row in document["accounts"]]
    if accounts:
        console.print(_table(("exchange", "account", "events", "in doubt", "journal"), accounts))
    broken = [
        (row["exchange"], row["surface"], row["state"]) for row in document["breakers"] if row["state"] != "closed"
    ]
    if broken:
        console.print(_table(("exchange", "surface", "breaker"), broken))


def _account(row: dict[str, Any]) -> tuple[str, str, str, str]:
    """Orders and balances are as the venue tells them while its events come; else they are asked for now and then."""
    if not row["ready"]:
        return f"[yellow]{row['why_not']}[/]", "-", "-", "-"
    told = row["stream"]
    events = f"[green]{told}[/]" if told == "connected" else f"[yellow]{told}[/]"
    return "[green]ready[/]", events, str(row["in_doubt"]), row["durability"]


def _spent(row: dict[str, Any]) -> str:
    """What nobody counted is marked: a budget that is made anew takes part of its window for spent."""
    share = f"{row['used']}/{row['cap']}"
    return share if row.get("known", "counted") == "counted" else f"~{share} assumed"


def _table(columns: tuple[str, ...], rows: list[tuple[Any, ...]]) -> Any:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(*columns, box=SIMPLE_HEAD, pad_edge=False)
    for row in rows:
        table.add_row(*(str(cell) for cell in row))
    return table


def _state(state: str) -> str:
    return f"[green]{state}[/]" if state == "running" else f"[yellow]{state}[/]"


def _trust(trust: str) -> str:
    return f"[green]{trust}[/]" if trust == "LIVE" else f"[yellow]{trust}[/]"


def _age(age_ms: int | None) -> str:
    return "-" if age_ms is None else f"{age_ms} ms"
