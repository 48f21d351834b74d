"""The kinds of resources that flow logs are made for: how their ids begin, and what is answered where one is missing.

Rule: one row a kind; an id that does not begin as its kind's do is refused before anything is looked up.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from flowglass.control.faults import (
    ApiFault,
    InvalidNatGatewayIdNotFound,
    InvalidNetworkInterfaceIdNotFound,
    InvalidSubnetIdNotFound,
    InvalidVpcIdNotFound,
)
from flowglass.fields.vocabulary import ResourceType


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind. `name`: of the store; `prefix`: of its ids; `noun`: in EC2's messages; `missing`: the fault."""

    name: str
    prefix: str
    noun: str
    missing: type[ApiFault]

    def not_found(self, ids: Iterable[str]) -> ApiFault:
        """The fault of resources that are not there."""
        listed = list(ids)
        ending = ("ID", "does") if len(listed) == 1 else ("IDs", "do")
        return self.missing(f"The {self.noun} {ending[0]} '{', '.join(listed)}' {ending[1]} not exist")


KINDS: Final[Mapping[ResourceType, Kind]] = {
    ResourceType.VPC: Kind("vpc", "vpc-", "vpc", InvalidVpcIdNotFound),
    ResourceType.SUBNET: Kind("subnet", "subnet-", "subnet", InvalidSubnetIdNotFound),
    ResourceType.NETWORK_INTERFACE: Kind(
        "network-interface", "eni-", "networkInterface", InvalidNetworkInterfaceIdNotFound
    ),
    ResourceType.REGIONAL_NAT_GATEWAY: Kind("regional-nat-gateway", "nat-", "natGateway", InvalidNatGatewayIdNotFound),
}

UNRECORDED: Final = frozenset(
    {"TransitGateway", "TransitGatewayAttachment", "CoreNetwork", "CoreNetworkEdge", "CoreNetworkAttachment"}
)
"""Resource types of AWS for which nothing here can produce records."""
