# SPDX-License-Identifier: Apache-2.0
"""What a client does with descriptors that it keeps for a while. As in mount_ops.py."""

import os

import odd_calls
from mount_texts import FILES, VALUES, WRITABLE, anything
from mount_world import EVERY, SLOTS, Slot, Wrong, some_box

FLAGS = (os.O_RDONLY, os.O_WRONLY, os.O_RDWR, os.O_RDWR | os.O_APPEND, os.O_WRONLY | os.O_APPEND,
         os.O_WRONLY | os.O_TRUNC, os.O_RDWR | os.O_TRUNC, os.O_PATH, os.O_RDWR | os.O_DIRECT,
         os.O_WRONLY | os.O_CREAT, os.O_RDWR | os.O_CREAT | os.O_EXCL, os.O_RDONLY | os.O_DIRECTORY,
         os.O_RDWR | os.O_SYNC, os.O_RDONLY | os.O_NOATIME, os.O_RDWR | os.O_TMPFILE, os.O_RDONLY | os.O_TRUNC, 3)


def draw_open(c, r):
    return (r.randrange(SLOTS), some_box(c, r), r.choice(FILES + ("log", "stdin", "wait", "", "ns", "procs", "execs", "cgroup")),
            r.choice(FLAGS))


def open_it(c, i, name, f, flags):
    box = c.box(name)
    c.close(i)
    if not box:
        return
    fd = []
    path = box.path(f)
    code = c.attempt("open %s with %#x" % (path, flags),
                     lambda: fd.append(os.open(path, flags | os.O_CLOEXEC | os.O_NONBLOCK, 0o600)), allowed=EVERY)
    if code == 0:
        c.slots[i] = Slot(fd[0], box, f, flags)
    box.told = box.refusals()


def draw_close(c, r):
    return (r.randrange(SLOTS),)


def close_it(c, i):
    c.close(i)


def draw_call(c, r):
    i = r.randrange(SLOTS)
    s = c.slots[i]
    return (i, r.choice(sorted(odd_calls.CALLS)), r.randrange(1 << 20),
            anything(r, s.name if s and s.name in WRITABLE else "env"), s.name if s else "")


def call(c, i, name, n, data, f):
    """An odd system call. What it has written, if it could, is of the descriptor's own file."""
    s = c.slots[i]
    if not s or s.name != f:  # of another list of operations
        return
    writes = name in odd_calls.WRITING and s.flags & 3
    if writes and f not in WRITABLE + ("log", "stdin"):
        return
    c.attempt("%s on %s, %d" % (name, f, n), lambda: odd_calls.CALLS[name](s.fd, n, data), allowed=EVERY)
    s.truncated |= name in ("truncate", "allocate")
    if s.box.name in c.boxes:
        s.box.told = s.box.refusals() if not s.box.shared else s.box.told


def draw_write(c, r):
    i = r.randrange(SLOTS)
    s = c.slots[i]
    f = s.name if s else ""
    return (i, f, anything(r, f if f in WRITABLE else "env"))


def write(c, i, f, data):
    s = c.slots[i]
    if not s or s.name != f or not data or not s.flags & 3:
        return
    before = s.box.keep(False) if s.box.name in c.boxes and f in VALUES else None
    code = c.attempt("write %r to %s" % (data[:200], f), lambda: os.write(s.fd, data), allowed=EVERY)
    if s.box.name not in c.boxes:
        if code == 0 and f not in ("log", "stdin"):
            raise Wrong("%s of a container that is gone was written" % f)
        return
    if code and len([l for l in data.split(b"\n") if l.strip()]) <= 1:
        s.box.compare("write %r to %s" % (data, f), before)
    s.box.told = s.box.refusals() if not s.box.shared else s.box.told


def draw_read(c, r):
    return (r.randrange(SLOTS), r.choice((0, 1, 10, 4096, 131072)), r.choice((0, 0, 1, 50, 4096, 1 << 33)))


def read(c, i, size, off):
    s = c.slots[i]
    if not s or s.flags & 3 == os.O_WRONLY:
        return
    got = []
    code = c.attempt("pread %d at %d of %s" % (size, off, s.name), lambda: got.append(os.pread(s.fd, size, off)), allowed=EVERY)
    if code == 0 and s.name == "id" and off == 0 and size > 64 and got[0].decode().strip() != s.box.id:
        raise Wrong("a descriptor of %s reads another container's id" % s.box.id)
