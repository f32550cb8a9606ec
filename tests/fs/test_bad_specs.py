# SPDX-License-Identifier: Apache-2.0
"""Documents and lines that are refused: the errno, the subject in the sentence, and nothing changed."""

import copy
import errno
import json
import os

import pytest

from basics import put, settle, slurp

EINVAL, EOPNOTSUPP = errno.EINVAL, errno.EOPNOTSUPP

# A value at each place of a document in the own form, and what the sentence names.
OWN = [
    ("cmd", 5, EINVAL, "cmd"), ("cmd", {"a": 1}, EINVAL, "cmd"), ("cmd", [1], EINVAL, "cmd[0]"),
    ("cmd", ["a", None], EINVAL, "cmd[1]"), ("cmd", "'open", EINVAL, "cmd"),
    ("cmd", "a | b", EINVAL, "cmd"), ("cmd", [""], EINVAL, "cmd"),
    ("start", "yes", EINVAL, "start"), ("start", 2, EINVAL, "start"), ("start", [], EINVAL, "start"),
    ("start", 0.5, EINVAL, "start"), ("start", None, EINVAL, "start"),
    ("env", 1, EINVAL, "env"), ("env", ["novalue"], EINVAL, "env[0]"), ("env", {"": "x"}, EINVAL, "env"),
    ("env", {"A=B": "x"}, EINVAL, "env"), ("env", {"A": 1}, EINVAL, "env.A"), ("env", {"A": []}, EINVAL, "env.A"),
    ("cwd", "tmp", EINVAL, "cwd"), ("cwd", 1, EINVAL, "cwd"), ("cwd", ["/a"], EINVAL, "cwd"),
    ("user", "+1", EINVAL, "user"), ("user", "1:", EINVAL, "user"), ("user", -1, EINVAL, "user"),
    ("user", "4294967296", EINVAL, "user"), ("user", {"uid": 1}, EINVAL, "user"),
    ("hostname", "a b", EINVAL, "hostname"), ("hostname", "h" * 65, EINVAL, "hostname"), ("hostname", [], EINVAL, "hostname"),
    ("name", "a/b", EINVAL, "name"), ("name", "", EINVAL, "name"), ("name", "events", EINVAL, "name"),
    ("name", 5, EINVAL, "name"), ("name", ".x", EINVAL, "name"), ("name", "x" * 65, EINVAL, "name"), ("name", "..", EINVAL, "name"),
    ("rootfs", "srv", EINVAL, "rootfs"), ("rootfs", "host rw", EINVAL, "rootfs"), ("rootfs", "/a/../b", EINVAL, "rootfs"),
    ("mounts", ["/a /b"], EINVAL, "mounts[0]"), ("mounts", ["/a /b none bind", "x"], EINVAL, "mounts[1]"),
    ("mounts", ["tmpfs /proc/sys tmpfs rw"], EINVAL, "mounts[0]"), ("mounts", ["-/nothing"], EINVAL, "mounts[0]"),
    ("mounts", ["/a / none bind"], EINVAL, "mounts[0]"), ("mounts", {"a": 1}, EINVAL, "mounts"), ("mounts", [7], EINVAL, "mounts[0]"),
    ("rlimits", ["nofile 2 1"], EINVAL, "rlimits[0]"), ("rlimits", ["files 1 2"], EINVAL, "rlimits[0]"),
    ("rlimits", ["nofile 1 99999999999999999999"], EINVAL, "rlimits[0]"),
    ("sysctl", ["kernel.core_pattern = |/x"], EINVAL, "sysctl[0]"), ("sysctl", ["net.x/../../kernel.core_pattern = x"], EINVAL, "sysctl[0]"),
    ("sysctl", ["net.core.somaxconn"], EINVAL, "sysctl[0]"), ("sysctl", ["vm.swappiness = 1"], EINVAL, "sysctl[0]"),
    ("devices", ["c 1:3"], EINVAL, "devices[0]"), ("devices", ["c 1:3 rwm /etc/x"], EINVAL, "devices[0]"),
    ("devices", ["c 1:3 rwx"], EINVAL, "devices[0]"), ("devices", ["c 4096:3 r"], EINVAL, "devices[0]"),
    ("paths", ["hide /proc"], EINVAL, "paths[0]"), ("paths", ["masked proc"], EINVAL, "paths[0]"), ("paths", ["masked /a/../b"], EINVAL, "paths[0]"),
    ("oom_score_adj", 1001, EINVAL, "oom_score_adj"), ("oom_score_adj", "x", EINVAL, "oom_score_adj"), ("oom_score_adj", 1.5, EINVAL, "oom_score_adj"),
    ("tty", 2, EINVAL, "tty"), ("tty", "on", EINVAL, "tty"), ("init", 3, EINVAL, "init"), ("no_new_privs", "no", EINVAL, "no_new_privs"),
    ("caps", ["cap_nonesuch"], EINVAL, "caps[0]"), ("caps", ["default", "-cap_xyz"], EINVAL, "caps[1]"), ("caps", 5, EINVAL, "caps"),
    ("seccomp", ["strict"], EINVAL, "seccomp"), ("seccomp", {"defaultAction": "SCMP_ACT_MAYBE"}, EINVAL, "seccomp.defaultAction"),
    ("seccomp", {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["read"], "action": "X"}]}, EINVAL, "seccomp.syscalls[0].action"),
    ("seccomp", ["default", "+nosuchcall"], EINVAL, "seccomp"), ("seccomp", {}, EINVAL, "seccomp"),
    ("ns", {"net": "newish"}, EINVAL, "ns.net"), ("ns", {"nett": "new"}, EINVAL, "nett"), ("ns", {"net": 1}, EINVAL, "ns.net"),
    ("ns", ["x"], EINVAL, "ns"), ("ns", {"net": "container:"}, EINVAL, "ns.net"), ("ns", {"net": "container:nobody"}, (EINVAL, errno.ENOENT), "nobody"),
    ("cgroup", {"memory.limt": "1M"}, EINVAL, "memory.limt"), ("cgroup", {"memory.usage": "1"}, EINVAL, "memory.usage"),
    ("cgroup", {"pids.max": -1}, EINVAL, "pids.max"), ("cgroup", {"pids.max": "many"}, EINVAL, "pids.max"),
    ("cgroup", {"memory.limit": "1.5M"}, EINVAL, "memory.limit"), ("cgroup", {"cpu.max": "0 100000"}, (EINVAL, errno.ERANGE), "cpu.max"),
    ("cgroup", {"cpu.weight": 0}, (EINVAL, errno.ERANGE), "cpu.weight"), ("cgroup", [1], EINVAL, "cgroup"), ("cgroup", {"memory.limit": {}}, EINVAL, "cgroup"),
    ("log.max", 1, EINVAL, "log.max"), ("log.max", "-1", EINVAL, "log.max"),
    ("commmand", "x", EINVAL, "commmand"), ("pid", 5, EINVAL, "pid"), ("state", "running", EINVAL, "state"), ("", 1, EINVAL, ""),
    ("oci", 5, EINVAL, "oci"), ("oci", {"hooks": {}}, EINVAL, "oci.hooks"), ("oci", {"process": {"args": ["x"]}}, EINVAL, "oci.process.args"),
    ("oci", {"process": {"user": {"umask": -1}}}, EINVAL, "umask"),
    ("oci", {"linux": {"uidMappings": [{"containerID": 0, "hostID": 1, "size": 0}]}}, EINVAL, "uidMappings"),
]

# Texts that are no document at all.
TEXTS = [
    ('{"cmd": "true",}', EINVAL, "line 1"), ("{'cmd': 'true'}", EINVAL, "line 1"), ('{"cmd": "true" "x": 1}', EINVAL, "line 1"),
    ('{"cmd": "true", "cmd": "false"}', EINVAL, "cmd"), ('{\n "ns": {"net": "new",\n  "net": "host"}}', EINVAL, "line 3"),
    ('{"start": 01}', EINVAL, "line 1"), ('{"start": -0}', EINVAL, "line 1"), ('{"start": 1e400}', EINVAL, "line 1"), ('{"start": NaN}', EINVAL, "line 1"),
    ('{"start": tru}', EINVAL, "line 1"), ('{"cmd": "a\tb"}', EINVAL, "line 1"), ('{"cmd": "a\\u0000b"}', EINVAL, "line 1"),
    ('{"cmd": "\\ud800"}', EINVAL, "line 1"), ('{"cmd": "\\x41"}', EINVAL, "line 1"), ('{"cmd": /* no */ 1}', EINVAL, "line 1"),
    (b'{"cmd": "\xff"}', EINVAL, "line 1"), (b'{"cmd": "\xc0\xaf"}', EINVAL, "line 1"), (b'{"cmd": "\xed\xa0\x80"}', EINVAL, "line 1"),
    (b'{"cmd": "a\0b"}', EINVAL, "NUL"), ('{"a":' * 70 + "1" + "}" * 70, EINVAL, "64"), ("[]", EINVAL, ""), ('"x"', EINVAL, ""), ("5\n", EINVAL, ""),
    ("no document\n", EINVAL, ""), ("relative/bundle\n", EINVAL, "relative/bundle"), ("/nonexistent/bundle\n", errno.ENOENT, "/nonexistent/bundle"),
    ('{"cmd": "x", "env": {"A": "' + "y" * (1 << 20) + '"}}', (errno.EFBIG, EINVAL), ""),
]

OCI = {
    "ociVersion": "1.2.0",
    "process": {"args": ["true"], "cwd": "/", "env": ["PATH=/usr/bin:/bin"], "user": {"uid": 0, "gid": 0}},
    "root": {"path": "/nonexistent/rootfs", "readonly": True},
    "linux": {"namespaces": [{"type": "mount"}, {"type": "pid"}, {"type": "user"}]},
}

# A value at a place of that document.
OCI_BAD = [
    ("ociVersion", "2.0.0", EINVAL), ("ociVersion", "x", EINVAL), ("ociVersion", 1, EINVAL),
    ("process", 5, EINVAL), ("process.args", "true", EINVAL), ("process.args", [1], EINVAL),
    ("process.cwd", "tmp", EINVAL), ("process.cwd", 1, EINVAL), ("process.env", ["X"], EINVAL), ("process.env", {"A": "B"}, EINVAL),
    ("process.terminal", "yes", EINVAL), ("process.consoleSize", {"height": 70000, "width": 1}, EINVAL),
    ("process.user.uid", -1, EINVAL), ("process.user.uid", 4294967296, EINVAL), ("process.user.uid", "0", EINVAL), ("process.user.gid", 1.5, EINVAL),
    ("process.user.umask", 512, EINVAL), ("process.user.additionalGids", [-1], EINVAL), ("process.user.additionalGids", 5, EINVAL),
    ("process.capabilities", [], EINVAL), ("process.capabilities.bounding", ["CAP_NONE"], EINVAL), ("process.capabilities.effective", ["CAP_KILL"], EINVAL),
    ("process.capabilities.bounding", "CAP_KILL", EINVAL),
    ("process.rlimits", [{"type": "RLIMIT_FILES", "soft": 1, "hard": 2}], EINVAL), ("process.rlimits", [{"type": "RLIMIT_NOFILE", "soft": 3, "hard": 2}], EINVAL),
    ("process.rlimits", [{"type": "RLIMIT_NOFILE", "soft": 1, "hard": 2}] * 2, EINVAL),
    ("process.rlimits", [{"type": "RLIMIT_NOFILE", "soft": -1, "hard": 2}], EINVAL),
    ("process.noNewPrivileges", 1, EINVAL), ("process.oomScoreAdj", 1001, EINVAL), ("process.oomScoreAdj", "1", EINVAL),
    ("process.scheduler", {"policy": "SCHED_MAGIC"}, EINVAL), ("process.scheduler", {"policy": "SCHED_OTHER", "nice": 50}, EINVAL),
    ("process.scheduler", {"policy": "SCHED_OTHER", "flags": ["X"]}, EINVAL),
    ("process.ioPriority", {"class": "IOPRIO_CLASS_X", "priority": 1}, EINVAL), ("process.ioPriority", {"class": "IOPRIO_CLASS_BE", "priority": 9}, EINVAL),
    ("process.apparmorProfile", "docker-default", EOPNOTSUPP), ("process.selinuxLabel", "system_u:x", EOPNOTSUPP),
    ("root", None, EINVAL), ("root.path", "relative", EINVAL), ("root.path", 5, EINVAL), ("root.readonly", "x", EINVAL),
    ("hostname", "a b", EINVAL), ("hostname", 5, EINVAL), ("domainname", "x" * 65, EINVAL), ("domainname", 1, EINVAL),
    ("mounts", [{"source": "/a"}], EINVAL), ("mounts", [{"destination": "/", "source": "/a", "options": ["bind"]}], EINVAL),
    ("mounts", [{"destination": "/b", "type": "ext4", "source": "/dev/sda1"}], EINVAL), ("mounts", [{"destination": "/proc/sys", "type": "tmpfs", "source": "x"}], EINVAL),
    ("mounts", [{"destination": "/x", "type": "tmpfs", "source": "t", "options": "ro"}], EINVAL),
    ("mounts", [{"destination": "/x", "type": "tmpfs", "source": "t", "options": ["mand"]}], EOPNOTSUPP),
    ("hooks", {"prestart": [{"path": "/bin/true"}]}, EOPNOTSUPP), ("hooks", {"poststop": [{"path": "/bin/true"}]}, EOPNOTSUPP),
    ("annotations", {"a": 1}, EINVAL), ("annotations", {"": "x"}, EINVAL), ("annotations", {"org.ctnfs.name": "a/b"}, EINVAL),
    ("linux", 5, EINVAL), ("linux.namespaces", [{"type": "mount"}, {"type": "mount"}], EINVAL), ("linux.namespaces", [{"type": "magic"}], EINVAL),
    ("linux.namespaces", [{"type": "mount"}, {"type": "network", "path": "rel"}], EINVAL), ("linux.namespaces", [{"path": "/x"}], EINVAL),
    ("linux.namespaces", [{"type": "pid"}], EINVAL), ("linux.namespaces", "x", EINVAL),
    ("linux.uidMappings", [{"containerID": 0, "hostID": 100000, "size": 0}], EINVAL),
    ("linux.uidMappings", [{"containerID": 0, "hostID": 100000, "size": 10}, {"containerID": 5, "hostID": 200000, "size": 10}], EINVAL),
    ("linux.uidMappings", [{"containerID": 0, "hostID": 4294967290, "size": 100}], EINVAL), ("linux.uidMappings", [{"hostID": -1}], EINVAL),
    ("linux.gidMappings", [{"containerID": 4294967295, "hostID": 0, "size": 2}], EINVAL),
    ("linux.devices", [{"path": "/dev/x", "type": "z", "major": 1, "minor": 3}], EINVAL), ("linux.devices", [{"path": "/etc/x", "type": "c", "major": 1, "minor": 3}], EINVAL),
    ("linux.devices", [{"path": "/dev/x", "type": "c", "major": -5, "minor": 3}], EINVAL), ("linux.devices", [{"type": "c", "major": 1, "minor": 3}], EINVAL),
    ("linux.cgroupsPath", "/a/../../b", EINVAL), ("linux.cgroupsPath", 5, EINVAL),
    ("linux.resources.memory.limit", "1M", EINVAL), ("linux.resources.memory.limit", -2, EINVAL),
    ("linux.resources.memory.swappiness", 60, EOPNOTSUPP), ("linux.resources.memory.disableOOMKiller", True, EOPNOTSUPP),
    ("linux.resources.cpu.quota", "x", EINVAL), ("linux.resources.cpu.shares", "x", EINVAL), ("linux.resources.cpu.cpus", "0-", EINVAL),
    ("linux.resources.cpu.realtimeRuntime", 5, EOPNOTSUPP), ("linux.resources.pids.limit", "x", EINVAL),
    ("linux.resources.hugepageLimits", [{"pageSize": "2MB", "limit": 1}], EOPNOTSUPP), ("linux.resources.network", {"classID": 5}, EOPNOTSUPP),
    ("linux.resources.unified", {"memory.max": 5}, EINVAL), ("linux.resources.unified", {"memory.maximum": "5"}, EOPNOTSUPP),
    ("linux.resources.unified", {"../x": "5"}, (EINVAL, EOPNOTSUPP)),
    ("linux.resources.devices", [{"allow": "x"}], EINVAL), ("linux.resources.devices", [{"allow": True, "type": "q", "access": "r"}], EINVAL),
    ("linux.sysctl", {"kernel.core_pattern": "x"}, EINVAL), ("linux.sysctl", {"net.core.somaxconn": 5}, EINVAL),
    ("linux.seccomp", {"defaultAction": "X"}, EINVAL), ("linux.seccomp", {}, EINVAL), ("linux.seccomp", {"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_VAX"]}, EINVAL),
    ("linux.seccomp", {"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": "/run/x"}, EOPNOTSUPP),
    ("linux.seccomp", {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["read"], "action": "SCMP_ACT_NOTIFY"}]}, EOPNOTSUPP),
    ("linux.seccomp", {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["read"], "action": "SCMP_ACT_ERRNO", "args": [{"index": 6, "value": 1, "op": "SCMP_CMP_EQ"}]}]}, EINVAL),
    ("linux.seccomp", {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["read"], "action": "SCMP_ACT_ERRNO", "args": [{"index": 0, "value": 1, "op": "EQ"}]}]}, EINVAL),
    ("linux.maskedPaths", ["proc"], EINVAL), ("linux.maskedPaths", "x", EINVAL), ("linux.readonlyPaths", [5], EINVAL),
    ("linux.rootfsPropagation", "sideways", EINVAL), ("linux.timeOffsets", {"monotonic": {"secs": 1}}, EINVAL), ("linux.timeOffsets", {"realtime": {"secs": 1}}, EINVAL),
    ("linux.personality", {"domain": "PER_SVR4"}, (EINVAL, EOPNOTSUPP)), ("linux.personality", {"domain": "LINUX", "flags": ["X"]}, (EINVAL, EOPNOTSUPP)),
    ("linux.mountLabel", "x", EOPNOTSUPP), ("linux.intelRdt", {"closID": "x"}, EOPNOTSUPP),
]


def world(server):
    """All that a refused document may not change."""
    ids = [n for n in os.listdir(server.state) if len(n) >= 64]
    return sorted(server.containers()), sorted(ids), sorted(os.listdir(server.run))


def offer(server, text):
    """What `cat doc > new; cat <&3` gives: the errno of the write and the sentence."""
    data = text if isinstance(text, bytes) else text.encode()
    fd = os.open(server.path("new"), os.O_RDWR | os.O_CLOEXEC)
    try:
        done = 0
        while done < len(data):
            try:
                done += os.write(fd, data[done:done + 131072])
            except OSError as e:
                return e.errno, os.read(fd, 65536).decode()
        return 0, os.read(fd, 65536).decode()
    finally:
        os.close(fd)


def wrongs(server, rows):
    """For each (text, errnos, subject): refused so, with a sentence about it, and nothing changed."""
    before, wrong = world(server), []
    for text, codes, subject in rows:
        codes = codes if isinstance(codes, tuple) else (codes,)
        code, sentence = offer(server, text)
        if code not in codes or subject not in sentence or len(sentence.split()) < 4:
            wrong.append((text[-300:], errno.errorcode.get(code, code), sentence, subject))
        # What was made on the way is removed by a thread of its own.
        if settle(lambda: world(server) != before):
            wrong.append((text[-300:], "left something", world(server)))
            before = world(server)
    return "\n".join(map(str, wrong))


@pytest.fixture
def spec_server(shared_server, tidy):
    return shared_server


def test_documents_in_the_own_form(spec_server):
    rows = [(json.dumps(dict({"name": "bad", "start": 0, "cmd": ["true"]}, **{key: value})), code, subject)
            for key, value, code, subject in OWN]
    assert wrongs(spec_server, rows) == ""


def test_texts(spec_server):
    assert wrongs(spec_server, TEXTS) == ""


def changed(path, value):
    document = copy.deepcopy(OCI)
    at = document
    *parents, last = path.split(".")
    for key in parents:
        at = at.setdefault(key, {})
    at[last] = value
    if path == "linux.timeOffsets":
        document["linux"]["namespaces"].append({"type": "network"})
    return document


def test_documents_in_the_oci_form(spec_server):
    rows = [(json.dumps(changed(path, value)), code, path.split(".")[-1]) for path, value, code in OCI_BAD]
    assert wrongs(spec_server, rows) == ""


LISTS = ("mounts", "rlimits", "sysctl", "devices", "paths")
# Lines of files, as a shell writes them.
LINES = [(name, value if isinstance(value, str) else value[0], code) for name, value, code, _ in OWN
         if name in ("rootfs", "mounts", "rlimits", "sysctl", "devices", "paths", "oom_score_adj", "tty", "cwd", "user", "hostname")
         and (isinstance(value, str) or name in LISTS and isinstance(value, list) and isinstance(value[0], str))]


def test_the_same_sentence_from_both_sides(spec_server, ctn):
    assert len(LINES) > 25
    for name, line, code in LINES:
        if name == "mounts" and line == "/a /b none bind":
            continue
        before = slurp(ctn.path("spec"))
        got = put(ctn.path(name), line + "\n", append=True)
        assert got in (code, errno.ERANGE), (name, line, got)  # a file says more of what is wrong
        sentence = ctn.last_error().text
        document = {"name": "bad", "start": 0, name: [line] if name in LISTS else line}
        assert sentence in offer(spec_server, json.dumps(document))[1], (name, line, sentence)
        assert slurp(ctn.path("spec")) == before, (name, line)


def test_there_are_enough_of_them():
    assert len(OWN) + len(TEXTS) + len(OCI_BAD) + len(LINES) >= 150
