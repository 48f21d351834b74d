"""Every metric that the server publishes: name, kind, labels, meaning.

Rule: a metric is declared here and nowhere else; the page that lists them is made from this file. Names end in their
unit, those of counters in `_total` (https://prometheus.io/docs/practices/naming/).
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

AT: Final = "@"
"""Stands between the name of an agent's number and the destination that it is about."""


@enum.unique
class Kind(enum.Enum):
    """How a metric moves."""

    COUNTER = "counter"
    """it only grows"""
    GAUGE = "gauge"
    """it goes up and down"""


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric; `labels` in the order in which values are given."""

    name: str
    kind: Kind
    doc: str
    labels: tuple[str, ...] = ()


_COUNTER, _GAUGE = Kind.COUNTER, Kind.GAUGE
_AGENT: Final = ("agent",)
_TO: Final = ("agent", "destination")

BUILD: Final = Metric("flowglass_build_info", _GAUGE, "Always 1; the server's version is a label.", ("version",))
STATE_UP: Final = Metric(
    "flowglass_state_up", _GAUGE, "1 if the state answered this scrape, 0 if not: then what comes from it is missing."
)
REQUESTS: Final = Metric(
    "flowglass_api_requests_total",
    _COUNTER,
    "Requests answered since the server's start. `service`: ec2, sts or agent; `action`: `other` for what is "
    "none; `outcome`: ok, or the fault's code.",
    ("service", "action", "outcome"),
)
FLOW_LOGS: Final = Metric(
    "flowglass_flow_logs", _GAUGE, "Flow logs by the type of their destination.", ("destination_type",)
)
AGENT: Final = Metric(
    "flowglass_agent_info",
    _GAUGE,
    "Always 1 for each agent; its name and version are labels.",
    ("agent", "name", "version"),
)
SEEN: Final = Metric(
    "flowglass_agent_seen_timestamp_seconds",
    _GAUGE,
    "When the server last heard of the agent, in seconds since 1970.",
    _AGENT,
)
DELIVERED: Final = Metric(
    "flowglass_delivered_objects_total",
    _COUNTER,
    "Objects that an agent delivered of a flow log.",
    ("agent", "flow_log"),
)
FAILED: Final = Metric(
    "flowglass_delivery_failed", _GAUGE, "1 if the last delivery of a flow log failed, else 0.", ("agent", "flow_log")
)
LAST: Final = Metric(
    "flowglass_delivery_timestamp_seconds", _GAUGE, "When that was, in seconds since 1970.", ("agent", "flow_log")
)

SERVER: Final = (BUILD, STATE_UP, REQUESTS, FLOW_LOGS, AGENT, SEEN, DELIVERED, FAILED, LAST)
"""Metrics of the server's own knowledge."""

REPORTED: Final[dict[str, Metric]] = {
    "captures": Metric("flowglass_captures_total", _COUNTER, "Captures recorded.", _AGENT),
    "frames": Metric("flowglass_frames_total", _COUNTER, "Packets read.", _AGENT),
    "flows": Metric("flowglass_flows_total", _COUNTER, "Flows closed.", _AGENT),
    "unowned_flows": Metric(
        "flowglass_unowned_flows_total", _COUNTER, "Flows of no interface of the inventory.", _AGENT
    ),
    "observations_without_flow_log": Metric(
        "flowglass_observations_without_flow_log_total", _COUNTER, "Observations that no flow log asked for.", _AGENT
    ),
    "records": Metric("flowglass_records_total", _COUNTER, "Records that reached the spool.", _AGENT),
    "segments_unfinished": Metric(
        "flowglass_segments_unfinished_total",
        _COUNTER,
        "Segments of recordings that a crash cut off; their sources were recorded again.",
        _AGENT,
    ),
    "segments_damaged": Metric(
        "flowglass_segments_damaged_total",
        _COUNTER,
        "Segments that the disk changed or lost, and were set aside.",
        _AGENT,
    ),
    "damaged_dropped": Metric(
        "flowglass_damaged_dropped_total",
        _COUNTER,
        "Damaged files that were removed because the spool had its size.",
        _AGENT,
    ),
    "records_dropped": Metric(
        "flowglass_records_dropped_total", _COUNTER, "Records given up; SKIPDATA records took their place.", _AGENT
    ),
    "skipdata_dropped": Metric(
        "flowglass_skipdata_dropped_total", _COUNTER, "SKIPDATA records that were given up, too.", _AGENT
    ),
    "batches_doubtful": Metric(
        "flowglass_batches_doubtful_total", _COUNTER, "Log batches sent again that may have arrived before.", _AGENT
    ),
    "events_rejected": Metric(
        "flowglass_events_rejected_total", _COUNTER, "Log events that a service refused for good.", _AGENT
    ),
    "objects_doubtful": Metric(
        "flowglass_objects_doubtful_total",
        _COUNTER,
        "Objects that were given up after an attempt whose answer nobody knows: they may lie there, in no manifest.",
        _AGENT,
    ),
    "objects_built_otherwise": Metric(
        "flowglass_objects_built_otherwise_total",
        _COUNTER,
        "Objects that were not the same when they were built again after an attempt. Must be 0.",
        _AGENT,
    ),
    "objects_damaged": Metric(
        "flowglass_objects_damaged_total",
        _COUNTER,
        "Finished objects that the disk changed or lost before they were delivered, and that were built again.",
        _AGENT,
    ),
    "delivery_faults": Metric(
        "flowglass_delivery_faults_total",
        _COUNTER,
        "Deliveries that failed by a fault of the program. Must be 0.",
        _AGENT,
    ),
    "retention_objects": Metric(
        "flowglass_retention_objects_total", _COUNTER, "Objects that the local store's retention removed.", _AGENT
    ),
    "clock_steps": Metric("flowglass_clock_steps_total", _COUNTER, "Steps of the machine's clock.", _AGENT),
    "spool_bytes": Metric("flowglass_spool_bytes", _GAUGE, "Bytes that the spool takes on the disk.", _AGENT),
    "backlog_records": Metric(
        "flowglass_backlog_records", _GAUGE, "Records that wait for a destination; none is told where none waits.", _TO
    ),
    "backlog_bytes": Metric(
        "flowglass_backlog_bytes",
        _GAUGE,
        "Bytes of their segments, which flow logs share, so the sum of destinations may be more than the spool has.",
        _TO,
    ),
    "backlog_oldest_seconds": Metric(
        "flowglass_backlog_oldest_seconds", _GAUGE, "For how long the oldest of them has waited.", _TO
    ),
    "destination_failing": Metric(
        "flowglass_destination_failing", _GAUGE, "1 if the last attempt to deliver them failed, else 0.", _TO
    ),
}
"""Metrics by the name of the number in an agent's report; its agent is their first label."""
