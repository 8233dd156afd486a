"""Commands that crashed their handler: told by the process that dies to those that replace it.

A command that breaks its handler would break the next process too, and the one after that, for as long as its client
repeats it; and each time what else was asked of that component is lost. So the dying process leaves a line in a file of
the runtime directory, and its replacements read it: what is there twice is refused. The file goes with the system.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec

from thespian_connector.limits import COMMAND_CRASHES_MAX, COMMAND_CRASHES_REMEMBERED_MAX, COMMAND_SHOWN_CHARS_MAX
from thespian_connector.model.errors import PoisonCommand

from .messages import Context, Request

logger = logging.getLogger(__name__)
_encoder = msgspec.msgpack.Encoder(order="deterministic")
#: Arguments in which a repeated command differs from the first.
_OF_ONE_TRY = ("deadline_mono_ns",)


def crash_file(context: Context, name: str) -> Path:
    """Where the lives of one component tell each other."""
    return Path(context.runtime_dir) / f"{name.replace('/', '-')}.crashes"


def identity(request: Request) -> str:
    """The same for a command and for its repetition by whichever client: the operation and its arguments."""
    arguments: Any = request.body
    with contextlib.suppress(msgspec.DecodeError):  # no arguments, or none that can be read: the bytes as they are
        arguments = msgspec.msgpack.decode(request.body)
    if isinstance(arguments, dict):
        arguments = {key: value for key, value in arguments.items() if key not in _OF_ONE_TRY}
    return hashlib.sha256(_encoder.encode((request.operation, arguments))).hexdigest()


class CrashMemory:
    """What crashed the lives of one component before this one.

    At :data:`COMMAND_CRASHES_REMEMBERED_MAX` lines the oldest are forgotten.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        lines = file.read_text(encoding="ascii").splitlines() if file.exists() else []
        if len(lines) > COMMAND_CRASHES_REMEMBERED_MAX:
            lines = lines[-COMMAND_CRASHES_REMEMBERED_MAX:]
            file.write_text("".join(f"{line}\n" for line in lines), encoding="ascii")
        self._crashes = Counter(lines)

    def note(self, request: Request) -> None:
        """This process dies of `request`. Any thread; nothing that goes wrong here may hide why it dies."""
        try:
            with self._file.open("a", encoding="ascii") as file:
                file.write(f"{identity(request)}\n")
        except Exception:
            logger.exception("%s: a command that crashed its handler cannot be remembered", self._file)

    def refusal(self, name: str, request: Request) -> PoisonCommand | None:
        """Why `name` does not handle `request`; None: it does."""
        if not self._crashes or (times := self._crashes[identity(request)]) < COMMAND_CRASHES_MAX:
            return None
        return PoisonCommand(
            f"{name} refuses {_shown(request)}: it crashed its handler {times} times. The log says why, at"
            " 'unexpected exception'; change the arguments, or stop and start the system once the cause is mended"
        )


def _shown(request: Request) -> str:
    try:
        arguments = msgspec.json.encode(msgspec.msgpack.decode(request.body)).decode() if request.body else ""
    except msgspec.MsgspecError:
        arguments = "(arguments that cannot be read)"
    text = f"{request.operation} {arguments}".rstrip()
    return text if len(text) <= COMMAND_SHOWN_CHARS_MAX else f"{text[:COMMAND_SHOWN_CHARS_MAX]}..."
