# SPDX-License-Identifier: Apache-2.0
"""What exec passes on, and how it ends: signals, the caller's end, the container's, the server's."""

import os
import re
import signal
import subprocess

import pytest

from basics import limit, slurp, until
from execs import WAITER, begin, end, out, processes, program, run, same_rights


@pytest.mark.parametrize("sig,code,says", [(signal.SIGTERM, 3, "TERM\n"), (signal.SIGHUP, 4, "HUP\n")])
def test_signals_go_on(idle, sig, code, says):
    p = begin(idle, *WAITER)
    p.send_signal(signal.SIGUSR1)
    assert p.stdout.readline() == "USR1\n"
    p.send_signal(sig)
    assert end(p, code) == says


def test_a_signal_that_it_does_not_catch(idle):
    p = begin(idle, "sh", "-c", "echo ready; exec sleep 1000")
    p.send_signal(signal.SIGTERM)
    end(p, 143)


def test_ignored_signals_stay_ignored(idle):
    p = begin(idle, "sh", "-c", "echo ready; read x; echo here",
              preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    p.send_signal(signal.SIGHUP)
    p.stdin.write("\n")
    p.stdin.flush()
    assert end(p, 0) == "here\n"


def test_the_caller_is_killed(idle):
    """Its program goes with it, and whatever else is in its process group is the caller's business."""
    before = len(processes(idle))
    p = begin(idle, "sh", "-c", "echo ready; exec sleep 1000")
    until(lambda: len(processes(idle)) == before + 1, "nothing but the program itself")
    p.kill()
    end(p, -9)
    until(lambda: len(processes(idle)) == before, "it is gone")


def test_timeout(idle):
    r = subprocess.run(["timeout", "-s", "KILL", "0.5", idle.path("exec"), "sh", "-c", "sleep 4321 & wait"])
    assert r.returncode == -9
    until(lambda: not any("sleep 4321" in l for l in processes(idle)), "it is gone")


def test_stopped_by_somebody_inside(idle):
    """A stop without a terminal is no concern of the caller's."""
    p = begin(idle, "sh", "-c", "echo ready; kill -STOP $$; echo on; exit 5")
    pid = program(idle, "kill -STOP")
    until(lambda: "\nState:\tT" in slurp("/proc/%d/status" % pid), "it is stopped")
    until(lambda: slurp("/proc/%d/status" % p.pid).split("State:\t")[1][0] == "S", "its caller waits")
    out(idle, "sh", "-c", "kill -CONT $(pgrep -f 'kill -STOP' | head -1)")
    assert end(p, 5) == "on\n"


@pytest.mark.parametrize("verb", ["kill", "stop 0", "restart 0"])
def test_the_container_ends(idle, verb):
    p = begin(idle, *WAITER)
    idle.put("ctl", verb)
    end(p, 137)


def test_the_container_ends_while_the_caller_stands_still(idle):
    p = begin(idle, *WAITER)
    p.send_signal(signal.SIGSTOP)
    idle.put("ctl", "kill")
    assert idle.state() == "exited"
    p.send_signal(signal.SIGCONT)
    end(p, 137)


def test_the_end_of_its_output(idle):
    """Who reads the pipe sees it when the program closes it, not when it ends."""
    p = begin(idle, "sh", "-c", "echo ready; exec >&- 2>&-; read x; exit 4")
    assert p.stdout.read() == "" and p.stderr.read() == ""
    assert p.poll() is None
    p.stdin.write("\n")
    p.stdin.close()
    assert p.wait(limit(20)) == 4


def test_the_container_ends_with_a_shared_pid_namespace(ctn):
    ctn.put("ns.list", "pid host")
    ctn.start("sleep", "100000")
    p = begin(ctn, *WAITER)
    ctn.put("ctl", "kill")
    end(p, 137)


def test_removed_under_it(tidy):
    c = tidy.make()
    c.start("sleep", "100000")
    p = begin(c, *WAITER)
    c.put("ctl", "kill")
    c.remove()
    end(p, 137)


def test_paused_under_it(idle):
    p = begin(idle, *WAITER)
    idle.put("ctl", "pause")
    p.send_signal(signal.SIGUSR1)
    with pytest.raises(subprocess.TimeoutExpired):
        p.wait(0.3)
    idle.put("ctl", "resume")
    assert p.stdout.readline() == "USR1\n"
    p.send_signal(signal.SIGTERM)
    end(p, 3)


def test_what_it_leaves_behind_stays(idle):
    """As with a shell: a daemon that it starts goes on, and is the container's."""
    before = len(processes(idle))
    out(idle, "sh", "-c", "setsid sleep 1000 > /dev/null 2>&1 < /dev/null &")
    assert len(until(lambda: len(processes(idle)) > before and processes(idle), "in ps")) == before + 1


def test_the_server_is_killed(server):
    c = server.make()
    c.start("sleep", "100000")
    p = begin(c, *WAITER)
    server.kill9()
    p.send_signal(signal.SIGUSR1)
    assert p.stdout.readline() == "USR1\n"
    server.start()
    run(c, "true", check=0)
    p.send_signal(signal.SIGTERM)
    end(p, 3)


def test_the_monitor_is_killed(ctn):
    """Its successor knows what a program that enters needs."""
    ctn.put("caps", "-cap_chown").put("user", "daemon")
    ctn.start("sleep", "100000")
    monitor = int(re.search(r"PPid:\t(\d+)", slurp("/proc/%d/status" % ctn.pid()))[1])
    os.kill(monitor, signal.SIGKILL)
    until(lambda: run(ctn, "true").returncode == 0, "it can be entered again")
    same_rights(ctn)


def test_two_mounts_do_not_mix(tidy):
    a, b = tidy.make(), tidy.make()
    for c in (a, b):
        c.start("sleep", "100000")
    assert out(a, "hostname").strip() == a.name and out(b, "hostname").strip() == b.name


def test_renamed(tidy, idle):
    p = begin(idle, *WAITER)
    os.rename(idle.path(), os.path.join(tidy.mnt, "renamed"))
    assert subprocess.call([os.path.join(tidy.mnt, "renamed", "exec"), "true"]) == 0
    os.rename(os.path.join(tidy.mnt, "renamed"), idle.path())
    p.send_signal(signal.SIGTERM)
    end(p, 3)
