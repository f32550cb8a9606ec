# SPDX-License-Identifier: Apache-2.0
"""`restart` across the ends of servers and machines."""

import contextlib
import os
import shutil
import signal
import time

import pytest

from basics import put, until
from test_restart import gone, monitor_of
from test_restart_policy import (COUNT, DELAYED, IDLE, in_delay, is_whole, restarts, result, runs, story, until_runs,
                                 waiter)

POLICIES = ("no", "on-failure", "always", "unless-stopped")


def quiet(c, n):
    """It is at rest and stays there."""
    time.sleep(0.4)
    return c.state() in ("exited", "created") and runs(c) == n


def crash(server):
    """The server, the monitors and the containers end at once, as on a machine that crashes."""
    server.kill9()
    left = list(server.leftovers())
    for pid in left:
        with contextlib.suppress(ProcessLookupError):  # it ended with another
            os.kill(pid, signal.SIGKILL)
    until(lambda: all(map(gone, left)), "all are gone")


def reboot(server):
    crash(server)
    shutil.rmtree(server.run)
    server.start()


def boot_again(server):
    """The same, but what was in the run directory is still there, of another boot."""
    crash(server)
    for top, _, files in os.walk(server.run):
        if "status" in files:
            path = os.path.join(top, "status")
            with open(path, "r+b") as f:
                data = f.read()
                with open("/proc/sys/kernel/random/boot_id", "rb") as b:
                    mine = b.read().strip()
                assert mine in data
                f.seek(0)
                f.write(data.replace(mine, b"0" * len(mine)))
    server.start()


@pytest.fixture(params=["SIGKILL", "SIGTERM"])
def leave(request):
    def terminate(s):
        assert s.terminate() == []
    return terminate if request.param == "SIGTERM" else lambda s: s.kill9()


# --- the server ---

class Three:
    """Of one policy: one that fails, one that succeeds, one that was stopped by its user."""

    def __init__(self, server, policy):
        self.policy = policy
        self.fails, self.done, self.stopped = (
            server.make("%s.%s" % (policy, n)).put("restart", policy) for n in ("fails", "done", "stopped"))
        self.fails.sh(COUNT + "sleep 1000 & wait")
        self.done.sh(COUNT + "trap 'exit 0' USR1; while :; do sleep 1000 & wait; done")
        self.stopped.sh(COUNT + IDLE)
        for c in (self.fails, self.done, self.stopped):
            until_runs(c, 1)
        self.stopped.put("ctl", "stop")
        until(lambda: int(self.done.proc_status("SigCgt"), 16) & 1 << 9, "it has set its trap")
        self.pids = [self.fails.pid(), self.done.pid()]

    def end(self):
        os.kill(self.pids[0], signal.SIGKILL)
        os.kill(self.pids[1], signal.SIGUSR1)
        until(lambda: all(map(gone, self.pids)), "they have ended")

    def check(self):
        if self.policy == "no":
            assert quiet(self.fails, 1) and self.fails.get("exit") == "137"
        else:
            until_runs(self.fails, 2)
            until(lambda: self.fails.state() == "running" and restarts(self.fails) == 1, "it runs again")
        if self.policy in ("no", "on-failure"):
            assert quiet(self.done, 1) and self.done.get("exit") == "0"
        else:
            until_runs(self.done, 2)
        assert quiet(self.stopped, 1)


def test_an_end_while_the_server_is_away(server):
    """A stop is final with every policy."""
    threes = [Three(server, p) for p in POLICIES]
    server.kill9()
    for t in threes:
        t.end()
    server.start()
    for t in threes:
        t.check()
    server.kill9()
    server.start()
    assert all(quiet(t.stopped, 1) for t in threes)


def test_in_the_delay(server, leave):
    """The delay begins once more, what was counted is counted on."""
    c = in_delay(server.make("a"), policy="on-failure:%d" % (DELAYED + 1))
    n = runs(c)
    leave(server)
    time.sleep(0.1)
    server.start()
    assert c.state() in ("restarting", "running") and restarts(c) >= n - 1
    w = waiter(c)
    assert result(w) == "4\n"
    assert runs(c) == DELAYED + 2 and restarts(c) == DELAYED + 1 and c.state() == "exited"
    server.kill9()
    server.start()
    assert quiet(c, DELAYED + 2)


def test_stopped_in_the_delay(server):
    c = in_delay(server.make("a")).put("ctl", "stop")
    n = runs(c)
    server.kill9()
    server.start()
    assert quiet(c, n) and c.get("exit") == "4"


def test_it_comes_to_rest(server):
    """What has ended for good is not started by the next server, nor by a policy that comes later."""
    c = server.make("a").put("restart", "on-failure").sh(COUNT + "exit 0")
    assert c.finish() == 0
    c.put("restart", "always")
    plain = server.make("b").sh(COUNT + "exit 1")
    assert plain.finish() == 1
    plain.put("restart", "always")
    never = server.make("c").put("restart", "always").put("start", "0").put("cmd", "true")
    server.kill9()
    server.start()
    assert quiet(c, 1) and quiet(plain, 1) and never.state() == "created"


def test_a_policy_that_came_while_it_ran(server):
    c = server.make("a").sh(COUNT + IDLE)
    until_runs(c, 1)
    c.put("restart", "always")
    pid = c.pid()
    server.kill9()
    os.kill(pid, signal.SIGKILL)
    until(lambda: gone(pid), "it is gone")
    server.start()
    until_runs(c, 2)
    c.until_state("running")


def test_a_policy_that_comes_after_the_server(server):
    """It was started without one, and is adopted; then it gets one."""
    c = server.make("a").sh(COUNT + IDLE)
    until_runs(c, 1)
    server.kill9()
    server.start()
    c.put("restart", "always")
    os.kill(c.pid(), signal.SIGKILL)
    until_runs(c, 2)


def test_a_stop_that_was_under_way(server):
    """The server is killed when the program has been told, and takes its time: that it was stopped
    is known to the next."""
    c = server.make("a").put("restart", "always")
    c.py("import signal, time\nopen('/root/runs', 'a').write('run\\n')\n"
         "signal.signal(15, lambda *a: open('/root/told', 'w'))\n"
         "while True: time.sleep(0.02)\n")
    until_runs(c, 1)
    until(lambda: int(c.proc_status("SigCgt"), 16) & 1 << 14, "it has set its handler")
    pid = os.fork()
    if pid == 0:
        put(c.path("ctl"), "stop 60\n")
        os._exit(0)
    until(lambda: os.path.exists(c.path("layer/root/told")), "it was told")
    server.kill9()
    os.waitpid(pid, 0)
    server.start()
    os.kill(c.pid(), signal.SIGKILL)
    until(lambda: c.state() == "exited", "it has ended")
    assert quiet(c, 1)
    c.put("ctl", "start")
    until_runs(c, 2)
    os.kill(c.pid(), signal.SIGKILL)
    until_runs(c, 3)


def test_a_monitor_that_was_killed_with_its_container(server):
    """Nobody has seen the exit code: that is a failure."""
    c = server.make("a").put("restart", "on-failure").sh(COUNT + IDLE)
    until_runs(c, 1)
    monitor, pid = monitor_of(c), c.pid()
    os.kill(monitor, signal.SIGSTOP)
    os.kill(pid, signal.SIGKILL)
    os.kill(monitor, signal.SIGKILL)
    until_runs(c, 2)
    c.until_state("running")


def test_killed_again_and_again(server):
    """At whatever moment the server is killed: it goes on, and no more than one of it runs."""
    c = server.make("a").put("restart", "always").sh(COUNT + "sleep 0.05; exit 1")
    last = 0
    for i in range(8):
        time.sleep(0.03 * (i + 1))
        server.kill9()
        server.start()
        assert c.state() in ("restarting", "running"), c.read("error")
        assert c.read("cgroup/procs").count("\n") <= 2
        if i % 3 == 2:
            c.put("ctl", "start")  # and so the delay is short again
        last = max(last, runs(c))
    until_runs(c, last + 1)
    c.put("ctl", "stop")
    n = runs(c)
    told = story(c)
    assert is_whole(told) and len(told) % 2 == 0 and n <= len(told) // 2 <= n + 8, c.read("events")
    server.kill9()
    server.start()
    assert quiet(c, n)


def test_many_at_the_start_of_a_server(server):
    """They come up in the order of their making, and the server does not wait for them."""
    made = [server.make("n%02d" % i).put("restart", "always") for i in range(19, -1, -1)]
    for c in made:
        c.sh(COUNT + IDLE)
    for c in made:
        until_runs(c, 1)
    reboot(server)
    for c in made:
        until_runs(c, 2, 60)
    # The server begins with the eldest; how fast each gets on is its own.
    order = sorted(range(20), key=lambda i: made[i].status("Started"))
    assert sum(order[:7]) < sum(order[-7:]), order
    until(lambda: all(c.state() == "running" and restarts(c) == 1 for c in made), "all of them run")


# --- the machine ---

@pytest.mark.parametrize("again", [reboot, boot_again])
def test_a_reboot(server, again):
    made = {p: server.make(p).put("restart", p).sh(COUNT + IDLE) for p in POLICIES}
    stopped = {p: server.make(p + ".stopped").put("restart", p).sh(COUNT + IDLE) for p in POLICIES}
    ended = server.make("ended").put("restart", "on-failure").sh(COUNT + "exit 0")
    for c in list(made.values()) + list(stopped.values()) + [ended]:
        until_runs(c, 1)
    for c in stopped.values():
        c.put("ctl", "stop")
    ended.finish()
    again(server)
    for p in POLICIES[1:]:
        until_runs(made[p], 2)
        until(lambda: made[p].state() == "running", "it runs again")
        assert restarts(made[p]) == 1
    assert quiet(made["no"], 1) and made["no"].get("exit") == "255" and made["no"].status("ExitSeen") == "0"
    assert all(quiet(c, 1) for c in stopped.values()) and quiet(ended, 1)


def test_a_reboot_of_those_that_share(server):
    """Whichever is first; and whose owner was stopped waits for that."""
    db = server.make("db").put("restart", "always").sh(COUNT + IDLE)
    made = [server.make(n).put("ns/net", "container:db").put("restart", "on-failure:1") for n in "az"]
    lone = server.make("lone").sh(COUNT + IDLE)
    sad = server.make("sad").put("ns/net", "container:lone").put("restart", "always").sh(COUNT + IDLE)
    for c in made:
        c.sh(COUNT + IDLE)
    for c in made + [db, lone, sad]:
        until_runs(c, 1)
    reboot(server)
    for c in made:
        until_runs(c, 2, 40)
    until(lambda: all(c.state() == "running" for c in made + [db]), "they run")
    nets = {os.readlink("/proc/%d/ns/net" % c.pid()) for c in made + [db]}
    assert len(nets) == 1
    assert lone.state() == "exited" and sad.state() == "restarting"
    until(lambda: "lone does not run" in sad.read("error"), "a sentence")
    lone.put("ctl", "start")
    until_runs(sad, 2)
    for c in made + [sad]:
        c.put("ctl", "kill")


def test_a_power_cut(server):
    """What was not yet on the disk is not needed: it was started, so it is started again."""
    c = server.make("a").put("restart", "always").sh(COUNT + IDLE)
    until_runs(c, 1)
    where = os.path.join(server.state, c.get("id"))
    crash(server)
    os.unlink(os.path.join(where, "exit"))
    shutil.rmtree(server.run)
    server.start()
    until_runs(c, 2)
    c.until_state("running")


def test_a_damaged_record(server):
    c = server.make("a").put("restart", "always").sh(COUNT + IDLE)
    until_runs(c, 1)
    where = os.path.join(server.state, c.get("id"), "restart")
    crash(server)
    with open(where, "w") as f:
        f.write("{ broken")
    server.start()
    assert quiet(c, 1) and "restart is damaged" in c.read("error")
    c.put("ctl", "start")
    until_runs(c, 2)  # it may be killed before it has counted
    os.kill(c.pid(), signal.SIGKILL)
    until_runs(c, 3)


def test_without_a_policy_nothing_is_written(server):
    c = server.make("a").sh("true")
    c.finish()
    c.put("ctl", "restart")
    c.finish()
    assert "restart" not in os.listdir(os.path.join(server.state, c.get("id")))
