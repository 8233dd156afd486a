"""Named points at which a test may have a process killed. Inert unless somebody arms one, in the runtime directory."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

from .messages import Context


def arming_file(context: Context, component: str, point: str) -> Path:
    """Whoever makes this file has the process of `component` killed the next time that it passes `point`, once."""
    return Path(context.runtime_dir) / "crash-points" / f"{component.replace('/', '-')}.{point}"


def crash_points(context: Context, component: str) -> Callable[[str], None]:
    """What the component calls at each point: one look for a directory that usually does not exist."""
    directory = str(arming_file(context, component, "").parent)

    def point(name: str) -> None:
        if not os.path.exists(directory):  # a tenth of what Path asks for it
            return
        try:
            arming_file(context, component, name).unlink()
        except FileNotFoundError:
            return
        os.kill(os.getpid(), signal.SIGKILL)

    return point
