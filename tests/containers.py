# SPDX-License-Identifier: Apache-2.0
"""A container's directory, and what a user does with it."""

import errno
import json
import os
import re
import subprocess

from basics import err_name, limit, put, slurp, until


class Refusal:
    def __init__(self, when, code, where, text):
        self.when, self.code, self.where, self.text = when, code, where, text

    def __repr__(self):
        return "%s %s: %s" % (self.code, self.where, self.text)


def parse_error(text):
    """The newest line of an `error` file, or None."""
    lines = text.strip("\n").splitlines()
    if not lines:
        return None
    m = re.match(r"(?P<when>\d.*?) (?P<code>E[A-Z0-9]+) (?P<where>[^ :]+): (?P<text>.+)$", lines[-1])
    assert m, "an error line of another form: %r" % lines[-1]
    return Refusal(m["when"], m["code"], m["where"], m["text"])


class Ctn:
    """A container's directory."""

    def __init__(self, server, name):
        self.server, self.name = server, name

    def path(self, *parts):
        return os.path.join(self.server.mnt, self.name, *parts)

    def read(self, name):
        return slurp(self.path(name))

    def get(self, name):
        return self.read(name).rstrip("\n")

    def lines(self, name):
        return [l for l in self.read(name).splitlines() if l and not l.startswith("#")]

    def write(self, name, text, append=False):
        """One write(2) of exactly this text; 0 or the errno."""
        return put(self.path(name), text, append)

    def put(self, name, text, append=False):
        """As echo: with a newline; must succeed."""
        r = self.write(name, str(text) + "\n", append)
        assert r == 0, "%s < %r: %s; %s" % (name, text, err_name(r), self.last_error())
        return self

    def refused(self, name, text, code, sentence=".", append=False):
        """The write fails with that errno and a sentence, and nothing is changed."""
        try:
            before = self.read(name)
        except OSError:
            before = None
        state = self.get("state")
        told = self.read("error")
        raw = text if isinstance(text, bytes) else text + "\n"
        r = self.write(name, raw, append)
        codes = code if isinstance(code, tuple) else (code,)
        assert r in codes, "%s < %.100r: %s instead of %s; %s" % (
            name, text, err_name(r), "/".join(map(err_name, codes)), self.last_error())
        assert self.read("error") != told, "%s < %.100r: %s without a sentence" % (
            name, text, err_name(r))
        said = self.last_error()
        assert said.code == err_name(r) or errno.__dict__.get(said.code) == r, said
        assert re.search(sentence, said.text, re.I), "%r does not say %r" % (said, sentence)
        assert self.get("state") == state
        if before is not None:
            assert self.read(name) == before, "%s changed by a refused write" % name
        return said

    def last_error(self):
        return parse_error(self.read("error"))

    def status(self, key=None):
        table = dict(l.split(":\t", 1) for l in self.read("status").splitlines())
        return table[key] if key else table

    def state(self):
        return self.get("state")

    def until_state(self, *words, seconds=10):
        return until(lambda: self.state() in words, "%s becomes %s" % (self.name, "/".join(words)),
                     seconds)

    def start(self, *argv):
        """Start a program with exactly these words."""
        return self.put("cmd", json.dumps(list(argv)))

    def sh(self, script):
        """Start a shell script inside."""
        return self.start("sh", "-c", script)

    def py(self, script):
        return self.start("python3", "-c", script)

    def finish(self, seconds=20):
        """Wait for its end; the exit code."""
        self.until_state("exited", seconds=seconds)
        return int(self.get("exit"))

    def output(self, script, seconds=20, code=0):
        """What a shell script inside prints."""
        before = len(self.read("log"))
        self.sh(script)
        got = self.finish(seconds)
        out = self.read("log")[before:]
        assert got == code, "exit code %d of %r: %s" % (got, script, out)
        return out

    def until_log(self, text, seconds=10):
        until(lambda: text in self.read("log"), "%r in the log of %s" % (text, self.name), seconds)
        return self

    def pid(self):
        return int(self.get("pid"))

    def proc_status(self, key):
        with open("/proc/%d/status" % self.pid()) as f:
            return dict(l.rstrip("\n").split(":\t", 1) for l in f)[key]

    def remove(self):
        os.rmdir(self.path())


def inside(ctn, *argv, stdin=None, timeout=20, check=True):
    """Run a program of the host in all namespaces of a container, as its root."""
    cmd = ["nsenter", "-t", str(ctn.pid()), "-a", "--"] + list(argv)
    r = subprocess.run(cmd, capture_output=True, text=True, input=stdin, timeout=limit(timeout),
                       env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})
    if check:
        assert r.returncode == 0, "%s: %s%s" % (argv, r.stdout, r.stderr)
    return r
