# SPDX-License-Identifier: Apache-2.0
"""What comes from inside of a container does nothing to the terminal of who reads it."""

import json
import os
import re

import pytest

from basics import slurp, until

# What terminals act on: C0 and DEL; C1, as a byte and in UTF-8; and what is no UTF-8 at all.
HOSTILE = {
    "escape": b"\x1b[31mA\x1b]0;B\x07",
    "C1": b"\x9b31mA\x9d0;B\x9c\x90C",
    "C1 in UTF-8": b"\xc2\x9b31m\xc2\x9d0;\xc2\x90",
    "control": b"\x01\x08\r\x0b\x0c\x0e\x0f\x7f",
    "lines": b"A\nB\nC D\n",
    "no UTF-8": b"\xff\xfe\xc0\x80\xed\xa0\x80\xf5\x80",
    "cut": b"A\xe2\x82\xc3",
    "backslash": b"A\\x1b[31m\\n\\",
}
# What the program itself puts out is its own, byte for byte.
RAW = {"log", "stdout", "stderr", "log.times"}
# All that may come: in sentences, which have some UTF-8 of our own, and elsewhere.
SENTENCE = re.compile("[\n\t -~\xa0-\ud7ff\udca0-\udcff\ue000-\U0010ffff]*")
LETTERS = re.compile(rb"[\n\t -~\xa0-\xff]*")


def files_of(ctn):
    for top, dirs, files in os.walk(ctn.path()):
        dirs[:] = [d for d in dirs if not os.path.islink(os.path.join(top, d))]
        for name in files:
            path = os.path.join(top, name)
            if name not in RAW and not os.path.islink(path):
                yield path


def check(path):
    """Nothing in it is for the terminal: all its control bytes are ends of lines and tabs."""
    text = slurp(path)
    raw = text.encode("utf-8", "surrogateescape")
    assert SENTENCE.fullmatch(text), (path, raw)
    assert path.endswith("/error") or LETTERS.fullmatch(raw), (path, raw)
    return raw


def check_all(ctn):
    seen = {}
    for path in files_of(ctn):
        try:
            seen[os.path.relpath(path, ctn.path())] = check(path)
        except OSError:
            continue  # for writing only; or the process has gone
    for name in ("events", "error", "stats", "metrics", "status"):
        seen["/" + name] = check(ctn.server.path(name))
    assert {"ps", "status", "events", "error", "ns.list", "cgroup/events"} <= set(seen)
    return seen


# Names itself, and its arguments, and has a child of the same kind that is dead and not waited for.
PROGRAM = r"""
import ctypes, os, socket, sys, time
raw = bytes.fromhex(sys.argv[1])
def rename():
    with open("/proc/self/comm", "wb", 0) as f:
        f.write(raw[:15])
if os.fork() == 0:
    rename()
    os._exit(0)
rename()
try:
    socket.sethostname(raw[:60])
except OSError:
    pass
with open("/etc/passwd", "ab") as f:
    f.write(b"\n" + raw.replace(b"\n", b"") + b":x:77:77:" + raw + b":/" + raw + b":/" + raw + b"\n")
os.makedirs(b"/tmp/" + raw.replace(b"/", b"") or b"x", exist_ok=True)
os.chdir(b"/tmp/" + raw.replace(b"/", b"") or b"x")
pid = os.fork()
if pid == 0:
    os.execv("/usr/bin/sleep", [raw.replace(b"\0", b""), b"1000"])
print("ready", flush=True)
time.sleep(1000)
"""


@pytest.mark.parametrize("case", sorted(HOSTILE))
def test_a_program_of_any_name(ctn, case):
    raw = HOSTILE[case]
    ctn.put("caps", "+cap_sys_admin", append=True).put("user", "root")
    ctn.start("python3", "-c", PROGRAM, raw.hex()).until_log("ready")
    until(lambda: ctn.read("ps").count("\n") == 4 and " 1000\n" in ctn.read("ps"), "its children, and their programs")
    ps = check_all(ctn)["ps"].decode("utf-8", "surrogateescape")
    assert ps.count("\n") == 4, "a line for each process: " + ps
    shown = ps.splitlines()[-2:]
    assert any(" [" in l for l in shown) and any(l.endswith("1000") for l in ps.splitlines())
    # nothing is lost: printf gives the bytes back
    line = next(l for l in ps.splitlines() if l.endswith(" 1000"))
    name = line.split(None, 6)[6].strip()[:-len(" 1000")]
    back = name.encode("utf-8", "surrogateescape")
    back = re.sub(rb"\\x([0-9a-f]{2})|\\([nt\\])",
                  lambda m: bytes([int(m[1], 16)]) if m[1] else {b"n": b"\n", b"t": b"\t", b"\\": b"\\"}[m[2]], back)
    assert back == raw.strip() or back == raw.rstrip(b" \n") or back == raw, (back, raw)
    ctn.put("ctl", "kill")
    check_all(ctn)


@pytest.mark.parametrize("case", ["escape", "C1", "C1 in UTF-8", "control", "no UTF-8"])
def test_sentences_with_names_from_inside(ctn, case):
    """Refusals that name what was found in the container's own files."""
    raw = HOSTILE[case].replace(b"/", b"").replace(b"\n", b"")
    layer = os.readlink(ctn.path("layer")).encode()
    os.makedirs(layer + b"/etc", exist_ok=True)
    os.makedirs(layer + b"/" + raw, exist_ok=True)
    os.symlink(b"/" + raw, layer + b"/link")
    with open(layer + b"/etc/passwd", "wb") as f:
        f.write(b"root:x:0:0:root:/root:/bin/sh\n" + raw + b":x:1:1::/:\n")
    text = raw.decode("utf-8", "surrogateescape")
    for name, value in (("cwd", "/link/" + text), ("user", text), ("cmd", "/link/" + text), ("hostname", text),
                        ("mounts", "/nowhere" + text + " /link none bind 0 0"), ("env", text), ("caps", text)):
        ctn.write(name, value.encode("utf-8", "surrogateescape") + b"\n")
        check(ctn.path("error"))
        check(ctn.server.path("error"))
    ctn.write("cwd", b"/\n")
    ctn.write("cmd", json.dumps(["true"]).encode() + b"\n")
    for name in ("error", "status", "events"):
        check(ctn.path(name))


def test_names_that_are_no_containers(tidy):
    for raw in HOSTILE.values():
        name = os.path.join(tidy.mnt.encode(), raw.replace(b"/", b"")[:60])
        for act in (lambda p: os.mkdir(p), lambda p: os.rmdir(p), lambda p: os.rename(p, p + b"x")):
            try:
                act(name)
            except OSError:
                pass
    for name in ("error", "status", "stats", "metrics", "events"):
        check(tidy.path(name))
    assert tidy.containers() == []


def test_a_session_of_any_name(ctn):
    ctn.start("sleep", "1000")
    for i, raw in enumerate(HOSTILE.values()):
        os.mkdir(ctn.path("execs/s%d" % i))
        ctn.put("execs/s%d/cmd" % i, json.dumps(["python3", "-c", PROGRAM, raw.hex()]))
    for i in range(len(HOSTILE)):
        until(lambda n=i: "ready" in ctn.read("execs/s%d/log" % n), "session %d is ready" % i)
    for i in range(len(HOSTILE)):
        for name in ("ps", "status", "error"):
            check(ctn.path("execs/s%d" % i, name))
    check_all(ctn)
    ctn.put("ctl", "kill")
    for i in range(len(HOSTILE)):
        os.rmdir(ctn.path("execs/s%d" % i))
