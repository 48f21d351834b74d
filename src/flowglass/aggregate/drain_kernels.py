"""Kernels that take rows out of the flow table, and that build its index anew.

Rule: a window's rows come out in order of first packet; no row is moved. `layout.py` has the arrays.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from flowglass.aggregate.layout import (
    CHUNK_ROWS,
    FLOW_WORDS,
    N_FLOWS,
    N_FREE_CHUNKS,
    N_USED,
    ROW_BITS,
    S_END_ROW,
    S_FIRST_CHUNK,
    S_LAST_CHUNK,
    S_MIXED,
    S_NEXT_ROW,
    S_ROWS,
    TOMB,
)
from flowglass.aggregate.table_kernels import hash_tag, tuple_hash
from flowglass.jit import inlined, kernel

_U32 = np.uint64(32)


@kernel
def take_rows(slot: int, start: int, out: Any, rows: Any, slots: Any, next_chunk: Any) -> None:
    """Copy the FLOWs of a window, from its `start`-th (a multiple of CHUNK_ROWS) on, into out (n, FLOW_WORDS)."""
    chunk = slots[slot, S_FIRST_CHUNK]
    for _ in range(start // CHUNK_ROWS):
        chunk = next_chunk[chunk]
    done = 0
    while done < out.shape[0]:
        base = chunk * CHUNK_ROWS
        for i in range(min(CHUNK_ROWS, out.shape[0] - done)):
            for word in range(FLOW_WORDS):
                out[done + i, word] = rows[base + i, word]
        done += CHUNK_ROWS
        chunk = next_chunk[chunk]


@inlined
def _row_hash(rows: Any, row: int, slot: int) -> Any:
    """The hash that a row was entered under."""
    window = np.uint64(slot) << _U32
    return tuple_hash(rows[row, 0], rows[row, 1], rows[row, 2], rows[row, 3], rows[row, 4] ^ window)


@kernel
def forget_rows(slot: int, rows: Any, index: Any, slots: Any, chunks: Any, next_chunk: Any, state: Any) -> None:
    """Take a drained window's rows out of the index and give its chunks back."""
    left = slots[slot, S_ROWS]
    alone = left == state[N_FLOWS]
    if alone:
        index[:] = 0
        state[N_USED] = 0
    mask = np.uint64(index.shape[0] - 1)
    chunk = slots[slot, S_FIRST_CHUNK]
    state[N_FLOWS] -= left
    while chunk >= 0:
        if not alone:
            for i in range(min(CHUNK_ROWS, left)):
                row = chunk * CHUNK_ROWS + i
                hashed = _row_hash(rows, row, slot)
                at = hashed & mask
                cell = hash_tag(hashed, state[ROW_BITS]) | (row + 1)
                while np.int64(index[at]) != cell:
                    at = (at + np.uint64(1)) & mask
                index[at] = np.uint32(TOMB)
        left -= CHUNK_ROWS
        following = next_chunk[chunk]
        chunks[state[N_FREE_CHUNKS]] = chunk
        state[N_FREE_CHUNKS] += 1
        chunk = following
    slots[slot, S_FIRST_CHUNK] = -1
    slots[slot, S_LAST_CHUNK] = -1
    slots[slot, S_NEXT_ROW] = 0
    slots[slot, S_END_ROW] = 0
    slots[slot, S_ROWS] = 0
    slots[slot, S_MIXED] = 0


@kernel
def rebuild_index(index: Any, rows: Any, slots: Any, open_list: Any, next_chunk: Any, state: Any) -> None:
    """Enter the rows of all open windows into an empty index. Rows are not moved."""
    mask = np.uint64(index.shape[0] - 1)
    for slot in open_list:
        chunk = slots[slot, S_FIRST_CHUNK]
        left = slots[slot, S_ROWS]
        while chunk >= 0 and left > 0:
            for i in range(min(CHUNK_ROWS, left)):
                row = chunk * CHUNK_ROWS + i
                hashed = _row_hash(rows, row, slot)
                at = hashed & mask
                while index[at] != 0:
                    at = (at + np.uint64(1)) & mask
                index[at] = np.uint32(hash_tag(hashed, state[ROW_BITS]) | (row + 1))
            left -= CHUNK_ROWS
            chunk = next_chunk[chunk]
    state[N_USED] = state[N_FLOWS]
