# SPDX-License-Identifier: Apache-2.0
"""Each system call of an operation fails once: no room, a broken disk, no descriptor, no memory (F4 F5).

The operation is done all the same, or refused with a sentence and as if it had never been, for this
server and the next; nothing leaks."""

import os

import pytest

from basics import SANITIZERS, err_name, settle
from harness import cgroup_version
from nth import CLASS_OF, MONITOR, SERVER, STAGE, Nth, points, told
from operations import GROUPS
from test_kills_inside import before_program
from truth import Witness, check_all, check_no_residue, clear, ids_on_disk, recover

SHORT = 5
INSIDE = ("new", "start", "session")
PERSIST = ("env", "rename", "limit", "log", "start", "rmdir")  # what the next server must agree with


def settled(server, was):
    """What the server holds is what it held; monitors that it has adopted are no children of its."""
    def differences():
        now = server.inner_state()
        now["state"], before = ([n for n in names if not n.startswith("skeleton")]  # the host's may change
                                for names in (now["state"], was["state"]))
        pairs = [(key, now[key], before if key == "state" else was[key]) for key in was]
        # a monitor that was about to end, and its descriptor, may be gone now
        return ["%s: %s more, %s less" % (key, more(a, b), more(b, a)) for key, a, b in pairs
                if more(a, b) or (key != "children" and set(more(b, a)) - {"anon_inode:[pidfd]"})]
    wrong = settle(differences)
    assert not wrong, "; ".join(wrong)


def more(a, b):
    left = list(b)
    return [x for x in a if not (x in left and left.remove(x) is None)]


def errors_of(server):
    files = [server.path("error")] + [server.path(n, "error") for n in server.containers()]
    files += [p for p in (server.path("x/execs/s/error"),) if os.path.exists(p)]
    text = ""
    for path in files:
        with open(path) as f:
            text += f.read()
    return text


def one_round(server, witness, op, role, kind, number):
    c = op.prepare(server)
    was, said = server.inner_state(), errors_of(server)
    with Nth(server.proc.pid, role, kind, number) as nth:
        r = op.act(c)
    assert server.running(), "the server ended: " + server.stderr()
    server.session.ids.update(ids_on_disk(server))
    if r:
        assert nth.hit, "%s without a fault" % err_name(r)
        assert errors_of(server) != said, "%s without a sentence" % err_name(r)
        op.refused(c)
        if op.name not in ("session", "restart"):  # of these a part may be done
            settled(server, was)
        if op.name in PERSIST and kind in ("ENOSPC", "EIO"):
            server.kill9()
            server.start()
            op.refused(c)
    check_all(server, witness)
    op.agree(c) if not r else None
    op.again(c)
    check_all(server, witness)
    ids = ids_on_disk(server)
    clear(server)
    check_no_residue(server, witness, ids)
    return nth


@pytest.mark.slow_ok(900)
@pytest.mark.stderr("fuse: error|serving|cannot allocate|No space|Input/output|Too many")
@pytest.mark.parametrize("kind", CLASS_OF)
@pytest.mark.parametrize("who", ["server", "monitor", "stage"])
def test_each_call_fails_once(server, who, kind):
    if kind == "ENOMEM" and SANITIZERS - {"undefined"} and who == "server":
        pytest.skip("a sanitizer ends the program whose mmap fails")
    server.version = cgroup_version(server)
    witness = Witness(server)
    role = {"server": SERVER, "monitor": MONITOR, "stage": STAGE}[who]
    base, wrong = server.inner_state(), []
    for op in (op for group in GROUPS.values() for op in group if role == SERVER or op.name in INSIDE):
        with told(str(op)):
            calls = one_round(server, witness, op, role, kind, 0).calls
        total = before_program(calls) if role == STAGE else len(calls)
        for number in points(total, SHORT):
            try:
                one_round(server, witness, op, role, kind, number)
                settled(server, base)
            except (AssertionError, OSError) as e:
                wrong.append("%s: call %d of %d (%s) fails with %s: %s" % (
                    op, number, total, calls[number - 1][1], kind, e))
                recover(server)
    assert not wrong, "\n".join(wrong)
