"""What is signed, and how it is sent.

Bybit v5, Integration Guidance: the signature is over ``timestamp + apiKey + recvWindow + payload``, without
separators, where the payload is the raw query (GET) or the raw body (POST): the very characters that are sent, so they
are spelled once, here. Sockets sign ``GET/realtime`` and the time until which the login is valid.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote, urlencode

import msgspec

from thespian_connector.drivers.base import RestRequest
from thespian_connector.drivers.trading import Auth
from thespian_connector.model.errors import ConfigError

from .limits import LOGIN_VALID_MS

CATEGORY = "spot"
#: What a query may hold as it is, and ``%``: a cursor comes percent-encoded, and is sent and signed as it came.
_CURSOR_SAFE = "%:,=+/~-._;@!$'()*?"


def get(path: str, auth: Auth, params: Mapping[str, str], cursor: str = "") -> RestRequest:
    """A signed read. It never has a body, which Bybit answers with a ban's status (403)."""
    query = urlencode(params)
    if cursor:
        query += f"&cursor={quote(cursor, safe=_CURSOR_SAFE)}"
    headers = _headers(query.encode(), auth)
    return RestRequest(method="GET", path=path, query=query, headers=headers, surface="private")


def post(path: str, auth: Auth, params: Mapping[str, str]) -> RestRequest:
    """A signed write: compact JSON in the order of `params`. Never repeated by itself."""
    body = msgspec.json.encode(params)
    headers = (*_headers(body, auth), ("Content-Type", "application/json"))
    return RestRequest(method="POST", path=path, body=body, headers=headers, idempotent=False, surface="orders")


def login_args(auth: Auth) -> list[str | int]:
    """``args`` of a socket's ``auth``: key, end of validity (ms), signature over that end."""
    expires = auth.time_ms + LOGIN_VALID_MS
    return [auth.signer.api_key, expires, _signature(f"GET/realtime{expires}".encode(), auth)]


def _headers(payload: bytes, auth: Auth) -> tuple[tuple[str, str], ...]:
    """The receive window is always told: it is part of what is signed, and Bybit's default could change."""
    time, window = str(auth.time_ms), str(auth.recv_window_ms)
    signed = f"{time}{auth.signer.api_key}{window}".encode() + payload
    return (
        ("X-BAPI-API-KEY", auth.signer.api_key),
        ("X-BAPI-TIMESTAMP", time),
        ("X-BAPI-RECV-WINDOW", window),
        ("X-BAPI-SIGN", _signature(signed, auth)),
    )


def _signature(payload: bytes, auth: Auth) -> str:
    """HMAC in lower-case hex, RSA in base64.

    :raises ConfigError: an Ed25519 key, which Bybit does not take.
    """
    if auth.signer.kind == "ed25519":
        raise ConfigError("bybit: takes HMAC and RSA keys, no Ed25519 ones; make the key anew")
    return auth.signer.sign(payload)
