"""Capture files as bytes: classic pcap, pcapng block by block, and both compressed.

Rule: what is written depends on the arguments alone. Classic pcap: draft-ietf-opsawg-pcap;
pcapng: draft-ietf-opsawg-pcapng (4.1 section header, 4.2 interface, 4.3 enhanced, 4.4 simple packet,
4.5 names, 4.6 statistics, 4.7 custom blocks; appendix A the old packet block).
"""

from __future__ import annotations

import gzip
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import pyarrow as pa
from tests.support.frames import ETHERNET, Order

PCAP_US: Final = 0xA1B2C3D4
PCAP_NS: Final = 0xA1B23C4D
NS: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Packet:
    """A captured frame: its bytes, its time, its length on the wire (default: as captured)."""

    data: bytes
    ts_ns: int = 0
    wirelen: int | None = None

    @property
    def wire(self) -> int:
        """Bytes on the wire."""
        return len(self.data) if self.wirelen is None else self.wirelen

    def cut(self, snaplen: int) -> Packet:
        """The frame as a capture with that snap length has it."""
        return Packet(self.data[:snaplen], self.ts_ns, self.wire)


def pcap(
    packets: Iterable[Packet],
    link_type: int = ETHERNET,
    *,
    order: Order = "<",
    nanoseconds: bool = False,
    snaplen: int = 262_144,
    version: tuple[int, int] = (2, 4),
) -> bytes:
    """A classic pcap file. Times before 0 wrap as 32-bit seconds do."""
    magic, unit = (PCAP_NS, 1) if nanoseconds else (PCAP_US, 1000)
    parts = [struct.pack(order + "IHHiIII", magic, *version, 0, 0, snaplen, link_type)]
    for packet in packets:
        seconds, rest = divmod(packet.ts_ns, NS)
        head = struct.pack(order + "IIII", seconds & 0xFFFF_FFFF, rest // unit, len(packet.data), packet.wire)
        parts += [head, packet.data]
    return b"".join(parts)


def ticks(ts_ns: int, tsresol: int = 6, tsoffset: int = 0) -> int:
    """A time in units of an interface's resolution, rounded down.

    `tsresol` as the option has it: n for 10^-n s; with the top bit set, n of the low seven for 2^-n s.
    """
    units = 2 ** (tsresol & 0x7F) if tsresol & 0x80 else 10**tsresol
    return int(Fraction(ts_ns - tsoffset * NS, NS) * units)


def option(code: int, value: bytes, order: Order = "<") -> bytes:
    """One option, padded to four bytes."""
    return struct.pack(order + "HH", code, len(value)) + value + bytes(-len(value) % 4)


def block(kind: int, body: bytes, order: Order = "<") -> bytes:
    """A block: type, length, body padded to four bytes, length."""
    body += bytes(-len(body) % 4)
    length = struct.pack(order + "I", len(body) + 12)
    return struct.pack(order + "I", kind) + length + body + length


def _with_options(options: list[bytes], order: Order) -> bytes:
    return b"".join(options) + option(0, b"", order) if options else b""


def section(order: Order = "<", *, application: str | None = None, version: tuple[int, int] = (1, 0)) -> bytes:
    """A section header of unknown section length; it sets the byte order of what follows."""
    options = [] if application is None else [option(4, application.encode(), order)]
    head = struct.pack(order + "IHHq", 0x1A2B3C4D, *version, -1)
    return block(0x0A0D0D0A, head + _with_options(options, order), order)


def interface(
    link_type: int = ETHERNET,
    *,
    order: Order = "<",
    snaplen: int = 0,
    name: str | None = None,
    description: str | None = None,
    mac: bytes | None = None,
    tsresol: int | None = None,
    tsoffset: int | None = None,
) -> bytes:
    """An interface description; `tsresol` as for `ticks`, `tsoffset` in seconds."""
    options = [option(2, name.encode(), order)] if name is not None else []
    if description is not None:
        options.append(option(3, description.encode(), order))
    if mac is not None:
        options.append(option(6, mac, order))
    if tsresol is not None:
        options.append(option(9, bytes((tsresol,)), order))
    if tsoffset is not None:
        options.append(option(14, struct.pack(order + "q", tsoffset), order))
    return block(1, struct.pack(order + "HHI", link_type, 0, snaplen) + _with_options(options, order), order)


def enhanced(
    packet: Packet,
    interface_id: int = 0,
    *,
    order: Order = "<",
    tsresol: int = 6,
    tsoffset: int = 0,
    direction: int | None = None,
    verdict: bytes | None = None,
    dropped: int | None = None,
) -> bytes:
    """An enhanced packet block. `direction`: bits 0-1 of epb_flags, 1 inbound, 2 outbound.

    `verdict`: value of epb_verdict; its first byte tells the kind (0 hardware, 1 eBPF TC, 2 eBPF XDP).
    """
    time = ticks(packet.ts_ns, tsresol, tsoffset) & 0xFFFF_FFFF_FFFF_FFFF
    head = struct.pack(order + "IIIII", interface_id, time >> 32, time & 0xFFFF_FFFF, len(packet.data), packet.wire)
    options = [] if direction is None else [option(2, struct.pack(order + "I", direction), order)]
    if dropped is not None:
        options.append(option(4, struct.pack(order + "Q", dropped), order))
    if verdict is not None:
        options.append(option(7, verdict, order))
    body = packet.data + bytes(-len(packet.data) % 4)
    return block(6, head + body + _with_options(options, order), order)


def tc_verdict(value: int, order: Order = "<") -> bytes:
    """The value of epb_verdict for a Linux traffic-control action (0 TC_ACT_OK, 2 TC_ACT_SHOT)."""
    return b"\1" + struct.pack(order + "Q", value)


def xdp_verdict(value: int, order: Order = "<") -> bytes:
    """The value of epb_verdict for a Linux XDP action (1 XDP_DROP, 2 XDP_PASS)."""
    return b"\2" + struct.pack(order + "Q", value)


def simple(packet: Packet, *, order: Order = "<") -> bytes:
    """A simple packet block: of the section's first interface, without a time."""
    return block(3, struct.pack(order + "I", packet.wire) + packet.data, order)


def old_packet(
    packet: Packet,
    interface_id: int = 0,
    *,
    order: Order = "<",
    drops: int = 0xFFFF,
    tsresol: int = 6,
    tsoffset: int = 0,
) -> bytes:
    """An old packet block (type 2), which enhanced packet blocks have replaced."""
    time = ticks(packet.ts_ns, tsresol, tsoffset)
    numbers = (interface_id, drops, time >> 32, time & 0xFFFF_FFFF, len(packet.data), packet.wire)
    return block(2, struct.pack(order + "HHIIII", *numbers) + packet.data, order)


def statistics(
    interface_id: int = 0,
    *,
    ts_ns: int = 0,
    received: int | None = None,
    dropped: int | None = None,
    order: Order = "<",
) -> bytes:
    """Interface statistics: isb_ifrecv and isb_ifdrop."""
    time = ticks(ts_ns)
    options = [] if received is None else [option(4, struct.pack(order + "Q", received), order)]
    if dropped is not None:
        options.append(option(5, struct.pack(order + "Q", dropped), order))
    head = struct.pack(order + "III", interface_id, time >> 32, time & 0xFFFF_FFFF)
    return block(5, head + _with_options(options, order), order)


def names(address: bytes, name: str, order: Order = "<") -> bytes:
    """A name resolution block with one IPv4 address."""
    value = address + name.encode() + b"\0"
    record = struct.pack(order + "HH", 1, len(value)) + value + bytes(-len(value) % 4)
    return block(4, record + bytes(4), order)


def custom(body: bytes, enterprise: int = 32_473, *, copied: bool = True, order: Order = "<") -> bytes:
    """A custom block of an enterprise number (32473 is the one for documentation, RFC 5612)."""
    return block(0x0BAD if copied else 0x4000_0BAD, struct.pack(order + "I", enterprise) + body, order)


def gzipped(data: bytes) -> bytes:
    """The bytes as one gzip member without a time."""
    return gzip.compress(data, mtime=0)


def zstandard(data: bytes) -> bytes:
    """The bytes as one zstd frame."""
    packed: bytes = pa.Codec("zstd").compress(data, asbytes=True)
    return packed
