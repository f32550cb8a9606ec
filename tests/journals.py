# SPDX-License-Identifier: Apache-2.0
"""The lines of `events`."""

import datetime
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
