"""What is delivered in place of records that are lost: a SKIPDATA record an interface and window.

Rule: it is made of the records themselves while they are written, so nothing but itself is needed later. It has what is
a property of the interface, the window's first and last second, and nothing that came from traffic.
Source: https://docs.aws.amazon.com/vpc/latest/userguide/flow-log-records.html (log-status)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa

from flowglass.deliver.rows import Rows
from flowglass.fields import Column, Origin
from flowglass.fields.contracts import I64, Bools
from flowglass.fields.schema import arrow_type, batch_schema

Array = Any
"""An Arrow array; pyarrow-stubs cannot say of which type one is."""

COMPRESSION: Final = "lz4"
"""Of records in the spool. For records of 21 fields it costs 0.25 us to write and read one, zstd at level 1 0.46 us."""

_MASK: Final = "?"
_KEPT: Final = (Origin.INTERFACE, Origin.FLOWLOG)


def mask_name(flow_log_id: str) -> str:
    """The column that says which rows are a flow log's. No label of a column begins like it."""
    return _MASK + flow_log_id


class SkipRows:
    """Collects the SKIPDATA records of one segment. `columns`: those of its records; `window_s`: of its windows."""

    def __init__(self, columns: Sequence[Column], flow_log_ids: Iterable[str], window_s: int) -> None:
        self._columns = columns
        self._window_s = window_s
        self._batches: list[pa.RecordBatch] = []
        self._numbers: dict[tuple[int, int, str | None], int] = {}  # of records, by window and owner
        self._chosen: dict[str, set[int]] = {flow_log: set() for flow_log in flow_log_ids}

    def add(self, batch: pa.RecordBatch, window_start_s: int, masks: Mapping[str, Bools]) -> None:
        """Take records of one window; `masks` (n,) bool: which rows each flow log has."""
        codes, owners = _owners(batch)
        number_of = self._number(batch, window_start_s, codes, owners)
        for flow_log, mask in masks.items():
            present = np.zeros(len(number_of), np.bool_)
            present[codes[mask]] = True
            self._chosen[flow_log].update(number_of[present].tolist())

    def finish(self) -> tuple[bytes, dict[str, int]]:
        """The records as one small Arrow IPC stream, and how many each flow log has."""
        # The schema is given for a segment that nothing was added to.
        rows = pa.Table.from_batches(self._batches, schema=batch_schema(self._columns)).combine_chunks()
        for flow_log, numbers in self._chosen.items():
            mask = np.zeros(rows.num_rows, np.bool_)
            mask[list(numbers)] = True
            rows = rows.append_column(mask_name(flow_log), pa.array(mask))
        sink = pa.BufferOutputStream()
        options = pa.ipc.IpcWriteOptions(compression=COMPRESSION, use_threads=False)
        with pa.ipc.new_stream(sink, rows.schema, options=options) as writer:
            writer.write_table(rows)
        return sink.getvalue().to_pybytes(), {flow_log: len(numbers) for flow_log, numbers in self._chosen.items()}

    def _number(
        self, batch: pa.RecordBatch, window_start_s: int, codes: I64, owners: Sequence[tuple[int, str | None]]
    ) -> I64:
        """(m,) the number of the SKIPDATA record of each code; those of new owners are made."""
        first = np.full(len(owners), -1, np.int64)
        first[codes[::-1]] = np.arange(len(codes))[::-1]  # what is assigned last stays, so a code's first row does
        number_of = np.full(len(owners), -1, np.int64)
        new: list[int] = []
        for code in np.flatnonzero(first >= 0).tolist():
            key = (window_start_s, *owners[code])
            if key not in self._numbers:
                self._numbers[key] = len(self._numbers)
                new.append(int(first[code]))
            number_of[code] = self._numbers[key]
        if new:
            self._batches.append(self._records(batch.take(pa.array(new, pa.int64())), window_start_s))
        return number_of

    def _records(self, batch: pa.RecordBatch, window_start_s: int) -> pa.RecordBatch:
        filled = {"start": window_start_s, "end": window_start_s + self._window_s - 1, "log-status": "SKIPDATA"}
        arrays: list[Array] = []
        for column in self._columns:
            kind: Any = arrow_type(column.field)
            if column.field.name in filled:
                arrays.append(pa.array([filled[column.field.name]] * batch.num_rows, kind))
            elif column.field.origin in _KEPT:
                arrays.append(batch.column(column.label).cast(kind))
            else:
                arrays.append(pa.nulls(batch.num_rows, kind))
        return pa.RecordBatch.from_arrays(arrays, schema=batch_schema(self._columns))


def skip_rows(stream: bytes, flow_log_id: str, labels: Sequence[str]) -> Iterator[Rows]:
    """A flow log's SKIPDATA records of what `SkipRows.finish` gave, with these columns."""
    with pa.ipc.open_stream(stream) as reader:
        for batch in reader:
            mask: Bools = batch.column(mask_name(flow_log_id)).to_numpy(zero_copy_only=False)
            yield Rows(batch.select(list(labels)), np.flatnonzero(mask))


def _owners(batch: pa.RecordBatch) -> tuple[I64, list[tuple[int, str | None]]]:
    """(n,) code of each row's owner: its interface, else its resource, else nobody; and what each code stands for."""
    interfaces, interface_ids = _codes(batch.column("interface-id"))
    resources, resource_ids = _codes(batch.column("resource-id"))
    nobody = len(resource_ids)
    codes: I64 = np.where(interfaces >= 0, interfaces, len(interface_ids) + np.where(resources >= 0, resources, nobody))
    return codes, [*((0, name) for name in interface_ids), *((1, name) for name in resource_ids), (2, None)]


def _codes(column: Array) -> tuple[I64, list[str | None]]:
    """(n,) row of `values` for each text, -1 for null; and the values."""
    encoded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    indices = encoded.indices.fill_null(-1).to_numpy().astype(np.int64)
    return indices, encoded.dictionary.to_pylist()
