# SPDX-License-Identifier: Apache-2.0
"""Namespaces: a file before the start, a link into the kernel while running."""

import errno
import os
import stat
import subprocess

import pytest

KINDS = ["cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"]


def own(kind, pid="self"):
    return os.readlink("/proc/%s/ns/%s" % (pid, kind))


def test_list_before_the_start(ctn):
    assert [l.split()[:2] for l in ctn.lines("ns.list")] == [
        [k, "host" if k == "time" else "new"] for k in KINDS]


def test_list_while_running(idle):
    for line in idle.lines("ns.list"):
        kind, setting, inode = line.split()[:3]
        assert own(kind, idle.pid()) == "%s:[%s]" % (kind, inode)
        assert setting == ("host" if kind == "time" else "new")
    assert idle.write("ns.list", idle.read("ns.list")) == 0


def test_files_become_links_and_files_again(ctn):
    path = ctn.path("ns/net")
    assert stat.S_ISREG(os.lstat(path).st_mode) and ctn.get("ns/net") == "new"
    ctn.sh("sleep 1000")
    assert stat.S_ISLNK(os.lstat(path).st_mode)
    assert {e.name for e in os.scandir(ctn.path("ns")) if e.is_symlink()} == set(KINDS)
    ctn.put("ctl", "kill")
    assert stat.S_ISREG(os.lstat(path).st_mode) and ctn.get("ns/net") == "new"
    assert not [e for e in os.scandir(ctn.path("ns")) if e.is_symlink()]


@pytest.mark.parametrize("kind", ["cgroup", "ipc", "net", "pid", "uts", "user", "time"])
def test_host(ctn, kind):
    ctn.put("ns/" + kind, "host").sh("sleep 1000")
    assert own(kind, ctn.pid()) == own(kind)
    setting, inode, *sharers = [l.split()[1:] for l in ctn.lines("ns.list") if l.split()[0] == kind][0]
    assert setting == "host" and sharers == ["host"]  # whoever else is there is not listed
    others = set(KINDS) - {kind, "time"}
    for other in others:
        assert own(other, ctn.pid()) != own(other), other
    ctn.put("ctl", "kill")
    assert ctn.get("ns/" + kind) == "host" and ctn.get("cgroup/procs") == ""


def test_all_that_can_be_the_hosts(ctn):
    ctn.put("ns.list", "\n".join(k + " host" for k in ("cgroup", "ipc", "net", "uts")))
    assert "lo" in ctn.output("ls /proc/self/ns; hostname; cat /proc/net/dev")
    assert os.uname().nodename in ctn.read("log")


def test_a_new_time_namespace(ctn):
    r = ctn.write("ns/time", "new\n")
    if r == errno.EOPNOTSUPP:
        pytest.skip("this kernel has no time namespaces")
    assert r == 0
    ctn.sh("sleep 1000")
    assert own("time", ctn.pid()) != own("time")


def test_host_network_with_the_hosts_user_namespace(ctn):
    ctn.put("ns.list", "net host\nuser host").sh("sleep 1000")
    assert own("net", ctn.pid()) == own("net") and own("user", ctn.pid()) == own("user")
    assert ctn.proc_status("CapBnd") == "00000000a80425fb"
    assert ctn.proc_status("Uid").split()[0] == "0"


def test_the_mount_namespace_of_the_host(ctn):
    """It may be given or refused, but not with half a container left."""
    r = ctn.write("ns/mnt", "host\n")
    if r == 0:
        r = ctn.write("cmd", "sleep 1000\n")
    if r == 0:
        assert own("mnt", ctn.pid()) == own("mnt")
    else:
        assert ctn.last_error() and ctn.get("cgroup/procs") == ""


def test_entering(idle):
    path = idle.path("ns/net")
    out = subprocess.run(["nsenter", "--net=" + path, "cat", "/proc/net/dev"], capture_output=True,
                         text=True, check=True).stdout
    assert [l.split(":")[0].strip() for l in out.splitlines()[2:]] == ["lo"]
    out = subprocess.run(["nsenter", "--uts=" + idle.path("ns/uts"), "hostname"], capture_output=True,
                         text=True, check=True).stdout
    assert out == idle.name + "\n"


@pytest.mark.parametrize("shell", ["bash", "dash"])
def test_comparing(idle, shell):
    for kind in KINDS:
        r = idle.server.sh("[ %s/ns/%s -ef /proc/self/ns/%s ]" % (idle.name, kind, kind), shell=shell,
                           check=False)
        assert (r.returncode == 0) == (kind == "time"), kind
        idle.server.sh("[ %s/ns/%s -ef /proc/%d/ns/%s ]" % (idle.name, kind, idle.pid(), kind),
                       shell=shell)


def test_amending_the_list(ctn):
    ctn.put("ns.list", "net host").put("ns.list", "uts host", append=True)
    got = dict(l.split()[:2] for l in ctn.lines("ns.list"))
    assert got["net"] == "host" and got["uts"] == "host" and got["pid"] == "new"


def test_the_list_can_be_written_while_running(idle):
    idle.put("ns.list", "net host", append=True)
    assert "ns.list" in idle.get("pending") or "ns/net host" in idle.get("pending")
    assert own("net", idle.pid()) != own("net")
    idle.put("ctl", "restart 0")
    assert own("net", idle.pid()) == own("net")
    assert idle.get("pending") == ""


@pytest.mark.parametrize("text", ["container:nonesuch", "container:", "/proc/self/status", "/no/such",
                                  "container:a/b", "../x"])
def test_settings_that_cannot_be(ctn, text):
    """Later ones are refused now, with a sentence: nothing is accepted and dropped."""
    ctn.refused("ns/net", text, (errno.EINVAL, errno.ENOENT, errno.EOPNOTSUPP))


def test_hostname_of_the_hosts_uts_namespace_is_not_set(ctn):
    before = os.uname().nodename
    ctn.put("ns/uts", "host")
    r = ctn.write("hostname", "hijacked\n")
    ctn.write("cmd", "sleep 1000\n")
    if ctn.state() == "running":
        ctn.write("hostname", "hijacked2\n")
    assert os.uname().nodename == before
    assert r == 0 or ctn.last_error()
