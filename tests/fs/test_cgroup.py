# SPDX-License-Identifier: Apache-2.0
"""Limits and counters on the live container, with the same names and texts on cgroup v1 and v2."""

import errno
import os
import re
import subprocess

import pytest

from basics import slurp, until
from harness import cgroup_version

BAD = (errno.EINVAL, errno.ERANGE)


@pytest.mark.parametrize("text,shown", [("64M", "67108864"), ("67108864", "67108864"), ("1g", "1073741824"),
                                        ("8000000", "7999488"), ("16384K", "16777216"), ("max", "max"),
                                        ("1T", "1099511627776")])
def test_memory_limit(ctn, text, shown):
    ctn.put("memory.limit", text)
    assert ctn.get("memory.limit") == ctn.get("cgroup/memory.limit") == shown
    ctn.put("cgroup/memory.limit", "32M")
    assert ctn.get("memory.limit") == "33554432"


@pytest.mark.parametrize("name,text,shown", [
    ("cpu.max", "50000 100000", "50000 100000"), ("cpu.max", "20000 40000", "20000 40000"),
    ("cpu.max", "50000", "50000 100000"), ("cpu.max", "max", "max 100000"),
    ("cpu.max", "max 50000", "max 50000"), ("cpu.shares", "512", "512"),
    ("cpu.shares", "1024", "1024"), ("cpu.weight", "100", "100"),
    ("pids.max", "50", "50"), ("pids.max", "max", "max"),
])
def test_knobs(ctn, name, text, shown):
    for state in ("created", "running"):
        assert ctn.state() == state
        ctn.put("cgroup/" + name, text)
        assert ctn.get("cgroup/" + name) == shown
        if state == "created":
            ctn.sh("sleep 1000")
            assert ctn.get("cgroup/" + name) == shown


def test_weight_and_shares_are_one(ctn):
    ctn.put("cgroup/cpu.shares", "1024")
    assert ctn.get("cgroup/cpu.weight") == "100"
    ctn.put("cgroup/cpu.weight", "200")
    shares = int(ctn.get("cgroup/cpu.shares"))
    assert 1500 < shares < 3000
    for weight in ("1", "10000"):
        ctn.put("cgroup/cpu.weight", weight)
        assert ctn.get("cgroup/cpu.weight") == weight


JUNK = ["x", "-1", "1.5", "99999999999999999999999", "0x10", "1e3", "64MB", "10 10 10", "--", "max max max",
        "18446744073709551616", "+5", "٣"]
KNOBS = ["memory.limit", "cpu.max", "cpu.weight", "cpu.shares", "pids.max", "freeze"]


@pytest.mark.parametrize("name", KNOBS)
def test_junk_in_every_knob(ctn, name):
    for text in JUNK:
        ctn.refused("cgroup/" + name, text, BAD)
    ctn.sh("sleep 1000")
    for text in JUNK:
        ctn.refused("cgroup/" + name, text, BAD)


@pytest.mark.parametrize("name,text", [
    ("cpu.max", "x 100000"), ("cpu.max", "50000 x"), ("cpu.max", "-1 100000"), ("cpu.max", "1.5 100000"),
    ("cpu.max", "50000 100000 1"), ("cpu.max", "50000 999"), ("cpu.max", "50000 1000001"),
    ("cpu.max", "500 100000"), ("cpu.max", "0 100000"), ("cpu.weight", "0"), ("cpu.weight", "10001"),
    ("cpu.shares", "262145"), ("freeze", "2"), ("memory.limit", "9223372036854775808"),
    ("memory.limit", "9007199254740992G"), ("pids.max", "4294967296000"),
])
def test_out_of_range(ctn, name, text):
    ctn.refused("cgroup/" + name, text, BAD)


def test_limits_are_real(ctn):
    ctn.put("cgroup/cpu.max", "10000 100000").put("memory.limit", "64M").put("cgroup/pids.max", "7")
    ctn.sh("i=0; while [ $i -lt 2000000 ]; do i=$((i+1)); done")
    until(lambda: int(re.search(r"nr_throttled (\d+)", ctn.read("cgroup/cpu.stat"))[1]) > 1,
          "it is throttled")
    raw = ctn.path("cgroup/raw")
    if cgroup_version(ctn.server) == 1:
        assert slurp(raw + "/memory/memory.limit_in_bytes") == "67108864\n"
        assert slurp(raw + "/cpu/cpu.cfs_quota_us") == "10000\n"
    assert slurp(raw + "/pids/pids.max") == "7\n"


def test_a_limit_below_use_is_busy(ctn):
    ctn.py("b = bytearray(b'x' * (80 << 20))\nprint('ready', flush=True)\nimport time; time.sleep(1000)")
    ctn.until_log("ready")
    assert int(ctn.get("cgroup/memory.usage")) > 80 << 20
    said = ctn.refused("memory.limit", "8M", errno.EBUSY)
    assert re.search(r"\d{8}|\d+M", said.text), "the sentence names the use"
    assert ctn.state() == "running" and ctn.status("OomKilled") in ("0", "no")
    ctn.put("memory.limit", "200M").put("memory.limit", "max")


def test_pids_below_use_is_busy(ctn):
    ctn.sh("sleep 1000 & sleep 1000 & sleep 1000 & echo ready; wait").until_log("ready")
    ctn.refused("cgroup/pids.max", "2", errno.EBUSY, "4")
    ctn.put("cgroup/pids.max", "4")


@pytest.mark.parametrize("text", ["4096", "8K"])
def test_a_limit_too_small_to_start(ctn, text):
    ctn.put("memory.limit", text)
    said = ctn.refused("cmd", "sleep 1000", (errno.ENOMEM, errno.EBUSY), "memory.limit")
    assert said.code == "ENOMEM" or said
    assert ctn.get("pid") == "" and ctn.get("cgroup/procs") == ""
    ctn.put("memory.limit", "64M").sh("exit 0")
    assert ctn.finish() == 0


def test_no_process_allowed(ctn):
    ctn.put("cgroup/pids.max", "0")
    ctn.refused("cmd", "sleep 1000", (errno.EAGAIN, errno.EBUSY), "pids.max")
    assert ctn.get("cgroup/procs") == ""


def test_counters(ctn):
    assert ctn.get("cgroup/memory.usage") == "0" and ctn.get("cgroup/pids.current") == "0"
    ctn.py("b = bytearray(b'x' * (50 << 20))\ndel b\nprint('ready', flush=True)\nimport time; time.sleep(1000)")
    ctn.until_log("ready")
    assert int(ctn.get("cgroup/memory.peak")) > 50 << 20
    assert 0 < int(ctn.get("cgroup/memory.usage")) <= int(ctn.get("cgroup/memory.peak"))
    assert ctn.get("cgroup/pids.current") == "1"
    stat = dict(l.split() for l in ctn.read("cgroup/cpu.stat").splitlines())
    assert {"usage_usec", "user_usec", "system_usec", "nr_periods", "nr_throttled",
            "throttled_usec"} <= set(stat)
    assert int(stat["usage_usec"]) > 1000
    stat = dict(l.split()[:2] for l in ctn.read("cgroup/memory.stat").splitlines())
    assert all(v.isdigit() for v in stat.values()) and len(stat) > 5


def test_freeze(ctn):
    ctn.sh("while :; do echo x; sleep 0.01; done").until_log("x")
    ctn.put("cgroup/freeze", "1")
    assert ctn.get("cgroup/freeze") == "1" and ctn.state() == "paused"
    ctn.put("cgroup/freeze", "1").put("cgroup/freeze", "0")
    assert ctn.get("cgroup/freeze") == "0" and ctn.state() == "running"


def test_procs(idle):
    assert idle.get("pid") in idle.get("cgroup/procs").split()
    p = subprocess.Popen(["sleep", "1000"])
    try:
        idle.put("cgroup/procs", str(p.pid))
        assert str(p.pid) in idle.get("cgroup/procs").split()
        assert idle.get("id") in slurp("/proc/%d/cgroup" % p.pid)
    finally:
        p.kill()
        p.wait()


@pytest.mark.parametrize("text,codes", [("x", BAD), ("-1", BAD), ("0", BAD), ("1.5", BAD),
                                        ("4194305", BAD + (errno.ESRCH,)), ("99999999999", BAD)])
def test_bad_procs(idle, text, codes):
    with open("/proc/%d/cgroup" % idle.server.proc.pid) as f:
        before = f.read()
    idle.refused("cgroup/procs", text, codes)
    with open("/proc/%d/cgroup" % idle.server.proc.pid) as f:
        assert f.read() == before, "the server moved itself"


def test_raw_links(idle):
    names = os.listdir(idle.path("cgroup/raw"))
    assert {"memory", "pids", "cpu"} <= set(names)
    for name in names:
        target = os.readlink(idle.path("cgroup/raw", name))
        assert target.startswith("/sys/fs/cgroup") and target.endswith(idle.get("id"))
        assert idle.get("pid") in slurp(idle.path("cgroup/raw", name, "cgroup.procs")).split()


def test_the_cgroup_exists_from_mkdir_on(ctn):
    for name in os.listdir(ctn.path("cgroup/raw")):
        assert os.path.isdir(ctn.path("cgroup/raw", name) + "/")
    assert ctn.get("cgroup/pids.max") == "4096"


def test_limits_survive_the_program(ctn):
    ctn.put("memory.limit", "64M").put("cgroup/pids.max", "33").put("cgroup/cpu.max", "50000 100000")
    for _ in range(2):
        ctn.sh("exit 0")
        ctn.finish()
    assert ctn.get("memory.limit") == "67108864" and ctn.get("cgroup/pids.max") == "33"
    assert ctn.get("cgroup/cpu.max") == "50000 100000"
    assert ctn.get("pending") == ""


def test_events_start_at_nothing(ctn):
    *lines, last = ctn.read("cgroup/events").splitlines()
    assert last == "last_oom - -"
    for line in lines:
        assert re.fullmatch(r"[a-z_.]+ \d+", line), line
    table = dict(l.split() for l in lines)
    assert table["oom_kill"] == "0" and "max" in table or "pids.max" in table


def test_read_only_counters_refuse(ctn):
    for name in ("memory.usage", "memory.stat", "cpu.stat", "pids.current", "events"):
        assert ctn.write("cgroup/" + name, "1\n") in (errno.EPERM, errno.EACCES, errno.EBADF, errno.EINVAL)


@pytest.mark.v1
def test_devices_are_denied(ctn):
    if cgroup_version(ctn.server) != 1 or not os.path.isdir(ctn.path("cgroup/raw/devices/")):
        pytest.skip("no v1 devices controller here")
    rules = slurp(ctn.path("cgroup/raw/devices/devices.list")).splitlines()
    assert "a *:* rwm" not in rules
    assert "c 1:3 rw" in rules and not any(r.startswith("b") and "r" in r.split()[-1] for r in rules)


def test_the_server_removes_its_own_directories(new_server):
    s = new_server()
    c = s.make()
    parents = {os.path.dirname(os.readlink(c.path("cgroup/raw", n)))
               for n in os.listdir(c.path("cgroup/raw"))}
    c.remove()
    assert s.finish() == []
    left = [p for p in parents if os.path.isdir(p) and not [e for e in os.scandir(p) if e.is_dir()]]
    assert not left, left
