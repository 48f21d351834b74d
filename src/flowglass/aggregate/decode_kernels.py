"""Kernels that decode one frame: link layer, IP, transport; what they find goes into one row of scratch.

Rule: every read is behind a check against the captured end; a frame is decoded, or its NotRecorded cause is returned,
never an exception. Numbers are RFC and IANA ones: IPv4 RFC 791, IPv6 RFC 8200, jumbograms RFC 2675, MPLS RFC 3032,
PPPoE RFC 2516, PPP RFC 1661, link types https://www.tcpdump.org/linktypes.html.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from flowglass.fields.contracts import IPV4_MAPPED, NotRecorded
from flowglass.jit import inlined, kernel

# Columns of a scratch row. The first five are the words of FLOW that make up the tuple.
SRC_HI, SRC_LO, DST_HI, DST_LO, TUPLE, SRC_MAC_VLAN, DST_MAC, MARKS, BYTES, PACKETS, TS, SLOT, LINK, HASH = range(14)
SCRATCH_WORDS = 14

# Shifts inside FLOW's words, as its dtype lays them out on a little-endian machine.
DPORT_SHIFT, PROTOCOL_SHIFT, FAMILY_SHIFT, DIRECTION_SHIFT, VERDICT_SHIFT = 16, 32, 40, 48, 56
ICMP_SHIFT, FLAGS_SHIFT, RAW_FLAGS_SHIFT = 32, 48, 56

_LINK_TYPE = int(NotRecorded.LINK_TYPE)
_LINK_HEADER = int(NotRecorded.LINK_HEADER)
_ARP = int(NotRecorded.ARP)
_NOT_IP = int(NotRecorded.NOT_IP)
_IP_CUT = int(NotRecorded.IP_CUT)
_IP_BROKEN = int(NotRecorded.IP_BROKEN)
_EXTENSION_BROKEN = int(NotRecorded.EXTENSION_BROKEN)

_MAPPED = np.uint64(IPV4_MAPPED)
_U0, _U8, _U16, _U32 = np.uint64(0), np.uint64(8), np.uint64(16), np.uint64(32)
_IPV4, _IPV6 = 0x0800, 0x86DD
_MPLS_UNICAST = 0x8847

LINKTYPE_NULL, LINKTYPE_ETHERNET, LINKTYPE_PPP, LINKTYPE_PPP_HDLC, LINKTYPE_PPP_ETHER = 0, 1, 9, 50, 51
LINKTYPE_C_HDLC, LINKTYPE_LOOP, LINKTYPE_SLL, LINKTYPE_NFLOG, LINKTYPE_SLL2 = 104, 108, 113, 239, 276
LINKTYPE_RAW, LINKTYPE_RAW_BSD, LINKTYPE_RAW_OPENBSD, LINKTYPE_IPV4, LINKTYPE_IPV6 = 101, 12, 14, 228, 229


@inlined
def be16(data: Any, at: int) -> int:
    """Big-endian 16 bits as int64."""
    return (np.int64(data[at]) << 8) | np.int64(data[at + 1])


@inlined
def be32(data: Any, at: int) -> Any:
    """Big-endian 32 bits as uint64."""
    return (
        (np.uint64(data[at]) << np.uint64(24))
        | (np.uint64(data[at + 1]) << _U16)
        | (np.uint64(data[at + 2]) << _U8)
        | np.uint64(data[at + 3])
    )


@inlined
def be64(data: Any, at: int) -> Any:
    """Big-endian 64 bits as uint64."""
    return (be32(data, at) << _U32) | be32(data, at + 4)


@inlined
def _mac(data: Any, at: int) -> Any:
    return (np.uint64(be16(data, at)) << _U32) | be32(data, at + 2)


@kernel
def _by_nibble(data: Any, at: int, end: int) -> int:
    """Ethertype by the version nibble, or -1 - cause."""
    if at >= end:
        return -1 - _IP_CUT
    version = data[at] >> 4
    if version == 4:
        return _IPV4
    return _IPV6 if version == 6 else -1 - _NOT_IP


@kernel
def _ppp(data: Any, at: int, end: int) -> tuple[int, int]:
    """Ethertype and offset behind a PPP protocol field, which may be compressed to one byte (RFC 1661 6.5)."""
    if at + 2 > end:
        return -1 - _LINK_HEADER, at
    if data[at] & 1:
        protocol, at = np.int64(data[at]), at + 1
    else:
        protocol, at = be16(data, at), at + 2
    if protocol == 0x0021:
        return _IPV4, at
    if protocol == 0x0057:
        return _IPV6, at
    if protocol in (0x0281, 0x0283):  # MPLS (RFC 3032)
        return _MPLS_UNICAST, at
    return -1 - _NOT_IP, at


@kernel
def _pppoe(data: Any, at: int, end: int) -> tuple[int, int]:
    if at + 6 > end:
        return -1 - _LINK_HEADER, at
    return _ppp(data, at + 6, end)


@kernel
def _mpls(data: Any, at: int, end: int) -> tuple[int, int]:
    while True:
        if at + 4 > end:
            return -1 - _LINK_HEADER, at
        bottom = data[at + 2] & 1
        at += 4
        if bottom:
            return _by_nibble(data, at, end), at


@kernel
def _through_tags(data: Any, at: int, end: int, ethertype: int, vlan: int) -> tuple[int, int, int]:
    """Step over VLAN and VN tags, MPLS, PPPoE and SNAP: (ethertype of IP or -1 - cause, offset, outermost VLAN)."""
    while True:
        if ethertype in (_IPV4, _IPV6):
            return ethertype, at, vlan
        if ethertype in (0x8100, 0x88A8, 0x9100, 0x9200):
            if at + 4 > end:
                return -1 - _LINK_HEADER, at, vlan
            if vlan == 0:
                vlan = be16(data, at) & 0x0FFF
            ethertype, at = be16(data, at + 2), at + 4
        elif ethertype == 0x8926:  # VN-Tag
            if at + 6 > end:
                return -1 - _LINK_HEADER, at, vlan
            ethertype, at = be16(data, at + 4), at + 6
        elif ethertype in (_MPLS_UNICAST, 0x8848):
            ethertype, at = _mpls(data, at, end)
            return ethertype, at, vlan
        elif ethertype == 0x8864:
            ethertype, at = _pppoe(data, at, end)
            if ethertype != _MPLS_UNICAST:
                return ethertype, at, vlan
        elif ethertype in (0x0806, 0x8035):
            return -1 - _ARP, at, vlan
        elif 0 <= ethertype < 1536:  # a length: IEEE 802.3 with LLC, which may carry SNAP (RFC 1042)
            if at + 8 > end or be32(data, at) != np.uint64(0xAAAA0300) or be16(data, at + 4) != 0:
                return -1 - _NOT_IP, at, vlan
            ethertype, at = be16(data, at + 6), at + 8
            if ethertype < 1536:
                return -1 - _NOT_IP, at, vlan
        else:
            return (ethertype if ethertype < 0 else -1 - _NOT_IP), at, vlan


@kernel
def _null_family(data: Any, at: int) -> int:
    """Ethertype of BSD loopback's address family, written in either byte order."""
    family = be32(data, at)
    if family > np.uint64(0xFFFF):
        family = (
            np.uint64(data[at])
            | (np.uint64(data[at + 1]) << _U8)
            | (np.uint64(data[at + 2]) << _U16)
            | (np.uint64(data[at + 3]) << np.uint64(24))
        )
    if family == np.uint64(2):
        return _IPV4
    if family in (np.uint64(10), np.uint64(24), np.uint64(28), np.uint64(30)):
        return _IPV6
    return -1 - _NOT_IP


@kernel
def _cooked_direction(packet_type: int) -> int:
    """Direction of a Linux cooked frame's packet type: 0-2 to us, 4 from us, 3 between others."""
    if packet_type == 4:
        return 2
    return 1 if packet_type <= 2 else 0


@kernel
def _starts_with(data: Any, at: int, end: int, prefix: Any) -> bool:
    if at + len(prefix) > end:
        return False
    for i in range(len(prefix)):
        if data[at + i] != prefix[i]:
            return False
    return True


@kernel
def _nflog_verdict(data: Any, at: int, end: int, rules: Any) -> int:
    """Verdict of the first rule whose prefix begins the NFLOG prefix, 0 none. A rule: verdict, length, bytes."""
    for row in range(rules.shape[0]):
        length = np.int64(rules[row, 1])
        if _starts_with(data, at, end, rules[row, 2 : 2 + length]):
            return np.int64(rules[row, 0])
    return 0


@kernel
def _nflog(data: Any, at: int, end: int, rules: Any) -> tuple[int, int, int, int, int, Any]:
    """(ethertype or -1 - cause, offset of the payload, its end, direction, verdict, source MAC << 16).

    The attributes are in the byte order of the machine that captured; a length that cannot be tells the other order.
    """
    if at + 4 > end:
        return -1 - _LINK_HEADER, at, end, 0, 0, _U0
    family = data[at]
    at += 4
    direction, verdict, mac = 0, 0, _U0
    little = True
    if at + 4 <= end:
        length = np.int64(data[at]) | (np.int64(data[at + 1]) << 8)
        little = 4 <= length <= end - at
    while at + 4 <= end:
        if little:
            length = np.int64(data[at]) | (np.int64(data[at + 1]) << 8)
            kind = (np.int64(data[at + 2]) | (np.int64(data[at + 3]) << 8)) & 0x7FFF
        else:
            length = be16(data, at)
            kind = be16(data, at + 2) & 0x7FFF
        body = at + 4
        if length < 4 or at + length > end:
            # The payload comes last and is what a snap length cuts.
            if kind == 9 and length > 4:
                length = end - at
            else:
                return -1 - _LINK_HEADER, at, end, 0, 0, _U0
        if kind == 1 and length >= 8:  # packet header: hardware protocol, hook
            hook = data[body + 2]
            if hook in (0, 1):
                direction = 1
            elif hook in (3, 4):
                direction = 2
        elif kind == 8 and length >= 14 and be16(data, body) == 6:  # source hardware address
            mac = _mac(data, body + 4) << _U16
        elif kind == 10:
            verdict = _nflog_verdict(data, body, at + length, rules)
        elif kind == 9:
            stop = at + length
            if family == 2:
                return _IPV4, body, stop, direction, verdict, mac
            if family == 10:
                return _IPV6, body, stop, direction, verdict, mac
            return _by_nibble(data, body, stop), body, stop, direction, verdict, mac
        at += (length + 3) & ~3
    return -1 - _NOT_IP, at, end, direction, verdict, mac


@inlined
def _ethernet(data: Any, at: int, end: int, vlan: int, row: Any, base: int) -> tuple[int, int]:
    if at + 14 > end:
        return -1 - _LINK_HEADER, at
    source = _mac(data, at + 6) << _U16
    row[base + DST_MAC] = _mac(data, at)
    ethertype = be16(data, at + 12)
    at += 14
    if ethertype != _IPV4:
        ethertype, at, vlan = _through_tags(data, at, end, ethertype, vlan)
    row[base + SRC_MAC_VLAN] = source | np.uint64(vlan)
    return ethertype, at


@kernel
def _cooked(data: Any, at: int, end: int, link_type: int, vlan: int, row: Any, base: int) -> tuple[int, int, int]:
    """SLL and SLL2: (ethertype or -1 - cause, offset, direction)."""
    if link_type == LINKTYPE_SLL:
        if at + 16 > end:
            return -1 - _LINK_HEADER, at, 0
        direction = _cooked_direction(be16(data, at))
        address_length, address, ethertype = be16(data, at + 4), at + 6, be16(data, at + 14)
        at += 16
    else:
        if at + 20 > end:
            return -1 - _LINK_HEADER, at, 0
        direction = _cooked_direction(np.int64(data[at + 10]))
        address_length, address, ethertype = np.int64(data[at + 11]), at + 12, be16(data, at)
        at += 20
    source = _U0
    if address_length == 6:
        source = _mac(data, address) << _U16
    if ethertype < 1536:
        return -1 - _NOT_IP, at, direction
    ethertype, at, vlan = _through_tags(data, at, end, ethertype, vlan)
    row[base + SRC_MAC_VLAN] = source | np.uint64(vlan)
    return ethertype, at, direction


@kernel
def _serial(data: Any, at: int, end: int, link_type: int) -> tuple[int, int]:
    """PPP, PPP with HDLC framing, PPP over Ethernet, Cisco HDLC: (ethertype or -1 - cause, offset)."""
    if link_type == LINKTYPE_PPP_ETHER:
        return _pppoe(data, at, end)
    if at + 4 > end:
        return -1 - _LINK_HEADER, at
    address = data[at]
    if address == 0xFF and data[at + 1] == 0x03:
        return _ppp(data, at + 2, end)
    if link_type == LINKTYPE_PPP:
        return _ppp(data, at, end)
    if address in (0x0F, 0x8F):
        return be16(data, at + 2), at + 4
    return -1 - _NOT_IP, at


@inlined
def _transport(data: Any, at: int, end: int, protocol: int, row: Any, base: int) -> int:
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
def _ipv4(data: Any, at: int, end: int, wire: int, row: Any, base: int) -> tuple[int, int]:
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
    return -1, header + _transport(data, at + header, min(end, at + length), protocol, row, base)


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
def _ipv6(data: Any, at: int, end: int, wire: int, row: Any, base: int) -> tuple[int, int]:
    """(cause or -1, length of all headers): `wire` bytes were on the wire from `at` on."""
    if at + 40 > end:
        return _IP_CUT, 0
    if data[at] >> 4 != 6:
        return _IP_BROKEN, 0
    payload = be16(data, at + 4)
    length = 40 + payload
    if payload == 0:
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
    return -1, header - at + _transport(data, header, min(end, at + length), protocol, row, base)


@inlined
def _segments(row: Any, base: int, headers: int, gso_size: int) -> None:
    """Count an offloaded frame as the packets that went over the wire: each segment repeats the headers."""
    payload = np.int64(row[base + BYTES]) - headers
    if gso_size > 0 and payload > gso_size:
        count = (payload + gso_size - 1) // gso_size
        row[base + PACKETS] = np.uint64(count)
        row[base + BYTES] += np.uint64((count - 1) * headers)


@inlined
def decode(data: Any, frame: Any, link_type: int, rules: Any, row: Any, base: int) -> int:
    """Decode one frame into SCRATCH_WORDS of `row`, uint64, from `base` on; returns -1, or the NotRecorded cause.

    `frame`: one FRAME; `rules`: (m, 2 + longest) uint8, verdicts by NFLOG prefix.
    """
    start = frame["offset"]
    at = start
    end = start + np.int64(frame["caplen"])
    wire_end = start + max(np.int64(frame["wirelen"]), np.int64(frame["caplen"]))
    direction = np.int64(frame["direction"])
    verdict = np.int64(frame["verdict"])
    vlan = np.int64(frame["vlan"])
    row[base + SRC_MAC_VLAN] = np.uint64(vlan)
    row[base + DST_MAC] = _U0
    if link_type == LINKTYPE_ETHERNET:
        ethertype, at = _ethernet(data, at, end, vlan, row, base)
    elif link_type in (LINKTYPE_SLL, LINKTYPE_SLL2):
        ethertype, at, seen = _cooked(data, at, end, link_type, vlan, row, base)
        if direction == 0:
            direction = seen
    elif link_type in (LINKTYPE_RAW, LINKTYPE_RAW_BSD, LINKTYPE_RAW_OPENBSD):
        ethertype = _by_nibble(data, at, end)
    elif link_type == LINKTYPE_IPV4:
        ethertype = _IPV4
    elif link_type == LINKTYPE_IPV6:
        ethertype = _IPV6
    elif link_type in (LINKTYPE_NULL, LINKTYPE_LOOP):
        if at + 4 > end:
            return _LINK_HEADER
        ethertype = _null_family(data, at)
        at += 4
    elif link_type == LINKTYPE_NFLOG:
        ethertype, at, end, seen, judged, mac = _nflog(data, at, end, rules)
        row[base + SRC_MAC_VLAN] |= mac
        if direction == 0:
            direction = seen
        if verdict == 0:
            verdict = judged
    elif link_type in (LINKTYPE_PPP, LINKTYPE_PPP_HDLC, LINKTYPE_PPP_ETHER, LINKTYPE_C_HDLC):
        ethertype, at = _serial(data, at, end, link_type)
        if ethertype >= 0:
            ethertype, at, vlan = _through_tags(data, at, end, ethertype, vlan)
    else:
        return _LINK_TYPE
    row[base + PACKETS] = np.uint64(1)
    if ethertype == _IPV4:
        cause, headers = _ipv4(data, at, end, wire_end - at, row, base)
    elif ethertype == _IPV6:
        cause, headers = _ipv6(data, at, end, wire_end - at, row, base)
    else:
        return -1 - ethertype
    if cause < 0:
        row[base + TUPLE] |= (np.uint64(direction) << np.uint64(DIRECTION_SHIFT)) | (
            np.uint64(verdict) << np.uint64(VERDICT_SHIFT)
        )
        if frame["gso_size"] > 0:
            _segments(row, base, headers, np.int64(frame["gso_size"]))
    return cause
