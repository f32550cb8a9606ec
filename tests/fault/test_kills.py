# SPDX-License-Identifier: Apache-2.0
"""The server is killed at each of the calls with which it changes something, in every operation (F1).

The next server finds each container there and its state true, or finds nothing of it; what ran goes on
untouched; what was to be done can be done again."""

import pytest

from basics import err_name
from nth import SERVER, Nth, points, told
from operations import GROUPS
from truth import Witness, check_all, check_no_residue, clear, ids_on_disk

SHORT = 8


def one_round(server, witness, op, action, number):
    """The operation once, with the server killed at that call."""
    c = op.prepare(server)
    with Nth(server.proc.pid, SERVER, action, number) as nth:
        r = op.act(c)
    ids = ids_on_disk(server)
    server.session.ids.update(ids)
    if nth.hit:
        server.kill9()
        server.start()
    else:
        assert r == 0, "%s without a fault: %s" % (op, err_name(r))
    check_all(server, witness)
    check_no_residue(server, witness, ids)
    op.agree(c)
    op.again(c)
    check_all(server, witness)
    clear(server)
    return nth


@pytest.mark.slow_ok(900)
@pytest.mark.parametrize("group", GROUPS)
def test_the_server_is_killed_at_each_call(server, group):
    witness = Witness(server)
    for op in GROUPS[group]:
        calls = one_round(server, witness, op, "count", 0).calls
        hits = []
        for number in points(len(calls), SHORT):
            with told("%s: server killed at call %d of %d" % (op, number, len(calls))):
                hits.append(one_round(server, witness, op, "kill", number).hit)
        assert any(hits), hits
        print(op, len(calls), hits)
