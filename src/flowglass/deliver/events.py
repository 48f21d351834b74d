"""Records to log events and delivery-stream records in the local store: JSON lines, a file a stream and period.

Rule: records lie in a part's temporary file as finished lines; of a run, the lines of one stream and one time, only
its place is kept. So memory follows the size of a part, however many records, streams or seconds it has.
Sources: https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-cwl.html and flow-logs-firehose.html beside it
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute

from flowglass.deliver.local.names import folder_name
from flowglass.deliver.local.store import LocalStore
from flowglass.deliver.periods import Delivered, Part, PeriodBuilder, content_name
from flowglass.deliver.sinks import Sink
from flowglass.deliver.temp import destination_error
from flowglass.fields.contracts import I64, Destination, DestinationType, FinishedObject, FlowLog, Structured
from flowglass.fields.errors import LogFormatError
from flowglass.format import TextFormat

Array = Any
"""An Arrow array; pyarrow-stubs cannot say of which type one is."""

MAX_BYTES: Final = 32_000_000
"""Of a part's lines, all of which are in memory while they are put in order."""

UNKNOWN_STREAM: Final = "unknown"
"""Stream of records that have neither an interface nor a resource."""

_RUN: Final = np.dtype(
    [
        ("stream", np.int64),  # number of the stream in its part
        ("time_s", np.int64),  # of its events
        ("offset", np.int64),  # in the part's temporary file
        ("size_bytes", np.int64),
        ("records", np.int64),
        ("first_end_s", np.int64),
        ("last_end_s", np.int64),
    ]
)
"""Lines of one stream and one time that lie together in a part's temporary file."""


@dataclass(slots=True, kw_only=True)
class _Events(Part):
    """Lines being collected. `runs`: arrays of _RUN; `streams`: numbers by name."""

    runs: list[Structured] = field(default_factory=list)
    streams: dict[str, int] = field(default_factory=dict)


class _Form(Protocol):
    """What tells log events and records of a delivery stream apart."""

    def streams(self, batch: pa.RecordBatch) -> Array:
        """(n,) name of the stream of each row."""
        ...

    def times(self, batch: pa.RecordBatch) -> I64:
        """(n,) the second by which each row is put in order within its stream's file."""
        ...

    def head(self, time_s: int) -> bytes:
        """What stands before a record's text in its line."""
        ...

    def folder(self, stream: str, start_s: int) -> str:
        """Where the files of a stream and period go."""
        ...


@dataclass(frozen=True, slots=True)
class _LogEvents:
    """One stream an interface, `<interface>-<traffic type>`; an event's time is its record's `start`."""

    traffic_type: str

    def streams(self, batch: pa.RecordBatch) -> Array:
        interfaces, resources = (_column(batch, name).cast(pa.string()) for name in ("interface-id", "resource-id"))
        owners: Array = pa.compute.coalesce(interfaces, resources, pa.scalar(UNKNOWN_STREAM))
        return pa.compute.binary_join_element_wise(owners, self.traffic_type, "-")

    def times(self, batch: pa.RecordBatch) -> I64:
        times: I64 = _column(batch, "start").to_numpy(zero_copy_only=False).astype(np.int64)
        return times

    def head(self, time_s: int) -> bytes:
        return b'{"timestamp":%d,"message":"' % (time_s * 1000)

    def folder(self, stream: str, _start_s: int) -> str:
        return folder_name(stream)


@dataclass(frozen=True, slots=True)
class _StreamRecords:
    """One file a period, in the order in which records came, in a folder an hour as Firehose makes them."""

    name: str

    def streams(self, batch: pa.RecordBatch) -> Array:
        return pa.repeat(self.name, batch.num_rows)

    def times(self, batch: pa.RecordBatch) -> I64:
        return np.zeros(batch.num_rows, np.int64)

    def head(self, _time_s: int) -> bytes:
        return b'{"message":"'

    def folder(self, _stream: str, start_s: int) -> str:
        return f"{datetime.fromtimestamp(start_s, UTC):%Y/%m/%d/%H}"


class EventBuilder(PeriodBuilder[_Events]):
    """Writes the records of one flow log into its log group or delivery stream in the local store.

    A batch has the flow log's columns, and `interface-id`, `resource-id` and `start` besides. `max_bytes`: the size
    of a period's lines at which they are put into files and a further part is begun.
    """

    def __init__(
        self, flow_log: FlowLog, store: LocalStore, *, max_bytes: int = MAX_BYTES, open_periods: int = 4
    ) -> None:
        super().__init__(max_bytes=max_bytes, open_periods=open_periods)
        self._flow_log = flow_log
        self._text = TextFormat(flow_log.log_format)
        self._sink, self._form = _target(flow_log, store)

    def _begin(self, end_s: int) -> _Events:
        return _Events(self._sink.open_temp(), end_s, end_s)

    def _write(self, part: _Events, batch: pa.RecordBatch, ends: I64, rows: I64 | None) -> None:
        chosen = np.arange(batch.num_rows, dtype=np.int64) if rows is None else rows
        numbers = _numbers(part.streams, self._form.streams(batch).take(chosen))
        times = self._form.times(batch)[chosen]
        order = np.lexsort((times, numbers))  # stable: records of one stream and second stay in order
        numbers, times, ends = numbers[order], times[order], ends[order]
        lines = self._text.lines(batch, chosen[order])
        first = np.flatnonzero(np.diff(numbers, prepend=-1) | np.diff(times, prepend=times[0]))
        runs = np.zeros(first.size, _RUN)
        runs["stream"], runs["time_s"] = numbers[first], times[first]
        runs["records"] = np.diff(first, append=ends.size)
        runs["first_end_s"], runs["last_end_s"] = np.minimum.reduceat(ends, first), np.maximum.reduceat(ends, first)
        texts = list(self._json(lines, runs))
        runs["size_bytes"] = [len(text) for text in texts]
        runs["offset"] = part.temp.size_bytes + np.cumsum(runs["size_bytes"]) - runs["size_bytes"]
        part.temp.write(b"".join(texts))
        part.runs.append(runs)

    def _json(self, lines: bytes, runs: Structured) -> Iterator[bytes]:
        """The JSON lines of each run; `lines` are the records' own, in the same order."""
        # A record's line holds no quote and no control character (format/text.py); of what JSON escapes, the
        # backslash is left (RFC 8259 section 7).
        lines = lines.replace(b"\\", b"\\\\")
        line_ends = np.flatnonzero(np.frombuffer(lines, np.uint8) == ord("\n"))
        begin = 0
        for end, time_s in zip(
            line_ends[np.cumsum(runs["records"]) - 1].tolist(), runs["time_s"].tolist(), strict=True
        ):
            head = self._form.head(time_s)
            yield head + lines[begin:end].replace(b"\n", b'"}\n' + head) + b'"}\n'
            begin = end + 1

    def _deliver(self, part: _Events, start_s: int, number: int) -> Iterator[Delivered]:
        try:
            lines = part.temp.path.read_bytes()
        except OSError as error:
            raise destination_error(part.temp.path, error) from error
        runs = np.concatenate(part.runs)
        runs = runs[np.lexsort((runs["time_s"], runs["stream"]))]
        bounds = np.searchsorted(runs["stream"], np.arange(len(part.streams) + 1)).tolist()
        for stream, first, last in zip(part.streams, bounds[:-1], bounds[1:], strict=True):
            yield self._put(stream, lines, runs[first:last], start_s, number)

    def _put(self, stream: str, lines: bytes, runs: Structured, start_s: int, number: int) -> Delivered:
        """Make the file of one stream from its runs, in order."""
        places = zip(runs["offset"].tolist(), runs["size_bytes"].tolist(), strict=True)
        content = b"".join(lines[offset : offset + size] for offset, size in places)
        sha256 = hashlib.sha256(content).hexdigest()
        name = content_name(self._flow_log, start_s, number, sha256)
        period = datetime.fromtimestamp(start_s, UTC)
        temp = self._sink.open_temp()
        try:
            temp.write(content)
            finished = FinishedObject(
                path=str(temp.path),
                key=f"{self._form.folder(stream, start_s)}/{period:%Y%m%dT%H%M}Z_{name}.jsonl",
                sha256=sha256,
                first_end_s=int(runs["first_end_s"].min()),
                last_end_s=int(runs["last_end_s"].max()),
                records=int(runs["records"].sum()),
                size_bytes=len(content),
            )
            created = self._sink.put(finished)
        finally:
            temp.close()
        return Delivered(finished.key, finished.records, finished.size_bytes, created)


def _target(flow_log: FlowLog, store: LocalStore) -> tuple[Sink, _Form]:
    match flow_log.destination:
        case Destination(type=DestinationType.CLOUD_WATCH_LOGS, name=name):
            return store.log_group(name), _LogEvents(flow_log.traffic_type.value.lower())
        case Destination(type=DestinationType.FIREHOSE, name=name):
            return store.delivery_stream(name), _StreamRecords(name)
    raise ValueError(f"{flow_log.id}: its destination is neither a log group nor a delivery stream")


def _numbers(known: dict[str, int], names: Array) -> I64:
    """(k,) numbers of streams by name; names that are new get the next ones."""
    encoded = names.dictionary_encode()
    numbers = [known.setdefault(name, len(known)) for name in encoded.dictionary.to_pylist()]
    result: I64 = np.array(numbers, np.int64)[encoded.indices.to_numpy()]
    return result


def _column(batch: pa.RecordBatch, name: str) -> Array:
    index = batch.schema.get_field_index(name)
    if index < 0:
        raise LogFormatError(f"the records have no column {name}; have it computed for log groups")
    return batch.column(index)
