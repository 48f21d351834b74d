"""Decode and flow-table kernels against a plain dict-based oracle, packet for packet."""

from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.aggregation import aggregate, closed_of
from tests.support.examples import examples
from tests.support.oracle import Closed, Counts, FlowKey, Frame, windows
from tests.support.strategies import PREFIXES, traffic

from flowglass.aggregate import WindowClock
from flowglass.fields.contracts import U8

RULES: U8 = np.zeros((len(PREFIXES), 2 + max(len(prefix) for _, prefix in PREFIXES)), np.uint8)
for _row, (_verdict, _prefix) in enumerate(PREFIXES):
    RULES[_row, :2] = (_verdict, len(_prefix))
    RULES[_row, 2 : 2 + len(_prefix)] = np.frombuffer(_prefix, np.uint8)

Traffic = tuple[tuple[int, ...], list[Frame]]


class TestKernelsEqualTheOracle:
    """For any traffic, in any order of arrival and any block size, each packet is in the oracle's flow."""

    @given(traffic(), st.integers(1, 40))
    @settings(deadline=None, max_examples=examples(300))
    def test_flows_windows_and_counters(self, arrived: Traffic, block_size: int) -> None:
        link_types, frames = arrived
        run = aggregate(frames, link_types, block_size=block_size, rules=RULES)
        truth = windows(frames, prefixes=PREFIXES)
        assert closed_of(run.batches) == [window for window in truth.closed if window.flows]
        for point in {frame.point for frame in frames}:
            counts = run.aggregator.counts(point)
            assert counts.seen == truth.seen[point]
            assert counts.in_flows == truth.in_flows[point]
            assert counts.without_time == truth.without_time[point]
            assert counts.late == truth.late[point]
            assert counts.not_recorded == {cause: n for (p, cause), n in truth.not_recorded.items() if p == point}
            assert counts.seen == counts.in_flows + sum(counts.not_recorded.values())
        assert run.aggregator.frames_out == sum(truth.in_flows.values())

    @given(
        traffic(),
        st.lists(st.integers(0, 1300), min_size=2, max_size=6, unique=True).map(sorted),
        st.integers(1, 9),
    )
    @settings(deadline=None, max_examples=examples(100))
    def test_windows_between_given_cuts(self, arrived: Traffic, cuts: list[int], block_size: int) -> None:
        link_types, frames = arrived
        clock = WindowClock(60, tuple(cuts))
        run = aggregate(frames, link_types, block_size=block_size, clock=clock, rules=RULES)
        truth = windows(frames, cuts=cuts, prefixes=PREFIXES)
        assert closed_of(run.batches) == [window for window in truth.closed if window.flows]


class TestAFullTableLosesNothing:
    """At its limit the table is drained early into further records of the same window; sums stay, to the packet."""

    @given(traffic(), st.integers(1, 5), st.integers(1, 40))
    @settings(deadline=None, max_examples=examples(150))
    def test_sums_and_independence_of_blocks(self, arrived: Traffic, max_flows: int, block_size: int) -> None:
        link_types, frames = arrived
        run = aggregate(frames, link_types, block_size=block_size, max_flows=max_flows, rules=RULES)
        truth = windows(frames, prefixes=PREFIXES)
        assert _sums(closed_of(run.batches)) == _sums(truth.closed)
        assert all(len(batch.flows) <= max_flows for batch in run.batches)
        whole = aggregate(frames, link_types, max_flows=max_flows, rules=RULES)
        assert closed_of(run.batches) == closed_of(whole.batches)


def _sums(closed: list[Closed]) -> dict[tuple[int, int, FlowKey], tuple[int, int, int, int, int, int]]:
    """Each flow's packets, bytes, frames, OR of flags, first and last time, over all records of its window."""
    sums: dict[tuple[int, int, FlowKey], tuple[int, int, int, int, int, int]] = {}
    for window in closed:
        for key, flow in window.flows.items():
            place = (window.point, window.start_s, key)
            sums[place] = _add(sums[place], flow) if place in sums else _add((0, 0, 0, 0, 2**63, 0), flow)
    return sums


def _add(old: tuple[int, int, int, int, int, int], flow: Counts) -> tuple[int, int, int, int, int, int]:
    return (
        old[0] + flow.packets,
        old[1] + flow.bytes,
        old[2] + flow.frames,
        old[3] | flow.raw_flags,
        min(old[4], flow.first_ns),
        max(old[5], flow.last_ns),
    )


def test_growth_and_reuse_keep_every_flow() -> None:
    """Enough flows to grow the index many times, over windows that come and go, with every row accounted for."""
    rng = np.random.default_rng(5)
    frames = [
        Frame(
            bytes.fromhex("4500001c00000000401100000a00")
            + int(rng.integers(0, 40)).to_bytes(2, "big")
            + b"\x0a\1\0\1"
            + int(rng.integers(0, 2000)).to_bytes(2, "big")
            + b"\0\x35\0\x08\0\0",
            ts_ns=i * 8_000_000,
            link_type=101,
        )
        for i in range(60_000)
    ]
    run = aggregate(frames, [101], block_size=1000)
    truth = windows(frames)
    assert closed_of(run.batches) == truth.closed
    assert Counter(len(window.flows) for window in truth.closed) == Counter(len(batch.flows) for batch in run.batches)
    assert max(len(batch.flows) for batch in run.batches) > 5000
