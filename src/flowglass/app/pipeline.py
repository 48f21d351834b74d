"""The way from flow batches to objects: observe, enrich, build; and NODATA for the windows without traffic.

Rule: it wires rooms and counts; what a record says is decided in `enrich`, where it goes in `deliver`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa

from flowglass.app.targets import Plan, Target
from flowglass.capture import SUPPORTED
from flowglass.deliver import Delivered
from flowglass.enrich import Enricher, Observations, ObserveCounts, Observer, Presence, traffic_mask
from flowglass.fields.contracts import I32, I64, Bools, FlowBatch, Point, TrafficType, Watermark
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
    """Turns FlowBatch and Watermark into objects of the plan's flow logs.

    `fixed_points`: all capture points are known from the start, so windows without traffic are decided as soon as
    every point is past them, else at the end. `keep`: how many of the first records to keep for showing.
    `counts`: observations; `records`: written, over all flow logs; `unwanted`: observations that no flow log took.
    """

    def __init__(self, plan: Plan, inventory: Snapshot | None, *, fixed_points: bool, keep: int = 0) -> None:
        self._plan = plan
        self._inventory = inventory
        self._fixed_points = fixed_points
        self._keep = keep
        self._points: list[Point] = []
        self._presence: Presence | None = None
        self._passed = _Passed()
        self._targets: dict[str, Target] = {}
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

    def finish(self, points: Sequence[Point]) -> list[Delivered]:
        """Finish every object and return all; `points` are all of the source's."""
        if points:
            self._settle_presence(None, self._meet(points))
        for target in self._targets.values():
            target.builder.close()
        return self.delivered

    def abort(self) -> int:
        """Drop the objects that are not finished; return how many records they held."""
        return sum(target.builder.abort() for target in self._targets.values())

    @property
    def delivered(self) -> list[Delivered]:
        """The objects finished so far."""
        return [result for target in self._targets.values() for result in target.builder.results]

    @property
    def targets(self) -> list[Target]:
        """The flow logs that have records, in the order of their first."""
        return list(self._targets.values())

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
            taken = self._build(batch, ends, seen.interface[start:stop], part)
            self.unwanted += int(len(taken) - np.count_nonzero(taken))

    def _pass(self, before_s: int, presence: Presence) -> None:
        """Every point is past this second: decide who was quiet before it, finish the objects of before."""
        if self._fixed_points:
            self._settle_presence(before_s, presence)
            before_s = min(before_s, presence.decided_before_s)
        for target in self._targets.values():
            target.builder.settle(before_s)

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
            self._build(batch, ends, interfaces, dict.fromkeys(TrafficType, everyone))
            self.nodata += self.records - before

    def _build(self, batch: pa.RecordBatch, ends: I64, interfaces: I32, wanted: Mapping[TrafficType, Bools]) -> Bools:
        """Append to each flow log the rows of its traffic type and interfaces; return the rows that any took."""
        taken: Bools = np.zeros(len(ends), np.bool_)
        for target in self._asked:
            mask = wanted[target.flow_log.traffic_type] & target.interfaces[interfaces]
            count = int(np.count_nonzero(mask))
            if not count:
                continue
            target.add(batch, ends, None if count == len(mask) else np.flatnonzero(mask))
            self._targets.setdefault(target.flow_log.id, target)
            self.records += count
            taken |= mask
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
