"""Books, trades and tickers of one venue in your own process: no actor, one callback.

python examples/feed_in_process.py                                   # the bundled simulator, started for you
python examples/feed_in_process.py --exchange bybit --seconds 10
python examples/feed_in_process.py --environment live --symbol ETH/USDT    # the real exchange; needs no key
FEED_REST=http://127.0.0.1:8080 FEED_STREAM=ws://127.0.0.1:8081 python examples/feed_in_process.py
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from thespian_connector.drivers.registry import driver_for
from thespian_connector.model import Channel, Environment, Trade, text
from thespian_connector.net.budget import Budget
from thespian_connector.net.events import BookChanged, FeedEvent, FeedMarker, Subscription
from thespian_connector.net.feed import FeedSession
from thespian_connector.net.market import MarketRest
from thespian_connector.net.rest import RestClient


def on_event(event: FeedEvent) -> None:
    """Called on the session's thread for each event, in order; the book is read while it stands still."""
    if isinstance(event, BookChanged):
        bid, ask = event.tracked.best()
        if bid and ask:
            print(f"{event.symbol} {event.tracked.trust:<7} {text(bid.price)} / {text(ask.price)}")
    elif isinstance(event, Trade):
        print(f"{event.symbol} trade   {event.aggressor} {text(event.quantity)} at {text(event.price)}")
    elif isinstance(event, FeedMarker):
        print(f"{event.symbol} marker  {event.what} {event.detail}")
    else:
        print(f"{event.symbol} ticker  last {text(event.last)}")


@contextlib.contextmanager
def simulator() -> Iterator[Mapping[str, Mapping[str, str]]]:
    """The bundled simulator as a process of its own; gives each venue's URLs."""
    command = [sys.executable, "-m", "thespian_connector.simulator", "--seed", "1", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603  # our own program
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())
        finally:
            process.terminate()


def run(exchange: str, environment: Environment, urls: Mapping[str, str], symbol: str, seconds: float) -> None:
    driver = driver_for(exchange)
    endpoints = driver.endpoints(environment, urls)
    with tempfile.TemporaryDirectory() as directory:
        # One budget for all processes of this host: give it a lasting directory in earnest.
        budget = Budget.for_venue(driver, endpoints.rest, Path(directory))
        rest = MarketRest(driver, RestClient(driver, endpoints.rest, budget=budget))
        instruments = {instrument.symbol: instrument for instrument in rest.instruments()}
        session = FeedSession(
            driver,
            endpoints,
            instruments,
            [Subscription(symbol, frozenset({Channel.BOOK, Channel.TRADE}))],
            on_event,
            rest=rest,
            budget=budget,
            conflate=True,  # printing is slow: show the newest book, not each one
        )
        session.start()
        try:
            deadline = time.monotonic() + seconds
            while session.alive and time.monotonic() < deadline:
                time.sleep(0.1)
            book = session.book(symbol)
            print(f"{symbol} {book.trust} at {book.update_id}, {book.certified} levels certified; {session.counters}")
        finally:
            session.stop()
            rest.client.close()
            budget.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--exchange", default="binance", choices=["binance", "bybit"])
    parser.add_argument("--environment", default="paper", type=Environment)
    parser.add_argument("--symbol", default="BTC/USDT")
    parser.add_argument("--seconds", default=5.0, type=float)
    options = parser.parse_args()
    if options.environment is not Environment.PAPER:
        run(options.exchange, options.environment, {}, options.symbol, options.seconds)
    elif "FEED_REST" in os.environ:
        urls = {"rest": os.environ["FEED_REST"], "stream": os.environ["FEED_STREAM"]}
        run(options.exchange, options.environment, urls, options.symbol, options.seconds)
    else:
        with simulator() as venues:
            urls = dict(venues[options.exchange])
            urls.setdefault("stream", urls.pop("ws", ""))
            names = ("rest", "stream")
            picked = {name: urls[name] for name in names}
            run(options.exchange, options.environment, picked, options.symbol, options.seconds)


if __name__ == "__main__":
    main()
