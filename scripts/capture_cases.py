"""The project's own test captures: one small file a link type or case, built frame by frame.

Rule: the bytes depend on this file and `tests/support` alone: no clock, no random numbers, no real traffic.
Addresses are the documentation's (RFC 5737, RFC 3849).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from tests.support import frames as link
from tests.support import packets as ip
from tests.support import pcapfile as file
from tests.support.pcapfile import NS, Packet

START_S: Final = 1_793_610_000
"""2026-11-02 09:00:00 UTC."""

CLIENT, SERVER = "198.51.100.10", "192.0.2.20"
CLIENT6, SERVER6 = "2001:db8:a::10", "2001:db8:b::20"
MILLISECOND: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Case:
    """One capture: its file name, what it is for, its bytes."""

    name: str
    what: str
    data: bytes


def talk() -> list[bytes]:
    """Five packets: a TCP connection opened, answered, used and closed, and an IPv6 datagram."""
    return [
        ip.ipv4(CLIENT, SERVER, ip.TCP, ip.tcp(40_000, 443, ip.SYN, options=b"\2\4\5\xb4")),
        ip.ipv4(SERVER, CLIENT, ip.TCP, ip.tcp(443, 40_000, ip.SYN | ip.ACK, options=b"\2\4\5\xb4")),
        ip.ipv4(CLIENT, SERVER, ip.TCP, ip.tcp(40_000, 443, ip.PSH | ip.ACK, b"hello")),
        ip.ipv4(SERVER, CLIENT, ip.TCP, ip.tcp(443, 40_000, ip.FIN | ip.ACK)),
        ip.ipv6(CLIENT6, SERVER6, ip.UDP, ip.udp(40_001, 53, b"who is it")),
    ]


def timed(frames: list[bytes], start_ns: int = START_S * NS, step_ns: int = 100 * MILLISECOND) -> list[Packet]:
    """The frames at even steps of time."""
    return [Packet(data, start_ns + i * step_ns) for i, data in enumerate(frames)]


def at(seconds: list[int]) -> list[Packet]:
    """The talk's packets in turn as Ethernet frames, at these seconds after START_S."""
    frames = [link.ethernet(packet) for packet in talk()]
    return [Packet(frames[i % len(frames)], (START_S + second) * NS) for i, second in enumerate(seconds)]


def _classic(name: str, what: str, frames: list[bytes], link_type: int = link.ETHERNET) -> Case:
    return Case(f"{name}.pcap", what, file.pcap(timed(frames), link_type))


def link_cases() -> Iterator[Case]:
    """Every link type, and what may stand between Ethernet and IP."""
    packets = talk()
    yield from _ethernet_cases(packets)
    for name, what, link_type in (
        ("link_raw", "raw IP (101)", link.RAW),
        ("link_raw_bsd", "raw IP as BSD/OS numbers it (12)", link.RAW_BSD),
        ("link_raw_openbsd", "raw IP as OpenBSD numbers it (14)", link.RAW_OPENBSD),
    ):
        yield _classic(name, what, packets, link_type)
    yield _classic("link_ipv4", "raw IPv4 (228); the last packet is IPv6", packets, link.IPV4)
    yield _classic("link_ipv6", "raw IPv6 (229); all but the last packet are IPv4", packets, link.IPV6)
    yield _classic("link_null_little", "BSD loopback, little-endian", [link.null(p, "<") for p in packets], link.NULL)
    yield _classic("link_null_big", "BSD loopback, big-endian", [link.null(p, ">") for p in packets], link.NULL)
    yield _classic("link_loop", "OpenBSD loopback", [link.null(p, ">") for p in packets], link.LOOP)
    yield _classic("link_unsupported", "a link type that is not read (147)", packets, 147)
    yield from _cooked_cases(packets)
    yield from _serial_cases(packets)


def _ethernet_cases(packets: list[bytes]) -> Iterator[Case]:
    yield _classic("link_ethernet", "Ethernet", [link.ethernet(p) for p in packets])
    for name, what, vlans in (
        ("link_vlan", "802.1Q tag 100", ((link.VLAN, 100),)),
        ("link_vlan_priority", "802.1Q tag 0 before tag 7", ((link.VLAN, 0), (link.VLAN, 7))),
        ("link_qinq", "802.1ad tag 200 before 802.1Q tag 100", ((link.QINQ, 200), (link.VLAN, 100))),
    ):
        yield _classic(name, what, [link.ethernet(p, vlans=vlans) for p in packets])
    labels = ((16,), (16, 17, 18))
    stacked = [link.ethernet(p, labels=labels[i % 2]) for i, p in enumerate(packets)]
    yield _classic("link_mpls", "one and three MPLS labels", stacked)
    tagged = ((), ((link.VLAN, 35),))
    sessions = [link.ethernet(p, pppoe=True, vlans=tagged[i % 2]) for i, p in enumerate(packets)]
    yield _classic("link_pppoe", "PPPoE session, plain and in VLAN 35", sessions)
    yield _classic("link_snap", "802.3 with LLC and SNAP", [link.ethernet(p, snap=True) for p in packets])


def _cooked_cases(packets: list[bytes]) -> Iterator[Case]:
    kinds = (0, 4, 0, 4, 3)
    cooked = [link.sll(p, packet_type=kind) for p, kind in zip(packets, kinds, strict=True)]
    yield _classic("link_sll", "Linux cooked: to us, from us, between others", cooked, link.SLL)
    tagged = [link.sll(p, vlans=((link.VLAN, 100),)) for p in packets]
    yield _classic("link_sll_vlan", "Linux cooked with an 802.1Q tag", tagged, link.SLL)
    second = [link.sll2(p, packet_type=kind) for p, kind in zip(packets, kinds, strict=True)]
    yield _classic("link_sll2", "Linux cooked, version 2", second, link.SLL2)
    hooks = (1, 3, 0, 4, 2)
    logged = [
        link.nflog(p, hook=hook, prefix=prefix, in_interface=2, src=link.MAC_A)
        for p, hook, prefix in zip(packets, hooks, (b"ok", b"drop: web", b"ok", None, b"drop"), strict=True)
    ]
    yield _classic("link_nflog", "netfilter log with hooks, prefixes, a MAC", logged, link.NFLOG)
    big = [link.nflog(p, order=">", prefix=b"drop") for p in packets]
    yield _classic("link_nflog_big", "netfilter log of a big-endian machine", big, link.NFLOG)


def _serial_cases(packets: list[bytes]) -> Iterator[Case]:
    yield _classic("link_ppp", "PPP with ff 03", [link.ppp(p) for p in packets], link.PPP)
    bare = [link.ppp(p, framed=False, compressed=i % 2 == 1) for i, p in enumerate(packets)]
    yield _classic("link_ppp_bare", "PPP without ff 03, protocol field in two and one byte", bare, link.PPP)
    yield _classic("link_ppp_hdlc", "PPP in HDLC-like framing (50)", [link.ppp(p) for p in packets], link.PPP_HDLC)
    yield _classic("link_ppp_ether", "PPPoE session (51)", [link.pppoe_session(p) for p in packets], link.PPP_ETHER)
    cisco = [link.c_hdlc(p, address=(0x0F, 0x8F)[i % 2]) for i, p in enumerate(packets)]
    yield _classic("link_c_hdlc", "Cisco HDLC", cisco, link.C_HDLC)


def packet_cases() -> Iterator[Case]:
    """What IP and the transports can be, in Ethernet frames."""
    pair, pair6 = (CLIENT, SERVER), (CLIENT6, SERVER6)
    yield from _length_cases()
    datagram = ip.udp(5000, 6000, bytes(2952))
    yield _ethernet("ip_fragments_v4", "an IPv4 datagram in three fragments, the second first", [
        ip.ipv4(*pair, ip.UDP, datagram[1480:2960], frag_offset=185, more=True),
        ip.ipv4(*pair, ip.UDP, datagram[:1480], more=True),
        ip.ipv4(*pair, ip.UDP, datagram[:8], more=False, frag_offset=370),
    ])  # fmt: skip
    yield _ethernet("ip_fragments_v6", "an IPv6 datagram in two fragments, an atomic fragment", [
        ip.ipv6(*pair6, ip.UDP, datagram[:1448], extensions=(ip.fragment(0, more=True),)),
        ip.ipv6(*pair6, ip.UDP, datagram[1448:], extensions=(ip.fragment(181, more=False),)),
        ip.ipv6(*pair6, ip.UDP, ip.udp(5000, 6000), extensions=(ip.fragment(0, more=False),)),
    ])  # fmt: skip
    segment = ip.tcp(40_000, 443, ip.SYN)
    yield _ethernet("ip_options_v4", "IPv4 options of 4 and 40 bytes", [
        ip.ipv4(*pair, ip.TCP, segment, options=b"\x94\4\0\0"),
        ip.ipv4(*pair, ip.TCP, segment, options=bytes((7, 39, 4)) + bytes(36)),
    ])  # fmt: skip
    chain = (ip.hop_by_hop(), ip.destination_options(), ip.routing((SERVER6,)))
    whole = ip.ipv6(*pair6, ip.TCP, segment, extensions=chain)
    yield _ethernet("ip_extensions_v6", "IPv6 extension headers alone and in a chain; two cut within them", [
        *(ip.ipv6(*pair6, ip.TCP, segment, extensions=(one,)) for one in chain),
        whole,
        ip.ipv6(*pair6, ip.MOBILITY, ip.mobility()),
        ip.ipv6(*pair6, ip.NO_NEXT_HEADER),
        whole[:44],
        whole[:60],
    ])  # fmt: skip
    yield _ethernet("ip_transports", "UDP-Lite, SCTP, DCCP, ESP, AH, GRE, OSPF, protocol 255", [
        ip.ipv4(*pair, ip.UDPLITE, ip.udplite(7000, 7001, b"x")),
        ip.ipv4(*pair, ip.SCTP, ip.sctp(7002, 7003)),
        ip.ipv4(*pair, ip.DCCP, ip.dccp(7004, 7005)),
        ip.ipv4(*pair, ip.ESP, ip.esp()),
        ip.ipv6(*pair6, ip.AH, ip.ah(ip.TCP, segment)),
        ip.ipv4(*pair, ip.GRE, ip.gre(link.ETHERTYPE_IPV4, talk()[0])),
        ip.ipv4(*pair, 89, bytes(24)),
        ip.ipv4(*pair, 255, bytes(4)),
    ])  # fmt: skip
    yield _ethernet("ip_icmp", "ping and answer, an error that quotes TCP; ICMPv6 ping, neighbours", [
        ip.ipv4(*pair, ip.ICMP, ip.icmp(8, 0, bytes(56))),
        ip.ipv4(SERVER, CLIENT, ip.ICMP, ip.icmp(0, 0, bytes(56))),
        ip.ipv4(SERVER, CLIENT, ip.ICMP, ip.icmp(3, 3, talk()[0])),
        ip.ipv6(*pair6, ip.ICMPV6, ip.icmpv6(128, 0, bytes(56))),
        ip.ipv6(*pair6, ip.ICMPV6, ip.icmpv6(135, 0, bytes(16))),
    ])  # fmt: skip
    flags = (
        ip.SYN,
        ip.SYN | ip.ACK,
        ip.ACK,
        ip.PSH | ip.ACK,
        ip.FIN | ip.ACK,
        ip.RST | ip.ACK,
        ip.SYN | ip.ECE | ip.CWR,
        0,
        255,
    )
    yield _ethernet("tcp_flags", "nine settings of TCP flags, each a flow of its own", [
        ip.ipv4(*pair, ip.TCP, ip.tcp(41_000 + i, 443, value)) for i, value in enumerate(flags)
    ])  # fmt: skip
    others = [
        link.arp(),
        link.ethernet(bytes(28), ethertype=link.ETHERTYPE_RARP),
        link.ethernet(b"\2\7", ethertype=0x88CC),
    ]
    others += [link.ethernet(b"\x42\x42\3" + bytes(35), ethertype=38), link.ethernet(talk()[0])]
    yield _classic("not_ip", "ARP, RARP, LLDP, spanning tree, and one TCP packet", others)
    yield _ethernet("ip_broken", "version 5, header of 4 words, total length 19, header cut, and one good", [
        ip.ipv4(*pair, ip.TCP, segment, version=5),
        ip.ipv4(*pair, ip.TCP, segment, ihl=4),
        ip.ipv4(*pair, ip.TCP, segment, total_length=19),
        ip.ipv4(*pair, ip.TCP, segment)[:19],
        ip.ipv4(*pair, ip.TCP, segment),
    ])  # fmt: skip
    groups = [
        ip.ipv4(CLIENT, "224.0.0.251", ip.UDP, ip.udp(5353, 5353)),
        ip.ipv4(CLIENT, "255.255.255.255", ip.UDP, ip.udp(68, 67)),
    ]
    groups.append(ip.ipv6("fe80::1", "ff02::1", ip.ICMPV6, ip.icmpv6(134, 0)))
    yield _ethernet("ip_multicast", "multicast and broadcast", groups)


def _ethernet(name: str, what: str, packets: list[bytes]) -> Case:
    """Without the link type's minimum of 60 bytes, so that what is cut stays cut."""
    head = [link.ETHERTYPE_IPV6 if packet[0] >> 4 == 6 else link.ETHERTYPE_IPV4 for packet in packets]
    return _classic(name, what, [link.ethernet(p, ethertype=kind) for p, kind in zip(packets, head, strict=True)])


def _length_cases() -> Iterator[Case]:
    pair, pair6 = (CLIENT, SERVER), (CLIENT6, SERVER6)
    segment = ip.tcp(40_000, 443, ip.ACK, bytes(16))
    short = ip.ipv4(*pair, ip.UDP, ip.udp(1000, 2000))
    yield _classic("ip_padding", "28 bytes of IP in frames of 60", [link.ethernet(short, pad_to=60)] * 3)
    offloaded = link.ethernet(ip.ipv4(*pair, ip.TCP, segment, total_length=0))
    big = link.ethernet(ip.ipv6(*pair6, ip.TCP, segment, payload_length=0))
    jumbo = link.ethernet(ip.ipv6(*pair6, ip.TCP, segment, extensions=(ip.jumbo(80_008),), payload_length=0))
    for name, what, data, wire in (
        ("ip_length_zero_v4", "IPv4 total length 0: segmentation offload of 66,014 bytes", offloaded, 66_014),
        ("ip_length_zero_v6", "IPv6 payload length 0: BIG TCP of 100,014 bytes", big, 100_014),
        ("ip_jumbogram", "a jumbogram of 80,048 bytes", jumbo, 80_062),
    ):
        yield Case(f"{name}.pcap", what, file.pcap([Packet(data, START_S * NS, wire)]))
    whole = link.ethernet(talk()[2])
    lengths = (10, 13, 14, 33, 34, 36, 38, 47, 48, len(whole))
    cut = [Packet(whole[:size], (START_S + i) * NS, len(whole)) for i, size in enumerate(lengths)]
    what = f"one TCP packet cut to {', '.join(map(str, lengths))} bytes"
    yield Case("snaplen.pcap", what, file.pcap(cut, snaplen=64))


def time_cases() -> Iterator[Case]:
    """Windows, and times that do not go forward."""
    yield Case(
        "time_windows.pcap",
        "one flow over five windows, with packets on the edges",
        file.pcap(at([0, 59, 60, 119, 120, 125, 250])),
    )
    yield Case("time_backwards.pcap", "times that go back within two windows", file.pcap(at([30, 20, 70, 50, 61, 5])))
    late = [0, 10, 130, 5, 131, 185, 6, 250, 310, 61]
    yield Case("time_late.pcap", "packets of windows that are final already", file.pcap(at(late)))
    yield Case("time_gap.pcap", "nothing for two hours", file.pcap(at([0, 1, 7_200, 7_201])))
    many = [3600, *(60 * minute for minute in range(18)), 0]
    yield Case("time_many_windows.pcap", "more late windows than are kept open at once", file.pcap(at(many)))
    yield Case("time_zero.pcap", "times of 0 (1970)", file.pcap([Packet(link.ethernet(p)) for p in talk()]))
