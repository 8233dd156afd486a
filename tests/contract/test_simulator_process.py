"""The simulator as a process, and its control port, as any program outside the package uses them."""

from __future__ import annotations

import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from support.simulator import Simulator
from support.waiting import wait_until

from thespian_connector.model.decimals import dec, text

COMMAND = [sys.executable, "-W", "error", "-m", "thespian_connector.simulator"]
START_S_MAX = 60.0


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator(seed=7, rate=200) as running:
        yield running


@pytest.fixture
def still(simulator: Simulator) -> Iterator[Simulator]:
    simulator.pause()
    yield simulator
    simulator.resume()


def get(url: str, **params: object) -> requests.Response:
    with requests.Session() as session:
        session.trust_env = False
        return session.get(url, params={name: str(value) for name, value in params.items()}, timeout=60)


def call(simulator: Simulator, method: str, path: str, document: object = None) -> tuple[int, Any]:
    with requests.Session() as session:
        session.trust_env = False
        answer = session.request(method, simulator.control + path, json=document, timeout=60)
        return answer.status_code, answer.json()


def test_the_ready_line_tells_every_place_and_all_are_on_loopback(simulator: Simulator) -> None:
    assert set(simulator.urls["binance"]) >= {"rest", "stream", "ws_api"}
    assert set(simulator.urls["bybit"]) >= {"rest", "ws"}
    places = [*simulator.urls["binance"].values(), *simulator.urls["bybit"].values(), simulator.control]
    assert all(place.startswith(("http://127.0.0.1:", "ws://127.0.0.1:")) for place in places)
    assert get(simulator.urls["binance"]["rest"] + "/api/v3/ping").json() == {}
    assert get(simulator.urls["bybit"]["rest"] + "/v5/market/time").json()["retCode"] == 0


def test_a_binance_snapshot_is_the_truth_at_its_id_and_the_truth_is_canonical(simulator: Simulator) -> None:
    url = simulator.urls["binance"]["rest"] + "/api/v3/depth"
    for _ in range(3):
        served = get(url, symbol="BTCUSDT", limit=5000).json()
        truth = simulator.book("binance", "BTCUSDT", "btcusdt@depth@100ms", served["lastUpdateId"])
        assert truth["update_id"] == served["lastUpdateId"]
        for side in ("bids", "asks"):
            assert len(truth[side]) > 5_000
            assert [[text(dec(p)), text(dec(q))] for p, q in served[side]] == truth[side][:5_000]


def test_the_flow_stands_still_on_demand_and_goes_on(still: Simulator) -> None:
    first = still.book("binance", "BTCUSDT")
    deadline = time.monotonic() + 0.3
    while time.monotonic() < deadline:
        assert still.book("binance", "BTCUSDT") == first
    still.resume()
    wait_until(lambda: still.book("binance", "BTCUSDT")["update_id"] > first["update_id"], 60, "the flow goes on")


def test_without_a_stream_the_truth_is_of_now_on_both_venues(still: Simulator) -> None:
    served = get(still.urls["binance"]["rest"] + "/api/v3/depth", symbol="ETHUSDT", limit=5).json()
    truth = still.book("binance", "ETHUSDT")
    assert truth["update_id"] == served["lastUpdateId"]
    served = get(still.urls["bybit"]["rest"] + "/v5/market/orderbook", category="spot", symbol="ETHUSDT", limit=5)
    truth = still.book("bybit", "ETHUSDT")
    assert served.json()["result"]["b"] == truth["bids"][:5]
    assert served.json()["result"]["a"] == truth["asks"][:5]


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/truth/kraken/usage", 404, "venue: 'kraken' is not one of binance, bybit"),
        ("/truth/binance/weather", 404, "truth: 'weather' is not one of account"),
        ("/truth/binance/book/NOPE", 404, "book: 'NOPE' is not one of BTCUSDT"),
        ("/truth/binance/book/BTCUSDT?update_id=1", 410, "update_id: 1 is no longer known"),
        ("/truth/binance/book/BTCUSDT?update_id=99999999999999", 404, "update_id: 99999999999999 never was"),
        ("/truth/binance/book/BTCUSDT?update_id=x", 400, "update_id: 'x' must be an integer"),
        ("/truth/binance/book/BTCUSDT?stream=btcusdt@trade", 404, "stream: 'btcusdt@trade' has carried no"),
        ("/nothing", 404, "GET /nothing"),
    ],
)
def test_what_cannot_be_answered_is_told_why(simulator: Simulator, path: str, status: int, words: str) -> None:
    answered, document = call(simulator, "GET", path)
    assert answered == status
    assert document["error"].startswith(words)


def test_faults_are_added_listed_with_what_they_did_and_deleted(simulator: Simulator) -> None:
    status, document = call(simulator, "POST", "/faults", {"venue": "binance", "kind": "http_5xx", "op": "avgPrice"})
    assert (status, document["fired"]) == (200, 0)
    url = simulator.urls["binance"]["rest"] + "/api/v3/avgPrice"
    assert get(url, symbol="BTCUSDT").status_code == 503
    assert get(url, symbol="BTCUSDT").status_code == 200
    listed = [fault for fault in call(simulator, "GET", "/faults")[1] if fault["id"] == document["id"]]
    assert [(fault["kind"], fault["op"], fault["fired"]) for fault in listed] == [("http_5xx", "avgPrice", 1)]
    assert call(simulator, "DELETE", f"/faults/{document['id']}") == (200, {"deleted": 1})
    assert call(simulator, "DELETE", f"/faults/{document['id']}")[0] == 404
    status, document = call(simulator, "POST", "/faults", {"venue": "binance", "kind": "ws_flop"})
    assert status == 400
    assert document["error"].startswith("kind: 'ws_flop' is not one of ws_drop, ws_silent")
    assert call(simulator, "POST", "/faults", [1])[0] == 400


def test_accounts_orders_balances_requests_and_usage_are_there(simulator: Simulator) -> None:
    for venue in ("binance", "bybit"):
        (account,) = simulator.truth(venue, "account")["accounts"]
        assert account["api_key"]
        assert account["secret"]
        balances = {row["asset"]: (row["free"], row["locked"]) for row in simulator.truth(venue, "balances")}
        assert balances == {asset: (amount, "0") for asset, amount in account["balances"].items()}
        assert simulator.truth(venue, "orders") == []
        assert simulator.truth(venue, "requests") == []
        assert set(simulator.truth(venue, "usage")) >= {
            "requests",
            "highest",
            "earned",
            "injected",
            "ws_connects",
            "sockets_open",
            "auth_failures",
        }


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=START_S_MAX, check=False)


def test_a_port_in_use_is_one_clear_line() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ended = _run("--bybit-port", str(port))
    assert ended.returncode == 1
    assert ended.stdout == ""
    (line,) = ended.stderr.splitlines()
    assert line.startswith(f"simulate: --bybit-port {port}: ")
    assert "choose another port" in line


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--tune", "binance.colour=1"], "binance.colour: no such setting; binance has"),
        (["--tune", "nonsense"], "'nonsense' is not like binance.ping_interval_s=0.5"),
        (["--symbols", "BTC/EUR"], "'BTC/EUR' is not one of BTC/USDT"),
        (["--rate", "-1"], "'-1' is not a number"),
        (["--binance-port", "70000"], "'70000' is not a port"),
    ],
)
def test_wrong_options_are_usage_errors_that_say_what_is_right(arguments: list[str], words: str) -> None:
    ended = _run(*arguments)
    assert ended.returncode == 2
    assert words in ended.stderr.splitlines()[-1]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_cleanly_with_clients_connected(number: signal.Signals) -> None:
    process = subprocess.Popen([*COMMAND, "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        host, port = ready["binance"]["rest"].removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=60) as client:
            client.sendall(
                b"GET /ws/btcusdt@bookTicker HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            )
            assert client.recv(12) == b"HTTP/1.1 101"
            process.send_signal(number)
            out, errors = process.communicate(timeout=60)
        assert (process.returncode, out, errors) == (0, "", "")
    finally:
        process.kill()
        process.communicate()


def test_without_json_the_places_are_for_people() -> None:
    process = subprocess.Popen(COMMAND, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("ready")
        assert process.stdout.readline().split()[:2] == ["binance", "rest"]
    finally:
        process.terminate()
        process.communicate(timeout=60)


_PARENT = """
import os, subprocess, sys
child = subprocess.Popen({command!r} + ["--exit-with-parent", str(os.getpid()), "--json"], stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
sys.stdin.read()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is Linux's")
def test_it_ends_with_its_parent_when_asked_to() -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", _PARENT.format(command=COMMAND)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert parent.stdout is not None
        child = os.pidfd_open(int(parent.stdout.readline()))
    finally:
        parent.kill()
        parent.communicate(timeout=60)
    try:
        # A pidfd of a process that ended takes no signal.
        wait_until(lambda: _ended(child), 60, "the simulator ended with its parent")
    finally:
        os.close(child)


def _ended(pidfd: int) -> bool:
    try:
        signal.pidfd_send_signal(pidfd, 0)
    except ProcessLookupError:
        return True
    return False


def test_a_parent_that_is_gone_already_is_found() -> None:
    assert _run("--exit-with-parent", "1" if os.getpid() != 1 else "2").returncode == 1


def test_a_client_that_goes_away_in_the_midst_of_its_request_leaves_no_traceback(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with Simulator() as simulator:
        where = urlsplit(simulator.urls["bybit"]["rest"])
        for _ in range(5):
            with socket.create_connection((where.hostname, where.port)) as client:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                client.sendall(b"POST /v5/order/create HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n{")
                simulator.truth("bybit", "usage")  # it is being read by then
        simulator.truth("bybit", "usage")
    assert "Traceback" not in capfd.readouterr().err
