"""Linux's calls, on real processes."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading
import time

from support.waiting import wait_until

from thespian_connector.actors import process
from thespian_connector.actors.threads import LateMailbox, Mailbox, Worker


def python(code: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)


def finish(child: subprocess.Popen[str]) -> None:
    child.kill()
    child.wait(60)
    assert child.stdout is not None
    child.stdout.close()


def test_a_child_dies_with_its_parent() -> None:
    child = python(
        "import subprocess, sys, time\n"
        "code = 'from thespian_connector.actors import process; import os, time;'\n"
        "code += 'process.die_with_parent(); print(os.getpid(), flush=True); time.sleep(60)'\n"
        "subprocess.Popen([sys.executable, '-c', code]); time.sleep(60)"
    )
    assert child.stdout is not None
    grandchild = int(child.stdout.readline())
    pidfd = process.open_pidfd(grandchild)
    assert pidfd is not None
    assert not process.has_exited(pidfd)
    finish(child)
    assert select.select([pidfd], [], [], 60)[0], "it died, too"
    process.close_fd(pidfd)


def test_a_child_whose_parent_is_another_ends_at_once() -> None:
    child = python("from thespian_connector.actors import process; process.die_with_parent(1 << 22); print('lives')")
    assert child.stdout is not None
    assert child.stdout.read() == ""
    assert child.wait(60) == process.EXIT_ORPHANED
    child.stdout.close()


def test_a_pidfd_tells_the_end_and_signals_nobody_else() -> None:
    child = python("import time; time.sleep(60)")
    pidfd = process.open_pidfd(child.pid)
    assert pidfd is not None
    assert not process.has_exited(pidfd)
    assert child.pid in process.descendants(os.getpid())
    process.kill(pidfd, signal.SIGSTOP)
    wait_until(lambda: process.is_stopped(child.pid), 60, "stopped")
    process.kill(pidfd)
    assert select.select([pidfd], [], [], 60)[0]
    assert process.is_zombie(child.pid)
    finish(child)
    process.kill(pidfd)  # of a process that is gone: nothing happens
    process.close_fd(pidfd)
    assert process.open_pidfd(child.pid) is None


def test_private_descriptors_do_not_survive_a_fork() -> None:
    ticker = process.Ticker(10)
    pid = os.fork()
    if pid == 0:
        try:
            os.fstat(ticker.fd)
            os._exit(1)
        except OSError:
            os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    os.fstat(ticker.fd)
    ticker.close()


def test_a_ticker_ticks_and_tolerates_a_read_for_nothing() -> None:
    ticker = process.Ticker(3600)
    assert ticker.read() == 0
    ticker.pace(0.5)
    time.sleep(1.7)
    assert ticker.read() >= 3
    ticker.pace(3600)
    ticker.read()
    assert ticker.read() == 0
    ticker.close()


def test_a_ticker_changes_its_pace() -> None:
    ticker = process.Ticker(3600)
    ticker.pace(3600)
    assert not select.select([ticker.fd], [], [], 0)[0]
    ticker.pace(0.02)
    assert select.select([ticker.fd], [], [], 60)[0]
    assert ticker.read() >= 1
    ticker.pace(3600)
    assert not select.select([ticker.fd], [], [], 0.1)[0]
    ticker.close()


def test_when_a_process_started() -> None:
    begun = time.time_ns()
    child = python("import time; time.sleep(60)")
    started = process.started_ns(child.pid)
    ended = time.time_ns()
    finish(child)
    assert started is not None
    assert begun - 1_000_000_000 < started < ended + 1_000_000_000
    assert process.started_ns(child.pid) is None


def test_a_mailbox_wakes_and_hands_over_in_order() -> None:
    mailbox = Mailbox()
    assert mailbox.take() == []
    for number in range(3):
        mailbox.put(number)
    assert select.select([mailbox.fd], [], [], 0)[0]
    assert mailbox.take() == [0, 1, 2]
    assert not select.select([mailbox.fd], [], [], 0)[0]
    process.close_fd(mailbox.fd)


def test_a_late_mailbox_wakes_when_it_is_rung_or_after_a_while() -> None:
    mailbox = LateMailbox(late_s=3600, ring_s=0.001)
    mailbox.ring()
    assert not select.select([mailbox.fd], [], [], 0.1)[0], "nothing is in it"
    for number in range(3):
        mailbox.put(number)
    assert not select.select([mailbox.fd], [], [], 0.1)[0]
    assert mailbox.take() == []
    mailbox.ring()
    assert select.select([mailbox.fd], [], [], 60)[0]
    assert mailbox.take() == [0, 1, 2]
    assert not select.select([mailbox.fd], [], [], 0)[0]
    process.close_fd(mailbox.fd)

    busy = LateMailbox(late_s=3600, ring_s=0.3)
    deadline = time.monotonic() + 60
    while not select.select([busy.fd], [], [], 0.01)[0]:
        busy.put("more")
        busy.ring()
        assert time.monotonic() < deadline, "what comes later puts nothing off"
    process.close_fd(busy.fd)

    unrung = LateMailbox(late_s=0.01, ring_s=0.001)
    for number in range(2):  # each time anew
        unrung.put(number)
        assert select.select([unrung.fd], [], [], 60)[0]
        assert unrung.take() == [number]
    process.close_fd(unrung.fd)


def test_a_worker_shows_that_it_lives_and_which_job_holds_it() -> None:
    worker = Worker("rest", limit_s=0.1)
    worker.start()
    assert worker.age().age_ns == 0, "who has nothing to do is not late"
    done = threading.Event()
    worker.submit(lambda: done.wait(60))
    wait_until(lambda: worker.age().age_ns > worker.age().limit_ns, 60, "the age grows past the limit")
    done.set()
    wait_until(lambda: worker.age().age_ns == 0, 60, "the job is done")
    worker.stop(60)


def test_large_blocks_stay_the_kernels_own_after_some_were_freed() -> None:
    """What glibc does by itself: once a block of 4 MB was freed, the next of 1 MB comes from the heap."""
    child = python(
        "import ctypes\n"
        "from thespian_connector.actors import process\n"
        "from thespian_connector.limits import HEAP_BLOCK_BYTES_MAX, HEAPS_MAX\n"
        "class Info(ctypes.Structure):\n"
        "    _fields_ = [(name, ctypes.c_size_t) for name in 'a b c blocks d e f g h i'.split()]\n"
        "libc = ctypes.CDLL(None)\n"
        "libc.mallinfo2.restype = Info\n"
        "process.bound_heap(HEAP_BLOCK_BYTES_MAX, HEAPS_MAX)\n"
        "freed = bytes(4 << 20)\n"
        "del freed\n"
        "before = libc.mallinfo2().blocks\n"
        "kept = [bytes(1 << 20) for _ in range(3)]\n"
        "print(libc.mallinfo2().blocks - before, flush=True)"
    )
    out, _ = child.communicate(timeout=60)
    assert out.strip() == "3"


def test_a_full_worker_refuses() -> None:
    worker = Worker("rest", limit_s=1)
    accepted = 0
    while worker.submit(lambda: None):
        accepted += 1
    assert accepted == 64


def test_what_a_thread_did_not_expect_ends_the_process() -> None:
    child = python(
        "from thespian_connector.actors.threads import Worker; import time\n"
        "worker = Worker('rest', 1); worker.start(); worker.submit(lambda: 1 / 0); time.sleep(60)"
    )
    assert child.wait(60) == process.EXIT_CRASHED
    assert child.stdout is not None
    child.stdout.close()
