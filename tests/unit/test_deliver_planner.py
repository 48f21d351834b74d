"""Which shares are due, and which are delivered together."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

from tests.support.records import flow_log

from flowglass.deliver.builder import MAX_BYTES
from flowglass.deliver.planner import Span, due, spans
from flowglass.deliver.spool.model import LIVE, Segment, Share
from flowglass.fields.contracts import FlowLog

T = 1_529_511_600  # 2018-06-20 16:20:00 UTC, the first second of a period of 300 and of 600 s
LOG = flow_log()
TEN_MINUTES = flow_log(id="fl-00000600", interval_s=600)
_ids = count(1)


def share(
    window_s: int, log: FlowLog = LOG, *, stream: str = LIVE, size_bytes: int = 1000, length_s: int = 60
) -> Share:
    """The share of a window that begins `window_s` after T."""
    segment = Segment(
        id=next(_ids),
        file="0.arrow",
        stream=stream,
        period_start_s=(T + window_s) // 300 * 300,
        windows=(T + window_s,),
        window_s=length_s,
        size_bytes=size_bytes,
        sha256="",
        created_ms=(T + window_s + 62) * 1000,
    )
    return Share(segment=segment, flow_log=log, records=10)


def planned(
    shares: Sequence[Share],
    at_s: int,
    *,
    at_once: bool = False,
    stopping: bool = False,
    seen_for_s: float = 0.0,
) -> list[tuple[Share, ...]]:
    """What is due `at_s` after T by the wall clock, if all was first seen `seen_for_s` before."""
    waiting = spans(shares)
    return list(
        due(
            waiting,
            at_once=lambda _: at_once,
            first_seen_s=dict.fromkeys(waiting, 0.0),
            now_ms=(T + at_s) * 1000,
            monotonic_s=seen_for_s,
            stopping=stopping,
        )
    )


def test_five_minutes_go_together_half_a_minute_after_their_end() -> None:
    first, second, third = share(0), share(240), share(300)
    assert planned([first, second, third], 329) == []
    assert planned([first, second, third], 330) == [(first, second)]
    assert planned([first, second, third], 630) == [(first, second), (third,)]


def test_where_segments_are_taken_at_once_each_is_a_unit() -> None:
    shares = [share(0), share(60)]
    assert planned(shares, 70, at_once=True) == [(shares[0],), (shares[1],)]


def test_what_fills_an_object_is_due_before_its_time_and_the_rest_is_not() -> None:
    shares = [share(60 * n, size_bytes=MAX_BYTES // 3 + 1) for n in range(4)]
    assert planned(shares, 250) == [tuple(shares[:3])]
    assert planned(shares, 330) == [tuple(shares[:3]), (shares[3],)]


def test_captures_are_due_at_once_a_period_and_never_mix() -> None:
    shares = [share(0, stream="a"), share(0, stream="b"), share(300, stream="a"), share(0)]
    assert planned(shares, 0) == [(shares[0],), (shares[1],), (shares[2],)]


def test_ten_minutes_are_awaited_where_windows_are_merged_even_where_segments_are_taken_at_once() -> None:
    shares = [share(60 * n, TEN_MINUTES, size_bytes=MAX_BYTES) for n in range(10)]
    assert planned(shares, 629, at_once=True) == []
    assert planned(shares, 630, at_once=True) == [tuple(shares)]
    whole = [share(0, TEN_MINUTES, length_s=600)]
    assert planned(whole, 0, at_once=True) == [tuple(whole)]


def test_a_capture_is_merged_at_once_window_by_window() -> None:
    shares = [share(60 * n, TEN_MINUTES, stream="a") for n in (0, 9, 10)]
    assert planned(shares, 0) == [tuple(shares[:2]), (shares[2],)]


def test_everything_is_due_at_stop() -> None:
    shares = [share(0), share(60), share(0, TEN_MINUTES)]
    assert planned(shares, 70) == []
    assert planned(shares, 70, stopping=True) == [tuple(shares[:2]), (shares[2],)]


def test_flow_logs_do_not_mix() -> None:
    shares = [share(0), share(0, flow_log(id="fl-00000002"))]
    assert planned(shares, 330) == [(shares[0],), (shares[1],)]


def test_a_clock_that_was_set_back_holds_nothing_up_for_long() -> None:
    shares = [share(0)]
    merged = [share(0, TEN_MINUTES)]
    assert planned(shares, -86_400, seen_for_s=329.9) == []
    assert planned(shares, -86_400, seen_for_s=330.0) == [tuple(shares)]
    assert planned(merged, -86_400, seen_for_s=629.9) == []
    assert planned(merged, -86_400, seen_for_s=630.0) == [tuple(merged)]


def test_spans_say_what_belongs_together() -> None:
    assert list(spans([share(60), share(0), share(300, TEN_MINUTES)])) == [
        Span(LOG.id, LIVE, T, 300),
        Span(TEN_MINUTES.id, LIVE, T, 600),
    ]
