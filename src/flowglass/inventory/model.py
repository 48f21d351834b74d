"""The shapes of an inventory file: which keys each part has, and of which type.

Rule: one class a part; unknown keys are faults. What spans parts (references, overlaps) is in `rules.py`.
"""

from __future__ import annotations

import enum
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, create_model

from flowglass.fields import VPC_FIELDS
from flowglass.inventory.scalars import (
    FOREVER_NS,
    Account,
    AnyCidr,
    Cidr4,
    Cidr6,
    Flag,
    GroupId,
    InstanceId,
    InterfaceId,
    Ipv4,
    Ipv6,
    Mac,
    NatId,
    Region,
    ResourceId,
    RouteTableId,
    SubnetId,
    Tags,
    Target,
    TimeNs,
    VpcId,
    Word,
)

InterfaceType = Literal["interface", "nat_gateway", "network_load_balancer", "transit_gateway", "vpc_endpoint"]
GATEWAY_TYPES: Final = ("nat_gateway", "transit_gateway")
"""Types whose interfaces pass on packets of others: their role is gateway unless told otherwise."""
RESOURCE_PREFIX: Final = {"nat_gateway": "nat-", "transit_gateway": "tgw-", "vpc_endpoint": "vpce-"}
"""What `resource` of an interface of a type begins with."""


class RoleName(enum.StrEnum):
    """What an interface is to the machine that captures."""

    HOST = "host"
    GUEST = "guest"
    GATEWAY = "gateway"
    MIRROR = "mirror"


class Part(BaseModel):
    """A mapping of the file: only known keys, never changed after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Vpc(Part):
    """A VPC. `account` and `region` default to the file's."""

    id: VpcId
    cidrs: list[AnyCidr] = Field(min_length=1)
    account: Account | None = None
    region: Region | None = None


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


class Route(Part):
    """A route: to one or more CIDRs, or to a service's published prefixes. `region`, `vpc`: of a peer."""

    to: Annotated[list[AnyCidr], BeforeValidator(_listed)] = Field(default=[], min_length=1)
    service: Word | None = None
    via: Target
    region: Region | None = None
    vpc: VpcId | None = None


class RouteTable(Part):
    """A route table that subnets share."""

    id: RouteTableId
    routes: list[Route] = []


class Sublocation(Part):
    """A Wavelength Zone, an Outpost or a Local Zone."""

    type: Literal["wavelength", "outpost", "localzone"]
    id: Word


class Subnet(Part):
    """A subnet. Its routes are its table's, or stand here."""

    id: SubnetId
    vpc: VpcId
    cidr: Cidr4 | None = None
    ipv6_cidr: Cidr6 | None = None
    zone: Word
    sublocation: Sublocation | None = None
    route_table: RouteTableId | None = None
    routes: list[Route] = []
    aws_reserved: Flag = False


class Instance(Part):
    """An instance and the name of its Auto Scaling group."""

    id: InstanceId
    tags: Tags = {}
    auto_scaling_group: Word | None = None


class AutoScalingGroup(Part):
    """An Auto Scaling group."""

    name: Word
    tags: Tags = {}


ECS_FIELDS: Final = tuple(field.name for field in VPC_FIELDS if field.name.startswith("ecs-"))


def ecs_key(field: str) -> str:
    """The key below `ecs` that holds the value of a field: `ecs-task-id` is `task_id`."""
    return field.removeprefix("ecs-").replace("-", "_")


_ECS_KEYS: Any = {ecs_key(field): (Word | None, None) for field in ECS_FIELDS}
Ecs: type[Part] = create_model("Ecs", __base__=Part, **_ECS_KEYS)
"""What ECS knows of the task behind an interface: one key a field."""


class Validity(Part):
    """From when until when (exclusive) something was so, ns since 1970."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    from_ns: TimeNs = Field(default=0, alias="from")
    until_ns: TimeNs = Field(default=FOREVER_NS, alias="until")

    def overlaps(self, other: Validity) -> bool:
        """Whether there is a time at which both hold."""
        return self.from_ns < other.until_ns and other.from_ns < self.until_ns


class Interface(Validity):
    """A network interface. What is None is decided by the type or the role (see the properties)."""

    id: InterfaceId
    subnet: SubnetId
    instance: InstanceId | None = None
    ipv4: list[Ipv4] = []
    ipv6: list[Ipv6] = []
    prefixes: list[AnyCidr] = []
    mac: Mac | None = None
    device: Word | None = None
    groups: list[GroupId] = []
    type: InterfaceType = "interface"
    resource: ResourceId | None = None
    role: RoleName | None = None
    addresses: Literal["aws", "packet"] | None = None
    requester_managed: Flag | None = None
    account: Account | None = None
    tags: Tags = {}
    ecs: Ecs | None = None  # type: ignore[valid-type]
    efa: Flag = False

    @property
    def role_name(self) -> RoleName:
        """The role, or the type's."""
        return self.role or (RoleName.GATEWAY if self.type in GATEWAY_TYPES else RoleName.HOST)

    @property
    def substitutes(self) -> bool:
        """Whether records show its primary address in place of the packet's (AWS's rule for gateways)."""
        if self.addresses is not None:
            return self.addresses == "aws"
        return self.role_name in (RoleName.GUEST, RoleName.GATEWAY)

    @property
    def is_requester_managed(self) -> bool:
        """Whether an AWS service made it, so that its instance is not shown."""
        return self.type != "interface" if self.requester_managed is None else self.requester_managed


class RegionalNatGateway(Validity):
    """A regional NAT gateway: it has no interface; it shows the packets' addresses."""

    id: NatId
    vpc: VpcId
    ipv4: list[Ipv4] = []
    mac: Mac | None = None
    device: Word | None = None


class Head(Part):
    """What stands at the top of the file, without the lists."""

    account: Account | None = None
    region: Region | None = None
    service_prefixes: Word | None = None
    exclusions: Literal["aws", "none"] = "aws"


LISTS: Final[dict[str, type[Part]]] = {
    "vpcs": Vpc,
    "subnets": Subnet,
    "route_tables": RouteTable,
    "instances": Instance,
    "auto_scaling_groups": AutoScalingGroup,
    "interfaces": Interface,
    "regional_nat_gateways": RegionalNatGateway,
}
"""The lists at the top of the file and the class of their items."""
