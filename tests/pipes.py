# SPDX-License-Identifier: Apache-2.0
"""Programs that write to `stdin`, and one that does not read it. The fixtures are for whoever imports them."""

import fcntl
import os
import re
import struct
import subprocess
import sys
import termios

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


def held(c):
    """Bytes in the pipe that the program has not read yet."""
    fd = os.open(os.path.join(c.server.run, c.get("id"), "in"), os.O_RDONLY | os.O_NONBLOCK)
    try:
        return struct.unpack("i", fcntl.ioctl(fd, termios.FIONREAD, b"1234"))[0]
    finally:
        os.close(fd)


WRITE = "import sys\nwith open(*sys.argv[1:3], 0) as f: print('open', flush=True); print(f.write(b'x' * 2**20))"


@pytest.fixture
def writer():
    """Starts programs that write 1 MiB to `stdin` once they have said that it is open, and are parked then."""
    made = []

    def start(c, mode="ab", script=WRITE, full=True):
        p = subprocess.Popen([sys.executable, "-c", script, c.path("stdin"), mode],
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        made.append(p)
        assert p.stdout.readline() == "open\n", p.communicate()[1]
        until(lambda: waits(p.pid), "the writer is parked", 20)
        if full:
            until(lambda: held(c) == PIPE, "the pipe is full", 20)
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
