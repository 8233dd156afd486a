"""The runtime directory of a system: its secret, its sockets, who runs it, Thespian's own log."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import secrets
import stat
import tempfile
from pathlib import Path

import msgspec
from msgspec import Struct

from thespian_connector.actors.settings import NAME_FORM, NAME_PATTERN, OrderSettings
from thespian_connector.model.errors import ConfigError, ConnectorError, NotRunning, UsageError, shown

#: sun_path of Linux, with the ending zero.
_SOCKET_PATH_BYTES_MAX = 108
#: The longest name of a socket that we put into the directory.
_SOCKET_NAME_BYTES_MAX = 48
_SECRET_BYTES = 32
#: Beside the systems' directories, so no system can have this name.
_BUDGETS = "budgets"
#: The system that is meant when none is named.
_DEFAULT = "default"
#: Whom every restart of the whole system replaces, besides HostAgent.
_TOP = ("admin", "root", "logger")
#: What says that there is no such file, in a place of ours at least.
_ABSENT = (FileNotFoundError, NotADirectoryError, PermissionError)


class SystemFile(Struct, frozen=True):
    """``system.json``: what a client needs to talk to the system, written when Root answers.

    `restarts`: of the whole system. `replaced`: how often the launcher, or the admin, replaced a process alone.
    `orders`: what clients make their orders with.
    """

    name: str
    launcher_pid: int
    admin_port: int
    bind: str
    root: str
    root_incarnation: int
    control: str | None
    host: str
    processes: dict[str, int]
    started_ns: int
    restarts: int = 0
    replaced: dict[str, int] = {}
    orders: OrderSettings = OrderSettings()

    def restarts_of(self, name: str) -> int:
        """How often the launcher replaced the process, alone or with everything. The others are for Root to count."""
        with_all = self.restarts if name in _TOP or name.startswith("hostagent/") else 0
        return with_all + self.replaced.get(name, 0)


def base_dir() -> Path:
    """Where the systems of this user are: under XDG_RUNTIME_DIR, else in the temporary directory.

    :raises ConfigError: XDG_RUNTIME_DIR is relative: it would be another place in each process (the XDG Base Directory
        Specification demands an absolute path).
    """
    given = os.environ.get("XDG_RUNTIME_DIR")
    if given:
        if not os.path.isabs(given):
            raise ConfigError(f"XDG_RUNTIME_DIR: {given!r} is not absolute; set it to the whole path of a directory")
        return Path(given) / "thespian-connector"
    return Path(tempfile.gettempdir()) / f"thespian-connector-{os.getuid()}"


def _make_private(directory: Path) -> None:
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = directory.stat()
    if status.st_uid != os.getuid():
        raise ConfigError(f"{directory}: belongs to another user; set XDG_RUNTIME_DIR to a directory of yours")
    if stat.S_IMODE(status.st_mode) != 0o700:
        directory.chmod(0o700)


def check_name(name: str) -> None:
    """:raises UsageError: no system can have that name."""
    if not re.fullmatch(NAME_PATTERN, name):
        raise UsageError(f"{shown(name)} can be no system's name; take {NAME_FORM}")
    if name == _BUDGETS:
        raise UsageError(f"{name!r} can be no system's name: what all systems share is there; take another")


class Runtime:
    """The directory of the system `name`. Nothing is created before :meth:`create`.

    :raises UsageError: no system can have that name.
    """

    def __init__(self, name: str) -> None:
        check_name(name)
        self.name = name
        self.path = base_dir() / name
        self._read: tuple[tuple[int, int, int], SystemFile] | None = None
        self._lock_fd: int | None = None

    @property
    def system_file(self) -> Path:
        return self.path / "system.json"

    @property
    def pid_file(self) -> Path:
        return self.path / "launcher.pid"

    @property
    def secret_file(self) -> Path:
        return self.path / "secret"

    def key_file(self, exchange: str, what: str) -> Path:
        """Where the simulator's account at `exchange` has its `what`: "key" or "secret"."""
        return self.path / f"paper-{exchange}.{what}"

    @property
    def log_file(self) -> Path:
        return self.path / "log.jsonl"

    @property
    def thespian_log(self) -> Path:
        return self.path / "thespian.log"

    @property
    def output_file(self) -> Path:
        """What a detached launcher prints."""
        return self.path / "launcher.out"

    @property
    def budget_dir(self) -> Path:
        """Shared by every system of this user: they share an IP address."""
        return base_dir() / _BUDGETS

    def create(self) -> None:
        """Makes the directory, ours alone.

        :raises ConfigError: it cannot be made, belongs to somebody else, or sockets in it would have too long a path.
        """
        longest = len(os.fsencode(self.path)) + 1 + _SOCKET_NAME_BYTES_MAX + 1
        if longest > _SOCKET_PATH_BYTES_MAX:
            raise ConfigError(
                f"{self.path}: too long for socket paths by {longest - _SOCKET_PATH_BYTES_MAX} bytes;"
                " set XDG_RUNTIME_DIR to a shorter directory or take a shorter --system"
            )
        try:
            for directory in (base_dir(), self.path, self.budget_dir):
                _make_private(directory)
        except OSError as error:
            raise ConfigError(
                f"{error.filename}: {error.strerror}; set XDG_RUNTIME_DIR to a directory that you may write to"
            ) from None

    def lock(self) -> None:
        """Takes the system for this process and what it forks; held until the last of them has ended.

        :raises ConnectorError: it runs already.
        """
        fd = os.open(self.pid_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            raise self.runs_already() from None
        os.ftruncate(fd, 0)
        os.write(fd, f"{os.getpid()}\n".encode())
        self._lock_fd = fd

    def make_secret(self) -> bytes:
        """A new secret, readable by this user alone."""
        secret = secrets.token_bytes(_SECRET_BYTES)
        with contextlib.suppress(FileNotFoundError):
            self.secret_file.unlink()
        fd = os.open(self.secret_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "wb") as file:
            file.write(secret)
        return secret

    def read_secret(self) -> bytes:
        """:raises NotRunning: no such system."""
        try:
            return self.secret_file.read_bytes()
        except _ABSENT:
            raise self.not_running() from None

    def write_system(self, system: SystemFile) -> None:
        temporary = self.system_file.with_suffix(".new")
        temporary.write_bytes(msgspec.json.encode(system))
        temporary.replace(self.system_file)

    def read_system(self) -> SystemFile:
        """:raises NotRunning: no such system, or it has not got so far yet."""
        try:
            status = os.stat(self.system_file)
            version = (status.st_ino, status.st_mtime_ns, status.st_size)  # it is replaced, never written into
            read = self._read
            if read is None or read[0] != version:
                read = self._read = (version, msgspec.json.decode(self.system_file.read_bytes(), type=SystemFile))
            return read[1]
        except (*_ABSENT, msgspec.DecodeError):
            raise self.not_running() from None

    def launcher_pid(self) -> int | None:
        """The pid of the launcher; None when no process holds the system."""
        try:
            fd = os.open(self.pid_file, os.O_RDWR | os.O_CLOEXEC)
        except _ABSENT:
            return None
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            text = os.read(fd, 32).strip()
            return int(text) if text.isdigit() else 0  # 0: it has just begun
        finally:
            os.close(fd)
        return None

    def runs_already(self) -> ConnectorError:
        return ConnectorError(
            f"the system {self.name!r} runs already; stop it first, or start another with --system NAME"
        )

    def not_running(self) -> NotRunning:
        named = "" if self.name == _DEFAULT else f" --system {self.name}"
        start = f"thespian-connector start --detach{named}"
        return NotRunning(f"no system {self.name!r} is running; start it with: {start}")

    def drop_empty_output(self) -> None:
        """When a detached launcher ends having printed nothing."""
        with contextlib.suppress(FileNotFoundError):
            if not self.output_file.stat().st_size:
                self.output_file.unlink()

    def clear(self) -> None:
        """Removes what only a running system has: sockets, locks, secrets, the pid file. Logs stay."""
        if not self.path.is_dir():
            return
        for entry in self.path.iterdir():
            ours = entry.name in ("system.json", "secret", "launcher.pid") or entry.match("paper-*.*")
            if ours or entry.suffix in (".lock", ".beat", ".crashes", ".restarts", ".new") or entry.is_socket():
                entry.unlink(missing_ok=True)
        if self._lock_fd is not None:
            os.close(self._lock_fd)
            self._lock_fd = None
