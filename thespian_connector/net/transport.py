"""One HTTP exchange over `requests`: exactly the bytes asked for, a bounded answer, and a truthful error.

`requests`' adapter is used without a Session around it: no cookies, no environment, no ``.netrc``, no redirects, no
re-encoding of what was signed. It finds proxy, certificates and the pool of connections, once; a request goes straight
to the pool, which any thread may do: what `requests` makes of a request and its answer takes as long as to send it.
"""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, NamedTuple
from urllib.parse import urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.response import BaseHTTPResponse

from thespian_connector import limits
from thespian_connector.drivers.base import RestRequest
from thespian_connector.model.errors import AnswerLost, ConfigError, NotSent, ServerFault, TransportError, UsageError

#: What urllib3 leaves alone in a request target (RFC 3986, upper-case escapes). Anything else it would re-encode, and a
#: signature over the original would be wrong.
_TARGET = re.compile(r"/(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/?]|%[0-9A-F]{2})*", re.ASCII)
_CHUNK_BYTES = 256 * 1024
_WHAT_TO_CHECK = "check the network, the URL in the config, and that the venue is up"


class _NoQueries(logging.Filter):
    """urllib3 logs whole targets, at DEBUG each one and at WARNING a malformed answer's: with the signature in it."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = re.sub(r"\?[^\s\"']+", "?...", record.getMessage()), ()
        return True


for _name in ("urllib3.connectionpool", "urllib3.connection", "urllib3.response", "urllib3.util.retry"):
    logging.getLogger(_name).addFilter(_NoQueries())

#: Of this thread's exchange. `opening`: the connection is being opened, until then no byte of the request has left.
#: `on_sent`: whom to tell when all of them have.
_exchange = threading.local()


class _Marked:
    """Marks `connect`, TLS and a proxy's tunnel included, so that its failures are told from lost answers; and the
    moment between the request and its answer."""

    def connect(self) -> None:
        _exchange.opening = True
        super().connect()  # type: ignore[misc]  # mixed into urllib3's connections below
        _exchange.opening = False

    def getresponse(self) -> Any:
        on_sent = getattr(_exchange, "on_sent", None)
        if on_sent is not None:
            on_sent()
        return super().getresponse()  # type: ignore[misc]  # as above


class _HTTPConnection(_Marked, HTTPConnection):
    pass


class _HTTPSConnection(_Marked, HTTPSConnection):
    pass


class _HTTPPool(HTTPConnectionPool):
    ConnectionCls = _HTTPConnection


class _HTTPSPool(HTTPSConnectionPool):
    ConnectionCls = _HTTPSConnection


class _Adapter(HTTPAdapter):
    POOLS: ClassVar[dict[str, type[HTTPConnectionPool]]] = {"http": _HTTPPool, "https": _HTTPSPool}

    def init_poolmanager(self, *args: Any, **keywords: Any) -> None:
        super().init_poolmanager(*args, **keywords)
        self.poolmanager.pool_classes_by_scheme = self.POOLS

    def proxy_manager_for(self, proxy: Any, **keywords: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **keywords)
        manager.pool_classes_by_scheme = self.POOLS
        return manager


class Answer(NamedTuple):
    """A whole answer. Header names match in any case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class _Way(NamedTuple):
    """Where requests go: a pool of connections, and what comes before a target there (all of the URL with a proxy)."""

    pool: HTTPConnectionPool
    prefix: str


class Transport:
    """Sends requests to one base URL. Thread-safe.

    :param proxies: as `requests` takes them (``{"https": "http://proxy:3128"}``); the environment's are not read.
    :param ca_file: a CA bundle in place of the usual one. Certificates are always verified.
    :raises ConfigError: `base_url` is no http(s) URL of a host.
    """

    def __init__(
        self,
        base_url: str,
        *,
        user_agent: str,
        exchange: str = "",
        proxies: Mapping[str, str] | None = None,
        ca_file: str | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._base = base_url.rstrip("/")
        parts = urlsplit(self._base)
        try:
            port = parts.port or {"http": 80, "https": 443}[parts.scheme]
        except (KeyError, ValueError):
            port = 0
        if not port or not parts.hostname or parts.query or parts.fragment or parts.username:
            raise ConfigError(f"{exchange}: the REST URL must look like https://host[:port], without a query or a user")
        self.where = f"{parts.hostname}:{port}"
        self._exchange = exchange
        self._proxies = dict(proxies or {})
        self._verify: bool | str = ca_file or True
        self._monotonic = monotonic
        self._common = {"User-Agent": user_agent, "Accept": "*/*", "Accept-Encoding": "gzip, deflate"}
        self._adapter = _Adapter(
            pool_connections=2, pool_maxsize=limits.REST_CONNECTIONS_MAX, max_retries=0, pool_block=False
        )
        self._way: _Way | None = None

    def close(self) -> None:
        """Closes idle connections; the next request opens another."""
        self._way = None
        self._adapter.close()

    def send(
        self,
        request: RestRequest,
        *,
        connect_s: float,
        read_s: float,
        deadline: float,
        on_sent: Callable[[], None] | None = None,
    ) -> Answer:
        """One exchange; the answer's status is the caller's to judge.

        :param deadline: on the monotonic clock; the body must be whole by then.
        :param on_sent: called when the request is written, before the answer is read.
        :raises NotSent: no byte of the request left.
        :raises AnswerLost: bytes left, and no whole answer came.
        :raises ServerFault: a redirect (refused) or a body above `limits.BODY_BYTES_MAX`.
        :raises UsageError: the target is not spelled as it must be on the wire; nothing was sent.
        """
        target = f"{request.path}?{request.query}" if request.query else request.path
        if not _TARGET.fullmatch(target):
            raise UsageError(
                f"{self._exchange}: the query of {request.method} {request.path} is not percent-encoded as it must be"
            )
        headers = {**self._common, **dict(request.headers)}
        body = request.body if request.body or request.method in ("POST", "PUT", "PATCH") else None
        _exchange.opening, _exchange.on_sent = False, on_sent
        failure: TransportError
        try:
            way = self._way or self._find_way()
            response = way.pool.urlopen(
                request.method,
                way.prefix + target,
                body,
                headers,
                retries=self._adapter.max_retries,
                redirect=False,
                assert_same_host=False,
                timeout=urllib3.Timeout(connect=connect_s, read=read_s),
                preload_content=False,
            )
            try:
                return self._receive(response, request, deadline)
            finally:
                response.close()
                response.release_conn()
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            failure = self._failure(request, error)
        # Raised outside of the handler: the original's text, which holds the whole URL with its signature, must not
        # hang on to ours as its context.
        raise failure

    def _find_way(self) -> _Way:
        root = requests.Request("GET", f"{self._base}/").prepare()
        pool = self._adapter.get_connection_with_tls_context(root, self._verify, self._proxies)
        assert isinstance(pool, HTTPConnectionPool), "or its subclass for https"
        self._adapter.cert_verify(pool, self._base, self._verify, None)  # type: ignore[no-untyped-call]  # requests' own
        self._way = _Way(pool, self._adapter.request_url(root, self._proxies).rstrip("/"))
        return self._way

    def _receive(self, response: BaseHTTPResponse, request: RestRequest, deadline: float) -> Answer:
        status = response.status
        if 300 <= status < 400:
            to = urlsplit(response.headers.get("Location", "")).hostname or "?"
            raise ServerFault(
                f"{self._exchange}: {self.where} answered {request.method} {request.path} with a redirect to"
                f" {to[:100]}; redirects are refused, put the right URL into the config",
                exchange=self._exchange,
                status=status,
            )
        if 200 <= status < 300 and "Content-Length" not in response.headers and not _chunked(response):
            raise AnswerLost(
                f"{self._exchange}: the answer to {request.method} {request.path} does not say how long it is, so it"
                " may be cut off",
                exchange=self._exchange,
                status=status,
            )
        pieces: list[bytes] = []
        size = 0
        while True:
            piece = response.read1(_CHUNK_BYTES, decode_content=True)
            if not piece:
                return Answer(status, response.headers, b"".join(pieces))
            pieces.append(piece)
            size += len(piece)
            if size > limits.BODY_BYTES_MAX:
                raise ServerFault(
                    f"{self._exchange}: the answer to {request.method} {request.path} is larger than"
                    f" {limits.BODY_BYTES_MAX} bytes",
                    exchange=self._exchange,
                    status=status,
                )
            if self._monotonic() > deadline:
                raise AnswerLost(
                    f"{self._exchange}: the answer to {request.method} {request.path} was not whole in time",
                    exchange=self._exchange,
                    status=status,
                )

    def _failure(self, request: RestRequest, error: Exception) -> TransportError:
        what = f"{request.method} {request.path}"
        reason = _reason(error)
        if getattr(_exchange, "opening", False):
            return NotSent(
                f"{self._exchange}: cannot reach {self.where} ({reason}); {_WHAT_TO_CHECK}", exchange=self._exchange
            )
        return AnswerLost(
            f"{self._exchange}: no answer from {self.where} to {what} ({reason})", exchange=self._exchange
        )


def _chunked(response: BaseHTTPResponse) -> bool:
    return "chunked" in response.headers.get("Transfer-Encoding", "").lower()


def _reason(error: BaseException) -> str:
    """What went wrong, in words that never quote the request: the kind of the innermost known cause."""
    seen: list[BaseException] = []
    queue: list[BaseException] = [error]
    while queue and len(seen) < 20:
        cause = queue.pop(0)
        seen.append(cause)
        below = [*cause.args, getattr(cause, "reason", None), cause.__cause__, cause.__context__]
        queue.extend(item for item in below if isinstance(item, BaseException) and item not in seen)
    for kinds, words in _WORDS:
        if any(isinstance(cause, kinds) for cause in seen):
            return words
    for cause in seen:
        if isinstance(cause, OSError) and cause.errno and cause.strerror:
            return cause.strerror.lower()
    return type(seen[-1]).__name__


_WORDS: tuple[tuple[type[BaseException] | tuple[type[BaseException], ...], str], ...] = (
    (urllib3.exceptions.NameResolutionError, "the name does not resolve"),
    (ConnectionRefusedError, "connection refused"),
    (urllib3.exceptions.ConnectTimeoutError, "timed out while connecting"),
    (urllib3.exceptions.SSLError, "TLS failed"),
    (urllib3.exceptions.ReadTimeoutError, "timed out"),
    ((ConnectionResetError, BrokenPipeError), "connection reset"),
    (TimeoutError, "timed out"),
    (urllib3.exceptions.IncompleteRead, "the answer is cut off"),
    (urllib3.exceptions.DecodeError, "the answer does not decompress"),
    (urllib3.exceptions.ProxyError, "the proxy failed"),
    (urllib3.exceptions.ProtocolError, "the connection was closed without an answer"),
)
