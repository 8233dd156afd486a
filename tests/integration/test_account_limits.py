"""The limits of an account are those that the venue tells, not those that we were written with."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from support.http_server import Asked, HttpServer, Reply, document
from support.waiting import wait_until

from thespian_connector.actors.account import trade_rest
from thespian_connector.actors.settings import ExchangeSettings, ExchangeStart
from thespian_connector.actors.venue import Venue
from thespian_connector.drivers.registry import trading_for
from thespian_connector.drivers.signing import signer_of
from thespian_connector.model import Instrument, InstrumentStatus, NewOrder, OrderType, Side
from thespian_connector.model.errors import Rejected
from thespian_connector.net.account import AccountBudget
from thespian_connector.net.budget import LimitUse
from thespian_connector.net.trading import TradeRest

LIMIT = {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 4321}
#: By the venue's clock a window of ten seconds has just begun.
BEGUN_MS = 1_700_000_001_000
KEY, SECRET = "k" * 64, "s" * 64
BTC = Instrument(
    exchange="binance",
    symbol="BTC/USDT",
    native="BTCUSDT",
    base="BTC",
    quote="USDT",
    status=InstrumentStatus.TRADING,
    tick_size=Decimal("0.01"),
    step_size=Decimal("0.00001"),
)


def answer(asked: Asked) -> Reply:
    if asked.method == "POST":
        return document({"code": -2010, "msg": "no"}, 400, X_MBX_ORDER_COUNT_10S="4000")
    return document({"symbols": [], "rateLimits": [LIMIT], "serverTime": BEGUN_MS})


@pytest.fixture
def pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Venue, TradeRest]]:
    monkeypatch.setenv("KEY", KEY)
    monkeypatch.setenv("SECRET", SECRET)
    with HttpServer(answer) as server:
        urls = {"rest": server.url, "stream": server.url.replace("http", "ws")}
        settings = ExchangeSettings(api_key="env:KEY", api_secret="env:SECRET", urls=urls)
        start = ExchangeStart(exchange="binance", settings=settings, budget_dir=str(tmp_path))
        venue = Venue(start)
        yield venue, trade_rest(start, venue)
        venue.close()


def in_ten_seconds(venue: Venue) -> LimitUse:
    budget = AccountBudget.of(trading_for("binance"), signer_of(KEY, SECRET), venue.budget.path.parent)
    [found] = [use for use in budget.used() if use.limit == "place_10s"]
    budget.close()
    return found


def test_the_listing_of_instruments_tells_the_account_s_caps(pair: tuple[Venue, TradeRest]) -> None:
    venue, _ = pair
    venue.load_instruments()
    assert in_ten_seconds(venue).cap == 4321


def test_answers_to_orders_tell_what_others_spent_of_the_account_s_limits(pair: tuple[Venue, TradeRest]) -> None:
    venue, trade = pair
    order = NewOrder(
        client_order_id="a",
        exchange="binance",
        symbol="BTC/USDT",
        side=Side.BUY,
        type=OrderType.LIMIT,
        quantity=Decimal("0.01"),
        price=Decimal(60000),
    )

    def told() -> bool:
        venue.measure_clock()
        with contextlib.suppress(Rejected):
            trade.place(order, BTC, time.monotonic() + 60)
        return in_ten_seconds(venue).used >= 4000

    wait_until(told, 60, "what the header says is in the budget")
