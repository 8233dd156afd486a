"""What a client of the private socket may ask, without a socket."""

from __future__ import annotations

import json
from typing import Any

import pytest

from thespian_connector.simulator.bybit.private_requests import PrivateSession


def session() -> PrivateSession:
    return PrivateSession("c1", lambda args: 0 if args == ["good"] else 10004, lambda: 1675418560633)


def ask(of: PrivateSession, **request: object) -> Any:
    return of.handle(json.dumps(request))


def authenticated() -> PrivateSession:
    one = session()
    ask(one, op="auth", args=["good"])
    return one


def test_the_pong_is_of_another_shape_than_the_public_one() -> None:
    assert ask(session(), op="ping", req_id="x") == {
        "req_id": "x",
        "op": "pong",
        "args": ["1675418560633"],
        "conn_id": "c1",
    }
    assert "req_id" not in ask(session(), op="ping")


def test_auth_comes_before_any_subscription() -> None:
    one = session()
    refused = ask(one, op="subscribe", args=["order"])
    assert (refused["success"], refused["ret_msg"]) == (False, "Request not authorized")
    assert ask(one, op="auth", args=["bad"]) == {
        "success": False,
        "ret_msg": "Params Error",
        "op": "auth",
        "conn_id": "c1",
    }
    assert one.auth_failures == 1
    assert not one.authenticated
    assert ask(one, op="auth", args=["good"], req_id="a")["success"] is True
    assert ask(one, op="subscribe", args=["order", "wallet"], req_id="s") == {
        "success": True,
        "ret_msg": "",
        "op": "subscribe",
        "req_id": "s",
        "conn_id": "c1",
    }
    assert one.listens("order") == ["order"]
    assert one.listens("execution") == []


def test_topics_are_told_apart_by_kind() -> None:
    one = authenticated()
    ask(one, op="subscribe", args=["order", "execution.fast", "execution.spot"])
    ask(one, op="subscribe", args=["order.spot"])
    assert one.listens("order") == ["order", "order.spot"]
    assert one.listens("execution") == ["execution.spot"]
    assert one.listens("execution.fast") == ["execution.fast"]
    ask(one, op="unsubscribe", args=["order", "never"])
    assert one.listens("order") == ["order.spot"]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["order", "order.spot"], "error:order and its categorised topics in one request"),
        (["execution.linear", "execution"], "error:execution and its categorised topics in one request"),
        (["order", "orders"], "error:handler not found,topic:orders"),
        (["wallet"] * 11, "args size >10"),
        ([], "error:invalid args"),
        ("order", "error:invalid args"),
    ],
)
def test_a_bad_subscription_is_refused_whole(args: object, message: str) -> None:
    one = authenticated()
    reply = ask(one, op="subscribe", args=args)
    assert (reply["success"], reply["ret_msg"]) == (False, message)
    assert not one.topics


@pytest.mark.parametrize("frame", ["", "[]", "{", b"\xff"])
def test_what_is_no_request_is_answered_as_such(frame: str | bytes) -> None:
    assert session().handle(frame)["success"] is False
