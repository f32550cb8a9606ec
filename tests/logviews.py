# SPDX-License-Identifier: Apache-2.0
"""What the views of a log must show, and a program that puts known output there."""

import base64
import json
import os
import re

from basics import until

VIEWS = ("stdout", "stderr", "log.times")
PREFIX = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z")
STAMP = b"0000-00-00T00:00:00.000000000Z"

# One piece after the other: the next is written when the monitor has taken the last one from its pipe.
WRITER = r"""
import base64, fcntl, json, os, termios, time
def put(fd, data):
    view = memoryview(data)
    while len(view):
        view = view[os.write(fd, view):]
    while fcntl.ioctl(fd, termios.FIONREAD, bytes(4)) != bytes(4):
        time.sleep(0.0001)
def go(number):
    while not os.path.exists("/root/go%d" % number):
        time.sleep(0.005)
"""


def raw(path):
    with open(path, "rb", buffering=0) as f:
        return f.readall()


def read(c, name):
    return raw(c.path(name))


def write_pieces(pieces):
    """A program that writes (1 or 2, bytes) in that order."""
    data = json.dumps([(fd, base64.b64encode(part).decode()) for fd, part in pieces])
    return WRITER + "for fd, part in json.loads(%r): put(fd, base64.b64decode(part))\n" % data


def let_go(c, number):
    """Tell a program that waits in go(number)."""
    with open(c.path("root/root/go%d" % number), "w"):
        pass


class Model:
    """The files after those pieces; each time in log.times is STAMP."""

    def __init__(self, pieces=()):
        self.log = self.stdout = self.stderr = self.times = b""
        self.last = None
        for fd, part in pieces:
            self.add(fd, part)

    def add(self, fd, part):
        name = {1: b"stdout", 2: b"stderr"}[fd]
        if self.last not in (None, fd) and not self.log.endswith(b"\n"):
            self.times += b"\n"
        middle = self.last == fd and not self.log.endswith(b"\n")
        for line in split(part):
            self.times += (b"" if middle else STAMP + b" " + name + b" ") + line
            middle = False
        self.log += part
        setattr(self, name.decode(), getattr(self, name.decode()) + part)
        self.last = fd

    def check(self, c):
        assert read(c, "log") == self.log
        assert read(c, "stdout") == self.stdout
        assert read(c, "stderr") == self.stderr
        return self.check_times(read(c, "log.times"))

    def check_times(self, got):
        """The times that are in it."""
        assert len(got) == len(self.times)
        stamps, at = [], self.times.find(STAMP)
        while at >= 0:
            stamps.append(got[at:at + len(STAMP)])
            assert PREFIX.fullmatch(stamps[-1]), stamps[-1]
            got = got[:at] + STAMP + got[at + len(STAMP):]
            at = self.times.find(STAMP, at + len(STAMP))
        assert got == self.times
        return stamps


def split(part):
    """Lines end with a newline and nothing else."""
    lines = [line + b"\n" for line in part.split(b"\n")]
    lines[-1] = lines[-1][:-1]
    return [line for line in lines if line]


class Follower:
    """Reads a file as it grows, as tail -f does."""

    def __init__(self, path):
        self.fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self.got = bytearray()
        self.size = 0

    def step(self):
        size = os.fstat(self.fd).st_size
        assert size >= self.size, "the file shrank"
        self.size = size
        while True:
            part = os.read(self.fd, 131072)
            if not part:
                return self
            self.got += part

    def until(self, text):
        until(lambda: text in self.step().got, "%r in what was followed" % text)
        return self

    def close(self):
        os.close(self.fd)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
