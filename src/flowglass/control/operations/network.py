"""The describes of what the inventories of agents have: VPCs, subnets, interfaces, instances, route tables, groups.

Rule: a call sees the resources of its account and Region only. An answer is in order of ids, so that pages hold while
inventories change.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, Final

from sqlalchemy import Connection

from flowglass.control.call import Call, Services
from flowglass.control.faults import InvalidNetworkAclIdNotFound, InvalidParameterValue
from flowglass.control.operations.describable import (
    INSTANCE,
    INTERFACE,
    ROUTE_TABLE,
    SECURITY_GROUP,
    SUBNET,
    VPC,
    Described,
)
from flowglass.control.operations.filters import Filters, compile_filters
from flowglass.control.operations.kinds import Kind
from flowglass.control.operations.members import View, tags_of
from flowglass.control.operations.paging import page
from flowglass.control.operations.refusal import either, end_dry_run
from flowglass.control.store import resources
from flowglass.control.store.resources import ResourceRow

_NETWORK_ACLS: Final = Kind("network-acl", "acl-", "networkAcl", InvalidNetworkAclIdNotFound)
_NETWORK_ACL_FILTERS: Final = ("association.subnet-id", "default", "network-acl-id", "owner-id", "vpc-id")
_VPC_ATTRIBUTES: Final = {
    "enableDnsSupport": "EnableDnsSupport",
    "enableDnsHostnames": "EnableDnsHostnames",
    "enableNetworkAddressUsageMetrics": "EnableNetworkAddressUsageMetrics",
}


def describe_vpcs(call: Call, services: Services) -> dict[str, Any]:
    """VPCs of the agents' inventories."""
    return _describe(call, services, VPC)


def describe_subnets(call: Call, services: Services) -> dict[str, Any]:
    """Subnets; their available addresses are those that no interface of an inventory has."""
    return _describe(call, services, SUBNET)


def describe_network_interfaces(call: Call, services: Services) -> dict[str, Any]:
    """Network interfaces; all count as in use."""
    return _describe(call, services, INTERFACE)


def describe_instances(call: Call, services: Services) -> dict[str, Any]:
    """Instances, each in a reservation of its own; all count as running."""
    return _describe(call, services, INSTANCE)


def describe_route_tables(call: Call, services: Services) -> dict[str, Any]:
    """Route tables; routes that stand in a subnet of the inventory belong to none. None is a VPC's main table."""
    return _describe(call, services, ROUTE_TABLE)


def describe_security_groups(call: Call, services: Services) -> dict[str, Any]:
    """Security groups that interfaces name. No group's name is known, so GroupNames are not found."""
    names: Sequence[str] = call.parameters.get("GroupNames", ())
    if names:
        raise SECURITY_GROUP.kind.not_found(names)
    return _describe(call, services, SECURITY_GROUP)


def describe_network_acls(call: Call, services: Services) -> dict[str, Any]:
    """No network ACL: inventories have none."""
    compile_filters(call.parameters.get("Filters"), _NETWORK_ACL_FILTERS)
    ids: Sequence[str] = call.parameters.get("NetworkAclIds", ())
    if ids:
        raise _NETWORK_ACLS.not_found(ids)
    shown, token = page(call, services, list[str](), key=str)
    end_dry_run(call)
    return {"NetworkAcls": shown, "NextToken": token}


def describe_vpc_attribute(call: Call, services: Services) -> dict[str, Any]:
    """One attribute of a VPC, always false: an inventory does not know them, and no AWS resolver or metric is there.

    Terraform asks for all three wherever it reads a VPC.
    """
    attribute, vpc_id = call.parameters["Attribute"], call.parameters["VpcId"]
    if attribute not in _VPC_ATTRIBUTES:
        raise InvalidParameterValue(
            f"Value ({attribute}) for parameter attribute is invalid. It must be {either(_VPC_ATTRIBUTES)}"
        )
    services.store.read(lambda connection: _found(connection, call, VPC, [vpc_id]))
    end_dry_run(call)
    return {"VpcId": vpc_id, _VPC_ATTRIBUTES[attribute]: {"Value": False}}


def _describe(call: Call, services: Services, kind: Described) -> dict[str, Any]:
    """The resources of a kind in the call's account and Region that match, ordered by id, and the next page's token.

    Raises the kind's NotFound for ids that are not there, and what filters and paging raise.
    """
    filters = compile_filters(call.parameters.get("Filters"), kind.filters)
    ids: Sequence[str] | None = call.parameters.get(kind.ids) or None

    def work(connection: Connection) -> tuple[list[ResourceRow], View]:
        wanted = filters.exact(kind.id_filter) if ids is None else None
        rows = _find(connection, call, kind.kind.name, wanted) if ids is None else _found(connection, call, kind, ids)
        return rows, _view(connection, call, services, kind)

    rows, view = services.store.read(work)
    if filters.clauses:
        rows = [row for row in rows if _matches(filters, kind, row, view)]
    shown, token = page(call, services, rows, key=lambda row: row.id, ids=kind.ids if kind.ids_or_pages else "")
    end_dry_run(call)
    return {kind.answer: [kind.describe(row, view) for row in shown], "NextToken": token}


def _find(connection: Connection, call: Call, kind: str, ids: Sequence[str] | None = None) -> list[ResourceRow]:
    return resources.find(connection, kind, account=call.account, region=call.region, ids=ids)


def _found(connection: Connection, call: Call, kind: Described, ids: Sequence[str]) -> list[ResourceRow]:
    """The resources with these ids. Raises the kind's NotFound that names all that are not there."""
    rows = _find(connection, call, kind.kind.name, ids)
    there = {row.id for row in rows}
    missing = [name for name in dict.fromkeys(ids) if name not in there]
    if missing:
        raise kind.kind.not_found(missing)
    return rows


def _view(connection: Connection, call: Call, services: Services, kind: Described) -> View:
    near: dict[str, list[ResourceRow]] = defaultdict(list)
    if kind.near is not None:
        other, key = kind.near
        for row in _find(connection, call, other):
            if key in row.document:
                near[row.document[key]].append(row)
    return View(services.partition, near)


def _matches(filters: Filters, kind: Described, row: ResourceRow, view: View) -> bool:
    described = kind.describe(row, view)
    asked = filters.names & kind.filters.keys()
    values = {name: [*_values(described, kind.filters[name].split("."))] for name in asked}
    return filters.match(values, tags_of(row))


def _values(value: Any, path: Sequence[str]) -> Iterator[str]:
    """The texts at the end of a path; those of lists one after the other, yes and no as true and false."""
    if isinstance(value, list):
        for item in value:
            yield from _values(item, path)
    elif path:
        if path[0] in value:
            yield from _values(value[path[0]], path[1:])
    else:
        yield str(value).lower() if isinstance(value, bool) else str(value)
