"""What every command group prints with: documents on stdout, everything else on stderr."""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from thespian_connector.model import to_json

if TYPE_CHECKING:
    from rich.console import Console

#: A pipe has no width; this holds every row whole.
PIPE_COLUMNS = 140
_CODES = {"bold": "1", "green": "32", "red": "31", "yellow": "33", "dim": "2"}


def print_document(value: Any) -> None:
    """`value` (a record, or plain containers) as one JSON document on one line of stdout, decimals as strings."""
    sys.stdout.write(to_json(value).decode() + "\n")


def say(words: str) -> None:
    """A line for people, on stderr: never mixed with documents."""
    sys.stderr.write(words + "\n")


@contextlib.contextmanager
def sigterm_interrupts() -> Iterator[None]:
    """SIGTERM and SIGHUP are taken like Ctrl-C within the block: what was opened or started is ended on the way out.

    A SIGHUP that is ignored (``nohup``) stays ignored.
    """
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    if before[signal.SIGHUP] is signal.SIG_IGN:
        del before[signal.SIGHUP]
    for number in before:
        signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def console() -> Console:
    """Where tables for people go."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else PIPE_COLUMNS, highlight=False)


def table(*columns: str, left: int = 0) -> Any:
    """A rich table: the first `left` columns are words, the others numbers."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    result = Table(box=SIMPLE_HEAD, pad_edge=False)
    for number, name in enumerate(columns):
        result.add_column(name, justify="left" if number < left else "right", no_wrap=True)
    return result


def paint(words: str, colour: str) -> str:
    """`words` in colour on a terminal, else as they are."""
    return f"\x1b[{_CODES[colour]}m{words}\x1b[0m" if sys.stdout.isatty() else words


def trust_colour(trust: str) -> str:
    return "green" if trust == "LIVE" else "yellow"


@contextlib.contextmanager
def progress(words: str) -> Iterator[Callable[[str], None]]:
    """Shows on stderr's terminal that something is being done; the function that it gives says how far it is."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.markup import escape

    with Console(stderr=True).status(words) as status:
        yield lambda detail: status.update(f"{words}: [dim]{escape(detail)}")
