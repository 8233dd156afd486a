"""The command line's frame: options, exit codes, how errors are told. Commands themselves are tested elsewhere."""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from thespian_connector.cli import main as cli
from thespian_connector.cli._output import sigterm_interrupts
from thespian_connector.model.errors import AnswerLost, ConnectorError, NotRunning, RiskRefused, UsageError


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> list[argparse.Namespace]:
    """A command line whose only command, ``do``, with a nested ``it``, notes its arguments."""
    seen: list[argparse.Namespace] = []

    def run(args: argparse.Namespace) -> int:
        seen.append(args)
        return 0

    def build() -> cli.Parser:
        parser = cli.Parser(prog=cli.PROGRAM)
        nested = parser.add_subparsers().add_parser("do").add_subparsers().add_parser("it")
        nested.add_argument("word", nargs="?")
        nested.set_defaults(run=run)
        return parser

    monkeypatch.setattr(cli, "build_parser", build)
    monkeypatch.delenv(cli.SYSTEM_VARIABLE, raising=False)
    return seen


def test_global_options_may_stand_anywhere_and_settings_add_up(command: list[argparse.Namespace]) -> None:
    text = "--json --set a.b=1 do --system one --set c==x it --set d= --config f.toml --set a.b=2"
    words = text.split()
    assert cli.main(words) == 0
    (args,) = command
    assert (args.json, args.system, args.config) == (True, "one", "f.toml")
    assert args.set == [("a.b", "1"), ("c", "=x"), ("d", ""), ("a.b", "2")]


def test_global_options_have_defaults(command: list[argparse.Namespace], monkeypatch: pytest.MonkeyPatch) -> None:
    assert cli.main(["do", "it"]) == 0
    monkeypatch.setenv(cli.SYSTEM_VARIABLE, "mine")
    assert cli.main(["do", "it"]) == 0
    assert cli.main(["--system", "given", "do", "it"]) == 0
    assert [args.system for args in command] == ["default", "mine", "given"]
    assert (command[0].json, command[0].config, command[0].set) == (False, None, [])


@pytest.mark.parametrize("words", [[], ["do"], ["nonsense"], ["do", "it", "--jso"], ["--set", "novalue", "do", "it"]])
@pytest.mark.usefixtures("command")
def test_misuse_is_exit_2_with_a_hint(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([*words, "--json"]) == 2
    out, err = capsys.readouterr()
    error = json.loads(out.splitlines()[-1])["error"]
    assert (error["type"], error["outcome_known"]) == ("UsageError", True)
    assert err.splitlines()[-1] == f"thespian-connector: {error['message']}"
    assert "--" in error["message"], "it says what to do"


@pytest.mark.parametrize(("error", "code"), [
    (UsageError("u"), 2), (NotRunning("n"), 3), (RiskRefused("r"), 4), (AnswerLost("a", client_order_id="id-1"), 5),
    (ConnectorError("c"), 1),
])  # fmt: skip
def test_errors_are_told_and_counted(
    error: ConnectorError, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(words: list[str]) -> int:
        raise error

    monkeypatch.setattr(cli, "_run", fail)
    assert cli.main(["--json"]) == code
    out, err = capsys.readouterr()
    assert json.loads(out) == {"error": error.document()}
    assert err == f"thespian-connector: {error}\n"
    assert cli.main(["do", "--", "--json"]) == code
    assert capsys.readouterr().out == "", "what follows -- is no option"


def test_a_bug_is_shown_whole_and_ends_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(words: list[str]) -> int:
        raise ZeroDivisionError("oops")

    monkeypatch.setattr(cli, "_run", fail)
    assert cli.main(["--json"]) == 1
    out, err = capsys.readouterr()
    assert json.loads(out)["error"]["type"] == "InternalError"
    assert "Traceback" in err
    assert "internal error: ZeroDivisionError: oops" in err.splitlines()[-1]


def test_an_interrupt_is_130_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(words: list[str]) -> int:
        os.kill(os.getpid(), signal.SIGINT)
        signal.pause()
        return 0

    monkeypatch.setattr(cli, "_run", interrupted)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        assert cli.main([]) == 130
    finally:
        signal.signal(signal.SIGINT, before)
    assert capsys.readouterr().err == ""


def _program(*words: str) -> list[str]:
    return [sys.executable, "-m", "thespian_connector", *words]


def test_the_module_is_the_program() -> None:
    done = subprocess.run(_program("--version"), capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.startswith("thespian-connector ")
    helped = subprocess.run(_program("replay", "--help"), capture_output=True, text=True, timeout=60, check=True)
    assert "--dump-book" in helped.stdout
    assert "global options" in helped.stdout
    assert "`" not in helped.stdout


def test_a_reader_that_goes_away_is_no_traceback(tmp_path: Path) -> None:
    line = '{"t":1,"kind":"rest","url":"https://x/api/v3/depth?symbol=S&limit=5","data":{"lastUpdateId":1,"bids":[["1","1"]],"asks":[]}}'
    (tmp_path / "c").write_text(line + "\n")
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            _program("replay", "--json", "--exchange", "binance", str(tmp_path / "c")),
            stdout=writing, stderr=subprocess.PIPE, timeout=60, check=False,
        )  # fmt: skip
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (141, b"")


def test_an_interrupt_while_it_loads_is_130_without_a_traceback() -> None:
    """The console script's function is this one, too."""
    program = (
        "import builtins, sys\n"
        "real = builtins.__import__\n"
        "def interrupted(name, *rest):\n"
        "    if name.startswith(('msgspec', 'thespian_connector.cli')): raise KeyboardInterrupt\n"
        "    return real(name, *rest)\n"
        "builtins.__import__ = interrupted\n"
        "from thespian_connector.__main__ import main\n"
        "sys.exit(main())\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_sigterm_and_sighup_end_a_block_like_ctrl_c(number: signal.Signals) -> None:
    outer = signal.signal(number, signal.SIG_DFL)  # the tests may run under nohup
    try:
        with pytest.raises(KeyboardInterrupt), sigterm_interrupts():
            signal.raise_signal(number)
        assert signal.getsignal(number) is signal.SIG_DFL
    finally:
        signal.signal(number, outer)


def test_nohup_is_minded() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with sigterm_interrupts():
            signal.raise_signal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("words", [
    ["record", "--exchange", "bybit", "BTC/USDT", "FILE", "--seconds", "0", "--set", "system.admin_port=0"],
    ["record", "--exchange", "bybit", "BTC/USDT", "FILE", "--seconds", "nan", "--set", "system.admin_port=0"],
    ["watch", "BTC/USDT", "-n", "99999999999999999999999"],
    ["watch", "BTC/USDT", "-n", "-1"],
    ["book", "BTC/USDT", "--depth", "-1", "--system", "nowhere"],
    ["simulate", "--rate", "nan"],
    ["simulate", "--rate=-inf"],
    ["start", "--detach", "--timeout", "nan"],
    ["start", "--detach", "--timeout", "-1"],
    ["start", "--timeout", "0"],
])  # fmt: skip
def test_numbers_that_cannot_be_are_misuse_whether_a_system_runs_or_not(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "c.jsonl"
    assert cli.main([str(file) if word == "FILE" else word for word in words]) == 2
    assert re.search("take|is not a number", capsys.readouterr().err)
    assert not file.exists()


def test_a_channel_that_cannot_be_is_misuse_whether_a_system_runs_or_not(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["watch", "BTC/USDT", "--channel", "books", "--system", "nowhere"]) == 2
    assert "'books' is not one of book, trade" in capsys.readouterr().err
