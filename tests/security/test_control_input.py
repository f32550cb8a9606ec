# SPDX-License-Identifier: Apache-2.0
"""N17, N18, N19: what a document says of a program is for the program alone; the ways to ctnfs are for root
alone; and control groups are not a way out.

CVE-2026-53488, CVE-2022-23648: words that come with an image choose files of the host. CVE-2020-15257: a
control socket that is a name without a file is reached from a container with the host's network.
CVE-2022-0492: who can mount the control groups' hierarchy writes its release_agent, which the kernel runs on
the host.

The controls: a socket of that kind is seen from the same container; a container with the host's users and
control groups, all capabilities and no filter can write what is looked for."""

import errno
import json
import os
import re
import socket
import stat
import subprocess

import pytest

from attackers import TELL, arm, enter
from basics import limit, put, slurp
from canaries import canary  # noqa: F401
from harness import cgroup_version
from ocidocs import create, document, facts, program
from rootdirs import make_root

KINDS = ("default", "privileged")
TRAP = "/trap/preload.so"


@pytest.fixture
def root(tmp_path):
    os.chmod(str(tmp_path), 0o755)
    top = make_root(str(tmp_path / "root"))
    program(top, "/report")
    return top


# --- N17: documents ---

ENVIRONMENT = ["PATH=/bin:../../../bin", "LD_PRELOAD=" + TRAP, "LD_LIBRARY_PATH=/trap", "GCONV_PATH=/trap", "HOME=/../../root",
               "NOTIFY_SOCKET=/run/systemd/notify", "LISTEN_FDS=3", "_LIBCONTAINER_INITPIPE=3", "CTNFS_STATE=/trap"]
ANNOTATIONS = {
    "io.ctnfs.rootfs": "/", "io.ctnfs.mounts": "/ /host none bind 0 0", "org.ctnfs.privileged": "1", "org.ctnfs.caps": "all",
    "org.systemd.property.ExecStartPre": "'/bin/touch /trap'", "run.oci.hooks.stderr": "/dev/stderr",
    "run.oci.handler": "krun", "run.oci.mount_context_type": "context", "io.kubernetes.cri-o.Devices": "/dev/sda:/dev/sda",
    "io.podman.annotations.privileged": "TRUE", "io.containers.trace-syscall": "of:/trap", "nvidia.cdi.k8s.io/x": "all"}


def helpers(ctn):
    """Its monitor, and the server."""
    with open("/proc/%d/status" % ctn.pid()) as f:
        yield int(re.search(r"^PPid:\t(\d+)$", f.read(), re.M)[1])
    yield ctn.server.proc.pid


def settings(ctn, name):
    """A file's text, without the numbers of namespaces."""
    return re.sub(r"\b\d{10}\b", "N", ctn.read(name))


def test_words_of_a_document(tidy, canary, root):  # noqa: F811
    """Hostile environment and annotations: the environment is the program's, and nothing else is another."""
    plain = create(tidy, document(root))
    facts(plain)
    want = {f: settings(plain, f) for f in ("rootfs", "mounts", "caps", "seccomp", "devices", "ns.list", "paths", "user")}
    hostile = create(tidy, dict(document(root, env=ENVIRONMENT), annotations=ANNOTATIONS, hostname="hostile"))
    seen = facts(hostile)
    assert sorted(seen["environ"]) == sorted(ENVIRONMENT)
    assert {f: settings(hostile, f) for f in want} == want
    for pid in helpers(hostile):
        assert TRAP not in slurp("/proc/%d/environ" % pid) and "LISTEN_FDS" not in slurp("/proc/%d/environ" % pid)
    text = enter(hostile, "/bin/cat", "/proc/self/environ", code=0).stdout
    assert "LD_PRELOAD=" + TRAP in text.split("\0")


HOOKS = [
    {"hooks": {"prestart": [{"path": "/bin/touch", "args": ["touch", "/trap"]}]}},
    {"hooks": {"createRuntime": [{"path": "/bin/touch"}]}}, {"hooks": {"poststop": [{"path": "../../bin/touch"}]}}]


def test_hooks_are_refused(tidy, canary, root):  # noqa: F811
    before = tidy.containers()
    for change in HOOKS:
        assert put(tidy.path("new"), json.dumps(dict(document(root), **change))) == errno.EOPNOTSUPP
        assert "hooks" in tidy.last_error().text and tidy.containers() == before


BAD_WORDS = [
    {"cwd": "../../etc"}, {"cwd": ""}, {"args": [""]}, {"env": ["=x"]}, {"env": ["A\0B=c"]},
    {"user": {"uid": -1, "gid": 0}}, {"user": {"uid": 4294967296, "gid": 0}}, {"user": {"uid": 0, "gid": "0"}}]


def test_bad_words_are_refused(tidy, canary, root):  # noqa: F811
    before = tidy.containers()
    for change in BAD_WORDS:
        assert put(tidy.path("new"), json.dumps(document(root, **change))) in (errno.EINVAL, errno.ENOENT), change
        assert tidy.containers() == before


@pytest.mark.parametrize("destination", ["/../../../etc", "/srv/../../../etc", "../etc", "/etc/../../../../../..%s"])
def test_places_of_a_document(tidy, canary, root, destination):  # noqa: F811
    """`..` ends at the container's root, or is refused."""
    doc = document(root)
    where = destination.replace("%s", canary.path)
    doc["mounts"].append({"destination": where, "type": "bind", "source": canary.path, "options": ["bind", "ro"]})
    before = set(tidy.containers())
    r = put(tidy.path("new"), json.dumps(doc))
    assert r in (0, errno.EINVAL), tidy.last_error()
    assert canary.mounts() == [] and canary.touched() == []
    if r == 0:
        assert set(tidy.containers()) - before


def test_a_cgroup_path_of_a_document(tidy, canary, root):  # noqa: F811
    doc = document(root)
    for path in ("/../../../ctnfs-escape", "../../ctnfs-escape", "/a/../../ctnfs-escape"):
        doc["linux"]["cgroupsPath"] = path
        assert put(tidy.path("new"), json.dumps(doc)) == errno.EINVAL, tidy.last_error()


def test_a_program_above_the_root(tidy, canary, root):  # noqa: F811
    """There is nothing above the root: it is the container's own, or not there."""
    with open(root + "/bin/mine", "w") as f:
        f.write("#!/bin/sh\necho mine\n")
    os.chmod(root + "/bin/mine", 0o755)
    ctn = arm(tidy.make()).put("rootfs", root)
    assert ctn.start("/../../../bin/mine").finish() == 0 and ctn.read("log") == "mine\n"
    for word in ("../../../../bin/true", "../bin/true"):
        assert ctn.start(word).finish() == 0
    r = enter(ctn.start(TELL, "wait"), "/../../../bin/mine", code=0)
    assert r.stdout == "mine\n"


# --- N18: sockets ---

def sockets(server):
    for at, _, names in os.walk(server.run):
        for name in names:
            path = os.path.join(at, name)
            if stat.S_ISSOCK(os.lstat(path).st_mode):
                yield path


CONNECT = """import os, socket, sys
os.setgroups([]); os.setgid(1000); os.setuid(1000)
for kind in (socket.SOCK_SEQPACKET, socket.SOCK_STREAM):
    try:
        socket.socket(socket.AF_UNIX, kind).connect(sys.argv[1])
        print("connected")
    except OSError as e:
        print(e.errno)
"""


def test_the_sockets(tidy, canary):  # noqa: F811
    ctn = arm(tidy.make(), "privileged").put("ns/net", "host").start(TELL, "wait")
    found = list(sockets(tidy))
    assert found
    for path in found:
        assert stat.S_IMODE(os.stat(path).st_mode) & 0o077 == 0, path
        assert stat.S_IMODE(os.stat(os.path.dirname(path)).st_mode) & 0o077 == 0, path
        # the directory itself is what stops them, wherever the run directory is
        r = subprocess.run(["python3", "-c", CONNECT, path], capture_output=True, text=True, timeout=limit(20))
        assert r.stdout.split() == [str(errno.EACCES)] * 2, r
    lines = enter(ctn, "cat", "/proc/net/unix", code=0).stdout.splitlines()
    names = [l.split(None, 7)[7] for l in lines[1:] if len(l.split(None, 7)) > 7]
    assert not [n for n in names if n.startswith("@") and ("ctnfs" in n or ctn.get("id")[:12] in n or tidy.session.base in n)]


def test_control_of_the_sockets(ctn):
    """One without a file is seen, and reached, from such a container."""
    arm(ctn, "privileged").put("ns/net", "host")
    name = "ctnfs-test-%d" % os.getpid()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
        s.bind("\0" + name)
        s.listen()
        script = "import socket; socket.socket(socket.AF_UNIX).connect('\\0%s'); print('connected')" % name
        assert ctn.output("grep -o '@%s' /proc/net/unix; python3 -c \"%s\"" % (name, script)).split() == ["@" + name, "connected"]


# --- N19: control groups ---

# Mounts each hierarchy and says what may be written there; nothing is.
LOOK = r"""
mkdir -p /tmp/c
look() {
    for f in release_agent notify_on_release cgroup.procs tasks cgroup.subtree_control devices.allow memory.max; do
        for at in /tmp/c /tmp/c/*; do
            test -w $at/$f && [ -f $at/$f ] && echo "GOT $1 $f"
        done
    done
    umount /tmp/c
}
for name in $(sed -n 's/^\([a-z_]*\)\t[1-9].*/\1/p' /proc/cgroups); do
    mount -t cgroup -o $name none /tmp/c 2>/dev/null && { echo "MOUNTED $name"; look $name; }
done
mount -t cgroup2 none /tmp/c 2>/dev/null && { echo MOUNTED v2; look v2; }
for f in /sys/fs/cgroup/release_agent /sys/fs/cgroup/*/release_agent /sys/fs/cgroup/cgroup.procs /sys/fs/cgroup/*/tasks; do
    [ -f $f ] && test -w $f && echo "GOT $f"
done
unshare -C true 2>/dev/null && echo UNSHARED
unshare -UrmC true 2>/dev/null && echo UNSHARED with users
echo END
"""
CGROUP = "cgroup /sys/fs/cgroup cgroup ro 0 0"


def got(ctn, user="0"):
    ctn.put("user", user)
    lines = ctn.output(LOOK).splitlines()
    assert lines[-1] == "END"
    return lines[:-1]


@pytest.mark.parametrize("settings", [{}, {"caps": "all"}, {"caps": "all", "seccomp": "none", "no_new_privs": "0"}],
                         ids=lambda s: "+".join(s) or "default")
def test_control_groups(ctn, canary, settings):  # noqa: F811
    """With all capabilities in its user namespace it may mount its own groups, and write nothing there."""
    for name, value in settings.items():
        ctn.put(name, value)
    ctn.write("mounts", CGROUP + "\n", append=True)
    for user in ("0", "1000"):
        lines = got(ctn, user)
        assert not [l for l in lines if l.startswith("GOT")], lines
        if not settings:  # as with docker, who has the capability may mount
            assert lines == [], lines


def test_control_of_control_groups(ctn, canary):  # noqa: F811
    """The whole of privilege: the host's users and groups. This is what `What is not a boundary` is about."""
    v1 = cgroup_version(ctn.server) == 1
    for name, value in {"caps": "all", "seccomp": "none", "ns/user": "host"}.items():
        ctn.put(name, value)
    if v1:  # on v2 a mount in the host's namespace would set the options of the host's own
        ctn.put("ns/cgroup", "host")
    lines = got(ctn)
    want = "release_agent" if v1 else "cgroup.procs"
    assert any(l.startswith("GOT") and l.endswith(want) for l in lines), lines
