# SPDX-License-Identifier: Apache-2.0
"""States and verbs: what starts, stops, pauses and kills, and what it leaves."""

import errno
import os
import signal
import time

import pytest

from basics import limit, until

IGNORES_TERM = "trap '' TERM; echo ready; while :; do sleep 1000; done"
LEAVES_ON_TERM = "trap 'echo leaving; exit 9' TERM; echo ready; while :; do sleep 1000 & wait; done"


def gone(pid):
    return not os.path.exists("/proc/%d" % pid)


def test_a_life(ctn):
    assert ctn.state() == "created"
    ctn.sh("sleep 1000")
    assert ctn.state() == "running" and ctn.get("exit") == ""
    pid = ctn.pid()
    with open("/proc/%d/stat" % pid) as f:
        assert f.read().split()[0] == str(pid)
    ctn.put("ctl", "kill")
    assert ctn.state() == "exited" and ctn.get("pid") == "" and ctn.get("exit") == "137"
    assert gone(pid)
    ctn.put("ctl", "start")
    assert ctn.state() == "running" and ctn.get("exit") == "" and ctn.pid() != pid
    ctn.put("ctl", "stop 0")
    assert ctn.state() == "exited"


@pytest.mark.parametrize("code", [0, 1, 2, 63, 127, 128, 200, 255])
def test_exit_codes(ctn, code):
    ctn.sh("exit %d" % code)
    assert ctn.finish() == code
    assert ctn.status("Exit").startswith(str(code))


@pytest.mark.parametrize("name", ["TERM", "KILL", "HUP", "ABRT", "USR1", "SEGV", "RTMIN"])
def test_death_by_signal(ctn, name):
    """Pid 1 of a pid namespace dies only of signals from outside, and of those it does not ignore
    by being pid 1: so its default action is restored, or the kernel discards them."""
    number = signal.SIGRTMIN if name == "RTMIN" else getattr(signal, "SIG" + name)
    ctn.put("init", "1")
    ctn.py("import os, signal; os.kill(os.getpid(), %d); signal.pause()" % number)
    assert ctn.finish() == 128 + number


def test_stop_of_a_program_that_leaves(ctn):
    ctn.sh(LEAVES_ON_TERM).until_log("ready")
    ctn.put("ctl", "stop")
    assert ctn.state() == "exited" and ctn.get("exit") == "9"
    assert ctn.read("log") == "ready\nleaving\n"


def test_stop_of_a_program_that_ignores_term(ctn):
    ctn.sh(IGNORES_TERM).until_log("ready")
    ctn.put("ctl", "stop 1")
    assert ctn.state() == "exited" and ctn.get("exit") == "137"


def test_stop_of_a_program_that_does_not_catch_term(ctn):
    """The kernel discards TERM for such a pid 1; nobody waits ten seconds for nothing."""
    ctn.start("sleep", "1000")
    before = time.monotonic()
    ctn.put("ctl", "stop 50")
    assert time.monotonic() - before < limit(10)
    assert ctn.get("exit") == "137"


def test_state_while_stopping(ctn):
    ctn.put("cmd", "python3 -c 'import signal, time; signal.signal(15, lambda *a: None); "
                   "print(\"ready\", flush=True); [time.sleep(1) for i in range(1000)]'")
    ctn.until_log("ready")
    import subprocess
    p = subprocess.Popen(["sh", "-c", "echo stop 30 > ctl"], cwd=ctn.path())
    ctn.until_state("stopping")
    assert ctn.pid() and ctn.get("exit") == ""
    ctn.put("ctl", "kill")
    assert p.wait(limit(5)) == 0
    assert ctn.state() == "exited" and ctn.get("exit") == "137"


def test_pause_and_resume(ctn):
    ctn.sh("while :; do echo tick; sleep 0.02; done").until_log("tick")
    ctn.put("ctl", "pause")
    assert ctn.state() == "paused" and ctn.get("cgroup/freeze") == "1"
    size = len(ctn.read("log"))
    time.sleep(0.2)
    assert len(ctn.read("log")) == size
    ctn.put("ctl", "resume")
    assert ctn.state() == "running" and ctn.get("cgroup/freeze") == "0"
    until(lambda: len(ctn.read("log")) > size, "it goes on")


@pytest.mark.parametrize("verb", ["kill", "stop", "stop 0"])
def test_ending_a_paused_container(ctn, verb):
    ctn.sh("sleep 1000")
    ctn.put("ctl", "pause").put("ctl", verb)
    assert ctn.state() == "exited" and ctn.get("exit") == "137"
    assert ctn.get("cgroup/freeze") == "0"


def test_restart(ctn):
    ctn.sh("echo ready; sleep 1000").until_log("ready")
    pid = ctn.pid()
    ctn.put("ctl", "restart 1")
    assert ctn.state() == "running" and ctn.pid() != pid and gone(pid)
    assert ctn.get("exit") == ""
    until(lambda: ctn.read("log").count("ready") == 2, "both runs in the log")


def test_verbs_are_idempotent(ctn):
    ctn.sh("sleep 1000")
    pid = ctn.pid()
    for verb in ("start", "resume", "pause", "pause"):
        ctn.put("ctl", verb)
        assert ctn.pid() == pid
    ctn.put("ctl", "resume").put("ctl", "resume")
    assert ctn.state() == "running" and ctn.pid() == pid
    for verb in ("stop 0", "stop", "kill", "stop 3"):
        ctn.put("ctl", verb)
        assert ctn.state() == "exited"


def test_restart_of_a_stopped_container_starts_it(ctn):
    ctn.sh("exit 0")
    ctn.finish()
    ctn.put("cmd", "sleep 1000").put("ctl", "kill").put("ctl", "restart")
    assert ctn.state() == "running"


def test_kill_sends_any_signal(ctn):
    # print() in a handler fails when it comes in the middle of another one.
    ctn.py("import os, signal, time\n"
           "for s in (1, 10, 12, 34): signal.signal(s, lambda n, f: os.write(1, b'got %d\\n' % n))\n"
           "os.write(1, b'ready\\n')\nwhile True: time.sleep(0.05)")
    ctn.until_log("ready")
    for word, number in (("HUP", 1), ("SIGUSR1", 10), ("usr2", 12), ("34", 34)):
        ctn.put("ctl", "kill " + word)
        ctn.until_log("got %d\n" % number)
    assert ctn.state() == "running"


@pytest.mark.parametrize("bad", ["jump", "stop x", "stop -1", "stop 1.5", "stop 99999999999999999999",
                                 "stop 1 2", "kill NONESUCH", "kill 0", "kill 65", "kill -9",
                                 "pause 1", "STOP", "start now", "restart x"])
def test_bad_verbs(idle, bad):
    idle.refused("ctl", bad, (errno.EINVAL, errno.ERANGE), bad.split()[-1] if bad != "stop 1 2" else ".")
    assert idle.state() == "running"


def test_misspelt_verb(idle):
    assert "stop" in idle.refused("ctl", "stpo", errno.EINVAL).text
    said = idle.refused("ctl", "dance", errno.EINVAL).text
    assert all(v in said for v in ("start", "stop", "kill", "pause", "resume", "restart"))


@pytest.mark.parametrize("verb", ["pause", "resume", "kill USR1"])
def test_verbs_in_the_wrong_state(ctn, verb):
    """What cannot be so is refused; `stop` and `kill` of what does not run are already so."""
    if verb != "resume":
        ctn.refused("ctl", verb, (errno.ESRCH, errno.EINVAL, errno.EBUSY))
    ctn.put("ctl", "stop").put("ctl", "kill")
    assert ctn.state() == "created"


def test_start_without_a_command(ctn):
    ctn.refused("ctl", "start", (errno.EINVAL, errno.ENOEXEC, errno.ENOENT), "cmd")


def test_stopped_only_files_are_busy(idle):
    idle.refused("cmd", "sleep 5", errno.EBUSY, "stop")
    # a link into the kernel now, which has the answer
    assert idle.write("ns/net", "host\n") in (errno.EPERM, errno.EACCES, errno.EBUSY)


def test_rmdir_while_running(idle):
    with pytest.raises(OSError) as e:
        idle.remove()
    assert e.value.errno == errno.EBUSY
    assert "stop" in idle.server.last_error().text or "stop" in idle.last_error().text
    idle.put("ctl", "kill")
    idle.remove()


def test_started_and_finished(ctn):
    ctn.sh("exit 0")
    ctn.finish()
    table = ctn.status()
    assert table["Started"] and table["Finished"] and table["Started"] <= table["Finished"]
    assert table["OomKilled"] in ("0", "no")


def test_exit_is_kept_until_the_next_start(ctn):
    ctn.sh("exit 3")
    assert ctn.finish() == 3
    ctn.put("env", "A=1")
    assert ctn.get("exit") == "3"
    ctn.refused("cmd", "nonesuch", errno.ENOENT)
    assert ctn.get("exit") == "3" and ctn.state() == "exited"


@pytest.mark.parametrize("bad,code", [("nonesuch", errno.ENOENT), ("/no/such/file", errno.ENOENT),
                                      ("/usr", errno.EACCES), ("/etc/passwd", errno.EACCES),
                                      ("/etc/passwd/x", errno.ENOTDIR),
                                      ("/var/bad", errno.ENOEXEC), ("/var/interp", errno.ENOENT)])
def test_programs_that_cannot_be_executed(ctn, bad, code):
    layer = os.readlink(ctn.path("layer"))
    for name, text in (("bad", "\x01\x02 neither script nor program"), ("interp", "#!/no/such\n")):
        os.makedirs(layer + "/var", exist_ok=True)
        with open(layer + "/var/" + name, "w") as f:
            f.write(text)
        os.chmod(layer + "/var/" + name, 0o755)
    ctn.refused("cmd", bad, code, bad)
    assert ctn.get("pid") == "" and ctn.get("cgroup/procs") == ""
    assert ctn.output("echo fine") == "fine\n"


def test_a_failed_start_keeps_the_limits(ctn):
    ctn.put("memory.limit", "64M").refused("cmd", "nonesuch", errno.ENOENT)
    assert ctn.get("memory.limit") == "67108864"


def test_everything_dies_with_pid_1(ctn):
    ctn.sh("sleep 1000 & setsid sleep 1001 & (sleep 1002 &) ; echo ready; sleep 1003").until_log("ready")
    pids = [int(p) for p in ctn.get("cgroup/procs").split()]
    assert len(pids) >= 4
    ctn.put("ctl", "kill")
    assert all(gone(p) for p in pids)
    assert ctn.get("cgroup/procs") == "" and ctn.get("cgroup/pids.current") == "0"


def test_a_killed_pid_1_is_noticed(ctn):
    """By somebody else, without a verb."""
    ctn.sh("sleep 1000")
    os.kill(ctn.pid(), signal.SIGKILL)
    assert ctn.finish() == 137


def test_many_starts_of_one_container(ctn):
    for i in range(15):
        ctn.sh("exit %d" % i)
        assert ctn.finish() == i


def test_state_is_never_something_else(ctn):
    words = set()
    for i in range(5):
        ctn.sh("sleep 0.02")
        while ctn.state() != "exited":
            words.add(ctn.state())
    assert words <= {"running", "exited"}
