"""A private session against a server that says what the test wants, frame by frame."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Self

import pytest
from msgspec import structs
from support import binance_trading_samples as binance
from support.bybit_account import WALLET, execution, frame, order
from support.feeds import QUICK
from support.stream_server import Peer, StreamServer
from support.stream_server import frame as ws_frame
from support.waiting import wait_until

from thespian_connector.drivers.base import Endpoints
from thespian_connector.drivers.registry import driver_for, trading_for
from thespian_connector.drivers.signing import HmacSigner
from thespian_connector.drivers.trading import Auth
from thespian_connector.model.errors import ConfigError
from thespian_connector.net.events import FeedTiming
from thespian_connector.net.private import PrivateSession
from thespian_connector.orders.events import BalancesTold, Connected, Disconnected, Executed, Fact, Reported

SHUTDOWN = {"subscriptionId": 0, "event": {"e": "serverShutdown", "E": 1}}


class Private:
    """``with Private("bybit") as it: peer = it.live(); peer.raw(...); it.wait(Executed)``."""

    def __init__(
        self, exchange: str, timing: FeedTiming = QUICK, then: Callable[[Sequence[Fact]], None] | None = None
    ) -> None:
        self.exchange = exchange
        self.server = StreamServer()
        self.facts: list[Fact] = []
        self.failures: list[BaseException] = []
        self.times = 0
        self._then = then
        self._before = set(threading.enumerate())
        self.session = PrivateSession(
            driver_for(exchange),
            trading_for(exchange),
            Endpoints(
                rest="http://127.0.0.1:1", stream=self.server.url, ws_api=self.server.url, private=self.server.url
            ),
            self._auth,
            self._take,
            timing=timing,
            login_retry_s=0.05,
            on_failure=self.failures.append,
        )

    def _auth(self) -> Auth:
        self.times += 1
        return Auth(HmacSigner("key", "secret"), 1_700_000_000_000 + self.times, 2000)

    def _take(self, facts: Sequence[Fact]) -> None:
        self.facts.extend(facts)
        if self._then is not None:
            self._then(facts)

    def __enter__(self) -> Self:
        self.server.__enter__()
        self.session.start()
        return self

    def __exit__(self, *_: object) -> None:
        assert self.session.stop(60)
        self.server.__exit__()
        wait_until(lambda: set(threading.enumerate()) <= self._before, 60, "its threads have ended")
        assert not self.session.connected

    def login(self, peer: Peer) -> Any:
        """The login frame, answered."""
        asked = peer.expect()
        if self.exchange == "binance":
            peer.send({"id": asked["id"], "status": 200, "result": {"subscriptionId": 0}})
        else:
            peer.send({"success": True, "ret_msg": "", "op": "auth", "conn_id": "c"})
        return asked

    def live(self) -> Peer:
        peer = self.server.accept()
        self.login(peer)
        if self.exchange == "bybit":
            asked = peer.expect()
            assert asked["op"] == "subscribe"
            peer.send({"success": True, "ret_msg": "", "op": "subscribe", "conn_id": "c", "req_id": asked["req_id"]})
        wait_until(lambda: self.session.connected, 60, "it is connected")
        return peer

    def kinds(self) -> list[str]:
        return [type(fact).__name__ for fact in self.facts]

    def wait(self, *kinds: type) -> None:
        wanted = [kind.__name__ for kind in kinds]
        wait_until(lambda: self.kinds() == wanted, 60, f"{wanted}, got {self.kinds()}")


def test_bybit_logs_in_then_subscribes_and_only_then_is_connected() -> None:
    with Private("bybit") as it:
        peer = it.server.accept()
        assert it.login(peer)["op"] == "auth"
        assert peer.expect()["op"] == "subscribe"
        assert (it.facts, it.session.connected) == ([], False)
        peer.send({"success": True, "ret_msg": "", "op": "subscribe", "conn_id": "c", "req_id": "2"})
        it.wait(Connected)


def test_binance_subscribes_with_its_login() -> None:
    with Private("binance") as it:
        peer = it.server.accept()
        assert it.login(peer)["method"] == "userDataStream.subscribe.signature"
        it.wait(Connected)
        assert peer.quiet(0.1)


def test_what_the_venue_tells_comes_in_its_order() -> None:
    with Private("bybit") as it:
        peer = it.live()
        for told in (frame("execution.spot", execution()), frame("order.spot", order()), frame("wallet", WALLET)):
            peer.raw(ws_frame(told))
        it.wait(Connected, Executed, Reported, BalancesTold)
        _, executed, reported, balances = it.facts
        assert isinstance(executed, Executed)
        assert isinstance(reported, Reported)
        assert isinstance(balances, BalancesTold)
        assert (executed.source, reported.source, balances.asked_at) == ("stream", "stream", None)
        assert executed.time_ns > 0


def test_a_fill_of_binance_is_told_before_the_order_that_it_filled() -> None:
    with Private("binance") as it:
        peer = it.live()
        peer.send(binance.event(binance.TRADE_EXECUTION), binance.event(binance.POSITION))
        it.wait(Connected, Executed, Reported, BalancesTold)


@pytest.mark.parametrize("exchange", ["binance", "bybit"])
def test_a_lost_connection_is_told_and_made_again_with_another_login(exchange: str) -> None:
    with Private(exchange) as it:
        first = it.live()
        first.close()
        it.live()
        it.wait(Connected, Disconnected, Connected)
        assert it.times == 2


def test_an_announced_end_is_left_at_once() -> None:
    with Private("binance") as it:
        first = it.live()
        first.send(binance.event(binance.NEW_EXECUTION), SHUTDOWN)
        it.live()
        it.wait(Connected, Reported, Disconnected, Connected)
        first.expect_closed()


def test_a_subscription_that_the_venue_ends_is_made_anew() -> None:
    with Private("binance") as it:
        it.live().send(binance.event({"e": "eventStreamTerminated", "E": 1}))
        it.live()
        it.wait(Connected, Disconnected, Connected)


def test_a_refused_login_is_told_each_time_and_tried_again() -> None:
    with Private("bybit") as it:
        for _ in range(2):
            peer = it.server.accept()
            peer.expect()
            peer.send({"success": False, "ret_msg": "Invalid key", "op": "auth", "conn_id": "c"})
        wait_until(lambda: len(it.facts) == 2, 60, "both are told")
        it.wait(Disconnected, Disconnected)
        assert it.session.refusal is not None
        assert "Invalid key" in str(it.session.refusal)
        it.live()
        assert it.session.refusal is None
        assert it.session.counters["refused"] == 2


def test_the_pause_after_a_refusal_grows() -> None:
    with Private("binance") as it:
        moments = []
        for _ in range(5):
            peer = it.server.accept()
            moments.append(time.monotonic())
            asked = peer.expect()
            peer.send({"id": asked["id"], "status": 400, "error": {"code": -2015, "msg": "Invalid API-key"}})
        # 0.05 s doubled three times, of which half at least is waited.
        assert moments[4] - moments[3] >= 0.2


def test_a_login_without_an_answer_is_given_up() -> None:
    with Private("bybit", structs.replace(QUICK, ack_s=2)) as it:
        silent = it.server.accept()
        silent.expect()
        silent.expect_closed()
        it.live()
        it.wait(Connected)
        assert it.session.counters["dropped_no_ack"] == 1


def test_the_answer_to_something_else_is_not_taken_for_the_logins() -> None:
    with Private("binance") as it:
        peer = it.server.accept()
        peer.expect()
        peer.send({"id": 77, "status": 200, "result": {}})
        peer.send(binance.event(binance.NEW_EXECUTION))
        it.wait(Reported)
        assert not it.session.connected


def test_it_keeps_itself_alive_and_leaves_who_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    trading = trading_for("bybit")
    monkeypatch.setattr(type(trading), "private_limits", structs.replace(trading.private_limits, keepalive_s=0.05))
    with Private("bybit", structs.replace(QUICK, pong_s=3)) as it:
        peer = it.live()
        for _ in range(3):
            assert peer.expect()["op"] == "ping"
            peer.send({"req_id": "1", "op": "pong", "args": ["1"], "conn_id": "c"})
        it.server.accept()
        assert it.session.counters["dropped_no_pong"] == 1


def test_a_mute_connection_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    trading = trading_for("binance")
    monkeypatch.setattr(type(trading), "private_limits", structs.replace(trading.private_limits, silence_s=3))
    with Private("binance") as it:
        it.live()
        it.live()
        it.wait(Connected, Disconnected, Connected)
        assert it.session.counters["dropped_mute"] == 1


def test_it_leaves_before_the_venue_would_cut_it(monkeypatch: pytest.MonkeyPatch) -> None:
    trading = trading_for("binance")
    monkeypatch.setattr(type(trading), "private_limits", structs.replace(trading.private_limits, lifetime_s=3))
    with Private("binance") as it:
        it.live()
        it.live()
        it.wait(Connected, Disconnected, Connected)
        assert it.session.counters["dropped_old"] == 1


def test_what_is_not_understood_is_counted_and_hides_nothing() -> None:
    with Private("binance") as it:
        peer = it.live()
        peer.raw(ws_frame(b"nonsense"))
        peer.send({"subscriptionId": 0, "event": {"e": "listStatus"}}, binance.event(binance.NEW_EXECUTION))
        it.wait(Connected, Reported)
        assert it.session.counters["ignored not JSON"] == 1
        assert it.session.counters["ignored event not used"] == 1


def test_pings_are_answered() -> None:
    with Private("binance") as it:
        peer = it.live()
        peer.ping(b"1700000000000")
        assert peer.expect_pong() == b"1700000000000"


def test_a_refused_connection_is_dialled_again() -> None:
    with Private("binance") as it:
        it.server.refuse("503 Service Unavailable")
        it.live()
        it.wait(Connected)


def test_a_consumer_that_fails_ends_it() -> None:
    def fail(_: Sequence[Fact]) -> None:
        raise ZeroDivisionError

    with Private("binance", then=fail) as it:
        it.login(it.server.accept())
        wait_until(lambda: it.failures, 60, "it was told")
        assert isinstance(it.failures[0], ZeroDivisionError)
        assert it.session.failure is it.failures[0]


def test_it_may_be_stopped_before_it_began_and_while_it_dials() -> None:
    it = Private("binance")
    assert it.session.stop(60)
    it.server.__exit__()
    with Private("binance") as other:
        other.server.accept_raw()


def test_endpoints_without_the_private_one_are_refused() -> None:
    with pytest.raises(ConfigError, match="ws_api"):
        PrivateSession(
            driver_for("binance"),
            trading_for("binance"),
            Endpoints(rest="http://127.0.0.1:1", stream="ws://127.0.0.1:1"),
            lambda: Auth(HmacSigner("key", "secret"), 1, 2000),
            lambda _: None,
        )
