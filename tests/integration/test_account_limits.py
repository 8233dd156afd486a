"""The limits of an account are those that the venue tells, not those that we were written with."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.http_server import HttpServer, document

from thespian_connector.actors.account import trade_rest
from thespian_connector.actors.settings import ExchangeSettings, ExchangeStart
from thespian_connector.actors.venue import Venue
from thespian_connector.drivers.registry import trading_for
from thespian_connector.drivers.signing import signer_of
from thespian_connector.net.account import AccountBudget


def test_the_listing_of_instruments_tells_the_account_s_caps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limit = {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 4321}
    monkeypatch.setenv("KEY", "k" * 64)
    monkeypatch.setenv("SECRET", "s" * 64)
    with HttpServer(lambda asked: document({"symbols": [], "rateLimits": [limit], "serverTime": 1})) as server:
        urls = {"rest": server.url, "stream": server.url.replace("http", "ws")}
        settings = ExchangeSettings(api_key="env:KEY", api_secret="env:SECRET", urls=urls)
        start = ExchangeStart(exchange="binance", settings=settings, budget_dir=str(tmp_path))
        venue = Venue(start)
        trade_rest(start, venue)
        venue.load_instruments()
        venue.close()
    budget = AccountBudget.of(trading_for("binance"), signer_of("k" * 64, "s" * 64), venue.budget.path.parent)
    caps = {use.limit: use.cap for use in budget.used()}
    budget.close()
    assert caps["place_10s"] == 4321
