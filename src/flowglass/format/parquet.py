"""Records as Parquet objects, both ways, typed by the field table.

Rule: files have underscored names, int32, int64 and strings, all nullable, and nothing that only Arrow
understands.
Sources: https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-s3.html (types),
https://docs.aws.amazon.com/athena/latest/ug/vpc-flow-logs-parquet.html (names).
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from flowglass.fields import LogFormat
from flowglass.fields.contracts import I64, Bools
from flowglass.fields.errors import LogFormatError, ObjectUnreadable, OptionError
from flowglass.fields.schema import object_schema
from flowglass.format.arrow import Array, compute
from flowglass.format.file import Writable
from flowglass.format.result import ReadResult, column_name, is_known, read_schema

ROW_GROUP_ROWS: Final = 1 << 17
"""Rows that are gathered before they are written: small groups cost readers time and space."""

_FORMS: Final[dict[str, dict[str, Any]]] = {
    "zstd": {"compression": "zstd", "version": "2.6", "data_page_version": "2.0"},
    "gzip": {"compression": "gzip", "compression_level": 1, "version": "1.0", "data_page_version": "1.0"},
}
"""Codec to the writer's options. AWS writes gzip; at level 1 it takes a third of the time of zlib's usual
level 6, for 3 % more bytes.
"""

_DICTIONARY: Final = pa.dictionary(pa.int32(), pa.string())
_NULL_TEXTS: Final = pa.array(["-", ""])
_NULL_NUMBERS: Final = pa.array(["-", "", "None", "nan"])
"""What others write for null where a number belongs but the column is text (pandas writes None or nan)."""

_INT32_MIN, _INT32_MAX = -(1 << 31), (1 << 31) - 1
_ACCOUNT_DIGITS = 12


class _Tap(io.RawIOBase):
    """The file as pyarrow sees it. Shut, it takes nothing: pyarrow ends even a file that is given up."""

    def __init__(self, file: Writable) -> None:
        super().__init__()
        self.shut = False
        self._file = file
        self._size = 0

    def writable(self) -> bool:
        """Always."""
        return True

    def write(self, data: Any, /) -> int:
        """Pass on all of `data`."""
        if not self.shut:
            self._file.write(data)
        self._size += len(data)
        return len(data)

    def tell(self) -> int:
        """Bytes taken."""
        return self._size


class ParquetFile:
    """One Parquet object in a log format.

    `file` takes the bytes; it is not closed here. `codec`: "zstd", or "gzip" for AWS's own form. Raises
    OptionError for another one. Batches are as `TextFormat` takes them; a dictionary column is written as it
    is, without being decoded.
    """

    def __init__(self, file: Writable, log_format: LogFormat, codec: str = "zstd") -> None:
        if codec not in _FORMS:
            raise OptionError(f"Parquet codec {codec!r}: choose {' or '.join(_FORMS)}")
        self._tap = _Tap(file)
        self._file = pa.PythonFile(self._tap, "w")
        self._columns = log_format.columns
        self._schema = object_schema(log_format)
        self._codec = codec
        self._writer: pq.ParquetWriter | None = None
        self._waiting: list[pa.RecordBatch] = []
        self._waiting_rows = 0

    def write(self, batch: pa.RecordBatch, rows: I64 | None = None) -> None:
        """Append `rows` (k,) int64, row numbers of the batch; all rows if None."""
        indices = [batch.schema.get_field_index(column.label) for column in self._columns]
        if -1 in indices:
            label = self._columns[indices.index(-1)].label
            raise LogFormatError(f"the records have no column {label}; have it computed, or leave it out")
        arrays: list[Array] = [batch.column(index) for index in indices]
        if rows is not None:
            chosen = pa.array(rows, pa.int64())
            arrays = [array.take(chosen) for array in arrays]
        if self._writer is None:
            self._open([array.type for array in arrays])
        fitted = [_fit(array, kind) for array, kind in zip(arrays, self._schema.types, strict=True)]
        self._waiting.append(pa.RecordBatch.from_arrays(fitted, schema=self._schema))
        self._waiting_rows += len(fitted[0])
        if self._waiting_rows >= ROW_GROUP_ROWS:
            self._flush()

    def close(self) -> None:
        """Write what is left and the footer."""
        self._flush()
        if self._writer is None:
            self._open(self._schema.types)
        if self._writer is not None:
            self._writer.close()

    def abandon(self) -> None:
        """Write nothing more; what was written so far is no Parquet file."""
        self._tap.shut = True
        if self._writer is not None:
            self._writer.close()

    def _open(self, kinds: list[pa.DataType]) -> None:
        """Begin the file. A dictionary of the first batch stays one; in the file all are strings."""
        self._schema = pa.schema(
            [
                field.with_type(_DICTIONARY) if pa.types.is_dictionary(kind) else field
                for field, kind in zip(self._schema, kinds, strict=True)
            ]
        )
        # Statistics of texts would take half of all the time, and no reader finds rows by the least address.
        numbers = [field.name for field in self._schema if pa.types.is_integer(field.type)]
        self._writer = pq.ParquetWriter(
            self._file, self._schema, store_schema=False, write_statistics=numbers, **_FORMS[self._codec]
        )

    def _flush(self) -> None:
        if self._waiting_rows and self._writer is not None:
            table = pa.Table.from_batches(self._waiting, self._schema).unify_dictionaries()
            self._writer.write_table(table, row_group_size=self._waiting_rows)
        self._waiting = []
        self._waiting_rows = 0


def _fit(array: Array, kind: pa.DataType) -> Array:
    """The array in a column's type. Only a change between batches, or an odd type, costs anything."""
    if array.type == kind:
        return array
    if pa.types.is_dictionary(kind) and not pa.types.is_dictionary(array.type):
        return array.cast(pa.string()).dictionary_encode()
    return array.cast(kind)


def read_parquet(path: str | Path) -> ReadResult:
    """Read a Parquet object by the field table; unknown columns are kept as they are.

    Files of others come with other types: they are cast. `-` and what pandas writes for null in text are
    null. A row with a text that is no number where one belongs is left out and counted.
    Raises ObjectUnreadable if there is no such file, it is no Parquet file, or a column cannot be cast.
    """
    try:
        with pq.ParquetFile(path) as file:
            table = file.read()
    except (OSError, pa.ArrowInvalid) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise ObjectUnreadable(f"{path}: it cannot be read as Parquet ({reason})") from error
    arrays: list[Array] = []
    bad = np.zeros(table.num_rows, np.bool_)
    names = [column_name(name) for name in table.column_names]
    for name, column, field in zip(names, table.columns, read_schema(names), strict=True):
        try:
            arrays.append(_typed(column, field, bad) if is_known(name) else column)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise ObjectUnreadable(f"{path}: column {name} is {column.type}, not {field.type}") from error
    result = pa.Table.from_arrays(arrays, names=names)
    if not bad.any():
        return ReadResult(result)
    return ReadResult(result.filter(pa.array(~bad)), int(bad.sum()), int(bad.argmax()) + 1)


def _typed(column: Array, field: pa.Field[Any], bad: Bools) -> Array:
    """The column as the field table types it; rows whose value does not fit are marked in `bad` (n,)."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_large_string(column.type) or pa.types.is_string_view(column.type):
        column = column.cast(pa.string())
    texts = pa.types.is_string(column.type)
    if field.type == pa.string():
        if texts:
            return _without(column, compute.is_in(column, _NULL_TEXTS))
        column = column.cast(pa.string())
        # Read as a number, an account id has lost its leading zeros.
        return compute.utf8_lpad(column, _ACCOUNT_DIGITS, "0") if field.name == "account_id" else column
    if texts:
        column = _without(column, compute.is_in(column, _NULL_NUMBERS))
        odd = compute.invert(compute.match_substring_regex(column, "^-?[0-9]{1,18}$"))
        column = _mark(column, odd, bad).cast(pa.int64())
    if field.type == pa.int32():
        column = column.cast(pa.int64())
        odd = compute.or_(compute.less(column, _INT32_MIN), compute.greater(column, _INT32_MAX))
        column = _mark(column, odd, bad)
    return column.cast(field.type)


def _mark(column: Array, odd: Array, bad: Bools) -> Array:
    """Mark the rows of odd values, and take these out of the column."""
    odd = compute.fill_null(odd, pa.scalar(value=False))
    bad |= odd.to_numpy()
    return _without(column, odd)


def _without(column: Array, odd: Array) -> Array:
    return compute.if_else(odd, pa.scalar(None, column.type), column)
