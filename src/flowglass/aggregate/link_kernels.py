"""Kernels that find the IP packet in a frame: link headers, tags, labels, and who sent it to whom on the link.

Rule: every read is behind a check against the captured end. An ethertype of IP and its place come back, or -1 - cause.
MPLS RFC 3032, PPPoE RFC 2516, PPP RFC 1661, SNAP RFC 1042, link types https://www.tcpdump.org/linktypes.html.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from flowglass.aggregate.layout import DST_MAC, SRC_MAC_VLAN
from flowglass.fields.contracts import NotRecorded
from flowglass.jit import inlined, kernel

_LINK_HEADER = int(NotRecorded.LINK_HEADER)
_ARP = int(NotRecorded.ARP)
_NOT_IP = int(NotRecorded.NOT_IP)
_IP_CUT = int(NotRecorded.IP_CUT)
_U0, _U8, _U16, _U32 = np.uint64(0), np.uint64(8), np.uint64(16), np.uint64(32)
ETHERTYPE_IPV4, ETHERTYPE_IPV6 = 0x0800, 0x86DD
ETHERTYPE_MPLS = 0x8847

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
def mac_at(data: Any, at: int) -> Any:
    """A MAC address as a 48-bit uint64."""
    return (np.uint64(be16(data, at)) << _U32) | be32(data, at + 2)


@kernel
def by_nibble(data: Any, at: int, end: int) -> int:
    """Ethertype by the version nibble, or -1 - cause."""
    if at >= end:
        return -1 - _IP_CUT
    version = data[at] >> 4
    if version == 4:
        return ETHERTYPE_IPV4
    return ETHERTYPE_IPV6 if version == 6 else -1 - _NOT_IP


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
        return ETHERTYPE_IPV4, at
    if protocol == 0x0057:
        return ETHERTYPE_IPV6, at
    if protocol in (0x0281, 0x0283):  # MPLS (RFC 3032)
        return ETHERTYPE_MPLS, at
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
            return by_nibble(data, at, end), at


@kernel
def through_tags(data: Any, at: int, end: int, ethertype: int, vlan: int) -> tuple[int, int, int]:
    """Step over VLAN and VN tags, MPLS, PPPoE and SNAP: (ethertype of IP or -1 - cause, offset, outermost VLAN)."""
    while True:
        if ethertype in (ETHERTYPE_IPV4, ETHERTYPE_IPV6):
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
        elif ethertype in (ETHERTYPE_MPLS, 0x8848):
            ethertype, at = _mpls(data, at, end)
            return ethertype, at, vlan
        elif ethertype == 0x8864:
            ethertype, at = _pppoe(data, at, end)
            if ethertype != ETHERTYPE_MPLS:
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
def null_family(data: Any, at: int) -> int:
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
        return ETHERTYPE_IPV4
    if family in (np.uint64(10), np.uint64(24), np.uint64(28), np.uint64(30)):
        return ETHERTYPE_IPV6
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
def nflog(data: Any, at: int, end: int, rules: Any) -> tuple[int, int, int, int, int, Any]:
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
            mac = mac_at(data, body + 4) << _U16
        elif kind == 10:
            verdict = _nflog_verdict(data, body, at + length, rules)
        elif kind == 9:
            stop = at + length
            if family == 2:
                return ETHERTYPE_IPV4, body, stop, direction, verdict, mac
            if family == 10:
                return ETHERTYPE_IPV6, body, stop, direction, verdict, mac
            return by_nibble(data, body, stop), body, stop, direction, verdict, mac
        at += (length + 3) & ~3
    return -1 - _NOT_IP, at, end, direction, verdict, mac


@inlined
def ethernet(data: Any, at: int, end: int, vlan: int, row: Any, base: int) -> tuple[int, int]:
    """(ethertype or -1 - cause, offset); the link endpoints go into the scratch row."""
    if at + 14 > end:
        return -1 - _LINK_HEADER, at
    source = mac_at(data, at + 6) << _U16
    row[base + DST_MAC] = mac_at(data, at)
    ethertype = be16(data, at + 12)
    at += 14
    if ethertype != ETHERTYPE_IPV4:
        ethertype, at, vlan = through_tags(data, at, end, ethertype, vlan)
    row[base + SRC_MAC_VLAN] = source | np.uint64(vlan)
    return ethertype, at


@kernel
def cooked(data: Any, at: int, end: int, link_type: int, vlan: int, row: Any, base: int) -> tuple[int, int, int]:
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
        source = mac_at(data, address) << _U16
    if ethertype < 1536:
        return -1 - _NOT_IP, at, direction
    ethertype, at, vlan = through_tags(data, at, end, ethertype, vlan)
    row[base + SRC_MAC_VLAN] = source | np.uint64(vlan)
    return ethertype, at, direction


@kernel
def serial(data: Any, at: int, end: int, link_type: int) -> tuple[int, int]:
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
