# SPDX-License-Identifier: Apache-2.0
"""N31: a process that has got the number of one of a container's is left alone.

The server is killed, and while it is away the container and its monitor end as well; then somebody else's
processes get their numbers, which is luck in nature and clone3(2)'s set_tid here. A server that goes by what it
has written down would show a stranger as the container's, and kill it when told to.

What holds it off: a number counts only together with the time when its process began and the boot, and from then
on the process is held by a descriptor. The control is a server that goes by the number alone."""

import contextlib
import ctypes
import errno
import os
import re
import select
import signal
import subprocess
import time

import pytest

import basics
import harness
from attackers import BUILT, LONG, end_process, enter, weak_server
from basics import limit, slurp, until
from sessions import session as make_session

LIBC = ctypes.CDLL(None, use_errno=True)
PR_SET_CHILD_SUBREAPER = 36
MINUTES = float(os.environ.get("CTNFS_MINUTES", "10"))
ROUNDS = 4 if basics.SLOW < 4 else 2
slow = pytest.mark.slow_ok(60 * MINUTES + 120 if LONG else 90)


def monitor_of(ctn):
    return int(re.search(r"PPid:\t(\d+)", slurp("/proc/%d/status" % ctn.pid()))[1])


@contextlib.contextmanager
def strangers(*pids):
    """Processes of these numbers, and whether they have been let alone."""
    process = subprocess.Popen([os.path.join(BUILT, "attack-reuse")] + [str(p) for p in pids], stdout=subprocess.PIPE,
                               stdin=subprocess.DEVNULL)
    try:
        ready, _, _ = select.select([process.stdout], [], [], limit(20))
        assert ready, "nobody has waited for the processes %s" % (pids,)
        said = os.read(process.stdout.fileno(), 4096)
        if said.strip() in (b"EPERM", b"EINVAL", b"ENOSYS"):
            pytest.skip("this kernel gives no number that is asked for: " + said.decode())
        assert said == b"READY\n", said
        yield process
    finally:
        end_process(process)
        process.stdout.close()


def harmed(process):
    ready, _, _ = select.select([process.stdout], [], [], 0)
    return os.read(process.stdout.fileno(), 4096).decode() if ready else ""


def kill_all(server, ctn, s, order):
    """The server, the monitor, the programs; the numbers that were theirs."""
    pids = {"monitor": monitor_of(ctn), "program": ctn.pid(), "session's": monitor_of(s), "session": s.pid()}
    for who in order:
        if who == "server":
            server.kill9()
        else:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pids[who], signal.SIGKILL)
    # a pid namespace's first process ends when all others of it have been waited for
    until(lambda: all([reaped(pid) for pid in pids.values()]), "all of %s are gone" % pids)
    return list(pids.values())


def reaped(pid):
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    return not os.path.exists("/proc/%d" % pid)


@pytest.fixture(autouse=True)
def reaper():
    """Orphans come to the tests' process: that of the machine may take its time."""
    LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1)
    yield
    LIBC.prctl(PR_SET_CHILD_SUBREAPER, 0)


def try_all(ctn, s, known):
    """Whatever might reach a process of the container's; none of it is refused but for that reason."""
    for c in ctn, s:
        for verb in ("kill", "kill HUP", "stop 0", "pause", "resume"):
            code = c.write("ctl", verb + "\n")
            assert code in (0, errno.ESRCH, errno.EINVAL, errno.EPERM, errno.EBUSY), os.strerror(code)
        # a monitor that had not been killed yet knows how it ended
        assert c.state() == "exited" and c.get("exit") in known and c.get("pid") == "", (c.state(), c.get("exit"))
    r = enter(ctn, "/bin/true")
    assert r.returncode == 125 and r.stderr, r
    assert ctn.lines("ps")[1:] == [] and os.listdir(ctn.path("procs")) == []
    assert not os.path.lexists(ctn.path("proc")) and not os.path.lexists(ctn.path("root"))


ORDERS = (("server", "monitor", "session's", "program", "session"), ("server", "program", "session", "monitor", "session's"),
          ("server", "session", "session's", "monitor", "program"))


def one_round(server, i):
    ctn = server.make().start("sleep", "100000")
    s = make_session(ctn, "s").start("sleep", "100000")
    pids = kill_all(server, ctn, s, ORDERS[i % len(ORDERS)])
    with strangers(*pids) as process:
        server.start()
        try_all(ctn, s, ("255",) if i % len(ORDERS) == 0 else ("255", "137"))
        s.remove()
        ctn.remove()
        server.kill9()
        server.start()
        assert not harmed(process)
    assert server.containers() == []


@slow
def test_strangers_are_left_alone(server):
    """CTNFS_LONG=1: for CTNFS_MINUTES, 10."""
    until_then, i = time.monotonic() + 60 * MINUTES, 0
    while time.monotonic() < until_then if LONG else i < ROUNDS:
        one_round(server, i)
        i += 1
    if LONG:
        print("%d processes of a number that was taken over, none touched" % (4 * i))


def test_one_that_was_killed_with_its_server_there(server):
    """A killed monitor is replaced while the container goes on: by the next server it is known all the same."""
    ctn = server.make().start("sleep", "100000")
    pid, monitor = ctn.pid(), monitor_of(ctn)
    server.kill9()
    os.kill(monitor, signal.SIGKILL)
    until(lambda: reaped(monitor), "the monitor is gone")
    with strangers(monitor) as process:
        server.start()
        assert ctn.state() == "running" and ctn.pid() == pid
        assert ctn.put("ctl", "kill").get("exit") == "255"
        assert not harmed(process)
    until(lambda: reaped(pid), "the program is gone")


def test_control(session, no_leaks):
    """By the number alone a stranger becomes the container's program, and its end."""
    with weak_server(session, "reuse", server=True) as server:
        ctn = server.make().start("sleep", "100000")
        s = make_session(ctn, "s").start("sleep", "100000")
        pids = kill_all(server, ctn, s, ORDERS[0])
        with strangers(pids[1]) as process:
            server.start()
            assert ctn.state() == "running" and ctn.pid() == pids[1]
            ctn.write("ctl", "kill\n")
            assert until(lambda: harmed(process), "the stranger is killed") == "END %d signal 9\n" % pids[1]
