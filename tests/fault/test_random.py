# SPDX-License-Identifier: Apache-2.0
"""The server is killed at any moment while three clients make, start, change, stop and remove."""

import json
import os
import random
import threading
import time

import pytest

from basics import SLOW, put
from containers import Ctn
from nth import LONG
from truth import Witness, check_all, check_no_residue, clear, ids_on_disk

ROUNDS = 100 if LONG else 3 if SLOW >= 4 else 10
CLIENTS = 3


def life(server, name, rng):
    """One container's, in whatever order; every call may fail when the server goes."""
    c = Ctn(server, name)
    steps = [
        lambda: put(c.path("cmd"), "sleep 1000\n"),
        lambda: put(c.path("env"), "N=%d\n" % rng.randrange(100), append=True),
        lambda: put(c.path("memory.limit"), "64M\n"),
        lambda: put(c.path("ctl"), rng.choice(("stop 1", "kill", "pause", "resume", "restart 0")) + "\n"),
        lambda: os.mkdir(c.path("execs/s")),
        lambda: put(c.path("execs/s/cmd"), "sleep 1000\n"),
        lambda: os.rename(c.path(), server.path(name + "-b")),
        lambda: os.rmdir(c.path()),
        lambda: put(server.path("new"), json.dumps({"name": name, "cmd": ["true"]}) + "\n"),
        lambda: put(c.path("log"), ""),
    ]
    os.mkdir(c.path())
    for _ in range(30):
        rng.choice(steps)()


def client(server, number, seed, stop):
    rng = random.Random(seed)
    while not stop.is_set():
        try:
            life(server, "r%d" % number, rng)
        except OSError:
            time.sleep(0.0001)  # refused, or the server is gone


@pytest.mark.slow_ok(60 + 10 * ROUNDS)
def test_killed_at_any_moment(server):
    witness = Witness(server)
    seed = int(os.environ.get("CTNFS_SEED") or time.time_ns() % 1000000)
    rng = random.Random(seed)
    for i in range(ROUNDS):
        stop = threading.Event()
        clients = [threading.Thread(target=client, args=(server, n, seed + 10 * i + n, stop)) for n in range(CLIENTS)]
        for t in clients:
            t.start()
        time.sleep(rng.uniform(0.001, 0.15) * min(SLOW, 4))
        server.kill9()
        stop.set()
        for t in clients:
            t.join()
        ids = ids_on_disk(server)
        server.session.ids.update(ids)
        server.start()
        try:
            check_all(server, witness)
            check_no_residue(server, witness, ids)
            ids = ids_on_disk(server)
            clear(server)
            check_no_residue(server, witness, ids)
            assert server.containers() == ["witness"]
        except (AssertionError, OSError) as e:
            raise AssertionError("round %d of CTNFS_SEED=%d: %s" % (i, seed, e)) from e
