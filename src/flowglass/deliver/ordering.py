"""Records' lines sorted into streams, in order of time within each, and cut into what one call takes.

Rule: the order follows from the records alone: by stream as first met, by time, then as they came. So does where a part
ends and where a batch does; the same records give the same ones again, however they were sliced. Memory follows the
size of a part, and no Python runs for a line.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, Protocol

import numpy as np
import pyarrow as pa
from pyarrow import compute as typed_compute

from flowglass.deliver.rows import Rows
from flowglass.fields.contracts import I64, TrafficType
from flowglass.fields.errors import LogFormatError
from flowglass.format import TextFormat

Array = Any
"""An Arrow array; pyarrow-stubs cannot say of which type one is."""

MAX_BYTES: Final = 32_000_000
"""Of a part's lines, all of which are in memory while they are put in order."""

UNKNOWN_STREAM: Final = "unknown"
"""Stream of records that have neither an interface nor a resource."""

_compute: Any = typed_compute
_TEXT: Final = pa.large_string()  # offsets of 64 bits: a part has no limit of its own


class Arrangement(Protocol):
    """Which stream a record belongs to, and by which time it is put in order there."""

    def streams(self, batch: pa.RecordBatch) -> Array:
        """(n,) name of the stream of each row."""
        ...

    def times(self, batch: pa.RecordBatch) -> I64:
        """(n,) seconds since 1970."""
        ...


@dataclass(frozen=True, slots=True)
class ByInterface:
    """Log events: one stream an interface, `<interface>-<traffic type>`, in order of the records' `start`.

    Source: https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-cwl.html
    """

    traffic_type: TrafficType

    def streams(self, batch: pa.RecordBatch) -> Array:
        """The stream of each row; of its resource where it has no interface."""
        interfaces, resources = (_column(batch, name).cast(pa.string()) for name in ("interface-id", "resource-id"))
        owners: Array = _compute.coalesce(interfaces, resources, pa.scalar(UNKNOWN_STREAM))
        return _compute.binary_join_element_wise(owners, self.traffic_type.value.lower(), "-")

    def times(self, batch: pa.RecordBatch) -> I64:
        """When each row's first packet was seen."""
        times: I64 = _column(batch, "start").to_numpy(zero_copy_only=False).astype(np.int64)
        return times


@dataclass(frozen=True, slots=True)
class AsTheyCame:
    """Records of a delivery stream: one stream, nothing to put in order."""

    stream: str = ""

    def streams(self, batch: pa.RecordBatch) -> Array:
        """The one stream."""
        return pa.repeat(self.stream, batch.num_rows)

    def times(self, batch: pa.RecordBatch) -> I64:
        """No times."""
        return np.zeros(batch.num_rows, np.int64)


class StreamLines(NamedTuple):
    """The lines of one stream, in order.

    `rows`: (k,) their places in the part as they came; `times_s`: (k,) seconds, rising; `lines`: (k,) large strings,
    without a line end.
    """

    stream: str
    rows: I64
    times_s: I64
    lines: Array


@dataclass(slots=True)
class LineIndex:
    """What a part's lines are put in order by. The lines themselves are its owner's: end to end, as they came."""

    _streams: dict[str, int] = field(default_factory=dict)
    _numbers: list[I64] = field(default_factory=list)
    _times: list[I64] = field(default_factory=list)
    _sizes: list[I64] = field(default_factory=list)

    def add(self, streams: Array, times_s: I64, sizes: I64) -> None:
        """Note (k,) lines: the name of each one's stream, its time, and its size in bytes."""
        names = streams.dictionary_encode()
        numbers = [self._streams.setdefault(name, len(self._streams)) for name in names.dictionary.to_pylist()]
        self._numbers.append(np.array(numbers, np.int64)[names.indices.to_numpy()])
        self._times.append(times_s)
        self._sizes.append(sizes)

    def in_order(self, text: bytes | bytearray) -> Iterator[StreamLines]:
        """Each stream with its lines in order; `text`: all lines, end to end."""
        if not self._streams:
            return
        numbers, times, sizes = map(np.concatenate, (self._numbers, self._times, self._sizes))
        offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])
        lines = pa.LargeStringArray.from_buffers(sizes.size, pa.py_buffer(offsets.data), pa.py_buffer(text))
        order = np.lexsort((times, numbers))  # stable: lines of one stream and second stay as they came
        bounds = np.searchsorted(numbers[order], np.arange(len(self._streams) + 1)).tolist()
        for stream, first, last in zip(self._streams, bounds[:-1], bounds[1:], strict=True):
            rows = order[first:last]
            yield StreamLines(stream, rows, times[rows], lines.take(rows))


def bare_lines(lines: bytes) -> tuple[bytes, I64]:
    """Lines without their line ends, end to end, and (k,) the size of each."""
    ends = np.flatnonzero(np.frombuffer(lines, np.uint8) == ord("\n"))
    return lines.replace(b"\n", b""), np.diff(ends, prepend=-1) - 1


def ordered(
    rows: Iterable[Rows], text: TextFormat, arrangement: Arrangement, *, max_bytes: int = MAX_BYTES
) -> Iterator[StreamLines]:
    """The lines of records, part by part, in order within each. A part ends with the line that fills `max_bytes`.

    Raises LogFormatError if a column is missing.
    """
    index, held = LineIndex(), bytearray()
    for batch, chosen in rows:
        streams, times = arrangement.streams(batch), arrangement.times(batch)
        if chosen is not None:
            streams, times = streams.take(chosen), times[chosen]
        row = 0
        for tile in text.tiles(batch, chosen):
            lines, sizes = bare_lines(tile.tobytes())
            offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])
            first = 0
            while first < sizes.size:
                filled = int(np.searchsorted(offsets[1:], offsets[first] + max_bytes - len(held)))
                last = min(filled + 1, sizes.size)
                index.add(streams[row + first : row + last], times[row + first : row + last], sizes[first:last])
                held += lines[offsets[first] : offsets[last]]
                first = last
                if len(held) >= max_bytes:
                    yield from index.in_order(held)
                    index, held = LineIndex(), bytearray()
            row += sizes.size
    yield from index.in_order(held)


def json_lines(lines: Array, times_s: I64 | None = None) -> Array:
    """(k,) `{"message":…}` and a line end, after `"timestamp"` in milliseconds where there are times."""
    head: Array = pa.scalar('{"message":"', _TEXT)
    if times_s is not None:
        texts = pa.array(times_s * 1000).cast(_TEXT)
        head = _compute.binary_join_element_wise(
            pa.scalar('{"timestamp":', _TEXT), texts, pa.scalar(',"message":"', _TEXT), pa.scalar("", _TEXT)
        )
    # A record's line holds no quote and no control character (format/text.py); of what JSON escapes, the backslash is
    # left (RFC 8259 section 7).
    escaped = _compute.replace_substring(lines, "\\", "\\\\")
    return _compute.binary_join_element_wise(head, escaped, pa.scalar('"}\n', _TEXT), pa.scalar("", _TEXT))


def sizes_of(texts: Array) -> I64:
    """(k,) sizes of large strings as UTF-8, in bytes."""
    sizes: I64 = _compute.binary_length(texts).to_numpy()
    return sizes


def joined(texts: Array) -> bytes:
    """Large strings end to end, as UTF-8."""
    _, offsets, data = texts.buffers()
    bounds = np.frombuffer(offsets, np.int64)[texts.offset :][: len(texts) + 1]
    content: bytes = data[bounds[0] : bounds[-1]].to_pybytes()
    return content


def encoded(texts: Array) -> list[bytes]:
    """Large strings as UTF-8."""
    values: list[bytes] = texts.cast(pa.large_binary()).to_pylist()
    return values


def spans(sizes: I64, times_s: I64, *, events: int, size_bytes: int, span_s: int | None = None) -> Iterator[slice]:
    """Which lines go together, in order: as many as stay within `events` and `size_bytes` in all, and are less than
    `span_s` apart. A line that is too large by itself is alone.

    `sizes`: (k,) what each counts for; `times_s`: (k,) rising.
    """
    ends = np.cumsum(sizes)
    first = 0
    while first < ends.size:
        last = min(first + events, int(np.searchsorted(ends, ends[first] - sizes[first] + size_bytes, "right")))
        if span_s is not None:
            last = min(last, int(np.searchsorted(times_s, times_s[first] + span_s, "left")))
        last = max(last, first + 1)
        yield slice(first, last)
        first = last


def _column(batch: pa.RecordBatch, name: str) -> Array:
    index = batch.schema.get_field_index(name)
    if index < 0:
        raise LogFormatError(f"the records have no column {name}; have it computed for log groups")
    return batch.column(index)
