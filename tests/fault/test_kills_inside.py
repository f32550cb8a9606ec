# SPDX-License-Identifier: Apache-2.0
"""The monitor, what is to become the program, or the program of db/exec is killed at each of its calls,
and the server at each of theirs: alone, and together with them (F1 F2 F3, C10 to C23, C31 C32)."""

import os
import subprocess

import pytest

from basics import err_name, limit, slurp, until
from containers import Ctn
from nth import ALL, MONITOR, STAGE, Nth, points, told
from operations import GROUPS, Operation, created, running, same_process
from truth import Witness, check_all, check_no_residue, clear, ids_on_disk

SHORT = 8
LIFE = "sh -c 'echo out; exit 3'\n"


def act_life(c):
    r = c.write("cmd", LIFE)
    if r == 0:
        try:
            slurp(c.path("wait"))
        except OSError as e:
            r = e.errno
    return r


def agree_life(c):
    until(lambda: c.state() != "running", "so short a program ends")
    if c.state() == "exited":
        assert c.get("exit") in ("3", "255", "137"), c.get("exit")


def again_life(c):
    assert c.write("cmd", LIFE) == 0 and c.finish() == 3 and c.read("log").endswith("out\n")


OPERATIONS = {op.name: op for group in GROUPS.values() for op in group}
LIVES = {op.name: op for op in GROUPS["starting"] + GROUPS["making"] if op.name in ("start", "session", "new")}
LIVES["life"] = Operation("life", created, act_life, again_life, agree_life)


def check_sentence(server, c, op, r):
    """Whoever was refused is told why."""
    files = ["execs/s/error", "error"] if op.name == "session" else ["error"]
    told_it = [c.read(f) for f in files if os.path.exists(c.path(f))] + [server.read("error")]
    assert any(t.strip() for t in told_it), "%s without a sentence" % err_name(r)


def one_round(server, witness, op, role, action, number):
    c = op.prepare(server)
    with Nth(server.proc.pid, role, action, number) as nth:
        r = op.act(c)
    ids = ids_on_disk(server)
    server.session.ids.update(ids)
    if nth.hit and action != "kill":
        server.kill9()
        server.start()
    elif r:
        assert nth.hit, "%s without a fault: %s" % (op, err_name(r))
        check_sentence(server, c, op, r)
    check_all(server, witness)
    check_no_residue(server, witness, ids)
    if c.name in server.containers():
        op.agree(c)
    op.again(c)
    check_all(server, witness)
    clear(server)
    return nth


def before_program(calls):
    """What a stage does until it is the program."""
    names = [name for _, name in calls]
    return len(names) - names[::-1].index("execve") if "execve" in names else len(names)


@pytest.mark.slow_ok(900)
@pytest.mark.parametrize("action", ["kill", "kill-root", "kill-both"])
@pytest.mark.parametrize("role", [MONITOR, STAGE], ids=["monitor", "stage"])
def test_it_is_killed_at_each_call(server, role, action):
    witness = Witness(server)
    for op in LIVES.values():
        calls = one_round(server, witness, op, role, "count", 0).calls
        total = len(calls) if role == MONITOR else before_program(calls)
        hits = []
        for number in points(total, SHORT):
            with told("%s: %s at call %d of %d" % (op, action, number, total)):
                hits.append(one_round(server, witness, op, role, action, number).hit)
        assert any(hits), hits
        print(op, total, hits)


def enter(c, action, number):
    """db/exec, held until the tracer is there."""
    argv = ["sh", "-c", "read x; exec %s sh -c 'exit 3'" % c.path("exec")]
    p = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    with Nth(p.pid, ALL, action, number) as nth:
        out, _ = p.communicate(b"\n", timeout=limit(20))
    return nth, p.returncode, out


@pytest.mark.slow_ok(600)
def test_exec_is_killed_at_each_call(server):
    witness = Witness(server)
    c = running(server)
    nth, code, out = enter(c, "count", 0)
    assert code == 3, out
    total = len(nth.calls)
    before = len(c.lines("cgroup/procs"))
    for number in points(total, 2 * SHORT):
        with told("killed at call %d of %d" % (number, total)):
            enter(c, "kill", number)
            same_process(c)
            until(lambda: len(c.lines("cgroup/procs")) == before, "nothing of it is left inside")
            check_all(server, witness)
    assert enter(c, "count", 0)[1] == 3
    clear(server)


@pytest.mark.slow_ok(300)
def test_a_killed_monitor_leaves_its_container(server):
    """Also while it writes without end; the end of it is known, its exit code is not."""
    witness = Witness(server)
    for script in ("while :; do echo tick; done", "exec sleep 100000"):
        c = Ctn(server, "x")
        os.mkdir(c.path())
        c.sh(script)
        same = c.pid()
        for _ in range(3):
            monitor = int(slurp("/proc/%d/status" % same).split("PPid:\t")[1].split()[0]) \
                if _ == 0 else monitor_of(server, c)
            os.kill(monitor, 9)
            until(lambda: monitor_of(server, c) not in (0, monitor), "another monitor comes")
            assert c.state() == "running" and c.pid() == same
        c.put("ctl", "kill")
        assert c.get("exit") == "255" and "monitor" in c.read("error")
        check_all(server, witness)
        c.remove()


def test_a_paused_one_loses_its_monitor_and_its_server(server):
    """F3: it stands still as before, and can be resumed and stopped."""
    witness = Witness(server)
    c = OPERATIONS["resume"].prepare(server)
    monitor = monitor_of(server, c)
    server.kill9()
    os.kill(monitor, 9)
    server.start()
    same_process(c)
    assert c.state() == "paused" and c.get("cgroup/freeze") == "1"
    check_all(server, witness)
    c.put("ctl", "resume")
    assert c.state() == "running"
    c.put("ctl", "pause").put("ctl", "stop 0")
    assert c.state() == "exited"
    check_all(server, witness)


def monitor_of(server, c):
    """Who holds the lock of its run directory; 0: nobody."""
    lock = os.path.join(server.run, c.get("id"), "lock")
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if "ctnfs-monitor" in slurp("/proc/%s/comm" % pid) and any(
                    os.readlink("/proc/%s/fd/%s" % (pid, n)) == lock for n in os.listdir("/proc/%s/fd" % pid)):
                return int(pid)
        except OSError:
            continue
    return 0
