"""The soak: a system on the simulator, read by a program, looked at every minute for what grows, lags or is wrong."""

from __future__ import annotations

import threading
import time
from collections import Counter
from typing import Any, NamedTuple

from figures import percentile, slope
from local import Local, WrongBook, running, runtime_directory
from processes import descriptors, memory, threads
from rich.console import Console

from thespian_connector.bus.events import BusEvent, Marker
from thespian_connector.bus.subscriber import Subscriber
from thespian_connector.model import OrderBook, Trust
from thespian_connector.model.errors import ConnectorError

#: What fills up to its limit is no leak: books and their memory of prices as the price walks (ten minutes), pages that
#: were shared since the fork as they are written to, the simulator's tape and candles (twenty). Slopes begin later.
WARM_UP_SHARE = 0.5
WARM_UP_S_MAX = 1800.0
#: Growth that a verdict calls flat: of all processes together, an hour.
FLAT_MB_AN_HOUR = 8.0
FLAT_DESCRIPTORS_AN_HOUR = 2.0
#: What one process of the system may hold.
PROCESS_PSS_MB_MAX = 40.0


class Sample(NamedTuple):
    """Memory and descriptors are those of the system's processes together; the simulator, a venue, counts apart."""

    at_s: float
    pss_mb: float
    rss_mb: float
    simulator_mb: float
    descriptors: int
    threads: int
    events: int
    reader_p50_us: float
    reader_p99_us: float
    venue_p99_ms: float
    trust_changes: int
    missed: int
    restarts: int
    wrong: int


class Reader:
    """Reads every topic in a thread of this process, as a user's program does."""

    def __init__(self, system: Local) -> None:
        feeds = system.connector.components("exchange/*/market-data/*")
        endpoints = {str(one["name"]): str(one["endpoint"]) for one in feeds}
        self._subscriber = Subscriber(endpoints, [""])
        self._ending = threading.Event()
        self._lock = threading.Lock()
        self._reset()
        self.trusts: dict[tuple[str, str], Trust] = {}
        self.changes: Counter[str] = Counter()
        #: What else was told, a topic each: a silent publisher of two books with three channels says "stale" six times.
        self.markers: Counter[str] = Counter()
        self.missed = 0
        self._thread = threading.Thread(target=self._run, name="reader")
        self._thread.start()

    def _reset(self) -> None:
        self._events = 0
        self._ages_us: list[float] = []
        self._lags_ms: list[float] = []

    def minute(self) -> tuple[int, list[float], list[float]]:
        """Since the last call: events, ages of books at the reader in us, venue's clock to ours in ms."""
        with self._lock:
            taken = self._events, self._ages_us, self._lags_ms
            self._reset()
        return taken

    def close(self) -> None:
        self._ending.set()
        self._thread.join()
        self._subscriber.close()

    def _run(self) -> None:
        while not self._ending.is_set():
            events = self._subscriber.poll(200)
            now_ns = time.time_ns()
            with self._lock:
                self._events += len(events)
                for event in events:
                    self._note(event, now_ns)

    def _note(self, event: BusEvent, now_ns: int) -> None:
        record = event.record
        if isinstance(record, Marker):
            self.missed += record.missed
            if record.what != "live":
                self.markers[f"{event.exchange} {record.what}"] += 1
        elif isinstance(record, OrderBook):
            key = event.exchange, event.symbol
            before = self.trusts.get(key)
            if before is not None and before is not record.trust:
                self.changes[f"{event.exchange} {event.symbol} {before.value} to {record.trust.value}"] += 1
            self.trusts[key] = record.trust
            if record.trust is Trust.LIVE and record.received_time_ns > record.verified_at_ns:
                self._ages_us.append((now_ns - record.received_time_ns) / 1e3)
                if record.venue_time_ns:
                    self._lags_ms.append((record.received_time_ns - record.venue_time_ns) / 1e6)


def soak(seconds: float, every_s: float, console: Console) -> dict[str, Any]:
    """Runs for `seconds`; what it saw every `every_s`, the slopes and a verdict."""
    samples: list[Sample] = []
    sizes: dict[str, list[tuple[float, float]]] = {}
    with runtime_directory(), running() as system:
        reader = Reader(system)
        begun = time.monotonic()
        restarts_at_begin = _restarts(system.status())
        try:
            console.print(f"soak of {seconds:g} s on {system.name}: {len(system.pids())} processes", style="dim")
            due = begun
            wrong = 0
            while due < begun + seconds:
                due = min(due + every_s, begun + seconds)
                time.sleep(max(0.0, due - time.monotonic()))
                wrong += _wrong_books(system, console)
                samples.append(_sample(system, reader, time.monotonic() - begun, restarts_at_begin, wrong, sizes))
                console.print(_line(samples[-1]), highlight=False, soft_wrap=True)
        finally:
            reader.close()
        return _verdict(seconds, samples, reader, sizes, console)


def _wrong_books(system: Local, console: Console) -> int:
    try:
        system.check_truth()
    except WrongBook as error:
        console.print(f"WRONG BOOK: {error}", style="red")
        return 1
    except ConnectorError as error:
        console.print(f"not compared with the truth: {error}", style="yellow")
    return 0


def _restarts(status: dict[str, Any]) -> int:
    return int(status["system"]["restarts"]) + sum(int(row["restarts"]) for row in status["actors"])


def _sample(
    system: Local,
    reader: Reader,
    at_s: float,
    restarts_at_begin: int,
    wrong: int,
    sizes: dict[str, list[tuple[float, float]]],
) -> Sample:
    status = system.status()
    pids = {row["name"]: int(row["pid"]) for row in status["actors"]}
    found = {name: size for name, pid in pids.items() if (size := memory(pid)) is not None}
    for name, size in found.items():
        sizes.setdefault(name, []).append((at_s / 3600, size.pss / 1024))
    venue = found.pop("simulator", None)
    events, ages, lags = reader.minute()
    return Sample(
        at_s=round(at_s, 1),
        pss_mb=sum(size.pss for size in found.values()) / 1024,
        rss_mb=sum(size.rss for size in found.values()) / 1024,
        simulator_mb=venue.pss / 1024 if venue is not None else 0.0,
        descriptors=sum(descriptors(pids[name]) for name in found),
        threads=sum(threads(pids[name]) for name in found),
        events=events,
        reader_p50_us=percentile(ages, 0.5),
        reader_p99_us=percentile(ages, 0.99),
        venue_p99_ms=percentile(lags, 0.99),
        trust_changes=sum(reader.changes.values()),
        missed=reader.missed,
        restarts=_restarts(status) - restarts_at_begin,
        wrong=wrong,
    )


def _line(one: Sample) -> str:
    return (
        f"{one.at_s / 60:6.1f} min  PSS {one.pss_mb:6.1f} MB  RSS {one.rss_mb:6.1f} MB"
        f"  simulator {one.simulator_mb:.0f} MB  fds {one.descriptors}"
        f"  threads {one.threads}  events {one.events:,}  feed to reader p50 {one.reader_p50_us:.0f}"
        f" p99 {one.reader_p99_us:.0f} us  venue to feed p99 {one.venue_p99_ms:.1f} ms"
        f"  trust changes {one.trust_changes}  missed {one.missed}  restarts {one.restarts}  wrong books {one.wrong}"
    )


def _verdict(
    seconds: float,
    samples: list[Sample],
    reader: Reader,
    sizes: dict[str, list[tuple[float, float]]],
    console: Console,
) -> dict[str, Any]:
    warm_s = min(seconds * WARM_UP_SHARE, WARM_UP_S_MAX)
    settled = [one for one in samples if one.at_s >= warm_s]
    hours = [one.at_s / 3600 for one in settled]
    names = ("pss_mb", "rss_mb", "simulator_mb", "descriptors", "threads", "reader_p50_us", "reader_p99_us")
    slopes = {name: slope(hours, [float(getattr(one, name)) for one in settled]) for name in names}
    processes = {}
    for name, points in sizes.items():
        kept = [point for point in points if point[0] * 3600 >= warm_s]
        processes[name] = {
            "first_mb": points[0][1],
            "warm_mb": kept[0][1],
            "pss_mb": points[-1][1],
            "most_mb": max(mb for _, mb in points),
            "an_hour_mb": slope([x for x, _ in kept], [y for _, y in kept]),
        }
    flat = slopes["pss_mb"] <= FLAT_MB_AN_HOUR and slopes["descriptors"] <= FLAT_DESCRIPTORS_AN_HOUR
    over = [name for name, one in processes.items() if name != "simulator" and one["most_mb"] > PROCESS_PSS_MB_MAX]
    last = samples[-1]
    verdict = "flat" if flat else "GROWS"
    if over:
        verdict += f", over {PROCESS_PSS_MB_MAX:g} MB: {', '.join(over)}"
    for name, one in processes.items():
        console.print(
            f"  {name:<32} PSS {one['first_mb']:5.1f} MB at first, {one['warm_mb']:5.1f} warm,"
            f" {one['pss_mb']:5.1f} at last {one['an_hour_mb']:+.2f} MB/h",
            highlight=False,
        )
    console.print(
        f"soak of {seconds / 60:.0f} min, {verdict}: from minute {warm_s / 60:.0f} on an hour adds"
        f" PSS {slopes['pss_mb']:+.1f} MB of {last.pss_mb:.0f},"
        f" fds {slopes['descriptors']:+.1f} of {last.descriptors}, feed to reader p50 {slopes['reader_p50_us']:+.0f} us"
        f" of {last.reader_p50_us:.0f}; trust changes {last.trust_changes}, missed {last.missed}, restarts"
        f" {last.restarts}, wrong books {last.wrong}",
        style="bold",
        highlight=False,
        soft_wrap=True,
    )
    return {
        "seconds": seconds,
        "verdict": verdict,
        "warm_s": warm_s,
        "right": last.wrong == 0,
        "an_hour": slopes,
        "changes": dict(reader.changes),
        "markers": dict(reader.markers),
        "processes": processes,
        "samples": [one._asdict() for one in samples],
    }
