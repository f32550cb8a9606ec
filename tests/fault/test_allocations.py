# SPDX-License-Identifier: Apache-2.0
"""Each allocation of the server in an operation fails once, those of its libraries included (F5). What
the monitor and the stage allocate is test_failing_calls.py's: there mmap and brk fail.

The operation is done all the same, or refused with a sentence and as if it had never been; nothing
leaks, nothing crashes. json-c cannot be without memory: it aborts, and then that is one more kill of
the server, after which all that F1 says has to hold. CTNFS_LONG=1: all of them, else some of each
operation."""

import errno
import mmap
import os
import re
import struct

import pytest

import basics
from basics import SANITIZERS, err_name, settle
from harness import cgroup_version
from nth import points, told
from operations import GROUPS, exists
from test_failing_calls import errors_of, recover, settled
from truth import Witness, check_all, check_no_residue, clear, ids_on_disk

LIBRARY = os.path.join(basics.BUILD, "tests", "libfault-alloc.so")  # before the session puts its copies in BUILD's place
SHORT = 6
CUT = (errno.ENOTCONN, errno.ECONNABORTED)


class Control:
    """What alloc.c shares with us."""

    def __init__(self, path):
        with open(path, "wb") as f:
            f.truncate(4096)
        with open(path, "r+b") as f:
            self.memory = mmap.mmap(f.fileno(), 4096)

    def arm(self, at=0):
        self.memory[8:32] = struct.pack("QQQ", 0, at, 0)
        self.memory[0:8] = struct.pack("Q", 1)

    def disarm(self):
        """Return: how many there were, and who asked for that which failed."""
        self.memory[0:8] = struct.pack("Q", 0)
        seen, _, failed = struct.unpack("QQQ", self.memory[8:32])
        return seen, failed


class Places:
    """What is where in the server's memory."""

    def __init__(self, pid):
        self.ranges = []
        with open("/proc/%d/maps" % pid) as f:
            for words in map(str.split, f):
                low, high = (int(w, 16) for w in words[0].split("-"))
                self.ranges.append((low, high, int(words[2], 16), os.path.basename(words[-1])))

    def name(self, address):
        for low, high, offset, name in self.ranges:
            if low <= address < high:
                return "%s+0x%x" % (name, address - low + offset)
        return hex(address)


@pytest.fixture
def control(new_server):
    """Of a server that asks it."""
    server = new_server(start=False)
    path = os.path.join(server.dir, "alloc")
    c = Control(path)
    server.environment = {"LD_PRELOAD": LIBRARY, "CTNFS_TEST_ALLOC": path}
    server.start()
    c.server = server
    return c


def check_refused(server, op, c, r, was, said, place):
    """A library may have no words for it."""
    assert place, "%s without a fault" % err_name(r)
    assert not place.startswith("ctnfs+") or errors_of(server) != said, "%s without a sentence" % err_name(r)
    op.refused(c)
    if op.name not in ("session", "restart"):  # of these a part may be done
        settled(server, was)


def one_round(control, witness, op, number):
    """Return: how many allocations there were; whether the server has ended."""
    server, c = control.server, op.prepare(control.server)
    was, said, places = server.inner_state(), errors_of(server), Places(server.proc.pid)
    control.arm(number)
    r = op.act(c)
    seen, failed = control.disarm()
    place = places.name(failed) if failed else ""
    server.session.ids.update(ids_on_disk(server))
    ended = until_ended(server) if r in CUT else False
    try:
        if ended:
            assert not place.startswith("ctnfs+"), "the server ended: " + server.stderr()
            server.start()
        elif r:
            check_refused(server, op, c, r, was, said, place)
        check_all(server, witness)
        if not r or ended and (exists(c) or op.name == "rename"):
            op.agree(c)
        op.again(c)
        check_all(server, witness)
        ids = ids_on_disk(server)
        clear(server)
        check_no_residue(server, witness, ids)
    except (AssertionError, OSError) as e:
        raise AssertionError("at %s: %s" % (place, e)) from e
    if failed and not place.startswith("ctnfs+"):  # it may have lost what was told it, such as the end of a file's use
        server.kill9()
        server.start()
        check_all(server, witness)
    return seen, ended


def until_ended(server):
    return bool(settle(server.running)) is False


@pytest.mark.skipif(bool(SANITIZERS), reason="the sanitizers have their own malloc")
@pytest.mark.slow_ok(900)
@pytest.mark.stderr("fuse: |allocate|memory")
@pytest.mark.parametrize("group", GROUPS)
def test_each_allocation_fails_once(control, group):
    server = control.server
    server.version = cgroup_version(server)
    witness = Witness(server)
    base, wrong, rounds, ends = server.inner_state(), [], 0, 0
    for op in (o for o in GROUPS[group] if re.match(os.environ.get("CTNFS_OP", ""), o.name)):
        with told(str(op)):
            total, _ = one_round(control, witness, op, 0)
        print(op, total)
        for number in points(total, SHORT):
            try:
                ends += one_round(control, witness, op, number)[1]
                settled(server, base)
                rounds += 1
            except (AssertionError, OSError) as e:
                wrong.append("%s: allocation %d of %d: %s" % (op, number, total, e))
                print(wrong[-1], flush=True)
                recover(server)
    print(rounds, "failing allocations,", ends, "ended the server from within a library,", len(wrong), "failures")
    assert not wrong, "\n".join(wrong)
