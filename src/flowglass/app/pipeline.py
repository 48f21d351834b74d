"""The way from flow batches to objects: observe, enrich, build; and NODATA for the windows without traffic.

Rule: it wires rooms and counts; what a record says is decided in `enrich`, where it goes in `deliver`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from flowglass.app.options import RecordOptions
from flowglass.capture import SUPPORTED
from flowglass.deliver import Delivered, ObjectBuilder, Sink
from flowglass.enrich import Enricher, Observations, ObserveCounts, Observer, Presence, traffic_mask
from flowglass.fields.contracts import I32, I64, Bools, FlowBatch, Point, Watermark
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
    """Turns FlowBatch and Watermark into objects of one flow log an account and region.

    `fixed_points`: all capture points are known from the start, so windows without traffic are decided as soon as
    every point is past them, else at the end. `keep`: how many of the first records to keep for showing.
    """

    def __init__(
        self,
        options: RecordOptions,
        inventory: Snapshot | None,
        sink: Sink,
        *,
        fixed_points: bool,
        keep: int = 0,
    ) -> None:
        self._options = options
        self._inventory = inventory
        self._sink = sink
        self._fixed_points = fixed_points
        self._keep = keep
        self._points: list[Point] = []
        self._presence: Presence | None = None
        self._passed = _Passed()
        self._builders: dict[tuple[str, str], ObjectBuilder] = {}
        self.counts = ObserveCounts()
        self.records = 0
        self.filtered = 0
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
        for builder in self._builders.values():
            builder.close()
        return self.delivered

    def abort(self) -> int:
        """Drop the objects that are not finished; return how many records they held."""
        return sum(builder.abort() for builder in self._builders.values())

    @property
    def delivered(self) -> list[Delivered]:
        """The objects finished so far."""
        return [result for builder in self._builders.values() for result in builder.results]

    @property
    def flow_log_ids(self) -> list[str]:
        """The flow logs that have records, one an account and region."""
        return [self._options.flow_log(*scope).id for scope in self._builders]

    def _meet(self, points: Sequence[Point]) -> Presence:
        """Look at capture points that are new, and make their interfaces where no inventory does."""
        if self._presence is not None and len(points) == len(self._points):
            return self._presence
        options = self._options
        self._points = list(points)
        self._snapshot = self._inventory or of_points(points, *options.place())
        self._observer = Observer(self._snapshot, points)
        self._enricher = Enricher(
            options.columns.columns,
            self._snapshot,
            version=options.columns.version,
            assume_accept=options.assume_accept,
        )
        self._unreadable = _unreadable(self._snapshot, points)
        interfaces = self._snapshot.interfaces
        places = zip(interfaces.account.to_pylist(), interfaces.region.to_pylist(), strict=True)
        scopes = [(account or options.place()[0], region or options.place()[1]) for account, region in places]
        self._scopes = list(dict.fromkeys(scopes))
        number = {scope: place for place, scope in enumerate(self._scopes)}
        self._scope_of = np.array([number[scope] for scope in scopes], np.int32)
        if self._presence is None:
            self._presence = Presence(self._snapshot, points, options.interval_s)
        else:
            self._presence.meet(self._snapshot, points)
        return self._presence

    def _record(self, seen: Observations, presence: Presence) -> None:
        self.counts += seen.counts
        presence.saw(seen.window_start_s, np.unique(seen.interface))
        wanted = traffic_mask(seen, self._options.traffic_type, assume_accept=self._options.assume_accept)
        self.filtered += int(len(wanted) - np.count_nonzero(wanted))
        for start in range(0, len(seen.flows), SLICE_RECORDS):
            stop = min(start + SLICE_RECORDS, len(seen.flows))
            batch = self._enricher.records(seen, start, stop)
            ends = seen.flows["last_ns"][start:stop] // _NS
            self._build(batch, ends, seen.interface[start:stop], wanted[start:stop])

    def _pass(self, before_s: int, presence: Presence) -> None:
        """Every point is past this second: decide who was quiet before it, finish the objects of before."""
        if self._fixed_points:
            self._settle_presence(before_s, presence)
            before_s = min(before_s, presence.decided_before_s)
        for builder in self._builders.values():
            builder.settle(before_s)

    def _settle_presence(self, before_s: int | None, presence: Presence) -> None:
        absent = presence.finish() if before_s is None else presence.settle(before_s)
        for window_start_s, rows in absent:
            interfaces = rows[~self._unreadable[rows]]
            if not len(interfaces):
                continue
            window_s = self._options.interval_s
            batch = self._enricher.status_records(window_start_s, window_s, interfaces)
            ends: I64 = np.full(len(interfaces), window_start_s + window_s - 1, np.int64)
            self.nodata += len(interfaces)
            self._build(batch, ends, interfaces, np.ones(len(interfaces), np.bool_))

    def _build(self, batch: Any, ends: I64, interfaces: I32, wanted: Any) -> None:
        """Append the wanted rows of a batch to the objects of their account and region."""
        if len(self.first) < self._keep:
            shown = batch.take(np.flatnonzero(wanted)[: self._keep - len(self.first)])
            self.first.extend(shown.to_pylist())
        every = bool(wanted.all())
        if len(self._scopes) == 1:
            rows = None if every else np.flatnonzero(wanted)
            self._builder(self._scopes[0]).add(batch, ends, rows)
            self.records += len(wanted) if rows is None else len(rows)
            return
        scope_of_row = self._scope_of[interfaces]
        for place in np.unique(scope_of_row[wanted]).tolist():
            rows = np.flatnonzero(wanted & (scope_of_row == place))
            self._builder(self._scopes[place]).add(batch, ends, rows)
            self.records += len(rows)

    def _builder(self, scope: tuple[str, str]) -> ObjectBuilder:
        if scope not in self._builders:
            self._builders[scope] = ObjectBuilder(self._options.flow_log(*scope), self._sink)
        return self._builders[scope]


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
