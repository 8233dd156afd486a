"""Configs: what is accepted, and what an error says."""

from __future__ import annotations

from pathlib import Path

import pytest

from thespian_connector.model import Environment
from thespian_connector.model.errors import ConfigError
from thespian_connector.system.config import bind_warning, load

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
        ("[exchanges.nowhere]\n", ["exchanges.nowhere", "take one of binance, bybit"]),
        ('[exchanges."a b"]\n', ["exchanges.a b: no such exchange"]),
        ("[exchanges.mock]\n", ["exchanges.mock", "for tests in memory", "take one of binance, bybit"]),
        ("[system]\n", ["exchanges: none is enabled", "[exchanges.binance]"]),
        ("[exchanges.bybit]\nenabled = false\n", ["exchanges: none is enabled", "enable one"]),
        ("[exchanges.bybit]\nsymbols = []\n", ["exchanges", "symbols"]),
        ('[exchanges.bybit]\nsymbols = ["btcusdt"]\n', ["symbols", "write BASE/QUOTE in capitals"]),
        ('[exchanges.bybit]\nsymbols = ["A/B", "A/B"]\n', ["exchanges.bybit.symbols", "twice"]),
        ('[exchanges.bybit]\nenvironment = "prod"\n', ["environment: 'prod' is none of live, testnet, demo, paper"]),
        ('[exchanges.bybit]\nchannels = ["books"]\n', ["channels", "'books' is none of book, trade, ticker"]),
        ('[exchanges.bybit]\nchannels = ["trade"]\n', ["exchanges.bybit.channels", "book"]),
        ("[exchanges.bybit]\ndepht = 5\n", ["depht", "spelling"]),
        ("[exchanges.bybit]\nredundancy = 3\n", ["redundancy", "2"]),
        ("[exchanges.bybit]\nrotate_after_s = 1\n", ["exchanges.bybit.rotate_after_s", "0 for the default"]),
        ("[exchanges.binance]\nrotate_after_s = 90000\n", ["exchanges.binance.rotate_after_s", "86400"]),
        ("[system]\nadmin_port = 99999\n", ["system.admin_port"]),
        ('[system]\nlog_level = "LOUD"\n', ["system.log_level", "DEBUG"]),
        ('[exchanges.bybit.urls]\nrest = "ftp://x"\n', ["exchanges.bybit.urls.rest", "scheme 'ftp'"]),
        ('[exchanges.binance.urls]\nrest = "ftp://x"\n', ["exchanges.binance.urls.rest", "scheme 'ftp'"]),
        (
            '[exchanges.binance]\napi_key = "env:K"\napi_secret = "env:K"\n'
            '[exchanges.binance.urls]\nrest = "http://x"\nstream = "ws://x"\n',
            ["exchanges.binance.urls.ws_api", "is missing", "account"],
        ),
        ("[exchanges.bybit]\ndepth = 17\n", ["exchanges.bybit.depth", "17", "1, 50, 200, 1000"]),
        ("[exchanges.binance]\ndepth = 99999\n", ["exchanges.binance.depth", "99999"]),
        ('[exchanges.binance]\n[exchanges.bybit]\ndepth = "a"\n', ["exchanges.bybit.depth", "int"]),
        ('[system]\nbind = "banana"\n', ["system.bind", "'banana' is no IP address"]),
        ('[exchanges.bybit]\napi_key = "file:k"\n', ["exchanges.bybit.api_secret", "both or neither"]),
        ('[exchanges.bybit]\napi_secret = "env:K"\n', ["exchanges.bybit.api_key", "both or neither"]),
        ('[exchanges.bybit]\napi_key = "env:TC_NONE"\napi_secret = "env:K"\n', ["bybit.api_key", "TC_NONE is not set"]),
        ('[exchanges.bybit]\napi_key = "file:none"\napi_secret = "env:K"\n', ["bybit.api_key", "none: No such file"]),
        ('[store]\nurl = "postgres"\n', ["store.url", '"sqlite"', "SQLAlchemy"]),
        ('[store]\nurl = "memory"\ndurability = "power"\n', ["store.durability", "memory survives nothing"]),
        ('[store]\ndurability = "no"\n', ["store.durability", "'no' is none of process, power"]),
        ('[system]\nname = "../x"\n', ["system.name", "1 to 32 letters"]),
        ('[system]\nname = "budgets"\n', ["system.name", "'budgets' can be no system's name"]),
        ('[system]\nhost = "a b"\n', ["system.host", "1 to 32 letters"]),
        ('[system]\nlog_file = "/tmp"\n[exchanges.bybit]\n', ["system.log_file: /tmp is a directory"]),
        ('[system]\nlog_file = "/no/where"\n[exchanges.bybit]\n', ["system.log_file: /no is no directory"]),
        ('[system]\nlogging = "no.toml"\n[exchanges.bybit]\n', ["system.logging", "no.toml: No such file"]),
        ('[orders]\nprefix = "a-b"\n', ["orders.prefix", "1 to 8 letters or digits"]),
        ("[orders]\ntimeout_s = 0\n", ["orders.timeout_s", "0"]),
        ("[orders]\nretention_days = 6\n", ["orders.retention_days", "7"]),
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


def test_a_file_that_is_not_utf_8_is_named(tmp_path: Path) -> None:
    path = tmp_path / "my.toml"
    path.write_bytes(b'[system]\nname = "caf\xe9"\n')
    with pytest.raises(ConfigError, match=r"my\.toml: not UTF-8 at byte 20"):
        load(path)


@pytest.mark.parametrize("override", ["depth", "=5", "a..b=1", "system.name.x=1"])
def test_a_malformed_override_is_shown(override: str) -> None:
    with pytest.raises(ConfigError):
        load(None, [override])


@pytest.mark.parametrize(
    ("override", "begin"),
    [
        ("exchanges.bybit.depth=17", "--set exchanges.bybit.depth: no book stream of depth 17"),
        ("exchanges.bybit.depth=-1", "--set exchanges.bybit.depth: "),
        ("exchanges.bybit.dept=1", "--set exchanges.bybit.dept: no such key"),
        ("exchanges.bybit.urls.rest=ftp://x", "--set exchanges.bybit.urls.rest: "),
        ("exchanges.nowhere.depth=1", "--set exchanges.nowhere.depth: exchanges.nowhere: no such exchange"),
        ("system.bind=banana", "--set system.bind: 'banana' is no IP address"),
    ],
)
def test_what_set_says_is_blamed_on_set(override: str, begin: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(None, ["system.log_level=DEBUG", override])
    assert str(caught.value).startswith(begin)


def test_a_file_is_blamed_for_its_own(tmp_path: Path) -> None:
    path = write(tmp_path, "[exchanges.bybit]\ndepth = 17\n")
    with pytest.raises(ConfigError) as caught:
        load(path, ["exchanges.bybit.redundancy=2"])
    assert str(caught.value).startswith(f"{path}: exchanges.bybit.depth: ")


def test_whoever_leaves_loopback_is_warned() -> None:
    assert bind_warning(load(None)) == ""
    assert "system.bind = 192.0.2.1" in bind_warning(load(None, ['system.bind="192.0.2.1"']))


def test_a_key_is_a_place_and_is_never_shown(tmp_path: Path) -> None:
    path = write(tmp_path, '[exchanges.bybit]\napi_key = "hunter2hunter2"\napi_secret = "env:K"\n')
    with pytest.raises(
        ConfigError, match=r"exchanges\.bybit\.api_key: is no place; write env:NAME or file:PATH"
    ) as caught:
        load(path)
    assert "hunter2" not in str(caught.value)


def test_a_databases_password_is_never_shown(tmp_path: Path) -> None:
    path = write(tmp_path, '[store]\nurl = "oracle+nothing://me:hunter2@host/db"\n')
    with pytest.raises(ConfigError, match=r"store\.url") as caught:
        load(path)
    assert "hunter2" not in str(caught.value)


def test_key_files_are_relative_to_the_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("key", "secret"):
        (tmp_path / name).write_text("x")
        (tmp_path / name).chmod(0o600)
    text = '[exchanges.bybit]\napi_key = "file:key"\napi_secret = "file:secret"\n'
    bybit = load(write(tmp_path, text)).exchanges["bybit"]
    assert bybit.api_key == f"file:{tmp_path / 'key'}"
    assert bybit.api_secret == f"file:{tmp_path / 'secret'}"
    monkeypatch.chdir(tmp_path)
    assert load(Path("my.toml")).exchanges["bybit"] == bybit


@pytest.mark.parametrize(("mode", "content", "words"), [(0o644, "x", "chmod 600"), (0o600, "", "empty")])
def test_a_key_file_that_will_not_do(tmp_path: Path, mode: int, content: str, words: str) -> None:
    for name in ("key", "secret"):
        (tmp_path / name).write_text(content)
        (tmp_path / name).chmod(mode)
    path = write(tmp_path, '[exchanges.bybit]\napi_key = "file:key"\napi_secret = "file:secret"\n')
    with pytest.raises(ConfigError, match=rf"exchanges\.bybit\.api_key: .*{words}"):
        load(path)


def test_keys_may_be_in_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TC_TEST_KEY", "k")
    monkeypatch.setenv("TC_TEST_SECRET", "s")
    text = '[exchanges.bybit]\napi_key = "env:TC_TEST_KEY"\napi_secret = "env:TC_TEST_SECRET"\n'
    bybit = load(write(tmp_path, text)).exchanges["bybit"]
    assert (bybit.api_key, bybit.api_secret) == ("env:TC_TEST_KEY", "env:TC_TEST_SECRET")
