"""Look-ups against plain Python and `ipaddress`: owners, MAC addresses, devices, services, routes."""

from __future__ import annotations

import ipaddress
import json
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.enrich import SECOND, halves, inventory

from flowglass.fields.contracts import I64, U64
from flowglass.inventory import Snapshot

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
FOREVER = 1000
VPC_CIDRS = ["10.0.0.0/24", "2001:db8::/64"]
POOL = [f"10.0.0.{n}" for n in range(16)] + [f"2001:db8::{n:x}" for n in range(16)]
ASKED = [*POOL, "10.0.0.16", "9.255.255.255", "0.0.0.1", "::", "::1", "2001:db8::10", "ffff::"]
TIMES = (0, 9, 10, 19, 20, 29, 30, FOREVER)
CASES = settings(deadline=None, max_examples=40)


@dataclass(frozen=True)
class Nic:
    """An interface of a test: VPC 0, 1 or 2, what it holds, from when until when."""

    vpc: int
    networks: tuple[Network, ...]
    mac: int
    device: str
    from_s: int
    until_s: int

    def overlaps(self, other: Nic) -> bool:
        return self.from_s < other.until_s and other.from_s < self.until_s

    def clashes(self, other: Nic) -> bool:
        """Whether both hold something at the same time that only one may."""
        same = self.vpc == other.vpc and set(self.networks) & set(other.networks)
        links = (self.mac and self.mac == other.mac) or (self.device and self.device == other.device)
        return self.overlaps(other) and bool(same or links)

    def valid(self, second: int) -> bool:
        return self.from_s <= second < self.until_s


@st.composite
def _networks(draw: st.DrawFn) -> Network:
    address = ipaddress.ip_address(draw(st.sampled_from(POOL)))
    spared = draw(st.sampled_from([0, 0, 0, 1, 2, 4]))
    return ipaddress.ip_network((address, address.max_prefixlen - spared), strict=False)


@st.composite
def _nics(draw: st.DrawFn) -> list[Nic]:
    """Interfaces that an inventory may have together."""
    kept: list[Nic] = []
    for _ in range(draw(st.integers(0, 12))):
        from_s, until_s = draw(st.sampled_from([(0, 10), (10, 20), (5, 25), (20, FOREVER + 1), (0, FOREVER + 1)]))
        nic = Nic(
            draw(st.integers(0, 2)),
            tuple(draw(st.lists(_networks(), max_size=4, unique=True))),
            draw(st.sampled_from([0, 0x020000000001, 0x020000000002])),
            draw(st.sampled_from(["", "tap0", "tap1"])),
            from_s,
            until_s,
        )
        if not any(nic.clashes(other) for other in kept):
            kept.append(nic)
    return kept


def _document(**lists: Any) -> dict[str, Any]:
    return {"account": "123456789012", "region": "eu-west-1", **lists}


def _row(number: int, nic: Nic) -> dict[str, Any]:
    row: dict[str, Any] = {"id": f"eni-{number:08x}", "subnet": f"subnet-0000000{nic.vpc}"}
    for key, wanted in (("ipv4", 4), ("ipv6", 6)):
        row[key] = [
            str(network.network_address)
            for network in nic.networks
            if network.num_addresses == 1 and network.version == wanted
        ]
    row["prefixes"] = [str(network) for network in nic.networks if network.num_addresses > 1]
    if nic.mac:
        row["mac"] = nic.mac.to_bytes(6, "big").hex(":")
    if nic.device:
        row["device"] = nic.device
    row["from"], row["until"] = nic.from_s, nic.until_s
    return row


def _load(document: dict[str, Any], prefixes: Iterable[dict[str, str]] = ()) -> Snapshot:
    with tempfile.TemporaryDirectory() as folder:
        listed: dict[str, list[dict[str, str]]] = {"prefixes": [], "ipv6_prefixes": []}
        for prefix in prefixes:
            listed["prefixes" if "ip_prefix" in prefix else "ipv6_prefixes"].append(prefix)
        (Path(folder) / "ip-ranges.json").write_text(json.dumps(listed), encoding="utf-8")
        return inventory(Path(folder), yaml.safe_dump(document))


def _network_of(nics: list[Nic]) -> Snapshot:
    return _load(
        _document(
            vpcs=[{"id": f"vpc-0000000{vpc}", "cidrs": VPC_CIDRS} for vpc in range(3)],
            subnets=[
                {
                    "id": f"subnet-0000000{vpc}",
                    "vpc": f"vpc-0000000{vpc}",
                    "cidr": VPC_CIDRS[0],
                    "ipv6_cidr": VPC_CIDRS[1],
                    "zone": "az1",
                }
                for vpc in range(3)
            ],
            interfaces=[_row(number, nic) for number, nic in enumerate(nics)],
        )
    )


def _arrays(addresses: Iterable[str]) -> tuple[U64, U64]:
    parts = [halves(address) for address in addresses]
    return np.array([hi for hi, _ in parts], np.uint64), np.array([lo for _, lo in parts], np.uint64)


def _times(seconds: Iterable[int]) -> I64:
    return np.array([second * SECOND for second in seconds], np.int64)


def _owner(nics: list[Nic], address: str, second: int, vpc: int) -> int:
    """The row that owns an address: the longest prefix in the VPC; over all VPCs only if one alone has it."""
    asked = ipaddress.ip_address(address)
    best: dict[int, tuple[int, int]] = {}
    for row, nic in enumerate(nics):
        for network in nic.networks:
            if nic.valid(second) and vpc in (-1, nic.vpc) and asked in network:
                best[nic.vpc] = max(best.get(nic.vpc, (-1, -1)), (network.prefixlen, row))
    if len(best) > 1:
        return -2
    return next(iter(best.values()))[1] if best else -1


class TestOwners:
    """Where owners follow each other, the owner at the flow's first packet counts."""

    @CASES
    @given(_nics())
    def test_an_address_is_the_longest_prefixes(self, nics: list[Nic]) -> None:
        snapshot = _network_of(nics)
        asked = [(address, second, vpc) for address in ASKED for second in TIMES for vpc in (-1, 0, 1, 2)]
        hi, lo = _arrays(address for address, _, _ in asked)
        at_ns = _times(second for _, second, _ in asked)
        vpcs = np.array([vpc for _, _, vpc in asked], np.int32)
        expected = [_owner(nics, *question) for question in asked]
        assert snapshot.by_address(hi, lo, at_ns, vpcs).tolist() == expected
        everywhere = vpcs == -1
        found = snapshot.by_address(hi[everywhere], lo[everywhere], at_ns[everywhere])
        assert found.tolist() == [owner for owner, (_, _, vpc) in zip(expected, asked, strict=True) if vpc == -1]

    @CASES
    @given(_nics())
    def test_a_mac_address_and_a_device_are_their_owners(self, nics: list[Nic]) -> None:
        snapshot = _network_of(nics)
        for mac in (0, 0x020000000001, 0x020000000002, 0x020000000003):
            found = snapshot.by_mac(np.full(len(TIMES), mac, np.uint64), _times(TIMES))
            assert found.tolist() == [
                next((row for row, nic in enumerate(nics) if mac and nic.mac == mac and nic.valid(second)), -1)
                for second in TIMES
            ]
        for device in ("tap0", "tap1", "tap2"):
            assert snapshot.by_device(device, _times(TIMES)).tolist() == [
                next((row for row, nic in enumerate(nics) if nic.device == device and nic.valid(second)), -1)
                for second in TIMES
            ]


@st.composite
def _any_network(draw: st.DrawFn) -> Network:
    """Prefixes of every length around a few addresses, so that they nest and touch."""
    address = ipaddress.ip_address(draw(st.sampled_from(["10.0.0.10", "10.0.1.0", "2001:db8::10", "2600::"])))
    length = draw(st.one_of(st.integers(0, address.max_prefixlen), st.just(0), st.just(24)))
    return ipaddress.ip_network((address, length), strict=False)


def _edges(networks: Iterable[Network]) -> list[str]:
    """Addresses at and beside the ends of networks, and a few others."""
    asked = {"10.0.0.10", "10.0.1.0", "0.0.0.1", "8.8.8.8", "::", "::1", "2001:db8::10", "2600::1", "ff02::1"}
    asked |= {"224.0.0.5", "169.254.9.9", "fe80::1", "255.255.255.255"}
    for network in networks:
        for number in (int(network[0]) - 1, int(network[0]), int(network[-1]), int(network[-1]) + 1):
            if 0 <= number < 2**network.max_prefixlen:
                asked.add(str(type(network[0])(number)))
    return sorted(asked)


def _is_mapped(address: str) -> bool:
    parsed = ipaddress.ip_address(address)
    return isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None


class TestServices:
    """The longest prefix; on ties EC2 comes next to last, AMAZON last, else alphabetical."""

    @CASES
    @given(st.lists(st.tuples(_any_network(), st.sampled_from(["AMAZON", "EC2", "S3", "DYNAMODB"])), max_size=12))
    def test_service(self, published: list[tuple[Network, str]]) -> None:
        prefixes = [
            {"ip_prefix" if network.version == 4 else "ipv6_prefix": str(network), "service": name, "region": "r"}
            for network, name in published
        ]
        snapshot = _load(_document(service_prefixes="ip-ranges.json"), prefixes)
        asked = [address for address in _edges(network for network, _ in published) if not _is_mapped(address)]
        names = snapshot.service_names.to_pylist()
        found = [names[row] if row >= 0 else None for row in snapshot.service(*_arrays(asked)).tolist()]
        for address, service in zip(asked, found, strict=True):
            fits = [
                (-network.prefixlen, name == "AMAZON", name == "EC2", name)
                for network, name in published
                if ipaddress.ip_address(address) in network
            ]
            assert service == (min(fits)[3] if fits else None), address


PATHS = {"igw-1": 8, "eigw-1": 8, "nat-1": 1, "tgw-1": 1, "lgw-1": 1, "vgw-1": 3, "pcx-1": 4, "cagw-1": 6, "vpce-1": 7}
NEVER = [
    ipaddress.ip_network(text)
    for text in ("224.0.0.0/4", "255.255.255.255/32", "169.254.0.0/16", "ff00::/8", "fe80::/10")
]
LOCAL = [ipaddress.ip_network("10.0.0.0/20"), ipaddress.ip_network("2001:db8::/64")]


class TestRoutes:
    """The route with the longest prefix decides; the VPC's own CIDRs are local."""

    @CASES
    @given(st.dictionaries(_any_network(), st.sampled_from(sorted(PATHS)), max_size=12))
    def test_traffic_path(self, routes: dict[Network, str]) -> None:
        snapshot = _load(
            _document(
                vpcs=[{"id": "vpc-0000000a", "cidrs": [str(network) for network in LOCAL]}],
                subnets=[
                    {
                        "id": "subnet-0000000a",
                        "vpc": "vpc-0000000a",
                        "cidr": "10.0.0.0/24",
                        "zone": "az1",
                        "routes": [{"to": str(network), "via": via} for network, via in routes.items()],
                    }
                ],
                interfaces=[{"id": "eni-0000000a", "subnet": "subnet-0000000a"}],
            )
        )
        asked = [address for address in _edges([*routes, *LOCAL]) if not _is_mapped(address)]
        found = snapshot.traffic_path(np.zeros(len(asked), np.int32), *_arrays(asked)).tolist()
        # What stands first wins between equal prefixes: a route of the table, then local, then never.
        known = [(network, PATHS[via]) for network, via in routes.items()]
        known += [(network, 1) for network in LOCAL] + [(network, 0) for network in NEVER]
        for address, path in zip(asked, found, strict=True):
            fits = [entry for entry in known if ipaddress.ip_address(address) in entry[0]]
            assert path == (max(fits, key=lambda entry: entry[0].prefixlen)[1] if fits else 0), address
