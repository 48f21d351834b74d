"""NODATA windows against plain Python, in whatever order points are read and windows settled."""

from __future__ import annotations

from random import Random

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.enrich import START_S
from tests.support.examples import examples

from flowglass.enrich import Presence
from flowglass.fields.contracts import Point
from flowglass.inventory import of_points

POINTS = [Point("eth0", 1), Point("eth1", 1), Point("eth2", 1)]
TRAFFIC = st.lists(
    st.sets(st.one_of(st.integers(0, 8), st.sampled_from([60, 61, 68, 69, 130])), max_size=8),
    min_size=len(POINTS),
    max_size=len(POINTS),
)
"""By point: the windows, counted from the first, in which it has flows."""


def _oracle(traffic: list[set[int]]) -> list[tuple[int, list[int]]]:
    """Every point is an interface that is expected all the time."""
    busy = sorted(set().union(*traffic))
    found = []
    for before, window in zip([None, *busy], busy, strict=False):
        silent = range(window, window) if before is None else range(before + 1, window)
        if len(silent) <= 60:
            found += [(quiet, [0, 1, 2]) for quiet in silent]
        absent = [point for point, windows in enumerate(traffic) if window not in windows]
        found += [(window, absent)] if absent else []
    return found


class TestPresence:
    """One NODATA a window without flows between the first and the last with; none in a long silence."""

    @given(TRAFFIC, st.randoms(use_true_random=False))
    @settings(deadline=None, max_examples=examples(150))
    def test_equals_plain_python(self, traffic: list[set[int]], random: Random) -> None:
        presence = Presence(of_points(POINTS, "000000000000", "local-1"), POINTS, 60)
        queues = [sorted(windows) for windows in traffic]
        found = []
        past = [0] * len(traffic)
        while any(queues):
            point = random.choice([point for point, queue in enumerate(queues) if queue])
            window = START_S + 60 * queues[point].pop(0)
            presence.saw(window, np.array([point], np.int32))
            past[point] = window + 60
            found += list(presence.settle(min(past)))
        found += list(presence.finish())
        got = [((window - START_S) // 60, rows.tolist()) for window, rows in found]
        assert got == _oracle(traffic)
