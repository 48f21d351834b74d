"""A small network with every kind of interface, and ten observations that show the cases of every field.

Rule: NAT is a zonal gateway in a public subnet, ZONE is in a Local Zone, REGIONAL has no interface.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from tests.support.enrich import SECOND, START_S, flows, inventory, row_of

from flowglass.enrich import Enricher, Observations, ObserveCounts
from flowglass.fields import EXTENSION_FIELDS, VPC_FIELDS, Column, Field, Origin
from flowglass.inventory import Snapshot

INVENTORY = """
account: "123456789012"
region: eu-west-1
service_prefixes: ip-ranges.json
vpcs:
  - {id: vpc-0000000a, cidrs: [10.0.0.0/16, "2001:db8:a::/48"]}
subnets:
  - id: subnet-0000000a
    vpc: vpc-0000000a
    cidr: 10.0.0.0/24
    ipv6_cidr: "2001:db8:a::/64"
    zone: euw1-az1
    routes: [{to: 0.0.0.0/0, via: nat-0000000a}, {to: 10.9.0.0/16, via: tgw-0000000a}]
  - id: subnet-0000000b
    vpc: vpc-0000000a
    cidr: 10.0.1.0/24
    ipv6_cidr: "2001:db8:a:1::/64"
    zone: euw1-az2
    routes: [{to: 0.0.0.0/0, via: igw-0000000a}]
  - id: subnet-0000000c
    vpc: vpc-0000000a
    cidr: 10.0.2.0/24
    zone: euw1-lon1-az1
    sublocation: {type: localzone, id: euw1-lon1}
    routes: [{to: 0.0.0.0/0, via: cagw-0000000a}]
instances:
  - {id: i-0000000a, auto_scaling_group: web, tags: {Name: web-1, team: "a&b \u00fc", none: ""}}
auto_scaling_groups:
  - {name: web, tags: {env: prod_1.~}}
interfaces:
  - id: eni-0000000a
    subnet: subnet-0000000a
    instance: i-0000000a
    ipv4: [10.0.0.10, 10.0.0.11]
    ipv6: ["2001:db8:a::10"]
    tags: {role: front end}
    ecs:
      cluster_arn: arn:aws:ecs:eu-west-1:123456789012:cluster/c
      cluster_name: c
      container_instance_arn: arn:aws:ecs:eu-west-1:123456789012:container-instance/c/n
      container_instance_id: n
      container_id: one
      second_container_id: two
      service_name: shop
      task_definition_arn: arn:aws:ecs:eu-west-1:123456789012:task-definition/t:1
      task_arn: arn:aws:ecs:eu-west-1:123456789012:task/c/t
      task_id: t
  - id: eni-0000000b
    subnet: subnet-0000000b
    type: nat_gateway
    resource: nat-0000000a
    ipv4: [10.0.1.20]
    ipv6: ["2001:db8:a:1::20"]
  - {id: eni-0000000c, subnet: subnet-0000000a, ipv4: [10.0.0.12], efa: true}
  - {id: eni-0000000d, subnet: subnet-0000000c, ipv4: [10.0.2.5]}
  - id: eni-0000000e
    subnet: subnet-0000000a
    type: transit_gateway
    resource: tgw-0000000a
    ipv4: [10.0.0.13]
  - {id: eni-0000000f, subnet: subnet-0000000a, account: "210987654321", ipv4: [10.0.0.30]}
regional_nat_gateways:
  - {id: nat-1234567890abcdef, vpc: vpc-0000000a, ipv4: [198.51.100.7]}
"""


def _prefix(service: str) -> dict[str, str]:
    place = {"region": "eu-west-1", "network_border_group": "eu-west-1"}
    return {"ip_prefix": "203.0.113.0/24", "service": service, **place}


PREFIXES = {
    "syncToken": "0",
    "createDate": "2026-01-01-00-00-00",
    "prefixes": [_prefix("AMAZON"), _prefix("S3")],
    "ipv6_prefixes": [],
}

WEB, NAT, EFA, ZONE, REGIONAL = (
    "eni-0000000a",
    "eni-0000000b",
    "eni-0000000c",
    "eni-0000000d",
    "nat-1234567890abcdef",
)
UNKNOWN, INGRESS, EGRESS = 0, 1, 2
HOST = "203.0.113.5"

SEEN: list[tuple[str, int, dict[str, Any]]] = [
    (
        WEB,
        EGRESS,
        {
            "src": "10.0.0.10",
            "dst": HOST,
            "sport": 40000,
            "dport": 443,
            "verdict": 1,
            "packets": 2**40,
            "bytes": 2**41,
            "tcp_flags": 3,
            "raw_flags": 0xDB,
            "last_ns": START_S * SECOND + 59_999_999_999,
        },
    ),
    (
        WEB,
        INGRESS,
        {"src": "10.0.0.30", "dst": "10.0.0.11", "sport": 53, "dport": 65535, "protocol": 17, "verdict": 2},
    ),
    (NAT, INGRESS, {"src": "10.0.0.10", "dst": HOST, "dport": 443, "tcp_flags": 2, "raw_flags": 2}),
    (NAT, EGRESS, {"src": HOST, "dst": "10.0.0.10", "sport": 443, "tcp_flags": 18, "raw_flags": 18}),
    (NAT, EGRESS, {"src": "10.0.1.20", "dst": HOST}),
    (EFA, INGRESS, {"src": "10.9.0.1", "dst": "10.0.0.12"}),
    (ZONE, EGRESS, {"src": "10.0.2.5", "dst": "198.51.100.1", "protocol": 1, "icmp": 0x0800}),
    (REGIONAL, INGRESS, {"src": "192.0.2.1", "dst": "198.51.100.7"}),
    (WEB, UNKNOWN, {"src": "2001:db8:a::10", "dst": "2001:db8::", "protocol": 58, "icmp": 0x8700}),
    (NAT, INGRESS, {"src": "10.0.0.10", "dst": "10.0.1.255", "protocol": 17}),
]

TAG_KEYS = {
    "instance-tag": "Name",
    "instance-tag-2": "team",
    "interface-tag": "role",
    "interface-tag-2": "nobody has it",
    "asg-tag": "env",
    "asg-tag-2": "none",
}

KNOWN = [field for field in (*VPC_FIELDS, *EXTENSION_FIELDS) if field.origin is not Origin.ABSENT]
ABSENT = [field for field in (*VPC_FIELDS, *EXTENSION_FIELDS) if field.origin is Origin.ABSENT]


def snapshot_of_world(folder: Path) -> Snapshot:
    """The network's snapshot; its files are written into the folder."""
    (folder / "ip-ranges.json").write_text(json.dumps(PREFIXES), encoding="utf-8")
    return inventory(folder, INVENTORY)


def observations(snapshot: Snapshot) -> Observations:
    """The ten of SEEN."""
    rows = flows(row for _, _, row in SEEN)
    interface = np.array([row_of(snapshot, name) for name, _, _ in SEEN], np.int32)
    direction = np.array([direction for _, direction, _ in SEEN], np.uint8)
    return Observations(START_S, 60, 0, rows, interface, direction, ObserveCounts())


def column_of(field: Field) -> Column:
    """The field with the tag key that it has in these tests."""
    return Column(field, TAG_KEYS.get(field.name))


def values(snapshot: Snapshot, seen: Observations, field: Field, *, assume: bool = False) -> list[Any]:
    """The field's values, of records that are valid and keep their schema."""
    enricher = Enricher((column_of(field),), snapshot, version=11, assume_accept=assume)
    records = enricher.records(seen, 0, len(seen.flows))
    records.validate(full=True)
    assert records.schema == enricher.schema
    listed: list[Any] = records.column(0).to_pylist()
    return listed
