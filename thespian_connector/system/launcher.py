"""The launcher: one a host, one thread, no Thespian messages of its own. Starts, watches, restarts, cleans up.

It holds a pidfd on Thespian's admin, on Root and on HostAgent. When the admin or Root ends it kills what is left and
starts anew, at most RESTARTS_MAX times in RESTART_PERIOD_S; past that it ends, saying why. HostAgent is started anew
alone, with what is below it. The launcher's own end, however it comes, ends the system: every process below it is bound
to its parent's life.
"""

from __future__ import annotations

import argparse
import gc
import logging
import os
import select
import signal
import sys
import time
from collections import Counter, deque
from collections.abc import Sequence
from pathlib import Path

from thespian_connector.actors import logs, process
from thespian_connector.actors.settings import Settings
from thespian_connector.limits import (
    HEAP_BLOCK_BYTES_MAX,
    HEAPS_MAX,
    LAUNCHER_RESTART_PERIOD_S,
    LAUNCHER_RESTARTS_MAX,
    OPEN_FILES_MAX,
    SIMULATOR_DEAF_S_MAX,
)
from thespian_connector.model.errors import ConnectorError

from . import config, hardening, leash, paper
from .generation import Generation, log_path
from .janitor import Janitor
from .runtime import Runtime, SystemFile
from .venue import Simulator, needs_simulator
from .vigil import Knock, Vigil, Watch

logger = logging.getLogger("thespian_connector.launcher")

_LOOK_MS = 1000
_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class TooManyRestarts(ConnectorError):
    """The system ended again and again."""


class Launcher:
    """:param owner_pid: the process whose end means stop (a program that called ``Connector.start``).
    :param leash_fd: the inherited end of the starter's :class:`~.leash.Leash`, when there is one.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        directory: Path,
        owner_pid: int | None = None,
        leash_fd: int | None = None,
        stderr: bool = True,
    ) -> None:
        self._settings = settings
        self._directory = directory
        self._owner_pid = owner_pid
        self._leash = leash.take(leash_fd) if leash_fd is not None else None
        self._stderr = stderr
        self._runtime = Runtime(settings.system.name)
        self._simulator: Simulator | None = None
        self._janitor = Janitor(self._runtime)
        self._stop_asked = False
        self._restarts = 0
        #: How often a process was replaced alone.
        self._replaced: Counter[str] = Counter()
        self._logger_pid: int | None = None
        self._host_agent_ends: deque[float] = deque(maxlen=LAUNCHER_RESTARTS_MAX + 1)

    def run(self) -> None:
        """Returns when the system was asked to stop and nothing of it is left.

        :raises ConnectorError: it cannot start, or ended too often; nothing is left then either.
        """
        self._runtime.create()
        self._runtime.lock()
        try:
            self._prepare()
            self._supervise()
        finally:
            self._clean_up()

    # -- before anything is forked

    def _prepare(self) -> None:
        system = self._settings.system
        process.set_title(system.name, "launcher")
        os.umask(0o077)  # Thespian's own log, and a log file elsewhere, are nobody else's business
        process.become_subreaper()
        process.raise_file_limit(OPEN_FILES_MAX)
        process.bound_heap(HEAP_BLOCK_BYTES_MAX, HEAPS_MAX)
        self._wakeup = _wakeup_pipe()
        for number in _STOP_SIGNALS:
            # `nohup` means it; a shell that ignores SIGINT for what it runs in the background does not.
            if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._on_stop_signal)
        signal.signal(signal.SIGTSTP, signal.SIG_IGN)  # Ctrl-Z would freeze books that traders look at
        signal.signal(signal.SIGCHLD, lambda *_: None)  # so that it wakes the loop
        override = self._directory / system.logging if system.logging else None
        logs.configure(
            log_path(self._settings, self._runtime), system.log_level, stderr=self._stderr, override=override
        )
        logs.reclaim("launcher")
        os.environ["TC_SYSTEM_NAME"] = system.name
        os.environ["THESPLOG_FILE"] = str(self._runtime.thespian_log)
        self._janitor.start()
        hardening.install(self._runtime.make_secret(), system.bind)
        self._owner = process.open_pidfd(self._owner_pid) if self._owner_pid is not None else None
        if self._owner_pid is not None and self._owner is None:
            raise ConnectorError("the process that wanted this system has ended already")
        simulated = [name for name, one in self._settings.exchanges.items() if needs_simulator(one)]
        if simulated:
            self._simulator = Simulator(self._settings.simulator, system.name)
            self._simulator.start()
            paper.forget_journal(self._settings, simulated, self._runtime)
            self._settings = paper.fill_in(self._settings, simulated, self._simulator.control, self._runtime)
        _preload()

    def _on_stop_signal(self, number: int, _frame: object) -> None:
        logger.info("%s: stopping", signal.Signals(number).name)
        self._stop_asked = True

    # -- the loop

    def _supervise(self) -> None:
        moments: deque[float] = deque(maxlen=LAUNCHER_RESTARTS_MAX)
        while not self._stop_asked:
            generation = self._start_generation()
            ended = self._wait(generation)
            self._runtime.system_file.unlink(missing_ok=True)
            if ended is None:
                generation.stop()
                return
            logger.critical("%s has ended; everything is started anew", ended)
            generation.destroy()
            now = time.monotonic()
            if len(moments) == LAUNCHER_RESTARTS_MAX and now - moments[0] < LAUNCHER_RESTART_PERIOD_S:
                raise TooManyRestarts(
                    f"the system ended {len(moments) + 1} times in {LAUNCHER_RESTART_PERIOD_S:g} s, lastly because"
                    f" {ended} did; {log_path(self._settings, self._runtime)} says why"
                )
            moments.append(now)
            self._restarts += 1

    def _start_generation(self) -> Generation:
        settings = self._settings
        keep = {self._janitor.pid}
        if self._simulator is not None:
            settings = self._simulator.fill_in(settings)
            keep.add(self._simulator.pid)
        begun = time.monotonic()
        generation = Generation(settings, self._runtime, keep)
        self._write_system(generation)
        logger.info("system %s runs after %.2f s", settings.system.name, time.monotonic() - begun)
        return generation

    def _write_system(self, generation: Generation) -> None:
        settings = self._settings
        self._runtime.write_system(
            SystemFile(
                name=settings.system.name,
                launcher_pid=os.getpid(),
                admin_port=generation.port,
                bind=settings.system.bind,
                root=generation.root_address,
                root_incarnation=generation.root_incarnation,
                control=self._simulator.control if self._simulator is not None else None,
                host=settings.system.host,
                processes=generation.processes,
                started_ns=time.time_ns(),
                restarts=self._restarts,
                replaced=dict(self._replaced),
                orders=settings.orders,
            )
        )

    def _wait(self, generation: Generation) -> str | None:
        """Until one of the watched ends (its name) or a stop is asked for (None)."""
        others = {"simulator": self._simulator_pid, "janitor": lambda: self._janitor.pid}
        deaf = []
        if self._simulator is not None:
            deaf = [Watch("simulator", Knock(self._simulator.control_address), SIMULATOR_DEAF_S_MAX)]
        vigil = generation.vigil(others, *deaf)
        self._logger_pid = generation.logger_pid()
        try:
            return self._watch(generation, vigil)
        finally:
            vigil.close()

    def _watch(self, generation: Generation, vigil: Vigil) -> str | None:
        while True:
            poll = select.poll()
            poll.register(self._wakeup, select.POLLIN)
            named = {pidfd: name for name, pidfd in generation.watched.items()}
            if self._owner is not None:
                named[self._owner] = "owner"
            if self._leash is not None:
                named[self._leash] = "leash"
            if self._simulator is not None and self._simulator.pidfd is not None:
                named[self._simulator.pidfd] = "simulator"
            if self._janitor.pidfd is not None:
                named[self._janitor.pidfd] = "janitor"
            for pidfd in named:
                poll.register(pidfd, select.POLLIN)
            ready = [fd for fd, _ in poll.poll(_LOOK_MS)]
            _drain(self._wakeup)
            for _ in process.reap():
                pass
            ended = [named[fd] for fd in ready if fd in named]
            if self._stop_asked or "owner" in ended or ("leash" in ended and self._starter_ended()):
                return None
            ended = [name for name in ended if name != "leash"]
            if "simulator" in ended:
                self._restart_simulator(generation)
                ended.remove("simulator")
            if "janitor" in ended:
                self._janitor.start()
                generation.keep(self._janitor.pid)
                ended.remove("janitor")
                self._note_replaced("janitor", generation)
            self._look_at_logger(generation)
            hung = vigil.silent()
            agent = generation.host_agent_name
            over = [name for name in ended if name != agent] + self._replace_hung(generation, hung)
            if over:
                return over[0]
            if (agent in ended or agent in hung) and not self._restart_host_agent(generation):
                return agent

    def _starter_ended(self) -> bool:
        """Before the start was done; after it nobody minds."""
        assert self._leash is not None
        done = leash.was_let_go(self._leash)
        self._leash = None
        if not done:
            logger.info("whoever started this system has ended before it was ready: stopping")
        return not done

    def _look_at_logger(self, generation: Generation) -> None:
        """The admin forks another when it dies, and tells nobody."""
        pid = generation.logger_pid()
        if pid is None or pid == self._logger_pid:
            return
        if self._logger_pid is not None:
            self._note_replaced("logger", generation)
        self._logger_pid = pid

    def _note_replaced(self, name: str, generation: Generation) -> None:
        """`status` tells how often."""
        self._replaced[name] += 1
        self._write_system(generation)

    def _restart_host_agent(self, generation: Generation) -> bool:
        """False when it was restarted too often, or does not come up: then everything is."""
        now = time.monotonic()
        times = self._host_agent_ends
        times.append(now)
        if len(times) > LAUNCHER_RESTARTS_MAX and now - times[0] < LAUNCHER_RESTART_PERIOD_S:
            times.clear()
            return False
        logger.critical("%s has ended or hung; it is started anew", generation.host_agent_name)
        try:
            generation.restart_host_agent()
        except ConnectorError as error:
            logger.critical("%s", error)
            return False
        self._note_replaced(generation.host_agent_name, generation)
        return True

    def _simulator_pid(self) -> int | None:
        return self._simulator.pid if self._simulator is not None else None

    def _replace_hung(self, generation: Generation, names: Sequence[str]) -> list[str]:
        """Ends a hung logger (the admin forks another), simulator or janitor (so do we); says what of the top hung."""
        replaceable = {
            "logger": generation.logger_pid(),
            "simulator": self._simulator_pid(),
            "janitor": self._janitor.pid,
        }
        for name in set(names) & set(replaceable):
            pid = replaceable[name]
            if pid is not None:
                logger.error("%s (pid %d) is stopped or hangs; it is killed and started anew", name, pid)
                process.signal_pid(pid, signal.SIGKILL)
        return [f"{name}, which hung," for name in names if name in ("admin", "root")]

    def _restart_simulator(self, generation: Generation) -> None:
        assert self._simulator is not None
        logger.error("the simulator has ended; it is started anew")
        if self._simulator.pidfd is not None:
            process.close_fd(self._simulator.pidfd)
        self._simulator.start()
        generation.keep(self._simulator.pid)
        self._note_replaced("simulator", generation)

    def _clean_up(self) -> None:
        for number in _STOP_SIGNALS:
            signal.signal(number, signal.SIG_IGN)  # nothing interrupts it now
        try:
            _kill_all_below()
        finally:
            if self._simulator is not None:
                paper.forget_budgets(self._simulator.urls, self._runtime)
                self._simulator.close()
            self._runtime.clear()
            logging.shutdown()


def _kill_all_below() -> None:
    deadline = time.monotonic() + 5.0
    while time.monotonic() < deadline:
        for _ in process.reap():
            pass
        left = process.descendants(os.getpid())
        if not left:
            return
        for pid in left:
            process.signal_pid(pid, signal.SIGKILL)
        time.sleep(0.01)


def _wakeup_pipe() -> int:
    """Signals write a byte to it, so that the loop's poll returns."""
    reading, writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    os.register_at_fork(after_in_child=lambda: signal.set_wakeup_fd(-1))
    return reading


def _drain(fd: int) -> None:
    try:
        while os.read(fd, 4096):
            pass
    except BlockingIOError:
        return


def _preload() -> None:
    """Imports what the actors use, once, before the fork: they start in milliseconds and share its memory."""
    import thespian_connector.actors.aggregator
    import thespian_connector.actors.host_agent
    import thespian_connector.actors.market_data
    import thespian_connector.actors.order_command
    import thespian_connector.actors.order_state
    import thespian_connector.actors.root
    import thespian_connector.actors.user_data  # noqa: F401

    gc.collect()
    gc.freeze()


def main(arguments: Sequence[str] | None = None) -> int:
    """What a detached launcher runs: ``python -m thespian_connector.system.launcher``."""
    parser = argparse.ArgumentParser(prog="thespian_connector.system.launcher")
    parser.add_argument("--config", type=Path)
    parser.add_argument("--system")
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--owner", type=int)
    parser.add_argument("--leash", type=int)
    parser.add_argument("--quiet", action="store_true")
    given = parser.parse_args(arguments)
    try:
        settings = config.load(given.config, given.set, given.system)
        directory = given.config.parent if given.config is not None else Path.cwd()
        Launcher(
            settings, directory=directory, owner_pid=given.owner, leash_fd=given.leash, stderr=not given.quiet
        ).run()
        Runtime(settings.system.name).drop_empty_output()
    except ConnectorError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
