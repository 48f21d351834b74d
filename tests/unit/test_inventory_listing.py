"""What an inventory file lists for a server."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from tests.support.inventoried import ACCOUNT, INVENTORY, OTHER

from flowglass.fields.errors import InventoryError
from flowglass.inventory import Resource, changes, digest, example, listing

_NS = 1_000_000_000


def _listed(folder: Path, text: str = INVENTORY, at_s: int = 1000) -> dict[str, Resource]:
    path = folder / "network.yaml"
    path.write_text(text, encoding="utf-8")
    found = listing(path, at_ns=at_s * _NS)
    by_id = {resource.id: resource for resource in found}
    assert len(by_id) == len(found)
    return by_id


def test_every_part_of_the_file_is_listed_once_with_its_kind(tmp_path: Path) -> None:
    kinds: dict[str, list[str]] = {}
    for resource in _listed(tmp_path).values():
        kinds.setdefault(resource.kind, []).append(resource.id.split("-", 1)[1])
    assert kinds == {
        "vpc": ["0000000a", "0000000b", "0000000c"],
        "subnet": ["0000000a", "0000000b", "0000000c", "0000000d"],
        "network-interface": ["0000000b", "0000000a", "0000000c", "0000000d", "0000000e"],
        "instance": ["0000000a", "0000000b"],
        "route-table": ["0000000a", "0000000b"],
        "security-group": ["0000000a", "0000000b"],
        "regional-nat-gateway": ["0000000b"],
    }


def test_documents_are_json_and_say_what_the_file_says(tmp_path: Path) -> None:
    listed = _listed(tmp_path)
    for resource in listed.values():
        assert json.loads(json.dumps(resource.document)) == resource.document
    assert listed["eni-0000000b"].document == {
        "subnet": "subnet-0000000a",
        "zone": "euw1-az1",
        "type": "interface",
        "instance": "i-0000000a",
        "ipv4": ["10.0.0.10", "10.0.0.11"],
        "ipv6": ["2001:db8:a::10"],
        "prefixes": ["10.0.0.32/28", "2001:db8:a::1:0/112"],
        "mac": "02:00:00:00:00:0a",
        "device": "eth0",
        "groups": ["sg-0000000a", "sg-0000000b"],
        "requester_managed": False,
        "efa": False,
        "tags": {"Name": "front"},
    }
    assert listed["subnet-0000000b"].document == {
        "cidr": "10.0.1.0/24",
        "zone": "eu-west-1-wl1-lon-wlz-1",
        "sublocation": {"type": "wavelength", "id": "euw1-wl1-lon-wlz1"},
    }
    assert listed["nat-0000000b"].document == {"ipv4": ["198.51.100.7"], "mac": "02:00:00:00:00:0e"}


def test_accounts_and_regions_come_from_the_vpc_and_an_interface_may_have_another_owner(tmp_path: Path) -> None:
    where = {name: (item.account, item.region, item.vpc) for name, item in _listed(tmp_path).items()}
    assert where["vpc-0000000b"] == (OTHER, "eu-west-1", "vpc-0000000b")
    assert where["subnet-0000000c"] == (OTHER, "eu-west-1", "vpc-0000000b")
    assert where["subnet-0000000d"] == (ACCOUNT, "us-east-1", "vpc-0000000c")
    assert where["eni-0000000e"] == (OTHER, "eu-west-1", "vpc-0000000a")
    assert where["i-0000000a"] == (ACCOUNT, "eu-west-1", "vpc-0000000a")
    assert where["i-0000000b"] == (ACCOUNT, "eu-west-1", None)
    assert where["rtb-0000000b"] == (ACCOUNT, "eu-west-1", None)


def test_given_account_and_region_stand_in_for_the_files(tmp_path: Path) -> None:
    path = tmp_path / "network.yaml"
    path.write_text(INVENTORY, encoding="utf-8")
    listed = {item.id: item for item in listing(path, at_ns=0, account="000000000001", region="local-1")}
    assert (listed["vpc-0000000a"].account, listed["vpc-0000000a"].region) == ("000000000001", "local-1")
    assert (listed["vpc-0000000b"].account, listed["vpc-0000000c"].region) == (OTHER, "us-east-1")


@pytest.mark.parametrize(("at_s", "address"), [(99, "10.0.0.13"), (150, "10.0.0.14"), (200, "10.0.0.14")])
def test_of_owners_in_turn_the_valid_one_is_listed_else_the_latest(tmp_path: Path, at_s: int, address: str) -> None:
    assert _listed(tmp_path, at_s=at_s)["eni-0000000e"].document["ipv4"] == [address]


def test_the_instance_of_a_requester_managed_interface_does_not_show(tmp_path: Path) -> None:
    text = INVENTORY.replace("type: nat_gateway,", "type: nat_gateway, instance: i-0000000b,")
    listed = _listed(tmp_path, text)
    assert "instance" not in listed["eni-0000000c"].document
    assert listed["i-0000000b"].vpc is None
    assert listed["i-0000000a"].document["first_interface"] == "eni-0000000b"


def test_a_route_table_begins_with_the_local_routes_of_its_vpc(tmp_path: Path) -> None:
    routes = _listed(tmp_path)["rtb-0000000a"].document["routes"]
    assert routes[:3] == [
        {"to": "10.0.0.0/16", "via": "local"},
        {"to": "10.1.0.0/16", "via": "local"},
        {"to": "2001:db8:a::/48", "via": "local"},
    ]
    assert {"to": "10.20.0.0/16", "via": "pcx-3", "region": "us-east-1"} in routes


def test_what_nobody_owns_is_left_out(tmp_path: Path) -> None:
    text = """
vpcs: [{id: vpc-0000000a, cidrs: [10.0.0.0/16], account: "123456789012", region: eu-west-1}]
instances: [{id: i-0000000a}]
"""
    assert list(_listed(tmp_path, text)) == ["vpc-0000000a"]


def test_the_example_that_init_writes_can_be_listed(tmp_path: Path) -> None:
    assert "sg-0123456789abcdef0" in _listed(tmp_path, example())


def test_a_wrong_file_is_refused_as_load_does(tmp_path: Path) -> None:
    with pytest.raises(
        InventoryError, match=r"network\.yaml:1: account is missing.*\(2 more faults\); run flowglass inventory check"
    ):
        _listed(tmp_path, "vpcs: x")


def test_the_digest_is_of_the_content_whatever_the_order(tmp_path: Path) -> None:
    listed = list(_listed(tmp_path).values())
    assert digest(listed) == digest(listed[::-1])
    assert len(digest(listed)) == 64
    other = dataclasses.replace(listed[3], document={**listed[3].document, "zone": "euw1-az3"})
    assert digest([*listed[:3], other, *listed[4:]]) != digest(listed)
    assert digest(listed[1:]) != digest(listed)


def test_changes_make_the_old_list_to_the_new_one(tmp_path: Path) -> None:
    old = _listed(tmp_path)
    text = INVENTORY.replace("10.0.1.9", "10.0.1.10").replace(
        "  - {id: rtb-0000000b, routes: [{to: 10.0.0.0/8, via: local}]}\n", ""
    )
    new = _listed(tmp_path, text.replace("instances:\n", "instances:\n  - {id: i-0000000c}\n"))
    put, remove = changes(old.values(), new.values())
    assert sorted(item.id for item in put) == ["eni-0000000a", "i-0000000c"]
    assert remove == [("route-table", "rtb-0000000b")]
    kept = {name: item for name, item in old.items() if (item.kind, item.id) not in remove}
    assert digest((kept | {item.id: item for item in put}).values()) == digest(new.values())
    assert changes(new.values(), new.values()) == ([], [])
