"""Hypothesis strategies for traffic: valid frames of every kind, broken ones, times in any order.

Rule: few hosts and ports, so flows meet; every draw can shrink to a plain UDP packet at time 0.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from hypothesis import strategies as st
from tests.support import frames as link
from tests.support import packets as ip
from tests.support.oracle import NS, Frame

from flowglass.fields.contracts import NO_TIME, Direction, Verdict

HOSTS4: Final = ("10.0.0.1", "10.0.0.2", "203.0.113.7", "255.255.255.255")
HOSTS6: Final = ("2001:db8::1", "2001:db8::2", "fe80::1", "::ffff:10.0.0.1")
PORTS: Final = (0, 22, 53, 443, 65_535)
MACS: Final = (link.MAC_A, link.MAC_B, "ff:ff:ff:ff:ff:ff", "00:00:00:00:00:00")
PREFIXES: Final = ((Verdict.REJECT, b"drop:"), (Verdict.ACCEPT, b"ok"), (Verdict.ACCEPT, b"drop"))
"""Verdicts by NFLOG prefix for tests; the third is shadowed by the first where both fit."""

_FLAGS: Final = st.one_of(
    st.sampled_from((ip.SYN, ip.SYN | ip.ACK, ip.ACK, ip.FIN | ip.ACK, ip.RST)), st.integers(0, 255)
)
_PAYLOAD: Final = st.binary(max_size=24)
_ORDERS: Final[tuple[link.Order, link.Order]] = ("<", ">")


@st.composite
def transports(draw: st.DrawFn) -> tuple[int, bytes]:
    """A protocol number and a transport packet of it."""
    kind = draw(st.sampled_from(("udp", "tcp", "ported", "icmp", "other")))
    payload = draw(_PAYLOAD)
    if kind == "icmp":
        number = draw(st.sampled_from((ip.ICMP, ip.ICMPV6)))
        return number, ip.icmp(draw(st.integers(0, 255)), draw(st.integers(0, 15)), payload)
    if kind == "other":
        return draw(st.sampled_from((ip.ESP, ip.AH, ip.GRE, ip.NO_NEXT_HEADER, ip.MOBILITY, 2, 89, 255))), payload
    sport, dport = draw(st.sampled_from(PORTS)), draw(st.sampled_from(PORTS))
    if kind == "tcp":
        return ip.TCP, ip.tcp(sport, dport, draw(_FLAGS), payload, options=draw(st.sampled_from((b"", b"\2\4\5\xb4"))))
    if kind == "udp":
        return ip.UDP, ip.udp(sport, dport, payload)
    number = draw(st.sampled_from((ip.UDPLITE, ip.SCTP, ip.DCCP)))
    builder: Callable[[int, int, bytes], bytes] = {
        ip.UDPLITE: ip.udplite,
        ip.SCTP: ip.sctp,
        ip.DCCP: ip.dccp,
    }[number]
    return number, builder(sport, dport, payload)


@st.composite
def ipv4_packets(draw: st.DrawFn) -> bytes:
    """IPv4 packets with options, fragments and lengths of 0 or too short among them."""
    protocol, payload = draw(transports())
    return ip.ipv4(
        draw(st.sampled_from(HOSTS4)),
        draw(st.sampled_from(HOSTS4)),
        protocol,
        payload,
        options=draw(st.sampled_from((b"", b"", b"\x94\4\0\0", bytes(40)))),
        frag_offset=draw(st.sampled_from((0, 0, 0, 1, 185, 8191))),
        more=draw(st.booleans()),
        total_length=draw(st.one_of(st.none(), st.none(), st.sampled_from((0, 19, 20, 22, 24, 33, 34, 65_535)))),
        ihl=draw(st.sampled_from((None, None, None, None, 0, 4, 15))),
    )


_EXTENSIONS: Final = st.one_of(
    st.builds(ip.hop_by_hop, st.binary(max_size=8)),
    st.builds(ip.jumbo, st.sampled_from((0, 65_536, 2**32 - 1))),
    st.builds(ip.destination_options, st.binary(max_size=8)),
    st.builds(ip.routing, st.sampled_from(((), ("2001:db8::9",)))),
    st.builds(ip.fragment, st.sampled_from((0, 1, 8191)), more=st.booleans()),
)


@st.composite
def ipv6_packets(draw: st.DrawFn) -> bytes:
    """IPv6 packets with extension headers in any order, and lengths of 0."""
    protocol, payload = draw(transports())
    return ip.ipv6(
        draw(st.sampled_from(HOSTS6)),
        draw(st.sampled_from(HOSTS6)),
        protocol,
        payload,
        extensions=tuple(draw(st.lists(_EXTENSIONS, max_size=3))),
        payload_length=draw(st.sampled_from((None, None, None, 0, 6, 65_535))),
    )


def packets() -> st.SearchStrategy[bytes]:
    """IP packets of both families."""
    return st.one_of(ipv4_packets(), ipv6_packets())


_TAGS: Final = st.lists(
    st.tuples(st.sampled_from((link.VLAN, link.QINQ, 0x9100, 0x9200)), st.sampled_from((0, 1, 5, 4095))),
    max_size=3,
)


@st.composite
def ethernet_frames(draw: st.DrawFn, packet: bytes) -> bytes:
    """Ethernet frames with whatever may stand before IP, and frames of other protocols."""
    if draw(st.integers(0, 15)) == 15:
        other = st.sampled_from((link.ETHERTYPE_ARP, link.ETHERTYPE_RARP, 0x88CC, 0x8926, 46, 1500))
        return link.ethernet(packet, ethertype=draw(other))
    return link.ethernet(
        packet,
        src=draw(st.sampled_from(MACS)),
        dst=draw(st.sampled_from(MACS)),
        vlans=tuple(draw(_TAGS)),
        labels=tuple(draw(st.lists(st.integers(0, 2**20 - 1), max_size=2))),
        pppoe=draw(st.booleans()) and draw(st.booleans()),
        snap=draw(st.booleans()) and draw(st.booleans()),
        pad_to=draw(st.sampled_from((0, 60))),
    )


@st.composite
def linked_frames(draw: st.DrawFn, link_type: int, packet: bytes) -> bytes:
    """Frames of one link type around a packet, in every form that the link type has."""
    order = draw(st.sampled_from(_ORDERS))
    if link_type == link.ETHERNET:
        return draw(ethernet_frames(packet))
    if link_type == link.NULL:
        return link.null(packet, order, family=draw(st.sampled_from((None, None, 2, 10, 24, 28, 30, 7))))
    if link_type in (link.PPP, link.PPP_HDLC):
        return link.ppp(packet, framed=draw(st.booleans()), compressed=draw(st.booleans()))
    if link_type == link.C_HDLC:
        return link.c_hdlc(packet, address=draw(st.sampled_from((0x0F, 0x8F, 0))))
    if link_type in (link.SLL, link.SLL2):
        build = link.sll if link_type == link.SLL else link.sll2
        packet_type, tags = draw(st.integers(0, 5)), tuple(draw(_TAGS))
        return build(packet, packet_type=packet_type, src=draw(st.sampled_from(MACS)), vlans=tags)
    if link_type == link.NFLOG:
        return link.nflog(
            packet,
            order=order,
            family=draw(st.sampled_from((None, None, 0, 2, 10))),
            hook=draw(st.sampled_from((None, 0, 1, 2, 3, 4))),
            prefix=draw(st.sampled_from((None, b"", b"drop: x", b"ok", b"dropped", b"no"))),
            in_interface=draw(st.sampled_from((None, 2))),
            src=draw(st.sampled_from((None, link.MAC_A))),
        )
    return link.linked(link_type, packet)


@st.composite
def broken(draw: st.DrawFn, data: bytes) -> bytes:
    """The bytes cut anywhere, or with one byte changed, mostly near the front where headers are."""
    if draw(st.booleans()):
        return data[: draw(st.integers(0, len(data)))]
    if not data:
        return data
    place = draw(st.one_of(st.integers(0, min(len(data), 64) - 1), st.integers(0, len(data) - 1)))
    return data[:place] + bytes((draw(st.integers(0, 255)),)) + data[place + 1 :]


TIMES: Final = st.one_of(
    st.integers(0, 20 * 60).map(lambda second: second * NS),
    st.integers(0, 600 * NS),
    st.sampled_from((NO_TIME, 0, 59 * NS + NS - 1, 60 * NS, 3600 * NS, 2**62, 2**63 - 1)),
)
"""Times in any order: near one another, on edges of windows, absent, and at the end of time."""


@st.composite
def frames(
    draw: st.DrawFn,
    link_types: tuple[int, ...] = (link.ETHERNET,),
    times: st.SearchStrategy[int] = TIMES,
) -> Frame:
    """A frame of point i, whose link type is `link_types[i]`: whole or broken."""
    point = draw(st.integers(0, len(link_types) - 1))
    data = draw(linked_frames(link_types[point], draw(packets())))
    whole = draw(st.integers(0, 3)) > 0
    if not whole:
        data = draw(broken(data))
    return Frame(
        data=data,
        ts_ns=draw(times),
        wirelen=draw(st.sampled_from((None, None, 0, len(data) + 1, 1514))),
        link_type=link_types[point],
        point=point,
        direction=draw(st.sampled_from((Direction.UNKNOWN, Direction.IN, Direction.OUT))),
        verdict=draw(st.sampled_from((Verdict.UNKNOWN, Verdict.ACCEPT, Verdict.REJECT))),
        vlan=draw(st.sampled_from((0, 0, 0, 7))),
    )


@st.composite
def traffic(
    draw: st.DrawFn, max_frames: int = 40, times: st.SearchStrategy[int] = TIMES
) -> tuple[tuple[int, ...], list[Frame]]:
    """(link types of the points, frames of all points in order of arrival)."""
    link_types = tuple(draw(st.lists(st.sampled_from(link.LINK_TYPES), min_size=1, max_size=3)))
    return link_types, draw(st.lists(frames(link_types, times), max_size=max_frames))
