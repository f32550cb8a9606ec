# SPDX-License-Identifier: Apache-2.0
"""Runs the tests of a build in a virtual machine: Debian's cloud kernel under QEMU's software
emulation, with control groups version 2 and nothing else, whatever this machine has.

The exit status is 0 when all passed, 1 when a test failed, 2 when there is no result (a panic, a hang,
an image that cannot be made), 77 when this machine cannot run it; the reason is printed."""

import argparse
import codecs
import fcntl
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import zlib

sys.dont_write_bytecode = True

import image  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.dirname(os.path.dirname(HERE))
GUEST = "run/ctnfs-vm/"
END = "ctnfs-vm: end "
RESULTS_SIZE = 64 << 20
# Of a suite that is too long for it, unless it is asked for by name.
SOME_OF = {"fault": ("test_crash_points.py", "test_matrix.py")}
SLOW = 12  # how many times slower than the machine itself the tests' limits allow for
PASSED, FAILED, NO_RESULT, SKIPPED = 0, 1, 2, 77


class NoResult(Exception):
    pass


def say(text):
    print("vm: " + text, flush=True)


def arguments():
    p = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    p.add_argument("--build", default=os.environ.get("CTNFS_BUILD") or os.path.join(SOURCE, "build"),
                   help="build directory (CTNFS_BUILD, or build/)")
    p.add_argument("--suite", action="append", help="suite of the build's tests; unit, fs, security and some of fault by default")
    p.add_argument("--only", metavar="EXPR", help="pytest -k EXPR; programs whose name has no such part "
                   "are left out")
    p.add_argument("--shell-command", metavar="CMD", help="run this instead of tests")
    p.add_argument("--part", metavar="N/M", default="1/1", help="of M machines with a part of the tests each, the Nth")
    p.add_argument("--timeout", type=float, default=3300, help="seconds for the machine's whole life")
    p.add_argument("--slow", type=float, default=SLOW, help="factor of the tests' time limits (%d)" % SLOW)
    p.add_argument("--results", help="directory for the log and the results (BUILD/vm-results)")
    p.add_argument("--memory", default="1024", help="in MB")
    o = p.parse_args()
    o.build = os.path.abspath(o.build)
    o.source = source_of(o.build)
    o.some_of = {} if o.suite else SOME_OF
    o.suite = o.suite or ["unit", "fs", "security", "fault"]
    if not re.fullmatch(r"[1-9]/[1-9]", o.part) or o.part[0] > o.part[2]:
        p.error("--part takes N/M, such as 1/2")
    o.nth, o.parts = int(o.part[0]) - 1, int(o.part[2])
    o.results = os.path.abspath(o.results or os.path.join(o.build, "vm-results", o.part.replace("/", "-of-")))
    return o


def source_of(build):
    """Where the build's sources are: some of its programs know that path."""
    try:
        with open(os.path.join(build, "meson-info/meson-info.json")) as f:
            return json.load(f)["directories"]["source"]
    except (OSError, KeyError):
        return SOURCE


# --- what the machine is given ---


def meson_tests(o):
    """The build's tests of the wanted suites, as meson would run them here."""
    with open(os.path.join(o.build, "meson-info/intro-tests.json")) as f:
        tests = json.load(f)
    found = []
    for t in tests:
        suites = {s.split(":")[-1] for s in t["suite"]}
        wanted = [s for s in o.suite if s in suites]
        if wanted:
            found.append(dict(t, suite=wanted[0]))
    missing = set(o.suite) - {t["suite"] for t in found}
    if missing:
        raise NoResult("%s has no tests of the suite %s" % (o.build, ", ".join(sorted(missing))))
    return sorted(found, key=lambda t: o.suite.index(t["suite"]))


def shares(o, paths):
    """Each file to the machine that has least to read so far, the large ones first."""
    loads = [0] * o.parts
    for path in sorted(paths, key=lambda p: (-os.path.getsize(p), p)):
        least = loads.index(min(loads))
        loads[least] += os.path.getsize(path)
        if least == o.nth:
            yield path


def part_of(o, t):
    """The command with this machine's part of the test files; None where nothing is left of it."""
    directory = t["cmd"][-1]
    wanted = o.some_of.get(t["suite"])
    files = [os.path.join(directory, f) for f in os.listdir(directory)
             if re.fullmatch(r"test_.*\.py", f) and (not wanted or f in wanted)]
    mine = sorted(shares(o, files))
    return t["cmd"][:-1] + mine if mine else None


def one_test(o, t, env):
    """A test as the guest's list has it, once for each place; none where --only leaves it out."""
    is_pytest = "pytest" in os.path.basename(t["cmd"][0])
    cmd = part_of(o, t) if is_pytest else list(t["cmd"])
    if not cmd or (not is_pytest and zlib.crc32(t["name"].encode()) % o.parts != o.nth):
        return []
    if is_pytest:
        cmd += ["--color=no", "-vv", "--junitxml=/%sresults/%s.xml" % (GUEST, t["name"]), "-p", "report_now"]
        cmd += ["-k", o.only] if o.only else []
    elif o.only and not any(w in t["name"] for w in o.only.split(" or ")):
        return []
    env = dict(env, PYTHONUNBUFFERED="1", PYTHONPATH="/" + GUEST, **t["env"])
    seconds = min(float(t["timeout"] or 30) * o.slow, o.timeout)
    test = {"name": t["name"], "suite": t["suite"], "cmd": cmd, "env": env, "live": is_pytest,
            "workdir": t["workdir"], "timeout": seconds, "top": False}
    if "cgroup" in t["name"]:  # the rules differ
        return [test, dict(test, name=t["name"] + "-at-top", top=True)]
    return [test]


def make_job(o):
    env = {"CTNFS_SLOW": "%g" % o.slow, "CTNFS_ALONE": "1", "CTNFS_BUILD": o.build}
    if o.shell_command:
        tests = [{"name": "command", "suite": "shell", "cmd": ["sh", "-c", o.shell_command], "env": env,
                  "live": True, "workdir": o.source, "timeout": o.timeout, "top": False}]
    else:
        tests = [test for t in meson_tests(o) for test in one_test(o, t, env)]
    return {"tests": tests, "seconds": o.timeout - max(10, min(60, o.timeout / 10))}


def is_wanted(info):
    """Sources, programs and what the build made of its own; not what only the compiler reads."""
    name = os.path.basename(info.name)
    if name in (".git", "__pycache__", "meson-private", "meson-logs", "vm-results", "tools", ".ninja_deps") or \
            name.endswith((".p", ".a", ".o", ".pyc")):
        return None
    info.uid = info.gid = 0
    info.uname = info.gname = "root"
    return info


def installed(o):
    """Where `meson install` would put what."""
    with open(os.path.join(o.build, "meson-info/intro-installed.json")) as f:
        return json.load(f)


def write_job(o, path):
    """A tar of the sources and the build, at the places that they have here; it is installed as well."""
    with tarfile.open(path, "w") as tar:
        for name in sorted(os.listdir(o.source)):
            if not name.startswith("build"):
                tar.add(os.path.join(o.source, name), filter=is_wanted)
        tar.add(o.build, filter=is_wanted)
        for path, place in installed(o).items():
            if os.path.exists(path):
                tar.add(path, place)
        for name in ("guest.py", "report_now.py"):
            tar.add(os.path.join(HERE, name), GUEST + name)
        data = json.dumps(make_job(o)).encode()
        info = tarfile.TarInfo(GUEST + "job.json")
        info.size = len(data)
        tar.addfile(info, io.BytesIO(data))


def prepare(o, kept, scratch):
    """The files that QEMU reads, in the scratch directory."""
    vm_exit = os.path.join(scratch, "vm-exit")
    subprocess.run(["cc", "-static", "-Os", "-o", vm_exit, os.path.join(HERE, "vm-exit.c")], check=True)
    with open(os.path.join(scratch, "initrd"), "wb") as f:
        f.write(image.first_file_system(kept, os.path.join(HERE, "init.sh"), {"vm-exit": vm_exit}))
    write_job(o, os.path.join(scratch, "job"))
    with open(os.path.join(scratch, "results"), "wb") as f:
        f.truncate(RESULTS_SIZE)
    subprocess.run(["zstd", "-q", "-d", "--sparse", os.path.join(kept, "disk.img.zst"), "-o",
                    os.path.join(scratch, "disk")], check=True)


# --- the machine ---


# The timer check fails in emulation on a busy machine.
KERNEL_WORDS = "console=ttyS0 quiet no_timer_check panic=-1 oops=panic"


def qemu_command(o, kept, scratch):
    words = ["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
             "-machine", "q35", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", o.memory,
             "-kernel", os.path.join(kept, "vmlinuz"), "-initrd", os.path.join(scratch, "initrd"),
             "-append", KERNEL_WORDS + " rdinit=/init",
             "-serial", "stdio", "-device", "isa-debug-exit,iobase=0xf4,iosize=4"]
    for name, more in (("disk", ""), ("job", ",read-only=on"), ("results", "")):
        words += ["-drive", "if=virtio,format=raw,cache=unsafe,file=%s%s" % (
            os.path.join(scratch, name), more)]
    return words


def follow(stream, log):
    """Copies the serial line here and to the log; returns the status of the end marker."""
    last = ""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    while True:
        part = stream.read1(65536)
        if not part:
            break
        text = decoder.decode(part).replace("\r", "")
        for out in (log, sys.stdout):
            out.write(text)
            out.flush()
        last = (last + text)[-200:]
    found = re.search("^" + END + r"(\d+)$", last, re.M)
    return found[1] if found else None


def boot(o, kept, scratch):
    """Runs the machine. Returns the job's exit status, when there is one to be trusted."""
    begin = time.monotonic()
    late = threading.Event()
    with open(os.path.join(o.results, "serial.log"), "w") as log:
        qemu = subprocess.Popen(qemu_command(o, kept, scratch), stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

        def end():
            late.set()
            qemu.kill()

        timer = threading.Timer(o.timeout, end)
        timer.start()
        try:
            marker = follow(qemu.stdout, log)
            code = qemu.wait()
        finally:
            timer.cancel()
            qemu.kill()
            qemu.wait()
    say("the machine ran for %.0f s" % (time.monotonic() - begin))
    if late.is_set():
        raise NoResult("no end after %g s" % o.timeout)
    if marker is None or code < 0 or code % 2 == 0:
        raise NoResult("the machine ended without a result (QEMU's exit status %d); a panic?" % code)
    if marker != str(code // 2):
        raise NoResult("it reported the exit status %s and ended with %d" % (marker, code // 2))
    return code // 2


def unpack_results(o, scratch):
    try:
        with tarfile.open(os.path.join(scratch, "results"), "r:") as tar:
            for member in tar:
                if member.isfile():
                    with open(os.path.join(o.results, os.path.basename(member.name)), "wb") as f:
                        shutil.copyfileobj(tar.extractfile(member), f)
        with open(os.path.join(o.results, "results.json")) as f:
            return json.load(f)
    except (OSError, tarfile.TarError, ValueError) as e:
        raise NoResult("the results cannot be read: %s" % e)


def run(o):
    with tempfile.TemporaryDirectory(prefix="ctnfs-vm-") as scratch:
        with open(os.path.join(image.cache_directory(), "lock"), "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # one makes the image
            kept = image.ensure(say)
        prepare(o, kept, scratch)
        say("starting the machine")
        status = boot(o, kept, scratch)
        results = unpack_results(o, scratch)
    if status > 1:
        raise NoResult("the guest's exit status is %d" % status)
    say("%d programs ran, exit status %d; outputs are in %s" % (len(results), status, o.results))
    return status


def main():
    o = arguments()
    reason = image.missing()
    if reason:
        print("1..0 # SKIP " + reason)
        return SKIPPED
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(NO_RESULT))  # the machine ends with us
    shutil.rmtree(o.results, ignore_errors=True)
    os.makedirs(o.results)
    os.makedirs(image.cache_directory(), exist_ok=True)
    with open(os.path.join(image.cache_directory(), "lock-%d" % o.nth), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # as many machines at a time as there are parts
        try:
            return run(o)
        except (NoResult, RuntimeError, OSError, subprocess.CalledProcessError) as e:
            say("no result: %s" % e)
            return NO_RESULT


if __name__ == "__main__":
    sys.exit(main())
