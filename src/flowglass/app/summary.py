"""What became of every packet: the account that `record` ends with.

Rule: it must add up. Frames seen are frames in flows and frames not recorded, by cause; flows are observed, unowned or
left out, by cause; observations are observed flows and second observations.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from flowglass.aggregate import PointCounts
from flowglass.deliver import Delivered
from flowglass.enrich import Excluded, ObserveCounts


@dataclass(frozen=True, slots=True, kw_only=True)
class PointSummary:
    """One capture point: its frames, and what became of them."""

    name: str
    link_type: str
    counts: PointCounts


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The account of one `record`.

    `open_flows`, `open_frames`: flows of windows that an interruption cut, and their frames; `dropped_records`: records
    of objects that an interruption left unfinished, which were taken back; `capture_dropped`: packets that the captures
    say they lost themselves; `warnings`: what a person should know.
    """

    points: tuple[PointSummary, ...]
    flows: int
    frames_in_flows: int
    open_flows: int
    open_frames: int
    early_drains: int
    link_overflow: int
    capture_dropped: int
    observed: ObserveCounts
    records: int
    nodata: int
    filtered: int
    dropped_records: int
    objects: tuple[Delivered, ...]
    flow_logs: tuple[str, ...]
    seconds: float
    interrupted: bool = False
    warnings: tuple[str, ...] = ()
    first: list[dict[str, Any]] = field(default_factory=list)

    @property
    def frames(self) -> int:
        """Frames taken from all capture points."""
        return sum(point.counts.seen for point in self.points)

    @property
    def not_recorded(self) -> dict[str, int]:
        """Frames that are in no flow, by cause."""
        causes: dict[str, int] = {}
        for point in self.points:
            for cause, count in point.counts.not_recorded.items():
                causes[cause.text] = causes.get(cause.text, 0) + count
        return causes

    def differences(self) -> dict[str, int]:
        """The conservation equations: left side less right side, each 0."""
        seen = self.observed
        return {
            "frames seen = in flows + not recorded": self.frames
            - sum(point.counts.in_flows for point in self.points)
            - sum(self.not_recorded.values()),
            "frames in flows = of flows handed over + of flows cut off": sum(
                point.counts.in_flows for point in self.points
            )
            - self.frames_in_flows
            - self.open_frames,
            "flows = observed + unowned + ambiguous + second looks + excluded": self.flows
            - seen.observed
            - seen.unowned
            - seen.ambiguous
            - seen.second_look_flows
            - seen.excluded_flows,
            "observations = observed flows + second observations": seen.observations
            - seen.observed
            - seen.second_observations,
            "records = observations - merged - other traffic type + NODATA": self.records
            - (seen.observations - seen.merged - self.filtered + self.nodata),
            "records = in objects + taken back": self.records
            - sum(result.records for result in self.objects)
            - self.dropped_records,
        }

    def as_dict(self) -> dict[str, Any]:
        """The account as plain values, for `--json`."""
        observed = dataclasses.asdict(self.observed)
        observed["excluded"] = {cause.text: self.observed.excluded[cause] for cause in Excluded}
        return {
            "frames": self.frames,
            "frames_in_flows": sum(point.counts.in_flows for point in self.points),
            "not_recorded": self.not_recorded,
            "points": [
                {
                    "name": point.name,
                    "link_type": point.link_type,
                    "frames": point.counts.seen,
                    "in_flows": point.counts.in_flows,
                    "not_recorded": {cause.text: n for cause, n in point.counts.not_recorded.items()},
                    "without_time": point.counts.without_time,
                    "late": point.counts.late,
                }
                for point in self.points
            ],
            "flows": self.flows,
            "observed": observed,
            "records": self.records,
            "nodata": self.nodata,
            "other_traffic_type": self.filtered,
            "taken_back": self.dropped_records,
            "cut_off_flows": self.open_flows,
            "cut_off_frames": self.open_frames,
            "early_drains": self.early_drains,
            "link_overflow": self.link_overflow,
            "capture_dropped": self.capture_dropped,
            "flow_logs": list(self.flow_logs),
            "objects": [dataclasses.asdict(result) for result in self.objects],
            "differences": self.differences(),
            "interrupted": self.interrupted,
            "warnings": list(self.warnings),
            "seconds": round(self.seconds, 3),
        }
