# SPDX-License-Identifier: Apache-2.0
"""The journal against a model: eight clients at once, and a server that is killed while they work.

What each client asked for, and was told, says which lines there must be about its containers, and in
which order. Where the server died in between, it may or may not have come to that, and the line is
there or not; what is so then is what the lines must say."""

import errno
import os
import random
import re
import threading
import time

import pytest

from basics import put, slurp, until
from containers import Ctn
from journals import events, words
from logviews import Follower

CLIENTS = 8
LOST = (errno.ECONNABORTED, errno.ENOTCONN, errno.ENOENT, errno.EIO, errno.ESTALE)  # or it is not back yet
LONG = os.environ.get("CTNFS_LONG") == "1"
SESSION = "created;(execed pid=\\d+;)(died exit=0;)(removed;)"


class Gone(Exception):
    """The server was killed under a request."""


class Busy(Exception):
    pass


class Client(threading.Thread):
    """Makes containers, one after the other, and does what may be done with them."""

    def __init__(self, server, number, steps):
        super().__init__(daemon=True)
        self.server, self.rng, self.steps = server, random.Random(number), steps
        self.names = ("m%d-%d" % (number, i) for i in range(1000))
        self.stop = threading.Event()
        self.alive = threading.Event()  # the server is there
        self.alive.set()
        self.failure = None
        self.c = None
        self.done = {}  # id: [regular expression for each line, in order]
        self.sessions = {}  # (id, session): the same
        self.living = {}  # id: container

    def run(self):
        try:
            while not self.stop.is_set() and self.steps != 0:
                self.steps -= 1
                try:
                    self.step()
                except Gone:
                    self.until_back()
        except Exception as e:  # pylint: disable=broad-except
            self.failure = e
            raise

    def until_back(self):
        while not self.stop.is_set():
            if self.alive.wait(0.05):
                time.sleep(0.005)
                try:
                    self.server.read("status")
                    return
                except OSError:
                    pass

    # --- requests ---

    def ask(self, call, *args):
        """Whether it was done; Gone: nobody knows."""
        try:
            r = call(*args)
        except OSError as e:
            r = e.errno
        if r in (None, 0):
            return
        try:
            said = self.server.read("error")[-300:]
        except OSError:
            raise Gone()
        if not self.server.running() or r in LOST:
            raise Gone()
        if r == errno.EBUSY and "is starting" in said:
            raise Busy()  # a server that was killed has asked for that
        raise AssertionError("%s: %s; %s" % (args, os.strerror(r), said))

    def look(self, name):
        try:
            return self.c.get(name)
        except OSError:
            raise Gone()

    def does(self, line, call, *args):
        """A request that has this line, if it is done."""
        lines = self.done[self.id]
        lines.append("(" + line + ";)?")
        try:
            self.ask(call, *args)
            lines[-1] = line + ";"
        except Busy:
            lines.pop()

    def put(self, line, name, text):
        self.does(line, put, self.c.path(name), text + "\n")

    # --- what may be done ---

    def step(self):
        if self.c is None:
            self.create()
            return
        if not self.here():
            return
        state = self.look("state")
        if state in ("created", "exited") and "Monitor:\t1" in self.look("status"):
            raise Gone()  # it is being started, as a server was asked that is not there any more
        if state in ("created", "exited"):
            do = self.rng.choice([self.launch, self.launch, self.limit, self.rename, self.remove])
        elif state == "running":
            do = self.rng.choice([self.pause, self.limit, self.rename, self.session, self.session, self.kill])
        elif state == "paused":
            do = self.rng.choice([self.resume, self.resume, self.limit, self.kill])
        else:
            raise Gone()  # it is on its way
        do()

    def here(self):
        """A request for another name, or for its end, may have come to something."""
        for name in [self.c.name] + self.maybe:
            if os.path.isdir(self.server.path(name)) and self.server.running():
                self.c.name, self.maybe = name, []
                return True
        if not self.server.running() or not os.path.exists(self.server.path("status")):
            raise Gone()
        self.living.pop(self.id, None)
        self.c = None
        return False

    def create(self):
        c = Ctn(self.server, next(self.names))
        try:
            self.ask(os.mkdir, c.path())
        except Gone:
            self.until_back()
            if not os.path.isdir(c.path()):
                return
        self.c, self.maybe, self.value = c, [], None
        self.id = until(lambda: self.server.running() and try_id(c), "the id of " + c.name)
        self.server.session.ids.add(self.id)
        self.done[self.id] = ["created;"]
        self.living[self.id] = c

    def launch(self):
        self.put("started pid=\\d+", "cmd", "sleep 100000")

    def kill(self):
        """Of one that is paused it may only have been let go."""
        try:
            self.put("died exit=137", "ctl", "kill")
        except Gone:
            self.done[self.id][-1] = "(resumed;)?(died exit=137;)?"
            raise

    def pause(self):
        self.put("paused", "ctl", "pause")

    def resume(self):
        self.put("resumed", "ctl", "resume")

    def limit(self):
        value = self.rng.randrange(16, 64) << 20
        if self.look("memory.limit") != str(value):
            self.put("limit-changed memory.limit=%d" % value, "memory.limit", str(value))

    def rename(self):
        name = next(self.names)
        self.maybe = [name]
        self.does("renamed from=" + re.escape(self.c.name), os.rename, self.c.path(), self.server.path(name))
        self.c.name, self.maybe = name, []

    def remove(self):
        self.does("removed", os.rmdir, self.c.path())
        self.living.pop(self.id)
        self.c = None

    def session(self):
        name = "s%d" % self.steps
        self.sessions[self.id, name] = "(%s)?" % SESSION.replace(")", ")?")
        where = self.c.path("execs", name)
        self.ask(os.mkdir, where)
        self.ask(put, os.path.join(where, "cmd"), "true\n")
        try:
            slurp(os.path.join(where, "wait"))
        except OSError:
            raise Gone()
        self.ask(os.rmdir, where)
        self.sessions[self.id, name] = SESSION


def try_id(c):
    try:
        return c.get("id")
    except OSError:
        return None


def check(server, clients):
    """The lines about each container are those of the model, and say what is so."""
    found = events(server)
    parts = {}
    for e in found:
        parts.setdefault((e.id, e.name.partition("/execs/")[2]), []).append(e)
    for client in clients:
        assert client.failure is None, client.failure
        for ident, lines in client.done.items():
            part = parts.pop((ident[:12], ""))
            text = "".join(w + ";" for w in words(part))
            assert re.fullmatch("".join(lines), text), "%s is not\n%s" % (text, "".join(lines))
            assert (part[-1].what == "removed") == (ident not in client.living), part
        for (ident, name), lines in client.sessions.items():
            part = parts.pop((ident[:12], name), [])
            text = "".join(w + ";" for w in words(part))
            assert re.fullmatch(lines, text), "%s of %s is not %s" % (text, name, lines)
        for c in client.living.values():
            check_now(c, [e for e in found if e.id == c.get("id")[:12]])
    parts.pop((None, ""))
    assert parts == {}
    return found


def check_now(c, part):
    assert events(c) == part
    own = [e for e in part if "/" not in e.name]
    assert own[-1].name == c.name
    limits = [e for e in own if e.what == "limit-changed"]
    assert not limits or limits[-1].keys["memory.limit"] == c.get("memory.limit")
    runs = [e for e in own if e.what in ("started", "died", "paused", "resumed")]
    last = runs[-1].what if runs else "never"
    state = {"started": "running", "resumed": "running", "died": "exited", "paused": "paused", "never": "created"}
    assert c.state() == state[last], part
    starts = [e for e in runs if e.what == "started"]
    if last not in ("never", "died"):
        assert starts[-1].keys["pid"] == c.get("pid") and starts[-1].time == c.status("Started")
    if last == "died":
        assert runs[-1].keys["exit"] == c.get("exit") and runs[-1].time == c.status("Finished")


def test_eight_clients(tidy):
    clients = [Client(tidy, i, 200 if LONG else 25) for i in range(CLIENTS)]
    with Follower(tidy.path("events")) as follower:
        for client in clients:
            client.start()
        while any(client.is_alive() for client in clients):
            follower.step()
            time.sleep(0.01)
        found = check(tidy, clients)
        assert follower.step().got.decode() == tidy.read("events")
    assert {e.what for e in found} > {"created", "started", "died", "renamed", "limit-changed", "paused"}


@pytest.mark.slow_ok(120)
def test_a_server_that_is_killed_while_they_work(new_server):
    server = new_server()
    clients = [Client(server, i, -1) for i in range(CLIENTS)]
    rng = random.Random(5)
    for client in clients:
        client.start()
    try:
        for _ in range(40 if LONG else 4):
            time.sleep(rng.uniform(0.1, 0.8))
            for client in clients:
                client.alive.clear()
            server.kill9()
            time.sleep(rng.uniform(0, 0.2))  # things go on, and end, without one
            server.start()
            for client in clients:
                client.alive.set()
        time.sleep(0.3)
    finally:
        for client in clients:
            client.stop.set()
        for client in clients:
            client.join()
    for client in clients:
        if client.c is not None:
            client.here()
    found = check(server, clients)
    assert [e.what for e in found].count("server-started") == server.runs
