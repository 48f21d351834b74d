"""Frames into flows by window: the flow table under the window clock.

Rule: what comes out depends on the frames and their order only, not on the size of blocks. Every frame ends in a flow
or in a counter of why not. Sans-IO: blocks go in, flow batches and watermarks come out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from flowglass.aggregate.layout import ADVANCE, DONE, FULL, OPEN, WINDOWS_PER_POINT
from flowglass.aggregate.table import FlowTable
from flowglass.aggregate.window import FINAL_AFTER, Window, WindowClock
from flowglass.fields.contracts import FlowBatch, FrameBlock, NotRecorded, Point, Watermark


@dataclass(frozen=True, slots=True)
class PointCounts:
    """Frames of one capture point. `seen == in_flows + sum(not_recorded.values())`, always."""

    seen: int
    in_flows: int
    not_recorded: dict[NotRecorded, int]
    without_time: int
    late: int


@dataclass(slots=True)
class _PointState:
    newest: Window | None = None
    open: dict[int, tuple[Window, int]] = field(default_factory=dict)  # by start second: window, slot
    late_starts: set[int] = field(default_factory=set)
    late_frames: int = 0


class Aggregator:
    """Aggregates frames into flows a window and point.

    `add` and `finish` yield FlowBatch and, when windows of a point became final, one Watermark behind their flows.
    Batches of one window come together; a window whose packets came late, or that the full table drained early, comes
    again with further flows.
    """

    def __init__(self, clock: WindowClock, table: FlowTable) -> None:
        self._clock = clock
        self._table = table
        self._points: list[_PointState] = []
        self.flows_out = 0
        self.frames_out = 0
        self.early_drains = 0

    def add(self, block: FrameBlock, points: Sequence[Point]) -> Iterator[FlowBatch | Watermark]:
        """Add a block. `points`: the source's capture points so far; frames name them by row."""
        for new in points[len(self._points) :]:
            self._table.add_point(new.link_type)
            self._points.append(_PointState())
        done, total = 0, len(block.frames)
        while done < total:
            done, stopped = self._table.add(block, done)
            if stopped == DONE:
                return
            frame = block.frames[done]
            point, ts_ns = int(frame["point"]), int(frame["ts_ns"])
            if stopped == ADVANCE:
                yield from self._advance(point, self._clock.window_at(ts_ns))
            elif stopped == OPEN:
                yield from self._open(point, self._clock.window_at(ts_ns))
            elif stopped == FULL:
                self.early_drains += 1
                yield from self._drain_all()

    def finish(self) -> Iterator[FlowBatch | Watermark]:
        """Hand over all that is left, point by point; nothing is open afterwards."""
        for point, state in enumerate(self._points):
            last = max((window.end_s for window, _ in state.open.values()), default=0)
            if state.newest is not None:
                last = max(last, state.newest.end_s)
            for start_s in sorted(state.open):
                yield from self._close(point, start_s)
            yield Watermark(point, last)

    def discard(self) -> tuple[int, int]:
        """Forget all that is left: (flows, frames in them)."""
        flows = frames = 0
        for state in self._points:
            for _, slot in state.open.values():
                for rows, _ in self._table.drain(slot):
                    flows += len(rows)
                    frames += int(rows["frames"].sum())
        return flows, frames

    def counts(self, point: int) -> PointCounts:
        """What became of a point's frames so far."""
        return PointCounts(
            seen=self._table.seen(point),
            in_flows=self._table.in_flows(point),
            not_recorded=self._table.not_recorded(point),
            without_time=self._table.without_time(point),
            late=self._points[point].late_frames,
        )

    @property
    def points(self) -> int:
        """Capture points met so far."""
        return len(self._points)

    @property
    def link_overflow(self) -> int:
        """Frames whose link endpoints found no place in the table of them."""
        return self._table.link_overflow

    def _advance(self, point: int, newest: Window) -> Iterator[FlowBatch | Watermark]:
        """The newest time of a point reached another window: close what is final by that."""
        state = self._points[point]
        state.newest = newest
        self._table.set_edge(point, newest.high_ns)
        final = [s for s, (window, _) in state.open.items() if newest.ordinal - window.ordinal >= FINAL_AFTER]
        for start_s in sorted(final):
            yield from self._close(point, start_s)
        yield Watermark(point, self._clock.final_before(newest))

    def _open(self, point: int, window: Window) -> Iterator[FlowBatch]:
        state = self._points[point]
        if len(state.open) == WINDOWS_PER_POINT:
            yield from self._close(point, min(state.open))
        state.open[window.start_s] = (window, self._table.open(point, window.low_ns, window.high_ns))
        if state.newest is not None and state.newest.ordinal - window.ordinal >= FINAL_AFTER:
            state.late_starts.add(window.start_s)

    def _close(self, point: int, start_s: int) -> Iterator[FlowBatch]:
        yield from self._drain(point, start_s)
        state = self._points[point]
        _, slot = state.open.pop(start_s)
        state.late_starts.discard(start_s)
        self._table.close(point, slot)

    def _drain(self, point: int, start_s: int) -> Iterator[FlowBatch]:
        state = self._points[point]
        window, slot = state.open[start_s]
        for flows, mixed in self._table.drain(slot):
            frames = int(flows["frames"].sum())
            self.flows_out += len(flows)
            self.frames_out += frames
            if start_s in state.late_starts:
                state.late_frames += frames
            yield FlowBatch(
                window_start_s=window.start_s,
                window_s=window.end_s - window.start_s,
                point=point,
                flows=flows,
                links=self._table.links(),
                mixed_links=mixed,
            )

    def _drain_all(self) -> Iterator[FlowBatch]:
        for point, state in enumerate(self._points):
            for start_s in sorted(state.open):
                yield from self._drain(point, start_s)
