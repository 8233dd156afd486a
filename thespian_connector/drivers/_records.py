"""What a well-formed record of a driver looks like, for the conformance checks."""

from __future__ import annotations

from decimal import Decimal

from thespian_connector.model import Instrument, Side, dec
from thespian_connector.model.wire import (
    Ack,
    BookDiff,
    BookSnapshot,
    Ignored,
    TopOfBook,
    WireEvent,
    WireLevels,
    WireTicker,
    WireTrade,
    WireTrades,
)

INT_MAX = 2**63 - 1
REASON_CHARS_MAX = 40


def check_event(event: WireEvent) -> None:
    """A record that is well formed: names, numbers that fit 63 bits, levels that are pairs of text."""
    match event:
        case BookSnapshot():
            _named(event.native, event.stream)
            _whole(event.update_id, event.limit, event.venue_time_ns, event.sequence)
            assert event.limit > 0, event
            _levels(event.bids, event.asks)
        case BookDiff():
            _named(event.native, event.stream)
            _whole(event.first_id, event.last_id, event.venue_time_ns, event.sequence)
            assert event.first_id <= event.last_id, event
            _levels(event.bids, event.asks)
        case TopOfBook():
            _named(event.native, event.stream)
            _whole(event.update_id, event.venue_time_ns, event.sequence)
            _levels([side for side in (event.bid, event.ask) if side is not None])
        case WireTrades():
            _named(event.stream)
            for trade in event.trades:
                _trade(trade)
        case WireTicker():
            _ticker(event)
        case Ack():
            _whole(event.request_id)
            assert isinstance(event.ok, bool), event
        case Ignored():
            assert 0 < len(event.reason) <= REASON_CHARS_MAX, f"{event.reason!r} is no short word"
            assert event.reason.isprintable(), event


def check_parsed(native: str, exchange: str, result: object) -> None:
    """What a parser returned is well formed and is about what was asked for."""
    if isinstance(result, list):
        for item in result:
            if isinstance(item, Instrument):
                assert item.exchange == exchange, item
                assert item.symbol == f"{item.base}/{item.quote}", item
                _named(item.native, item.base, item.quote)
                for step in (item.tick_size, item.step_size):
                    assert isinstance(step, Decimal), item
                    assert step > 0, item
            else:
                assert isinstance(item, WireTrade), item
                assert item.native == native, item
                _trade(item)
    elif isinstance(result, BookSnapshot | WireTicker):
        assert result.native == native, f"{native} was asked for, not {result.native}"
        check_event(result)
    else:
        assert isinstance(result, int), result
        _whole(result)


def _trade(trade: WireTrade) -> None:
    _named(trade.native, trade.trade_id)
    _whole(trade.venue_time_ns)
    assert isinstance(trade.aggressor, Side), trade
    assert dec(trade.price, "price") >= 0, trade
    assert dec(trade.quantity, "quantity") >= 0, trade


def _ticker(ticker: WireTicker) -> None:
    _named(ticker.native, ticker.stream)
    _whole(ticker.venue_time_ns)
    optional = (ticker.bid, ticker.bid_quantity, ticker.ask, ticker.ask_quantity, ticker.open, ticker.high, ticker.low)
    for value in (ticker.last, *optional, ticker.volume, ticker.quote_volume):
        assert value is None or dec(value, "ticker") >= 0, ticker


def _named(*names: str) -> None:
    assert all(isinstance(name, str) and name for name in names), names


def _whole(*numbers: int) -> None:
    for number in numbers:
        assert type(number) is int, f"{number!r} is no integer"
        assert 0 <= number <= INT_MAX, f"{number} does not fit 63 bits"


def _levels(*sides: WireLevels) -> None:
    for side in sides:
        for level in side:
            assert isinstance(level, tuple), f"the level {level!r} is no pair"
            assert len(level) == 2, f"the level {level!r} is no pair"
            assert all(isinstance(text, str) for text in level), level
