"""VPCs, subnets, routes and instances as Arrow tables of text, for people to look at.

Rule: one row an item, several values in one column with blanks between; look-ups use the arrays of `index.py` instead.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import pyarrow as pa

from flowglass.inventory.model import Route, RouteTable, Subnet
from flowglass.inventory.reading import Inventory
from flowglass.inventory.texts import texts


def tables(inventory: Inventory, accounts: Sequence[str], regions: Sequence[str]) -> Mapping[str, pa.Table]:
    """The tables by name. `accounts`, `regions`: of the VPCs, in order."""
    return {
        "vpcs": _vpcs(inventory, accounts, regions),
        "subnets": _subnets(inventory),
        "routes": _routes(inventory),
        "instances": _instances(inventory),
    }


def _table(columns: Mapping[str, Sequence[str | None]]) -> pa.Table:
    return pa.table({name: texts(values) for name, values in columns.items()})


def _vpcs(inventory: Inventory, accounts: Sequence[str], regions: Sequence[str]) -> pa.Table:
    vpcs = inventory.vpcs.values()
    cidrs = [" ".join(str(cidr) for cidr in vpc.cidrs) for vpc in vpcs]
    return _table({"id": [vpc.id for vpc in vpcs], "cidrs": cidrs, "account": accounts, "region": regions})


def _subnets(inventory: Inventory) -> pa.Table:
    subnets = inventory.subnets.values()
    return _table(
        {
            "id": [subnet.id for subnet in subnets],
            "vpc": [subnet.vpc for subnet in subnets],
            "cidr": [str(subnet.cidr) if subnet.cidr else None for subnet in subnets],
            "ipv6_cidr": [str(subnet.ipv6_cidr) if subnet.ipv6_cidr else None for subnet in subnets],
            "zone": [subnet.zone for subnet in subnets],
            "sublocation": [subnet.sublocation.id if subnet.sublocation else None for subnet in subnets],
            "route_table": [subnet.route_table for subnet in subnets],
        }
    )


def _routes(inventory: Inventory) -> pa.Table:
    """Routes by the table, or the subnet, that they stand in."""
    rows: list[tuple[str, str, str]] = []
    parts: list[RouteTable | Subnet] = [*inventory.route_tables.values(), *inventory.subnets.values()]
    for part in parts:
        rows.extend((part.id, to, via) for to, via in _destinations(part.routes))
    return _table({name: [row[place] for row in rows] for place, name in enumerate(("table", "to", "via"))})


def _destinations(routes: Iterable[Route]) -> Iterator[tuple[str, str]]:
    for route in routes:
        if route.service is not None:
            yield route.service, route.via
        for cidr in route.to:
            yield str(cidr), route.via


def _instances(inventory: Inventory) -> pa.Table:
    instances = inventory.instances.values()
    return _table(
        {
            "id": [instance.id for instance in instances],
            "auto_scaling_group": [instance.auto_scaling_group for instance in instances],
            "tags": [" ".join(f"{key}={value}" for key, value in item.tags.items()) for item in instances],
        }
    )
