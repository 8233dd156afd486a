"""Thespian 4.0.1 made safe to run, without a fork of it: names of its modules bound anew before the first ActorSystem.

As shipped it listens on every interface, unpickles whatever arrives, buffers what a stranger declares, and its admin
dies of '-5>' and of its logger's death. :func:`install` is called once, in the process that starts or attaches to a
system; what is forked from it inherits the changes. Each workaround below says what is wrong without it.
"""

from __future__ import annotations

import builtins
import hashlib
import hmac
import os
import pickle
import select
import signal
import time
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any

from thespian_connector.actors import process
from thespian_connector.limits import (
    ATTACH_S_MAX,
    CONNECTIONS_WAITING_MAX,
    MESSAGE_BYTES_MAX,
    MESSAGE_PREFIX_BYTES_MAX,
    STRANGER_S_MAX,
    STRANGERS_MAX,
    TRANSMITS_PENDING_MAX,
)
from thespian_connector.model.errors import NotRunning

from . import turns

_MAC_BYTES = hashlib.sha256().digest_size
#: How long a fresh admin may take to be handed over to the launcher, its subreaper.
_ADOPTION_S_MAX = 5.0

#: Thespian reads these when it is imported. Queues short, because its cost grows with their length; a message to a
#: hung actor given up after ten seconds, not five minutes.
ENVIRONMENT = {
    "THESPIAN_MAX_PENDING_TRANSMITS": str(TRANSMITS_PENDING_MAX),
    "THESPIAN_MAX_QUEUED_TRANSMITS": "40",
    "THESPIAN_QUEUED_TRANSMIT_UNBLOCK_THRESHOLD": "20",
    "THESPIAN_DROP_TRANSMITS_LEVEL": "100000",
    "THESPIAN_TRANSMIT_TIMEOUT_PERIOD": "0:10",
    "CONVENTION_REREGISTRATION_PERIOD": "0:02",
    "CONVENTION_RESTART_PERIOD": "0:02",
    "CONVENTION_REGISTRATION_MISS_MAX": "4",
}


class BadSignature(Exception):
    """The bytes were not written by somebody who has the system's secret."""


class SignedPickle:
    """Thespian's serializer: pickle behind an HMAC-SHA256 that is checked before anything is unpickled.

    The signature does not say for whom or when: who can read what passes here could send it once more. What that does
    is bounded where messages are read: an actor drops what names another incarnation, so that nothing survives a
    restart, and requests and announcements may be repeated without harm.
    """

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def dumps(self, value: Any) -> bytes:
        body = pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)
        return self._mac(body) + body

    def loads(self, data: bytes) -> Any:
        """:raises BadSignature: nothing was unpickled."""
        mac, body = data[:_MAC_BYTES], data[_MAC_BYTES:]
        if not hmac.compare_digest(mac, self._mac(body)):
            raise BadSignature
        return pickle.loads(body)  # noqa: S301 - signed by a process of this system

    def _mac(self, body: bytes) -> bytes:
        return hmac.digest(self._secret, body, "sha256")


class LimitedReceiveBuffer:
    """One packet ``<decimal length>>...`` as it arrives.

    Thespian's own takes any declared length ("1000000000000>" fills the memory, "-5>" raises in the admin's loop), and
    a body that does not deserialize raises where a slot is never freed. Here a bad packet is simply one that is done
    and has no content: the connection is closed and the slot comes back.
    """

    #: No packet of ours is shorter, so that this much can be read before its length is known. Each read is a turn of
    #: Thespian's loop, and of an acknowledgement one is enough.
    shortest = MESSAGE_PREFIX_BYTES_MAX

    def __init__(self, loads: Callable[[bytes], Any]) -> None:
        self._loads = loads
        self._prefix = b""
        self._data = bytearray()
        self._size: int | None = None
        self._extra = b""
        self._bad = False

    def addMore(self, data: bytes) -> None:
        if self._bad:
            return
        if self._size is None:
            digits, mark, data = (self._prefix + data).partition(b">")
            if len(digits) > MESSAGE_PREFIX_BYTES_MAX or not (digits.isdigit() or not digits):
                self._bad = True
                return
            if not mark:
                self._prefix = digits
                return
            if not digits or int(digits) > MESSAGE_BYTES_MAX:
                self._bad = True
                return
            self._size = int(digits)
        wanted = self._size - len(self._data)
        self._data += data[:wanted]
        self._extra += data[wanted:]

    def is_empty(self) -> bool:
        return not self._prefix and self._size is None

    def remainingAmount(self) -> int:
        if self._bad:
            return 1
        return max(1, self.shortest - len(self._prefix)) if self._size is None else self._size - len(self._data)

    def isDone(self) -> bool:
        return self._bad or (self._size is not None and len(self._data) == self._size)

    def removeExtra(self) -> None:
        self._extra = b""

    def completed(self) -> tuple[Any, bytes] | None:
        if self._bad or not self.isDone():
            return None
        try:
            return self._loads(bytes(self._data)), self._extra
        except Exception:  # noqa: BLE001 - unsigned, or of another version: either way it has no content for us
            return None


def keep_zero_delays(function: Callable[[Any], Any] | None, items: Iterable[Any]) -> Any:
    """``filter`` for Thespian's transport, where ``filter(None, delays)`` loses a delay of zero.

    A timer that is due right now then sets no timeout, and waits for the next message, if one ever comes.
    """
    if function is None:
        return (item for item in items if item is not None)
    return builtins.filter(function, items)


def install(secret: bytes, bind_ip: str = "127.0.0.1") -> None:
    """Makes every ActorSystem of this process, and of what it forks, safe.

    :param secret: shared by all processes of the system.
    :param bind_ip: the one address that is listened on and advertised.
    """
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    os.environ["THESPIAN_BASE_IPADDR"] = bind_ip  # what it advertises; read again for each new address

    from thespian.system import logdirector, multiprocCommon, transport
    from thespian.system.transport import IPBase, TCPTransport, streamBuffer

    serializer = SignedPickle(secret)
    # 1. It unpickles what anybody sends.
    TCPTransport.serializer = serializer
    # 2. The acknowledgements were built with plain pickle when the module was imported.
    TCPTransport.ackMsg = streamBuffer.toSendBuffer(streamBuffer.ackPacket, serializer.dumps)
    TCPTransport.ackDataErrMsg = streamBuffer.toSendBuffer(streamBuffer.ackDataErrPacket, serializer.dumps)
    # 3. It believes any declared length.
    TCPTransport.ReceiveBuffer = LimitedReceiveBuffer
    LimitedReceiveBuffer.shortest = len(TCPTransport.ackMsg)
    # 4. It loses timers that are due now.
    TCPTransport.filter = keep_zero_delays
    # 4a. It builds an epoll at each turn of its loop.
    TCPTransport.selectors = turns
    # 4b. It keeps every connection for minutes, and looks at each at each turn: a thousand of them make it deaf.
    TCPTransport.LISTEN_DEPTH = CONNECTIONS_WAITING_MAX
    transport_class = TCPTransport.TCPTransport
    if not hasattr(transport_class, "tc_accept"):
        transport_class.tc_accept = transport_class._acceptNewIncoming
        transport_class._acceptNewIncoming = _accept_few_strangers
    # 5. The admin dies when its logger does: it asks for `logDefs`, the attribute is `logdefs`.
    multiprocCommon.MultiProcReplicator.logDefs = property(lambda self: self.logdefs)
    # 6. It listens on every interface whatever address it advertises.
    IPBase.IPActorAddress.bindArgs = property(lambda self: ((bind_ip, self.bindname[1]),))
    # 7. Two actors that write to each other at once both wait 34 ms.
    transport.MIN_BACKOFF_DELAY = timedelta(microseconds=600)
    # 8. Its own timers of messages to a hung actor, where it was imported before us.
    transport.DEFAULT_MAX_TRANSMIT_PERIOD = timedelta(seconds=10)
    _adopt_helpers(multiprocCommon, logdirector)


def _accept_few_strangers(transport: Any) -> None:
    """A stranger is who has not sent a whole signed message yet: it has little time, and the oldest make room."""
    from thespian.system.timing import ExpirationTimer

    incoming = transport._incomingSockets
    known = set(incoming)
    for _ in range(STRANGERS_MAX):  # it takes one a turn, and a turn is long
        transport.tc_accept()
        if not _readable(transport.socket):
            break
    for fd in set(incoming) - known:
        incoming[fd]._expires = ExpirationTimer(timedelta(seconds=STRANGER_S_MAX))
    if len(incoming) > STRANGERS_MAX:
        strangers = [fd for fd, one in incoming.items() if not one.fromAddress.addressDetails]
        strangers.sort(key=lambda fd: incoming[fd]._expires.view().remaining())
        for fd in strangers[: max(0, len(strangers) - STRANGERS_MAX)]:
            incoming.pop(fd).close()


def _readable(listener: Any) -> bool:
    poll = select.poll()  # select() takes no descriptor above 1023
    poll.register(listener, select.POLLIN)
    return bool(poll.poll(0))


def _adopt_helpers(common: Any, logdirector: Any) -> None:
    """9. The admin and the logger survive their parents. They name themselves once they run: the place to hook in."""
    launcher_pid = os.getpid()

    def named(name: str, _address: Any) -> None:
        if name in ("MultiProcAdmin", "logger"):
            signal.signal(signal.SIGTERM, signal.SIG_DFL)  # not what the launcher does with it
        system = os.environ.get("TC_SYSTEM_NAME", "")
        if name == "MultiProcAdmin":
            _wait_for_adoption(launcher_pid)
            process.die_with_parent(launcher_pid)
            process.default_fatal_signals()
            process.set_title(system, "admin")
        elif name == "logger":
            process.die_with_parent()
            process.set_title(system, "logger")

    common.setProcName = named
    logdirector.setProcName = named


def _wait_for_adoption(launcher_pid: int) -> None:
    """The admin forks itself twice. Bound to its first parent, which ends at once, it would be killed at birth."""
    deadline = time.monotonic() + _ADOPTION_S_MAX
    while os.getppid() != launcher_pid and time.monotonic() < deadline:
        time.sleep(0.001)


def close_transport(transport: Any) -> None:
    """Closes a transport of Thespian whole: its own `close` forgets its listener, and connections kept for later."""
    listener = getattr(transport, "socket", None)
    for intent in getattr(transport, "_transmitIntents", {}).values():
        if getattr(intent, "socket", None) is not None:
            intent.socket.close()  # what it was sending when it gave up
    for kept in (getattr(transport, "_openSockets", {}), getattr(transport, "_incomingSockets", {})):
        for connection in list(kept.values()):
            connection.socket.close()
        kept.clear()
    transport.close()
    if listener is not None:
        listener.close()


def forbid_start() -> None:
    """In a process that only attaches: an ActorSystem that finds no admin must fail, not start a daemon of its own.

    And soon, where an admin is there but hangs (Thespian tries for 14 s), and without leaving its sockets open.
    """
    from thespian.system import multiprocCommon, systemBase

    def refuse(*_arguments: Any) -> None:
        raise NotRunning("the system ended while we attached to it; start it with: thespian-connector start --detach")

    multiprocCommon.multiprocessCommon._startAdmin = refuse
    systemBase.MAX_ADMIN_STATUS_REQ_DELAY = timedelta(seconds=ATTACH_S_MAX)
    systemBase.MAX_SYSTEM_SHUTDOWN_DELAY = timedelta(seconds=0)  # it tries for a second longer
    if not hasattr(systemBase.systemBase, "tc_init"):
        systemBase.systemBase.tc_init = systemBase.systemBase.__init__
        systemBase.systemBase.__init__ = _init_or_close


def _init_or_close(base: Any, *arguments: Any) -> None:
    try:
        base.tc_init(*arguments)
    except BaseException:
        close_transport(base.transport)
        raise
