# SPDX-License-Identifier: Apache-2.0
"""Sessions: programs in a container beside its own."""

import os
import subprocess

from basics import until
from containers import Ctn


def session(c, name):
    """A fresh session; its directory is used as a container's."""
    os.mkdir(c.path("execs", name))
    return existing(c, name)


def existing(c, name):
    s = Ctn(c.server, "%s/execs/%s" % (c.name, name))
    c.server.session.ids.add(s.get("id"))
    return s


def names(c):
    return sorted(os.listdir(c.path("execs")))


def host_pids(c):
    """Of all that `ps` shows, on the host."""
    return {int(l.split()[0]) for l in c.read("ps").splitlines()[1:]}


def wait_code(s):
    """What `cat wait` says."""
    return int(s.get("wait"))


def until_gone(pids):
    def alive():
        for pid in pids:
            try:
                with open("/proc/%d/stat" % pid) as f:
                    if f.read().rsplit(")", 1)[1].split()[0] not in "ZX":
                        return True
            except OSError:
                pass
        return False
    until(lambda: not alive(), "%s end" % sorted(pids))


def blocked(argv, number):
    """A program that waits in the system call of that number, on x86-64."""
    p = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def waits():
        try:
            with open("/proc/%d/syscall" % p.pid) as f:
                return f.read().split()[0] == number
        except (OSError, IndexError):
            return False
    until(waits, "%s waits" % argv)
    return p


# A tree of processes, some of them in sessions (setsid) and groups of their own.
TREE = ("setsid sh -c 'sleep 1000 & sleep 1001' & (sleep 1002 & sleep 1003) & "
        "setsid setsid sleep 1004 & until [ $(ps -C sleep -o args= | grep -c '^sleep 100.$') = 5 ]; "
        "do :; done; echo ready; wait")
