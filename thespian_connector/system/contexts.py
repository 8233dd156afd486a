"""This process's own end of a running system: attached to once, and contexts to ask with, which are used again.

A context is a listener and a connection to each actor that it has asked. To make one and to be connected costs several
times what a question costs, on both sides.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from thespian_connector.limits import CONTEXT_KEPT_S_MAX, CONTEXTS_KEPT_MAX
from thespian_connector.model.errors import NotRunning

from . import hardening
from .runtime import Runtime, SystemFile

_PROBE_S_MAX = 1.0
#: Thespian's secret and its patches are the process's, not the connection's: one system a process at a time.
_lock = threading.Lock()
_attached: dict[str, Any] = {}
#: (when it was last used, the base that it was cloned from, the context), the longest unused first.
_kept: list[tuple[float, Any, Any]] = []


@contextlib.contextmanager
def private(system: SystemFile, runtime: Runtime) -> Iterator[Any]:
    """A context of the caller's own, so that no answer reaches another thread. It is kept for the next caller, unless
    something was raised: what was sent may still be on its way, and would hold up what is sent after it.

    :raises NotRunning: nobody listens.
    """
    base = _attach(system, runtime)
    context = _take(base) or base.external_clone()
    answered = False
    try:
        yield context
        answered = True
    finally:
        if not (answered and _keep(base, context)):
            hardening.close_transport(context.transport)


def detach(name: str) -> None:
    """Closes what this process holds open towards the system `name`."""
    with _lock:
        if _attached and _attached["key"][1] == name:
            base = _attached["base"]
            _attached.clear()
            _close_kept(lambda _at, _base: True)
            hardening.close_transport(base.transport)


def _attach(system: SystemFile, runtime: Runtime) -> Any:
    secret = runtime.read_secret()
    key = (os.getpid(), system.name, system.admin_port, secret)
    with _lock:
        if _attached.get("key") == key:
            return _attached["base"]
        _probe(system)
        hardening.install(secret, system.bind)
        hardening.forbid_start()
        os.environ.setdefault("THESPLOG_FILE", str(runtime.thespian_log))
        from thespian.actors import ActorSystem

        attached = ActorSystem("multiprocTCPBase", {"Admin Port": system.admin_port}, transientUnique=True)._systemBase
        previous = _attached.get("base")
        _attached.update(key=key, base=attached)
        _close_kept(lambda _at, _base: True)
        if previous is not None:
            hardening.close_transport(previous.transport)
        return attached


def _probe(system: SystemFile) -> None:
    """Thespian would start a daemon of its own where nobody listens.

    :raises NotRunning: nobody does.
    """
    try:
        socket.create_connection((system.bind, system.admin_port), _PROBE_S_MAX).close()
    except OSError:
        raise NotRunning(f"the system {system.name!r} is starting or restarting; ask again in a moment") from None


def _take(base: Any) -> Any:
    """The one that was used last; None: there is none."""
    oldest = time.monotonic() - CONTEXT_KEPT_S_MAX
    with _lock:
        _close_kept(lambda at, of: at < oldest or of is not base)
        return _kept.pop()[2] if _kept else None


def _keep(base: Any, context: Any) -> bool:
    with _lock:
        if _attached.get("base") is not base or len(_kept) >= CONTEXTS_KEPT_MAX:
            return False
        _kept.append((time.monotonic(), base, context))
        return True


def _close_kept(which: Callable[[float, Any], bool]) -> None:
    for one in [one for one in _kept if which(one[0], one[1])]:
        _kept.remove(one)
        hardening.close_transport(one[2].transport)
