"""Records on their way out, and which columns each flow log needs of them.

Rule: what is needed beside a log format's own columns is listed here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

import pyarrow as pa

from flowglass.fields import FIELDS, Column
from flowglass.fields.contracts import I64, FlowLog

BASE_WINDOW_S: Final = 60
"""Seconds of the windows that are merged for a longer aggregation interval."""

BASE_FIELDS: Final = ("interface-id", "resource-id", "start", "end", "log-status")
"""Fields that every record in the spool has: whose it is, when, and whether it tells of traffic."""

MERGE_FIELDS: Final = (
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
"""Fields that, with the interface, tell flows apart where windows are merged."""


class Rows(NamedTuple):
    """Some records: `chosen` (k,) int64 row numbers of `batch`, all of its rows where None."""

    batch: pa.RecordBatch
    chosen: I64 | None = None


def needed(flow_log: FlowLog) -> tuple[Column, ...]:
    """The columns that the spool must hold for a flow log: its format's, and those of the two lists above."""
    names = BASE_FIELDS + (MERGE_FIELDS if flow_log.interval_s > BASE_WINDOW_S else ())
    columns = {column.label: column for column in flow_log.log_format.columns}
    columns.update((name, Column(FIELDS[name])) for name in names)
    return tuple(columns.values())


def union(flow_logs: Iterable[FlowLog]) -> tuple[Column, ...]:
    """Every column that any of the flow logs needs, once."""
    columns: dict[str, Column] = {}
    for flow_log in flow_logs:
        columns.update((column.label, column) for column in needed(flow_log))
    return tuple(columns.values())
