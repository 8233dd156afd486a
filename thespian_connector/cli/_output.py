"""What every command group prints with: documents on stdout, everything else on stderr."""

from __future__ import annotations

import sys
from typing import Any

from thespian_connector.model import to_json


def print_document(value: Any) -> None:
    """`value` (a record, or plain containers) as one JSON document on one line of stdout, decimals as strings."""
    sys.stdout.write(to_json(value).decode() + "\n")


def say(words: str) -> None:
    """A line for people, on stderr: never mixed with documents."""
    sys.stderr.write(words + "\n")
