"""Records as AWS's plain text: one line a record, cells separated by one blank, `-` for null; gzip around it.

Rule: whatever a cell holds, a line keeps its number of cells. White space, control characters and double
quotes inside a text are percent-encoded as UTF-8, as AWS does with tag values; an empty text prints `-`.
Source: https://docs.aws.amazon.com/vpc/latest/userguide/flow-log-records.html
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Protocol
from urllib.parse import quote

import numpy as np
import pyarrow as pa
from isal import isal_zlib

from flowglass.fields import Column, LogFormat
from flowglass.fields.contracts import I32, I64, U8
from flowglass.fields.errors import LogFormatError
from flowglass.fields.schema import arrow_type
from flowglass.format import kernels
from flowglass.format.arrow import Array, compute
from flowglass.format.file import Writable

TILE_ROWS: Final = 2048
"""Lines printed at a time: about half a megabyte, so that every column finds the lines in the cache."""

GZIP_LEVEL: Final = 1
"""igzip's level. Of 21 fields: 0 gives 24.4 % of the text, 1 20.5 %, 2 20.4 %, 3 20.1 %; 3 takes twice the
time of 1.
"""

_BLANK, _NEWLINE = np.uint8(ord(" ")), np.uint8(ord("\n"))
_PAIRS: Final = kernels.digit_pairs()
_UNSAFE: Final = r"[\x00-\x20\x22\x7f-\xa0\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}]"
"""White space and control characters, which Python, Java or a terminal may take for the end of a cell or a
line, and the double quote, behind which readers of CSV (Python's, DuckDB) look for another one.
"""


def _read_only(array: Any) -> Any:
    """The same array, read-only as Arrow's are, so that kernels are compiled once."""
    view = array.view()
    view.flags.writeable = False
    return view


_NO_BITS: Final[U8] = _read_only(np.empty(0, np.uint8))
_NO_CODES: Final[I32] = _read_only(np.empty(0, np.int32))


@dataclass(frozen=True, slots=True)
class _Texts:
    """m texts: `data` (b,) uint8, `starts` and `ends` (m,) int32 their bounds in it."""

    starts: I32
    ends: I32
    data: U8


class _Cells(Protocol):
    """One column, ready to be printed."""

    def add_widths(self, rows: I64, widths: I64) -> None: ...

    def write(self, rows: I64, separator: np.uint8, out: U8, at: I64) -> None: ...


@dataclass(frozen=True, slots=True)
class _Numbers:
    """A column of integers."""

    values: I32 | I64
    valid: U8
    first_bit: int

    def add_widths(self, rows: I64, widths: I64) -> None:
        """Add the widths of the cells of `rows`."""
        kernels.add_int_widths(self.values, self.valid, self.first_bit, rows, widths)

    def write(self, rows: I64, separator: np.uint8, out: U8, at: I64) -> None:
        """Print the cells of `rows`."""
        kernels.write_ints(self.values, self.valid, self.first_bit, rows, _PAIRS, separator, out, at)


@dataclass(frozen=True, slots=True)
class _Strings:
    """A column of texts; `codes` says which text a row has, empty where row i has text i."""

    texts: _Texts
    codes: I32
    valid: U8
    first_bit: int

    def add_widths(self, rows: I64, widths: I64) -> None:
        """Add the widths of the cells of `rows`."""
        texts = self.texts
        kernels.add_cell_widths(texts.starts, texts.ends, self.codes, self.valid, self.first_bit, rows, widths)

    def write(self, rows: I64, separator: np.uint8, out: U8, at: I64) -> None:
        """Copy the cells of `rows`."""
        texts = self.texts
        kernels.write_cells(
            texts.starts,
            texts.ends,
            texts.data,
            self.codes,
            self.valid,
            self.first_bit,
            rows,
            separator,
            out,
            at,
        )


class TextFormat:
    """Prints record batches in a log format. It keeps buffers between calls: one thread at a time.

    A batch has its columns by `Column.label`: int32, int64 or string as the field table says, or
    dictionary(int32, string), the fast case. Columns in another order or beside these do not matter.
    """

    def __init__(self, log_format: LogFormat) -> None:
        self._columns = log_format.columns
        self._header = (" ".join(log_format.names) + "\n").encode()
        self._out: U8 = np.empty(1 << 20, np.uint8)
        self._widths: I64 = np.empty(TILE_ROWS, np.int64)
        self._at: I64 = np.empty(TILE_ROWS, np.int64)
        self._dictionaries: dict[str, tuple[Array, tuple[int, ...], _Texts]] = {}

    def header(self) -> bytes:
        """The first line of an object: the fields' names as AWS spells them."""
        return self._header

    def lines(self, batch: pa.RecordBatch, rows: I64 | None = None) -> bytes:
        """The lines of `rows` (k,) int64, row numbers of the batch in any order; of all rows if None."""
        return b"".join(tile.tobytes() for tile in self.tiles(batch, rows))

    def tiles(self, batch: pa.RecordBatch, rows: I64 | None = None) -> Iterator[U8]:
        """The same lines in pieces of whole lines; each piece is valid until the next is asked for.

        Raises LogFormatError if the batch lacks a column of the format.
        """
        columns = [self._prepare(batch, column) for column in self._columns]
        if rows is None:
            rows = np.arange(batch.num_rows, dtype=np.int64)
        rows = _read_only(np.ascontiguousarray(rows, np.int64))
        for first in range(0, rows.size, TILE_ROWS):
            yield self._print(columns, rows[first : first + TILE_ROWS])

    def _print(self, columns: list[_Cells], rows: I64) -> U8:
        widths, at = self._widths[: rows.size], self._at[: rows.size]
        widths.fill(len(columns))  # a separator behind every cell
        for column in columns:
            column.add_widths(rows, widths)
        size = int(kernels.line_starts(widths, at))
        if size > self._out.size:
            self._out = np.empty(2 * size, np.uint8)
        for column in columns[:-1]:
            column.write(rows, _BLANK, self._out, at)
        columns[-1].write(rows, _NEWLINE, self._out, at)
        return self._out[:size]

    def _prepare(self, batch: pa.RecordBatch, column: Column) -> _Cells:
        index = batch.schema.get_field_index(column.label)
        if index < 0:
            raise LogFormatError(f"the records have no column {column.label}; have it computed, or leave it out")
        array: Array = batch.column(index)
        if pa.types.is_dictionary(array.type):
            if array.type.index_type != pa.int32() or array.type.value_type != pa.string():
                array = array.cast(pa.dictionary(pa.int32(), pa.string()))
            texts = self._dictionary_texts(column.label, array.dictionary)
            return _Strings(texts, _values(array.indices, np.int32), *_validity(array))
        kind = arrow_type(column.field)
        if array.type != kind:
            array = array.cast(kind)
        if kind == pa.string():
            array = _safe(array)
            return _Strings(_texts(array), _NO_CODES, *_validity(array))
        return _Numbers(_values(array, np.int32 if kind == pa.int32() else np.int64), *_validity(array))

    def _dictionary_texts(self, label: str, dictionary: Array) -> _Texts:
        """The texts of a dictionary, made once as long as batches bring the same one."""
        buffers = dictionary.buffers()
        identity = (dictionary.offset, len(dictionary), *(b.address if b else 0 for b in buffers))
        known = self._dictionaries.get(label)
        if known is None or known[1] != identity:
            # The dictionary is kept, so that its addresses name no other one.
            known = (dictionary, identity, _texts(compute.fill_null(_safe(dictionary), "-")))
            self._dictionaries[label] = known
        return known[2]


class TextFile:
    """One text object: header and lines, gzip with a zero time, so that equal records give equal bytes.

    `file` takes the compressed bytes; it is not closed here.
    """

    def __init__(self, file: Writable, text: TextFormat) -> None:
        self._file = file
        self._text = text
        self._gzip = isal_zlib.compressobj(GZIP_LEVEL, isal_zlib.DEFLATED, 31)
        self._digest = hashlib.sha256()
        self._append(text.header())

    def write(self, batch: pa.RecordBatch, rows: I64 | None = None) -> None:
        """Append the lines of `rows`, as `TextFormat.lines`."""
        for tile in self._text.tiles(batch, rows):
            self._append(tile.data)

    def close(self) -> None:
        """Write what is left."""
        self._file.write(self._gzip.flush())

    def abandon(self) -> None:
        """Write nothing more."""

    def sha256(self) -> str:
        """SHA-256 of the text so far, before compression: equal on every machine, whatever its compressor
        does.
        """
        return self._digest.hexdigest()

    def _append(self, text: bytes | memoryview) -> None:
        self._digest.update(text)
        packed = self._gzip.compress(text)
        if packed:
            self._file.write(packed)


def _safe(array: Array) -> Array:
    """The array with every text that could break a line encoded, and empty texts null."""
    texts = _texts(array)
    low, high = (int(texts.starts[0]), int(texts.ends[-1])) if len(array) else (0, 0)
    if kernels.any_empty(texts.starts, texts.ends):
        array = compute.if_else(compute.equal(compute.binary_length(array), 0), pa.scalar(None, pa.string()), array)
    if not kernels.is_plain(texts.data[low:high]):
        unsafe = compute.fill_null(compute.match_substring_regex(array, _UNSAFE), pa.scalar(value=False))
        encoded = [_encode(text) for text in compute.filter(array, unsafe).to_pylist()]
        array = compute.replace_with_mask(array, unsafe, pa.array(encoded, pa.string()))
    return array


def _encode(text: str) -> str:
    """The text with what is unsafe in it percent-encoded as UTF-8 (RFC 3986 section 2.1)."""
    return "".join(quote(c) if c == '"' or c.isspace() or not c.isprintable() else c for c in text)


def _texts(array: Array) -> _Texts:
    _, offsets, data = array.buffers()
    if offsets is None or offsets.size == 0:
        return _Texts(_NO_CODES, _NO_CODES, _NO_BITS)
    bounds = np.frombuffer(offsets, np.int32)[array.offset : array.offset + len(array) + 1]
    content = np.frombuffer(data, np.uint8) if data is not None and data.size else _NO_BITS
    return _Texts(_read_only(bounds[:-1]), _read_only(bounds[1:]), _read_only(content))


def _values(array: Array, dtype: type[np.int32 | np.int64]) -> Any:
    """The numbers of an Arrow array without a copy: (n,); what stands where it is null means nothing."""
    data = array.buffers()[1]
    if data is None or data.size == 0:
        return _read_only(np.empty(0, dtype))
    return _read_only(np.frombuffer(data, dtype)[array.offset : array.offset + len(array)])


def _validity(array: Array) -> tuple[U8, int]:
    """The bitmap of an Arrow array, empty where nothing is null, and the bit of its first row."""
    if array.null_count == 0:
        return _NO_BITS, 0
    indices = array.indices if pa.types.is_dictionary(array.type) else array
    return _read_only(np.frombuffer(indices.buffers()[0], np.uint8)), indices.offset
