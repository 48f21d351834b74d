"""Kernels that print columns of records as lines of text, one column after the other.

Rule: the cells of a tile are first measured (`add_*_widths`), then every column is written at the place
that each line has reached (`write_*`), which moves that place on. A null prints `-`. Validity is an Arrow
bitmap (least significant bit first, `first_bit` is the bit of row 0); an empty one means that nothing is
null.
"""

from __future__ import annotations

import numpy as np

from flowglass.fields.contracts import I32, I64, U8
from flowglass.intrinsics import copy_bytes
from flowglass.jit import inlined, kernel

DASH = np.uint8(ord("-"))
_ZERO = np.uint8(ord("0"))
_U10, _U100, _U1000, _U10000 = np.uint64(10), np.uint64(100), np.uint64(1000), np.uint64(10_000)
_U0 = np.uint64(0)


@kernel
def is_plain(data: U8) -> bool:
    """Whether no cell of `data` (n,) can break a line: all is printable ASCII, no blank, no double quote."""
    odd = 0
    for i in range(data.size):
        byte = data[i]
        odd += (byte <= 0x20) | (byte == 0x22) | (byte >= 0x7F)
    return odd == 0


@kernel
def any_empty(starts: I32, ends: I32) -> bool:
    """Whether a cell has no character: `starts`, `ends` (n,) int32."""
    empty = 0
    for i in range(starts.size):
        empty += starts[i] == ends[i]
    return empty > 0


@inlined
def _is_null(valid: U8, bit: int) -> bool:
    return valid.size > 0 and (valid[bit >> 3] >> (bit & 7)) & 1 == 0


@inlined
def _digits(value: np.uint64) -> int:
    """Number of decimal digits of a uint64."""
    digits = 1
    while value >= _U10000:
        value = value // _U10000
        digits += 4
    if value >= _U1000:
        return digits + 3
    if value >= _U100:
        return digits + 2
    if value >= _U10:
        return digits + 1
    return digits


@inlined
def _magnitude(number: np.int64) -> np.uint64:
    """|int64| as uint64; also right for -2^63."""
    unsigned = np.uint64(number)
    return _U0 - unsigned if number < 0 else unsigned


@inlined
def _put_pair(out: U8, place: int, pairs: U8, number: np.uint64) -> None:
    """Print a uint64 of 0 to 99 as two digits."""
    pair = 2 * np.int64(number)
    out[place] = pairs[pair]
    out[place + 1] = pairs[pair + 1]


@kernel
def add_int_widths(values: I32 | I64, valid: U8, first_bit: int, rows: I64, widths: I64) -> None:
    """Add to `widths` (k,) the characters of `values[rows]`: `values` (n,) int32 or int64, `rows` (k,)."""
    for i in range(rows.size):
        row = rows[i]
        if _is_null(valid, first_bit + row):
            widths[i] += 1
        else:
            number = np.int64(values[row])
            widths[i] += _digits(_magnitude(number)) + (number < 0)


@kernel
def write_ints(
    values: I32 | I64, valid: U8, first_bit: int, rows: I64, pairs: U8, separator: np.uint8, out: U8, at: I64
) -> None:
    """Print `values[rows]` and `separator` into `out` at `at` (k,) int64, which moves behind them.

    `pairs`: (200,) uint8, the digits of 00 to 99.
    """
    for i in range(rows.size):
        row = rows[i]
        place = at[i]
        if _is_null(valid, first_bit + row):
            out[place] = DASH
            end = place + 1
        else:
            number = np.int64(values[row])
            if number < 0:
                out[place] = DASH
                place += 1
            rest = _magnitude(number)
            end = place + _digits(rest)
            last = end
            while rest >= _U10000:
                quotient = rest // _U10000
                four = rest - quotient * _U10000
                rest = quotient
                last -= 4
                _put_pair(out, last, pairs, four // _U100)
                _put_pair(out, last + 2, pairs, four % _U100)
            if rest >= _U100:
                quotient = rest // _U100
                last -= 2
                _put_pair(out, last, pairs, rest - quotient * _U100)
                rest = quotient
            if rest >= _U10:
                _put_pair(out, last - 2, pairs, rest)
            else:
                out[last - 1] = _ZERO + np.uint8(rest)
        out[end] = separator
        at[i] = end + 1


@kernel
def add_cell_widths(starts: I32, ends: I32, codes: I32, valid: U8, first_bit: int, rows: I64, widths: I64) -> None:
    """Add to `widths` (k,) the bytes of the cells of `rows`.

    `starts`, `ends`: (m,) int32, the bounds of m texts; `codes`: (n,) int32, the text of a row, or empty
    where row i has text i.
    """
    for i in range(rows.size):
        row = rows[i]
        if _is_null(valid, first_bit + row):
            widths[i] += 1
        else:
            text = np.int64(codes[row]) if codes.size > 0 else row
            widths[i] += ends[text] - starts[text]


@kernel
def write_cells(
    starts: I32,
    ends: I32,
    data: U8,
    codes: I32,
    valid: U8,
    first_bit: int,
    rows: I64,
    separator: np.uint8,
    out: U8,
    at: I64,
) -> None:
    """Copy the cells of `rows` and `separator` into `out` at `at`, which moves behind them; as
    `add_cell_widths`.
    """
    for i in range(rows.size):
        row = rows[i]
        place = at[i]
        if _is_null(valid, first_bit + row):
            out[place] = DASH
            place += 1
        else:
            text = np.int64(codes[row]) if codes.size > 0 else row
            start = np.int64(starts[text])
            size = np.int64(ends[text]) - start
            copy_bytes(out, place, data, start, size)
            place += size
        out[place] = separator
        at[i] = place + 1


@kernel
def line_starts(widths: I64, at: I64) -> int:
    """Fill `at` (k,) int64 with where each line starts, given `widths` (k,) int64; return the bytes of all
    lines.
    """
    total = 0
    for i in range(widths.size):
        at[i] = total
        total += widths[i]
    return total


def digit_pairs() -> U8:
    """The table that `write_ints` takes."""
    return np.frombuffer("".join(f"{number:02d}" for number in range(100)).encode(), np.uint8)
