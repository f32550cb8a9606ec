# SPDX-License-Identifier: Apache-2.0
"""Kills a process at its Nth system call of a kind, or lets that call fail (nth.c)."""

import contextlib
import errno
import os
import select
import subprocess

import basics
from basics import SANITIZERS, SLOW, limit

PROGRAM = os.path.join(basics.BUILD, "tests", "fault-nth")  # before the session puts its copies in BUILD's place
LONG = os.environ.get("CTNFS_LONG") == "1"
SERVER, MONITOR, STAGE, ALL = 0, 1, 2, 9  # a process, a child of it, one of that; all of them
CLASS_OF = {"ENOSPC": "space", "EIO": "io", "EMFILE": "files", "ENOMEM": "memory"}


class Nth:
    """As a context: attached to a process and all that it starts. @action: "count", "kill",
    "kill-root", "kill-both", "hold" or the name of an errno. @kind: "CALL:PART" for calls about
    something that has that part in its path, "any" for all; else what @action is about."""

    def __init__(self, pid, role, action, number=0, kind=None):
        self.calls = []  # those that were counted: (role, name)
        self.texts = []  # and what they were about
        self.hit = None  # the Nth
        self.caller = None  # the process that was to do it
        self.kind = kind or CLASS_OF.get(action, "changes")
        action = str(getattr(errno, action)) if action in CLASS_OF else action
        self.argv = [PROGRAM, str(pid), str(role), self.kind, action, str(number)]

    def __enter__(self):
        self.proc = subprocess.Popen(self.argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                     bufsize=0)
        line = self.proc.stdout.readline()
        assert line == b"ready\n", "nth said %r" % line
        return self

    def take(self, line):
        words = line.decode(errors="replace").rstrip("\n").split(" ", 4)
        if words[0] == "hit":
            self.hit, self.caller = words[2], int(words[3])
        else:
            self.calls.append((int(words[0]), words[1]))
            self.texts.append(" ".join(words[3:]))

    def until_held(self, worker):
        """With "hold": the call that is held now, or None when @worker, a thread, has ended before."""
        while worker.is_alive() or select.select([self.proc.stdout], [], [], 0)[0]:
            if select.select([self.proc.stdout], [], [], 0.01)[0]:
                line = self.proc.stdout.readline()
                if line:
                    self.take(line)
                if self.hit or not line:
                    break
        return self.hit

    def __exit__(self, *_):
        out, _ = self.proc.communicate(timeout=limit(20))
        for line in out.splitlines():
            self.take(line)


def points(total, short):
    """Which of so many calls: all with CTNFS_LONG=1, else some, the first and the last among them."""
    if LONG or total <= short:
        return list(range(1, total + 1))
    if SLOW >= 4 or SANITIZERS:
        short = max(short // 4, 2)
    return sorted({1 + i * (total - 1) // (short - 1) for i in range(short)})


@contextlib.contextmanager
def told(what):
    """A failure in it says of which round it is."""
    try:
        yield
    except (AssertionError, OSError) as e:
        raise AssertionError("%s: %s" % (what, e)) from e
