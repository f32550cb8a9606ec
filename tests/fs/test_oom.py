# SPDX-License-Identifier: Apache-2.0
"""The OOM killer: how often it came, and whom it killed."""

import json
import os
import re
import select
import subprocess
import time

import pytest

from basics import have, limit, until
from harness import Server, cgroup_version

# Takes memory until it is killed, under the name given.
HOG = "import sys\nopen('/proc/self/comm', 'wb').write(sys.argv[1].encode('utf-8', 'surrogateescape'))\n" \
      "keep = []\nwhile True: keep.append(bytearray(b'x' * (1 << 20)))\n"


def log_can_be_read():
    try:
        os.close(os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK))
        return True
    except OSError:
        return False


def events(c):
    """The counters, and last_oom's two words."""
    *lines, last = c.read("cgroup/events").splitlines()
    m = re.fullmatch(r"last_oom (\d+|-) (\S+)", last)
    assert m, last
    return {k: int(v) for k, v in (l.split() for l in lines)}, (m[1], m[2])


def told(c):
    """What its part of the journal says of runs and kills: (word, {key: value})."""
    lines = [l.split()[3:] for l in c.read("events").splitlines()]
    return [(w, dict(d.split("=", 1) for d in rest)) for w, *rest in lines if w in ("started", "oom", "died")]


def told_kills(c):
    """The numbers of the kills that the journal tells of."""
    return [int(d["kills"]) for w, d in told(c) if w == "oom"]


def until_kills(c, n):
    until(lambda: events(c)[0]["oom_kill"] >= n, "%d kills" % n, 20)
    assert events(c)[0]["oom_kill"] == n


def until_last(c, program):
    """Its pid, once it is known that it was killed last."""
    if not log_can_be_read():
        return None
    return int(until(lambda: events(c)[1][1] == program and events(c)[1][0], "%s is known" % program))


def parent(c, script):
    """A shell that outlives the hogs it starts: `hog NAME`."""
    c.put("memory.limit", "16M")
    return c.sh("hog() { cp /usr/bin/tail /$1; /$1 /dev/zero; echo code $?; }; " + script)


def test_nobody_yet(ctn):
    assert events(ctn)[1] == ("-", "-")
    ctn.output("exit 0")
    counts, last = events(ctn)
    assert counts["oom_kill"] == 0 and last == ("-", "-")


def test_a_child(ctn):
    parent(ctn, "hog eater; sleep 1000").until_log("code 137", seconds=30)
    until_kills(ctn, 1)
    pid = until_last(ctn, "eater")
    assert ctn.state() == "running" and ctn.status("OomKilled") == "1"
    assert pid != int(ctn.get("pid"))
    until(lambda: told_kills(ctn), "it is in the journal")
    what = dict(told(ctn))["oom"]
    assert what["kills"] == "1" and (pid is None or (what["last"], what["program"]) == (str(pid), "eater"))
    ctn.put("ctl", "kill")
    assert [w for w, _ in told(ctn)] == ["started", "oom", "died"]
    assert dict(told(ctn))["died"]["oom"] == "1"


def test_the_first_process(ctn):
    ctn.put("memory.limit", "32M").start("python3", "-c", HOG, "main hog")
    pid = ctn.pid()
    assert ctn.finish(30) == 137
    # what has ended is accounted for when that can be seen
    counts, last = events(ctn)
    assert counts["oom_kill"] == 1 and ctn.status("OomKilled") == "1"
    if log_can_be_read():
        assert last == (str(pid), r"main\x20hog")
    (_, start), (oom, what), (died, end) = told(ctn)
    assert (oom, died) == ("oom", "died") and start["pid"] == str(pid)
    assert what["kills"] == "1" and (what["last"], what["program"]) == last
    assert end["exit"] == "137" and end["oom"] == "1"
    ctn.put("memory.limit", "max").output("exit 0")
    assert ctn.status("OomKilled") == "0" and events(ctn)[0]["oom_kill"] == 1
    assert events(ctn)[1] == last
    assert [w for w, _ in told(ctn)] == ["started", "oom", "died"] + ["started", "died"]
    assert "oom" not in told(ctn)[-1][1]
    ctn.put("memory.limit", "32M").start("python3", "-c", HOG, "main hog")
    assert ctn.finish(30) == 137
    assert told_kills(ctn) == [1, 1]  # each run counts its own


def test_one_after_the_other(ctn):
    """More than the kernel tells of in full (ten in five seconds)."""
    n = 14
    parent(ctn, "for i in $(seq %d); do hog eater$i; done; echo done; sleep 1000" % n)
    ctn.until_log("done", seconds=60)
    until_kills(ctn, n)
    until_last(ctn, "eater%d" % n)
    until(lambda: told_kills(ctn)[-1:] == [n], "the last is in the journal")
    assert told_kills(ctn) == sorted(set(told_kills(ctn)))  # none twice


@pytest.mark.parametrize("name", ["cgroup/events", "status"])
def test_who_polls_is_woken(ctn, name):
    parent(ctn, "read x; hog eater; sleep 1000")
    with open(ctn.path(name), "rb", buffering=0) as f:
        p = select.poll()
        p.register(f, select.POLLIN | select.POLLPRI)
        while f.read(65536):
            pass
        assert p.poll(20) == []
        ctn.put("stdin", "go", append=True)
        assert p.poll(limit(30) * 1000)[0][1] & select.POLLPRI
        f.seek(0)
        text = f.read()
        assert b"\noom_kill 1\n" in text or b"\nOomKilled:\t1\n" in text
        while f.read(65536):
            pass
        assert p.poll(20) == []


NAMES = {
    "blanks and brackets": (b"a b (c) [d", r"a\x20b\x20(c)\x20[d"),
    "control bytes": (b"\x1b[31m\n\x07\x7f", r"\x1b[31m\x0a\x07\x7f"),
    "C1, plain and in UTF-8": (b"\x9b31m\xc2\x9b31m", r"\x9b31m\xc2\x9b31m"),
    "not UTF-8": (b"\xff\xfe\xc0\\", r"\xff\xfe\xc0\x5c"),
    "the kernel's own words": (b",pid=1,uid=0", ",pid=1,uid=0"),
    "others of them": (b"x,task=y", "x,task=y"),
    "a bracket at the end": (b") total-vm:", r")\x20total-vm:"),
}


@pytest.mark.parametrize("case", sorted(NAMES))
def test_names_of_programs(ctn, case):
    """A program may be called anything."""
    raw, shown = NAMES[case]
    script = HOG.replace("sys.argv[1].encode('utf-8', 'surrogateescape')", repr(raw))
    ctn.put("memory.limit", "32M").start("python3", "-c", script)
    pid = ctn.pid()
    assert ctn.finish(30) == 137
    if log_can_be_read():
        assert events(ctn)[1] == (str(pid), shown)
    assert re.fullmatch(r"[ -~\n]*", ctn.read("cgroup/events"))


def test_each_has_its_own(tidy):
    """Two at the same time, and one that looks on."""
    a, b, c = (tidy.make(n) for n in "abc")
    c.start("sleep", "1000")
    for ctn in (a, b):
        ctn.put("memory.limit", "32M").start("python3", "-c", HOG, "eater-" + ctn.name)
    for ctn in (a, b):
        assert ctn.finish(30) == 137
        if log_can_be_read():
            assert events(ctn)[1][1] == "eater-" + ctn.name
        assert events(ctn)[0]["oom_kill"] == 1
        assert told_kills(ctn) == [1]
    assert events(c)[0]["oom_kill"] == 0 and events(c)[1] == ("-", "-") and told_kills(c) == []
    text = tidy.read("metrics")
    assert len(re.findall(r"^ctnfs_container_oom_kills_total\{.*\} 1$", text, re.M)) == 2


def test_in_a_shared_user_namespace(tidy):
    """Who has another's ids is told apart by its cgroup, which the kernel tells of ten in five seconds."""
    a = tidy.make("a").start("sleep", "1000")
    b = tidy.make("b").put("ns/net", "container:a").put("memory.limit", "32M")
    for n in (1, 2, 3):
        b.start("python3", "-c", HOG, "guest%d" % n)
        assert b.finish(30) == 137
        assert events(b)[0]["oom_kill"] == n and events(a)[0]["oom_kill"] == 0
        assert events(a)[1] == ("-", "-")
        if not log_can_be_read() or events(b)[1] != ("-", "-"):
            break
        time.sleep(6)
    if log_can_be_read():
        assert events(b)[1][1] == "guest%d" % n


def test_another_has_its_ids_later(tidy):
    """What the log tells of one that is gone is not about who has its name and ids now."""
    old = parent(tidy.make("b"), "for i in $(seq 12); do hog old; done; echo done; sleep 1000")
    old.until_log("done", seconds=60)  # more than the log tells the cgroup of
    until_kills(old, 12)
    old.put("ctl", "kill")
    os.rmdir(old.path())
    b, a = tidy.make("b").put("memory.limit", "32M"), tidy.make("a").start("sleep", "1000")
    b.put("ns/net", "container:a").start("python3", "-c", HOG, "guest")
    assert b.finish(30) == 137
    assert events(b)[1][1] in ("guest", "-") and told_kills(b) == [1]
    assert a.state() == "running"


def test_a_session_eats_its_containers_memory(tidy):
    c = tidy.make("a").put("memory.limit", "32M").start("sleep", "1000")
    os.mkdir(c.path("execs/x"))
    c.put("execs/x/cmd", '["python3", "-c", %s, "guest"]' % json.dumps(HOG))
    until(lambda: c.get("execs/x/state") == "exited", "it is killed", 30)
    assert c.get("execs/x/exit") == "137" and c.state() == "running"
    until_kills(c, 1)
    until_last(c, "guest")
    os.rmdir(c.path("execs/x"))


def counter(c):
    """The kernel's own file."""
    v1 = cgroup_version(c.server) == 1
    return os.path.join(os.readlink(c.path("cgroup/raw/memory")), "memory.oom_control" if v1 else "memory.events")


def killed(path):
    with open(path) as f:
        return "oom_kill 1\n" in f.read()


WAITS = "echo ready; until [ -e /tmp/go ]; do sleep 0.1; done; "


@pytest.mark.parametrize("how", ["child", "first"])
def test_while_no_server_is_there(server, how):
    """Two of them, one after the other: each has its own."""
    both = [server.make("a"), server.make("b")]
    for c in both:
        if how == "child":
            parent(c, WAITS + "hog eater-%s; sleep 1000" % c.name)
        else:
            c.put("memory.limit", "16M")
            c.sh(WAITS + "cp /usr/bin/tail /eater-%s; exec /eater-%s /dev/zero" % (c.name, c.name))
        c.until_log("ready")
    places = [("/proc/%d/root" % c.pid(), counter(c)) for c in both]
    server.kill9()
    for root, count in places:
        with open(os.path.join(root, "tmp/go"), "w"):
            pass
        until(lambda p=count: killed(p), "it is killed", 30)
    server.start()
    for c in both:
        assert events(c)[0]["oom_kill"] == 1
        until_last(c, "eater-" + c.name)
        if how == "child":
            assert c.state() == "running"
            assert [w for w, _ in told(c)] == ["started", "oom"]
            c.put("ctl", "kill")
        else:
            assert c.finish(30) == 137
        assert c.status("OomKilled") == "1"
    server.kill9()
    server.start()  # what is known stays so, and is not told again
    for c in both:
        until_last(c, "eater-" + c.name)
        assert [w for w, _ in told(c)] == ["started", "oom", "died"]
        assert dict(told(c))["oom"]["kills"] == "1" and dict(told(c))["died"]["oom"] == "1"
        times = [l.split()[1] for l in c.read("events").splitlines()]
        assert times == sorted(times)


class Deaf(Server):
    """A server that may not read the kernel's log."""

    def argv(self):
        return ["capsh", "--drop=cap_syslog", "--shell=" + super().argv()[0], "--"] + super().argv()[1:]


@pytest.fixture
def deaf(session, no_leaks):
    r = have("capsh") and subprocess.run(
        ["capsh", "--drop=cap_syslog", "--", "-c", "exec 3< /dev/kmsg"], capture_output=True,
        timeout=limit(20)).returncode
    if not r:
        pytest.skip("the kernel's log can be read without CAP_SYSLOG here")
    s = Deaf(session)
    yield s
    wrong = s.finish()
    assert not wrong, "\n".join(wrong)
    s.remove()


def test_without_the_kernels_log(deaf):
    """It is counted all the same; nobody knows whom."""
    c = deaf.make("a")
    fds = len(os.listdir("/proc/%d/fd" % deaf.proc.pid))
    parent(c, "hog eater1; hog eater2; echo done; sleep 1000")
    c.until_log("done", seconds=30)
    until_kills(c, 2)
    assert events(c)[1] == ("-", "-")
    until(lambda: told_kills(c)[-1:] == [2], "both are in the journal", 20)
    assert dict(told(c))["oom"]["last"] == dict(told(c))["oom"]["program"] == "-"
    c.put("ctl", "kill")
    until(lambda: len(os.listdir("/proc/%d/fd" % deaf.proc.pid)) == fds, "its descriptors are closed")
    c.start("python3", "-c", HOG, "eater")
    assert c.finish(30) == 137
    assert events(c)[0]["oom_kill"] == 3 and c.status("OomKilled") == "1"
    assert told_kills(c)[-1] == 1
