# SPDX-License-Identifier: Apache-2.0
"""The root file system of a container that was told nothing: the host's programs, none of its secrets."""

import errno
import os
import shutil
import stat
import subprocess
import sys

import pytest

from containers import inside

WALK = r"""
import os, sys
skip = {"/proc", "/sys", "/dev"}
for top, dirs, files in os.walk("/"):
    if top == "/":
        dirs[:] = [d for d in dirs if "/" + d not in skip]
    sys.stdout.buffer.write(b"d" + os.fsencode(top) + b"\0")
    for name in files:
        path = os.path.join(top, name)
        try:
            st = os.lstat(path)
            if st.st_mode & 0o170000 != 0o100000:
                continue
            os.close(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK))
        except OSError:
            continue
        sys.stdout.buffer.write(b"f" + os.fsencode(path) + b"\0")
"""


def visible(path, want):
    """Whether any local user of the host may read it, by the modes alone."""
    at = ""
    parts = [p for p in path.split("/") if p]
    for part in parts[:-1]:
        at += "/" + part
        if not os.stat(at).st_mode & stat.S_IXOTH:
            return False
    return bool(os.lstat(path).st_mode & want)


@pytest.fixture
def secrets():
    """Host files that only root may read, where a container looks."""
    top = "/opt/ctnfs-test-%d" % os.getpid()
    os.mkdir(top, 0o755)
    try:
        os.mkdir(top + "/closed", 0o700)
        for name, mode in (("secret", 0o600), ("group", 0o640), ("closed/open", 0o644),
                           ("public", 0o644), ("setuid", 0o4755)):
            with open(os.path.join(top, name), "w") as f:
                f.write("canary\n")
            os.chmod(os.path.join(top, name), mode)
        os.chmod(top, 0o755)
        yield top
    finally:
        shutil.rmtree(top)


@pytest.mark.slow_ok(120)
def test_no_host_file_that_is_not_world_readable(idle, secrets):
    """Walked by a root with all capabilities of its user namespace and without a filter."""
    r = inside(idle, "/usr/bin/python3", "-c", "import sys; sys.stdout.reconfigure(errors='surrogateescape')\n"
               + WALK, timeout=90)
    files, leaked = 0, []
    for entry in r.stdout.split("\0")[:-1]:
        kind, path = entry[0], entry[1:]
        files += kind == "f"
        if not os.path.lexists(path):
            continue  # the container's own
        top = "/" + path.split("/")[1]
        if kind == "f" and not visible(path, stat.S_IROTH):
            leaked.append(path)
        if kind == "d" and not visible(path, stat.S_IXOTH | stat.S_IROTH) and top in ("/usr", "/opt"):
            if inside(idle, "ls", path, check=False).stdout:
                leaked.append(path + "/")
    assert files > 1000, "the walk saw only %d files" % files
    assert secrets + "/public" in r.stdout
    assert not leaked


def test_secrets_stay_secret(ctn, secrets):
    out = ctn.output("cd %s; cat public secret group closed/open 2>&1; ls closed 2>&1; true" % secrets)
    assert out.count("canary") == 1 and out.count("Permission denied") == 4


@pytest.mark.parametrize("path", ["/etc/shadow", "/etc/gshadow", "/root/.ssh", "/root/.bash_history",
                                  "/etc/ssh/ssh_host_ed25519_key", "/var/lib/dpkg/status"])
def test_private_host_files_are_not_there(ctn, path):
    assert ctn.output("ls -d %s 2>&1; true" % path).endswith("No such file or directory\n")


def test_other_host_directories_are_empty(ctn):
    tops = {"home", "root", "srv", "mnt", "media", "boot", "run", "tmp"}
    for top in tops:
        assert ctn.output("test ! -d /%s || ls -A /%s" % (top, top)).strip() == "", top
    extra = set(os.listdir("/")) - set(ctn.output("ls -A /").split())
    assert "work" not in ctn.output("ls -A /").split()
    assert not extra & {"usr", "etc", "var", "bin", "lib", "sbin", "proc", "sys", "dev"}


def test_owners_inside(ctn):
    out = ctn.output("stat -c '%u %n' / /etc /etc/passwd /root /var /tmp /usr /usr/bin/env")
    owners = {l.split()[1]: l.split()[0] for l in out.splitlines()}
    assert {owners.pop("/usr"), owners.pop("/usr/bin/env")} == {"65534"}
    assert set(owners.values()) == {"0"}, owners


def test_etc_is_a_copy(ctn):
    with open("/etc/passwd") as f:
        assert ctn.output("cat /etc/passwd") == f.read()
    assert ctn.output("echo added:x:1:1::/: >> /etc/passwd; tail -1 /etc/passwd").startswith("added")
    with open("/etc/passwd") as f:
        assert "added:x" not in f.read()


def test_new_accounts_count(ctn):
    ctn.output("echo svc:x:4321:4321::/srv:/bin/sh >> /etc/passwd")
    ctn.put("user", "svc")
    assert ctn.output("id -u; echo $HOME").split() == ["4321", "/srv"]


def test_an_image_passwd_is_foreign(ctn):
    """A number is never looked up as a name."""
    ctn.output("echo '1234:x:0:0::/:/bin/sh' >> /etc/passwd")
    ctn.put("user", "1234")
    assert ctn.output("id -u").strip() == "1234"
    layer = os.readlink(ctn.path("layer"))
    os.unlink(layer + "/etc/passwd")
    os.symlink("/etc/shadow", layer + "/etc/passwd")
    ctn.put("user", "0").refused("cmd", "id", errno.EINVAL, "/etc/passwd")


def test_layers_are_apart(tidy):
    a, b = tidy.make(), tidy.make()
    a.output("echo a > /root/only-a; rm /etc/hosts")
    assert "only-a" not in b.output("ls /root; cat /etc/hosts")
    a.remove()
    a = tidy.make(a.name)
    assert a.output("ls /root") == ""


def test_directories_can_be_replaced(ctn):
    """An overlay that must make opaque directories and whiteouts."""
    out = ctn.output("rm -rf /etc/apt && mkdir /etc/apt && ls -A /etc/apt && rm -rf /var/cache && "
                     "mkdir /var/cache && ls -A /var/cache && mv /etc/default /etc/d2 && ls -d /etc/d2")
    assert out == "/etc/d2\n"


def test_deep_directories_are_removed(tidy):
    c = tidy.make()
    c.py("import os\nos.chdir('/root')\nfor i in range(1500):\n  os.mkdir('d'); os.chdir('d')\n"
         "open('f', 'w').close()")
    assert c.finish() == 0
    c.remove()
    assert [n for n in os.listdir(tidy.state) if len(n) == 64] == []


def test_odd_files_are_removed(tidy):
    c = tidy.make()
    assert c.output("cd /root; mkfifo p; ln -s / l; ln -s /etc e; mkdir -m 0 closed; touch -- -x; "
                    "python3 -c 'import socket; socket.socket(1).bind(\"s\")'; chmod 0 .") == ""
    c.remove()
    assert os.path.isdir("/etc")


def test_the_layer_is_visible_in_every_state(ctn):
    layer = ctn.path("layer")
    os.listdir(layer + "/")
    ctn.output("echo x > /root/file")
    assert os.path.exists(layer + "/root/file")
    ctn.sh("sleep 1000")
    r = subprocess.run(["cat", ctn.path("root/root/file")], capture_output=True, text=True)
    assert r.stdout == "x\n"


def test_this_python_is_there(ctn):
    """Programs come from the host."""
    assert ctn.output("python3 -c 'import json; print(json.dumps([1]))'") == "[1]\n"
    assert sys.version_info
