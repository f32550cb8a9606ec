# SPDX-License-Identifier: Apache-2.0
"""The log: every byte in order, bounded, followed, emptied."""

import errno
import os
import subprocess
import time

import pytest

from basics import limit, slurp, until

LINES = "import sys, time\nfor i in range(%d):\n    print('line %%06d' %% i, 'x' * 80, flush=True)\n" \
        "    if i %% 20 == 0: time.sleep(%g)\n"


def test_output_and_errors_in_order(ctn):
    out = ctn.output("for i in 1 2 3 4 5; do echo out $i; sleep 0.03; echo err $i >&2; sleep 0.03; done")
    assert out == "".join("out %d\nerr %d\n" % (i, i) for i in range(1, 6))


def test_bytes_are_kept(ctn):
    ctn.output("head -c 300000 /dev/urandom > /root/r; cat /root/r")
    with open(ctn.path("log"), "rb") as log, open(ctn.path("layer/root/r"), "rb") as own:
        assert log.read() == own.read()
    assert os.stat(ctn.path("log")).st_size == 300000


def test_everything_is_there_when_wait_returns(ctn):
    for i in range(10):
        ctn.write("log", "")
        ctn.sh("seq 20000; echo end")
        slurp(ctn.path("wait"))
        assert ctn.read("log").splitlines()[-1] == "end"
        assert len(ctn.read("log").splitlines()) == 20001


def test_output_of_a_child_that_outlives_nothing(ctn):
    assert ctn.output("(sleep 0.05; echo late) & echo early; wait") == "early\nlate\n"


def test_the_bound(ctn):
    ctn.put("log.max", "64K")
    ctn.sh("seq 1 200000; echo done; sleep 1000").until_log("done")
    log = ctn.read("log")
    assert 32768 <= len(log) <= 65536
    assert log.splitlines()[-2:] == ["200000", "done"]
    numbers = [int(n) for n in log.splitlines()[1:-1]]
    assert numbers == list(range(numbers[0], 200001))
    assert int(ctn.status("LogDropped")) > 1000000


def test_the_bound_is_live(ctn):
    ctn.sh("seq 1 100000; echo done; sleep 1000").until_log("done")
    assert len(ctn.read("log")) > 500000
    ctn.put("log.max", "32K")
    until(lambda: len(ctn.read("log")) <= 32768, "the log shrinks")
    assert ctn.read("log").endswith("100000\ndone\n")
    assert ctn.get("log.max") == "32768" and ctn.get("pending") == ""


@pytest.mark.parametrize("lines", [600, 3000])
def test_tail_f_across_the_bound(ctn, lines):
    """No line is lost or told twice while the oldest are dropped under the reader."""
    ctn.put("log.max", "64K")
    tail = subprocess.Popen(["tail", "-n+1", "-s0.02", "-f", ctn.path("log")],
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        time.sleep(0.1)
        ctn.py(LINES % (lines, 0.03))
        got = []
        for line in tail.stdout:
            got.append(int(line.split()[1]))
            if got[-1] == lines - 1:
                break
        assert got == list(range(lines))
    finally:
        tail.kill()
        assert "truncated" not in tail.communicate(timeout=limit(5))[1]


def test_offsets_do_not_move_under_a_reader(ctn):
    ctn.put("log.max", "16K")
    ctn.output("echo begin; seq 1 1000")
    fd = os.open(ctn.path("log"), os.O_RDONLY)
    try:
        first = os.pread(fd, 20, 1000)
        size = os.fstat(fd).st_size
        ctn.output("true")
        assert os.pread(fd, 20, 1000) == first
        ctn.output("seq 1 20000")
        assert os.fstat(fd).st_size > size + 100000
        end = os.fstat(fd).st_size
        assert os.pread(fd, 10, end - 6) == b"20000\n"
        rest = os.pread(fd, 50, 1000)  # dropped since: goes on with the oldest kept
        assert rest and rest != first
    finally:
        os.close(fd)
    until(lambda: len(ctn.read("log")) <= 16384, "a fresh reader begins at the oldest kept")


def test_emptying(ctn):
    ctn.output("echo one")
    ctn.server.sh(": > %s/log" % ctn.name)
    assert ctn.read("log") == "" and os.stat(ctn.path("log")).st_size == 0
    assert ctn.output("echo two") == "two\n"
    os.truncate(ctn.path("log"), 0)
    assert ctn.read("log") == ""


def test_emptying_while_it_runs(ctn):
    ctn.py("import time\nfor i in range(10000): print('tick', i, flush=True); time.sleep(0.01)")
    ctn.until_log("tick 5\n")
    ctn.server.sh(": > %s/log" % ctn.name)
    assert "tick 0\n" not in ctn.read("log")
    until(lambda: ctn.read("log").count("tick") > 3, "it goes on")
    assert ctn.state() == "running"


def test_a_follower_sees_what_comes_after_emptying(ctn):
    ctn.sh("echo one; echo one; while ! test -e /root/go; do sleep 0.02; done; echo two; sleep 1000").until_log("one")
    tail = subprocess.Popen(["tail", "-n+1", "-s0.02", "-f", ctn.path("log")], stdout=subprocess.PIPE,
                            stderr=subprocess.DEVNULL, text=True)
    try:
        assert tail.stdout.readline() + tail.stdout.readline() == "one\none\n"
        time.sleep(0.1)  # tail has seen the end
        ctn.server.sh(": > %s/log" % ctn.name)
        with open(ctn.path("root/root/go"), "w"):
            pass
        assert tail.stdout.readline() == "two\n"
    finally:
        tail.kill()
        tail.communicate()


def test_a_log_is_not_written_by_hand(ctn):
    ctn.output("echo one")
    assert ctn.write("log", "mine\n", append=True) in (errno.EINVAL, errno.EPERM)
    assert ctn.read("log") == "one\n"


def test_a_flood_ends(ctn):
    ctn.put("log.max", "1M")
    before = os.stat(ctn.server.state).st_dev, ctn.server.proc.pid
    ctn.sh("yes 'a flood of lines' | head -c 60000000; echo over")
    assert ctn.finish(40) == 0
    assert len(ctn.read("log")) <= 1 << 20 and ctn.read("log").endswith("over\n")
    used = int(subprocess.run(["du", "-s", "-k", ctn.server.state, ctn.server.run], capture_output=True,
                              text=True).stdout.split()[0])
    assert used < 64 << 10, before


def test_runs_follow_each_other(ctn):
    ctn.output("echo first")
    ctn.output("echo second")
    assert ctn.read("log") == "first\nsecond\n"


def test_log_of_a_paused_container_can_be_read(ctn):
    ctn.sh("echo here; sleep 1000").until_log("here")
    ctn.put("ctl", "pause")
    assert ctn.read("log") == "here\n"


def test_a_program_that_closes_its_output(ctn):
    ctn.sh("echo before; exec >&- 2>&-; sleep 0.1; exit 5")
    assert ctn.finish() == 5 and ctn.read("log") == "before\n"


def test_grep_and_wc_on_a_growing_log(ctn):
    ctn.py(LINES % (2000, 0.01))
    while ctn.state() == "running":
        r = subprocess.run(["grep", "-c", "line", ctn.path("log")], capture_output=True, text=True,
                           timeout=limit(10))
        assert r.stderr == ""
    assert ctn.read("log").count("line") == 2000


def server_fds(server):
    """What each number is in the server."""
    top = "/proc/%d/fd/" % server.proc.pid
    return {n: os.readlink(top + n) for n in ("0", "1", "2")}


def test_a_descriptor_of_a_container_that_is_gone(tidy):
    """Nothing of it can be opened any more, and so nothing is closed."""
    before = server_fds(tidy)
    c = tidy.make()
    c.output("echo here")
    fds = [os.open(c.path(name), os.O_RDONLY) for name in ("log", "stdout", "log.times")]
    c.remove()
    try:
        for fd in fds * 8:
            try:
                os.pread(fd, 100, 0)
            except OSError as e:
                assert e.errno in (errno.ENOENT, errno.ESTALE)
    finally:
        for fd in fds:
            os.close(fd)
    assert server_fds(tidy) == before
