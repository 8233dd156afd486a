"""From a call that places an order to its answer, which is durable, beside libraries that journal nothing.

All place at one simulator, in turns, so that a busy machine is as busy for each. Where our time goes is read from what
the journal says anyway: when the intent was made, when the venue had answered, and when each was being written.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any

from figures import spread
from local import Local, running, runtime_directory, until
from order_clients import Ccxt, Ours, OursToAck, Placer, Pybit, PybitToState, PythonBinance, rest_url
from rich.console import Console
from rich.table import Table
from scale import Scale

from thespian_connector.orders.codec import decode
from thespian_connector.orders.events import Answered, Operation, PlaceIntended

DURABILITIES = ("process", "power")
OURS = "thespian_connector"
TO_ACK, TO_STATE = "to the durable answer", "to the venue's word that it rests"
#: Four place at one Bybit account, which takes 10 orders a second; three at one of Binance's: 100 in ten seconds.
_ROUND_S = 0.5
_WARM_UP = 3
_PARTS = ("ask", "hand_over", "venue", "answer")
_PART_NAMES = {
    "ask": "the call, to OrderCommand's door, checks",
    "hand_over": "the journal's turn",
    "venue": "intent written, budget, signed, sent, answered",
    "answer": "answer written, and back",
}


def measure(scale: Scale) -> dict[str, Any]:
    rounds = int(scale.pick(60, 20))
    results = {}
    for durability in DURABILITIES:
        with runtime_directory() as directory, running(f'store.durability="{durability}"') as system:
            system.control("/pause", post=True)  # of the market: it is no part of this
            until(lambda system=system: system.connector.balances(), 30, "accounts that answer")
            scale.tell(f"order: {rounds} rounds, durability {durability}")
            results[durability] = _rounds(system, directory, rounds)
    return {"durability": results, "right": all(one["right"] for one in results.values())}


def _clients(system: Local) -> dict[tuple[str, str, str], Placer]:
    """(exchange, to which moment, who) -> it."""
    urls = {exchange: rest_url(system.name, exchange) for exchange in ("binance", "bybit")}
    accounts = {exchange: system.control(f"/truth/{exchange}/account") for exchange in urls}
    binance, bybit = ((urls[exchange], accounts[exchange]) for exchange in ("binance", "bybit"))
    return {
        ("binance", TO_ACK, OURS): Ours(system.name, "binance"),
        ("binance", TO_ACK, "ccxt"): Ccxt("binance", *binance),
        ("binance", TO_ACK, "python-binance"): PythonBinance(*binance),
        ("bybit", TO_ACK, OURS): OursToAck(system.name, "bybit"),
        ("bybit", TO_ACK, "ccxt"): Ccxt("bybit", *bybit),
        ("bybit", TO_ACK, "pybit"): Pybit(*bybit),
        ("bybit", TO_STATE, OURS): Ours(system.name, "bybit"),
        ("bybit", TO_STATE, "pybit, and asks"): PybitToState(*bybit),
    }


def _rounds(system: Local, directory: Path, rounds: int) -> dict[str, Any]:
    clients = _clients(system)
    took: dict[tuple[str, str, str], list[float]] = {key: [] for key in clients}
    asked: dict[str, tuple[int, int]] = {}
    order = list(clients)
    try:
        for number in range(-_WARM_UP, rounds):
            begun = time.monotonic()
            for key in order:
                started_ns = time.time_ns()
                placed = clients[key].place()
                ended_ns = time.time_ns()
                clients[key].cancel(placed)
                if number >= 0:
                    took[key].append((ended_ns - started_ns) / 1e6)
                    if key[2] == OURS and key[1] == TO_ACK:
                        asked[placed] = (started_ns, ended_ns)
            order = order[1:] + order[:1]
            time.sleep(max(0.0, begun + _ROUND_S - time.monotonic()))
        rows = [row | _spread_ms(took[key]) for key, row in ((key, _named(key)) for key in clients)]
        database = directory / "thespian-connector" / system.name / "state.db"
        parts = {exchange: _parts(database, exchange, asked) for exchange in ("binance", "bybit")}
        return {"rounds": rounds, "rows": rows, "parts_ms": parts, "right": _all_gone(system)}
    finally:
        for client in clients.values():
            client.close()


def _named(key: tuple[str, str, str]) -> dict[str, Any]:
    return dict(zip(("exchange", "until", "who"), key, strict=True))


def _spread_ms(values: Sequence[float]) -> dict[str, float]:
    return {f"{name}_ms": round(value, 2) for name, value in spread(values).items()}


def _all_gone(system: Local) -> bool:
    """Every order of this row was placed and cancelled: the venue has none open."""
    orders = [order for exchange in ("binance", "bybit") for order in system.control(f"/truth/{exchange}/orders")]
    return bool(orders) and not any(order["status"] in ("NEW", "New", "PARTIALLY_FILLED") for order in orders)


def _parts(database: Path, exchange: str, asked: dict[str, tuple[int, int]]) -> dict[str, float]:
    """The median of each part of the way, in milliseconds; they add up to the whole but for rounding of medians."""
    with closing(sqlite3.connect(database)) as connection:
        query = "SELECT time_ns, body FROM tc_entries WHERE stream = ? ORDER BY sequence"
        written = [(at, decode(body)) for at, body in connection.execute(query, (f"commands/{exchange}",))]
    intents = {event.order.client_order_id: (event.time_ns, at) for at, event in written if _is_place(event)}
    answers = {
        event.client_order_id: event.time_ns
        for _, event in written
        if isinstance(event, Answered) and event.operation is Operation.PLACE
    }
    parts: dict[str, list[float]] = {name: [] for name in _PARTS}
    for name, (started_ns, ended_ns) in asked.items():
        if name not in intents:
            continue  # of the other exchange
        made_ns, writing_ns = intents[name]
        points = (started_ns, made_ns, writing_ns, answers[name], ended_ns)
        for part, (begun_ns, done_ns) in zip(_PARTS, pairwise(points), strict=True):
            parts[part].append((done_ns - begun_ns) / 1e6)
    return {part: round(spread(values)["p50"], 2) for part, values in parts.items()}


def _is_place(event: object) -> bool:
    return isinstance(event, PlaceIntended)


def show(result: dict[str, Any], console: Console) -> None:
    table = Table(title="A resting limit order by REST, until the call returns, in ms", title_justify="left")
    for heading in ("exchange", "until", "who"):
        table.add_column(heading, no_wrap=heading == "who")
    for durability in DURABILITIES:
        for heading in ("p50", "p99"):
            table.add_column(f"{durability} {heading}", justify="right")
    by_durability = [result["durability"][durability]["rows"] for durability in DURABILITIES]
    for rows in zip(*by_durability, strict=True):
        cells = [f"{row[name]:.2f}" for row in rows for name in ("p50_ms", "p99_ms")]
        table.add_row(rows[0]["exchange"], rows[0]["until"], rows[0]["who"], *cells)
    console.print(table)
    for durability in DURABILITIES:
        for exchange, parts in result["durability"][durability]["parts_ms"].items():
            spent = "; ".join(f"{_PART_NAMES[part]} {value:.2f}" for part, value in parts.items())
            console.print(f"Ours at {exchange}, durability {durability}, ms: {spent}", highlight=False)
