# SPDX-License-Identifier: Apache-2.0
"""What a user types, as it is written in the README, from both common shells."""

import os
import re
import subprocess

import pytest

from basics import have, limit, until
from containers import Ctn

pytestmark = pytest.mark.skipif(not have("redis-server"), reason="redis-server is not installed")

SESSION = r"""
set -e
mkdir $M/db && cd $M/db
echo LEVEL=high >> env
echo redis-server > cmd
cat state pid id status pending
cat env caps caps.sets seccomp
ls -l ns/; cat ns.list
i=0; while ! nsenter --net=ns/net redis-cli ping 2>/dev/null; do
    i=$((i + 1)); [ $i -lt 500 ]; sleep 0.02
done
if [ ns/net -ef /proc/self/ns/net ]; then echo same network; else echo own network; fi
cat ps; ls procs/; cat procs/1/status; ls root/ layer/
cat cgroup/memory.usage; echo 16000000 > memory.limit; cat memory.limit cgroup/cpu.shares cgroup/cpu.stat
tail -f log & tail=$!
cat wait > $M/../waited & waiter=$!
echo 'stop 5' > ctl ; cat exit
wait $waiter
kill $tail
cd / && rmdir $M/db
test ! -e $M/db
"""


@pytest.mark.parametrize("shell", ["bash", "dash"])
def test_session(server, shell):
    out = server.sh(SESSION, shell=shell).stdout
    lines = out.splitlines()
    assert lines[0] == "running"
    assert lines[1].isdigit() and re.fullmatch("[0-9a-f]{64}", lines[2])
    for expected in ("LEVEL=high", "cap_chown", "PONG", "own network", "15998976"):
        assert expected in out, out
    assert re.search(r"CapBnd:\t0*a80425fb\t", out)
    with open(server.dir + "/waited") as f:
        assert f.read() == "0\n"  # redis leaves with 0 on TERM
    os.unlink(server.dir + "/waited")


def test_redis_is_gone_after_rmdir(server):
    c = server.make("db").start("redis-server").until_log("Ready to accept")
    pid = c.pid()
    c.put("ctl", "stop 5")
    assert c.get("exit") == "0"
    c.remove()
    assert not os.path.exists("/proc/%d" % pid)
    assert server.containers() == []


def test_a_missing_program_is_told_at_once(server):
    r = server.sh("mkdir a && cd a && echo nonesuch > cmd", check=False)
    assert r.returncode != 0 and "No such file or directory" in r.stderr
    assert "nonesuch" in Ctn(server, "a").last_error().text
    assert Ctn(server, "a").state() == "created"


def test_memory_limit_below_use_names_the_use(server):
    c = server.make("db").start("redis-server")
    until(lambda: int(c.get("cgroup/memory.usage")) > 1000000, "redis uses memory")
    r = server.sh("echo 80000 > db/memory.limit", check=False)
    assert r.returncode != 0 and "busy" in r.stderr.lower()
    assert re.search(r"\d{6}", c.last_error().text)
    assert c.state() == "running"
    c.put("memory.limit", 80000000)
    assert c.get("memory.limit") == "79998976"


def test_following_the_log(server):
    c = server.make("db")
    tail = subprocess.Popen(["tail", "-n+1", "-f", c.path("log")], stdout=subprocess.PIPE, text=True)
    try:
        c.start("redis-server")
        for line in tail.stdout:
            if "Ready to accept connections" in line:
                break
        else:
            pytest.fail("tail ended")
    finally:
        tail.kill()
        tail.wait(limit(5))
    c.put("ctl", "stop")
    assert "Ready to accept connections" in c.read("log")


def test_python_writes_a_file(server):
    c = server.make("db")
    with open(c.path("env"), "w") as f:
        f.write("A=1\nB=2\n")
    with open(c.path("env"), "a") as f:
        f.write("C=3\n")
    text = c.read("env")
    assert "A=1\n" in text and "B=2\n" in text and "C=3\n" in text
    with pytest.raises(FileNotFoundError):
        with open(c.path("cmd"), "w") as f:
            f.write("nonesuch\n")
    with open(c.path("cmd"), "w") as f:
        f.write("sh -c 'exit 5'\n")
    assert c.finish() == 5
