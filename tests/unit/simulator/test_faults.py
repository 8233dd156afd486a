"""The registry of faults: what fits an event, how often it fires, and what a wrong document is told."""

from __future__ import annotations

from typing import Any

import pytest

from thespian_connector.simulator.faults import KINDS, FaultError, Faults

PINNED = [
    "ws_drop",
    "ws_silent",
    "ws_gap",
    "ws_duplicate",
    "ws_malformed",
    "ws_slow",
    "http_5xx",
    "http_timeout",
    "http_429",
    "http_ban",
    "latency",
    "clock_skew",
    "ack_lost",
    "visibility_delay",
    "user_event_drop",
    "user_event_duplicate",
    "server_shutdown",
    "maintenance",
    "key_revoked",
]


class Clock:
    now_ns = 0

    def __call__(self) -> int:
        return self.now_ns

    def advance(self, seconds: float) -> None:
        self.now_ns += int(seconds * 1_000_000_000)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def faults(clock: Clock) -> Faults:
    return Faults(("binance", "bybit"), clock)


def add(faults: Faults, kind: str, **fields: Any) -> int:
    return faults.add({"venue": "binance", "kind": kind, **fields}).fault_id


def taken(faults: Faults, kind: str, surface: str = "stream", **event: str) -> bool:
    return faults.take("binance", surface, kinds=(kind,), **event) is not None


def listed(faults: Faults) -> dict[str, Any]:
    (only,) = faults.listing()
    return only


@pytest.mark.parametrize("kind", PINNED)
def test_every_pinned_kind_is_known(kind: str) -> None:
    assert kind in KINDS


def test_a_count_is_spent_by_matching_events_only(faults: Faults) -> None:
    add(faults, "ws_gap", count=2)
    assert not taken(faults, "ws_drop")
    assert not taken(faults, "ws_gap", "rest")
    assert faults.take("bybit", "stream", kinds=("ws_gap",)) is None
    assert [taken(faults, "ws_gap") for _ in range(3)] == [True, True, False]
    assert listed(faults) | {"fired": 2, "active": False} == listed(faults)


def test_a_window_takes_every_event_until_it_ends(faults: Faults, clock: Clock) -> None:
    add(faults, "ws_silent", seconds=1.5)
    assert all(taken(faults, "ws_silent") for _ in range(100))
    clock.advance(1.5)
    assert not taken(faults, "ws_silent")
    assert listed(faults)["fired"] == 100


def test_without_an_extent_it_happens_once_but_a_state_stands_until_deleted(faults: Faults, clock: Clock) -> None:
    add(faults, "ws_drop")
    assert [taken(faults, "ws_drop") for _ in range(2)] == [True, False]
    maintenance = add(faults, "maintenance")
    clock.advance(86_400)
    assert taken(faults, "maintenance", "rest")
    assert faults.delete(maintenance) == 1
    assert not taken(faults, "maintenance", "rest")


@pytest.mark.parametrize("symbol", ["BTCUSDT", "BTC/USDT", "btcusdt"])
def test_a_symbol_narrows_it_in_either_spelling(faults: Faults, symbol: str) -> None:
    add(faults, "ws_gap", symbol=symbol, count=1)
    assert not taken(faults, "ws_gap", symbol="ETHUSDT")
    assert taken(faults, "ws_gap", symbol="BTCUSDT")


def test_surface_and_op_narrow_it(faults: Faults) -> None:
    add(faults, "http_5xx", surface="trade", op="place", count=1)
    assert not taken(faults, "http_5xx", "rest", op="place")
    assert not taken(faults, "http_5xx", "trade", op="cancel")
    assert taken(faults, "http_5xx", "trade", op="place")


def test_the_oldest_fitting_fault_fires_first_and_the_next_takes_over(faults: Faults) -> None:
    first, second = add(faults, "ws_gap", count=1), add(faults, "ws_gap", count=1)
    fired = [faults.take("binance", "stream", kinds=("ws_gap",)) for _ in range(2)]
    assert [fault.fault_id for fault in fired if fault] == [first, second]


def test_looking_is_not_firing(faults: Faults) -> None:
    add(faults, "ws_gap", count=1)
    assert faults.matching("binance", "stream", kinds=("ws_gap",)) is not None
    assert listed(faults)["fired"] == 0
    assert taken(faults, "ws_gap")


def test_deleting_all_leaves_none(faults: Faults) -> None:
    add(faults, "ws_gap")
    add(faults, "latency", latency_ms=5)
    assert faults.delete() == 2
    assert faults.listing() == []
    assert not taken(faults, "ws_gap")


def test_listeners_hear_of_a_new_fault_at_once(faults: Faults) -> None:
    heard: list[str] = []
    faults.listeners.append(lambda fault: heard.append(fault.kind))
    add(faults, "ws_drop")
    assert heard == ["ws_drop"]


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({}, "kind: None is not one of ws_drop, ws_silent"),
        ({"kind": "nope", "venue": "binance"}, "kind: 'nope' is not one of ws_drop"),
        ({"kind": "ws_gap"}, "venue: None is not one of binance, bybit"),
        ({"kind": "ws_gap", "venue": "kraken"}, "venue: 'kraken' is not one of binance, bybit"),
        ({"kind": "ws_gap", "venue": "binance", "surface": "rest"}, "surface: 'rest' is not one of stream"),
        ({"kind": "ws_gap", "venue": "binance", "colour": 1}, "colour: ws_gap has no such field; it has venue, kind"),
        ({"kind": "ws_gap", "venue": "binance", "count": 0}, "count: 0 must be an integer from 1"),
        ({"kind": "ws_gap", "venue": "binance", "count": True}, "count: True must be an integer"),
        ({"kind": "ws_gap", "venue": "binance", "seconds": "3"}, "seconds: '3' must be a number"),
        ({"kind": "ws_gap", "venue": "binance", "count": 1, "seconds": 1}, "count: give count or seconds, not both"),
        ({"kind": "ws_gap", "venue": "binance", "symbol": 5}, "symbol: 5 must be a string"),
        ({"kind": "latency", "venue": "binance"}, "latency_ms: latency needs it"),
        ({"kind": "http_ban", "venue": "binance", "status": 500}, "status: 500 is not one of 418, 403, 429"),
        ({"kind": "http_5xx", "venue": "binance", "executed": "no"}, "executed: 'no' must be true or false"),
        ({"kind": "ws_malformed", "venue": "binance", "form": "odd"}, "form: 'odd' is not one of truncated, binary"),
    ],
)
def test_a_wrong_document_is_told_the_field_and_the_choices(
    faults: Faults, document: dict[str, Any], words: str
) -> None:
    with pytest.raises(FaultError) as caught:
        faults.add(document)
    assert str(caught.value).startswith(words)
    assert faults.listing() == []


def test_an_event_on_several_surfaces_with_several_names_is_met_by_a_fault_on_any(faults: Faults) -> None:
    """An order by REST is a request and a trade, and has a neutral name beside the venue's."""
    write: dict[str, Any] = {"op": ("place", "order"), "kinds": ("http_5xx",)}
    for narrowed in ({"surface": "rest"}, {"surface": "trade"}, {"op": "place"}, {"op": "order"}, {}):
        fault = faults.add({"venue": "binance", "kind": "http_5xx", **narrowed})
        assert faults.take("binance", ("trade", "rest"), **write) is fault, narrowed
    for other in ({"surface": "rest"}, {"op": "cancel"}):
        faults.add({"venue": "binance", "kind": "http_5xx", **other})
        assert faults.take("binance", ("trade",), **write) is None, other
