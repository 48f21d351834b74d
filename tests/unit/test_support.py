"""The tests' own tools: frames and capture files that scapy reads back the same, a reference that agrees."""

from __future__ import annotations

import gzip
import io
import struct
from typing import Any

import pyarrow as pa
import pytest
from scapy.contrib.mpls import MPLS
from scapy.layers import inet, inet6, l2, ppp, sctp
from scapy.utils import RawPcapNgReader, RawPcapReader
from tests.support import frames as link
from tests.support import packets as ip
from tests.support.oracle import Decoded, FlowKey, Frame, aws_flags, bounds, decode, windows
from tests.support.pcapfile import (
    Packet,
    custom,
    enhanced,
    gzipped,
    interface,
    names,
    old_packet,
    pcap,
    section,
    simple,
    statistics,
    tc_verdict,
    ticks,
    zstandard,
)

from flowglass.fields.contracts import Direction, NotRecorded, Verdict

V4 = ("10.0.0.1", "203.0.113.7")
V6 = ("2001:db8::1", "2001:db8::2")
TCP_PACKET = ip.ipv4(*V4, ip.TCP, ip.tcp(40_000, 443, ip.SYN, b"hello"))
UDP6_PACKET = ip.ipv6(*V6, ip.UDP, ip.udp(40_001, 53, b"hello"))


def reread(layer: Any) -> bytes:
    """The bytes that scapy makes of a packet whose checksums and lengths it has to fill anew."""
    for part in (inet.IP, inet.TCP, inet.UDP, inet6.IPv6, inet.ICMP, inet6.ICMPv6EchoRequest):
        if layer.haslayer(part):
            for name in ("chksum", "cksum", "len", "plen"):
                if name in layer[part].fields:
                    delattr(layer[part], name)
    return bytes(layer)


def known(outcome: Decoded | NotRecorded) -> FlowKey:
    assert isinstance(outcome, Decoded)
    return outcome.key


@pytest.mark.parametrize(
    "packet",
    [
        TCP_PACKET,
        ip.ipv4(*V4, ip.UDP, ip.udp(1, 2, b"odd")),
        ip.ipv4(*V4, ip.ICMP, ip.icmp(8, 0, bytes(56))),
        ip.ipv4(*V4, ip.TCP, ip.tcp(1, 2, ip.ACK, options=b"\1\1\x08\x0a" + bytes(8)), options=b"\x94\4\0\0"),
    ],
)
def test_ipv4_lengths_and_checksums_are_those_of_scapy(packet: bytes) -> None:
    parsed = inet.IP(packet)
    assert (parsed.src, parsed.dst, parsed.len) == (*V4, len(packet))
    assert reread(parsed) == packet


@pytest.mark.parametrize(
    "packet",
    [
        UDP6_PACKET,
        ip.ipv6(*V6, ip.TCP, ip.tcp(1, 2, ip.SYN)),
        ip.ipv6(*V6, ip.ICMPV6, ip.icmpv6(128, 0, bytes(8))),
    ],
)
def test_ipv6_lengths_and_checksums_are_those_of_scapy(packet: bytes) -> None:
    parsed = inet6.IPv6(packet)
    assert (parsed.src, parsed.dst, parsed.plen) == (*V6, len(packet) - 40)
    assert reread(parsed) == packet


def test_scapy_walks_the_extension_headers_to_the_transport() -> None:
    chain = (
        ip.hop_by_hop(),
        ip.routing(("2001:db8::9",)),
        ip.destination_options(b"\1\0"),
        ip.fragment(0, more=False),
    )
    parsed = inet6.IPv6(ip.ipv6(*V6, ip.UDP, ip.udp(5, 6, b"x"), extensions=chain))
    for layer in (
        inet6.IPv6ExtHdrHopByHop,
        inet6.IPv6ExtHdrSegmentRouting,
        inet6.IPv6ExtHdrDestOpt,
        inet6.IPv6ExtHdrFragment,
    ):
        assert parsed.haslayer(layer)
    assert (parsed[inet.UDP].sport, parsed[inet.UDP].dport) == (5, 6)


def test_scapy_reads_the_jumbo_option_and_the_fragment_offset() -> None:
    jumbogram = inet6.IPv6(ip.ipv6(*V6, ip.UDP, b"", extensions=(ip.jumbo(70_000),), payload_length=0))
    assert jumbogram[inet6.Jumbo].jumboplen == 70_000
    later = inet6.IPv6(ip.ipv6(*V6, ip.UDP, b"data", extensions=(ip.fragment(185, more=True),)))
    assert (later[inet6.IPv6ExtHdrFragment].offset, later[inet6.IPv6ExtHdrFragment].m) == (185, 1)
    assert inet.IP(ip.ipv4(*V4, ip.UDP, b"data", frag_offset=185)).frag == 185


def test_scapy_reads_sctp_ah_esp_and_gre() -> None:
    parsed = inet.IP(ip.ipv4(*V4, ip.SCTP, ip.sctp(7, 8)))
    assert (parsed[sctp.SCTP].sport, parsed[sctp.SCTP].dport) == (7, 8)
    gre = inet.IP(ip.ipv4(*V4, ip.GRE, ip.gre(link.ETHERTYPE_IPV4, TCP_PACKET)))
    assert gre[l2.GRE].payload.dst == V4[1]
    assert inet.IP(ip.ipv4(*V4, ip.AH, ip.ah(ip.TCP, ip.tcp(1, 2)))).proto == ip.AH
    assert inet.IP(ip.ipv4(*V4, ip.ESP, ip.esp())).proto == ip.ESP


def test_scapy_reads_ethernet_with_vlans_mpls_pppoe_and_snap() -> None:
    tagged = l2.Ether(link.ethernet(TCP_PACKET, vlans=((link.QINQ, 100), (link.VLAN, 200))))
    assert (tagged.src, tagged.dst) == (link.MAC_A, link.MAC_B)
    assert [tagged[l2.Dot1AD].vlan, tagged[l2.Dot1Q].vlan] == [100, 200]
    assert tagged[inet.TCP].dport == 443
    labelled = l2.Ether(link.ethernet(TCP_PACKET, labels=(16, 17)))
    assert [labelled[MPLS].label, labelled[MPLS].payload.label, labelled[MPLS].payload.s] == [16, 17, 1]
    assert labelled[inet.TCP].dport == 443
    session = l2.Ether(link.ethernet(TCP_PACKET, pppoe=True))
    assert session[ppp.PPPoE].len == len(TCP_PACKET) + 2
    assert session[inet.TCP].dport == 443
    framed = l2.Dot3(link.ethernet(TCP_PACKET, snap=True))
    assert (framed.len, framed[l2.SNAP].code, framed[inet.TCP].dport) == (len(TCP_PACKET) + 8, 0x0800, 443)
    assert len(link.ethernet(b"", pad_to=60)) == 60
    assert l2.Ether(link.arp())[l2.ARP].pdst == "10.0.0.2"


def test_scapy_reads_the_other_link_types() -> None:
    cooked = l2.CookedLinux(link.sll(TCP_PACKET, packet_type=4))
    assert (cooked.pkttype, cooked.lladdrlen, cooked[inet.TCP].dport) == (4, 6, 443)
    cooked2 = l2.CookedLinuxV2(link.sll2(UDP6_PACKET, packet_type=1, interface=9))
    assert (cooked2.pkttype, cooked2.ifindex, cooked2[inet.UDP].dport) == (1, 9, 53)
    assert l2.Loopback(link.null(TCP_PACKET, ">"))[inet.TCP].dport == 443
    assert ppp.HDLC(link.ppp(TCP_PACKET))[inet.TCP].dport == 443
    assert ppp.PPP(link.ppp(UDP6_PACKET, framed=False))[inet.UDP].dport == 53


def test_nflog_attributes_are_padded_and_their_lengths_are_not() -> None:
    data = link.nflog(TCP_PACKET, prefix=b"drop", src=link.MAC_A)
    at, kinds = 4, {}
    while at < len(data):
        length, kind = struct.unpack_from("<HH", data, at)
        kinds[kind] = data[at + 4 : at + length]
        at += (length + 3) & ~3
    assert kinds[9] == TCP_PACKET
    assert kinds[10] == b"drop\0"
    assert kinds[8][4:10] == link.mac_bytes(link.MAC_A)
    assert at == len(data)


@pytest.mark.parametrize("link_type", link.LINK_TYPES)
@pytest.mark.parametrize("packet", [TCP_PACKET, UDP6_PACKET])
def test_the_reference_finds_the_packet_in_every_link_type(link_type: int, packet: bytes) -> None:
    if (link_type, packet[0] >> 4) in ((link.IPV4, 6), (link.IPV6, 4)):
        assert decode(Frame(packet, link_type=link_type)) == NotRecorded.IP_BROKEN
        return
    outcome = decode(Frame(link.linked(link_type, packet), link_type=link_type))
    assert isinstance(outcome, Decoded)
    assert (outcome.key.dport, outcome.bytes) == ((443, 45) if packet is TCP_PACKET else (53, 53))


def test_the_reference_names_every_cause() -> None:
    whole = link.ethernet(TCP_PACKET)
    cases = {
        NotRecorded.LINK_TYPE: Frame(whole, link_type=147),
        NotRecorded.LINK_HEADER: Frame(whole[:13]),
        NotRecorded.ARP: Frame(link.arp()),
        NotRecorded.NOT_IP: Frame(link.ethernet(b"", ethertype=0x88CC)),
        NotRecorded.IP_CUT: Frame(whole[:33]),
        NotRecorded.IP_BROKEN: Frame(link.ethernet(ip.ipv4(*V4, ip.TCP, b"", ihl=4))),
        NotRecorded.EXTENSION_BROKEN: Frame(
            link.ethernet(ip.ipv6(*V6, ip.UDP, extensions=(ip.hop_by_hop(),)))[:60],
        ),
    }
    assert {cause: decode(frame) for cause, frame in cases.items()} == {cause: cause for cause in cases}


def test_the_reference_is_lenient_with_what_was_cut() -> None:
    four = decode(Frame(link.ethernet(TCP_PACKET)[:38], wirelen=59))
    assert isinstance(four, Decoded)
    assert (four.key.sport, four.key.dport, four.tcp_flags, four.bytes) == (40_000, 443, 0, 45)
    fourteen = decode(Frame(link.ethernet(TCP_PACKET)[:48], wirelen=59))
    assert isinstance(fourteen, Decoded)
    assert (fourteen.tcp_flags, fourteen.raw_flags) == (ip.SYN, ip.SYN)
    padded = decode(Frame(link.ethernet(ip.ipv4(*V4, ip.UDP, b"", total_length=20), pad_to=60)))
    assert isinstance(padded, Decoded)
    assert (padded.key.sport, padded.bytes) == (0, 20), "what stands behind the IP length is padding"


def test_the_reference_takes_lengths_of_zero_from_the_wire() -> None:
    offloaded = ip.ipv4(*V4, ip.TCP, ip.tcp(1, 2, ip.ACK, bytes(100)), total_length=0)
    outcome = decode(Frame(link.ethernet(offloaded), wirelen=70_014))
    assert isinstance(outcome, Decoded)
    assert (outcome.bytes, outcome.key.dport) == (70_000, 2)
    jumbogram = ip.ipv6(*V6, ip.UDP, ip.udp(1, 2), extensions=(ip.jumbo(80_000),), payload_length=0)
    outcome = decode(Frame(link.ethernet(jumbogram), wirelen=70_014))
    assert isinstance(outcome, Decoded)
    assert (outcome.bytes, outcome.key.dport) == (80_040, 2)


def test_the_reference_counts_an_offloaded_frame_as_its_packets_on_the_wire() -> None:
    packet = ip.ipv4(*V4, ip.TCP, ip.tcp(1, 2, ip.ACK, bytes(2500)))
    outcome = decode(Frame(link.ethernet(packet), gso_size=1000))
    assert isinstance(outcome, Decoded)
    assert (outcome.packets, outcome.bytes) == (3, 2500 + 3 * 40)


def test_the_reference_gives_later_fragments_no_ports() -> None:
    first = decode(Frame(link.ethernet(ip.ipv4(*V4, ip.UDP, ip.udp(1, 2), more=True))))
    later = decode(Frame(link.ethernet(ip.ipv4(*V4, ip.UDP, ip.udp(1, 2), frag_offset=185))))
    assert (known(first).dport, known(later).dport) == (2, 0)
    later6 = ip.ipv6(*V6, ip.DESTINATION_OPTIONS, b"\x11\0junk", extensions=(ip.fragment(1, more=False),))
    assert known(decode(Frame(link.ethernet(later6)))).protocol == ip.DESTINATION_OPTIONS


def test_the_reference_keeps_link_endpoints_direction_and_verdict() -> None:
    tagged = decode(Frame(link.ethernet(TCP_PACKET, vlans=((link.QINQ, 100), (link.VLAN, 200)))))
    assert (known(tagged).vlan, known(tagged).src_mac, known(tagged).dst_mac) == (
        100,
        0x02000000000A,
        0x02000000000B,
    )
    cooked = decode(Frame(link.sll(TCP_PACKET, packet_type=4), link_type=link.SLL))
    assert (known(cooked).direction, known(cooked).src_mac, known(cooked).dst_mac) == (
        Direction.OUT,
        0x02000000000A,
        0,
    )
    logged = decode(
        Frame(link.nflog(TCP_PACKET, prefix=b"drop: web", hook=3), link_type=link.NFLOG),
        [(Verdict.REJECT, b"drop")],
    )
    assert (known(logged).direction, known(logged).verdict) == (Direction.OUT, Verdict.REJECT)


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (0, 0),
        (ip.ACK, 0),
        (ip.PSH | ip.ACK, 0),
        (ip.SYN, 2),
        (ip.SYN | ip.ACK, 18),
        (ip.SYN | ip.ECE, 2),
        (ip.FIN | ip.ACK, 1),
        (ip.RST | ip.ACK, 4),
        (255, 23),
    ],
)
def test_flags_follow_the_rule_of_aws(raw: int, value: int) -> None:
    assert aws_flags(raw) == value


def at(second: int, point: int = 0) -> Frame:
    return Frame(link.ethernet(TCP_PACKET), ts_ns=second * 1_000_000_000, point=point)


def starts(seconds: list[int], cuts: tuple[int, ...] = ()) -> list[tuple[int, int]]:
    """(window start, frames) in closing order."""
    closed = windows(map(at, seconds), cuts=cuts).closed
    return [(window.start_s, sum(counts.frames for counts in window.flows.values())) for window in closed]


def test_a_window_waits_for_the_second_window_behind_it() -> None:
    assert starts([0, 61, 5, 119]) == [(0, 2), (60, 2)]
    assert starts([0, 120, 5]) == [(0, 1), (0, 1), (120, 1)]


def test_a_late_packet_reopens_its_window_until_the_next_advance() -> None:
    assert starts([300, 0, 1, 310, 361, 2]) == [(0, 2), (0, 1), (300, 2), (360, 1)]
    assert windows(map(at, [300, 0, 1, 310, 361, 2])).late[0] == 3


def test_a_seventeenth_open_window_closes_the_oldest() -> None:
    late = [60 * minute for minute in range(16)]
    assert starts([6000, *late])[0] == (0, 1)
    assert len(starts([6000, *late])) == 17
    assert starts([6000, *late, 0]) == [(0, 1), (60, 1), (0, 1)] + [(m, 1) for m in late[2:]] + [(6000, 1)]


def test_cuts_are_windows_of_their_own() -> None:
    assert bounds(95, cuts=(90, 100, 130)) == (90, 100)
    assert bounds(80, cuts=(90, 100, 130)) == (60, 90)
    assert bounds(131, cuts=(90, 100, 130)) == (130, 180)
    assert starts([80, 95, 100, 81, 130, 82], cuts=(90, 100, 130)) == [
        (60, 1),
        (60, 1),
        (90, 1),
        (60, 1),
        (100, 1),
        (130, 1),
    ]


def test_a_frame_without_a_time_takes_the_one_before_it_at_its_point() -> None:
    order = [at(-1), at(200), at(0, point=1), Frame(link.ethernet(TCP_PACKET))]
    outcome = windows(order)
    assert [(window.point, window.start_s) for window in outcome.closed] == [(0, 0), (0, 180), (1, 0)]
    assert outcome.without_time == {0: 2}
    assert outcome.seen == {0: 3, 1: 1}


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("nanoseconds", [False, True])
def test_scapy_reads_classic_captures(order: link.Order, *, nanoseconds: bool) -> None:
    packet = Packet(TCP_PACKET, ts_ns=1_700_000_000_123_456_789).cut(30)
    reader = RawPcapReader(io.BytesIO(pcap([packet], link.RAW, order=order, nanoseconds=nanoseconds)))
    (data, meta), *rest = list(reader)
    assert (data, meta.sec, meta.wirelen, meta.caplen) == (TCP_PACKET[:30], 1_700_000_000, 45, 30)
    assert meta.usec == (123_456_789 if nanoseconds else 123_456)
    assert (rest, reader.linktype) == ([], link.RAW)


@pytest.mark.parametrize("order", ["<", ">"])
def test_scapy_reads_pcapng_and_skips_what_is_no_packet(order: link.Order) -> None:
    one = Packet(TCP_PACKET, ts_ns=1_700_000_000_500_000_000)
    data = (
        section(order, application="test")
        + interface(link.RAW, order=order, snaplen=65_535, name="eth0", tsresol=9)
        + names(b"\x0a\0\0\1", "host", order)
        + custom(b"anything", order=order)
        + enhanced(one, order=order, tsresol=9, direction=1, verdict=tc_verdict(2, order))
        + simple(one, order=order)
        + statistics(dropped=3, order=order)
    )
    blocks = list(RawPcapNgReader(io.BytesIO(data)))
    assert [content for content, _ in blocks] == [TCP_PACKET, TCP_PACKET]
    meta = blocks[0][1]
    assert ((meta.tshigh << 32) | meta.tslow, meta.tsresol) == (one.ts_ns, 1_000_000_000)
    assert (meta.linktype, meta.wirelen, meta.ifname) == (link.RAW, 45, b"eth0")


def test_times_follow_the_resolution_and_the_offset() -> None:
    half = 1_000_500_000_000
    assert ticks(half) == 1_000_500_000
    assert ticks(half, tsresol=3, tsoffset=1000) == 500
    assert ticks(half, tsresol=0x80 | 10) == 1_000 * 1024 + 512


def test_old_packet_blocks_have_the_layout_of_the_appendix() -> None:
    data = old_packet(Packet(b"abcde", ts_ns=5_000), 1, drops=2)
    assert struct.unpack_from("<IIHHIIII", data) == (2, 40, 1, 2, 0, 5, 5, 5)
    assert data[28:36] == b"abcde\0\0\0"
    assert len(data) == 40


def test_compressed_files_unpack_to_what_went_in() -> None:
    data = pcap([Packet(TCP_PACKET)] * 3)
    assert gzip.decompress(gzipped(data)) == data
    assert gzipped(data) == gzipped(data)
    assert pa.CompressedInputStream(pa.BufferReader(zstandard(data)), "zstd").read() == data
