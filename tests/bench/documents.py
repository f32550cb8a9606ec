# SPDX-License-Identifier: Apache-2.0
"""One container made in two ways: by mkdir and writes to its files, and by one document to `new`.

Each takes its turn in every round. What is timed ends when the program has been executed; waiting for
its end and removing it are not part of it."""

import json
import os
import shutil
import time

import figures

NAME = "documents"
MUST_RUN = ("a document",)
GOAL = 1.3  # a document's time is at most this many times that of mkdir and cmd
FILES, DOCUMENT = "mkdir and cmd", "new"


def put(path, text):
    """One write, as echo and cat do it."""
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        if os.write(fd, text) != len(text):
            raise OSError("a short write to %s" % path)
    finally:
        os.close(fd)


def slurp(path):
    with open(path, "rb") as f:
        return f.read()


class Documents:
    def __init__(self, mount, directory, program):
        """@program is static: it is all that there is in the root file system."""
        self.mount = mount
        self.root = os.path.join(directory, "documents")
        os.mkdir(self.root)
        shutil.copy(program, os.path.join(self.root, "true"))
        self.samples = {FILES: [], DOCUMENT: []}
        self.name = os.path.join(mount, "bench-d")
        self.document = self.export()

    def configure(self):
        os.mkdir(self.name)
        put(self.name + "/rootfs", b"%s rw\n" % self.root.encode())

    def export(self):
        """The container's own full OCI document. Host ids and the control group are its alone: a
        document that another container is made from leaves them out."""
        self.configure()
        put(self.name + "/start", b"0\n")
        put(self.name + "/cmd", b"/true\n")
        document = json.loads(slurp(self.name + "/config.json"))
        os.rmdir(self.name)
        for key in ("uidMappings", "gidMappings", "cgroupsPath"):
            document["linux"].pop(key, None)
        document["annotations"] = {"org.ctnfs.name": os.path.basename(self.name)}
        return json.dumps(document).encode()

    def by_files(self):
        self.configure()
        put(self.name + "/cmd", b"/true\n")

    def by_document(self):
        put(self.mount + "/new", self.document)

    def warm_up(self):
        """Without a sample: the first time a profile is seen it is compiled, later ones find it."""
        self.turn()
        for values in self.samples.values():
            values.clear()

    def turn(self):
        """Once each way."""
        for way, make in ((FILES, self.by_files), (DOCUMENT, self.by_document)):
            begin = time.monotonic_ns()
            make()
            self.samples[way].append((time.monotonic_ns() - begin) / 1e3)
            code = slurp(self.name + "/wait")
            os.rmdir(self.name)
            if code != b"0\n":
                raise OSError("the program ended with %s" % code.decode().strip())


class Part:
    def __init__(self, bench):
        self.bench, self.absent = bench, bench.absent
        self.ways = None

    def enter(self):
        if not self.bench.server:
            self.absent["a document"] = "there is no server"
            return
        try:
            self.ways = Documents(self.bench.server.mount, self.bench.base, self.bench.first)
            self.ways.warm_up()
        except OSError as e:
            self.absent["a document"] = str(e)

    def turn(self, number):
        if "a document" in self.absent:
            return
        try:
            self.ways.turn()
        except OSError as e:
            self.absent["a document"] = "in round %d: %s" % (number + 1, e)

    def results(self):
        if "a document" in self.absent:
            return {}
        found = figures.results({"ctnfs": self.ways.samples}, {})
        found["ctnfs"]["bytes"] = len(self.ways.document)
        return found

    def close(self):
        pass


def report(found):
    for kinds in found.values():
        print("made and started: " + ", ".join("%s %s" % (way, figures.cell(kinds, way))
                                               for way in (FILES, DOCUMENT)))


def budget(found):
    files, document = (figures.value(found, "ctnfs", way) for way in (FILES, DOCUMENT))
    if not document:
        return []
    what = "a full OCI document of %d bytes" % found["ctnfs"]["bytes"]
    return [figures.at_most(what, document / files, GOAL, "× mkdir and cmd")]


def readme(found):
    for line in budget(found):
        return ["A document of %.0f KB to `new` takes %.2f times what `mkdir` and `cmd` take for the same container." % (
            found["ctnfs"]["bytes"] / 1e3, line["value"])]
    return []
