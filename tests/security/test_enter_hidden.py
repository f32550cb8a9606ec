# SPDX-License-Identifier: Apache-2.0
"""N01, N30: nobody inside can look into a process on its way into the container.

CVE-2016-9962 (runc), CVE-2016-8649 (LXC): whoever enters a container is in its pid namespace before
it has given up the host's rights and descriptors. A root inside with CAP_SYS_PTRACE that is quick
enough, or that stops it with SIGSTOP, attaches to it or opens what it has open, and is on the host.

What holds it off: such a process is not dumpable, and its memory belongs to the host's user namespace,
so that no capability inside counts; nothing is open in it but the caller's standard streams and sockets
to its parent; when it is first seen, it is in all namespaces and control groups at once.

The control is a monitor without PR_SET_DUMPABLE: the same attacker gets in, by looking and by stopping."""

import collections
import os
import re
import signal
import subprocess

import pytest

from attackers import (LONG, TELL, arm, begin, command, end, end_process, enter, rounds,
                       until_met, until_stopped, weak_server)
from basics import limit, slurp
from sessions import session, wait_code

ENTRIES = rounds(150, 2000)
STARTS = rounds(30, 300)
CAUGHT = rounds(5, 200)
SECRET = "of-the-caller"
CALLER = {"CTNFS_TEST_SECRET": SECRET}
NAMESPACES = "cgroup ipc mnt net pid time user uts".split()
slow = pytest.mark.slow_ok(900 if LONG else 90)


def attack(ctn, how, user="0", sign="DENIED"):
    """Programs enter while the attacker works; each does what it should."""
    begin(ctn, "/attack/sampler", how, TELL)
    tries = 0
    for tries in until_met(ctn, sign, ENTRIES, 10 * ENTRIES):
        enter(ctn, "-u", user, TELL, "exit", "7", code=7, env=CALLER)
    got = end(ctn)
    assert got.count["pids"] > (tries + 1) / 2, got.text
    return got


@slow
@pytest.mark.parametrize("how", ["look", "stop"])
@pytest.mark.parametrize("kind, attacker, user", [
    ("default", "0", "0"), ("default", "0", "1000"), ("default", "1000", "1000"),
    ("privileged", "1000", "1000")])
def test_nothing_is_got_of_who_enters(ctn, kind, attacker, user, how):
    got = attack(arm(ctn, kind, attacker), how, user)
    assert got.got == []
    assert got.count["denied"] > 0, "the attacker was never quick enough: %s" % got.text


@slow
@pytest.mark.parametrize("how", ["look", "stop"])
@pytest.mark.parametrize("user", ["0", "1000"])
def test_root_of_the_host_gets_nothing_of_the_host(ctn, user, how):
    """A privileged container has CAP_SYS_PTRACE in the host's own user namespace: it may look, and
    attach. What it finds is the container's: no directory outside, a program that cannot be changed,
    no environment of the caller's."""
    got = attack(arm(ctn, "privileged", "0"), how, user, sign="GOT exe")
    assert got.kinds() <= {"exe", "look", "attach"}, got.text
    for line in got.got:
        kind, pid, *rest = line.split(" ", 2)
        if kind == "exe":
            assert rest == ["/memfd:ctnfs-monitor (deleted)"], line
        number = re.search(r"fd (\d+) is (.*)", line)
        if number and int(number[1]) > 2:
            assert own(number[2]), line
    assert SECRET not in got.text
    assert "exe" in got.kinds(), "the attacker was never quick enough: %s" % got.text


def own(target):
    """What it has open beside its streams: the channel to its parent, and until that has taken it, for as long as a
    system call or two, the listener of its filter."""
    return target.startswith("socket:[") or target == "anon_inode:seccomp notify"


def audit(ctn, pid):
    """What is wrong with a process on its way in that stands still, as the host sees it."""
    proc, first = "/proc/%d/" % pid, "/proc/%d/" % ctn.pid()
    for kind in NAMESPACES:
        if os.readlink(proc + "ns/" + kind) != os.readlink(first + "ns/" + kind):
            yield "namespace " + kind
    for number in os.listdir(proc + "fd"):
        target = os.readlink(proc + "fd/" + number)
        if int(number) > 2 and not own(target):
            yield "descriptor %s is %s" % (number, target)
    root = os.stat(first + "root")
    for name in ("root", "cwd"):
        st = os.stat(proc + name)
        if (st.st_dev, st.st_ino) != (root.st_dev, root.st_ino):
            yield name
    if slurp(proc + "cgroup") != slurp(first + "cgroup"):
        yield "cgroup: " + slurp(proc + "cgroup")
    if SECRET in slurp(proc + "environ"):
        yield "environment of the caller"


def audit_entries(ctn, user):
    """Root inside stops who enters, for it has CAP_KILL there; the host looks into it at that moment."""
    begin(arm(ctn), "/attack/sampler", "hold", TELL)
    outside = [os.open("/etc", os.O_RDONLY | os.O_DIRECTORY) for _ in range(5)]
    caught, wrong = 0, []
    for _ in range(10 * ENTRIES):
        if caught >= CAUGHT:
            break
        process = subprocess.Popen(command(ctn, "-u", user, TELL, "exit", "7"), env=CALLER, pass_fds=outside,
                                   stdin=subprocess.DEVNULL)
        try:
            while (pid := until_stopped(ctn, process)) > 0:
                if "memfd:" in os.readlink("/proc/%d/exe" % pid):
                    wrong += audit(ctn, pid)
                    caught += 1
                os.kill(pid, signal.SIGCONT)
            assert process.wait(limit(10)) == 7
        finally:
            end_process(process)
    for fd in outside:
        os.close(fd)
    assert caught >= CAUGHT, "the attacker was quick enough %d times only" % caught
    return wrong


@slow
@pytest.mark.parametrize("user", ["0", "1000"])
def test_what_stands_still_on_its_way_in(ctn, user):
    assert audit_entries(ctn, user) == []


@slow
def test_who_is_killed_on_its_way_in(ctn):
    """The container ends whatever comes: `exec` says so, and does not wait for ever."""
    begin(arm(ctn), "/attack/sampler", "kill", TELL)
    ends = collections.Counter()
    while ends.total() - ends[7] < CAUGHT and ends.total() < 10 * ENTRIES:
        r = enter(ctn, TELL, "exit", "7", env=CALLER)
        ends[r.returncode] += 1
        assert r.stderr or r.returncode != 125
    assert set(ends) <= {7, 125, 128 + signal.SIGKILL}, ends
    assert ends.total() - ends[7] >= CAUGHT, "the attacker was never quick enough: %s" % ends
    assert end(ctn).got == []


# --- sessions, whose parent is the monitor ---

def run_sessions(ctn, how, sign, least):
    """The same for programs in execs/."""
    begin(ctn, "/attack/sampler", how, TELL)
    for i in until_met(ctn, sign, least, 10 * ENTRIES):
        s = session(ctn, "s%d" % i).start(TELL, "exit", "7")
        assert wait_code(s) == 7
        s.remove()
    return end(ctn)


@slow
@pytest.mark.parametrize("how", ["look", "stop"])
@pytest.mark.parametrize("user", ["0", "1000"])
def test_nothing_is_got_of_a_session(ctn, user, how):
    got = run_sessions(arm(ctn, user=user), how, "DENIED", STARTS)
    assert got.got == []
    assert got.count["denied"] > 0, "the attacker was never quick enough: %s" % got.text


# --- the container's own start, with others in its pid namespace ---

def start_beside(server, how, sign):
    """Containers start in the pid namespace of one that attacks."""
    a = begin(arm(server.make()), "/attack/sampler", how, TELL)
    b = arm(server.make()).put("ns/pid", "container:" + a.name)
    for _ in until_met(a, sign, STARTS, 10 * STARTS):
        b.start(TELL, "exit", "7")
        assert b.finish() == 7
    return end(a)


@slow
@pytest.mark.parametrize("how", ["look", "stop"])
def test_nothing_is_got_of_a_start(tidy, how):
    got = start_beside(tidy, how, "DENIED")
    assert got.got == []
    assert got.count["denied"] > 0, "the attacker was never quick enough: %s" % got.text


# --- controls ---

@pytest.fixture(scope="module")
def no_hiding(session):
    """Its monitors, and who enters, can be looked into."""
    with weak_server(session, "dumpable") as server:
        yield server


@pytest.fixture
def weak(no_hiding, no_leaks):
    yield no_hiding
    wrong = no_hiding.clear()
    assert not wrong, "\n".join(wrong)


@slow
@pytest.mark.parametrize("how", ["look", "stop"])
def test_control_of_entering(weak, how):
    ctn = begin(arm(weak.make()), "/attack/sampler", how, TELL)
    for _ in until_met(ctn, "GOT attach", 1, 10 * ENTRIES):
        enter(ctn, TELL, "exit", "7", code=7)
    assert {"exe", "look", "attach"} <= end(ctn).kinds()


@slow
def test_control_of_sessions(weak):
    got = run_sessions(arm(weak.make()), "stop", "GOT attach", 1)
    assert {"exe", "look", "attach"} <= got.kinds()


@slow
def test_control_of_starting(weak):
    """Here the attacker gets to the root directory of the host."""
    got = start_beside(weak, "look", "GOT attach")
    assert {"exe", "outside", "attach"} <= got.kinds()
    assert "root is (unreachable)/" in got.text


@slow
def test_control_of_what_stands_still(session, no_leaks):
    with weak_server(session, "descriptors") as server:
        wrong = audit_entries(server.make(), "0")
        assert any(re.match("descriptor .* is /etc$", w) for w in wrong), wrong
