# SPDX-License-Identifier: Apache-2.0
"""Reading changes nothing and never blocks, whatever tool reads."""

import os
import re
import shutil
import subprocess

import pytest

from basics import have, limit

CONFIG = ("cmd", "start", "env", "cwd", "user", "hostname", "caps", "seccomp", "no_new_privs",
          "init", "log.max", "ns.list", "memory.limit", "cgroup/pids.max", "cgroup/cpu.max",
          "cgroup/freeze", "id", "pid", "state", "exit", "pending", "error", "log")

TOOLS = {
    "find": "find {d} -type f -size +0",
    "grep -r": "grep -r no_such_word {d}",
    "ls -lR": "ls -lR {d}",
    "stat": "find {d} -exec stat {{}} +",
    "cat": "find {d} -type f -exec cat {{}} +",
    "tar": "tar -C {d} -cf {o}/t.tar .",
    "cp -r": "cp -r {d} {o}/copy",
    "cp -a": "cp -a {d} {o}/copy-a",
    "du": "du -a {d}",
    "wc": "find {d} -type f -exec wc {{}} +",
    "md5sum": "find {d} -type f -exec md5sum {{}} +",
    "file times": "find {d} -newer /etc/hostname -ls",
}


def condition(c):
    got = {name: c.read(name) for name in CONFIG}
    got["listing"] = sorted(os.listdir(c.path()))
    got["root"] = c.server.read("error"), c.server.containers()
    return got


@pytest.fixture(params=["created", "running", "exited", "paused"])
def any_state(request, tidy):
    c = tidy.make()
    c.put("env", "A=b", append=True)
    if request.param in ("running", "paused"):
        c.sh("echo ready; sleep 1000").until_log("ready")
        if request.param == "paused":
            c.put("ctl", "pause")
    elif request.param == "exited":
        c.sh("echo out; exit 7")
        c.finish()
    assert c.state() == request.param
    return c


@pytest.mark.parametrize("tool", sorted(TOOLS))
def test_tools_change_nothing_and_end(any_state, tool, tmp_path):
    before = condition(any_state)
    command = TOOLS[tool].format(d=any_state.path(), o=tmp_path)
    r = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=limit(20))
    complaints = [l for l in r.stderr.splitlines() if "/proc" not in l and "/root" not in l]
    if any_state.state() == "running":  # figures that move meanwhile
        complaints = [l for l in complaints if not re.search(r"/(ps|cpu.stat|memory.\w+): file changed", l)]
    assert not complaints, complaints
    assert condition(any_state) == before


def test_tar_has_true_sizes(any_state, tmp_path):
    archive = str(tmp_path / "t.tar")
    subprocess.run(["tar", "-C", any_state.path(), "-cf", archive, "cmd", "env", "log", "caps"],
                   check=True, capture_output=True, timeout=limit(20))
    subprocess.run(["tar", "-C", str(tmp_path), "-xf", archive], check=True)
    for name in ("cmd", "env", "log", "caps"):
        assert (tmp_path / name).read_text() == any_state.read(name)


def test_python_copies(any_state, tmp_path):
    for name in ("env", "log", "status"):
        shutil.copy(any_state.path(name), str(tmp_path / name))
    assert (tmp_path / "env").read_text() == any_state.read("env")


@pytest.mark.skipif(not have("rsync"), reason="rsync is not installed")
def test_rsync(any_state, tmp_path):
    subprocess.run(["rsync", "-a", any_state.path("env"), str(tmp_path)], check=True,
                   timeout=limit(20))
    assert (tmp_path / "env").read_text() == any_state.read("env")


def test_opening_for_writing_without_a_write_changes_nothing(any_state):
    before = condition(any_state)
    for name in CONFIG + ("ctl",):
        if os.stat(any_state.path(name)).st_mode & 0o200:
            os.close(os.open(any_state.path(name), os.O_WRONLY))
    assert condition(any_state) == before


def test_touch_and_chmod_to_the_same_mode(ctn):
    env = ctn.read("env")
    os.chmod(ctn.path("env"), 0o600)
    fd = os.open(ctn.path("env"), os.O_RDWR)
    os.fsync(fd)
    os.close(fd)
    with pytest.raises(PermissionError):
        os.chmod(ctn.path("env"), 0o644)
    with pytest.raises(OSError):
        os.chown(ctn.path("env"), 1000, 1000)
    assert ctn.read("env") == env


def test_a_whole_tree_of_containers(tidy, tmp_path):
    for i in range(5):
        c = tidy.make()
        if i % 2:
            c.sh("sleep 1000")
    r = subprocess.run(["find", tidy.mnt], capture_output=True, text=True, timeout=limit(20))
    assert r.returncode == 0 and r.stderr == ""
    r = subprocess.run(["grep", "-r", "no_such_word", tidy.mnt], capture_output=True, text=True,
                       timeout=limit(20))
    assert r.returncode == 1 and r.stderr == ""
