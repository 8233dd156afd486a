"""One ZeroMQ context a process, made when the first socket is and ended with the last one.

A context does not survive a fork (its I/O thread is not in the child), and Thespian's actors are forks: so a child
never uses, nor ends, its parent's.
"""

from __future__ import annotations

import os
import threading

import zmq

_lock = threading.Lock()
_contexts: dict[int, tuple[zmq.Context[zmq.Socket[bytes]], int]] = {}


def open_socket(kind: int) -> zmq.Socket[bytes]:
    """A socket of this process's context. Give it back by :func:`close_socket`."""
    pid = os.getpid()
    with _lock:
        context, users = _contexts.get(pid) or (zmq.Context(), 0)
        _contexts[pid] = context, users + 1
    try:
        return context.socket(kind)
    except zmq.ZMQError:
        _release(pid)
        raise


def close_socket(socket: zmq.Socket[bytes]) -> None:
    """Close at once, dropping what is not sent; the context ends with its last socket."""
    if not socket.closed:
        socket.close(linger=0)
        _release(os.getpid())


def _release(pid: int) -> None:
    with _lock:
        context, users = _contexts[pid]
        if users > 1:
            _contexts[pid] = context, users - 1
            return
        del _contexts[pid]
    context.term()
