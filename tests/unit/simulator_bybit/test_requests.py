"""What the public socket answers, and the topics it knows."""

from __future__ import annotations

import json

import pytest

from thespian_connector.simulator.bybit.requests import Subscriptions
from thespian_connector.simulator.bybit.topics import FULL, TopicError, parse

SYMBOLS = ("BTCUSDT", "ETHUSDT")


def subscriptions() -> Subscriptions:
    return Subscriptions("c1", SYMBOLS)


def ask(op: str, *args: str, **fields: object) -> str:
    return json.dumps({"op": op, "args": list(args), **fields})


def test_topics_are_taken_apart() -> None:
    fifty = parse("orderbook.50.BTCUSDT", SYMBOLS)
    assert (fifty.kind, fifty.stream, fifty.symbol, fifty.depth) == ("orderbook", "orderbook.50", "BTCUSDT", 50)
    assert parse("orderbook.full.ETHUSDT", SYMBOLS).depth == FULL
    assert parse("kline.M.ETHUSDT", SYMBOLS).interval == "M"
    assert parse("publicTrade.BTCUSDT", SYMBOLS).stream == "publicTrade"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "BTCUSDT",
        "orderbook",
        "orderbook.BTCUSDT",
        "orderbook.500.BTCUSDT",
        "orderbook.050.BTCUSDT",
        "tickers.1.BTCUSDT",
    ],
)
def test_what_is_no_topic_has_no_handler(text: str) -> None:
    with pytest.raises(TopicError, match="handler not found"):
        parse(text, SYMBOLS)


def test_a_symbol_is_upper_case() -> None:
    with pytest.raises(TopicError, match=r"Invalid symbol :\[tickers.btcusdt\]"):
        parse("tickers.btcusdt", SYMBOLS)


def test_a_missing_request_id_comes_back_empty() -> None:
    answer = subscriptions().handle(ask("subscribe", "tickers.BTCUSDT"))
    assert answer.reply is not None
    assert answer.reply["req_id"] == ""
    assert [topic.text for topic in answer.begin] == ["tickers.BTCUSDT"]


def test_eleven_topics_are_refused_even_if_all_are_known_already() -> None:
    mine = subscriptions()
    assert mine.handle(ask("subscribe", *["tickers.BTCUSDT"] * 10)).begin
    reply = mine.handle(ask("subscribe", *["tickers.BTCUSDT"] * 11)).reply
    assert reply is not None
    assert reply["ret_msg"] == "args size >10"


def test_new_topics_beside_a_known_one_begin() -> None:
    mine = subscriptions()
    mine.handle(ask("subscribe", "tickers.BTCUSDT"))
    answer = mine.handle(ask("subscribe", "tickers.BTCUSDT", "tickers.ETHUSDT"))
    assert [topic.symbol for topic in answer.begin] == ["ETHUSDT"]
    assert answer.reply is not None
    assert mine.handle(ask("subscribe", "tickers.BTCUSDT", "tickers.ETHUSDT")).reply is None


def test_a_void_request_leaves_nothing_behind() -> None:
    mine = subscriptions()
    assert mine.handle(ask("subscribe", "tickers.BTCUSDT", "tickers.NOPE")).begin == []
    assert mine.topics == {}
    assert mine.handle(ask("subscribe", "tickers.BTCUSDT")).begin


def test_unsubscribing_ends_what_was_subscribed() -> None:
    mine = subscriptions()
    mine.handle(ask("subscribe", "tickers.BTCUSDT"))
    answer = mine.handle(ask("unsubscribe", "tickers.BTCUSDT", "tickers.ETHUSDT", req_id="u"))
    assert [topic.text for topic in answer.end] == ["tickers.BTCUSDT"]
    assert answer.reply is not None
    assert (answer.reply["ret_msg"], answer.reply["req_id"]) == ("unsubscribe", "u")
    assert mine.topics == {}


def test_a_connection_s_topics_have_at_most_21_000_characters() -> None:
    symbols = [f"{number:04d}{'X' * 990}" for number in range(30)]
    mine = Subscriptions("c1", symbols)
    topics = [f"tickers.{symbol}" for symbol in symbols]
    assert len(mine.handle(ask("subscribe", *topics[:10])).begin) == 10
    assert len(mine.handle(ask("subscribe", *topics[10:20])).begin) == 10
    reply = mine.handle(ask("subscribe", *topics[20:22])).reply
    assert reply is not None
    assert reply["success"] is False
    assert len(mine.topics) == 20
    mine.handle(ask("unsubscribe", *topics[:10]))
    assert mine.handle(ask("subscribe", *topics[20:22])).begin
