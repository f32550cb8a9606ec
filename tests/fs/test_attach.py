# SPDX-License-Identifier: Apache-2.0
"""`attach`: the caller's terminal and the container's."""

import errno
import os
import re
import signal
import stat
import subprocess

import pytest

import basics
from basics import limit, until
from containers import Ctn
from terminals import attach_in_pipe

EXIT_OWN = 125
PROMPT = "# "


@pytest.fixture
def term(ctn):
    return ctn.put("tty", 1)


@pytest.fixture
def shell(term):
    """A container in which a shell sits at the terminal."""
    return term.put("cmd", "sh").until_log(PROMPT)


# --- the file ---

def test_it_is_a_program(ctn):
    st = os.stat(ctn.path("attach"))
    assert stat.S_ISREG(st.st_mode) and stat.S_IMODE(st.st_mode) == 0o700
    text = ctn.read("attach")
    assert len(text) == st.st_size
    assert text == "#!%s %s/%s\n" % (basics.build_path("ctnfs-attach"), ctn.server.run, ctn.get("id"))


def test_it_cannot_be_written(ctn):
    before = ctn.read("attach")
    ctn.refused("attach", "#!/bin/sh\n", errno.EACCES, "only be read")
    ctn.refused("attach", "#!/bin/sh\n", errno.EACCES, "only be read", append=True)
    with pytest.raises(PermissionError):
        os.truncate(ctn.path("attach"), 0)
    with open(ctn.path(".new"), "w") as f:
        f.write("#!/bin/sh\n")
    with pytest.raises(OSError):
        os.rename(ctn.path(".new"), ctn.path("attach"))
    os.unlink(ctn.path(".new"))
    assert ctn.read("attach") == before


CALLS = {
    "sh": lambda path: ["sh", "-c", '"$0" --help', path],
    "bash": lambda path: ["bash", "-c", '"$0" --help', path],
    "exec": lambda path: ["sh", "-c", 'exec "$0" --help', path],
    "execve": lambda path: ["python3", "-c", "import os, sys; os.execve(sys.argv[1], ['x', '--help'], {})", path],
    "fexecve": lambda path: ["python3", "-c", "import os, sys\nfd = os.open(sys.argv[1], os.O_RDONLY)\n"
                             "os.set_inheritable(fd, True)\nos.execve(fd, ['x', '--help'], {})", path],
    "env": lambda path: ["env", path, "--help"],
    "itself": lambda path: [path, "--help"],
}


@pytest.mark.parametrize("how", CALLS)
def test_ways_to_execute_it(ctn, how):
    r = subprocess.run(CALLS[how](ctn.path("attach")), capture_output=True, text=True, timeout=limit(20))
    assert r.returncode == 0 and r.stderr == "" and "-k KEYS" in r.stdout, r


def test_it_knows_its_name(ctn):
    sentence = ("attach: %s does not run; echo start > ctl\n" % ctn.name).encode()
    for cwd, path in ((ctn.path(), "./attach"), (ctn.server.mnt, ctn.name + "/attach"), ("/", ctn.path("attach"))):
        r = subprocess.run([path], cwd=cwd, capture_output=True, timeout=limit(20))
        assert (r.returncode, r.stdout, r.stderr) == (EXIT_OWN, b"", sentence)


def served_from(new_server, run_dir):
    s = new_server(start=False)
    s.run = os.path.join(s.dir, run_dir)
    s.start()
    return s.make().put("tty", 1)


def works(c):
    c.put("cmd", "sh")
    assert attach_in_pipe(c, input=b"exit 5\n").returncode == 5
    r = attach_in_pipe(c, "-k", "two words, and 'quotes'")
    assert r.returncode == EXIT_OWN and b"'two words, and 'quotes''" in r.stderr


@pytest.mark.parametrize("name", ["a blank", "it's", "it's 'two'", "tab\tbed", "$HOME `x` \"y\" ;&"])
def test_a_run_directory_with_strange_letters(new_server, name):
    c = served_from(new_server, name)
    text = c.read("attach")
    assert text.startswith("#!/bin/sh\nexec ") == bool(re.search(r"\s", name))
    works(c)


@pytest.mark.parametrize("over", [0, 1])
def test_a_run_directory_with_a_long_path(new_server, session, over):
    """The kernel looks at 255 bytes of the line."""
    s = new_server(start=False)
    fixed = len("#!%s %s//%064d" % (basics.build_path("ctnfs-attach"), s.dir, 0))
    s.run = os.path.join(s.dir, "r" * (255 - fixed + over))
    s.start()
    c = s.make().put("tty", 1)
    first = c.read("attach").splitlines()[0]
    assert first == "#!/bin/sh" if over else len(first) == 255
    works(c)


# --- a shell ---

def test_the_session_of_the_issue(server, on_terminal):
    """By hand, as it is written."""
    t = on_terminal("sh", "-i", cwd=server.mnt)
    t.expect("host> ").type("mkdir t; echo 1 > t/tty; echo sh > t/cmd; t/attach\n").expect("t/attach\n")
    t.expect(PROMPT).type("echo $((6 * 7)) $(tty)\r").expect("42 /dev/pts/0\n")
    t.expect(PROMPT).type("exit 7\r").expect("host> ").type("echo code $?\n").expect("code 7\n")
    assert t.is_restored()
    assert Ctn(server, "t").finish() == 7
    t.type("exit\n")
    assert t.wait() == 0


def test_what_is_typed_is_echoed_once(shell, attach):
    t = attach(shell).expect(PROMPT)
    t.type("echo unique\r").expect("unique\n" + PROMPT)
    assert shell.read("log").count("echo unique\r\nunique\r\n") == 1


def test_keys_reach_the_program(shell, attach):
    t = attach(shell).expect(PROMPT)
    t.type("sleep 1000; echo \"code $?\"\r").expect("code $?\"\n")
    until(lambda: " sleep" in shell.read("ps"), "sleep")
    t.type(b"\x03").expect(PROMPT)  # it ends the sleep, and not us
    t.type("cat\r").expect("cat\n").type("one line\r").expect("one line\none line\n").type(b"\x04").expect(PROMPT)
    t.type("cat > /dev/null\r").expect("null\n")
    until(lambda: " cat" in shell.read("ps"), "cat")
    t.type(b"\x1c").expect("Quit").expect(PROMPT)
    t.type(b"\x04")
    assert t.wait() == shell.finish() and t.is_restored()


def test_job_control_inside(term, attach):
    term.start("bash", "--norc", "--noprofile", "-i").until_log(PROMPT)
    t = attach(term).expect(PROMPT)
    t.type("cat > /dev/null\r").expect("null")
    until(lambda: " cat" in term.read("ps"), "cat")
    t.type(b"\x1a").expect("Stopped").expect(PROMPT)
    assert t.proc.poll() is None and t.is_raw()
    t.type("fg\r").expect("fg").expect("cat").type(b"\x04").expect(PROMPT).type("exit 7\r")
    assert t.wait() == 7 and t.is_restored()


@pytest.mark.parametrize("script,code", [("exit 7", 7), ("exit 0", 0), ("kill -9 $$", 137), ("exit 125", 125)])
def test_exit_codes(term, attach, script, code):
    term.put("init", 1).sh("read x; " + script)
    t = attach(term).type("\r")
    assert t.wait() == code == term.finish() and t.is_restored()


def test_all_output_comes_before_the_end(term, attach):
    """Also where the end has come long before."""
    term.sh("stty -echo; echo ready; read x; seq 20000; printf 'no newline at the end'; exit 3")
    t = attach(term.until_log("ready"))
    os.kill(t.proc.pid, signal.SIGSTOP)
    assert attach_in_pipe(term, input=b"\n").returncode == 3
    os.kill(t.proc.pid, signal.SIGCONT)
    assert t.wait() == 3
    lines = t.text().splitlines()
    assert lines[-1] == "no newline at the end" and lines[-20001:-1] == [str(i) for i in range(1, 20001)]


# --- size ---

def test_the_size_is_passed_on(shell, attach):
    t = attach(shell, rows=31, cols=97).expect(PROMPT)
    t.type("stty size\r").expect("31 97\n" + PROMPT)
    t.resize(40, 100)
    t.type("stty size\r").expect("stty size\n")
    until(lambda: "40 100" in t.text() or t.type("stty size\r") and False, "the new size", pause=0.2)
    t.type("trap 'stty size; exit 0' WINCH; echo set; sleep 1000 & wait\r").expect("set\n")
    t.resize(50, 120)
    t.expect("50 120\n")
    assert t.wait() == 0


def test_programs_draw_anew_when_somebody_comes(term, attach):
    term.sh("trap 'echo drawn; stty size' WINCH; echo ready; while :; do sleep 1000 & wait; done")
    term.until_log("ready")
    attach(term, rows=33, cols=90).expect("33 90\n")
    attach(term, rows=33, cols=90).expect("drawn\n33 90\n")  # the same size again
    attach(term, rows=1, cols=90).expect("drawn\n1 90\n")
    attach(term, rows=1, cols=90).expect("drawn\n1 90\n")


# --- to leave, and to come back ---

def test_detach_and_come_back(shell, attach):
    t = attach(shell).expect(PROMPT)
    t.type("X=kept; sleep 1000\r").expect("1000")
    until(lambda: " sleep" in shell.read("ps"), "sleep")
    t.type(b"\x10\x11").expect("detached\n")
    assert t.wait() == 0 and t.is_restored() and shell.state() == "running"
    t = attach(shell).type(b"\x03").expect(PROMPT).type("echo $X\r").expect("kept\n" + PROMPT)
    t.type("printf prompt:\r").expect("prompt:" + PROMPT)
    again = attach(shell)  # nothing happens meanwhile: what is there is shown
    again.expect("prompt:" + PROMPT)
    assert again.text() == ""
    t.type("exit 4\r")
    assert t.wait() == 4 and again.wait() == 4


def test_a_long_last_line_is_cut(term, attach):
    term.sh("stty -echo; printf 'a%.0s' $(seq 10000); read x").until_log("a" * 10000)
    t = attach(term)
    until(lambda: t.text(), "the line")
    t.type("\r")
    assert t.wait() == 0 and t.text().strip() == "a" * 4096


def test_keys_that_are_almost_those(shell, attach):
    t = attach(shell).expect(PROMPT)
    t.type("od -An -c\r").expect("od -An -c\n")
    t.type(b"\x16\x10\x16\x10\x16\x11x\r\x04")  # ctrl-v takes the next key as it is
    t.expect("020 020 021   x  \\n\n".replace(" 020 020", "020 020", 1))
    assert t.proc.poll() is None


@pytest.mark.parametrize("keys,typed", [("ctrl-a,d", b"\x01d"), ("ctrl-]", b"\x1d"), ("~,.", b"~."), ("q", b"q")])
def test_other_keys(shell, attach, keys, typed):
    t = attach(shell, "-k", keys).expect(PROMPT)
    t.type("echo one\r" + "two").expect("one\n").expect("two")
    t.type(b"\x15\x10\x11").type(b"echo three\r").expect("three\n")  # the usual ones mean nothing
    t.type(typed).expect("detached\n")
    assert t.wait() == 0 and t.is_restored()


def test_no_keys(shell, attach):
    t = attach(shell, "-k", "").expect(PROMPT)
    t.type(b"\x10\x11\x15echo here\r").expect("here\n" + PROMPT).type("exit 1\r")
    assert t.wait() == 1


@pytest.mark.parametrize("args", [["-k", "ctrl-"], ["-k", "a,"], ["-k", "ctrl-1"], ["-k", "aa"], ["-k"],
                                  ["-x"], ["word"], ["-k", ",".join("abcdefghijklmnopq")]])
def test_wrong_arguments(shell, args):
    r = attach_in_pipe(shell, *args)
    assert r.returncode == EXIT_OWN and r.stdout == b"" and r.stderr


# --- several ---

def test_two_see_the_same(shell, attach):
    one = attach(shell).expect(PROMPT)
    two = attach(shell).expect(PROMPT)
    one.type("echo from $((1 + 0))\r")
    one.expect("from 1\n" + PROMPT)
    two.expect("echo from $((1 + 0))\nfrom 1\n" + PROMPT)
    two.type("echo from $((1 + 1))\r")
    one.expect("from 2\n" + PROMPT)
    two.expect("from 2\n" + PROMPT)
    one.type(b"\x10\x11").expect("detached")
    two.type("exit 9\r")
    assert two.wait() == 9


def test_a_stopped_client_stops_nobody(term, attach):
    """It gets on later with what is still kept, and shows no hole."""
    term.put("log.max", "1M").sh("read x; seq 1500000; echo end; read x; exit 6")
    one, two = attach(term), attach(term)
    os.kill(one.proc.pid, signal.SIGSTOP)
    two.type("\r").expect("1500000\nend\n", seconds=60)
    os.kill(one.proc.pid, signal.SIGCONT)
    one.expect("1500000\nend\n", seconds=60)
    two.type("\r")
    assert one.wait() == two.wait() == 6
    assert b"\0" not in one.look() + two.look()


def test_a_client_that_lags_behind_shows_no_hole(term, attach):
    term.put("log.max", "64K").sh("stty -echo; read x; echo begin; seq 1000000 1999999; echo end; read x")
    t = attach(term)
    t.type("\r").expect("begin\n")
    term.until_log("end", seconds=60)  # our side of the pty was full for long
    t.type("\r")
    assert t.wait(60) == 0
    text = t.text()
    assert "\0" not in text and text.rstrip().endswith("end")
    numbers = [int(l) for l in text.splitlines() if re.fullmatch(r"1\d{6}", l)]
    assert numbers == sorted(numbers) and numbers[-1] == 1999999 and len(numbers) < 1000000
