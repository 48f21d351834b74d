"""Records whose lines are as long as a test wants them, for destinations of log events."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pyarrow as pa
from tests.support.records import flow_log

from flowglass.deliver.rows import Rows
from flowglass.fields import LogFormat
from flowglass.fields.contracts import Destination, DestinationType, FlowLog, TrafficType

FORMAT = LogFormat.of(["srcaddr", "packets"])
GROUP = Destination(DestinationType.CLOUD_WATCH_LOGS, "/vpc/flow", account="123456789012", region="eu-west-1")
STREAM = Destination(DestinationType.FIREHOSE, "flows", account="123456789012", region="eu-west-1")

Record = tuple[str, int, str]
"""Interface, start in seconds, and a text that its line has besides its number."""


def event_log(destination: Destination = GROUP, traffic_type: TrafficType = TrafficType.ALL) -> FlowLog:
    return flow_log(FORMAT, destination=destination, traffic_type=traffic_type)


def rows_with(records: Sequence[Record], first: int = 0) -> Rows:
    """A batch of these records, which are numbered from `first`."""
    interfaces, starts, texts = map(list, zip(*records, strict=True)) if records else ([], [], [])
    arrays = {
        "interface-id": pa.array(interfaces, pa.string()).dictionary_encode(),
        "resource-id": pa.nulls(len(records), pa.string()),
        "srcaddr": pa.array(texts, pa.string()),
        "packets": pa.array(range(first, first + len(records)), pa.int64()),
        "start": pa.array(starts, pa.int64()),
        "end": pa.array(starts, pa.int64()),
    }
    return Rows(pa.RecordBatch.from_pydict(arrays))


def sliced(records: Sequence[Record], at: Sequence[int]) -> list[Rows]:
    """The same records in several pieces, cut `at` these places; every second one among others that are not chosen."""
    pieces = []
    bounds = [0, *sorted(at), len(records)]
    for number, (begin, end) in enumerate(pairwise(bounds)):
        if number % 2:
            pieces.append(Rows(rows_with(records).batch, np.arange(begin, end, dtype=np.int64)))
        else:
            pieces.append(rows_with(records[begin:end], begin))
    return pieces


def line_of(number: int, record: Record) -> bytes:
    """The line of a record."""
    return f"{record[2]} {number}".encode()
