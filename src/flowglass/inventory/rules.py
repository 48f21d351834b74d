"""What must hold between the parts of an inventory file: references, places, routes.

Rule: each function looks for faults of one kind and adds them all.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from flowglass.inventory.faults import Fault, nearest, shown
from flowglass.inventory.model import RESOURCE_PREFIX, Interface, Part, Route, Validity
from flowglass.inventory.overlaps import Overlaps
from flowglass.inventory.prefixes import ServicePrefix
from flowglass.inventory.reading import Inventory
from flowglass.inventory.scalars import Cidr, address_text

_UNIQUE = ("vpcs", "subnets", "route_tables", "instances", "auto_scaling_groups", "regional_nat_gateways")
Place = tuple[str | int, ...]


class Rules:
    """Checks one inventory; `faults` fills as its methods run."""

    def __init__(self, inventory: Inventory, published: Collection[ServicePrefix]) -> None:
        self.faults: list[Fault] = []
        self._inventory = inventory
        self._known_names: dict[str, set[str]] = {}
        self._services = {prefix.service for prefix in published}
        self._vpcs = {vpc.id: vpc for vpc in inventory.vpcs.values()}
        self._subnets = {subnet.id: subnet for subnet in inventory.subnets.values()}

    def check(self, *, account: bool, region: bool) -> list[Fault]:
        """All faults. `account`, `region`: whether the caller gives a default for the file."""
        self._unique_names()
        self._account_and_region(account=account, region=region)
        for place, subnet in self._inventory.subnets.items():
            self._subnet(place, subnet.id)
        for table_place, table in self._inventory.route_tables.items():
            self._routes(table.routes, "route_tables", table_place)
        for place, instance in self._inventory.instances.items():
            if instance.auto_scaling_group is not None:
                at = ("instances", place, "auto_scaling_group")
                self._known(instance.auto_scaling_group, "auto_scaling_groups", at)
        for place, interface in self._inventory.interfaces.items():
            self._interface(place, interface)
        for place, gateway in self._inventory.regional_nat_gateways.items():
            self._known(gateway.vpc, "vpcs", ("regional_nat_gateways", place, "vpc"))
            self._validity(gateway, "regional_nat_gateways", place)
        self.faults.extend(Overlaps(self._inventory).found())
        return self.faults

    def _add(self, message: str, remedy: str, *at: str | int) -> None:
        self.faults.append(Fault(self._inventory.line(*at), message, remedy))

    def _names(self, listed: str) -> Iterator[tuple[int, str]]:
        for place, part in self._inventory.items.get(listed, {}).items():
            yield place, _name(part)

    def _unique_names(self) -> None:
        for listed in _UNIQUE:
            first: dict[str, int] = {}
            for place, name in self._names(listed):
                if name in first:
                    line = self._inventory.line(listed, first[name])
                    key = "name" if listed == "auto_scaling_groups" else "id"
                    self._add(
                        f"{name} is there twice",
                        f"remove one; the other is on line {line}",
                        listed,
                        place,
                        key,
                    )
                first.setdefault(name, place)

    def _account_and_region(self, *, account: bool, region: bool) -> None:
        head = self._inventory.head
        vpcs = self._inventory.vpcs.values()
        for key, value, given, own in (
            ("account", head.account, account, all(vpc.account for vpc in vpcs)),
            ("region", head.region, region, all(vpc.region for vpc in vpcs)),
        ):
            wrong = key in self._inventory.root  # then it is a fault already
            if value is None and not given and not wrong and not (vpcs and own):
                example = '"123456789012"' if key == "account" else "eu-west-1"
                self.faults.append(Fault(1, f"{key} is missing", f"add {key}: {example} at the top"))

    def _known(self, name: str, listed: str, at: Place) -> bool:
        """Whether an item of the list has this name; a fault if none has."""
        known = self._known_names.get(listed)
        if known is None:
            known = self._known_names[listed] = {name for _, name in self._names(listed)}
        if name in known:
            return True
        if name not in self._inventory.broken_ids.get(listed, ()):
            self._add(f"{name} is not in {listed}", nearest(name, known, f"add it to {listed}"), *at)
        return False

    def _subnet(self, place: int, name: str) -> None:
        subnet = self._inventory.subnets[place]
        if not any(self._has("subnets", place, key) for key in ("cidr", "ipv6_cidr")):
            self._add("cidr is missing", "add cidr: or ipv6_cidr:", "subnets", place)
        if self._known(subnet.vpc, "vpcs", ("subnets", place, "vpc")):
            cidrs = self._vpcs[subnet.vpc].cidrs
            for key, cidr in (("cidr", subnet.cidr), ("ipv6_cidr", subnet.ipv6_cidr)):
                if cidr is not None and not any(wide.holds(cidr) for wide in cidrs):
                    what = f"{cidr} is outside {subnet.vpc} ({_listed(cidrs)})"
                    self._add(what, "correct it, or add it to the VPC's cidrs", "subnets", place, key)
        if subnet.route_table is not None:
            self._known(subnet.route_table, "route_tables", ("subnets", place, "route_table"))
            if subnet.routes:
                what = f"{name} has both route_table and routes"
                self._add(what, "keep one of them", "subnets", place, "routes")
        self._routes(subnet.routes, "subnets", place)

    def _has(self, *path: str | int) -> bool:
        """Whether the file has a key there: if its value was wrong, that is a fault already."""
        found: object = self._inventory.root
        for step in path:
            try:
                found = found[step]  # type: ignore[index]
            except (KeyError, IndexError, TypeError):
                return False
        return True

    def _routes(self, routes: Iterable[Route], listed: str, place: int) -> None:
        seen: dict[Cidr, int] = {}
        for number, route in enumerate(routes):
            at = (listed, place, "routes", number)
            self._destination(route, at)
            for cidr in route.to:
                if cidr in seen:
                    what = f"a second route to {cidr}"
                    line = self._inventory.line(listed, place, "routes", seen[cidr])
                    self._add(what, f"remove one; the other is on line {line}", *at, "to")
                seen.setdefault(cidr, number)
            self._target(route, at)

    def _destination(self, route: Route, at: Place) -> None:
        if bool(route.to) == (route.service is not None) and not self._has(*at, "to"):
            self._add("a route without destination", "add to: or service:", *at)
        elif route.to and route.service is not None:
            self._add("a route with both to and service", "keep one of them", *at, "service")
            return
        if route.service is None:
            return
        if self._inventory.head.service_prefixes is None:
            remedy = "add service_prefixes: with the path of AWS's ip-ranges.json"
            self._add("service needs the published prefixes", remedy, *at, "service")
        elif self._services and route.service not in self._services:
            remedy = nearest(route.service, self._services, "write a service of ip-ranges.json")
            self._add(f"service {shown(route.service)} is not published", remedy, *at, "service")

    def _target(self, route: Route, at: Place) -> None:
        kind = route.via.split("-")[0]
        if kind == "eni":
            self._known(route.via, "interfaces", (*at, "via"))
        elif kind == "i":
            self._known(route.via, "instances", (*at, "via"))
        if route.vpc is not None:
            self._known(route.vpc, "vpcs", (*at, "vpc"))
        for key in ("region", "vpc"):
            if getattr(route, key) is not None and kind != "pcx":
                self._add(f"{key} is only for a route via pcx-", "remove it", *at, key)

    def _validity(self, part: Validity, listed: str, place: int) -> None:
        if part.until_ns <= part.from_ns:
            remedy = "correct one of them; until is the first moment after"
            self._add("until is not after from", remedy, listed, place, "until")

    def _interface(self, place: int, interface: Interface) -> None:
        at = ("interfaces", place)
        self._validity(interface, *at)
        if interface.instance is not None:
            self._known(interface.instance, "instances", (*at, "instance"))
        if interface.resource is not None:
            prefix = RESOURCE_PREFIX.get(interface.type)
            if prefix is None or not interface.resource.startswith(prefix):
                kinds = ", ".join(f"{kind} has {begin}" for kind, begin in RESOURCE_PREFIX.items())
                what = f"resource {interface.resource} does not go with type {interface.type}"
                self._add(what, f"correct one of them: {kinds}", *at, "resource")
        if self._known(interface.subnet, "subnets", (*at, "subnet")):
            self._inside(place, interface)

    def _inside(self, place: int, interface: Interface) -> None:
        """Addresses and prefixes of the interface lie in its subnet."""
        subnet = self._subnets[interface.subnet]
        for key, whole in (
            ("ipv4", [Cidr(address, 128) for address in interface.ipv4]),
            ("ipv6", [Cidr(address, 128) for address in interface.ipv6]),
            ("prefixes", interface.prefixes),
        ):
            for number, inner in enumerate(whole):
                wide = subnet.cidr if inner.ipv4 else subnet.ipv6_cidr
                if wide is None or not wide.holds(inner):
                    what = str(inner) if key == "prefixes" else address_text(inner.start)
                    family = "cidr" if inner.ipv4 else "ipv6_cidr"
                    place_of = f"{interface.subnet} ({wide or f'it has no {family}'})"
                    remedy = "correct the address or the subnet"
                    self._add(f"{what} is outside {place_of}", remedy, "interfaces", place, key, number)


def _name(part: Part) -> str:
    return str(getattr(part, "name", None) or getattr(part, "id", ""))


def _listed(cidrs: Iterable[Cidr]) -> str:
    return ", ".join(str(cidr) for cidr in cidrs)
