"""What a demo that fails or is interrupted leaves behind: nothing."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import pytest

from thespian_connector.cli import main as cli
from thespian_connector.connector import Connector
from thespian_connector.model.errors import ConnectorError
from thespian_connector.system.runtime import Runtime, base_dir


@pytest.mark.parametrize(("error", "code"), [(KeyboardInterrupt(), 130), (ConnectorError("not ready"), 1)])
def test_the_runtime_directory_goes(
    error: BaseException, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    made: list[Path] = []

    def start(*, system: str, **_options: object) -> NoReturn:
        runtime = Runtime(system)
        made.append(runtime.path)
        runtime.path.mkdir(parents=True)
        runtime.log_file.touch()
        raise error

    monkeypatch.setattr(Connector, "start", start)
    assert cli.main(["demo"]) == code
    assert made
    assert not list(base_dir().glob("demo-*"))
