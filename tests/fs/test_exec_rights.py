# SPDX-License-Identifier: Apache-2.0
"""What a program that enters may do: what the container's first program may, no more and no less."""

import subprocess

import pytest

from execs import out, same_rights


def sleeper(c):
    c.start("sleep", "100000")
    return c


def test_same_rights(ctn):
    same_rights(sleeper(ctn))


def test_same_rights_with_settings(ctn):
    ctn.put("caps", "-cap_chown\n+cap_net_admin").put("rlimits", "nofile 100 200\ncore 0 0")
    ctn.put("oom_score_adj", 500).put("seccomp", "+ptrace")
    same_rights(sleeper(ctn))


def test_same_rights_of_a_user(ctn):
    same_rights(sleeper(ctn.put("user", "daemon")))


@pytest.mark.parametrize("setting", [
    {"ns.list": "user host"}, {"ns.list": "net host"}, {"ns.list": "pid host"}, {"ns.list": "mnt host"},
    {"ns.list": "user host\npid host\nnet host\nipc host\nuts host\ncgroup host", "caps": "all",
     "seccomp": "none", "no_new_privs": "0"},
    {"ns.list": "time new"},
], ids=lambda s: " ".join(s.values()).replace("\n", ","))
def test_same_rights_whatever_is_shared(ctn, setting):
    for name, value in setting.items():
        ctn.put(name, value)
    same_rights(sleeper(ctn))


def test_same_rights_in_namespaces_of_another(tidy, idle):
    other = tidy.make()
    other.put("ns.list", "net container:%s\npid container:%s" % (idle.name, idle.name))
    same_rights(sleeper(other))


def test_below_the_small_init(ctn):
    same_rights(sleeper(ctn.put("init", 1)))


def test_of_a_container_with_a_terminal(ctn):
    ctn.put("tty", 1)
    same_rights(sleeper(ctn))
    assert out(ctn, "sh", "-c", "test -t 0 || echo none") == "none\n"


def test_the_filter_holds(idle):
    script = "import ctypes, errno; l = ctypes.CDLL(None, use_errno=True); l.unshare(0x10000000); print(ctypes.get_errno())"
    assert out(idle, "python3", "-c", script) == "1\n"


def test_session_keyring(idle):
    """Not the caller's."""
    script = "import ctypes; print(ctypes.CDLL(None).syscall(250, 0, -3, 0))"
    mine = subprocess.run(["python3", "-c", script], capture_output=True, text=True).stdout
    assert out(idle, "python3", "-c", script) != mine or mine == "-1\n"
