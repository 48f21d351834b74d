"""Kernels that add frames to the flow table.

Rule: frames are worked in groups, so that the memory of the rows they will touch is fetched ahead and together; what a
frame changes depends on the frames before it only, never on where a group or a block begins. The kernel stops at the
very frame that needs a decision (a window to open or to close, a full table) and says which.
The arrays are described in `layout.py`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from flowglass.aggregate.decode_kernels import decode
from flowglass.aggregate.layout import (
    ADVANCE,
    BYTES,
    CHUNK_ROWS,
    DIRECTION_SHIFT,
    DONE,
    DST_HI,
    DST_LO,
    DST_MAC,
    FULL,
    GROUP,
    GROW,
    HASH,
    LAST_LINK,
    LATEST_NS,
    LINK,
    LINK_INDEX,
    MARKS,
    MAX_FLOWS,
    N_FLOWS,
    N_FREE_CHUNKS,
    N_LINK_OVERFLOW,
    N_LINKS,
    N_USED,
    OPEN,
    OVERFLOW_LINK,
    P_EDGE_NS,
    P_IN_FLOWS,
    P_LAST_NS,
    P_LINK_TYPE,
    P_NO_TIME,
    P_SEEN,
    P_SLOT,
    PACKETS,
    ROW_BITS,
    ROW_WORDS,
    S_END_ROW,
    S_FIRST_CHUNK,
    S_HIGH_NS,
    S_LAST_CHUNK,
    S_LOW_NS,
    S_MIXED,
    S_NEXT_ROW,
    S_ROWS,
    SCRATCH_WORDS,
    SLOT,
    SRC_HI,
    SRC_LO,
    SRC_MAC_VLAN,
    TOMB,
    TS,
    TUPLE,
    W_BYTES,
    W_FIRST,
    W_FRAMES,
    W_KEY,
    W_LAST,
    W_LINK,
    W_MARKS,
    W_PACKETS,
)
from flowglass.intrinsics import prefetch
from flowglass.jit import inlined, kernel

_HASH_MULTIPLIER = np.uint64(0xD6E8FEB86659FD93)
_LOW = np.uint64(0xFFFFFFFF)
_NO_DIRECTION = ~np.uint64(0xFF << DIRECTION_SHIFT)
_TAIL_OF_MARKS = np.uint64(0xFFFF0000_00000000)
_U32 = np.uint64(32)


@inlined
def _mix(value: Any) -> Any:
    value ^= value >> _U32
    value *= _HASH_MULTIPLIER
    value ^= value >> _U32
    return value


@inlined
def tuple_hash(src_hi: Any, src_lo: Any, dst_hi: Any, dst_lo: Any, rest: Any) -> Any:
    """Hash of a tuple: rows that may merge after observe (other link endpoints or direction) have the same one."""
    rest &= _NO_DIRECTION
    return _mix(src_lo ^ _mix(dst_lo ^ _mix(rest ^ (src_hi * np.uint64(31) + dst_hi))))


@inlined
def _link_row(src: Any, dst: Any, links: Any, link_index: Any, state: Any) -> int:
    """Row of the link endpoints in `links` (LINK_ROWS, 2); a full table shares row OVERFLOW_LINK, counted."""
    if src == np.uint64(0) and dst == np.uint64(0):
        return 0
    last = state[LAST_LINK]
    if links[last, 0] == src and links[last, 1] == dst:
        return last
    mask = np.uint64(LINK_INDEX - 1)
    at = _mix(src ^ _mix(dst)) & mask
    while True:
        row = np.int64(link_index[at])
        if row == 0:
            break
        if links[row, 0] == src and links[row, 1] == dst:
            state[LAST_LINK] = row
            return row
        at = (at + np.uint64(1)) & mask
    row = state[N_LINKS]
    if row >= links.shape[0]:
        return OVERFLOW_LINK
    links[row, 0] = src
    links[row, 1] = dst
    link_index[at] = np.uint32(row)
    state[N_LINKS] = row + 1
    state[LAST_LINK] = row
    return row


@inlined
def _slot_of(point: int, ts: int, points: Any, slots: Any, open_slots: Any) -> int:
    """The open window of the point that holds the time, made the current one; -1 none."""
    current = points[point, P_SLOT]
    if current >= 0 and slots[current, S_LOW_NS] <= ts < slots[current, S_HIGH_NS]:
        return current
    for i in range(open_slots.shape[1]):
        slot = open_slots[point, i]
        if slot >= 0 and slots[slot, S_LOW_NS] <= ts < slots[slot, S_HIGH_NS]:
            points[point, P_SLOT] = slot
            return slot
    return -1


@inlined
def hash_tag(hashed: Any, row_bits: int) -> int:
    """The bits of a hash that an index cell has room for, in their place."""
    return (np.int64(hashed >> _U32) << row_bits) & 0xFFFFFFFF


@inlined
def _fetch_row(hashed: Any, rows: Any, index: Any, row_bits: int) -> None:
    """Fetch ahead the row that a hash most likely belongs to."""
    mask = np.uint64(index.shape[0] - 1)
    at = hashed & mask
    tag = hash_tag(hashed, row_bits)
    low = (1 << row_bits) - 1
    while True:
        cell = np.int64(index[at])
        if cell == 0:
            return
        if cell & ~low == tag and cell != TOMB:
            word = ((cell & low) - 1) * ROW_WORDS
            prefetch(rows, word)
            prefetch(rows, word + W_MARKS)
            prefetch(rows, word + W_KEY)
            return
        at = (at + np.uint64(1)) & mask


@inlined
def _new_row(slot: int, rows: Any, slots: Any, chunks: Any, next_chunk: Any, state: Any) -> int:
    """A fresh row of the window; -1 when the table is at its limit."""
    if state[N_FLOWS] >= state[MAX_FLOWS]:
        return -1
    if slots[slot, S_NEXT_ROW] == slots[slot, S_END_ROW]:
        if state[N_FREE_CHUNKS] == 0:
            return -1
        state[N_FREE_CHUNKS] -= 1
        chunk = chunks[state[N_FREE_CHUNKS]]
        next_chunk[chunk] = -1
        if slots[slot, S_LAST_CHUNK] >= 0:
            next_chunk[slots[slot, S_LAST_CHUNK]] = chunk
        else:
            slots[slot, S_FIRST_CHUNK] = chunk
        slots[slot, S_LAST_CHUNK] = chunk
        slots[slot, S_NEXT_ROW] = chunk * CHUNK_ROWS
        slots[slot, S_END_ROW] = chunk * CHUNK_ROWS + CHUNK_ROWS
    row = slots[slot, S_NEXT_ROW]
    slots[slot, S_NEXT_ROW] = row + 1
    slots[slot, S_ROWS] += 1
    state[N_FLOWS] += 1
    return row


@inlined
def _fill_row(rows: Any, at: int, group: Any, base: int, key: Any, point: int) -> None:
    for word in range(5):
        rows[at, word] = group[base + word]
    rows[at, W_LINK] = group[base + LINK]
    rows[at, W_MARKS] = group[base + MARKS] | np.uint64(point)
    rows[at, W_PACKETS] = group[base + PACKETS]
    rows[at, W_BYTES] = group[base + BYTES]
    rows[at, W_FRAMES] = np.uint64(1)
    rows[at, W_FIRST] = group[base + TS]
    rows[at, W_LAST] = group[base + TS]
    rows[at, W_KEY] = key


@inlined
def _add_to_row(rows: Any, at: int, group: Any, base: int) -> None:
    rows[at, W_PACKETS] += group[base + PACKETS]
    rows[at, W_BYTES] += group[base + BYTES]
    rows[at, W_FRAMES] += np.uint64(1)
    rows[at, W_MARKS] |= group[base + MARKS] & _TAIL_OF_MARKS
    ts = np.int64(group[base + TS])
    if ts < np.int64(rows[at, W_FIRST]):
        rows[at, W_FIRST] = group[base + TS]
    if ts > np.int64(rows[at, W_LAST]):
        rows[at, W_LAST] = group[base + TS]


@inlined
def _count(
    group: Any,
    base: int,
    point: int,
    rows: Any,
    index: Any,
    slots: Any,
    chunks: Any,
    next_chunk: Any,
    state: Any,
) -> int:
    """Add one decoded frame to the table; -1 when it needs a row and the table is at its limit."""
    slot = np.int64(group[base + SLOT])
    key = (group[base + SLOT] << _U32) | (group[base + HASH] & _LOW)
    mask = np.uint64(index.shape[0] - 1)
    at = group[base + HASH] & mask
    tag = hash_tag(group[base + HASH], state[ROW_BITS])
    low = (1 << state[ROW_BITS]) - 1
    grave = np.int64(-1)
    mixed = 0
    while True:
        cell = np.int64(index[at])
        if cell == 0:
            break
        if cell == TOMB:
            if grave < 0:
                grave = np.int64(at)
        elif cell & ~low == tag:
            row = (cell & low) - 1
            if (
                rows[row, W_KEY] == key
                and rows[row, 1] == group[base + SRC_LO]
                and rows[row, 3] == group[base + DST_LO]
                and rows[row, 0] == group[base + SRC_HI]
                and rows[row, 2] == group[base + DST_HI]
            ):
                differs = rows[row, 4] ^ group[base + TUPLE]
                if differs == np.uint64(0) and rows[row, W_LINK] == group[base + LINK]:
                    _add_to_row(rows, row, group, base)
                    return 0
                if differs & _NO_DIRECTION == np.uint64(0):
                    mixed = 1
        at = (at + np.uint64(1)) & mask
    row = _new_row(slot, rows, slots, chunks, next_chunk, state)
    if row < 0:
        return -1
    if mixed:
        slots[slot, S_MIXED] = 1
    _fill_row(rows, row, group, base, key, point)
    if grave >= 0:
        index[grave] = np.uint32(tag | (row + 1))
    else:
        index[at] = np.uint32(tag | (row + 1))
        state[N_USED] += 1
    return 0


@kernel
def add_frames(
    data: Any,
    frames: Any,
    begin: int,
    rules: Any,
    rows: Any,
    index: Any,
    points: Any,
    causes: Any,
    slots: Any,
    open_slots: Any,
    chunks: Any,
    next_chunk: Any,
    links: Any,
    link_index: Any,
    state: Any,
    group: Any,
    group_cause: Any,
) -> tuple[int, int]:
    """Add frames from `begin` on. Returns (frames done in all, DONE | ADVANCE | OPEN | FULL | GROW).

    ADVANCE: the next frame's time passes its point's edge; OPEN: it lies in a window that is not open; FULL: it needs
    a row and there is none; GROW: the index is too full to be sure of a place. `group`: (GROUP * SCRATCH_WORDS,) uint64
    and `group_cause`: (GROUP,) int64 are scratch.
    """
    total = frames.shape[0]
    mask = np.uint64(index.shape[0] - 1)
    at = begin
    while at < total:
        if state[N_USED] + GROUP > index.shape[0] // 4 * 3:
            return at, GROW
        size = 0
        stopped = DONE
        while size < GROUP and at + size < total:
            frame = frames[at + size]
            point = np.int64(frame["point"])
            ts = frame["ts_ns"]
            if ts < 0:
                ts = points[point, P_LAST_NS]
                frames[at + size]["ts_ns"] = ts
                points[point, P_NO_TIME] += 1
            moment = min(ts, LATEST_NS)
            if moment >= points[point, P_EDGE_NS]:
                stopped = ADVANCE
                break
            base = size * SCRATCH_WORDS
            cause = decode(data, frame, points[point, P_LINK_TYPE], rules, group, base)
            group_cause[size] = cause
            if cause < 0:
                slot = _slot_of(point, moment, points, slots, open_slots)
                if slot < 0:
                    stopped = OPEN
                    break
                group[base + SLOT] = np.uint64(slot)
                group[base + TS] = np.uint64(ts)
                group[base + LINK] = np.uint64(
                    _link_row(group[base + SRC_MAC_VLAN], group[base + DST_MAC], links, link_index, state)
                )
                group[base + HASH] = tuple_hash(
                    group[base + SRC_HI],
                    group[base + SRC_LO],
                    group[base + DST_HI],
                    group[base + DST_LO],
                    group[base + TUPLE] ^ (group[base + SLOT] << _U32),
                )
                prefetch(index, np.int64(group[base + HASH] & mask))
            points[point, P_LAST_NS] = ts
            size += 1
        for i in range(size):
            if group_cause[i] < 0:
                _fetch_row(group[i * SCRATCH_WORDS + HASH], rows, index, state[ROW_BITS])
        for i in range(size):
            point = np.int64(frames[at + i]["point"])
            if group_cause[i] < 0:
                if _count(group, i * SCRATCH_WORDS, point, rows, index, slots, chunks, next_chunk, state) < 0:
                    return at + i, FULL
                points[point, P_IN_FLOWS] += 1
                if group[i * SCRATCH_WORDS + LINK] == np.uint64(OVERFLOW_LINK):
                    state[N_LINK_OVERFLOW] += 1
            else:
                causes[point, group_cause[i]] += 1
            points[point, P_SEEN] += 1
        at += size
        if stopped != DONE:
            return at, stopped
    return at, DONE
