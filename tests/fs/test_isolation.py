# SPDX-License-Identifier: Apache-2.0
"""What a program in a container has, and what it must not have."""

import ctypes
import os
import platform
import re
import stat
import subprocess

import pytest

from basics import RANGE, slurp
from containers import inside

x86 = pytest.mark.skipif(platform.machine() != "x86_64", reason="system call numbers of x86_64")
SYSCALL = "import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\n" \
          "def call(*a):\n    r = libc.syscall(*[ctypes.c_long(v) for v in a])\n" \
          "    return r if r >= 0 else -ctypes.get_errno()\n"


def py(c, script, code=0):
    before = len(c.read("log"))
    c.py(script)
    got = c.finish()
    assert got == code, c.read("log")[before:]
    return c.read("log")[before:]


def monitor_of(c):
    return int(re.search(r"PPid:\t(\d+)", slurp("/proc/%d/status" % c.pid()))[1])


def test_proc_status(idle):
    assert idle.proc_status("Seccomp") == "2"
    assert idle.proc_status("CapBnd") == "00000000a80425fb"
    assert idle.proc_status("CapInh") == idle.proc_status("CapAmb") == "0" * 16
    assert idle.proc_status("NoNewPrivs") == "1"
    assert idle.proc_status("Groups").strip() in ("", str(idle.server.id_base))


def test_root_inside_is_nobody_outside(tidy):
    bases = set()
    for _ in range(3):
        c = tidy.make().sh("sleep 1000")
        uid, gid = (int(c.proc_status(k).split()[0]) for k in ("Uid", "Gid"))
        assert uid == gid and tidy.id_base <= uid and tidy.session.owns_uid(uid)
        for name in ("uid_map", "gid_map"):
            assert slurp("/proc/%d/%s" % (c.pid(), name)).split() == ["0", str(uid), str(RANGE)]
        bases.add(uid)
        assert c.server.session.owns_uid(os.stat(c.path("layer") + "/").st_uid)
    assert len(bases) == 3


@pytest.mark.parametrize("kind", ["cgroup", "ipc", "mnt", "net", "pid", "user", "uts"])
def test_own_namespaces(tidy, kind):
    a, b = tidy.make().sh("sleep 1000"), tidy.make().sh("sleep 1000")
    links = [os.readlink(p) for p in ("/proc/self/ns/" + kind, "/proc/%d/ns/%s" % (a.pid(), kind),
                                      "/proc/%d/ns/%s" % (b.pid(), kind))]
    assert len(set(links)) == 3


def test_the_time_namespace_is_the_hosts(idle):
    assert os.readlink("/proc/%d/ns/time" % idle.pid()) == os.readlink("/proc/self/ns/time")


def test_environment_descriptors_and_directory(idle):
    proc = "/proc/%d" % idle.pid()
    env = slurp(proc + "/environ").rstrip("\0").split("\0")
    assert sorted(env) == sorted(idle.lines("env"))
    assert "CTNFS_TEST_SECRET" not in "".join(env)
    assert sorted(os.listdir(proc + "/fd")) == ["0", "1", "2"]
    assert inside(idle, "readlink", "/proc/1/cwd").stdout == "/\n"
    for fd in os.listdir(proc + "/fdinfo"):
        slurp(proc + "/fdinfo/" + fd)


def test_a_shell_sees_three_descriptors(ctn):
    assert ctn.output("ls /proc/1/fd").split() == ["0", "1", "2"]


def test_output_devices_can_be_opened(ctn):
    for user in ("root", "nobody"):
        ctn.put("user", user)
        assert ctn.output("echo o > /dev/stdout; echo e > /dev/stderr") in ("o\ne\n", "e\no\n")


def test_session_id_and_terminal(idle):
    fields = slurp("/proc/%d/stat" % idle.pid()).rsplit(")", 1)[1].split()
    assert fields[4] == "0"  # no controlling terminal
    assert inside(idle, "cat", "/proc/1/stat").stdout.rsplit(")", 1)[1].split()[3] == "1"


def test_masked_paths(ctn):
    for path in ("kcore", "keys", "timer_list", "sched_debug", "latency_stats", "interrupts"):
        out = ctn.output("test ! -e /proc/%s || cat /proc/%s 2>/dev/null | wc -c" % (path, path))
        assert out.strip() in ("", "0"), path
    for path in ("/sys/firmware", "/proc/acpi", "/proc/scsi", "/proc/asound",
                 "/sys/devices/virtual/powercap"):
        assert ctn.output("test ! -e %s || find %s -mindepth 1 | wc -l" % (path, path)).strip() in (
            "", "0"), path


def test_read_only_paths(ctn):
    for path in ("/proc/sys/kernel/core_pattern", "/proc/sys/net/ipv4/ip_forward",
                 "/proc/sysrq-trigger", "/proc/irq/default_smp_affinity", "/sys/kernel/uevent_helper"):
        out = ctn.output("test ! -e %s || { echo 0 > %s; } 2>&1; true" % (path, path))
        assert out == "" or re.search("Read-only|Permission denied|not permitted", out), (path, out)
    assert "Read-only" in ctn.output("mkdir /sys/x 2>&1; true")


def test_mounting_fails(ctn):
    for command in ("mount -t tmpfs x /mnt", "mount --bind / /mnt", "umount /proc",
                    "mount -o remount,rw /proc/sys", "unshare -r true", "unshare -m true",
                    "mount -t proc proc /mnt"):
        out = ctn.output("%s 2>&1; echo code $?" % command)
        assert "code 0" not in out, command
        assert re.search("denied|not permitted|must be superuser", out), out


DENIED = [("mount", 165), ("umount2", 166), ("swapon", 167), ("reboot", 169), ("init_module", 175),
          ("kexec_load", 246), ("add_key", 248), ("request_key", 249), ("keyctl", 250),
          ("unshare", 272), ("perf_event_open", 298), ("open_by_handle_at", 304), ("setns", 308),
          ("bpf", 321), ("userfaultfd", 323), ("pivot_root", 155), ("quotactl", 179),
          ("move_mount", 429), ("fsopen", 430), ("mount_setattr", 442), ("open_tree", 428),
          ("io_uring_setup", 425), ("acct", 163), ("settimeofday", 164)]


@x86
def test_denied_system_calls(ctn):
    """With arguments that would give another errno if the kernel ever looked at them."""
    out = py(ctn, SYSCALL + "for n in %r: print(call(n, -1, -1, -1, -1, -1))" %
             [n for _, n in DENIED])
    assert dict(zip((n for n, _ in DENIED), out.split())) == {n: "-1" for n, _ in DENIED}


@x86
def test_system_calls_with_arguments(ctn):
    out = py(ctn, SYSCALL + "print(call(435, 0, 0), call(41, 40, 1, 0), call(56, 0x10000000, 0), "
             "call(135, 0x1234567), call(135, 0xffffffff) >= 0, call(41, 2, 1, 0) > 0)")
    assert out.split() == ["-38", "-1", "-1", "-1", "True", "True"]


@x86
def test_the_32_bit_table_is_no_way_around(ctn):
    script = SYSCALL + r"""
import mmap
def int80(number):
    code = b"\x53\xb8" + number.to_bytes(4, "little") + bytes.fromhex("31db31c931d231f631ffcd805bc3")
    page = mmap.mmap(-1, 4096, prot=7)
    page.write(code)
    f = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))
    return f()
print(int80(20), int80(21), int80(286), int80(357), int80(310))
"""
    ctn.py(script)
    if ctn.finish() == 139:
        pytest.skip("this kernel has no 32-bit system calls")
    got = ctn.read("log").split()
    assert got[0] in ("1", "-38")  # getpid
    assert all(v in ("-1", "-38") for v in got[1:]), got


def test_seccomp_none_and_more_capabilities(ctn):
    ctn.put("seccomp", "none")
    assert "Seccomp:\t0" in ctn.output("cat /proc/self/status")
    ctn.put("seccomp", "default").put("caps", "all")
    text = ctn.output("cat /proc/self/status; unshare -m true && echo unshared")
    assert "Seccomp:\t2" in text and "unshared" in text


def test_setuid_has_no_effect(ctn):
    ctn.output("cp /usr/bin/id /var/id && chmod 4755 /var/id && ls -l /var/id")
    ctn.put("user", "nobody")
    assert ctn.output("/var/id -u").strip() == "65534"
    ctn.put("no_new_privs", "0")
    assert ctn.output("/var/id -u").strip() == "0"  # so the test can tell


@x86
def test_keyring_is_its_own(ctn):
    libc = ctypes.CDLL(None, use_errno=True)
    key = libc.syscall(248, b"user", b"ctnfs-canary", b"x", 1, -3)
    if key < 0:
        pytest.skip("no session keyring here: errno %d" % ctypes.get_errno())
    try:
        search = "print(libc.syscall(250, 10, -3, b'user', b'ctnfs-canary', 0), ctypes.get_errno())"
        control = subprocess.run(["/usr/bin/python3", "-c", SYSCALL + search], capture_output=True,
                                 text=True)
        assert control.stdout.split()[0] == str(key)
        ctn.put("seccomp", "none")
        assert py(ctn, SYSCALL + search).split() == ["-1", "126"]
    finally:
        libc.syscall(250, 9, key, -3)


def test_devices(ctn):
    names = set(ctn.output("ls /dev").split())
    need = {"null", "zero", "full", "random", "urandom", "tty", "ptmx", "pts", "shm", "fd", "stdin",
            "stdout", "stderr"}
    assert need <= names and names <= need | {"console", "mqueue", "core"}, names
    out = ctn.output("head -c 3 /dev/zero | od -An -tx1; head -c 4 /dev/urandom | wc -c; "
                     "echo x > /dev/null; bash -c 'echo x > /dev/full'; cat /dev/tty; true")
    assert "00 00 00" in out and "4" in out and "No space left" in out
    for node in ("b 254 0", "c 1 3", "c 1 1", "c 10 229"):
        assert "not permitted" in ctn.output("mknod /tmp/n %s 2>&1; true" % node)


def test_pseudo_terminals_are_its_own(ctn):
    out = py(ctn, "import os\na, b = os.openpty()\nprint(os.ttyname(b), os.listdir('/dev/pts'))")
    assert out.startswith("/dev/pts/0 ")
    assert set(re.findall(r"'(\w+)'", out)) <= {"0", "ptmx"}


def test_temporary_directories(ctn):
    out = ctn.output("for d in /tmp /dev/shm /run /var/tmp; do touch $d/x && stat -c %a $d; done")
    assert out.split()[0] == "1777" and out.split()[1] == "1777" and len(out.split()) == 4


def test_loopback_is_up_and_alone(ctn):
    assert ctn.output("ls /sys/class/net; cat /sys/class/net/lo/flags").split() == ["lo", "0x9"]
    out = py(ctn, "import socket\ns = socket.create_server(('127.0.0.1', 7))\n"
             "c = socket.create_connection(('127.0.0.1', 7))\nprint('connected')")
    assert out == "connected\n"  # and a low port is its root's to bind


def test_cgroup_names_inside(ctn):
    for line in ctn.output("cat /proc/self/cgroup").splitlines():
        assert line.split(":", 2)[2] == "/" or ctn.get("id") not in line, line


def test_only_its_own_processes(tidy):
    tidy.make().sh("sleep 4242")
    b = tidy.make()
    out = b.output("ls /proc | grep -c '^[0-9]'; cat /proc/[0-9]*/cmdline | tr '\\0' ' '")
    assert "4242" not in out and int(out.split()[0]) < 6


def test_mounts_inside(idle):
    lines = [l.split() for l in slurp("/proc/%d/mountinfo" % idle.pid()).splitlines()]
    points = [f[4] for f in lines]
    assert "/" in points and "/proc" in points and "/sys" in points and "/usr" in points
    assert len(points) < 60
    for fields in lines:
        assert not any(f.startswith("shared:") for f in fields), fields
        if fields[4] in ("/usr", "/opt", "/bin", "/lib"):
            assert {"ro", "nosuid"} <= set(fields[5].split(",")), fields
        assert "/fuse" not in fields and idle.server.mnt not in " ".join(fields)
    kinds = [" ".join(f).split(" - ")[1].split()[0] for f in lines]
    assert len({f[2] for f in lines if "tmpfs" in " ".join(f)}) <= 2, kinds


def test_the_host_cannot_be_written(ctn):
    before = os.stat("/usr").st_mtime_ns, os.stat("/etc").st_mtime_ns, os.listdir("/tmp")
    out = ctn.output("for d in /usr /usr/bin /usr/lib /opt; do touch $d/ctnfs-x 2>&1; done; "
                     "for d in / /etc /root /home /var /tmp /mnt /srv; do touch $d/ctnfs-x; done; "
                     "echo x >> /etc/passwd; rm /etc/hosts; mv /etc/group /etc/group2; true")
    assert out.count("Read-only") == 4
    assert not any(os.path.lexists(d + "/ctnfs-x") for d in
                   ("/", "/etc", "/root", "/home", "/var", "/tmp", "/mnt", "/srv", "/usr", "/opt"))
    assert (os.stat("/usr").st_mtime_ns, os.stat("/etc").st_mtime_ns) == before[:2]
    with open("/etc/passwd") as f:
        assert not f.read().endswith("x\n")
    assert os.path.exists("/etc/group")


def test_the_monitor(idle):
    """Executed from memory, with few descriptors, one of them for each hierarchy, three for denied calls and
    its mount namespace, and nothing of the server's."""
    proc = "/proc/%d" % monitor_of(idle)
    assert "memfd:" in os.readlink(proc + "/exe")
    targets = [os.readlink(proc + "/fd/" + fd) for fd in os.listdir(proc + "/fd")]
    assert len(targets) <= 15 + 8 + 3 and "/dev/fuse" not in targets, targets
    assert "CTNFS_TEST_SECRET" not in slurp(proc + "/environ")
    assert len(os.listdir(proc + "/task")) == 1
    with pytest.raises(OSError):
        open(proc + "/exe", "r+b").close()
    assert int(re.search(r"VmRSS:\s+(\d+)", slurp(proc + "/status"))[1]) < 4096


def test_the_state_directory_is_closed(idle):
    for path in (idle.server.state, idle.server.run):
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o700
    for path, _, files in os.walk(idle.server.run):
        for name in files:
            st = os.lstat(os.path.join(path, name))
            if stat.S_ISSOCK(st.st_mode):
                assert stat.S_IMODE(st.st_mode) & 0o077 == 0
