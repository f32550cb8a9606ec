# SPDX-License-Identifier: Apache-2.0
"""Small root file systems, and what must not change on the host."""

import os
import shutil
import stat
import subprocess

import pytest

from basics import have

APPLETS = ("sh cat ls echo id stat mkdir rm touch sleep true mount grep head ln readlink test mv "
           "printf chown chmod find wc umount hostname").split()
DIRS = "bin etc proc sys dev tmp run root srv var".split()


def busybox():
    """A static shell with tools, or a reason not to run."""
    path = have("busybox")
    if not path or b"ld-linux" in open(path, "rb").read(4096):
        pytest.skip("needs a static busybox (package busybox-static)")
    return path


def make_root(path, without=()):
    """A root file system as a distribution's minimal one is; everything is root's."""
    os.mkdir(path, 0o755)
    os.chmod(path, 0o755)
    for name in DIRS:
        if name not in without:
            os.mkdir(os.path.join(path, name), 0o755)
            os.chmod(os.path.join(path, name), 0o755)
    os.symlink("/run", os.path.join(path, "var/run"))
    shutil.copy(busybox(), os.path.join(path, "bin/busybox"))
    for name in APPLETS:
        os.symlink("busybox", os.path.join(path, "bin", name))
    with open(os.path.join(path, "etc/passwd"), "w") as f:
        f.write("root:x:0:0::/root:/bin/sh\nredis:x:77:78::/srv:/bin/sh\n")
    with open(os.path.join(path, "etc/group"), "w") as f:
        f.write("root:x:0:\nredis:x:78:\ncache:x:79:redis\n")
    return str(path)


def look(top):
    """Names, kinds, owners, times and contents below a directory: equal if nothing was touched."""
    seen = {}
    for at, dirs, files in os.walk(top):
        for name in [""] + dirs + files:
            path = os.path.join(at, name)
            st = os.lstat(path)
            what = None
            if stat.S_ISREG(st.st_mode):
                with open(path, "rb") as f:
                    what = f.read()
            elif stat.S_ISLNK(st.st_mode):
                what = os.readlink(path)
            seen[path] = (st.st_ino, st.st_mode, st.st_uid, st.st_gid, st.st_mtime_ns, st.st_ctime_ns, what)
    return seen


def mountinfo(server):
    """The host's mounts, but for those of other tests that run at the same time."""
    other, own = os.path.dirname(server.session.base) + "/", server.session.base + "/"
    with open("/proc/self/mountinfo") as f:
        return sorted(l for l in f if own in l or not l.split()[4].startswith(other))


def mount(*args):
    subprocess.run(["mount"] + list(args), check=True)


def umount(path):
    subprocess.run(["umount", "-l", path], check=True)


def kernel():
    """Its version: idmapped mounts of a tmpfs came with (6, 3)."""
    return tuple(int(n) for n in os.uname().release.split(".")[:2])
