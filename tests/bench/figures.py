# SPDX-License-Identifier: Apache-2.0
"""What becomes of samples: summaries, ratios, lines of the budget, cells of tables.

Times are microseconds all over, until they are printed. A line of the budget is a dictionary that
goes into the JSON as it is."""

import statistics

DASH = "–"


def summary(values, mean=False):
    """The median, and 10 % and 90 %. CPU time comes in ticks for some: its mean."""
    deciles = statistics.quantiles(values, n=10, method="inclusive") if len(values) > 1 else values * 9
    middle = statistics.fmean(values) if mean else statistics.median(values)
    return {"value": middle, "p10": deciles[0], "p90": deciles[-1], "n": len(values)}


def results(samples, absent):
    """{name: {key: summary}} of {name: {key: samples}}, without who fell out."""
    return {name: {key: summary(values, key == "cpu") for key, values in kinds.items()}
            for name, kinds in samples.items() if name not in absent}


def value(found, name, key):
    """The middle, or None where that was not measured."""
    return found.get(name, {}).get(key, {}).get("value")


def ratio(found, name, key, base):
    """None where one was not measured, or took less than its clock can tell: CPU time has ticks of 10 ms."""
    ours, theirs = value(found, name, key), value(found, base, key)
    return ours / theirs if ours and theirs else None


def cell(kinds, key):
    """Milliseconds with their spread; CPU without."""
    if key not in kinds:
        return DASH
    s = kinds[key]
    if key == "cpu":
        return "%.2f" % (s["value"] / 1e3)
    return "%.2f (%.2f–%.2f)" % tuple(s[k] / 1e3 for k in ("value", "p10", "p90"))


def number(x, form="%.2f"):
    return DASH if x is None else form % x


def print_rows(head, rows):
    """A table with columns as wide as they have to be, the first to the left."""
    rows = [head] + [[str(c) for c in row] for row in rows]
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    for row in rows:
        print("  ".join(c.ljust(w) for c, w in zip(row, widths)).rstrip())


def markdown(head, rows):
    """Lines of a table."""
    lines = [head, ["---"] * len(head)] + [[str(c) for c in row] for row in rows]
    return ["| " + " | ".join(line) + " |" for line in lines]


def ms(x):
    """Milliseconds with two digits that mean something."""
    return DASH if x is None else ("%.1f ms" if x < 10e3 else "%.0f ms") % (x / 1e3)


# --- lines of the budget ---


def at_most(what, got, goal, unit):
    return {"what": what, "value": got, "goal": goal, "sense": "at most", "unit": unit,
            "met": got <= goal}


def at_least(what, got, goal, unit):
    return {"what": what, "value": got, "goal": goal, "sense": "at least", "unit": unit,
            "met": got >= goal}


def judge(found, ours, table):
    """A line for each row (what, key, other, bar) whose two sides ran. @bar: ours is at most this
    part of the other's; below 1 it is told the other way round."""
    for what, key, other, bar in table:
        part = ratio(found, ours, key, other)
        if part is None:
            continue
        if bar < 1:
            yield at_least(what, 1 / part, 1 / bar, "× less than " + other)
        else:
            yield at_most(what, part, bar, "× that of " + other)


def short(x):
    return "%.0f" % x if x >= 100 else "%.3g" % x


def bar_text(bar):
    return ("%s: %s %s; goal: %s %s" % (bar["what"], short(bar["value"]), bar["unit"], bar["sense"],
                                        short(bar["goal"]))).replace(" ;", ";")
