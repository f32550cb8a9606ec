# SPDX-License-Identifier: Apache-2.0
"""Thousands of lives, and nothing of them is left. CTNFS_LONG=1: 10,000 of them."""

import os

import pytest

import basics
import load

LIVES = int(os.environ.get("CTNFS_LIVES") or (10000 if load.LONG else 160 if basics.SLOW < 4 else 96))
WARM = 5000 if load.LONG else LIVES  # until what each thread of the server keeps for itself is as much as it will be
NOISE = 0 if load.LONG else 2 << 20  # of so few lives


@pytest.mark.slow_ok(120 + LIVES / 8)
@pytest.mark.parametrize("spares", [0, 2])
def test_lives(new_server, session, spares):
    server = new_server("spares=%d" % spares)
    load.lives(server, 0, WARM, ids=session.ids)
    done, step = 0, LIVES // 10
    samples = [(0, load.resident(server))]
    while done < LIVES:
        load.lives(server, WARM + done, step, ids=session.ids)
        done += step
        samples.append((done, load.resident(server)))
    grown = samples[-1][1] - samples[0][1]
    print("\n%d lives from %d threads, spares=%d: %d KiB, then %d KiB, %.1f bytes a life (slope %.1f), %d descriptors" % (
        done, load.THREADS, spares, samples[0][1] >> 10, samples[-1][1] >> 10, grown / done, load.growth(samples),
        load.descriptors(server)))
    if not basics.SANITIZERS:  # their memory is kept for a while on purpose
        assert grown <= load.BYTES_A_LIFE * done + NOISE, samples
    if spares:
        load.settle(server)
