# SPDX-License-Identifier: Apache-2.0
"""`spec`: a container's whole configuration as one document, read and written."""

import errno
import json
import os
import re

import pytest

from basics import err_name, put, until
from containers import Ctn

FULL = {
    "name": "full", "cmd": ["sh", "-c", "echo \"a b\"; exit 3"], "start": 0,
    "env": ["LEVEL=high", "TEXT=a\\nb", "-TERM"], "cwd": "/tmp", "user": "1000:1000", "hostname": "box",
    "rlimits": ["nofile 1024 4096"], "sysctl": ["net.core.somaxconn = 1024"], "oom_score_adj": 100,
    "caps": ["none"], "no_new_privs": 0, "init": 1, "ns": {"uts": "host", "net": "host"},
    "cgroup": {"pids.max": 100, "memory.limit": "64M"}, "log.max": "1M",
}
CONFIG = ("cmd", "start", "env", "cwd", "user", "hostname", "rlimits", "sysctl", "oom_score_adj", "caps",
          "no_new_privs", "init", "ns.list", "cgroup/pids.max", "cgroup/memory.limit", "log.max", "mounts",
          "rootfs", "devices", "paths", "tty", "seccomp")


def make(server, **keys):
    r = put(server.path("new"), json.dumps(keys))
    assert r == 0, "%s; %s" % (err_name(r), server.last_error())
    return Ctn(server, keys["name"])


def files(c):
    return {name: c.read(name) for name in CONFIG}


def test_round_trip(tidy):
    """spec → container → spec → container: the same document, the same files."""
    full = make(tidy, **FULL)
    text = full.read("spec")
    seen = json.loads(text)
    assert text.endswith("}\n") and seen["name"] == "full" and seen["cmd"] == FULL["cmd"]
    assert full.get("cgroup/pids.max") == "100" and full.get("user") == "1000:1000"
    before = files(full)
    assert full.write("spec", text) == 0, full.last_error()
    assert full.read("spec") == text and files(full) == before
    os.rmdir(full.path())
    assert put(tidy.path("new"), text) == 0, tidy.last_error()
    assert full.read("spec") == text and files(full) == before


def test_a_default_container(ctn):
    text = ctn.read("spec")
    assert json.loads(text)["name"] == ctn.name
    assert os.stat(ctn.path("spec")).st_size == len(text.encode())
    assert ctn.write("spec", text) == 0 and ctn.read("spec") == text


@pytest.mark.parametrize("shell", ["bash", "dash"])
def test_the_shells_ways(tidy, shell):
    make(tidy, name="db", cmd=["sleep", "1000"])
    tidy.sh("""jq '.name="db2"' db/spec > new""", shell)
    assert Ctn(tidy, "db2").state() == "running"
    out = tidy.sh("diff db/spec db2/spec", shell, check=False).stdout
    assert [l for l in out.splitlines() if l[0] in "<>"] == ['<   "name": "db",', '>   "name": "db2",']
    tidy.sh("echo kill > db/ctl; cp db/spec /tmp/$$; sed s/1000/2000/ /tmp/$$ > db/spec; rm /tmp/$$", shell)
    assert Ctn(tidy, "db").get("cmd") == "sleep 2000"
    tidy.sh("sed -i s/2000/3000/ db/spec; jq '.cwd=\"/tmp\"' db/spec > db/.s && mv db/.s db/spec", shell)
    assert Ctn(tidy, "db").get("cmd") == "sleep 3000" and Ctn(tidy, "db").get("cwd") == "/tmp"


def test_a_write_replaces_all_of_it(ctn):
    ctn.put("env", "A=1").put("cgroup/pids.max", 50).put("cwd", "/tmp").put("hostname", "h")
    assert ctn.write("spec", '{"user": "7"}') == 0, ctn.last_error()
    assert ctn.get("user") == "7" and ctn.get("cwd") == "/" and ctn.get("hostname") == ctn.name
    assert "A=1" not in ctn.lines("env") and ctn.get("cgroup/pids.max") == "4096"
    assert ctn.state() == "created"


def test_limits_come_and_go(ctn):
    free = {n: ctn.get("cgroup/" + n) for n in ("memory.limit", "cpu.max", "cpu.weight", "pids.max", "cpuset.cpus")}
    assert ctn.write("spec", json.dumps({"cgroup": {"memory.limit": "64M", "cpu.max": "50000 100000",
                                                    "cpu.weight": 50, "pids.max": 9, "cpuset.cpus": "0"}})) == 0
    assert ctn.get("cgroup/memory.limit") == str(64 << 20) and ctn.get("cgroup/pids.max") == "9"
    assert ctn.get("cgroup/cpu.max") == "50000 100000" and ctn.get("cgroup/cpu.weight") in ("49", "50")
    assert ctn.get("cgroup/cpuset.cpus") == "0"
    assert ctn.write("spec", "{}") == 0, ctn.last_error()
    assert {n: ctn.get("cgroup/" + n) for n in free} == free


@pytest.mark.parametrize("text,code,sentence", [
    ('{"name": "other"}', errno.EINVAL, "mv renames"),
    ('{"nonesuch": 1}', errno.EINVAL, "nonesuch"),
    ('{"cwd": "relative"}', errno.EINVAL, "cwd"),
    ('{"cwd": "/", "cwd": "/tmp"}', errno.EINVAL, "cwd"),
    ('{"cgroup": {"pids.max": 7, "memory.limit": "much"}}', errno.EINVAL, "memory.limit"),
    ('{"cgroup": {"pids.max": 7, "cpuset.cpus": "9999"}}', errno.EINVAL, "cpuset.cpus"),
    ('{"user": 1', 0, None), ("[]", errno.EINVAL, "no JSON document"),
    ("/srv/bundle", errno.EINVAL, "no JSON document"), ("cwd /tmp", errno.EINVAL, "no JSON document"),
    ("{} {", 0, None)])
def test_refused(ctn, text, code, sentence):
    ctn.put("env", "A=1").put("cgroup/pids.max", 50)
    before = files(ctn), ctn.read("spec")
    r = ctn.write("spec", text)
    assert r == code, err_name(r)
    if sentence:
        assert re.search(sentence, ctn.last_error().text), ctn.last_error()
        assert ctn.last_error().where == "spec"
    else:
        until(lambda: ctn.read("error"), "the incomplete document is told of")
        assert "incomplete" in ctn.last_error().text
    if text != "{} {":
        assert (files(ctn), ctn.read("spec")) == before


def test_with_its_own_name_or_none(ctn):
    assert ctn.write("spec", json.dumps({"name": ctn.name, "cwd": "/tmp"})) == 0
    assert ctn.get("cwd") == "/tmp"
    os.rename(ctn.path(), ctn.server.path("moved"))
    moved = Ctn(ctn.server, "moved")
    assert json.loads(moved.read("spec"))["name"] == "moved"


def test_of_a_running_container(idle):
    before = idle.read("spec")
    said = idle.refused("spec", "{}", errno.EBUSY, "stop")
    assert said.where == "spec" and idle.read("spec") == before
    idle.put("env", "A=1", append=True).put("cgroup/pids.max", 60)
    seen = json.loads(idle.read("spec"))
    assert "A=1" not in json.dumps(seen["env"])  # what it runs with, as the file env says
    assert int(seen["cgroup"]["pids.max"]) == 60
    os.rename(idle.path(), idle.server.path("moved"))
    idle.name = "moved"
    assert json.loads(idle.read("spec"))["name"] == "moved"


def test_mtime_is_of_the_configuration(ctn):
    first = os.stat(ctn.path("spec")).st_mtime_ns
    ctn.put("cwd", "/tmp")
    second = os.stat(ctn.path("spec")).st_mtime_ns
    assert second > first
    assert ctn.write("spec", "{}") == 0
    assert os.stat(ctn.path("spec")).st_mtime_ns > second


def test_in_pieces(ctn):
    text = json.dumps({"cwd": "/tmp", "env": ["A=" + "x" * 9000]}).encode()
    for size in (1000, 4096):
        fd = os.open(ctn.path("spec"), os.O_WRONLY | os.O_TRUNC)
        for i in range(0, len(text), size):
            os.write(fd, text[i:i + size])
        os.close(fd)
        assert ctn.get("cwd") == "/tmp"
        assert ctn.write("spec", "{}") == 0


def test_survives_the_server(server):
    full = make(server, **FULL)
    text = full.read("spec")
    assert server.terminate() == []
    server.start()
    assert full.read("spec") == text
    assert full.write("spec", '{"cwd": "/var"}') == 0
    server.kill9()
    server.start()
    assert full.get("cwd") == "/var"


def test_truncation_changes_nothing(ctn):
    ctn.put("cwd", "/tmp")
    ctn.server.sh(": > %s/spec" % ctn.name)
    assert ctn.get("cwd") == "/tmp"


def test_a_start_with_the_written_spec(ctn):
    assert ctn.write("spec", json.dumps({"cmd": ["sh", "-c", "pwd; echo $A"], "cwd": "/tmp", "env": ["A=7"]})) == 0
    assert ctn.state() == "created"
    ctn.put("ctl", "start")
    assert ctn.finish() == 0 and ctn.read("log") == "/tmp\n7\n"


def test_names_of_other_containers(tidy):
    """Names go in and come out; what is kept is the id, so a rename is seen."""
    make(tidy, name="db", cmd=["sleep", "1000"])
    web = make(tidy, name="web", cmd=["sleep", "1000"], ns={"net": "container:db"})
    assert os.readlink(web.path("ns/net")) != "" and web.state() == "running"
    assert json.loads(web.read("spec"))["ns"]["net"] == "container:db"
    os.rename(tidy.path("db"), tidy.path("db2"))
    text = web.read("spec")
    assert json.loads(text)["ns"]["net"] == "container:db2"
    web.put("ctl", "kill")
    assert web.write("spec", text) == 0 and web.get("ns/net") == "container:db2"
    assert web.write("spec", '{"ns": {"net": "container:nonesuch"}}') == errno.ENOENT
    assert web.get("ns/net") == "container:db2" and "nonesuch" in web.last_error().text
