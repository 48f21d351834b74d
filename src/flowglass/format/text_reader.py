"""Reading text objects: gzip, zstd or plain, with a header line or in AWS's default format.

Rule: the whole text goes through Arrow's CSV reader; only a block in which that finds something odd is
read again line by line, with exact rules. A line with a wrong number of cells or a bad number is left out
and counted.
"""

from __future__ import annotations

import re
import zlib
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
from isal import igzip
from isal.igzip_lib import IsalError
from pyarrow import csv

from flowglass.fields import DEFAULT_FORMAT, LogFormat
from flowglass.fields.errors import ObjectUnreadable
from flowglass.format.arrow import compute
from flowglass.format.result import ReadResult, is_known, read_schema

_BLOCK_BYTES: Final = 1 << 20
_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_DAMAGE: Final[tuple[Any, ...]] = (EOFError, OSError, zlib.error, IsalError)
_NAME: Final = re.compile(rb"[a-z][a-z0-9_-]*")
_INTEGER: Final = re.compile(rb"-?[0-9]{1,19}")
_RANGE: Final = {pa.int32(): 1 << 31, pa.int64(): 1 << 63}


def read_text(source: bytes | str | Path, log_format: LogFormat | None = None) -> ReadResult:
    """Read a text object, from its bytes or its path.

    The first line names the fields, with hyphens or underscores; unknown ones become columns of text.
    Without such a line the fields are those of `log_format`, or AWS's default ones if the first line looks
    like them (14 cells, the first a number). A header that stands in the file again is passed over, as are
    empty lines.
    Raises ObjectUnreadable if there is no such file, it is cut or damaged, or its fields cannot be told.
    """
    name, data = _load(source)
    if not data or data.isspace():
        raise ObjectUnreadable(f"{name}: it is empty; a flow-log object has at least a header line")
    newline = data.find(b"\n")
    body = newline + 1 if newline >= 0 else len(data)
    cells = _cells(data[:body].rstrip(b"\n"))
    if not _is_header(cells):
        cells, body = _without_header(name, cells, log_format), 0
    columns = [cell.decode() for cell in cells]
    doubled = sorted({column for column in columns if columns.count(column) > 1})
    if doubled:
        raise ObjectUnreadable(f"{name}: its header names {', '.join(doubled)} twice")
    return _read_body(data, body, read_schema(columns), cells)


def _load(source: bytes | str | Path) -> tuple[str, bytes]:
    """The name for messages, and the text without compression."""
    if isinstance(source, bytes):
        name, data = "the object", source
    else:
        name = str(source)
        try:
            data = Path(source).read_bytes()
        except OSError as error:
            raise ObjectUnreadable(f"{name}: {error.strerror}; check the path and its permissions") from error
    try:
        if data.startswith(_GZIP):
            return name, igzip.decompress(data)
        if data.startswith(_ZSTD):
            return name, pa.CompressedInputStream(pa.BufferReader(data), "zstd").read()
    except _DAMAGE as error:
        raise ObjectUnreadable(f"{name}: its compression is cut or damaged ({error}); fetch it again") from error
    return name, data


def _cells(line: bytes) -> list[bytes]:
    """The cells of a line. Published examples have two blanks in places, so runs of blanks separate too."""
    return [cell for cell in line.rstrip(b"\r").split(b" ") if cell]


def _is_header(cells: list[bytes]) -> bool:
    return all(_NAME.fullmatch(cell) for cell in cells) and any(is_known(cell.decode()) for cell in cells)


def _without_header(name: str, cells: list[bytes], log_format: LogFormat | None) -> list[bytes]:
    """The names of the fields of a text whose first line, of these cells, is no header."""
    if log_format is not None:
        return [column.encode() for column in log_format.names]
    if len(cells) == len(DEFAULT_FORMAT.columns) and cells[0][:1].isdigit():
        return [column.encode() for column in DEFAULT_FORMAT.names]
    raise ObjectUnreadable(
        f"{name}: line 1 is neither a header of field names nor a record of AWS's default format; "
        "name its log format, or check that it is a flow-log object"
    )


def _read_body(data: bytes, start: int, schema: pa.Schema, header: list[bytes]) -> ReadResult:
    if start >= len(data):
        return ReadResult(schema.empty_table())
    whole = _read_fast(data, start, len(data), schema, header)
    if whole is not None:
        return ReadResult(whole)
    tables: list[pa.Table] = []
    bad_lines, first_bad = 0, 0
    while start < len(data):
        cut = data.find(b"\n", start + _BLOCK_BYTES)
        end = len(data) if cut < 0 else cut + 1
        table = _read_fast(data, start, end, schema, header)
        if table is None:
            table, bad = _read_careful(data[start:end], schema, header)
            if bad and not first_bad:
                first_bad = data.count(b"\n", 0, start) + 1 + bad[0]
            bad_lines += len(bad)
        tables.append(table)
        start = end
    return ReadResult(pa.concat_tables(tables), bad_lines, first_bad)


def _read_fast(data: bytes, start: int, end: int, schema: pa.Schema, header: list[bytes]) -> pa.Table | None:
    """The records in `data[start:end]`; None if anything there needs a closer look."""
    if _is_odd(data, start, end):
        return None
    source: Any = pa.BufferReader(pa.py_buffer(memoryview(data)[start:end]))
    try:
        table = csv.read_csv(
            source,
            csv.ReadOptions(column_names=schema.names),
            csv.ParseOptions(delimiter=" ", quote_char=False),
            csv.ConvertOptions(
                column_types=schema,
                null_values=["-"],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            ),
        )
    except pa.ArrowInvalid:
        return None
    for column in table.columns:
        if pa.types.is_string(column.type) and compute.min(compute.binary_length(column)).as_py() == 0:
            return None  # two blanks in a row
    texts = all(pa.types.is_string(kind) for kind in schema.types)
    if texts and compute.any(compute.equal(table.column(0), header[0].decode())).as_py():
        return None  # a header among records that have no number, which would give it away
    return table


def _is_odd(data: bytes, start: int, end: int) -> bool:
    """Whether Arrow might read what the rules do not allow: hexadecimal numbers, tabs around numbers, lines
    that end with a lone carriage return.
    """
    # One letter is found ten times faster than two, and mostly is not there.
    for letter in (b"x", b"X"):
        if data.find(letter, start, end) >= 0 and data.find(b"0" + letter, start, end) >= 0:
            return True
    if data.find(b"\r", start, end) >= 0 and data.count(b"\r", start, end) != data.count(b"\r\n", start, end):
        return True
    return data.find(b"\t", start, end) >= 0


def _read_careful(block: bytes, schema: pa.Schema, header: list[bytes]) -> tuple[pa.Table, list[int]]:
    """The records of whole lines, and the numbers of bad ones, counted from 0."""
    rows: list[list[int | str | None]] = []
    bad: list[int] = []
    for number, line in enumerate(block.split(b"\n")):
        cells = _cells(line)
        if not cells or cells == header:
            continue
        try:
            rows.append([_value(cell, kind) for cell, kind in zip(cells, schema.types, strict=True)])
        except ValueError:
            bad.append(number)
    columns = list(zip(*rows, strict=True)) or [()] * len(schema)
    arrays = [pa.array(column, kind) for column, kind in zip(columns, schema.types, strict=True)]
    return pa.Table.from_arrays(arrays, schema=schema), bad


def _value(cell: bytes, kind: pa.DataType) -> int | str | None:
    """A cell as its column's type; ValueError if it is none."""
    if cell == b"-":
        return None
    if kind not in _RANGE:
        return cell.decode()  # raises UnicodeDecodeError, which is a ValueError
    number = int(cell) if _INTEGER.fullmatch(cell) else _RANGE[kind]
    if not -_RANGE[kind] <= number < _RANGE[kind]:
        raise ValueError
    return number
