"""The simulator's accounts become a paper system's: keys in files that only we can read, named like any user's."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.simulator import Simulator

from thespian_connector.actors.keys import signer_for
from thespian_connector.actors.settings import ExchangeSettings, ExchangeStart, Settings, StoreSettings
from thespian_connector.drivers.registry import driver_for
from thespian_connector.model.errors import ConnectorError
from thespian_connector.net.budget import Budget
from thespian_connector.system.paper import fill_in, forget_budgets, forget_journal
from thespian_connector.system.runtime import Runtime

BOTH = Settings(exchanges={"binance": ExchangeSettings(), "bybit": ExchangeSettings()})


@pytest.fixture
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runtime:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    runtime = Runtime("r")
    runtime.path.mkdir(parents=True)
    return runtime


def test_the_keys_are_the_accounts_own_and_ours_alone(runtime: Runtime) -> None:
    with Simulator(seed=3) as simulator:
        filled = fill_in(BOTH, ("binance", "bybit"), simulator.control, runtime)
        again = fill_in(BOTH, ("binance", "bybit"), simulator.control, runtime)
        accounts = {exchange: simulator.truth(exchange, "account") for exchange in BOTH.exchanges}
    assert filled == again
    for exchange, account in accounts.items():
        signer = signer_for(ExchangeStart(exchange=exchange, settings=filled.exchanges[exchange]))
        assert signer.api_key == account["api_key"]
        assert runtime.key_file(exchange, "secret").read_text() == account["secret"]
        assert account["secret"] not in repr(filled)
        assert {runtime.key_file(exchange, what).stat().st_mode & 0o777 for what in ("key", "secret")} == {0o600}
    runtime.clear()
    assert not list(runtime.path.glob("paper-*"))


def test_keys_that_the_config_names_stay(runtime: Runtime) -> None:
    own = ExchangeSettings(api_key="env:K", api_secret="env:S")
    settings = Settings(exchanges={"bybit": own})
    assert fill_in(settings, ("bybit",), "http://127.0.0.1:1", runtime) == settings


def test_a_simulator_that_tells_nothing(runtime: Runtime) -> None:
    with pytest.raises(ConnectorError, match="no account of binance"):
        fill_in(BOTH, ("binance",), "http://127.0.0.1:1", runtime)


def test_a_new_simulator_s_journal_is_new_and_the_last_one_is_kept(runtime: Runtime) -> None:
    for name in ("state.db", "state.db-wal"):
        (runtime.path / name).write_text("last")
    (runtime.path / "state.previous.db-shm").write_text("of the life before")
    forget_journal(BOTH, ("binance", "bybit"), runtime)
    assert sorted(os.listdir(runtime.path)) == ["state.previous.db", "state.previous.db-wal"]


@pytest.mark.parametrize(
    ("settings", "simulated"),
    [
        (BOTH, ("binance",)),
        (Settings(exchanges=BOTH.exchanges, store=StoreSettings(url="sqlite:///mine.db")), ("binance", "bybit")),
    ],
    ids=["holds a real account's orders too", "is elsewhere"],
)
def test_any_other_journal_stays(runtime: Runtime, settings: Settings, simulated: tuple[str, ...]) -> None:
    (runtime.path / "state.db").write_text("orders")
    forget_journal(settings, simulated, runtime)
    assert (runtime.path / "state.db").read_text() == "orders"


def test_a_simulator_s_budgets_go_with_it_and_others_stay(runtime: Runtime) -> None:
    urls = {
        "binance": {"rest": "http://127.0.0.1:7001", "stream": "ws://127.0.0.1:7001"},
        "bybit": {"rest": "http://127.0.0.1:7002", "ws": "ws://127.0.0.1:7002"},
    }
    for exchange, served in urls.items():
        Budget.for_venue(driver_for(exchange), served["rest"], runtime.budget_dir).close()
    other = Budget.for_venue(driver_for("bybit"), "http://127.0.0.1:7003", runtime.budget_dir)
    other.close()
    assert len(list(runtime.budget_dir.iterdir())) == 3
    forget_budgets(urls, runtime)
    assert list(runtime.budget_dir.iterdir()) == [other.path]
    forget_budgets(urls, runtime)
