"""A plain reference of what the product makes of frames: dicts and integers, one frame at a time.

Rule: written from the specification (RFCs, the link-type list, the design's rules), never from the kernels.
Plainness before speed. Where a rule is ours and not a standard's, it stands beside its function.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from tests.support import frames as link
from tests.support import packets as ip
from tests.support.oracle_ip import IpPacket, ipv4, ipv6
from tests.support.oracle_link import Link, Prefixes, find_packet, number

from flowglass.fields.contracts import NO_TIME, Direction, NotRecorded, Verdict

NS: Final = 1_000_000_000
WINDOWS_A_POINT: Final = 16
PORTED: Final = (ip.TCP, ip.UDP, ip.UDPLITE, ip.SCTP, ip.DCCP)


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame as a capture source hands it over; `wirelen` None: as captured; `vlan`: taken off by it."""

    data: bytes
    ts_ns: int = NO_TIME
    wirelen: int | None = None
    link_type: int = link.ETHERNET
    point: int = 0
    direction: Direction = Direction.UNKNOWN
    verdict: Verdict = Verdict.UNKNOWN
    vlan: int = 0
    gso_size: int = 0

    @property
    def wire(self) -> int:
        """Bytes on the wire; never fewer than were captured."""
        return max(len(self.data), self.wirelen or 0)


@dataclass(frozen=True, slots=True)
class FlowKey:
    """What makes a flow within a window and point. Addresses are 128-bit numbers, IPv4 mapped into IPv6."""

    src: int
    dst: int
    sport: int
    dport: int
    protocol: int
    family: int
    direction: Direction
    verdict: Verdict
    src_mac: int
    dst_mac: int
    vlan: int


@dataclass(frozen=True, slots=True)
class Decoded:
    """One frame's flow and what it adds to it."""

    key: FlowKey
    bytes: int
    packets: int = 1
    tcp_flags: int = 0
    raw_flags: int = 0
    icmp: int = 0


@dataclass(slots=True)
class Counts:
    """A flow's counters in one window."""

    packets: int
    bytes: int
    frames: int
    tcp_flags: int
    raw_flags: int
    icmp: int
    first_ns: int
    last_ns: int


def decode(frame: Frame, prefixes: Prefixes = ()) -> Decoded | NotRecorded:
    """One frame: its flow, or why it is in none."""
    found = find_packet(frame.data, frame.link_type, frame.vlan, prefixes)
    if isinstance(found, NotRecorded):
        return found
    seen = frame.data[found.at : found.end]
    wire = frame.wire - found.at
    if found.ethertype == link.ETHERTYPE_IPV4:
        packet = ipv4(seen, wire)
    elif found.ethertype == link.ETHERTYPE_IPV6:
        packet = ipv6(seen, wire)
    else:
        return NotRecorded.NOT_IP
    if isinstance(packet, NotRecorded):
        return packet
    return _offloaded(_transported(packet, frame, found), packet, frame.gso_size)


def _transported(packet: IpPacket, frame: Frame, found: Link) -> Decoded:
    sport = dport = flags = raw = icmp = 0
    head = b"" if packet.later_fragment else packet.transport
    if packet.protocol in PORTED and len(head) >= 4:
        sport, dport = number(head, 0, 2), number(head, 2, 2)
    if packet.protocol == ip.TCP and len(head) >= 14:
        raw = head[13]
        flags = aws_flags(raw)
    if packet.protocol in (ip.ICMP, ip.ICMPV6) and len(head) >= 2:
        icmp = number(head, 0, 2)
    key = FlowKey(
        src=packet.src,
        dst=packet.dst,
        sport=sport,
        dport=dport,
        protocol=packet.protocol,
        family=packet.family,
        direction=frame.direction or found.direction,
        verdict=frame.verdict or found.verdict,
        src_mac=found.src_mac,
        dst_mac=found.dst_mac,
        vlan=found.vlan,
    )
    return Decoded(key, packet.length, tcp_flags=flags, raw_flags=raw, icmp=icmp)


def aws_flags(raw: int) -> int:
    """AWS's value of one packet's flags: FIN 1, SYN 2, RST 4, and ACK 16 only beside SYN."""
    return raw & 7 | (ip.ACK if raw & ip.ACK and raw & ip.SYN else 0)


def _offloaded(decoded: Decoded, packet: IpPacket, gso_size: int) -> Decoded:
    """An offloaded frame counts as the packets on the wire, each of which repeats all headers."""
    head = packet.transport
    transport = {ip.UDP: 8, ip.UDPLITE: 8, ip.SCTP: 8, ip.DCCP: 8}.get(packet.protocol, 0)
    if packet.protocol == ip.TCP:
        transport = (head[12] >> 4) * 4 if len(head) >= 14 else 20
    headers = packet.header + (0 if packet.later_fragment else transport)
    payload = packet.length - headers
    if gso_size <= 0 or payload <= gso_size:
        return decoded
    count = -(-payload // gso_size)
    return replace(decoded, packets=count, bytes=packet.length + (count - 1) * headers)


@dataclass(frozen=True, slots=True)
class Closed:
    """One closed window: its point, its seconds, its flows in order of first packet."""

    point: int
    start_s: int
    end_s: int
    flows: dict[FlowKey, Counts]


@dataclass(slots=True)
class Outcome:
    """What became of all frames. `closed`: in closing order. Counters are by point."""

    closed: list[Closed] = field(default_factory=list)
    seen: Counter[int] = field(default_factory=Counter)
    in_flows: Counter[int] = field(default_factory=Counter)
    not_recorded: Counter[tuple[int, NotRecorded]] = field(default_factory=Counter)
    without_time: Counter[int] = field(default_factory=Counter)
    late: Counter[int] = field(default_factory=Counter)


def bounds(second: int, window_s: int = 60, cuts: Sequence[int] = ()) -> tuple[int, int]:
    """The window that holds a second: aligned to multiples of `window_s`, between `cuts` where they reach."""
    start = second // window_s * window_s
    end = start + window_s
    edges = [start, end, *(cut for cut in cuts)]
    inside = bool(cuts) and cuts[0] <= second < cuts[-1]
    low = max(edge for edge in (cuts if inside else edges) if edge <= second)
    high = min(edge for edge in (cuts if inside else edges) if edge > second)
    return low, high


@dataclass(slots=True)
class _State:
    newest: tuple[int, int] | None = None
    last_ns: int = 0
    open: dict[tuple[int, int], dict[FlowKey, Counts]] = field(default_factory=dict)
    late: set[tuple[int, int]] = field(default_factory=set)


def windows(
    frames: Iterable[Frame], *, window_s: int = 60, cuts: Sequence[int] = (), prefixes: Prefixes = ()
) -> Outcome:
    """Flows by window. A window is final when the one behind it has passed too, by the point's newest frame.

    Closing happens at the frame that takes the newest time into a new window, and at the end; each time in
    ascending order. A late frame reopens its window; a seventeenth open window closes the oldest.
    """
    outcome, states = Outcome(), dict[int, _State]()
    for frame in frames:
        state = states.setdefault(frame.point, _State())
        outcome.seen[frame.point] += 1
        if frame.ts_ns < 0:
            outcome.without_time[frame.point] += 1
        else:
            state.last_ns = frame.ts_ns
        window = bounds(state.last_ns // NS, window_s, cuts)
        if state.newest is None or window[0] > state.newest[0]:
            state.newest = window
            for due in sorted(w for w in state.open if _final(w, window, window_s, cuts)):
                _close(frame.point, state, due, outcome)
        decoded = decode(frame, prefixes)
        if isinstance(decoded, NotRecorded):
            outcome.not_recorded[frame.point, decoded] += 1
            continue
        outcome.in_flows[frame.point] += 1
        if window not in state.open:
            if len(state.open) == WINDOWS_A_POINT:
                _close(frame.point, state, min(state.open), outcome)
            state.open[window] = {}
            if _final(window, state.newest, window_s, cuts):
                state.late.add(window)
        outcome.late[frame.point] += window in state.late
        _count(state.open[window], decoded, state.last_ns)
    for point, state in sorted(states.items()):
        for rest in sorted(state.open):
            _close(point, state, rest, outcome)
    return outcome


def _final(window: tuple[int, int], newest: tuple[int, int], window_s: int, cuts: Sequence[int]) -> bool:
    """Whether `newest` is two windows further than `window`, or more."""
    return newest[0] >= bounds(window[1], window_s, cuts)[1]


def _close(point: int, state: _State, window: tuple[int, int], outcome: Outcome) -> None:
    outcome.closed.append(Closed(point, *window, state.open.pop(window)))
    state.late.discard(window)


def _count(flows: dict[FlowKey, Counts], decoded: Decoded, ts_ns: int) -> None:
    counts = flows.get(decoded.key)
    if counts is None:
        flows[decoded.key] = Counts(
            packets=decoded.packets,
            bytes=decoded.bytes,
            frames=1,
            tcp_flags=decoded.tcp_flags,
            raw_flags=decoded.raw_flags,
            icmp=decoded.icmp,
            first_ns=ts_ns,
            last_ns=ts_ns,
        )
        return
    counts.packets += decoded.packets
    counts.bytes += decoded.bytes
    counts.frames += 1
    counts.tcp_flags |= decoded.tcp_flags
    counts.raw_flags |= decoded.raw_flags
    counts.first_ns = min(counts.first_ns, ts_ns)
    counts.last_ns = max(counts.last_ns, ts_ns)
