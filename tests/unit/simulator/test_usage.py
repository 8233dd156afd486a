"""What a venue counts of its clients."""

from __future__ import annotations

from thespian_connector.simulator.usage import Usage


def test_earned_and_injected_refusals_are_counted_apart() -> None:
    usage = Usage()
    usage.refused(429)
    usage.refused(429, injected=True)
    usage.refused(418, injected=True)
    document = usage.document()
    assert document["earned"] == {"429": 1, "418": 0, "403": 0}
    assert document["injected"] == {"429": 1, "418": 1, "403": 0}


def test_the_highest_use_of_a_window_stays() -> None:
    usage = Usage()
    for used in (5, 255, 10):
        usage.used("weight", used)
    assert usage.document()["highest"]["weight"] == 255


def test_sockets_are_counted_open_and_the_venue_s_own_ends_by_reason() -> None:
    usage = Usage()
    for _ in range(3):
        usage.opened()
    usage.closed("slow_consumer")
    usage.closed()
    document = usage.document()
    assert (document["ws_connects"], document["sockets_open"]) == (3, 1)
    assert document["ws_dropped"] == {"slow_consumer": 1}


def test_requests_are_counted_by_path() -> None:
    usage = Usage()
    for path in ("/a", "/b", "/a"):
        usage.request(path)
    document = usage.document()
    assert (document["requests"], document["by_path"]) == (3, {"/a": 2, "/b": 1})
