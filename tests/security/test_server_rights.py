# SPDX-License-Identifier: Apache-2.0
"""What the server itself may do: it has given up all that it does not need, and what makes monitors has
nothing that it could be reached by."""

import os
import signal

import pytest

from basics import SANITIZERS, limit, put, slurp, until

KEPT = {"chown": 0, "dac_override": 1, "fowner": 3, "fsetid": 4, "kill": 5, "net_admin": 12, "sys_chroot": 18, "sys_ptrace": 19,
        "sys_admin": 21, "sys_nice": 23, "sys_resource": 24, "syslog": 34}
FILTERED = not SANITIZERS & {"address", "thread"}
LOST = r"the process from which monitors come \(ctnfs-nursery\) was killed"


def fields(pid):
    return dict(l.split(":\t", 1) for l in slurp("/proc/%s/status" % pid).splitlines())


def threads(pid):
    return {t: fields("%d/task/%s" % (pid, t)) for t in os.listdir("/proc/%d/task" % pid)}


def children(pid):
    return [int(c) for t in os.listdir("/proc/%d/task" % pid)
            for c in slurp("/proc/%d/task/%s/children" % (pid, t)).split()]


def nursery(server):
    return [c for c in children(server.proc.pid) if slurp("/proc/%d/comm" % c) == "ctnfs-nursery\n"]


def targets(pid):
    found = {}
    for fd in os.listdir("/proc/%d/fd" % pid):
        found[int(fd)] = os.readlink("/proc/%d/fd/%s" % (pid, fd))
    return found


def test_every_thread_has_given_up_what_it_does_not_need(server):
    c = server.make()
    c.sh("echo up; exec sleep 1000")  # all kinds of threads are there now
    c.until_log("up")
    ours, own = fields("self"), threads(server.proc.pid)
    mask = sum(1 << n for n in KEPT.values()) & int(ours["CapPrm"], 16)
    assert len(own) > 3
    for status in own.values():
        assert int(status["CapPrm"], 16) == int(status["CapEff"], 16) == mask
        assert int(status["CapInh"], 16) == int(status["CapAmb"], 16) == 0
        assert status["CapBnd"] == ours["CapBnd"], "what `caps` can give"
        assert status["NoNewPrivs"] == "1"
        if FILTERED:
            assert status["Seccomp"] == "2"
    # What it starts has all rights, and is not filtered; nor is a container, but by its own.
    monitor, = [p for p in children(server.proc.pid) if p not in nursery(server)]
    for pid in (monitor, *nursery(server)):
        status = fields(pid)
        assert status["CapEff"] == ours["CapEff"] and status["Seccomp"] == ours["Seccomp"]
        assert status["NoNewPrivs"] == "0"
    c.put("ctl", "kill")


def test_a_container_can_have_what_the_server_has_given_up(server):
    c = server.make()
    for name, text in (("caps", "all"), ("seccomp", "none"), ("no_new_privs", "0")):
        assert put(c.path(name), text + "\n") == 0
    status = dict(l.split(":\t", 1) for l in c.output("cat /proc/self/status").splitlines())
    assert status["CapEff"] == fields("self")["CapEff"]
    assert status["Seccomp"] == fields("self")["Seccomp"] and status["NoNewPrivs"] == "0"


def test_without_the_filter(new_server):
    server = new_server("filter=off")
    assert {s["Seccomp"] for s in threads(server.proc.pid).values()} == {fields("self")["Seccomp"]}
    assert server.make().output("echo well") == "well\n"


def test_what_makes_monitors_can_reach_nothing(server):
    c = server.make()
    c.sh("exec sleep 1000")
    own, = nursery(server)
    found = targets(own)
    assert sorted(found) == [0, 1, 2, 3] and {found[fd] for fd in (0, 1, 2)} == {"/dev/null"}
    assert found[3].startswith("socket:"), "the server's"
    monitor, = [p for p in children(server.proc.pid) if p != own]
    assert found[3] not in targets(monitor).values()
    for pid in (own, monitor):
        assert os.readlink("/proc/%d/exe" % pid).startswith("/memfd:ctnfs-monitor")
        assert os.stat("/proc/%d/exe" % pid).st_mode & 0o777 == 0o500
        assert os.getsid(pid) == pid
    c.put("ctl", "kill")


@pytest.mark.stderr(LOST)
def test_when_it_is_killed_the_server_makes_room_for_another(server):
    c = server.make()
    c.sh("echo up; exec sleep 1000")
    c.until_log("up")
    pid, gone = c.get("pid"), nursery(server)[0]
    os.kill(gone, signal.SIGKILL)
    assert server.proc.wait(limit(20)) == 1
    assert not os.path.ismount(server.mnt)
    os.kill(int(pid), 0)
    server.start()
    assert c.get("state") == "running" and c.get("pid") == pid
    assert nursery(server) != [gone] and server.make().output("echo well") == "well\n"


def test_it_ends_with_its_server(server):
    own, = nursery(server)
    c = server.make()
    c.sh("exec sleep 1000")
    os.kill(own, signal.SIGSTOP)
    server.kill9()
    os.kill(own, signal.SIGCONT)
    until(lambda: not os.path.exists("/proc/%d" % own), "it is gone")
    server.start()
    own, = nursery(server)
    os.kill(own, signal.SIGSTOP)  # it does not hear that the server ends
    assert not server.terminate()
    until(lambda: not os.path.exists("/proc/%d" % own), "it is gone")
    server.start()
    assert c.get("state") == "running"
