"""Systems by the command line: start, stop, status, book; and starts that fail."""

from __future__ import annotations

import contextlib
import json
import socket
import stat
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import requests
from support.paper import all_live
from support.system import System
from support.waiting import wait_until

from thespian_connector.actors.status import listening

UNREACHABLE = (
    "exchanges.binance.urls.rest=http://127.0.0.1:9",
    "exchanges.binance.urls.stream=ws://127.0.0.1:9",
    "exchanges.bybit.enabled=false",
)


@pytest.fixture(scope="module")
def paper() -> Iterator[System]:
    """Both venues on a simulator, all LIVE."""
    with System() as system:
        took = system.start("--wait", "live", "--timeout", "120")
        print(f"\nstart --wait live: {took:.2f} s")
        wait_until(lambda: merged(system), 60, "the Aggregator has both, too")
        yield system
        assert system.run("stop").returncode == 0
        assert not system.pids()
        assert system.sockets() == []
        assert not (system.runtime / "launcher.out").exists(), "it printed nothing"
        left = list((system.runtime.parent / "budgets").glob("*-127.0.0.1_*"))
        assert not left, "the simulator's ports are nobody's now; its accounts are the same in each life"


def merged(system: System) -> bool:
    return all("binance, bybit" in system.run("book", symbol).stdout for symbol in ("BTC/USDT", "ETH/USDT"))


def whole_status(system: System) -> dict[str, Any]:
    """`status` once every process has said its part in time, and every book is LIVE: a busy machine may be late."""

    def whole() -> dict[str, Any]:
        document = dict(system.json("status"))
        heard = all(row["threads"] for row in document["actors"] if row["name"].endswith(("/0", "/gateway")))
        return document if heard and all_live(document) else {}

    return wait_until(whole, 60, "each process is heard, each book is LIVE")


@pytest.fixture
def system() -> Iterator[System]:
    with System(*UNREACHABLE) as one:
        yield one


def test_status_lists_every_process(paper: System) -> None:
    document = whole_status(paper)
    assert {"name": paper.name, "state": "running"}.items() <= document["system"].items()
    named = {row["name"]: row["pid"] for row in document["actors"]}
    parts = ("", "/gateway", "/market-data/0", "/order-command", "/order-state", "/user-data")
    components = [f"exchange/{exchange}{part}" for exchange in ("binance", "bybit") for part in parts]
    assert set(named) == {
        *("launcher", "janitor", "admin", "logger", "simulator", "root", "hostagent/local", "registry", "aggregator"),
        *components,
    }
    assert {pid: name for name, pid in named.items()} == paper.pids()
    assert all(row["state"] == "running" for row in document["actors"])
    threads = {row["name"]: [thread["name"] for thread in row["threads"]] for row in document["actors"]}
    assert "feed" in threads["exchange/binance/market-data/0"]


def test_status_lists_books_limits_and_listeners(paper: System) -> None:
    document = whole_status(paper)
    assert sorted((book["exchange"], book["symbol"]) for book in document["books"]) == [
        (exchange, symbol) for exchange in ("binance", "bybit") for symbol in ("BTC/USDT", "ETH/USDT")
    ]
    assert {limit["exchange"] for limit in document["limits"]} == {"binance", "bybit"}
    assert all(limit["used"] <= limit["cap"] for limit in document["limits"])
    assert all(breaker["state"] == "closed" for breaker in document["breakers"])
    tcp = [address for address in document["listening"] if "://" not in address]
    assert len(tcp) >= 10
    assert all(address.startswith("127.0.0.1:") for address in tcp), "nothing but loopback listens"


def test_people_get_tables(paper: System) -> None:
    whole_status(paper)
    shown = paper.run("status").stdout
    assert "exchange/binance/market-data/0" in shown
    assert "LIVE" in shown or "STALE" in shown
    assert "BTC/USDT" in paper.run("book", "BTC/USDT", "--exchange", "bybit").stdout


def test_book_shows_as_many_levels_as_asked_for(paper: System) -> None:
    whole_status(paper)
    book = paper.json("book", "BTC/USDT", "--exchange", "binance", "--depth", "3")
    assert (len(book["bids"]), len(book["asks"])) == (3, 3)
    assert book["stream"] == "btcusdt@depth@100ms"
    whole = paper.json("book", "BTC/USDT", "--exchange", "binance", "--depth", "0")
    assert [len(whole["bids"]), len(whole["asks"])] == whole["certified"]


def test_the_merged_book_says_who_offers_what(paper: System) -> None:
    wait_until(lambda: merged(paper), 60, "both are in it")
    book = paper.json("book", "BTC/USDT", "--depth", "5")
    assert (len(book["bids"]), len(book["asks"])) == (5, 5)
    for price, quantity, shares in book["bids"] + book["asks"]:
        assert sum(map(Decimal, shares.values())) == Decimal(quantity), price
    best = paper.json("best", "BTC/USDT")
    assert best["bid"]["exchange"] in ("binance", "bybit")
    assert Decimal(best["spread"]) == Decimal(best["ask"]["price"]) - Decimal(best["bid"]["price"])
    assert "spread" in paper.run("best", "BTC/USDT").stdout


def test_tickers_and_instruments_of_one_exchange_or_all(paper: System) -> None:
    done = paper.run("ticker", "BTC/USDT", "--json")
    assert [json.loads(line)["exchange"] for line in done.stdout.splitlines()] == ["binance", "bybit"]
    ticker = paper.json("ticker", "ETH/USDT", "--exchange", "bybit")
    assert (ticker["exchange"], ticker["symbol"]) == ("bybit", "ETH/USDT")
    assert Decimal(ticker["last"]) > 0
    assert "volume" in paper.run("ticker", "BTC/USDT").stdout
    done = paper.run("instruments", "--symbol", "BTC/USDT", "--json")
    listed = [json.loads(line) for line in done.stdout.splitlines()]
    assert {one["exchange"]: one["native"] for one in listed} == {"binance": "BTCUSDT", "bybit": "BTCUSDT"}
    assert "ETHUSDT" in paper.run("instruments", "bybit").stdout


def test_the_demo_kills_heals_and_leaves_nothing(paper: System) -> None:
    done = paper.run("demo", "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert result == {
        "ok": True,
        "live_s": result["live_s"],
        "recovered_s": result["recovered_s"],
        "orders": result["orders"],
        "books_equal_truth": True,
    }
    for exchange in ("binance", "bybit"):
        ended = {"resting": "CANCELED", "crossing": "FILLED", "equal_truth": True}
        assert ended.items() <= result["orders"][exchange].items()
    assert result["recovered_s"] > 0
    assert [one.name for one in paper.runtime.parent.iterdir() if one.name.startswith("demo")] == []
    assert paper.run("demo", "--config", "live.toml").returncode == 2


@pytest.mark.parametrize(
    ("words", "code", "kind"),
    [
        (("book", "BTC/USDT", "--exchange", "nowhere"), 2, "UnknownExchange"),
        (("book", "XYZ/USDT", "--exchange", "bybit"), 2, "UnknownSymbol"),
        (("book", "XYZ/USDT"), 2, "UnknownSymbol"),
        (("best", "XYZ/USDT"), 2, "UnknownSymbol"),
        (("ticker", "XYZ/USDT"), 2, "UnknownSymbol"),
        (("ticker", "BTC/USDT", "--exchange", "nowhere"), 2, "UnknownExchange"),
        (("instruments", "nowhere"), 2, "UnknownExchange"),
        (("watch", "BTC/USDT", "--channel", "candles"), 2, "UnknownChannel"),
        (("watch", "BTC/USDT", "--channel", "merged", "--exchange", "bybit"), 2, "UsageError"),
        (("book", "BTC/USDT", "--exchange", "bybit", "--depth", "-1"), 2, "UsageError"),
        (("start", "--detach"), 1, "ConnectorError"),
    ],
)
def test_errors_say_what_and_exit_as_promised(paper: System, words: tuple[str, ...], code: int, kind: str) -> None:
    done = paper.run(*words, "--json")
    assert done.returncode == code
    assert json.loads(done.stdout.splitlines()[-1])["error"]["type"] == kind
    assert done.stderr.strip()


def test_the_log_is_json_lines_with_the_actors_name(paper: System) -> None:
    lines = [json.loads(line) for line in (paper.runtime / "log.jsonl").read_text().splitlines()]
    started = {line["actor"] for line in lines if "started" in line["message"]}
    assert {"root", "exchange/binance/gateway"} <= started
    assert all({"time", "level", "logger", "pid"} <= line.keys() for line in lines)


def test_the_runtime_directory_is_private(paper: System) -> None:
    assert stat.S_IMODE(paper.runtime.stat().st_mode) == 0o700
    assert stat.S_IMODE((paper.runtime / "secret").stat().st_mode) == 0o600


@pytest.mark.parametrize("words", [("status",), ("stop",), ("book", "BTC/USDT", "--exchange", "bybit")])
def test_without_a_system_the_exit_code_is_3(system: System, words: tuple[str, ...]) -> None:
    done = system.run(*words, "--json")
    assert done.returncode == 3
    assert json.loads(done.stdout.splitlines()[-1])["error"]["type"] == "NotRunning"
    assert not system.pids(), "asking starts nothing"


def test_an_unreachable_venue_does_not_fail_the_start(system: System) -> None:
    took = system.start()
    print(f"\nstart: {took:.2f} s")
    books = wait_until(lambda: system.json("status")["books"], 60, "the feed says how its books stand")
    assert [book["trust"] for book in books] == ["SYNCING"] * 2
    refused = system.run("book", "BTC/USDT", "--exchange", "binance", "--json")
    assert refused.returncode == 4
    assert "127.0.0.1" in refused.stderr or "instruments" in refused.stderr
    assert system.run("stop").returncode == 0
    assert not system.pids()
    assert system.sockets() == []


def test_a_start_that_waits_in_vain_leaves_nothing(system: System) -> None:
    done = system.run("start", "--detach", *system._overrides, "--wait", "live", "--timeout", "15")
    assert done.returncode == 1
    assert "SYNCING" in done.stderr
    assert not system.pids()
    assert system.sockets() == []


def test_a_port_in_use_fails_the_start_and_leaves_nothing(system: System) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        begun = time.monotonic()
        done = system.run("start", "--detach", *system._overrides, "--set", f"system.admin_port={port}")
        assert done.returncode == 1
        assert str(port) in done.stderr
        assert "admin_port" in done.stderr.splitlines()[-1], "not what Thespian says, once it has tried for 14 s"
        print(f"\ntold after {time.monotonic() - begun:.2f} s")
    assert not system.pids()


def test_a_bad_config_is_a_usage_error_and_starts_nothing(system: System, tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_text("[exchanges.bybit]\ndepht = 5\n")
    for detach in ((), ("--detach",)):
        done = system.run("start", *detach, "--config", str(path))
        assert done.returncode == 2
        assert "depht" in done.stderr
    assert not system.pids()


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("system.log_file=/nonexistent/log.jsonl", "system.log_file"),
        ("system.logging=/nonexistent/logging.toml", "system.logging"),
        ("system.bind=192.0.2.1", "system.bind: 192.0.2.1 is no address of this machine"),
    ],
)
def test_a_start_that_cannot_be_says_so_in_one_line(system: System, setting: str, said: str) -> None:
    done = system.run("start", *system._overrides, "--set", setting, "--json")
    assert done.returncode in (1, 2)
    assert said in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["error"]["message"]
    assert not system.pids()
    assert system.sockets() == []


def test_a_broken_symbol_is_reported_not_fatal(paper: System) -> None:
    """A symbol that the venue does not list stays SYNCING, with the reason."""
    urls = [f"exchanges.bybit.urls.{key}={value}" for key, value in _bybit_urls(paper).items()]
    with System("exchanges.binance.enabled=false", *urls, 'exchanges.bybit.symbols=["BTC/USDT","NO/SUCH"]') as system:
        system.start()

        def one_live_one_not() -> dict[str, dict[str, str]]:
            found = {book["symbol"]: book for book in system.json("status")["books"]}
            live = {symbol for symbol, book in found.items() if book["trust"] == "LIVE"}
            return found if live == {"BTC/USDT"} and found.get("NO/SUCH", {}).get("reason") else {}

        books = wait_until(one_live_one_not, 60, "the other one is LIVE")
        assert "no such instrument" in books["NO/SUCH"]["reason"]


def _bybit_urls(paper: System) -> dict[str, str]:
    """Where the simulator of `paper` serves Bybit: one of the ports on which it listens."""
    simulator = next(pid for pid, name in paper.pids().items() if name == "simulator")
    for address in listening([simulator]):
        with contextlib.suppress(requests.RequestException):
            if requests.get(f"http://{address}/v5/market/time", timeout=60).status_code == 200:
                return {"rest": f"http://{address}", "ws": f"ws://{address}"}
    raise AssertionError("no Bybit among the simulator's ports")
