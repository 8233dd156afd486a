"""The table of every venue's newest book: what in it may be believed, given what Registry and the bus said."""

from __future__ import annotations

from decimal import Decimal

from msgspec.structs import replace

from thespian_connector.actors.merging import BookTable, Feed
from thespian_connector.model import Level, OrderBook, Trust

BINANCE = Feed("exchange/binance/market-data/0", "binance", ("BTC/USDT", "ETH/USDT"), "ipc://b", 5, "running")
BYBIT = Feed("exchange/bybit/market-data/0", "bybit", ("BTC/USDT",), "ipc://y", 6, "running")


def book(exchange: str, symbol: str = "BTC/USDT") -> OrderBook:
    level = Level(Decimal(10), Decimal(1))
    return OrderBook(
        exchange=exchange,
        symbol=symbol,
        stream="s",
        update_id=1,
        trust=Trust.LIVE,
        bids=(level,),
        asks=(),
        certified=(1, 0),
    )


def trusts(table: BookTable, symbol: str = "BTC/USDT") -> dict[str, Trust]:
    return {one.exchange: one.trust for one in table.books(symbol)}


def table() -> BookTable:
    made = BookTable()
    made.follow([BINANCE, BYBIT])
    return made


def test_a_feed_that_was_never_heard_is_named_as_syncing() -> None:
    assert trusts(table()) == {"binance": Trust.SYNCING, "bybit": Trust.SYNCING}
    assert table().books("XYZ/USDT") == []


def test_a_book_of_the_running_process_is_believed() -> None:
    one = table()
    assert one.put(5, book("binance"))
    assert trusts(one) == {"binance": Trust.LIVE, "bybit": Trust.SYNCING}


def test_only_what_the_merged_book_shows_makes_another_one() -> None:
    one = table()
    first = book("binance")
    assert one.put(5, first)
    assert not one.put(5, replace(first, verified_at_ns=7, venue_time_ns=7)), "verified: it is the same book"
    assert one.books("BTC/USDT")[0].verified_at_ns == 7
    changes = (
        {"update_id": 2},
        {"trust": Trust.STALE},
        {"stream": "other"},
        {"received_time_ns": 9},
        {"bids": ()},
        {"asks": (Level(Decimal(11), Decimal(1)),)},
    )
    for change in changes:
        assert one.put(5, replace(first, **change)), f"{change} is shown"
        one.put(5, first)
    assert one.put(6, first), "another process's book ends that the old one is not believed"


def test_a_book_of_a_process_that_ended_is_stale_at_once_and_a_newer_ones_is_live() -> None:
    one = table()
    one.put(5, book("binance"))
    assert one.follow([replace(BINANCE, state="restarting"), BYBIT]) == {"BTC/USDT", "ETH/USDT"}
    assert trusts(one)["binance"] is Trust.STALE
    one.put(8, book("binance"))
    assert trusts(one)["binance"] is Trust.LIVE, "the bus may be quicker than Registry"
    one.follow([replace(BINANCE, incarnation=8), BYBIT])
    assert trusts(one)["binance"] is Trust.LIVE


def test_a_replacement_that_was_not_heard_yet_does_not_revive_the_old_book() -> None:
    one = table()
    one.put(5, book("binance"))
    one.follow([replace(BINANCE, incarnation=9, state="starting"), BYBIT])
    assert trusts(one)["binance"] is Trust.STALE


def test_when_the_bus_is_not_read_nothing_is_live() -> None:
    one = table()
    one.put(5, book("binance"))
    assert [book.trust for book in one.books("BTC/USDT", believed=False)] == [Trust.STALE, Trust.SYNCING]


def test_what_is_no_longer_followed_is_forgotten() -> None:
    one = table()
    one.put(5, book("binance"))
    one.follow([BYBIT])
    assert trusts(one) == {"bybit": Trust.SYNCING}
    assert not one.put(5, book("binance"))
    one.follow([BINANCE, BYBIT])
    assert trusts(one)["binance"] is Trust.SYNCING
