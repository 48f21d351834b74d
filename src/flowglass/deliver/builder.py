"""Records to delivered objects: sorted into periods of five minutes by their `end`, written, named, put.

Rule: what an object is called follows from its flow log, period, part and content alone, so the same
records find their objects already there. Nothing is kept of a record but in the object's temporary file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pyarrow as pa

from flowglass.deliver.sinks import Sink
from flowglass.deliver.temp import TempFile
from flowglass.fields.contracts import I64, FileFormat, FinishedObject, FlowLog
from flowglass.format import PERIOD_S, ObjectFile, ParquetFile, TextFile, TextFormat, object_key

MAX_BYTES: Final = 75_000_000
"""AWS's cap of one object (the page of 2023 and the one on transit gateways)."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """One object at its destination. `created`: False where the same object was there already."""

    key: str
    records: int
    size_bytes: int
    created: bool


@dataclass(slots=True)
class _Open:
    """An object being written. `content_sha256` names its content once it is closed."""

    temp: TempFile
    file: ObjectFile
    content_sha256: Callable[[], str]
    first_end_s: int
    last_end_s: int
    records: int = 0


@dataclass(slots=True, kw_only=True)
class _Periods:
    """Open objects and the number of the next part, by the first second of their period."""

    open: dict[int, _Open] = field(default_factory=dict)
    parts: dict[int, int] = field(default_factory=dict)


class ObjectBuilder:
    """Builds the objects of one flow log and hands them to a sink.

    `max_bytes`: an object of this size (compressed) is finished and a further part begun; `open_periods`:
    how many periods may be open, which bounds memory; one more finishes the oldest. Records for a period
    that was finished make a further part. `results` has what was delivered, in order.
    After an error call `abort`; the builder is of no use then.
    """

    def __init__(self, flow_log: FlowLog, sink: Sink, *, max_bytes: int = MAX_BYTES, open_periods: int = 4) -> None:
        self.results: list[Delivered] = []
        self._flow_log = flow_log
        self._sink = sink
        self._max_bytes = max_bytes
        self._open_periods = open_periods
        self._text = TextFormat(flow_log.log_format)
        self._periods = _Periods()

    def add(self, batch: pa.RecordBatch, end_s: I64, rows: I64 | None = None) -> None:
        """Append `rows` (k,) int64 of the batch (all if None), in that order within their periods.

        `end_s`: (n,) int64, the second at which each record of the batch ends, whether or not the log
        format has it.
        Raises DestinationUnwritable, DestinationFull, LogFormatError.
        """
        ends = end_s if rows is None else end_s[rows]
        if ends.size == 0:
            return
        periods = ends // PERIOD_S
        low, high = int(periods.min()), int(periods.max())
        if low == high:
            self._append(low * PERIOD_S, batch, ends, rows)
            return
        chosen = np.arange(ends.size, dtype=np.int64) if rows is None else rows
        for period in np.unique(periods).tolist():
            here = periods == period
            self._append(period * PERIOD_S, batch, ends[here], chosen[here])

    def settle(self, before_s: int) -> None:
        """Finish the objects of periods that end at or before this second; raises as `add`."""
        for start_s in sorted(self._periods.open):
            if start_s + PERIOD_S <= before_s:
                self._finish(start_s)

    def close(self) -> list[Delivered]:
        """Finish every object and return all results; raises as `add`."""
        for start_s in sorted(self._periods.open):
            self._finish(start_s)
        return self.results

    def abort(self) -> int:
        """Drop what is open, leaving nothing half-written; return how many records that were."""
        lost = sum(unfinished.records for unfinished in self._periods.open.values())
        for unfinished in self._periods.open.values():
            unfinished.file.abandon()
            unfinished.temp.close()
        self._periods.open.clear()
        return lost

    def _append(self, start_s: int, batch: pa.RecordBatch, ends: I64, rows: I64 | None) -> None:
        current = self._periods.open.get(start_s)
        if current is None:
            if len(self._periods.open) >= self._open_periods:
                self._finish(min(self._periods.open))
            current = self._begin(int(ends[0]))
            self._periods.open[start_s] = current
        # Counted before they are written, so that abort() after a failure counts them as lost.
        current.records += ends.size
        current.first_end_s = min(current.first_end_s, int(ends.min()))
        current.last_end_s = max(current.last_end_s, int(ends.max()))
        current.file.write(batch, rows)
        if current.temp.size_bytes >= self._max_bytes:
            self._finish(start_s)

    def _begin(self, end_s: int) -> _Open:
        temp = self._sink.open_temp()
        try:
            if self._flow_log.file_format is FileFormat.PARQUET:
                parquet = ParquetFile(temp, self._flow_log.log_format, self._flow_log.parquet_codec)
                return _Open(temp, parquet, temp.sha256, end_s, end_s)
            text = TextFile(temp, self._text)
            # Not the compressed bytes, which differ between compressors and their versions.
            return _Open(temp, text, text.sha256, end_s, end_s)
        except BaseException:
            temp.close()
            raise

    def _finish(self, start_s: int) -> None:
        """Name an object by its content, put it, and forget it once that is done."""
        done = self._periods.open[start_s]
        done.file.close()
        part = self._periods.parts.get(start_s, 0)
        named = f"{self._flow_log.id} {start_s} {part} {done.content_sha256()}"
        finished = FinishedObject(
            path=str(done.temp.path),
            key=object_key(self._flow_log, start_s, hashlib.sha256(named.encode()).hexdigest()[:8]),
            sha256=done.temp.sha256(),
            first_end_s=done.first_end_s,
            last_end_s=done.last_end_s,
            records=done.records,
            size_bytes=done.temp.size_bytes,
        )
        created = self._sink.put(finished)
        done.temp.close()
        self._periods.parts[start_s] = part + 1
        del self._periods.open[start_s]
        self.results.append(Delivered(finished.key, finished.records, finished.size_bytes, created))
