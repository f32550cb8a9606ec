# SPDX-License-Identifier: Apache-2.0
"""That a soak runs (soak.py): two short periods of it."""

import argparse

import pytest

import soak


@pytest.mark.slow_ok(120)
def test_a_short_soak(session):
    args = argparse.Namespace(soak=8 / 3600, period=4, spares=2, seed=1)
    assert not soak.soak(args, session)
