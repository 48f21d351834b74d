"""A control plane that knows what an inventory says, and calls to it.

Rule: the real store, the real listing; destinations are in a dictionary.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from botocore.model import Shape

from flowglass.control.call import Call, Caller, Operation, Role, Services
from flowglass.control.store import Store, agents, resources
from flowglass.control.store.agents import AgentRow
from flowglass.control.store.resources import ResourceRow
from flowglass.fields.contracts import Destination, DestinationFault, DestinationUse
from flowglass.inventory import Resource, digest, listing

ACCOUNT, OTHER = "123456789012", "210987654321"
NOW_MS = 1_780_000_000_000
"""2026-05-28T20:26:40Z."""

INVENTORY = """
account: "123456789012"
region: eu-west-1
vpcs:
  - {id: vpc-0000000a, cidrs: [10.0.0.0/16, 10.1.0.0/16, "2001:db8:a::/48"]}
  - {id: vpc-0000000b, cidrs: [10.0.0.0/16], account: "210987654321"}
  - {id: vpc-0000000c, cidrs: [10.9.0.0/16], region: us-east-1}
route_tables:
  - id: rtb-0000000a
    routes:
      - {to: 0.0.0.0/0, via: igw-1}
      - {to: "::/0", via: eigw-2}
      - {to: 10.20.0.0/16, via: pcx-3, region: us-east-1}
      - {to: 10.21.0.0/16, via: eni-0000000c}
      - {to: 10.22.0.0/16, via: tgw-4}
  - {id: rtb-0000000b, routes: [{to: 10.0.0.0/8, via: local}]}
subnets:
  - {id: subnet-0000000a, vpc: vpc-0000000a, cidr: 10.0.0.0/24, ipv6_cidr: "2001:db8:a::/64", zone: euw1-az1,
     route_table: rtb-0000000a}
  - {id: subnet-0000000b, vpc: vpc-0000000a, cidr: 10.0.1.0/24, zone: eu-west-1-wl1-lon-wlz-1,
     sublocation: {type: wavelength, id: euw1-wl1-lon-wlz1}, routes: [{to: 0.0.0.0/0, via: cagw-1}]}
  - {id: subnet-0000000c, vpc: vpc-0000000b, cidr: 10.0.0.0/28, zone: euw1-az2}
  - {id: subnet-0000000d, vpc: vpc-0000000c, cidr: 10.9.0.0/24, zone: use1-az1}
auto_scaling_groups: [{name: web}]
instances:
  - {id: i-0000000a, tags: {Name: web, stage: test}, auto_scaling_group: web}
  - {id: i-0000000b}
interfaces:
  - {id: eni-0000000b, subnet: subnet-0000000a, instance: i-0000000a, ipv4: [10.0.0.10, 10.0.0.11],
     ipv6: ["2001:db8:a::10"], prefixes: [10.0.0.32/28, "2001:db8:a::1:0/112"], mac: 02-00-00-00-00-0A, device: eth0,
     groups: [sg-0000000a, sg-0000000b], tags: {Name: front}}
  - {id: eni-0000000a, subnet: subnet-0000000b, instance: i-0000000a, ipv4: [10.0.1.9], groups: [sg-0000000b]}
  - {id: eni-0000000c, subnet: subnet-0000000a, type: nat_gateway, resource: nat-0000000a, ipv4: [10.0.0.12]}
  - {id: eni-0000000d, subnet: subnet-0000000c, ipv4: [10.0.0.5], efa: true}
  - {id: eni-0000000e, subnet: subnet-0000000a, ipv4: [10.0.0.13], account: "210987654321", until: 100}
  - {id: eni-0000000e, subnet: subnet-0000000a, ipv4: [10.0.0.14], account: "210987654321", from: 200}
regional_nat_gateways:
  - {id: nat-0000000b, vpc: vpc-0000000a, ipv4: [198.51.100.7], mac: "02:00:00:00:00:0e"}
"""


@dataclass(slots=True)
class Written:
    """Destinations that take every file; `missing` buckets do not exist."""

    files: dict[tuple[str, str, str], bytes] = field(default_factory=dict)
    missing: set[str] = field(default_factory=set)

    def check(self, use: DestinationUse) -> DestinationFault | None:
        return self._fault(use.destination)

    def prepare(self, use: DestinationUse) -> DestinationFault | None:
        return self._fault(use.destination)

    def write(self, destination: Destination, name: str, content: bytes) -> DestinationFault | None:
        self.files[destination.name, destination.folder, name] = content
        return self._fault(destination)

    def _fault(self, destination: Destination) -> DestinationFault | None:
        if destination.name in self.missing:
            return DestinationFault("400", f"LogDestination: {destination.name} does not exist.")
        return None


@dataclass(frozen=True, slots=True)
class World:
    """Services, and how to call them."""

    services: Services
    destinations: Written

    def call(self, operation: Operation, action: str, /, **parameters: Any) -> dict[str, Any]:
        """The answer of an operation to a key that is bound to no account."""
        return self.call_as(None, "eu-west-1", operation, action, parameters)

    def call_as(
        self, account: str | None, region: str, operation: Operation, action: str, parameters: dict[str, Any]
    ) -> dict[str, Any]:
        """The answer to a key of one account, or of none, in a Region."""
        call = Call(
            action=action,
            parameters=parameters,
            caller=Caller(key_id="FGKEY1", name="ada", role=Role.ADMIN, account=account),
            account=account,
            home_account=account or ACCOUNT,
            region=region,
            request_id="11111111-2222-3333-4444-555555555555",
            now_ms=NOW_MS,
        )
        return operation(call, self.services)


def world(folder: Path, inventory: str = INVENTORY) -> World:
    """A world whose one agent sent this inventory."""
    path = folder / "network.yaml"
    path.write_text(inventory, encoding="utf-8")
    made = World(Services(Store.open(f"sqlite:///{folder / 'state.db'}"), destinations := Written()), destinations)
    send(made, "agent-1", listing(path, at_ns=NOW_MS * 1_000_000), NOW_MS)
    return made


def send(world: World, agent: str, listed: list[Resource], seen_ms: int) -> None:
    """Register an agent that sends these resources."""
    rows = [
        ResourceRow(item.kind, item.id, item.account, item.region, item.vpc, dict(item.document)) for item in listed
    ]
    row = AgentRow(
        id=agent, name=agent, version="1", registered_ms=seen_ms, seen_ms=seen_ms, inventory_digest=None, report={}
    )
    world.services.store.write(lambda connection: agents.insert(connection, row))
    world.services.store.write(lambda connection: resources.replace(connection, agent, rows, digest(listed)))


def misfits(shape: Shape, value: Any, path: str = "answer") -> list[str]:
    """Where a value is not of a shape of botocore's model: members that it has not, values of another type."""
    if value is None:
        return []
    if shape.type_name == "structure":
        if not isinstance(value, dict):
            return [f"{path} is {value!r}"]
        unknown = [f"{path}.{name} is no member" for name in value if name not in shape.members]
        known = [(shape.members[name], item, f"{path}.{name}") for name, item in value.items() if name in shape.members]
        return [*unknown, *(fault for member in known for fault in misfits(*member))]
    if shape.type_name == "list":
        if not isinstance(value, list):
            return [f"{path} is {value!r}"]
        return [fault for place, item in enumerate(value) for fault in misfits(shape.member, item, f"{path}[{place}]")]
    wanted = {"boolean": bool, "integer": int, "string": str}[shape.type_name]
    wrong = not isinstance(value, wanted) or (wanted is int and isinstance(value, bool))
    if not wrong and shape.type_name == "string" and shape.enum and value not in shape.enum:
        wrong = True
    return [f"{path} is {value!r}"] if wrong else []
