# SPDX-License-Identifier: Apache-2.0
"""rlimits and oom_score_adj, as the processes inside have them."""

import errno
import json
import os
import re
import resource

import pytest

from basics import put, slurp, until
from containers import Ctn

PROC_LIMITS = {
    "as": "Max address space", "core": "Max core file size", "cpu": "Max cpu time",
    "data": "Max data size", "fsize": "Max file size", "locks": "Max file locks",
    "memlock": "Max locked memory", "msgqueue": "Max msgqueue size", "nofile": "Max open files",
    "nproc": "Max processes", "rss": "Max resident set", "rttime": "Max realtime timeout",
    "sigpending": "Max pending signals", "stack": "Max stack size", "nice": "Max nice priority",
    "rtprio": "Max realtime priority",
}


def limits(text):
    """What /proc/PID/limits says, by our names."""
    found = {}
    for name, label in PROC_LIMITS.items():
        m = re.search("^%s +(\\S+) +(\\S+)" % re.escape(label), text, re.M)
        found[name] = tuple(v.replace("unlimited", "max") for v in m.groups())
    return found


def can_raise_limits():
    """CAP_SYS_RESOURCE, in the bounding set that the server will have, too."""
    return int(re.search(r"CapEff:\t(\w+)", slurp("/proc/self/status"))[1], 16) & 1 << 24


def test_files_by_default(ctn):
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    have = limits(ctn.output("cat /proc/self/limits"))
    assert have["nofile"] == (str(min(1024, hard)), str(hard))


@pytest.mark.parametrize("line, name, pair", [
    ("nofile 300 400", "nofile", ("300", "400")),
    ("nofile 4096 4096", "nofile", ("4096", "4096")),
    ("nproc 99 100", "nproc", ("99", "100")),
    ("core 0 0", "core", ("0", "0")),
    ("fsize 65536 1048576", "fsize", ("65536", "1048576")),
    ("stack 4194304 8388608", "stack", ("4194304", "8388608")),
    ("as 4294967296 max", "as", ("4294967296", "max")),
    ("memlock 65536 65536", "memlock", ("65536", "65536")),
    ("sigpending 10 20", "sigpending", ("10", "20")),
    ("msgqueue 4096 8192", "msgqueue", ("4096", "8192")),
    ("cpu 100 200", "cpu", ("100", "200")),
    ("data 1073741824 max", "data", ("1073741824", "max")),
    ("locks 7 8", "locks", ("7", "8")),
    ("rss max max", "rss", ("max", "max")),
    ("nice 0 0", "nice", ("0", "0")),
    ("rtprio 0 0", "rtprio", ("0", "0")),
    ("rttime 1000000 max", "rttime", ("1000000", "max")),
])
def test_each_limit(ctn, line, name, pair):
    hard = resource.getrlimit(getattr(resource, "RLIMIT_" + name.upper(), resource.RLIMIT_CORE))[1]
    if name != "locks" and hard != resource.RLIM_INFINITY and int(pair[1].replace("max", str(1 << 62))) > hard:
        pytest.skip("the hard limit of %s here is %d" % (name, hard))
    before = limits(ctn.output("cat /proc/self/limits"))
    ctn.put("rlimits", line)
    after = limits(ctn.output("cat /proc/self/limits"))
    assert after.pop(name) == pair
    before.pop(name)
    assert after == before, "nothing else has changed"


def test_several_and_for_any_user(ctn):
    ctn.put("rlimits", "nofile 64 128\nnproc 50 50").put("user", "nobody")
    have = limits(ctn.output("cat /proc/self/limits"))
    assert have["nofile"] == ("64", "128") and have["nproc"] == ("50", "50")


def test_a_limit_bites(ctn):
    ctn.put("rlimits", "nofile 8 8")
    ctn.py("import os\nn = 0\ntry:\n    while True: os.dup(0); n += 1\n"
           "except OSError as e: print(n, e.errno)")
    assert ctn.finish() == 0 and ctn.read("log") == "5 %d\n" % errno.EMFILE
    ctn.put("rlimits", "fsize 1000 1000")
    assert ctn.finish() == 0
    ctn.sh("trap '' XFSZ; head -c 2000 /dev/zero > /root/f; wc -c < /root/f")
    assert ctn.finish() == 0 and "\n1000\n" in ctn.read("log")


def test_the_small_init_has_them_too(ctn):
    ctn.put("init", "1").put("rlimits", "nofile 33 44")
    out = ctn.output("cat /proc/self/limits /proc/1/limits")
    assert len(re.findall(r"Max open files +33 +44 ", out)) == 2


def test_raising_a_hard_limit(ctn):
    """Where the server has the right, it works for a container in its own user namespace; elsewhere
    the sentence says what is the most."""
    soft, hard = resource.getrlimit(resource.RLIMIT_MSGQUEUE)
    if hard == resource.RLIM_INFINITY:
        pytest.skip("POSIX message queues are not limited here")
    ctn.put("rlimits", "msgqueue %d %d" % (hard, hard + 4096))
    if can_raise_limits():
        have = limits(ctn.output("cat /proc/self/limits"))
        assert have["msgqueue"] == (str(hard), str(hard + 4096))
        return
    ctn.refused("cmd", "true", errno.EPERM, r"msgqueue.*from %d to %d.*at most %d" % (hard, hard + 4096, hard))
    ctn.put("rlimits", "msgqueue 1 %d" % hard)
    ctn.output("true")


def test_files_above_what_the_kernel_allows(ctn):
    ctn.put("rlimits", "nofile 1024 max")
    ctn.refused("cmd", "true", errno.EPERM, "nofile.*fs.nr_open")


def test_limits_wait_for_the_next_start(idle):
    idle.put("rlimits", "nofile 100 100")
    assert "rlimits nofile 100 100" in idle.read("pending")
    assert limits(slurp("/proc/%d/limits" % idle.pid()))["nofile"][1] != "100"
    idle.put("ctl", "restart")
    assert limits(slurp("/proc/%d/limits" % idle.pid()))["nofile"] == ("100", "100")


# --- oom_score_adj ---


def adj(pid):
    return int(slurp("/proc/%d/oom_score_adj" % pid))


def test_at_the_start(ctn):
    for value in (0, 1, 1000, 0):
        ctn.put("oom_score_adj", value)
        assert ctn.output("cat /proc/self/oom_score_adj /proc/1/oom_score_adj").split() == [str(value)] * 2


def children(c):
    return [int(l.split()[0]) for l in c.read("ps").splitlines()[1:]]


def test_live_for_all_processes(ctn):
    ctn.sh("for i in 1 2 3 4 5; do sleep 1000 & done; echo ready; wait").until_log("ready")
    pids = until(lambda: len(children(ctn)) == 6 and children(ctn), "six processes")
    ctn.put("oom_score_adj", 321)
    assert [adj(p) for p in pids] == [321] * 6
    assert ctn.get("oom_score_adj") == "321" and ctn.get("pending") == ""
    ctn.put("oom_score_adj", 400)
    assert [adj(p) for p in pids] == [400] * 6


def test_live_in_a_control_group_with_a_name(tidy):
    text = {"name": "a", "cmd": ["sleep", "1000"], "oci": {"linux": {"cgroupsPath": "ctnfs-named-%d" % os.getpid()}}}
    assert put(tidy.path("new"), json.dumps(text)) == 0, tidy.last_error()
    c = Ctn(tidy, "a").put("oom_score_adj", 321)
    assert adj(int(c.get("pid"))) == 321


def test_live_while_it_forks(ctn):
    """What forks comes last in the list of processes, and goes on while the others are changed."""
    ctn.sh("for i in $(seq 150); do sleep 1000 & done; echo ready; "
           "while :; do sleep 0.5 & (sleep 0.5 &) ; sleep 0.002; done & while :; do wait; done").until_log("ready")
    for value in range(100, 300, 10):
        ctn.put("oom_score_adj", value)
        found = set()
        for pid in children(ctn):
            try:
                found.add(adj(pid))
            except OSError:
                pass
        assert found == {value}


def test_lowering_below_what_it_may_have(ctn):
    ctn.sh("sleep 1000 & sleep 1000 & wait")
    until(lambda: len(children(ctn)) == 3, "three processes")
    ctn.put("oom_score_adj", 50)
    pids = children(ctn)
    if can_raise_limits():
        ctn.put("oom_score_adj", -100)
        assert [adj(p) for p in pids] == [-100] * 3
        return
    ctn.refused("oom_score_adj", "-100", errno.EACCES, "CAP_SYS_RESOURCE")
    assert [adj(p) for p in pids] == [50] * 3
    ctn.put("ctl", "kill").put("oom_score_adj", -1000)  # nothing runs: it can be stored
    ctn.refused("cmd", "true", errno.EACCES, "oom_score_adj: -1000.*CAP_SYS_RESOURCE")


def test_a_refusal_changes_no_process(ctn):
    """Not even one whose own value would have allowed it."""
    if can_raise_limits():
        pytest.skip("the server may lower anything here")
    ctn.sh("echo 700 > /proc/self/oom_score_adj; sleep 1000 & echo 0 > /proc/self/oom_score_adj; "
           "sleep 1000 & echo ready; wait").until_log("ready")
    before = {p: adj(p) for p in children(ctn)}
    ctn.refused("oom_score_adj", "-1", errno.EACCES)
    assert sorted(before.values()) == [0, 0, 700]
    assert {p: adj(p) for p in children(ctn)} == before
    assert adj(os.getpid()) == 0
