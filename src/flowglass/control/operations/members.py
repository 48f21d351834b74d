"""What the inventory says of a resource, in the members of AWS's answers.

Rule: exactly as truthful as the inventory. What it cannot know (names of groups, rules, device indexes, DNS names) is
left out, never made up; what follows from its being there (a VPC is available, an interface in use) is said.
Documents: `flowglass.inventory.listing`. Members: the shapes of EC2's API, version 2016-11-15.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from flowglass.control.store.resources import ResourceRow

_ZONE_ID: Final = re.compile(r"[a-z0-9-]+-(?:az|wlz)[0-9]+")
"""`euw1-az1`, `use1-bos1-az1`, `use1-wl1-bos-wlz1`; names of zones end in a letter, such as `eu-west-1a`."""

_SUBNET_RESERVED: Final = 5
"""Addresses of a subnet that AWS keeps: https://docs.aws.amazon.com/vpc/latest/userguide/subnet-sizing.html."""

_RUNNING: Final = {"Code": 16, "Name": "running"}

_INTERFACE_TYPES: Final = {"nat_gateway": "natGateway"}
"""Types that the API spells otherwise than the inventory."""

_TARGETS: Final = {
    "local": "GatewayId",
    "igw": "GatewayId",
    "vgw": "GatewayId",
    "vpce": "GatewayId",
    "eigw": "EgressOnlyInternetGatewayId",
    "nat": "NatGatewayId",
    "tgw": "TransitGatewayId",
    "lgw": "LocalGatewayId",
    "cagw": "CarrierGatewayId",
    "pcx": "VpcPeeringConnectionId",
    "eni": "NetworkInterfaceId",
    "i": "InstanceId",
}
"""The member of a route that names its target, by the first part of the target's id."""


@dataclass(frozen=True, slots=True)
class View:
    """What a description needs beside its own row. `near`: rows that name a resource, by its id, ordered by theirs."""

    partition: str
    near: Mapping[str, Sequence[ResourceRow]]

    def around(self, row: ResourceRow) -> Sequence[ResourceRow]:
        """Rows that name this one."""
        return self.near.get(row.id, ())

    def arn(self, row: ResourceRow) -> str:
        """The row's ARN."""
        return f"arn:{self.partition}:ec2:{row.region}:{row.account}:{row.kind}/{row.id}"


def tags_of(row: ResourceRow) -> dict[str, str]:
    """The resource's tags; the inventory knows those of instances and interfaces."""
    return dict(row.document.get("tags", {}))


def is_zone_id(zone: str) -> bool:
    """Whether the inventory's word for a zone is its id; else it is its name."""
    return _ZONE_ID.fullmatch(zone) is not None


def vpc(row: ResourceRow, _view: View) -> dict[str, Any]:
    """Member of DescribeVpcs. No VPC of an inventory is anybody's default VPC."""
    ipv4, ipv6 = _families(row.document["cidrs"])
    return {
        "VpcId": row.id,
        "OwnerId": row.account,
        "State": "available",
        "IsDefault": False,
        **({"CidrBlock": ipv4[0]} if ipv4 else {}),
        "CidrBlockAssociationSet": [{"CidrBlock": cidr, "CidrBlockState": {"State": "associated"}} for cidr in ipv4],
        "Ipv6CidrBlockAssociationSet": _ipv6_associations(ipv6),
    }


def subnet(row: ResourceRow, view: View) -> dict[str, Any]:
    """Member of DescribeSubnets; `view`: its interfaces, whose addresses are not available."""
    document = row.document
    cidr, ipv6_cidr = document.get("cidr"), document.get("ipv6_cidr")
    return {
        "SubnetId": row.id,
        "SubnetArn": view.arn(row),
        "VpcId": row.vpc,
        "OwnerId": row.account,
        "State": "available",
        "DefaultForAz": False,
        "Ipv6Native": cidr is None,
        **_zone(document["zone"]),
        **({"CidrBlock": cidr, "AvailableIpAddressCount": _available(cidr, view.around(row))} if cidr else {}),
        "Ipv6CidrBlockAssociationSet": _ipv6_associations([ipv6_cidr] if ipv6_cidr else []),
    }


def network_interface(row: ResourceRow, _view: View) -> dict[str, Any]:
    """Member of DescribeNetworkInterfaces."""
    ipv4_prefixes, ipv6_prefixes = _families(row.document["prefixes"])
    instance_id = row.document.get("instance")
    return {
        **_interface(row),
        **_zone(row.document["zone"]),
        **({"Attachment": {"InstanceId": instance_id, "Status": "attached"}} if instance_id else {}),
        "Ipv4Prefixes": [{"Ipv4Prefix": prefix} for prefix in ipv4_prefixes],
        "Ipv6Prefixes": [{"Ipv6Prefix": prefix} for prefix in ipv6_prefixes],
        "RequesterManaged": row.document["requester_managed"],
        "TagSet": _tags(row),
    }


def reservation(row: ResourceRow, view: View) -> dict[str, Any]:
    """Member of DescribeInstances: an instance alone, since nothing tells which were started together.

    `view`: its interfaces. Its address and subnet are those of the interface that the inventory names first.
    """
    first = row.document.get("first_interface")
    interfaces = sorted(view.around(row), key=lambda interface: interface.id != first)
    groups = dict.fromkeys(group for interface in interfaces for group in interface.document["groups"])
    instance: dict[str, Any] = {
        "InstanceId": row.id,
        "State": dict(_RUNNING),
        "NetworkInterfaces": [{**_interface(item), "Attachment": {"Status": "attached"}} for item in interfaces],
        "SecurityGroups": [{"GroupId": group} for group in groups],
        "Tags": _tags(row),
    }
    for interface in interfaces[:1]:
        instance["VpcId"] = interface.vpc
        instance["SubnetId"] = interface.document["subnet"]
        instance["Placement"] = _zone(interface.document["zone"])
        if interface.document["ipv4"]:
            instance["PrivateIpAddress"] = interface.document["ipv4"][0]
    return {"OwnerId": row.account, "Groups": [], "Instances": [instance]}


def route_table(row: ResourceRow, view: View) -> dict[str, Any]:
    """Member of DescribeRouteTables; `view`: its subnets. The ids of associations are not known."""
    return {
        "RouteTableId": row.id,
        "OwnerId": row.account,
        **({"VpcId": row.vpc} if row.vpc else {}),
        "Routes": [_route(route) for route in row.document["routes"]],
        "Associations": [
            {"RouteTableId": row.id, "SubnetId": item.id, "Main": False, "AssociationState": {"State": "associated"}}
            for item in view.around(row)
        ],
        "Tags": [],
    }


def security_group(row: ResourceRow, view: View) -> dict[str, Any]:
    """Member of DescribeSecurityGroups: that it is there. Its name and rules are not known."""
    return {"GroupId": row.id, "OwnerId": row.account, "VpcId": row.vpc, "SecurityGroupArn": view.arn(row)}


def _interface(row: ResourceRow) -> dict[str, Any]:
    """What an interface's own description and its instance's have in common."""
    document = row.document
    ipv4: Sequence[str] = document["ipv4"]
    kind = "efa" if document["efa"] and document["type"] == "interface" else document["type"]
    return {
        "NetworkInterfaceId": row.id,
        "OwnerId": row.account,
        "VpcId": row.vpc,
        "SubnetId": document["subnet"],
        "Status": "in-use",
        "InterfaceType": _INTERFACE_TYPES.get(kind, kind),
        **({"MacAddress": document["mac"]} if "mac" in document else {}),
        **({"PrivateIpAddress": ipv4[0]} if ipv4 else {}),
        "PrivateIpAddresses": [
            {"PrivateIpAddress": address, "Primary": place == 0} for place, address in enumerate(ipv4)
        ],
        "Ipv6Addresses": [{"Ipv6Address": address} for address in document["ipv6"]],
        "Groups": [{"GroupId": group} for group in document["groups"]],
    }


def _zone(zone: str) -> dict[str, str]:
    return {"AvailabilityZoneId" if is_zone_id(zone) else "AvailabilityZone": zone}


def _route(route: Mapping[str, str]) -> dict[str, Any]:
    """A route. One to a service has no destination here: the id of its prefix list is not known."""
    to, via = route.get("to", ""), route["via"]
    return {
        **({"DestinationIpv6CidrBlock" if ":" in to else "DestinationCidrBlock": to} if to else {}),
        _TARGETS[via.split("-", 1)[0]]: via,
        "Origin": "CreateRouteTable" if via == "local" else "CreateRoute",
        "State": "active",
    }


def _tags(row: ResourceRow) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in sorted(tags_of(row).items())]


def _ipv6_associations(cidrs: Iterable[str]) -> list[dict[str, Any]]:
    return [{"Ipv6CidrBlock": cidr, "Ipv6CidrBlockState": {"State": "associated"}} for cidr in cidrs]


def _families(cidrs: Sequence[str]) -> tuple[list[str], list[str]]:
    """The IPv4 and the IPv6 ones."""
    return [cidr for cidr in cidrs if ":" not in cidr], [cidr for cidr in cidrs if ":" in cidr]


def _available(cidr: str, interfaces: Iterable[ResourceRow]) -> int:
    """IPv4 addresses that no interface of the inventory has and AWS does not keep."""
    taken = _SUBNET_RESERVED
    for interface in interfaces:
        prefixes, _ = _families(interface.document["prefixes"])
        taken += len(interface.document["ipv4"])
        taken += sum(ipaddress.IPv4Network(prefix).num_addresses for prefix in prefixes)
    return max(0, ipaddress.IPv4Network(cidr).num_addresses - taken)
