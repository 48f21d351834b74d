"""The sample that the package carries: five minutes of a small network, as a capture and its inventory.

Rule: everything follows from this file: times from START_S, sizes and gaps from counters. Six devices see the
traffic; a packet between two of them is seen at both. The instances' devices judged their inbound packets
(epb_verdict), the NAT gateway's did not, and `idle0` sees nothing. Outside hosts are the documentation's.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from tests.support import frames as link
from tests.support import packets as ip
from tests.support import pcapfile as file
from tests.support.pcapfile import NS, Packet

START_S: Final = 1_793_610_000
"""2026-11-02 09:00:00 UTC."""

SNAPLEN: Final = 96
SEGMENT: Final = 1448
HOP_NS: Final = 40_000
"""Time a packet takes from one device to the next."""

ROUTER: Final = "02:5e:10:00:00:01"
SHOT, OK = 2, 0  # TC_ACT_SHOT, TC_ACT_OK
MS: Final = 1_000_000
NAT_PORTS: Final = 20_000
"""What the NAT gateway adds to a source port."""


@dataclass(frozen=True, slots=True)
class Device:
    """A device and the interface on it."""

    name: str
    eni: str
    mac: str
    subnet: str
    instance: str
    ipv4: tuple[str, ...]
    ipv6: tuple[str, ...] = ()
    judges: bool = True


NAT_ID: Final = "nat-0e5f6071829304152"
PUBLIC, PRIVATE = "subnet-0b2c3d4e5f6071829", "subnet-0c3d4e5f607182930"
WEB = Device(
    "web0", "eni-0a1b2c3d4e5f60001", "02:5e:10:00:16:91", PUBLIC, "i-0a1b2c3d4e5f60001",
    ("172.31.22.145", "172.31.22.146"), ("2001:db8:1f:10::145",),
)  # fmt: skip
DATABASE = Device(
    "db0", "eni-0a1b2c3d4e5f60002", "02:5e:10:00:26:14", PRIVATE, "i-0a1b2c3d4e5f60002", ("172.31.38.20",)
)
RESOLVER = Device(
    "dns0", "eni-0a1b2c3d4e5f60003", "02:5e:10:00:26:35", PRIVATE, "i-0a1b2c3d4e5f60003", ("172.31.38.53",)
)
WORKER = Device(
    "worker0", "eni-0a1b2c3d4e5f60004", "02:5e:10:00:28:07", PRIVATE, "i-0a1b2c3d4e5f60004", ("172.31.40.7",)
)
NAT = Device("nat0", "eni-0a1b2c3d4e5f60005", "02:5e:10:00:10:09", PUBLIC, "", ("172.31.16.9",), judges=False)
IDLE = Device("idle0", "eni-0a1b2c3d4e5f60006", "02:5e:10:00:28:63", PRIVATE, "i-0a1b2c3d4e5f60006", ("172.31.40.99",))
DEVICES: Final = (WEB, DATABASE, RESOLVER, WORKER, NAT, IDLE)
NAMES: Final = {WEB: "web", DATABASE: "database", RESOLVER: "resolver", WORKER: "worker", IDLE: "standby"}

OPERATOR, SCANNER, PINGER, UPDATES = "203.0.113.200", "198.51.100.77", "203.0.113.12", "198.51.100.30"
CLIENTS: Final = tuple(f"203.0.113.{host}" for host in (21, 34, 55, 89, 144))
CLIENT6: Final = "2001:db8:c::7"
SCANNED: Final = (
    21, 23, 25, 80, 110, 111, 135, 139, 143, 389, 445, 1433, 1521, 2049, 3306, 3389, 5432, 5900, 8080, 8443,
)  # fmt: skip
OWNERS: Final = {address: device for device in DEVICES for address in (*device.ipv4, *device.ipv6)}


@dataclass(frozen=True, slots=True)
class Connection:
    """A TCP connection: `turns` of (bytes up, bytes down), a step (one segment) every `step_ns`."""

    start_ns: int
    client: str
    server: str
    sport: int
    dport: int
    turns: list[tuple[int, int]]
    step_ns: int

    def steps(self) -> Iterator[tuple[int, str, str, bytes]]:
        """(time, source, destination, segment); steps are a little uneven."""
        for step, (upward, segment) in enumerate(segments(self.sport, self.dport, self.turns)):
            src, dst = (self.client, self.server) if upward else (self.server, self.client)
            yield (
                self.start_ns + step * self.step_ns + step * step % 7 * self.step_ns // 10,
                src,
                dst,
                segment,
            )


@dataclass(slots=True)
class Network:
    """Collects what the devices see: (time, device, inbound, verdict, frame)."""

    seen: list[tuple[int, Device, bool, int | None, bytes]] = field(default_factory=list)

    def send(self, ts_ns: int, packet: bytes, *, accepted: bool = True) -> None:
        """One IP packet, seen where it goes out and where it comes in."""
        parsed = ipaddress.ip_address(packet[8:24] if packet[0] >> 4 == 6 else packet[12:16])
        target = ipaddress.ip_address(packet[24:40] if packet[0] >> 4 == 6 else packet[16:20])
        self._carry(ts_ns, OWNERS.get(str(parsed)), OWNERS.get(str(target)), packet, accepted=accepted)

    def _carry(
        self,
        ts_ns: int,
        sender: Device | None,
        receiver: Device | None,
        packet: bytes,
        *,
        accepted: bool = True,
    ) -> None:
        src, dst = sender.mac if sender else ROUTER, receiver.mac if receiver else ROUTER
        frame = link.ethernet(packet, pad_to=60, src=src, dst=dst)
        if sender is not None:
            self.seen.append((ts_ns, sender, False, OK if sender.judges else None, frame))
        if receiver is not None:
            verdict = (OK if accepted else SHOT) if receiver.judges else None
            self.seen.append((ts_ns + HOP_NS, receiver, True, verdict, frame))

    def connect(self, connection: Connection) -> None:
        """All packets of a connection."""
        build = ip.ipv6 if ":" in connection.client else ip.ipv4
        for ts_ns, src, dst, segment in connection.steps():
            self.send(ts_ns, build(src, dst, ip.TCP, segment))

    def connect_by_nat(self, connection: Connection) -> None:
        """All packets of a connection of the worker to the outside, translated by the NAT gateway."""
        gateway = NAT.ipv4[0]
        outer = replace(connection, client=gateway, sport=connection.sport + NAT_PORTS)
        for (ts_ns, src, dst, segment), (_, nat_src, nat_dst, nat_segment) in zip(
            connection.steps(), outer.steps(), strict=True
        ):
            inner = ip.ipv4(src, dst, ip.TCP, segment)
            translated = ip.ipv4(nat_src, nat_dst, ip.TCP, nat_segment)
            if src == connection.client:
                self._carry(ts_ns, WORKER, NAT, inner)
                self.send(ts_ns + 2 * HOP_NS, translated)
            else:
                self.send(ts_ns, translated)
                self._carry(ts_ns + 2 * HOP_NS, NAT, WORKER, inner)


def segments(sport: int, dport: int, turns: list[tuple[int, int]]) -> Iterator[tuple[bool, bytes]]:
    """The segments of a connection in order: (client to server, segment)."""
    sent = {True: 1, False: 1}

    def segment(flags: int, size: int = 0, *, upward: bool, options: bytes = b"") -> tuple[bool, bytes]:
        ports = (sport, dport) if upward else (dport, sport)
        made = ip.tcp(*ports, flags, bytes(size), seq=sent[upward], ack=sent[not upward], options=options)
        sent[upward] += size + bool(flags & (ip.SYN | ip.FIN))
        return upward, made

    mss = b"\2\4\5\xa8"
    yield segment(ip.SYN, upward=True, options=mss)
    yield segment(ip.SYN | ip.ACK, upward=False, options=mss)
    yield segment(ip.ACK, upward=True)
    for turn in turns:
        for upward, total in zip((True, False), turn, strict=True):
            for begin in range(0, total, SEGMENT):
                yield segment(ip.PSH | ip.ACK, min(SEGMENT, total - begin), upward=upward)
        yield segment(ip.ACK, upward=True)
    yield segment(ip.FIN | ip.ACK, upward=True)
    yield segment(ip.FIN | ip.ACK, upward=False)
    yield segment(ip.ACK, upward=True)


def traffic() -> Network:
    """All that happens in the five minutes."""
    net, start = Network(), START_S * NS
    web, database, resolver, worker = (device.ipv4[0] for device in (WEB, DATABASE, RESOLVER, WORKER))
    keys = [(48 + 16 * (i % 3), 64 + 80 * (i % 5)) for i in range(24)]
    net.connect(Connection(start + 7 * NS, OPERATOR, web, 51_234, 22, keys, 3_500 * MS))
    for i in range(15):
        begin, client = start + (3 + 19 * i) * NS, CLIENTS[i % 5]
        pages = [(517, 2900), (380 + 40 * i, 3_000 + 900 * (i % 4))]
        net.connect(Connection(begin, client, web, 49_200 + i, 443, pages, 100 * MS))
        lookup(net, begin + 60 * MS, web, resolver, 35_000 + i)
        rows = [(160 + 10 * (i % 6), 700 + 500 * (i % 3))]
        net.connect(Connection(begin + 90 * MS, web, database, 42_000 + i, 5432, rows, 15 * MS))
    for i, begin in enumerate((41, 200)):
        pages = [(517, 2900), (420, 5200)][: 2 - i]
        net.connect(Connection(start + begin * NS, CLIENT6, WEB.ipv6[0], 50_443 + i, 443, pages, 120 * MS))
    for i, begin in enumerate((65, 165)):
        lookup(net, start + begin * NS - 40 * MS, worker, resolver, 36_000 + i)
        downloads = [(517, 3100), (260, 11_000)]
        net.connect_by_nat(Connection(start + begin * NS, worker, UPDATES, 38_100 + i, 443, downloads, 220 * MS))
    for i in range(12):
        echo = start + (130 + i) * NS
        net.send(echo, ip.ipv4(PINGER, web, ip.ICMP, ip.icmp(8, 0, bytes(56), 77, i + 1)))
        net.send(echo + MS, ip.ipv4(web, PINGER, ip.ICMP, ip.icmp(0, 0, bytes(56), 77, i + 1)))
    scan(net, start + 151 * NS)
    return net


def lookup(net: Network, ts_ns: int, host: str, resolver: str, sport: int) -> None:
    """A DNS question and its answer."""
    net.send(ts_ns, ip.ipv4(host, resolver, ip.UDP, ip.udp(sport, 53, bytes(34))))
    net.send(ts_ns + MS, ip.ipv4(resolver, host, ip.UDP, ip.udp(53, sport, bytes(82))))


def scan(net: Network, start_ns: int) -> None:
    """A port scan of the web server: refused at every port but 443, where the scanner resets."""
    web, other = WEB.ipv4
    for i, port in enumerate(SCANNED):
        for again in range(2):
            probe = ip.tcp(61_000 + i, port, ip.SYN)
            refused = ip.ipv4(SCANNER, web, ip.TCP, probe)
            net.send(start_ns + i * 350 * MS + again * NS, refused, accepted=False)
    begin = start_ns + 12 * NS
    net.send(begin, ip.ipv4(SCANNER, web, ip.TCP, ip.tcp(61_100, 443, ip.SYN)))
    net.send(begin + MS, ip.ipv4(web, SCANNER, ip.TCP, ip.tcp(443, 61_100, ip.SYN | ip.ACK)))
    net.send(begin + 20 * MS, ip.ipv4(SCANNER, web, ip.TCP, ip.tcp(61_100, 443, ip.RST)))
    question = ip.ipv4(SCANNER, other, ip.UDP, ip.udp(61_101, 161, bytes(40)))
    net.send(begin + 2 * NS, question, accepted=False)


def capture() -> bytes:
    """The sample as pcapng."""
    parts = [file.section(application="flowglass sample")]
    parts += [
        file.interface(snaplen=SNAPLEN, name=device.name, mac=link.mac_bytes(device.mac), tsresol=9)
        for device in DEVICES
    ]
    seen = sorted(traffic().seen, key=lambda one: one[0])
    for ts_ns, device, inbound, verdict, frame in seen:
        parts.append(
            file.enhanced(
                Packet(frame, ts_ns).cut(SNAPLEN),
                DEVICES.index(device),
                tsresol=9,
                direction=1 if inbound else 2,
                verdict=None if verdict is None else file.tc_verdict(verdict),
            )
        )
    return b"".join(parts)


def inventory() -> str:
    """The sample's inventory as YAML."""
    routes = "{to: 0.0.0.0/0, via: igw-0d4e5f60718293041}, {to: '::/0', via: igw-0d4e5f60718293041}"
    inner = f"{{to: 0.0.0.0/0, via: {NAT_ID}}}"
    instances = "".join(f"  - {{id: {device.instance}, tags: {{Name: {name}}}}}\n" for device, name in NAMES.items())
    interfaces = "".join(_interface(device) for device in DEVICES)
    return f"""# Inventory of the sample capture: one VPC, two subnets, five instances and a NAT gateway.
account: "123456789012"
region: eu-west-1
vpcs:
  - {{id: vpc-0a1b2c3d4e5f60718, cidrs: [172.31.0.0/16, "2001:db8:1f::/56"]}}
subnets:
  - id: {PUBLIC}
    vpc: vpc-0a1b2c3d4e5f60718
    cidr: 172.31.16.0/20
    ipv6_cidr: "2001:db8:1f:10::/64"
    zone: euw1-az1
    routes: [{routes}]
  - id: {PRIVATE}
    vpc: vpc-0a1b2c3d4e5f60718
    cidr: 172.31.32.0/20
    zone: euw1-az2
    routes: [{inner}]
instances:
{instances}interfaces:
{interfaces}"""


def _interface(device: Device) -> str:
    instance = (
        f"    instance: {device.instance}\n" if device.instance else f"    type: nat_gateway\n    resource: {NAT_ID}\n"
    )
    ipv6 = f'    ipv6: ["{device.ipv6[0]}"]\n' if device.ipv6 else ""
    return (
        f"  - id: {device.eni}\n    subnet: {device.subnet}\n{instance}"
        f"    ipv4: [{', '.join(device.ipv4)}]\n{ipv6}"
        f'    mac: "{device.mac}"\n    device: {device.name}\n'
    )
