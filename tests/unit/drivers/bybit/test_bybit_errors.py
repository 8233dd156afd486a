"""Bybit's answers as the error tree: what may be retried, and whether the outcome is known."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thespian_connector.drivers.bybit import BybitDriver
from thespian_connector.drivers.bybit.errors import RULES, UNKNOWN_CODE, Fate, rule
from thespian_connector.model import errors
from thespian_connector.model.errors import Retry

DRIVER = BybitDriver()


def classified(code: int, text: str = "words", headers: dict[str, str] | None = None) -> errors.ExchangeError:
    body = json.dumps({"retCode": code, "retMsg": text, "result": {}, "time": 1784800000000}).encode()
    error = DRIVER.classify(200, headers or {}, body)
    assert error is not None
    return error


@pytest.mark.parametrize("text", ["OK", "success", "SUCCESS", "", None])
def test_success_is_a_zero_code_whatever_the_text(text: str | None) -> None:
    assert DRIVER.classify(200, {}, json.dumps({"retCode": 0, "retMsg": text, "result": {}}).encode()) is None
    assert DRIVER.classify(200, {}, b'{"retCode":0}') is None


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (10000, errors.ServerFault),
        (10001, errors.Rejected),
        (10002, errors.ClockError),
        (10003, errors.AuthError),
        (10004, errors.AuthError),
        (10005, errors.AuthError),
        (10006, errors.RateLimited),
        (10009, errors.AuthError),
        (10016, errors.ServerFault),
        (10018, errors.Banned),
        (10019, errors.Maintenance),
        (110001, errors.OrderNotFound),
        (170213, errors.OrderNotFound),
        (170131, errors.InsufficientBalance),
        (170140, errors.Rejected),
        (170141, errors.OutcomeUnknown),
        (170146, errors.OutcomeUnknown),
        (170222, errors.RateLimited),
        (999999, errors.OutcomeUnknown),
        (-7, errors.OutcomeUnknown),
    ],
)
def test_codes(code: int, kind: type[errors.ExchangeError]) -> None:
    error = classified(code)
    assert type(error) is kind
    assert (error.exchange, error.code, error.status) == ("bybit", code, 200)


def test_what_the_venue_does_not_know_is_never_called_known() -> None:
    for code, entry in RULES.items():
        open_end = entry.fate in (Fate.UNKNOWN, Fate.DUPLICATE, Fate.BUSY)
        assert entry.error.outcome_known is not open_end, (code, entry)
    assert UNKNOWN_CODE.fate is Fate.UNKNOWN
    assert not UNKNOWN_CODE.error.outcome_known


def test_a_limiter_may_be_asked_again_later() -> None:
    for code, entry in RULES.items():
        assert (entry.fate is Fate.LIMITED) == (entry.error is errors.RateLimited), code
    assert {rule(code).fate for code in (10006, 10429, 429, 20003, 170005)} == {Fate.LIMITED}
    assert errors.RateLimited.retry is Retry.LATER


def test_an_id_that_is_taken_means_that_the_first_send_won() -> None:
    assert {rule(code).fate for code in (110072, 170141, 12141)} == {Fate.DUPLICATE}


@pytest.mark.parametrize(
    ("reset", "pause_s"),
    [("1784800000623", 0.623), ("1784799999999", 1.0), ("", 1.0), ("x", 1.0), ("9" * 18, 3600.0), ("9" * 400, 1.0)],
)
def test_a_limit_says_when_it_resets(reset: str, pause_s: float) -> None:
    for name in ("X-Bapi-Limit-Reset-Timestamp", "x-bapi-limit-reset-timestamp"):
        assert classified(10006, headers={name: reset}).retry_after_s == pause_s
    assert classified(10006).retry_after_s == 1.0


def test_the_text_of_a_signature_error_never_leaves() -> None:
    text = "error sign! please check your signature generation algorithm. origin_string[1784DEMOKEY5000a=b]"
    for code in (10003, 10004, 10005, 10007, 33004, 10001, 999999):
        assert "DEMOKEY" not in str(classified(code, text))
        assert "DEMOKEY" not in repr(classified(code, text).document())
    assert "Insufficient balance." in str(classified(170131, "Insufficient balance."))


def test_a_forbidden_ip_is_silent_for_ten_minutes() -> None:
    for body in (b"<html>access too frequent</html>", b"", b'{"retCode":0}'):
        error = DRIVER.classify(403, {}, body)
        assert isinstance(error, errors.Banned)
        assert error.retry_after_s == 600
    for told in (900, 2):
        error = DRIVER.classify(403, {"retry-after": str(told)}, b"")
        assert isinstance(error, errors.Banned)
        assert error.retry_after_s == told


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (200, b"<html>", errors.ServerFault),
        (200, b"", errors.ServerFault),
        (200, b"{}", errors.ServerFault),
        (200, b'{"retCode":"0"}', errors.ServerFault),
        (302, b"", errors.ServerFault),
        (400, b"", errors.Rejected),
        (401, b"null", errors.AuthError),
        (401, b'{"retCode":10003,"retMsg":"x"}', errors.AuthError),
        (400, b'{"retCode":10002,"retMsg":"x"}', errors.ClockError),
        (404, b'{"retCode":77,"retMsg":"x"}', errors.Rejected),
        (408, b"", errors.ServerFault),
        (500, b'{"retCode":0}', errors.ServerFault),
        (502, b"<html>", errors.ServerFault),
        (503, b"", errors.ServerFault),
    ],
)
def test_statuses(status: int, body: bytes, kind: type[errors.ExchangeError]) -> None:
    error = DRIVER.classify(status, {}, body)
    assert type(error) is kind
    assert error.status == status


@given(st.integers(100, 599), st.dictionaries(st.text(max_size=12), st.text(max_size=12), max_size=3), st.binary())
def test_classify_answers_anything(status: int, headers: dict[str, str], body: bytes) -> None:
    error = DRIVER.classify(status, headers, body)
    assert error is not None, "no random body is a good answer"
    assert error.exchange == "bybit"


@given(st.integers() | st.floats() | st.none(), st.text(max_size=30), st.integers() | st.text(max_size=5))
def test_envelopes_of_any_content(code: object, text: str, time: object) -> None:
    body = json.dumps({"retCode": code, "retMsg": text, "time": time}).encode()
    error = DRIVER.classify(200, {"X-Bapi-Limit-Reset-Timestamp": "5"}, body)
    assert (error is None) == (code == 0 and isinstance(code, int))


def test_headers_say_nothing_of_the_ip() -> None:
    assert DRIVER.usage({"X-Bapi-Limit": "20", "X-Bapi-Limit-Status": "19"}) == []
