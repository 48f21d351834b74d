"""VPCs, subnets, routes and instances as Arrow tables, for people to look at.

Rule: plain text as in the file, one row an item; look-ups use the arrays of `index.py` instead.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import pyarrow as pa

from flowglass.inventory.model import Route
from flowglass.inventory.reading import Inventory

_LIST = pa.list_(pa.string())
_MAP = pa.map_(pa.string(), pa.string())


def tables(inventory: Inventory, accounts: Sequence[str], regions: Sequence[str]) -> Mapping[str, pa.Table]:
    """The tables by name. `accounts`, `regions`: of the VPCs, in order."""
    return {
        "vpcs": _vpcs(inventory, accounts, regions),
        "subnets": _subnets(inventory),
        "routes": _routes(inventory),
        "instances": _instances(inventory),
    }


def _vpcs(inventory: Inventory, accounts: Sequence[str], regions: Sequence[str]) -> pa.Table:
    vpcs = inventory.vpcs.values()
    return pa.table(
        {
            "id": pa.array([vpc.id for vpc in vpcs], pa.string()),
            "cidrs": pa.array([[str(cidr) for cidr in vpc.cidrs] for vpc in vpcs], _LIST),
            "account": pa.array(accounts, pa.string()),
            "region": pa.array(regions, pa.string()),
        }
    )


def _subnets(inventory: Inventory) -> pa.Table:
    subnets = inventory.subnets.values()
    cidrs = [str(subnet.cidr) if subnet.cidr else None for subnet in subnets]
    ipv6_cidrs = [str(subnet.ipv6_cidr) if subnet.ipv6_cidr else None for subnet in subnets]
    sublocations = [subnet.sublocation.id if subnet.sublocation else None for subnet in subnets]
    return pa.table(
        {
            "id": pa.array([subnet.id for subnet in subnets], pa.string()),
            "vpc": pa.array([subnet.vpc for subnet in subnets], pa.string()),
            "cidr": pa.array(cidrs, pa.string()),
            "ipv6_cidr": pa.array(ipv6_cidrs, pa.string()),
            "zone": pa.array([subnet.zone for subnet in subnets], pa.string()),
            "sublocation": pa.array(sublocations, pa.string()),
            "route_table": pa.array([subnet.route_table for subnet in subnets], pa.string()),
        }
    )


def _routes(inventory: Inventory) -> pa.Table:
    rows = [(table.id, *row) for table in inventory.route_tables.values() for row in _destinations(table.routes)]
    rows += [(subnet.id, *row) for subnet in inventory.subnets.values() for row in _destinations(subnet.routes)]
    names = ("table", "to", "via")
    return pa.table({name: pa.array([row[place] for row in rows], pa.string()) for place, name in enumerate(names)})


def _destinations(routes: Iterable[Route]) -> Iterator[tuple[str, str]]:
    for route in routes:
        if route.service is not None:
            yield route.service, route.via
        for cidr in route.to:
            yield str(cidr), route.via


def _instances(inventory: Inventory) -> pa.Table:
    instances = inventory.instances.values()
    return pa.table(
        {
            "id": pa.array([instance.id for instance in instances], pa.string()),
            "auto_scaling_group": pa.array([instance.auto_scaling_group for instance in instances], pa.string()),
            "tags": pa.array([list(instance.tags.items()) for instance in instances], _MAP),
        }
    )
