"""Rolling seconds of an account's endpoints."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from thespian_connector.simulator.bybit.rates import Rates
from thespian_connector.simulator.faults import Faults
from thespian_connector.simulator.venue import Account, Venue

CAP = 3


class Clock:
    """Monotonic and wall clock in one, set by hand."""

    def __init__(self) -> None:
        self.now_ns = 0

    def __call__(self) -> int:
        return self.now_ns


def rates(clock: Clock) -> Rates:
    account = Account("key", "secret", {"USDT": Decimal(1)})
    faults = Faults(("bybit",), clock)
    settings = {"create_max": CAP}
    return Rates(Venue("bybit", {}, faults, account=account, settings=settings, time_ns=clock, monotonic_ns=clock))


@given(st.lists(st.integers(0, 1_500), max_size=60))
def test_no_second_ever_holds_more_than_the_cap_and_the_reset_tells_when_one_more_passes(gaps_ms: list[int]) -> None:
    clock = Clock()
    limits = rates(clock)
    admitted: list[int] = []
    for gap_ms in gaps_ms:
        clock.now_ns += gap_ms * 1_000_000
        budget = limits.charge("order/create", "create_max")
        recent = [when for when in admitted if when > clock.now_ns - 1_000_000_000]
        assert budget.admitted == (len(recent) < CAP)
        if budget.admitted:
            admitted.append(clock.now_ns)
            assert budget.left == CAP - len(recent) - 1
        else:
            assert budget.left == 0
            clock.now_ns = budget.reset_ms * 1_000_000
            assert limits.charge("order/create", "create_max").admitted
            admitted.append(clock.now_ns)


def test_endpoints_do_not_share_and_the_headers_are_text() -> None:
    limits = rates(Clock())
    for _ in range(CAP + 1):
        last = limits.charge("order/create", "create_max")
    assert not last.admitted
    other = limits.charge("order/amend", "create_max")
    assert other.headers() == {
        "X-Bapi-Limit": "3",
        "X-Bapi-Limit-Status": "2",
        "X-Bapi-Limit-Reset-Timestamp": "0",
    }
