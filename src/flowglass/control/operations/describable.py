"""Which kinds of resources can be described, and which filters each describe has.

Rule: a filter is a path into the very members that are answered, so the two cannot disagree. A filter of AWS about
something that no inventory knows is not here: it would leave everything out, silently.
Filters: the pages of the describes in https://docs.aws.amazon.com/AWSEC2/latest/APIReference/.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from flowglass.control.faults import InvalidGroupNotFound, InvalidInstanceIdNotFound, InvalidRouteTableIdNotFound
from flowglass.control.operations import members
from flowglass.control.operations.kinds import KINDS, Kind
from flowglass.control.operations.members import View
from flowglass.control.store.resources import ResourceRow
from flowglass.fields.vocabulary import ResourceType


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """One kind of resource and its describe.

    `ids`, `answer`: the members with the ids asked for and with the list answered; `id_filter`: the filter about its
    id; `filters`: where in a description each filter's values are, names of members joined by dots, lists gone
    through; `near`: the kind that names it, and the key of documents it does that by; `ids_or_pages`: whether AWS
    refuses ids together with MaxResults.
    """

    kind: Kind
    ids: str
    answer: str
    describe: Callable[[ResourceRow, View], dict[str, Any]]
    id_filter: str
    filters: Mapping[str, str]
    near: tuple[str, str] | None = None
    ids_or_pages: bool = False


_IPV6_BLOCKS: Final = {
    "ipv6-cidr-block-association.ipv6-cidr-block": "Ipv6CidrBlockAssociationSet.Ipv6CidrBlock",
    "ipv6-cidr-block-association.state": "Ipv6CidrBlockAssociationSet.Ipv6CidrBlockState.State",
}

VPC: Final = Described(
    kind=KINDS[ResourceType.VPC],
    ids="VpcIds",
    answer="Vpcs",
    describe=members.vpc,
    id_filter="vpc-id",
    filters={
        "vpc-id": "VpcId",
        "cidr": "CidrBlock",
        "cidr-block-association.cidr-block": "CidrBlockAssociationSet.CidrBlock",
        "cidr-block-association.state": "CidrBlockAssociationSet.CidrBlockState.State",
        **_IPV6_BLOCKS,
        "is-default": "IsDefault",
        "isDefault": "IsDefault",  # Terraform's data source asks so, and AWS answers it undocumented
        "owner-id": "OwnerId",
        "state": "State",
    },
)
SUBNET: Final = Described(
    kind=KINDS[ResourceType.SUBNET],
    ids="SubnetIds",
    answer="Subnets",
    describe=members.subnet,
    id_filter="subnet-id",
    filters={
        "subnet-id": "SubnetId",
        "subnet-arn": "SubnetArn",
        "vpc-id": "VpcId",
        "availability-zone": "AvailabilityZone",
        "availabilityZone": "AvailabilityZone",
        "availability-zone-id": "AvailabilityZoneId",
        "available-ip-address-count": "AvailableIpAddressCount",
        "cidr-block": "CidrBlock",
        "cidr": "CidrBlock",
        "cidrBlock": "CidrBlock",
        "default-for-az": "DefaultForAz",
        "defaultForAz": "DefaultForAz",
        **_IPV6_BLOCKS,
        "ipv6-native": "Ipv6Native",
        "owner-id": "OwnerId",
        "state": "State",
    },
    near=("network-interface", "subnet"),
)
INTERFACE: Final = Described(
    kind=KINDS[ResourceType.NETWORK_INTERFACE],
    ids="NetworkInterfaceIds",
    answer="NetworkInterfaces",
    describe=members.network_interface,
    id_filter="network-interface-id",
    filters={
        "network-interface-id": "NetworkInterfaceId",
        "addresses.primary": "PrivateIpAddresses.Primary",
        "addresses.private-ip-address": "PrivateIpAddresses.PrivateIpAddress",
        "attachment.instance-id": "Attachment.InstanceId",
        "attachment.status": "Attachment.Status",
        "availability-zone": "AvailabilityZone",
        "availability-zone-id": "AvailabilityZoneId",
        "group-id": "Groups.GroupId",
        "interface-type": "InterfaceType",
        "ipv6-addresses.ipv6-address": "Ipv6Addresses.Ipv6Address",
        "mac-address": "MacAddress",
        "owner-id": "OwnerId",
        "private-ip-address": "PrivateIpAddress",
        "requester-managed": "RequesterManaged",
        "status": "Status",
        "subnet-id": "SubnetId",
        "vpc-id": "VpcId",
    },
    ids_or_pages=True,
)
_INSTANCE_INTERFACES: Final = "Instances.NetworkInterfaces"
INSTANCE: Final = Described(
    kind=Kind("instance", "i-", "instance", InvalidInstanceIdNotFound),
    ids="InstanceIds",
    answer="Reservations",
    describe=members.reservation,
    id_filter="instance-id",
    filters={
        "instance-id": "Instances.InstanceId",
        "instance-state-code": "Instances.State.Code",
        "instance-state-name": "Instances.State.Name",
        "instance.group-id": "Instances.SecurityGroups.GroupId",
        "availability-zone": "Instances.Placement.AvailabilityZone",
        "availability-zone-id": "Instances.Placement.AvailabilityZoneId",
        "ipv6-address": f"{_INSTANCE_INTERFACES}.Ipv6Addresses.Ipv6Address",
        "network-interface.addresses.primary": f"{_INSTANCE_INTERFACES}.PrivateIpAddresses.Primary",
        "network-interface.addresses.private-ip-address": f"{_INSTANCE_INTERFACES}.PrivateIpAddresses.PrivateIpAddress",
        "network-interface.attachment.status": f"{_INSTANCE_INTERFACES}.Attachment.Status",
        "network-interface.group-id": f"{_INSTANCE_INTERFACES}.Groups.GroupId",
        "network-interface.ipv6-addresses.ipv6-address": f"{_INSTANCE_INTERFACES}.Ipv6Addresses.Ipv6Address",
        "network-interface.mac-address": f"{_INSTANCE_INTERFACES}.MacAddress",
        "network-interface.network-interface-id": f"{_INSTANCE_INTERFACES}.NetworkInterfaceId",
        "network-interface.owner-id": f"{_INSTANCE_INTERFACES}.OwnerId",
        "network-interface.private-ip-address": f"{_INSTANCE_INTERFACES}.PrivateIpAddress",
        "network-interface.status": f"{_INSTANCE_INTERFACES}.Status",
        "network-interface.subnet-id": f"{_INSTANCE_INTERFACES}.SubnetId",
        "network-interface.vpc-id": f"{_INSTANCE_INTERFACES}.VpcId",
        "owner-id": "OwnerId",
        "private-ip-address": "Instances.PrivateIpAddress",
        "subnet-id": "Instances.SubnetId",
        "vpc-id": "Instances.VpcId",
    },
    near=("network-interface", "instance"),
    ids_or_pages=True,
)
ROUTE_TABLE: Final = Described(
    kind=Kind("route-table", "rtb-", "routeTable", InvalidRouteTableIdNotFound),
    ids="RouteTableIds",
    answer="RouteTables",
    describe=members.route_table,
    id_filter="route-table-id",
    filters={
        "route-table-id": "RouteTableId",
        "association.main": "Associations.Main",
        "association.route-table-id": "Associations.RouteTableId",
        "association.subnet-id": "Associations.SubnetId",
        "owner-id": "OwnerId",
        "route.destination-cidr-block": "Routes.DestinationCidrBlock",
        "route.destination-ipv6-cidr-block": "Routes.DestinationIpv6CidrBlock",
        "route.egress-only-internet-gateway-id": "Routes.EgressOnlyInternetGatewayId",
        "route.gateway-id": "Routes.GatewayId",
        "route.instance-id": "Routes.InstanceId",
        "route.nat-gateway-id": "Routes.NatGatewayId",
        "route.origin": "Routes.Origin",
        "route.state": "Routes.State",
        "route.transit-gateway-id": "Routes.TransitGatewayId",
        "route.vpc-peering-connection-id": "Routes.VpcPeeringConnectionId",
        "vpc-id": "VpcId",
    },
    near=("subnet", "route_table"),
)
SECURITY_GROUP: Final = Described(
    kind=Kind("security-group", "sg-", "security group", InvalidGroupNotFound),
    ids="GroupIds",
    answer="SecurityGroups",
    describe=members.security_group,
    id_filter="group-id",
    filters={"group-id": "GroupId", "owner-id": "OwnerId", "vpc-id": "VpcId"},
)
