"""Observe on cases that people ask about: two devices, bridges, guests, and owners in turn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.support.enrich import batch, flows, inventory, row_of

from flowglass.enrich import Observations, ObserveCounts, Observer, observe
from flowglass.fields.contracts import Point
from flowglass.inventory import Snapshot, of_points

A_MAC, B_MAC, C_MAC = 0x02000000000A, 0x02000000000B, 0x02000000000C
INVENTORY = """
account: "123456789012"
region: eu-west-1
vpcs: [{id: vpc-0000000a, cidrs: [10.0.0.0/16]}]
subnets:
  - {id: subnet-0000000a, vpc: vpc-0000000a, cidr: 10.0.0.0/24, zone: euw1-az1}
  - {id: subnet-0000000b, vpc: vpc-0000000a, cidr: 10.0.1.0/24, zone: euw1-az1, aws_reserved: true}
interfaces:
  - id: eni-0000000a
    subnet: subnet-0000000a
    ipv4: [10.0.0.10]
    mac: "02:00:00:00:00:0a"
    device: veth-a
    role: guest
  - {id: eni-0000000b, subnet: subnet-0000000a, ipv4: [10.0.0.20], mac: "02:00:00:00:00:0b"}
  - {id: eni-0000000c, subnet: subnet-0000000b, ipv4: [10.0.1.30], mac: "02:00:00:00:00:0c"}
"""
OUT = {"src": "10.0.0.10", "dst": "10.0.0.20", "direction": 1, "link": 1}
"""From a to b, as the host sees it come in at a's device."""


@pytest.fixture
def snapshot(tmp_path: Path) -> Snapshot:
    return inventory(tmp_path, INVENTORY)


def _seen(snapshot: Snapshot, seen: Observations) -> list[tuple[int, int]]:
    return list(zip(seen.interface.tolist(), seen.direction.tolist(), strict=True))


def test_without_an_inventory_every_flow_is_one_observation_of_its_point() -> None:
    points = [Point("eth0", 1), Point("eth1", 1)]
    made = flows([{"direction": 0}, {"direction": 1}, {"direction": 2}])
    seen = observe(batch(made, point=1), of_points(points, "000000000000", "local-1"), points)
    assert seen.flows is made
    assert seen.interface.tolist() == [1, 1, 1]
    assert seen.direction.tolist() == [0, 1, 2]
    assert seen.counts == ObserveCounts(flows=3, observed=3, observations=3)


def test_a_guest_sends_what_its_host_receives(snapshot: Snapshot) -> None:
    seen = observe(batch(flows([OUT]), links=[(A_MAC, B_MAC)]), snapshot, [Point("veth-a", 1)])
    assert _seen(snapshot, seen) == [(row_of(snapshot, "eni-0000000a"), 2)]


def test_two_interfaces_on_a_bridge_give_two_observations(snapshot: Snapshot) -> None:
    seen = observe(batch(flows([OUT]), links=[(A_MAC, B_MAC)]), snapshot, [Point("br0", 1)])
    a, b = row_of(snapshot, "eni-0000000a"), row_of(snapshot, "eni-0000000b")
    assert _seen(snapshot, seen) == [(a, 2), (b, 1)]
    assert seen.counts == ObserveCounts(flows=1, observed=1, observations=2, second_observations=1)


def test_an_interface_with_a_point_of_its_own_is_not_seen_on_the_bridge_too(snapshot: Snapshot) -> None:
    observer = Observer(snapshot, [Point("br0", 1), Point("veth-a", 1)])
    bridge = observer.observe(batch(flows([OUT]), point=0, links=[(A_MAC, B_MAC)]))
    own = observer.observe(batch(flows([OUT]), point=1, links=[(A_MAC, B_MAC)]))
    assert _seen(snapshot, bridge) == [(row_of(snapshot, "eni-0000000b"), 1)]
    assert _seen(snapshot, own) == [(row_of(snapshot, "eni-0000000a"), 2)]
    assert bridge.counts == ObserveCounts(flows=1, observed=1, observations=1, second_looks=1)


def test_a_flow_that_only_a_second_look_sees_is_counted_as_that(snapshot: Snapshot) -> None:
    observer = Observer(snapshot, [Point("br0", 1), Point("veth-a", 1)])
    outside = {"src": "10.0.0.10", "dst": "192.0.2.1"}
    seen = observer.observe(batch(flows([outside]), point=0))
    assert len(seen.flows) == 0
    assert seen.counts == ObserveCounts(flows=1, second_look_flows=1, second_looks=1)


def test_a_point_with_the_mac_address_of_an_interface_is_its_own(snapshot: Snapshot) -> None:
    seen = observe(batch(flows([OUT]), links=[(A_MAC, B_MAC)]), snapshot, [Point("eth7", 1, B_MAC)])
    assert _seen(snapshot, seen) == [(row_of(snapshot, "eni-0000000b"), 1)]


def test_what_no_interface_has_a_part_in_is_unowned(snapshot: Snapshot) -> None:
    seen = observe(batch(flows([{"src": "192.0.2.1", "dst": "192.0.2.2"}])), snapshot, [Point("br0", 1)])
    assert len(seen.flows) == 0
    assert seen.counts == ObserveCounts(flows=1, unowned=1)


def test_dhcp_and_metadata_are_left_out_by_cause(snapshot: Snapshot) -> None:
    rows: list[dict[str, Any]] = [
        {"src": "10.0.0.10", "dst": "10.0.0.20", "protocol": 17, "sport": 68, "dport": 67},
        {"src": "10.0.0.10", "dst": "169.254.169.254"},
        {"src": "10.0.0.10", "dst": "10.0.0.20", "protocol": 17, "sport": 67, "dport": 53},
    ]
    seen = observe(batch(flows(rows)), snapshot, [Point("veth-a", 1)])
    assert seen.flows["dport"].tolist() == [53]
    expected = ObserveCounts(flows=3, observed=1, observations=1, excluded=(1, 1), excluded_observations=2)
    assert seen.counts == expected


def test_a_flow_that_one_side_leaves_out_is_observed_by_the_other(snapshot: Snapshot) -> None:
    to_router = {"src": "10.0.0.20", "dst": "10.0.1.1", "link": 1}  # reserved in c's subnet, not in b's
    seen = observe(batch(flows([to_router]), links=[(B_MAC, C_MAC)]), snapshot, [Point("br0", 1)])
    assert _seen(snapshot, seen) == [(row_of(snapshot, "eni-0000000b"), 2)]
    assert seen.counts == ObserveCounts(flows=1, observed=1, observations=1, excluded_observations=1)


def test_an_inventory_without_interfaces_owns_nothing(tmp_path: Path) -> None:
    nothing = 'account: "123456789012"\nregion: eu-west-1\nvpcs: []\nsubnets: []\ninterfaces: []\n'
    seen = observe(batch(flows([OUT]), links=[(A_MAC, B_MAC)]), inventory(tmp_path, nothing), [Point("br0", 1)])
    assert seen.counts == ObserveCounts(flows=1, unowned=1)


def test_counts_add_up() -> None:
    one = ObserveCounts(flows=3, observed=1, observations=1, excluded=(1, 1), excluded_observations=2)
    two = ObserveCounts(flows=1, observed=1, observations=2, second_observations=1, merged=1)
    total = one + two
    assert (total.flows, total.observed, total.excluded, total.excluded_flows) == (4, 2, (1, 1), 2)
    assert (total.observations, total.merged, total.records) == (3, 1, 2)
