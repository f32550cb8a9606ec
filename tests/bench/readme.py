#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""README.md's figures, made from a run's JSON: what stands between the two marks of "Performance".

    readme.py [--json FILE] [--readme FILE]     write them
    readme.py --check                           0 when they are what the file says, else 1"""

import argparse
import json
import os
import sys

sys.dont_write_bytecode = True

import figures  # noqa: E402
import parts  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
RESULTS = os.path.join(HERE, "results", "reference.json")
CHART = "tests/bench/results/reference.svg"
BEGIN, END = "<!-- figures -->\n", "<!-- /figures -->\n"


def machine(run):
    m = run["machine"]
    packages = ", ".join("%s %s" % item for item in sorted(m["packages"].items()))
    return ["Medians of %d rounds in each of which every way ran, on %d processors (%s), Linux %s, cgroup %s with %d" % (
        run["rounds"], m["cpus"], m["model"], m["kernel"], m["cgroup"], m["hierarchies"]),
        "hierarchies, the state directory on %s; %s (UTC). Others as Debian has them: %s." % (
            m["filesystem"], m["time"], packages)]


def budget(run):
    missed = [line for line in run["budget"] if not line["met"]]
    text = ["Of %d goals %d are met." % (len(run["budget"]), len(run["budget"]) - len(missed))]
    if missed:
        text[0] += " Those that are not:"
        text += [""] + ["- " + figures.bar_text(line) for line in missed]
    return text


def block(run):
    pieces = [machine(run)]
    for module in parts.ALL:
        found = run["parts"].get(module.NAME)
        if found and hasattr(module, "readme"):
            pieces.append(module.readme(found))
    pieces.append(budget(run))
    if run["absent"]:
        pieces.append(["What does not run on that machine: %s." % "; ".join(
            "%s (%s)" % item for item in sorted(run["absent"].items()))])
    if os.path.exists(os.path.join(TOP, CHART)):
        pieces.append(["![What a container's life costs, by whom it is made](%s)" % CHART])
    return "\n" + "\n\n".join("\n".join(piece) for piece in pieces if piece) + "\n\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--json", default=RESULTS)
    parser.add_argument("--readme", default=os.path.join(TOP, "README.md"))
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    with open(args.json) as f:
        run = json.load(f)
    with open(args.readme) as f:
        text = f.read()
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise SystemExit("%s has not one %s and one %s" % (args.readme, BEGIN.strip(), END.strip()))
    before, rest = text.split(BEGIN)
    made = before + BEGIN + block(run) + END + rest.split(END)[1]
    if args.check:
        return 0 if made == text else 1
    with open(args.readme, "w") as f:
        f.write(made)
    return 0


if __name__ == "__main__":
    sys.exit(main())
