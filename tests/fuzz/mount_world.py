# SPDX-License-Identifier: Apache-2.0
"""What a client of the mount knows of its containers, and what must be true of them whatever it does."""

import difflib
import errno
import os
import re
import stat
import threading
import time

import odd_calls
from basics import TREE, err_name, limit, slurp
from mount_texts import CONFIG, LISTS, READ_ONLY, VALUES

SLOTS = 8
NAMES_EACH = 4
STATES = ("created", "running", "paused", "stopping", "restarting", "exited")
# cgroup/freeze follows its programs, and ns.list says who is in which namespace now.
CHANGES_BY_ITSELF = ("cgroup/freeze", "ns.list", "cmd")
OF_PROCESSES = ("caps.sets", "ps", "ns.list", "config.json")
OF_THE_KERNEL = {errno.EBADF, errno.EISDIR, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP, errno.EXDEV, errno.ENOTEMPTY}

STALE = frozenset((errno.ESTALE, errno.ENOENT, errno.ESRCH, errno.EAGAIN, errno.ENXIO))
EVERY = frozenset((errno.EPIPE, errno.ETXTBSY, errno.ENXIO, errno.EAGAIN)) | STALE | frozenset(odd_calls.ODD_ERRORS)


class Wrong(AssertionError):
    pass


def documented():
    """The errnos that ctnfs(5) tells of."""
    with open(os.path.join(TREE, "fs", "man", "ctnfs.5")) as f:
        section = f.read().split(".Sh ERROR CODES", 1)[1].split(".Sh", 1)[0]
    return {getattr(errno, n) for n in re.findall(r"\.It Bq Er (E\w+)", section)}


DOCUMENTED = documented()


class Everybody:
    """What all clients share: no id and no inode number is there twice."""

    def __init__(self):
        self.lock = threading.Lock()
        self.seen = set()
        self.errors = {}

    def new(self, what):
        with self.lock:
            if what in self.seen:
                raise Wrong("%s %s was there before" % what)
            self.seen.add(what)

    def count(self, name):
        with self.lock:
            self.errors[name] = self.errors.get(name, 0) + 1


class Box:
    """A container."""

    def __init__(self, client, name, shared=False):
        self.client, self.name, self.shared = client, name, shared
        self.scratch = set()
        self.settled_at = 0
        self.sessions = set()
        self.id = slurp(self.path("id")).strip()
        self.told = self.refusals()
        if not shared:
            client.all.new(("id", self.id))
            client.all.new(("inode", os.stat(self.path()).st_ino))
        self.rows = set(os.listdir(self.path()))

    def path(self, *parts):
        return os.path.join(self.client.server.mnt, self.name, *parts)

    def read(self, name):
        text = slurp(self.path(name), os.O_RDONLY | os.O_NONBLOCK)
        if name == "ns.list":
            text = "".join(" ".join(l.split()[:2]) + "\n" for l in text.splitlines())
        return text

    def refusals(self):
        return slurp(self.path("error")).splitlines()

    def check_told(self, code, what):
        """The refusal has a sentence, newer than the last that was looked at."""
        if self.shared:
            return
        before, self.told = self.told, self.refusals()
        names = {n for n in dir(errno) if getattr(errno, n) == code}
        # What a release has refused meanwhile may be behind it.
        if self.told == before or not any(n in names for l in self.told[-3:] for n in l.split(" ")[1:3]):
            raise Wrong("%s: %s without a sentence in %s/error, which ends with %s" % (
                what, err_name(code), self.name, self.told[-3:]))

    def at_rest(self):
        return self.read("state").strip() in ("created", "exited")

    def take(self, much):
        """What all its configuration is: the document, or each file, too, where nothing runs whose own it would
        show. None: it has just begun or ended to run, and that changes what they say."""
        run = (self.at_rest(), self.read("pid"))
        texts = {f: self.read(f) for f in CONFIG if f == "spec" or (much and run[0] and f not in CHANGES_BY_ITSELF)}
        texts["pid"] = run[1]
        return texts if (self.at_rest(), self.read("pid")) == run else None

    def compare(self, what, before):
        """After a failure. @before: take()."""
        now = self.take(len(before) > 2) if before and not self.half_written() else None
        if not now or now["pid"] != before["pid"]:
            return
        for f in set(before) & set(now):
            if now[f] != before[f]:
                lines = difflib.unified_diff(before[f].splitlines(), now[f].splitlines(), n=0, lineterm="")
                raise Wrong("%s has failed, and %s has changed:\n%s" % (what, f, "\n".join(list(lines)[2:])))

    def keep(self, much):
        """What compare() needs: the document that has all of it, or each file."""
        if self.shared or self.half_written():
            return None
        return self.take(much)

    def check_value(self, what, f, want):
        """It says so, or will once what runs has ended."""
        text = self.read(f)
        if text != want and "%s %s" % (f, want) not in self.read("pending") and self.read(f) != want:
            raise Wrong("%s: it says %r" % (what, text))

    def half_written(self):
        """A descriptor has emptied a list, which the first refused line will restore; at the latest its release,
        which the kernel sends some time after the close."""
        return time.monotonic() < self.settled_at or any(s and s.box is self and s.writes for s in self.client.slots)

    def will_settle(self):
        self.settled_at = time.monotonic() + limit(1)

    def look(self):
        """Listing, attributes and contents are of one mind."""
        names = set()
        with os.scandir(self.path()) as entries:
            for e in entries:
                if e.name in names:
                    raise Wrong("%s is listed twice" % e.name)
                names.add(e.name)
                self.look_at(e)
        extra, missing = names - self.rows - self.scratch, (self.rows | self.scratch) - names
        gone = {"proc", "root"}
        if not self.shared and (extra - gone or missing - gone):
            raise Wrong("%s: listed %s, not listed %s" % (self.name, sorted(extra), sorted(missing)))
        if self.client.server.read("status") == "":
            raise Wrong("the root's status is empty")

    def look_at(self, e):
        try:
            st = os.lstat(e.path)
        except OSError as why:
            if why.errno == errno.ENOENT and (e.name in ("proc", "root") or self.shared):
                return  # its program has ended meanwhile
            raise Wrong("%s is listed: %s" % (e.name, why))
        if e.inode() != st.st_ino and not self.shared:
            raise Wrong("%s: inode %d in the listing, %d by stat" % (e.name, e.inode(), st.st_ino))
        if e.is_dir(follow_symlinks=False) != stat.S_ISDIR(st.st_mode):
            raise Wrong("%s: the listing has another type" % e.name)
        if e.name in VALUES and not self.shared and not self.half_written():
            if len(self.read(e.name).encode("utf-8", "surrogateescape")) != st.st_size:
                raise Wrong("%s: its size is %d, it reads %r" % (e.name, st.st_size, self.read(e.name)))

    def read_all(self):
        for f in CONFIG + READ_ONLY:
            try:
                text = self.read(f)
            except OSError as e:
                if f in OF_PROCESSES and e.errno in (errno.ESRCH, errno.ENOENT):
                    continue  # one has ended at this moment, or a container that it shares with does not run
                raise Wrong("%s: %s" % (f, e))
            if f in VALUES and not text.endswith("\n"):
                raise Wrong("%s reads %r" % (f, text))
        if self.read("state").strip() not in STATES:
            raise Wrong("state reads %r" % self.read("state"))
        if self.read("id").strip() != self.id:
            raise Wrong("%s has become another container" % self.name)


class Slot:
    """A descriptor. @writes: something may come of it still."""

    def __init__(self, fd, box, name, flags):
        self.fd, self.box, self.name, self.flags = fd, box, name, flags
        self.writes = bool(flags & (os.O_WRONLY | os.O_RDWR)) and name in LISTS
        self.truncated = bool(flags & os.O_TRUNC)  # … or later


class Client:
    """One that works on the mount. Everything it does is a tuple in @trace: a name and arguments."""

    def __init__(self, server, everybody, number, seed):
        self.server, self.all, self.number, self.seed = server, everybody, number, seed
        self.names = ["c%d-%d" % (number, i) for i in range(NAMES_EACH)]
        self.boxes = {}
        self.slots = [None] * SLOTS
        self.trace = []
        self.slowest = (0, "")
        self.failure = None

    def box(self, name):
        return self.boxes.get(name)

    def add(self, name):
        if name in self.boxes:
            raise Wrong("%s was made a second time" % name)
        self.boxes[name] = Box(self, name)

    def share(self, name):
        self.boxes[name] = Box(self, name, shared=True)

    def drop(self, name):
        self.boxes.pop(name)

    def attempt(self, what, call, box=None, allowed=frozenset()):
        """0, or the errno, which must be one that is documented. @box: whose `error` has the sentence then,
        unless the kernel has answered by itself."""
        try:
            call()
            return 0
        except OSError as e:
            code = e.errno
        self.all.count(err_name(code))
        if code not in DOCUMENTED and code not in allowed and code not in OF_THE_KERNEL:
            raise Wrong("%s: %s, which ctnfs(5) does not tell of" % (what, err_name(code)))
        if box and code not in OF_THE_KERNEL and code not in allowed:
            box.check_told(code, what)
        return code

    def close(self, i):
        s, self.slots[i] = self.slots[i], None
        if s:
            os.close(s.fd)
            if s.writes and s.truncated:
                s.box.will_settle()

    def close_all(self, box=None):
        for i, s in enumerate(self.slots):
            if s and (box is None or s.box is box):
                self.close(i)

    def look_at_root(self):
        """What was made is there, what was removed is not."""
        names = [n for n in os.listdir(self.server.mnt) if n.startswith("c%d-" % self.number)]
        if sorted(names) != sorted(n for n in self.boxes if not self.boxes[n].shared):
            raise Wrong("the root lists %s, there should be %s" % (sorted(names), sorted(self.boxes)))


def some_box(c, r):
    return r.choice(sorted(c.boxes)) if c.boxes else c.names[0]
