# SPDX-License-Identifier: Apache-2.0
"""The event journal: one line for each fact, in order, who may read it, and how it is followed."""

import errno
import json
import os
import select
import stat
import struct
import subprocess
import threading
import time

import pytest

from basics import limit, put, slurp, until
from containers import Ctn
from journals import Event, events, fill, of, words
from logviews import Follower
from rootdirs import kernel


def test_a_life(ctn):
    ctn.sh("trap 'exit 3' TERM; echo ready; while :; do sleep 0.05; done").until_log("ready")
    pid = ctn.pid()
    ctn.put("ctl", "pause")
    ctn.put("ctl", "pause")  # no news
    ctn.put("cgroup/freeze", "0")
    ctn.put("ctl", "stop 20")
    ctn.start("true").finish()
    found = events(ctn)
    assert words(found)[:5] == ["created", "started pid=%d" % pid, "paused", "resumed", "died exit=3"]
    assert [e.what for e in found[5:]] == ["started", "died"] and words(found)[6] == "died exit=0"
    assert {e.name for e in found} == {ctn.name} and {e.id for e in found} == {ctn.get("id")[:12]}
    assert [found[-2].time, found[-1].time] == [ctn.status("Started"), ctn.status("Finished")]
    assert found[0].time == ctn.status("Created")
    assert found == of(ctn, events(ctn.server))
    assert events(ctn.server)[0].what == "server-started"


def test_limits(ctn):
    version = 2 if ctn.server.read("status").count("Cgroup:\tv2") else 1
    ctn.put("memory.limit", "64M")
    ctn.put("memory.limit", "67108864")  # no news
    ctn.put("cgroup/cpu.max", "50000 100000")
    ctn.put("cgroup/memory.max" if version == 2 else "cgroup/memory.limit", "8000000")
    ctn.refused("cgroup/pids.max", "many", errno.EINVAL)
    spec = json.loads(ctn.read("spec"))
    ctn.put("spec", json.dumps(dict(spec, cgroup={"pids.max": 17, "cpu.max": "50000 100000"})))
    ctn.put("spec", json.dumps(dict(spec, cgroup={"pids.max": 17, "cpu.max": "50000 100000"})))
    assert words(events(ctn))[1:4] == [
        "limit-changed memory.limit=67108864", r"limit-changed cpu.max=50000\x20100000",
        "limit-changed memory.limit=7999488"]
    assert sorted(words(events(ctn))[4:]) == [
        "limit-changed memory.limit=max", "limit-changed pids.max=17"]


def test_a_container_and_its_sessions(tidy):
    c = tidy.make("web")
    c.sh("echo ready; sleep 1000").until_log("ready")
    os.mkdir(c.path("execs/dump"))
    assert put(c.path("execs/dump/cmd"), "sh -c 'exit 7'\n") == 0
    assert slurp(c.path("execs/dump/wait")) == "7\n"
    pid = c.pid()
    os.rename(c.path(), tidy.path("site"))
    c.name = "site"
    other = tidy.make("web")  # the name is free again
    os.mkdir(c.path("execs/late"))
    c.put("ctl", "kill")
    found = events(c)
    session = [e for e in found if e.name == "web/execs/dump"][1]
    assert ["%s %s" % (e.name, w) for e, w in zip(found, words(found))] == [
        "web created", "web started pid=%d" % pid, "web/execs/dump created",
        "web/execs/dump execed " + session.detail, "web/execs/dump died exit=7",
        "site renamed from=web", "site/execs/late created", "site died exit=137"]
    assert words(events(other)) == ["created"]
    ident = c.get("id")[:12]
    c.remove()
    gone = [e for e in events(tidy) if e.id == ident][len(found):]
    assert sorted(e.name for e in gone[:2]) == ["site/execs/dump", "site/execs/late"]
    assert gone[2].name == "site" and {e.what for e in gone} == {"removed"} and len(gone) == 3


def test_what_never_was(tidy):
    """A start that fails is no fact, nor is a container that was to run at once and did not."""
    c = tidy.make()
    c.refused("cmd", "no-such-program", errno.ENOENT)
    before = len(events(tidy))
    assert put(tidy.path("new"), json.dumps({"name": "never", "cmd": ["no-such-program"]})) == errno.ENOENT
    assert put(tidy.path(c.name, "ctl"), "nonsense\n") == errno.EINVAL
    with pytest.raises(OSError):
        os.mkdir(tidy.path(c.name))
    assert words(events(c)) == ["created"] and len(events(tidy)) == before
    assert put(tidy.path("new"), json.dumps({"name": "once", "cmd": ["true"]})) == 0
    once = Ctn(tidy, "once")
    once.finish()
    assert [e.what for e in events(once)] == ["created", "started", "died"]


def test_restart(idle):
    first = idle.pid()
    idle.put("ctl", "restart 20")
    assert words(events(idle)) == ["created", "started pid=%d" % first, "died exit=0",
                                   "restarted pid=%d restarts=1" % idle.pid()]


def run_inside(c, *argv):
    return subprocess.run([c.path("exec")] + list(argv), capture_output=True, stdin=subprocess.DEVNULL)


def test_exec(idle):
    assert run_inside(idle, "/bin/true").returncode == 0
    assert run_inside(idle, "sh", "-c", "exit 9").returncode == 9
    assert run_inside(idle, "no-such-program").returncode == 127  # was not executed
    os.mkfifo(idle.path("root/root/fifo"))
    p = subprocess.Popen([idle.path("exec"), "cat", "/root/fifo"], stdout=subprocess.DEVNULL)
    found = until(lambda: [e for e in events(idle) if e.what == "execed"][2:], "the line about cat")
    with open("/proc/%s/comm" % found[0].keys["pid"]) as f:
        assert f.read() == "cat\n"
    with open(idle.path("root/root/fifo"), "w"):
        pass
    assert p.wait(limit(20)) == 0
    idle.put("ctl", "kill")
    found = events(idle)
    assert [e.what for e in found] == ["created", "started", "execed", "execed", "execed", "died"]
    assert [e.keys["program"] for e in found[2:5]] == ["true", "sh", "cat"]
    idle.start("true").finish()
    assert [e.what for e in events(idle)[6:]] == ["started", "died"]


def test_exec_of_an_ugly_name(idle):
    name = "a b\n\x1b[31m\\\xff"
    os.symlink("/bin/true", idle.path("root/root").encode() + b"/a b\n\x1b[31m\\\xff")
    r = subprocess.run([idle.path("exec").encode(), b"/root/a b\n\x1b[31m\\\xff"], stdin=subprocess.DEVNULL)
    assert r.returncode == 0, name
    found = until(lambda: [e for e in events(idle) if e.what == "execed"], "its line")
    assert found[0].keys["program"] == r"a\x20b\x0a\x1b[31m\\\xff"
    text = idle.server.read("events")
    assert all(0x20 <= ord(c) < 0x7f or c == "\n" for c in text)


@pytest.mark.parametrize("lives", [True, False])
def test_exec_while_no_server_is_there(new_server, lives):
    """Through the monitor, which writes down so many of them."""
    s = new_server()
    c = s.make()
    c.sh("echo ready; sleep 1000").until_log("ready")
    script = slurp(c.path("exec")).split("\n")[0][2:].split(" ", 1)
    run_inside(c, "true")
    until(lambda: events(c)[-1].what == "execed", "its line")
    pid = c.pid()
    s.kill9()
    for i in range(3):
        assert subprocess.run([script[0], script[1], "exec", "sh", "-c", "exit %d" % i]).returncode == i
    if not lives:
        os.kill(pid, 9)
    s.start()
    until(lambda: c.state() != "created", "what has become of it")
    found = events(c)
    assert [e.what for e in found] == ["created", "started"] + 4 * ["execed"] + (1 - lives) * ["died"]
    assert [e.keys["program"] for e in found[2:6]] == ["true", "sh", "sh", "sh"]
    run_inside(c, "true")
    s.kill9()
    s.start()
    assert len(events(c)) == 6 + 1


def test_more_programs_than_are_written_down(new_server):
    s = new_server()
    c = s.make()
    c.sh("echo ready; sleep 1000").until_log("ready")
    run_inside(c, "true")
    until(lambda: events(c)[-1].what == "execed", "its line")
    run = os.path.join(s.run, c.get("id"), "execed")
    s.kill9()
    with open(run, "r+b") as f:  # as after 1500 more
        first = struct.unpack("QQQiI16s", f.read()[48:96])
        for n in range(2, 1502):
            f.seek(n % 1024 * 48)
            f.write(struct.pack("QQQiI16s", n, first[1] + n, first[2], n, 0, b"many"))
    s.start()
    found = events(c)
    assert [e.what for e in found] == ["created", "started", "execed", "lost"] + 1024 * ["execed"]
    assert found[3].detail == "lines=476" and found[4].keys["pid"] == "478" and found[-1].keys["pid"] == "1501"
    s.kill9()
    s.start()
    assert len(events(c)) == 4 + 1024


# --- who may read what ---

def test_the_group_may_read_and_sees_no_command(new_server):
    name = "daemon"
    s = new_server("group=" + name)
    c = s.make()
    c.start("sh", "-c", "exit 5 # secret")
    c.finish()
    assert put(c.path("env"), "KEY=secret\n", append=True) == 0
    for path in (s.path("events"), c.path("events")):
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o440
        out = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "cat", path],
                             capture_output=True)
        assert out.returncode != 0
        out = subprocess.run(["setpriv", "--reuid=65534", "--regid=" + name, "--clear-groups", "cat", path],
                             capture_output=True, text=True)
        assert "died exit=5" in out.stdout and "secret" not in out.stdout, out


def test_it_is_not_written_by_hand(ctn):
    for path in (ctn.path("events"), ctn.server.path("events")):
        assert put(path, "mine\n") == errno.EACCES and put(path, "mine\n", append=True) == errno.EACCES
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o400
        with pytest.raises(OSError):
            os.truncate(path, 0)
        assert os.stat(path).st_size == len(slurp(path))


# --- following ---

def rest(fd):
    """What there is, up to the end."""
    parts = [os.read(fd, 65536)]
    while parts[-1]:
        parts.append(os.read(fd, 65536))
    return b"".join(parts).decode()


def test_poll(tidy):
    """From its end on a file is readable when it has more."""
    c, other = tidy.make(), tidy.make()
    both = [os.open(p, os.O_RDONLY) for p in (tidy.path("events"), c.path("events"))]
    try:
        ep = select.epoll()
        for fd in both:
            ep.register(fd, select.EPOLLIN)
        assert len(ep.poll(limit(10))) == 2
        for fd in both:
            rest(fd)
        assert ep.poll(0.1) == []
        other.put("memory.limit", "64M")
        assert [fd for fd, _ in ep.poll(limit(10))] == both[:1]
        assert Event(rest(both[0]).strip()).name == other.name
        assert ep.poll(0.1) == []
        os.mkdir(c.path("execs/a"))
        until(lambda: len(ep.poll(limit(10))) == 2, "both are told of a session")
        assert rest(both[1]).endswith("/execs/a created id=%s\n" % c.get("id")[:12])
        ep.close()
    finally:
        for fd in both:
            os.close(fd)


def test_a_waiting_poll_is_woken(tidy):
    c = tidy.make()
    fd = os.open(c.path("events"), os.O_RDONLY)
    try:
        rest(fd)
        p = select.poll()
        p.register(fd, select.POLLIN)
        threading.Timer(0.2, c.put, ["memory.limit", "64M"]).start()
        assert p.poll(limit(20) * 1000) and b"limit-changed" in os.read(fd, 65536)
    finally:
        os.close(fd)


def toggle(c, times):
    """Two lines each time."""
    for _ in range(times):
        c.put("memory.limit", "64M")
        c.put("memory.limit", "32M")


def test_tail_follows_while_the_oldest_lines_go(new_server):
    """Three followers of a journal at its bound: of all, of a container, and with tail(1)."""
    s = new_server(start=False)
    old = fill(s, (8 << 20) - 2000, "ab" * 32)
    s.start()
    c = s.make("db")
    size = os.stat(s.path("events")).st_size
    tail = subprocess.Popen(["tail", "-n+1", "-s0.05", "-f", s.path("events")], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True)
    got = []
    reader = threading.Thread(target=lambda: got.extend(tail.stdout))
    reader.start()
    with Follower(s.path("events")) as whole, Follower(c.path("events")) as own:
        until(lambda: len(got) > old, "tail has read what is there", 20)
        n = 0
        while s.read("events").startswith("1 "):  # a fresh reader begins with the oldest that is kept
            toggle(c, 5)
            own.step()
            whole.step()
            n += 10
            assert n < 4000
        toggle(c, 3)
        assert os.stat(s.path("events")).st_size > size  # it never shrinks under a reader
        until(lambda: len(got) >= old + 2 + n + 6, "tail has read the rest", 20)
        assert [int(l.split()[0]) for l in got] == list(range(1, old + n + 9))
        assert whole.until(b"%d " % (old + n + 8)).got.decode() == "".join(got)
        assert own.until(b"%d " % (old + n + 8)).got.decode() == "".join(got[old + 1:])
    tail.kill()
    assert "truncated" not in tail.communicate()[1]
    reader.join()
    kept = s.read("events")
    assert "".join(got).endswith(kept) and 7 << 19 < len(kept) <= 8 << 20
    assert os.stat(os.path.join(s.state, "events")).st_blocks * 512 < (8 << 20) + (64 << 10)
    s.terminate()
    s.start()  # what the oldest lines said is known all the same
    assert [e.what for e in events(s)][-2:] == ["server-stopped", "server-started"]
    assert events(c)[0].what == "created" and s.read("events").startswith(kept)


def test_a_clock_that_was_ahead(new_server):
    s = new_server(start=False)
    n = fill(s, 2000, "cd" * 32, year=2100)
    s.start()
    c = s.make()
    found = events(s)
    assert found[n - 1].time > found[n].time and found[-1].what == "created"
    assert words(events(c)) == ["created"]


def test_what_was_not_written_down_comes_in_its_order(new_server):
    """A server that was killed knew of a start, a new name and a limit; the next one finds out when each was."""
    server = new_server()
    c = server.make("before").start("sleep", "1000")
    os.rename(c.path(), server.path("after"))
    c.name = "after"
    c.put("memory.limit", str(64 << 20))
    server.kill9()
    path = os.path.join(server.state, "events")
    known = "".join(slurp(path).splitlines(keepends=True)[:2])
    assert " created" in known
    os.truncate(path, len(known))
    server.start()
    assert [w.partition(" ")[0] for w in words(events(c))] == ["created", "started", "renamed", "limit-changed"]


# --- no room ---

@pytest.mark.skipif(kernel() < (6, 3), reason="this kernel cannot map the ids of a tmpfs")
def test_a_full_disk(new_server):
    """The engine goes on; the lines come when there is room."""
    s = new_server(start=False)
    os.mkdir(s.state, 0o700)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m,mode=700", "none", s.state], check=True)
    try:
        s.start()
        c = s.make()
        c.sh("echo ready; sleep 1000").until_log("ready")
        filler = os.path.join(s.state, "filler")
        with open(filler, "wb", buffering=0) as f, pytest.raises(OSError):
            while True:
                f.write(bytes(4096))
        for _ in range(100):
            c.put("ctl", "pause")
            c.put("ctl", "resume")
        shown = [e.what for e in events(c)]
        assert len(shown) < 202 and c.state() == "running"
        assert "ENOSPC events" in s.read("error")
        os.unlink(filler)
        assert [e.what for e in events(c)] == ["created", "started"] + ["paused", "resumed"] * 100
        events(s)
        c.put("ctl", "kill")
        c.remove()
        s.terminate()
    finally:
        subprocess.run(["umount", "-l", s.state], check=True)
