# SPDX-License-Identifier: Apache-2.0
"""Programs that write to `stdin`, and one that does not read it. The fixtures are for whoever imports them."""

import os
import re
import subprocess
import sys

import pytest

from basics import limit, slurp, until

PIPE = 65536  # what fits into it before a writer waits


def write_fully(fd, data):
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view):]


def waits(pid):
    """Whether a process is inside a call on our mount."""
    try:
        return re.search("fuse|request_wait", slurp("/proc/%d/wchan" % pid))
    except OSError:
        return False


@pytest.fixture
def writer():
    """Starts programs that write 1 MiB of a letter to `stdin`, and are parked then."""
    made = []

    def start(c, letter="x", mode="ab", script=None):
        code = script or "import sys\nwith open(sys.argv[1], sys.argv[3], 0) as f: print(f.write(sys.argv[2].encode() * 2**20))"
        p = subprocess.Popen([sys.executable, "-c", code, c.path("stdin"), letter, mode],
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        made.append(p)
        until(lambda: waits(p.pid), "the writer is parked", 20)
        return p

    yield start
    for p in made:
        if p.poll() is None:
            p.kill()
        p.communicate()


@pytest.fixture
def deaf(ctn):
    """A container whose program reads nothing until it gets USR1, then counts what comes."""
    ctn.sh("trap 'exit 0' TERM; trap go=1 USR1; go=; echo ready; while [ ! \"$go\" ]; do sleep 0.05; done; wc -c")
    return ctn.until_log("ready")


def ended(p, seconds=10):
    out, err = p.communicate(timeout=limit(seconds))
    return p.returncode, out.strip(), err
