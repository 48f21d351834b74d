"""What an inventory file lists, one document a resource: how an agent tells a server what is there.

Rule: a document has the words of the file, with references and defaults resolved. What the file does not say is not
in it, and what it says in turn (`from`, `until`) is told as of one moment.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from flowglass.inventory.file import read_faultless
from flowglass.inventory.model import Interface, RegionalNatGateway, Route, RouteTable, Subnet, Vpc
from flowglass.inventory.reading import Inventory
from flowglass.inventory.scalars import address_text

_InTurn = TypeVar("_InTurn", Interface, RegionalNatGateway)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """One resource. `kind`, `id`: together its name; `vpc`: the VPC that it is in, a VPC's own id, None unknown.

    `kind` is vpc, subnet, network-interface, instance, route-table, security-group or regional-nat-gateway.
    `document` can be written as JSON; addresses and CIDRs in it are text, unknown keys are left out.
    """

    kind: str
    id: str
    account: str
    region: str
    vpc: str | None
    document: Mapping[str, Any]


def listing(
    path: str | os.PathLike[str], *, at_ns: int, account: str | None = None, region: str | None = None
) -> list[Resource]:
    """The resources of an inventory file at a moment [ns since 1970], by kind, in the order of the file.

    `account`, `region`: in place of the file's defaults. Of an interface or gateway that has owners in turn the one
    valid at the moment is listed, or the latest where none is. An instance is its first interface's owner's, a route
    table its first subnet's VPC's; one that no interface or subnet names is the file's account's, and is left out where
    the file has none. Routes that stand in a subnet belong to no table and are not listed.
    Raises InventoryError as `load` does.
    """
    inventory, _ = read_faultless(path, account=account, region=region)
    return list(_Listing(inventory, account, region, at_ns).resources())


def digest(resources: Iterable[Resource]) -> str:
    """SHA-256 over the resources, in hex digits; their order does not count."""
    lines = sorted(_canonical(resource) for resource in resources)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def changes(old: Iterable[Resource], new: Iterable[Resource]) -> tuple[list[Resource], list[tuple[str, str]]]:
    """What makes `old` to `new`: resources that are new or other than before, and (kind, id) of those gone."""
    before = {(resource.kind, resource.id): resource for resource in old}
    put = [resource for resource in new if before.pop((resource.kind, resource.id), None) != resource]
    return put, sorted(before)


def _canonical(resource: Resource) -> str:
    parts = (resource.kind, resource.id, resource.account, resource.region, resource.vpc, resource.document)
    return json.dumps(parts, sort_keys=True, separators=(",", ":"))


def _known(**document: Any) -> dict[str, Any]:
    """A document without what is unknown; an empty list or text is known, None is not."""
    return {key: value for key, value in document.items() if value is not None}


class _Listing:
    """Lists one faultless inventory."""

    def __init__(self, inventory: Inventory, account: str | None, region: str | None, at_ns: int) -> None:
        self._inventory = inventory
        self._account = account or inventory.head.account
        self._region = region or inventory.head.region
        self._vpcs = {vpc.id: vpc for vpc in inventory.vpcs.values()}
        self._subnets = {subnet.id: subnet for subnet in inventory.subnets.values()}
        self._interfaces = _current(inventory.interfaces.values(), at_ns)
        self._gateways = _current(inventory.regional_nat_gateways.values(), at_ns)

    def resources(self) -> Iterator[Resource]:
        """All of them."""
        for vpc in self._vpcs.values():
            yield self._in_vpc("vpc", vpc.id, vpc.id, {"cidrs": [str(cidr) for cidr in vpc.cidrs]})
        for subnet in self._subnets.values():
            yield self._in_vpc("subnet", subnet.id, subnet.vpc, _subnet(subnet))
        for interface in self._interfaces:
            yield self._interface(interface)
        yield from self._instances()
        yield from self._route_tables()
        yield from self._groups()
        for gateway in self._gateways:
            document = _known(ipv4=_texts(gateway.ipv4), mac=_mac(gateway.mac), device=gateway.device)
            yield self._in_vpc("regional-nat-gateway", gateway.id, gateway.vpc, document)

    def _in_vpc(
        self, kind: str, name: str, vpc_id: str, document: dict[str, Any], owner: str | None = None
    ) -> Resource:
        """A resource of a VPC's account and Region, or of another `owner`."""
        vpc: Vpc = self._vpcs[vpc_id]
        account = owner or vpc.account or self._account or ""
        region = vpc.region or self._region or ""
        return Resource(kind=kind, id=name, account=account, region=region, vpc=vpc_id, document=document)

    def _nowhere(self, kind: str, name: str, document: dict[str, Any]) -> Iterator[Resource]:
        """A resource that stands in no VPC, where the file says whose it is."""
        if self._account and self._region:
            yield Resource(kind=kind, id=name, account=self._account, region=self._region, vpc=None, document=document)

    def _interface(self, interface: Interface) -> Resource:
        subnet = self._subnets[interface.subnet]
        document = _known(
            subnet=subnet.id,
            zone=subnet.zone,
            type=interface.type,
            instance=_instance_of(interface),
            ipv4=_texts(interface.ipv4),
            ipv6=_texts(interface.ipv6),
            prefixes=[str(prefix) for prefix in interface.prefixes],
            mac=_mac(interface.mac),
            device=interface.device,
            groups=interface.groups,
            resource=interface.resource,
            requester_managed=interface.is_requester_managed,
            efa=interface.efa,
            tags=interface.tags,
        )
        return self._in_vpc("network-interface", interface.id, subnet.vpc, document, interface.account)

    def _instances(self) -> Iterator[Resource]:
        first: dict[str, Interface] = {}
        for interface in self._interfaces:
            instance_id = _instance_of(interface)
            if instance_id is not None:
                first.setdefault(instance_id, interface)
        for instance in self._inventory.instances.values():
            document = _known(tags=instance.tags, auto_scaling_group=instance.auto_scaling_group)
            if instance.id in first:
                interface = first[instance.id]
                document["first_interface"] = interface.id
                vpc_id = self._subnets[interface.subnet].vpc
                yield self._in_vpc("instance", instance.id, vpc_id, document, interface.account)
            else:
                yield from self._nowhere("instance", instance.id, document)

    def _route_tables(self) -> Iterator[Resource]:
        vpc_of: dict[str, str] = {}
        for subnet in self._subnets.values():
            if subnet.route_table is not None:
                vpc_of.setdefault(subnet.route_table, subnet.vpc)
        for table in self._inventory.route_tables.values():
            vpc_id = vpc_of.get(table.id)
            if vpc_id is None:
                yield from self._nowhere("route-table", table.id, {"routes": _routes(table)})
                continue
            local = [{"to": str(cidr), "via": "local"} for cidr in self._vpcs[vpc_id].cidrs]
            yield self._in_vpc("route-table", table.id, vpc_id, {"routes": [*local, *_routes(table)]})

    def _groups(self) -> Iterator[Resource]:
        """Security groups, known by the interfaces that name them: the owner is the first one's."""
        seen: set[str] = set()
        for interface in self._interfaces:
            for group in interface.groups:
                if group not in seen:
                    seen.add(group)
                    vpc_id = self._subnets[interface.subnet].vpc
                    yield self._in_vpc("security-group", group, vpc_id, {}, interface.account)


def _current(parts: Iterable[_InTurn], at_ns: int) -> list[_InTurn]:
    """One part an id, in the order in which ids come first: the one valid at the moment, else the latest."""
    chosen: dict[str, _InTurn] = {}
    for part in parts:
        before = chosen.get(part.id)
        if before is None or _rank(part, at_ns) > _rank(before, at_ns):
            chosen[part.id] = part
    return list(chosen.values())


def _rank(part: Interface | RegionalNatGateway, at_ns: int) -> tuple[bool, int]:
    return part.from_ns <= at_ns < part.until_ns, part.from_ns


def _instance_of(interface: Interface) -> str | None:
    """The instance that shows; that of a requester-managed interface does not."""
    return None if interface.is_requester_managed else interface.instance


def _subnet(subnet: Subnet) -> dict[str, Any]:
    place = subnet.sublocation
    return _known(
        cidr=None if subnet.cidr is None else str(subnet.cidr),
        ipv6_cidr=None if subnet.ipv6_cidr is None else str(subnet.ipv6_cidr),
        zone=subnet.zone,
        sublocation=None if place is None else {"type": place.type, "id": place.id},
        route_table=subnet.route_table,
    )


def _routes(table: RouteTable) -> list[dict[str, Any]]:
    return [item for route in table.routes for item in _destinations(route)]


def _destinations(route: Route) -> Iterator[dict[str, Any]]:
    """A route with several destinations is several routes to AWS."""
    if route.service is not None:
        yield _known(service=route.service, via=route.via)
    for cidr in route.to:
        yield _known(to=str(cidr), via=route.via, region=route.region, vpc=route.vpc)


def _texts(addresses: Iterable[int]) -> list[str]:
    return [address_text(address) for address in addresses]


def _mac(number: int | None) -> str | None:
    if number is None:
        return None
    return number.to_bytes(6, "big").hex(":")
