# SPDX-License-Identifier: Apache-2.0
"""The lines of `events`."""

import datetime
import os
import re

from basics import slurp

LINE = re.compile(r"(?P<seq>[1-9]\d*) (?P<time>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z) (?P<name>\S+)"
                  r" (?P<what>[a-z-]+)(?P<detail>( [a-z.]+=\S+)*?)( id=(?P<id>[0-9a-f]{12}))?")
EPOCH = datetime.datetime(1970, 1, 1)


class Event:
    def __init__(self, line):
        m = LINE.fullmatch(line)
        assert m, "no line of a journal: %r" % line
        self.line = line
        self.seq, self.name, self.what, self.id = int(m["seq"]), m["name"], m["what"], m["id"]
        self.time, self.detail = m["time"], m["detail"].strip()
        self.keys = dict(word.split("=", 1) for word in self.detail.split())
        assert (self.id is None) == (self.name == "-"), line

    def ns(self):
        secs = datetime.datetime.strptime(self.time[:19], "%Y-%m-%dT%H:%M:%S") - EPOCH
        return int(secs.total_seconds()) * 10**9 + int(self.time[20:29])

    def __eq__(self, other):
        return self.line == other.line

    def __repr__(self):
        return self.line


def parse(text):
    assert text == "" or text.endswith("\n"), "a torn line: %r" % text[-200:]
    return [Event(line) for line in text.splitlines()]


def events(of):
    """The journal of a server, or a container's part; the sequence is checked."""
    found = parse(of.read("events"))
    seqs = [e.seq for e in found]
    if hasattr(of, "mnt"):
        assert seqs == list(range(seqs[0], seqs[0] + len(seqs)))
    else:
        assert seqs == sorted(set(seqs))
    return found


def words(found):
    return [(e.what + " " + e.detail).strip() for e in found]


def of(ctn, found):
    """Those about a container and its sessions."""
    return [e for e in found if e.id == ctn.get("id")[:12]]


def fill(server, size, ident, year=2020):
    """A journal of so many bytes from before; how many lines that is. The server does not run."""
    lines, total = [], 0
    while total < size:
        what = "created" if not lines else "limit-changed pids.max=%d" % len(lines)
        lines.append("%d %d-01-01T00:00:00.%09dZ old %s id=%s\n" % (
            len(lines) + 1, year, len(lines), what, ident[:12]))
        total += len(lines[-1])
    lines.append("%d %d-01-02T00:00:00.000000000Z old removed id=%s\n" % (len(lines) + 1, year, ident[:12]))
    os.makedirs(server.state, 0o700, exist_ok=True)
    with open(os.path.join(server.state, "events"), "w") as f:
        f.writelines(lines)
    return len(lines)
