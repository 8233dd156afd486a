"""Connecting, and what a connection does with bytes and with trouble."""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.stream_server import CLOSE, PING, StreamServer, frame, upgrade
from support.waiting import wait_until

from thespian_connector import limits
from thespian_connector.drivers.binance.driver import BinanceDriver
from thespian_connector.model.errors import Banned, ExchangeError, NotSent, RateLimited, ServerFault
from thespian_connector.net.socket import Cancelled, Dropped, StreamSocket, connect


class Connecting:
    """`connect` on a thread, so that the test can be the server meanwhile."""

    def __init__(self, url: str, **keywords: object) -> None:
        self.result: StreamSocket | BaseException | None = None

        def run() -> None:
            try:
                self.result = connect(url, **keywords)  # type: ignore[arg-type]  # the test's keywords
            except BaseException as error:  # noqa: BLE001  # what it raised is what the test looks at
                self.result = error

        self.thread = threading.Thread(target=run)
        self.thread.start()

    def outcome(self) -> StreamSocket | BaseException | None:
        self.thread.join(60)
        assert not self.thread.is_alive(), "connect hangs"
        return self.result

    def socket(self) -> StreamSocket:
        result = self.outcome()
        assert isinstance(result, StreamSocket), result
        return result


@pytest.fixture
def server() -> Iterator[StreamServer]:
    with StreamServer() as server:
        yield server


def messages(stream: StreamSocket, count: int) -> list[bytes]:
    got: list[bytes] = []
    wait_until(lambda: got.extend(stream.read()) or len(got) >= count, 60, f"{count} messages", every_s=0.002)
    return got


def dropped(stream: StreamSocket) -> Dropped:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            stream.read()
        except Dropped as error:
            return error
        time.sleep(0.002)
    raise AssertionError("not dropped")


def test_frames_in_the_handshakes_own_packet_are_not_lost(server: StreamServer) -> None:
    attempt = Connecting(server.url)
    server.accept(with_answer=frame(b"one") + frame(b"two"))
    stream = attempt.socket()
    assert stream.filled, "do not sleep before what is there was read"
    assert messages(stream, 2) == [b"one", b"two"]
    stream.close()


def test_messages_both_ways(server: StreamServer) -> None:
    attempt = Connecting(server.url + "/stream?x=1")
    peer = server.accept()
    assert peer.request.startswith("GET /stream?x=1 HTTP/1.1")
    stream = attempt.socket()
    stream.send_text('{"id":1}')
    assert peer.expect() == {"id": 1}
    peer.raw(frame(b"a" * 300_000) + frame(b"b"))
    assert messages(stream, 2) == [b"a" * 300_000, b"b"]
    stream.close()
    peer.expect_closed()
    assert peer.closed == b"\x03\xe8"


def test_ping_is_answered_and_counted_as_sent(server: StreamServer) -> None:
    attempt = Connecting(server.url)
    peer = server.accept()
    stream = attempt.socket()
    peer.raw(frame(b"payload", PING) + frame(b"m"))
    assert messages(stream, 1) == [b"m"]
    assert peer.expect_pong() == b"payload"
    assert stream.frames_sent == 1
    stream.close()


def test_what_came_before_the_close_frame_is_read_first(server: StreamServer) -> None:
    attempt = Connecting(server.url)
    peer = server.accept()
    stream = attempt.socket()
    peer.raw(frame(b"last") + frame((1012).to_bytes(2, "big") + b"restart", CLOSE))
    assert messages(stream, 1) == [b"last"]
    error = dropped(stream)
    assert (error.reason, "1012 restart" in str(error)) == ("closed", True)
    stream.close()


def test_a_peer_that_takes_nothing_is_dropped_at_the_limit(server: StreamServer) -> None:
    attempt = Connecting(server.url)
    server.accept()
    stream = attempt.socket()

    def send_forever() -> None:
        while True:
            stream.send_text("x" * 65536)

    with pytest.raises(Dropped) as caught:
        send_forever()
    assert caught.value.reason == "unwritable"
    stream.close()


def test_what_the_kernel_does_not_take_goes_later(server: StreamServer) -> None:
    attempt = Connecting(server.url)
    peer = server.accept()
    stream = attempt.socket()
    sent = 0
    while not stream.unsent:
        stream.send_text('"' + "x" * 60_000 + '"')
        sent += 1
    got = 0
    while got < sent:
        assert len(peer.expect()) == 60_000
        got += 1
        stream.flush()
    assert not stream.unsent
    stream.close()


@pytest.mark.parametrize(
    ("status", "headers", "kind", "retry_after_s"),
    [
        ("429 Too Many Requests", {"Retry-After": "7"}, RateLimited, 7.0),
        ("418 I'm a teapot", {"Retry-After": "120"}, Banned, 120.0),
        ("403 Forbidden", {}, Banned, None),
        ("503 Service Unavailable", {"Retry-After": "soon"}, ServerFault, None),
        ("200 OK", {}, ServerFault, None),
        ("302 Found", {"Location": "ws://127.0.0.1:1/"}, NotSent, None),
    ],
)
def test_a_refused_handshake_in_the_words_of_the_error_tree(
    server: StreamServer, status: str, headers: dict[str, str], kind: type[ExchangeError], retry_after_s: float | None
) -> None:
    attempt = Connecting(server.url)
    server.refuse(status, headers, b"<html>no</html>")
    error = attempt.outcome()
    assert type(error) is kind, error
    assert getattr(error, "retry_after_s", None) == retry_after_s


def test_the_driver_reads_the_refusal_first(server: StreamServer) -> None:
    attempt = Connecting(server.url, classify=BinanceDriver().classify)
    server.refuse("418 I'm a teapot", {"Retry-After": "120"}, b'{"code":-1003,"msg":"banned"}')
    error = attempt.outcome()
    assert isinstance(error, Banned)
    assert (error.exchange, error.code, error.retry_after_s) == ("binance", -1003, 120.0)


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 101 X\r\n\r\n", b"nonsense\r\n\r\n", b"\xff\xfe\r\n\r\n"])
def test_what_is_no_handshake_is_no_connection(server: StreamServer, answer: bytes) -> None:
    attempt = Connecting(server.url)
    raw, _ = server.accept_raw()
    raw.sendall(answer)
    raw.close()
    assert isinstance(attempt.outcome(), NotSent)


def test_a_handshake_of_endless_headers_is_cut(server: StreamServer) -> None:
    attempt = Connecting(server.url)
    raw, _ = server.accept_raw()
    raw.sendall(b"HTTP/1.1 101 X\r\n" + b"X-Filler: " + b"x" * 2 * limits.HANDSHAKE_BYTES_MAX)
    assert isinstance(attempt.outcome(), NotSent)


def test_a_trickling_handshake_ends_at_the_deadline(server: StreamServer) -> None:
    attempt = Connecting(server.url, timeout_s=0.4)
    raw, request = server.accept_raw()
    for byte in upgrade(request):
        if attempt.result is not None:
            break
        try:
            raw.sendall(bytes([byte]))
        except OSError:
            break
        time.sleep(0.02)
    assert isinstance(attempt.outcome(), NotSent), "byte by byte the answer would have come in whole, later"


def test_waking_ends_a_handshake_at_once(server: StreamServer) -> None:
    wake_fd = os.eventfd(0)
    attempt = Connecting(server.url, wake_fd=wake_fd, timeout_s=60)
    server.accept_raw()
    os.eventfd_write(wake_fd, 1)
    assert isinstance(attempt.outcome(), Cancelled)
    os.close(wake_fd)


def test_nobody_there_and_no_such_name() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert isinstance(Connecting(f"ws://127.0.0.1:{port}").outcome(), NotSent)

    def unresolvable(host: str, port: int) -> list[object]:
        raise socket.gaierror(-2, "Name or service not known")

    assert isinstance(Connecting("ws://no.such.host", resolve=unresolvable).outcome(), NotSent)
    assert isinstance(Connecting("http://127.0.0.1").outcome(), NotSent)


def test_the_next_address_is_tried_when_one_refuses(server: StreamServer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        dead = listener.getsockname()
    addresses = [(socket.AF_INET, dead), (socket.AF_INET, ("127.0.0.1", server.port))]
    attempt = Connecting("ws://two.addresses", resolve=lambda host, port: addresses)
    server.accept()
    attempt.socket().close()


def test_a_proxy_named_in_the_environment_is_not_asked(server: StreamServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    attempt = Connecting(server.url)
    server.accept()
    attempt.socket().close()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    directory = tmp_path_factory.mktemp("tls")
    key, cert = directory / "key.txt", directory / "cert.txt"
    command = (
        "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1"
    )
    try:
        subprocess.run([*command.split(), "-keyout", key, "-out", cert], check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("openssl, which makes the test's certificate, is not installed")
    return key, cert


def test_tls_brings_all_that_is_there_and_checks_the_certificate(certificate: tuple[Path, Path]) -> None:
    key, cert = certificate
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"wss://127.0.0.1:{listener.getsockname()[1]}/"
    trusting = ssl.create_default_context(cafile=str(cert))
    count = 4000

    def serve() -> None:
        for _ in range(2):
            raw, _ = listener.accept()
            try:
                with context.wrap_socket(raw, server_side=True) as tls:
                    request = b""
                    while b"\r\n\r\n" not in request:
                        request += tls.recv(4096)
                    tls.sendall(upgrade(request.decode()) + b"".join(frame(b"%06d" % n) for n in range(count)))
                    tls.recv(100)
            except ssl.SSLError:
                continue

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        refused = Connecting(url).outcome()
        assert isinstance(refused, NotSent)
        assert "CERTIFICATE_VERIFY_FAILED" in str(refused)
        stream = Connecting(url, tls=trusting).socket()
        assert messages(stream, count) == [b"%06d" % n for n in range(count)]
        assert not stream.filled
        stream.close()
    finally:
        thread.join(60)
        listener.close()
    assert not thread.is_alive()
