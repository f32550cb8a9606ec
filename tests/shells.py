# SPDX-License-Identifier: Apache-2.0
"""A user at a terminal: a shell, or another program, on a pseudoterminal of its own."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time

from basics import limit


class Terminal:
    """A program that has a new terminal as its controlling one."""

    def __init__(self, argv, rows=24, cols=80, **kw):
        self.master, self.slave = pty.openpty()
        self.resize(rows, cols)
        self.before = termios.tcgetattr(self.slave)
        self.text = ""
        kw.setdefault("env", dict(os.environ, PS1="host$ ", TERM="xterm", HISTFILE=""))
        self.proc = subprocess.Popen(argv, stdin=self.slave, stdout=self.slave, stderr=self.slave,
                                     start_new_session=True, preexec_fn=self.take_control, **kw)

    def take_control(self):
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    def resize(self, rows, cols):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))

    def type(self, text):
        os.write(self.master, text.encode())

    def look(self, seconds):
        if select.select([self.master], [], [], seconds)[0]:
            try:
                self.text += os.read(self.master, 65536).decode("utf-8", "replace").replace("\r\n", "\n")
            except OSError:  # its other end is closed everywhere
                return False
        return True

    def expect(self, pattern, seconds=10):
        """Read until the pattern is there; what came before and with it is taken away."""
        deadline = time.monotonic() + limit(seconds)
        while True:
            m = re.search(pattern, self.text, re.M)
            if m:
                self.text = self.text[m.end():]
                return m
            assert time.monotonic() < deadline, "no %r in %r" % (pattern, self.text)
            self.look(0.05)

    def line(self, text, pattern):
        """Type a line and wait for what it brings, its echo aside."""
        self.type(text + "\n")
        self.expect(re.escape(text[-20:]) + r"\n")
        return self.expect(pattern)

    def wait(self, seconds=10):
        deadline = time.monotonic() + limit(seconds)
        while self.proc.poll() is None:
            assert time.monotonic() < deadline, "no end; %r" % self.text
            self.look(0.02)
        while select.select([self.master], [], [], 0)[0] and self.look(0):
            pass
        return self.proc.returncode

    def modes(self):
        return termios.tcgetattr(self.slave)

    def close(self):
        if self.proc.poll() is None:
            os.killpg(self.proc.pid, signal.SIGKILL)
            self.proc.kill()
            self.proc.wait()
        os.close(self.master)
        os.close(self.slave)
