"""Who sends a request: key, clock and signature (v5 docs: "Integration Guidance", "Websocket / Connect").

No socket here: headers and raw bytes come in, and either nothing or Bybit's refusal comes out. What is signed is what
was sent, byte by byte: nothing is decoded or put in order before the signature is checked.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping

from thespian_connector.simulator.venue import Account

from .envelope import PARAMETER_ERROR, VenueError
from .settings import CLOCK_AHEAD_MAX_MS, RECV_WINDOW_DEFAULT_MS

BAD_TIMESTAMP = 10002
BAD_KEY = 10003
BAD_SIGNATURE = 10004
NO_PERMISSION = 10005


def signature(secret: str, signed: str | bytes) -> str:
    """HMAC-SHA256 in lower-case hexadecimal digits."""
    message = signed.encode() if isinstance(signed, str) else signed
    return hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()


def _milliseconds(text: str, name: str) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > 19:
        raise VenueError(PARAMETER_ERROR, f"Request parameter error. {name} is invalid.")
    return int(text)


def check_clock(timestamp: str, recv_window: str, server_ms: int) -> None:
    """The clock rule: ``server - recv_window <= timestamp < server + 1000``.

    :param timestamp: milliseconds as sent.
    :param recv_window: milliseconds as sent; empty means 5000.
    :raises VenueError: 10002 with all three numbers in its text, or 10001 for what is no number.
    """
    window_ms = _milliseconds(recv_window, "recv_window") if recv_window else RECV_WINDOW_DEFAULT_MS
    sent_ms = _milliseconds(timestamp, "timestamp")
    if not server_ms - window_ms <= sent_ms < server_ms + CLOCK_AHEAD_MAX_MS:
        raise VenueError(
            BAD_TIMESTAMP,
            "invalid request, please check your server timestamp or recv_window param. "
            f"req_timestamp[{sent_ms}],server_timestamp[{server_ms}],recv_window[{window_ms}]",
        )


def check_request(account: Account, headers: Mapping[str, str], payload: bytes, server_ms: int) -> None:
    """Check a REST request.

    :param headers: the request's, looked up without regard to case by the mapping itself.
    :param payload: the raw query of a GET, the raw body of a POST.
    :raises VenueError: 10001 without a key, 10003 for a wrong one, 10002 for the clock, 10004 for the signature.
    """
    key = headers.get("X-BAPI-API-KEY", "")
    if not key:
        raise VenueError(PARAMETER_ERROR, "apiKey is missing")
    if not hmac.compare_digest(key.encode(), account.api_key.encode()):
        raise VenueError(BAD_KEY, "API key is invalid.")
    timestamp, recv_window = headers.get("X-BAPI-TIMESTAMP", ""), headers.get("X-BAPI-RECV-WINDOW", "")
    check_clock(timestamp, recv_window, server_ms)
    signed = f"{timestamp}{key}{recv_window}".encode() + payload
    sent = headers.get("X-BAPI-SIGN", "")
    if not hmac.compare_digest(sent.encode(), signature(account.secret, signed).encode()):
        # Bybit repeats what it would have signed, API key included.
        raise VenueError(BAD_SIGNATURE, f"error sign! origin_string[{signed.decode(errors='replace')}]")


def socket_refusal(account: Account, args: object, server_ms: int) -> int:
    """Check the arguments of a socket's ``auth``: ``[key, expires in ms, signature of "GET/realtime" + expires]``.

    :return: 0, or the code of what is wrong: 10001 for its form or a time that is over, 10003 for the key, 10004 for
        the signature.
    """
    if not isinstance(args, list) or len(args) != 3:
        return PARAMETER_ERROR
    key, expires, sent = args
    if isinstance(expires, str) and expires.isascii() and expires.isdigit() and len(expires) < 20:
        expires = int(expires)
    if not isinstance(key, str) or not isinstance(sent, str) or isinstance(expires, bool):
        return PARAMETER_ERROR
    if not isinstance(expires, int) or expires <= server_ms:
        return PARAMETER_ERROR
    if not hmac.compare_digest(key.encode(), account.api_key.encode()):
        return BAD_KEY
    proof = signature(account.secret, f"GET/realtime{expires}")
    return 0 if hmac.compare_digest(sent.encode(), proof.encode()) else BAD_SIGNATURE
