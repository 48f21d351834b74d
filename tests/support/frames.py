"""Link-layer frames as bytes around IP packets: one function a link type.

Rule: as `packets`: what is left out is right, what is given is written as it is. Link types and headers:
https://www.tcpdump.org/linktypes.html; VLAN IEEE 802.1Q, MPLS RFC 3032, PPPoE RFC 2516, PPP RFC 1661 and
1662, LLC/SNAP RFC 1042, Cisco HDLC RFC 1547 section 4.3.1.
"""

from __future__ import annotations

import struct
from typing import Final, Literal

Order = Literal["<", ">"]
"""Byte order as `struct` writes it: little, big."""

NULL, ETHERNET, RAW_BSD, RAW_OPENBSD, PPP, PPP_HDLC, PPP_ETHER = 0, 1, 12, 14, 9, 50, 51
RAW, C_HDLC, LOOP, SLL, IPV4, IPV6, NFLOG, SLL2 = 101, 104, 108, 113, 228, 229, 239, 276
LINK_TYPES: Final = (
    NULL, ETHERNET, RAW_BSD, RAW_OPENBSD, PPP, PPP_HDLC, PPP_ETHER,
    RAW, C_HDLC, LOOP, SLL, IPV4, IPV6, NFLOG, SLL2,
)  # fmt: skip
"""Every link type that is read."""

MAC_A: Final = "02:00:00:00:00:0a"
MAC_B: Final = "02:00:00:00:00:0b"

ETHERTYPE_IPV4, ETHERTYPE_IPV6, ETHERTYPE_ARP, ETHERTYPE_RARP = 0x0800, 0x86DD, 0x0806, 0x8035
VLAN, QINQ, MPLS, PPPOE_SESSION = 0x8100, 0x88A8, 0x8847, 0x8864
PPP_IPV4, PPP_IPV6 = 0x0021, 0x0057


def mac_bytes(mac: str) -> bytes:
    """The six bytes of a MAC address."""
    return bytes.fromhex(mac.replace(":", ""))


def ethertype_of(packet: bytes) -> int:
    """The ethertype of an IP packet, by its version nibble."""
    return ETHERTYPE_IPV6 if packet[:1] and packet[0] >> 4 == 6 else ETHERTYPE_IPV4


def ethernet(
    packet: bytes,
    *,
    src: str = MAC_A,
    dst: str = MAC_B,
    ethertype: int | None = None,
    vlans: tuple[tuple[int, int], ...] = (),
    labels: tuple[int, ...] = (),
    pppoe: bool = False,
    snap: bool = False,
    pad_to: int = 0,
) -> bytes:
    """An Ethernet frame. `vlans`: (TPID, VLAN id); `labels`: MPLS labels; both outermost first.

    `pppoe` puts the packet into a PPPoE session, `snap` into 802.3 with LLC and SNAP; `pad_to` fills up with
    zeros to that many bytes (an Ethernet frame has at least 60 before its check sequence).
    """
    kind = ethertype_of(packet) if ethertype is None else ethertype
    if pppoe:
        kind, packet = PPPOE_SESSION, pppoe_session(packet)
    if labels:
        kind, packet = MPLS, mpls(packet, labels)
    if snap:
        packet = b"\xaa\xaa\x03\0\0\0" + struct.pack(">H", kind) + packet
        kind = len(packet)
    head = mac_bytes(dst) + mac_bytes(src) + vlan_tags(vlans) + struct.pack(">H", kind)
    return (head + packet).ljust(pad_to, b"\0")


def vlan_tags(vlans: tuple[tuple[int, int], ...]) -> bytes:
    """VLAN tags, outermost first: (TPID, VLAN id)."""
    return b"".join(struct.pack(">HH", tpid, vid) for tpid, vid in vlans)


def mpls(packet: bytes, labels: tuple[int, ...]) -> bytes:
    """A label stack in front of a packet; the last label has the bottom-of-stack bit."""
    last = len(labels) - 1
    return b"".join(struct.pack(">I", (v << 12) | ((i == last) << 8) | 64) for i, v in enumerate(labels)) + packet


def pppoe_session(packet: bytes, session: int = 7) -> bytes:
    """A PPPoE session header and a PPP protocol field in front of a packet."""
    body = ppp_protocol(packet) + packet
    return struct.pack(">BBHH", 0x11, 0, session, len(body)) + body


def ppp_protocol(packet: bytes, *, compressed: bool = False) -> bytes:
    """The PPP protocol field of an IP packet: two bytes, or one where compressed."""
    number = PPP_IPV6 if ethertype_of(packet) == ETHERTYPE_IPV6 else PPP_IPV4
    return struct.pack(">B" if compressed else ">H", number)


def ppp(packet: bytes, *, framed: bool = True, compressed: bool = False) -> bytes:
    """A PPP frame, with ff 03 in front where `framed`, the protocol field in one byte where `compressed`."""
    return (b"\xff\x03" if framed else b"") + ppp_protocol(packet, compressed=compressed) + packet


def c_hdlc(packet: bytes, *, address: int = 0x0F) -> bytes:
    """A Cisco HDLC frame: address 0x0f for one, 0x8f for all."""
    return struct.pack(">BBH", address, 0, ethertype_of(packet)) + packet


def null(packet: bytes, order: Order = "<", *, family: int | None = None) -> bytes:
    """A BSD loopback frame: the address family in the machine's byte order (LINKTYPE_LOOP: always ">")."""
    number = family if family is not None else (30 if ethertype_of(packet) == ETHERTYPE_IPV6 else 2)
    return struct.pack(order + "I", number) + packet


def sll(
    packet: bytes,
    *,
    packet_type: int = 0,
    src: str = MAC_A,
    ethertype: int | None = None,
    vlans: tuple[tuple[int, int], ...] = (),
) -> bytes:
    """A Linux cooked frame. `packet_type`: 0 to us, 1 broadcast, 2 multicast, 3 between others, 4 from us."""
    kind = ethertype_of(packet) if ethertype is None else ethertype
    address = mac_bytes(src)
    first, rest = _chain(vlans, kind)
    return struct.pack(">HHH", packet_type, 1, len(address)) + address.ljust(8, b"\0") + first + rest + packet


def sll2(
    packet: bytes,
    *,
    packet_type: int = 0,
    src: str = MAC_A,
    interface: int = 2,
    ethertype: int | None = None,
    vlans: tuple[tuple[int, int], ...] = (),
) -> bytes:
    """A Linux cooked frame, version 2; `interface` is the interface's index."""
    kind = ethertype_of(packet) if ethertype is None else ethertype
    address = mac_bytes(src)
    first, rest = _chain(vlans, kind)
    head = first + struct.pack(">HIHBB", 0, interface, 1, packet_type, len(address))
    return head + address.ljust(8, b"\0") + rest + packet


def _chain(vlans: tuple[tuple[int, int], ...], kind: int) -> tuple[bytes, bytes]:
    """(protocol field of a header, tags behind it): the first tag's TPID stands in the protocol field."""
    whole = vlan_tags(vlans) + struct.pack(">H", kind)
    return whole[:2], whole[2:]


def nflog(
    packet: bytes,
    *,
    order: Order = "<",
    family: int | None = None,
    hook: int | None = 1,
    prefix: bytes | None = None,
    in_interface: int | None = None,
    out_interface: int | None = None,
    src: str | None = None,
) -> bytes:
    """A frame of the Linux netfilter log: TLVs in the byte order of the machine, values in network order.

    `hook`: 0 prerouting, 1 input, 2 forward, 3 output, 4 postrouting; `prefix` without its final
    zero; `family`: 2 IPv4, 10 IPv6, 0 not told.
    """
    known = family if family is not None else (10 if ethertype_of(packet) == ETHERTYPE_IPV6 else 2)
    tlvs = b""
    if hook is not None:
        tlvs += tlv(1, struct.pack(">HBB", ethertype_of(packet), hook, 0), order)
    if prefix is not None:
        tlvs += tlv(10, prefix + b"\0", order)
    if in_interface is not None:
        tlvs += tlv(4, struct.pack(">I", in_interface), order)
    if out_interface is not None:
        tlvs += tlv(5, struct.pack(">I", out_interface), order)
    if src is not None:
        tlvs += tlv(8, struct.pack(">HH", 6, 0) + mac_bytes(src) + b"\0\0", order)
    return struct.pack(">BBH", known, 0, 5) + tlvs + tlv(9, packet, order)


def tlv(kind: int, value: bytes, order: Order = "<") -> bytes:
    """One netfilter log attribute: its length without the padding to four bytes, its type, its value."""
    return struct.pack(order + "HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def arp(*, src: str = MAC_A, sender: bytes = b"\x0a\0\0\1", target: bytes = b"\x0a\0\0\2") -> bytes:
    """An ARP request (RFC 826) in an Ethernet frame of 60 bytes."""
    body = struct.pack(">HHBBH", 1, ETHERTYPE_IPV4, 6, 4, 1) + mac_bytes(src) + sender + bytes(6) + target
    return ethernet(body, src=src, dst="ff:ff:ff:ff:ff:ff", ethertype=ETHERTYPE_ARP, pad_to=60)


def linked(link_type: int, packet: bytes) -> bytes:
    """The packet in the plainest frame of a link type."""
    plain = {
        NULL: null,
        ETHERNET: ethernet,
        PPP: ppp,
        PPP_HDLC: ppp,
        PPP_ETHER: pppoe_session,
        C_HDLC: c_hdlc,
        SLL: sll,
        SLL2: sll2,
        NFLOG: nflog,
    }
    if link_type == LOOP:
        return null(packet, ">")
    builder = plain.get(link_type)
    return packet if builder is None else builder(packet)  # type: ignore[operator]
