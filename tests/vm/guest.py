# SPDX-License-Identifier: Apache-2.0
"""Inside the virtual machine: runs what the job says, each program in a control group of its own
(some at the top as well), and leaves their outputs and one list of results. Its exit status is that of
the whole."""

import json
import os
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
RESULTS = os.path.join(HERE, "results")
CGROUPS = "/sys/fs/cgroup"
SKIPPED = 77


def say(text):
    print(text, flush=True)


def uptime():
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def enter_group(name):
    """To be called in the new process, before it becomes the program."""
    with open(os.path.join(CGROUPS, name, "cgroup.procs"), "w") as f:
        f.write("0")


def remove_group(name):
    """Ends what is left in it. A leftover is a failure: the text names it."""
    path = os.path.join(CGROUPS, name)
    left = []
    for directory, _, _ in os.walk(path):
        with open(os.path.join(directory, "cgroup.procs")) as f:
            left += f.read().split()
    names = ["%s %s" % (pid, " ".join(command_line(pid)).strip()) for pid in left]
    with open(os.path.join(path, "cgroup.kill"), "w") as f:
        f.write("1")
    deadline = time.monotonic() + 20
    while True:
        for directory, _, _ in os.walk(path, topdown=False):
            try:
                os.rmdir(directory)
            except OSError:
                pass
        if not os.path.exists(path):
            return ", ".join(names)
        if time.monotonic() > deadline:
            return "the control group cannot be removed; in it: " + ", ".join(names)
        time.sleep(0.1)


def command_line(pid):
    try:
        with open("/proc/%s/cmdline" % pid) as f:
            return f.read().split("\0")[:6]
    except OSError:
        return ["?"]


def show_where_it_hangs(out):
    """Every process with its kernel stack."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        words = command_line(pid)
        try:
            with open("/proc/%s/stack" % pid) as f:
                stack = f.read()
        except OSError:
            continue
        if words[0]:
            out.write("--- %s %s\n%s" % (pid, " ".join(words), stack))
    out.flush()


def run(test, end):
    """One program; a live one's output goes to the serial line as well. Returns its result."""
    seconds = max(1, min(test["timeout"], end - uptime()))
    group = "test-" + test["name"]
    log_path = os.path.join(RESULTS, test["name"] + ".log")
    os.mkdir(os.path.join(CGROUPS, group))
    place = "" if test["top"] else group
    env = dict(os.environ, **test["env"])
    begin = time.monotonic()
    with open(log_path, "a") as log:
        tee = subprocess.Popen(["tee", "-a", log_path], stdin=subprocess.PIPE) if test["live"] else None
        out = tee.stdin if tee else log
        process = subprocess.Popen(test["cmd"], env=env, cwd=test["workdir"] or "/",
                                   stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                                   start_new_session=True, preexec_fn=lambda: enter_group(place))
        try:
            status = process.wait(seconds)
            reason = "killed by signal %d" % -status if status < 0 else ""
        except subprocess.TimeoutExpired:
            status, reason = -signal.SIGKILL, "no end after %d s" % seconds
            show_where_it_hangs(log)
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        left = remove_group(group)
        if tee:
            tee.stdin.close()
            try:
                tee.wait(10)
            except subprocess.TimeoutExpired:
                tee.kill()  # something that escaped from the group holds the pipe
    if left and status == 0:
        status, reason = 1, "left running: " + left
    return {"name": test["name"], "suite": test["suite"], "status": status, "reason": reason,
            "seconds": round(time.monotonic() - begin, 1)}


def word(result):
    return {0: "OK", SKIPPED: "SKIP"}.get(result["status"], "FAIL")


def tail(path, count=60):
    with open(path, errors="replace") as f:
        return "".join(f.readlines()[-count:])


def report(result, was_live):
    say("%-5s %-30s %6.1f s  %s" % (word(result), result["suite"] + " " + result["name"],
                                    result["seconds"], result["reason"]))
    if word(result) != "OK" and not was_live:
        say(tail(os.path.join(RESULTS, result["name"] + ".log")))


def main():
    with open(os.path.join(HERE, "job.json")) as f:
        job = json.load(f)
    os.mkdir(RESULTS)
    say("ctnfs-vm: Linux %s, up for %.1f s" % (os.uname().release, uptime()))
    results = []
    for test in job["tests"]:
        results.append(run(test, job["seconds"]))
        report(results[-1], test["live"])
    with open(os.path.join(RESULTS, "results.json"), "w") as f:
        json.dump(results, f, indent=1)
    words = [word(r) for r in results]
    say("ctnfs-vm: %s" % ", ".join("%d %s" % (words.count(w), w) for w in ("OK", "FAIL", "SKIP")))
    return 1 if "FAIL" in words or not results else 0


if __name__ == "__main__":
    sys.exit(main())
