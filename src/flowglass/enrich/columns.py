"""Arrow arrays made from NumPy arrays in bulk.

Rule: texts that repeat are dictionary arrays (int32 indices); what AWS prints as `-` is null.
"""

from __future__ import annotations

from typing import Any, Final, TypeAlias

import numpy as np
import pyarrow as pa

from flowglass.enrich.kernels import LONGEST_IPV4, LONGEST_IPV6, write_addresses
from flowglass.fields import FieldType
from flowglass.fields.contracts import I32, U8, U64, Bools

Array: TypeAlias = "pa.Array[Any]"
"""A column of records; its type is known by its field only."""

REPEATING: Final = pa.dictionary(pa.int32(), pa.string())
"""The type of texts that repeat."""

_NULL_TYPES: Final[dict[FieldType, pa.DataType]] = {
    FieldType.INT32: pa.int32(),
    FieldType.INT64: pa.int64(),
    FieldType.STRING: REPEATING,
}


def all_null(kind: FieldType, rows: int) -> Array:
    """A column of nulls."""
    null_type: Any = _NULL_TYPES[kind]
    nulls: Array = pa.nulls(rows, null_type)
    return nulls


def texts(codes: I32, values: Array) -> Array:
    """Texts that repeat: `codes` (k,) are rows of `values` (strings without null), negative for null."""
    valid = codes >= 0
    if valid.all():
        return _dictionary(codes, None, values)
    if not valid.any():
        return all_null(FieldType.STRING, len(codes))
    # Under a null stands row 0, so that a reader that looks before it checks reads no foreign memory.
    return _dictionary(np.where(valid, codes, np.int32(0)), _bitmap(valid), values)


def numbers(values: I32, valid: Bools) -> Array:
    """int32 numbers, null where not valid."""
    bitmap = None if valid.all() else _bitmap(valid)
    buffers = [bitmap, _buffer(np.ascontiguousarray(values, np.int32))]
    return pa.Array.from_buffers(pa.int32(), len(values), buffers)


def address_texts(hi: U64, lo: U64, family: U8) -> Array:
    """Addresses as text: dotted where `family` is 4, RFC 5952 elsewhere. All (k,), IPv4 mapped into IPv6."""
    longest = LONGEST_IPV4 if (family == 4).all() else LONGEST_IPV6
    offsets = np.empty(len(hi) + 1, np.int32)
    out = np.empty(len(hi) * (longest + 1), np.uint8)
    used = write_addresses(hi, lo, family, offsets, out)
    # A copy of what was used, so that a column held for long does not hold the room for the longest texts.
    buffers = [None, _buffer(offsets), _buffer(out[:used].copy())]
    return pa.Array.from_buffers(pa.string(), len(hi), buffers)


def _dictionary(codes: I32, bitmap: pa.Buffer | None, values: Array) -> Array:
    buffers = [bitmap, _buffer(np.ascontiguousarray(codes, np.int32))]
    return pa.DictionaryArray.from_buffers(REPEATING, len(codes), buffers, values)


def _bitmap(valid: Bools) -> pa.Buffer:
    return _buffer(np.packbits(valid, bitorder="little"))


def _buffer(array: I32 | U8) -> pa.Buffer:
    readable: Any = array
    return pa.py_buffer(readable)
