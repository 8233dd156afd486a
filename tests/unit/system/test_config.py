"""Configs: what is accepted, and what an error says."""

from __future__ import annotations

from pathlib import Path

import pytest

from thespian_connector.model import Environment
from thespian_connector.model.errors import ConfigError
from thespian_connector.system.config import load

SHIPPED = sorted((Path(__file__).parents[3] / "config").glob("*.toml"))


def write(directory: Path, text: str) -> Path:
    path = directory / "my.toml"
    path.write_text(text)
    return path


def test_without_a_file_both_venues_are_simulated() -> None:
    settings = load(None)
    assert set(settings.exchanges) == {"binance", "bybit"}
    assert all(one.environment is Environment.PAPER for one in settings.exchanges.values())


@pytest.mark.parametrize("path", [path for path in SHIPPED if path.name != "logging.toml"], ids=lambda path: path.name)
def test_the_shipped_configs_are_valid(path: Path) -> None:
    assert load(path).exchanges


def test_an_override_sets_a_dotted_key(tmp_path: Path) -> None:
    path = write(tmp_path, '[exchanges.bybit]\nsymbols = ["BTC/USDT"]\n')
    settings = load(
        path,
        [
            "exchanges.bybit.depth=50",
            'exchanges.bybit.symbols=["ETH/USDT"]',
            "exchanges.bybit.urls.rest=http://127.0.0.1:1",
            "exchanges.bybit.urls.ws=ws://127.0.0.1:1",
            "system.log_level=DEBUG",
        ],
        "mine",
    )
    bybit = settings.exchanges["bybit"]
    assert (bybit.depth, bybit.symbols, bybit.urls["rest"]) == (50, ("ETH/USDT",), "http://127.0.0.1:1")
    assert (settings.system.log_level, settings.system.name) == ("DEBUG", "mine")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[exchanges.bybit\n", ["not TOML"]),
        ("[exchanges.nowhere]\n", ["exchanges.nowhere", "binance"]),
        ("[exchanges.bybit]\nsymbols = []\n", ["exchanges", "symbols"]),
        ('[exchanges.bybit]\nsymbols = ["btcusdt"]\n', ["symbols"]),
        ('[exchanges.bybit]\nsymbols = ["A/B", "A/B"]\n', ["exchanges.bybit.symbols", "twice"]),
        ('[exchanges.bybit]\nenvironment = "real"\n', ["environment", "real"]),
        ('[exchanges.bybit]\nchannels = ["trade"]\n', ["exchanges.bybit.channels", "book"]),
        ("[exchanges.bybit]\ndepht = 5\n", ["depht", "spelling"]),
        ("[exchanges.bybit]\nredundancy = 3\n", ["redundancy", "2"]),
        ("[exchanges.bybit]\nrotate_after_s = 1\n", ["exchanges.bybit.rotate_after_s", "0 for the default"]),
        ("[exchanges.binance]\nrotate_after_s = 90000\n", ["exchanges.binance.rotate_after_s", "86400"]),
        ("[system]\nadmin_port = 99999\n", ["system.admin_port"]),
        ('[system]\nlog_level = "LOUD"\n', ["system.log_level", "DEBUG"]),
        ('[exchanges.bybit.urls]\nrest = "ftp://x"\n', ["exchanges.bybit.urls", "rest"]),
    ],
)
def test_an_error_names_file_key_and_fix(tmp_path: Path, text: str, words: list[str]) -> None:
    path = write(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        load(path)
    message = str(caught.value)
    assert str(path) in message
    assert all(word in message for word in words), message
    assert caught.value.exit_code == 2


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nothere\.toml"):
        load(tmp_path / "nothere.toml")


@pytest.mark.parametrize("override", ["depth", "=5", "a..b=1", "system.name.x=1"])
def test_a_malformed_override_is_shown(override: str) -> None:
    with pytest.raises(ConfigError):
        load(None, [override])
