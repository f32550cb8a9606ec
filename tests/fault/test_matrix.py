# SPDX-License-Identifier: Apache-2.0
"""The rows of the failure matrix that are not a death or a single call, and where the others are:

F1  test_crash_points.py: the named points; test_kills.py: each call; test_random.py: any microsecond
F2  fs/test_restart.py test_a_killed_monitor; fs/test_stdin_waiting.py; test_kills_inside.py
F3  fs/test_restart.py test_all_are_killed_at_once; test_kills_inside.py; test_power_cut.py
F4  test_failing_calls.py: ENOSPC and EIO at each call; a full disk: here
F5  test_failing_calls.py: EMFILE and ENOMEM at each call; test_allocations.py; fewer descriptors: here
F6  fs/test_limits.py, fs/test_cgroup.py test_limits_are_real
F7  here
F8  here; fs/test_execs_end.py: of a session
F9  here
F10 fs/test_life.py test_stop_of_a_program_that_ignores_term, test_state_while_stopping; fs/test_ctl.py
F11 fs/test_server.py test_umount_ends_it, test_a_lazy_umount_ends_it; fs/test_restart.py
F12 fs/test_server.py test_a_second_server_on_the_same_state
F13 here
F14 fs/test_wait.py test_a_killed_waiter_goes_at_once
F15 fs/test_wait.py test_three_hundred_blocked_readers; fs/test_crowds.py
F16 fs/test_server.py test_writes_of_a_path_on_its_own_mount_end; fs/test_ns.py
F17 here
F18 F19 test_power_cut.py
F20 fs/test_log.py test_tail_f_across_the_bound, test_a_flood_ends; a full disk: here
F21 fs/test_wait.py test_waiters_when_the_directory_goes; fs/test_exec_ends.py test_removed_under_it
F22 fs/test_reading.py; sync: here
"""

import contextlib
import errno
import os
import resource
import signal
import subprocess
import time

import pytest

from basics import SLOW, TREE, err_name, limit, put, slurp, until
from harness import mounts_at
from nth import told
from operations import GROUPS
from rootdirs import kernel
from test_failing_calls import settled
from truth import Witness, check_all, check_no_residue, clear, ids_on_disk

OPERATIONS = {op.name: op for group in GROUPS.values() for op in group}


@pytest.fixture
def on_tmpfs(new_server):
    """A server whose state directory is a small file system of its own."""
    server = new_server(start=False)
    os.mkdir(server.state, 0o700)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m,mode=700", "none", server.state], check=True)
    server.start()
    yield server
    wrong = server.finish() if server.running() else []
    subprocess.run(["umount", "-l", server.state], check=True)
    server.proc = None
    assert not wrong, "\n".join(wrong)


def fill(path):
    """Until there is no room left."""
    with open(path, "wb", buffering=0) as f:
        for size in (65536, 4096, 1):
            try:
                while True:
                    f.write(bytes(size))
            except OSError as e:
                assert e.errno == errno.ENOSPC


@pytest.mark.skipif(kernel() < (6, 3), reason="this kernel cannot map the ids of a tmpfs")
def test_a_full_disk(on_tmpfs):
    """F4: what needs room is refused and changes nothing; what ends things works; programs go on."""
    server = on_tmpfs
    witness = Witness(server)
    talker = server.make("talker").sh("i=0; while :; do echo tick; i=$((i+1)); echo $i > /tmp/i; done")
    talker.until_log("tick")
    ready = server.make("ready").put("env", "OLD=1")
    was = [l for l in ready.lines("env")]
    names = server.containers()
    fill(os.path.join(server.state, "filler"))
    with pytest.raises(OSError) as e:
        os.mkdir(server.path("x"))
    assert e.value.errno == errno.ENOSPC and "ENOSPC" in server.read("error")
    ready.refused("env", "NEW=" + 8192 * "x", errno.ENOSPC, append=True)  # a little has room behind what is there
    assert ready.lines("env") == was and server.containers() == names
    inside = talker.path("root/tmp/i")
    before = slurp(inside)
    until(lambda: slurp(inside) not in ("", before), "a program whose log has no room goes on")
    check_all(server, witness)
    talker.put("ctl", "kill")
    assert talker.get("exit") == "137"
    talker.remove()
    server.kill9()
    server.start()
    check_all(server, witness)
    os.unlink(os.path.join(server.state, "filler"))
    assert ready.output("echo fine") == "fine\n"


def limit_with_room(server, room):
    """The limit below which so many descriptors are free."""
    taken = set(map(int, os.listdir("/proc/%d/fd" % server.proc.pid)))
    top = 0
    while room > 0 or top in taken:
        room -= top not in taken
        top += 1
    return top


@pytest.mark.slow_ok(300)
@pytest.mark.stderr("fuse: error|Too many open files")
@pytest.mark.parametrize("name", ["mkdir", "new", "start", "session", "rename", "rmdir"])
def test_fewer_descriptors(server, name):
    """F5: with one more descriptor each time, until it succeeds."""
    op, witness = OPERATIONS[name], Witness(server)
    base = server.inner_state()
    most = resource.prlimit(server.proc.pid, resource.RLIMIT_NOFILE)
    r, room = errno.EMFILE, 0
    while r:
        c = op.prepare(server)
        was = server.inner_state()
        resource.prlimit(server.proc.pid, resource.RLIMIT_NOFILE, (limit_with_room(server, room), most[1]))
        r = op.act(c)
        resource.prlimit(server.proc.pid, resource.RLIMIT_NOFILE, most)
        server.session.ids.update(ids_on_disk(server))
        with told("room for %d: %s" % (room, err_name(r))):
            if r:
                assert server.read("error") or c.read("error"), "without a sentence"
                op.refused(c)
                settled(server, was) if name != "session" else None
            else:
                op.agree(c)
            check_all(server, witness)
            op.again(c)
            ids = ids_on_disk(server)
            clear(server)
            check_no_residue(server, witness, ids)
            settled(server, base)
        room += 1 if SLOW < 4 else 5
    assert room < 80


def test_a_fork_bomb(server):
    """F7: the host forks, and it ends when told."""
    witness = Witness(server)
    c = server.make("x").put("cgroup/pids.max", "64").sh("b() { b | b & sleep 1; }; echo ready; while :; do b; done")
    c.until_log("ready")
    until(lambda: "pids.max" in c.read("cgroup/events") or len(c.lines("cgroup/procs")) > 50, "it meets its limit")
    assert subprocess.run(["true"]).returncode == 0
    c.put("ctl", "kill")
    assert c.get("exit") == "137" and not c.lines("cgroup/procs")
    check_all(server, witness)


def test_a_stranger_in_its_control_group(server):
    """F8: it cannot be removed, is told why, and stays whole; without the stranger it can."""
    witness = Witness(server)
    c = OPERATIONS["rmdir"].prepare(server)
    stranger = subprocess.Popen(["sleep", "1000"])
    try:
        with open(c.path("cgroup/raw/freezer/cgroup.procs"), "w") as f:
            f.write(str(stranger.pid))
        begin = time.monotonic()
        with pytest.raises(OSError) as e:
            os.rmdir(c.path())
        assert e.value.errno == errno.EBUSY and time.monotonic() - begin < limit(10)
        assert "EBUSY" in server.read("error")
        OPERATIONS["rmdir"].refused(c)
        assert stranger.poll() is None, "it is not ours to end"
    finally:
        stranger.kill()
        stranger.wait()
    ids = ids_on_disk(server)
    os.rmdir(c.path())
    check_all(server, witness)
    check_no_residue(server, witness, ids)


def test_frozen_by_somebody_else(server):
    """F9: SIGKILL does not reach a frozen process on cgroup v1."""
    witness = Witness(server)
    c = server.make("x").start("sleep", "1000")
    raw = c.path("cgroup/raw/freezer/")
    name, word = ("freezer.state", "FROZEN") if os.path.exists(raw + "freezer.state") else ("cgroup.freeze", "1")
    with open(raw + name, "w") as f:
        f.write(word)
    other = server.make("y")
    writer = subprocess.Popen(["sh", "-c", "echo kill > ctl"], cwd=c.path())
    begin = time.monotonic()
    assert other.state() == "created" and time.monotonic() - begin < limit(5)
    if writer.poll() is None and c.state() not in ("exited",):
        with open(raw + name, "w") as f:
            f.write({"FROZEN": "THAWED"}.get(word, "0"))
    assert writer.wait(limit(20)) == 0 and c.state() == "exited"
    check_all(server, witness)


def test_who_holds_our_files_while_the_server_stands_still(server):
    """F17: a program with descriptors of the mount can be killed whatever the server does."""
    witness = Witness(server)
    c = server.make("x").start("sleep", "1000")
    holders = []
    for name in ("state", "status", "log"):
        with open(c.path(name)) as f:
            holders.append(subprocess.Popen([c.path("exec"), "sleep", "1000"], stdin=f))
    # inside, and the program: who has only joined the control group needs the server still
    until(lambda: len(slurp_procs(server, c)) == 4, "they run")
    os.kill(server.proc.pid, signal.SIGSTOP)
    try:
        inside = [p for p in slurp_procs(server, c) if int(p) != witness.was[0]]
        for pid in inside:
            with contextlib.suppress(ProcessLookupError):  # the first of them takes the others along
                os.kill(int(pid), signal.SIGKILL)
        until(lambda: not any(os.path.exists("/proc/" + p) and state_of(p) not in "ZX" for p in inside),
              "killed programs end")
        for p in holders:
            p.wait(limit(20))
    finally:
        os.kill(server.proc.pid, signal.SIGCONT)
    until(lambda: c.state() == "exited", "and the server hears of it")
    assert c.get("exit") == "137"
    check_all(server, witness)


def slurp_procs(server, c):
    """Host pids in its control group; not through the mount, which does not answer."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if slurp("/proc/%s/comm" % pid).strip() == "sleep" and server.id_base <= os.stat("/proc/" + pid).st_uid \
                    < server.id_base + 64 * 65536 and "1000\0" in slurp("/proc/%s/cmdline" % pid):
                found.append(pid)
        except OSError:
            continue
    return found


def state_of(pid):
    try:
        return slurp("/proc/%s/stat" % pid).rsplit(")", 1)[1].split()[0]
    except OSError:
        return "X"


def test_sync(server):
    """F22: of the file system, and of its parent's."""
    witness = Witness(server)
    subprocess.run(["sync", "-f", server.mnt], check=True, timeout=limit(20))
    assert os.path.basename(server.mnt) in os.listdir(os.path.dirname(server.mnt))
    assert len(mounts_at(server.mnt)) == 1
    check_all(server, witness)


def test_no_timer_goes_by_the_clock_that_can_be_set():
    """F13: of the waiting calls none takes CLOCK_REALTIME; those that read it write down a time."""
    for where in ("core", "core/monitor", "fs"):
        for name in os.listdir(os.path.join(TREE, where)):
            if name.endswith(".c"):
                text = slurp(os.path.join(TREE, where, name))
                for word in ("pthread_cond_timedwait", "timerfd_create(CLOCK_REALTIME", "sem_timedwait",
                             "clock_nanosleep(CLOCK_REALTIME", "pthread_mutex_timedlock"):
                    assert word not in text, "%s/%s: %s goes by the clock that can be set" % (where, name, word)


@pytest.mark.skipif(not os.path.exists("/run/ctnfs-vm/job.json"), reason="sets the clock: in the virtual machine only")
@pytest.mark.parametrize("years", [10, -10])
def test_the_clock_is_set(server, years):
    """F13: a stop takes as long as it was told to, and a wait ends when its program does."""
    witness = Witness(server)
    c = server.make("x").sh("trap : TERM; echo ready; while :; do sleep 1; done").until_log("ready")
    stopper = subprocess.Popen(["sh", "-c", "echo stop 3 > ctl"], cwd=c.path())
    c.until_state("stopping")
    now, begin = time.time(), time.monotonic()
    time.clock_settime(time.CLOCK_REALTIME, now + years * 365 * 86400)
    try:
        assert stopper.wait(limit(20)) == 0
    finally:
        time.clock_settime(time.CLOCK_REALTIME, now + time.monotonic() - begin)
    assert time.monotonic() - begin > 2 and c.get("exit") == "137"
    assert put(c.path("ctl"), "start\n") == 0
    check_all(server, witness)
