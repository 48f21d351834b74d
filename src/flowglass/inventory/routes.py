"""Route tables to look-ups: which way a packet leaves, and which interface gets it next.

Rule: a packet takes the route with the longest prefix among the subnet's routes and its VPC's CIDRs, which
are local (https://docs.aws.amazon.com/vpc/latest/userguide/route-tables-priority.html). What no router passes
on has no route.
"""

from __future__ import annotations

import enum
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np

from flowglass.fields.contracts import I64
from flowglass.inventory.index import Routing
from flowglass.inventory.kernels import NONE
from flowglass.inventory.model import Interface, Route, Subnet
from flowglass.inventory.prefixes import ServicePrefix
from flowglass.inventory.ranges import Prefix, flatten
from flowglass.inventory.scalars import Cidr, parse_cidr


@enum.unique
class Path(enum.IntEnum):
    """AWS's codes of traffic-path: https://docs.aws.amazon.com/vpc/latest/userguide/flow-log-records.html."""

    UNKNOWN = 0
    SAME_VPC = 1
    VIRTUAL_PRIVATE_GATEWAY = 3
    PEERING = 4
    PEERING_OTHER_REGION = 5
    LOCAL_ZONE = 6
    GATEWAY_ENDPOINT = 7
    INTERNET_GATEWAY = 8


_BY_KIND: Final = {
    "local": Path.SAME_VPC,
    "nat": Path.SAME_VPC,
    "eni": Path.SAME_VPC,
    "i": Path.SAME_VPC,
    "tgw": Path.SAME_VPC,
    "lgw": Path.SAME_VPC,
    "igw": Path.INTERNET_GATEWAY,
    "eigw": Path.INTERNET_GATEWAY,
    "vgw": Path.VIRTUAL_PRIVATE_GATEWAY,
    "pcx": Path.PEERING,
    "cagw": Path.LOCAL_ZONE,
    "vpce": Path.GATEWAY_ENDPOINT,
}
_ZONES_APART: Final = ("localzone", "wavelength")
_NOT_ROUTED: Final = tuple(
    parse_cidr(text)
    for text in (
        "224.0.0.0/4",  # multicast, RFC 5771
        "255.255.255.255/32",  # limited broadcast, RFC 919
        "169.254.0.0/16",  # link-local, RFC 3927
        "ff00::/8",  # multicast, RFC 4291
        "fe80::/10",  # link-local, RFC 4291
    )
)
_EVERYWHERE: Final = parse_cidr("0.0.0.0/0")


class Vpc(NamedTuple):
    """What routes need of a VPC."""

    cidrs: Sequence[Cidr]
    region: str


class Domain(NamedTuple):
    """What decides where a packet goes: interfaces of one domain share their routes and next hops.

    `table`: a name for its routes, empty where there are none; `zone`: that of the subnet; `apart`: the
    subnet is in a Local or Wavelength Zone.
    """

    vpc: int
    table: str = ""
    zone: str = ""
    apart: bool = False


class _Target(NamedTuple):
    path: Path
    vpc: int
    rows: tuple[int, ...]


_NOWHERE: Final = _Target(Path.UNKNOWN, NONE, ())


@dataclass
class Places:
    """Rows of interfaces by what routes name: their id, their instance, or the resource they belong to."""

    vpc: list[int] = field(default_factory=list)
    zone: list[str] = field(default_factory=list)
    named: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))

    def add(self, interface: Interface, vpc: int, zone: str) -> None:
        """Add the next row."""
        row = len(self.vpc)
        self.vpc.append(vpc)
        self.zone.append(zone)
        for name in (interface.id, interface.instance, interface.resource):
            if name is not None:
                self.named[name].append(row)

    def reachable(self, name: str, domain: Domain) -> tuple[int, ...]:
        """Rows of that name in the domain's VPC, those in its zone first."""
        rows = [row for row in self.named.get(name, ()) if self.vpc[row] == domain.vpc]
        return tuple(sorted(rows, key=lambda row: self.zone[row] != domain.zone))


def domain_of(subnet: Subnet, vpc: int) -> Domain:
    """The domain of a subnet's interfaces."""
    table = subnet.route_table or (subnet.id if subnet.routes else "")
    apart = subnet.sublocation is not None and subnet.sublocation.type in _ZONES_APART
    return Domain(vpc, table, subnet.zone, apart)


class RouteBuilder:
    """Builds the routing of a snapshot. `tables`: routes by name; `vpcs`: by row, `vpc_rows` by id."""

    def __init__(
        self,
        vpcs: Sequence[Vpc],
        vpc_rows: Mapping[str, int],
        tables: Mapping[str, Sequence[Route]],
        published: Sequence[ServicePrefix],
        places: Places,
    ) -> None:
        self._vpcs = vpcs
        self._vpc_rows = vpc_rows
        self._tables = tables
        self._published = published
        self._places = places
        self._targets: dict[_Target, int] = {}

    def build(self, domains: Sequence[Domain], regional: int, from_ns: I64, until_ns: I64) -> Routing:
        """The routing of interfaces by row; the last `regional` rows are regional NAT gateways.

        A regional NAT gateway is public: what leaves the VPC goes to its internet gateway
        (https://docs.aws.amazon.com/vpc/latest/userguide/nat-gateways-regional.html).
        """
        gateways = range(len(domains) - regional, len(domains))
        spaces: dict[tuple[Domain, bool], int] = {}
        space = [spaces.setdefault((domain, row in gateways), len(spaces)) for row, domain in enumerate(domains)]
        prefixes: list[Prefix] = []
        for (domain, is_gateway), number in spaces.items():
            prefixes.extend(Prefix(number, cidr, target) for cidr, target in self._routes(domain))
            if is_gateway:
                out = self._row(_Target(Path.INTERNET_GATEWAY, NONE, ()))
                prefixes.append(Prefix(number, _EVERYWHERE, out))
        counts = [len(target.rows) for target in self._targets]
        rows = [row for target in self._targets for row in target.rows]
        return Routing(
            space=np.array([*space, NONE], np.int32),
            ranges=flatten(len(spaces), prefixes),
            path=np.array([target.path for target in self._targets], np.uint8),
            vpc=np.array([target.vpc for target in self._targets], np.int32),
            first=np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]).astype(np.int64),
            rows=np.array(rows, np.int32),
            from_ns=from_ns,
            until_ns=until_ns,
        )

    @staticmethod
    def nowhere(interfaces: int, from_ns: I64, until_ns: I64) -> Routing:
        """The routing of interfaces without any route."""
        return Routing(
            space=np.full(interfaces + 1, NONE, np.int32),
            ranges=flatten(0, []),
            path=np.empty(0, np.uint8),
            vpc=np.empty(0, np.int32),
            first=np.zeros(1, np.int64),
            rows=np.empty(0, np.int32),
            from_ns=from_ns,
            until_ns=until_ns,
        )

    def _row(self, target: _Target) -> int:
        return self._targets.setdefault(target, len(self._targets))

    def _routes(self, domain: Domain) -> Iterable[tuple[Cidr, int]]:
        """Prefixes and targets of a domain; of equal prefixes the first counts."""
        for route in self._tables.get(domain.table, ()):
            target = self._row(self._target(route, domain))
            for cidr in self._destinations(route, domain):
                yield cidr, target
        local = self._row(_Target(Path.SAME_VPC, domain.vpc, ()))
        for cidr in self._vpcs[domain.vpc].cidrs:
            yield cidr, local
        nowhere = self._row(_NOWHERE)
        for cidr in _NOT_ROUTED:
            yield cidr, nowhere

    def _destinations(self, route: Route, domain: Domain) -> Iterable[Cidr]:
        if route.service is None:
            return route.to
        region = self._vpcs[domain.vpc].region
        return [
            prefix.cidr for prefix in self._published if prefix.service == route.service and prefix.region == region
        ]

    def _target(self, route: Route, domain: Domain) -> _Target:
        kind = route.via.split("-")[0]
        path = _BY_KIND[kind]
        if kind == "local":
            return _Target(path, domain.vpc, ())
        if kind == "pcx":
            return self._peering(route, domain)
        rows = self._places.reachable(route.via, domain)
        if kind == "vpce" and rows:  # with an interface it is no gateway endpoint
            path = Path.SAME_VPC
        if path is Path.INTERNET_GATEWAY and domain.apart:
            path = Path.LOCAL_ZONE
        return _Target(path, NONE, rows)

    def _peering(self, route: Route, domain: Domain) -> _Target:
        """Via a peering: within the Region the address's owner in the peer VPC is the next hop."""
        peer = NONE if route.vpc is None else self._vpc_rows[route.vpc]
        own_region = self._vpcs[domain.vpc].region
        region = route.region or (own_region if peer == NONE else self._vpcs[peer].region)
        if region != own_region:
            return _Target(Path.PEERING_OTHER_REGION, NONE, ())
        return _Target(Path.PEERING, peer, ())
