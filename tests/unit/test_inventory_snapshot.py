"""The snapshot of an inventory file: columns, defaults, owners in turn, what is reserved."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.support.enrich import halves, inventory, row_of

from flowglass.fields.contracts import I32, I64, U64, Point
from flowglass.inventory import Role, Snapshot, load, of_points

INVENTORY = """
account: "123456789012"
region: eu-west-1
service_prefixes: ip-ranges.json
vpcs:
  - {id: vpc-0000000a, cidrs: [10.0.0.0/16, 10.1.0.0/16, "2001:db8:a::/48"]}
  - {id: vpc-0000000b, cidrs: [10.0.0.0/16], account: "210987654321", region: us-east-1}
subnets:
  - {id: subnet-0000000a, vpc: vpc-0000000a, cidr: 10.0.0.0/24, ipv6_cidr: "2001:db8:a::/64", zone: euw1-az1,
     aws_reserved: true}
  - id: subnet-0000000b
    vpc: vpc-0000000a
    cidr: 10.0.1.0/24
    zone: euw1-wl1-az1
    sublocation: {type: wavelength, id: euw1-wl1}
  - {id: subnet-0000000c, vpc: vpc-0000000b, cidr: 10.0.0.0/24, zone: use1-az1}
instances:
  - {id: i-0000000a, tags: {Name: web, Port: 80, Old: yes}, auto_scaling_group: web}
auto_scaling_groups: [{name: web, tags: {stage: test}}]
interfaces:
  - id: eni-0000000a
    subnet: subnet-0000000a
    instance: i-0000000a
    ipv4: [10.0.0.10, 10.0.0.11]
    ipv6: ["2001:db8:a::10"]
    prefixes: [10.0.0.32/28, 10.0.0.32/30]
    mac: 02-00-00-00-00-0A
    device: eth0
    groups: [sg-0000000a]
    tags: {Name: front}
    ecs: {task_id: t, cluster_arn: "arn:c"}
    from: 1970-01-01T00:00:10Z
    until: 20
  - {id: eni-0000000b, subnet: subnet-0000000a, ipv4: [10.0.0.10], mac: "02:00:00:00:00:0a", device: eth0, from: 30}
  - {id: eni-0000000c, subnet: subnet-0000000b, instance: i-0000000a, type: nat_gateway, resource: nat-0000000a,
     ipv4: [10.0.1.10]}
  - {id: eni-0000000d, subnet: subnet-0000000c, ipv4: [10.0.0.11], role: guest, efa: true}
  - {id: eni-0000000e, subnet: subnet-0000000a, ipv4: [10.0.0.34], account: "210987654321", role: mirror,
     addresses: aws, requester_managed: true, instance: i-0000000a}
  - {id: eni-0000000f, subnet: subnet-0000000a, role: guest, addresses: packet}
regional_nat_gateways:
  - {id: nat-1234567890abcdef, vpc: vpc-0000000a, ipv4: [198.51.100.7], mac: "02:00:00:00:00:0e", device: rnat}
"""

SECOND = 1_000_000_000
A, B, C, D, E, F, REGIONAL = range(7)
RANGES = {
    "prefixes": [
        {"ip_prefix": "52.0.0.0/8", "service": "AMAZON", "region": "GLOBAL"},
        {"ip_prefix": "52.1.0.0/16", "service": "EC2", "region": "eu-west-1"},
        {"ip_prefix": "52.1.0.0/16", "service": "AMAZON", "region": "eu-west-1"},
        {"ip_prefix": "52.1.2.0/24", "service": "AMAZON", "region": "eu-west-1"},
        {"ip_prefix": "52.1.2.0/24", "service": "S3", "region": "eu-west-1"},
        {"ip_prefix": "52.1.2.0/24", "service": "DYNAMODB", "region": "eu-west-1"},
        {"ip_prefix": "52.1.2.0/24", "service": "EC2", "region": "eu-west-1"},
    ],
    "ipv6_prefixes": [{"ipv6_prefix": "2600:1f00::/24", "service": "S3", "region": "eu-west-1"}],
}


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    folder: Path = tmp_path_factory.mktemp("inventory")
    (folder / "ip-ranges.json").write_text(json.dumps(RANGES), encoding="utf-8")
    return inventory(folder, INVENTORY)


def _arrays(*addresses: str) -> tuple[U64, U64]:
    parts = [halves(address) for address in addresses]
    return np.array([hi for hi, _ in parts], np.uint64), np.array([lo for _, lo in parts], np.uint64)


def _times(*seconds: int) -> I64:
    return np.array([second * SECOND for second in seconds], np.int64)


def _owner(snapshot: Snapshot, address: str, second: int, vpc: int | None = None) -> int:
    row = None if vpc is None else np.array([vpc], np.int32)
    return int(snapshot.by_address(*_arrays(address), _times(second), row)[0])


TEXTS: dict[str, Sequence[str | None]] = {
    "id": [*(f"eni-0000000{letter}" for letter in "abcdef"), None],
    "account": ["123456789012"] * 3 + ["210987654321"] * 2 + ["123456789012"] * 2,
    "region": ["eu-west-1"] * 3 + ["us-east-1"] + ["eu-west-1"] * 3,
    "vpc": ["vpc-0000000a"] * 3 + ["vpc-0000000b"] + ["vpc-0000000a"] * 3,
    "subnet": [f"subnet-0000000{letter}" for letter in "aabcaa"] + [None],
    "instance": ["i-0000000a"] + [None] * 6,
    "az": ["euw1-az1", "euw1-az1", None, "use1-az1", "euw1-az1", "euw1-az1", None],
    "sublocation_type": [None, None, "wavelength", None, None, None, None],
    "sublocation_id": [None, None, "euw1-wl1", None, None, None, None],
    "type": [None, None, "nat_gateway", None, None, None, "regional_nat_gateway"],
    "resource_id": [None] * 6 + ["nat-1234567890abcdef"],
    "name": ["eth0", "eth0", *(f"eni-0000000{letter}" for letter in "cdef"), "rnat"],
}
NUMBERS: dict[str, list[Any]] = {
    "vpc_row": [0, 0, 0, 1, 0, 0, 0],
    "subnet_row": [0, 0, 1, 2, 0, 0, -1],
    "primary_ipv4": [
        *(halves(text)[1] for text in ("10.0.0.10", "10.0.0.10", "10.0.1.10", "10.0.0.11", "10.0.0.34")),
        0,
        0,
    ],
    "mac": [0x02000000000A, 0x02000000000A, 0, 0, 0, 0, 0x02000000000E],
    "role": [Role.HOST, Role.HOST, Role.GATEWAY, Role.GUEST, Role.MIRROR, Role.GUEST, Role.GATEWAY],
    "substitute": [False, False, True, True, True, False, False],
    "efa": [False, False, False, True, False, False, False],
    "account_row": [0, 0, 0, 1, 1, 0, 0],
    "broadcast": [
        *(halves(text)[1] for text in ("10.0.0.255", "10.0.0.255", "10.0.1.255")),
        *[halves("10.0.0.255")[1]] * 3,
        0,
    ],
    "from_ns": [10 * SECOND, 30 * SECOND, 0, 0, 0, 0, 0],
    "until_ns": [20 * SECOND] + [2**63 - 1] * 6,
}


@pytest.mark.parametrize("name", TEXTS)
def test_texts(snapshot: Snapshot, name: str) -> None:
    column = getattr(snapshot.interfaces, name)
    column.validate(full=True)
    assert column.to_pylist() == TEXTS[name]


@pytest.mark.parametrize("name", NUMBERS)
def test_numbers(snapshot: Snapshot, name: str) -> None:
    assert getattr(snapshot.interfaces, name).tolist() == NUMBERS[name]


def test_ecs(snapshot: Snapshot) -> None:
    ecs = snapshot.interfaces.ecs
    assert len(ecs) == 10
    assert ecs["ecs-task-id"].to_pylist() == ["t"] + [None] * 6
    assert ecs["ecs-cluster-arn"].to_pylist() == ["arn:c"] + [None] * 6
    assert ecs["ecs-service-name"].to_pylist() == [None] * 7


def test_tags_are_text_as_written(snapshot: Snapshot) -> None:
    interfaces = snapshot.interfaces
    assert interfaces.tag("instance", "Port").to_pylist() == ["80"] + [None] * 6
    assert interfaces.tag("instance", "Old").to_pylist() == ["yes"] + [None] * 6
    assert interfaces.tag("network-interface", "Name").to_pylist() == ["front"] + [None] * 6
    assert interfaces.tag("auto-scaling-group", "stage").to_pylist() == ["test"] + [None] * 6
    assert interfaces.tag("instance", "nobody has it").to_pylist() == [None] * 7


def test_a_device_and_a_mac_have_owners_in_turn(snapshot: Snapshot) -> None:
    times = _times(0, 10, 19, 20, 29, 30, 10_000)
    owners = [-1, A, A, -1, -1, B, B]
    assert snapshot.by_device("eth0", times).tolist() == owners
    assert snapshot.by_mac(np.full(7, 0x02000000000A, np.uint64), times).tolist() == owners
    assert snapshot.by_device("eth1", times).tolist() == [-1] * 7
    assert snapshot.by_device("rnat", times).tolist() == [REGIONAL] * 7
    unknown = np.array([0, 0x02000000000F], np.uint64)
    assert snapshot.by_mac(unknown, _times(0, 0)).tolist() == [-1, -1]


@pytest.mark.parametrize(
    ("address", "second", "vpc", "owner"),
    [
        ("10.0.0.10", 15, None, A),
        ("10.0.0.10", 25, None, -1),
        ("10.0.0.10", 35, None, B),
        ("10.0.0.11", 15, None, -2),  # in both VPCs
        ("10.0.0.11", 15, -1, -2),
        ("10.0.0.11", 15, 0, A),
        ("10.0.0.11", 15, 1, D),
        ("10.0.0.11", 25, None, D),  # A is gone
        ("10.0.0.11", 25, 0, -1),
        ("2001:db8:a::10", 15, None, A),
        ("10.0.0.33", 15, None, A),
        ("10.0.0.34", 15, None, E),  # longer than A's prefixes
        ("10.0.0.47", 15, None, A),
        ("10.0.0.47", 25, None, -1),
        ("10.0.0.48", 15, None, -1),
        ("198.51.100.7", 0, None, REGIONAL),
        ("0.0.0.1", 0, None, -1),
        ("255.255.255.255", 0, 0, -1),
        ("::", 0, None, -1),
        ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 0, 0, -1),
    ],
)
def test_an_address_has_one_owner_at_a_time(
    snapshot: Snapshot, address: str, second: int, vpc: int | None, owner: int
) -> None:
    assert _owner(snapshot, address, second, vpc) == owner


def test_no_addresses_at_all(snapshot: Snapshot) -> None:
    hi, lo = _arrays()
    rows: I32 = np.empty(0, np.int32)
    assert len(snapshot.by_address(hi, lo, _times(), rows)) == 0
    assert len(snapshot.traffic_path(rows, hi, lo)) == 0
    assert len(snapshot.next_hop(rows, hi, lo, _times())) == 0
    assert len(snapshot.service(hi, lo)) == 0
    assert len(snapshot.reserved(rows, hi, lo)) == 0


def test_services_by_longest_prefix_then_by_precedence(snapshot: Snapshot) -> None:
    found = snapshot.service(*_arrays("52.9.9.9", "52.1.9.9", "52.1.2.3", "10.0.0.1", "2600:1f12::1", "2601::"))
    names = snapshot.service_names.to_pylist()
    assert [names[row] if row >= 0 else None for row in found.tolist()] == [
        "AMAZON",
        "EC2",
        "DYNAMODB",
        None,
        "S3",
        None,
    ]


RESERVED_EVERYWHERE = ("169.254.169.254", "169.254.169.123")
RESERVED_WHERE_MARKED = ("169.254.169.253", "10.0.0.1", "10.0.0.2", "10.1.0.2")
NEVER_RESERVED = ("10.0.1.1", "10.0.0.3", "169.254.169.252", "fe80::1", "::")


def test_what_is_reserved(snapshot: Snapshot) -> None:
    addresses = (*RESERVED_EVERYWHERE, *RESERVED_WHERE_MARKED, *NEVER_RESERVED)
    for row in range(7):
        reserved = snapshot.reserved(np.full(len(addresses), row, np.int32), *_arrays(*addresses))
        marked = row in (A, B, E, F)
        assert reserved.tolist() == [True] * 2 + [marked] * 4 + [False] * 5


def test_nothing_is_reserved_where_exclusions_are_off(tmp_path: Path) -> None:
    snapshot = inventory(tmp_path, 'account: "123456789012"\nregion: r\nexclusions: none\n')
    assert not snapshot.exclusions
    nobody: I32 = np.full(2, -1, np.int32)
    assert snapshot.reserved(nobody, *_arrays(*RESERVED_EVERYWHERE)).tolist() == [False, False]


def test_account_and_region_of_the_caller_go_before_the_files(tmp_path: Path) -> None:
    text = INVENTORY.replace("service_prefixes: ip-ranges.json\n", "")
    inventory(tmp_path, text)
    snapshot = load(tmp_path / "inventory.yaml", account="111111111111", region="local-1")
    interfaces = snapshot.interfaces
    assert interfaces.account.to_pylist() == ["111111111111"] * 3 + ["210987654321"] * 2 + ["111111111111"] * 2
    assert interfaces.region.to_pylist() == ["local-1"] * 3 + ["us-east-1"] + ["local-1"] * 3
    assert interfaces.account_row.tolist() == [0, 0, 0, 1, 1, 0, 0]


def test_a_file_without_account_needs_one_from_the_caller(tmp_path: Path) -> None:
    path = tmp_path / "inventory.yaml"
    path.write_text("vpcs: [{id: vpc-0000000a, cidrs: [10.0.0.0/16]}]\n", encoding="utf-8")
    tables = load(path, account="111111111111", region="local-1").tables
    assert tables["vpcs"].to_pylist() == [
        {"id": "vpc-0000000a", "cidrs": "10.0.0.0/16", "account": "111111111111", "region": "local-1"}
    ]


def test_tables_for_people(snapshot: Snapshot) -> None:
    assert {name: len(table) for name, table in snapshot.tables.items()} == {
        "vpcs": 2,
        "subnets": 3,
        "routes": 0,
        "instances": 1,
    }
    assert snapshot.tables["instances"].to_pylist() == [
        {"id": "i-0000000a", "auto_scaling_group": "web", "tags": "Name=web Port=80 Old=yes"}
    ]


def test_ids_of_both_lengths_and_the_published_one_between(snapshot: Snapshot) -> None:
    assert row_of(snapshot, "nat-1234567890abcdef") == REGIONAL


def test_without_an_inventory_each_point_is_an_interface() -> None:
    names = ["eth0", "en0", "eth0", "\u00fc"]
    snapshot = of_points([Point(name, 1) for name in names], "000000000000", "local-1")
    interfaces = snapshot.interfaces
    digests = [hashlib.sha256(name.encode()).hexdigest() for name in names]
    assert interfaces.id.to_pylist() == [f"eni-{digest[:17]}" for digest in digests]
    assert interfaces.name.to_pylist() == names
    assert interfaces.account.to_pylist() == ["000000000000"] * 4
    assert interfaces.region.to_pylist() == ["local-1"] * 4
    assert interfaces.vpc.null_count == interfaces.subnet.null_count == interfaces.az.null_count == 4
    assert not snapshot.is_file
    assert not snapshot.exclusions
    assert snapshot.by_device("en0", _times(0, 5)).tolist() == [1, 1]
    assert snapshot.by_device("eth0", _times(0)).tolist() == [0]
    hi, lo = _arrays("10.0.0.1", "169.254.169.254")
    rows = np.array([0, 3], np.int32)
    assert snapshot.by_address(hi, lo, _times(0, 0)).tolist() == [-1, -1]
    assert snapshot.by_mac(np.array([1, 2], np.uint64), _times(0, 0)).tolist() == [-1, -1]
    assert snapshot.traffic_path(rows, hi, lo).tolist() == [0, 0]
    assert snapshot.next_hop(rows, hi, lo, _times(0, 0)).tolist() == [-1, -1]
    assert snapshot.service(hi, lo).tolist() == [-1, -1]
    assert snapshot.reserved(rows, hi, lo).tolist() == [False, False]
    assert interfaces.tag("instance", "Name").to_pylist() == [None] * 4
