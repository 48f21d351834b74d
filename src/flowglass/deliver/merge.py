"""Windows merged into longer ones: ten of 60 s become the one of a 600 s flow log.

Rule: what a flow is told apart by is `_KEY` and nothing else. Memory is bounded by the rows of a partition, and the
same records give the same ones in the same order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute

from flowglass.deliver.partitions import Array, Partitions, integers, joined
from flowglass.deliver.rows import BASE_WINDOW_S, MERGE_FIELDS, Rows
from flowglass.deliver.temp import TempFile
from flowglass.fields.contracts import I64

_Owner = tuple[Any, ...]
"""(number of the longer window, interface id, resource id)."""

_compute: Any = pa.compute

PARTITION_RECORDS: Final = 500_000
"""About as many are in memory at a time: some 300 MB where records have 21 fields."""

_SLICE_RECORDS: Final = 1 << 16
_OWNER: Final = ("interface-id", "resource-id")
_KEY: Final = (*_OWNER, "log-status", *MERGE_FIELDS)

_SAID: Final = "?windows"
"""A column of our own: a bit for each window that a status row tells of."""

_COMBINED: Final[dict[str, np.ufunc]] = {
    "packets": np.add,
    "bytes": np.add,
    "tcp-flags": np.bitwise_or,
    "x-tcp-flags": np.bitwise_or,
    "start": np.minimum,
    "end": np.maximum,
    _SAID: np.bitwise_or,
}
"""How the values of a flow's windows become one. A field that is not here keeps its newest value."""

_OLDEST: Final = ("x-icmp",)
"""Fields that tell of the first packet."""

_LARGEST_NUMBER: Final = 1 << 63


@dataclass(frozen=True, slots=True)
class Merging:
    """What is merged. `labels`: the columns wanted, BASE_FIELDS among them; `interval_s`: seconds of the longer window;
    `windows`: first seconds of all windows that may have records; `records`: how many come, about.
    """

    labels: Sequence[str]
    interval_s: int
    windows: Iterable[int]
    records: int


def merged(records: Iterable[Rows], merging: Merging, open_temp: Callable[[], TempFile]) -> Iterator[Rows]:
    """The records of the longer windows, in order of their first packet within a partition of the flows.

    Flows: packets and bytes add up, flags are OR-ed, `start` is the first and `end` the last one's, `x-icmp` the
    first one's, everything else the newest one's. Interfaces: their SKIPDATA becomes one; their NODATA becomes one if
    each of the windows says so, else none. Both come last, from the first one's `start` to the last one's `end`.
    This is what recording in windows of `interval_s` gives, but for two things: NODATA goes from the first to the last
    window that there was, not over the whole of the longer one; and a flow that would have several records in it (late
    packets, a full flow table, two capture points that are no interface's own) has one with their sums.
    `open_temp`: makes the files in which partitions wait if there are several. Raises DestinationFull and
    DestinationUnwritable.
    """
    statuses: list[pa.RecordBatch] = []
    talking: set[_Owner] = set()
    with ExitStack() as stack:
        partitions = Partitions(-(-merging.records // PARTITION_RECORDS), open_temp, stack)
        for rows in records:
            batch = rows.batch if rows.chosen is None else rows.batch.take(rows.chosen)
            flows = _compute.equal(batch.column("log-status"), "OK").fill_null(pa.scalar(value=False))
            if flows.true_count < batch.num_rows:
                statuses.append(_plain(batch.filter(_compute.invert(flows))))
                batch = batch.filter(flows)
            if batch.num_rows:
                partitions.add(batch)
        for batch in partitions.batches():
            whole = _merge(batch, merging.labels, merging.interval_s)
            owners = _owners(whole, merging.interval_s)
            talking.update(
                tuple(row.values()) for row in owners.group_by(owners.column_names).aggregate([]).to_pylist()
            )
            for start in range(0, whole.num_rows, _SLICE_RECORDS):
                yield Rows(whole.slice(start, _SLICE_RECORDS))
    if statuses:
        yield Rows(_merge_statuses(joined(statuses), merging, talking))


def _plain(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The batch with texts that are not coded, as the spool's SKIPDATA rows are."""
    return batch.cast(
        pa.schema(
            [
                field.with_type(field.type.value_type) if pa.types.is_dictionary(field.type) else field
                for field in batch.schema
            ]
        )
    )


class _Groups:
    """Rows of a batch that tell of the same flow, or the same status, in one longer window.

    `oldest`, `newest`: (g,) int64, the row of each group's first and last window.
    """

    def __init__(self, batch: pa.RecordBatch, interval_s: int) -> None:
        ends = integers(batch.column("end"))
        number = _numbered([ends // interval_s, *map(_codes, _different([batch.column(name) for name in _KEY]))])
        # The sort is not stable; nothing below depends on the order within a group.
        self._order = np.argsort(number)
        ordered = number[self._order]
        self._first = np.flatnonzero(np.diff(ordered, prepend=-1))
        # A late segment may bring an older window behind a newer one.
        windows = ends // BASE_WINDOW_S
        age = (windows - windows.min()) * ends.size + np.arange(ends.size)
        self.oldest: I64 = self.reduce(np.minimum, age) % ends.size
        self.newest: I64 = self.reduce(np.maximum, age) % ends.size

    def reduce(self, how: np.ufunc, values: I64) -> I64:
        """(g,) one value a group of `values` (n,), one a row."""
        reduced: I64 = how.reduceat(values[self._order], self._first)
        return reduced


def _merge(batch: pa.RecordBatch, labels: Sequence[str], interval_s: int) -> pa.RecordBatch:
    """One row a group, in order of `start`, then of first appearance."""
    groups = _Groups(batch, interval_s)
    starts = groups.reduce(np.minimum, integers(batch.column("start")))
    shown = np.argsort((starts - starts.min()) * batch.num_rows + groups.oldest)
    newest, oldest = pa.array(groups.newest[shown]), pa.array(groups.oldest[shown])
    arrays: list[Array] = []
    for label in labels:
        column: Array = batch.column(label)
        kept = column.take(oldest if label in _OLDEST else newest)
        if label in _COMBINED:
            values = pa.array(groups.reduce(_COMBINED[label], integers(column))[shown])
            kept = _compute.if_else(kept.is_valid(), values.cast(column.type), kept)
        arrays.append(kept)
    return pa.RecordBatch.from_arrays(arrays, names=list(labels))


def _merge_statuses(batch: pa.RecordBatch, merging: Merging, talking: set[_Owner]) -> pa.RecordBatch:
    """What is left of NODATA, and SKIPDATA; `talking` have a flow."""
    interval_s = merging.interval_s
    said = np.int64(1) << integers(batch.column("start")) % interval_s // BASE_WINDOW_S
    whole = _merge(batch.append_column(_SAID, pa.array(said)), (*merging.labels, _SAID), interval_s)
    there: dict[int, int] = {}
    for start_s in merging.windows:
        window, second = divmod(start_s, interval_s)
        there[window] = there.get(window, 0) | 1 << second // BASE_WINDOW_S
    owners = [tuple(row.values()) for row in _owners(whole, interval_s).to_pylist()]
    statuses = whole.column("log-status").to_pylist()
    silent = talking.union(owner for owner, status in zip(owners, statuses, strict=True) if status != "NODATA")
    kept = [
        status != "NODATA" or (owner not in silent and bits == there.get(owner[0]))
        for owner, status, bits in zip(owners, statuses, whole.column(_SAID).to_pylist(), strict=True)
    ]
    return whole.filter(pa.array(kept)).select(list(merging.labels))


def _owners(batch: pa.RecordBatch, interval_s: int) -> pa.Table:
    """Columns of the longer window's number, interface and resource of each row."""
    windows = pa.array(integers(batch.column("end")) // interval_s)
    return pa.table([windows, *(batch.column(name) for name in _OWNER)], names=["window", *_OWNER])


def _numbered(columns: Sequence[I64]) -> I64:
    """(n,) a number a row, equal where all columns are."""
    number, size = np.zeros_like(columns[0]), 1
    for column in columns:
        codes = column - column.min()
        values = int(codes.max()) + 1
        if size * values > _LARGEST_NUMBER:
            encoded: Array = pa.array(number).dictionary_encode()
            number, size = integers(encoded.indices), len(encoded.dictionary)
        number = number * values + codes
        size *= values
    return number


def _different(columns: Iterable[Array]) -> list[Array]:
    """The columns without those that are equal to another one, as addresses in packets often are to the others."""
    different: list[Array] = []
    for column in columns:
        if not any(column.equals(other) for other in different):
            different.append(column)
    return different


def _codes(column: Array) -> I64:
    """(n,) a number a row, equal where the values are; -1 for null."""
    if pa.types.is_integer(column.type):
        return integers(column, null=-1)
    encoded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    # A dictionary may have a text twice.
    return integers(encoded.dictionary.dictionary_encode().indices.take(encoded.indices), null=-1)
