# SPDX-License-Identifier: Apache-2.0
"""The server, the monitor and what is to become the program are killed at each named point (F1, C01 to
C36; crash_points.py), there or a moment later.

CTNFS_LONG=1: a hundred rounds of each."""

import contextlib
import os
import random
import signal
import threading
import time

import pytest

from basics import SLOW, limit, slurp
from crash_points import POINTS, spares_of
from harness import cgroup_version
from nth import LONG, SERVER, STAGE, Nth
from test_kills_inside import check_sentence, monitor_of
from truth import Witness, check_all, check_no_residue, clear, ids_on_disk, recover

ROUNDS = int(os.environ.get("CTNFS_ROUNDS") or (100 if LONG else 1))
LATEST = 0.004  # seconds after the point, in all rounds but the first of each victim


class Victims:
    """Who is to be killed, known by descriptors before anybody goes on."""

    def __init__(self, server, c, role, caller, words):
        pids = {"server": server.proc.pid}
        if role == STAGE:
            pids["stage"], pids["monitor"] = caller, parent_of(caller)
        elif role != SERVER:
            pids["monitor"] = caller
        elif "monitor" in words:
            pids["monitor"] = monitor_of(server, c)
        self.server, self.kills_server = server, "server" in words.split()
        self.fds = [os.pidfd_open(pids[word]) for word in words.split()]

    def kill(self):
        for fd in self.fds:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(fd, signal.SIGKILL)
            os.close(fd)


def parent_of(pid):
    return int(slurp("/proc/%d/stat" % pid).rsplit(")", 1)[1].split()[1])


class Act(threading.Thread):
    """An operation that may be cut off in the middle."""

    def __init__(self, op, c):
        super().__init__(daemon=True)
        self.op, self.c, self.result, self.failure = op, c, None, None

    def run(self):
        try:
            self.result = self.op.act(self.c)
        except (OSError, AssertionError) as e:
            self.failure = e


def strike(server, c, point, number, words, delay):
    """Return: whether there was such a point; what the operation gave; whether there is a new server."""
    role, call, when = point.role, point.call, point.when
    if point.v2 and server.version == 2:
        role, call, when = point.v2
    if "{id}" in call:
        call = call.replace("{id}", c.get("id"))
    act, victims = Act(point.op, c), None
    with Nth(server.proc.pid, role, when, number, kind=call) as nth:
        act.start()
        nth.until_held(act)
        if nth.hit:
            victims = Victims(server, c, role, nth.caller, words)
            if delay == 0:
                victims.kill()
    if victims and delay:
        time.sleep(delay)
        victims.kill()
    if victims and victims.kills_server:
        server.kill9()
    act.join(limit(30))
    assert not act.is_alive(), "no end of it"
    if not victims and act.failure:
        raise act.failure
    return victims, act


def ids_ready(server):
    """Of what this server keeps ready."""
    return {n[4:] for n in spares_of(server)}


def one_round(server, witness, point, number, words, delay):
    """Return: whether the point was there."""
    op, c = point.op, point.op.prepare(server)
    victims, act = strike(server, c, point, number, words, delay)
    ids = ids_on_disk(server)
    server.session.ids.update(ids)
    if victims and victims.kills_server:
        server.start()
    else:
        ids -= ids_ready(server)
    if victims and not victims.kills_server and act.result:
        check_sentence(server, c, op, act.result)
    check_all(server, witness)
    check_no_residue(server, witness, ids)
    if victims and (c.name in server.containers() or op.name == "rename"):
        op.agree(c)
    op.again(c)
    check_all(server, witness)
    ids = ids_on_disk(server) - ids_ready(server)
    clear(server)
    check_no_residue(server, witness, ids)
    return victims is not None


def rounds_of(server, witness, point, rng, tell):
    """As many as are wanted. Return: how many there were."""
    number, n, missed = point.number or (1 if LONG else 2), 0, 0
    wanted = max(ROUNDS, len(point.victims)) if SLOW < 4 else 1
    while n < wanted:
        words = point.victims[n % len(point.victims)]
        delay = rng.uniform(0, LATEST) if n >= len(point.victims) else 0
        tell[:] = ["%s (%s), %s killed %d us behind it, call %d" % (point, point.what, words, delay * 1e6, number)]
        if one_round(server, witness, point, number, words, delay):
            n += 1
            number += not point.number
        elif not point.number and number > 1:
            number = 1
        else:
            missed += 1  # on a machine that is too slow to make anything ready
            assert is_ahead(point) and missed < 3, "there is no such point"
    return n


def is_ahead(point):
    return point.op.name == "spare"


@pytest.mark.slow_ok(120 + 60 * ROUNDS)
@pytest.mark.parametrize("ahead", [
    pytest.param(False, id="C"),
    pytest.param(True, id="P", marks=pytest.mark.skipif(SLOW >= 4, reason="needs a machine that makes it ready in time"))])
def test_killed_at_each_point(server, ahead):
    """All of the wrong ones are told."""
    server.version = cgroup_version(server)
    if ahead:
        assert server.terminate() == []
        server.options.append("spares=2")
        server.start()
    seed = int(os.environ.get("CTNFS_SEED") or time.time_ns() % 1000000)
    rng, witness, wrong, n, tell = random.Random(seed), Witness(server), [], 0, []
    only = os.environ.get("CTNFS_POINT", "")
    for point in (p for p in POINTS if is_ahead(p) == ahead and p.name.startswith(only)):
        begin = time.monotonic()
        try:
            n += rounds_of(server, witness, point, rng, tell)
        except (AssertionError, OSError) as e:
            wrong.append("CTNFS_SEED=%d: %s: %s" % (seed, tell[0], e))
            recover(server)
        print(point, "%.2f s" % (time.monotonic() - begin))
    print(n, "kills at named points,", len(wrong), "failures")
    if ahead:
        server.kill9()
        server.options.pop()
        server.start()
    assert not wrong, "\n".join(wrong)
