"""The session's pieces that need neither thread nor socket: pace, subscriptions, lag, errands."""

from __future__ import annotations

import random
import threading

import pytest
from support.feeds import BINANCE, BYBIT
from support.waiting import wait_until

from thespian_connector.model.wire import Ack
from thespian_connector.net.errands import Errands, Mailbox
from thespian_connector.net.lag import LagMeter
from thespian_connector.net.subscriber import Pace, Subscriber, Unanswered

S = 1_000_000_000


def test_no_second_holds_more_frames_than_the_venue_allows() -> None:
    rng = random.Random(4)
    pace, now, sent = Pace(5), 0, []
    for _ in range(3000):
        now += rng.randrange(0, S // 5)
        if rng.random() < 0.1:
            pace.sent(1, now)  # a pong, which does not ask
            sent.append(now)
        while pace.room(now):
            pace.sent(1, now)
            sent.append(now)
    own = [sum(1 for t in sent if start <= t < start + S) for start in sent]
    assert max(own) <= 5 + 2, "pongs come unasked, but our own frames leave one place free for them"
    assert len(sent) > now / S * 3, "and it does not starve"


def test_a_venue_without_a_limit_is_not_paced() -> None:
    pace = Pace(0)
    pace.sent(1000, 0)
    assert pace.room(0)


def drain(subscriber: Subscriber, now_ns: int = 0) -> int:
    count = 0
    while subscriber.next_frame(now_ns) is not None:
        count += 1
    return count


@pytest.mark.parametrize("bad", [{"t3"}, {"t0", "t19"}, set(), {f"t{i}" for i in range(20)}])
def test_exactly_the_bad_topics_are_found_whatever_the_batches(bad: set[str]) -> None:
    topics = [f"t{i}" for i in range(20)]
    subscriber = Subscriber(BYBIT, 5)
    subscriber.subscribe(topics)
    for _ in range(200):
        drain(subscriber)
        pending = list(subscriber._pending.values())
        if not pending:
            break
        for request in pending:
            refused = bool(bad & set(request.frame.topics))
            subscriber.on_ack(Ack(request.frame.request_id, not refused, "bad"))
    assert subscriber.idle
    assert subscriber.confirmed == set(topics) - bad
    assert set(subscriber.refused) == bad


def test_an_ack_without_an_id_is_for_the_oldest_question() -> None:
    subscriber = Subscriber(BYBIT, 5)
    subscriber.subscribe([f"t{i}" for i in range(20)])
    assert drain(subscriber) == 2
    assert subscriber.on_ack(Ack(0, True))[0][0] == "t0"
    assert subscriber.on_ack(Ack(0, True))[0][0] == "t10"
    assert subscriber.on_ack(Ack(0, True)) == ((), ())
    assert subscriber.on_ack(Ack(77, False, "not ours")) == ((), ())


def test_what_is_not_answered_is_asked_once_more() -> None:
    subscriber = Subscriber(BINANCE, 5)
    subscriber.subscribe(["a", "b"])
    drain(subscriber)
    assert subscriber.check(4 * S) == 0
    assert subscriber.check(5 * S) == 1
    assert drain(subscriber, 6 * S) == 2  # leave, then join: some venues do not answer who is in already
    with pytest.raises(Unanswered):
        subscriber.check(11 * S)


def test_a_refused_unsubscribe_is_nobodys_business() -> None:
    subscriber = Subscriber(BINANCE, 5)
    subscriber.resubscribe(["a"])
    drain(subscriber)
    assert subscriber.on_ack(Ack(1, False, "was not subscribed")) == ((), ())
    assert subscriber.on_ack(Ack(2, True)) == (("a",), ())


def test_lag_is_what_is_above_the_quickest_of_late() -> None:
    lag = LagMeter(1.0, window_s=10)
    for second in range(5):
        lag.note(second * S + 777, second * S + 50_000_000)
    assert lag.last_ns == 0
    lag.note(6 * S + 777, 6 * S + 250_000_000)
    assert lag.last_ns == 200_000_000
    assert lag.late_after < (7 * S + 1_100_000_000) - (7 * S + 777)
    assert lag.late_after > (7 * S + 900_000_000) - (7 * S + 777)


def test_lag_that_was_proved_from_outside_counts_from_then_on() -> None:
    lag = LagMeter(1.0)
    lag.note(10 * S, 20 * S)
    lag.late_by(4 * S, S // 2)
    assert lag.last_ns == 4 * S
    assert lag.late_after < 21 * S - 11 * S, "as late as the one before"
    assert lag.late_after >= 21 * S - 15 * S
    assert lag.guessed
    lag.rebase()
    lag.note(15 * S, 21 * S)
    assert (lag.last_ns, lag.guessed) == (0, False)


def test_the_quickest_is_forgotten_in_time_so_that_clocks_may_drift() -> None:
    lag = LagMeter(1.0, window_s=10)
    for second in range(200):
        drift = second * 20_000_000
        lag.note(second * S, second * S + drift)
        assert lag.last_ns <= 0.45 * S
    lag.rebase()
    lag.note(0, 5 * S)
    lag.note(5 * S, 90 * S)
    assert lag.last_ns == 0, "without a time there is nothing to compare; after a rebase the next is the first"


def test_the_mailbox_wakes_runs_in_order_and_tells_when_nobody_listens() -> None:
    mailbox = Mailbox()
    ran: list[int] = []
    assert mailbox.put(lambda: ran.append(1))
    assert mailbox.put(lambda: ran.append(2))
    assert mailbox.waiting
    mailbox.run()
    mailbox.run()
    assert ran == [1, 2]
    mailbox.close()
    assert mailbox.put(lambda: ran.append(3)) is False
    mailbox.wake()


def test_errands_run_elsewhere_and_report_here() -> None:
    mailbox = Mailbox()
    errands = Errands("feed-test-errands", mailbox)
    errands.start()
    results: list[object] = []
    errands.run(threading.get_ident, results.append)
    assert errands.busy
    wait_until(lambda: mailbox.waiting, 60, "the result")
    mailbox.run()
    assert results != [threading.get_ident()]
    assert not errands.busy
    errands.run(lambda: 1 // 0, results.append)
    wait_until(lambda: mailbox.waiting, 60, "the error")
    mailbox.run()
    assert isinstance(results[1], ZeroDivisionError)
    assert errands.stop(60)
    mailbox.close()
