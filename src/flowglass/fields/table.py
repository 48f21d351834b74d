"""The ONE table of flow-log fields, in AWS's order. No other file spells a list of field names.

Rule: adding a field is one row here, one producer in `enrich/producers.py`, one golden line.
Sources: https://docs.aws.amazon.com/vpc/latest/userguide/flow-log-records.html (versions 2 to 11) and
https://docs.aws.amazon.com/vpc/latest/tgw/tgw-flow-logs.html (version 6).
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final


@enum.unique
class FieldType(enum.Enum):
    """How AWS types a field in Parquet."""

    INT32 = "INT_32"
    INT64 = "INT_64"
    STRING = "STRING"


@enum.unique
class Origin(enum.Enum):
    """Which room knows the value of a field."""

    FLOW = "flow"
    """the packets of the flow: its key and its counters"""
    OBSERVATION = "observation"
    """which interface saw the flow, in which direction"""
    INTERFACE = "interface"
    """the inventory: a property of the interface"""
    ROUTE = "route"
    """the inventory: route tables and published prefixes, by the flow's addresses"""
    FLOWLOG = "flow log"
    """the flow log itself"""
    ABSENT = "absent"
    """this system cannot know it; `absent` says why"""


@enum.unique
class Resource(enum.Enum):
    """Which kind of flow log has the field."""

    VPC = "vpc"
    TRANSIT_GATEWAY = "transit-gateway"


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field of a flow-log record.

    `name` as AWS spells it; `version` is the record version that brought it; `doc` is one line for people;
    `values` a closed vocabulary, empty where there is none; `tag_of` the resource type of TagFieldSpecifications
    whose tag key is this field's parameter, with `tag_position` 0 or 1; `absent` says why the value cannot be known;
    `extension` marks fields of our own, which AWS does not have.
    """

    name: str
    version: int
    type: FieldType
    origin: Origin
    doc: str
    values: tuple[str, ...] = ()
    tag_of: str | None = None
    tag_position: int = 0
    absent: str = ""
    extension: bool = False
    resource: Resource = Resource.VPC

    @property
    def column(self) -> str:
        """The field's name in Parquet and SQL: underscores for hyphens."""
        return self.name.replace("-", "_")


_S, _I, _L = FieldType.STRING, FieldType.INT32, FieldType.INT64
_FLOW, _SEEN, _ENI, _ROUTE, _LOG, _NO = (
    Origin.FLOW,
    Origin.OBSERVATION,
    Origin.INTERFACE,
    Origin.ROUTE,
    Origin.FLOWLOG,
    Origin.ABSENT,
)
_KINDS = ("nat_gateway", "network_load_balancer", "regional_nat_gateway", "transit_gateway", "vpc_endpoint")


def _f(version: int, name: str, type_: FieldType, origin: Origin, doc: str, **more: object) -> Field:
    return Field(name=name, version=version, type=type_, origin=origin, doc=doc, **more)  # type: ignore[arg-type]


VPC_FIELDS: Final[tuple[Field, ...]] = (
    _f(2, "version", _I, _LOG, "Highest version among the fields of the log format."),
    _f(2, "account-id", _S, _ENI, "Account that owns the network interface."),
    _f(2, "interface-id", _S, _ENI, "Network interface that saw the flow; - for a regional NAT gateway."),
    _f(2, "srcaddr", _S, _SEEN, "Source; on egress the interface's own primary private IPv4 address."),
    _f(2, "dstaddr", _S, _SEEN, "Destination; on ingress the interface's own primary private IPv4 address."),
    _f(2, "srcport", _I, _FLOW, "Source port; 0 for protocols without ports and for later fragments."),
    _f(2, "dstport", _I, _FLOW, "Destination port; 0 for protocols without ports and for later fragments."),
    _f(2, "protocol", _I, _FLOW, "IANA protocol number; for IPv6 the first header that is no extension."),
    _f(2, "packets", _L, _FLOW, "Packets of the flow in the window."),
    _f(2, "bytes", _L, _FLOW, "Bytes of the flow in the window, from the IP header on."),
    _f(2, "start", _L, _FLOW, "Second of the first packet of the flow in the window, Unix time."),
    _f(2, "end", _L, _FLOW, "Second of the last packet of the flow in the window, Unix time."),
    _f(2, "action", _S, _FLOW, "Verdict on the flow; - where nothing judged it.", values=("ACCEPT", "REJECT")),
    _f(
        2,
        "log-status",
        _S,
        _FLOW,
        "OK, no traffic in the window, or records of the window were lost.",
        values=("OK", "NODATA", "SKIPDATA"),
    ),
    _f(3, "vpc-id", _S, _ENI, "VPC of the interface."),
    _f(3, "subnet-id", _S, _ENI, "Subnet of the interface; - for a regional NAT gateway."),
    _f(3, "instance-id", _S, _ENI, "Instance of the interface; - for a requester-managed interface."),
    _f(3, "tcp-flags", _I, _FLOW, "OR over the window of FIN 1, SYN 2, RST 4 and SYN-ACK 18."),
    _f(3, "type", _S, _FLOW, "Kind of traffic.", values=("IPv4", "IPv6", "EFA")),
    _f(3, "pkt-srcaddr", _S, _FLOW, "Source address in the packet's header."),
    _f(3, "pkt-dstaddr", _S, _FLOW, "Destination address in the packet's header."),
    _f(4, "region", _S, _ENI, "Region of the interface."),
    _f(4, "az-id", _S, _ENI, "Zone id of the interface; - in a sublocation."),
    _f(
        4,
        "sublocation-type",
        _S,
        _ENI,
        "Kind of the interface's sublocation; - outside one.",
        values=("wavelength", "outpost", "localzone"),
    ),
    _f(4, "sublocation-id", _S, _ENI, "Id of the interface's sublocation; - outside one."),
    _f(5, "pkt-src-aws-service", _S, _ROUTE, "Service whose published prefix holds pkt-srcaddr."),
    _f(5, "pkt-dst-aws-service", _S, _ROUTE, "Service whose published prefix holds pkt-dstaddr."),
    _f(
        5,
        "flow-direction",
        _S,
        _SEEN,
        "Direction as the interface sees it; - where the capture does not tell.",
        values=("ingress", "egress"),
    ),
    _f(
        5,
        "traffic-path",
        _I,
        _ROUTE,
        "Way out, on egress: 1 same VPC, 3 virtual private gateway, 4 peering, 5 inter-Region peering, "
        "6 Local or Wavelength Zone, 7 gateway endpoint, 8 internet gateway.",
        values=("1", "2", "3", "4", "5", "6", "7", "8"),
    ),
    _f(7, "ecs-cluster-arn", _S, _ENI, "ECS cluster of the interface's task."),
    _f(7, "ecs-cluster-name", _S, _ENI, "Name of that cluster."),
    _f(7, "ecs-container-instance-arn", _S, _ENI, "Container instance of the task; - on Fargate."),
    _f(7, "ecs-container-instance-id", _S, _ENI, "Id of that container instance."),
    _f(7, "ecs-container-id", _S, _ENI, "Runtime id of the task's first container."),
    _f(7, "ecs-second-container-id", _S, _ENI, "Runtime id of the task's second container."),
    _f(7, "ecs-service-name", _S, _ENI, "Service that started the task."),
    _f(7, "ecs-task-definition-arn", _S, _ENI, "Task definition of the task."),
    _f(7, "ecs-task-arn", _S, _ENI, "The task."),
    _f(7, "ecs-task-id", _S, _ENI, "Id of the task."),
    _f(
        8,
        "reject-reason",
        _S,
        _NO,
        "Why AWS's own controls rejected the flow.",
        values=("BPA", "EC"),
        absent="VPC Block Public Access and encryption controls exist only inside AWS.",
    ),
    _f(9, "resource-id", _S, _ENI, "Regional NAT gateway that saw the flow; - otherwise."),
    _f(
        10,
        "encryption-status",
        _I,
        _NO,
        "0 none, 1 Nitro hardware, 2 application, 3 both.",
        values=("0", "1", "2", "3"),
        absent="Only VPC Encryption Controls know it, and they exist only inside AWS.",
    ),
    _f(11, "instance-tag", _S, _ENI, "Value of the first instance tag key.", tag_of="instance"),
    _f(11, "instance-tag-2", _S, _ENI, "Value of the second.", tag_of="instance", tag_position=1),
    _f(11, "interface-tag", _S, _ENI, "Value of the first interface tag key.", tag_of="network-interface"),
    _f(11, "interface-tag-2", _S, _ENI, "Value of the second.", tag_of="network-interface", tag_position=1),
    _f(11, "asg-tag", _S, _ENI, "Value of the first Auto Scaling group tag key.", tag_of="auto-scaling-group"),
    _f(11, "asg-tag-2", _S, _ENI, "Value of the second.", tag_of="auto-scaling-group", tag_position=1),
    _f(11, "interface-type", _S, _ENI, "Kind of the interface; - for an ordinary one.", values=_KINDS),
    _f(11, "next-hop-interface-id", _S, _ROUTE, "Interface one hop further: egress receives, ingress sent."),
    _f(11, "next-hop-subnet-id", _S, _ROUTE, "Subnet of that interface."),
    _f(11, "next-hop-az-id", _S, _ROUTE, "Zone id of that interface, also of another owner's."),
    _f(11, "next-hop-vpc-id", _S, _ROUTE, "VPC of that interface."),
    _f(
        11,
        "next-hop-interface-type",
        _S,
        _ROUTE,
        "Kind of that interface; - for an ordinary one.",
        values=_KINDS,
    ),
)
"""The 54 fields of a VPC flow log, versions 2 to 11."""

EXTENSION_FIELDS: Final[tuple[Field, ...]] = (
    _f(
        2,
        "x-decided-by",
        _S,
        _NO,
        "Rule and enforcement point that decided.",
        absent="No source of this release tells which rule decided.",
        extension=True,
    ),
    _f(
        2,
        "x-verdict-source",
        _S,
        _FLOW,
        "Who judged: the capture itself, or nobody and ACCEPT was assumed.",
        values=("capture", "assumed"),
        extension=True,
    ),
    _f(
        2,
        "x-tcp-flags",
        _I,
        _FLOW,
        "Plain OR of all eight TCP flag bits; - for other protocols.",
        extension=True,
    ),
    _f(2, "x-icmp", _S, _FLOW, "ICMP type/code of the first packet, as 8/0; - otherwise.", extension=True),
)
"""Fields of our own. They are in no default format and in no format that AWS would take, unless asked for."""


def _t(name: str, type_: FieldType, doc: str, version: int = 6, **more: object) -> Field:
    return _f(
        version,
        name,
        type_,
        _NO,
        doc,
        absent="Transit gateway flow logs are not produced in this release.",
        resource=Resource.TRANSIT_GATEWAY,
        **more,
    )


TRANSIT_GATEWAY_FIELDS: Final[tuple[Field, ...]] = (
    _t("version", _I, "Highest version among the fields of the log format.", 2),
    _t("resource-type", _S, "Kind of resource logged.", values=("TransitGateway",)),
    _t("account-id", _S, "Account that owns the transit gateway.", 2),
    _t("tgw-id", _S, "Transit gateway."),
    _t("tgw-attachment-id", _S, "Attachment that the traffic came by."),
    _t("tgw-src-vpc-account-id", _S, "Account of the source VPC."),
    _t("tgw-dst-vpc-account-id", _S, "Account of the destination VPC."),
    _t("tgw-src-vpc-id", _S, "Source VPC."),
    _t("tgw-dst-vpc-id", _S, "Destination VPC."),
    _t("tgw-src-subnet-id", _S, "Subnet of the source."),
    _t("tgw-dst-subnet-id", _S, "Subnet of the destination."),
    _t("tgw-src-eni", _S, "Source attachment's interface."),
    _t("tgw-dst-eni", _S, "Destination attachment's interface."),
    _t("tgw-src-az-id", _S, "Zone id of the source."),
    _t("tgw-dst-az-id", _S, "Zone id of the destination."),
    _t("tgw-pair-attachment-id", _S, "Attachment that the traffic leaves by."),
    _t("srcaddr", _S, "Source address.", 2),
    _t("dstaddr", _S, "Destination address.", 2),
    _t("srcport", _I, "Source port.", 2),
    _t("dstport", _I, "Destination port.", 2),
    _t("protocol", _I, "IANA protocol number.", 2),
    _t("packets", _L, "Packets of the flow in the window.", 2),
    _t("bytes", _L, "Bytes of the flow in the window.", 2),
    _t("start", _L, "Second of the first packet, Unix time.", 2),
    _t("end", _L, "Second of the last packet, Unix time.", 2),
    _t("log-status", _S, "OK, no traffic, or records lost.", 2, values=("OK", "NODATA", "SKIPDATA")),
    _t("type", _S, "Kind of traffic.", 3, values=("IPv4", "IPv6", "EFA")),
    _t("packets-lost-no-route", _L, "Packets lost: no route."),
    _t("packets-lost-blackhole", _L, "Packets lost: black hole."),
    _t("packets-lost-mtu-exceeded", _L, "Packets lost: larger than the MTU."),
    _t("packets-lost-ttl-expired", _L, "Packets lost: time to live expired."),
    _t("tcp-flags", _I, "OR over the window of all TCP flags that AWS counts here.", 3),
    _t("region", _S, "Region of the transit gateway.", 4),
    _t("flow-direction", _S, "Direction at the gateway.", 5, values=("ingress", "egress")),
    _t("pkt-src-aws-service", _S, "Service whose published prefix holds the source.", 5),
    _t("pkt-dst-aws-service", _S, "Service whose published prefix holds the destination.", 5),
)
"""The 36 fields of a transit gateway flow log, in AWS's order; its default format has all of them."""

FIELDS: Final[dict[str, Field]] = {field.name: field for field in (*VPC_FIELDS, *EXTENSION_FIELDS)}
"""The fields that a flow log of this system may ask for, by name."""

DEFAULT_VERSION: Final = 2
"""AWS's default format has every field of this version."""

TAG_RESOURCES: Final = tuple(dict.fromkeys(field.tag_of for field in VPC_FIELDS if field.tag_of is not None))
"""Resource types of TagFieldSpecifications."""
