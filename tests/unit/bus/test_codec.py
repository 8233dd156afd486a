from __future__ import annotations

from decimal import Decimal

import pytest
from support.bus_records import image, trade

from thespian_connector.bus.codec import (
    EVENT_KINDS,
    STATE_KINDS,
    MalformedMessage,
    decode,
    decode_beat,
    encode,
    pack,
    split_topic,
    topic_of,
    unpack,
)
from thespian_connector.bus.events import BusHeader, Marker
from thespian_connector.model import MergedBook, MergedLevel, OrderBook, Trust


def test_records_survive_exactly() -> None:
    merged = MergedBook(
        symbol="A/B",
        bids=(MergedLevel(Decimal("1.5"), Decimal(3), {"x": Decimal(1), "y": Decimal(2)}),),
        asks=(),
        exchanges=("x", "y"),
        excluded={"z": Trust.STALE},
        crossed=False,
        locked=False,
    )
    for kind, record in (("trade", trade(1)), ("merged", merged), ("marker", Marker(what="gap", missed=2))):
        assert decode(kind, encode(record)) == record
    book = decode("book", encode(image(3)))
    assert isinstance(book, OrderBook)
    assert book.asks[0].quantity == Decimal("0.25")


def test_topics_are_made_and_taken_apart() -> None:
    assert topic_of("book", "binance", "BTC/USDT") == "book|binance|BTC/USDT"
    assert split_topic("book|binance|这是/USDT".encode()) == ("book", "binance", "这是/USDT")
    for arguments in (("other", "x", "y"), ("book", "a|b", "y"), ("book", "a", "b|c")):
        with pytest.raises(ValueError):
            topic_of(*arguments)


@pytest.mark.parametrize("topic", [b"", b"book", b"book|x", b"book|x|y|z", b"other|x|y", b"book|\xff|y"])
def test_what_is_no_topic_is_malformed(topic: bytes) -> None:
    with pytest.raises(MalformedMessage):
        split_topic(topic)


@pytest.mark.parametrize("data", [b"", b"\xc1", encode([1]), encode({"a": "b"}), encode(["x", 1, 2]), b"\xff" * 9])
def test_what_is_no_message_beat_or_record_is_malformed(data: bytes) -> None:
    with pytest.raises(MalformedMessage):
        unpack(data)
    with pytest.raises(MalformedMessage):
        decode_beat(data)
    for kind in STATE_KINDS | EVENT_KINDS:
        with pytest.raises(MalformedMessage):
            decode(kind, data)


@pytest.mark.parametrize("price", ["abc", "", "1" * 10 + "e99999999999999999999", None, [1]])
def test_money_that_is_none_is_malformed(price: object) -> None:
    with pytest.raises(MalformedMessage):
        decode("trade", encode({"exchange": "x", "symbol": "y", "price": price}))


@pytest.mark.parametrize("payload", [b"", b"\0", encode(image(1))])
def test_a_message_comes_apart_as_it_was_put_together(payload: bytes) -> None:
    header = BusHeader(1, 2**40, 2**63)
    message = pack(b"book|x|y", header, payload)
    assert unpack(message) == (b"book|x|y", header, payload)
    with pytest.raises(MalformedMessage):
        unpack(message[: len(message) - len(payload) - 1])


def test_a_beat_is_topics_and_numbers() -> None:
    assert decode_beat(encode({"a|b|c": 4})) == {"a|b|c": 4}
