# SPDX-License-Identifier: Apache-2.0
"""The one file that blocks: `wait`."""

import errno
import os
import select
import signal
import subprocess
import threading
import time

import pytest

from basics import limit, slurp, until


def waiter(c, **kw):
    return subprocess.Popen(["cat", c.path("wait")], stdout=subprocess.PIPE, text=True, **kw)


def is_blocked(pid):
    """Its read has reached the server."""
    def asleep():
        try:
            with open("/proc/%d/syscall" % pid) as f:
                return f.read().split()[0] == "0"
        except (OSError, IndexError):
            return False
    until(asleep, "the reader blocks")


def test_wait_gives_the_exit_code(ctn):
    ctn.sh("sleep 0.1; exit 6")
    assert slurp(ctn.path("wait")) == "6\n"
    assert slurp(ctn.path("wait")) == "6\n"  # what is so already is told at once
    assert ctn.state() == "exited"


def test_wait_of_a_created_container(ctn):
    with pytest.raises(OSError) as e:
        slurp(ctn.path("wait"))
    assert e.value.errno == errno.ESRCH


def test_fifty_waiters(ctn):
    ctn.sh("sleep 1000")
    waiters = [waiter(ctn) for _ in range(50)]
    try:
        for w in waiters:
            is_blocked(w.pid)
        assert ctn.name in os.listdir(ctn.server.mnt)
        assert ctn.state() == "running"
        ctn.put("ctl", "kill")
        assert [w.communicate(timeout=limit(10))[0] for w in waiters] == ["137\n"] * 50
    finally:
        for w in waiters:
            w.kill()
            w.wait()


def test_three_hundred_blocked_readers(ctn):
    """More than any number of worker threads."""
    ctn.sh("sleep 1000")
    results = []

    def read():
        results.append(slurp(ctn.path("wait")))

    threads = [threading.Thread(target=read, daemon=True) for _ in range(300)]
    for t in threads:
        t.start()
    time.sleep(0.2)
    for _ in range(10):
        assert ctn.status("State") == "running"
    ctn.put("ctl", "kill")
    for t in threads:
        t.join(limit(10))
    assert results == ["137\n"] * 300


def test_a_killed_waiter_goes_at_once(ctn):
    ctn.sh("sleep 1000")
    w = waiter(ctn)
    is_blocked(w.pid)
    w.kill()
    assert w.wait(limit(1)) == -signal.SIGKILL
    assert ctn.state() == "running"


def test_an_interrupted_waiter(ctn):
    ctn.sh("sleep 1000")
    w = waiter(ctn)
    is_blocked(w.pid)
    w.send_signal(signal.SIGINT)
    assert w.wait(limit(2)) == -signal.SIGINT


def test_a_read_is_interrupted_with_eintr(ctn):
    ctn.sh("sleep 1000")
    script = ("import os, signal\n"
              "class Stop(Exception): pass\n"
              "def stop(*a): raise Stop\n"
              "signal.signal(signal.SIGALRM, stop)\n"
              "signal.setitimer(signal.ITIMER_REAL, 0.1)\n"
              "try: os.read(os.open('wait', os.O_RDONLY), 10)\n"
              "except Stop: print('interrupted')\n")
    r = subprocess.run(["/usr/bin/python3", "-c", script], cwd=ctn.path(), capture_output=True,
                       text=True, timeout=limit(5))
    assert r.stdout == "interrupted\n", r.stderr


def test_nonblocking(ctn):
    ctn.sh("sleep 1000")
    fd = os.open(ctn.path("wait"), os.O_RDONLY | os.O_NONBLOCK)
    try:
        with pytest.raises(BlockingIOError):
            os.read(fd, 10)
        ctn.put("ctl", "kill")
        assert os.read(fd, 10) == b"137\n"
    finally:
        os.close(fd)


def test_poll(ctn):
    ctn.sh("sleep 1000")
    fd = os.open(ctn.path("wait"), os.O_RDONLY)
    try:
        p = select.poll()
        p.register(fd, select.POLLIN)
        assert p.poll(50) == []
        timer = threading.Timer(0.1, ctn.put, ("ctl", "kill"))
        timer.start()
        assert p.poll(limit(10) * 1000) and p.poll(0)[0][1] & select.POLLIN
        assert os.read(fd, 10) == b"137\n"
        timer.join()
    finally:
        os.close(fd)


def test_epoll_on_several(tidy):
    made = [tidy.make().sh("sleep 1000") for _ in range(5)]
    fds = {os.open(c.path("wait"), os.O_RDONLY): c for c in made}
    ep = select.epoll()
    try:
        for fd in fds:
            ep.register(fd, select.EPOLLIN)
        assert ep.poll(0.05) == []
        made[3].put("ctl", "kill")
        ready = ep.poll(limit(10))
        assert [fds[fd] for fd, _ in ready] == [made[3]]
    finally:
        ep.close()
        for fd in fds:
            os.close(fd)


def test_wait_lasts_over_a_restart(ctn):
    ctn.sh("echo ready; sleep 1000").until_log("ready")
    w = waiter(ctn)
    is_blocked(w.pid)
    ctn.put("ctl", "restart 0")
    time.sleep(0.1)
    assert w.poll() is None
    ctn.put("ctl", "kill")
    assert w.communicate(timeout=limit(5))[0] == "137\n"


def test_wait_in_shells(tidy):
    for shell in ("bash", "dash"):
        out = tidy.sh("""set -e
            mkdir w; echo "sh -c 'sleep 0.1; exit 4'" > w/cmd
            read rc < w/wait; echo "rc $rc"; cat w/wait; rmdir w""", shell=shell).stdout
        assert out == "rc 4\n4\n"


def test_waiters_when_the_directory_goes(ctn):
    ctn.sh("exit 2")
    ctn.finish()
    fd = os.open(ctn.path("wait"), os.O_RDONLY)
    try:
        ctn.remove()
        try:
            assert os.read(fd, 10) in (b"2\n", b"")
        except OSError as e:
            assert e.errno in (errno.ENOENT, errno.ESTALE, errno.ENODEV, errno.ESRCH)
    finally:
        os.close(fd)
