"""The way from flow batches to records: observe, enrich, hand over; and NODATA for the windows without traffic.

Rule: it wires rooms and counts; what a record says is decided in `enrich`, where it goes by the output.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa

from flowglass.app.outputs import Output
from flowglass.app.targets import Plan
from flowglass.capture import SUPPORTED
from flowglass.enrich import Enricher, Observations, ObserveCounts, Observer, Presence, traffic_mask
from flowglass.fields.contracts import I32, I64, Bools, FlowBatch, FlowLog, Point, TrafficType, Watermark
from flowglass.inventory import Snapshot, of_points

SLICE_RECORDS: Final = 1 << 16
_NS: Final = 1_000_000_000


class _Passed:
    """How far all capture points that had a frame are past, in seconds."""

    def __init__(self) -> None:
        self.lowest_s = 0
        self._by_point: dict[int, int] = {}
        self._points_at: Counter[int] = Counter()  # few keys, however many points: they move from window to window

    def move(self, mark: Watermark) -> bool:
        """A point moved on; whether that moved the lowest."""
        before = self._by_point.get(mark.point)
        if before is not None:
            self._points_at[before] -= 1
            if not self._points_at[before]:
                del self._points_at[before]
        self._by_point[mark.point] = mark.final_before_s
        self._points_at[mark.final_before_s] += 1
        lowest_s = min(self._points_at)
        moved = lowest_s > self.lowest_s
        self.lowest_s = lowest_s
        return moved


class Pipeline:
    """Turns FlowBatch and Watermark into records of the plan's flow logs, and hands them to an output.

    `fixed_points`: all capture points are known from the start, so windows without traffic are decided as soon as
    every point is past them, else at the end. `keep`: how many of the first records to keep for showing.
    `counts`: observations; `records`: written, over all flow logs; `by_flow_log`: the same by id, in the order of
    their first; `unwanted`: observations that no flow log took.
    """

    def __init__(
        self, plan: Plan, inventory: Snapshot | None, output: Output, *, fixed_points: bool, keep: int = 0
    ) -> None:
        self._plan = plan
        self._output = output
        self._inventory = inventory
        self._fixed_points = fixed_points
        self._keep = keep
        self._points: list[Point] = []
        self._presence: Presence | None = None
        self._passed = _Passed()
        self.by_flow_log: dict[str, int] = {}
        self.counts = ObserveCounts()
        self.records = 0
        self.unwanted = 0
        self.nodata = 0
        self.first: list[dict[str, Any]] = []

    def take(self, item: FlowBatch | Watermark, points: Sequence[Point]) -> None:
        """Take what the aggregator hands over; `points` are the source's so far."""
        if isinstance(item, FlowBatch):
            presence = self._meet(points)
            self._record(self._observer.observe(item), presence)
        elif self._passed.move(item):
            self._pass(self._passed.lowest_s, self._meet(points))

    def finish(self, points: Sequence[Point]) -> None:
        """Nothing comes any more; `points` are all of the source's."""
        if points:
            self._settle_presence(None, self._meet(points))
        self._output.close()

    def abort(self) -> int:
        """Drop what is not finished; return how many records that were."""
        return self._output.abort()

    def _meet(self, points: Sequence[Point]) -> Presence:
        """Look at capture points that are new, and make their interfaces where no inventory does."""
        if self._presence is not None and len(points) == len(self._points):
            return self._presence
        plan = self._plan
        self._points = list(points)
        self._snapshot = self._inventory or of_points(points, *plan.place)
        self._observer = Observer(self._snapshot, points)
        self._enricher = Enricher(plan.columns, self._snapshot, version=plan.version, assume_accept=plan.assume_accept)
        self._unreadable = _unreadable(self._snapshot, points)
        self._asked = plan.targets(self._snapshot)
        if self._presence is None:
            self._presence = Presence(self._snapshot, points, plan.interval_s)
        else:
            self._presence.meet(self._snapshot, points)
        return self._presence

    def _record(self, seen: Observations, presence: Presence) -> None:
        self.counts += seen.counts
        presence.saw(seen.window_start_s, np.unique(seen.interface))
        wanted = {
            kind: traffic_mask(seen, kind, assume_accept=self._plan.assume_accept)
            for kind in {target.flow_log.traffic_type for target in self._asked}
        }
        for start in range(0, len(seen.flows), SLICE_RECORDS):
            stop = min(start + SLICE_RECORDS, len(seen.flows))
            batch = self._enricher.records(seen, start, stop)
            ends = seen.flows["last_ns"][start:stop] // _NS
            part = {kind: mask[start:stop] for kind, mask in wanted.items()}
            taken = self._hand_over(batch, seen.window_start_s, ends, seen.interface[start:stop], part)
            self.unwanted += int(len(taken) - np.count_nonzero(taken))

    def _pass(self, before_s: int, presence: Presence) -> None:
        """Every point is past this second: decide who was quiet before it, and let the output know."""
        if self._fixed_points:
            self._settle_presence(before_s, presence)
            before_s = min(before_s, presence.decided_before_s)
        self._output.settle(before_s)

    def _settle_presence(self, before_s: int | None, presence: Presence) -> None:
        absent = presence.finish() if before_s is None else presence.settle(before_s)
        for window_start_s, rows in absent:
            interfaces = rows[~self._unreadable[rows]]
            if not len(interfaces):
                continue
            window_s = self._plan.interval_s
            batch = self._enricher.status_records(window_start_s, window_s, interfaces)
            ends: I64 = np.full(len(interfaces), window_start_s + window_s - 1, np.int64)
            everyone: Bools = np.ones(len(interfaces), np.bool_)
            before = self.records
            self._hand_over(batch, window_start_s, ends, interfaces, dict.fromkeys(TrafficType, everyone))
            self.nodata += self.records - before

    def _hand_over(
        self,
        batch: pa.RecordBatch,
        window_start_s: int,
        ends: I64,
        interfaces: I32,
        wanted: Mapping[TrafficType, Bools],
    ) -> Bools:
        """Give each flow log the rows of its traffic type and interfaces; return the rows that any took."""
        taken: Bools = np.zeros(len(ends), np.bool_)
        shares: list[tuple[FlowLog, I64 | None]] = []
        for target in self._asked:
            mask = wanted[target.flow_log.traffic_type] & target.interfaces[interfaces]
            count = int(np.count_nonzero(mask))
            if not count:
                continue
            shares.append((target.flow_log, None if count == len(mask) else np.flatnonzero(mask)))
            self.by_flow_log[target.flow_log.id] = self.by_flow_log.get(target.flow_log.id, 0) + count
            self.records += count
            taken |= mask
        if shares:
            self._output.add(batch, window_start_s, ends, shares)
        if len(self.first) < self._keep:
            shown = batch.take(np.flatnonzero(taken)[: self._keep - len(self.first)])
            self.first.extend(shown.to_pylist())
        return taken


def _unreadable(snapshot: Snapshot, points: Sequence[Point]) -> Bools:
    """(interfaces,) bool: the link type of its own capture point is not read, so nothing tells whether it is quiet."""
    unread = np.array([point.link_type not in SUPPORTED for point in points], np.bool_)
    if not snapshot.is_file:
        return unread
    rows: Bools = np.zeros(len(snapshot.interfaces.from_ns), np.bool_)
    for row in np.flatnonzero(unread):
        owners = snapshot.by_device(points[int(row)].name, snapshot.interfaces.from_ns)
        rows[owners[owners >= 0]] = True
    return rows
