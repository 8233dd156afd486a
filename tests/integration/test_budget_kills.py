"""SIGKILL at any moment of a charge: what was granted stays charged, and the file stays whole."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

import pytest

from thespian_connector.drivers.base import Limit
from thespian_connector.net.budget import Budget

LIMITS = [Limit(name="connects_5m", kind="connects", cap=4_000_000_000, window_s=300, aligned=False)]
KILLS = 40


def charge_until_killed(path: Path, told: int) -> None:
    budget = Budget(path, LIMITS)
    while True:
        budget.acquire("connects")
        os.write(told, b".")  # what it is about to send


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")  # the children use no thread
def test_no_grant_is_ever_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "venue.budget"
    budget = Budget(path, LIMITS)
    before = budget.used()[0].used
    rng = random.Random(1)
    sent = 0
    kills = 0
    while kills < KILLS or sent <= KILLS:  # on a busy machine many are killed before they have sent anything
        kills += 1
        reader, writer = os.pipe()
        children = []
        for _ in range(2):
            child = os.fork()
            if child == 0:
                try:
                    charge_until_killed(path, writer)
                finally:
                    os._exit(1)
            children.append(child)
        os.close(writer)
        time.sleep(rng.uniform(0.005, 0.03))  # the kill comes at any moment
        for child in children:
            os.kill(child, signal.SIGKILL)
        for child in children:
            assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
        while piece := os.read(reader, 65536):
            sent += len(piece)
        os.close(reader)
        [use] = budget.used()
        assert use.used >= before + sent
        assert use.used <= before + sent + 2 * kills, "and hardly more: one a kill at most"
    budget.close()
