"""Which way a packet leaves an interface, and which interface gets it next."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from tests.support.enrich import halves, inventory, row_of

from flowglass.inventory import Snapshot

INVENTORY = """
account: "123456789012"
region: eu-west-1
service_prefixes: ip-ranges.json
vpcs:
  - {id: vpc-0000000a, cidrs: [10.0.0.0/16, "2001:db8:a::/48"]}
  - {id: vpc-0000000b, cidrs: [10.20.0.0/16]}
  - {id: vpc-0000000c, cidrs: [10.30.0.0/16], region: us-east-1}
route_tables:
  - id: rtb-0000000a
    routes:
      - {to: 0.0.0.0/0, via: nat-0000000a}
      - {to: "::/0", via: eigw-1}
      - {to: [10.20.0.0/16, 10.21.0.0/16], via: pcx-1, vpc: vpc-0000000b}
      - {to: 10.30.0.0/16, via: pcx-2, vpc: vpc-0000000c}
      - {to: 10.31.0.0/16, via: pcx-3, region: ap-south-1}
      - {to: 10.32.0.0/16, via: pcx-4}
      - {to: 10.40.0.0/16, via: tgw-0000000a}
      - {to: 10.41.0.0/16, via: vgw-1}
      - {to: 10.42.0.0/16, via: lgw-1}
      - {to: 10.43.0.0/16, via: eni-0000000d}
      - {to: 10.44.0.0/16, via: i-0000000a}
      - {to: 10.45.0.0/16, via: vpce-0000000a}
      - {to: 10.46.0.0/16, via: nat-1234567890abcdef}
      - {to: 10.0.9.0/24, via: eni-0000000d}
      - {to: 10.44.1.0/24, via: local}
      - {service: S3, via: vpce-0000000b}
subnets:
  - {id: subnet-0000000a, vpc: vpc-0000000a, cidr: 10.0.0.0/24, zone: az1, route_table: rtb-0000000a}
  - {id: subnet-0000000b, vpc: vpc-0000000a, cidr: 10.0.1.0/24, zone: az2, route_table: rtb-0000000a}
  - {id: subnet-0000000c, vpc: vpc-0000000a, cidr: 10.0.2.0/24, zone: az1, routes: [{to: 0.0.0.0/0, via: igw-1}]}
  - id: subnet-0000000d
    vpc: vpc-0000000a
    cidr: 10.0.3.0/24
    zone: lon1
    sublocation: {type: localzone, id: lon1}
    routes: [{to: 0.0.0.0/0, via: igw-1}, {to: 10.40.0.0/16, via: tgw-0000000a}]
  - id: subnet-0000000e
    vpc: vpc-0000000a
    cidr: 10.0.4.0/24
    zone: wl1
    sublocation: {type: wavelength, id: wl1}
    routes: [{to: 0.0.0.0/0, via: cagw-1}]
  - id: subnet-0000000f
    vpc: vpc-0000000a
    cidr: 10.0.5.0/24
    zone: az1
    sublocation: {type: outpost, id: op-1}
    routes: [{to: 0.0.0.0/0, via: igw-1}, {to: 10.50.0.0/16, via: lgw-1}]
  - {id: subnet-00000010, vpc: vpc-0000000a, cidr: 10.0.6.0/24, zone: az1}
  - id: subnet-00000011
    vpc: vpc-0000000b
    cidr: 10.20.0.0/24
    zone: az1
    routes: [{to: 10.40.0.0/16, via: tgw-0000000a}]
instances: [{id: i-0000000a}]
interfaces:
  - {id: eni-0000000a, subnet: subnet-0000000a, ipv4: [10.0.0.10]}
  - {id: eni-0000000b, subnet: subnet-0000000b, ipv4: [10.0.1.10]}
  - {id: eni-0000000c, subnet: subnet-0000000c, type: nat_gateway, resource: nat-0000000a, ipv4: [10.0.2.10],
     until: 100}
  - {id: eni-0000000d, subnet: subnet-0000000c, ipv4: [10.0.2.11]}
  - {id: eni-0000000e, subnet: subnet-0000000a, instance: i-0000000a, ipv4: [10.0.0.20], until: 50}
  - {id: eni-0000000f, subnet: subnet-0000000c, instance: i-0000000a, ipv4: [10.0.2.20]}
  - {id: eni-00000010, subnet: subnet-0000000a, type: transit_gateway, resource: tgw-0000000a, ipv4: [10.0.0.30]}
  - {id: eni-00000011, subnet: subnet-0000000b, type: transit_gateway, resource: tgw-0000000a, ipv4: [10.0.1.30]}
  - {id: eni-00000012, subnet: subnet-00000011, type: transit_gateway, resource: tgw-0000000a, ipv4: [10.20.0.30]}
  - {id: eni-00000013, subnet: subnet-0000000c, type: vpc_endpoint, resource: vpce-0000000a, ipv4: [10.0.2.30]}
  - {id: eni-00000014, subnet: subnet-0000000d, ipv4: [10.0.3.10]}
  - {id: eni-00000015, subnet: subnet-0000000e, ipv4: [10.0.4.10]}
  - {id: eni-00000016, subnet: subnet-0000000f, ipv4: [10.0.5.10]}
  - {id: eni-00000017, subnet: subnet-00000010, ipv4: [10.0.6.10]}
  - {id: eni-00000018, subnet: subnet-00000011, ipv4: [10.20.0.10]}
regional_nat_gateways:
  - {id: nat-1234567890abcdef, vpc: vpc-0000000a, ipv4: [198.51.100.7]}
"""
RANGES = {
    "prefixes": [
        {"ip_prefix": "52.218.0.0/17", "service": "S3", "region": "eu-west-1"},
        {"ip_prefix": "52.92.0.0/16", "service": "S3", "region": "us-east-1"},
    ],
    "ipv6_prefixes": [{"ipv6_prefix": "2a05:d018::/36", "service": "S3", "region": "eu-west-1"}],
}
NOBODY = ""
REGIONAL = "nat-1234567890abcdef"

CASES: list[tuple[str, str, int, str]] = [
    # local
    ("eni-0000000a", "10.0.1.10", 1, "eni-0000000b"),
    ("eni-0000000a", "10.0.1.99", 1, NOBODY),
    ("eni-0000000a", "10.0.0.10", 1, NOBODY),  # itself
    ("eni-0000000a", "2001:db8:a::99", 1, NOBODY),
    ("eni-0000000a", "10.44.1.1", 1, NOBODY),  # local by a route
    ("eni-00000017", "10.0.0.10", 1, "eni-0000000a"),  # without a route table
    # gateways
    ("eni-0000000a", "8.8.8.8", 1, "eni-0000000c"),
    ("eni-0000000c", "8.8.8.8", 8, NOBODY),
    ("eni-0000000a", "2606::1", 8, NOBODY),
    ("eni-0000000c", "2606::1", 0, NOBODY),  # no IPv6 route
    ("eni-00000017", "8.8.8.8", 0, NOBODY),
    ("eni-0000000a", "10.41.0.1", 3, NOBODY),
    ("eni-0000000a", "10.42.0.1", 1, NOBODY),
    ("eni-0000000a", "10.46.0.1", 1, NOBODY),  # a regional NAT gateway has no interface
    # peers
    ("eni-0000000a", "10.20.0.10", 4, "eni-00000018"),
    ("eni-0000000a", "10.21.0.10", 4, NOBODY),
    ("eni-0000000a", "10.30.0.1", 5, NOBODY),  # by the peer VPC's region
    ("eni-0000000a", "10.31.0.1", 5, NOBODY),
    ("eni-0000000a", "10.32.0.1", 4, NOBODY),  # of which nothing is known
    # transit gateways: of the VPC, of the zone where there is one
    ("eni-0000000a", "10.40.0.1", 1, "eni-00000010"),
    ("eni-0000000b", "10.40.0.1", 1, "eni-00000011"),
    ("eni-00000014", "10.40.0.1", 1, "eni-00000010"),
    ("eni-00000018", "10.40.0.1", 1, "eni-00000012"),
    ("eni-00000010", "10.40.0.1", 1, NOBODY),  # itself
    # interfaces, instances, endpoints
    ("eni-0000000a", "10.43.0.1", 1, "eni-0000000d"),
    ("eni-0000000a", "10.44.0.1", 1, "eni-0000000e"),
    ("eni-0000000a", "10.0.9.1", 1, "eni-0000000d"),  # longer than the VPC's own CIDR
    ("eni-0000000a", "10.45.0.1", 1, "eni-00000013"),
    ("eni-0000000a", "52.218.1.1", 7, NOBODY),
    ("eni-0000000a", "2a05:d018::1", 7, NOBODY),
    ("eni-0000000a", "52.92.1.1", 1, "eni-0000000c"),  # another region's
    # zones apart
    ("eni-00000014", "8.8.8.8", 6, NOBODY),
    ("eni-00000015", "8.8.8.8", 6, NOBODY),
    ("eni-00000016", "8.8.8.8", 8, NOBODY),
    ("eni-00000016", "10.50.0.1", 1, NOBODY),
    ("eni-00000014", "10.0.0.10", 1, "eni-0000000a"),
    # a regional NAT gateway
    (REGIONAL, "10.0.0.10", 1, "eni-0000000a"),
    (REGIONAL, "8.8.8.8", 8, NOBODY),
    (REGIONAL, "2606::1", 0, NOBODY),
    # never routed
    ("eni-0000000c", "224.0.0.251", 0, NOBODY),
    ("eni-0000000c", "255.255.255.255", 0, NOBODY),
    ("eni-0000000c", "169.254.1.1", 0, NOBODY),
    ("eni-0000000a", "ff02::1", 0, NOBODY),
    ("eni-0000000a", "fe80::1", 0, NOBODY),
]


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    folder: Path = tmp_path_factory.mktemp("inventory")
    (folder / "ip-ranges.json").write_text(json.dumps(RANGES), encoding="utf-8")
    return inventory(folder, INVENTORY)


def _hop(snapshot: Snapshot, name: str, address: str, second: int) -> str | None:
    hi, lo = halves(address)
    at_ns = np.array([second * 1_000_000_000], np.int64)
    row = np.array([row_of(snapshot, name)], np.int32)
    found = int(snapshot.next_hop(row, np.array([hi], np.uint64), np.array([lo], np.uint64), at_ns)[0])
    return snapshot.interfaces.id[found].as_py() if found >= 0 else NOBODY


@pytest.mark.parametrize(("name", "address", "path", "hop"), CASES, ids=[f"{c[0]} to {c[1]}" for c in CASES])
def test_path_and_next_hop(snapshot: Snapshot, name: str, address: str, path: int, hop: str) -> None:
    hi, lo = halves(address)
    row = np.array([row_of(snapshot, name)], np.int32)
    found = snapshot.traffic_path(row, np.array([hi], np.uint64), np.array([lo], np.uint64))
    assert found.tolist() == [path]
    assert _hop(snapshot, name, address, 1) == hop


def test_all_at_once_is_the_same_as_one_by_one(snapshot: Snapshot) -> None:
    rows = np.array([row_of(snapshot, name) for name, *_ in CASES], np.int32)
    parts = [halves(address) for _, address, *_ in CASES]
    hi, lo = (np.array([part[half] for part in parts], np.uint64) for half in (0, 1))
    assert snapshot.traffic_path(rows, hi, lo).tolist() == [path for _, _, path, _ in CASES]
    hops = snapshot.next_hop(rows, hi, lo, np.ones(len(rows), np.int64)).tolist()
    assert hops == [row_of(snapshot, hop) if hop else -1 for *_, hop in CASES]


def test_the_next_hop_is_the_one_of_its_time(snapshot: Snapshot) -> None:
    assert _hop(snapshot, "eni-0000000a", "8.8.8.8", 99) == "eni-0000000c"
    assert _hop(snapshot, "eni-0000000a", "8.8.8.8", 100) == NOBODY
    assert _hop(snapshot, "eni-0000000a", "10.44.0.1", 49) == "eni-0000000e"
    assert _hop(snapshot, "eni-0000000a", "10.44.0.1", 50) == "eni-0000000f"
    assert _hop(snapshot, "eni-0000000a", "10.0.2.10", 100) == NOBODY


def test_no_interface_has_no_way(snapshot: Snapshot) -> None:
    nobody = np.full(1, -1, np.int32)
    address = np.zeros(1, np.uint64)
    assert snapshot.traffic_path(nobody, address, address).tolist() == [0]
    assert snapshot.next_hop(nobody, address, address, np.zeros(1, np.int64)).tolist() == [-1]
