# SPDX-License-Identifier: Apache-2.0
"""How sessions end: by themselves, by their verbs, with their container, without their server or
monitor; and that nothing of them is left."""

import errno
import os
import signal
import threading

import pytest

from basics import limit, slurp, until
from sessions import TREE, blocked, existing, host_pids, names, session, until_gone, wait_code


@pytest.fixture
def s(idle):
    return session(idle, "s")


@pytest.fixture
def tree(idle, s):
    """A session with a tree of processes; what else there is in its container goes on."""
    s.sh(TREE).until_log("ready", seconds=20)
    assert len(host_pids(s)) >= 6 and host_pids(s) < host_pids(idle)
    return s


def only_the_container(idle, tree):
    return host_pids(idle) - host_pids(tree)


def monitor_of(c):
    with open("/proc/%d/stat" % c.pid()) as f:
        return int(f.read().rsplit(")", 1)[1].split()[1])


def go(c):
    """A file that a program inside waits for."""
    with open(c.path("root/tmp/go"), "w"):
        pass


WAIT_FOR_GO = "echo ready; until [ -e /tmp/go ]; do sleep 0.05; done; "


# --- its verbs ---

@pytest.mark.parametrize("verb", ["kill", "stop 0", "stop 1", "kill KILL"])
def test_verbs_end_all_of_it(idle, tree, verb):
    mine, rest = host_pids(tree), only_the_container(idle, tree)
    tree.put("ctl", verb)
    assert tree.state() == "exited" and tree.get("exit") in ("137", "143")
    assert host_pids(tree) == set()
    until_gone(mine)
    until(lambda: host_pids(idle) == rest, "its pid 1 reaps them")
    assert idle.state() == "running"


def test_stop_lets_it_clean_up(idle, s):
    s.sh("trap 'echo bye; exit 4' TERM; echo ready; while :; do sleep 0.05; done").until_log("ready")
    s.put("ctl", "stop 20")
    assert s.get("exit") == "4" and s.lines("log") == ["ready", "bye"]


def test_a_signal_goes_to_its_program(s):
    s.sh("trap 'echo usr1' USR1; echo ready; while :; do sleep 0.05; done").until_log("ready")
    s.put("ctl", "kill USR1").until_log("usr1")
    assert s.state() == "running"


def test_what_its_program_leaves_in_the_background(idle, s):
    """It goes on in the container, and goes with the session, or the container."""
    before = host_pids(idle)

    def left():
        return host_pids(idle) - before

    s.sh("setsid sleep 1000 & sleep 1000 & exit 5")
    assert wait_code(s) == 5
    first = until(lambda: left() if len(left()) == 2 else None, "two go on")
    assert s.start("sleep", "1000").pid() in left()
    s.put("ctl", "kill")  # all of it
    until_gone(first)
    until(lambda: not left(), "its pid 1 reaps them")
    s.sh("setsid sleep 1000 & exit 5")
    assert wait_code(s) == 5
    (pid,) = until(lambda: left() if len(left()) == 1 else None, "one goes on")
    s.remove()
    until_gone({pid})
    t = session(idle, "t").sh("setsid sleep 1000 & exit 6")
    assert wait_code(t) == 6
    idle.put("ctl", "kill")
    assert t.get("exit") == "6"


def test_pause(idle, s):
    s.sh("echo ready; while :; do sleep 0.02; echo tick; done").until_log("tick")
    s.put("ctl", "pause")
    assert s.state() == "paused" and idle.state() == "running"
    assert idle.get("cgroup/freeze") == "0"
    before = s.read("log")
    other = session(idle, "other").start("sleep", "0.2")
    assert wait_code(other) == 0
    assert s.read("log") == before
    s.put("ctl", "resume")
    until(lambda: s.read("log") != before, "it goes on")
    s.put("ctl", "pause").put("ctl", "kill")
    assert (s.state(), s.get("exit")) == ("exited", "137")


def test_verbs_are_idempotent(s):
    s.put("ctl", "stop").put("ctl", "kill")
    s.refused("ctl", "kill HUP", errno.ESRCH)
    s.start("sleep", "1000")
    for verb in ("resume", "pause", "pause", "resume", "stop 0", "stop 0"):
        s.put("ctl", verb)
    assert s.state() == "exited"


def test_restart(s):
    s.sh("echo $$ started; sleep 1000").until_log("started")
    first = s.pid()
    s.put("ctl", "restart 0")
    assert s.state() == "running" and s.pid() != first
    until_gone({first})


# --- rmdir ---

def test_rmdir_ends_all_of_it(idle, tree):
    mine, rest = host_pids(tree), only_the_container(idle, tree)
    tree.remove()
    assert names(idle) == []
    until_gone(mine)
    until(lambda: host_pids(idle) == rest, "its pid 1 reaps them")
    with pytest.raises(FileNotFoundError):
        os.stat(tree.path())
    session(idle, "s").start("true")


def test_rmdir_of_a_paused_one(idle, s):
    s.start("sleep", "1000")
    pid = s.pid()
    s.put("ctl", "pause")
    s.remove()
    until_gone({pid})


def test_waiters_of_a_removed_one_are_answered(s):
    s.start("sleep", "1000")
    w = blocked(["cat", s.path("wait")], "0")
    s.remove()
    out, _ = w.communicate(timeout=limit(10))
    assert out in ("137\n", "")


RMDIR = """import os, signal, sys
signal.signal(signal.SIGINT, lambda *_: None)
try: os.rmdir(sys.argv[1])
except InterruptedError: print("interrupted")"""


def test_a_signal_ends_the_waiting_and_not_the_removal(idle, s):
    s.start("sleep", "1000")
    pid, monitor = s.pid(), monitor_of(s)
    os.kill(monitor, signal.SIGSTOP)  # so nobody says that it has ended
    try:
        w = blocked(["python3", "-c", RMDIR, s.path()], "84")
        until_gone({pid})
        w.send_signal(signal.SIGINT)
        assert w.communicate(timeout=limit(10))[0] == "interrupted\n"
        assert idle.state() == "running" and session(idle, "other").state() == "created"
        assert os.path.isdir(s.path())
    finally:
        os.kill(monitor, signal.SIGCONT)
    until(lambda: names(idle) == ["other"], "it goes")
    assert not os.path.exists(s.path())  # the kernel keeps nothing of it
    session(idle, "s")


def test_rmdir_in_shells(idle):
    for shell in ("bash", "dash"):
        r = idle.server.sh("""set -e; cd %s/execs; mkdir a b; echo 'sleep 1000' > a/cmd
            echo 'sleep 1000' > b/cmd; ls; rmdir a; ls; rmdir b; ls""" % idle.name, shell=shell)
        assert r.stdout == "a\nb\nb\n"


# --- with its container ---

@pytest.mark.parametrize("verb", ["kill", "stop", "stop 0"])
def test_it_ends_with_its_container(idle, tree, verb):
    mine = host_pids(tree)
    waiter = blocked(["cat", tree.path("wait")], "0")
    idle.put("ctl", verb)
    assert waiter.communicate(timeout=limit(20))[0] == "137\n"
    until_gone(mine)
    assert tree.until_state("exited") and tree.get("exit") == "137"
    assert idle.get("pid") == ""
    idle.remove()


def test_it_ends_when_its_container_does(tidy):
    c = tidy.make().sh(WAIT_FOR_GO + "exit 3").until_log("ready")
    s = session(c, "s").start("sleep", "1000")
    go(c)
    assert c.finish() == 3
    assert wait_code(s) == 137
    c.start("sleep", "1000")  # and again, with the same session
    assert s.state() == "exited"
    s.start("true")
    assert wait_code(s) == 0


def test_a_paused_container_holds_it(idle, s):
    s.sh("echo ready; while :; do sleep 0.02; echo tick; done").until_log("tick")
    idle.put("ctl", "pause")
    before = s.read("log")
    assert idle.get("cgroup/freeze") == "1"
    for verb in ("kill", "stop", "restart"):
        s.refused("ctl", verb, errno.EBUSY, "paused.*resume")
    with pytest.raises(OSError) as e:
        s.remove()
    assert e.value.errno == errno.EBUSY
    assert idle.last_error().where == "execs/s" and "resume" in idle.last_error().text
    assert s.read("log") == before
    idle.put("ctl", "resume")
    until(lambda: s.read("log") != before, "it goes on")


def test_a_paused_session_in_a_container_that_is_killed(idle, s):
    s.start("sleep", "1000")
    pid = s.pid()
    s.put("ctl", "pause")
    idle.put("ctl", "kill")
    until_gone({pid})
    s.until_state("exited")


def test_restart_of_its_container(idle, s):
    s.start("sleep", "1000")
    idle.put("ctl", "restart 0").until_state("running")
    assert wait_code(s) == 137
    s.start("echo", "again")
    assert wait_code(s) == 0


def test_removed_with_its_container(ctn):
    ctn.start("sleep", "1000")
    made = [session(ctn, "s%d" % i) for i in range(3)]
    made[0].sh("exit 1").finish()
    made[1].start("sleep", "1000")
    with pytest.raises(OSError) as e:
        ctn.remove()
    assert e.value.errno == errno.EBUSY
    assert made[1].state() == "running"
    ctn.put("ctl", "kill")
    fd = os.open(made[0].path("exit"), os.O_RDONLY)
    try:
        ctn.remove()
        with pytest.raises(OSError):
            slurp(made[0].path("exit"))
    finally:
        os.close(fd)
    assert ctn.name not in ctn.server.containers()


def test_a_renamed_container(idle, s):
    s.sh("echo ready; sleep 1000").until_log("ready")
    os.rename(idle.path(), idle.server.path("renamed"))
    idle.name = "renamed"
    s = existing(idle, "s")
    assert s.state() == "running" and s.lines("log") == ["ready"]
    assert s.write("cmd", "echo\n") == errno.EBUSY
    assert idle.server.last_error().where == "renamed/execs/s"
    s.put("ctl", "kill")


# --- without its server, or its monitor ---

def test_a_killed_server(server):
    c = server.make().start("sleep", "1000")
    done = session(c, "done")
    done.sh("echo over; exit 6").finish()
    fresh = session(c, "fresh").put("user", "daemon")
    running = session(c, "running").sh(WAIT_FOR_GO + "exit 5").until_log("ready")
    away = session(c, "away").sh(WAIT_FOR_GO.replace("/go", "/early") + "exit 4").until_log("ready")
    pid, other = running.pid(), away.pid()
    server.kill9()
    with open("/proc/%d/root/tmp/early" % pid, "w"):
        pass
    until_gone({other})
    server.start()
    assert names(c) == ["away", "done", "fresh", "running"]
    assert (done.state(), done.get("exit"), done.lines("log")) == ("exited", "6", ["over"])
    assert (fresh.state(), fresh.get("user")) == ("created", "daemon")
    assert (running.state(), running.pid()) == ("running", pid)
    assert (away.until_state("exited"), away.get("exit")) == (True, "4")
    go(c)
    assert wait_code(running) == 5
    fresh.put("user", "root").start("true")
    assert wait_code(fresh) == 0
    running.start("sleep", "1000")
    c.put("ctl", "kill")
    assert wait_code(running) == 137


def test_a_server_that_ends(server):
    c = server.make().start("sleep", "1000")
    s = session(c, "s").sh(WAIT_FOR_GO + "exit 5").until_log("ready")
    assert server.terminate() == []
    server.start()
    assert s.state() == "running"
    go(c)
    assert wait_code(s) == 5
    s.start("sleep", "1000")


def test_a_container_that_ended_without_its_server(server):
    c = server.make().start("sleep", "1000")
    s = session(c, "s").start("sleep", "1000")
    pid, first = s.pid(), c.pid()
    server.kill9()
    os.kill(first, signal.SIGKILL)
    until_gone({pid, first})
    server.start()
    assert c.until_state("exited") and s.until_state("exited")
    assert (c.get("exit"), s.get("exit")) == ("137", "137")
    s.remove()


def test_a_killed_monitor(idle, s):
    s.sh("echo ready; sleep 1000").until_log("ready")
    pid, monitor = s.pid(), monitor_of(s)
    assert monitor != monitor_of(idle)
    os.kill(monitor, signal.SIGKILL)
    until_gone({monitor})
    if s.state() == "running":  # it goes on, and nobody will see its exit status
        assert s.pid() == pid
        s.put("ctl", "kill")
    until_gone({pid})
    assert s.until_state("exited") and s.get("exit") in ("255", "137")
    assert idle.state() == "running"
    s.start("true")
    assert wait_code(s) == 0


def test_a_killed_monitor_of_the_container(idle, s):
    s.sh("echo ready; sleep 1000").until_log("ready")
    monitor = monitor_of(idle)
    os.kill(monitor, signal.SIGKILL)
    until_gone({monitor})
    assert s.state() == "running"
    idle.put("ctl", "kill")
    assert s.until_state("exited")


# --- many ---

@pytest.mark.slow_ok(120)
def test_a_hundred_one_after_the_other(idle):
    threads = len(os.listdir("/proc/%d/task" % idle.server.proc.pid))
    fds = len(os.listdir("/proc/%d/fd" % idle.server.proc.pid))
    for i in range(100):
        s = session(idle, "s")
        s.start("sh", "-c", "exit %d" % (i % 100))
        assert wait_code(s) == i % 100
        s.remove()
    assert names(idle) == []
    until(lambda: len(os.listdir("/proc/%d/fd" % idle.server.proc.pid)) <= fds + 16, "descriptors go")
    assert len(os.listdir("/proc/%d/task" % idle.server.proc.pid)) <= threads + 16


def test_twenty_at_once(idle):
    codes = {}

    def run(i):
        s = session(idle, "s%d" % i)
        s.start("sh", "-c", "sleep 0.2; exit %d" % i)
        codes[i] = wait_code(s)
        s.remove()

    threads = [threading.Thread(target=run, args=(i,), daemon=True) for i in range(20)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(limit(40))
    assert codes == {i: i for i in range(20)}
    assert names(idle) == []
    until(lambda: len(host_pids(idle)) == 2, "its pid 1 reaps them")
