"""The programs that are compared, and the feed that all of them read."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
BARE, OURS, CRYPTOFEED, CCXT = "bare reader, no book", "thespian_connector", "cryptofeed", "ccxt.pro (floats)"
SCRIPTS = {
    BARE: "bare.py",
    OURS: "ours.py",
    CRYPTOFEED: "cryptofeed_client.py",
    CCXT: "ccxtpro_client.py",
}
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Feed:
    """The feed's server, in a process of its own. `facts`: its URLs, the last id, what the last book looks like."""

    def __init__(self, facts: dict[str, Any], pid: int) -> None:
        self.facts = facts
        self.pid = pid

    def go(self) -> int:
        """Lets a feed that holds go on; when, on the monotonic clock."""
        return int(self._get("/go")["at_ns"])

    def sent(self) -> dict[int, int]:
        """Update id -> when it left, of the last client's run."""
        return {int(update_id): int(when) for update_id, when in self._get("/sent")}

    def _get(self, path: str) -> Any:
        with _DIRECT.open(self.facts["url"] + path, timeout=10) as answer:
            return json.loads(answer.read())

    def command(self, client: str) -> list[str]:
        script = str(HERE / "clients" / SCRIPTS[client])
        return [sys.executable, script, self.facts["url"], self.facts["stream"], str(self.facts["last_id"])]


@contextlib.contextmanager
def feed(count: int, *, rate: float = 0, hold: bool = False, trades: int = 0) -> Iterator[Feed]:
    command = [sys.executable, str(HERE / "feed.py"), "--count", str(count), "--rate", str(rate)]
    command += ["--trades", str(trades), *(["--hold"] if hold else [])]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield Feed(json.loads(process.stdout.readline()), process.pid)
    finally:
        process.terminate()
        process.wait(10)
        process.stdout.close()


def environment(**more: str) -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")} | more


def run(client: str, source: Feed, timeout_s: float = 300, **settings: str) -> dict[str, Any]:
    """What the client says of itself, or `error`."""
    try:
        done = subprocess.run(
            source.command(client),
            capture_output=True,
            text=True,
            timeout=timeout_s,
            env=environment(**settings),
            check=False,
        )
    except subprocess.TimeoutExpired:
        return {"error": f"did not reach the last update within {timeout_s:g} s"}
    if done.returncode or not done.stdout.strip():
        return {"error": (done.stderr.strip().splitlines() or ["no output"])[-1]}
    result: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    result["right"] = result["best"] in (None, source.facts["best"])
    return result
