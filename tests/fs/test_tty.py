# SPDX-License-Identifier: Apache-2.0
"""The program's terminal: its own, of the container's devpts, and nobody else's."""

import errno
import os
import platform
import re
import signal

import pytest

from basics import slurp, until
from containers import inside

x86 = pytest.mark.skipif(platform.machine() != "x86_64", reason="system call numbers of x86_64")


@pytest.fixture
def term(ctn):
    return ctn.put("tty", 1)


def text(c):
    return c.read("log").replace("\r\n", "\n")


def out(c, script, code=0):
    before = len(text(c))
    c.sh(script)
    assert c.finish() == code, text(c)
    return text(c)[before:]


def stat_fields(pid):
    return slurp("/proc/%d/stat" % pid).rsplit(")", 1)[1].split()


def monitor_of(c):
    return int(re.search(r"PPid:\t(\d+)", slurp("/proc/%d/status" % c.pid()))[1])


def test_streams_are_a_terminal(term):
    assert out(term, "tty; for i in 0 1 2; do test -t $i || exit 1; done; readlink /proc/$$/fd/[012]") \
        == "/dev/pts/0\n" * 4
    assert out(term, "stat -c '%t:%F' -L /proc/self/fd/0") == "88:character special file\n"


def test_controlling_terminal_and_session(term):
    assert out(term, "ps -o pid=,sid=,tty=,stat= -p 1").split()[:3] == ["1", "1", "pts/0"]
    assert out(term, "echo to-the-tty > /dev/tty") == "to-the-tty\n"
    assert "Inappropriate" not in out(term, "sh -ic 'echo job control' 2>&1")


@pytest.mark.parametrize("init", [0, 1])
def test_below_the_small_init(term, init):
    term.put("init", init)
    got = out(term, "tty; ps -o tty=,sid= -p $$; echo x > /dev/tty; ls /proc/$$/fd").split()
    assert got[0] == "/dev/pts/0" and got[1] == "pts/0" and got[3:] == ["x", "0", "1", "2"]


def test_only_three_descriptors(term):
    assert out(term, "ls /proc/1/fd").split() == ["0", "1", "2"]


def test_carriage_returns_are_the_terminals(term):
    term.sh("echo a; echo b >&2; stty -onlcr; echo c")
    assert term.finish() == 0 and term.read("log") == "a\r\nb\r\nc\n"


def test_owner_and_mode(term):
    assert out(term, "stat -c '%u %g %a' /dev/pts/0") == "0 5 620\n"
    term.put("user", "nobody")
    assert out(term, "stat -c '%u %g %a' /dev/pts/0; echo y > /dev/pts/0; echo e > /dev/stderr; tty") \
        == "65534 5 620\ny\ne\n/dev/pts/0\n"


def test_console(term):
    """The same terminal; nothing else is bound or linked there (SECURITY N08)."""
    assert out(term, "stat -c %t:%T /dev/console /dev/pts/0; echo z > /dev/console") == "88:0\n88:0\nz\n"
    term.sh("sleep 1000")
    lines = [l.split() for l in slurp("/proc/%d/mountinfo" % term.pid()).splitlines()]
    assert [(l[3], l[l.index("-") + 1]) for l in lines if l[4] == "/dev/console"] == [("/0", "devpts")]


def test_no_console_without(ctn):
    assert out(ctn, "test -e /dev/console || echo none") == "none\n"


def test_everything_is_there_when_wait_returns(term):
    for _ in range(5):
        term.write("log", "")
        term.sh("seq 20000; echo end")
        slurp(term.path("wait"))
        lines = text(term).splitlines()
        assert lines[-1] == "end" and len(lines) == 20001


def test_a_program_that_closes_its_terminal(term):
    """No reader of the other end is left; the monitor neither ends nor spins."""
    term.sh("echo before; exec 0<&- 1>&- 2>&-; sleep 1.5; echo after > /dev/tty; exit 5")
    until(lambda: "before" in text(term), "output")
    pid = monitor_of(term)
    busy = sum(map(int, stat_fields(pid)[11:13]))
    assert term.finish() == 5 and text(term) == "before\nafter\n"
    assert busy < 20
    assert not os.path.exists("/proc/%d" % pid) or sum(map(int, stat_fields(pid)[11:13])) < 30


def test_the_monitor_does_not_spin(term):
    term.sh("exec 0<&- 1>&- 2>&-; sleep 1000")
    pid = monitor_of(term)
    before = sum(map(int, stat_fields(pid)[11:13]))
    inside(term, "sleep", "1")
    assert sum(map(int, stat_fields(pid)[11:13])) - before < 20
    assert stat_fields(pid)[4] == "0"  # and it has not got the terminal as its own
    assert len(os.listdir("/proc/%d/fd" % pid)) <= 17 + 8  # and a descriptor for each hierarchy


def test_a_job_in_the_background(term):
    assert out(term, "set -m; sleep 0.1 & wait; echo done 2>&1").endswith("done\n")


def test_signals_from_the_terminal(term):
    """What reaches the foreground comes from its driver."""
    term.sh("trap 'echo hup; exit 3' HUP; trap 'echo int; exit 4' INT; stty -echo; echo ready; while :; do sleep 0.05; done")
    until(lambda: "ready" in text(term), "output")
    term.put("ctl", "kill INT")
    assert term.finish() == 4 and text(term).endswith("int\n")


def test_the_monitor_is_killed(term):
    """The server holds the terminal meanwhile: no hang-up, and the output goes on."""
    term.sh("trap 'echo hup; exit 9' HUP; i=0; while :; do echo line $i; i=$((i + 1)); sleep 0.05; done")
    until(lambda: "line 1\n" in text(term), "output")
    pid = term.pid()
    os.kill(monitor_of(term), signal.SIGKILL)
    seen = text(term).count("line")
    until(lambda: text(term).count("line") > seen + 3, "more output")
    assert term.state() == "running" and term.pid() == pid and "hup" not in text(term)
    term.put("ctl", "kill")
    assert term.get("exit") == "255"


def test_the_server_is_killed(server):
    c = server.make().put("tty", 1)
    c.sh("trap 'echo hup; exit 9' HUP; i=0; while :; do echo line $i; i=$((i + 1)); sleep 0.05; done")
    until(lambda: "line 1\n" in text(c), "output")
    server.kill9()
    server.start()
    seen = text(c).count("line")
    until(lambda: text(c).count("line") > seen + 3, "more output")
    os.kill(monitor_of(c), signal.SIGKILL)  # this server has the terminal, too
    seen = text(c).count("line")
    until(lambda: text(c).count("line") > seen + 3, "more output")
    assert c.state() == "running" and "hup" not in text(c)


def test_a_change_waits_for_the_next_start(idle):
    idle.put("tty", 1)
    assert "tty 1" in idle.read("pending") and stat_fields(idle.pid())[4] == "0"
    idle.put("ctl", "restart")
    assert stat_fields(idle.pid())[4] != "0"
    idle.put("tty", 0).put("ctl", "restart")
    assert stat_fields(idle.pid())[4] == "0"


def test_without_a_terminal_there_is_none(ctn):
    """SECURITY N23."""
    ctn.py("import os\nfor i in range(3): print(os.isatty(i))\n"
           "try: os.open('/dev/tty', os.O_RDWR)\nexcept OSError as e: print(e.errno)")
    assert ctn.finish() == 0
    assert ctn.read("log").split() == ["False"] * 3 + [str(errno.ENXIO)]


@x86
@pytest.mark.parametrize("tty", [0, 1])
def test_nothing_can_be_typed_into_it(ctn, tty):
    """TIOCSTI and TIOCLINUX, and TIOCSTI with bits that the kernel does not look at."""
    ctn.put("tty", tty)
    ctn.py("import ctypes, os\nlibc = ctypes.CDLL(None, use_errno=True)\na, b = os.openpty()\n"
           "fd = 0 if os.isatty(0) else b\n"
           "for r in (0x5412, 0x5412 | 1 << 32, 0x541c):\n"
           "    print(libc.syscall(16, fd, ctypes.c_ulong(r), ctypes.c_char_p(b'x')), ctypes.get_errno())")
    assert ctn.finish() == 0
    assert text(ctn).splitlines() == ["-1 1"] * 3


def test_pairs_of_its_own(term):
    term.py("import os\na, b = os.openpty()\nprint(os.ttyname(b), os.listdir('/dev/pts'))")
    assert term.finish() == 0
    assert text(term).startswith("/dev/pts/1 ")


def test_none_is_left(term):
    for _ in range(3):
        out(term, "true")
    assert out(term, "tty") == "/dev/pts/0\n"
