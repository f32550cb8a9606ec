# SPDX-License-Identifier: Apache-2.0
"""N25: what of /proc and /sys is the whole machine's a container can neither read nor change.

The list is docker's and podman's, and some more. What is hidden reads as empty and cannot be written, nor can
what hides it be taken off. /sys cannot be written at all, and the rest of /proc is looked through: whatever the
kernel of this machine has there, no file of it can be opened for writing that is not the container's own.

The controls are a container with no such paths, and one with the privileges to take them off."""

import json

import pytest

from attackers import arm, enter

HIDDEN = ("/proc/acpi /proc/asound /proc/dynamic_debug /proc/interrupts /proc/kcore /proc/keys /proc/latency_stats "
          "/proc/sched_debug /proc/scsi /proc/timer_list /proc/timer_stats /sys/devices/virtual/powercap /sys/firmware /sys/fs/bpf "
          "/sys/fs/fuse /sys/fs/pstore /sys/fs/selinux /sys/kernel/debug /sys/kernel/security /sys/kernel/tracing").split()
FIXED = "/proc/bus /proc/fs /proc/irq /proc/sys /proc/sys/kernel/core_pattern /proc/sysrq-trigger /sys".split()

# For each path how much is in it, what an open for writing says, and whether what hides it can be taken off.
LOOK = """
import ctypes, errno, json, os, sys
libc = ctypes.CDLL(None, use_errno=True)
def attempt(f, *args):
    try:
        return f(*args)
    except OSError as e:
        return errno.errorcode[e.errno]
def size(path):
    if os.path.isdir(path):
        return sum(len(files) for _, _, files in os.walk(path))
    with open(path, "rb") as f:
        return len(f.read(64))
def write(path):
    if os.path.isdir(path):
        os.mkdir(path + "/x")
        return "made"
    os.close(os.open(path, os.O_WRONLY))
    return "opened"
def off(path):
    return "gone" if libc.umount2(path.encode(), 2) == 0 else errno.errorcode[ctypes.get_errno()]
found = {p: [attempt(size, p), attempt(write, p), attempt(off, p)] for p in sys.argv[1:] if os.path.lexists(p)}
open_to_write = []
for at, dirs, files in os.walk("/proc"):
    if at == "/proc":
        dirs[:] = [d for d in dirs if not d.isdigit() and d not in ("self", "thread-self", "net")]
    for name in files:
        path = at + "/" + name
        if not os.path.islink(path) and os.stat(path).st_mode & 0o222 and attempt(write, path) == "opened":
            open_to_write.append(path)
print(json.dumps([found, open_to_write]))
"""
# A write of the first asks for CAP_SYS_ADMIN; the others are for anybody to wait for.
LEFT_TO_THE_KERNEL = {"/proc/mtrr", "/proc/pressure/cpu", "/proc/pressure/io", "/proc/pressure/memory", "/proc/pressure/irq"}


def look(ctn, user="0", way="start"):
    argv = ["python3", "-c", LOOK] + HIDDEN + FIXED
    if way == "exec":
        ctn.start("/attack/tell", "wait")
        return json.loads(enter(ctn, "-u", user, *argv, code=0).stdout)
    ctn.put("user", user).start(*argv)
    assert ctn.finish() == 0, ctn.read("log")
    return json.loads(ctn.read("log"))


@pytest.mark.parametrize("kind, user, way", [
    ("default", "0", "start"), ("default", "1000", "exec"), ("host's root", "0", "exec"), ("no filter", "0", "start"),
    ("no filter", "1000", "start")])
def test_nothing_of_the_machine(ctn, kind, user, way):
    arm(ctn, ptrace=False)
    if kind != "default":
        ctn.put("ns/user", "host")
    if kind == "no filter":
        ctn.put("seccomp", "none")
    found, open_to_write = look(ctn, user, way)
    assert {"/proc/sys", "/proc/irq", "/sys"} <= set(found)
    for path, (size, write, off) in found.items():
        if path in HIDDEN:
            assert size in (0, "EACCES", "EPERM"), (path, size)
        assert write in ("EROFS", "EACCES", "EPERM", "ENOENT") and off == "EPERM", (path, write, off)
    assert user != "0" or found["/sys"][1] == "EROFS", found
    assert set(open_to_write) <= LEFT_TO_THE_KERNEL, open_to_write


def test_control_without_them(ctn):
    """Root of the host without the list: settings of the whole machine are open for writing."""
    arm(ctn, ptrace=False).put("ns/user", "host")
    assert ctn.write("paths", "\n") == 0
    found, open_to_write = look(ctn)
    assert any(isinstance(size, int) and size > 0 for p, (size, _, _) in found.items() if p in HIDDEN), found
    assert "/proc/sys/kernel/core_pattern" in open_to_write


def test_control_of_taking_them_off(ctn):
    arm(ctn, "privileged")
    found, _ = look(ctn)
    assert "gone" in {off for _, _, off in found.values()}, found
