# SPDX-License-Identifier: Apache-2.0
"""More output than is kept, as fast as it comes. CTNFS_LONG=1: a gigabyte."""

import os
import re
import subprocess
import time

import pytest

from basics import SANITIZERS, limit, slurp, until
from logviews import Follower, raw
from sessions import session

LONG = os.environ.get("CTNFS_LONG") == "1"
MIB = 1 << 20
FLOOD = (1024 if LONG else 64) * MIB
WIDTH = 64  # of a line
LINE = b"%010d " + b"x" * (WIDTH - 12) + b"\n"
# A line and its number, WIDTH bytes; at full speed: blocks of lines with the numbers put in.
WRITER = r"""
import os, sys
def flood(fd, lines, first=0):
    block = 4096
    for at in range(first, first + lines, block):
        n = min(block, first + lines - at)
        view = memoryview(b''.join([b'%%010d %s\n' %% i for i in range(at, at + n)]))
        while len(view):
            view = view[os.write(fd, view):]
""" % ("x" * (WIDTH - 12))


def text(first, end):
    return b"".join(LINE % i for i in range(first, end))


def monitor_of(c):
    return int(re.search(r"PPid:\t(\d+)", slurp("/proc/%d/status" % c.pid()))[1])


def resident(pid):
    return int(re.search(r"RssAnon:\s*(\d+)", slurp("/proc/%d/status" % pid))[1]) << 10


def on_disk(c):
    base = os.path.join(c.server.state, c.get("id"))
    return sum(os.stat(os.path.join(base, name)).st_blocks * 512 for name in ("log", "log.index"))


def check_order(got, last):
    """Lines in order, each once; where bytes were dropped the next one begins anywhere."""
    numbers = [int(n) for n in re.findall(rb"^(\d{10}) x{%d}$" % (WIDTH - 12), got, re.M)]
    assert numbers == sorted(set(numbers)) and numbers[-1] == last
    gaps = sum(b != a + 1 for a, b in zip(numbers, numbers[1:]))
    broken = got.count(b"\n") - len(numbers)
    assert broken <= gaps + 1
    return numbers


@pytest.mark.slow_ok(600 if LONG else 60)
def test_at_full_speed(ctn):
    """The bound is exact, nothing is lost within it, and nobody's memory grows."""
    bound, lines = 4 * MIB, FLOOD // WIDTH
    ctn.put("log.max", bound)
    follower, slow = Follower(ctn.path("log")), Follower(ctn.path("log"))
    ctn.py(WRITER + "flood(1, %d); input()" % lines)
    monitor, server = monitor_of(ctn), ctn.server.proc.pid
    before = resident(monitor), resident(server)
    sizes, used, grown = [], [], [0, 0]
    tail = subprocess.Popen(["tail", "-n+1", "-s0.05", "-f", ctn.path("log")], stdout=subprocess.PIPE)
    piped = subprocess.Popen(["tail", "-c", str(bound)], stdin=tail.stdout, stdout=subprocess.PIPE)
    tail.stdout.close()
    while sum(sizes[-1:]) < FLOOD:
        follower.step()
        slow.got += os.read(slow.fd, 4096)
        sizes.append(os.fstat(follower.fd).st_size)
        used.append(on_disk(ctn))
        grown = [max(g, resident(pid) - was) for g, pid, was in zip(grown, (monitor, server), before)]
    assert sizes == sorted(sizes) and sizes[-1] == FLOOD
    assert raw(ctn.path("log")) == text(lines - bound // WIDTH, lines)  # all that is open begins with offset 0
    assert check_order(follower.step().got, lines - 1)
    assert check_order(slow.step().got, lines - 1)
    time.sleep(0.1)  # tail has looked again
    tail.terminate()
    assert check_order(piped.communicate(timeout=limit(20))[0], lines - 1)
    tail.wait()
    for f in (follower, slow):
        f.close()
    assert len(raw(ctn.path("log"))) == os.stat(ctn.path("log")).st_size == bound
    assert int(ctn.status("LogDropped")) == FLOOD - bound
    assert max(used) <= bound + bound // 4 + MIB
    if not SANITIZERS:  # which keep what was freed
        assert grown[0] <= 512 << 10 and grown[1] <= 8 * MIB, grown
    ctn.write("stdin", "\n")
    assert ctn.finish() == 0


def test_readers_of_a_log_that_wraps(ctn):
    """From the start, the middle and the end, while ten times as much comes as is kept."""
    bound = 256 << 10
    ctn.put("log.max", bound)
    each = bound // WIDTH
    ctn.py(WRITER + "for i in range(10): flood(1, %d, i * %d); sys.stdin.readline()\n" % (each, each))
    until(lambda: os.stat(ctn.path("log")).st_size == bound, "the first part")
    readers = {where: Follower(ctn.path("log")) for where in ("start", "middle", "end")}
    os.lseek(readers["middle"].fd, bound // 2, os.SEEK_SET)
    os.lseek(readers["end"].fd, 0, os.SEEK_END)
    got = {where: f.fd for where, f in readers.items()}
    for step in range(1, 10):
        ctn.write("stdin", "\n", append=True)
        until(lambda: os.fstat(got["start"]).st_size == bound * (step + 1), "part %d" % step)
        if step % 3 == 0:  # three times as much as is kept since they read last
            for where in ("middle", "end"):
                readers[where].step()
        # Any place that was dropped reads as the oldest kept; any other as it always was.
        at = bound * step // 2 // WIDTH * WIDTH
        oldest = max(at, bound * step)
        assert os.pread(got["start"], WIDTH, at) == LINE % (oldest // WIDTH)
        assert os.lseek(readers["start"].fd, 0, os.SEEK_DATA) == bound * step
    os.lseek(readers["start"].fd, 0, os.SEEK_SET)
    assert readers["start"].step().got == text(9 * each, 10 * each)
    for where in ("middle", "end"):
        numbers = check_order(readers[where].got, 10 * each - 1)
        assert numbers == [i for part in (3, 6, 9) for i in range(part * each, part * each + each)]
        readers[where].close()
    readers["start"].close()
    ctn.write("stdin", "\n")
    assert ctn.finish() == 0


def test_emptied_at_full_speed(ctn):
    """What a reader gets is in order still, and ends with the last line."""
    lines = FLOOD // 8 // WIDTH
    ctn.put("log.max", MIB)
    with Follower(ctn.path("log")) as f:
        ctn.py(WRITER + "flood(1, %d); sys.stdin.readline(); flood(1, 10, %d)" % (lines, lines))
        emptied = 0
        while f.step().size < lines * WIDTH:
            assert ctn.write("log", "") == 0
            emptied += 1
        ctn.write("stdin", "\n")
        assert ctn.finish() == 0
        assert emptied and check_order(f.step().got, lines + 9)
    ctn.write("log", "")
    assert ctn.read("log") == "" and ctn.status("LogDropped") == "0"
    assert on_disk(ctn) <= 16 << 10


def test_two_containers_and_a_session(tidy):
    """Each has its own."""
    lines, bound = FLOOD // 8 // WIDTH, MIB
    one, other = tidy.make(), tidy.make()
    made = [one.put("log.max", bound), other.put("log.max", 2 * bound)]
    for c in made:
        c.py(WRITER + "flood(1, %d); input()" % lines)
    s = session(one, "s")
    s.put("log.max", bound // 2)
    s.py(WRITER + "flood(2, %d)" % lines)
    made.append(s)
    for c, kept in zip(made, (bound, 2 * bound, bound // 2)):
        until(lambda: c.read("log").endswith("%010d %s\n" % (lines - 1, "x" * (WIDTH - 12))), "all of it", 30)
        assert raw(c.path("log")) == text(lines - kept // WIDTH, lines)
        assert int(c.status("LogDropped")) == lines * WIDTH - kept
    assert raw(s.path("stderr")) == raw(s.path("log")) and raw(s.path("stdout")) == b""
    assert s.finish() == 0
    for c in made[:2]:
        c.write("stdin", "\n")
        assert c.finish() == 0
