"""Bybit's hosts. The paths of its sockets are the same everywhere, so an endpoint here is a host's base URL."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from thespian_connector.drivers.base import Endpoints
from thespian_connector.model import Environment
from thespian_connector.model.errors import ConfigError

PUBLIC_PATH = "/v5/public/spot"
PRIVATE_PATH = "/v5/private"
TRADE_PATH = "/v5/trade"

_HOSTS = {
    Environment.LIVE: Endpoints(
        rest="https://api.bybit.com",
        stream="wss://stream.bybit.com",
        private="wss://stream.bybit.com",
        trade="wss://stream.bybit.com",
    ),
    Environment.TESTNET: Endpoints(
        rest="https://api-testnet.bybit.com",
        stream="wss://stream-testnet.bybit.com",
        private="wss://stream-testnet.bybit.com",
        trade="wss://stream-testnet.bybit.com",
    ),
    # Demo trades on paper against the real market: its public stream is production's, and it has no trade socket.
    Environment.DEMO: Endpoints(
        rest="https://api-demo.bybit.com",
        stream="wss://stream.bybit.com",
        private="wss://stream-demo.bybit.com",
    ),
}
#: Paths that people copy along with a host; they are appended again where they are due.
_PATHS = (PUBLIC_PATH, PRIVATE_PATH, TRADE_PATH)
_SCHEMES = {"rest": ("https", "http"), "stream": ("wss", "ws"), "private": ("wss", "ws"), "trade": ("wss", "ws")}
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def endpoints(environment: Environment, urls: Mapping[str, str]) -> Endpoints:
    """The hosts of `environment`, each replaced by that of `urls` where it has one.

    Outside PAPER a plain-text URL is taken for loopback only, so that no key ever crosses a network unencrypted.

    `urls` has the keys ``rest``, ``stream``, ``private``, ``trade``, or ``ws`` for the last three at once (one host
    serves all of Bybit's sockets). A socket's URL may be given with or without its path (``/v5/public/spot`` ...).

    :raises ConfigError: see :meth:`thespian_connector.drivers.base.Driver.endpoints`.
    """
    given = _given(environment, urls)
    if environment is Environment.PAPER:
        missing = [key for key in ("rest", "stream") if key not in given]
        if missing:
            raise ConfigError(
                f"bybit: environment paper has no hosts of its own; set urls.{' and urls.'.join(missing)}"
            )
        # A local venue serves every socket at one port, as Bybit's own hosts do.
        given.setdefault("private", given["stream"])
        given.setdefault("trade", given["stream"])
        return Endpoints(**given)
    known = _HOSTS[environment]
    return Endpoints(
        rest=given.get("rest", known.rest),
        stream=given.get("stream", known.stream),
        private=given.get("private", known.private),
        trade=given.get("trade", known.trade),
    )


def stream_url(hosts: Endpoints) -> str:
    """The public spot socket of `hosts`."""
    return hosts.stream + PUBLIC_PATH


def _given(environment: Environment, urls: Mapping[str, str]) -> dict[str, str]:
    """`urls` checked, ``ws`` spelled out, paths and trailing slashes taken off; an empty one is none."""
    wanted = {key: url for key, url in urls.items() if url}
    unknown = sorted(set(wanted) - {*_SCHEMES, "ws"})
    if unknown:
        raise ConfigError(f"bybit: urls.{unknown[0]} is no endpoint of Bybit; it has ws, {', '.join(_SCHEMES)}")
    if "ws" in wanted:
        everywhere = wanted.pop("ws")
        wanted = {"stream": everywhere, "private": everywhere, "trade": everywhere} | wanted
    return {key: _base(environment, key, url) for key, url in wanted.items()}


def _base(environment: Environment, key: str, url: str) -> str:
    secure, plain = _SCHEMES[key]
    try:
        parts = urlsplit(url.strip())
        host = parts.hostname
        _ = parts.port  # a port that is no number raises here
    except ValueError as error:
        raise ConfigError(f"bybit: urls.{key} = {url!r} is not a URL: {error}") from None
    if parts.scheme not in (secure, plain):
        raise ConfigError(
            f"bybit: urls.{key} = {url!r} has the wrong scheme {parts.scheme!r}; write {secure}://host[:port]"
        )
    if not host or parts.query or parts.fragment:
        raise ConfigError(f"bybit: urls.{key} = {url!r} must look like {secure}://host[:port]")
    if parts.scheme == plain and environment is not Environment.PAPER and host not in _LOOPBACK:
        raise ConfigError(
            f"bybit: urls.{key} = {url!r} is not encrypted; write {secure}:// (plain text is for loopback only)"
        )
    path = parts.path.rstrip("/")
    for own in _PATHS:
        path = path.removesuffix(own)
    path = path.rstrip("/")
    return f"{parts.scheme}://{parts.netloc}{path}"
