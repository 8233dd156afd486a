"""Rolling windows, calendar intervals, and what a request may hold."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from thespian_connector.simulator.bybit.data import interval_end, interval_start
from thespian_connector.simulator.bybit.gate import Window

SECOND = 1_000_000_000


def test_a_window_rolls() -> None:
    window = Window(5)
    assert [window.add(number * SECOND) for number in range(5)] == [1, 2, 3, 4, 5]
    assert window.count(5 * SECOND - 1) == 5
    assert window.count(5 * SECOND) == 4
    assert window.add(100 * SECOND) == 1


def milliseconds(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize(
    ("interval", "start", "end"),
    [
        ("1", "2026-12-17T10:44", "2026-12-17T10:45"),
        ("240", "2026-12-17T08:00", "2026-12-17T12:00"),
        ("D", "2026-12-17", "2026-12-18"),
        ("W", "2026-12-14", "2026-12-21"),
        ("M", "2026-12-01", "2027-01-01"),
    ],
)
def test_intervals_start_where_the_calendar_says(interval: str, start: str, end: str) -> None:
    moment = milliseconds("2026-12-17T10:44:59")
    assert interval_start(moment, interval) == milliseconds(start)
    assert interval_end(milliseconds(start), interval) == milliseconds(end)
    assert interval_start(milliseconds(start), interval) == milliseconds(start)
    assert interval_start(milliseconds(end) - 1, interval) == milliseconds(start)
