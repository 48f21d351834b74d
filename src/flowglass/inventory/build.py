"""Checked parts to a snapshot: rows, columns and the arrays behind the look-ups.

Rule: rows are in the order of the file, regional NAT gateways after the interfaces. Nothing is checked here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import numpy as np

from flowglass.fields.contracts import I32, Point
from flowglass.inventory.columns import Row, columns
from flowglass.inventory.index import Addresses, Devices, Held, Index, Routing, Turns
from flowglass.inventory.kernels import NONE
from flowglass.inventory.model import ECS_FIELDS, Interface, RegionalNatGateway, Subnet, ecs_key
from flowglass.inventory.prefixes import ServicePrefix, by_precedence
from flowglass.inventory.ranges import Prefix, Ranges, flatten
from flowglass.inventory.reading import Inventory
from flowglass.inventory.routes import Domain, Places, RouteBuilder, Vpc, domain_of
from flowglass.inventory.scalars import Cidr, parse_cidr
from flowglass.inventory.snapshot import Interfaces, Role, Snapshot
from flowglass.inventory.tables import tables
from flowglass.inventory.texts import texts

_HEX_DIGITS: Final = 17
_WORD: Final = (1 << 64) - 1
# https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-limitations.html: metadata, time
_ALWAYS_RESERVED: Final = (parse_cidr("169.254.169.254/32"), parse_cidr("169.254.169.123/32"))
_RESOLVER: Final = parse_cidr("169.254.169.253/32")


def build(
    inventory: Inventory, published: Sequence[ServicePrefix], account: str | None, region: str | None
) -> Snapshot:
    """The snapshot of a faultless inventory. `account`, `region`: in place of the file's defaults."""
    return _Build(inventory, published, account, region).snapshot()


def of_points(points: Sequence[Point], account: str, region: str) -> Snapshot:
    """The snapshot without an inventory: one interface a capture point, in their order, nothing else known.

    Its id is `eni-` and the first 17 hexadecimal digits of the SHA-256 of the point's name; its device is the
    name.
    """
    rows = [Row(account=account, region=region, name=point.name, id=f"eni-{_digits(point.name)}") for point in points]
    interfaces = columns(rows)
    nothing: list[Held] = []
    from_ns, until_ns = interfaces.from_ns, interfaces.until_ns
    first: dict[str, int] = {}
    for row, point in enumerate(points):
        first.setdefault(point.name, row)
    index = Index(
        addresses=Addresses.of(0, nothing, from_ns, until_ns),
        macs=Turns.of([], [], from_ns, until_ns),
        devices=Devices.of(first.items(), from_ns, until_ns),
        services=flatten(1, []),
        routing=RouteBuilder([], {}, {}, [], Places()).nowhere(len(points), from_ns, until_ns),
        reserved=flatten(1, []),
        reserved_space=np.full(len(points) + 1, NONE, np.int32),
    )
    return Snapshot(
        interfaces=interfaces,
        exclusions=False,
        service_names=texts([]),
        is_file=False,
        tables={},
        index=index,
    )


def _digits(name: str) -> str:
    return hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:_HEX_DIGITS]


class _Build:
    """Builds one snapshot; rows of VPCs and subnets are their places in order."""

    def __init__(
        self,
        inventory: Inventory,
        published: Sequence[ServicePrefix],
        account: str | None,
        region: str | None,
    ) -> None:
        self._inventory = inventory
        self._published = published
        self._account = account or inventory.head.account
        self._region = region or inventory.head.region
        self._vpcs = list(inventory.vpcs.values())
        self._vpc_rows = {vpc.id: row for row, vpc in enumerate(self._vpcs)}
        self._subnets = list(inventory.subnets.values())
        self._subnet_rows = {subnet.id: row for row, subnet in enumerate(self._subnets)}
        self._instances = {instance.id: instance for instance in inventory.instances.values()}
        self._groups = {group.name: group for group in inventory.auto_scaling_groups.values()}
        self._interfaces = list(inventory.interfaces.values())
        self._gateways = list(inventory.regional_nat_gateways.values())

    def snapshot(self) -> Snapshot:
        """Put it all together."""
        rows = [
            *(self._interface_row(interface) for interface in self._interfaces),
            *(self._gateway_row(gateway) for gateway in self._gateways),
        ]
        interfaces = columns(rows)
        services = sorted({prefix.service for prefix in self._published}, key=by_precedence)
        return Snapshot(
            interfaces=interfaces,
            exclusions=self._inventory.head.exclusions == "aws",
            service_names=texts(services),
            is_file=True,
            tables=tables(
                self._inventory,
                [self._account_of(row) for row in range(len(self._vpcs))],
                [self._region_of(row) for row in range(len(self._vpcs))],
            ),
            index=self._index(interfaces, services),
        )

    def _account_of(self, vpc_row: int) -> str:
        return self._vpcs[vpc_row].account or self._account or ""

    def _region_of(self, vpc_row: int) -> str:
        return self._vpcs[vpc_row].region or self._region or ""

    def _interface_row(self, interface: Interface) -> Row:
        subnet = self._subnets[self._subnet_rows[interface.subnet]]
        vpc_row = self._vpc_rows[subnet.vpc]
        owner = interface.account or self._account_of(vpc_row)
        sublocation = subnet.sublocation
        shown_instance = None if interface.is_requester_managed else interface.instance
        ecs = interface.ecs
        return Row(
            id=interface.id,
            account=owner,
            region=self._region_of(vpc_row),
            vpc=subnet.vpc,
            subnet=subnet.id,
            instance=shown_instance,
            az=subnet.zone if sublocation is None else None,
            sublocation_type=None if sublocation is None else sublocation.type,
            sublocation_id=None if sublocation is None else sublocation.id,
            type=None if interface.type == "interface" else interface.type,
            name=interface.device or interface.id,
            vpc_row=vpc_row,
            subnet_row=self._subnet_rows[subnet.id],
            primary_ipv4=interface.ipv4[0] if interface.ipv4 else 0,
            mac=interface.mac or 0,
            role=Role[interface.role_name.name],
            substitute=interface.substitutes,
            efa=interface.efa,
            broadcast=_broadcast(subnet),
            from_ns=interface.from_ns,
            until_ns=interface.until_ns,
            ecs={} if ecs is None else {name: getattr(ecs, ecs_key(name)) for name in ECS_FIELDS},
            tags=self._tags(interface, shown_instance),
        )

    def _tags(self, interface: Interface, instance_id: str | None) -> Mapping[str, Mapping[str, str]]:
        found: dict[str, Mapping[str, str]] = {"network-interface": interface.tags}
        if instance_id is not None:
            instance = self._instances[instance_id]
            found["instance"] = instance.tags
            if instance.auto_scaling_group is not None:
                found["auto-scaling-group"] = self._groups[instance.auto_scaling_group].tags
        return found

    def _gateway_row(self, gateway: RegionalNatGateway) -> Row:
        vpc_row = self._vpc_rows[gateway.vpc]
        owner = self._account_of(vpc_row)
        return Row(
            account=owner,
            region=self._region_of(vpc_row),
            vpc=gateway.vpc,
            type="regional_nat_gateway",
            resource_id=gateway.id,
            name=gateway.device or gateway.id,
            vpc_row=vpc_row,
            mac=gateway.mac or 0,
            role=Role.GATEWAY,
            from_ns=gateway.from_ns,
            until_ns=gateway.until_ns,
        )

    def _index(self, interfaces: Interfaces, services: Sequence[str]) -> Index:
        from_ns, until_ns = interfaces.from_ns, interfaces.until_ns
        parts: list[Interface | RegionalNatGateway] = [*self._interfaces, *self._gateways]
        with_mac = [row for row, part in enumerate(parts) if part.mac is not None]
        devices = ((part.device, row) for row, part in enumerate(parts) if part.device is not None)
        ranks = {name: rank for rank, name in enumerate(services)}
        published = sorted(self._published, key=lambda prefix: ranks[prefix.service])
        reserved, reserved_space = self._reserved(interfaces)
        return Index(
            addresses=Addresses.of(len(self._vpcs), list(self._held(interfaces)), from_ns, until_ns),
            macs=Turns.of([parts[row].mac or 0 for row in with_mac], with_mac, from_ns, until_ns),
            devices=Devices.of(devices, from_ns, until_ns),
            services=flatten(1, (Prefix(0, prefix.cidr, ranks[prefix.service]) for prefix in published)),
            routing=self._routing(interfaces),
            reserved=reserved,
            reserved_space=reserved_space,
        )

    def _held(self, interfaces: Interfaces) -> Iterable[Held]:
        """What each interface holds in its VPC."""
        vpc_of = interfaces.vpc_row.tolist()
        for row, interface in enumerate(self._interfaces):
            for address in (*interface.ipv4, *interface.ipv6):
                yield Held(vpc_of[row], Cidr(address, 128), row)
            for prefix in interface.prefixes:
                yield Held(vpc_of[row], prefix, row)
        for row, gateway in enumerate(self._gateways, start=len(self._interfaces)):
            for address in gateway.ipv4:
                yield Held(vpc_of[row], Cidr(address, 128), row)

    def _routing(self, interfaces: Interfaces) -> Routing:
        places, domains = Places(), []
        for interface, subnet_row in zip(self._interfaces, interfaces.subnet_row.tolist(), strict=False):
            subnet = self._subnets[subnet_row]
            vpc_row = self._vpc_rows[subnet.vpc]
            places.add(interface, vpc_row, subnet.zone)
            domains.append(domain_of(subnet, vpc_row))
        domains.extend(Domain(self._vpc_rows[gateway.vpc]) for gateway in self._gateways)
        routes = {table.id: table.routes for table in self._inventory.route_tables.values()}
        routes |= {subnet.id: subnet.routes for subnet in self._subnets}
        vpcs = [Vpc(vpc.cidrs, self._region_of(row)) for row, vpc in enumerate(self._vpcs)]
        builder = RouteBuilder(vpcs, self._vpc_rows, routes, self._published, places)
        return builder.build(domains, len(self._gateways), interfaces.from_ns, interfaces.until_ns)

    def _reserved(self, interfaces: Interfaces) -> tuple[Ranges, I32]:
        """Space 0 has what is reserved everywhere, space n + 1 what is in subnet n."""
        prefixes = [Prefix(0, cidr, 0) for cidr in _ALWAYS_RESERVED]
        space_of = np.zeros(len(self._subnets) + 1, np.int32)  # the last is for rows without a subnet
        for row, subnet in enumerate(self._subnets):
            if subnet.aws_reserved:
                space_of[row] = row + 1
                vpc = self._vpcs[self._vpc_rows[subnet.vpc]]
                reserved = (*_ALWAYS_RESERVED, *_aws_addresses(subnet, vpc.cidrs))
                prefixes.extend(Prefix(row + 1, cidr, 0) for cidr in reserved)
        spaces = np.append(space_of[interfaces.subnet_row], np.int32(NONE))
        return flatten(len(self._subnets) + 1, prefixes), spaces


def _aws_addresses(subnet: Subnet, vpc_cidrs: Iterable[Cidr]) -> Iterable[Cidr]:
    """The router of a subnet and the resolvers of its VPC: https://docs.aws.amazon.com/vpc/latest/userguide/subnet-sizing.html."""
    if subnet.cidr is not None:
        yield Cidr(subnet.cidr.start + 1, 128)
    yield _RESOLVER
    for cidr in vpc_cidrs:
        if cidr.ipv4:
            yield Cidr(cidr.start + 2, 128)


def _broadcast(subnet: Subnet) -> int:
    """Low half of the last address of the subnet's IPv4 CIDR; 0 where it has two or fewer (RFC 3021)."""
    if subnet.cidr is None or subnet.cidr.length >= 127:
        return 0
    return subnet.cidr.last & _WORD
