# SPDX-License-Identifier: Apache-2.0
"""`restart`: a container that has ended by itself is started again, one that was stopped is not."""

import errno
import os
import re
import subprocess
import threading
import time

import pytest

from basics import SLOW, limit, put, slurp, until
from harness import cgroup_version

# A line in `runs` for each of its lives; what follows it sees their number in $n.
COUNT = "echo run >> /root/runs; n=$(wc -l < /root/runs); "
DELAYED = 4 if SLOW <= 1 else 5  # after so many, the next delay is long enough to do something in it
IDLE = "trap 'exit 0' TERM; while :; do sleep 1000 & wait; done"


def runs(c):
    try:
        return slurp(c.path("layer/root/runs")).count("\n")
    except OSError:
        return 0


def restarts(c):
    return int(c.status("Restarts"))


def until_runs(c, n, seconds=20):
    until(lambda: runs(c) >= n, "%s has run %d times" % (c.name, n), seconds)
    return c


def running(c):
    c.until_state("running")
    return c


def waiter(c):
    return subprocess.Popen(["cat", c.path("wait")], stdout=subprocess.PIPE, text=True)


def result(w):
    return w.communicate(timeout=limit(30))[0]


def story(c):
    """What its journal says of starts and ends."""
    words = [l.split() for l in c.read("events").splitlines()]
    return [" ".join([w[3]] + [x for x in w[4:] if re.match("exit|restarts", x)]) for w in words
            if w[3] in ("started", "restarted", "died")]


def is_whole(told):
    """Each start has its end, but for the last."""
    starts = [t.split()[0] for t in told[::2]]
    return starts[0] == "started" and set(starts[1:]) <= {"restarted", "started"} and \
        starts.count("restarted") >= len(starts) - 4 and all(t.startswith("died ") for t in told[1::2])


# --- the file ---

@pytest.mark.parametrize("text,shown", [
    ("no", "no"), ("on-failure", "on-failure"), ("on-failure:5", "on-failure:5"),
    ("always", "always"), ("unless-stopped", "unless-stopped"), (" always ", "always"),
    ("on-failure:1000000", "on-failure:1000000")])
def test_values(ctn, text, shown):
    assert ctn.get("restart") == "no"
    ctn.put("restart", text)
    assert ctn.get("restart") == shown and ctn.get("pending") == ""
    assert ctn.server.sh("jq -r .restart %s/spec" % ctn.name).stdout.strip() == shown


@pytest.mark.parametrize("text", [
    "yes", "1", "Always", "on-failure:", "on-failure:0", "on-failure:-1", "on-failure:1000001",
    "on-failure: 5", "on-failure:x", "always:3", "no:1", "always no", "on-failure:99999999999999999999"])
def test_values_that_are_none(ctn, text):
    ctn.put("restart", "on-failure:7")
    ctn.refused("restart", text, (errno.EINVAL, errno.ERANGE), "none of|how often|no restart at all")


def test_a_session_has_none(idle):
    os.mkdir(idle.path("execs/s"))
    with pytest.raises(OSError):
        slurp(idle.path("execs/s/restart"))
    os.rmdir(idle.path("execs/s"))


def test_it_is_part_of_the_spec(tidy):
    c = tidy.make("a").put("restart", "on-failure:9")
    tidy.sh("jq '.name = \"b\"' a/spec > new; diff <(jq .restart a/spec) <(jq .restart b/spec)")
    assert slurp(tidy.path("b/restart")) == "on-failure:9\n"
    tidy.sh("jq 'del(.restart)' a/spec > a/spec")
    assert c.get("restart") == "no"
    tidy.sh("echo '{\"name\": \"d\", \"restart\": \"sometimes\"}' > new", check=False)
    assert "restart (line 1" in tidy.read("error") and "d" not in tidy.containers()
    tidy.sh("jq -e '.annotations // {} | tostring | test(\"restart\") | not' b/config.json")


# --- what is started again ---

def test_until_it_succeeds(ctn):
    """It fails three times; one who waits sees the fourth end alone."""
    ctn.put("restart", "on-failure")
    ctn.sh(COUNT + "echo life $n; sleep 0.2; test $n -gt 3 || exit 7")
    ws = [waiter(ctn) for _ in range(3)]
    with pytest.raises(BlockingIOError):
        slurp(ctn.path("wait"), os.O_RDONLY | os.O_NONBLOCK)
    assert [result(w) for w in ws] == ["0\n"] * 3
    assert ctn.state() == "exited" and ctn.get("exit") == "0" and runs(ctn) == 4
    assert restarts(ctn) == 3 and ctn.read("log") == "".join("life %d\n" % n for n in range(1, 5))
    assert ctn.get("error") == ""
    assert story(ctn) == ["started", "died exit=7", "restarted restarts=1", "died exit=7",
                          "restarted restarts=2", "died exit=7", "restarted restarts=3", "died exit=0"]


def test_a_bound_on_failures(ctn):
    ctn.put("restart", "on-failure:2").sh(COUNT + "exit 9")
    assert ctn.finish() == 9 and runs(ctn) == 3 and restarts(ctn) == 2
    said = ctn.last_error()
    assert said.where == "restart" and "3 times in a row" in said.text, said
    ctn.put("ctl", "start")  # counts anew
    assert ctn.finish() == 9
    until(lambda: runs(ctn) == 6, "three more")


def test_always(ctn):
    ctn.put("restart", "always").sh(COUNT + "exit 0")
    until_runs(ctn, 4)
    ctn.put("ctl", "stop")
    n = runs(ctn)
    assert ctn.state() == "exited" and n >= 4
    time.sleep(0.3)
    assert ctn.state() == "exited" and runs(ctn) == n


def test_no_and_success(ctn):
    ctn.put("restart", "on-failure").sh(COUNT + "exit 0")
    assert ctn.finish() == 0
    ctn.put("restart", "no").put("ctl", "start")
    until(lambda: runs(ctn) == 2 and ctn.state() == "exited", "its second end")
    time.sleep(0.3)
    assert ctn.state() == "exited" and runs(ctn) == 2


def test_the_delay_doubles(ctn):
    """Of the times between lives only that none is too short can be said on a busy machine."""
    ctn.put("restart", "always").sh("cut -d' ' -f1 /proc/uptime >> /root/runs")
    until_runs(ctn, 5)
    ctn.put("ctl", "kill")
    times = [float(l) for l in slurp(ctn.path("layer/root/runs")).split()]
    gaps = [b - a for a, b in zip(times, times[1:])]
    assert all(gap >= 0.1 * 2 ** i - 0.03 for i, gap in enumerate(gaps)), gaps


@pytest.mark.skipif(not os.environ.get("CTNFS_LONG"), reason="takes 15 s: CTNFS_LONG=1")
def test_health(ctn):
    """After ten seconds of it the delay is the first again, and failures are counted anew."""
    ctn.put("restart", "on-failure:4")
    ctn.sh(COUNT + "cut -d' ' -f1 /proc/uptime >> /root/times; test $n -ne 4 || sleep 11; exit 1")
    assert ctn.finish(60) == 1 and runs(ctn) == 8
    times = [float(l) for l in slurp(ctn.path("layer/root/times")).split()]
    assert times[3] - times[2] > 0.35 and 11 < times[4] - times[3] < 11.4 * limit(1), times


def test_who_was_killed_by_another(ctn):
    """pid 1 killed by the host, or by the OOM killer, has not been stopped by its user."""
    ctn.put("restart", "on-failure").sh(COUNT + IDLE)
    until_runs(ctn, 1)
    os.kill(ctn.pid(), 9)
    until_runs(ctn, 2)
    until(lambda: ctn.state() == "running", "it runs again")
    assert restarts(ctn) == 1


def test_who_was_killed_while_paused(ctn):
    """cgroup v2 lets SIGKILL through: the next one does not begin where all stands still."""
    ctn.put("restart", "on-failure").sh(COUNT + IDLE)
    until_runs(ctn, 1)
    pid = ctn.pid()
    ctn.put("ctl", "pause")
    os.kill(pid, 9)
    if cgroup_version(ctn.server) == 1:
        ctn.put("ctl", "resume")
    until_runs(ctn, 2)
    until(lambda: ctn.state() == "running" and ctn.get("cgroup/freeze") == "0", "it runs")


def test_the_oom_killer(ctn):
    ctn.put("memory.limit", "24M").put("restart", "on-failure:1")
    ctn.put("user", "root").sh(COUNT + "exec python3 -c 'x = bytearray(99 << 20)'")
    assert ctn.finish() == 137 and runs(ctn) == 2 and ctn.status("OomKilled") == "1"


def test_a_signal_is_no_stop(ctn):
    """Only `stop` and SIGKILL end it for good: what a program makes of another signal is its own."""
    ctn.put("restart", "always").sh(COUNT + "trap 'exit 3' USR1; while :; do sleep 1000 & wait; done")
    until_runs(ctn, 1)
    until(lambda: int(ctn.proc_status("SigCgt"), 16) & 1 << 9, "it has set its trap")
    ctn.put("ctl", "kill USR1")
    until_runs(ctn, 2)


# --- what the user does ---

@pytest.mark.parametrize("policy", ["always", "unless-stopped", "on-failure"])
@pytest.mark.parametrize("verb", ["stop", "kill", "stop 0"])
def test_a_stop_is_final(ctn, policy, verb):
    ctn.put("restart", policy).sh(COUNT + IDLE)
    until_runs(ctn, 1)
    w = waiter(ctn)
    ctn.put("ctl", verb)
    assert ctn.state() == "exited" and result(w).strip() == ctn.get("exit")
    time.sleep(0.3)
    assert ctn.state() == "exited" and runs(ctn) == 1
    ctn.put("ctl", "start")
    until_runs(ctn, 2)
    assert ctn.state() == "running"


def until_delay(c):
    until(lambda: restarts(c) >= DELAYED and c.state() == "restarting" and c.get("pid") == "",
          "a long delay", 40, 0.005)
    return c


def in_delay(c, script=COUNT + "exit 4", policy="always"):
    """It is in a delay that is long enough to look at."""
    return until_delay(c.put("restart", policy).sh(script))


def test_in_the_delay(tidy):
    c = in_delay(tidy.make("a"))
    assert c.get("exit") == "4" and c.status("State") == "restarting" and c.read("ps").count("\n") <= 1
    with pytest.raises(OSError) as e:
        os.rmdir(c.path())
    assert e.value.errno == errno.EBUSY
    assert "restarting" in tidy.read("error").splitlines()[-1]
    c.refused("cmd", "true", errno.EBUSY, "restarting")
    c.refused("ctl", "pause", errno.EBUSY, "restarting, not running")
    c.refused("ctl", "kill TERM", errno.ESRCH, "does not run")
    c.put("env", "WHEN=next").put("memory.limit", "64M").put("hostname", "other")
    tidy.sh("mv a b")
    c.name = "b"
    w = waiter(c)
    c.put("ctl", "stop")
    assert c.state() == "exited" and c.get("exit") == "4" and result(w) == "4\n"
    n = runs(c)
    time.sleep(0.5)
    assert runs(c) == n and c.state() == "exited"


def test_a_verb_in_the_delay(tidy):
    made = {v: tidy.make(v.split()[0] + "-it") for v in ("stop", "kill", "start", "restart")}
    for c in made.values():
        c.put("restart", "always").sh(COUNT + "test -e /root/go || exit 4; " + IDLE)
    for verb, c in made.items():
        until_delay(c)
        if "start" in verb:
            put(c.path("layer/root/go"), "")
        c.put("env", "NEW=1", append=True).put("ctl", verb)
        if "start" in verb:
            assert c.state() == "running" and "NEW=1" in slurp(c.path("proc/environ"))
            c.put("ctl", "stop")
        assert c.state() == "exited"
        c.put("ctl", "stop 60").put("ctl", "kill")  # so already
        os.rmdir(c.path())


def test_another_policy_in_the_delay(ctn):
    in_delay(ctn)
    w = waiter(ctn)
    ctn.put("restart", "on-failure")  # it did fail
    assert ctn.state() == "restarting"
    ctn.put("restart", "no")
    assert ctn.state() == "exited" and result(w) == "4\n"
    ctn.put("restart", "always")
    n = runs(ctn)
    time.sleep(0.3)
    assert ctn.state() == "exited" and runs(ctn) == n


def test_another_policy_while_it_runs(ctn):
    ctn.sh(COUNT + IDLE).put("restart", "always")
    until_runs(ctn, 1)
    os.kill(ctn.pid(), 9)
    until_runs(ctn, 2)
    running(ctn).put("restart", "no")
    os.kill(ctn.pid(), 9)
    assert ctn.finish() == 137
    assert runs(ctn) == 2


def test_the_verb_restart(ctn):
    ctn.put("restart", "on-failure").sh(COUNT + IDLE)
    until_runs(ctn, 1)
    w = waiter(ctn)
    ctn.put("ctl", "restart")
    until_runs(ctn, 2)
    assert ctn.state() == "running" and w.poll() is None
    os.kill(ctn.pid(), 9)  # it is still wanted
    until_runs(ctn, 3)
    running(ctn).put("ctl", "kill")
    assert result(w) == "137\n"


def test_a_start_that_fails(ctn):
    """The program has gone meanwhile: that is a failure, said, and tried again."""
    ctn.output("printf '#!/bin/sh\necho run >> /root/runs\nexit 5\n' > /root/prog; chmod 755 /root/prog")
    prog = ctn.path("layer/root/prog")
    ctn.put("restart", "always").start("/root/prog")
    until_runs(ctn, 1)
    os.rename(prog, prog + ".away")
    until(lambda: "ENOENT restart: " in ctn.read("error"), "a sentence about it")
    assert ctn.state() == "restarting" and ctn.get("exit") == "5"
    n = runs(ctn)
    r = ctn.write("ctl", "start\n")
    assert r == errno.ENOENT and ctn.state() == "restarting"
    os.rename(prog + ".away", prog)
    until_runs(ctn, n + 1)
    ctn.put("restart", "on-failure:1")
    assert ctn.finish() == 5


def test_the_first_start_is_the_users(ctn):
    ctn.put("restart", "always")
    assert ctn.write("cmd", "no-such-program\n") == errno.ENOENT
    assert ctn.state() == "created"
    time.sleep(0.3)
    assert ctn.state() == "created" and ctn.status("Restarts") == "0"


def test_what_joined_it_comes_back(tidy):
    """With the end of pid 1 all in its pid namespace are killed; each comes back by its own policy,
    whoever is first."""
    db, web = tidy.make("db"), tidy.make("web")
    db.put("restart", "always").sh(COUNT + IDLE)
    web.put("ns/pid", "container:db").put("restart", "on-failure:1").sh(COUNT + IDLE)
    until_runs(web, 1)
    os.kill(db.pid(), 9)
    until_runs(db, 2)
    until_runs(web, 2)
    until(lambda: web.state() == db.state() == "running", "both run")
    assert os.readlink("/proc/%d/ns/pid" % web.pid()) == os.readlink("/proc/%d/ns/pid" % db.pid())
    web.put("ctl", "kill")
    db.put("ctl", "kill")


def test_many_at_once(tidy):
    """Stops, starts and changes of policy from several sides while it comes and goes."""
    c = tidy.make().put("restart", "always").sh(COUNT + "exit 1")
    end = time.monotonic() + 1.5
    wrong = []

    def go(*lines):
        while time.monotonic() < end:
            for name, text in lines:
                r = c.write(name, text + "\n")
                if r not in (0, errno.EBUSY, errno.ECANCELED, errno.ENOMEM):
                    wrong.append((name, text, r, c.read("error")[-200:]))

    ts = [threading.Thread(target=go, args=a) for a in (
        (("ctl", "start"),), (("ctl", "stop 0"),), (("restart", "no"), ("restart", "always")),
        (("ctl", "restart 0"),))]
    for t in ts:
        t.start()
    for t in ts:
        t.join()
    assert not wrong, wrong[:5]
    c.put("ctl", "stop")
    assert c.state() == "exited"
    n = runs(c)
    time.sleep(0.3)
    assert runs(c) == n and c.state() == "exited"
    assert re.search(r"^Restarts:\t\d+$", c.read("status"), re.M)

