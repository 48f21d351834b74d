"""Flow-log records as they were published, and how their packets were seen.

Rule: published.txt has the lines as published. What had to change stands here: MASKED, and `instead` of a scene.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from tests.support import published_networks as net
from tests.support.frames import MAC_A, MAC_B

IN, OUT = 1, 2
"""Directions as epb_flags has them."""

V2: Final = (
    "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status"
)
TCP: Final = (
    "version vpc-id subnet-id instance-id interface-id account-id type srcaddr dstaddr srcport dstport pkt-srcaddr "
    "pkt-dstaddr protocol bytes packets start end action tcp-flags log-status"
)
NAT: Final = "instance-id interface-id srcaddr dstaddr pkt-srcaddr pkt-dstaddr"
REGIONAL_NAT: Final = f"resource-id {NAT}".replace("interface-id", "interface-id subnet-id")
TRANSIT: Final = (
    "version interface-id account-id vpc-id subnet-id instance-id srcaddr dstaddr srcport dstport protocol tcp-flags "
    "type pkt-srcaddr pkt-dstaddr action log-status"
)
V5: Final = (
    "version srcaddr dstaddr srcport dstport protocol start end type packets bytes account-id vpc-id subnet-id "
    "instance-id interface-id region az-id sublocation-type sublocation-id action tcp-flags pkt-srcaddr pkt-dstaddr "
    "pkt-src-aws-service pkt-dst-aws-service traffic-path flow-direction log-status"
)
ENCRYPTION: Final = "flow-direction traffic-path srcaddr dstaddr srcport dstport encryption-status"

MASKED: Final = {
    "vpc-exxxxxx2": "vpc-e0000002",
    "subnet-8xxxxf3": "subnet-800000f3",
    "i-0bfxxxxxxaf": "i-0bf000000000000af",
    "eni-08xxxxxxa5": "eni-080000000000000a5",
    "48xxxxxx93": "480000000093",
    "9xxx": "900000000000",
    "eni-xxx": "eni-00000000",
}
"""Ids that were published with x in place of digits (EX-30, EX-31), and the valid ids that stand in for them."""


def _published() -> dict[str, tuple[str, ...]]:
    """The lines by the number of their block's first example."""
    _, *blocks = Path(__file__).with_name("published.txt").read_text(encoding="utf-8").split("\n# ")
    return {block.split()[0]: tuple(block.strip().split("\n")[1:]) for block in blocks}


PUBLISHED: Final = _published()


@dataclass(frozen=True, slots=True)
class Seen:
    """Where the packets of a line were captured: device, epb_flags, MAC addresses; `icmp`: their type."""

    line: int
    device: str = "eth0"
    direction: int | None = None
    macs: tuple[str, str] = (MAC_A, MAC_B)
    icmp: int = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Examples `first` to `last`: one network and one window.

    `fields`: the log format; `seen`: what the capture holds, by default each line once, at eth0, and its direction
    is for the addresses to tell; `instead`: by line, cells that packets cannot give as published.
    """

    name: str
    first: int
    last: int
    fields: str
    inventory: str
    seen: tuple[Seen, ...] = ()
    instead: Mapping[int, Mapping[str, str]] = field(default_factory=dict)

    @property
    def lines(self) -> tuple[str, ...]:
        """The lines as published."""
        return PUBLISHED[f"EX-{self.first:02}"]

    def cells(self, number: int) -> dict[str, str]:
        """What is expected of a line, by field."""
        published = [MASKED.get(cell, cell) for cell in self.lines[number].split(" ")]
        return {**dict(zip(self.fields.split(), published, strict=True)), **self.instead.get(number, {})}

    def expected(self) -> list[str]:
        """The lines that are expected."""
        return [" ".join(self.cells(number).values()) for number in range(len(self.lines))]

    def captured(self) -> tuple[Seen, ...]:
        """What the capture holds."""
        return self.seen or tuple(Seen(number) for number in range(len(self.lines)))


_ASKED_ANSWERED: Final = (Seen(0), Seen(1, icmp=0))
_AT_BOTH_DEVICES: Final = (
    Seen(0, "nat0", IN),
    Seen(1, "nat0", OUT),
    Seen(2, "nat0", IN),
    Seen(3, "nat0", OUT),
    Seen(4, "eth0", OUT),
    Seen(5, "eth0", IN),
)
_ON_ONE_LINK: Final = (
    Seen(4, "br0", macs=(net.MAC_INSTANCE, net.MAC_NAT)),
    Seen(1, "br0", macs=(net.MAC_NAT, net.MAC_ROUTER)),
    Seen(2, "br0", macs=(net.MAC_ROUTER, net.MAC_NAT)),
    Seen(5, "br0", macs=(net.MAC_NAT, net.MAC_INSTANCE)),
)
ZONAL: Final = Scene(
    name="zonal NAT gateway", first=16, last=21, fields=NAT, inventory=net.ZONAL, seen=_AT_BOTH_DEVICES
)
REGIONAL: Final = Scene(
    name="regional NAT gateway",
    first=22,
    last=26,
    fields=REGIONAL_NAT,
    inventory=net.REGIONAL,
    seen=_AT_BOTH_DEVICES,
)
SCENES: Final = (
    Scene(
        name="accepted SSH",
        first=1,
        last=1,
        fields=V2,
        inventory=net.simple("172.31.16.21", "172.31.16.0/20"),
    ),
    Scene(
        name="rejected RDP",
        first=2,
        last=2,
        fields=V2,
        inventory=net.simple("172.31.9.12", "172.31.0.0/20"),
    ),
    Scene(
        name="a ping whose reply the ACL rejects",
        first=5,
        last=6,
        fields=V2,
        inventory=net.simple("172.31.16.139", "172.31.16.0/20"),
        seen=_ASKED_ANSWERED,
    ),
    Scene(name="SSH over IPv6", first=7, last=7, fields=V2, inventory=net.IPV6),
    Scene(name="two connections, first interval", first=8, last=11, fields=TCP, inventory=net.SERVER),
    # The published intervals meet inside second 1566848933. Windows here are cut at whole seconds, so that each
    # interval is a window of a run of its own.
    Scene(name="two connections, second interval", first=12, last=13, fields=TCP, inventory=net.SERVER),
    Scene(name="a short connection", first=14, last=15, fields=TCP, inventory=net.SERVER),
    ZONAL,
    REGIONAL,
    Scene(
        name="transit gateway",
        first=27,
        last=27,
        fields=TRANSIT,
        inventory=net.TRANSIT,
        seen=(Seen(0, "eth0", IN), Seen(1, "eth0", OUT), Seen(2, "tgw1", OUT), Seen(3, "tgw2", IN)),
    ),
    Scene(name="S3 through an internet gateway", first=28, last=29, fields=V5, inventory=net.TO_S3),
    Scene(name="the announcement's SSH", first=30, last=30, fields=TCP, inventory=net.SEED),
    Scene(
        name="the same reply accepted, then rejected",
        first=31,
        last=31,
        fields=V2,
        inventory=net.NOTEBOOK,
        seen=(*_ASKED_ANSWERED, Seen(2, icmp=0)),
        # A flow of one packet has one second; published are the bounds of the window.
        instead={1: {"end": "1554186843"}, 2: {"start": "1554186883"}},
    ),
    Scene(
        name="encryption status",
        first=32,
        last=32,
        fields=ENCRYPTION,
        inventory=net.ENCRYPTED,
        # Only AWS's encryption controls know it.
        instead={number: {"encryption-status": "-"} for number in range(8)},
    ),
)
"""Every published example that comes from packets."""

BY_MAC: Final = tuple(
    replace(scene, name=f"{scene.name}, told by MAC addresses", seen=_ON_ONE_LINK) for scene in (ZONAL, REGIONAL)
)
"""The NAT gateways again, seen on one link: four flows that give the six records."""
