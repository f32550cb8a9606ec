# SPDX-License-Identifier: Apache-2.0
"""Documents of the runtime-spec, and what a program inside says of itself."""

import json
import os

from basics import RANGE, TREE, err_name, put, until
from containers import Ctn
from rootdirs import kernel

PORT = "net.ipv4.ip_unprivileged_port_start"  # a setting of the network namespace on any kernel
DATA = os.path.join(TREE, "tests/data/oci")

# What any program can find out: a section a fact.
REPORT = """#!/bin/busybox sh
say() { echo "=== $1"; }
b=/bin/busybox
say args; for a in "$0" "$@"; do echo "$a"; done
say environ; $b tr '\\0' '\\n' < /proc/$$/environ
say cwd; pwd
for f in status limits mountinfo uid_map gid_map oom_score_adj cgroup timens_offsets personality stat; do
  say $f; $b cat /proc/$$/$f
done
say hostname; $b hostname; $b cat /proc/sys/kernel/domainname
say umask; umask
say tty; $b stty size 2>&1
say ioprio; $b ionice -p $$
say machine; $b uname -m
say ns; for n in cgroup ipc mnt net pid time user uts; do echo $n $($b readlink /proc/$$/ns/$n); done
say dev; for f in /dev/*; do echo $($b stat -c '%n %a %u %g %t %T' $f); done
say end
exec $b sleep 100000
"""


def load(name):
    with open(os.path.join(DATA, name + ".json")) as f:
        return json.load(f)


def moby_profile(caps):
    """What docker and podman write out of the profile that both have, for those capabilities."""
    with open(os.path.join(TREE, "tests/data/moby-seccomp-default.json")) as f:
        profile = json.load(f)
    profile.pop("archMap")
    profile["architectures"] = ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"]
    calls, profile["syscalls"] = profile["syscalls"], []
    for c in calls:
        only, unless = c.pop("includes", {}), c.pop("excludes", {})
        least = tuple(int(n) for n in only.get("minKernel", "0.0").split("."))
        if (set(only.get("caps", [])) <= set(caps) and not set(unless.get("caps", [])) & set(caps)
                and "amd64" in only.get("arches", ["amd64"]) and "amd64" not in unless.get("arches", [])
                and kernel() >= least):
            profile["syscalls"].append(c)
    return profile


def program(root, path, text=REPORT):
    """Put a script into a root file system."""
    at = root + path
    os.makedirs(os.path.dirname(at), exist_ok=True)
    if os.path.lexists(at):
        os.unlink(at)
    with open(at, "w") as f:
        f.write(text)
    os.chmod(at, 0o755)


def document(root, *args, **process):
    """As little as a document can say, in namespaces of its own."""
    kinds = ("mount", "uts", "ipc", "pid", "network", "user", "cgroup")
    return {
        "ociVersion": "1.2.0",
        "process": dict({"args": list(args) or ["/report"], "cwd": "/", "env": ["PATH=/bin"],
                         "user": {"uid": 0, "gid": 0}}, **process),
        "root": {"path": root},
        "hostname": "box",
        "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"},
                   {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["mode=755"]}],
        "linux": {"namespaces": [{"type": k} for k in kinds]},
    }


def sets(**named):
    return {k: ["CAP_" + n.upper() for n in v.split()] for k, v in named.items()}


def with_cgroup(root, **resources):
    doc = document(root)
    doc["mounts"] += [{"destination": "/sys", "type": "sysfs", "source": "sysfs"},
                      {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["ro"]}]
    doc["linux"].update(resources=resources, cgroupsPath="/ctnfs-test-%d/box" % os.getpid())
    return doc


def spare_ids(server):
    """The first of some host ids that no other container has."""
    return server.session.id_base + server.session.id_width - RANGE


def create(server, doc, name=None):
    """Written to `new`; the container."""
    before = set(server.containers())
    r = put(server.path("new"), json.dumps(doc))
    assert r == 0, "%s; %s" % (err_name(r), server.last_error())
    made, = set(server.containers()) - before
    assert name in (None, made)
    c = Ctn(server, made)
    server.session.ids.add(c.get("id"))
    return c


def facts(c):
    """The sections of its report, as lists of lines."""
    def told():
        text = c.read("log").replace("\r\n", "\n")
        return text if "=== end" in text else None
    until(told, "the report of %s" % c.name)
    found = {}
    for part in told().split("=== ")[1:]:
        head, *lines = part.splitlines()
        found[head] = lines
    return found


def status(found, key):
    return next(l.split(":\t", 1)[1] for l in found["status"] if l.startswith(key + ":"))


CAPS = ("chown dac_override dac_read_search fowner fsetid kill setgid setuid setpcap linux_immutable "
        "net_bind_service net_broadcast net_admin net_raw ipc_lock ipc_owner sys_module sys_rawio "
        "sys_chroot sys_ptrace sys_pacct sys_admin sys_boot sys_nice sys_resource sys_time "
        "sys_tty_config mknod lease audit_write audit_control setfcap").split()


def mask(names):
    """As /proc/self/status shows a set."""
    return "%016x" % sum(1 << CAPS.index(n[4:].lower()) for n in set(names))


def capabilities(found):
    return {k: status(found, k) for k in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")}


def limit_of(found, name):
    """Soft and hard, as /proc/self/limits has them."""
    line = next(l for l in found["limits"] if l.startswith(name))
    return tuple(line[26:].split()[:2])


def mount_at(found, target):
    """The topmost mount there: its type, its options, those of the file system, and its root."""
    lines = [l.split() for l in found["mountinfo"]]
    f = next((f for f in reversed(lines) if f[4] == target), None)
    if not f:
        return None
    i = f.index("-")
    return {"type": f[i + 1], "options": f[5].split(","), "super": f[i + 3].split(","), "root": f[3],
            "tags": f[6:i]}
