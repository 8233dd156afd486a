"""A simulator that cannot start says why, to whoever reads its documents."""

from __future__ import annotations

import json
import os
import socket
import sys

import pytest

from thespian_connector.actors import process
from thespian_connector.actors.settings import SimulatorSettings
from thespian_connector.cli import main as cli
from thespian_connector.model.errors import ConnectorError
from thespian_connector.system.venue import Simulator


def test_a_control_port_in_use_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        simulator = Simulator(SimulatorSettings(control_port=port), "test")
        with pytest.raises(ConnectorError, match=rf"simulator\.control_port {port}: .*in use") as caught:
            simulator.start()
    assert "paper" not in str(caught.value)


def test_between_two_lives_who_connects_waits_for_the_second() -> None:
    simulator = Simulator(SimulatorSettings(), "test")
    try:
        simulator.start()
        served = simulator.control, simulator.urls
        assert process.title(simulator.pid) == "thespian-connector test simulator"
        end(simulator)
        with socket.create_connection(simulator.control_address, 5) as connection:
            connection.sendall(b"GET /none HTTP/1.1\r\nHost: x\r\n\r\n")
            simulator.start()
            connection.settimeout(60)
            assert connection.recv(4) == b"HTTP"
        assert (simulator.control, simulator.urls) == served
    finally:
        end(simulator)
        simulator.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(simulator.control_address, 5)


def end(simulator: Simulator) -> None:
    """As the launcher does."""
    simulator.kill()
    os.waitpid(simulator.pid, 0)
    assert simulator.pidfd is not None
    process.close_fd(simulator.pidfd)


def test_without_aiohttp_simulate_says_so_in_a_document(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "aiohttp", None)
    for name in [name for name in sys.modules if name == "thespian_connector.simulator.server"]:
        monkeypatch.delitem(sys.modules, name)
    assert cli.main(["--json", "simulate"]) == 1
    out, err = capsys.readouterr()
    assert "thespian_connector[paper]" in json.loads(out)["error"]["message"]
    assert "aiohttp is missing" in err
