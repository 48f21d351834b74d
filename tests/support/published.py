"""Flow-log records as they were published, and the networks that they come from.

Rule: `lines` stand here as published. What had to change, and why, stands beside them: MASKED and `ours`.
EX-01 to EX-29: https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-records-examples.html; EX-30:
https://aws.amazon.com/blogs/aws/learn-from-your-vpc-flow-logs-with-additional-meta-data/; EX-31:
https://kyhau.github.io/aws-notebook/VpcFlowLogs.html; EX-32:
https://aws.amazon.com/blogs/aws/introducing-vpc-encryption-controls-enforce-encryption-in-transit-within-and-across-vpcs-in-a-region/
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from tests.support import published_networks as net
from tests.support.frames import MAC_A, MAC_B

IN, OUT = 1, 2
"""Directions as epb_flags has them."""

V2 = (
    "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status"
)
TCP = (
    "version vpc-id subnet-id instance-id interface-id account-id type srcaddr dstaddr srcport dstport pkt-srcaddr "
    "pkt-dstaddr protocol bytes packets start end action tcp-flags log-status"
)
NAT = "instance-id interface-id srcaddr dstaddr pkt-srcaddr pkt-dstaddr"
REGIONAL_NAT = "resource-id instance-id interface-id subnet-id srcaddr dstaddr pkt-srcaddr pkt-dstaddr"
TRANSIT = (
    "version interface-id account-id vpc-id subnet-id instance-id srcaddr dstaddr srcport dstport protocol tcp-flags "
    "type pkt-srcaddr pkt-dstaddr action log-status"
)
V5 = (
    "version srcaddr dstaddr srcport dstport protocol start end type packets bytes account-id vpc-id subnet-id "
    "instance-id interface-id region az-id sublocation-type sublocation-id action tcp-flags pkt-srcaddr pkt-dstaddr "
    "pkt-src-aws-service pkt-dst-aws-service traffic-path flow-direction log-status"
)
ENCRYPTION = "flow-direction traffic-path srcaddr dstaddr srcport dstport encryption-status"

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


@dataclass(frozen=True, slots=True)
class Seen:
    """Where the packets of a line were captured: the device, epb_flags, MAC addresses; `icmp`: the type."""

    line: int
    device: str = "eth0"
    direction: int | None = None
    macs: tuple[str, str] = (MAC_A, MAC_B)
    icmp: int = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Examples of one network and one window.

    `examples`: their numbers; `fields`: the log format; `ours`: what is written instead of a line that cannot come
    from packets, in `differs`; `seen`: what the capture holds, by default each line once at eth0.
    """

    name: str
    examples: tuple[int, ...]
    fields: str
    lines: tuple[str, ...]
    inventory: str
    seen: tuple[Seen, ...] = ()
    ours: Mapping[int, str] = field(default_factory=dict)
    differs: frozenset[str] = frozenset()

    def expected(self) -> list[str]:
        """The lines with valid ids, and ours where they differ."""
        return [self.ours.get(number, unmasked(line)) for number, line in enumerate(self.lines)]

    def cells(self, number: int) -> dict[str, str]:
        """A line that is expected, by field."""
        return dict(zip(self.fields.split(), self.expected()[number].split(), strict=True))

    def captured(self) -> tuple[Seen, ...]:
        """What the capture holds."""
        return self.seen or tuple(Seen(number) for number in range(len(self.lines)))


def unmasked(line: str) -> str:
    """The line with valid ids in place of masked ones."""
    return " ".join(MASKED.get(cell, cell) for cell in line.split(" "))


NODATA: Final = "2 123456789010 eni-1235b8ca123456789 - - - - - - - 1431280876 1431280934 - NODATA"
"""EX-03."""
SKIPDATA: Final = "2 123456789010 eni-11111111aaaaaaaaa - - - - - - - 1431280876 1431280934 - SKIPDATA"
"""EX-04, which does not come from traffic."""

SCENES: Final = (
    Scene(
        name="accepted SSH",
        examples=(1,),
        fields=V2,
        lines=(
            "2 123456789010 eni-1235b8ca123456789 172.31.16.139 172.31.16.21 20641 22 6 20 4249 1418530010 1418530070 ACCEPT OK",
        ),
        inventory=net.simple("172.31.16.21", "172.31.16.0/20"),
    ),
    Scene(
        name="rejected RDP",
        examples=(2,),
        fields=V2,
        lines=(
            "2 123456789010 eni-1235b8ca123456789 172.31.9.69 172.31.9.12 49761 3389 6 20 4249 1418530010 1418530070 REJECT OK",
        ),
        inventory=net.simple("172.31.9.12", "172.31.0.0/20"),
    ),
    Scene(
        name="a ping whose reply the ACL rejects",
        examples=(5, 6),
        fields=V2,
        lines=(
            "2 123456789010 eni-1235b8ca123456789 203.0.113.12 172.31.16.139 0 0 1 4 336 1432917027 1432917142 ACCEPT OK",
            "2 123456789010 eni-1235b8ca123456789 172.31.16.139 203.0.113.12 0 0 1 4 336 1432917094 1432917142 REJECT OK",
        ),
        inventory=net.simple("172.31.16.139", "172.31.16.0/20"),
        seen=(Seen(0), Seen(1, icmp=0)),
    ),
    Scene(
        name="SSH over IPv6",
        examples=(7,),
        fields=V2,
        lines=(
            "2 123456789010 eni-1235b8ca123456789 2001:db8:1234:a100:8d6e:3477:df66:f105 2001:db8:1234:a102:3304:8879:34cf:4071 34892 22 6 54 8855 1477913708 1477913820 ACCEPT OK",
        ),
        inventory=net.IPV6,
    ),
    Scene(
        name="two connections, first interval",
        examples=(8, 9, 10, 11),
        fields=TCP,
        lines=(
            "3 vpc-abcdefab012345678 subnet-aaaaaaaa012345678 i-01234567890123456 eni-1235b8ca123456789 123456789010 IPv4 52.213.180.42 10.0.0.62 43416 5001 52.213.180.42 10.0.0.62 6 568 8 1566848875 1566848933 ACCEPT 2 OK",
            "3 vpc-abcdefab012345678 subnet-aaaaaaaa012345678 i-01234567890123456 eni-1235b8ca123456789 123456789010 IPv4 10.0.0.62 52.213.180.42 5001 43416 10.0.0.62 52.213.180.42 6 376 7 1566848875 1566848933 ACCEPT 18 OK",
            "3 vpc-abcdefab012345678 subnet-aaaaaaaa012345678 i-01234567890123456 eni-1235b8ca123456789 123456789010 IPv4 52.213.180.42 10.0.0.62 43418 5001 52.213.180.42 10.0.0.62 6 100701 70 1566848875 1566848933 ACCEPT 2 OK",
            "3 vpc-abcdefab012345678 subnet-aaaaaaaa012345678 i-01234567890123456 eni-1235b8ca123456789 123456789010 IPv4 10.0.0.62 52.213.180.42 5001 43418 10.0.0.62 52.213.180.42 6 632 12 1566848875 1566848933 ACCEPT 18 OK",
        ),
        inventory=net.SERVER,
    ),
    Scene(
        name="two connections, second interval",
        examples=(12, 13),
        fields=TCP,
        lines=(
            "3 vpc-abcdefab012345678 subnet-aaaaaaaa012345678 i-01234567890123456 eni-1235b8ca123456789 123456789010 IPv4 10.0.0.62 52.213.180.42 5001 43418 10.0.0.62 52.213.180.42 6 63388 1219 1566848933 1566849113 ACCEPT 1 OK",
            "3 vpc-abcdefab012345678 subnet-aaaaaaaa012345678 i-01234567890123456 eni-1235b8ca123456789 123456789010 IPv4 52.213.180.42 10.0.0.62 43418 5001 52.213.180.42 10.0.0.62 6 23294588 15774 1566848933 1566849113 ACCEPT 1 OK",
        ),
        inventory=net.SERVER,
    ),
    Scene(
        name="a short connection",
        examples=(14, 15),
        fields=TCP,
        lines=(
            "3 vpc-abcdefab012345678 subnet-aaaaaaaa012345678 i-01234567890123456 eni-1235b8ca123456789 123456789010 IPv4 52.213.180.42 10.0.0.62 43638 5001 52.213.180.42 10.0.0.62 6 1260 17 1566933133 1566933193 ACCEPT 3 OK",
            "3 vpc-abcdefab012345678 subnet-aaaaaaaa012345678 i-01234567890123456 eni-1235b8ca123456789 123456789010 IPv4 10.0.0.62 52.213.180.42 5001 43638 10.0.0.62 52.213.180.42 6 967 14 1566933133 1566933193 ACCEPT 19 OK",
        ),
        inventory=net.SERVER,
    ),
    Scene(
        name="zonal NAT gateway",
        examples=(16, 17, 18, 19, 20, 21),
        fields=NAT,
        lines=(
            "- eni-1235b8ca123456789 10.0.1.5 10.0.0.220 10.0.1.5 203.0.113.5",
            "- eni-1235b8ca123456789 10.0.0.220 203.0.113.5 10.0.0.220 203.0.113.5",
            "- eni-1235b8ca123456789 203.0.113.5 10.0.0.220 203.0.113.5 10.0.0.220",
            "- eni-1235b8ca123456789 10.0.0.220 10.0.1.5 203.0.113.5 10.0.1.5",
            "i-01234567890123456 eni-1111aaaa2222bbbb3 10.0.1.5 203.0.113.5 10.0.1.5 203.0.113.5",
            "i-01234567890123456 eni-1111aaaa2222bbbb3 203.0.113.5 10.0.1.5 203.0.113.5 10.0.1.5",
        ),
        inventory=net.ZONAL,
        seen=(
            Seen(0, "nat0", IN),
            Seen(1, "nat0", OUT),
            Seen(2, "nat0", IN),
            Seen(3, "nat0", OUT),
            Seen(4, "eth0", OUT),
            Seen(5, "eth0", IN),
        ),
    ),
    Scene(
        name="regional NAT gateway",
        examples=(22, 23, 24, 25, 26),
        fields=REGIONAL_NAT,
        lines=(
            "nat-1234567890abcdef - - - 10.0.1.5 203.0.113.5 10.0.1.5 203.0.113.5",
            "nat-1234567890abcdef - - - 107.22.182.139 203.0.113.5 107.22.182.139 203.0.113.5",
            "nat-1234567890abcdef - - - 203.0.113.5 107.22.182.139 203.0.113.5 107.22.182.139",
            "nat-1234567890abcdef - - - 203.0.113.5 10.0.1.5 203.0.113.5 10.0.1.5",
            "- i-01234567890123456 eni-1111aaaa2222bbbb3 subnet-aaaaaaaa012345678 10.0.1.5 203.0.113.5 10.0.1.5 203.0.113.5",
            "- i-01234567890123456 eni-1111aaaa2222bbbb3 subnet-aaaaaaaa012345678 203.0.113.5 10.0.1.5 203.0.113.5 10.0.1.5",
        ),
        inventory=net.REGIONAL,
        seen=(
            Seen(0, "nat0", IN),
            Seen(1, "nat0", OUT),
            Seen(2, "nat0", IN),
            Seen(3, "nat0", OUT),
            Seen(4, "eth0", OUT),
            Seen(5, "eth0", IN),
        ),
    ),
    Scene(
        name="transit gateway",
        examples=(27,),
        fields=TRANSIT,
        lines=(
            "3 eni-33333333333333333 123456789010 vpc-abcdefab012345678 subnet-22222222bbbbbbbbb i-01234567890123456 10.20.33.164 10.40.2.236 39812 80 6 3 IPv4 10.20.33.164 10.40.2.236 ACCEPT OK",
            "3 eni-33333333333333333 123456789010 vpc-abcdefab012345678 subnet-22222222bbbbbbbbb i-01234567890123456 10.40.2.236 10.20.33.164 80 39812 6 19 IPv4 10.40.2.236 10.20.33.164 ACCEPT OK",
            "3 eni-11111111111111111 123456789010 vpc-abcdefab012345678 subnet-11111111aaaaaaaaa - 10.40.1.175 10.40.2.236 39812 80 6 3 IPv4 10.20.33.164 10.40.2.236 ACCEPT OK",
            "3 eni-22222222222222222 123456789010 vpc-abcdefab012345678 subnet-22222222bbbbbbbbb - 10.40.2.236 10.40.2.31 80 39812 6 19 IPv4 10.40.2.236 10.20.33.164 ACCEPT OK",
        ),
        inventory=net.TRANSIT,
        seen=(Seen(0, "eth0", IN), Seen(1, "eth0", OUT), Seen(2, "tgw1", OUT), Seen(3, "tgw2", IN)),
    ),
    Scene(
        name="S3 through an internet gateway",
        examples=(28, 29),
        fields=V5,
        lines=(
            "5 52.95.128.179 10.0.0.71 80 34210 6 1616729292 1616729349 IPv4 14 15044 123456789012 vpc-abcdefab012345678 subnet-aaaaaaaa012345678 i-0c50d5961bcb2d47b eni-1235b8ca123456789 ap-southeast-2 apse2-az3 - - ACCEPT 19 52.95.128.179 10.0.0.71 S3 - - ingress OK",
            "5 10.0.0.71 52.95.128.179 34210 80 6 1616729292 1616729349 IPv4 7 471 123456789012 vpc-abcdefab012345678 subnet-aaaaaaaa012345678 i-0c50d5961bcb2d47b eni-1235b8ca123456789 ap-southeast-2 apse2-az3 - - ACCEPT 3 10.0.0.71 52.95.128.179 - S3 8 egress OK",
        ),
        inventory=net.TO_S3,
    ),
    Scene(
        name="the announcement's SSH",
        examples=(30,),
        fields=TCP,
        lines=(
            "3 vpc-exxxxxx2 subnet-8xxxxf3 i-0bfxxxxxxaf eni-08xxxxxxa5 48xxxxxx93 IPv4 172.31.22.145 90.90.0.200 22 62897 172.31.22.145 90.90.0.200 6 5225 24 1566328660 1566328672 ACCEPT 18 OK",
            "3 vpc-exxxxxx2 subnet-8xxxxf3 i-0bfxxxxxxaf eni-08xxxxxxa5 48xxxxxx93 IPv4 90.90.0.200 172.31.22.145 62897 22 90.90.0.200 172.31.22.145 6 4877 29 1566328660 1566328672 ACCEPT 2 OK",
        ),
        inventory=net.SEED,
    ),
    Scene(
        name="the same reply accepted, then rejected",
        examples=(31,),
        fields=V2,
        lines=(
            "2 9xxx eni-xxx 123.45.67.89 172.31.44.17 0 0 1 2 120 1554186843 1554186883 ACCEPT OK",
            "2 9xxx eni-xxx 172.31.44.17 123.45.67.89 0 0 1 1 60 1554186843 1554186883 ACCEPT OK",
            "2 9xxx eni-xxx 172.31.44.17 123.45.67.89 0 0 1 1 60 1554186843 1554186883 REJECT OK",
        ),
        inventory=net.NOTEBOOK,
        seen=(Seen(0), Seen(1, icmp=0), Seen(2, icmp=0)),
        ours={  # one packet has one second; AWS printed the bounds of the window
            1: "2 900000000000 eni-00000000 172.31.44.17 123.45.67.89 0 0 1 1 60 1554186843 1554186843 ACCEPT OK",
            2: "2 900000000000 eni-00000000 172.31.44.17 123.45.67.89 0 0 1 1 60 1554186883 1554186883 REJECT OK",
        },
        differs=frozenset({"start", "end"}),
    ),
    Scene(
        name="encryption status",
        examples=(32,),
        fields=ENCRYPTION,
        lines=(
            "ingress - 10.0.133.8 10.0.128.55 43236 80 1",
            "egress 1 10.0.128.55 10.0.133.8 80 43236 1",
            "ingress - 10.0.133.8 10.0.128.55 36902 80 1",
            "egress 1 10.0.128.55 10.0.133.8 80 36902 1",
            "ingress - 10.0.130.104 10.0.128.55 55016 80 0",
            "egress 1 10.0.128.55 10.0.130.104 80 55016 0",
            "ingress - 10.0.130.104 10.0.128.55 60276 80 0",
            "egress 1 10.0.128.55 10.0.130.104 80 60276 0",
        ),
        inventory=net.ENCRYPTED,
        ours={  # only AWS's encryption controls know the status
            0: "ingress - 10.0.133.8 10.0.128.55 43236 80 -",
            1: "egress 1 10.0.128.55 10.0.133.8 80 43236 -",
            2: "ingress - 10.0.133.8 10.0.128.55 36902 80 -",
            3: "egress 1 10.0.128.55 10.0.133.8 80 36902 -",
            4: "ingress - 10.0.130.104 10.0.128.55 55016 80 -",
            5: "egress 1 10.0.128.55 10.0.130.104 80 55016 -",
            6: "ingress - 10.0.130.104 10.0.128.55 60276 80 -",
            7: "egress 1 10.0.128.55 10.0.130.104 80 60276 -",
        },
        differs=frozenset({"encryption-status"}),
    ),
)
"""Every published example that comes from packets, each network and window once."""

ZONAL, REGIONAL = (next(scene for scene in SCENES if number in scene.examples) for number in (16, 22))
_ON_ONE_LINK = (
    Seen(4, "br0", macs=(net.MAC_INSTANCE, net.MAC_NAT)),
    Seen(1, "br0", macs=(net.MAC_NAT, net.MAC_ROUTER)),
    Seen(2, "br0", macs=(net.MAC_ROUTER, net.MAC_NAT)),
    Seen(5, "br0", macs=(net.MAC_NAT, net.MAC_INSTANCE)),
)
BY_MAC: Final = tuple(
    replace(scene, name=f"{scene.name}, told by MAC addresses", seen=_ON_ONE_LINK) for scene in (ZONAL, REGIONAL)
)
"""The NAT gateways again, seen on one link: four flows that give the six records."""
