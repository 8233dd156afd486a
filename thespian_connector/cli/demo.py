"""``demo``: a whole system on two local exchanges, orders, a feed killed before your eyes, and what becomes of it."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import time
from typing import TYPE_CHECKING, Any

from ._output import console, paint, print_document, progress
from .market import print_merged

if TYPE_CHECKING:
    from thespian_connector.connector import Connector
    from thespian_connector.model import Order

_SYMBOL = "BTC/USDT"
_VICTIM = "exchange/binance/market-data/0"
_DEPTH = 5
_START_S_MAX = 60.0
_HEAL_S_MAX = 30.0
_LOOK_S = 0.05
_HTTP_S_MAX = 10.0


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    demo = subparsers.add_parser(
        "demo",
        help="start a system on local exchanges, trade, kill a feed, watch it heal",
        description="Starts a system of its own on two simulated exchanges, shows their merged book, places, fills and"
        " cancels orders on both, kills a feed's process, waits until it has healed, compares every order and book with"
        " the exchanges' own, and stops. Nothing leaves this machine and nothing is left behind. Exit code 0 if all was"
        " as it should be.",
    )
    demo.set_defaults(run=run_demo)


def run_demo(args: argparse.Namespace) -> int:
    from thespian_connector.model.errors import UsageError
    from thespian_connector.system.runtime import Runtime

    if args.config is not None:
        raise UsageError("demo kills processes, so it runs on local exchanges of its own only; leave --config out")
    name = f"demo-{os.getpid()}"
    overrides = [f"{key}={value}" for key, value in args.set]
    demo = _Demo(quiet=args.json)
    try:
        _act(demo, name, overrides)
    finally:
        shutil.rmtree(Runtime(name).path, ignore_errors=True)
    traded = demo.result["orders"].values()
    demo.result["ok"] = demo.result["books_equal_truth"] and bool(traded) and all(one["equal_truth"] for one in traded)
    if args.json:
        print_document(demo.result)
    else:
        demo.say("Stopped: no process and no socket is left.")
    return 0 if demo.result["ok"] else 1


def _act(demo: _Demo, name: str, overrides: list[str]) -> None:
    from thespian_connector.connector import Connector

    begun = time.monotonic()
    with progress("starting two local exchanges and the system"):
        connector = Connector.start(system=name, overrides=overrides, timeout_s=_START_S_MAX)
    with connector:
        _wait(lambda: _healthy(connector), _START_S_MAX, "every book LIVE and merged")
        demo.result["live_s"] = round(time.monotonic() - begun, 2)
        demo.show(connector)
        demo.trade(connector)
        demo.kill(connector)
        demo.compare(connector)
        with progress("stopping"):
            connector.stop()


class _Demo:
    """The steps; `result` is the document that ``--json`` ends with."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self.result: dict[str, Any] = {
            "ok": False,
            "live_s": None,
            "recovered_s": None,
            "orders": {},
            "books_equal_truth": False,
        }

    def say(self, words: str) -> None:
        if not self._quiet:
            print(words, flush=True)

    def show(self, connector: Connector) -> None:
        status = connector.status()
        self.say(
            f"{len(status['actors'])} processes run, {len(status['books'])} books of two exchanges are"
            f" {paint('LIVE', 'green')} after {self.result['live_s']} s. {_SYMBOL}, merged:"
        )
        self._book(connector)

    def trade(self, connector: Connector) -> None:
        """On each exchange an order that rests, and is cancelled, and one that crosses, and is filled."""
        for exchange in connector.exchanges():
            _wait(
                lambda exchange=exchange: connector.balances(exchange),
                _HEAL_S_MAX,
                f"the account at {exchange} is known",
            )
            bid = int(connector.order_book(exchange, _SYMBOL, 1).bids[0].price)
            resting = connector.place_order(
                exchange, _SYMBOL, side="buy", type="limit", quantity="0.01", price=bid * 9 // 10
            )
            crossing = connector.place_order(
                exchange,
                _SYMBOL,
                side="buy",
                type="limit",
                time_in_force="ioc",
                quantity="0.01",
                price=bid * 101 // 100,
            )
            ended = connector.cancel_order(exchange, resting.client_order_id)
            self.result["orders"][exchange] = {
                "resting": ended.status.value,
                "crossing": crossing.status.value,
                "fills": len(crossing.fills),
                "equal_truth": all(_order_equals_truth(connector, order) for order in (ended, crossing)),
            }
            self._orders(exchange, ended, crossing)

    def _orders(self, exchange: str, ended: Order, crossing: Order) -> None:
        from thespian_connector.model import text

        bought = ", ".join(f"{text(fill.quantity)} at {text(fill.price)}" for fill in crossing.fills)
        fees = ", ".join(f"{text(fill.fee)} {fill.fee_asset}" for fill in crossing.fills)
        equal = self.result["orders"][exchange]["equal_truth"]
        verdict = paint("just so", "green") if equal else paint("NOT so", "red")
        self.say(
            f"{exchange}: an order that rested is {paint(ended.status, 'bold')}, one that crossed is"
            f" {paint(crossing.status, 'bold')}: {bought or 'nothing'}, fee {fees or '0'}; the exchange has it"
            f" {verdict}."
        )

    def kill(self, connector: Connector) -> None:
        """SIGKILL, then wait until the books are whole again."""
        old = _pid(connector)
        self.say(f"Killing process {old}, {_VICTIM}:")
        begun = time.monotonic()
        os.kill(old, signal.SIGKILL)
        with progress("healing"):
            _wait(lambda: _noticed(connector, old), _HEAL_S_MAX, "the dead feed is left out")
            without_s = time.monotonic() - begun
            self._book(connector)
            _wait(lambda: _pid(connector) not in (0, old) and _healthy(connector), _HEAL_S_MAX, "healed")
        self.result["recovered_s"] = round(time.monotonic() - begun, 2)
        self.say(
            f"It was left out after {without_s:.2f} s; process {_pid(connector)} has taken its place, and every book is"
            f" {paint('LIVE', 'green')} again after {self.result['recovered_s']} s:"
        )
        self._book(connector)

    def compare(self, connector: Connector) -> None:
        """Every book with what the simulated exchange held at the book's own update."""
        equal = [
            _equals_truth(connector, exchange, symbol)
            for exchange, symbols in connector.exchanges().items()
            for symbol in symbols
        ]
        self.result["books_equal_truth"] = bool(equal) and all(equal)
        verdict = paint("equal", "green") if all(equal) else paint("NOT equal", "red")
        self.say(f"{sum(equal)} of {len(equal)} books are level by level {verdict} to what the exchanges hold.")

    def _book(self, connector: Connector) -> None:
        if not self._quiet:
            book = connector.merged_book(_SYMBOL, _DEPTH)
            console().print()
            print_merged(book)


def _wait(condition: Any, timeout_s: float, what: str) -> None:
    """Until `condition` holds; what is just restarting may refuse meanwhile.

    :raises ConnectorError: it does not hold within `timeout_s`.
    """
    from thespian_connector.model.errors import ConnectorError, NotRunning, Refused

    deadline = time.monotonic() + timeout_s
    while True:
        try:
            if condition():
                return
        except (Refused, NotRunning):
            pass  # asked again below
        if time.monotonic() > deadline:
            raise ConnectorError(f"demo: not within {timeout_s:g} s: {what}")
        time.sleep(_LOOK_S)


def _healthy(connector: Connector) -> bool:
    exchanges = connector.exchanges()
    books = connector.status()["books"]
    merged = [connector.merged_book(symbol, 1) for symbol in {one for symbols in exchanges.values() for one in symbols}]
    return (
        len(books) == sum(map(len, exchanges.values()))
        and all(book["trust"] == "LIVE" for book in books)
        and not any(book.excluded for book in merged)
    )


def _noticed(connector: Connector, old: int) -> bool:
    """Left out; or, if nobody looked in time, replaced already."""
    return bool(connector.merged_book(_SYMBOL, 1).excluded) or _pid(connector) not in (0, old)


def _pid(connector: Connector) -> int:
    """Of the feed that is killed; 0 while there is none."""
    rows = connector.status()["actors"]
    return next((int(row["pid"]) for row in rows if row["name"] == _VICTIM and row["state"] == "running"), 0)


def _truth(connector: Connector, path: str, params: dict[str, str] | None = None) -> Any:
    """What the simulated exchange says of itself."""
    import requests

    control = connector.status()["system"]["control"]
    with requests.Session() as session:
        session.trust_env = False  # no proxy for loopback
        answer = session.get(f"{control}/truth/{path}", params=params, timeout=_HTTP_S_MAX)
    answer.raise_for_status()
    return answer.json()


def _order_equals_truth(connector: Connector, order: Order) -> bool:
    from thespian_connector.model import plain

    def terms(row: dict[str, Any]) -> list[Any]:
        fills = [[fill[name] for name in ("execution_id", "price", "quantity", "fee")] for fill in row["fills"]]
        return [row[name] for name in ("client_order_id", "status", "price", "quantity", "filled")] + sorted(fills)

    rows = [row for row in _truth(connector, f"{order.exchange}/orders") if row["order_id"] == order.order_id]
    return [terms(row) for row in rows] == [terms(plain(order))]


def _equals_truth(connector: Connector, exchange: str, symbol: str) -> bool:
    from thespian_connector.model import plain

    [instrument] = connector.instruments(exchange, [symbol])
    book = plain(connector.order_book(exchange, symbol))
    asked = {"stream": book["stream"], "update_id": str(book["update_id"])}
    truth = _truth(connector, f"{exchange}/book/{instrument.native}", asked)
    return book["trust"] == "LIVE" and all(
        bool(book[side]) and book[side] == truth[side][: len(book[side])] for side in ("bids", "asks")
    )
