"""A system of the bench's own: in a runtime directory of its own, ended with the bench whatever happens to it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

from thespian_connector import Connector
from thespian_connector.model import OrderBook, Trust
from thespian_connector.model.errors import ConnectorError

NATIVE = {"BTC/USDT": "BTCUSDT", "ETH/USDT": "ETHUSDT"}
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class WrongBook(AssertionError):
    """A book that called itself LIVE and was not what the venue's was at that update."""


@contextlib.contextmanager
def runtime_directory() -> Iterator[Path]:
    """Everything that is started within lives in a directory of its own, short enough for socket paths."""
    directory = Path(tempfile.mkdtemp(prefix="tcb-", dir="/tmp"))
    before = os.environ.get("XDG_RUNTIME_DIR")
    os.environ["XDG_RUNTIME_DIR"] = str(directory)
    try:
        yield directory
    finally:
        if before is None:
            del os.environ["XDG_RUNTIME_DIR"]
        else:
            os.environ["XDG_RUNTIME_DIR"] = before
        shutil.rmtree(directory, ignore_errors=True)


class Local:
    """A running system and its simulator's control port, if it has one."""

    def __init__(self, connector: Connector) -> None:
        self.connector = connector
        self.name = connector.system

    def status(self) -> dict[str, Any]:
        return self.connector.status()

    def pids(self) -> dict[str, int]:
        return {row["name"]: int(row["pid"]) for row in self.status()["actors"]}

    def merged(self, symbol: str = "BTC/USDT") -> bool:
        """Every exchange's book is LIVE and in the merged one."""
        book = self.connector.merged_book(symbol, depth=1)
        return not book.excluded and bool(book.bids) and bool(book.asks)

    def control(self, path: str, *, post: bool = False) -> Any:
        """The simulator's answer; None: it no longer knows (410)."""
        url = self.status()["system"]["control"] + path
        request = urllib.request.Request(url, method="POST" if post else "GET")
        try:
            with _DIRECT.open(request, timeout=10) as answer:
                return json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            if error.code == 410:
                return None
            raise

    def check_truth(self) -> int:
        """Compares every LIVE book with the simulator's; how many were compared.

        :raises WrongBook: one differs.
        """
        checked = 0
        for exchange, symbols in self.connector.exchanges().items():
            for symbol in symbols:
                book = self.connector.order_book(exchange, symbol)
                if book.trust is not Trust.LIVE:
                    continue
                query = f"?stream={book.stream}&update_id={book.update_id}"
                true = self.control(f"/truth/{exchange}/book/{NATIVE[symbol]}{query}")
                if true is not None:
                    _compare(book, true)
                    checked += 1
        return checked


def _compare(book: OrderBook, true: dict[str, Any]) -> None:
    for side, levels in (("bids", book.bids), ("asks", book.asks)):
        expected = [(Decimal(price), Decimal(quantity)) for price, quantity in true[side][: len(levels)]]
        if [tuple(level) for level in levels] != expected:
            raise WrongBook(f"{book.exchange} {book.symbol} {side} at update {book.update_id} of {book.stream}")


@contextlib.contextmanager
def running(*overrides: str, wait_live: bool = True) -> Iterator[Local]:
    """A system that answers; it is gone at the end."""
    connector = Connector.start(
        system=f"b{uuid.uuid4().hex[:6]}", overrides=overrides, wait_live=wait_live, timeout_s=60
    )
    with connector:
        yield Local(connector)


def until(condition: Callable[[], Any], timeout_s: float, what: str, every_s: float = 0.02) -> Any:
    """Polls `condition` until it is true; a system that is just (re)starting is asked again.

    :raises TimeoutError: says `what` did not happen.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            value = condition()
        except ConnectorError:
            value = None
        if value:
            return value
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {timeout_s:g} s: {what}")
        time.sleep(every_s)
