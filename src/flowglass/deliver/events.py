"""Records to log events and delivery-stream records in the local store: JSON lines, a file a stream and period.

Rule: a part's lines lie in its temporary file as they came, and are put in order (ordering.py) when the part is
finished. So memory follows the size of a part, however many records, streams or seconds it has.
Sources: https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-cwl.html and flow-logs-firehose.html beside it
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa

from flowglass.deliver.local.names import folder_name
from flowglass.deliver.ordering import (
    MAX_BYTES,
    Arrangement,
    AsTheyCame,
    ByInterface,
    LineIndex,
    StreamLines,
    bare_lines,
    joined,
    json_lines,
)
from flowglass.deliver.periods import Delivered, Namer, Part, PeriodBuilder, content_name
from flowglass.deliver.sinks import Sink
from flowglass.deliver.temp import destination_error
from flowglass.fields.contracts import I64, Destination, DestinationType, FinishedObject, FlowLog
from flowglass.format import TextFormat


@dataclass(slots=True, kw_only=True)
class _Events(Part):
    """Lines being collected. `ends`: when the record of each ends."""

    index: LineIndex = field(default_factory=LineIndex)
    ends: list[I64] = field(default_factory=list)


class EventBuilder(PeriodBuilder[_Events]):
    """Writes the records of one flow log into its log group or delivery stream in the local store.

    `sink`: the folder of the group or stream. A batch has the flow log's columns, and `interface-id`, `resource-id`
    and `start` besides. `max_bytes`: the size of a period's lines at which they are put into files and a further part
    is begun. `namer`: as of ObjectBuilder.
    """

    def __init__(
        self,
        flow_log: FlowLog,
        sink: Sink,
        *,
        namer: Namer = content_name,
        max_bytes: int = MAX_BYTES,
        open_periods: int = 4,
    ) -> None:
        super().__init__(max_bytes=max_bytes, open_periods=open_periods)
        self._flow_log = flow_log
        self._sink = sink
        self._namer = namer
        self._text = TextFormat(flow_log.log_format)
        self._arrangement: Arrangement
        match flow_log.destination:
            case Destination(type=DestinationType.CLOUD_WATCH_LOGS):
                self._timed, self._arrangement = True, ByInterface(flow_log.traffic_type)
            case Destination(type=DestinationType.FIREHOSE):
                self._timed, self._arrangement = False, AsTheyCame()
            case _:
                raise ValueError(f"{flow_log.id}: its destination is neither a log group nor a delivery stream")

    def _begin(self, end_s: int) -> _Events:
        return _Events(self._sink.open_temp(), end_s, end_s)

    def _write(self, part: _Events, batch: pa.RecordBatch, ends: I64, rows: I64 | None) -> None:
        streams, times = self._arrangement.streams(batch), self._arrangement.times(batch)
        if rows is not None:
            streams, times = streams.take(rows), times[rows]
        lines, sizes = bare_lines(self._text.lines(batch, rows))
        part.index.add(streams, times, sizes)
        part.ends.append(ends)
        part.temp.write(lines)

    def _deliver(self, part: _Events, start_s: int, number: int) -> Iterator[Delivered]:
        try:
            text = part.temp.path.read_bytes()
        except OSError as error:
            raise destination_error(part.temp.path, error) from error
        ends = np.concatenate(part.ends)
        for stream in part.index.in_order(text):
            yield self._put(stream, ends[stream.rows], start_s, number)

    def _put(self, stream: StreamLines, ends: I64, start_s: int, number: int) -> Delivered:
        """Make the file of one stream. `ends`: (k,) when its records end."""
        content = joined(json_lines(stream.lines, stream.times_s if self._timed else None))
        sha256 = hashlib.sha256(content).hexdigest()
        name = self._namer(self._flow_log, start_s, number, sha256, sha256)
        period = datetime.fromtimestamp(start_s, UTC)
        # Firehose makes a folder an hour.
        folder = folder_name(stream.stream) if self._timed else f"{period:%Y/%m/%d/%H}"
        temp = self._sink.open_temp()
        try:
            temp.write(content)
            finished = FinishedObject(
                path=str(temp.path),
                key=f"{folder}/{period:%Y%m%dT%H%M}Z_{name}.jsonl",
                sha256=sha256,
                first_end_s=int(ends.min()),
                last_end_s=int(ends.max()),
                records=ends.size,
                size_bytes=len(content),
            )
            created = self._sink.put(finished)
        finally:
            temp.close()
        return Delivered(finished.key, finished.records, finished.size_bytes, created)
