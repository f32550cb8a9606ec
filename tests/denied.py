# SPDX-License-Identifier: Apache-2.0
"""Programs that make denied calls, and the lines of `seccomp.denied`."""

import re

from basics import slurp, until

BURST, RATE, KEPT = 256, 500, 1024  # core/monitor/notify.h, core/wire.h
LINE = re.compile(r"^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z) (\d+) (\S+) ([a-z0-9_:-]+)\((.*)\)$")

# For programs inside: call(number, arguments...) is the errno's name, or "ok".
CALL = """
import ctypes, errno, os, signal, sys, threading, time
libc = ctypes.CDLL(None, use_errno=True)
def call(*words):
    r = libc.syscall(*[ctypes.c_long(w) for w in (words + (0,) * 7)[:7]])
    return "ok" if r >= 0 else errno.errorcode[ctypes.get_errno()]
MOUNT, UNSHARE, KEYCTL, SOCKET, CLONE3, GETPPID, SECCOMP = 165, 272, 250, 41, 435, 110, 317
"""

# Some threads that do nothing else than one denied call, and say so from time to time.
HAMMER = CALL + """
seen = {}
def hammer():
    while True:
        word = call(UNSHARE, 0x10000000)
        seen[word] = seen.get(word, 0) + 1
for _ in range(%d):
    threading.Thread(target=hammer, daemon=True).start()
print("ready", flush=True)
while True:
    time.sleep(0.05)
    print(" ".join("%%s=%%d" %% i for i in sorted(seen.items())), flush=True)
"""


class Denied:
    def __init__(self, line):
        m = LINE.match(line)
        assert m, "a line of another form: %r" % line
        self.when, self.pid, self.program, self.call = m[1], int(m[2]), m[3], m[4]
        self.args = [int(a, 16) for a in m[5].split(", ")] if m[5] else []

    def __repr__(self):
        return "%s %s(%s)" % (self.program, self.call, ", ".join(map(hex, self.args)))


def denied(c):
    return [Denied(l) for l in c.read("seccomp.denied").splitlines()]


def monitor_of(c):
    return int(re.search(r"PPid:\t(\d+)", slurp("/proc/%d/status" % c.pid()))[1])


def counts(c):
    """What a hammer has said last."""
    lines = [l for l in c.read("log").splitlines() if "=" in l]
    return {k: int(v) for k, v in (w.split("=") for w in lines[-1].split())} if lines else {}


def hammer(c, threads=4):
    c.py(HAMMER % threads)
    c.until_log("ready")
    until(lambda: counts(c), "the hammer begins")
    return c
