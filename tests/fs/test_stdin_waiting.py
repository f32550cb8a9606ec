# SPDX-License-Identifier: Apache-2.0
"""The file `stdin` when a write has to wait, and what becomes of it when something ends meanwhile."""

import errno
import os
import re
import select
import signal
import subprocess
import sys

import pytest

from basics import limit, put, slurp, until
from pipes import PIPE, deaf, ended, waits, writer  # noqa: F401

CALLS = ("kill", "stop 1", "restart 1")


# --- a reader that is slow ---


def test_eight_writers_block_nobody(deaf, tidy, writer):
    other = tidy.make()
    ps = [writer(deaf) for _ in range(8)]
    for _ in range(20):
        assert "running" in deaf.read("status") and "created" in other.read("status")
    assert other.output("echo hi") == "hi\n"
    assert [p.poll() for p in ps] == [None] * 8
    deaf.put("ctl", "kill USR1")
    for p in ps:
        assert ended(p, 20)[:2] == (0, str(2**20))
    put(deaf.path("stdin"), "")
    assert deaf.finish() == 0 and deaf.read("log") == "ready\n%d\n" % (8 * 2**20)


@pytest.mark.parametrize("sig", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_blocked_writer_is_killed(deaf, writer, sig):
    ps = [writer(deaf) for _ in range(3)]
    for p in (ps[1], ps[0], ps[2]):  # the first one is under way, the others wait for it
        p.send_signal(sig)
        assert ended(p)[0] in (-sig, 1)
    taken = 0
    deaf.put("ctl", "kill USR1")
    assert put(deaf.path("stdin"), "") == 0 and deaf.finish() == 0
    taken = int(deaf.read("log").split()[-1])
    assert taken == PIPE


def test_what_was_taken_before_a_signal(deaf, writer):
    """A short count; then EINTR, which a program can see."""
    p = writer(deaf, script="import os, signal, sys\n"
               "class Woken(Exception): pass\n"
               "def wake(*_): raise Woken\n"
               "signal.signal(signal.SIGUSR1, lambda *_: None)\n"
               "fd = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND)\n"
               "print('open', flush=True)\n"
               "print(os.write(fd, b'x' * 2**20), flush=True)\n"
               "signal.signal(signal.SIGUSR1, wake)\n"
               "try: print(os.write(fd, b'x' * 10))\n"
               "except Woken: print('woken', flush=True)")
    p.send_signal(signal.SIGUSR1)
    assert p.stdout.readline() == "%d\n" % PIPE
    until(lambda: waits(p.pid), "parked again")
    p.send_signal(signal.SIGUSR1)
    assert ended(p)[:2] == (0, "woken")
    deaf.put("ctl", "kill USR1").write("stdin", "")
    assert deaf.finish() == 0 and deaf.read("log").split()[-1] == str(PIPE)


def test_without_waiting(deaf):
    fd = os.open(deaf.path("stdin"), os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK)
    try:
        poll = select.poll()
        poll.register(fd, select.POLLOUT)
        assert poll.poll(0) == [(fd, select.POLLOUT)]
        assert os.write(fd, b"x" * 2**20) == PIPE
        with pytest.raises(BlockingIOError):
            os.write(fd, b"x")
        assert poll.poll(0) == []
        told = deaf.read("error")
        deaf.put("ctl", "kill USR1")
        assert poll.poll() == [(fd, select.POLLOUT)]
        assert os.write(fd, b"y") == 1 and deaf.read("error") == told
    finally:
        os.close(fd)
    deaf.write("stdin", "")
    assert deaf.finish() == 0 and deaf.read("log").split()[-1] == str(PIPE + 1)


def test_poll_is_told_of_the_end(deaf):
    fd = os.open(deaf.path("stdin"), os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK)
    try:
        os.write(fd, b"x" * PIPE)
        poll = select.poll()
        poll.register(fd, select.POLLOUT)
        assert poll.poll(0) == []
        deaf.put("ctl", "kill")
        assert poll.poll() == [(fd, select.POLLOUT)]
        with pytest.raises(BrokenPipeError):
            os.write(fd, b"x")
    finally:
        os.close(fd)


@pytest.mark.parametrize("size", [100, 4096])
def test_lines_stay_whole(ctn, size):
    """Up to PIPE_BUF, from several writers at once, also where they have to wait."""
    ctn.py("import sys, collections\nn = collections.Counter()\n"
           "for line in sys.stdin.buffer:\n"
           "    assert len(line) == %d and len(set(line[:-1])) == 1, line\n"
           "    n[line[:1].decode()] += 1\nprint(sorted(n.items()))" % size)
    code = ("import os, sys\nfd = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND)\n"
            "for _ in range(500): assert os.write(fd, sys.argv[2].encode() * %d + b'\\n') == %d" % (size - 1, size))
    ps = [subprocess.Popen([sys.executable, "-c", code, ctn.path("stdin"), letter]) for letter in "abcd"]
    assert [p.wait(limit(30)) for p in ps] == [0] * 4
    put(ctn.path("stdin"), "")
    assert ctn.finish() == 0, ctn.read("log")
    assert ctn.read("log") == "[('a', 500), ('b', 500), ('c', 500), ('d', 500)]\n"


def test_nobody_starves(ctn, writer):
    """One writer without end, and another who wants to say a word."""
    ctn.py("import os, time\nprint('ready', flush=True)\nseen = b''\n"
           "while b'word' not in seen: seen = os.read(0, 4096); time.sleep(0.001)\nprint('seen')")
    ctn.until_log("ready")
    p = writer(ctn, full=False, script="import sys\nwith open(sys.argv[1], 'ab', 0) as f:\n  print('open', flush=True)\n"
               "  while 1: f.write(b'x' * 131072)")
    assert ctn.write("stdin", "word", append=True) == 0
    assert ctn.finish() == 0 and ctn.read("log") == "ready\nseen\n"
    code, _, err = ended(p)
    assert code == 1 and "BrokenPipeError" in err


def test_it_is_closed_under_writers(deaf, writer):
    """A blocked write does not hold `: > stdin` up, which ends it."""
    ps = [writer(deaf) for _ in range(3)]
    assert deaf.write("stdin", "") == 0
    got = sorted(ended(p)[1:] for p in ps)
    assert sum(out == str(PIPE) for out, _ in got) == 1
    assert sum("BrokenPipeError" in err for _, err in got) == 2
    deaf.put("ctl", "kill USR1")
    assert deaf.finish() == 0 and deaf.read("log").split()[-1] == str(PIPE)


# --- the container's life under a blocked writer ---


@pytest.mark.parametrize("verb", CALLS)
def test_it_ends_under_writers(deaf, writer, verb):
    ps = [writer(deaf) for _ in range(2)]
    deaf.put("ctl", verb)
    got = [ended(p)[1:] for p in ps]
    assert got[0] == (str(PIPE), "") and "BrokenPipeError" in got[1][1]
    assert "has ended" in deaf.last_error().text


def test_paused(deaf, writer):
    deaf.put("ctl", "pause")
    p = writer(deaf)
    deaf.put("ctl", "resume").put("ctl", "kill USR1")
    assert ended(p)[:2] == (0, str(2**20))
    deaf.write("stdin", "")
    assert deaf.finish() == 0 and deaf.read("log").split()[-1] == str(2**20)


def test_a_descriptor_belongs_to_one_run(ctn):
    ctn.sh("cat; echo ended; sleep 1000")
    fds = [os.open(ctn.path("stdin"), os.O_WRONLY | f) for f in (os.O_TRUNC, os.O_APPEND)]
    ctn.put("ctl", "restart 0")
    for fd in fds:
        with pytest.raises(BrokenPipeError):
            os.write(fd, b"x")
        os.close(fd)
    ctn.put("stdin", "later", append=True).until_log("later")
    assert "ended" not in ctn.read("log")


def monitor_of(c):
    return int(re.search(r"PPid:\t(\d+)", slurp("/proc/%d/status" % c.pid()))[1])


def test_the_monitor_is_killed(ctn, writer):
    """The server holds the pipe, too: no end of file, and writes go on."""
    ctn.sh("echo ready; while read -r line; do echo got $line; done; echo end")
    ctn.until_log("ready")
    first = monitor_of(ctn)
    os.kill(first, signal.SIGKILL)
    until(lambda: "monitor was killed" in ctn.read("error"), "noticed")
    ctn.put("stdin", "one", append=True).until_log("got one")
    assert "end" not in ctn.read("log")
    ctn.put("stdin", "two").until_log("got two\nend\n")
    ctn.until_state("exited")


def test_the_monitor_is_killed_after_the_end(ctn):
    ctn.sh("cat; echo ended; sleep 1000")
    ctn.put("stdin", "x").until_log("x\nended\n")
    os.kill(monitor_of(ctn), signal.SIGKILL)
    until(lambda: "monitor was killed" in ctn.read("error"), "noticed")
    ctn.refused("stdin", "x", errno.EPIPE, "has been closed")


def test_the_server_is_killed(server, writer):
    c = server.make()
    c.sh("echo ready; while read -r line; do echo got $line; done; echo end")
    c.until_log("ready")
    whole = os.open(c.path("stdin"), os.O_WRONLY | os.O_TRUNC)
    os.write(whole, b"one\n")
    c.until_log("got one")
    server.kill9()
    os.close(whole)
    server.start()
    c.put("stdin", "two", append=True).until_log("got two")
    assert "end" not in c.read("log")
    c.put("stdin", "three").until_log("got three\nend\n")
    assert c.finish() == 0


def test_a_new_server_knows_that_it_was_closed(server):
    c = server.make()
    c.sh("cat; echo ended; sleep 1000")
    c.put("stdin", "x").until_log("x\nended\n")
    server.kill9()
    server.start()
    c.refused("stdin", "y", errno.EPIPE, "has been closed")
    assert c.write("stdin", "") == 0


def test_the_server_ends_under_writers(server, writer):
    """What is cut off is not taken for the whole."""
    c = server.make()
    c.sh("trap go=1 USR1; go=; echo ready; while [ ! \"$go\" ]; do sleep 0.05; done; wc -c")
    c.until_log("ready")
    ps = [writer(c, mode="wb") for _ in range(3)]
    assert server.terminate() == []
    assert [p.poll() is not None or ended(p) is not None for p in ps] == [True] * 3
    server.start()
    c.put("ctl", "kill USR1")
    c.put("stdin", "y", append=True)
    assert c.state() == "running" and c.read("log") == "ready\n"
    c.write("stdin", "")
    assert c.finish() == 0 and c.read("log").split()[-1] == str(PIPE + 2)


def test_a_terminal_nobody_reads(ctn, writer):
    term = ctn.put("tty", 1)
    term.sh("stty -echo -icanon; echo ready; sleep 1000")
    term.until_log("ready")
    p = writer(term, full=False)
    assert "running" in term.read("status")
    p.send_signal(signal.SIGTERM)
    assert ended(p)[0] == -signal.SIGTERM
    p = writer(term, full=False)
    term.put("ctl", "kill")
    code, out, err = ended(p)
    assert "BrokenPipeError" in err or int(out) < 2**20  # what was taken before, if anything was
