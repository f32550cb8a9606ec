# SPDX-License-Identifier: Apache-2.0
"""The server is killed at any microsecond while three clients make, start, change, stop and remove.

What a client was told is so for the next server: what was made is there, what was removed is not."""

import errno
import json
import os
import random
import threading
import time

import pytest

from basics import SLOW, put, until
from containers import Ctn
from nth import LONG
from truth import Witness, check_all, check_no_residue, clear, ids_on_disk

ROUNDS = int(os.environ.get("CTNFS_ROUNDS") or (5000 if LONG else 2 if SLOW >= 4 else 8))
CLIENTS = 3
CLEAR_EACH = 10  # rounds: meanwhile what one server has left is the next one's
LONGEST = 0.05  # seconds that a server lives under its clients
CUT = (errno.ENOTCONN, errno.ECONNABORTED)  # the server went, and may have done it or not


class Client(threading.Thread):
    """Does one thing after another with names of its own, as long as the server is there. `there` has
    what it was told of each name; None: it was not told."""

    def __init__(self, server, number, rng):
        super().__init__()
        self.server, self.rng = server, rng
        self.names = ["r%d" % number, "r%d-b" % number]
        self.there = dict.fromkeys(self.names, False)
        self.done = 0

    def run(self):
        while self.step() not in CUT:
            self.done += 1

    def step(self):
        a, b = self.rng.sample(self.names, 2)
        c = Ctn(self.server, a)
        change = self.rng.choice((
            lambda: put(c.path("cmd"), "sleep 1000\n"),
            lambda: put(c.path("env"), "N=%d\n" % self.rng.randrange(100), append=True),
            lambda: put(c.path("memory.limit"), "64M\n"),
            lambda: put(c.path("ctl"), self.rng.choice(("stop 1", "kill", "pause", "resume", "restart 0")) + "\n"),
            lambda: os.mkdir(c.path("execs/s")),
            lambda: put(c.path("execs/s/cmd"), "sleep 1000\n"),
            lambda: put(c.path("log"), ""),
        ))
        makes = (
            (lambda: os.mkdir(c.path()), {a: True}),
            (lambda: put(self.server.path("new"), json.dumps({"name": a, "cmd": ["true"]}) + "\n"), {a: True}),
            (lambda: os.rename(c.path(), self.server.path(b)), {a: False, b: True}),
            (lambda: os.rmdir(c.path()), {a: False}),
        )
        call, then = self.rng.choice(makes) if not self.there[a] or self.rng.random() < 0.2 else (change, {})
        try:
            code = call() or 0
        except OSError as e:
            code = e.errno
        if code == 0:
            self.there.update(then)
        elif code in CUT:
            self.there.update(dict.fromkeys(then))
        return code

    def look(self):
        """What is so is what it was told."""
        there = self.server.containers()
        wrong = ["%s: told %s" % (n, t) for n, t in self.there.items() if t not in (None, n in there)]
        assert not wrong, "%s; there are %s" % (wrong, there)
        self.there = {n: n in there for n in self.names}


class Crowd:
    def __init__(self, server, rng):
        self.server, self.rng = server, rng
        self.told = [{} for _ in range(CLIENTS)]
        self.done = 0

    def round(self):
        """Let them work, and kill the server under them; then there is another one. Return: the ids
        that there were in between."""
        clients = [Client(self.server, i, random.Random(self.rng.random())) for i in range(CLIENTS)]
        for t, told in zip(clients, self.told):
            t.there.update(told)
            t.start()
        time.sleep(self.rng.uniform(0, LONGEST) * min(SLOW, 4))
        self.server.kill9()
        for t in clients:
            t.join()
        ids = ids_on_disk(self.server)
        self.server.session.ids.update(ids)
        self.server.start()
        for t in clients:
            t.look()
        self.told = [t.there for t in clients]
        self.done += sum(t.done for t in clients)
        return ids

    def clear(self):
        ids = ids_on_disk(self.server)
        clear(self.server)
        self.told = [{} for _ in range(CLIENTS)]
        return ids


@pytest.mark.slow_ok(120 + 3 * ROUNDS)
@pytest.mark.parametrize("spares", [0, 2])
def test_killed_at_any_moment(server, spares):
    assert server.terminate() == []
    server.options.append("spares=%d" % spares)
    server.start()
    witness = Witness(server)
    seed = int(os.environ.get("CTNFS_SEED") or time.time_ns() % 1000000)
    crowd = Crowd(server, random.Random(seed))
    begin = time.monotonic()
    for i in range(ROUNDS):
        try:
            ids = crowd.round()
            check_all(server, witness)
            check_no_residue(server, witness, ids)
            if i % CLEAR_EACH == CLEAR_EACH - 1 or i == ROUNDS - 1:
                ids = crowd.clear()
                check_no_residue(server, witness, ids)
                assert server.containers() == ["witness"]
        except (AssertionError, OSError) as e:
            raise AssertionError("round %d of CTNFS_SEED=%d: %s" % (i, seed, e)) from e
    print("%d kills of the server, with %d spares, after %d calls, in %.0f s" % (
        ROUNDS, spares, crowd.done, time.monotonic() - begin))
    server.kill9()
    server.options.pop()
    server.start()  # what the spares have left is gone, too
    until(lambda: not [n for n in os.listdir(server.state) if n.startswith("new-")], "no spare is left")
