# SPDX-License-Identifier: Apache-2.0
"""seccomp.denied: which program made which call that the filter refused, also in the journal."""

import errno
import json
import os
import re
import struct
import time

import pytest

from basics import slurp, until
from denied import CALL, KEPT, denied
from execs import begin, end, run
from journals import events
from sessions import session, wait_code


# --- what is written down ---

def test_nothing_was_denied(ctn):
    assert ctn.read("seccomp.denied") == ""
    ctn.output("true")
    assert ctn.read("seccomp.denied") == ""
    assert not os.path.exists(os.path.join(ctn.server.state, ctn.get("id"), "denied"))


def test_program_and_arguments(ctn):
    before = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())
    ctn.py(CALL + "print(call(UNSHARE, 0x10000000), call(KEYCTL, -1, 2, 3, 4, 5), call(SOCKET, 38, 5, 0),"
           "call(GETPPID), call(CLONE3, 0, 0), os.getpid())")
    assert ctn.finish() == 0
    # what the default profile says does not exist is an answer, not a denial
    assert ctn.read("log") == "EPERM EPERM EPERM ok ENOSYS 1\n"
    got = denied(ctn)
    assert [(d.program, d.call, d.args) for d in got] == [
        ("python3", "unshare", [0x10000000]), ("python3", "keyctl", [(1 << 64) - 1, 2, 3, 4, 5]),
        ("python3", "socket", [38, 5, 0])]
    assert len({d.pid for d in got}) == 1 and before <= got[0].when <= got[1].when <= got[2].when


def test_the_pid_is_the_hosts(ctn):
    ctn.py(CALL + "print(call(UNSHARE, 0x10000000), flush=True); time.sleep(1000)")
    ctn.until_log("EPERM")
    assert [d.pid for d in denied(ctn)] == [ctn.pid()]
    ctn.put("ctl", "kill")


@pytest.mark.parametrize("name", [
    b"a b", b"\x1b[31mred", b"\x9b31m", b"new\nline", b"back\\slash", b"unshare(0x0)\r", b"\t", b"\xff\xfe"])
def test_names_are_one_word_without_control_bytes(ctn, name):
    ctn.py(CALL + "b = ctypes.create_string_buffer(%r); call(157, 15, ctypes.addressof(b)); call(UNSHARE, 1 << 28)" % name)
    assert ctn.finish() == 0
    text = ctn.read("seccomp.denied").encode("utf-8", "surrogateescape")
    assert not re.search(rb"[\x00-\x09\x0b-\x1f\x7f-\x9f]", text) and text.count(b"\n") == 1
    word = text.split(b" ")[2].replace(b"\\x20", b" ").replace(b"\\n", b"\n").replace(b"\\t", b"\t")
    word = re.sub(rb"\\x([0-9a-f]{2})", lambda m: bytes([int(m[1], 16)]), word.replace(b"\\\\", b"\\"))
    assert word == name[:15]


def test_other_numbers_and_entries(ctn):
    ctn.py(CALL + "print(call(999, 1, 2), call(1 << 20), call(-1))")
    assert ctn.finish() == 0
    assert ctn.read("log") == "EPERM EPERM EPERM\n"
    assert [(d.call, d.args[:2]) for d in denied(ctn)] == [("999", [1, 2]), ("1048576", [0, 0]), ("-1", [0, 0])]


def test_other_answers_are_none(ctn):
    ctn.put("seccomp", json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        {"names": ["getppid"], "action": "SCMP_ACT_ERRNO", "errnoRet": errno.EXDEV},
        {"names": ["unshare"], "action": "SCMP_ACT_ERRNO"}]}))
    ctn.py(CALL + "print(call(GETPPID), call(UNSHARE, 7))")
    assert ctn.finish() == 0 and ctn.read("log") == "EXDEV EPERM\n"
    assert [d.call for d in denied(ctn)] == ["unshare"]


def test_the_last_1024(ctn):
    ctn.py(CALL + "for i in range(%d): assert call(UNSHARE, i << 8 | 1 << 28) == 'EPERM'" % (KEPT + 76))
    assert ctn.finish(60) == 0
    got = denied(ctn)
    assert [d.args[0] >> 8 & 0xffff for d in got] == list(range(76, KEPT + 76))
    size = os.stat(os.path.join(ctn.server.state, ctn.get("id"), "denied")).st_size
    ctn.py(CALL + "call(KEYCTL)")  # of the next run, too
    assert ctn.finish() == 0
    got = denied(ctn)
    assert len(got) == KEPT and got[-1].call == "keyctl" and got[-2].args[0] >> 8 & 0xffff == KEPT + 75
    assert os.stat(os.path.join(ctn.server.state, ctn.get("id"), "denied")).st_size == size


# --- programs that enter ---

def test_exec(idle):
    assert run(idle, "python3", "-c", CALL + "print(call(KEYCTL, 7))", check=0).stdout == "EPERM\n"
    assert [(d.program, d.call) for d in denied(idle)] == [("python3", "keyctl")]
    many = [begin(idle, "python3", "-c", CALL + "print('ready', flush=True); input(); print(call(KEYCTL, %d))" % i)
            for i in range(10)]
    for p in many:
        assert end_with(p, "\n") == "EPERM\n"
    assert sorted(d.args[0] for d in denied(idle)) == [*range(7), 7, 7, 8, 9]


def end_with(p, text):
    p.stdin.write(text)
    p.stdin.flush()
    return end(p, 0)


def test_a_session(idle):
    s = session(idle, "s").py(CALL + "print(call(KEYCTL, 9), flush=True); print(call(UNSHARE, 1 << 28))")
    assert wait_code(s) == 0 and s.read("stdout") == "EPERM\nEPERM\n"
    assert [(d.program, d.call) for d in denied(s)] == [("python3", "keyctl"), ("python3", "unshare")]
    assert denied(idle) == []
    s.remove()


@pytest.mark.parametrize("settings", [{"no_new_privs": "0"}, {"init": "1"}, {"no_new_privs": "0", "init": "1"},
                                      {"tty": "1"}, {"user": "nobody"}, {"caps": "all", "seccomp": "default\n-keyctl"}],
                         ids=lambda s: " ".join(s))
def test_other_settings(ctn, settings):
    for name, value in settings.items():
        ctn.put(name, value)
    ctn.py(CALL + "print(call(KEYCTL, 9), call(GETPPID), flush=True); time.sleep(1000)")
    ctn.until_log("EPERM ok")
    if "caps" not in settings and settings != {"no_new_privs": "0"}:
        assert [d.call for d in denied(ctn)] == ["keyctl"]
    assert "keyctl" in [d.call for d in denied(ctn)]
    assert run(ctn, "python3", "-c", CALL + "print(call(KEYCTL, 10))", check=0).stdout == "EPERM\n"
    assert denied(ctn)[-1].args[0] == 10
    ctn.put("ctl", "kill")


# --- filters under which hardly anything goes ---

# keyctl(0x77), and its errno is the exit status: mov $250,%eax; mov $0x77,%edi; syscall; mov %eax,%edi; neg %edi;
# mov $231,%eax; syscall. As an ELF file by hand: the virtual machine has no compiler.
LEAN = bytes.fromhex("b8fa000000 bf77000000 0f05 89c7 f7df b8e7000000 0f05")
ELF_AT, ELF_HEAD, ELF_PART = 0x400000, 64, 56


def lean_elf():
    start, size = ELF_AT + ELF_HEAD + ELF_PART, ELF_HEAD + ELF_PART + len(LEAN)
    head = b"\x7fELF\2\1\1" + bytes(9) + struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, start, ELF_HEAD, 0, 0, ELF_HEAD,
                                                      ELF_PART, 1, 0, 0, 0)
    return head + struct.pack("<IIQQQQQQ", 1, 5, 0, ELF_AT, ELF_AT, size, size, 4096) + LEAN


@pytest.fixture(scope="module")
def lean(session):
    """A program that needs no call but exit_group, in a root file system of its own."""
    root = os.path.join(session.base, "lean")
    os.mkdir(root)
    with open(root + "/lean", "wb") as f:
        f.write(lean_elf())
    os.chmod(root + "/lean", 0o755)
    return root


@pytest.mark.parametrize("init", ["0", "1"])
@pytest.mark.parametrize("notify", ["0", "1"])
@pytest.mark.parametrize("allowed", [["execve", "exit_group"], ["execve", "exit_group", "futex", "write"],
                                     ["execve", "exit_group", "futex"], ["execve", "exit_group", "write"]],
                         ids=lambda a: "+".join(a[2:]) or "nothing")
def test_hardly_anything_is_allowed(ctn, lean, allowed, notify, init):
    """Not even what the monitor would be told with: it starts all the same, and execve is not held up."""
    if init == "1":  # which needs some calls itself
        allowed = allowed + ["close_range", "clone", "fork", "setsid", "wait4", "rt_sigprocmask", "rt_sigtimedwait",
                             "rt_sigaction", "close", "prctl", "gettid", "getpid", "set_robust_list"]
    ctn.put("seccomp", json.dumps({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [
        {"names": allowed, "action": "SCMP_ACT_ALLOW"}]}))
    ctn.put("rootfs", lean).put("seccomp.notify", notify).put("init", init).put("cmd", "/lean")
    assert ctn.finish() == errno.EPERM
    got = [d.call for d in denied(ctn)]
    assert (got[-1:] == ["keyctl"]) == (notify == "1"), got


def test_execve_is_denied(ctn):
    ctn.put("seccomp", "-execve", append=True).refused("cmd", "true", errno.EPERM, "true")
    assert [d.call for d in denied(ctn)] == ["execve"] * len(denied(ctn)) and denied(ctn)


# --- the journal ---

def journal(of):
    return [(e.name, e.detail) for e in events(of) if e.what == "denied"]


def test_the_first_of_each_call_is_in_the_journal(idle):
    ask = CALL + "name = ctypes.create_string_buffer(b'a b\\n'); call(157, 15, ctypes.addressof(name));"
    run(idle, "python3", "-c", ask + "[call(KEYCTL, 1) for _ in range(300)]; call(UNSHARE, 1 << 28)", check=0)
    run(idle, "python3", "-c", CALL + "call(KEYCTL, 1); call(999)", check=0)
    want = ["call=keyctl program=a\\x20b\\x0a", "call=unshare program=a\\x20b\\x0a", "call=999 program=python3"]
    until(lambda: len(journal(idle)) >= 3, "they are in the journal")
    assert journal(idle) == [(idle.name, w) for w in want]
    s = session(idle, "s").py(CALL + "call(KEYCTL, 1)")
    assert wait_code(s) == 0
    assert journal(idle.server)[-1] == (idle.name + "/execs/s", "call=keyctl program=python3")
    s.remove()
    idle.put("ctl", "restart")
    run(idle, "python3", "-c", CALL + "call(KEYCTL, 1)", check=0)
    until(lambda: len(journal(idle)) >= 5, "another run, another line")
    assert journal(idle)[-1] == (idle.name, "call=keyctl program=python3")


def test_not_each_number_is_in_the_journal(ctn):
    ctn.py(CALL + "for i in range(600, 750): call(i)")
    assert ctn.finish() == 0
    assert len(journal(ctn)) == 64 and len(denied(ctn)) == 150


def test_it_comes_between_start_and_end(ctn):
    for _ in range(3):
        ctn.py(CALL + "call(KEYCTL); call(UNSHARE, 1)")
        assert ctn.finish() == 0
    assert [e.what for e in events(ctn)] == ["created"] + ["started", "denied", "denied", "died"] * 3


@pytest.mark.parametrize("ends", [False, True], ids=["runs", "ends"])
def test_what_was_denied_while_the_server_was_away(server, ends):
    c = server.make()
    c.py(CALL + "call(KEYCTL, 1); print('ready', flush=True); input(); call(KEYCTL, 2); call(UNSHARE, 1 << 28);"
         "print('done', flush=True); %s or time.sleep(1000)" % ends)
    c.until_log("ready")
    until(lambda: len(journal(c)) == 1, "it is in the journal")
    fifo, log = os.path.join(server.run, c.get("id"), "in"), os.path.join(server.state, c.get("id"), "log")
    pid = c.pid()
    for go_on in (True, False):
        server.kill9()
        if go_on:
            with open(fifo, "w") as f:
                f.write("\n")
        until(lambda: "done" in slurp(log), "it goes on")
        until(lambda: not ends or not os.path.exists("/proc/%d" % pid), "it ends")
        server.start()
        assert [d for _, d in journal(c)] == ["call=keyctl program=python3", "call=unshare program=python3"]
    if ends:
        assert [e.what for e in events(c)][-2:] == ["denied", "died"]
    else:
        c.put("ctl", "kill")
