# SPDX-License-Identifier: Apache-2.0
"""A pytest plugin: says why a test failed when it has, and how long it took, not only at the end, which
a machine that hangs never reaches."""


def pytest_runtest_logreport(report):
    if report.failed:
        print("\n%s\n%s" % (report.longreprtext, report.nodeid), flush=True)


def pytest_report_teststatus(report):
    if report.when == "call" and report.passed:
        return "passed", ".", "PASSED %.1f s" % report.duration
    return None
