# SPDX-License-Identifier: Apache-2.0
"""N20 to N22: system calls that a container has no business with never reach the kernel's code for them.

Many ways out of a container began with one: new mounts (CVE-2022-0185), a namespace in which it has all
capabilities, keys, bpf, io_uring, the crypto sockets. What holds them off is the filter, so it must be there
for whatever runs inside, however it came in, and there must be no second way past it: neither the numbers of
i386 and of x32, nor bits that the kernel does not look at (CVE-2019-10063), nor a call that takes its arguments
from memory.

The program makes each call such that the kernel would say something else than the filter does. The controls
are a container without a filter, and filters that were written as such are often written."""

import json
import os
import re

import pytest

from attackers import TELL, arm, enter
from basics import slurp
from sessions import session, wait_code

CALLS = "/attack/calls"
REFUSED = {"EPERM", "ENOSYS"}
# What is refused as if it did not exist, so that programs do what they did before there was such a call.
UNKNOWN = re.compile("clone3|socketcall")
WAYS = ("start", "exec", "session")


def said(text):
    return dict(l.rsplit(" ", 1) for l in text.splitlines())


def run(ctn, way, user, *argv):
    """What the program says that was brought in by one of the ways; the container runs meanwhile."""
    if way == "start":
        before = len(ctn.read("log"))
        ctn.put("user", user).start(*argv)
        assert ctn.finish() == 0
        return said(ctn.read("log")[before:])
    if ctn.state() != "running":
        ctn.put("user", "0" if user == "1000" else "1000").start(TELL, "wait")
    if way == "exec":
        return said(enter(ctn, "-u", user, *argv, code=0).stdout)
    s = session(ctn, "s").put("user", user).start(*argv)
    assert wait_code(s) == 0
    try:
        return said(s.read("log"))
    finally:
        s.remove()


@pytest.fixture(params=["default", "host's root"])
def held(ctn, request):
    """With the default filter and capabilities; also where its root is that of the host."""
    arm(ctn, ptrace=False)
    if request.param != "default":
        ctn.put("ns/user", "host")
    return ctn


def check(got, least):
    assert len(got) >= least, got
    got = {name: answer for name, answer in got.items() if answer != "SIGSEGV" or "int 0x80" not in name}
    assert got == {name: "ENOSYS" if UNKNOWN.match(name) else "EPERM" for name in got}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("user", ["0", "1000"])
def test_calls_that_are_denied(held, way, user):
    got = run(held, way, user, CALLS)
    check(got, 90)
    assert "ioctl TIOCSTI by int 0x80" in got


@pytest.mark.parametrize("way", ["start", "exec"])
def test_the_32_bit_entry_is_no_way_around(held, way):
    got = run(held, way, "0", CALLS, "32")
    if set(got.values()) == {"SIGSEGV"}:
        pytest.skip("this kernel has no 32-bit entry")
    check(got, 30)


def test_nor_is_that_of_x32(held):
    """A kernel without x32 says the same by itself: the filter is run on these numbers in tests/unit/test_seccomp.c."""
    assert set(run(held, "start", "0", CALLS, "x32").values()) == {"ENOSYS"}


def test_each_process_has_the_filter(held):
    """From its very first instruction on, so a filter of every thread at once (TSYNC) is nowhere needed."""
    held.start(CALLS, "wait").until_log("READY")
    s = session(held, "s").start(CALLS, "wait").until_log("READY")
    for pid in held.pid(), int(s.get("pid")):
        status = dict(l.split(":\t", 1) for l in slurp("/proc/%d/status" % pid).splitlines() if ":\t" in l)
        assert status["Seccomp"] == "2" and int(status["Seccomp_filters"]) >= 1 and status["NoNewPrivs"] == "1"
        assert os.listdir("/proc/%d/task" % pid) == [str(pid)]
    out = enter(held, "grep", "^Seccomp", "/proc/self/status", code=0).stdout
    assert out.split() == ["Seccomp:", "2", "Seccomp_filters:", status["Seccomp_filters"]]
    s.put("ctl", "kill").remove()


def test_more_namespaces_cannot_be_allowed_from_inside(held):
    out = held.output("for f in /proc/sys/user/max_user_namespaces /proc/sys/kernel/core_pattern; do "
                      "(echo 1000 > $f) 2>&1; done; true")
    assert out.count("Read-only") == 2, out


# --- controls ---

@pytest.fixture
def free(ctn):
    return arm(ctn, "privileged")


@pytest.mark.parametrize("way", WAYS)
def test_control_without_a_filter(free, way):
    """Each call gets to the kernel, which has a reason of its own, or does it."""
    got = run(free, way, "0", CALLS)
    there = {name: answer for name, answer in got.items() if answer != "ENOSYS"}
    assert len(there) > 55 and "EPERM" not in there.values(), got
    assert {name for name in got if name.startswith("clone new")} <= \
        {name for name, answer in got.items() if answer == "ok"}


def test_control_of_the_32_bit_entry(free):
    got = run(free, "start", "0", CALLS, "32")
    if set(got.values()) == {"SIGSEGV"}:
        pytest.skip("this kernel has no 32-bit entry")
    assert "EPERM" not in got.values() and got["socketcall 2"] == got["clone newuser"] == "ok", got


def naive(name, argument, value):
    return {"names": [name], "action": "SCMP_ACT_ERRNO",
            "args": [{"index": argument, "value": value, "op": "SCMP_CMP_EQ"}]}


def test_control_of_the_high_bits(free):
    """A filter that compares 64 bits where the kernel takes 32."""
    free.put("seccomp", json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"],
                                    "syscalls": [naive("socket", 0, 40), naive("ioctl", 1, 0x5412)]}))
    got = run(free, "start", "0", CALLS)
    for name in "socket vsock", "ioctl TIOCSTI":
        assert got[name] == "EPERM"
        assert got[name + " and high bits"] not in REFUSED, got
