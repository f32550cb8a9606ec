# SPDX-License-Identifier: Apache-2.0
"""Many that run at once, all of them in use. CTNFS_LONG=1: 1,000 of them."""

import os
import resource

import pytest

import basics
import load

RUNNING = int(os.environ.get("CTNFS_RUNNING") or (1000 if load.LONG else 50))
ROUNDS = 3 if load.LONG else 1
AT_WORK = 20  # descriptors of threads, and of two that are kept ready
KEPT = 2 * 8 if os.path.isdir("/sys/fs/cgroup/pids") else 2  # of the control groups of these, on v1 and on v2
RANGE_TOP = 1 << 32
HELD_PART = 8  # of the descriptors that the server may have: inputs that it holds open


@pytest.mark.slow_ok(60 + RUNNING / 2)
def test_many_running(new_server):
    options = ["spares=2"]
    if RUNNING > 60:  # more than a test's server has ids for
        count = (RUNNING + 8) * basics.RANGE
        options.append("subid=%d:%d" % (RANGE_TOP - basics.RANGE - count, count))
    server = new_server(*options)
    names = ["m%d" % n for n in range(RUNNING)]
    load.make_all(server, names)
    load.use_all(server, names, ROUNDS)
    each = (load.descriptors(server) - len(server.baseline["fds"]) - AT_WORK - KEPT) / RUNNING
    listed = [l.split()[0] for l in server.read("stats").splitlines()]
    assert set(names) <= set(listed)
    print("\n%d running, %d rounds: %d KiB resident, %.2f descriptors each" % (
        RUNNING, ROUNDS, load.resident(server) >> 10, each))
    assert each <= load.DESCRIPTORS_EACH
    load.remove_all(server, names)
    load.settle(server)


def test_more_inputs_than_are_held(server):
    """Those that are not held open have their lines and their end of file all the same."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.prlimit(server.proc.pid, resource.RLIMIT_NOFILE, (20 * HELD_PART, most))
    all = [server.make().start("cat") for _ in range(24)]
    held = sum(os.readlink("/proc/%d/fd/%s" % (server.proc.pid, fd)).endswith("/in")
               for fd in os.listdir("/proc/%d/fd" % server.proc.pid))
    assert held == 20
    for c in all:
        c.put("stdin", "one", append=True).until_log("one")
    for c in all:
        c.put("stdin", "two")
        assert c.finish() == 0 and c.read("log") == "one\ntwo\n"
