# SPDX-License-Identifier: Apache-2.0
"""Containers that are made ahead, and the process that waits in one for its start."""

import errno
import os
import re
import signal
import time

import pytest

import harness
import leaks
from basics import RANGE, settle, slurp, until
from harness import cgroup_version

SPARES = 2
LIMIT = 16  # processes that wait, at most
MARK = "grep -q 'upperdir=[^,]*/new-' /proc/mounts && echo prepared || echo anew"


def children(pid):
    found = []
    try:
        for thread in os.listdir("/proc/%d/task" % pid):
            found += map(int, slurp("/proc/%d/task/%s/children" % (pid, thread)).split())
    except OSError:
        pass
    return found


class Waiting:
    """A server that keeps spares, and what waits in them."""

    def __init__(self, server):
        self.server = server
        self.monitors = {}  # of each stage that was seen

    def stages(self):
        """Pids of the first processes that there are; of containers that run, too."""
        found = []
        for monitor in children(self.server.proc.pid):
            for stage in children(monitor):
                self.monitors[stage] = monitor
                found.append(stage)
        return found

    def ids(self):
        """Of the spares on disk; the check for leaks gets to know them."""
        ids = [n[4:] for n in os.listdir(self.server.state) if n.startswith("new-")]
        self.server.session.ids.update(ids)
        return ids

    def full(self, more=0):
        """All that are to be kept are there, and @more other processes."""
        until(lambda: len(self.stages()) == SPARES + more and len(self.ids()) == SPARES,
              "%d spares" % SPARES)
        return self

    def make(self, name, waits=0):
        """A container that was a spare. @waits: how many do in containers that are there already."""
        if not self.ids():
            os.rmdir(self.server.make().path())
        self.full(waits)
        before = self.ids()
        c = self.server.make(name)
        assert c.get("id") in before
        return c

    def is_of(self, stage, c):
        """Whether it waits for that container."""
        fds = "/proc/%d/fd/" % self.monitors[stage]
        return any(c.get("id") in os.readlink(fds + fd) for fd in os.listdir(fds))

    def stop(self):
        self.ids()
        assert self.server.terminate() == []
        left = [n for n in os.listdir(self.server.state) + os.listdir(self.server.run) if n.startswith("new-")]
        assert not left
        gone(self.monitors)


def gone(pids):
    """Those of the server's own that waited."""
    until(lambda: not any(name_of(p) == "ctnfs-monitor" for p in pids), "what waited is gone")


def name_of(pid):
    try:
        return slurp("/proc/%d/comm" % pid).strip()
    except OSError:
        return None


@pytest.fixture(autouse=True)
def no_leaks():
    """Of each test: what waits is no leak. Of all of them: see below."""


@pytest.fixture(scope="module")
def spares_server(session):
    before = leaks.snapshot(session)
    w = Waiting(harness.Server(session, ["spares=%d" % SPARES]))
    yield w
    if w.server.running():
        w.stop()
    wrong = settle(lambda: leaks.difference(session, before))
    assert not wrong, "\n".join(wrong)
    w.server.remove()


@pytest.fixture
def waiting(spares_server):
    """The server that these tests share; without containers after each."""
    w = spares_server
    if not w.server.running():
        w.server.start()
    yield w
    w.ids()
    assert w.server.clear() + w.server.complaints() == []


def started(c):
    """Whether its program was started in what had been prepared."""
    word = c.output(MARK).split()[-1]
    return word == "prepared"


def test_the_start_goes_on_with_what_was_prepared(waiting):
    c = waiting.make("a")
    assert started(c)
    assert c.read("log") == "prepared\n" and c.get("exit") == "0"
    assert not started(c), "another start has nothing to go on with"
    c.remove()


def test_nothing_shows_what_waits(waiting):
    c = waiting.make("a")
    server = waiting.server
    assert server.containers() == ["a"]
    status = dict(l.split(":\t", 1) for l in server.read("status").splitlines())
    assert status["Containers"] == "1" and status["Running"] == "0"
    assert status["SubidsUsed"] == str(RANGE)
    assert c.state() == "created" and c.get("pid") == "" and os.listdir(c.path("procs")) == []
    assert len(c.read("ps").splitlines()) <= 1
    assert c.read("cgroup/procs").strip() == "" and c.get("cgroup/pids.current") == "0"
    raw = c.path("cgroup/raw/pids/cgroup.procs")
    assert slurp(raw) == ""
    spares = [p for p in os.listdir(server.mnt) if p.startswith(".")]
    assert spares == []
    for name in (".", ".." + c.get("id")[:12]) + tuple("." + i[:12] for i in waiting.ids()):
        assert name == "." or not os.path.lexists(os.path.join(server.mnt, name))
    c.remove()


def test_nobody_may_look_into_it(waiting):
    """Who is not dumpable belongs to the host's root in /proc, whatever its ids are."""
    c = waiting.make("a")
    waiting.full(1)
    for stage in waiting.stages():
        assert os.stat("/proc/%d/fd" % stage).st_uid == 0
    c.sh("sleep 1000")
    assert os.stat("/proc/%d/fd" % c.pid()).st_uid != 0
    c.put("ctl", "kill")


def test_it_has_no_namespaces_to_join(waiting):
    a, b = waiting.make("a"), waiting.make("b", 1)
    b.put("ns/net", "container:a")
    b.refused("cmd", "true", errno.ESRCH, "does not run|not running")
    a.sh("sleep 1000")
    assert not started(b), "it joins the network of another"
    assert b.get("exit") == "0"
    a.put("ctl", "kill")


# What the start message brings, and how it is seen inside.
LATER = [
    ("env", "COLOUR=blue", "echo $COLOUR", "blue"),
    ("cwd", "/tmp", "pwd", "/tmp"),
    ("user", "1000:1001", "echo $(id -u):$(id -g); echo hello > /dev/stdout", "1000:1001 hello"),
    ("hostname", "other", "hostname; cat /etc/hostname", "other other"),
    ("caps", "none", "grep CapBnd /proc/self/status | tr -d '\\t'", "CapBnd:0000000000000000"),
    ("seccomp", "none", "grep ^Seccomp: /proc/self/status | tr -d '\\t'", "Seccomp:0"),
    ("no_new_privs", "0", "grep NoNewPrivs /proc/self/status | tr -d '\\t'", "NoNewPrivs:0"),
    ("init", "1", "test $$ = 1 && echo 1 || echo 0", "0"),
    ("log.max", "8192", "echo", ""),
    ("cgroup/pids.max", "77", "echo", ""),
    ("cgroup/memory.limit", "67108864", "echo", ""),
]

# What is used before, so that the process has to be made anew.
BEFORE = [
    ("mounts", "/usr/share /mnt/share none bind,ro 0 0", "test -d /mnt/share/misc && echo yes", "yes"),
    ("mounts", "tmpfs /mnt/t tmpfs size=64k 0 0", "grep -c ' /mnt/t ' /proc/mounts", "1"),
    ("devices", "c 1:3 rwm /dev/nothing", "test -c /dev/nothing && echo yes", "yes"),
    ("paths", "masked /proc/cpuinfo", "wc -c < /proc/cpuinfo", "0"),
    ("sysctl", "net.ipv4.ip_forward = 1", "cat /proc/sys/net/ipv4/ip_forward", "1"),
    ("rlimits", "nofile 100 100", "ulimit -n", "100"),
    ("oom_score_adj", "500", "cat /proc/self/oom_score_adj", "500"),
    ("ns/uts", "host", "test $(hostname) = %s && echo yes" % os.uname().nodename, "yes"),
]


@pytest.mark.parametrize("file,text,script,expected", LATER, ids=[l[0] for l in LATER])
def test_what_comes_with_the_start(waiting, file, text, script, expected):
    c = waiting.make("a").put(file, text)
    assert c.output(MARK + "; " + script).split() == ["prepared"] + expected.split()
    assert c.get("exit") == "0"


@pytest.mark.parametrize("file,text,script,expected", BEFORE, ids=[
    "%s-%d" % (l[0], i) for i, l in enumerate(BEFORE)])
def test_what_is_made_anew(waiting, file, text, script, expected):
    c = waiting.make("a").put(file, text, append=file not in ("ns/uts", "oom_score_adj"))
    assert c.output(MARK + "; " + script).split() == ["anew"] + expected.split()


def test_with_a_terminal_it_is_made_anew(waiting):
    c = waiting.make("a").put("tty", "1")
    assert c.output(MARK + "; test -t 0 && echo yes").split() == ["anew", "yes"]


def test_a_root_of_its_own_is_made_anew(waiting, tmp_path):
    os.mkdir(tmp_path / "usr")
    c = waiting.make("a").put("rootfs", "%s ro" % tmp_path)
    c.refused("cmd", "/bin/true", errno.EROFS, "has no directory /proc")
    c.put("rootfs", "host")
    assert not started(c)


def test_the_layer_may_be_filled_before_the_start(waiting):
    c = waiting.make("a")
    with open(c.path("layer", "file"), "w") as f:
        f.write("hello\n")
    assert c.output("cat /file; " + MARK).split() == ["hello", "anew"]
    c.remove()
    c = waiting.make("b")
    os.chmod(c.path("layer"), 0o700)
    assert c.output("stat -c %a /; " + MARK).split() == ["700", "anew"]


def test_renamed_and_from_a_document(waiting):
    c = waiting.make("a")
    os.rename(c.path(), os.path.join(waiting.server.mnt, "b"))
    c.name = "b"
    assert c.output("hostname; " + MARK).split() == ["b", "prepared"]
    waiting.full()
    ids = waiting.ids()
    with open(os.path.join(waiting.server.mnt, "new"), "w") as f:
        f.write('{"name": "doc", "cmd": ["sh", "-c", "%s"], "env": {"A": "b"}}' % MARK.replace('"', '\\"'))
    doc = type(c)(waiting.server, "doc")
    assert doc.get("id") in ids and doc.finish() == 0 and doc.read("log") == "prepared\n"


def test_a_name_that_is_taken_costs_no_spare(waiting):
    waiting.make("a")
    waiting.full(1)
    before = sorted(waiting.ids())
    with pytest.raises(FileExistsError):
        os.mkdir(os.path.join(waiting.server.mnt, "a"))
    with pytest.raises(OSError):
        os.mkdir(os.path.join(waiting.server.mnt, ".a"))
    assert sorted(waiting.ids()) == before
    b = waiting.make("b", 1)
    assert b.get("id") in before and started(b)


def test_it_goes_with_its_container(waiting):
    c = waiting.make("a")
    waiting.full(1)
    ident, mine = c.get("id"), set(waiting.stages())
    c.remove()
    until(lambda: len(mine - set(waiting.stages())) == 1, "its process is gone")
    assert not os.path.exists(os.path.join(waiting.server.state, ident))
    until(lambda: not os.path.exists(os.path.join(waiting.server.run, ident)), "its run directory is gone")


@pytest.mark.parametrize("which", ["monitor", "stage"])
def test_killed_while_it_waits(waiting, which):
    c = waiting.make("a")
    waiting.full(1)
    stage = next(s for s in waiting.stages() if waiting.is_of(s, c))
    pid = waiting.monitors[stage] if which == "monitor" else stage
    os.kill(pid, signal.SIGKILL)
    until(lambda: " Z " in slurp("/proc/%d/stat" % pid), "it has ended")
    assert not started(c)
    assert c.get("exit") == "0" and c.read("error") == ""
    c.remove()


def test_there_are_not_too_many(waiting):
    made = []
    for i in range(LIMIT + 4):
        made.append(waiting.server.make())
        assert len(waiting.stages()) <= LIMIT
    time.sleep(0.2)
    assert len(waiting.stages()) <= LIMIT
    for c in made:
        c.start("true")
    for c in made:
        assert c.finish() == 0
        c.remove()


def test_spares_are_in_nobodys_way(new_server):
    """All host ids are in use when the last container is made."""
    server = new_server("spares=%d" % SPARES)
    base = server.id_base
    assert server.terminate() == []
    server.options.append("subid=%d:%d" % (base, 3 * RANGE))
    server.start()
    w = Waiting(server)
    for _ in range(2):
        made = [server.make("c%d" % i) for i in range(3)]
        with pytest.raises(OSError) as e:
            server.make("more")
        assert e.value.errno == errno.ENOSPC
        for c in made:
            c.start("true")
            assert c.finish() == 0
            c.remove()
        w.ids()
    w.stop()


def test_a_killed_server_leaves_nothing_that_waits(waiting):
    c = waiting.make("a").put("env", "A=b")
    waiting.full(1)
    stages, ids = waiting.stages(), waiting.ids()
    monitors = [waiting.monitors[s] for s in stages]
    waiting.server.kill9()
    until(lambda: not any(os.path.exists("/proc/%d" % p) for p in stages + monitors), "all is gone")
    waiting.server.start()
    assert waiting.server.containers() == ["a"] and c.state() == "created" and "A=b" in c.lines("env")
    assert waiting.ids() == []
    for ident in ids:
        assert not os.path.exists(os.path.join(waiting.server.run, ident))
    assert c.output("echo $A; " + MARK).split() == ["b", "anew"]
    c.remove()


def test_a_server_that_ends_ends_what_waits(waiting):
    c = waiting.make("a")
    waiting.full(1)
    stages = waiting.stages()
    assert waiting.server.terminate() == []
    assert not any(os.path.exists("/proc/%d" % p) for p in stages)
    assert not [n for n in os.listdir(waiting.server.state) if n.startswith("new-")]
    waiting.server.start()
    assert waiting.server.containers() == ["a"] and not started(c)
    c.remove()


def test_it_lives_as_any_other(waiting):
    """Its streams, those who enter it, its signals and its end."""
    c = waiting.make("a").put("memory.limit", "64M")
    c.sh(MARK + "; trap 'exit 7' TERM; read line; echo got $line; while :; do sleep 0.02; done")
    c.until_log("prepared")
    c.put("stdin", "word", append=True)
    c.until_log("got word")
    pid = c.pid()
    assert str(pid) in c.read("cgroup/procs").split()
    for line in slurp("/proc/%d/cgroup" % pid).splitlines():
        assert line.endswith("/" + c.get("id")) or cgroup_version(waiting.server) == 1 and (
            line.startswith("0::") or "name=" in line), line
    r = waiting.server.sh("./a/exec sh -c 'cat /proc/self/cgroup; hostname'")
    assert r.stdout.split()[-1] == "a"
    c.put("ctl", "stop")
    assert c.finish() == 7
    c.remove()


def test_it_holds_nothing_of_the_hosts(waiting):
    c = waiting.make("a")
    c.sh("echo ready; sleep 1000; exit").until_log("ready")  # its libraries are read
    pid = c.pid()
    fds = {fd: os.readlink("/proc/%d/fd/%s" % (pid, fd)) for fd in os.listdir("/proc/%d/fd" % pid)}
    assert sorted(fds) == ["0", "1", "2"], fds
    assert os.readlink("/proc/%d/cwd" % pid) == "/"
    c.put("ctl", "kill")
