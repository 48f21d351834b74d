"""Windows merged in plain Python, and a spool in memory to take records from.

Rule: the oracle is written from what a longer window means, one record at a time; it shares no code with the product.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
from tests.support.records import batch_of

from flowglass.deliver.rows import Rows, needed
from flowglass.deliver.sinks import DirectorySink
from flowglass.deliver.spool.model import Segment, Share, Unit
from flowglass.fields import LogFormat
from flowglass.fields.contracts import FlowLog

Record = Mapping[str, Any]
"""Values by the columns' labels."""

KEY = (
    "interface-id",
    "resource-id",
    "srcaddr",
    "dstaddr",
    "srcport",
    "dstport",
    "protocol",
    "action",
    "flow-direction",
    "pkt-srcaddr",
    "pkt-dstaddr",
    "x-verdict-source",
)


def longer_windows(records: Sequence[Record], windows: Sequence[int], interval_s: int) -> list[dict[str, Any]]:
    """What the records of 60 s windows, in the order in which they came, are in windows of `interval_s`."""
    flows: dict[tuple[Any, ...], list[Record]] = {}
    skipped: dict[tuple[Any, ...], list[Record]] = {}
    quiet: dict[tuple[Any, ...], list[Record]] = {}
    for record in records:
        window = record["end"] // interval_s
        owner = (window, record["interface-id"], record["resource-id"])
        match record["log-status"]:
            case "OK":
                flows.setdefault((window, *(record[name] for name in KEY)), []).append(record)
            case "SKIPDATA":
                skipped.setdefault(owner, []).append(record)
            case "NODATA":
                quiet.setdefault(owner, []).append(record)
    talking = {key[:3] for key in flows} | set(skipped)
    merged = [_one(parts) for parts in (*flows.values(), *skipped.values())]
    for owner, parts in quiet.items():
        said = {part["start"] // 60 for part in parts}
        if owner not in talking and said == {start // 60 for start in windows if start // interval_s == owner[0]}:
            merged.append(_one(parts))
    return merged


def _one(parts: Sequence[Record]) -> dict[str, Any]:
    by_window = sorted(parts, key=lambda part: part["end"] // 60)  # stable
    one = dict(by_window[-1])
    for name in ("packets", "bytes"):
        if one[name] is not None:
            one[name] = sum(part[name] for part in parts)
    for name in ("tcp-flags", "x-tcp-flags"):
        if one[name] is not None:
            one[name] = 0
            for part in parts:
                one[name] |= part[name]
    one["x-icmp"] = by_window[0]["x-icmp"]
    one["start"] = min(part["start"] for part in parts)
    one["end"] = max(part["end"] for part in parts)
    return one


@dataclass(slots=True)
class MemorySpool:
    """Segments in memory; the stage is in a folder. `asked`: columns that were asked for."""

    folder: Path
    held: dict[int, list[Rows]] = field(default_factory=dict)
    segments: list[Segment] = field(default_factory=list)
    asked: list[Sequence[str]] = field(default_factory=list)

    def hold(self, rows: Sequence[Rows], windows: Sequence[int], *, window_s: int = 60) -> None:
        """A segment."""
        number = len(self.segments)
        self.held[number] = list(rows)
        period_start_s = windows[0] // 300 * 300
        self.segments.append(
            Segment(
                id=number,
                file="",
                stream="capture:1",
                period_start_s=period_start_s,
                windows=tuple(windows),
                window_s=window_s,
                size_bytes=0,
                sha256="",
                created_ms=0,
            )
        )

    def unit(self, flow_log: FlowLog) -> Unit:
        """All segments together."""
        counts = {number: sum(_count(rows) for rows in held) for number, held in self.held.items()}
        shares = [Share(segment=each, flow_log=flow_log, records=counts[each.id]) for each in self.segments]
        return Unit(id=7, flow_log=flow_log, shares=tuple(shares))

    def rows(self, share: Share, columns: Sequence[str]) -> Iterator[Rows]:
        """The rows of a share."""
        self.asked.append(columns)
        for rows in self.held[share.segment.id]:
            yield Rows(rows.batch.select(list(columns)), rows.chosen)

    def stage(self) -> DirectorySink:
        """Where temporary files are made."""
        return DirectorySink(self.folder)


def _count(rows: Rows) -> int:
    return rows.batch.num_rows if rows.chosen is None else len(rows.chosen)


def spool_batch(flow_log: FlowLog, records: Sequence[Record], *, coded: bool = True) -> pa.RecordBatch:
    """A batch with the columns that the spool holds for a flow log; what a record lacks is null."""
    columns = needed(flow_log)
    return batch_of(LogFormat(columns), [[record.get(c.label) for c in columns] for record in records], coded=coded)


def records_of(rows: Rows) -> list[dict[str, Any]]:
    """The chosen rows as values."""
    batch = rows.batch if rows.chosen is None else rows.batch.take(rows.chosen)
    batch.validate(full=True)
    listed: list[dict[str, Any]] = batch.to_pylist()
    return listed
