"""Kernels that read IP headers, extension headers and the ports, flags and types behind them.

Rule: every read is behind a check against the captured end; what is found goes into one scratch row.
IPv4 RFC 791, IPv6 RFC 8200, jumbograms RFC 2675, TCP RFC 9293.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from flowglass.aggregate.layout import (
    BYTES,
    DPORT_SHIFT,
    DST_HI,
    DST_LO,
    FAMILY_SHIFT,
    FLAGS_SHIFT,
    ICMP_SHIFT,
    MARKS,
    PACKETS,
    PROTOCOL_SHIFT,
    RAW_FLAGS_SHIFT,
    SRC_HI,
    SRC_LO,
    TUPLE,
)
from flowglass.aggregate.link_kernels import be16, be32, be64
from flowglass.fields.contracts import IPV4_MAPPED, NotRecorded
from flowglass.jit import inlined, kernel

_IP_CUT = int(NotRecorded.IP_CUT)
_IP_BROKEN = int(NotRecorded.IP_BROKEN)
_EXTENSION_BROKEN = int(NotRecorded.EXTENSION_BROKEN)
_U0 = np.uint64(0)
_MAPPED = np.uint64(IPV4_MAPPED)


@inlined
def transport(data: Any, at: int, end: int, protocol: int, row: Any, base: int) -> int:
    """Ports, flags, ICMP type: fills TUPLE's ports and MARKS; returns the length of the transport header."""
    row[base + MARKS] = _U0
    if protocol in (6, 17, 132, 136, 33):
        if at + 4 <= end:
            row[base + TUPLE] |= np.uint64(be16(data, at)) | (np.uint64(be16(data, at + 2)) << np.uint64(DPORT_SHIFT))
        if protocol != 6:
            return 8
        if at + 14 <= end:
            raw = np.uint64(data[at + 13])
            flags = raw & np.uint64(7)
            if raw & np.uint64(0x12) == np.uint64(0x12):
                flags |= np.uint64(16)
            row[base + MARKS] = (flags << np.uint64(FLAGS_SHIFT)) | (raw << np.uint64(RAW_FLAGS_SHIFT))
            return np.int64(data[at + 12] >> 4) * 4
        return 20
    if protocol in (1, 58) and at + 2 <= end:
        row[base + MARKS] = np.uint64(be16(data, at)) << np.uint64(ICMP_SHIFT)
    return 0


@inlined
def ipv4(data: Any, at: int, end: int, wire: int, row: Any, base: int) -> tuple[int, int]:
    """(cause or -1, length of all headers): `wire` bytes were on the wire from `at` on."""
    if at + 20 > end:
        return _IP_CUT, 0
    if data[at] >> 4 != 4:
        return _IP_BROKEN, 0
    header = np.int64(data[at] & 15) * 4
    length = be16(data, at + 2)
    if header < 20 or (length != 0 and length < header):
        return _IP_BROKEN, 0
    if at + header > end:
        return _IP_CUT, 0
    if length == 0:  # segmentation offload, BIG TCP
        length = max(wire, header)
    protocol = np.int64(data[at + 9])
    row[base + SRC_HI] = _U0
    row[base + SRC_LO] = _MAPPED | be32(data, at + 12)
    row[base + DST_HI] = _U0
    row[base + DST_LO] = _MAPPED | be32(data, at + 16)
    row[base + TUPLE] = (np.uint64(protocol) << np.uint64(PROTOCOL_SHIFT)) | np.uint64(4 << FAMILY_SHIFT)
    row[base + BYTES] = np.uint64(length)
    if be16(data, at + 6) & 0x1FFF:
        row[base + MARKS] = _U0
        return -1, header
    return -1, header + transport(data, at + header, min(end, at + length), protocol, row, base)


@kernel
def _jumbo_length(data: Any, at: int, stop: int) -> int:
    """Jumbo payload length of a hop-by-hop header between `at` and `stop` (RFC 2675), 0 for none."""
    option = at + 2
    while option + 2 <= stop:
        kind = data[option]
        if kind == 0:
            option += 1
            continue
        if kind == 0xC2 and data[option + 1] == 4 and option + 6 <= stop:
            return np.int64(be32(data, option + 2))
        option += 2 + np.int64(data[option + 1])
    return 0


@kernel
def ipv6(data: Any, at: int, end: int, wire: int, row: Any, base: int) -> tuple[int, int]:
    """(cause or -1, length of all headers): `wire` bytes were on the wire from `at` on."""
    if at + 40 > end:
        return _IP_CUT, 0
    if data[at] >> 4 != 6:
        return _IP_BROKEN, 0
    payload = be16(data, at + 4)
    length = 40 + payload
    if payload == 0 and data[at + 6] != 59:  # offloaded, or a jumbogram; 59: there is nothing behind the header
        length = max(wire, 40)
    protocol = np.int64(data[at + 6])
    header = at + 40
    later_fragment = False
    while protocol in (0, 43, 44, 60):
        if header + 8 > end:
            return _EXTENSION_BROKEN, 0
        size = 8
        if protocol == 44:
            later_fragment = be16(data, header + 2) & 0xFFF8 != 0
        else:
            size = (np.int64(data[header + 1]) + 1) * 8
            if header + size > end:
                return _EXTENSION_BROKEN, 0
            if protocol == 0 and payload == 0:
                jumbo = _jumbo_length(data, header, header + size)
                if jumbo:
                    length = 40 + jumbo
        protocol = np.int64(data[header])
        header += size
        if later_fragment:
            break
    row[base + SRC_HI] = be64(data, at + 8)
    row[base + SRC_LO] = be64(data, at + 16)
    row[base + DST_HI] = be64(data, at + 24)
    row[base + DST_LO] = be64(data, at + 32)
    row[base + TUPLE] = (np.uint64(protocol) << np.uint64(PROTOCOL_SHIFT)) | np.uint64(6 << FAMILY_SHIFT)
    row[base + BYTES] = np.uint64(length)
    if later_fragment:
        row[base + MARKS] = _U0
        return -1, header - at
    return -1, header - at + transport(data, header, min(end, at + length), protocol, row, base)


@inlined
def segments(row: Any, base: int, headers: int, gso_size: int) -> None:
    """Count an offloaded frame as the packets that went over the wire: each segment repeats the headers."""
    payload = np.int64(row[base + BYTES]) - headers
    if gso_size > 0 and payload > gso_size:
        count = (payload + gso_size - 1) // gso_size
        row[base + PACKETS] = np.uint64(count)
        row[base + BYTES] += np.uint64((count - 1) * headers)
