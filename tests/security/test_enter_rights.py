# SPDX-License-Identifier: Apache-2.0
"""N30, N34: who enters has the rights of the container's own program, and nothing of the caller's.

CVE-2016-8649 (LXC) and its like left who enters with the caller's descriptors, groups, limits or
session; a program that enters with more than the first one has is the container's way to that.

The control is nsenter(1), which joins the same namespaces and takes away nothing: the comparison must
tell the difference."""

import os
import resource
import subprocess

import pytest

from attackers import TELL, arm, command, end_process, processes
from basics import slurp, until

SAME = ("Uid Gid Groups CapInh CapPrm CapEff CapBnd CapAmb NoNewPrivs Seccomp Seccomp_filters "
        "Umask Cpus_allowed Mems_allowed").split()
NAMESPACES = "cgroup ipc mnt net pid time user uts".split()


def rights(pid):
    """What the kernel says that a process may do."""
    proc = "/proc/%d/" % pid
    status = dict(l.split(":\t", 1) for l in slurp(proc + "status").splitlines() if ":\t" in l)
    found = {key: status[key] for key in SAME}
    found.update((kind, os.readlink(proc + "ns/" + kind)) for kind in NAMESPACES)
    found["cgroup"] = slurp(proc + "cgroup")
    found["environ"] = sorted(slurp(proc + "environ").split("\0"))
    found["limits"] = slurp(proc + "limits")
    found["oom"] = slurp(proc + "oom_score_adj")
    found["cwd"] = os.readlink(proc + "cwd")
    return found


def difference(ctn, argv):
    """In which of its rights a program that was brought in so differs from the first one."""
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, env={"CTNFS_TEST_SECRET": "1", "PATH": "/bin"},
                               preexec_fn=as_another, close_fds=False)
    try:
        def arrived():
            for pid in processes(ctn):
                try:
                    if os.readlink("/proc/%d/exe" % pid).endswith("tell"):
                        return pid
                except OSError:
                    continue
            assert process.poll() is None, "%s: %s" % (argv, process.returncode)

        mine, first = rights(until(arrived, "it has entered")), rights(ctn.pid())
        return {key: (mine[key], first[key]) for key in first if mine[key] != first[key]}
    finally:
        end_process(process)


def as_another():
    """A caller with groups, limits and settings of its own."""
    os.setgroups([4, 27, 1000])
    os.umask(0o077)
    soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0 if soft else hard and 4096, hard))


@pytest.mark.parametrize("settings", [
    {}, {"user": "1000:1001"}, {"caps": "none"}, {"seccomp": "none"}, {"no_new_privs": "0"},
    {"ns/user": "host"}, {"rlimits": "nofile 100 200"}, {"cwd": "/tmp"}, {"oom_score_adj": "300"}],
    ids=lambda s: "+".join(s) or "default")
def test_the_same_as_the_first_program(ctn, settings):
    arm(ctn)
    for name, value in settings.items():
        ctn.put(name, value)
    ctn.start(TELL, "wait")
    assert difference(ctn, command(ctn, TELL, "wait")) == {}


def test_control(ctn):
    arm(ctn).start(TELL, "wait")
    argv = ["nsenter", "-t", str(ctn.pid()), "-a", "--", TELL, "wait"]
    assert {"CapEff", "CapBnd", "NoNewPrivs", "Seccomp", "environ"} <= set(difference(ctn, argv))
