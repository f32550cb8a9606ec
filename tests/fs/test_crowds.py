# SPDX-License-Identifier: Apache-2.0
"""Many who wait at once: everybody else is answered all the same."""

import os
import signal
import socket
import struct
import subprocess
import threading
import time

from basics import limit, slurp, until
from execs import run

READERS, WRITERS = 64, 8
MESSAGE, ATTACH, ERROR = 440, 9, 5  # bytes of a message to the monitor; kinds of it


def blocked(argv, n, **kw):
    return [subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **kw) for _ in range(n)]


def waits(p):
    """In a system call that only the server, or a signal, ends."""
    return slurp("/proc/%d/stat" % p.pid).rsplit(")", 1)[1].split()[0] in "SD" and \
        slurp("/proc/%d/comm" % p.pid).strip() in ("cat", "dd")


def test_blocked_readers_and_writers_of_every_kind(tidy):
    """A container that only notes TERM and reads nothing, with a session that does the same."""
    c = tidy.make()
    deaf = "trap : TERM; echo ready; while :; do sleep 1; done"
    c.sh(deaf).until_log("ready")
    os.mkdir(c.path("execs", "a"))
    with open(c.path("execs", "a", "cmd"), "w") as f:
        f.write("sh -c \"%s\"\n" % deaf)
    until(lambda: "ready" in slurp(c.path("execs", "a", "log")), "the session runs")
    crowd = []
    for where in (c.path(), c.path("execs", "a")):
        crowd += blocked(["cat", os.path.join(where, "wait")], READERS)
        crowd += blocked(["dd", "if=/dev/zero", "of=%s/stdin" % where, "bs=64k", "conv=notrunc"], WRITERS)
        crowd += [subprocess.Popen(["dd", "of=%s/ctl" % where], stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(WRITERS)]
        for p in crowd[-WRITERS:]:
            p.stdin.write(b"stop 3600\n")
            p.stdin.close()
    try:
        until(lambda: all(waits(p) for p in crowd), "all of them wait", 30)
        before = time.monotonic()
        for name in ("status", "state", "ps", "log", "execs/a/status", "execs/a/ps", "cgroup/memory.usage"):
            c.read(name)
        tidy.read("status")
        assert run(c, "true").returncode in (0, 125)  # it is stopping
        assert time.monotonic() - before < limit(5)
        assert all(p.poll() is None for p in crowd)
        for p in crowd[:8] + crowd[READERS:READERS + 16]:  # of each kind; at once
            p.kill()
            p.wait(limit(5))
    finally:
        c.put("ctl", "kill")
        for p in crowd:
            p.wait(limit(20))
            for stream in (p.stdin, p.stdout, p.stderr):
                if stream:
                    stream.close()
    assert c.state() == "exited" and slurp(c.path("execs", "a", "state")) == "exited\n"


def ask_to_attach(c):
    """What ctnfs-attach does first; the connection, and the kind of the answer."""
    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    s.settimeout(limit(5))
    s.connect("/proc/self/fd/%d/sock" % c.dir)
    s.send(struct.pack("IIII", 0x63746e01, 1, ATTACH, 0).ljust(MESSAGE, b"\0"))
    data, fds, _, _ = socket.recv_fds(s, MESSAGE, 4)
    for fd in fds:
        os.close(fd)
    return s, struct.unpack_from("IIII", data)[2]


def test_attached_to_the_limit(server):
    """Programs still get in, and so does the next server."""
    c = server.make()
    c.put("tty", 1)
    c.start("sleep", "100000")
    c.dir = os.open(os.path.join(server.run, c.get("id")), os.O_PATH)
    connections = []
    try:
        kinds = []
        for _ in range(40):
            s, kind = ask_to_attach(c)
            connections.append(s)
            kinds.append(kind)
        assert kinds == [ATTACH] * 32 + [ERROR] * 8
        assert run(c, "true").returncode == 0
        server.kill9()
        server.start()
        assert c.state() == "running" and run(c, "true").returncode == 0
        connections.pop(0).close()
        for s in connections[-8:]:
            s.close()
        s, kind = ask_to_attach(c)
        connections.append(s)
        assert kind == ATTACH
    finally:
        for s in connections:
            s.close()
        os.close(c.dir)
    c.put("ctl", "kill")


def test_eight_callers_at_once(idle):
    """Each with its own answer."""
    codes = {}

    def call(n):
        codes[n] = [run(idle, "sh", "-c", "echo %d; exit %d" % (n, n)) for _ in range(5)]

    threads = [threading.Thread(target=call, args=(n,)) for n in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for n, results in codes.items():
        assert [(r.returncode, r.stdout) for r in results] == [(n, "%d\n" % n)] * 5
