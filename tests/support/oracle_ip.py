"""The reference of IP headers: addresses, protocol, length, and where the transport header is.

Rule: plain, from RFC 791, RFC 8200 and RFC 2675; a broken packet gives its cause. A length of 0 (segmentation
offload, BIG TCP) is what was on the wire; a jumbo payload option tells its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tests.support import packets as ip
from tests.support.oracle_link import number

from flowglass.fields.contracts import IPV4_MAPPED, NotRecorded

STEPPED_OVER: Final = (ip.HOP_BY_HOP, ip.ROUTING, ip.FRAGMENT, ip.DESTINATION_OPTIONS)


@dataclass(frozen=True, slots=True)
class IpPacket:
    """What the IP header tells. `transport`: what was captured behind it, within the IP length."""

    family: int
    src: int
    dst: int
    protocol: int
    length: int
    header: int
    transport: bytes
    later_fragment: bool


def ipv4(seen: bytes, wire: int) -> IpPacket | NotRecorded:
    if len(seen) < 20:
        return NotRecorded.IP_CUT
    header, total = (seen[0] & 15) * 4, number(seen, 2, 2)
    if seen[0] >> 4 != 4 or header < 20 or 0 < total < header:
        return NotRecorded.IP_BROKEN
    if len(seen) < header:
        return NotRecorded.IP_CUT
    length = total or max(wire, header)
    return IpPacket(
        family=4,
        src=IPV4_MAPPED | number(seen, 12, 4),
        dst=IPV4_MAPPED | number(seen, 16, 4),
        protocol=seen[9],
        length=length,
        header=header,
        transport=seen[header:length],
        later_fragment=number(seen, 6, 2) & 0x1FFF != 0,
    )


def ipv6(seen: bytes, wire: int) -> IpPacket | NotRecorded:
    """A later fragment has the protocol that its fragment header tells; nothing behind it is looked at."""
    if len(seen) < 40:
        return NotRecorded.IP_CUT
    if seen[0] >> 4 != 6:
        return NotRecorded.IP_BROKEN
    payload, protocol, at, later = number(seen, 4, 2), seen[6], 40, False
    length = 40 + payload if payload or seen[6] == ip.NO_NEXT_HEADER else max(wire, 40)
    while protocol in STEPPED_OVER and not later:
        if len(seen) < at + 8:
            return NotRecorded.EXTENSION_BROKEN
        size = 8 if protocol == ip.FRAGMENT else 8 * (seen[at + 1] + 1)
        if len(seen) < at + size:
            return NotRecorded.EXTENSION_BROKEN
        if protocol == ip.FRAGMENT:
            later = number(seen, at + 2, 2) >> 3 != 0
        jumbo = _jumbo(seen[at + 2 : at + size]) if protocol == ip.HOP_BY_HOP and payload == 0 else 0
        length = 40 + jumbo if jumbo else length
        protocol, at = seen[at], at + size
    return IpPacket(6, number(seen, 8, 16), number(seen, 24, 16), protocol, length, at, seen[at:length], later)


def _jumbo(options: bytes) -> int:
    """The jumbo payload length among the options of a hop-by-hop header; 0 for none."""
    at = 0
    while at + 2 <= len(options):
        if options[at] == 0:  # Pad1 has no length
            at += 1
        elif options[at] == 0xC2 and options[at + 1] == 4 and at + 6 <= len(options):
            return number(options, at + 2, 4)
        else:
            at += 2 + options[at + 1]
    return 0
