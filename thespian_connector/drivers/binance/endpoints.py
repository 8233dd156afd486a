"""Binance Spot's hosts: production, the testnet (own books, wiped monthly), demo mode (live-like books)."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from thespian_connector.drivers.base import Endpoints
from thespian_connector.model import Environment
from thespian_connector.model.errors import ConfigError

WS_API_PATH = "/ws-api/v3"

_HOSTS: dict[Environment, Endpoints] = {
    Environment.LIVE: Endpoints(
        rest="https://api.binance.com",
        stream="wss://stream.binance.com:443",
        ws_api=f"wss://ws-api.binance.com:443{WS_API_PATH}",
    ),
    Environment.TESTNET: Endpoints(
        rest="https://testnet.binance.vision",
        stream="wss://stream.testnet.binance.vision",
        ws_api=f"wss://ws-api.testnet.binance.vision{WS_API_PATH}",
    ),
    Environment.DEMO: Endpoints(
        rest="https://demo-api.binance.com",
        stream="wss://demo-stream.binance.com",
        ws_api=f"wss://demo-ws-api.binance.com{WS_API_PATH}",
    ),
}
_SCHEMES = {"rest": ("https", "http"), "stream": ("wss", "ws"), "ws_api": ("wss", "ws")}
#: Path ends that people copy along with a host; our own paths begin with them.
_OWN_PATHS = {"rest": ("/api/v3", "/api"), "stream": ("/stream", "/ws"), "ws_api": ()}
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def endpoints(environment: Environment, urls: Mapping[str, str]) -> Endpoints:
    """The hosts of `environment`, each replaced by its entry in `urls` where there is one (an empty one is none).

    Outside PAPER a plain-text URL is taken for loopback only, so that no key ever crosses a network unencrypted.

    :raises ConfigError: PAPER without `rest` and `stream`; a key that is no endpoint of Binance; a wrong scheme.
    """
    given = {key: url for key, url in urls.items() if url}
    for key in given:
        if key not in _SCHEMES:
            raise ConfigError(f"binance: urls.{key} is no endpoint of Binance; it has {', '.join(_SCHEMES)}")
    checked = {key: _checked(environment, key, url) for key, url in given.items()}
    known = _HOSTS.get(environment)
    if known is None and not {"rest", "stream"} <= given.keys():
        raise ConfigError(
            "binance: the paper environment has no hosts of its own; give urls.rest and urls.stream, "
            "or start the simulator"
        )
    chosen = {key: getattr(known, key) if known else "" for key in _SCHEMES}
    chosen.update(checked)
    return Endpoints(**chosen)


def _checked(environment: Environment, key: str, url: str) -> str:
    secure, plain = _SCHEMES[key]
    try:
        parts = urlsplit(url.strip())
        host = parts.hostname
        _ = parts.port  # a port that is no number raises here
    except ValueError as error:
        raise ConfigError(f"binance: urls.{key} = {url!r} is not a URL: {error}") from None
    if parts.scheme not in (secure, plain):
        raise ConfigError(
            f"binance: urls.{key} = {url!r} has the wrong scheme {parts.scheme!r}; write {secure}://host[:port]"
        )
    if not host or parts.query or parts.fragment:
        raise ConfigError(f"binance: urls.{key} = {url!r} must look like {secure}://host[:port]")
    if parts.scheme == plain and environment is not Environment.PAPER and host not in _LOOPBACK:
        raise ConfigError(
            f"binance: urls.{key} = {url!r} is not encrypted; write {secure}:// (plain text is for loopback only)"
        )
    path = parts.path.rstrip("/")
    if key == "ws_api":
        path = path or WS_API_PATH
    else:
        for own in _OWN_PATHS[key]:
            path = path.removesuffix(own)
    return f"{parts.scheme}://{parts.netloc}{path.rstrip('/')}"
