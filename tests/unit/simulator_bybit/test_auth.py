"""Who may send what: key, clock and signature of requests and sockets, byte by byte."""

from __future__ import annotations

import re
from decimal import Decimal

import pytest

from thespian_connector.simulator.bybit.auth import check_clock, check_request, signature, socket_refusal
from thespian_connector.simulator.bybit.envelope import VenueError
from thespian_connector.simulator.venue import Account

KEY, SECRET, SENT_MS = "DEMOKEY000000000001", "demo-secret-0123456789abcdefghijklmn", 1784800000000
ACCOUNT = Account(KEY, SECRET, {"USDT": Decimal(1)})
QUERY = b"category=spot&symbol=BTCUSDT&openOnly=0&limit=50"
BODY = (
    b'{"category":"spot","symbol":"BTCUSDT","side":"Buy","orderType":"Limit","qty":"0.001","price":"60000.1",'
    b'"timeInForce":"GTC","orderLinkId":"erl-000001"}'
)
SPACED = BODY.replace(b":", b": ").replace(b",", b", ")
# Worked out with openssl from the rule of "Integration Guidance"; Bybit's own samples do not tell their secret.
VECTORS = [
    (QUERY, "ba8a940dd7785b3382a1a98ca853155e34ede72f910c18c3d0d4abf14b5805a7"),
    (b"", "ce4d450c38ad9c534c96b4c465dcd533a99b56fc1826232399048867be70176a"),
    (BODY, "64765090d96a0492c2e54d7e6bba0f6d983714ad23395cc06c435092740faadc"),
    (SPACED, "5595db76eb1424d2fdd44828549bfa123078da955ee9b0d9e1cc1afc9fdda456"),
]


def headers(sign: str, **changed: str) -> dict[str, str]:
    return {
        "X-BAPI-API-KEY": KEY,
        "X-BAPI-TIMESTAMP": str(SENT_MS),
        "X-BAPI-RECV-WINDOW": "5000",
        "X-BAPI-SIGN": sign,
    } | {name.replace("_", "-"): value for name, value in changed.items()}


def code(payload: bytes, sign: str, now_ms: int = SENT_MS, **changed: str) -> int:
    try:
        check_request(ACCOUNT, headers(sign, **changed), payload, now_ms)
    except VenueError as error:
        return error.code
    return 0


@pytest.mark.parametrize(("payload", "sign"), VECTORS)
def test_the_signature_is_of_the_bytes_as_sent(payload: bytes, sign: str) -> None:
    assert code(payload, sign) == 0
    assert code(payload + b" ", sign) == 10004
    assert code(payload, sign.upper()) == 10004


def test_bybit_tells_which_part_is_wrong() -> None:
    payload, sign = VECTORS[0]
    assert code(payload, sign, X_BAPI_API_KEY="") == 10001
    assert code(payload, sign, X_BAPI_API_KEY="another") == 10003
    assert code(payload, sign, X_BAPI_TIMESTAMP="soon") == 10001
    assert code(payload, sign, X_BAPI_TIMESTAMP="") == 10001
    assert code(payload, sign, X_BAPI_RECV_WINDOW="6000") == 10004
    assert code(payload, "") == 10004
    with pytest.raises(VenueError, match=rf"^10004: error sign! origin_string\[{SENT_MS}{KEY}5000"):
        check_request(ACCOUNT, headers("0"), payload, SENT_MS)


@pytest.mark.parametrize(
    ("late_ms", "window", "inside"),
    [(5000, "", True), (5001, "", False), (200, "200", True), (201, "200", False), (-999, "60000", True)],
)
def test_a_timestamp_may_be_as_old_as_the_window_and_a_second_early(late_ms: int, window: str, inside: bool) -> None:
    if inside:
        check_clock(str(SENT_MS), window, SENT_MS + late_ms)
        return
    with pytest.raises(VenueError) as caught:
        check_clock(str(SENT_MS), window, SENT_MS + late_ms)
    assert caught.value.code == 10002


def test_no_window_is_wide_enough_for_a_fast_clock_and_the_text_tells_all_three_numbers() -> None:
    with pytest.raises(VenueError) as caught:
        check_clock(str(SENT_MS + 1000), "60000", SENT_MS)
    told = re.search(r"req_timestamp\[(\d+)\],server_timestamp\[(\d+)\],recv_window\[(\d+)\]$", caught.value.message)
    assert told is not None
    assert tuple(map(int, told.groups())) == (SENT_MS + 1000, SENT_MS, 60000)


def test_a_socket_proves_itself_with_a_time_that_is_not_over() -> None:
    expires, proof = 1784800010000, "eb45dedce5bc9a0236daf57f7f0db7e95807e6633677bc75e7dd2301a8a2eb93"
    assert signature(SECRET, f"GET/realtime{expires}") == proof
    assert socket_refusal(ACCOUNT, [KEY, expires, proof], SENT_MS) == 0
    assert socket_refusal(ACCOUNT, [KEY, str(expires), proof], SENT_MS) == 0
    assert socket_refusal(ACCOUNT, [KEY, expires, proof], expires) == 10001
    assert socket_refusal(ACCOUNT, ["another", expires, proof], SENT_MS) == 10003
    assert socket_refusal(ACCOUNT, [KEY, expires, proof[::-1]], SENT_MS) == 10004
    for malformed in (None, [], [KEY, proof], [KEY, True, proof], [KEY, "x", proof], [1, expires, proof]):
        assert socket_refusal(ACCOUNT, malformed, SENT_MS) == 10001
