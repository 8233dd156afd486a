"""FeedSession in process: every update in the book, the top read as Decimals in each callback."""

from __future__ import annotations

import tempfile
import threading
from pathlib import Path

from common import Stopwatch, arguments

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
    changes = 0

    def on_event(event: FeedEvent) -> None:
        nonlocal changes
        if type(event) is BookChanged:
            changes += 1
            bid, ask = event.tracked.best()
            if event.tracked.update_id >= last_id and not done.is_set():
                assert bid is not None
                assert ask is not None
                watch.report([f"{bid.price:.8f}", f"{ask.price:.8f}"], changes)
                done.set()

    with tempfile.TemporaryDirectory() as folder:
        budget = Budget.for_venue(driver, rest_url, Path(folder))
        client = RestClient(driver, rest_url, budget=budget)
        market = MarketRest(driver, client)
        instruments = {instrument.symbol: instrument for instrument in market.instruments()}
        wanted = [Subscription("BTC/USDT", frozenset({Channel.BOOK}), 1000)]
        session = FeedSession(driver, endpoints, instruments, wanted, on_event, rest=market, budget=budget)
        watch.start()
        session.start()
        done.wait(300)
        session.stop()
        client.close()


main()
