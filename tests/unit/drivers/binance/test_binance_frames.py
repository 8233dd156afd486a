import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.binance_samples import (
    AGG_TRADE,
    BOOK_TICKER,
    DEPTH,
    E_MS,
    FRAMES,
    PARTIAL_DEPTH,
    STREAMS,
    TICKER,
    TRADE,
    combined,
    compact,
)

from thespian_connector.drivers.binance.driver import BinanceDriver
from thespian_connector.drivers.conformance import check_event
from thespian_connector.limits import FRAME_BYTES_MAX
from thespian_connector.model import Side
from thespian_connector.model.wire import (
    Ack,
    BookDiff,
    Ignored,
    ServerShutdown,
    TopOfBook,
    WireTicker,
    WireTrade,
    WireTrades,
)

driver = BinanceDriver()
decode = driver.decode
NS = E_MS * 1_000_000
DIFF = BookDiff(
    native="BTCUSDT",
    stream="btcusdt@depth@100ms",
    first_id=157,
    last_id=160,
    bids=[("60000.10000000", "0.50000000"), ("59999.90000000", "0.00000000")],
    asks=[("60000.20000000", "1.25000000")],
    venue_time_ns=NS,
)


def test_a_depth_update_keeps_numbers_as_the_venue_wrote_them() -> None:
    assert decode(combined("btcusdt@depth@100ms", DEPTH)) == DIFF


@pytest.mark.parametrize("spelled", [
    json.dumps({"stream": "btcusdt@depth@100ms", "data": DEPTH}, indent=2),
    json.dumps({"data": DEPTH, "stream": "btcusdt@depth@100ms"}),
    json.dumps({"stream": "btcusdt@depth@100ms", "data": dict(reversed(DEPTH.items())), "new": {"field": [1]}}),
    json.dumps({"stream": "btcusdt@depth@100ms", "data": DEPTH | {"pu": 156, "new": None}}, separators=(",", ":")),
])  # fmt: skip
def test_neither_order_nor_spelling_nor_new_fields_change_what_a_frame_says(spelled: str) -> None:
    assert decode(spelled.encode()) == DIFF


def test_raw_frames_decode_by_their_event() -> None:
    diff = decode(compact(DEPTH))
    assert isinstance(diff, BookDiff)
    assert (diff.native, diff.first_id, diff.last_id) == ("BTCUSDT", 157, 160)
    for data, kind in ((TRADE, WireTrades), (AGG_TRADE, WireTrades), (TICKER, WireTicker), (BOOK_TICKER, TopOfBook)):
        event = decode(compact(data))
        assert type(event) is kind
        assert event.stream.startswith("btcusdt@")


def test_the_event_decides_not_the_streams_name() -> None:
    event = decode(combined("btcusdt@depth@100ms", TRADE))
    assert isinstance(event, WireTrades)


def test_buyer_was_maker_means_that_the_aggressor_sold() -> None:
    sold = WireTrade("BTCUSDT", "12345", "60000.10000000", "0.01000000", Side.SELL, NS - 1_000_000)
    assert decode(combined("btcusdt@trade", TRADE)) == WireTrades("btcusdt@trade", [sold])
    bought = decode(combined("btcusdt@trade", TRADE | {"m": False}))
    assert isinstance(bought, WireTrades)
    assert bought.trades[0].aggressor is Side.BUY


def test_aggregate_trades_have_ids_of_their_own() -> None:
    event = decode(combined("btcusdt@aggTrade", AGG_TRADE))
    assert isinstance(event, WireTrades)
    assert event.trades[0].trade_id == "agg:5933014"
    assert event.trades[0].aggressor is Side.BUY


def test_a_ticker_and_its_empty_side() -> None:
    event = decode(combined("btcusdt@ticker", TICKER | {"b": "0.00000000", "B": "0.00000000"}))
    assert isinstance(event, WireTicker)
    assert (event.last, event.ask, event.ask_quantity) == ("60000.10000000", "60000.20000000", "1.25000000")
    assert (event.bid, event.bid_quantity) == (None, None)
    assert (event.open, event.high, event.low) == ("60015.60000000", "61000.00000000", "59000.00000000")
    assert (event.volume, event.quote_volume, event.venue_time_ns) == ("10000.00000000", "600000000.00000000", NS)


def test_a_book_ticker_names_no_event() -> None:
    event = decode(combined("btcusdt@bookTicker", BOOK_TICKER))
    assert event == TopOfBook(
        native="BTCUSDT",
        stream="btcusdt@bookTicker",
        update_id=400900217,
        bid=("60000.00000000", "31.21000000"),
        ask=("60000.20000000", "40.66000000"),
    )
    empty = decode(combined("btcusdt@bookTicker", BOOK_TICKER | {"a": "0.00000000", "A": "0.00000000"}))
    assert isinstance(empty, TopOfBook)
    assert empty.ask is None
    assert empty.bid is not None


def test_partial_depth_is_never_a_snapshot() -> None:
    assert decode(combined("btcusdt@depth20@100ms", PARTIAL_DEPTH)) == Ignored("partial depth")
    assert decode(compact(PARTIAL_DEPTH)) == Ignored("partial depth")


def test_microseconds_are_told_by_their_size() -> None:
    event = decode(combined("btcusdt@depth@100ms", DEPTH | {"E": E_MS * 1000 + 7}))
    assert isinstance(event, BookDiff)
    assert event.venue_time_ns == NS + 7000


def test_unicode_symbols() -> None:
    event = decode(combined("这是测试币456@depth@100ms", DEPTH | {"s": "这是测试币456"}))
    assert isinstance(event, BookDiff)
    assert event.native == "这是测试币456"


@pytest.mark.parametrize(("reply", "ack"), [
    ({"result": None, "id": 1}, Ack(1, True)),
    ({"result": ["btcusdt@depth"], "id": 3}, Ack(3, True)),
    ({"error": {"code": 2, "msg": "Invalid request: invalid stream"}, "id": 2},
     Ack(2, False, "Invalid request: invalid stream (code 2)")),
    ({"code": 3, "msg": "Invalid JSON"}, Ack(0, False, "Invalid JSON (code 3)")),
    ({"result": None, "id": "text"}, Ack(0, True)),
    ({"result": None, "id": None}, Ack(0, True)),
    ({"result": None, "id": -4}, Ack(0, True)),
])  # fmt: skip
def test_replies_of_both_shapes(reply: dict[str, Any], ack: Ack) -> None:
    assert decode(compact(reply)) == ack


@pytest.mark.parametrize("frame", [
    compact({"e": "serverShutdown", "E": E_MS}),
    combined("!serverShutdown", {"E": E_MS}),
    combined("!serverShutdown", {"e": "serverShutdown", "E": E_MS}),
    compact({"event": {"e": "serverShutdown", "E": E_MS}}),
])  # fmt: skip
def test_server_shutdown_in_every_shape(frame: bytes) -> None:
    assert isinstance(decode(frame), ServerShutdown)


@pytest.mark.parametrize("data", [
    {"e": "kline", "E": E_MS, "s": "BTCUSDT", "k": {}},
    {"e": "24hrMiniTicker", "E": E_MS, "s": "BTCUSDT"},
    {"e": "anEventOfNextYear", "s": "BTCUSDT"},
])  # fmt: skip
def test_unknown_events_are_ignored(data: dict[str, Any]) -> None:
    assert decode(combined("btcusdt@x", data)) == Ignored("event not used")
    assert decode(compact(data)) == Ignored("event not used")


@pytest.mark.parametrize("change", [
    {"U": 161}, {"U": -1}, {"u": -5}, {"U": "157"}, {"u": None}, {"u": 157.5}, {"u": 2**63}, {"E": -1}, {"E": "x"},
    {"E": 2**62}, {"s": ""}, {"s": 5}, {"s": "ETHUSDT"}, {"b": None}, {"b": [["1"]]}, {"b": [["1", "2", "3"]]},
    {"b": [[1, 2]]}, {"a": {}}, {"b": [["1", None]]}, {"u": True},
])  # fmt: skip
def test_a_broken_depth_update_never_becomes_a_diff(change: dict[str, Any]) -> None:
    assert decode(combined("btcusdt@depth@100ms", DEPTH | change)) == Ignored("malformed depthUpdate")
    if change != {"s": "ETHUSDT"}:  # nothing contradicts it in a raw frame
        assert decode(compact(DEPTH | change)) == Ignored("malformed depthUpdate")


@pytest.mark.parametrize("field", sorted(DEPTH.keys() - {"e"}))
def test_a_depth_update_lacks_no_field(field: str) -> None:
    data = {key: value for key, value in DEPTH.items() if key != field}
    assert decode(combined("btcusdt@depth@100ms", data)) == Ignored("malformed depthUpdate")


@pytest.mark.parametrize("number", ["", "1e5", "-1", "NaN", "1_0", " 1", "0x1", "١", "1.", ".5", "9" * 41])
def test_numbers_that_are_none_never_leave_the_decoder(number: str) -> None:
    assert decode(combined("btcusdt@trade", TRADE | {"p": number})) == Ignored("malformed trade")
    assert decode(combined("btcusdt@ticker", TICKER | {"c": number})) == Ignored("malformed 24hrTicker")
    assert decode(combined("btcusdt@bookTicker", BOOK_TICKER | {"A": number})) == Ignored("malformed bookTicker")


@pytest.mark.parametrize("frame", [b"", b"{", b"null", b"[]", b'"x"', b"\x00\xff\xfe", b"[" * 200_000, b"{}"])
def test_what_is_no_message_is_ignored(frame: bytes) -> None:
    assert isinstance(decode(frame), Ignored)


def test_a_frame_beyond_the_limit_is_not_even_parsed() -> None:
    assert decode(b" " * (FRAME_BYTES_MAX + 1)) == Ignored("frame too large")


JUNK = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(allow_nan=False), st.text(max_size=8),
    st.lists(st.one_of(st.text(max_size=4), st.lists(st.text(max_size=4), max_size=3)), max_size=3),
    st.dictionaries(st.sampled_from("eEsUubat"), st.integers(), max_size=3),
)  # fmt: skip


@given(st.sampled_from(FRAMES), st.data())
def test_bytes_changed_at_random_never_raise_nor_make_an_ill_formed_record(frame: bytes, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(frame)))
    length = data.draw(st.integers(0, 6))
    check_event(decode(frame[:at] + data.draw(st.binary(max_size=6)) + frame[at + length :]))


@given(st.sampled_from(sorted(STREAMS)), st.data())
def test_fields_changed_at_random_never_raise_nor_make_an_ill_formed_record(stream: str, data: st.DataObject) -> None:
    fields = dict(STREAMS[stream])
    for key in data.draw(st.lists(st.sampled_from(sorted(fields)), min_size=1, max_size=3)):
        if data.draw(st.booleans()):
            fields.pop(key, None)
        else:
            fields[key] = data.draw(JUNK)
    quick, general = decode(combined(stream, fields)), decode(compact({"data": fields, "stream": stream}))
    check_event(quick)
    assert quick == general
