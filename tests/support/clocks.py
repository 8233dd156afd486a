"""Time that tests move by hand."""

from __future__ import annotations

from thespian_connector.net.timebase import Timebase

NS = 1_000_000_000


class FakeTime:
    """A host's clocks in seconds; sleeping moves them. `wall_s` may be stepped without the monotonic one noticing."""

    def __init__(self, now_s: float = 1000.0, wall_s: float = 1_800_000_000.0) -> None:
        self.now_ns = int(now_s * NS)
        self.wall_ns = int(wall_s * NS)
        self.slept: list[float] = []

    def advance(self, seconds: float) -> None:
        self.now_ns += round(seconds * NS)
        self.wall_ns += round(seconds * NS)

    def sleep(self, seconds: float) -> None:
        assert seconds >= 0
        self.slept.append(seconds)
        self.advance(seconds)

    def monotonic(self) -> float:
        return self.now_ns / NS

    @property
    def timebase(self) -> Timebase:
        return Timebase(now_ns=lambda: self.now_ns, wall_ns=lambda: self.wall_ns, sleep=self.sleep)
