# SPDX-License-Identifier: Apache-2.0
"""N04, N07, N09: a root file system, or a volume, that is made so that the kernel's files are not where they
seem to be, or that our own work is done on the host.

CVE-2019-16884, CVE-2019-19921, CVE-2023-27561, CVE-2025-52881 (runc), CVE-2015-1334 (LXC): a /proc that is a
link or another directory takes what the set-up writes, and leaves the real one unprotected. CVE-2026-41579:
a /dev that leads to the host has its ptmx replaced. CVE-2025-31133: what hides a file is what the container
has for /dev/null.

What holds it off: our own places must be real directories; nothing may be mounted where the kernel's files are
by way of a link; what hides is ours; settings are written through a /proc that the container never had.

The controls are monitors without that, and Debian's runc, which has two of these faults."""

import errno
import itertools
import json
import os
import subprocess

import pytest

from attackers import arm, weak_server
from basics import have, limit, slurp
from canaries import SECRET, bait, canary  # noqa: F401
from rootdirs import make_root

SETTING = "net.ipv4.ip_unprivileged_port_start"
KINDS = ("default", "privileged")
RATELIMIT = "/proc/sys/kernel/printk_ratelimit"  # a setting of the whole machine


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


def root_with(tmp_path, name, to):
    """A root file system in which that name is a link."""
    os.chmod(str(tmp_path), 0o755)
    root = make_root(str(tmp_path / "root"), without=(name,))
    os.symlink(to, os.path.join(root, name))
    inner = root + (to if not to.startswith("/%s/" % name) else "/var")
    os.makedirs(inner, exist_ok=True)  # the same inside: where an honest look-up ends
    os.mkdir(os.path.join(root, "attack"))
    return root


# --- N09, N04 (a): one of our own places is a link ---

@pytest.mark.parametrize("name", ["proc", "sys", "dev", "tmp", "run"])
def test_a_link_in_the_place_of_ours(tidy, canary, tmp_path, kind, name):  # noqa: F811
    root = root_with(tmp_path, name, canary.path)
    ctn = arm(tidy.make(), kind).put("sysctl", SETTING + " = 77").put("tty", 1)
    for mode in ("", " rw"):
        ctn.put("rootfs", root + mode)
        ctn.refused("cmd", '["/bin/true"]', errno.ENOTDIR, "/%s .*not a directory" % name)
    if name != "tmp":
        assert os.listdir(root + canary.path) == []


def test_control_of_our_places(session, no_leaks, bait, tmp_path):  # noqa: F811
    """It starts, and what is to be its /proc is not there: nothing in the real one could be hidden."""
    with weak_server(session, "target") as server:
        decoy = bait(server)
        root = root_with(tmp_path, "proc", decoy.path)
        for kind in KINDS:
            ctn = arm(server.make(), kind).put("rootfs", root)
            assert "No such file" in ctn.output("/bin/ls -d /proc/self 2>&1; true")


# --- N04 (d): a link in a volume leads to the kernel's files ---

def place(ctn, tmp_path, to):
    """A bind that would be where the link in the volume leads."""
    for name in ("vol", "src"):
        (tmp_path / name).mkdir()
    os.chmod(str(tmp_path), 0o755)
    os.chmod(str(tmp_path.parent), 0o711)
    (tmp_path / "src" / "mine").write_text("mine\n")
    os.symlink(to, str(tmp_path / "vol" / "l"))
    # as the user wrote it, who knows nothing of the link
    return ctn.put("mounts", "%s /vol none bind,rw 0 0\n%s /vol/l none bind 0 0" % (tmp_path / "vol", tmp_path / "src"),
                   append=True)


def test_a_link_in_a_volume_to_the_kernels_files(tidy, canary, tmp_path, kind):  # noqa: F811
    ctn = place(arm(tidy.make(), kind), tmp_path, "/proc")
    for to in ("/proc", "/proc/sys", "/proc/self/attr", "/proc/sys/net", "/sys/fs", "/", "..", "/proc/self/root/srv",
               "/proc/1/cwd"):
        os.unlink(str(tmp_path / "vol" / "l"))
        os.symlink(to, str(tmp_path / "vol" / "l"))
        ctn.refused("cmd", "true", (errno.EINVAL, errno.ELOOP), "mounts: ")


def test_a_line_that_says_so(tidy, canary, kind):  # noqa: F811
    """N04 (b), (d): these the server itself refuses. No control: they never come to a monitor."""
    ctn = arm(tidy.make(), kind)
    for line, target in itertools.product(
            ("none %s tmpfs rw 0 0", "/tmp %s none bind,rw 0 0"),
            ("/proc", "/proc/sys", "/proc/self", "/proc/self/attr", "/proc/sys/net", "/sys/kernel")):
        ctn.refused("mounts", line % target, errno.EINVAL, append=True)


def test_control_of_the_kernels_files(session, no_leaks, tmp_path):
    with weak_server(session, "place") as server:
        for kind in KINDS:
            (tmp_path / kind).mkdir()
            ctn = place(arm(server.make(), kind), tmp_path / kind, "/proc/sys")
            assert ctn.output("ls /proc/sys").split() == ["mine"]


# --- N07: what hides ---

def false_null(ctn, tmp_path):
    """A /dev of the attacker's, whose null is a setting of the kernel's; and /proc/sys is not protected."""
    dev = tmp_path / "dev"
    dev.mkdir()
    os.chmod(str(tmp_path), 0o755)
    os.chmod(str(tmp_path.parent), 0o711)
    os.symlink(RATELIMIT, str(dev / "null"))
    ctn.put("mounts", "%s /dev none bind,noidmap 0 0" % dev, append=True)
    return ctn.put("paths", "masked /proc/keys\nmasked /proc/timer_list\nmasked /proc/bus")


@pytest.mark.parametrize("user", ["0", "1000"])
def test_what_hides_is_never_the_containers(tidy, canary, tmp_path, kind, user):  # noqa: F811
    ctn = false_null(arm(tidy.make(), kind, user), tmp_path)
    out = ctn.output("for f in keys timer_list; do wc -c < /proc/$f; (echo 7 > /proc/$f) 2>&1; done; ls /proc/bus; true")
    assert [l for l in out.splitlines() if l.isdigit()] == ["0", "0"], out
    assert out.count("Read-only") + out.count("denied") == 2 and len(out.splitlines()) == 4, out


def test_control_of_what_hides(session, no_leaks, tmp_path):
    with weak_server(session, "masks") as server:
        for kind in KINDS:
            (tmp_path / kind).mkdir()
            ctn = false_null(arm(server.make(), kind), tmp_path / kind)
            assert ctn.output("cat /proc/keys") == slurp(RATELIMIT)


# --- Debian's runc ---

def runc(tmp_path, root, *argv, mounts=(), masked=()):
    """A bundle with that root file system, run by runc."""
    if not have("runc"):
        pytest.skip("runc is not installed")
    (tmp_path / "bundle").mkdir()
    doc = {"ociVersion": "1.0.2", "root": {"path": root}, "hostname": "box",
           "process": {"args": list(argv), "cwd": "/", "env": ["PATH=/bin"], "user": {"uid": 0, "gid": 0}},
           "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}] + list(mounts),
           "linux": {"namespaces": [{"type": t} for t in ("mount", "pid", "ipc", "uts")], "maskedPaths": list(masked)}}
    (tmp_path / "bundle/config.json").write_text(json.dumps(doc))
    r = subprocess.run(["runc", "--root", str(tmp_path / "runc"), "run", "-b", str(tmp_path / "bundle"),
                        "ctnfs-test-%d" % os.getpid()], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                       timeout=limit(30))
    version = subprocess.run(["runc", "--version"], capture_output=True, text=True).stdout.split()[2]
    if not version.startswith("1.1.5+"):
        pytest.skip("runc %s may be without the fault" % version)
    return r


def test_control_a_dev_that_leads_to_the_host(session, no_leaks, tidy, bait, tmp_path):  # noqa: F811
    decoy = bait(tidy)
    root = root_with(tmp_path, "dev", decoy.path)
    r = runc(tmp_path, root, "/bin/true")
    touched = decoy.touched()
    assert any("/ptmx:" in e for e in touched), (touched, r)
    assert os.path.islink(os.path.join(decoy.path, "ptmx")), r


def test_control_a_null_that_leads_elsewhere(session, no_leaks, tmp_path):
    root = make_root(str(tmp_path / "root"))
    dev = tmp_path / "dev"
    dev.mkdir()
    os.symlink(RATELIMIT, str(dev / "null"))
    r = runc(tmp_path, root, "/bin/cat", "/proc/keys", masked=["/proc/keys"],
             mounts=[{"destination": "/dev", "type": "bind", "source": str(dev), "options": ["bind"]}])
    assert r.stdout == slurp(RATELIMIT), r
