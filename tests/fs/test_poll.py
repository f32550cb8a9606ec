# SPDX-License-Identifier: Apache-2.0
"""poll(2), select(2) and epoll(7): a descriptor is readable until a read has told where the file ends, and
from then on when there is something that it has not read."""

import contextlib
import errno
import os
import re
import select
import signal
import subprocess
import threading
import time

import pytest

from basics import limit, slurp, until
from logviews import WRITER, let_go
from sessions import session

IN, PRI, HUP, ERR = select.POLLIN, select.POLLPRI, select.POLLHUP, select.POLLERR
VIEWS = ("log", "stdout", "stderr", "log.times")
STATES = ("state", "status", "pid", "exit")


@contextlib.contextmanager
def opened(c, name):
    fd = os.open(c.path(name), os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        os.close(fd)


def whole(fd):
    """All of a file, as one who polls it reads: from the beginning, to the end."""
    os.lseek(fd, 0, os.SEEK_SET)
    return rest(fd)


def rest(fd):
    got = b""
    while True:
        part = os.read(fd, 65536)
        if not part:
            return got
        got += part


def poll(fd, events=IN | PRI, seconds=10):
    """What a poll of up to that many seconds tells."""
    p = select.poll()
    p.register(fd, events)
    return sum(got for _, got in p.poll(limit(seconds) * 1000))


def sleeps(fd, events=IN | PRI):
    p = select.poll()
    p.register(fd, events)
    return p.poll(20) == []


class Later:
    """Something done as soon as this process sleeps in a poll, on another thread."""

    def __init__(self, act, *args):
        self.thread = threading.Thread(target=self.run, args=(act, args))
        self.me = threading.get_native_id()
        self.thread.start()

    def run(self, act, args):
        until(lambda: re.search("poll|select", slurp("/proc/self/task/%d/wchan" % self.me)), "it polls")
        act(*args)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.thread.join()


# --- what changes with the state ---

@pytest.mark.parametrize("name", STATES)
def test_state(ctn, name):
    ctn.sh("sleep 1000")
    with opened(ctn, name) as fd:
        assert poll(fd) == IN | PRI  # nothing of it was read
        before = os.read(fd, 4096)
        assert poll(fd) == IN  # as any file, until its end was told
        assert rest(fd) == b"" and sleeps(fd)
        with Later(ctn.put, "ctl", "kill"):
            assert poll(fd) == IN | PRI
        until(lambda: ctn.state() == "exited", "it ends")
        assert whole(fd) != before and sleeps(fd)
        assert os.pread(fd, 4096, 0) and sleeps(fd, PRI)  # for those who never ask for the end


def test_each_change_of_state(ctn):
    words = []
    with opened(ctn, "state") as fd:
        assert whole(fd) == b"created\n" and sleeps(fd)
        for file, verb in (("cmd", "sleep 1000"), ("ctl", "pause"), ("ctl", "resume"), ("ctl", "kill")):
            with Later(ctn.put, file, verb):
                assert poll(fd) == IN | PRI
            words.append(whole(fd))
            while not sleeps(fd):
                words.append(whole(fd))
    assert [w for w in words if w != b"stopping\n"] == [b"running\n", b"paused\n", b"running\n", b"exited\n"]


def test_a_run_between_two_looks(ctn):
    """The word is the same, and yet something has happened."""
    ctn.output("true")
    with opened(ctn, "state") as fd:
        assert whole(fd) == b"exited\n" and sleeps(fd)
        ctn.output("true")
        assert poll(fd) == IN | PRI and whole(fd) == b"exited\n" and sleeps(fd)


@pytest.mark.parametrize("name", ("cgroup/events", "status"))
def test_the_oom_killer(ctn, name):
    ctn.put("memory.limit", "16M")
    ctn.sh("read go; tail /dev/zero; sleep 1000")
    with opened(ctn, name) as fd:
        assert whole(fd) and sleeps(fd)
        with Later(ctn.write, "stdin", "\n", True):
            assert poll(fd, seconds=30) == IN | PRI
        assert re.search(rb"^oom_kill [1-9]|^OomKilled:\t1", whole(fd), re.M)
    assert ctn.state() == "running"


def test_what_nobody_tells_of_stays_readable(ctn):
    for name in ("cgroup/memory.usage", "env", "id"):
        with opened(ctn, name) as fd:
            assert rest(fd) and poll(fd) == IN


# --- output ---

@pytest.mark.parametrize("name", VIEWS)
def test_output(ctn, name):
    stream = 2 if name == "stderr" else 1
    ctn.py(WRITER + "put(%d, b'one\\n'); go(1); put(%d, b'two'); go(2)\n" % (stream, stream))
    until(lambda: slurp(ctn.path(name)), "output")
    with opened(ctn, name) as fd:
        assert poll(fd) == IN | PRI
        assert rest(fd).endswith(b"one\n") and sleeps(fd)
        with Later(let_go, ctn, 1):
            assert poll(fd) == IN | PRI
        assert rest(fd).endswith(b"two") and sleeps(fd)
    let_go(ctn, 2)
    assert ctn.finish() == 0


def test_output_of_the_other_stream(ctn):
    ctn.py(WRITER + "put(2, b'err\\n'); go(1); put(2, b'err\\n'); go(2); put(1, b'out\\n'); go(3)\n")
    ctn.until_log("err")
    with opened(ctn, "stdout") as fd:
        assert rest(fd) == b"" and sleeps(fd)
        let_go(ctn, 1)
        ctn.until_log("err\nerr")
        assert sleeps(fd)
        with Later(let_go, ctn, 2):
            assert poll(fd) == IN | PRI
        assert rest(fd) == b"out\n"
    let_go(ctn, 3)
    assert ctn.finish() == 0


def test_output_of_the_first_run(ctn):
    """Polled before there is a file for it, and through the end of a run."""
    with opened(ctn, "log") as fd:
        assert rest(fd) == b"" and sleeps(fd)
        with Later(ctn.sh, "sleep 0.3; echo first; sleep 0.3; echo second >&2"):
            assert poll(fd, seconds=20) == IN | PRI
        got = rest(fd)
        while got != b"first\nsecond\n":
            assert poll(fd, seconds=20) == IN | PRI
            got += rest(fd)
        assert ctn.finish() == 0 and sleeps(fd)
        with Later(ctn.sh, "sleep 0.3; echo third"):
            assert poll(fd, seconds=20) == IN | PRI
        assert rest(fd) == b"third\n"
        assert ctn.finish() == 0


def test_output_of_a_session(idle):
    s = session(idle, "s")
    s.py(WRITER + "put(1, b'one\\n'); go(1); put(1, b'two\\n')\n")
    s.until_log("one")
    with opened(s, "log") as log, opened(idle, "log") as other, opened(s, "state") as state:
        assert rest(log) == b"one\n" and rest(other) and whole(state) == b"running\n"
        with Later(let_go, idle, 1):
            assert poll(log) == IN | PRI
        assert rest(log) == b"two\n" and sleeps(other)
        assert poll(state) == IN | PRI
        assert s.finish() == 0


def test_events(tidy):
    """The root's, and a container's part, which nothing else wakes."""
    one, other = tidy.make(), tidy.make()
    root = os.open(tidy.path("events"), os.O_RDONLY | os.O_CLOEXEC)
    with opened(one, "events") as fd:
        for f in (root, fd):
            assert poll(f) == IN | PRI and rest(f) and sleeps(f)
        with Later(other.put, "cmd", "true"):
            assert poll(root) == IN | PRI
        assert b" %s started " % other.name.encode() in rest(root)
        other.until_state("exited")
        assert sleeps(fd)
        with Later(one.put, "cmd", "true"):
            assert poll(fd) == IN | PRI
        assert b" %s started " % one.name.encode() in rest(fd)
        one.until_state("exited")
    os.close(root)


def test_emptied_meanwhile(ctn):
    ctn.py(WRITER + "put(1, b'one\\n'); go(1); put(1, b'two\\n'); go(2)\n")
    ctn.until_log("one")
    with opened(ctn, "log") as fd:
        assert rest(fd) == b"one\n"
        ctn.write("log", "")
        assert sleeps(fd)
        with Later(let_go, ctn, 1):
            assert poll(fd) == IN | PRI
        assert rest(fd) == b"two\n"
    let_go(ctn, 2)
    assert ctn.finish() == 0


def test_no_watch_is_left(ctn):
    """inotify is asked while somebody polls, and not longer."""
    def watches():
        base = "/proc/%d/" % ctn.server.proc.pid
        fds = [fd for fd in os.listdir(base + "fd") if "inotify" in os.readlink(base + "fd/" + fd)]
        assert len(fds) == 1
        return slurp(base + "fdinfo/" + fds[0]).count("inotify wd:")
    ctn.py(WRITER + "put(1, b'one\\n'); go(1); put(1, b'two\\n'); go(2)\n")
    ctn.until_log("one")
    assert watches() == 0
    with opened(ctn, "log") as a, opened(ctn, "log") as b, opened(ctn, "log.times") as c:
        for fd in (a, b, c):
            assert rest(fd) and sleeps(fd)
        assert watches() == 2  # the log, and its index
        let_go(ctn, 1)
        until(lambda: watches() == 0, "all were told, and nobody polls now")
        assert rest(a) == b"two\n" and sleeps(a) and watches() == 1
    until(lambda: watches() == 0, "it is closed")
    let_go(ctn, 2)
    assert ctn.finish() == 0


# --- other ways to ask ---

def test_select(ctn):
    ctn.py(WRITER + "put(1, b'one\\n'); go(1); put(1, b'two\\n'); go(2)\n")
    ctn.until_log("one")
    with opened(ctn, "log") as log, opened(ctn, "state") as state:
        assert rest(log) and whole(state)
        assert select.select([log, state], [], [log, state], 0.02) == ([], [], [])
        with Later(let_go, ctn, 1):
            assert select.select([log, state], [], [log, state], limit(10)) == ([log], [], [log])
        rest(log)
        with Later(ctn.put, "ctl", "kill"):
            assert select.select([log], [], [state], limit(10)) == ([], [], [state])


@pytest.mark.parametrize("edge", [0, select.EPOLLET])
def test_epoll(ctn, edge):
    ctn.py(WRITER + "for i in range(30): put(1, b'%d\\n' % i); go(i)\n")
    ep = select.epoll()
    with opened(ctn, "log") as log, opened(ctn, "state") as state:
        ep.register(log, select.EPOLLIN | edge)
        ep.register(state, select.EPOLLIN | edge)
        got, words = b"", []
        for i in range(30):
            while b"%d\n" % i not in got:
                for fd, _ in ep.poll(limit(10)) or pytest.fail("nobody was woken for %d" % i):
                    if fd == log:
                        got += rest(fd)
                    else:
                        words.append(whole(fd))
            let_go(ctn, i)
        while b"exited\n" not in words:
            assert ep.poll(limit(10))
            words.append(whole(state))
    ep.close()
    assert got == b"".join(b"%d\n" % i for i in range(30))


def test_a_follower_that_polls_loses_nothing(ctn):
    """At full speed, by the shortest program that does it."""
    ctn.py(WRITER + "go(1)\nfor i in range(20000): os.write(1 + i % 2, b'%d\\n' % i)\n")
    with opened(ctn, "log") as fd:
        let_go(ctn, 1)
        got, polls = b"", 0
        while got.count(b"\n") < 20000:  # of two pipes, whose last lines come in either order
            assert poll(fd, seconds=20) & IN
            got += os.read(fd, 65536)
            polls += 1
    assert ctn.finish() == 0
    assert sorted(map(int, got.split())) == list(range(20000)) and got == ctn.read("log").encode()


def test_in_a_shell(ctn):
    """What waits for input with a time limit: bash's read -t asks select(2)."""
    r = ctn.server.sh("""
        echo 'sh -c "sleep 0.3; echo hello"' > %s/cmd
        exec 3< %s/log
        until read -r -t 20 line <&3; do python3 -c 'import select; select.select([3], [], [])'; done
        echo "got $line" """ % (ctn.name, ctn.name))
    assert r.stdout == "got hello\n"
    assert ctn.finish() == 0


def test_readers_that_know_files_only(ctn):
    """They are told the end, whatever they poll for before."""
    ctn.sh("seq 1000; sleep 1000").until_log("\n1000\n")
    script = """import os, select, sys
p = select.poll()
p.register(0, select.POLLIN)
while p.poll() and os.read(0, 4096):
    pass"""
    for name in ("log", "state", "status", "log.times"):
        with open(ctn.path(name)) as f:
            subprocess.run(["python3", "-c", script], stdin=f, check=True, timeout=limit(10))


# --- ends ---

@pytest.mark.parametrize("name", ("state", "log", "stdout", "wait"))
def test_removed(ctn, name):
    ctn.output("echo one")
    with opened(ctn, name) as fd:
        if name != "wait":
            rest(fd)
            with Later(ctn.remove):
                got = poll(fd)
        else:
            ctn.remove()
            got = poll(fd)
        assert got & (IN | HUP | ERR) and poll(fd) & HUP
        try:
            assert rest(fd) in (b"", b"one\n", b"0\n", b"exited\n")
        except OSError as e:
            assert e.errno in (errno.ENOENT, errno.ESTALE, errno.ESRCH)


@pytest.mark.parametrize("how", ("terminate", "kill9"))
def test_the_server_ends(new_server, how):
    server = new_server()
    c = server.make()
    c.sh("sleep 1000")
    fds = [os.open(c.path(n), os.O_RDONLY) for n in ("state", "log", "wait")]
    try:
        for fd in fds[:2]:
            rest(fd)
        assert all(sleeps(fd, IN) for fd in fds)
        with Later(getattr(server, how)):
            assert poll(fds[0]) & (ERR | HUP | IN)
        for fd in fds:
            assert poll(fd) & (ERR | HUP | IN)
            with pytest.raises(OSError):
                os.pread(fd, 10, 0)
    finally:
        for fd in fds:
            os.close(fd)
    if how == "kill9":
        subprocess.run(["umount", server.mnt], check=True)
    server.start()
    c.put("ctl", "kill")


def test_a_thousand(tidy):
    """Descriptors, on the log and the state of two containers; those of the other one sleep on."""
    one, other = tidy.make(), tidy.make()
    for c in (one, other):
        c.py(WRITER + "put(1, b'one\\n'); go(1); put(1, b'two\\n'); go(2)\n")
        c.until_log("one")
    ep = select.epoll()
    fds = {}
    try:
        for i in range(1000):
            c = one if i % 2 else other
            fd = os.open(c.path("log" if i % 4 > 1 else "state"), os.O_RDONLY)
            fds[fd] = (c, i % 4 > 1)
            rest(fd)
            ep.register(fd, select.EPOLLIN)
        assert ep.poll(0.02) == []
        began = time.monotonic()
        slurp(one.path("status"))
        assert time.monotonic() - began < limit(1)
        for number, log in ((1, True), (2, False)):
            let_go(one, number)
            want = {fd for fd, (c, is_log) in fds.items() if c is one and is_log == log}
            woken = set()
            while woken < want:
                ready = {fd for fd, _ in ep.poll(limit(10), 1000)}
                assert ready and ready <= want
                woken |= ready
                for fd in ready:
                    whole(fd)
    finally:
        ep.close()
        for fd in fds:
            os.close(fd)
        let_go(other, 1)
        let_go(other, 2)
    assert one.finish() == other.finish() == 0


def test_signals_end_it(ctn):
    with opened(ctn, "state") as fd:
        whole(fd)
        p = subprocess.Popen(["python3", "-c", "import select; select.select([0], [], [])"], stdin=fd)
        until(lambda: re.search("poll|select", slurp("/proc/%d/wchan" % p.pid)), "it polls")
        p.send_signal(signal.SIGTERM)
        assert p.wait(limit(5)) == -signal.SIGTERM
