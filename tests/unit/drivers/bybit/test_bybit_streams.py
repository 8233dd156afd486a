"""Hosts, topics and subscribe frames of Bybit."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thespian_connector.drivers.bybit import BybitDriver
from thespian_connector.model import Channel, Environment
from thespian_connector.model.errors import ConfigError, UsageError

DRIVER = BybitDriver()


def test_the_hosts_of_each_environment() -> None:
    live = DRIVER.endpoints(Environment.LIVE, {})
    assert (live.rest, DRIVER.stream_url(live)) == ("https://api.bybit.com", "wss://stream.bybit.com/v5/public/spot")
    testnet = DRIVER.endpoints(Environment.TESTNET, {})
    assert (testnet.rest, testnet.private) == ("https://api-testnet.bybit.com", "wss://stream-testnet.bybit.com")
    demo = DRIVER.endpoints(Environment.DEMO, {})
    assert DRIVER.stream_url(demo) == DRIVER.stream_url(live), "demo has no public stream of its own"
    assert (demo.private, demo.trade) == ("wss://stream-demo.bybit.com", ""), "demo has no trade socket"


@pytest.mark.parametrize("url", ["ws://127.0.0.1:9000", "ws://127.0.0.1:9000/", "ws://127.0.0.1:9000/v5/public/spot"])
def test_paper_takes_the_simulators_urls(url: str) -> None:
    for urls in ({"stream": url}, {"ws": url}):
        hosts = DRIVER.endpoints(Environment.PAPER, {"rest": "http://127.0.0.1:9000/"} | urls)
        assert hosts.rest == "http://127.0.0.1:9000"
        assert DRIVER.stream_url(hosts) == "ws://127.0.0.1:9000/v5/public/spot"
        assert hosts.private == hosts.trade == "ws://127.0.0.1:9000", "one host serves all sockets"


def test_regional_hosts_override_one_by_one() -> None:
    hosts = DRIVER.endpoints(Environment.LIVE, {"rest": "https://api.bybit.eu", "ws": "wss://stream.bybit.eu"})
    assert (hosts.rest, hosts.stream, hosts.trade) == (
        "https://api.bybit.eu",
        "wss://stream.bybit.eu",
        "wss://stream.bybit.eu",
    )
    only = DRIVER.endpoints(Environment.LIVE, {"private": "wss://p.example/v5/private", "trade": ""})
    assert (only.private, only.trade) == ("wss://p.example", "wss://stream.bybit.com")


@pytest.mark.parametrize(
    ("environment", "urls", "words"),
    [
        (Environment.PAPER, {}, "urls.rest and urls.stream"),
        (Environment.PAPER, {"rest": "http://x"}, "urls.stream"),
        (Environment.PAPER, {"rest": "http://x", "stream": "http://x"}, "wrong scheme 'http'; write wss://"),
        (Environment.LIVE, {"rest": "http://api.example"}, "not encrypted"),
        (Environment.LIVE, {"ws_api": "wss://x"}, "urls.ws_api is no endpoint"),
        (Environment.LIVE, {"rest": "https://x:port"}, "not a URL"),
        (Environment.LIVE, {"rest": "https://x?a=b"}, "must look like"),
    ],
)
def test_a_wrong_url_says_what_is_wrong(environment: Environment, urls: dict[str, str], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        DRIVER.endpoints(environment, urls)


def test_topics() -> None:
    assert DRIVER.topics(Channel.BOOK, "BTCUSDT") == ("orderbook.1000.BTCUSDT",)
    assert DRIVER.topics(Channel.BOOK, "BTCUSDT", 50) == ("orderbook.50.BTCUSDT",)
    assert DRIVER.topics(Channel.TRADE, "BTCUSDT") == ("publicTrade.BTCUSDT",)
    assert DRIVER.topics(Channel.TICKER, "BTCUSDT") == ("tickers.BTCUSDT", "orderbook.1.BTCUSDT")
    assert DRIVER.freshness_topics("BTCUSDT") == ("orderbook.1.BTCUSDT",)
    with pytest.raises(UsageError, match="1, 50, 200, 1000"):
        DRIVER.topics(Channel.BOOK, "BTCUSDT", 20)


@given(st.lists(st.sampled_from([f"tickers.T{n}" for n in range(40)]), max_size=60), st.integers(1, 10**9))
def test_at_most_ten_topics_a_request_each_once(topics: list[str], first: int) -> None:
    frames = DRIVER.subscribe(topics, first)
    sent = [json.loads(frame.frame) for frame in frames]
    assert all(0 < len(message["args"]) <= 10 for message in sent)
    assert [topic for message in sent for topic in message["args"]] == list(dict.fromkeys(topics))
    assert [message["req_id"] for message in sent] == [str(first + n) for n in range(len(frames))]
    assert {message["op"] for message in sent} <= {"subscribe"}
    assert {json.loads(f.frame)["op"] for f in DRIVER.unsubscribe(topics, first)} <= {"unsubscribe"}


def test_the_keepalive_is_bybits_own_ping() -> None:
    frame = DRIVER.keepalive_frame(12)
    assert frame is not None
    assert json.loads(frame) == {"req_id": "12", "op": "ping"}


def test_limits() -> None:
    assert {(limit.kind, limit.cap, limit.window_s, limit.aligned) for limit in DRIVER.limits} == {
        ("requests", 600, 5, False),
        ("connects", 500, 300, False),
    }
    assert (DRIVER.stream_limits.args_max, DRIVER.stream_limits.args_text_max) == (10, 21_000)
