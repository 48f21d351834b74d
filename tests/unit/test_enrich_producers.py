"""Every field of a record, on ten observations that show its cases."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.support.enrich import START_S, flows, row_of
from tests.support.enrich_world import (
    ABSENT,
    EFA,
    EGRESS,
    HOST,
    INGRESS,
    KNOWN,
    NAT,
    REGIONAL,
    SEEN,
    WEB,
    ZONE,
    observations,
    snapshot_of_world,
    values,
)

from flowglass.enrich import PRODUCERS, Enricher, Observations, ObserveCounts
from flowglass.fields import FIELDS, Column, Field
from flowglass.inventory import Snapshot

WEB_ROWS = (0, 1, 8)


def _where(rows: tuple[int, ...], value: str | int) -> list[str | int | None]:
    return [value if row in rows else None for row in range(len(SEEN))]


def _each(**values: list[Any]) -> dict[str, list[Any]]:
    return {name.replace("_", "-"): listed for name, listed in values.items()}


_ECS = "arn:aws:ecs:eu-west-1:123456789012:"
EXPECTED: dict[str, list[Any]] = {
    "version": [11] * 10,
    "account-id": ["123456789012"] * 10,
    "interface-id": [WEB, WEB, NAT, NAT, NAT, EFA, ZONE, None, WEB, NAT],
    "srcaddr": [
        "10.0.0.10",
        "10.0.0.30",
        "10.0.0.10",
        "10.0.1.20",  # the gateway's own address on its side
        "10.0.1.20",
        "10.9.0.1",
        "10.0.2.5",
        "192.0.2.1",
        "2001:db8:a::10",
        "10.0.0.10",
    ],
    "dstaddr": [
        HOST,
        "10.0.0.11",
        "10.0.1.20",  # the gateway's own address on its side
        "10.0.0.10",
        HOST,
        "10.0.0.12",
        "198.51.100.1",
        "198.51.100.7",
        "2001:db8::",
        "10.0.1.255",  # a broadcast is never substituted
    ],
    "srcport": [40000, 53, 0, 443, 0, 0, 0, 0, 0, 0],
    "dstport": [443, 65535, 443, 0, 0, 0, 0, 0, 0, 0],
    "protocol": [6, 17, 6, 6, 6, 6, 1, 6, 58, 17],
    "packets": [2**40, *[1] * 9],
    "bytes": [2**41, *[40] * 9],
    "start": [START_S] * 10,
    "end": [START_S + 59, *[START_S] * 9],
    "action": ["ACCEPT", "REJECT", *[None] * 8],
    "log-status": ["OK"] * 10,
    "vpc-id": ["vpc-0000000a"] * 10,
    "subnet-id": [
        *["subnet-0000000a"] * 2,
        *["subnet-0000000b"] * 3,
        "subnet-0000000a",
        "subnet-0000000c",
        None,
        "subnet-0000000a",
        "subnet-0000000b",
    ],
    "instance-id": _where(WEB_ROWS, "i-0000000a"),
    "tcp-flags": [3, 0, 2, 18, 0, 0, 0, 0, 0, 0],
    "type": ["IPv4"] * 5 + ["EFA", "IPv4", "IPv4", "IPv6", "IPv4"],
    "pkt-srcaddr": [row["src"] for _, _, row in SEEN],
    "pkt-dstaddr": [row["dst"] for _, _, row in SEEN],
    "region": ["eu-west-1"] * 10,
    "az-id": ["euw1-az1"] * 2 + ["euw1-az2"] * 3 + ["euw1-az1", None, None, "euw1-az1", "euw1-az2"],
    "sublocation-type": _where((6,), "localzone"),
    "sublocation-id": _where((6,), "euw1-lon1"),
    "pkt-src-aws-service": _where((3,), "S3"),
    "pkt-dst-aws-service": _where((0, 2, 4), "S3"),
    "flow-direction": [(None, "ingress", "egress")[direction] for _, direction, _ in SEEN],
    "traffic-path": [1, None, None, 1, 8, None, 6, None, None, None],
    "ecs-cluster-arn": _where(WEB_ROWS, f"{_ECS}cluster/c"),
    "ecs-cluster-name": _where(WEB_ROWS, "c"),
    "ecs-container-instance-arn": _where(WEB_ROWS, f"{_ECS}container-instance/c/n"),
    "ecs-container-instance-id": _where(WEB_ROWS, "n"),
    "ecs-container-id": _where(WEB_ROWS, "one"),
    "ecs-second-container-id": _where(WEB_ROWS, "two"),
    "ecs-service-name": _where(WEB_ROWS, "shop"),
    "ecs-task-definition-arn": _where(WEB_ROWS, f"{_ECS}task-definition/t:1"),
    "ecs-task-arn": _where(WEB_ROWS, f"{_ECS}task/c/t"),
    "ecs-task-id": _where(WEB_ROWS, "t"),
    "resource-id": _where((7,), REGIONAL),
    "instance-tag": _where(WEB_ROWS, "web%2D1"),
    "instance-tag-2": _where(WEB_ROWS, "a%26b%20%C3%BC"),
    "interface-tag": _where(WEB_ROWS, "front%20end"),
    "interface-tag-2": [None] * 10,
    "asg-tag": _where(WEB_ROWS, "prod%5F1%2E%7E"),
    "asg-tag-2": [None] * 10,
    "interface-type": [
        None,
        None,
        *["nat_gateway"] * 3,
        None,
        None,
        "regional_nat_gateway",
        None,
        "nat_gateway",
    ],
    "next-hop-interface-id": [NAT, None, WEB, WEB, None, None, None, None, None, WEB],
    "next-hop-subnet-id": [
        "subnet-0000000b",
        None,
        "subnet-0000000a",
        "subnet-0000000a",
        None,
        None,
        None,
        None,
        None,
        "subnet-0000000a",
    ],
    "next-hop-az-id": ["euw1-az2", *["euw1-az1"] * 3, None, None, None, None, None, "euw1-az1"],
    "next-hop-vpc-id": _where((0, 2, 3, 9), "vpc-0000000a"),
    "next-hop-interface-type": _where((0,), "nat_gateway"),
    "x-verdict-source": ["capture", "capture", *[None] * 8],
    "x-tcp-flags": [0xDB, None, 2, 18, 0, 0, None, 0, None, None],
    "x-icmp": [None] * 6 + ["8/0", None, "135/0", None],
}


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    return snapshot_of_world(tmp_path_factory.mktemp("inventory"))


@pytest.fixture(scope="module")
def seen(snapshot: Snapshot) -> Observations:
    return observations(snapshot)


def test_every_field_that_can_be_known_has_one_producer_and_no_other_has() -> None:
    assert sorted(PRODUCERS) == sorted(field.name for field in KNOWN)


def test_every_field_that_can_be_known_has_an_expectation_here() -> None:
    assert sorted(EXPECTED) == sorted(PRODUCERS)


@pytest.mark.parametrize("field", KNOWN, ids=lambda field: str(field.name))
def test_a_field_has_the_value_of_its_case(snapshot: Snapshot, seen: Observations, field: Field) -> None:
    assert values(snapshot, seen, field) == EXPECTED[field.name]


@pytest.mark.parametrize("field", KNOWN, ids=lambda field: str(field.name))
def test_a_closed_vocabulary_is_kept(snapshot: Snapshot, seen: Observations, field: Field) -> None:
    found = {str(value) for value in values(snapshot, seen, field) if value is not None}
    assert not field.values or found <= set(field.values)


@pytest.mark.parametrize("field", ABSENT, ids=lambda field: str(field.name))
def test_a_field_that_cannot_be_known_is_null(snapshot: Snapshot, seen: Observations, field: Field) -> None:
    assert values(snapshot, seen, field) == [None] * len(SEEN)


def test_a_tag_field_without_a_key_is_null(snapshot: Snapshot, seen: Observations) -> None:
    enricher = Enricher((Column(FIELDS["instance-tag"]),), snapshot, version=11, assume_accept=False)
    assert enricher.records(seen, 0, 10).column(0).null_count == 10


def test_an_empty_tag_value_is_null(snapshot: Snapshot, seen: Observations) -> None:
    enricher = Enricher((Column(FIELDS["instance-tag"], "none"),), snapshot, version=11, assume_accept=False)
    assert enricher.records(seen, 0, 10).column(0).null_count == 10


def test_assumed_accept_is_written_down(snapshot: Snapshot, seen: Observations) -> None:
    actions = values(snapshot, seen, FIELDS["action"], assume=True)
    sources = values(snapshot, seen, FIELDS["x-verdict-source"], assume=True)
    assert actions == ["ACCEPT", "REJECT", *["ACCEPT"] * 8]
    assert sources == ["capture", "capture", *["assumed"] * 8]


def test_multicast_and_limited_broadcast_are_never_substituted(snapshot: Snapshot) -> None:
    destinations = ["224.0.0.1", "239.255.255.255", "255.255.255.255", "223.255.255.255", "240.0.0.1"]
    rows = flows({"src": "10.0.0.10", "dst": dst} for dst in destinations)
    interface = np.full(5, row_of(snapshot, NAT), np.int32)
    seen = Observations(START_S, 60, 0, rows, interface, np.full(5, INGRESS, np.uint8), ObserveCounts())
    shown = values(snapshot, seen, FIELDS["dstaddr"])
    assert shown == [*destinations[:3], "10.0.1.20", "10.0.1.20"]


def test_an_ipv6_address_has_a_next_hop_too_and_is_never_substituted(snapshot: Snapshot) -> None:
    rows = flows([{"src": "2001:db8:a::10", "dst": "2001:db8:a:1::20"}] * 2)
    interface = np.array([row_of(snapshot, NAT), row_of(snapshot, WEB)], np.int32)
    seen = Observations(START_S, 60, 0, rows, interface, np.array([INGRESS, EGRESS], np.uint8), ObserveCounts())
    assert values(snapshot, seen, FIELDS["next-hop-interface-id"]) == [WEB, NAT]
    assert values(snapshot, seen, FIELDS["srcaddr"]) == ["2001:db8:a::10"] * 2
    assert values(snapshot, seen, FIELDS["dstaddr"]) == ["2001:db8:a:1::20"] * 2
