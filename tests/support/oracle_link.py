"""The reference of link headers: where in a frame the IP packet is, and what the header tells.

Rule: plain, from the list of link types and the RFCs that `frames` names; a broken frame gives its cause.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from tests.support import frames as link

from flowglass.fields.contracts import Direction, NotRecorded, Verdict

Prefixes = Sequence[tuple[Verdict, bytes]]
"""Verdicts by the beginning of an NFLOG prefix; the first that fits counts."""


@dataclass(frozen=True, slots=True)
class Link:
    """What the link header tells: where the IP packet is, what it is, and who sent it to whom."""

    at: int
    end: int
    ethertype: int
    src_mac: int = 0
    dst_mac: int = 0
    vlan: int = 0
    direction: Direction = Direction.UNKNOWN
    verdict: Verdict = Verdict.UNKNOWN


def number(data: bytes, at: int, size: int) -> int:
    return int.from_bytes(data[at : at + size], "big")


def find_packet(data: bytes, kind: int, vlan: int, prefixes: Prefixes) -> Link | NotRecorded:
    """The IP packet of a frame of link type `kind`; `vlan`: the id that the capture took off, 0 none."""
    if kind == link.ETHERNET:
        return _ethernet(data, vlan)
    if kind in (link.SLL, link.SLL2):
        return _cooked(data, vlan, second=kind == link.SLL2)
    if kind in (link.RAW, link.RAW_BSD, link.RAW_OPENBSD):
        return _by_nibble(Link(0, len(data), 0, vlan=vlan), data)
    if kind in (link.IPV4, link.IPV6):
        ethertype = link.ETHERTYPE_IPV4 if kind == link.IPV4 else link.ETHERTYPE_IPV6
        return Link(0, len(data), ethertype, vlan=vlan)
    if kind in (link.NULL, link.LOOP):
        return _null(data, vlan)
    if kind == link.NFLOG:
        return _nflog(data, vlan, prefixes)
    if kind in (link.PPP, link.PPP_HDLC, link.C_HDLC):
        return _serial(data, vlan, kind)
    if kind == link.PPP_ETHER:
        return _pppoe(Link(0, len(data), 0, vlan=vlan), data)
    return NotRecorded.LINK_TYPE


def _by_nibble(found: Link, data: bytes) -> Link | NotRecorded:
    """IP told by the version in its first byte (RAW, behind MPLS)."""
    if found.at >= found.end:
        return NotRecorded.IP_CUT
    version = data[found.at] >> 4
    if version not in (4, 6):
        return NotRecorded.NOT_IP
    return replace(found, ethertype=link.ETHERTYPE_IPV4 if version == 4 else link.ETHERTYPE_IPV6)


def _ethernet(data: bytes, vlan: int) -> Link | NotRecorded:
    if len(data) < 14:
        return NotRecorded.LINK_HEADER
    dst, src = number(data, 0, 6), number(data, 6, 6)
    return _typed(Link(14, len(data), number(data, 12, 2), src_mac=src, dst_mac=dst, vlan=vlan), data)


def _typed(found: Link, data: bytes) -> Link | NotRecorded:
    """Step over everything between an ethertype and IP. The outermost VLAN id that is not 0 is kept."""
    kind, left = found.ethertype, found.end - found.at
    if kind in (link.ETHERTYPE_IPV4, link.ETHERTYPE_IPV6):
        return found
    if kind in (link.ETHERTYPE_ARP, link.ETHERTYPE_RARP):
        return NotRecorded.ARP
    if kind in (link.VLAN, link.QINQ, 0x9100, 0x9200):
        if left < 4:
            return NotRecorded.LINK_HEADER
        vlan = found.vlan or number(data, found.at, 2) & 0x0FFF
        return _typed(replace(found, at=found.at + 4, ethertype=number(data, found.at + 2, 2), vlan=vlan), data)
    if kind == 0x8926:  # VN-Tag: four bytes and an ethertype
        if left < 6:
            return NotRecorded.LINK_HEADER
        return _typed(replace(found, at=found.at + 6, ethertype=number(data, found.at + 4, 2)), data)
    if kind in (link.MPLS, 0x8848):
        return _mpls(found, data)
    if kind == link.PPPOE_SESSION:
        return _pppoe(found, data)
    if kind < 1536:
        return _snap(found, data)
    return NotRecorded.NOT_IP


def _mpls(found: Link, data: bytes) -> Link | NotRecorded:
    if found.end - found.at < 4:
        return NotRecorded.LINK_HEADER
    bottom = data[found.at + 2] & 1
    behind = replace(found, at=found.at + 4)
    return _by_nibble(behind, data) if bottom else _mpls(behind, data)


def _snap(found: Link, data: bytes) -> Link | NotRecorded:
    """IEEE 802.3: the field is a length; LLC with SNAP and organisation 0 has an ethertype of its own."""
    if found.end - found.at < 8 or data[found.at : found.at + 6] != b"\xaa\xaa\x03\0\0\0":
        return NotRecorded.NOT_IP
    inner = replace(found, at=found.at + 8, ethertype=number(data, found.at + 6, 2))
    return NotRecorded.NOT_IP if inner.ethertype < 1536 else _typed(inner, data)


def _pppoe(found: Link, data: bytes) -> Link | NotRecorded:
    if found.end - found.at < 6:
        return NotRecorded.LINK_HEADER
    return _ppp(replace(found, at=found.at + 6), data)


def _ppp(found: Link, data: bytes) -> Link | NotRecorded:
    """A PPP protocol field: one byte if it is odd (compressed), else two."""
    if found.end - found.at < 2:
        return NotRecorded.LINK_HEADER
    size = 1 if data[found.at] & 1 else 2
    protocol = number(data, found.at, size)
    ethertype = {link.PPP_IPV4: link.ETHERTYPE_IPV4, link.PPP_IPV6: link.ETHERTYPE_IPV6}.get(protocol)
    behind = replace(found, at=found.at + size)
    if protocol in (0x0281, 0x0283):  # MPLS unicast, multicast (RFC 3032 section 4)
        return _mpls(behind, data)
    return NotRecorded.NOT_IP if ethertype is None else replace(behind, ethertype=ethertype)


def _serial(data: bytes, vlan: int, kind: int) -> Link | NotRecorded:
    """PPP with and without HDLC framing, Cisco HDLC. A frame of less than four bytes is cut."""
    if len(data) < 4:
        return NotRecorded.LINK_HEADER
    found = Link(0, len(data), 0, vlan=vlan)
    if data[:2] == b"\xff\x03":
        return _ppp(replace(found, at=2), data)
    if kind == link.PPP:
        return _ppp(found, data)
    if data[0] not in (0x0F, 0x8F):
        return NotRecorded.NOT_IP
    return _typed(replace(found, at=4, ethertype=number(data, 2, 2)), data)


def _null(data: bytes, vlan: int) -> Link | NotRecorded:
    """Family in either byte order: 2 IPv4; 10, 24, 28, 30 IPv6 (Linux, BSDs, macOS)."""
    if len(data) < 4:
        return NotRecorded.LINK_HEADER
    families = {int.from_bytes(data[:4], "big"), int.from_bytes(data[:4], "little")}
    if 2 in families:
        return Link(4, len(data), link.ETHERTYPE_IPV4, vlan=vlan)
    if families & {10, 24, 28, 30}:
        return Link(4, len(data), link.ETHERTYPE_IPV6, vlan=vlan)
    return NotRecorded.NOT_IP


def _cooked(data: bytes, vlan: int, *, second: bool) -> Link | NotRecorded:
    """SLL and SLL2: only the source's address is known. The packet type tells the direction; 3: of others."""
    size = 20 if second else 16
    if len(data) < size:
        return NotRecorded.LINK_HEADER
    packet_type = data[10] if second else number(data, 0, 2)
    address_size = data[11] if second else number(data, 4, 2)
    src = number(data, 12 if second else 6, 6) if address_size == 6 else 0
    ethertype = number(data, 0 if second else 14, 2)
    direction = {0: Direction.IN, 1: Direction.IN, 2: Direction.IN, 4: Direction.OUT}.get(
        packet_type, Direction.UNKNOWN
    )
    if ethertype < 1536:
        return NotRecorded.NOT_IP
    return _typed(Link(size, len(data), ethertype, src_mac=src, vlan=vlan, direction=direction), data)


def _nflog(data: bytes, vlan: int, prefixes: Prefixes) -> Link | NotRecorded:
    """Attributes up to the payload, in the machine's byte order: little, if the first length can be."""
    if len(data) < 4:
        return NotRecorded.LINK_HEADER
    family, at, found = data[0], 4, Link(0, len(data), 0, vlan=vlan)
    order: Literal["little", "big"] = "little"
    if len(data) >= 8 and not 4 <= int.from_bytes(data[4:6], "little") <= len(data) - 4:
        order = "big"
    while at + 4 <= len(data):
        length = int.from_bytes(data[at : at + 2], order)
        kind = int.from_bytes(data[at + 2 : at + 4], order) & 0x7FFF
        if kind == 9 and length > len(data) - at:
            length = len(data) - at  # the payload is what a snap length cuts
        if length < 4 or length > len(data) - at:
            return NotRecorded.LINK_HEADER
        value = data[at + 4 : at + length]
        if kind == 9:
            payload = replace(found, at=at + 4, end=at + length)
            known = {2: link.ETHERTYPE_IPV4, 10: link.ETHERTYPE_IPV6}.get(family)
            return _by_nibble(payload, data) if known is None else replace(payload, ethertype=known)
        found = _attribute(found, kind, value, prefixes)
        at += length + -length % 4
    return NotRecorded.NOT_IP


def _attribute(found: Link, kind: int, value: bytes, prefixes: Prefixes) -> Link:
    if kind == 1 and len(value) >= 4:  # packet header: protocol, hook
        hooks = {0: Direction.IN, 1: Direction.IN, 3: Direction.OUT, 4: Direction.OUT}
        return replace(found, direction=hooks.get(value[2], found.direction))
    if kind == 8 and len(value) >= 10 and number(value, 0, 2) == 6:  # hardware address
        return replace(found, src_mac=number(value, 4, 6))
    if kind == 10:
        verdict = next((verdict for verdict, prefix in prefixes if value.startswith(prefix)), Verdict.UNKNOWN)
        return replace(found, verdict=verdict)
    return found
