"""What is signed, and how it is sent. REST and the WebSocket API have different canonical payloads.

Binance's request security (REST) and "SIGNED request security" of its WebSocket API. REST signs the percent-encoded
query exactly as it is transmitted, without the key (a header); the WebSocket API signs its parameters sorted by name,
as raw UTF-8, the key among them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from urllib.parse import quote

from thespian_connector.drivers.signing import Signer
from thespian_connector.drivers.trading import Auth

KEY_HEADER = "X-MBX-APIKEY"


def spelled(params: Iterable[tuple[str, str]]) -> str:
    """A query string as it goes on the wire: every byte outside RFC 3986's unreserved ones percent-encoded."""
    return "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in params)


def signed(query: str, signer: Signer) -> str:
    """`query` (as it goes on the wire) with its signature last. Base64 has ``+/=``, which a URL must not."""
    return f"{query}&signature={quote(signer.sign(query.encode()), safe='')}"


def signed_query(params: Iterable[tuple[str, str]], auth: Auth) -> str:
    """The query of a signed REST request. All parameters of every method go there: one payload, no body to mix in."""
    timing = (("recvWindow", str(auth.recv_window_ms)), ("timestamp", str(auth.time_ms)))
    return signed(spelled((*params, *timing)), auth.signer)


def payload(params: Mapping[str, str | int]) -> bytes:
    """The canonical payload of a WebSocket API request: `params` without "signature"."""
    return "&".join(f"{name}={params[name]}" for name in sorted(params)).encode()


def signed_params(params: Iterable[tuple[str, str | int]], auth: Auth) -> dict[str, str | int]:
    """The ``params`` of a signed WebSocket API request. No floats: their text would be the server's to choose."""
    whole: dict[str, str | int] = dict(params)
    whole |= {"apiKey": auth.signer.api_key, "recvWindow": auth.recv_window_ms, "timestamp": auth.time_ms}
    return whole | {"signature": auth.signer.sign(payload(whole))}
