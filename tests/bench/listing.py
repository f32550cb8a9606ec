# SPDX-License-Identifier: Apache-2.0
"""ls -l, find and grep -r over all containers that there are; ls -l also over as many directories on a
tmpfs."""

import os
import shutil

import contestants

# Of a crowd of containers; what is looked for is nowhere.
COMMANDS = {
    "ls -l": (["ls", "-l"], 7),
    "find": (["find"], 2),
    "grep -r": (["sh", "-c", 'grep -rs "nothing like it" "$0"; test $? -lt 2 || :'], 1),
}


def plain(mount):
    """A directory on a tmpfs, where there is one, with entries of the same names and kinds."""
    top = contestants.run_dir()
    for entry in os.scandir(mount):
        path = os.path.join(top, entry.name)
        if entry.is_dir(follow_symlinks=False):
            os.mkdir(path)
        else:
            with open(path, "w", encoding="ascii"):
                pass
    return top


def measure(spawn, mount, short):
    """{command: samples in µs}; "ls -l, tmpfs" among them."""
    top = plain(mount)
    samples = {}
    try:
        for name, (argv, times) in COMMANDS.items():
            places = {name: mount, name + ", tmpfs": top} if name == "ls -l" else {name: mount}
            spawners = {n: contestants.Program(n, [spawn] + argv + [p]) for n, p in places.items()}
            try:
                for _ in range(1 if short else times):
                    for n, spawner in spawners.items():
                        samples.setdefault(n, []).append(spawner.life("1 1")["total"])
            finally:
                for spawner in spawners.values():
                    spawner.close()
    finally:
        shutil.rmtree(top)
    return samples
