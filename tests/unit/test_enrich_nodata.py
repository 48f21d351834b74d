"""Windows without traffic: who is expected, from when, how long a silence may be, and in which order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.support.enrich import START_S, inventory, row_of

from flowglass.enrich import Presence
from flowglass.fields.contracts import I32, Point
from flowglass.inventory import Snapshot, of_points

INVENTORY = f"""
account: "123456789012"
region: eu-west-1
vpcs: [{{id: vpc-0000000a, cidrs: [10.0.0.0/16]}}]
subnets: [{{id: subnet-0000000a, vpc: vpc-0000000a, cidr: 10.0.0.0/24, zone: euw1-az1}}]
interfaces:
  - {{id: eni-0000000a, subnet: subnet-0000000a, ipv4: [10.0.0.10], device: eth0}}
  - {{id: eni-0000000b, subnet: subnet-0000000a, ipv4: [10.0.0.20]}}
  - {{id: eni-0000000c, subnet: subnet-0000000a, ipv4: [10.0.0.30], device: eth1,
      from: {START_S + 90}, until: {START_S + 270}}}
"""
POINTS = [Point("eth0", 1), Point("eth1", 1)]


@pytest.fixture
def snapshot(tmp_path: Path) -> Snapshot:
    return inventory(tmp_path, INVENTORY)


def _rows(*rows: int) -> I32:
    return np.array(rows, np.int32)


def _listed(found: list[tuple[int, I32]]) -> list[tuple[int, list[int]]]:
    return [((window - START_S) // 60, rows.tolist()) for window, rows in found]


def _plain() -> Presence:
    points = [Point("eth0", 1), Point("eth1", 1)]
    return Presence(of_points(points, "000000000000", "local-1"), points, 60)


def test_windows_are_those_between_the_first_and_the_last_with_traffic() -> None:
    presence = _plain()
    presence.saw(START_S, _rows(0))
    presence.saw(START_S + 180, _rows(0, 1, 1))
    assert _listed(list(presence.finish())) == [(0, [1]), (1, [0, 1]), (2, [0, 1])]


def test_a_silence_of_more_than_an_hour_gets_none() -> None:
    presence = _plain()
    presence.saw(START_S, _rows(0, 1))
    presence.saw(START_S + 60 + 3600, _rows(0, 1))
    presence.saw(START_S + 60 + 3600 + 60 + 3660, _rows(0))
    found = _listed(list(presence.finish()))
    assert found == [*[(window, [0, 1]) for window in range(1, 61)], (123, [1])]


def test_packets_of_no_interface_end_a_silence() -> None:
    presence = _plain()
    presence.saw(START_S, _rows(0, 1))
    presence.saw(START_S + 1860, _rows())
    presence.saw(START_S + 3720, _rows(0, 1))
    assert [window for window, _ in _listed(list(presence.finish()))] == list(range(1, 62))


def test_bound_and_earlier_seen_interfaces_are_expected_within_their_validity(snapshot: Snapshot) -> None:
    presence = Presence(snapshot, POINTS, 60)
    a, b, c = (row_of(snapshot, f"eni-0000000{letter}") for letter in "abc")
    presence.saw(START_S, _rows(a))
    presence.saw(START_S + 60, _rows(b))
    presence.saw(START_S + 300, _rows(a))
    # c begins amid window 1 and ends amid window 4; b was first seen in window 1.
    assert _listed(list(presence.finish())) == [
        (1, [a]),
        (2, [a, b, c]),
        (3, [a, b, c]),
        (4, [a, b]),
        (5, [b]),
    ]


def test_only_windows_that_every_point_is_past_are_decided() -> None:
    presence = _plain()
    presence.saw(START_S, _rows(0))
    assert list(presence.settle(START_S)) == []
    presence.saw(START_S + 60, _rows(1))
    assert presence.decided_before_s == 0
    assert _listed(list(presence.settle(START_S + 60))) == [(0, [1])]
    assert presence.decided_before_s == START_S + 60
    assert _listed(list(presence.settle(START_S + 120))) == [(1, [0])]
    assert list(presence.finish()) == []


def test_a_late_window_only_adds_to_who_is_expected(snapshot: Snapshot) -> None:
    presence = Presence(snapshot, POINTS[:1], 60)
    a, b = row_of(snapshot, "eni-0000000a"), row_of(snapshot, "eni-0000000b")
    presence.saw(START_S, _rows(a))
    assert list(presence.settle(START_S + 60)) == []
    presence.saw(START_S, _rows(b))
    presence.saw(START_S + 60, _rows(a))
    assert _listed(list(presence.finish())) == [(1, [b])]


def test_the_order_in_which_points_are_read_does_not_matter() -> None:
    windows = [(START_S + 60 * window, _rows(window % 2)) for window in (0, 1, 2, 5, 9)]
    forwards, backwards = _plain(), _plain()
    for window, rows in windows:
        forwards.saw(window, rows)
    for window, rows in reversed(windows):
        backwards.saw(window, rows)
    assert _listed(list(forwards.finish())) == _listed(list(backwards.finish()))


def test_a_run_without_traffic_has_no_windows() -> None:
    assert list(_plain().finish()) == []
