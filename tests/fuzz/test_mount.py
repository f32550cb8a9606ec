# SPDX-License-Identifier: Apache-2.0
"""Random operations of several clients on one mount, with a simple model of what they must find.

The seed of a run is printed when it fails, with a shortened list of operations that fails as well:
CTNFS_SEED=N does the same run once more. CTNFS_LONG=1 runs for CTNFS_FUZZ_SECS seconds (600)."""

import os
import random
import signal
import threading
import time
import traceback

import pytest

from basics import SLOW, limit
from mount_ops import do, draw
from mount_world import Client, Everybody, Wrong

LONG = os.environ.get("CTNFS_LONG") == "1"
SECONDS = float(os.environ.get("CTNFS_FUZZ_SECS", "600" if LONG else "20"))
CLIENTS = 3
AGAIN_SECONDS = 25  # for shortening
SHARED = "both"


def step(c, op):
    c.trace.append(op)
    began = time.monotonic()
    try:
        do(c, op)
        c.slowest = max(c.slowest, (time.monotonic() - began, repr(op)))
    except Wrong as e:
        c.failure = str(e)
    except Exception:
        c.failure = traceback.format_exc(limit=-4)
    return c.failure is None


def work(c, deadline, others):
    rng = random.Random(c.seed)
    while time.monotonic() < deadline and not any(o.failure for o in others):
        if not step(c, draw(c, rng)):
            break
    c.close_all()


def kind(failure):
    """What two failures have in common, if they are the same."""
    return [w for w in failure.split() if w.isalpha()][:3] + failure.split()[-1:] if failure else None


def clear(server):
    for name in server.containers():
        if name.startswith("c9-"):
            try:
                with open(server.path(name, "ctl"), "w") as f:
                    f.write("kill\n")
            except OSError:
                pass
            os.rmdir(server.path(name))


def fails(server, ops, like):
    """Whether the operations alone, on fresh containers of other names, go wrong the same way."""
    c = Client(server, Everybody(), 9, 0)
    c.share(SHARED)
    try:
        for op in ops:
            if not step(c, op):
                break
    finally:
        c.close_all()
        clear(server)
    return c.failure is not None and kind(c.failure) == kind(like)


def shorten(server, c):
    """As few of them as still fail, in the time there is."""
    ops = [eval(repr(op).replace("'c%d-" % c.number, "'c9-").replace("/c%d-" % c.number, "/c9-")) for op in c.trace]
    deadline = time.monotonic() + limit(AGAIN_SECONDS)
    if not fails(server, ops[-3000:], c.failure):
        return c.trace[-20:], "the last of %d; alone they do not fail" % len(ops)
    ops, part = ops[-3000:], len(ops[-3000:]) // 2
    while part and time.monotonic() < deadline:
        at = 0
        while at < len(ops) and time.monotonic() < deadline:
            fewer = ops[:at] + ops[at + part:]
            if fails(server, fewer, c.failure):
                ops = fewer
            else:
                at += part
        part //= 2
    return ops, "these fail alone"


def report(server, clients, seed):
    for c in clients:
        if c.failure:
            ops, what = shorten(server, c) if server.running() else (c.trace[-20:], "the last")
            return "CTNFS_SEED=%d, client %d, operation %d:\n%s\n%s:\n%s" % (
                seed, c.number, len(c.trace), c.failure, what, "\n".join(map(repr, ops)))
    return None


def run(server, seed, seconds, clients):
    everybody = Everybody()
    os.mkdir(server.path(SHARED))
    them = [Client(server, everybody, i, seed * 1000 + i) for i in range(clients)]
    for c in them:
        c.share(SHARED)
    deadline = time.monotonic() + seconds
    threads = [threading.Thread(target=work, args=(c, deadline, them), daemon=True) for c in them]
    for t in threads:
        t.start()
    for t in threads:
        t.join(seconds + limit(60))
    stuck = [c for c, t in zip(them, threads) if t.is_alive()]
    assert not stuck, "CTNFS_SEED=%d: no end of %s" % (seed, [c.trace[-1] for c in stuck])
    print("%d operations, %s" % (sum(len(c.trace) for c in them), dict(sorted(everybody.errors.items()))))
    for c in them:
        print("client %d, slowest: %.2f s, %.200s" % (c.number, *c.slowest))
    return report(server, them, seed)


@pytest.fixture
def no_news():
    """Descriptors with O_ASYNC, and leases, are told of by a signal that would end us."""
    before = signal.signal(signal.SIGIO, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGIO, before)


@pytest.mark.slow_ok(SECONDS / SLOW + 150)
def test_random_operations(server, no_news):
    seed = int(os.environ.get("CTNFS_SEED") or random.randrange(1 << 30))
    wrong = run(server, seed, SECONDS, CLIENTS)
    assert not wrong, wrong
