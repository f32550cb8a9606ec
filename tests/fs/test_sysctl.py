# SPDX-License-Identifier: Apache-2.0
"""Settings of a container's own namespaces, which are never the host's."""

import errno
import os

import pytest

from basics import slurp


def host(key):
    return slurp("/proc/sys/" + key.replace(".", "/")).split()


@pytest.mark.parametrize("key, value", [
    ("net.ipv4.ip_forward", "1"),
    ("net.ipv4.ip_unprivileged_port_start", "0"),
    ("net.ipv4.ping_group_range", "0 0"),
    ("net.ipv4.ip_local_port_range", "20000 30000"),
    ("net.ipv4.conf.lo.rp_filter", "2"),
    ("net.ipv6.conf.all.disable_ipv6", "1"),
    ("net.unix.max_dgram_qlen", "77"),
    ("kernel.msgmax", "10000"),
    ("kernel.msgmnb", "20000"),
    ("kernel.msgmni", "300"),
    ("kernel.sem", "250 32000 32 90"),
    ("kernel.shmall", "123456"),
    ("kernel.shmmax", "1234567"),
    ("kernel.shmmni", "99"),
    ("kernel.shm_rmid_forced", "1"),
    ("fs.mqueue.msg_max", "9"),
    ("fs.mqueue.queues_max", "7"),
    ("kernel.domainname", "example.test"),
])
def test_each_setting(ctn, key, value):
    path = key.replace(".", "/")
    if not os.path.exists("/proc/sys/" + path):
        pytest.skip("this kernel has no " + key)
    before = host(key)
    assert before != value.split(), "the test needs another value than the host's"
    ctn.put("sysctl", "%s = %s" % (key, value))
    assert ctn.output("cat /proc/sys/" + path).split() == value.split()
    assert host(key) == before


def test_the_queue_of_listeners(ctn):
    """Old kernels have it only where the users are the host's."""
    before = host("net.core.somaxconn")
    show = "cat /proc/sys/net/core/somaxconn"
    if "No such" in ctn.output(show + " 2>&1; true"):
        ctn.put("sysctl", "net.core.somaxconn = 1234")
        ctn.refused("cmd", "true", errno.EOPNOTSUPP, "somaxconn.*ns/user host")
        ctn.put("ns/user", "host")
    ctn.put("sysctl", "net.core.somaxconn = 1234")
    assert ctn.output(show) == "1234\n" and host("net.core.somaxconn") == before


def test_several_and_slashes(ctn):
    ctn.put("sysctl", "net.ipv4.ip_unprivileged_port_start=99\nnet/ipv4/conf/lo/forwarding = 1\n\n# nothing\nkernel.shmmni = 5")
    out = ctn.output("cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/net/ipv4/conf/lo/forwarding /proc/sys/kernel/shmmni")
    assert out.split() == ["99", "1", "5"]


def test_they_stay_read_only_inside(ctn):
    ctn.put("sysctl", "net.ipv4.ip_unprivileged_port_start = 99")
    out = ctn.output("echo 7 > /proc/sys/net/ipv4/ip_unprivileged_port_start; cat /proc/sys/net/ipv4/ip_unprivileged_port_start")
    assert "Read-only" in out and "99\n" in out


def test_for_a_user_without_rights(ctn):
    ctn.put("user", "nobody").put("caps", "none").put("sysctl", "net.ipv4.ip_unprivileged_port_start = 99\nkernel.msgmax = 5000")
    assert ctn.output("cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/kernel/msgmax").split() == ["99", "5000"]


@pytest.mark.parametrize("line, code, sentence", [
    ("net.ipv4.no_such_thing = 1", errno.ENOENT, "net/ipv4/no_such_thing"),
    ("net.ipv4.conf.eth77.rp_filter = 1", errno.ENOENT, "eth77"),
    ("net.ipv4 = 1", errno.ENOENT, "net/ipv4"),
    ("net.ipv4.ip_unprivileged_port_start = many", errno.EINVAL, "port_start = many"),
    ("net.ipv4.ip_unprivileged_port_start = -1", errno.EINVAL, "port_start"),
    ("net.ipv4.ip_local_port_range = 9 8", errno.EINVAL, "port_range"),
    ("fs.mqueue.msg_max = 999999999", errno.EINVAL, "msg_max"),
])
def test_what_the_kernel_refuses(ctn, line, code, sentence):
    ctn.put("sysctl", line)
    ctn.refused("cmd", "true", code, "sysctl: .*" + sentence)
    assert ctn.state() == "created"
    ctn.write("sysctl", "")
    ctn.output("true")


@pytest.mark.parametrize("line", [
    "kernel.core_pattern = x", "vm.swappiness = 1", "kernel.panic = 1", "fs.suid_dumpable = 2",
    "kernel.modprobe = /x", "user.max_user_namespaces = 1", "fs.mqueue = 1", "kernel.shm = 1",
    "net.x/../../kernel.core_pattern = x", "net/../kernel/core_pattern = x", "net//core = 1",
    "net.core..somaxconn = 1", "/net/ipv4/ip_unprivileged_port_start = 1", "net.ipv4.ip_unprivileged_port_start", "= 1",
    "net.core.som\taxconn = 1", "net.ipv4.ip_unprivileged_port_start =",
])
def test_what_is_the_whole_hosts(ctn, line):
    """SECURITY N04 (e)."""
    assert ctn.refused("sysctl", line, errno.EINVAL).where == "sysctl"


@pytest.mark.parametrize("kind, line", [
    ("net", "net.ipv4.ip_unprivileged_port_start = 77"), ("ipc", "kernel.shmmni = 77"), ("ipc", "fs.mqueue.msg_max = 7"),
    ("uts", "kernel.domainname = x.test"),
])
def test_a_shared_namespace_is_left_alone(ctn, kind, line):
    key = line.split()[0]
    before = host(key)
    ctn.put("ns/" + kind, "host").put("sysctl", line)
    ctn.refused("cmd", "true", errno.EINVAL, "%s.*ns/%s is host" % (key, kind))
    assert host(key) == before
    ctn.put("ns/" + kind, "new")
    assert ctn.output("cat /proc/sys/" + key.replace(".", "/")).split() == line.split()[2:]
    assert host(key) == before


def test_with_the_hosts_users(ctn):
    """Its root is the host's then, and still the host keeps its own."""
    before = host("net.ipv4.ip_unprivileged_port_start"), host("kernel.shmmni")
    ctn.put("ns/user", "host").put("sysctl", "net.ipv4.ip_unprivileged_port_start = 77\nkernel.shmmni = 78")
    assert ctn.output("cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/kernel/shmmni").split() == ["77", "78"]
    assert (host("net.ipv4.ip_unprivileged_port_start"), host("kernel.shmmni")) == before


def test_a_setting_waits_for_the_next_start(idle):
    idle.put("sysctl", "net.ipv4.ip_unprivileged_port_start = 55")
    assert "sysctl net.ipv4.ip_unprivileged_port_start = 55" in idle.read("pending")
    idle.put("ctl", "restart")
    assert slurp(idle.path("proc/root/proc/sys/net/ipv4/ip_unprivileged_port_start")).strip() != ""
    assert "port_start" not in idle.read("pending")
