# SPDX-License-Identifier: Apache-2.0
"""Many execs, one after the other and several at a time: each with its own exit code, and nothing
left of any of them."""

import concurrent.futures
import os
import subprocess

import pytest

from basics import limit, settle, slurp
from execs import begin, end, processes, status_of

LONG = os.environ.get("CTNFS_LONG") == "1"
MANY = 1000 if LONG else 200
AT_ONCE = 8
PLACES = 64  # connections of a monitor's (core/monitor/talk.h)


def call(c, number):
    """One exec that ends with the number's own code; what is wrong with it."""
    code = number % 256
    r = subprocess.run([c.path("exec"), "sh", "-c", "echo $1; exit $2", "sh", str(number), str(code)],
                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                       text=True, timeout=limit(30))
    if (r.returncode, r.stdout, r.stderr) == (code, "%d\n" % number, ""):
        return []
    return ["exec %d: %r" % (number, r)]


def descriptors(pid):
    """What each of a process's descriptors is; sockets and pipes by kind, since they have numbers."""
    found = []
    for fd in os.listdir("/proc/%d/fd" % pid):
        try:
            found.append(os.readlink("/proc/%d/fd/%s" % (pid, fd)).partition("[")[0])
        except FileNotFoundError:
            pass
    return sorted(found)


def below(c):
    """Groups in the container's own ones, in each hierarchy."""
    raw = c.path("cgroup", "raw")
    return sorted(os.path.join(top, d) for link in os.listdir(raw)
                  for top, dirs, _ in os.walk(os.path.realpath(os.path.join(raw, link))) for d in dirs)


def footprint(server, c):
    """What an exec could leave: processes inside and ours outside, descriptors, groups, namespaces."""
    monitor = int(status_of(c.pid())["PPid"])
    ours = [l for l in subprocess.check_output(["ps", "-eo", "pid=,args="], text=True).splitlines()
            if c.get("id") in l and "ps -eo" not in l]
    return {
        "inside": sorted(l.split()[0] for l in processes(c)),
        "usage": c.get("cgroup/pids.current"),
        "outside": sorted(l.split()[0] for l in ours),
        "groups": slurp("/proc/%d/cgroup" % c.pid()),
        "below": below(c),
        "monitor": descriptors(monitor),
        "server": descriptors(server.proc.pid),
        "threads": len(os.listdir("/proc/%d/task" % monitor)),
    }


def changed(server, c, before):
    now = footprint(server, c)
    return ["%s: %s, was %s" % (k, now[k], before[k]) for k in before if now[k] != before[k]]


@pytest.mark.slow_ok(600)
@pytest.mark.parametrize("at_once", [1, AT_ONCE])
def test_many(tidy, idle, at_once):
    wrong = call(idle, 0)  # the monitor's first connection and the server's caches are there
    before = footprint(tidy, idle)
    with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
        for found in pool.map(lambda n: call(idle, n), range(MANY)):
            wrong += found
    assert not wrong, "\n".join(wrong[:10])
    left = settle(lambda: changed(tidy, idle, before))
    assert not left, "\n".join(left)


@pytest.mark.slow_ok(300)
def test_many_at_the_same_moment(tidy, idle):
    """More than the monitor has places for connections: none is turned away."""
    before = footprint(tidy, idle)
    waiting = [begin(idle, "sh", "-c", "echo ready; read x; exit 5") for _ in range(PLACES + AT_ONCE)]
    assert len(processes(idle)) > PLACES
    for p in waiting:
        end(p, 5)
    left = settle(lambda: changed(tidy, idle, before))
    assert not left, "\n".join(left)
