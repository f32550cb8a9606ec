# SPDX-License-Identifier: Apache-2.0
"""exec at a terminal: what people type all day."""

import os
import signal
import subprocess

import pytest

from basics import slurp, until
from execs import program
from shells import Terminal

BASH = ["bash", "--norc", "--noediting", "-i"]


@pytest.fixture
def terminal():
    made = []

    def make(argv, **kw):
        made.append(Terminal(argv, **kw))
        return made[-1]
    yield make
    for t in made:
        t.close()


@pytest.fixture
def shell(terminal, idle):
    """A shell of the host's, in the container's directory."""
    t = terminal(BASH, cwd=idle.path())
    t.expect(r"host\$ $")
    return t


def stopped(c, word):
    pids = [int(l.split()[0]) for l in c.lines("ps")[1:] if word in l]
    return pids and all("State:\tT" in slurp("/proc/%d/status" % p) for p in pids)


def told_stopped(t):
    """A shell says so when it is about to ask for the next line."""
    until(lambda: (t.type("\n"), t.look(0.1), "Stopped" in t.text)[2], "the shell says that it is stopped")
    t.expect(r"Stopped.*\n")


def in_foreground(pid):
    fields = slurp("/proc/%d/stat" % pid).rsplit(")", 1)[1].split()
    return fields[5] == fields[2] and fields[0] == "S"  # the terminal's process group is its own


def test_a_shell_inside(terminal, idle):
    t = terminal([idle.path("exec"), "-e", "PS1=inside$ ", "sh"])
    t.expect(r"inside\$ $")
    t.line("hostname", idle.name)
    t.line("test -t 0 && test -t 1 && test -t 2 && echo tty", r"tty$")
    t.line("echo $TERM", r"xterm$")
    t.type("exit 7\n")
    assert t.wait() == 7, t.text


def test_job_control_inside(terminal, idle):
    t = terminal([idle.path("exec"), "-e", "PS1=inside$ ", *BASH])
    t.expect(r"inside\$ $")
    assert "job control" not in t.text
    t.type("sleep 4567\n")
    t.expect("sleep 4567\n")
    until(lambda: any(l.rstrip().endswith("sleep 4567") for l in idle.lines("ps")), "it sleeps")
    t.type("\x1a")
    t.expect(r"Stopped +sleep 4567\n.*inside\$ $")
    t.line("bg; jobs -r | grep -c sleep", r"1$")
    t.type("fg\n")
    t.expect(r"sleep 4567$")
    until(lambda: in_foreground(program(idle, "sleep 4567")), "it has the terminal")
    t.type("\x03")
    t.expect(r"inside\$ $")
    t.line("echo $?", r"130$")
    t.type("(exit 9)\n\x04")
    assert t.wait() == 9


def test_interrupt(shell):
    shell.type("./exec sleep 1000; echo ended $?\n")
    shell.expect(r"ended \$\?\n")
    until(lambda: any("sleep 1000" == l.rstrip()[-10:] for l in slurp(os.path.join(os.readlink("/proc/%d/cwd" % shell.proc.pid), "ps")).splitlines()), "it sleeps")
    shell.type("\x03")
    shell.expect(r"host\$ $")
    shell.line("echo $?", r"130$")


def test_interrupt_ends_a_loop(shell, idle):
    shell.type("for i in 1 2 3 4 5; do echo round $i; ./exec sleep 1000; done; echo loop over\n")
    shell.expect(r"^round 1$")
    until(lambda: any(l.rstrip().endswith("sleep 1000") for l in idle.lines("ps")), "it sleeps")
    shell.type("\x03")
    shell.expect(r"host\$ $")
    assert "round 2" not in shell.text


def test_interrupt_that_is_caught(shell, idle):
    shell.type("./exec sh -c 'trap \"echo caught; exit 5\" INT; echo go; while :; do sleep 0.05; done'\n")
    shell.expect(r"^go$")
    shell.type("\x03")
    shell.expect(r"^\^?C?caught$")
    shell.expect(r"host\$ $")
    shell.line("echo $?", r"5$")


def test_stop_and_go_on(shell, idle):
    shell.type("./exec sh -c 'echo go; read x; echo got $x; exit 3'\n")
    shell.expect(r"^go$")
    shell.type("\x1a")
    shell.expect(r"Stopped")
    shell.expect(r"host\$ $")
    assert stopped(idle, "echo got")
    shell.line("jobs", r"Stopped")
    shell.type("fg\n")
    shell.expect(r"fg\n.*exec.*\n")
    shell.type("word\n")
    shell.expect(r"^got word$")
    shell.expect(r"host\$ $")
    shell.line("echo $?", r"3$")


def test_a_program_that_stops_itself(shell, idle):
    """As vi and less do: to the whole process group, of which it may reach only its own part."""
    shell.type("./exec python3 -c 'import os, signal; print(\"go\", flush=True); os.kill(0, signal.SIGTSTP); "
               "print(\"on again\")'\n")
    shell.expect(r"^go$")
    shell.expect(r"Stopped")
    shell.expect(r"host\$ $")
    shell.type("fg\n")
    shell.expect(r"^on again$")
    shell.expect(r"host\$ $")


def test_in_the_background(shell, idle):
    """Whoever reads the terminal there is stopped, as any program is."""
    shell.type("./exec cat &\n")
    shell.expect(r"host\$ $")
    until(lambda: stopped(idle, " cat") or "Stopped" in shell.text, "it is stopped")
    told_stopped(shell)
    shell.type("fg\n")
    shell.expect(r"exec cat\n")
    shell.type("echoed\n")
    shell.expect(r"echoed\n(.*\n)?echoed$")
    shell.type("\x04")
    shell.expect(r"host\$ $")
    shell.type("./exec sleep 0.2 & wait $!; echo status $?\n")
    shell.expect(r"^status 0$")


def test_window_size(terminal, idle):
    t = terminal([idle.path("exec"), "-e", "PS1=inside$ ", "sh"], rows=33, cols=101)
    t.expect(r"inside\$ $")
    t.line("stty size", r"33 101$")
    t.line("trap 'echo resized; stty size' WINCH; echo set", r"set$")
    t.resize(50, 120)
    t.type("\n")
    t.expect(r"^resized\n50 120$")
    t.type("exit\n")
    t.wait()


def test_the_terminal_is_given_back(terminal, idle):
    """A shell inside makes itself the foreground; a script that called it reads on afterwards."""
    script = "%s bash --norc --noediting -i -c 'echo inner'; read x; echo read $x" % idle.path("exec")
    t = terminal(["sh", "-c", script])
    t.expect(r"^inner$")
    t.type("abc\n")
    t.expect(r"^read abc$")
    assert t.wait() == 0


def test_hangup(terminal, idle):
    """The terminal goes: so does what was started at it."""
    before = len(idle.lines("ps"))
    t = terminal([idle.path("exec"), "sh", "-c", "echo go; sleep 1000; echo no"])
    t.expect(r"^go$")
    os.close(t.master)
    os.close(t.slave)
    t.master, t.slave = os.open("/dev/null", os.O_RDWR), os.open("/dev/null", os.O_RDWR)
    t.proc.wait(20)
    until(lambda: len(idle.lines("ps")) == before, "nothing is left")


def test_a_shell_that_is_killed(shell, idle):
    before = len(idle.lines("ps"))
    shell.type("./exec sh -c 'echo go; exec sleep 1000'\n")
    shell.expect(r"^go$")
    launcher = int(subprocess.check_output(["pgrep", "-P", str(shell.proc.pid)]))
    os.kill(launcher, signal.SIGKILL)
    shell.expect(r"Killed")
    until(lambda: len(idle.lines("ps")) == before, "nothing is left")


def test_no_terminal_for_the_container(terminal, idle):
    """Its programs cannot push input into the caller's terminal."""
    script = ("import fcntl, termios\n"
              "for request in (termios.TIOCSTI, termios.TIOCSTI | 1 << 32):\n"
              "    try: fcntl.ioctl(0, request & 0xffffffff, b'x'); print('pushed')\n"
              "    except OSError as e: print('refused', e.errno)\n")
    t = terminal([idle.path("exec"), "python3", "-c", script])
    t.expect(r"^refused 1\nrefused 1$")
    assert t.wait() == 0


def test_in_a_pipeline_at_a_terminal(shell):
    """All of the job share the foreground: the last one may read the terminal."""
    shell.type("./exec echo from inside | sh -c 'cat; read x < /dev/tty; echo got $x'\n")
    shell.expect(r"^from inside$")
    shell.type("typed\n")
    shell.expect(r"^got typed$")
    shell.expect(r"host\$ $")


def test_interrupt_ends_a_script(terminal, idle):
    t = terminal(["bash", "-c", "%s sleep 1000; echo went on" % idle.path("exec")])
    until(lambda: any(l.rstrip().endswith("sleep 1000") for l in idle.lines("ps")), "it sleeps")
    t.type("\x03")
    assert t.wait() in (130, -2) and "went on" not in t.text


def test_nobody_could_let_it_go_on(terminal, idle):
    """The program is the whole of the terminal's session: Ctrl-Z does nothing, as without us."""
    t = terminal([idle.path("exec"), "sh", "-c", "echo go; read x; echo got $x"])
    t.expect(r"^go$")
    t.type("\x1a")
    t.type("word\n")
    t.expect(r"got word$")
    assert t.wait() == 0


def test_a_shell_in_the_background_comes_back(shell, idle):
    shell.type("./exec -e 'PS1=inside$ ' sh -i &\n")
    until(lambda: stopped(idle, "sh -i"), "it is stopped")
    told_stopped(shell)
    shell.type("fg\n")
    shell.expect(r"fg\n")
    shell.type("hostname; exit 6\n")
    shell.expect(r"%s$" % idle.name)
    shell.expect(r"host\$ $")
    shell.line("echo $?", "6$")


def test_a_stopped_job_holds_nothing_up(shell, idle):
    """The container can end all the same."""
    shell.type("./exec sh -c 'echo go; read x'\n")
    shell.expect(r"^go$")
    shell.type("\x1a")
    shell.expect(r"Stopped")
    idle.put("ctl", "kill")
    assert idle.state() == "exited"
    shell.type("fg\n")
    shell.expect(r"host\$ $")
    shell.line("echo $?", "137$")
