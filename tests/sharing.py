# SPDX-License-Identifier: Apache-2.0
"""Containers that share namespaces."""

import os

import pytest

KINDS = ["cgroup", "ipc", "net", "pid", "time", "uts"]  # and user, which comes along
DOZE = "trap 'exit 0' TERM; echo ready; sleep 100000 & while :; do wait; done"


def own(kind, pid="self"):
    return os.readlink("/proc/%s/ns/%s" % (pid, kind))


def idle(ctn):
    return ctn.sh(DOZE).until_log("ready")


def settings(ctn):
    return {l.split()[0]: l.split()[1] for l in ctn.lines("ns.list")}


def same(kind, a, b):
    return own(kind, a.pid()) == own(kind, b.pid())


@pytest.fixture
def db(tidy):
    return idle(tidy.make("db").put("ns/time", "new"))


@pytest.fixture
def web(tidy, db):
    return tidy.make("web")
