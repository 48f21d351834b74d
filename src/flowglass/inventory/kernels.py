"""Kernels of the room: look-ups of many addresses, MAC addresses and times at once.

Rule: arrays in, the caller's array out. Ranges are those of `ranges.py`: each space has at least one, and its
first begins at address 0, so that every address lies in exactly one.
"""

from __future__ import annotations

import numpy as np

from flowglass.fields.contracts import I32, I64, U64, Structured
from flowglass.jit import inlined, kernel

NONE = -1
"""No interface, no service, no route."""
AMBIGUOUS = -2
"""Several VPCs hold the address."""


@inlined
def _range_of(offsets: I64, start_hi: U64, start_lo: U64, space: int, hi: np.uint64, lo: np.uint64) -> np.int64:
    """The range of `space` in which an address lies: the last that does not begin after it."""
    base: np.int64 = offsets[space]
    left = offsets[space + 1] - base
    while left > 1:  # without a branch on the addresses, which no processor can foretell
        half = left >> 1
        middle = base + half
        later = (start_hi[middle] > hi) | ((start_hi[middle] == hi) & (start_lo[middle] > lo))
        base = base if later else middle
        left -= half
    return base


@kernel
def longest_match(
    offsets: I64, start_hi: U64, start_lo: U64, best: I32, space: I32, hi: U64, lo: U64, out: I32
) -> None:
    """Write the value of the longest prefix that holds each address of (k,) into `out`; NONE where none does.

    `space`: (k,) the space to look in, or (1,) the same for all; a negative one has nothing.
    """
    each = len(space) > 1
    for k in range(len(hi)):
        where = space[k] if each else space[0]
        out[k] = best[_range_of(offsets, start_hi, start_lo, where, hi[k], lo[k])] if where >= 0 else NONE


@kernel
def owners_at(
    offsets: I64,
    start_hi: U64,
    start_lo: U64,
    first: I64,
    candidates: Structured,
    space: I32,
    hi: U64,
    lo: U64,
    at_ns: I64,
    out: I32,
) -> None:
    """Write the row that owns each address at its time into `out`: NONE, or AMBIGUOUS between VPCs.

    Those that may own an address of range r are `first[r]` to `first[r + 1]` of `candidates` (CANDIDATE), the
    longest prefix first. `space`: (k,), or (1,) the same for all.
    """
    each = len(space) > 1
    for k in range(len(hi)):
        found = NONE
        found_vpc = NONE
        at = _range_of(offsets, start_hi, start_lo, space[k] if each else space[0], hi[k], lo[k])
        for place in range(first[at], first[at + 1]):
            candidate = candidates[place]
            if candidate["from_ns"] <= at_ns[k] < candidate["until_ns"]:
                if found == NONE:
                    found = candidate["row"]
                    found_vpc = candidate["vpc"]
                elif candidate["vpc"] != found_vpc:
                    found = AMBIGUOUS
                    break
        out[k] = found


@kernel
def owners_in_turn(keys: U64, from_ns: I64, until_ns: I64, row: I32, wanted: U64, at_ns: I64, out: I32) -> None:
    """Write the row that has each wanted key at its time into `out`, NONE where none has.

    `keys`, `from_ns`: sorted by both; owners of one key follow each other without overlap. `wanted`: (k,), or
    (1,) the same for all.
    """
    each = len(wanted) > 1
    for k in range(len(at_ns)):
        key = wanted[k] if each else wanted[0]
        low = 0
        high = len(keys)
        while low < high:
            middle = (low + high) >> 1
            if keys[middle] < key or (keys[middle] == key and from_ns[middle] <= at_ns[k]):
                low = middle + 1
            else:
                high = middle
        place = low - 1
        out[k] = NONE
        if place >= 0 and keys[place] == key and at_ns[k] < until_ns[place]:
            out[k] = row[place]


@kernel
def first_valid(first: I64, rows: I32, from_ns: I64, until_ns: I64, target: I32, at_ns: I64, out: I32) -> None:
    """Write the first row of each target's list that is valid at its time into `out`, NONE where none is.

    The list of target t is `first[t]` to `first[t + 1]` of `rows`; `from_ns`, `until_ns` are by row.
    """
    for k in range(len(target)):
        out[k] = NONE
        if target[k] < 0:
            continue
        for place in range(first[target[k]], first[target[k] + 1]):
            row = rows[place]
            if from_ns[row] <= at_ns[k] < until_ns[row]:
                out[k] = row
                break
