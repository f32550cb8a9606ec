# SPDX-License-Identifier: Apache-2.0
"""The seccomp file: profiles from JSON and by deltas, written in any manner, as a program meets them."""

import errno
import json
import os
import subprocess

import pytest

from basics import TREE, until

MOBY = os.path.join(TREE, "tests/data/moby-seccomp-default.json")
CALLS = {"getppid": 110, "getpgid": 121, "getsid": 124, "getpriority": 140, "sched_yield": 24,
         "keyctl": 250, "unshare": 272, "socket": 41}

# Makes system calls, "number,argument,...", and prints the result or the errno's name.
PROBE = """
import ctypes, errno, sys
libc = ctypes.CDLL(None, use_errno=True)
for call in sys.argv[1:]:
    r = libc.syscall(*[ctypes.c_long(int(n)) for n in call.split(",")])
    print("ok" if r >= 0 else errno.errorcode.get(ctypes.get_errno(), ctypes.get_errno()))
"""

# getpid through the 32-bit entry.
INT80 = """
import ctypes, mmap
code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
code.write(bytes.fromhex("b814000000cd80c3"))
at = ctypes.addressof(ctypes.c_char.from_buffer(code))
print(ctypes.CFUNCTYPE(ctypes.c_int)(at)())
"""

PROFILE = {
    "defaultAction": "SCMP_ACT_ALLOW",
    "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"],
    "syscalls": [
        {"names": ["getpriority"], "action": "SCMP_ACT_ERRNO", "errnoRet": errno.EXDEV},
        {"names": ["getpgid"], "action": "SCMP_ACT_ERRNO", "errnoRet": errno.ENOTUNIQ,
         "args": [{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}]},
        {"names": ["getsid"], "action": "SCMP_ACT_KILL"},
    ],
}


def probe(ctn, *calls):
    words = [",".join(map(str, ([CALLS[name]] + args + [0] * 6)[:7])) for name, *args in calls]
    before = len(ctn.read("log"))
    ctn.start("python3", "-c", PROBE, *words)
    code = ctn.finish()
    out = ctn.read("log")[before:].split()
    return out if code == 0 else code


def profile(**changes):
    return json.dumps({**PROFILE, **changes}, indent=1)


def test_a_document_takes_effect(ctn):
    ctn.put("seccomp", profile())
    assert probe(ctn, ("getpriority", 0, 0), ("getpgid", 1), ("getpgid", 0), ("getppid",)) == \
        ["EXDEV", "ENOTUNIQ", "ok", "ok"]
    assert probe(ctn, ("getsid", 0)) == 128 + 31
    ctn.put("seccomp", "default")
    assert probe(ctn, ("getpriority", 0, 0), ("getpgid", 1), ("getsid", 0)) == ["ok"] * 3


def test_a_document_without_no_new_privs(ctn):
    ctn.put("no_new_privs", "0").put("seccomp", profile())
    assert probe(ctn, ("getpriority", 0, 0), ("getppid",)) == ["EXDEV", "ok"]


def test_flags(ctn):
    ctn.put("seccomp", profile(flags=["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_TSYNC",
                                      "SECCOMP_FILTER_FLAG_SPEC_ALLOW"]))
    assert "# loaded with SECCOMP_FILTER_FLAG_LOG" in ctn.read("seccomp").splitlines()
    assert probe(ctn, ("getpriority", 0, 0)) == ["EXDEV"]


def test_the_32_bit_entry(ctn):
    if subprocess.run(["python3", "-c", INT80], capture_output=True).returncode != 0:
        pytest.skip("this kernel has no 32-bit entry")
    ctn.put("seccomp", profile()).py(INT80)
    assert ctn.finish() == 0
    ctn.put("seccomp", profile(architectures=["SCMP_ARCH_X86_64"])).py(INT80)
    assert ctn.finish() == 128 + 31


def test_deltas(ctn):
    calls = [("getppid",), ("keyctl", -1)]
    assert probe(ctn, *calls) == ["ok", "EPERM"]
    ctn.put("seccomp", "+keyctl")
    assert probe(ctn, *calls) == ["ok", "ENOTSUP"]
    ctn.put("seccomp", "-getppid", append=True)
    assert ctn.lines("seccomp") == ["default", "+keyctl", "-getppid"]
    assert probe(ctn, *calls) == ["EPERM", "ENOTSUP"]
    ctn.put("seccomp", "-keyctl +getppid")
    assert ctn.lines("seccomp") == ["default", "-keyctl", "+getppid"]
    assert probe(ctn, *calls) == ["ok", "EPERM"]
    ctn.put("seccomp", "default")
    assert ctn.lines("seccomp") == ["default"]


def test_deltas_on_documents_and_on_none(ctn):
    ctn.put("seccomp", profile()).put("seccomp", "+getpriority\n-sched_yield", append=True)
    assert probe(ctn, ("getpriority", 0, 0), ("sched_yield",), ("getpgid", 1)) == \
        ["ok", "EPERM", "ENOTUNIQ"]
    ctn.put("seccomp", "none\n-sched_yield")
    assert probe(ctn, ("getpriority", 0, 0), ("sched_yield",), ("keyctl", -1)) == \
        ["ok", "EPERM", "ENOTSUP"]
    ctn.put("seccomp", "+sched_yield")
    assert ctn.lines("seccomp") == ["none"]
    ctn.sh("grep Seccomp: /proc/self/status")
    assert ctn.finish() == 0 and ctn.read("log").splitlines()[-1] == "Seccomp:\t0"


def document_of(ctn):
    """The JSON document that `seccomp` begins with."""
    return json.JSONDecoder().raw_decode(ctn.read("seccomp"))[0]


@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_moby_by_cat(ctn, shell):
    subprocess.run([shell, "-c", 'cat "$0" > "$1"', MOBY, ctn.path("seccomp")], check=True)
    with open(MOBY) as f:
        assert document_of(ctn) == json.load(f)
    assert "# default action: errno EPERM" in ctn.read("seccomp").splitlines()
    assert "# refuse clone3 with ENOSYS" in ctn.read("seccomp").splitlines()
    assert probe(ctn, ("getppid",), ("keyctl", -1), ("unshare", 0x10000000), ("socket", 38, 5),
                 ("socket", 1, 1)) == ["ok", "EPERM", "EPERM", "EPERM", "ok"]
    ctn.put("caps", "+sys_admin")
    assert "# allow clone3 (it has cap_sys_admin)" in ctn.read("seccomp").splitlines()


def in_pieces(path, data, size):
    fd = os.open(path, os.O_WRONLY | os.O_TRUNC)
    try:
        for i in range(0, len(data), size):
            os.write(fd, data[i:i + size])
    finally:
        os.close(fd)


@pytest.mark.parametrize("size", [100, 4096, 1 << 20])
def test_what_is_read_may_be_written_back(ctn, size):
    with open(MOBY) as f:
        ctn.put("seccomp", f.read()).put("seccomp", "+ptrace -mlock", append=True)
    shown = ctn.read("seccomp")
    ctn.put("seccomp", "none")
    in_pieces(ctn.path("seccomp"), shown.encode(), size)
    assert ctn.read("seccomp") == shown
    assert ctn.lines("seccomp")[-2:] == ["+ptrace", "-mlock"]
    assert ctn.get("error") == ""


def test_a_document_counts_when_it_is_complete(ctn):
    text = profile().encode()
    with open(ctn.path("seccomp"), "wb", buffering=0) as f:
        f.write(text[:70])
        assert ctn.lines("seccomp") == ["default"]
        f.write(text[70:-1])
        assert ctn.lines("seccomp") == ["default"]
        f.write(text[-1:])
        assert document_of(ctn) == PROFILE
        f.write(b"\n-sched_")
        f.write(b"yield\n")
        assert ctn.lines("seccomp")[-1] == "-sched_yield" and document_of(ctn) == PROFILE
    assert ctn.get("error") == ""


def test_an_incomplete_document_is_an_error_at_the_end(ctn):
    with open(ctn.path("seccomp"), "wb", buffering=0) as f:
        f.write(profile().encode()[:-1])
    said = until(ctn.last_error, "a line in error")
    assert said.code == "EINVAL" and "complete" in said.text
    assert ctn.lines("seccomp") == ["default"]


def test_a_wrong_document_is_refused_by_the_write_that_completes_it(ctn):
    text = profile(defaultAction="allow").encode()
    with open(ctn.path("seccomp"), "wb", buffering=0) as f:
        f.write(text[:-1])
        with pytest.raises(OSError) as e:
            f.write(text[-1:])
        assert e.value.errno == errno.EINVAL
    assert "defaultAction (line 2, column" in ctn.last_error().text
    assert ctn.lines("seccomp") == ["default"]


REFUSED = [
    ('{"defaultAction": "SCMP_ACT_NOPE"}', errno.EINVAL, r"defaultAction .*SCMP_ACT_NOPE"),
    ('{"defaultAction": "SCMP_ACT_NOTIFY"}', errno.EOPNOTSUPP, "SCMP_ACT_NOTIFY"),
    (profile(listenerPath="/run/x"), errno.EOPNOTSUPP, "listenerPath"),
    (profile(flags=["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"]), errno.EOPNOTSUPP, r"flags\[0\]"),
    (profile(architectures=["SCMP_ARCH_Z80"]), errno.EINVAL, r"architectures\[0\]"),
    (profile(syscall=[]), errno.EINVAL, "syscall "),
    ('{"defaultAction": "SCMP_ACT_LOG",}', errno.EINVAL, "line 1, column"),
    ('{"defaultAction": "SCMP_ACT_LOG", "defaultAction": "SCMP_ACT_LOG"}', errno.EINVAL, "defaultAction"),
    (profile() + "{}", errno.EINVAL, "defaultAction is missing"),
    (profile() + " strict", errno.EINVAL, "strict"),
    ("[]", errno.EINVAL, "no profile"), ("+", errno.EINVAL, "no system call"),
    ("+moutn", errno.EINVAL, "did you mean mount"), ("-", errno.EINVAL, "no system call"),
    ("none\n+mount", errno.EINVAL, "filters nothing"), ("mount", errno.EINVAL, r"\+call"),
    ("+mount\n+moutn", errno.EINVAL, "mount"),
]


@pytest.mark.parametrize("text,code,sentence", REFUSED, ids=lambda v: str(v)[:24])
def test_refused(ctn, text, code, sentence):
    ctn.put("seccomp", "+ptrace")
    ctn.refused("seccomp", text, code, sentence)
    assert ctn.lines("seccomp") == ["default", "+ptrace"]


def test_empty_input_changes_nothing(ctn):
    ctn.put("seccomp", "+ptrace")
    for text in ("", "\n", "# a comment\n"):
        assert ctn.write("seccomp", text) == 0
    assert ctn.lines("seccomp") == ["default", "+ptrace"]


def test_pending(ctn):
    ctn.put("seccomp", "+ptrace").sh("sleep 1000")
    ctn.put("seccomp", "default")
    assert ctn.lines("pending") == ["seccomp default"]
    assert ctn.lines("seccomp") == ["default", "+ptrace"]
    ctn.put("ctl", "restart 0")
    assert ctn.lines("pending") == [] and ctn.lines("seccomp") == ["default"]


def test_unknown_calls_are_listed(ctn):
    rule = {"names": ["getsid", "frobnicate"], "action": "SCMP_ACT_LOG"}
    ctn.put("seccomp", profile(syscalls=[rule]))
    shown = ctn.read("seccomp").splitlines()
    assert "# no calls of this machine, ignored: frobnicate" in shown
    assert "# log getsid" in shown and "# default action: allow" in shown
