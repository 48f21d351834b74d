"""Windows of a point: order, lateness, how many may be open, watermarks."""

from __future__ import annotations

from itertools import pairwise

import pytest
from tests.support import frames as link
from tests.support import packets as ip
from tests.support.aggregation import Run, aggregate, block_of, closed_of
from tests.support.oracle import Frame, windows

from flowglass.aggregate import Aggregator, FlowTable, WindowClock
from flowglass.fields.contracts import NO_TIME, FlowBatch, Point, Watermark

NS = 1_000_000_000
FRAME = link.ethernet(ip.ipv4("10.0.0.1", "10.0.0.2", ip.UDP, ip.udp(1, 2, b"x")))


def at(*seconds: int, point: int = 0) -> list[Frame]:
    return [Frame(FRAME, ts_ns=second * NS if second >= 0 else NO_TIME, point=point) for second in seconds]


def run(frames: list[Frame], points: int = 1, block_size: int = 1000) -> Run:
    return aggregate(frames, [link.ETHERNET] * points, block_size=block_size)


def starts(done: Run) -> list[int]:
    return [batch.window_start_s for batch in done.batches]


def test_a_window_is_final_when_the_newest_packet_is_a_window_further() -> None:
    done = run(at(5, 65, 119, 30, 120))
    assert starts(done) == [0, 60, 120]
    assert [int(batch.flows["packets"].sum()) for batch in done.batches] == [2, 2, 1]
    assert done.aggregator.counts(0).late == 0


def test_a_late_packet_makes_a_further_record() -> None:
    done = run(at(5, 65, 130, 6, 7, 200, 250))
    assert starts(done) == [0, 0, 60, 120, 180, 240]
    assert [int(batch.flows["packets"].sum()) for batch in done.batches][:2] == [1, 2]
    assert done.aggregator.counts(0).late == 2


def test_a_seventeenth_window_closes_the_oldest() -> None:
    newest = 100 * 60
    late = [(70 - back) * 60 for back in range(15)]
    sixteen = run(at(newest, *late))
    assert starts(sixteen) == sorted([newest, *late])
    seventeen = at(newest, *late, 20 * 60, 19 * 60)
    done = run(seventeen)
    # The sixteenth late window is the oldest when the next one asks for a place.
    assert [batch.window_start_s for batch in done.batches] == [closed.start_s for closed in windows(seventeen).closed]
    assert starts(done)[:1] == [min(late)]
    assert len(done.batches) == 18
    assert done.aggregator.counts(0).late == 17
    assert done.aggregator.frames_out == 18


def test_frames_without_a_time_take_the_one_before() -> None:
    done = run(at(-1, 70, -1, -1))
    assert [(b.window_start_s, int(b.flows["packets"].sum())) for b in done.batches] == [(0, 1), (60, 3)]
    assert done.aggregator.counts(0).without_time == 3


@pytest.mark.parametrize("block_size", [1, 3, 1000])
def test_watermarks_rise_and_keep_their_word(block_size: int) -> None:
    times = [5, 70, 130, 20, 600, 601, 3600, 50, 3601, 3720, 3500, 10_000]
    frames = [frame for second in times for frame in (*at(second), *at(second // 2, point=1))]
    done = run(frames, points=2, block_size=block_size)
    for point in (0, 1):
        marks = [mark.final_before_s for mark in done.marks if mark.point == point]
        assert len(marks) > 4
        assert all(before <= after for before, after in pairwise(marks))
        assert marks[-1] >= max(batch.window_start_s + 60 for batch in done.batches if batch.point == point)


def test_what_a_watermark_calls_final_was_handed_over() -> None:
    """In order of time nothing comes behind its watermark."""
    frames = at(*range(0, 1200, 7))
    aggregator = Aggregator(WindowClock(), FlowTable(100))
    points = [Point("eth0", link.ETHERNET)]
    items = [*aggregator.add(block_of(frames), points), *aggregator.finish()]
    final = 0
    for item in items:
        if isinstance(item, Watermark):
            final = item.final_before_s
        else:
            assert item.window_start_s >= final
    assert final == 1200
    assert sum(len(item.flows) for item in items if isinstance(item, FlowBatch)) == 20


def test_points_have_windows_of_their_own() -> None:
    frames = [*at(5), *at(605, point=1), *at(6), *at(125, point=1)]
    done = run(frames, points=2)
    assert closed_of(done.batches) == windows(frames).closed
    assert (done.aggregator.counts(0).late, done.aggregator.counts(1).late) == (0, 1)


@pytest.mark.parametrize(("window_s", "expected"), [(60, [0, 540, 600, 1200]), (600, [0, 600, 1200])])
def test_window_length(window_s: int, expected: list[int]) -> None:
    done = aggregate(at(0, 599, 600, 1200), [link.ETHERNET], clock=WindowClock(window_s))
    assert starts(done) == expected


def test_cuts_replace_the_alignment_where_they_reach() -> None:
    clock = WindowClock(60, cuts=(1000, 1059, 1240))
    done = aggregate(at(959, 960, 999, 1000, 1058, 1059, 1239, 1240, 1260), [link.ETHERNET], clock=clock)
    assert [(b.window_start_s, b.window_s, int(b.flows["packets"][0])) for b in done.batches] == [
        (900, 60, 1),
        (960, 40, 2),
        (1000, 59, 2),
        (1059, 181, 2),
        (1240, 20, 1),
        (1260, 60, 1),
    ]
