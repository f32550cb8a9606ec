# SPDX-License-Identifier: Apache-2.0
"""The server goes, the containers stay; a server comes and finds them."""

import errno
import os
import re
import signal
import subprocess
import time

import pytest

from basics import limit, slurp, until
from harness import mounts_at

TICK = "i=0; while :; do echo tick $i; i=$((i+1)); sleep 0.02; done"


def monitor_of(c):
    return int(re.search(r"PPid:\t(\d+)", slurp("/proc/%d/status" % c.pid()))[1])


def gone(pid):
    try:
        return slurp("/proc/%d/stat" % pid).rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


@pytest.fixture(params=["SIGKILL", "SIGTERM"])
def leave(request):
    """How the server ends."""
    if request.param == "SIGKILL":
        return lambda s: s.kill9()

    def terminate(s):
        assert s.terminate() == []
    return terminate


def test_a_running_container_goes_on(server, leave):
    c = server.make("a").put("memory.limit", "64M").sh(TICK).until_log("tick 3\n")
    names = ("id", "pid", "cmd", "env", "memory.limit", "caps", "ns.list", "cgroup/procs")
    before = {n: c.read(n) for n in names}
    started = c.status("Started")
    pid = c.pid()
    leave(server)
    assert not gone(pid)
    time.sleep(0.2)
    server.start()
    assert server.containers() == ["a"] and c.state() == "running"
    assert {n: c.read(n) for n in names if n != "cgroup/procs"} == \
        {n: v for n, v in before.items() if n != "cgroup/procs"}
    assert c.status("Started") == started
    ticks = [int(l.split()[1]) for l in c.read("log").splitlines()]
    assert ticks == list(range(len(ticks))) and len(ticks) > 8
    c.until_log("tick %d\n" % (len(ticks) + 3))
    assert pid == c.pid()


def test_a_later_exit_code_is_right(server, leave):
    c = server.make().sh("trap 'echo bye; exit 9' TERM; echo ready; while :; do sleep 1000 & wait; done")
    c.until_log("ready")
    leave(server)
    server.start()
    c.put("ctl", "stop 20")
    assert c.get("exit") == "9" and c.read("log") == "ready\nbye\n"
    assert slurp(c.path("wait")) == "9\n"


def test_an_exit_while_the_server_is_away(server, leave):
    c = server.make().sh("echo ready; while ! test -e /root/go; do sleep 0.02; done; echo end; exit 9")
    c.until_log("ready")
    pid, monitor = c.pid(), monitor_of(c)
    leave(server)
    with open("/proc/%d/root/root/go" % pid, "w"):
        pass
    until(lambda: gone(pid), "the program ends")
    server.start()
    until(lambda: c.state() == "exited", "it is known to have ended")
    assert c.get("exit") == "9" and c.read("log") == "ready\nend\n"
    until(lambda: gone(monitor), "the monitor goes")
    c.put("ctl", "start")
    assert c.finish() == 9


def test_configuration_survives(server, leave):
    c = server.make("conf")
    c.put("start", "0").put("cmd", "sh -c 'echo $LEVEL; exit 3'").put("env", "LEVEL=high\nB=x\\ny")
    c.put("caps", "cap_kill\ncap_chown").put("user", "nobody").put("cwd", "/tmp").put("init", "1")
    c.put("ns/net", "host").put("memory.limit", "64M").put("cgroup/pids.max", "44")
    c.put("hostname", "other").put("log.max", "1M").put("seccomp", "none").put("no_new_privs", "0")
    names = ("cmd", "start", "env", "caps", "user", "cwd", "init", "ns/net", "memory.limit", "ns.list",
             "cgroup/pids.max", "hostname", "log.max", "seccomp", "no_new_privs", "id", "state")
    before = {n: c.read(n) for n in names}
    leave(server)
    server.start()
    assert {n: c.read(n) for n in names} == before
    c.put("ctl", "start")
    assert c.finish() == 3 and c.read("log") == "high\n"


def test_exited_containers_and_layers_survive(server, leave):
    c = server.make().sh("echo out; echo kept > /root/kept; exit 7")
    assert c.finish() == 7
    leave(server)
    server.start()
    assert c.state() == "exited" and c.get("exit") == "7" and c.read("log") == "out\n"
    assert c.output("cat /root/kept") == "kept\n"


def test_paused_containers_stay_paused(server, leave):
    c = server.make().sh("sleep 1000").put("ctl", "pause")
    leave(server)
    server.start()
    assert c.state() == "paused"
    c.put("ctl", "resume").put("ctl", "kill")


def test_pending_and_names_survive(server, leave):
    c = server.make("a").sh("sleep 1000").put("cwd", "/tmp")
    server.sh("mv a b")
    c.name = "b"
    leave(server)
    server.start()
    assert server.containers() == ["b"]
    assert c.get("pending") == "cwd /tmp" and c.get("cwd") == "/"


def test_a_dead_mount_is_replaced(server):
    server.make("a").sh("sleep 1000")
    server.kill9()
    with pytest.raises(OSError) as e:
        os.listdir(server.path("a"))
    assert e.value.errno == errno.ENOTCONN
    server.start()
    assert len(mounts_at(server.mnt)) == 1 and server.containers() == ["a"]


def test_a_reader_is_let_go_when_the_server_is_killed(server):

    c = server.make().sh("sleep 1000")
    w = subprocess.Popen(["cat", c.path("wait")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(0.1)
    server.kill9()
    assert w.wait(limit(3)) != 0
    server.start()
    assert c.state() == "running"


def test_again_and_again(server):
    made = [server.make().sh("sleep 1000") for _ in range(4)]
    pids = [c.pid() for c in made]
    for i in range(5):
        server.kill9()
        server.start()
        assert [c.pid() for c in made] == pids
        made[i % 4].put("env", "ROUND=%d" % i, append=True)
    for c in made:
        c.put("ctl", "kill")
        assert c.get("exit") == "137"


def test_stop_that_was_under_way(server):
    """The container is as it was told, or still runs and can be told again."""

    c = server.make().py("import signal, time; signal.signal(15, lambda *a: None)\n"
                         "print('ready', flush=True)\nwhile True: time.sleep(9)").until_log("ready")
    w = subprocess.Popen(["sh", "-c", "echo stop 60 > ctl"], cwd=c.path(), stderr=subprocess.DEVNULL)
    c.until_state("stopping")
    server.kill9()
    assert w.wait(limit(3)) != 0
    server.start()
    assert c.state() in ("running", "stopping", "exited")
    c.put("ctl", "kill")
    assert c.get("exit") == "137"


def test_a_killed_monitor(server):
    """The container goes on; who was its parent is gone, so its exit code is unknown, and says so."""
    c = server.make().sh("echo ready; while ! test -e /root/go; do sleep 0.02; done; exit 3").until_log("ready")
    pid = c.pid()
    os.kill(monitor_of(c), signal.SIGKILL)
    time.sleep(0.1)
    assert c.state() == "running" and not gone(pid)
    with open(c.path("root/root/go"), "w"):
        pass
    assert c.finish() == 255
    assert re.search("unknown|monitor", c.read("error") + c.status("Exit"))
    assert c.output("echo fine").endswith("fine\n")


def test_all_are_killed_at_once(server):
    c = server.make().sh("sleep 1000")
    pid, monitor = c.pid(), monitor_of(c)
    server.kill9()
    os.kill(monitor, signal.SIGKILL)
    os.kill(pid, signal.SIGKILL)
    until(lambda: gone(pid), "it is gone")
    server.start()
    assert c.state() == "exited" and c.get("exit") == "255"
    assert c.get("cgroup/procs") == ""
    assert c.output("echo fine").endswith("fine\n")


def test_odd_things_in_the_state_directory(server):
    """What is not ours is left alone; what is broken is told and does not stop the others."""
    good = server.make("good")
    bad = server.make("bad")
    where = os.path.join(server.state, bad.get("id"))
    assert server.terminate() == []
    spec = [n for n in os.listdir(where) if os.path.isfile(os.path.join(where, n))]
    saved = {n: slurp(os.path.join(where, n)) for n in spec}
    for n in spec:
        with open(os.path.join(where, n), "w") as f:
            f.write("{ broken")
    with open(server.state + "/foreign", "w") as f:
        f.write("x")
    os.mkdir(server.state + "/directory")
    server.expected.append(".")
    server.start()
    assert good.state() == "created" and good.output("echo fine") == "fine\n"
    assert os.path.exists(server.state + "/foreign") and os.path.isdir(server.state + "/directory")
    assert server.terminate() == []
    os.unlink(server.state + "/foreign")
    os.rmdir(server.state + "/directory")
    found = [os.path.join(p, os.path.basename(where)) for p, d, _ in os.walk(server.state)
             if os.path.basename(where) in d]
    for n in spec:
        for path in found or []:
            with open(os.path.join(path, n), "w") as f:
                f.write(saved[n])
    server.start()
    assert "good" in server.containers()
