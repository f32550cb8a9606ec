# SPDX-License-Identifier: Apache-2.0
"""`attach`: what it comes to when something ends, is stopped, is not there, or is no terminal."""

import hashlib
import os
import re
import signal
import subprocess
import termios
import time

import pytest

from basics import limit, slurp, until
from terminals import attach_in_pipe

EXIT_OWN = 125
PROMPT = "# "
LEAVE = b"\x10\x11"


@pytest.fixture
def term(ctn):
    return ctn.put("tty", 1)


@pytest.fixture
def shell(term):
    return term.put("cmd", "sh").until_log(PROMPT)


def refused(c, sentence, **kw):
    r = attach_in_pipe(c, **kw)
    assert r.returncode == EXIT_OWN and r.stdout == b"", r
    assert r.stderr.decode() == "attach: %s%s\n" % (c.name, sentence)


def monitor_of(c):
    return int(re.search(r"PPid:\t(\d+)", slurp("/proc/%d/status" % c.pid()))[1])


def state_of(pid):
    return slurp("/proc/%d/stat" % pid).rsplit(")", 1)[1].split()[0]


def follows(pid):
    """Whether that client has come as far as the log."""
    try:
        return any("inotify" in os.readlink(fd.path) for fd in os.scandir("/proc/%d/fd" % pid))
    except FileNotFoundError:
        return False  # a descriptor that was closed meanwhile


# --- nothing to attach to ---

NOT_RUNNING = " does not run; echo start > ctl"


def test_not_running(term):
    refused(term, NOT_RUNNING)
    term.sh("exit 3")
    assert term.finish() == 3
    refused(term, NOT_RUNNING)
    term.write("cmd", "/nonesuch\n")
    refused(term, NOT_RUNNING)


def test_no_terminal(idle):
    refused(idle, ": it has no terminal: echo 1 > tty before its next start; its output is in log, "
            "its input stdin")
    idle.put("tty", 1)  # of the next start
    refused(idle, ": it has no terminal: echo 1 > tty before its next start; its output is in log, "
            "its input stdin")


def test_a_monitor_that_does_not_answer(shell):
    pid = monitor_of(shell)
    os.kill(pid, signal.SIGSTOP)
    try:
        refused(shell, ": its monitor does not answer; if an older ctnfs started it, echo restart > ctl")
    finally:
        os.kill(pid, signal.SIGCONT)
    assert attach_in_pipe(shell, input=b"exit 2\n").returncode == 2


def test_a_removed_container(server):
    """The program is still called with the directory that it had."""
    c = server.make()
    program, run_dir = c.read("attach")[2:].split()
    c.remove()
    r = subprocess.run([program, run_dir, c.path("attach")], capture_output=True, timeout=limit(20))
    assert r.returncode == EXIT_OWN and r.stderr == b"attach: the container does not run; echo start > ctl\n"


def test_the_program_alone():
    from basics import build_path
    r = subprocess.run([build_path("ctnfs-attach")], capture_output=True, timeout=limit(20))
    assert r.returncode == EXIT_OWN and b"is what the file attach of a container calls" in r.stderr


# --- no terminal on our side ---

def test_input_from_a_pipe(term):
    term.put("cmd", "sh").until_log(PROMPT)
    r = attach_in_pipe(term, input=b"echo $((40 + 2))\nexit 7\n")
    assert r.returncode == 7 and r.stderr == b"" and b"\r\n42\r\n" in r.stdout


def test_the_keys_mean_nothing_in_a_pipe(term):
    term.sh("stty raw -echo; echo ready; head -c 6 | od -An -tx1; exit 4").until_log("ready")
    assert attach_in_pipe(term, input=b"a" + LEAVE + LEAVE + b"z").returncode == 4
    assert "61 10 11 10 11 7a" in term.read("log")


def test_a_million_bytes_are_not_lost(term):
    """Faster than they are read inside; any byte."""
    data = os.urandom(1 << 20)
    term.sh("stty raw -echo; echo ready; sleep 0.3; head -c %d | sha256sum; exit 5" % len(data))
    term.until_log("ready")
    r = attach_in_pipe(term, input=data)
    assert r.returncode == 5 and hashlib.sha256(data).hexdigest().encode() in r.stdout


def test_only_output_after_the_end_of_the_input(term):
    term.sh("stty -echo; echo ready; read x; echo got $x; read y; echo got $y; exit 2").until_log("ready")
    with subprocess.Popen([term.path("attach")], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as p:
        p.stdin.write(b"one\n")
        p.stdin.close()
        assert p.stdout.readline() == b"got one\r\n"
        assert p.poll() is None
        assert attach_in_pipe(term, input=b"two\n").returncode == 2
        assert p.stdout.read() == b"got two\r\n" and p.wait(limit(20)) == 2


def test_closed_streams(term):
    term.sh("read x; echo $x; exit 3")
    r = subprocess.Popen(["sh", "-c", 'exec "$0" 0<&- 1>&- 2>&-', term.path("attach")])
    until(lambda: follows(r.pid), "the client at the log")
    assert attach_in_pipe(term, input=b"word\n").returncode == 3
    assert r.wait(limit(20)) == 3 and "word\r\n" in term.read("log")


def test_nobody_reads_the_output(shell):
    """As cat(1) in a pipe, and the container goes on."""
    r = subprocess.run(["bash", "-c", '{ "$0"; echo "code $?" >&2; } < /dev/null | head -c 2',
                        shell.path("attach")], capture_output=True, timeout=limit(20))
    assert r.stdout == b"# " and r.stderr == b"code %d\n" % (128 + signal.SIGPIPE)
    assert shell.state() == "running"


def test_output_to_a_file(term, attach, tmp_path):
    term.sh("stty -echo; read x; seq 1000; exit 8")
    with open(tmp_path / "out", "wb") as out:
        t = attach(term, stdout=out)
        t.type("\r")
        assert t.wait() == 8 and t.is_restored()
    assert (tmp_path / "out").read_bytes().split() == [b"%d" % i for i in range(1, 1001)]


def test_it_does_not_spin(shell, attach):
    """Nor when its input has ended."""
    def ticks(pid):
        return sum(map(int, slurp("/proc/%d/stat" % pid).rsplit(")", 1)[1].split()[11:13]))

    t = attach(shell).expect(PROMPT)
    with subprocess.Popen([shell.path("attach")], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as p:
        assert p.stdout.read(2) == PROMPT.encode()
        pids = [t.proc.pid, p.pid, monitor_of(shell)]
        before = [ticks(pid) for pid in pids]
        time.sleep(1)  # no question here: it is what they do meanwhile
        assert max(ticks(pid) - b for pid, b in zip(pids, before)) < 10
        t.type("exit 0\r")
        assert t.wait() == p.wait(limit(20)) == 0


def test_what_it_holds(shell, attach):
    """The log only to be read, nothing that the container could wait for."""
    t = attach(shell).expect(PROMPT)
    proc = "/proc/%d/" % t.proc.pid
    held = {os.readlink(proc + "fd/" + fd): int(re.search(r"flags:\t(\d+)", slurp(proc + "fdinfo/" + fd))[1], 8)
            for fd in os.listdir(proc + "fd")}
    logs = [flags for path, flags in held.items() if path.endswith("/log")]
    assert len(logs) == 1 and logs[0] & os.O_ACCMODE == os.O_RDONLY
    assert len(os.listdir(proc + "fd")) == 8, held


# --- ends of ours ---

ENDS = [signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1, signal.SIGPIPE,
        signal.SIGSEGV, signal.SIGALRM, signal.SIGRTMAX]


@pytest.mark.parametrize("sig", ENDS, ids=lambda s: s.name)
def test_a_signal_to_the_client(shell, attach, sig):
    """The terminal is as it was, the end is the signal's, the container goes on."""
    t = attach(shell).expect(PROMPT)
    t.proc.send_signal(sig)
    assert t.wait() == -sig and t.is_restored()
    assert attach(shell).expect(PROMPT).type("exit 3\r").wait() == 3


def test_ignored_signals_stay_so(shell, on_terminal):
    t = on_terminal("sh", "-c", "trap '' HUP INT TERM; exec \"$0\"", shell.path("attach")).until_raw()
    t.expect(PROMPT)
    for sig in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        t.proc.send_signal(sig)
    t.type("exit 6\r")
    assert t.wait() == 6 and t.is_restored()


def test_interrupt_of_a_client_without_raw_mode(term, on_terminal):
    term.sh("printf ready; read x; exit 1").until_log("ready")
    t = on_terminal("sh", "-c", "sleep 1000 | \"$0\"; echo code $?", term.path("attach"))
    t.expect("ready")
    assert t.is_restored()
    t.type(b"\x03")
    assert t.wait() in (-signal.SIGINT, 128 + signal.SIGINT)
    assert term.state() == "running"


def test_the_terminal_hangs_up(shell, attach):
    t = attach(shell).expect(PROMPT)
    t.hang_up()
    assert t.proc.wait(limit(20)) == -signal.SIGHUP and shell.state() == "running"


@pytest.mark.parametrize("sig", [signal.SIGTSTP, signal.SIGSTOP], ids=lambda s: s.name)
def test_stopped_and_continued(shell, on_terminal, sig):
    t = on_terminal("sh", "-i", cwd=shell.path())
    t.expect("host> ").type("./attach\n").expect("attach\n").until_raw().expect(PROMPT)
    child = t.child()
    os.kill(child, sig)
    t.expect("host> ")
    assert state_of(child) == "T"
    if sig == signal.SIGTSTP:
        assert t.is_restored()
    t.type("stty sane; echo at $((1 + 1))\n" if sig == signal.SIGSTOP else "echo at $((1 + 1))\n")
    t.expect("at 2\n")
    before = t.modes()
    t.type("fg\n").expect("./attach").until_raw()
    t.type("\r").expect(PROMPT).type("echo in $((1 + 2))\r").expect("in 3\n").type(LEAVE).expect("detached")
    t.expect("host> ")
    assert t.modes() == (t.before if sig == signal.SIGTSTP else before) or t.is_restored()
    t.type("exit\n")
    assert t.wait() == 0


def test_killed_while_it_is_stopped(shell, on_terminal):
    """It leaves alone what the shell has made of the terminal meanwhile."""
    t = on_terminal("sh", "-i", cwd=shell.path())
    t.expect("host> ").type("./attach\n").expect("attach\n").until_raw().expect(PROMPT)
    child = t.child()
    os.kill(child, signal.SIGTSTP)
    t.expect("host> ").type("stty -echo; kill %1; kill -CONT %1; echo killed\n").expect("killed\n")
    until(lambda: not os.path.exists("/proc/%d" % child) or state_of(child) == "Z", "its end")
    assert t.modes()["local"] == t.before["local"] & ~termios.ECHO


def test_a_stop_without_job_control(shell, attach):
    """Nobody could continue it: the kernel stops nothing."""
    t = attach(shell).expect(PROMPT)
    t.proc.send_signal(signal.SIGTSTP)
    t.type("echo $((3 + 4))\r").expect("7\n" + PROMPT)
    until(t.is_raw, "raw mode")
    assert t.type("exit 3\r").wait() == 3 and t.is_restored()


def test_in_the_background(shell, on_terminal):
    """It does not take the terminal from whoever works there."""
    t = on_terminal("sh", "-i", cwd=shell.path())
    t.expect("host> ").type("./attach &\n").expect("host> ")
    child = t.child()
    until(lambda: state_of(child) == "T", "a stop")
    assert t.is_restored()
    t.type("fg\n").until_raw().expect(PROMPT).type("exit 9\r").expect("host> ")
    assert t.is_restored()
    t.type("exit $?\n")
    assert t.wait() == 9


# --- ends of the others ---

def test_the_container_is_killed(shell, attach):
    one, two = attach(shell).expect(PROMPT), attach(shell).expect(PROMPT)
    shell.put("ctl", "kill")
    assert one.wait() == two.wait() == 137
    assert one.is_restored() and two.is_restored()


def test_the_container_is_stopped(term, attach):
    term.sh("trap 'echo bye; exit 4' TERM; echo ready; while :; do read x; done").until_log("ready")
    t = attach(term)
    term.put("ctl", "stop")
    assert t.wait() == 4 and t.text().endswith("bye\n")


def test_it_is_started_again_at_once(term, attach):
    """The client ends with the run that it has seen, and its code, however late it looks."""
    term.sh("trap 'exit 4' TERM; echo ready; while :; do read x; done").until_log("ready")
    t = attach(term)
    os.kill(t.proc.pid, signal.SIGSTOP)
    term.put("ctl", "restart")
    os.kill(t.proc.pid, signal.SIGCONT)
    assert t.wait() == 4 and t.is_restored() and term.state() == "running"


def test_the_container_is_paused(shell, attach):
    """What is typed meanwhile is not lost."""
    t = attach(shell).expect(PROMPT)
    shell.put("ctl", "pause")
    t.type("echo $((5 + 5))\r")
    shell.put("ctl", "resume")
    t.expect("10\n" + PROMPT).type(LEAVE)
    assert t.wait() == 0


def test_the_server_is_killed(server, attach):
    c = server.make().put("tty", 1).put("cmd", "sh").until_log(PROMPT)
    t = attach(c).expect(PROMPT)
    server.kill9()
    t.type("echo without $((1 + 1))\r").expect("without 2\n" + PROMPT)
    server.start()
    t.type("echo with $((1 + 1))\r").expect("with 2\n" + PROMPT)
    again = attach(c).expect(PROMPT)
    t.type("exit 7\r")
    assert t.wait() == again.wait() == 7 and c.finish() == 7


def test_it_ends_without_a_server(server, attach):
    c = server.make().put("tty", 1).put("cmd", "sh").until_log(PROMPT)
    t = attach(c).expect(PROMPT)
    server.kill9()
    t.type("exit 7\r")
    assert t.wait() == 7 and t.is_restored()
    server.start()
    assert c.finish() == 7


@pytest.mark.stderr("monitor was killed")
def test_the_monitor_is_killed(shell, attach):
    """Its successor has the terminal; only the exit code is not known then."""
    t = attach(shell).expect(PROMPT)
    for i in (1, 2):
        os.kill(monitor_of(shell), signal.SIGKILL)
        t.type("echo again $((%d + 0))\r" % i).expect("again %d\n" % i).expect(PROMPT)
    t.type("exit 7\r")
    assert t.wait() == 255 and t.is_restored() and shell.finish() == 255


@pytest.mark.stderr("monitor was killed")
def test_monitor_and_container_are_killed(shell, attach):
    t = attach(shell).expect(PROMPT)
    pid = shell.pid()
    os.kill(monitor_of(shell), signal.SIGKILL)
    os.kill(pid, signal.SIGKILL)
    assert t.wait() == 255 and t.is_restored()


def test_monitor_and_server_are_killed(server, attach):
    """There is nobody to attach to, and it does not wait for ever."""
    c = server.make().put("tty", 1)
    c.sh("trap '' HUP; echo ready; exec sleep 1000").until_log("ready")
    t = attach(c)
    pid = monitor_of(c)
    server.kill9()
    os.kill(pid, signal.SIGKILL)
    assert t.wait(30) == EXIT_OWN and t.is_restored()
    assert "no ctnfs is there to start another" in t.text()
    server.start()
    c.put("ctl", "kill")


# --- without ---

def test_without_inotify(shell, on_terminal):
    """It looks at the log from time to time then."""
    t = on_terminal("unshare", "-Ur", "sh", "-c", 'echo 0 > /proc/sys/user/max_inotify_instances && exec "$0"',
                    shell.path("attach")).until_raw().expect(PROMPT)
    assert not any("inotify" in os.readlink(fd.path) for fd in os.scandir("/proc/%d/fd" % t.proc.pid))
    t.type("sleep 0.3; echo $((2 + 2))\r").expect("\n4\n" + PROMPT).type("exit 6\r")
    assert t.wait() == 6
