"""Kernels that walk the records of a capture file in a buffer and list the frames they find.

Rule: no byte beyond `stop` is read; a record that cannot be is reported with its place, never guessed around.
Formats: pcap https://www.ietf.org/archive/id/draft-ietf-opsawg-pcap-05.html,
pcapng https://www.ietf.org/archive/id/draft-ietf-opsawg-pcapng-03.html.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from flowglass.jit import inlined, kernel

MAX_CAPTURED = 262_144
"""Largest captured length that libpcap takes for a frame; a longer one is damage."""

# Why a walk stopped.
MORE, FRAMES_FULL, BAD_RECORD, OTHER_BLOCK, NO_INTERFACE = range(5)

# Columns of the interface table of a pcapng section, int64.
I_POINT, I_UNITS, I_BINARY_SHIFT, I_OFFSET_S, I_SNAPLEN = range(5)
INTERFACE_WORDS = 5

ENHANCED, SIMPLE, OLD = 6, 3, 2
_MAX_BLOCK = 16 << 20
_LAST_SECOND = 9_223_372_036
_NO_TIME = np.int64(-1)


@inlined
def _u16(data: Any, at: int, big: bool) -> int:
    if big:
        return (np.int64(data[at]) << 8) | np.int64(data[at + 1])
    return (np.int64(data[at + 1]) << 8) | np.int64(data[at])


@inlined
def _u32(data: Any, at: int, big: bool) -> int:
    if big:
        return (
            (np.int64(data[at]) << 24)
            | (np.int64(data[at + 1]) << 16)
            | (np.int64(data[at + 2]) << 8)
            | np.int64(data[at + 3])
        )
    return (
        (np.int64(data[at + 3]) << 24)
        | (np.int64(data[at + 2]) << 16)
        | (np.int64(data[at + 1]) << 8)
        | np.int64(data[at])
    )


@inlined
def _put(frames: Any, count: int, offset: int, captured: int, wire: int, ts: int, point: int) -> None:
    frames[count]["offset"] = offset
    frames[count]["ts_ns"] = ts
    frames[count]["caplen"] = captured
    frames[count]["wirelen"] = wire
    frames[count]["point"] = point
    frames[count]["vlan"] = 0
    frames[count]["gso_size"] = 0
    frames[count]["direction"] = 0
    frames[count]["verdict"] = 0
    frames[count]["gso_type"] = 0


@kernel
def walk_pcap(
    data: Any, at: int, stop: int, big: bool, fraction_ns: int, point: int, frames: Any
) -> tuple[int, int, int]:
    """List the records of a classic pcap from `at` on: (frames listed, place reached, MORE | FRAMES_FULL | BAD_RECORD).

    `fraction_ns`: 1000 for microsecond files, 1 for nanosecond ones.
    """
    count = 0
    while at + 16 <= stop:
        if count == frames.shape[0]:
            return count, at, FRAMES_FULL
        captured = _u32(data, at + 8, big)
        if captured > MAX_CAPTURED:
            return count, at, BAD_RECORD
        if at + 16 + captured > stop:
            break
        ts = _u32(data, at, big) * 1_000_000_000 + _u32(data, at + 4, big) * fraction_ns
        _put(frames, count, at + 16, captured, _u32(data, at + 12, big), ts, point)
        count += 1
        at += 16 + captured
    return count, at, MORE


@inlined
def _time(units: Any, interfaces: Any, row: int) -> int:
    """Nanoseconds since the epoch of a pcapng timestamp, NO_TIME where it is no time of 1970 to 2262."""
    shift = interfaces[row, I_BINARY_SHIFT]
    if shift >= 0:
        second = units >> np.uint64(shift)
        fraction = units - (second << np.uint64(shift))
        if shift > 32:
            fraction = fraction >> np.uint64(shift - 32)
            shift = 32
        rest = np.int64((fraction * np.uint64(1_000_000_000)) >> np.uint64(shift))
    else:
        a_second = np.uint64(interfaces[row, I_UNITS])
        if a_second == np.uint64(0):
            return _NO_TIME
        second = units // a_second
        fraction = units - second * a_second
        if a_second > np.uint64(1_000_000_000):
            rest = np.int64(fraction // (a_second // np.uint64(1_000_000_000)))
        else:
            rest = np.int64(fraction * (np.uint64(1_000_000_000) // a_second))
    if second > np.uint64(2 * _LAST_SECOND):
        return _NO_TIME
    when = np.int64(second) + interfaces[row, I_OFFSET_S]
    if when < 0 or when >= _LAST_SECOND:
        return _NO_TIME
    return when * 1_000_000_000 + rest


@inlined
def _bpf_verdict(kind: int, value: Any) -> int:
    """Verdict of an epb_verdict option: of Linux tc (kind 1) or XDP (kind 2); anything else is unknown."""
    if kind == 1:
        if value == np.uint64(0):  # TC_ACT_OK
            return 1
        return 2 if value == np.uint64(2) else 0  # TC_ACT_SHOT
    if kind == 2:
        if value == np.uint64(2):  # XDP_PASS
            return 1
        return 2 if value < np.uint64(2) else 0  # XDP_ABORTED, XDP_DROP
    return 0


@inlined
def _packet_options(data: Any, at: int, stop: int, big: bool, frames: Any, count: int) -> None:
    """Direction (epb_flags) and verdict (epb_verdict) of an enhanced packet block; a broken option ends the list."""
    while at + 4 <= stop:
        code = _u16(data, at, big)
        length = _u16(data, at + 2, big)
        body = at + 4
        if code == 0 or body + length > stop:
            return
        if code == 2 and length == 4:
            direction = _u32(data, body, big) & 3
            if direction in (1, 2):
                frames[count]["direction"] = direction
        elif code == 7 and length == 9:
            # The value is a 64-bit number in the section's byte order, behind one byte of kind.
            high, low = _u32(data, body + 5, big), _u32(data, body + 1, big)
            if big:
                high, low = low, high
            value = (np.uint64(high) << np.uint64(32)) | np.uint64(low)
            frames[count]["verdict"] = _bpf_verdict(np.int64(data[body]), value)
        at = body + ((length + 3) & ~3)


@kernel
def walk_pcapng(
    data: Any, at: int, stop: int, big: bool, interfaces: Any, interface_count: int, frames: Any
) -> tuple[int, int, int]:
    """List the packet blocks of a pcapng section from `at` on: (frames listed, place reached, why it stopped).

    OTHER_BLOCK: a block that holds no packet begins there. NO_INTERFACE: a packet names an interface that was not
    described. `interfaces`: (n, INTERFACE_WORDS) int64.
    """
    count = 0
    while at + 12 <= stop:
        if count == frames.shape[0]:
            return count, at, FRAMES_FULL
        kind = _u32(data, at, big)
        if kind not in (ENHANCED, SIMPLE, OLD):
            return count, at, OTHER_BLOCK
        length = _u32(data, at + 4, big)
        if length < 16 or length & 3 or length > _MAX_BLOCK:
            return count, at, BAD_RECORD
        if at + length > stop:
            break
        if _u32(data, at + length - 4, big) != length:
            return count, at, BAD_RECORD
        if kind == SIMPLE:
            if interface_count == 0:
                return count, at, NO_INTERFACE
            wire = _u32(data, at + 8, big)
            captured = min(wire, length - 16)
            if interfaces[0, I_SNAPLEN] > 0:
                captured = min(captured, interfaces[0, I_SNAPLEN])
            if captured > MAX_CAPTURED:
                return count, at, BAD_RECORD
            _put(frames, count, at + 12, captured, wire, _NO_TIME, interfaces[0, I_POINT])
        else:
            if length < 32:
                return count, at, BAD_RECORD
            row = _u32(data, at + 8, big) if kind == ENHANCED else _u16(data, at + 8, big)
            captured = _u32(data, at + 20, big)
            if captured > length - 32 or captured > MAX_CAPTURED:
                return count, at, BAD_RECORD
            if row >= interface_count:
                return count, at, NO_INTERFACE
            units = (np.uint64(_u32(data, at + 12, big)) << np.uint64(32)) | np.uint64(_u32(data, at + 16, big))
            ts = _time(units, interfaces, row)
            _put(frames, count, at + 28, captured, _u32(data, at + 24, big), ts, interfaces[row, I_POINT])
            options = at + 28 + ((captured + 3) & ~3)
            if kind == ENHANCED and options + 4 <= at + length - 4:
                _packet_options(data, options, at + length - 4, big, frames, count)
        count += 1
        at += length
    return count, at, MORE
