# SPDX-License-Identifier: Apache-2.0
"""A program on a terminal, and whoever sits in front of it."""

import fcntl
import os
import select
import signal
import struct
import subprocess
import termios

from basics import limit, slurp, until

MODES = ("input", "output", "control", "local", "ispeed", "ospeed", "characters")


def take_control():
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


class Terminal:
    """A pseudo terminal with a program on it."""

    def __init__(self, *argv, rows=24, cols=80, env=None, **kw):
        self.master, self.slave = os.openpty()
        self.resize(rows, cols)
        self.before = self.modes()
        self.seen = b""
        self.proc = subprocess.Popen(
            argv, stdin=self.slave, stdout=kw.pop("stdout", self.slave),
            stderr=kw.pop("stderr", self.slave), start_new_session=True, preexec_fn=take_control,
            env=dict(os.environ, PS1="host> ", **(env or {})), **kw)

    def resize(self, rows, cols):
        """As a terminal's window does: the kernel sends SIGWINCH."""
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("4H", rows, cols, 0, 0))

    def modes(self):
        return dict(zip(MODES, termios.tcgetattr(self.slave)))

    def is_raw(self):
        return not self.modes()["local"] & (termios.ICANON | termios.ECHO | termios.ISIG)

    def is_restored(self):
        return self.modes() == self.before

    def look(self):
        """All that has come until now."""
        while self.master >= 0 and select.select([self.master], [], [], 0)[0]:
            try:
                part = os.read(self.master, 65536)
            except OSError:
                break
            if not part:
                break
            self.seen += part
        return self.seen

    def text(self):
        return self.look().decode("utf-8", "replace").replace("\r\n", "\n")

    def type(self, text):
        data = text.encode() if isinstance(text, str) else text
        while data:
            data = data[os.write(self.master, data):]
        return self

    def expect(self, text, times=1, seconds=10):
        """It comes; what was before it, and itself, is forgotten then."""
        def found():
            return self.text().count(text) >= times
        try:
            until(found, "%r on the terminal" % text, seconds)
        except AssertionError as e:
            raise AssertionError("%s; there is %r" % (e, self.text()[-2000:])) from None
        self.seen = self.text().encode().split(text.encode(), times)[-1]
        return self

    def until_raw(self):
        until(lambda: self.is_raw() or self.proc.poll() is not None, "raw mode")
        return self

    def child(self):
        """The one program that the shell on it runs."""
        path = "/proc/%d/task/%d/children" % (self.proc.pid, self.proc.pid)
        return int(until(lambda: slurp(path).split(), "a child")[0])

    def wait(self, seconds=20):
        """Its exit status, negative for a signal; what it prints meanwhile is taken."""
        def ended():
            self.look()
            return self.proc.poll() is not None
        until(ended, "the end of the program on the terminal", seconds)
        self.look()
        return self.proc.returncode

    def hang_up(self):
        os.close(self.master)
        self.master = -1

    def close(self):
        if self.proc.poll() is None:
            self.proc.send_signal(signal.SIGKILL)
            self.proc.wait(limit(20))
        for fd in (self.master, self.slave):
            if fd >= 0:
                os.close(fd)


def attach_in_pipe(ctn, *args, **kw):
    """Attached to a container without a terminal of ours, until it ends."""
    if "input" not in kw:
        kw.setdefault("stdin", subprocess.DEVNULL)
    return subprocess.run([ctn.path("attach"), *args], capture_output=True, timeout=limit(30), **kw)
