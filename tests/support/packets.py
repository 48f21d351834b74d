"""IP packets as bytes: headers, extension headers and transports, written from the RFCs.

Rule: a value left out is the right one (lengths, checksums); a given value is written as is, even if wrong.
IPv4 RFC 791, IPv6 RFC 8200, jumbograms RFC 2675, TCP RFC 9293, UDP RFC 768, UDP-Lite RFC 3828, SCTP RFC 9260,
DCCP RFC 4340, ICMP RFC 792, ICMPv6 RFC 4443, AH RFC 4302, ESP RFC 4303, GRE RFC 2784, mobility RFC 6275.
"""

from __future__ import annotations

import ipaddress
import struct
from dataclasses import dataclass
from typing import Final

ICMP, TCP, UDP, DCCP, GRE, ESP, AH, ICMPV6, SCTP, UDPLITE = 1, 6, 17, 33, 47, 50, 51, 58, 132, 136
HOP_BY_HOP, ROUTING, FRAGMENT, NO_NEXT_HEADER, DESTINATION_OPTIONS, MOBILITY = 0, 43, 44, 59, 60, 135
FIN, SYN, RST, PSH, ACK, URG, ECE, CWR = 1, 2, 4, 8, 16, 32, 64, 128
MAX_CHECKSUMMED: Final = 65_535
"""Payloads longer than this are not checksummed: no 16-bit length can name them."""


def checksum(data: bytes) -> int:
    """Internet checksum (RFC 1071)."""
    if len(data) % 2:
        data += b"\0"
    total: int = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ipv4(
    src: str,
    dst: str,
    protocol: int,
    payload: bytes = b"",
    *,
    options: bytes = b"",
    identification: int = 1,
    frag_offset: int = 0,
    more: bool = False,
    dont_fragment: bool = False,
    ttl: int = 64,
    tos: int = 0,
    total_length: int | None = None,
    ihl: int | None = None,
    version: int = 4,
) -> bytes:
    """An IPv4 packet. `frag_offset` in units of 8 bytes; `options` are padded to four bytes with zeros."""
    options += bytes(-len(options) % 4)
    words = 5 + len(options) // 4 if ihl is None else ihl
    length = 20 + len(options) + len(payload) if total_length is None else total_length
    flags = (dont_fragment << 14) | (more << 13) | frag_offset
    addresses = ipaddress.IPv4Address(src).packed + ipaddress.IPv4Address(dst).packed
    head = struct.pack(">BBHHHBB", (version << 4) | words, tos, length, identification, flags, ttl, protocol)
    total = checksum(head + b"\0\0" + addresses + options)
    return (
        head
        + struct.pack(">H", total)
        + addresses
        + options
        + _filled(src, dst, protocol, payload, whole=not frag_offset and not more)
    )


@dataclass(frozen=True, slots=True)
class Extension:
    """An IPv6 extension header: its number as a next header, and its bytes behind the next-header byte."""

    number: int
    body: bytes


def _options_header(number: int, options: bytes) -> Extension:
    padding = -(len(options) + 2) % 8
    if padding == 1:
        options += b"\0"  # Pad1
    elif padding:
        options += bytes((1, padding - 2)) + bytes(padding - 2)  # PadN
    return Extension(number, bytes(((len(options) + 2) // 8 - 1,)) + options)


def hop_by_hop(options: bytes = b"") -> Extension:
    """Hop-by-hop options, padded to eight bytes."""
    return _options_header(HOP_BY_HOP, options)


def jumbo(payload_length: int) -> Extension:
    """Hop-by-hop options with the jumbo payload option: all bytes behind the IPv6 header."""
    return hop_by_hop(struct.pack(">BBI", 0xC2, 4, payload_length))


def destination_options(options: bytes = b"") -> Extension:
    """Destination options, padded to eight bytes."""
    return _options_header(DESTINATION_OPTIONS, options)


def routing(addresses: tuple[str, ...] = (), kind: int = 4, left: int = 0) -> Extension:
    """A routing header (by default a segment routing header, RFC 8754) with these addresses."""
    hops = b"".join(ipaddress.IPv6Address(address).packed for address in addresses)
    return Extension(ROUTING, struct.pack(">BBBBBH", len(hops) // 8, kind, left, 0, 0, 0) + hops)


def fragment(offset: int, *, more: bool, identification: int = 1) -> Extension:
    """A fragment header. `offset` in units of 8 bytes."""
    return Extension(FRAGMENT, struct.pack(">BHI", 0, (offset << 3) | more, identification))


def ipv6(
    src: str,
    dst: str,
    protocol: int,
    payload: bytes = b"",
    *,
    extensions: tuple[Extension, ...] = (),
    hop_limit: int = 64,
    payload_length: int | None = None,
    version: int = 6,
) -> bytes:
    """An IPv6 packet; `protocol` is what stands behind the extension headers."""
    numbers = [*(extension.number for extension in extensions), protocol]
    chain = b"".join(
        bytes((following,)) + extension.body for extension, following in zip(extensions, numbers[1:], strict=True)
    )
    length = len(chain) + len(payload) if payload_length is None else payload_length
    head = struct.pack(">IHBB", version << 28, length, numbers[0], hop_limit)
    addresses = ipaddress.IPv6Address(src).packed + ipaddress.IPv6Address(dst).packed
    whole = not any(extension.number == FRAGMENT for extension in extensions)
    return head + addresses + chain + _filled(src, dst, protocol, payload, whole=whole)


def tcp(
    sport: int,
    dport: int,
    flags: int = ACK,
    payload: bytes = b"",
    *,
    seq: int = 1,
    ack: int = 0,
    options: bytes = b"",
) -> bytes:
    """A TCP segment; the IP builders fill its checksum."""
    options += bytes(-len(options) % 4)
    offset = (5 + len(options) // 4) << 4
    return struct.pack(">HHIIBBHHH", sport, dport, seq, ack, offset, flags, 65_535, 0, 0) + options + payload


def udp(sport: int, dport: int, payload: bytes = b"", length: int | None = None) -> bytes:
    """A UDP datagram; the IP builders fill its checksum. Jumbograms have length 0 (RFC 2675)."""
    size = 8 + len(payload) if length is None else length
    return struct.pack(">HHHH", sport, dport, size, 0) + payload


def udplite(sport: int, dport: int, payload: bytes = b"") -> bytes:
    """A UDP-Lite datagram that is covered as a whole (coverage 0)."""
    return struct.pack(">HHHH", sport, dport, 0, 0) + payload


def sctp(sport: int, dport: int, chunks: bytes = b"\x0b\0\0\x04") -> bytes:
    """An SCTP packet, by default with a COOKIE ACK chunk; its CRC32c is left 0."""
    return struct.pack(">HHII", sport, dport, 0x1234_5678, 0) + chunks


def dccp(sport: int, dport: int, payload: bytes = b"") -> bytes:
    """A DCCP Request with 48-bit sequence numbers and service code 0."""
    return struct.pack(">HHBBHBBHII", sport, dport, 5, 0, 0, 1, 0, 0, 1, 0) + payload


def icmp(kind: int, code: int, payload: bytes = b"", identifier: int = 1, sequence: int = 1) -> bytes:
    """An ICMP message in the form of an echo."""
    body = struct.pack(">HH", identifier, sequence) + payload
    return struct.pack(">BBH", kind, code, checksum(bytes((kind, code, 0, 0)) + body)) + body


def icmpv6(kind: int, code: int, payload: bytes = b"", identifier: int = 1, sequence: int = 1) -> bytes:
    """An ICMPv6 message in the form of an echo; `ipv6` fills its checksum."""
    return struct.pack(">BBHHH", kind, code, 0, identifier, sequence) + payload


def ah(next_header: int, payload: bytes = b"") -> bytes:
    """An authentication header with a 12-byte check value, in front of `payload`."""
    return struct.pack(">BBHII", next_header, 4, 0, 0x100, 1) + bytes(12) + payload


def esp(payload: bytes = bytes(24)) -> bytes:
    """An ESP packet: SPI, sequence number, bytes that nobody can read."""
    return struct.pack(">II", 0x200, 1) + payload


def gre(ethertype: int, payload: bytes) -> bytes:
    """A GRE header without options, in front of `payload`."""
    return struct.pack(">HH", 0, ethertype) + payload


def mobility(kind: int = 0, next_header: int = NO_NEXT_HEADER) -> bytes:
    """A mobility header (binding refresh request)."""
    return struct.pack(">BBBBHH", next_header, 0, kind, 0, 0, 0)


_CHECKSUM_AT: Final = {TCP: 16, UDP: 6, UDPLITE: 6, ICMPV6: 2}


def _filled(src: str, dst: str, protocol: int, payload: bytes, *, whole: bool) -> bytes:
    """The payload with its checksum over the pseudo header, where it is a whole transport packet."""
    place = _CHECKSUM_AT.get(protocol)
    version = ipaddress.ip_address(src).version
    if place is None or not whole or not place + 2 <= len(payload) <= MAX_CHECKSUMMED:
        return payload
    if protocol == ICMPV6 and version == 4:
        return payload
    addresses = ipaddress.ip_address(src).packed + ipaddress.ip_address(dst).packed
    numbers = struct.pack(">BBH" if version == 4 else ">IHBB", *_pseudo(version, protocol, len(payload)))
    total = checksum(addresses + numbers + payload) or 0xFFFF
    return payload[:place] + struct.pack(">H", total) + payload[place + 2 :]


def _pseudo(version: int, protocol: int, length: int) -> tuple[int, ...]:
    return (0, protocol, length) if version == 4 else (length, 0, 0, protocol)
