"""Starting and ending a launcher from another process: ``start --detach``, ``stop``, ``Connector.start``."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from thespian_connector.actors import process
from thespian_connector.model import MergedBook
from thespian_connector.model.errors import ConfigError, ConnectorError, NotRunning

from . import config
from .client import Client
from .leash import Leash
from .runtime import Runtime

_POLL_S = 0.02
_STOP_S_MAX = 20.0
_OUTPUT_BYTES_MAX = 4096
_SILENT = "it does not answer yet"


def start_detached(
    name: str,
    config_file: Path | None,
    overrides: Sequence[str],
    *,
    timeout_s: float,
    wait_live: bool = False,
    owner_pid: int | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> None:
    """A launcher of its own, ready when this returns.

    :param wait_live: ready means that every configured book is LIVE, not only that Root answers.
    :param owner_pid: the system ends with this process.
    :param progress: told again and again what is still waited for.
    :raises UsageError, ConfigError: nothing was started.
    :raises ConnectorError: it is not ready within `timeout_s`, or ended, or ran already; what was started is gone, as
        it is after Ctrl-C, and when this process is killed meanwhile.
    """
    config.check_timeout(timeout_s)
    settings = config.load(config_file, overrides, name)
    runtime = Runtime(settings.system.name)
    runtime.create()
    if runtime.launcher_pid() is not None:
        raise runtime.runs_already()
    arguments = [sys.executable, "-m", "thespian_connector.system.launcher", "--system", name, "--quiet"]
    if config_file is not None:
        arguments += ["--config", str(config_file.resolve())]
    for override in overrides:
        arguments += ["--set", override]
    if owner_pid is not None:
        arguments += ["--owner", str(owner_pid)]
    with Leash() as leash:
        child = _launch(runtime, [*arguments, "--leash", str(leash.reading)], leash)
        try:
            _wait_ready(runtime, child, timeout_s, wait_live, progress)
        except BaseException:
            _end(runtime, child)
            raise
        leash.let_go()
    child.returncode = 0  # it goes on; nobody here will wait for it


def _launch(runtime: Runtime, arguments: Sequence[str], leash: Leash) -> subprocess.Popen[bytes]:
    with open(runtime.output_file, "wb", opener=_private) as output:
        return subprocess.Popen(  # noqa: S603 - our own interpreter and module
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            pass_fds=(leash.reading,),
        )


def _end(runtime: Runtime, child: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        child.terminate()
    try:
        child.wait(_STOP_S_MAX)
    except subprocess.TimeoutExpired:
        child.kill()  # everything below it dies with it
        child.wait()
        runtime.clear()


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _wait_ready(
    runtime: Runtime,
    child: subprocess.Popen[bytes],
    timeout_s: float,
    wait_live: bool,
    progress: Callable[[str], None],
) -> None:
    deadline = time.monotonic() + timeout_s
    with closing(Client(runtime)) as client:
        while why := _not_ready(client, wait_live):
            progress(why)
            code = child.poll()
            if code is not None:
                raise (
                    runtime.runs_already() if runtime.launcher_pid() not in (None, child.pid) else _ended(runtime, code)
                )
            if time.monotonic() >= deadline:
                raise ConnectorError(
                    f"the system {runtime.name!r} was not ready within {timeout_s:g} s ({why}); it was stopped;"
                    f" {runtime.log_file} says more"
                )
            time.sleep(_POLL_S if why == _SILENT else _POLL_S * 5)
        if runtime.read_system().launcher_pid != child.pid:  # of two starts at once the other one was first
            raise runtime.runs_already()


def _not_ready(client: Client, wait_live: bool) -> str:
    try:
        if not wait_live:
            client.ask("ping", {}, dict[str, int], timeout_s=1.0)
            return ""
        status = client.ask("status", {}, dict[str, list[object]], timeout_s=2.0)
        expected = _expected_books(client)
    except ConnectorError:
        return _SILENT
    books = [book for book in status["books"] if isinstance(book, dict)]
    waiting = [_standing(book) for book in books if book["trust"] != "LIVE"]
    missing = expected - len(books)
    if missing > 0:
        return f"{missing} books are not there yet"
    return f"not LIVE: {', '.join(waiting)}" if waiting else _not_merged(client)


def _standing(book: dict[str, Any]) -> str:
    reason = f" ({book['reason']})" if book["reason"] else ""
    return f"{book['exchange']} {book['symbol']} {book['trust']}{reason}"


def _not_merged(client: Client) -> str:
    """LIVE books reach the aggregator a moment later; whoever asks after the start finds them merged."""
    try:
        carried = client.ask("exchanges", {}, dict[str, list[str]], timeout_s=1.0)
        for symbol in dict.fromkeys(one for symbols in carried.values() for one in symbols):
            book = client.ask("merged_book", {"symbol": symbol, "depth": 1}, MergedBook, timeout_s=2.0)
            if book.excluded:
                return f"not merged yet: {symbol} of {', '.join(book.excluded)}"
    except ConnectorError as error:
        return str(error)
    return ""


def _expected_books(client: Client) -> int:
    return int(client.ask("ping", {}, dict[str, int], timeout_s=1.0).get("books", 0))


def _ended(runtime: Runtime, code: int) -> ConnectorError:
    output = runtime.output_file.read_bytes()[-_OUTPUT_BYTES_MAX:].decode(errors="replace").strip()
    last = output.splitlines()[-1] if output else f"{runtime.log_file} says why"
    if code == ConfigError.exit_code:
        return ConfigError(last)
    return ConnectorError(f"the system ended while it started (exit code {code}): {last}")


def stop(name: str, timeout_s: float = _STOP_S_MAX) -> None:
    """Ends the system; when it returns nothing of it is left.

    :raises NotRunning: there is none.
    :raises ConnectorError: it does not end within `timeout_s`, even though it was killed.
    """
    runtime = Runtime(name)
    pid = _settled(runtime.launcher_pid)
    if pid is None:
        raise NotRunning(f"no system {name!r} is running; if you mean another, name it with --system")
    pidfd = process.open_pidfd(pid)
    if pidfd is not None:
        process.kill(pidfd, signal.SIGTERM)
        process.kill(pidfd, signal.SIGCONT)  # a stopped launcher would never hear it
        _wait_gone(pidfd, timeout_s)
        if not process.has_exited(pidfd):
            process.kill(pidfd)
        process.close_fd(pidfd)
    deadline = time.monotonic() + 2.0
    while runtime.launcher_pid() is not None:  # the lock is held until the last process has ended
        if time.monotonic() > deadline:
            raise ConnectorError(f"processes of the system {name!r} do not end; look at: ps -ef | grep {name}")
        time.sleep(_POLL_S)
    runtime.clear()


def _settled(launcher_pid: Callable[[], int | None]) -> int | None:
    """The pid is written just after the lock is taken: 0 means in a moment."""
    for _ in range(50):
        pid = launcher_pid()
        if pid != 0:
            return pid
        time.sleep(_POLL_S)
    return None


def _wait_gone(pidfd: int, timeout_s: float) -> None:
    select.select([pidfd], [], [], timeout_s)
