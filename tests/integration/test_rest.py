"""The REST client against a server on loopback that answers, or fails, exactly as told."""

from __future__ import annotations

import gzip
import logging
import random
import socket
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support.http_server import RESET, Asked, HttpServer, Reply, document
from support.waiting import wait_until

from thespian_connector import limits
from thespian_connector.drivers.base import RestRequest
from thespian_connector.drivers.registry import driver_for
from thespian_connector.model.errors import (
    AnswerLost,
    Banned,
    CircuitOpen,
    ClockError,
    ConfigError,
    ConnectorError,
    DeadlineExceeded,
    LimitExceeded,
    NotSent,
    OutcomeUnknown,
    RateLimited,
    Rejected,
    ServerFault,
    UsageError,
)
from thespian_connector.net.budget import Budget, Priority
from thespian_connector.net.clock import ClockOffset
from thespian_connector.net.market import MarketRest
from thespian_connector.net.rest import RestClient

TIME = "/api/v3/time"
DEPTH = {"lastUpdateId": 160, "bids": [["60000.10", "1"]], "asks": [["60000.20", "2"]]}
GET = RestRequest(method="GET", path="/api/v3/depth", query="symbol=BTCUSDT&limit=100", weight=5)
ORDER = RestRequest(
    method="POST",
    path="/api/v3/order",
    query="symbol=BTCUSDT&signature=topsecretsignature",
    headers=(("X-MBX-APIKEY", "topsecretkey"),),
    idempotent=False,
    surface="orders",
)


#: By a venue's clock a minute, in which it counts what is used, has just begun when the test begins.
BEGUN_MS = 1_700_000_041_000


class Venue:
    """A script of replies for everything but the time; the last one repeats."""

    def __init__(self, *replies: Reply | Callable[[Asked], Reply]) -> None:
        self.made = time.monotonic()
        self.replies = list(replies) or [document(DEPTH)]
        self.used = 1
        self.time_replies: list[Reply] = []

    def __call__(self, asked: Asked) -> Reply:
        if asked.target.endswith(TIME):
            if self.time_replies:
                return self.time_replies.pop(0)
            now_ms = BEGUN_MS + int((time.monotonic() - self.made) * 1000)
            return document({"serverTime": now_ms}, X_MBX_USED_WEIGHT_1M=str(self.used))
        reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        return reply(asked) if callable(reply) else reply


class Fixture:
    def __init__(self, directory: Path, venue: Venue, url: str = "", exchange: str = "binance", **options: object):
        self.server = HttpServer(venue).__enter__()
        self.slept: list[float] = []
        driver = driver_for(exchange)
        url = url or self.server.url
        self.budget = Budget.for_venue(driver, url, directory)

        def sleep(seconds: float) -> None:
            self.slept.append(seconds)

        options.setdefault("sleep", sleep)
        self.client = RestClient(driver, url, budget=self.budget, rng=random.Random(1), **options)  # type: ignore[arg-type]  # whatever the test asks for
        self.market = MarketRest(driver, self.client)

    def asked(self) -> list[Asked]:
        """Without the questions for the time."""
        return [asked for asked in self.server.asked if not asked.target.endswith(TIME)]

    def used(self) -> int:
        return self.budget.used()[0].used


Start = Callable[..., Fixture]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    started: list[Fixture] = []

    def start_one(*replies: Reply, **options: object) -> Fixture:
        venue = options.pop("venue", None)
        started.append(Fixture(tmp_path, venue if isinstance(venue, Venue) else Venue(*replies), **options))  # type: ignore[arg-type]  # as above
        return started[-1]

    yield start_one
    for each in started:
        each.client.close()
        each.budget.close()
        each.server.__exit__()


def unused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


class TestTheWire:
    def test_a_depth_snapshot(self, start: Start) -> None:
        snapshot = start().market.depth("BTCUSDT", 100)
        assert (snapshot.update_id, snapshot.bids) == (160, [("60000.10", "1")])

    @pytest.mark.parametrize(
        "query",
        [
            "symbols=%5B%22BTCUSDT%22%2C%22BNBBTC%22%5D",
            "symbol=%E8%BF%99%E6%98%AF456&a=b+c&d=%2B%2F%3D",
            "a=1&a=2&empty=&signature=abc%3D%3D&t=it's(x)*!~;:@/?$,",
        ],
    )
    def test_the_query_is_sent_exactly_as_spelled(self, start: Start, query: str) -> None:
        each = start()
        each.client.call(RestRequest(method="GET", path="/api/v3/x", query=query))
        assert each.asked()[0].target == f"/api/v3/x?{query}"

    @pytest.mark.parametrize("query", ['s=["A"]', "s=%e8", "s=100%", "s=a b", "s=a\r\nHost: evil", "s=é", "a=1#b"])
    def test_what_would_be_re_encoded_is_refused_unsent(self, start: Start, query: str) -> None:
        each = start()
        with pytest.raises(UsageError, match="percent-encoded"):
            each.client.call(RestRequest(method="GET", path="/api/v3/x", query=query))
        assert not each.asked()

    def test_a_get_has_no_body_and_a_post_exactly_its_own(self, start: Start) -> None:
        each = start()
        each.client.call(GET)
        each.client.call(
            RestRequest(
                method="POST", path="/p", body=b'{"a": 1}', headers=(("Content-Type", "application/json"), ("X", "y"))
            )
        )
        get, post = each.asked()
        assert "content-length" not in get.headers
        assert "transfer-encoding" not in get.headers
        assert (post.body, post.headers["content-type"], post.headers["x"]) == (b'{"a": 1}', "application/json", "y")

    def test_one_connection_serves_many_calls_and_cookies_are_not_kept(self, start: Start) -> None:
        each = start(document(DEPTH, Set_Cookie="a=b"))
        for _ in range(5):
            each.client.call(GET)
        assert each.server.connections == 1
        assert not any("cookie" in asked.headers for asked in each.asked())

    def test_the_environments_proxies_are_not_used(self, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
        dead = f"http://127.0.0.1:{unused_port()}"
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, dead)
        start().client.call(GET)

    def test_a_proxy_that_was_asked_for_is(self, start: Start) -> None:
        each = start()
        through = start(url="http://venue.invalid", proxies={"http": each.server.url})
        through.client.call(GET)
        assert each.asked()[0].target.startswith("http://venue.invalid/api/v3/depth?")

    def test_a_compressed_answer(self, start: Start) -> None:
        body = gzip.compress(b'{"a": 1}')
        assert start(Reply(body, headers=(("Content-Encoding", "gzip"),))).client.call(GET) == b'{"a": 1}'

    def test_a_chunked_answer(self, start: Start) -> None:
        raw = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
        assert start(Reply(raw=raw)).client.call(GET) == b"abcde"

    @pytest.mark.parametrize(
        "url", ["ftp://h", "http://", "h:80", "http://u:p@h", "http://h?x=1", "http://h:99999", ""]
    )
    def test_a_url_that_is_none_is_a_config_error(self, tmp_path: Path, url: str) -> None:
        budget = Budget(tmp_path / "b", driver_for("binance").limits)
        with pytest.raises(ConfigError, match="REST URL"):
            RestClient(driver_for("binance"), url, budget=budget)
        budget.close()

    def test_the_tap_sees_public_answers_only(self, start: Start) -> None:
        seen: list[tuple[str, str, bytes]] = []
        each = start(Reply(b"1"), tap=lambda *what: seen.append(what))
        each.client.call(GET)
        each.client.call(ORDER)
        assert ("rest", f"{each.server.url}/api/v3/depth?symbol=BTCUSDT&limit=100", b"1") in seen
        assert not any("order" in url for _, url, _ in seen)


class TestWhatBecameOfIt:
    """NotSent, or an outcome that nobody knows: the difference decides whether an order may be sent again."""

    def once(self, each: Fixture, request: RestRequest = ORDER, **options: object) -> ConnectorError:
        with pytest.raises(ConnectorError) as caught:
            each.client.call(request, **options)  # type: ignore[arg-type]  # whatever the test asks for
        shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value) + repr(caught.value.__dict__)
        assert "topsecret" not in shown.replace(repr(ORDER), "")
        assert "\n" not in caught.value.message
        return caught.value

    def test_nobody_listens(self, start: Start) -> None:
        port = unused_port()
        error = self.once(start(url=f"http://127.0.0.1:{port}"))
        assert type(error) is NotSent
        assert error.outcome_known
        assert f"cannot reach 127.0.0.1:{port} (connection refused); check" in error.message

    def test_the_name_does_not_resolve(self, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
        def nowhere(*_: object, **__: object) -> None:
            raise socket.gaierror(-2, "Name or service not known")

        monkeypatch.setattr(socket, "getaddrinfo", nowhere)
        error = self.once(start(url="http://venue.invalid:8080"))
        assert type(error) is NotSent
        assert "venue.invalid:8080 (the name does not resolve)" in error.message

    def test_tls_fails(self, start: Start) -> None:
        plain = start()
        error = self.once(start(url=plain.server.url.replace("http:", "https:"), tries_max=1))
        assert type(error) is NotSent
        assert "TLS failed" in error.message

    def test_a_reset_after_it_was_sent(self, start: Start) -> None:
        each = start(RESET)
        error = self.once(each)
        assert type(error) is AnswerLost
        assert not error.outcome_known
        assert len(each.asked()) == 1

    def test_silence(self, start: Start) -> None:
        each = start(Reply(hold=threading.Event()), timeout_s=1.0)
        each.market.time_ns()  # what is used is known: the order is the next request
        assert type(self.once(each)) is AnswerLost
        wait_until(lambda: len(each.asked()) == 1, 60, "it had been sent")

    @pytest.mark.parametrize(
        "raw",
        [
            b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n{",
            b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 9\r\n\r\nnot gzip!",
            b"HTTP/1.1 200 OK\r\nContent-Le",
            b"SSH-2.0-OpenSSH_9.6\r\n",
        ],
    )
    def test_an_answer_that_is_not_whole(self, start: Start, raw: bytes) -> None:
        assert type(self.once(start(Reply(raw=raw)))) is AnswerLost

    def test_an_answer_that_trickles_beyond_the_deadline(self, start: Start) -> None:
        each = start(Reply(b"x" * 1000, trickle_s=0.02))
        each.market.time_ns()
        error = self.once(each, deadline_s=3.0)
        assert type(error) is AnswerLost
        assert "not whole in time" in error.message

    def test_a_good_answer_must_say_where_it_ends(self, start: Start) -> None:
        assert type(self.once(start(Reply(raw=b"HTTP/1.1 200 OK\r\n\r\n{}")))) is AnswerLost
        assert type(self.once(start(Reply(raw=b"HTTP/1.1 403 No\r\n\r\n<html>")))) is Banned

    def test_the_librarys_own_log_holds_no_query(self, start: Start, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG)
        for reply in (document({}), Reply(raw=b"HTTP/1.1 200 OK\r\nContent-Le")):
            each = start(reply)
            try:
                each.client.call(ORDER)
            except AnswerLost:
                assert reply.raw
        assert "/api/v3/order?..." in caplog.text
        assert "topsecret" not in caplog.text

    @pytest.mark.parametrize("status", [500, 502, 503, 504])
    def test_5xx_is_never_a_no(self, start: Start, status: int) -> None:
        error = self.once(start(Reply(b"<html>gateway</html>", status)))
        assert type(error) is ServerFault
        assert not error.outcome_known

    def test_the_venue_itself_does_not_know(self, start: Start) -> None:
        error = self.once(start(document({"code": -1007, "msg": "Timeout waiting for response."}, 503)))
        assert type(error) is OutcomeUnknown

    def test_a_redirect_is_refused_not_followed(self, start: Start) -> None:
        other = start()
        each = start(Reply(b"", 307, (("Location", f"{other.server.url}/x?signature=topsecretsignature"),)))
        error = self.once(each)
        assert type(error) is ServerFault
        assert "redirect to 127.0.0.1" in error.message
        assert not other.server.asked

    @pytest.mark.parametrize("packed", [False, True])
    def test_a_body_without_end_is_cut_off(self, start: Start, monkeypatch: pytest.MonkeyPatch, packed: bool) -> None:
        monkeypatch.setattr(limits, "BODY_BYTES_MAX", 1_000_000)
        body = b"x" * 30_000_000
        reply = Reply(gzip.compress(body, 1), headers=(("Content-Encoding", "gzip"),)) if packed else Reply(body)
        error = self.once(start(reply))
        assert type(error) is ServerFault
        assert "larger than 1000000 bytes" in error.message

    def test_an_order_is_sent_once_whatever_happens(self, start: Start) -> None:
        for reply in (RESET, Reply(b"", 502), document({"code": -1003, "msg": "x"}, 429, Retry_After="0")):
            each = start(reply)
            self.once(each)
            assert len(each.asked()) == 1


class TestRetries:
    def test_reads_are_tried_again_with_growing_random_delays(self, start: Start) -> None:
        each = start(RESET, Reply(b"", 502), RESET, document(DEPTH))
        each.client.call(GET)
        assert len(each.asked()) == 4
        assert len(each.slept) == 3
        assert all(0 <= slept <= 0.1 * 2**n for n, slept in enumerate(each.slept))

    def test_at_most_so_often(self, start: Start) -> None:
        each = start(Reply(b"", 502))
        with pytest.raises(ServerFault):
            each.client.call(GET)
        assert len(each.asked()) == limits.REST_TRIES_MAX

    def test_never_past_the_deadline(self, start: Start) -> None:
        each = start(document({"code": -1003, "msg": "x"}, 429, Retry_After="5"))
        with pytest.raises(RateLimited):
            each.client.call(GET, deadline_s=4.9)
        assert (len(each.asked()), each.slept) == (1, [])

    def test_what_the_venue_refused_is_not_repeated(self, start: Start) -> None:
        each = start(document({"code": -1121, "msg": "Invalid symbol."}, 400))
        with pytest.raises(Rejected, match="Invalid symbol"):
            each.client.call(GET)
        assert len(each.asked()) == 1

    def test_retry_after_is_waited_for(self, start: Start) -> None:
        each = start(document({"code": -1003, "msg": "x"}, 429, Retry_After="1"), document(DEPTH), sleep=time.sleep)
        started = time.monotonic()
        each.client.call(GET)
        assert time.monotonic() - started >= 1.0

    def test_it_signs_each_try_anew_at_the_last_moment(self, start: Start) -> None:
        signed: list[str] = []

        def sign(request: RestRequest) -> RestRequest:
            signed.append(f"n={len(signed)}")
            return RestRequest(method="GET", path="/api/v3/account", query=signed[-1])

        each = start(RESET, document({}))
        each.client.call(RestRequest(method="GET", path="/api/v3/account"), sign=sign)
        assert [asked.target for asked in each.asked()] == ["/api/v3/account?n=0", "/api/v3/account?n=1"]

    def test_a_refused_timestamp_is_measured_signed_and_sent_anew(self, start: Start) -> None:
        resynced: list[int] = []
        each = start(
            document({"code": -1021, "msg": "Timestamp for this request is outside of the recvWindow."}, 400),
            document({}),
            resync=lambda: resynced.append(1),
        )
        request = RestRequest(method="GET", path="/api/v3/account")
        each.client.call(request, sign=lambda request: request)
        assert (len(each.asked()), resynced) == (2, [1])

    def test_without_somebody_who_signs_it_is_the_callers(self, start: Start) -> None:
        each = start(document({"code": -1021, "msg": "Timestamp"}, 400))
        with pytest.raises(ClockError):
            each.client.call(GET)
        assert len(each.asked()) == 1

    def test_too_late_is_not_sent(self, start: Start) -> None:
        each = start()
        with pytest.raises(DeadlineExceeded):
            each.client.call(GET, deadline_s=0.0)
        assert not each.server.asked


class TestBreaker:
    def test_it_opens_and_fails_fast_but_not_for_cancels(self, start: Start) -> None:
        each = start(*[Reply(b"", 502)] * limits.BREAKER_FAILURES_MAX, document(DEPTH), tries_max=1)
        for _ in range(limits.BREAKER_FAILURES_MAX):
            with pytest.raises(ServerFault):
                each.client.call(ORDER)
        assert each.client.breakers()["orders"] == "open"
        asked, used = len(each.server.asked), each.used()
        with pytest.raises(CircuitOpen, match="binance orders REST"):
            each.client.call(ORDER)
        assert (len(each.server.asked), each.used()) == (asked, used), "nothing sent, nothing charged"
        each.client.call(ORDER, bypass=True)
        each.client.call(GET)  # another surface
        assert each.client.breakers() == {"public": "closed", "orders": "open"}

    def test_five_calls_are_in_the_air_at_once(self, start: Start) -> None:
        together = threading.Barrier(5)

        def slow(_: Asked) -> Reply:
            together.wait(60)  # only if all five are in the air at once
            return document(DEPTH)

        each = start(venue=Venue(slow))
        with ThreadPoolExecutor(5) as pool:
            list(pool.map(lambda n: each.client.call(RestRequest(method="GET", path=f"/{n}")), range(5)))


class TestSingleFlight:
    def test_equal_reads_in_the_air_are_one_request(self, start: Start) -> None:
        hold = threading.Event()
        looks: Counter[str] = Counter()

        def clock() -> float:
            looks[threading.current_thread().name] += 1
            return time.monotonic()

        def joined() -> bool:
            """Each has looked at the clock for its deadline, and again before it waits for the one that asks."""
            return sum(count >= 2 for name, count in list(looks.items()) if name.startswith("asker")) == 4

        each = start(Reply(b"shared", hold=hold), monotonic=clock)
        with ThreadPoolExecutor(4, thread_name_prefix="asker") as pool:
            calls = [pool.submit(each.client.call, GET) for _ in range(4)]
            wait_until(lambda: each.asked(), 60, "the request is in the air")
            wait_until(joined, 60, "the others wait for its answer")
            hold.set()
            assert [call.result(60) for call in calls] == [b"shared"] * 4
        assert len(each.asked()) == 1
        assert each.used() == 1 + 1 + 5

    def test_the_venues_time_is_never_shared(self, start: Start) -> None:
        each = start()
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda _: each.market.time_ns(), range(2)))
        assert each.server.targets().count(TIME) == 3  # one to learn the budget


class TestBudget:
    def test_the_first_call_asks_what_is_used_and_no_other_does(self, start: Start) -> None:
        venue = Venue()
        venue.used = 1234
        each = start(venue=venue)
        for _ in range(3):
            each.client.call(GET)
        assert each.server.targets() == [TIME] + [f"{GET.path}?{GET.query}"] * 3
        assert each.used() == 1234 + 1 + 3 * 5

    def test_headers_correct_it(self, start: Start) -> None:
        each = start(document(DEPTH, x_mbx_used_weight_1m="4000"))
        each.client.call(GET)
        assert each.used() == 4000

    def test_an_exhausted_one_refuses_what_cannot_wait(self, start: Start) -> None:
        each = start(document(DEPTH, X_MBX_USED_WEIGHT_1M="6000"))
        each.client.call(GET)
        with pytest.raises(LimitExceeded) as caught:
            each.client.call(GET, deadline_s=10.0)
        assert caught.value.retry_after_s > 0
        assert len(each.asked()) == 1

    @pytest.mark.parametrize(
        ("exchange", "reply", "kind", "seconds"),
        [
            ("binance", document({"code": -1003, "msg": "Too many requests"}, 429, Retry_After="40"), RateLimited, 40),
            ("binance", document({"code": -1003, "msg": "banned"}, 418, Retry_After="120"), Banned, 120),
            ("binance", Reply(b"<html>", 403), Banned, 600),
            ("bybit", Reply(b"access too frequent", 403), Banned, 600),
            ("bybit", Reply(b"{}", 429), RateLimited, 60),
        ],
    )
    def test_what_is_about_the_ip_silences_every_process(
        self, start: Start, exchange: str, reply: Reply, kind: type[Exception], seconds: float
    ) -> None:
        each = start(reply, exchange=exchange)
        with pytest.raises(kind):
            each.client.call(GET)
        other = Budget(each.budget.path, driver_for(exchange).limits)
        assert other.try_acquire("requests", 1, Priority.CANCEL) == pytest.approx(seconds, abs=20)
        other.close()

    @pytest.mark.parametrize(
        ("exchange", "reply"),
        [
            ("binance", document({"code": -1015, "msg": "Too many new orders"}, 429, Retry_After="40")),
            ("bybit", document({"retCode": 10006, "retMsg": "Too many visits", "time": 1})),
        ],
    )
    def test_what_is_about_the_account_does_not(self, start: Start, exchange: str, reply: Reply) -> None:
        each = start(reply, exchange=exchange)
        with pytest.raises(RateLimited):
            each.client.call(ORDER)
        assert [use.paused_until_ns for use in each.budget.used()] == [0] * len(each.budget.used())

    @pytest.mark.parametrize("reply", [RESET, Reply(b"", 503), Reply(b"not json")])
    def test_when_the_question_before_an_order_fails_the_order_was_not_sent(self, start: Start, reply: Reply) -> None:
        venue = Venue()
        venue.time_replies = [reply] * limits.REST_TRIES_MAX
        each = start(venue=venue)
        with pytest.raises(NotSent, match="before the first request"):
            each.client.call(ORDER)
        assert not each.asked()
        each.client.call(ORDER)
        assert len(each.asked()) == 1

    def test_when_it_fails_once_it_is_put_again_and_the_order_is_sent_once(self, start: Start) -> None:
        venue = Venue()
        venue.time_replies = [RESET]
        each = start(venue=venue)
        each.client.call(ORDER)
        assert len(each.asked()) == 1

    def test_the_listing_tells_the_present_cap(self, start: Start) -> None:
        limit = {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 4321}
        each = start(document({"symbols": [], "rateLimits": [limit]}))
        assert each.market.instruments() == []
        assert each.budget.used()[0].cap == 4321

    def test_bybit_needs_no_question_and_starts_with_a_loan(self, start: Start) -> None:
        each = start(document({"retCode": 0, "retMsg": "OK", "result": {}, "time": 1}), exchange="bybit")
        for n in range(20):
            each.client.call(RestRequest(method="GET", path=f"/v5/{n}"), deadline_s=3.0)
        assert len(each.server.asked) == 20


def test_measuring_the_clock_tells_the_budget_where_minutes_end(start: Start) -> None:
    venue = Venue()
    each = start(venue=venue)
    each.client.call(GET)
    ahead_ms = 25_000
    venue.time_replies = [document({"serverTime": time.time_ns() // 1_000_000 + ahead_ms})] * 9
    clock = ClockOffset()
    each.market.measure_clock(clock)
    assert clock.now_ms() - time.time() * 1000 == pytest.approx(ahead_ms, abs=5_000)
    with each.budget._ledger.transaction() as state:
        assert (state.now_ns + state.offset_ns - time.time_ns()) / 1e6 == pytest.approx(ahead_ms, abs=5_000)


def test_a_caller_is_told_when_a_request_is_written_and_before_its_answer_is_read(start: Start) -> None:
    hold, told = threading.Event(), threading.Event()
    fixture = start(document({}), Reply(hold=hold))
    fixture.client.call(GET)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(fixture.client.call, ORDER, on_sent=told.set)
        assert told.wait(60)
        assert not answer.done()
        hold.set()
        answer.result(60)
    told.clear()
    fixture.client.call(GET)
    assert not told.is_set(), "the next on the same connection is another's"
