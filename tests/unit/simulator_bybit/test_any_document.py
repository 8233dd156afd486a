"""Whatever a client sends, the answer is one of Bybit's, never a failure of the simulator."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from thespian_connector.simulator.bybit.envelope import VenueError
from thespian_connector.simulator.bybit.order_params import Fields, Rules
from thespian_connector.simulator.bybit.private_requests import PrivateSession
from thespian_connector.simulator.bybit.trade_requests import OrderRequest, TradeSession
from thespian_connector.simulator.market import Market
from thespian_connector.simulator.world import market_spec

MARKETS = {"BTCUSDT": Market(market_spec("bybit", "BTC/USDT", 1))}
RULES = Rules(band=True, padded_refused=True)
# fmt: off
WORDS = st.sampled_from([
    "spot", "BTCUSDT", "Buy", "Sell", "Limit", "Market", "1", "0.01", "60000", "100", "0", "-1", "1e5", "GTC", "IOC",
    "PostOnly", "StopOrder", "tpslOrder", "Percent", "TickSize", "baseCoin", "quoteCoin", "auth", "ping", "subscribe",
    "order.create", "order", "wallet", "None",
])
FIELDS = (
    "category", "symbol", "side", "orderType", "qty", "price", "timeInForce", "orderFilter", "triggerPrice",
    "marketUnit", "isLeverage", "smpType", "slippageToleranceType", "slippageTolerance", "orderLinkId", "takeProfit",
)
# fmt: on
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | WORDS | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)
GOOD = {"category": "spot", "symbol": "BTCUSDT", "side": "Buy", "orderType": "Limit", "qty": "1", "price": "100"}


@given(st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=6) | VALUES)
def test_an_order_is_taken_or_refused(changed: Any) -> None:
    document = {**GOOD, **changed} if isinstance(changed, dict) else changed
    with suppress(VenueError):
        assert RULES.new_order(Fields(document), MARKETS).quantity > 0


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(("op", "args", "req_id", "reqId", "header"), VALUES)) | VALUES)
def test_a_sockets_frame_is_answered(document: Any) -> None:
    frame = json.dumps(document)
    private = PrivateSession("c", lambda _args: 0, lambda: 1)
    trade = TradeSession("t", lambda _args: 0, lambda: 1)
    private.authenticated = trade.authenticated = True
    assert private.handle(frame)["conn_id"] == "c"
    answer = trade.handle(frame)
    if isinstance(answer, OrderRequest):
        with suppress(VenueError):
            trade.admit(answer)
    else:
        assert answer["connId"] == "t"


@given(st.binary(max_size=30) | st.just(b"[" * 5_000 + b"]" * 5_000))
def test_bytes_are_answered(frame: bytes) -> None:
    assert PrivateSession("c", lambda _args: 0, lambda: 1).handle(frame)["success"] in (True, False)
    assert TradeSession("t", lambda _args: 0, lambda: 1).handle(frame)
