# SPDX-License-Identifier: Apache-2.0
"""The virtual machine's disk, kernel and first file system, made of this release's packages.

The disk and the kernel are kept in a directory named by what they are made of, so that they are made
again when a package has a newer version, and by nothing else: neither the build nor the tests nor the
init script are in them."""

import glob
import hashlib
import os
import platform
import re
import shutil
import subprocess
import tempfile

KERNEL = "linux-image-cloud-amd64"
PACKAGES = (
    # what the programs need, also when built with sanitizers
    "libfuse3-3", "fuse3", "libseccomp2", "libcap2", "libjson-c5", "libasan8", "libubsan1", "libtsan2",
    # what the tests use
    "python3", "python3-pytest", "procps", "iproute2", "util-linux", "libcap2-bin", "strace", "jq",
    "redis-server", "redis-tools", "runc", "crun", "rsync",
    # what the machine needs to start
    "kmod", "busybox-static", "ca-certificates",
)
LAYOUT = "1"  # to be changed when this file makes another disk of the same packages
DISK_SIZE = "2G"
# In the order in which the first file system loads them; a name that the kernel has built in has no file.
MODULES = ("virtio_blk", "virtio_pci", "ext4", "crc32c_generic")
NEEDED = (
    ("qemu-system-x86_64", "qemu-system-x86"), ("mmdebstrap", "mmdebstrap"), ("mke2fs", "e2fsprogs"),
    ("zstd", "zstd"), ("cc", "gcc"), ("apt-cache", "apt"), ("chroot", "coreutils"),
)
LEFT_OUT = ("/usr/share/man/*", "/usr/share/doc/*", "/usr/share/locale/*", "/usr/share/info/*",
            "/usr/share/zoneinfo/*")


def find(program):
    return shutil.which(program, path="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")


def release():
    """The code name of the running Debian release; None on another system."""
    try:
        words = platform.freedesktop_os_release()
    except OSError:
        return None
    return words.get("VERSION_CODENAME") if words.get("ID") == "debian" else None


def missing():
    """Why this machine cannot have a virtual one; empty when it can."""
    packages = [package for program, package in NEEDED if not find(program)]
    if packages:
        return "not installed: " + " ".join(packages)
    if platform.machine() != "x86_64" or not release():
        return "needs Debian on x86-64, whose packages make the virtual machine's disk"
    if os.geteuid() != 0:
        return "needs root, to make the virtual machine's disk"
    if not candidates((KERNEL,))[KERNEL]:
        return "no package %s is known here (apt-get update)" % KERNEL
    return ""


def candidates(packages):
    """The version of each package that would be installed."""
    out = subprocess.run(["apt-cache", "policy"] + list(packages), capture_output=True, text=True,
                         env=dict(os.environ, LC_ALL="C")).stdout
    found = dict.fromkeys(packages, "")
    for name, version in re.findall(r"^([a-z0-9.+-]+):\n(?:  .*\n)*?  Candidate: (\S+)$", out, re.M):
        found[name] = "" if version == "(none)" else version
    return found


def key():
    versions = candidates(PACKAGES + (KERNEL,))
    text = "\n".join([LAYOUT, release(), DISK_SIZE, repr(MODULES), repr(LEFT_OUT)] +
                     ["%s %s" % item for item in sorted(versions.items())])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def cache_directory():
    return os.path.join(os.environ.get("XDG_CACHE_HOME") or "/var/cache", "ctnfs-vm")


def make_tree(tree, log):
    """A minimal Debian with our packages, and the kernel's package beside it: installing that would
    only make a first file system that nobody uses."""
    fetch = ("cd / && apt-get download -qq $(apt-cache depends --important %s | "
             "sed -n 's/^ *Depends: //p' | head -n 1) && mkdir /kernel && "
             "dpkg-deb --extract linux-image-*.deb /kernel && rm linux-image-*.deb" % KERNEL)
    command = ["mmdebstrap", "--variant=minbase", "--mode=root", "--format=directory",
               "--include=" + ",".join(PACKAGES), '--aptopt=Apt::Install-Recommends "false"']
    command += ["--dpkgopt=path-exclude=" + path for path in LEFT_OUT]
    command += ["--customize-hook=chroot \"$1\" sh -ec '%s'" % fetch.replace("'", "'\\''")]
    sources = "/etc/apt/sources.list.d/debian.sources"
    command += [release(), tree] + ([sources] if os.path.exists(sources) else [])
    run(command, log)
    kernel = os.path.join(tree, "kernel")
    os.rename(os.path.join(kernel, "lib/modules"), os.path.join(tree, "usr/lib/modules"))
    boot, = glob.glob(os.path.join(kernel, "boot/vmlinuz-*"))
    version = os.path.basename(boot).split("-", 1)[1]
    shutil.move(boot, os.path.join(os.path.dirname(tree), "vmlinuz"))
    shutil.rmtree(kernel)
    run(["chroot", tree, "depmod", version], log)
    return version


def save_modules(tree, version, directory, log):
    """The modules that reach the disk, numbered in the order of loading."""
    os.mkdir(directory)
    paths = []
    for name in MODULES:
        out = run(["chroot", tree, "modprobe", "-S", version, "--show-depends", name], log)
        paths += [line.split()[1] for line in out.splitlines() if line.startswith("insmod ")]
    for number, path in enumerate(dict.fromkeys(paths)):
        shutil.copy(tree + path, os.path.join(directory, "%02d-%s" % (number, os.path.basename(path))))


def run(command, log):
    """What it prints goes to the log; its standard output is returned as well."""
    log.write("$ %s\n" % " ".join(command))
    log.flush()
    r = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True)
    log.write(r.stdout)
    log.flush()
    if r.returncode != 0:
        raise RuntimeError("%s failed with %d; see %s" % (command[0], r.returncode, log.name))
    return r.stdout


def build(directory, log):
    """Fill a fresh directory with disk.img.zst, vmlinuz, busybox and modules/."""
    tree = os.path.join(directory, "tree")
    version = make_tree(tree, log)
    save_modules(tree, version, os.path.join(directory, "modules"), log)
    shutil.copy2(os.path.join(tree, "usr/bin/busybox") if os.path.exists(
        os.path.join(tree, "usr/bin/busybox")) else os.path.join(tree, "bin/busybox"), directory)
    disk = os.path.join(directory, "disk.img")
    run(["mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-E", "root_owner=0:0", "-d", tree, disk,
         DISK_SIZE], log)
    run(["zstd", "-q", "-3", "-T0", "--rm", disk], log)
    shutil.rmtree(tree)


def ensure(say):
    """The directory of this release's disk and kernel, made where it is not there yet. The caller holds
    the cache's lock."""
    cache = cache_directory()
    wanted = os.path.join(cache, key())
    if os.path.isdir(wanted):
        return wanted
    say("making the virtual machine's disk, once for these versions of its packages")
    log_path = os.path.join(cache, "image.log")
    fresh = tempfile.mkdtemp(prefix="new-", dir=cache)
    try:
        os.chmod(fresh, 0o755)
        with open(log_path, "w") as log:
            build(fresh, log)
        for old in glob.glob(os.path.join(cache, "[0-9a-f]" * 16)):
            shutil.rmtree(old)
        os.rename(fresh, wanted)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return wanted


def cpio_entry(name, mode, data=b"", number=0):
    """One file of a "newc" archive, which is what the kernel unpacks."""
    head = (number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0)
    out = b"070701" + b"".join(b"%08x" % field for field in head) + name.encode() + b"\0"
    out += b"\0" * (-len(out) % 4) + data
    return out + b"\0" * (-len(out) % 4)


def first_file_system(directory, init, programs):
    """busybox, the modules, the init script and what the init script runs, as bytes."""
    entries = [(d, 0o40755, b"") for d in ("bin", "modules", "proc", "dev", "root")]
    files = [("bin/busybox", os.path.join(directory, "busybox"), 0o755), ("init", init, 0o755)]
    files += [(name, path, 0o755) for name, path in programs.items()]
    files += [("modules/" + name, os.path.join(directory, "modules", name), 0o644)
              for name in sorted(os.listdir(os.path.join(directory, "modules")))]
    for name, path, mode in files:
        with open(path, "rb") as f:
            entries.append((name, 0o100000 | mode, f.read()))
    archive = b"".join(cpio_entry(name, mode, data, number)
                       for number, (name, mode, data) in enumerate(entries, 1))
    return archive + cpio_entry("TRAILER!!!", 0)
