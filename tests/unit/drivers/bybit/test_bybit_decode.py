"""Frames of Bybit's public spot socket become the records that the books, tickers and sessions rely on."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thespian_connector.drivers.bybit import BybitDriver
from thespian_connector.drivers.conformance import check_damaged_frames, check_event
from thespian_connector.model import Side
from thespian_connector.model.wire import Ack, BookDiff, BookSnapshot, Ignored, Pong, WireTicker, WireTrades

DRIVER = BybitDriver()


def book(*, topic: str = "orderbook.50.BTCUSDT", kind: str = "delta", **data: Any) -> dict[str, Any]:
    inner = {"s": "BTCUSDT", "b": [["100", "1"]], "a": [["101", "2"]], "u": 7, "seq": 900} | data
    return {"topic": topic, "ts": 1784800000022, "type": kind, "data": inner, "cts": 1784800000021}


def encoded(message: object) -> bytes:
    return json.dumps(message, separators=(",", ":")).encode()


def decoded(message: object) -> object:
    return DRIVER.decode(encoded(message))


def test_a_delta_spans_one_id_and_keeps_the_text_of_its_numbers() -> None:
    event = decoded(book(b=[["64200.10", "0.000"]], a=[], u=8))
    assert event == BookDiff(
        "BTCUSDT", "orderbook.50.BTCUSDT", 8, 8, [("64200.10", "0.000")], [], 1784800000021 * 10**6, 900
    )


@pytest.mark.parametrize("depth", [1, 50, 200, 1000])
def test_a_snapshot_is_as_deep_as_its_topic(depth: int) -> None:
    event = decoded(book(topic=f"orderbook.{depth}.BTCUSDT", kind="snapshot"))
    assert isinstance(event, BookSnapshot)
    assert (event.limit, event.update_id, event.sequence) == (depth, 7, 900)


def test_the_best_prices_topic_is_a_snapshot_of_depth_one_however_often_it_repeats() -> None:
    frame = encoded(book(topic="orderbook.1.BTCUSDT", kind="snapshot"))
    first, repeated = DRIVER.decode(frame), DRIVER.decode(frame)
    assert first == repeated
    assert isinstance(first, BookSnapshot)
    assert (first.stream, first.limit) == ("orderbook.1.BTCUSDT", 1)


def test_update_id_one_replaces_the_book_whatever_its_type_says() -> None:
    assert isinstance(decoded(book(kind="delta", u=1)), BookSnapshot)
    assert isinstance(decoded(book(kind="snapshot", u=1)), BookSnapshot)
    assert isinstance(decoded(book(kind="delta", u=2)), BookDiff)
    assert decoded(book(kind="full", u=1)) == Ignored("malformed")


def test_without_the_engines_time_the_push_time_counts() -> None:
    message = book()
    del message["cts"]
    event = decoded(message)
    assert isinstance(event, BookDiff)
    assert event.venue_time_ns == 1784800000022 * 10**6


@pytest.mark.parametrize(
    "change",
    [
        {"u": -1},
        {"u": 2**63},
        {"u": "7"},
        {"u": 7.0},
        {"u": True},
        {"u": None},
        {"seq": -5},
        {"s": ""},
        {"s": "ETHUSDT"},
        {"s": "TCUSDT"},
        {"s": ".BTCUSDT"},
        {"s": None},
        {"b": None},
        {"b": {}},
        {"b": [["100"]]},
        {"b": [["100", "1", "1"]]},
        {"b": [[100, 1]]},
        {"b": [["100", None]]},
        {"a": ["100", "1"]},
    ],
)
def test_a_book_frame_that_is_not_sound_is_no_book(change: dict[str, Any]) -> None:
    for kind in ("delta", "snapshot"):
        assert decoded(book(kind=kind, **change)) == Ignored("malformed")


@pytest.mark.parametrize("missing", ["s", "b", "a", "u"])
def test_a_book_frame_that_lacks_a_field_is_no_book(missing: str) -> None:
    message = book()
    del message["data"][missing]
    assert decoded(message) == Ignored("malformed")


@pytest.mark.parametrize("time_ms", [-1, 2**63, 10**13 * 10**6, "1784800000021", 1.5])
def test_a_time_that_is_none_is_no_book(time_ms: object) -> None:
    assert decoded(book() | {"cts": time_ms}) == Ignored("malformed")


@pytest.mark.parametrize(
    "topic",
    ["orderbook.full.BTCUSDT", "orderbook.rpi.BTCUSDT", "orderbook.500.BTCUSDT", "kline.1.BTCUSDT", "", "orderbook"],
)
def test_topics_that_we_do_not_read_are_counted_as_such(topic: str) -> None:
    assert decoded(book(topic=topic)) == Ignored("topic")
    assert decoded(dict(reversed(book(topic=topic).items()))) == Ignored("topic")


@given(st.permutations(list(book().items())), st.permutations(list(book()["data"].items())), st.booleans())
def test_the_order_of_keys_means_nothing(outer: list[Any], inner: list[Any], spaced: bool) -> None:
    message = dict(outer) | {"data": dict(inner)}
    frame = json.dumps(message, indent=1).encode() if spaced else encoded(message)
    assert DRIVER.decode(frame) == decoded(book())


def test_trades_come_in_the_venues_order_with_the_takers_side() -> None:
    common = {"s": "BTCUSDT", "BT": False, "RPI": False, "seq": 1}
    event = decoded(
        {
            "topic": "publicTrade.BTCUSDT",
            "ts": 2,
            "type": "snapshot",
            "data": [
                {"i": "2290000000012345678", "T": 1784800000001, "p": "1.10", "v": "2", "S": "Buy", **common},
                {"i": "2290000000012345679", "T": 1784800000002, "p": "1.2", "v": "3", "S": "Sell", **common},
            ],
        }
    )
    assert isinstance(event, WireTrades)
    assert [(t.trade_id, t.price, t.quantity, t.aggressor, t.venue_time_ns) for t in event.trades] == [
        ("2290000000012345678", "1.10", "2", Side.BUY, 1784800000001 * 10**6),
        ("2290000000012345679", "1.2", "3", Side.SELL, 1784800000002 * 10**6),
    ]


@pytest.mark.parametrize(
    "change",
    [
        {"S": "None"},
        {"S": "buy"},
        {"p": "x"},
        {"p": ""},
        {"p": "-1"},
        {"p": "1e5"},
        {"p": "1."},
        {"p": ".5"},
        {"p": "1" * 35},
        {"v": "٣"},
        {"v": "1\n"},
        {"i": ""},
        {"i": 5},
        {"T": "1"},
        {"T": -1},
        {"s": "ETHUSDT"},
    ],
)
def test_a_message_with_one_unsound_trade_is_no_trade(change: dict[str, Any]) -> None:
    good = {"i": "1", "T": 5, "p": "1", "v": "2", "S": "Buy", "s": "BTCUSDT"}
    assert decoded({"topic": "publicTrade.BTCUSDT", "data": [good, good | change]}) == Ignored("malformed")
    assert isinstance(decoded({"topic": "publicTrade.BTCUSDT", "data": [good, good]}), WireTrades)


def test_a_spot_ticker_has_no_bid_and_no_ask_and_empty_text_is_nothing() -> None:
    data = {"symbol": "BTCUSDT", "lastPrice": "5.5", "prevPrice24h": "5", "highPrice24h": "", "volume24h": "9"}
    event = decoded({"topic": "tickers.BTCUSDT", "ts": 1784800000050, "data": data | {"turnover24h": "45"}})
    assert event == WireTicker(
        "BTCUSDT", "tickers.BTCUSDT", "5.5", open="5", volume="9", quote_volume="45", venue_time_ns=1784800000050000000
    )
    for change in ({"lastPrice": ""}, {"lastPrice": None}, {"symbol": "ETHUSDT"}):
        assert decoded({"topic": "tickers.BTCUSDT", "ts": 1, "data": data | change}) == Ignored("malformed")


@pytest.mark.parametrize(
    ("frame", "event"),
    [
        (
            '{"success":true,"ret_msg":"subscribe","conn_id":"c","req_id":"41","op":"subscribe"}',
            Ack(41, True, "subscribe"),
        ),
        ('{"success":true,"ret_msg":"","conn_id":"c","req_id":"","op":"subscribe"}', Ack(0, True, "")),
        ('{"success":true,"ret_msg":"unsubscribe","conn_id":"c","op":"unsubscribe"}', Ack(0, True, "unsubscribe")),
        (
            '{"success":false,"ret_msg":"args size \\u003e10","conn_id":"c","req_id":"3","op":"subscribe"}',
            Ack(3, False, "args size >10"),
        ),
        (
            '{"success":false,"ret_msg":"error:handler not found,topic:x"}',
            Ack(0, False, "error:handler not found,topic:x"),
        ),
        (
            '{"success":false,"ret_msg":"error:already subscribed,topic:t","req_id":"9","op":"subscribe"}',
            Ack(9, True, "error:already subscribed,topic:t"),
        ),
        ('{"success":true,"ret_msg":"s","req_id":"-1","op":"subscribe"}', Ack(0, True, "s")),
        ('{"success":true,"ret_msg":"s","req_id":7,"op":"subscribe"}', Ack(0, True, "s")),
        ('{"success":true,"ret_msg":"s","req_id":"99999999999999999999","op":"subscribe"}', Ack(0, True, "s")),
        ('{"success":true,"ret_msg":"pong","conn_id":"c","op":"ping"}', Pong()),
        ('{"req_id":"x","op":"pong","args":["1675418560633"],"conn_id":"c"}', Pong()),
        ('{"success":false,"ret_msg":"Params Error","op":"auth","conn_id":"c"}', Ignored("control")),
        ("{}", Ignored("control")),
        ('{"topic":null}', Ignored("malformed")),
        ("[]", Ignored("malformed")),
        ("", Ignored("json")),
    ],
)
def test_control_frames(frame: str, event: object) -> None:
    assert DRIVER.decode(frame.encode()) == event


def test_the_venues_words_are_kept_short_and_on_one_line() -> None:
    event = decoded({"success": False, "ret_msg": "a\nb" + "x" * 10_000, "op": "subscribe"})
    assert isinstance(event, Ack)
    assert event.message.startswith("a b")
    assert len(event.message) == 200


@given(st.binary(max_size=200))
def test_noise_is_ignored(noise: bytes) -> None:
    assert isinstance(DRIVER.decode(noise), Ignored)
    assert isinstance(DRIVER.decode(b'{"topic":"orderbook.' + noise), Ignored)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "topic": json_values | st.sampled_from(["orderbook.50.B", "publicTrade.B", "tickers.B"]),
            "type": json_values | st.sampled_from(["snapshot", "delta"]),
            "data": json_values
            | st.fixed_dictionaries(
                {},
                optional={
                    key: json_values | st.just("B") | st.integers(0, 9) | st.just([["1", "2"]])
                    for key in ("s", "b", "a", "u", "seq", "symbol", "lastPrice")
                },
            ),
            "ts": json_values,
            "op": json_values,
            "success": json_values,
        },
    )
)
def test_whatever_is_decoded_is_well_formed(message: dict[str, Any]) -> None:
    check_event(DRIVER.decode(json.dumps(message).encode()))


def test_a_deep_book_survives_every_damage() -> None:
    levels = [[str(10_000 - n), "1"] for n in range(1000)]
    frame = encoded(book(topic="orderbook.1000.BTCUSDT", kind="snapshot", b=levels, a=levels))
    assert check_damaged_frames(DRIVER, [frame]) > 200
