from __future__ import annotations

import os
import random
import stat
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.clocks import NS, FakeTime

from thespian_connector.drivers.base import Limit, Usage
from thespian_connector.drivers.registry import driver_for
from thespian_connector.model.errors import ConfigError, LimitExceeded, NotSent, UsageError
from thespian_connector.net.budget import Budget, Grant, Priority, Probe, ceiling

WEIGHT = Limit(name="weight_1m", kind="weight", cap=1000, window_s=60, aligned=True, reported=True)
REQUESTS = Limit(name="requests_5s", kind="requests", cap=600, window_s=5, aligned=False)
CONNECTS = Limit(name="connects_5m", kind="connects", cap=300, window_s=300, aligned=False)


@pytest.fixture
def time() -> FakeTime:
    return FakeTime(wall_s=1_800_000_030.0)  # the middle of a minute


@pytest.fixture
def opened(tmp_path: Path, time: FakeTime) -> Iterator[Callable[..., Budget]]:
    budgets: list[Budget] = []

    def open_one(*limits: Limit, path: Path = tmp_path / "b" / "venue.budget") -> Budget:
        budgets.append(Budget(path, limits or (WEIGHT,), timebase=time.timebase, rng=random.Random(1)))
        return budgets[-1]

    yield open_one
    for budget in budgets:
        budget.close()


def known(budget: Budget, time: FakeTime, used: int = 1) -> Budget:
    """Answers the probe: `used` units are used by the venue's count, one for the probe and one for its request."""
    assert used >= 1
    budget.acquire_request(1, probe=teacher(budget, time, used - 1))
    return budget


def teacher(budget: Budget, time: FakeTime, used: int, offset_s: float = 0.0) -> Probe:
    return Probe(
        1,
        lambda grant: budget.learn(grant, [Usage("weight_1m", used)], time.wall_ns + int(offset_s * NS)),
    )


def used(budget: Budget, limit: str = "weight_1m") -> int:
    return next(use.used for use in budget.used() if use.limit == limit)


class TestShares:
    def test_each_priority_leaves_a_slice_for_those_before_it(
        self, opened: Callable[..., Budget], time: FakeTime
    ) -> None:
        budget = known(opened(), time)
        granted = dict.fromkeys(Priority, 0)
        for priority in (Priority.DATA, Priority.RECONCILE, Priority.ORDER, Priority.CANCEL):
            while budget.try_acquire("weight", 1, priority) == 0.0:
                granted[priority] += 1
            assert used(budget) == ceiling(1000, priority)
        assert granted[Priority.RECONCILE] == 100
        assert granted[Priority.ORDER] == 50
        assert granted[Priority.CANCEL] == 30

    def test_what_can_never_fit_is_a_usage_error_not_a_wait(
        self, opened: Callable[..., Budget], time: FakeTime
    ) -> None:
        with pytest.raises(UsageError, match="801 of weight_1m"):
            known(opened(), time).acquire("weight", 801)

    def test_a_kind_without_a_limit_is_free(self, opened: Callable[..., Budget]) -> None:
        assert opened(REQUESTS).try_acquire("weight", 10**9) == 0.0

    def test_a_request_costs_its_weight_and_one_request(self, opened: Callable[..., Budget], time: FakeTime) -> None:
        budget = opened(REQUESTS, Limit(name="w", kind="weight", cap=1000, window_s=60, aligned=False))
        before = used(budget, "requests_5s"), used(budget, "w")
        budget.acquire_request(25)
        assert (used(budget, "requests_5s") - before[0], used(budget, "w") - before[1]) == (1, 25)


class TestWaiting:
    def test_it_sleeps_until_the_venues_next_minute(self, opened: Callable[..., Budget], time: FakeTime) -> None:
        budget = known(opened(), time)
        budget.acquire("weight", 798)
        budget.acquire("weight", 10)
        assert time.wall_ns / NS == pytest.approx(1_800_000_060.5, abs=0.2)

    def test_it_refuses_at_once_what_would_come_after_the_deadline(
        self, opened: Callable[..., Budget], time: FakeTime
    ) -> None:
        budget = known(opened(), time)
        budget.acquire("weight", 798)
        with pytest.raises(LimitExceeded, match="800 of 800 weight_1m are used and 10 more are wanted") as caught:
            budget.acquire("weight", 10, timeout_s=5.0)
        assert caught.value.retry_after_s == pytest.approx(30.5, abs=0.1)
        assert not time.slept

    def test_two_openers_of_a_file_spend_one_budget(self, opened: Callable[..., Budget], time: FakeTime) -> None:
        first, second = known(opened(), time), opened()
        first.acquire("weight", 500)
        second.acquire("weight", 298)
        assert first.try_acquire("weight", 1) > 0
        assert second.try_acquire("weight", 1) > 0

    def test_a_grant_that_lay_about_is_not_fresh(self, opened: Callable[..., Budget], time: FakeTime) -> None:
        budget = known(opened(), time)
        grant = budget.acquire("weight", 1)
        assert budget.fresh(grant)
        time.advance(3)
        assert not budget.fresh(grant)


class TestHeaders:
    def test_a_higher_header_is_another_programs_use(self, opened: Callable[..., Budget], time: FakeTime) -> None:
        budget = known(opened(), time)
        grant = budget.acquire("weight", 5)
        time.advance(0.1)
        budget.correct(grant, [Usage("weight_1m", 790), Usage("of_no_limit", 5)])
        assert used(budget) == 790

    def test_a_lower_header_takes_nothing_back(self, opened: Callable[..., Budget], time: FakeTime) -> None:
        budget = known(opened(), time)
        grant = budget.acquire("weight", 5)
        budget.correct(grant, [Usage("weight_1m", 1)])
        assert used(budget) == 7

    def test_an_answer_of_the_minute_before_says_nothing_of_this_one(
        self, opened: Callable[..., Budget], time: FakeTime
    ) -> None:
        budget = known(opened(), time)
        grant = budget.acquire("weight", 5)
        time.advance(40)
        budget.correct(grant, [Usage("weight_1m", 700)])
        assert used(budget) == 0


class TestCaps:
    def test_a_cap_that_the_venue_named_counts_for_every_process(
        self, opened: Callable[..., Budget], time: FakeTime
    ) -> None:
        budget, other = known(opened(), time), opened()
        budget.set_caps([Limit(name="weight_1m", kind="weight", cap=100, window_s=60, aligned=True)])
        assert other.try_acquire("weight", 79) > 0
        assert other.try_acquire("weight", 78) == 0.0
        assert other.used()[0].cap == 100

    def test_limits_over_other_windows_say_nothing_of_ours(self, opened: Callable[..., Budget], time: FakeTime) -> None:
        budget = known(opened(), time)
        budget.set_caps(
            [
                Limit(name="weight_1m", kind="weight", cap=10, window_s=30, aligned=True),
                Limit(name="requests_5m", kind="requests", cap=10, window_s=300, aligned=True),
                Limit(name="weight_1m", kind="requests", cap=10, window_s=60, aligned=True),
            ]
        )
        assert budget.used()[0].cap == 1000


class TestANewFile:
    def test_one_probe_goes_and_its_header_is_the_truth(self, opened: Callable[..., Budget], time: FakeTime) -> None:
        budget = opened()
        assert budget.try_acquire("weight", 1) > 0
        budget.acquire_request(5, timeout_s=0.0, probe=teacher(budget, time, 321))
        assert used(budget) == 321 + 1 + 5  # the probe may or may not be in the header's count
        assert not time.slept

    def test_only_one_process_sends_the_probe(self, opened: Callable[..., Budget], time: FakeTime) -> None:
        first, second = opened(), opened()
        sent: list[str] = []

        def first_probe(grant: Grant) -> None:
            sent.append("first")
            with pytest.raises(LimitExceeded, match="not known yet"):
                second.acquire_request(1, timeout_s=0.0, probe=Probe(1, lambda _: sent.append("second")))
            first.learn(grant, [Usage("weight_1m", 10)], time.wall_ns)

        first.acquire_request(1, probe=Probe(1, first_probe))
        second.acquire_request(1, timeout_s=0.0)
        assert sent == ["first"]

    def test_when_the_prober_crashes_another_may_ask(self, opened: Callable[..., Budget], time: FakeTime) -> None:
        dies, lives = opened(), opened()

        def crashes(_: Grant) -> None:
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            dies.acquire_request(1, probe=Probe(1, crashes))
        lives.acquire_request(1, timeout_s=3.0, probe=teacher(lives, time, 7))
        assert used(lives) >= 8

    def test_a_probe_that_was_never_answered_is_forgotten_after_its_time(
        self, opened: Callable[..., Budget], time: FakeTime
    ) -> None:
        budget, other = opened(), opened()
        taken: list[float] = []

        def silent(_: Grant) -> None:  # what a SIGKILL leaves: the lease, and no answer
            other.acquire_request(1, timeout_s=5.0, probe=teacher(other, time, 7))
            taken.append(sum(time.slept))

        budget.acquire_request(1, probe=Probe(1, silent))
        assert taken == [pytest.approx(2.0, abs=0.1)]

    def test_a_failed_probe_is_the_waiters_error_and_leaves_the_way_free(
        self, opened: Callable[..., Budget], time: FakeTime
    ) -> None:
        budget = opened()

        def unreachable(_: Grant) -> None:
            raise NotSent("no route")

        with pytest.raises(NotSent, match="no route"):
            budget.acquire_request(1, probe=Probe(1, unreachable))
        budget.acquire_request(1, timeout_s=0.0, probe=teacher(budget, time, 0))

    def test_cancels_need_not_wait_for_the_probe(self, opened: Callable[..., Budget]) -> None:
        budget = opened()
        granted = 0
        while budget.try_acquire("weight", 1, Priority.CANCEL) == 0.0:
            granted += 1
        assert granted == 30
        assert budget.try_acquire("weight", 1, Priority.ORDER) > 0

    def test_a_header_that_never_comes_leaves_half(self, opened: Callable[..., Budget], time: FakeTime) -> None:
        budget = opened()
        budget.acquire_request(1, probe=Probe(1, lambda grant: budget.learn(grant, [], time.wall_ns)))
        assert used(budget) == 502
        assert [use.known for use in budget.used()] == ["assumed"]

    def test_nobody_asked_the_venue_for_a_whole_window(self, opened: Callable[..., Budget], time: FakeTime) -> None:
        budget = opened()
        time.advance(125)
        budget.acquire("weight", 5, timeout_s=0.0)

    def test_a_short_window_starts_with_a_small_loan_and_is_whole_after_it_passed(
        self, opened: Callable[..., Budget], time: FakeTime
    ) -> None:
        budget = opened(REQUESTS)
        loan = 0
        while budget.try_acquire("requests") == 0.0:
            loan += 1
        assert loan == 60
        budget.acquire("requests", 1, Priority.ORDER, timeout_s=0.0)
        time.advance(5.6)
        granted = 0
        while budget.try_acquire("requests") == 0.0:
            granted += 1
        assert granted == 480

    def test_a_long_window_without_headers_counts_as_half_spent(self, opened: Callable[..., Budget]) -> None:
        budget = opened(CONNECTS)
        granted = 0
        while budget.try_acquire("connects") == 0.0:
            granted += 1
        assert granted == 270 - 150


class TestPause:
    def test_everybody_is_silent_cancels_too(self, opened: Callable[..., Budget], time: FakeTime) -> None:
        budget, other = known(opened(), time), opened()
        budget.pause(7.0)
        for priority in Priority:
            assert other.try_acquire("weight", 1, priority) == pytest.approx(7.0)
        with pytest.raises(LimitExceeded, match="silent"):
            other.acquire("weight", timeout_s=1.0)
        assert other.used()[0].paused_until_ns == time.wall_ns + 7 * NS
        time.advance(7.1)
        assert other.try_acquire("weight") == 0.0
        assert other.used()[0].paused_until_ns == 0

    def test_a_shorter_pause_does_not_end_a_longer_one(self, opened: Callable[..., Budget], time: FakeTime) -> None:
        budget = known(opened(), time)
        budget.pause(100.0)
        budget.pause(1.0)
        assert budget.try_acquire("weight") == pytest.approx(100.0)

    def test_steps_of_the_wall_clock_neither_end_nor_lengthen_it(
        self, opened: Callable[..., Budget], time: FakeTime
    ) -> None:
        budget = known(opened(), time)
        budget.pause(50.0)
        time.wall_ns += 86400 * NS
        assert budget.try_acquire("weight") == pytest.approx(50.0)
        time.wall_ns -= 2 * 86400 * NS
        assert budget.try_acquire("weight") == pytest.approx(50.0)

    def test_a_ban_outlives_a_reboot(
        self, opened: Callable[..., Budget], time: FakeTime, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        known(opened(), time).pause(600.0)
        time.advance(60)
        time.now_ns = 5 * NS
        monkeypatch.setattr("thespian_connector.net.ledger.boot_id", lambda: b"another boot, 16")
        assert opened().try_acquire("weight", 1, Priority.CANCEL) == pytest.approx(540.0)

    def test_until_a_time(self, opened: Callable[..., Budget], time: FakeTime) -> None:
        budget = known(opened(), time)
        budget.pause_until(time.wall_ns + 9 * NS)
        assert budget.try_acquire("weight") == pytest.approx(9.0)

    def test_a_ban_of_unknown_length_is_taken_for_a_long_one(
        self, opened: Callable[..., Budget], time: FakeTime
    ) -> None:
        budget = known(opened(), time)
        budget.pause(None)
        assert budget.try_acquire("weight") == pytest.approx(60.0)
        budget.pause(None, banned=True)
        assert budget.try_acquire("weight") == pytest.approx(600.0)


class TestTheVenuesClock:
    def test_windows_end_by_the_venues_clock_not_ours(self, opened: Callable[..., Budget], time: FakeTime) -> None:
        budget = opened()
        budget.acquire_request(1, probe=teacher(budget, time, 0, offset_s=20.0))
        budget.acquire("weight", 798)
        assert budget.try_acquire("weight", 10) == pytest.approx(10.5, abs=0.2)

    def test_a_step_of_our_wall_clock_frees_nothing(self, opened: Callable[..., Budget], time: FakeTime) -> None:
        budget = known(opened(), time)
        budget.acquire("weight", 798)
        time.wall_ns += 45 * NS
        assert budget.try_acquire("weight", 10) == pytest.approx(30.5, abs=0.1)

    def test_a_step_of_the_venues_clock_frees_nothing_either(
        self, opened: Callable[..., Budget], time: FakeTime
    ) -> None:
        budget = known(opened(), time)
        budget.acquire("weight", 798)
        budget.set_venue_clock(time.wall_ns + 45 * NS - time.now_ns, 0)
        assert used(budget) == 800

    def test_an_old_measurement_widens_the_guard(self, opened: Callable[..., Budget], time: FakeTime) -> None:
        budget = known(opened(), time)
        time.advance(3600 * 10)
        budget.acquire("weight", 798)
        assert budget.try_acquire("weight", 10) == pytest.approx(30.5 + 3.6, abs=0.2)


class TestTheFile:
    def test_is_private_to_the_user(self, opened: Callable[..., Budget]) -> None:
        budget = opened()
        assert stat.S_IMODE(budget.path.stat().st_mode) == 0o600
        assert stat.S_IMODE(budget.path.parent.stat().st_mode) == 0o700

    @pytest.mark.parametrize("spoil", ["torn", "emptied", "longer", "flipped", "version", "noise"])
    def test_an_unreadable_one_counts_as_spent(self, opened: Callable[..., Budget], time: FakeTime, spoil: str) -> None:
        budget = known(opened(WEIGHT, CONNECTS), time)
        record = budget.path.read_bytes()
        middle = len(record) // 2
        flipped = record[:middle] + bytes([record[middle] ^ 1]) + record[middle + 1 :]
        spoilt = {
            "torn": record[:middle],
            "emptied": b"",
            "longer": record + b"x",
            "flipped": flipped,
            "version": record[:8] + struct.pack("<H", 99) + record[10:],
            "noise": random.Random(1).randbytes(len(record)),
        }
        budget.path.write_bytes(spoilt[spoil])
        assert budget.try_acquire("weight") > 0
        other = opened(WEIGHT, CONNECTS)
        assert other.try_acquire("weight") > 0
        assert used(other) == 950
        assert used(other, "connects_5m") == 240
        budget.acquire_request(1, timeout_s=0.0, probe=teacher(budget, time, 5))

    def test_a_removed_one_is_made_anew_and_shared_again(self, opened: Callable[..., Budget], time: FakeTime) -> None:
        first, second = known(opened(), time), opened()
        first.path.unlink()
        assert first.try_acquire("weight") > 0
        known(first, time, used=100)
        assert second.try_acquire("weight", 700) > 0
        assert second.try_acquire("weight", 699) == 0.0

    @pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")  # the child uses no thread
    def test_a_killed_process_has_spent_what_it_was_granted(
        self, opened: Callable[..., Budget], time: FakeTime
    ) -> None:
        budget = known(opened(), time)
        child = os.fork()
        if child == 0:
            budget.acquire("weight", 400)
            os.kill(os.getpid(), 9)
        assert os.WIFSIGNALED(os.waitpid(child, 0)[1])
        assert used(budget) == 402

    @pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")  # the child uses no thread
    def test_a_forked_child_locks_for_itself(self, opened: Callable[..., Budget], time: FakeTime) -> None:
        budget = known(opened(), time)
        told_r, told_w = os.pipe()
        with budget._ledger.transaction():
            child = os.fork()
            if child == 0:
                os.write(told_w, b"s")
                budget.acquire("weight", 1)
                os.write(told_w, b"d")
                os._exit(0)
            assert os.read(told_r, 1) == b"s"
            os.set_blocking(told_r, False)
            with pytest.raises(BlockingIOError):
                os.read(told_r, 1)
        os.set_blocking(told_r, True)
        assert os.read(told_r, 1) == b"d"
        assert os.waitpid(child, 0)[1] == 0
        os.close(told_r)
        os.close(told_w)

    def test_a_holder_that_does_not_go_on_costs_a_refusal_not_a_hang(
        self, opened: Callable[..., Budget], time: FakeTime, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("thespian_connector.limits.BUDGET_LOCK_WAIT_S_MAX", 0.05)
        frozen, budget = known(opened(), time), opened()
        with frozen._ledger.transaction(), pytest.raises(LimitExceeded, match="holds its lock"):
            budget.acquire("weight")

    def test_a_place_where_no_file_can_be_is_a_config_error(
        self, opened: Callable[..., Budget], tmp_path: Path
    ) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(ConfigError, match="cannot be opened"):
            opened(path=tmp_path / "file" / "venue.budget")

    def test_a_link_is_not_followed(self, opened: Callable[..., Budget], tmp_path: Path) -> None:
        (tmp_path / "target").write_text("precious")
        (tmp_path / "link").symlink_to(tmp_path / "target")
        with pytest.raises(ConfigError):
            opened(path=tmp_path / "link")
        assert (tmp_path / "target").read_text() == "precious"


@pytest.mark.parametrize(
    ("exchange", "url", "name"),
    [
        ("binance", "https://api.binance.com", "binance-live.budget"),
        ("binance", "https://api3.binance.com", "binance-live.budget"),
        ("binance", "https://testnet.binance.vision", "binance-testnet.binance.vision_https.budget"),
        ("bybit", "https://api.bytick.com", "bybit-live.budget"),
        ("bybit", "https://api-testnet.bybit.com", "bybit-api-testnet.bybit.com_https.budget"),
        ("bybit", "http://127.0.0.1:8081", "bybit-127.0.0.1_8081.budget"),
    ],
)
def test_all_production_hosts_of_a_venue_share_a_file(tmp_path: Path, exchange: str, url: str, name: str) -> None:
    budget = Budget.for_venue(driver_for(exchange), url, tmp_path)
    assert budget.path == tmp_path / name
    budget.close()
    other = Budget.for_venue(driver_for(exchange), url, tmp_path, egress="10.0.0.7")
    assert other.path != budget.path
    other.close()
