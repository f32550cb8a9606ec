# SPDX-License-Identifier: Apache-2.0
"""Load on a server: lives of containers from many threads, and work on those that stay."""

import json
import os
import random
import threading

from basics import put, slurp, until
from containers import Ctn

LONG = os.environ.get("CTNFS_LONG") == "1"
THREADS = 16
BYTES_A_LIFE = 64  # by how much the server may grow
DESCRIPTORS_EACH = 4  # of one that runs: its first process, its monitor, the connection to that, its input
KILLED, TERMED = 128 + 9, 128 + 15


class Wrong(AssertionError):
    pass


def expect(what, got, want):
    if got != want:
        raise Wrong("%s: %r instead of %r" % (what, got, want))


def write(c, name, text):
    r = put(c.path(name), text + "\n")
    if r:
        raise Wrong("%s/%s < %s: %s; %s" % (c.name, name, text, os.strerror(r), c.read("error")[-300:]))


def execute(c, *argv):
    """A program of its own in a container that runs; its exit code."""
    path = c.path("exec")
    actions = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in (0, 1)]
    pid = os.posix_spawn(path, [path, *argv], os.environ, file_actions=actions)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def ends_by_itself(c):
    write(c, "cmd", "sh -c 'echo out; echo err >&2; exit 7'")
    expect("wait of " + c.name, c.read("wait"), "7\n")
    expect("log of " + c.name, sorted(c.read("log").split()), ["err", "out"])


def is_stopped(c):
    write(c, "init", "1")
    write(c, "cmd", "sleep 100000")
    expect("exec in " + c.name, execute(c, "true"), 0)
    write(c, "ctl", "stop 20")
    expect("exit of " + c.name, c.get("exit"), str(TERMED))


def is_killed(c):
    write(c, "env", "NAME=" + c.name)
    write(c, "memory.limit", "64M")
    write(c, "cmd", "sleep 100000")
    expect("exec in " + c.name, execute(c, "sh", "-c", "exit 9"), 9)
    expect("state of " + c.name, c.get("state"), "running")
    write(c, "ctl", "kill")
    expect("exit of " + c.name, c.get("exit"), str(KILLED))


def has_a_session(c):
    write(c, "cmd", "sleep 100000")
    s = Ctn(c.server, c.name + "/execs/s")
    os.mkdir(s.path())
    write(s, "cmd", "true")
    expect("wait of " + s.name, s.read("wait"), "0\n")
    write(c, "ctl", "pause")
    write(c, "ctl", "resume")
    write(c, "ctl", "kill")


def from_a_document(c):
    """It is there already, as any other; made once more with all its settings, under another name."""
    other = Ctn(c.server, c.name + "-n")
    text = json.dumps({"name": other.name, "cmd": ["true"], "env": ["A=b"], "cgroup": {"pids.max": 20}})
    expect("new", put(c.server.path("new"), text + "\n"), 0)
    expect("wait of " + other.name, other.read("wait"), "0\n")
    os.rename(other.path(), other.path() + "2")
    os.rmdir(other.path() + "2")


def is_refused(c):
    for name, text in (("memory.limit", "-1"), ("cmd", "/no/such/program"), ("caps", "no_such"), ("ctl", "dance")):
        if put(c.path(name), text + "\n") == 0:
            raise Wrong("%s/%s < %s was accepted" % (c.name, name, text))
    expect("state of " + c.name, c.get("state"), "created")


KINDS = (ends_by_itself, is_stopped, is_killed, has_a_session)
ODD_KINDS = KINDS + (from_a_document, is_refused)


def lead(server, name, kind):
    """A whole life; its id."""
    c = Ctn(server, name)
    os.mkdir(c.path())
    own = c.get("id")
    kind(c)
    os.rmdir(c.path())
    return own


class Crowd:
    """Threads that do one thing after the other until @stop or until there is nothing to do."""

    def __init__(self, work, threads=THREADS):
        self.work, self.wrong = work, []
        self.stop = threading.Event()
        self.all = [threading.Thread(target=self.go, args=(n,)) for n in range(threads)]

    def go(self, number):
        try:
            while not self.stop.is_set() and not self.wrong and self.work(number):
                pass
        except (AssertionError, OSError, ValueError) as e:
            self.wrong.append("thread %d: %s: %s" % (number, type(e).__name__, e))

    def start(self):
        for t in self.all:
            t.start()
        return self

    def join(self):
        for t in self.all:
            t.join()
        if self.wrong:
            raise Wrong("\n".join(self.wrong[:10]))


def lives(server, first, n, kinds=KINDS, ids=None):
    """So many, each thread with every THREADS-th of them."""
    left = [iter(range(first + t, first + n, THREADS)) for t in range(THREADS)]

    def work(number):
        i = next(left[number], None)
        if i is None:
            return False
        own = lead(server, "l%d" % i, kinds[i // THREADS % len(kinds)])
        if ids is not None:
            ids.add(own)
        return True

    Crowd(work).start().join()


# --- those that stay ---

def make_all(server, names):
    left = [iter(names[t::THREADS]) for t in range(THREADS)]

    def work(number):
        name = next(left[number], None)
        if name is None:
            return False
        c = Ctn(server, name)
        os.mkdir(c.path())
        server.session.ids.add(c.get("id"))
        write(c, "cmd", "sleep 100000")
        return True

    Crowd(work).start().join()


def use(c, rng):
    """Reads, an exec and limits of one that runs; everything that is told has to be so."""
    expect("state of " + c.name, c.get("state"), "running")
    pid = c.get("pid")
    expect("pid in status of " + c.name, c.status("Pid"), pid)
    if int(c.get("cgroup/memory.usage")) <= 0 or pid not in c.get("cgroup/procs").split():
        raise Wrong("%s: nothing is in its control group" % c.name)
    for name, text in (("memory.limit", str(rng.randrange(64, 1024) << 20)), ("pids.max", str(rng.randrange(20, 90))),
                       ("cpu.weight", str(rng.randrange(2, 999)))):
        write(c, "cgroup/" + name, text)
        if name != "cpu.weight":  # v1 has it as shares, a little coarser
            expect("%s of %s" % (name, c.name), c.get("cgroup/" + name), text)
    code = rng.randrange(256)
    expect("exec in " + c.name, execute(c, "sh", "-c", "exit %d" % code), code)
    expect("procs of " + c.name, len(os.listdir(c.path("procs"))), 1)
    for name in ("ps", "cgroup/cpu.stat", "cgroup/events", "procs/1/status"):
        if not c.read(name):
            raise Wrong("%s/%s is empty" % (c.name, name))


def use_all(server, names, rounds):
    turns = [iter(rounds * names[t::THREADS]) for t in range(THREADS)]

    def work(number):
        name = next(turns[number], None)
        if name is None:
            return False
        use(Ctn(server, name), random.Random(name))
        return True

    Crowd(work).start().join()


def remove_all(server, names):
    left = [iter(names[t::THREADS]) for t in range(THREADS)]

    def work(number):
        name = next(left[number], None)
        if name is None:
            return False
        write(Ctn(server, name), "ctl", "kill")
        os.rmdir(server.path(name))
        return True

    Crowd(work).start().join()


# --- the server ---

def resident(server):
    """Bytes."""
    return next(int(l.split()[1]) << 10 for l in slurp("/proc/%d/status" % server.proc.pid).splitlines()
                if l.startswith("VmRSS:"))


def descriptors(server):
    return len(os.listdir("/proc/%d/fd" % server.proc.pid))


def growth(samples):
    """Bytes a life: the slope of the straight line through (lives, bytes)."""
    n = len(samples)
    x, y = (sum(s[i] for s in samples) / n for i in (0, 1))
    across = sum((a - x) ** 2 for a, _ in samples)
    return sum((a - x) * (b - y) for a, b in samples) / across if across else 0.0


def settle(server):
    """Nothing is left, after the end of the server also of what it kept ready."""
    until(lambda: not server.containers(), "no container is left")
    wrong = server.terminate()
    if wrong:
        raise Wrong("\n".join(wrong))
    server.start()
