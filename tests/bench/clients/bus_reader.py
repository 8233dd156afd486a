"""A program that reads a running system's stream: Connector.stream over the bus, in a process of its own.

Prints "ready" at the first book, then, at the last update, what it got.
"""

from __future__ import annotations

import os
import sys
import time
from collections import Counter

from common import AGES, Ages, Stopwatch

from thespian_connector import Connector
from thespian_connector.bus.events import Marker
from thespian_connector.model import OrderBook, Trust


def main() -> None:
    system, last_id, last_trade = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    ages = Ages() if AGES else None
    watch = Stopwatch()
    books, trades, lost, first_trade = 0, 0, 0, 0
    spans: set[int] = set()
    not_live: Counter[str] = Counter()
    books_ns = 0
    top: dict[str, list[list[str]]] = {}
    best = None
    with Connector.attach(system) as connector:
        for event in connector.stream("BTC/USDT", ("book", "trade") if last_trade else ("book",)):
            record = event.record
            if type(record) is OrderBook:
                if not record.bids:
                    continue
                if not books:
                    print("ready", flush=True)
                    watch.start()
                books += 1
                spans.add(record.span)
                if record.trust is not Trust.LIVE:
                    not_live[record.trust.value] += 1
                if ages is not None:
                    ages.note(record.update_id)
                if record.update_id >= last_id and not books_ns:
                    books_ns = time.monotonic_ns()
                    best = [f"{side[0].price:.8f}" for side in (record.bids, record.asks)]
                    top = {
                        side: [[str(price), str(quantity)] for price, quantity in levels]
                        for side, levels in (("bids", record.bids), ("asks", record.asks))
                    }
                    if not last_trade:
                        break
            elif isinstance(record, Marker):
                lost += record.missed
            else:
                trades += 1
                trade_id = int(record.trade_id)  # type: ignore[union-attr]  # only trades are left
                first_trade = first_trade or trade_id
                if trade_id >= last_trade:
                    break
    facts = {"books": books, "books_ns": books_ns, "ended_ns": time.monotonic_ns(), "spans": len(spans), "top": top}
    facts |= {"trades": trades, "lost": lost, "not_live": dict(not_live), "pid": os.getpid()}
    (ages or watch).report(best, **(facts if ages else {"hand_overs": books, **facts}))


main()
