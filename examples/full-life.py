#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""full-life.py [-n ROUNDS] [MOUNT]: how long `true` takes in a container, from nothing to nothing.

Each round runs each way once, so that all meet the same machine; medians are compared. Peers that are
not installed are left out. Without MOUNT, on a fresh one that is removed afterwards."""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

WARM_UP = 3


def run(*argv):
    subprocess.run(argv, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def by_files(mount, name):
    """mkdir, write, wait, rmdir as system calls of this process."""
    path = os.path.join(mount, name)
    os.mkdir(path)
    with open(path + "/cmd", "w") as f:
        f.write("true\n")
    with open(path + "/wait") as f:
        assert f.read() == "0\n"
    os.rmdir(path)


SHELL = 'mkdir "$1"; echo true > "$1/cmd"; read -r code < "$1/wait"; rmdir "$1"; exit "$code"'


def make_bundle(where):
    """For runc: a root file system with `true` and its libraries, and runc's own template."""
    ldd = subprocess.run(["ldd", "/usr/bin/true"], capture_output=True, text=True, check=True).stdout
    for path in ["/usr/bin/true"] + [w for w in ldd.split() if w.startswith("/")]:
        os.makedirs(where + "/rootfs" + os.path.dirname(path), exist_ok=True)
        shutil.copy(path, where + "/rootfs" + path)
    run("runc", "spec", "--bundle", where)
    with open(where + "/config.json") as f:
        text = f.read()
    text = text.replace('"terminal": true', '"terminal": false').replace('"sh"', '"/usr/bin/true"')
    with open(where + "/config.json", "w") as f:
        f.write(text)


def ways(mount, bundle):
    yield "ctnfs", lambda name: by_files(mount, name)
    yield "ctnfs, by a shell", lambda name: run("sh", "-c", SHELL, "sh", mount + "/" + name)
    yield "true itself", lambda name: run("true")
    if shutil.which("unshare"):
        yield "unshare", lambda name: run(
            "unshare", "--fork", "--pid", "--mount-proc", "--net", "--ipc", "--uts", "--cgroup", "true")
    if shutil.which("bwrap"):
        yield "bwrap", lambda name: run(
            "bwrap", "--unshare-all", "--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev", "true")
    if shutil.which("runc"):
        make_bundle(bundle)
        yield "runc", lambda name: run("runc", "run", "--bundle", bundle, name)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("-n", type=int, default=50)
    parser.add_argument("mount", nargs="?")
    args = parser.parse_args()
    if not args.mount:
        here = os.path.dirname(os.path.abspath(__file__))
        os.execv(here + "/with-mount", ["with-mount", os.path.abspath(__file__), "-n", str(args.n)])
    with tempfile.TemporaryDirectory(prefix="full-life-") as bundle:
        table = {name: (act, []) for name, act in ways(args.mount, bundle)}
        for i in range(WARM_UP + args.n):
            for act, times in table.values():
                begin = time.perf_counter()
                act("full-life-%d-%d" % (os.getpid(), i))
                times.append(time.perf_counter() - begin)
    medians = {name: statistics.median(times[WARM_UP:]) for name, (_, times) in table.items()}
    for name, median in medians.items():
        print("%-18s %7.2f ms  %5.2f x ctnfs" % (name, median * 1000, median / medians["ctnfs"]))


if __name__ == "__main__":
    sys.exit(main())
