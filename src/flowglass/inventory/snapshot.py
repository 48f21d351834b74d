"""What the inventory says, frozen: properties of interfaces as columns, and look-ups of many values at once.

Rule: arrays in, arrays out. Addresses come as two uint64 halves, IPv4 mapped into IPv6; times are ns since
1970.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from flowglass.fields.contracts import I32, I64, U8, U64, Bools
from flowglass.inventory.index import Index
from flowglass.inventory.kernels import NONE
from flowglass.inventory.texts import texts


@enum.unique
class Role(enum.IntEnum):
    """What an interface is to the machine that captures."""

    HOST = 0
    """the machine's own"""
    GUEST = 1
    """a device that leads to a guest: what the host receives there, the guest sends"""
    GATEWAY = 2
    """passes on packets of others"""
    MIRROR = 3
    """gets copies of packets of others"""


@dataclass(frozen=True, eq=False, kw_only=True)
class Interfaces:
    """n interfaces, one a row; every text column is n long and null where AWS prints `-`."""

    id: pa.StringArray
    """null for a regional NAT gateway"""
    account: pa.StringArray
    """the owner's"""
    region: pa.StringArray
    """of the VPC"""
    vpc: pa.StringArray
    subnet: pa.StringArray
    instance: pa.StringArray
    """null where requester-managed"""
    az: pa.StringArray
    """zone id; null in a sublocation"""
    sublocation_type: pa.StringArray
    sublocation_id: pa.StringArray
    type: pa.StringArray
    """null for an ordinary interface"""
    resource_id: pa.StringArray
    """of a regional NAT gateway, else null"""
    name: pa.StringArray
    """for people: the device, else the id"""
    ecs: Mapping[str, pa.StringArray]
    """by name of the field, as `ecs-cluster-arn`"""
    vpc_row: I32
    """row of the table of VPCs, -1 none"""
    subnet_row: I32
    """row of the table of subnets, -1 none"""
    primary_ipv4: U64
    """low half of the first private IPv4 address, 0 none"""
    mac: U64
    """48-bit number, 0 none"""
    role: U8
    """Role"""
    substitute: Bools
    """records show the primary address in place of the packet's"""
    efa: Bools
    """carries EFA traffic only"""
    account_row: I32
    """the same number for interfaces of the same account"""
    broadcast: U64
    """low half of the broadcast address of the subnet's IPv4 CIDR, 0 none"""
    from_ns: I64
    until_ns: I64
    """exclusive"""
    tags: Mapping[str, tuple[Mapping[str, str], ...]]
    """by kind of resource (see `tag`), the tags of each row"""

    def __len__(self) -> int:
        return len(self.from_ns)

    def tag(self, kind: str, key: str) -> pa.StringArray:
        """Values of a tag as they are, null where untagged.

        `kind`: `instance`, `network-interface` or `auto-scaling-group`, as in TagFieldSpecifications; another
        one raises KeyError.
        """
        return texts([tags.get(key) for tags in self.tags[kind]])


@dataclass(frozen=True, eq=False, kw_only=True)
class Snapshot:
    """An inventory at one time of reading.

    `exclusions`: traffic that AWS never logs is left out; `service_names`: rows that `service` answers with;
    `is_file`: False where capture points stand for interfaces; `tables`: VPCs, subnets, routes and instances
    (`vpcs`, `subnets`, `routes`, `instances`) for people; `index`: the arrays behind the look-ups.
    """

    interfaces: Interfaces
    exclusions: bool
    service_names: pa.StringArray
    is_file: bool
    tables: Mapping[str, pa.Table]
    index: Index

    def by_device(self, name: str, at_ns: I64) -> I32:
        """The interface that has the device at each time of (k,), -1 none."""
        return self.index.devices.owners(name, at_ns)

    def by_mac(self, mac: U64, at_ns: I64) -> I32:
        """The interface that has each MAC address of (k,) at its time, -1 none."""
        return self.index.macs.owners(mac, at_ns)

    def by_address(self, hi: U64, lo: U64, at_ns: I64, vpc_row: I32 | None = None) -> I32:
        """The interface that has each address of (k,) at its time: -1 none, -2 held in several VPCs.

        Primary, secondary and IPv6 addresses, and prefixes, of which the longest wins. `vpc_row`: (k,) the
        VPC to look in; where it is -1, or not given, all VPCs are looked in.
        """
        return self.index.addresses.owners(hi, lo, at_ns, vpc_row)

    def service(self, hi: U64, lo: U64) -> I32:
        """Row of `service_names` of each address of (k,), -1 none.

        The longest published prefix; of services with the same, EC2 comes next to last, AMAZON last, else the
        first in the alphabet.
        """
        return self.index.services.longest(np.zeros(1, np.int32), hi, lo)

    def traffic_path(self, interface: I32, hi: U64, lo: U64) -> U8:
        """AWS's code of the way that a packet takes out of each interface to an address, 0 unknown; all (k,).

        Codes: https://docs.aws.amazon.com/vpc/latest/userguide/flow-log-records.html (traffic-path). The
        longest prefix among the routes of the interface's subnet and its VPC's CIDRs decides. What is never
        routed (multicast, link-local, limited broadcast) has no code.
        """
        return self.index.routing.paths(interface, hi, lo)

    def next_hop(self, interface: I32, hi: U64, lo: U64, at_ns: I64) -> I32:
        """The interface one hop from each interface towards an address at a time, -1 none; all (k,).

        By the same route as `traffic_path`: the address's owner in the VPC or a peer VPC of the Region, or
        the interface of the gateway, instance or endpoint that is the route's target. Never the interface
        itself.
        """
        routing = self.index.routing
        target = routing.targets(interface, hi, lo)
        found = routing.hops(target, at_ns)
        vpc = routing.vpc_of(target)
        direct = np.flatnonzero(vpc >= 0)
        owner = self.by_address(hi[direct], lo[direct], at_ns[direct], vpc[direct])
        found[direct] = np.maximum(owner, NONE)
        found[found == interface] = NONE
        return found

    def reserved(self, interface: I32, hi: U64, lo: U64) -> Bools:
        """Whether traffic of each interface with an address is never logged by AWS; all (k,).

        https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-limitations.html: instance metadata and
        time for every interface of an inventory; router and resolver where the subnet is marked
        `aws_reserved`. Nothing where exclusions are off.
        """
        if not self.exclusions:
            return np.zeros(len(hi), np.bool_)
        space = self.index.reserved_space[interface]
        marked: Bools = self.index.reserved.longest(space, hi, lo) >= 0
        return marked
