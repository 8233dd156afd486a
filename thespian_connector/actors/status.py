"""The `status` document: every process as the kernel and the supervisors see it, and what the components report."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from thespian_connector.model import Trust

from . import process
from .messages import Address, Announce, Context, HostUp

_LISTEN = "0A"
#: From good to bad.
_BREAKER_STATES = ("closed", "half_open", "open")


@dataclass
class Gather:
    """One round of asking the components; clients that ask meanwhile share its answer."""

    deadline: float
    clients: list[tuple[Address, str]]
    waiting: set[str] = field(default_factory=set)
    parts: dict[str, dict[str, Any]] = field(default_factory=dict)


def document(
    context: Context,
    started_ns: int,
    known: Mapping[str, Announce],
    hosts: Mapping[str, HostUp],
    parts: Mapping[str, dict[str, Any]],
) -> dict[str, Any]:
    """INTERFACES' `status`, without `system.control` and `admin_port`, which the client has from the system's file."""
    actors = _infrastructure(context, started_ns, hosts)
    for name, one in sorted(known.items()):
        threads = parts.get(name, {}).get("threads", [])
        actors.append(_row(name, one.pid, one.host, one.started_ns, one.incarnation, one.state, one.restarts, threads))
    result: dict[str, Any] = {"actors": actors}
    for key in ("books", "breakers", "limits", "accounts"):
        result[key] = [row for name in sorted(parts) for row in parts[name].get(key, [])]
    for name, one in sorted(known.items()):
        if name not in parts:
            result["books"] += _unheard(name, one)
    result["limits"] = _once(result["limits"])
    result["breakers"] = _worst(result["breakers"])
    result["hosts"] = [{"host": host, "pid": up.pid, "state": "running"} for host, up in hosts.items()]
    result["listening"] = listening([row["pid"] for row in actors]) + [
        one.endpoint for one in known.values() if one.endpoint
    ]
    return result


def _kind(name: str) -> str:
    """``exchange/binance/market-data/0`` is a market-data, ``exchange/binance`` an exchange."""
    parts = name.split("/")
    return parts[2] if len(parts) > 2 else parts[0]


def _row(  # noqa: PLR0917 - a row's columns, in order
    name: str,
    pid: int,
    host: str,
    started_ns: int,
    incarnation: int,
    state: str = "running",
    restarts: int = 0,
    threads: Sequence[Any] = (),
) -> dict[str, Any]:
    up_s = round(max(0, time.time_ns() - started_ns) / 1e9, 1) if state == "running" else 0.0
    return {
        "name": name,
        "kind": _kind(name),
        "pid": pid,
        "host": host,
        "incarnation": incarnation,
        "state": state,
        "restarts": restarts,
        "up_s": up_s,
        "threads": list(threads),
    }


def _unheard(name: str, one: Announce) -> list[dict[str, Any]]:
    """The books of a feed that did not say how they are: of a hung one nobody knows, one that (re)starts has none."""
    hung = one.state == "running"
    trust, why = (Trust.STALE, "does not answer") if hung else (Trust.SYNCING, f"is {one.state}")
    return [
        {
            "exchange": name.split("/")[1],
            "symbol": symbol,
            "trust": trust.value,
            "update_id": 0,
            "age_ms": None,
            "since_ns": one.started_ns,
            "span": 0,
            "reason": f"its process {why}",
        }
        for symbol in one.symbols
    ]


def _infrastructure(context: Context, started_ns: int, hosts: Mapping[str, HostUp]) -> list[dict[str, Any]]:
    """Launcher, janitor, admin, logger, simulator, Root and HostAgent: they stand in no supervisor's list."""
    parents = process.parents()
    admin = os.getppid()
    agents = {up.pid: f"hostagent/{host}" for host, up in hosts.items()}
    found = {"launcher": context.launcher_pid, "admin": admin, "root": os.getpid()}
    found |= {name: pid for pid, name in agents.items()}
    for pid, parent in parents.items():
        if process.is_zombie(pid):
            continue
        if parent == admin and process.title(pid).endswith(" logger"):
            found["logger"] = pid
        elif parent == context.launcher_pid and pid != admin:
            found["janitor" if process.title(pid).endswith(" janitor") else "simulator"] = pid
    incarnations = {os.getpid(): context.root_incarnation} | {up.pid: up.incarnation for up in hosts.values()}
    rows = []
    for name, pid in found.items():
        born_ns = process.started_ns(pid) or started_ns
        # What no supervisor started has no incarnation of its own: when it began says the same in the same unit.
        rows.append(_row(name, pid, context.host, born_ns, incarnations.get(pid, born_ns // 1_000_000)))
    return rows


def _once(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The processes of a venue share its limits: each is listed once, the fullest view of it."""
    best: dict[tuple[Any, Any], dict[str, Any]] = {}
    for row in rows:
        key = (row.get("exchange"), row.get("limit"))
        if key not in best or row.get("used", 0) > best[key].get("used", 0):
            best[key] = row
    return list(best.values())


def _worst(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each process has breakers of its own: of an exchange's surface the worst state is told."""
    worst: dict[tuple[Any, Any], dict[str, Any]] = {}
    for row in rows:
        key = (row["exchange"], row["surface"])
        if key not in worst or _BREAKER_STATES.index(row["state"]) > _BREAKER_STATES.index(worst[key]["state"]):
            worst[key] = row
    return list(worst.values())


def listening(pids: list[int]) -> list[str]:
    """``ip:port`` of every TCP socket on which one of `pids` listens, from the kernel's own table."""
    inodes: dict[str, str] = {}
    for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]:
        columns = line.split()
        if columns[3] == _LISTEN:
            address, port = columns[1].split(":")
            octets = [str(octet) for octet in bytes.fromhex(address)[::-1]]
            inodes[columns[9]] = f"{'.'.join(octets)}:{int(port, 16)}"
    found: set[str] = set()
    for pid in pids:
        found.update(inodes[inode] for inode in process.socket_inodes(pid) if inode in inodes)
    return sorted(found)
