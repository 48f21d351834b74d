"""Observe against plain Python: which interface, which direction, what is left out; and its sums."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.enrich import SECOND, START_S, batch, flows, inventory
from tests.support.examples import examples

from flowglass.enrich import Excluded, ObserveCounts, Observer
from flowglass.fields.contracts import FLOW, Point
from flowglass.inventory import Snapshot

CHANGE_S = START_S + 30
"""When the device tap-e and the address 10.0.0.40 get another owner."""
FOREVER = 2**62


@dataclass(frozen=True)
class Nic:
    """An interface of the test's network; VPCs `a` and `b` use the same addresses."""

    id: str
    vpc: str
    addresses: tuple[str, ...]
    mac: int = 0
    device: str = ""
    role: str = "host"
    from_s: int = 0
    until_s: int = FOREVER

    def valid(self, at_ns: int) -> bool:
        return self.from_s * SECOND <= at_ns < self.until_s * SECOND


NICS = (
    Nic("eni-0000000a", "a", ("10.0.0.10", "10.0.0.11", "2001:db8:a::10"), 0x02000000000A, "veth-a", "guest"),
    Nic("eni-0000000b", "a", ("10.0.0.20",), 0x02000000000B),
    Nic("eni-0000000c", "a", ("10.0.0.30", "2001:db8:a::30")),
    Nic("eni-0000000d", "b", ("10.0.0.10",), 0x02000000000D),
    Nic("eni-0000000e", "a", ("10.0.0.40",), 0x02000000000E, "tap-e", until_s=CHANGE_S),
    Nic("eni-0000000f", "a", ("10.0.0.40",), 0x02000000000F, "tap-e", from_s=CHANGE_S + 5),
    Nic("eni-00000010", "a", ("10.0.0.50",), 0x020000000010),
)
POINTS = (
    Point("veth-a", 1),
    Point("tap-e", 1),
    Point("br0", 1),
    Point("uplink", 1, 0x020000000010),
    Point("veth-z", 1, 0x02000000000A),
)
RESERVED = {"169.254.169.254", "169.254.169.123"}
RESERVED_BY_SUBNET = {"10.0.0.1", "10.0.0.2", "169.254.169.253"}
"""Of VPC a's subnet only."""
IPV4 = ["10.0.0.10", "10.0.0.11", "10.0.0.20", "10.0.0.30", "10.0.0.40", "10.0.0.50", "10.0.0.2", "8.8.8.8"]
IPV6 = ["2001:db8:a::10", "2001:db8:a::30", "2001:db8:9::1"]
MACS = [0, 0x0200000000FF, *[nic.mac for nic in NICS if nic.mac]]


def _inventory(exclusions: str) -> str:
    subnet = {"cidr": "10.0.0.0/24", "zone": "euw1-az1"}
    document: dict[str, Any] = {
        "account": "123456789012",
        "region": "eu-west-1",
        "exclusions": exclusions,
        "vpcs": [
            {"id": "vpc-0000000a", "cidrs": ["10.0.0.0/16", "2001:db8:a::/48"]},
            {"id": "vpc-0000000b", "cidrs": ["10.0.0.0/16"]},
        ],
        "subnets": [
            {
                "id": "subnet-0000000a",
                "vpc": "vpc-0000000a",
                "ipv6_cidr": "2001:db8:a::/64",
                "aws_reserved": True,
                **subnet,
            },
            {"id": "subnet-0000000b", "vpc": "vpc-0000000b", **subnet},
        ],
        "interfaces": [],
    }
    for nic in NICS:
        row: dict[str, Any] = {"id": nic.id, "subnet": f"subnet-0000000{nic.vpc}", "role": nic.role}
        for key, mark in (("ipv4", "."), ("ipv6", ":")):
            listed = [address for address in nic.addresses if mark in address]
            row |= {key: listed} if listed else {}
        row |= {"mac": nic.mac.to_bytes(6, "big").hex(":")} if nic.mac else {}
        row |= {"device": nic.device} if nic.device else {}
        row |= {"from": nic.from_s} if nic.from_s else {}
        row |= {"until": nic.until_s} if nic.until_s != FOREVER else {}
        document["interfaces"].append(row)
    return yaml.safe_dump(document)


@pytest.fixture(scope="module")
def snapshots(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Snapshot]:
    return {name: inventory(tmp_path_factory.mktemp(name), _inventory(name)) for name in ("aws", "none")}


def _by_mac(mac: int, at_ns: int) -> Nic | None:
    return next((nic for nic in NICS if mac and nic.mac == mac and nic.valid(at_ns)), None)


def _by_device(name: str, at_ns: int) -> Nic | None:
    return next((nic for nic in NICS if nic.device == name and nic.valid(at_ns)), None)


def _by_address(address: str, at_ns: int) -> Nic | str | None:
    """The owner; `ambiguous` where both VPCs have one."""
    owners = [nic for nic in NICS if address in nic.addresses and nic.valid(at_ns)]
    if len(owners) > 1:
        return "ambiguous"
    return owners[0] if owners else None


HOMES = {"eni-0000000a": "device", "eni-0000000e": "device", "eni-0000000f": "device", "eni-00000010": "MAC"}
"""Interfaces that a point is bound to. veth-z has the MAC address of one whose device is veth-a."""


@dataclass(frozen=True)
class Outcome:
    """What the oracle finds of a flow: its observations, else the one reason why it has none."""

    seen: tuple[tuple[str, int], ...]
    reason: str


def _oracle(point: Point, row: dict[str, Any], link: tuple[int, int], *, exclusions: bool) -> Outcome:
    at_ns = row["first_ns"]
    by_device = _by_device(point.name, at_ns)
    bound = by_device or _by_mac(point.mac, at_ns)
    ambiguous = False
    if bound is not None:
        found = [(bound, _bound_direction(bound, row, link))]
        elsewhere = {"device"} if by_device is None else set()
    else:
        found, ambiguous = _sides(row, link)
        elsewhere = {"device", "MAC"}
    home = [(nic, direction) for nic, direction in found if HOMES.get(nic.id) not in elsewhere]
    causes = [_cause(nic, row) if exclusions else None for nic, _ in home]
    kept = tuple((nic.id, direction) for (nic, direction), cause in zip(home, causes, strict=True) if cause is None)
    excluded = sorted(cause for cause in causes if cause is not None)
    if kept:
        return Outcome(kept, "observed")
    if excluded:
        return Outcome((), excluded[0].text)
    if found:
        return Outcome((), "second look")
    return Outcome((), "ambiguous" if ambiguous else "unowned")


def _bound_direction(nic: Nic, row: dict[str, Any], link: tuple[int, int]) -> int:
    if row["direction"]:
        return 3 - int(row["direction"]) if nic.role == "guest" else int(row["direction"])
    if nic.mac and nic.mac in link:
        return 2 if link[0] == nic.mac else 1
    if row["src"] in nic.addresses:
        return 2
    return 1 if row["dst"] in nic.addresses else 0


def _sides(row: dict[str, Any], link: tuple[int, int]) -> tuple[list[tuple[Nic, int]], bool]:
    at_ns = row["first_ns"]
    macs = [_by_mac(mac, at_ns) for mac in link]
    found: list[tuple[Nic, int]] = []
    ambiguous = False
    for side, address, direction in ((0, row["src"], 2), (1, row["dst"], 1)):
        owner: Nic | str | None = macs[side]
        if owner is None:
            owner = _by_address(address, at_ns)
            if isinstance(owner, Nic) and macs[1 - side] is not None and owner.mac:
                owner = None
        if isinstance(owner, Nic):
            found.append((owner, direction))
        ambiguous |= owner == "ambiguous"
    return found, ambiguous


def _cause(nic: Nic, row: dict[str, Any]) -> Excluded | None:
    reserved = RESERVED | (RESERVED_BY_SUBNET if nic.vpc == "a" else set())
    if {row["src"], row["dst"]} & reserved:
        return Excluded.RESERVED_ADDRESS
    dhcp = {67, 68} if "." in row["src"] else {546, 547}
    if row["protocol"] == 17 and {row["sport"], row["dport"]} == dhcp:
        return Excluded.DHCP
    return None


def _pairs(addresses: list[str]) -> st.SearchStrategy[tuple[str, str]]:
    return st.tuples(st.sampled_from(addresses), st.sampled_from(addresses))


ROWS = st.builds(
    lambda pair, ports, rest: {"src": pair[0], "dst": pair[1], "sport": ports[0], "dport": ports[1], **rest},
    st.one_of(_pairs(IPV4), _pairs([*IPV4, *sorted(RESERVED), "10.0.0.1"]), _pairs(IPV6)),
    st.sampled_from([(1, 53), (67, 68), (68, 67), (546, 547), (547, 546), (67, 67)]),
    st.fixed_dictionaries(
        {
            "protocol": st.sampled_from([6, 17]),
            "direction": st.integers(0, 2),
            "link": st.integers(0, 4),
            "first_ns": st.integers(0, 59).map(lambda second: (START_S + second) * SECOND),
        }
    ),
)
LINKS = st.lists(st.tuples(st.sampled_from(MACS), st.sampled_from(MACS)), min_size=4, max_size=4)


class TestObserve:
    """A flow is seen by the point's own interface, else by those of its MACs, else of its addresses."""

    @given(
        st.sampled_from(["aws", "none"]),
        st.integers(0, len(POINTS) - 1),
        st.lists(ROWS, max_size=30),
        LINKS,
    )
    @settings(deadline=None, max_examples=examples(200))
    def test_equals_plain_python(
        self,
        snapshots: dict[str, Snapshot],
        exclusions: str,
        point: int,
        rows: list[dict[str, Any]],
        links: list[tuple[int, int]],
    ) -> None:
        snapshot = snapshots[exclusions]
        seen = Observer(snapshot, POINTS).observe(batch(flows(rows), point=point, links=links))
        ends = [(0, 0), *links]
        outcomes = [_oracle(POINTS[point], row, ends[row["link"]], exclusions=exclusions == "aws") for row in rows]
        ids = snapshot.interfaces.id.to_pylist()
        made = flows(rows)
        expected = [(made[n].tobytes(), *one) for n, outcome in enumerate(outcomes) for one in outcome.seen]
        got = [
            (flow.tobytes(), ids[interface], direction)
            for flow, interface, direction in zip(
                seen.flows, seen.interface.tolist(), seen.direction.tolist(), strict=True
            )
        ]
        assert got == expected
        reasons = Counter(outcome.reason for outcome in outcomes)
        counts = seen.counts
        assert counts.observed == reasons["observed"]
        assert counts.unowned == reasons["unowned"]
        assert counts.ambiguous == reasons["ambiguous"]
        assert counts.second_look_flows == reasons["second look"]
        assert counts.excluded == tuple(reasons[cause.text] for cause in Excluded)

    @given(
        st.lists(
            st.tuples(st.integers(0, len(POINTS) - 1), st.lists(ROWS, max_size=12), LINKS, st.booleans()),
            max_size=6,
        )
    )
    @settings(deadline=None, max_examples=examples(50))
    def test_sums_have_difference_zero(
        self,
        snapshots: dict[str, Snapshot],
        batches: list[tuple[int, list[dict[str, Any]], list[tuple[int, int]], bool]],
    ) -> None:
        observer = Observer(snapshots["aws"], POINTS)
        all_seen = [
            observer.observe(batch(flows(rows), point=point, links=links, mixed_links=mixed))
            for point, rows, links, mixed in batches
        ]
        total = reduce(add, (seen.counts for seen in all_seen), ObserveCounts())
        assert total.flows == sum(len(rows) for _, rows, _, _ in batches)
        without = total.unowned + total.ambiguous + total.second_look_flows + total.excluded_flows
        assert total.flows - total.observed - without == 0
        assert total.observations - total.observed - total.second_observations == 0
        assert total.records == total.observations - total.merged == sum(len(seen.flows) for seen in all_seen)

    @given(st.integers(0, len(POINTS) - 1), st.lists(ROWS, max_size=30), LINKS)
    @settings(deadline=None, max_examples=examples(50))
    def test_merging_after_observe_keeps_every_packet_and_leaves_no_two_equal(
        self,
        snapshots: dict[str, Snapshot],
        point: int,
        rows: list[dict[str, Any]],
        links: list[tuple[int, int]],
    ) -> None:
        observer = Observer(snapshots["none"], POINTS)
        plain = observer.observe(batch(flows(rows), point=point, links=links))
        merged = observer.observe(batch(flows(rows), point=point, links=links, mixed_links=True))
        assert merged.flows["packets"].sum() == plain.flows["packets"].sum()
        keys = ["src_hi", "src_lo", "dst_hi", "dst_lo", "sport", "dport", "protocol"]
        rest = np.stack([merged.interface, merged.direction], axis=1).tolist()
        found = [(*row.tolist(), *more) for row, more in zip(merged.flows[keys], rest, strict=True)]
        assert len(set(found)) == len(found)
        assert merged.flows.dtype == FLOW
