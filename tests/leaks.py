# SPDX-License-Identifier: Apache-2.0
"""What a test must leave behind: nothing. Each check names its row of the leak list (L1 ... L24).

Other programs may run on the machine, so a thing counts as ours when it bears our directory, our
container ids or our host ids. CTNFS_ALONE=1 says that nobody else is here: then whole counts of the
machine are compared as well."""

import ctypes
import hashlib
import os
import re

import basics
import harness

ALONE = os.environ.get("CTNFS_ALONE") == "1"
SYSCTLS = ("kernel/hostname", "kernel/domainname", "kernel/core_pattern", "kernel/printk",
           "kernel/pid_max", "kernel/modprobe", "vm/overcommit_memory", "vm/swappiness",
           "fs/suid_dumpable", "net/ipv4/ip_forward", "net/core/somaxconn",
           "kernel/shmmax", "fs/mqueue/msg_max", "user/max_user_namespaces")
NS_KINDS = ("cgroup", "ipc", "mnt", "net", "pid", "user", "uts", "time")


def read(path):
    try:
        with open(path, errors="replace") as f:
            return f.read()
    except OSError:
        return ""


def link(path):
    try:
        return os.readlink(path)
    except OSError:
        return ""


def listing(path):
    try:
        return os.listdir(path)
    except OSError:
        return []


def pids():
    return [p for p in os.listdir("/proc") if p.isdigit()]


def processes(session):
    """L2 L4: processes with our host ids, and monitors and servers that hold our directories."""
    for pid in pids():
        try:
            uid = os.stat("/proc/" + pid).st_uid
        except OSError:
            continue
        exe = link("/proc/%s/exe" % pid)
        if session.owns_uid(uid):
            yield "process of a container: " + process_name(pid)
        elif "ctnfs" in exe and holds(pid, session.base):
            yield "process: %s %s" % (process_name(pid), exe)


def process_name(pid):
    words = read("/proc/%s/stat" % pid).rsplit(")", 1)
    return "%s %s state%.2s" % (pid, words[0].split("(", 1)[-1], words[-1])


def holds(pid, base):
    if base in read("/proc/%s/cmdline" % pid) or base in link("/proc/%s/cwd" % pid):
        return True
    return any(base in link("/proc/%s/fd/%s" % (pid, fd)) for fd in listing("/proc/%s/fd" % pid))


def mounts(session):
    """L5 L11."""
    for line in read("/proc/self/mountinfo").splitlines():
        if session.base in line:
            yield "mount: " + line
        elif ALONE:
            yield "mount: " + re.sub(r"^\d+ \d+ ", "", line)


def cgroup_mounts():
    for line in read("/proc/self/mountinfo").splitlines():
        left, right = line.split(" - ")
        if right.split()[0] in ("cgroup", "cgroup2"):
            yield left.split()[4]


def cgroups(session):
    """L7. Servers share the directory "ctnfs": the last one removes it."""
    for top in cgroup_mounts():
        for path, dirs, _ in os.walk(top):
            for name in dirs:
                shared = name == "ctnfs" and harness.LIVE
                if name in session.ids or (ALONE and "ctnfs" in name and not shared):
                    yield "cgroup: " + os.path.join(path, name)


def namespaces(session):
    """L9: only countable when nobody else makes namespaces; bound ones show as mounts."""
    if not ALONE:
        return
    for pid in pids():
        for kind in NS_KINDS:
            target = link("/proc/%s/ns/%s" % (pid, kind))
            if target:
                yield "namespace: " + target


def devices(session):
    """L10 L11 L16 L17."""
    for name in listing("/sys/block"):
        backing = read("/sys/block/%s/loop/backing_file" % name)
        if session.base in backing or (ALONE and backing):
            yield "loop device: %s %s" % (name, backing.strip())
    for server in list(harness.LIVE):
        yield "server: " + server.mnt
    if ALONE:
        yield "ptys: " + read("/proc/sys/kernel/pty/nr").strip()
        yield "network devices: %s" % sorted(listing("/sys/class/net"))
        yield "fuse connections: %d" % len(listing("/sys/fs/fuse/connections"))


def ipc(session):
    """L13 L15."""
    for kind in ("shm", "msg", "sem"):
        for line in read("/proc/sysvipc/" + kind).splitlines()[1:]:
            if any(w.isdigit() and session.owns_uid(int(w)) for w in line.split()):
                yield "System V %s: %s" % (kind, line)
    for name in listing("/dev/shm"):
        try:
            uid = os.lstat("/dev/shm/" + name).st_uid
        except OSError:
            continue
        if session.owns_uid(uid) or (ALONE and "ctnfs" in name):
            yield "shared memory: " + name
    for line in read("/proc/net/unix").splitlines():
        if session.base in line:
            yield "socket: " + line.split(None, 7)[-1]


def keys(session):
    """L14."""
    for line in read("/proc/key-users").splitlines():
        uid = line.split(":")[0].strip()
        if uid.isdigit() and session.owns_uid(int(uid)):
            yield "keys: " + line.strip()


def canaries(session):
    """L20: what no test may change."""
    for name in SYSCTLS:
        yield "sysctl %s = %s" % (name, read("/proc/sys/" + name).strip())
    for name in basics.PROGRAMS:
        path = basics.build_path(name)
        try:
            st = os.stat(path)
        except OSError:
            continue
        yield "binary %s: %s" % (name, digest(path, st))
    for path in ("/", "/etc", "/root", "/usr/bin") if ALONE else ("/", "/etc"):
        yield "names in %s: %s" % (path, sorted(os.listdir(path)))
    for path in ("/etc/passwd", "/etc/hostname", "/bin/sh"):
        try:
            st = os.stat(path)
        except OSError:
            continue
        yield "file %s: %s" % (path, (st.st_ino, st.st_size, st.st_mtime_ns, st.st_mode, st.st_uid))


digests = {}


def digest(path, st):
    """Of a file's contents; read again only when the kernel says that it was touched."""
    mark = (path, st.st_ino, st.st_size, st.st_mtime_ns, st.st_ctime_ns)
    if mark not in digests:
        with open(path, "rb") as f:
            digests[mark] = hashlib.sha256(f.read()).hexdigest()
    return digests[mark]


TROUBLE = re.compile(r"^.*(?:WARNING: |BUG: |hung task|blocked for more than|general protection|Oops).*$", re.M)
LIBC = ctypes.CDLL(None)
SYSLOG_READ_ALL = 3
kernel_log = ctypes.create_string_buffer(1 << 19)


def kernel(session):
    """L21. What dmesg(1) reads, without a process for it."""
    length = LIBC.klogctl(SYSLOG_READ_ALL, kernel_log, len(kernel_log))
    text = kernel_log.raw[:max(length, 0)].decode(errors="replace")
    for line in TROUBLE.findall(text):
        yield "kernel: " + line


CHECKS = (processes, mounts, cgroups, namespaces, devices, ipc, keys, canaries, kernel)


def snapshot(session):
    found = set()
    for check in CHECKS:
        found.update(check(session))
    return found


def difference(session, before):
    """Lines that were not there before, and canaries that are gone."""
    now = snapshot(session)
    lost = {l for l in before - now if l.startswith(("sysctl ", "names in ", "file "))}
    return sorted(now - before) + sorted("gone or changed: %.200s" % l for l in lost)
