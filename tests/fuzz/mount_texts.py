# SPDX-License-Identifier: Apache-2.0
"""What may be written to the files of a container, and what they must say then. Nothing here does
harm where it is accepted: programs only wait or end, and no host process has a number that is
written to cgroup/procs."""

import json

PAGE = 4096
NAMES = ("A", "B", "LEVEL", "LD_PRELOAD", "X_1", "lower")
COMMANDS = ("true", "sleep 1000", "sleep 1000", "sh -c 'echo out; echo err >&2'", "false",
            "sh -c 'trap \"exit 3\" TERM; echo ready; while :; do sleep 0.1; done'", "cat",
            json.dumps(["echo", "two words", "ü"]), "/no/such/program", "/etc", "", "sh -c 'exit 77'")
VERBS = ("start", "kill", "kill TERM", "kill 9", "stop 0", "stop 1", "pause", "resume", "restart 0",
         "kill USR1", "stop -1", "stop 1 2", "kill NOSUCH", "Start", "kill 65", "destroy", "pause now", "")
KINDS = ("cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts")


def number(low, high):
    return lambda r: "%d" % r.randint(low, high)


def among(*values):
    return lambda r: r.choice(values)


def same(value):
    return value + "\n"


# Files of one value: how to make one, and what it reads as then (None: as the kernel has rounded it).
VALUES = {
    "cwd": (among("/", "/tmp", "/a b/c", "/usr/../etc", "/" + "d" * 200), same),
    "user": (among("0", "root", "1000", "1000:1000", "65533:1"), same),
    "hostname": (among("db", "a-b", "x1", "h" * 63), same),
    "rootfs": (among("host", "host overlay", "host ro"), None),
    "oom_score_adj": (number(-1000, 1000), same),
    "tty": (number(0, 1), same),
    "no_new_privs": (number(0, 1), same),
    "init": (number(0, 1), same),
    "start": (number(0, 1), same),
    "seccomp.notify": (number(0, 1), same),
    "log.max": (number(4096, 1 << 20), same),
    "restart": (among("no", "no", "on-failure:3", "unless-stopped"), same),
    "cgroup/pids.max": (number(20, 5000), same),
    "cgroup/memory.limit": (lambda r: "%d" % (r.randint(2000, 20000) * PAGE), same),
    "cgroup/cpu.weight": (number(1, 10000), None),
    "cgroup/cpu.shares": (number(2, 262144), None),
    "cgroup/cpu.max": (among("max 100000", "50000 100000", "20000 50000"), same),
    "cgroup/memory.swap.limit": (among("max", "0", "64M"), None),
}

# Files of several lines.
LISTS = {
    "env": lambda r: "%s=%s" % (r.choice(NAMES), r.choice(("", "1", "two words", "a=b", "\\n", "ü", "x" * 300))),
    "rlimits": among("nofile 100 200", "nproc 50 60", "core 0 0", "nofile 10", "-nofile", "cpu unlimited unlimited"),
    "sysctl": among("net.core.somaxconn = 1000", "kernel.msgmax = 8000", "-kernel.msgmax", "net.ipv4.ip_forward=1"),
    "devices": among("c 1:3 rwm /dev/null", "c 1:5 r /dev/zero", "-c 1:5", "b *:* m", "a"),
    "paths": among("masked /proc/kcore", "readonly /proc/sys", "-/proc/kcore", "masked /etc/shadow"),
    "mounts": among("/usr /mnt none bind,ro 0 0", "tmpfs /scratch tmpfs size=1m 0 0", "-/scratch", "-/mnt", "-/tmp"),
    "caps": among("cap_kill", "+cap_chown", "-cap_net_raw", "default", "all", "none", "0x20", "cap_net_bind_service"),
    "seccomp": among("default", "none", "+ptrace", "-mount", "+clone3", json.dumps({"defaultAction": "SCMP_ACT_ALLOW"})),
    "ns.list": among("net new", "uts host", "ipc new", "uts new", "ipc host", "time new"),
}

# What is written to these is garbage, or known to be harmless.
PICKY = {
    "cmd": among(*COMMANDS),
    "ctl": among(*VERBS),
    "cgroup/procs": among("99999999", "x", "-1", "1.5", "4194305"),
    "cgroup/freeze": among("0", "0", "1"),
    "cgroup/io.max": among("8:0 rbps=1048576", "max", "8:0 rbps=max", "999:1 rbps=1"),
    "cgroup/memory.high": among("max", "64M"),
    "cgroup/cpuset.cpus": among("0", "max", "0-1", "99"),
    "cgroup/cpuset.mems": among("0", "max"),
    "spec": lambda r: document(r, "x"),
}

READ_ONLY = ("state", "status", "pending", "pid", "id", "exit", "config.json", "error", "caps.sets", "seccomp.denied",
             "ps", "events", "cgroup/events", "cgroup/memory.usage", "cgroup/pids.current", "cgroup/cpu.stat", "stdout",
             "stderr", "log.times")
CONFIG = tuple(VALUES) + tuple(LISTS) + tuple(k for k in PICKY if k not in ("ctl", "cgroup/procs"))
WRITABLE = tuple(VALUES) + tuple(LISTS) + tuple(PICKY)
FILES = WRITABLE + READ_ONLY
GARBAGE = (b"", b"\n", b"\n\n\n", b"#\n", b"# comment\n", b" ", b"\t\n", b"\0", b"a\0b\n", b"\xff\xfe\n", b"\xc3\n", b"-\n",
           b"max\n", b"-1\n", b"0\n", b"18446744073709551616\n", b"1e3\n", b"99999999999999999999M\n", b"{}\n", b"{", b"[]\n",
           b"[\"", b"null\n", b"a" * 5000, b"a" * 5000 + b"\n", b"=\n" * 40, b"../../..\n", b"\r\n", b"\x1b[2J\n", b"%s%n%d\n",
           b"host\nhost\n", b"/\n", b"~\n", b"-x\n", b"+x\n", b"default\ndefault\n", b"\xe2\x80\xae\n")
# Of these a mutated line could mean something that a test must not do.
NEVER_MUTATED = ("rootfs", "cgroup/procs", "cmd", "ctl", "mounts", "spec", "devices")


def document(r, name):
    doc = {"name": name, "start": r.randint(0, 1), "cmd": ["true"]}
    for key in r.sample(("env", "caps", "hostname", "cgroup", "nonsense", "init", "ns"), r.randint(0, 3)):
        doc[key] = {"env": {"K": "v"}, "caps": ["default"], "hostname": "h", "cgroup": {"pids.max": r.choice((100, -1, "max"))},
                    "nonsense": 1, "init": r.choice((0, 1, 2)), "ns": {"net": r.choice(("new", "host", "?"))}}[key]
    text = json.dumps(doc, indent=r.choice((None, 2)))
    return text[:r.randint(0, len(text))] if r.random() < 0.15 else text


def mutate(r, text):
    data = bytearray(text)
    for _ in range(r.randint(1, 4)):
        at = r.randint(0, len(data))
        how = r.randint(0, 4)
        if how == 0:
            data[at:at + 1] = bytes([r.randint(0, 255)])
        elif how == 1:
            data[at:at] = r.choice((b" ", b"\n", b"=", b"-", b"+", b"\t", b"0", b"9" * 20, b"\0", b"\xff", b":"))
        elif how == 2:
            del data[at:at + r.randint(1, 5)]
        elif how == 3:
            data[at:at] = bytes(data[:at])
        else:
            data += bytes(data)
        del data[20000:]
    return bytes(data)


def valid(r, name):
    """One that is meant to be accepted; without its newline, which the last line of a list may lack, too."""
    if name in VALUES:
        return VALUES[name][0](r).encode()
    if name in LISTS:
        return "\n".join(LISTS[name](r) for _ in range(r.randint(1, 4))).encode()
    return PICKY[name](r).encode() if name in PICKY else b"x"


def anything(r, name):
    kind = r.random()
    if kind < 0.55 or (name in NEVER_MUTATED and kind < 0.85):
        return valid(r, name) + r.choice((b"\n", b"\n", b"\n", b"", b"\n\n"))
    if kind < 0.8:
        return mutate(r, valid(r, name) + b"\n")
    if name == "rootfs":  # "/" would be one
        return r.choice((b"nothing\n", b"host rw\n", b"host nothing\n", b"/no/such\n"))
    if name == "mounts":
        return r.choice((b"x\n", b"/ /\n", b"a b c\n", b"none /x tmpfs size=x 0 0\n", b"\0\n"))
    return r.choice(GARBAGE)
