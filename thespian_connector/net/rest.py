"""REST calls to one venue: budget, breaker, single flight, retries, deadlines around `transport.Transport`.

A call's way: breaker (fail fast) -> budget (wait for room, charge) -> breaker (enter) -> sign -> deadline -> send ->
headers correct the budget -> the driver says what the answer is.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

from thespian_connector import limits
from thespian_connector.drivers.base import Driver, RestRequest
from thespian_connector.model.errors import (
    Banned,
    ClockError,
    ConnectorError,
    DeadlineExceeded,
    ExchangeError,
    NotSent,
    RateLimited,
    ServerFault,
    TransportError,
)

from .breaker import Breaker
from .budget import Budget, Grant, Priority, Probe
from .single_flight import SingleFlight
from .transport import Answer, Transport

#: Gets every good answer of a public surface: ("rest", URL, body).
Tap = Callable[[str, str, bytes], None]
Sign = Callable[[RestRequest], RestRequest]
#: Gets the headers of an answer, good or bad.
OnAnswer = Callable[[Mapping[str, str]], None]

USER_AGENT = "thespian-connector"


class _Call(NamedTuple):
    request: RestRequest
    priority: Priority
    #: On the monotonic clock.
    deadline: float
    bypass: bool
    sign: Sign | None
    on_sent: Callable[[], None] | None
    on_answer: OnAnswer | None


class RestClient:
    """One venue's REST, for any number of threads.

    :param budget: the shared one of this venue and egress IP; every request is charged to it before it is sent.
    :param timeout_s: the longest silence within an answer.
    :param connect_timeout_s: the longest way to an open connection.
    :param proxies: as `requests` takes them; the environment's are never read.
    :param resync: measures the venue's clock anew, after it refused a timestamp and before the request is signed again.
    :raises ConfigError: `base_url` is no http(s) URL.
    """

    def __init__(
        self,
        driver: Driver,
        base_url: str,
        *,
        budget: Budget,
        timeout_s: float = limits.REST_READ_S_MAX,
        connect_timeout_s: float = limits.REST_CONNECT_S_MAX,
        tries_max: int = limits.REST_TRIES_MAX,
        proxies: Mapping[str, str] | None = None,
        ca_file: str | None = None,
        tap: Tap | None = None,
        resync: Callable[[], object] | None = None,
        rng: random.Random | None = None,
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.driver = driver
        self.budget = budget
        self._base = base_url.rstrip("/")
        self._transport = Transport(
            base_url,
            user_agent=USER_AGENT,
            exchange=driver.exchange,
            proxies=proxies,
            ca_file=ca_file,
            monotonic=monotonic,
        )
        self._time_request = driver.time_request()
        self._timeout_s = timeout_s
        self._connect_timeout_s = connect_timeout_s
        self._tries_max = tries_max
        self._tap = tap
        self._resync = resync
        self._rng = rng or random.Random()
        self._sleep = sleep
        self._monotonic = monotonic
        self._flights: SingleFlight[bytes] = SingleFlight(monotonic)
        self._breakers: dict[str, Breaker] = {}
        self._lock = threading.Lock()

    def close(self) -> None:
        """Closes idle connections; a call that is under way ends by itself."""
        self._transport.close()

    def breakers(self) -> dict[str, str]:
        """Each surface used so far: ``closed``, ``open`` or ``half_open``."""
        with self._lock:
            return {surface: breaker.state for surface, breaker in self._breakers.items()}

    def call(
        self,
        request: RestRequest,
        *,
        priority: Priority = Priority.DATA,
        deadline_s: float | None = None,
        bypass: bool = False,
        share: bool = True,
        sign: Sign | None = None,
        on_sent: Callable[[], None] | None = None,
        on_answer: OnAnswer | None = None,
    ) -> bytes:
        """The body of a good answer.

        Idempotent requests are tried up to `tries_max` times, with back-off, within the deadline; others once, unless
        no byte of it left or the venue refused its timestamp.

        :param deadline_s: seconds from now, for waiting and all tries together; None: `limits.REST_CALL_S_MAX`.
        :param bypass: pass an open breaker (cancels, order queries, the kill switch).
        :param share: let equal GETs that are in the air at the same time be one request.
        :param sign: makes the request that is sent of `request`, at the last moment before each try.
        :param on_sent: called when a try is written, before its answer is read.
        :param on_answer: called with the headers of each answer.
        :raises DeadlineExceeded, LimitExceeded, CircuitOpen: nothing was sent.
        :raises NotSent, AnswerLost, ServerFault: no usable answer.
        :raises ExchangeError: whatever else the venue answered.
        """
        budgeted_s = limits.REST_CALL_S_MAX if deadline_s is None else deadline_s
        call = _Call(request, priority, self._monotonic() + budgeted_s, bypass, sign, on_sent, on_answer)
        if share and sign is None and request.method == "GET" and not request.body and not request.headers:
            key = (request.path, request.query, priority, bypass)
            return self._flights.do(key, lambda: self._with_retries(call), call.deadline)
        return self._with_retries(call)

    # -- tries

    def _with_retries(self, call: _Call) -> bytes:
        tries = 0
        while True:
            tries += 1
            try:
                return self._once(call)
            except (TransportError, RateLimited, ClockError) as error:
                # What provably was not executed may be sent again, whatever it was.
                unexecuted = isinstance(error, (NotSent, ClockError))
                if not (call.request.idempotent or unexecuted) or tries >= self._tries_max:
                    raise
                if isinstance(error, RateLimited) and error.retry_after_s is None:
                    raise  # nobody knows when it makes sense
                if isinstance(error, ClockError):
                    if self._resync is None or call.sign is None:
                        raise
                    self._resync()
                delay_s = self._backoff_s(tries, error)
                if self._monotonic() + delay_s >= call.deadline:
                    raise
            self._sleep(delay_s)

    def _backoff_s(self, tries: int, error: ExchangeError) -> float:
        """Full jitter (a random share of a growing cap), on top of what the venue asked for."""
        top = min(limits.REST_BACKOFF_S_MAX, limits.REST_BACKOFF_S_BASE * 2.0 ** (tries - 1))
        return (error.retry_after_s or 0.0) + self._rng.uniform(0.0, top)

    def _once(self, call: _Call) -> bytes:
        breaker = self._breaker(call.request.surface)
        if not call.bypass:
            breaker.check()
        while True:
            grant = self._grant(call)
            request = call.request if call.sign is None else call.sign(call.request)
            if self.budget.fresh(grant):  # else we were stopped in between, and its window may be over
                break
        with breaker.guard(bypass=call.bypass):
            answer = self._exchange(request, grant, call.deadline, on_sent=call.on_sent)
            if call.on_answer is not None:
                call.on_answer(answer.headers)
            return self._judge(request, answer)

    def _grant(self, call: _Call) -> Grant:
        left_s = call.deadline - self._monotonic()
        if left_s <= 0:
            raise DeadlineExceeded(
                f"{self.driver.exchange}: too late for {call.request.method} {call.request.path}, not sent"
            )
        probe = Probe(self._time_request.weight, lambda grant: self._learn(grant, call.deadline))
        return self.budget.acquire_request(call.request.weight, call.priority, left_s, probe)

    def _learn(self, grant: Grant, deadline: float) -> None:
        """Asks for the venue's time, for the sake of the headers: what this IP has used, and where windows end."""
        request = self._time_request
        deadline = min(deadline, self._monotonic() + limits.BUDGET_PROBE_S_MAX)
        try:
            with self._breaker(request.surface).guard(bypass=True):
                answer = self._exchange(request, grant, deadline, correct=False)
                venue_ns = self.driver.parse_time_ns(self._judge(request, answer))
        except ExchangeError as error:
            if error.outcome_known and not isinstance(error, TransportError):
                raise
            # Of the request that waits for this nothing was sent, whatever became of the question.
            raise NotSent(
                f"{error.message} (asking what this IP has used, before the first request)",
                exchange=self.driver.exchange,
            ) from error
        self.budget.learn(grant, self.driver.usage(answer.headers), venue_ns)

    # -- one exchange

    def _exchange(
        self,
        request: RestRequest,
        grant: Grant,
        deadline: float,
        *,
        correct: bool = True,
        on_sent: Callable[[], None] | None = None,
    ) -> Answer:
        left_s = deadline - self._monotonic()
        if left_s <= 0:
            raise DeadlineExceeded(f"{self.driver.exchange}: too late for {request.method} {request.path}, not sent")
        answer = self._transport.send(
            request,
            connect_s=min(self._connect_timeout_s, left_s),
            read_s=min(self._timeout_s, left_s),
            deadline=deadline,
            on_sent=on_sent,
        )
        if correct:
            self.budget.correct(grant, self.driver.usage(answer.headers))
        return answer

    def _judge(self, request: RestRequest, answer: Answer) -> bytes:
        error = self.driver.classify(answer.status, answer.headers, answer.body)
        if error is None and answer.status >= 500:
            error = ServerFault(
                f"{self.driver.exchange}: HTTP {answer.status}", exchange=self.driver.exchange, status=answer.status
            )
        if error is not None:
            self._pause_all(error)
            raise error
        if self._tap is not None and request.surface == "public":
            self._tap("rest", f"{self._base}{request.path}?{request.query}".rstrip("?"), answer.body)
        return answer.body

    def _pause_all(self, error: ConnectorError) -> None:
        """An answer that is about the whole IP silences every process of the host; one about an account does not."""
        if isinstance(error, Banned):
            self.budget.pause(error.retry_after_s, banned=True)
        elif (
            isinstance(error, RateLimited) and error.status == 429 and error.code not in self.driver.account_limit_codes
        ):
            self.budget.pause(error.retry_after_s)

    def _breaker(self, surface: str) -> Breaker:
        with self._lock:
            breaker = self._breakers.get(surface)
            if breaker is None:
                name = f"{self.driver.exchange} {surface} REST"
                breaker = self._breakers[surface] = Breaker(name, monotonic=self._monotonic)
            return breaker
