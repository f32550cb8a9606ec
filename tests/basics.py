# SPDX-License-Identifier: Apache-2.0
"""Where the build is, how long things may take, and plain reads and writes."""

import errno
import os
import shutil
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TREE = os.path.dirname(HERE)
BUILD = os.environ.get("CTNFS_BUILD") or os.path.join(TREE, "build")
SLOW = float(os.environ.get("CTNFS_SLOW", "1"))
RANGE = 65536  # ids of one container
PROGRAMS = ("ctnfs", "ctnfs-monitor", "ctnfs-exec", "ctnfs-attach")  # that a server runs or shows; they are beside each other


def build_path(name):
    """A program of the build, wherever in its directory it is made."""
    for top in (BUILD, os.path.join(BUILD, "core"), os.path.join(BUILD, "fs")):
        if os.path.exists(os.path.join(top, name)):
            return os.path.join(top, name)
    return os.path.join(BUILD, name)


def sanitizers():
    """Which sanitizers the server was built with."""
    try:
        with open(build_path("ctnfs"), "rb") as f:
            image = f.read()
    except OSError:
        return set()
    marks = {"address": b"__asan_init", "undefined": b"__ubsan_handle", "thread": b"__tsan_init"}
    return {name for name, mark in marks.items() if mark in image}


SANITIZERS = sanitizers()
if SANITIZERS:
    SLOW *= 3


def limit(seconds):
    return seconds * SLOW


def until(check, what, seconds=10, pause=0.01):
    """Wait for check() to be true and return what it gave; there is no sleep without a question."""
    deadline = time.monotonic() + limit(seconds)
    while True:
        got = check()
        if got:
            return got
        assert time.monotonic() < deadline, "not within %g s: %s" % (limit(seconds), what)
        time.sleep(pause)


def slurp(path, flags=os.O_RDONLY):
    """A whole file, by plain read(2) calls."""
    fd = os.open(path, flags | os.O_CLOEXEC)
    try:
        parts = []
        while True:
            part = os.read(fd, 131072)
            if not part:
                return b"".join(parts).decode("utf-8", "surrogateescape")
            parts.append(part)
    finally:
        os.close(fd)


def put(path, text, append=False):
    """What `echo text > path` does: open, one write(2), close. Returns 0 or the errno."""
    data = text.encode() if isinstance(text, str) else text
    flags = os.O_APPEND if append else os.O_TRUNC
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | flags, 0o600)
    except OSError as e:
        return e.errno
    try:
        n = os.write(fd, data)
        assert n == len(data), "a short write of %d of %d bytes" % (n, len(data))
    except OSError as e:
        return e.errno
    finally:
        os.close(fd)
    return 0


def err_name(number):
    return errno.errorcode.get(number, str(number)) if number else "success"


def have(program):
    return shutil.which(program, path="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")


def settle(find, seconds=5):
    """What find() still reports when it has had time to become empty."""
    deadline = time.monotonic() + limit(seconds)
    while True:
        wrong = find()
        if not wrong or time.monotonic() > deadline:
            return wrong
        time.sleep(0.02)
