# SPDX-License-Identifier: Apache-2.0
"""N32, N34, N40: what the server starts, and how.

A process that forks while others of its threads allocate or print has a child in which nobody will ever give back
their locks; and what a child has not been rid of, the container may get. The server makes no such child: it shares
the server's memory until it executes the monitor, and until then makes the few calls that are listed here, whose
arguments were there before. That is the nursery, while the server has no thread; all others are copies of that, which is
single-threaded and has no lock. It executes nothing else: not fusermount(1), which is set-user-ID and asks its
environment, no shell, no tool.

strace(1) looks on. The control is a shell that starts a program, of which it must say more."""

import os
import re
import shutil
import subprocess
import threading

import pytest

import basics
import harness
from attackers import LONG, TELL, arm, rounds, tools
from basics import limit, until
from sessions import session as make_session, wait_code

CALLS = "clone,clone3,fork,vfork,execve,execveat,mount,fsopen,close_range,dup,dup2,dup3,prlimit64,setrlimit,brk,mmap,munmap," \
        "futex,write,read,open,openat,close,fcntl,rt_sigaction,rt_sigprocmask,setns,unshare,exit,exit_group"
BETWEEN = {"close_range", "dup3", "prlimit64", "execve"}
pytestmark = [
    pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed"),
    pytest.mark.skipif(bool(basics.SANITIZERS), reason="sanitizers and strace do not go together"),
    pytest.mark.slow_ok(1200 if LONG else 120)]


def parse(path):
    """What each process did, in order: (pid, call, the whole line). A call that others interrupt counts where it began."""
    with open(path, errors="replace") as f:
        for line in f:
            m = re.match(r"(\d+) +(\w+)\((.*)", line)
            if m:
                yield int(m[1]), m[2], line.rstrip("\n")


def children(path):
    """For each process that began to share or copy its parent: the parent's line and what it did until it executed."""
    seen, found = {}, []
    for pid, call, line in parse(path):
        if pid not in seen:
            seen[pid] = []
        if seen[pid] is not None:
            seen[pid].append(call)
        if call in ("execve", "execveat") and seen[pid] is not None:
            found.append((pid, line, seen[pid]))
            seen[pid] = None
    return found


@pytest.fixture(scope="module")
def traced(session):
    """What was seen of a server while others read, containers were made, entered and removed."""
    out = os.path.join(session.base, "trace")
    wrapper = os.path.join(session.base, "traced-ctnfs")
    with open(wrapper, "w") as f:
        f.write("#!/bin/sh\nexec strace -D -f -qq -s 64 -o %s -e trace=%s -e signal=none %s \"$@\"\n" % (
            out, CALLS, basics.build_path("ctnfs")))
    os.chmod(wrapper, 0o755)
    tools(session)
    server = harness.Server(session, start=False)
    server.program = wrapper
    server.start()
    pid = server.proc.pid
    try:
        use(server)
    finally:
        wrong = server.finish()
    assert not wrong, "\n".join(wrong)
    server.remove()
    return out, pid


def use(server):
    done = threading.Event()
    ctn = arm(server.make())

    def read():
        while not done.is_set():
            for name in "seccomp", "config.json", "status", "spec":
                ctn.read(name)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for r in readers:
        r.start()
    try:
        for _ in range(rounds(6, 60)):
            ctn.start(TELL, "exit", "3")
            assert ctn.finish() == 3
        ctn.start(TELL, "wait")
        s = make_session(ctn, "s").start(TELL, "exit", "4")
        assert wait_code(s) == 4
        s.remove()
    finally:
        done.set()
        for r in readers:
            r.join()


def of_server(path, pid):
    """Its threads: what it cloned with CLONE_THREAD, and those of that."""
    threads = {pid}
    with open(path, errors="replace") as f:
        for line in f:
            m = re.search(r"parent_tid=\[(\d+)\]", line)
            if m and int(line.split()[0]) in threads:
                threads.add(int(m[1]))
    return threads


def test_no_child_is_a_copy(traced):
    path, pid = traced
    threads = of_server(path, pid)
    made = [line for who, call, line in parse(path) if who in threads and call in ("clone", "clone3", "fork", "vfork")]
    assert len(made) > 8 and len(threads) > 3
    for line in made:
        assert "CLONE_THREAD" in line or ("CLONE_VM" in line and "CLONE_VFORK" in line and "SIGCHLD" in line), line


def test_what_a_child_does_before_it_executes(traced):
    path, pid = traced
    monitors = [(who, line, calls) for who, line, calls in children(path) if '["ctnfs-monitor"]' in line]
    assert len(monitors) == 1, "the nursery, from which the others come"
    born = [line for who, call, line in parse(path) if who == monitors[0][0] and call == "clone"]
    assert len(born) >= rounds(6, 60) + 2
    assert all("CLONE_PARENT|SIGCHLD" in line for line in born), born
    for who, line, calls in monitors:
        assert set(calls) <= BETWEEN and calls[0] == "close_range" and calls.count("dup3") == 4, (who, calls)
        assert re.search(r'execve\("/proc/self/fd/\d+", \["ctnfs-monitor"\], 0x\w+ /\* 0 vars \*/', line), line


def test_nothing_else_is_executed(traced):
    path, pid = traced
    executed = {re.search(r'"([^"]*)"', line)[1] for _, call, line in parse(path) if call in ("execve", "execveat")}
    ours = {p for p in executed if re.fullmatch(r"/proc/self/fd/\d+", p) or p.endswith("/ctnfs")}
    assert executed - ours == {TELL}, executed


def test_it_mounts_by_itself(traced):
    path, pid = traced
    mounts = [line for who, call, line in parse(path) if who == pid and call in ("mount", "fsopen")]
    assert any('"fuse' in line for line in mounts), mounts


def test_control(tmp_path):
    out = str(tmp_path / "trace")
    subprocess.run(["strace", "-f", "-qq", "-o", out, "-e", "trace=" + CALLS, "sh", "-c", "/bin/true; exit 0"], check=True,
                   timeout=limit(30), stdin=subprocess.DEVNULL)
    found = children(out)
    assert len(found) == 2 and not set(found[1][2]) <= BETWEEN, found
    until(lambda: os.path.exists(out), "strace has written")
