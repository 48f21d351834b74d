"""Kernels of the room: addresses as text, and the merging of rows that observe made equal.

Rule: arrays and numbers in and out; what is allocated belongs to the caller.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from flowglass.fields.contracts import I32, I64, U8, U64, Structured
from flowglass.jit import inlined, kernel

LONGEST_IPV4 = 15
"""Bytes of `255.255.255.255`."""
LONGEST_IPV6 = 39
"""Bytes of eight groups of four hexadecimal digits with seven colons."""

_ZERO = 48  # "0"
_HEX_A = 87  # "a" - 10
_COLON = 58
_OCTETS = np.array([list(f"{octet}.".ljust(4).encode()) for octet in range(256)], np.uint8)
"""(256, 4): the text of an octet with its dot, padded, so that it is written without a branch."""
_OCTET_LENGTHS = np.array([len(f"{octet}.") for octet in range(256)], np.int64)


@inlined
def _ipv4(lo: np.uint64, out: U8, pos: int) -> int:
    """Write the low 32 bits of `lo` as a dotted quad at `pos`; return the position after it."""
    for shift in (24, 16, 8, 0):
        octet = np.int64((lo >> np.uint64(shift)) & np.uint64(0xFF))
        for k in range(4):
            out[pos + k] = _OCTETS[octet, k]
        pos += _OCTET_LENGTHS[octet]
    return pos - 1  # the last dot is no part of the text


@inlined
def _group(hi: np.uint64, lo: np.uint64, k: int) -> np.int64:
    """The 16-bit group `k` (0 is the leftmost of eight) of an address."""
    half = hi if k < 4 else lo
    return np.int64((half >> np.uint64(48 - 16 * (k & 3))) & np.uint64(0xFFFF))


@inlined
def _ipv6(hi: np.uint64, lo: np.uint64, out: U8, pos: int) -> int:
    """Write an address as RFC 5952 section 4 has it at `pos`; return the position after it."""
    best = -1  # first group of the longest run of zeros; the first of equal runs (4.2.3)
    best_length = 1  # a single group of zeros is never shortened (4.2.2)
    run = 0
    for k in range(8):
        run = run + 1 if _group(hi, lo, k) == 0 else 0
        if run > best_length:
            best_length = run
            best = k - run + 1
    k = 0
    while k < 8:
        if k == best:
            out[pos] = _COLON
            out[pos + 1] = _COLON
            pos += 2
            k += best_length
            continue
        if k > 0 and k != best + best_length:
            out[pos] = _COLON
            pos += 1
        group = _group(hi, lo, k)
        started = False
        for shift in (12, 8, 4, 0):
            digit = (group >> shift) & 0xF
            if started or digit != 0 or shift == 0:
                started = True
                out[pos] = digit + (_ZERO if digit < 10 else _HEX_A)
                pos += 1
        k += 1
    return pos


@kernel
def write_addresses(hi: U64, lo: U64, family: U8, offsets: I32, out: U8) -> int:
    """Write addresses as text, one after another, as an Arrow string array keeps them.

    `hi`, `lo`: (n,) halves, IPv4 mapped; `family`: (n,) 4 prints dotted, anything else as IPv6;
    `offsets`: (n + 1,) int32, written; `out`: written, at least LONGEST_IPV4 + 1 bytes a row where every
    row is IPv4, else LONGEST_IPV6 + 1. Returns the bytes used.
    """
    pos = 0
    for i in range(hi.shape[0]):
        offsets[i] = pos
        pos = _ipv4(lo[i], out, pos) if family[i] == 4 else _ipv6(hi[i], lo[i], out, pos)
    offsets[hi.shape[0]] = pos
    return pos


@inlined
def _mixed(state: np.uint64, value: np.uint64) -> np.uint64:
    """Take a word into a hash (the multiply and shift of MurmurHash3's finaliser)."""
    state = (state ^ value) * np.uint64(0xFF51AFD7ED558CCD)
    return state ^ (state >> np.uint64(33))


@inlined
def _hash(flows: Structured, interface: I32, direction: U8, i: int) -> np.uint64:
    """Hash of everything that must be equal for two rows to merge, but family, reason and nat."""
    row = flows[i]
    state = _mixed(np.uint64(0x9E3779B97F4A7C15), row["src_lo"])
    state = _mixed(state, row["dst_lo"])
    state = _mixed(state, row["src_hi"])
    state = _mixed(state, row["dst_hi"])
    ports = (np.uint64(row["sport"]) << np.uint64(16)) | np.uint64(row["dport"])
    kind = (np.uint64(row["protocol"]) << np.uint64(8)) | np.uint64(row["verdict"])
    state = _mixed(state, (ports << np.uint64(16)) | kind)
    return _mixed(state, (np.uint64(interface[i]) << np.uint64(8)) | np.uint64(direction[i]))


@inlined
def _equal(a: Any, b: Any) -> bool:
    """Whether two flows of one interface and direction are one row for it."""
    equal: bool = (
        a["src_lo"] == b["src_lo"]
        and a["dst_lo"] == b["dst_lo"]
        and a["src_hi"] == b["src_hi"]
        and a["dst_hi"] == b["dst_hi"]
        and a["sport"] == b["sport"]
        and a["dport"] == b["dport"]
        and a["protocol"] == b["protocol"]
        and a["family"] == b["family"]
        and a["verdict"] == b["verdict"]
        and a["reason"] == b["reason"]
        and a["nat"] == b["nat"]
    )
    return equal


@inlined
def _add(into: Any, row: Any) -> None:
    """Add a row to the row that stays."""
    into["packets"] += row["packets"]
    into["bytes"] += row["bytes"]
    into["frames"] += row["frames"]
    into["tcp_flags"] |= row["tcp_flags"]
    into["raw_flags"] |= row["raw_flags"]
    if row["first_ns"] < into["first_ns"]:
        into["first_ns"] = row["first_ns"]
        into["icmp"] = row["icmp"]  # the first packet's
    into["last_ns"] = max(into["last_ns"], row["last_ns"])


@kernel
def merge_rows(flows: Structured, interface: I32, direction: U8, table: I32, merged: Structured, heads: I64) -> int:
    """Add every row to the first one that is equal to it.

    `flows`: (k,) FLOW; `interface`: (k,) int32; `direction`: (k,) uint8; `table`: int32 of a power of two of at least
    2 k places, all -1. Written: `merged`: (k,) FLOW, the rows that stay, in order, and `heads`: (k,) int64, where they
    stood. Returns their number.
    """
    mask = np.uint64(table.shape[0] - 1)
    count = 0
    for i in range(flows.shape[0]):
        place = np.int64(_hash(flows, interface, direction, i) & mask)
        while True:
            found = table[place]
            if found < 0:
                table[place] = count
                merged[count] = flows[i]
                heads[count] = i
                count += 1
                break
            head = heads[found]
            if interface[head] == interface[i] and direction[head] == direction[i] and _equal(merged[found], flows[i]):
                _add(merged[found], flows[i])
                break
            place = (place + 1) & np.int64(mask)
    return count
