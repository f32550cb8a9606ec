# SPDX-License-Identifier: Apache-2.0
"""What a client does. Each operation is drawn from random numbers first, as a tuple of plain values
that can be printed and done once more, and then done."""

import errno
import os
import stat

from basics import put, slurp
from mount_descriptors import call, close_it, draw_call, draw_close, draw_open, draw_read, draw_write, open_it, read, write
from mount_texts import FILES, KINDS, LISTS, VALUES, WRITABLE, anything, document, same, valid
from mount_world import EVERY, STALE, Wrong, some_box

ODD_NAMES = ("x" * 64, "x" * 65, "n" * 255, "n" * 256, ".", "..", ".hidden", "-x", "a b", "a\nb", "a:b", "\udcff\udcfe", "ü",
             "new", "images", "networks", "README", "memory.limt", "envv", "env", "*", "a\\b", "%s", "#1", "1", "0", "4194304",
             "env.tmp", "env~", ".env.swp", "4913", "ns", "cgroup", "memory.max", "wait")
ODD_PATHS = ("ns/../env", "./././env", "cgroup/raw/../../env", "env/", "env/x", "ns/net/x", "procs/1/root/../..", "procs/01",
             "layer/../x", "proc/self", "root/..", "cgroup/memory.max", "cgroup/raw/memory/tasks", "execs/x/env", "execs/.",
             "ns/nosuch", "exec", "attach", "memory.limit", "procs/99999999999", "cgroup/" + "y" * 300, "/".join(["ns/.."] * 40))


# --- containers ---

def draw_make(c, r):
    return (r.choice(c.names),)


def make(c, name):
    if c.attempt("mkdir %s" % name, lambda: os.mkdir(os.path.join(c.server.mnt, name))) == 0:
        c.add(name)
    elif name not in c.boxes:
        raise Wrong("mkdir %s is refused: %s" % (name, c.server.read("error").splitlines()[-1]))


def draw_remove(c, r):
    return (some_box(c, r), r.random() < 0.7)


def remove(c, name, kill):
    box = c.box(name)
    if not box or box.shared:
        return
    if kill:
        put(box.path("ctl"), "kill\n")
    if c.attempt("rmdir %s" % name, lambda: os.rmdir(box.path()), box=box) == 0:
        c.drop(name)
        c.look_at_root()


def draw_move(c, r):
    return (some_box(c, r), r.choice(c.names))


def move(c, old, new):
    box = c.box(old)
    if not box or box.shared:
        return
    if c.attempt("mv %s %s" % (old, new), lambda: os.rename(box.path(), os.path.join(c.server.mnt, new)), box=box) == 0:
        if old != new and new in c.boxes:
            raise Wrong("%s was renamed over %s" % (old, new))
        c.boxes[new] = c.boxes.pop(old)
        box.name = new


def draw_odd_name(c, r):
    return (r.choice(("mkdir", "rmdir", "unlink", "mknod", "fifo", "symlink", "create", "rename", "lookup", "exclusive", "swap")),
            some_box(c, r), r.choice(("", "", "ns", "cgroup", "procs", "execs", "cgroup/raw")), r.choice(ODD_NAMES))


def odd_name(c, how, name, sub, odd):
    """Names that are none of anybody's; what is made all the same goes again at once."""
    box = c.box(name)
    if not box or (odd in (".", "..") and how in ("rmdir", "mkdir", "rename", "swap")):
        return
    path = box.path(sub, odd)
    calls = {
        "mkdir": lambda: os.mkdir(path), "rmdir": lambda: os.rmdir(path), "unlink": lambda: os.unlink(path),
        "mknod": lambda: os.mknod(path, stat.S_IFREG | 0o600), "fifo": lambda: os.mkfifo(path),
        "symlink": lambda: os.symlink("../../x/ns/net", path), "lookup": lambda: os.lstat(path),
        "create": lambda: os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NONBLOCK)),
        "exclusive": lambda: os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)),
        "rename": lambda: os.rename(path, path + "2"), "swap": lambda: os.rename(box.path("env"), path),
    }
    told = None if box.shared or how in ("lookup", "rename", "swap") or not valid_name(path) else box
    if told and (os.path.lexists(path) or not os.path.isdir(os.path.dirname(path))):
        told = None
    if c.attempt("%s %s" % (how, path), calls[how], box=None) == 0:
        for undo in (os.unlink, os.rmdir):
            try:
                undo(path if how != "rename" else path + "2")
            except OSError:
                pass
    box.told = box.refusals()


def valid_name(path):
    return all(len(os.fsencode(p)) < 256 and p not in (".", "..") for p in path.split("/"))


def draw_odd_root(c, r):
    return (r.choice(("mkdir", "rename", "create", "unlink", "symlink")), "c%d" % c.number + r.choice(
        (" x", ":x", "\n", "x" * 70, "\udcff", "/x", "\x7f", "-" + "y" * 250)))


def odd_root(c, how, odd):
    path = os.path.join(c.server.mnt, odd)
    calls = {"mkdir": lambda: os.mkdir(path), "rename": lambda: os.rename(os.path.join(c.server.mnt, c.names[0]), path),
             "create": lambda: os.close(os.open(path, os.O_WRONLY | os.O_CREAT)), "unlink": lambda: os.unlink(path),
             "symlink": lambda: os.symlink("x", path)}
    if c.attempt("%s %r in the root" % (how, odd), calls[how]) == 0:
        raise Wrong("%s %r in the root was accepted" % (how, odd))


# --- whole writes ---

def draw_whole(c, r):
    f = r.choice(WRITABLE)
    append = r.random() < 0.3
    if f in VALUES and r.random() < 0.6:
        value = valid(r, f)
        want = VALUES[f][1] and same(value.decode())
        return (some_box(c, r), f, append, value + r.choice((b"\n", b"")), want, False)
    return (some_box(c, r), f, append, anything(r, f), None, r.random() < 0.2)


def whole(c, name, f, append, data, want, much):
    """echo … > file"""
    box = c.box(name)
    if not box:
        return
    lines = len([l for l in data.split(b"\n") if l.strip()])  # those before a bad one count
    before = box.keep(much) if f not in ("ctl", "cmd") and (lines <= 1 or f in LISTS) else None
    what = "%s/%s %s %r" % (name, f, ">>" if append else ">", data[:200])
    code = c.attempt(what, lambda: write_whole(box.path(f), data, append), box=box,
                     allowed=EVERY if box.shared else frozenset())
    if f in LISTS and data[-1:] != b"\n":
        box.will_settle()  # it may be held, and refused when it is released
    if code:
        box.compare(what, before)
    elif want is not None and not box.shared:
        box.check_value(what, f, want)
    if code == 0 and f == "ctl":
        after_verb(box, data)


def after_verb(box, data):
    state = box.read("state").strip()
    if not box.shared and data in (b"kill\n", b"stop 0\n") and state not in ("created", "exited"):
        raise Wrong("after %r its state is %s" % (data, state))


def write_whole(path, data, append):
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | (os.O_APPEND if append else os.O_TRUNC), 0o600)
    try:
        if data and os.write(fd, data) != len(data):
            raise Wrong("a short write to %s" % path)
    finally:
        os.close(fd)


def draw_back(c, r):
    return (some_box(c, r), r.choice(tuple(VALUES) + tuple(LISTS)))


def back(c, name, f):
    """What is read may be written back, and means the same."""
    box = c.box(name)
    if not box or box.shared or box.half_written() or not box.at_rest():
        return
    text = slurp(box.path(f))
    code = c.attempt("write %s back" % f, lambda: write_whole(box.path(f), os.fsencode(text), False), box=box)
    if code and code not in (errno.EOPNOTSUPP, errno.EPERM):
        raise Wrong("%s reads %r, which it does not take: %s" % (f, text, box.refusals()[-1]))
    if f != "ns.list" and slurp(box.path(f)) != text:
        raise Wrong("%s was %r, and written back is %r" % (f, text, slurp(box.path(f))))


# --- a container as a whole ---

def draw_one(c, r):
    return (some_box(c, r),)


def look(c, name):
    if c.box(name):
        c.box(name).look()


def read_all(c, name):
    if c.box(name):
        c.box(name).read_all()


def draw_root(c, r):
    return ()


def look_at_root(c):
    c.look_at_root()
    for f in ("status", "stats", "metrics", "README", "new", "error"):
        if not c.server.read(f) and f != "error":
            raise Wrong("the root's %s is empty" % f)


def draw_change(c, r):
    return (some_box(c, r), r.choice(FILES), r.choice(("chmod", "chown", "utime", "truncate", "unlink", "link", "rmdir", "rename",
                                                      "setxattr", "removexattr", "path", "access")), r.randrange(1000))


def change(c, name, f, how, n):
    """What files here do not take, by path."""
    box = c.box(name)
    if not box or box.half_written():
        return
    path = box.path(f)
    before = box.keep(n % 5 == 0)
    sizes = (0, 1, 4096, 1 << 40) if f not in LISTS else (1, 4096, 1 << 40)
    calls = {
        "chmod": lambda: os.chmod(path, (0o600, 0o777, 0o4755)[n % 3]), "chown": lambda: os.chown(path, (0, 7)[n % 2], -1),
        "utime": lambda: os.utime(path), "truncate": lambda: os.truncate(path, sizes[n % len(sizes)]),
        "unlink": lambda: os.unlink(path), "link": lambda: os.link(path, box.path("x.tmp")), "rmdir": lambda: os.rmdir(path),
        "rename": lambda: os.rename(path, box.path(("y.tmp", "env", "cwd")[n % 3])),
        "setxattr": lambda: os.setxattr(path, "user.x", b"1"), "removexattr": lambda: os.removexattr(path, "user.x"),
        "path": lambda: os.close(os.open(box.path(ODD_PATHS[n % len(ODD_PATHS)]), os.O_RDONLY | os.O_NONBLOCK)),
        "access": lambda: os.access(path, n % 8),
    }
    c.attempt("%s of %s" % (how, path), calls[how], allowed=EVERY | {errno.ENODATA})
    box.compare("%s of %s" % (how, f), before)
    box.told = box.refusals()


def draw_scratch(c, r):
    f = r.choice(("env", "caps", "cwd", "hostname", "restart", "log.max", "rlimits", "nosuch", ""))
    return (some_box(c, r), r.choice(("env.tmp", ".x", "y~", "excl")), anything(r, f if f in WRITABLE else "env"), f)


def scratch(c, name, temp, data, target):
    """What editors do: a file beside, and over it."""
    box = c.box(name)
    if not box or box.shared or box.half_written():
        return
    path = box.path(temp)
    if c.attempt("create %s" % path, lambda: os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)), box=box):
        return
    box.scratch.add(temp)
    box.look()
    with open(path, "r+b", buffering=0) as f:
        f.write(data)
        if os.pread(f.fileno(), len(data) + 1, 0) != data:
            raise Wrong("%s does not read as it was written" % temp)
    if not target or c.attempt("mv %s %s, which has %r" % (temp, target, data[:100]),
                               lambda: os.rename(path, box.path(target)), box=box):
        os.unlink(path)
    box.scratch.discard(temp)
    box.look()


def draw_ns_link(c, r):
    return (some_box(c, r), r.choice(KINDS), r.choice(("../../%s/ns/net" % some_box(c, r), "/proc/1/ns/net", "", "x" * 300,
                                                      "new", "../../nosuch/ns/uts")))


def ns_link(c, name, kind, target):
    box = c.box(name)
    if not box:
        return
    path = box.path("ns", ".link")
    if c.attempt("symlink %r" % target, lambda: os.symlink(target, path), allowed=STALE) == 0:
        code = c.attempt("mv .link ns/%s" % kind, lambda: os.rename(path, box.path("ns", kind)), allowed=STALE)
        if code:
            c.attempt("unlink .link", lambda: os.unlink(path))
        elif os.path.lexists(path):
            raise Wrong("ns/.link is still there")
    if not box.shared:
        put(box.path("ns.list"), "net new\nuts new\nipc new\npid new\ncgroup new\nuser new\nmnt new\n", append=True)
    box.told = box.refusals()


def draw_session(c, r):
    return (some_box(c, r), r.choice("ab"), r.choice(("true", "sleep 1000", "cat", "/no/such", "")), r.random() < 0.6)


def session(c, name, which, command, end):
    box = c.box(name)
    if not box:
        return
    top = box.path("execs", which)
    c.attempt("mkdir %s" % top, lambda: os.mkdir(top), allowed=STALE)
    c.attempt("start %s" % top, lambda: write_whole(os.path.join(top, "cmd"), command.encode() + b"\n", False), allowed=STALE)
    for f in ("state", "log", "exit", "status", "ps", "env"):
        c.attempt("read %s" % f, lambda: slurp(os.path.join(top, f)), allowed=STALE)
    if end:
        c.attempt("end %s" % top, lambda: write_whole(os.path.join(top, "ctl"), b"kill\n", False), allowed=STALE)
        c.attempt("rmdir %s" % top, lambda: os.rmdir(top), allowed=STALE)
    box.told = box.refusals()


def draw_new(c, r):
    return (r.choice(c.names), document(r, "?"), r.choice((1, 7, 100, 5000)))


def new(c, name, text, piece):
    """A document, in pieces; the answer is its name."""
    data, answer = text.replace('"?"', '"%s"' % name, 1).encode(), []

    def write_document():
        fd = os.open(os.path.join(c.server.mnt, "new"), os.O_RDWR | os.O_CLOEXEC)
        try:
            for i in range(0, len(data), piece):
                os.write(fd, data[i:i + piece])
            answer.append(os.pread(fd, 1000, len(data)).decode())
        finally:
            os.close(fd)

    code = c.attempt("new < %r" % data, write_document)
    there = os.path.isdir(os.path.join(c.server.mnt, name))
    if there and name not in c.boxes:
        if code or answer[0] != name + "\n":
            raise Wrong("new < %r: %s, %r, and it is there" % (data, code, answer))
        c.add(name)
    elif not there and name in c.boxes:
        raise Wrong("%s has gone" % name)


def draw_log(c, r):
    return (some_box(c, r), r.choice(("log", "stdout", "stderr", "log.times", "events")), r.choice((0, 1, 100, 1 << 40)),
            r.random() < 0.2)


def log(c, name, f, off, empty):
    box = c.box(name)
    if not box:
        return
    with open(box.path(f), "rb", buffering=0) as view:
        st = os.fstat(view.fileno())
        text = os.pread(view.fileno(), 1 << 20, off)
        if off > st.st_size and text and not box.shared and not f == "events":
            raise Wrong("%s has %d bytes, and %d at %d" % (f, st.st_size, len(text), off))
    if empty:
        c.attempt(": > log", lambda: write_whole(box.path("log"), b"", False), box=box)


def draw_stdin(c, r):
    return (some_box(c, r), r.choice((b"", b"a line\n", b"no end", b"x" * 5000, b"\x04", b"\0\xff")), r.random() < 0.5)


def stdin(c, name, data, append):
    box = c.box(name)
    if not box:
        return

    def write_input():
        fd = os.open(box.path("stdin"), os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC | (os.O_APPEND if append else os.O_TRUNC))
        try:
            if data:
                os.write(fd, data)
        finally:
            os.close(fd)

    c.attempt("stdin < %r" % data[:20], write_input, allowed=STALE | {errno.EPIPE})
    box.told = box.refusals()


# Name: how often, how it is drawn, how it is done.
OPS = {
    "make": (6, draw_make, make), "remove": (2, draw_remove, remove), "move": (2, draw_move, move),
    "odd_name": (8, draw_odd_name, odd_name), "odd_root": (1, draw_odd_root, odd_root),
    "whole": (30, draw_whole, whole), "back": (6, draw_back, back),
    "open": (14, draw_open, open_it), "close": (4, draw_close, close_it), "call": (30, draw_call, call),
    "write": (14, draw_write, write), "read": (8, draw_read, read),
    "look": (1, draw_one, look), "read_all": (1, draw_one, read_all),
    "look_at_root": (1, draw_root, look_at_root), "change": (10, draw_change, change), "scratch": (3, draw_scratch, scratch),
    "ns_link": (1, draw_ns_link, ns_link), "session": (2, draw_session, session), "new": (2, draw_new, new),
    "log": (3, draw_log, log), "stdin": (2, draw_stdin, stdin),
}
CHOICES = [name for name, (weight, _, _) in OPS.items() for _ in range(weight)]


def draw(c, r):
    name = r.choice(CHOICES) if len(c.boxes) > 1 or r.random() < 0.5 else "make"
    return (name,) + OPS[name][1](c, r)


def do(c, op):
    OPS[op[0]][2](c, *op[1:])
