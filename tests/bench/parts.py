# SPDX-License-Identifier: Apache-2.0
"""What the benchmark is made of. Each part is a module with

    NAME        the word for --only, and its key in the JSON
    MUST_RUN    whose absence makes the run a failure (names in bench.absent)
    Part(bench) does nothing yet; bench has args, base, root, first, server, absent, program()
        .enter()       makes and tries who takes part
        .turn(number)  its share of a round; each round has one of every part
        .results()     what goes into the JSON, and nothing else comes out of a run
        .close()
    report(found)      prints what results() gave
    budget(found)      lines of the budget (figures.at_most(), figures.at_least())

and perhaps LATE = True: its turn() is called once, after the rounds, since it fills the machine."""

import crowds
import documents
import execs
import lives
import many
import prepared
import reads
import redis

ALL = (lives, prepared, documents, execs, crowds, reads, redis, many)


def chosen(only):
    names = [part.NAME for part in ALL]
    for name in only:
        if name not in names:
            raise SystemExit("there is no part %s; there are %s" % (name, ", ".join(names)))
    return [part for part in ALL if not only or part.NAME in only]
