"""FeedSession in process: every update in the book, the top read as Decimals in each callback."""

from __future__ import annotations

import os
import tempfile
import threading
from pathlib import Path

from common import AGES, Ages, Stopwatch, arguments

from thespian_connector.drivers.registry import driver_for
from thespian_connector.model import Channel, Environment
from thespian_connector.net.budget import Budget
from thespian_connector.net.events import BookChanged, FeedEvent, Subscription
from thespian_connector.net.feed import FeedSession
from thespian_connector.net.market import MarketRest
from thespian_connector.net.rest import RestClient


def main() -> None:
    rest_url, stream_url, last_id = arguments()
    driver = driver_for("binance")
    endpoints = driver.endpoints(Environment.PAPER, {"rest": rest_url, "stream": stream_url})
    watch, done = Stopwatch(), threading.Event()
    ages = Ages() if AGES else None
    changes = 0

    def on_event(event: FeedEvent) -> None:
        nonlocal changes
        if type(event) is BookChanged:
            changes += 1
            bid, ask = event.tracked.best()
            if ages is not None:
                ages.note(event.tracked.update_id)
            if event.tracked.update_id >= last_id and not done.is_set():
                assert bid is not None
                assert ask is not None
                best = [f"{bid.price:.8f}", f"{ask.price:.8f}"]
                if ages is not None:
                    ages.report(best)
                else:
                    watch.report(best, changes)
                done.set()

    with tempfile.TemporaryDirectory() as folder:
        budget = Budget.for_venue(driver, rest_url, Path(folder))
        client = RestClient(driver, rest_url, budget=budget)
        market = MarketRest(driver, client)
        instruments = {instrument.symbol: instrument for instrument in market.instruments()}
        wanted = [Subscription("BTC/USDT", frozenset({Channel.BOOK}), 1000)]
        conflate = os.environ.get("BENCH_CONFLATE") == "1"
        session = FeedSession(
            driver, endpoints, instruments, wanted, on_event, rest=market, budget=budget, conflate=conflate
        )
        watch.start()
        session.start()
        done.wait(300)
        session.stop()
        client.close()


main()
