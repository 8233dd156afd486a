"""The order path tortured, in short: some cells of ``scripts/bench --torture``, one after the other on one system."""

from __future__ import annotations

import pytest
from support.torture import Rig, Traffic
from support.torture_cells import CELLS
from support.torture_judge import Judge

NAMES = ("order-command.after_send", "order-state.before_store", "user-data.random", "http_timeout.executed")
#: So many get further than us in each; the bench's cells have more.
COMMANDS = 48
TIMEOUT_S = 2.0


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_whatever_dies_or_fails_each_command_has_one_effect_that_is_told() -> None:
    with Rig() as rig:
        cells = [Traffic(rig, name, COMMANDS, TIMEOUT_S) for name in NAMES]
        for cell in cells:
            cell.run(CELLS[cell.name])
        verdicts = Judge(rig, cells).verdicts()
    for verdict in verdicts:
        print(verdict)
    assert {verdict.cell: verdict.wrong for verdict in verdicts} == {name: [] for name in NAMES}
