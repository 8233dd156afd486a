"""What a client of the trade socket may ask, without a socket."""

from __future__ import annotations

import json
from typing import Any

import pytest

from thespian_connector.simulator.bybit.envelope import VenueError
from thespian_connector.simulator.bybit.trade_requests import OrderRequest, TradeSession

NOW_MS = 1711002002529
ARG = {"category": "spot", "symbol": "BTCUSDT"}
ORDER = {"op": "order.create", "header": {"X-BAPI-TIMESTAMP": str(NOW_MS)}, "args": [ARG]}


def session(*, authenticated: bool = True, nameless: bool = False) -> TradeSession:
    one = TradeSession("c1", lambda args: 0 if args == ["good"] else 10004, lambda: NOW_MS, nameless=nameless)
    if authenticated:
        one.handle(json.dumps({"op": "auth", "args": ["good"]}))
    return one


def ask(of: TradeSession, **request: object) -> Any:
    return of.handle(json.dumps(request))


def test_the_pong_has_a_third_shape() -> None:
    assert ask(session(), op="ping") == {
        "retCode": 0,
        "retMsg": "OK",
        "op": "pong",
        "connId": "c1",
        "data": [str(NOW_MS)],
    }


def test_an_order_request_is_passed_on_with_its_id_and_only_once() -> None:
    one = session()
    request = ask(one, **ORDER, reqId="r1")
    assert isinstance(request, OrderRequest)
    assert (request.operation, request.request_id, request.arg) == ("create", "r1", ARG)
    assert ask(one, **ORDER, reqId="r1")["retCode"] == 20006
    assert isinstance(ask(one, **ORDER), OrderRequest)
    assert isinstance(ask(one, **ORDER), OrderRequest), "without an id nothing is a repetition"


def test_refusals_for_permission_may_lack_the_id() -> None:
    for nameless in (True, False):
        refused = ask(session(authenticated=False, nameless=nameless), **ORDER, reqId="r1")
        assert refused["retCode"] == 10005
        assert ("reqId" in refused) is not nameless
        other = ask(session(nameless=nameless), **{**ORDER, "op": "order.x"}, reqId="r1")
        assert (other["retCode"], other["reqId"]) == (10404, "r1")


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ({"X-BAPI-TIMESTAMP": str(NOW_MS - 5_000)}, 0),
        ({"X-BAPI-TIMESTAMP": NOW_MS}, 0),
        ({"X-BAPI-TIMESTAMP": str(NOW_MS - 5_001)}, 10002),
        ({"X-BAPI-TIMESTAMP": str(NOW_MS - 5_001), "X-BAPI-RECV-WINDOW": "6000"}, 0),
        ({"X-BAPI-TIMESTAMP": str(NOW_MS + 1_000), "X-BAPI-RECV-WINDOW": "6000"}, 10002),
        ({}, 10001),
    ],
)
def test_the_clock_is_checked_when_the_requests_turn_has_come(header: dict[str, object], code: int) -> None:
    one = session()
    request = ask(one, **{**ORDER, "header": header})
    assert isinstance(request, OrderRequest)
    if not code:
        one.admit(request)
        one.restarting = True
        code = 10019
    with pytest.raises(VenueError) as caught:
        one.admit(request)
    assert caught.value.code == code
