"""Every kind of fault of an inventory file: its line, what is wrong, what to do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from flowglass.fields.errors import InventoryError
from flowglass.inventory import Fault, check, example, load

HEAD = """\
account: "123456789012"
region: eu-west-1
vpcs: [{id: vpc-0000000a, cidrs: [10.0.0.0/16, "2001:db8:a::/48"]}]
subnets:
  - {id: subnet-0000000a, vpc: vpc-0000000a, cidr: 10.0.0.0/24, ipv6_cidr: "2001:db8:a::/64", zone: euw1-az1}
"""
"""Five lines; a case begins on line 6."""
ENI = "{id: eni-0000000a, subnet: subnet-0000000a"
OTHER = "{id: eni-0000000b, subnet: subnet-0000000a"
APART = "interfaces:\n  - id: eni-0000000a\n    subnet: subnet-0000000a\n"
LONG = "x" * 257


def _routes(*rest: str) -> str:
    return "route_tables:\n  - id: rtb-0000000a\n    routes:\n" + "".join(f"      - {line}\n" for line in rest)


def _interfaces(*rest: str) -> str:
    return "interfaces:\n" + "".join(f"  - {line}\n" for line in rest)


CASES: dict[str, tuple[str, int, str, str]] = {
    "unknown key of the file": ("subnet: []\n", 6, "unknown key 'subnet'", "did you mean subnets?"),
    "unknown key far from any": ("zzzz: 1\n", 6, "unknown key 'zzzz'", "remove it"),
    "unknown key of an item": (_interfaces(ENI + ", devize: a}"), 7, "unknown key 'devize'", "did you mean device?"),
    "unknown key of ecs": (
        _interfaces(ENI + ", ecs: {task_arm: a}}"),
        7,
        "unknown key 'task_arm'",
        "did you mean task_arn?",
    ),
    "unknown key of a route": (
        "route_tables:\n  - id: rtb-0000000a\n    routes:\n      - {to: 0.0.0.0/0, vía: local, via: local}\n",
        9,
        "unknown key 'vía'",
        "did you mean via?",
    ),
    "id of wrong form": (_interfaces("{id: eni-xyz, subnet: subnet-0000000a}"), 7, "'eni-xyz' is no eni- id", "17"),
    "id too short": ("instances: [{id: i-1234567}]\n", 6, "is no i- id", "8 or 17"),
    "duplicate id": (
        "instances:\n  - {id: i-0000000a}\n  - {id: i-0000000a}\n",
        8,
        "i-0000000a is there twice",
        "the other is on line 7",
    ),
    "duplicate name": (
        "auto_scaling_groups:\n  - {name: a}\n  - {name: a}\n",
        8,
        "a is there twice",
        "on line 7",
    ),
    "duplicate interface": (
        _interfaces(ENI + "}", ENI + "}"),
        8,
        "eni-0000000a is there twice at the same time",
        "on line 7",
    ),
    "unknown subnet": (
        _interfaces("{id: eni-0000000a, subnet: subnet-0000000b}"),
        7,
        "subnet-0000000b is not in subnets",
        "did you mean subnet-0000000a?",
    ),
    "unknown instance": (_interfaces(ENI + ", instance: i-0000000a}"), 7, "not in instances", "add it to instances"),
    "unknown group": (
        "instances: [{id: i-0000000a, auto_scaling_group: wep}]\nauto_scaling_groups: [{name: web}]\n",
        6,
        "wep is not in auto_scaling_groups",
        "did you mean web?",
    ),
    "unknown VPC": (
        "regional_nat_gateways:\n  - id: nat-0000000a\n    vpc: vpc-0000000b\n",
        8,
        "vpc-0000000b is not in vpcs",
        "did you mean vpc-0000000a?",
    ),
    "unknown peer": (
        "route_tables:\n  - id: rtb-0000000a\n    routes: [{to: 10.9.0.0/16, via: pcx-1, vpc: vpc-0000000c}]\n",
        8,
        "vpc-0000000c is not in vpcs",
        "did you mean",
    ),
    "route to an unknown interface": (
        "route_tables: [{id: rtb-0000000a, routes: [{to: 10.9.0.0/16, via: eni-0000000a}]}]\n",
        6,
        "eni-0000000a is not in interfaces",
        "add it",
    ),
    "route to an unknown instance": (
        "route_tables: [{id: rtb-0000000a, routes: [{to: 10.9.0.0/16, via: i-0000000a}]}]\n",
        6,
        "i-0000000a is not in instances",
        "add it",
    ),
    "route via nonsense": (
        "route_tables: [{id: rtb-0000000a, routes: [{to: 10.9.0.0/16, via: gateway}]}]\n",
        6,
        "'gateway' is no target",
        "igw-",
    ),
    "route without destination": (
        "route_tables: [{id: rtb-0000000a, routes: [{via: igw-1}]}]\n",
        6,
        "a route without destination",
        "add to: or service:",
    ),
    "route with two destinations": (
        "route_tables: [{id: rtb-0000000a, routes: [{to: 0.0.0.0/0, service: S3, via: igw-1}]}]\n",
        6,
        "both to and service",
        "keep one",
    ),
    "second route to a CIDR": (
        _routes("{to: 0.0.0.0/0, via: igw-1}", "{to: [10.9.0.0/16, 0.0.0.0/0], via: nat-1}"),
        10,
        "a second route to 0.0.0.0/0",
        "on line 9",
    ),
    "service without prefixes": (
        "route_tables: [{id: rtb-0000000a, routes: [{service: S3, via: vpce-1}]}]\n",
        6,
        "needs the published prefixes",
        "service_prefixes",
    ),
    "region of no peering": (
        "route_tables: [{id: rtb-0000000a, routes: [{to: 0.0.0.0/0, via: igw-1, region: eu-west-2}]}]\n",
        6,
        "only for a route via pcx-",
        "remove it",
    ),
    "no CIDR": ("vpcs:\n", 6, "twice", "line 3"),
    "address is no address": (_interfaces(ENI + ", ipv4: [10.0.0.256]}"), 7, "is no IPv4 address", "10.0.0.10"),
    "IPv6 address under ipv4": (_interfaces(ENI + ', ipv4: ["::1"]}'), 7, "is no IPv4 address", "write it as"),
    "no IPv6 address": (_interfaces(ENI + ', ipv6: ["2001::db8::1"]}'), 7, "is no IPv6 address", "2001:db8::10"),
    "mapped address": (_interfaces(ENI + ', ipv6: ["::ffff:10.0.0.1"]}'), 7, "is no address of an", "under ipv4"),
    "prefix is no CIDR": (_interfaces(ENI + ", prefixes: [10.0.0.0/33]}"), 7, "is no CIDR", "10.0.0.0/16"),
    "CIDR without length": (_interfaces(ENI + ", prefixes: [10.0.0.16]}"), 7, "no prefix length", "10.0.0.16/32"),
    "CIDR with host bits": (
        _interfaces(ENI + ", prefixes: [10.0.0.17/28]}"),
        7,
        "'10.0.0.17/28' has host bits",
        "write 10.0.0.16/28",
    ),
    "bad MAC": (_interfaces(ENI + ', mac: "02:00:00:00:00"}'), 7, "is no MAC address", "02:00"),
    "MAC of a group": (_interfaces(ENI + ', mac: "01:00:5e:00:00:01"}'), 7, "of one interface", "its own"),
    "address outside its subnet": (
        _interfaces(ENI + ", ipv4: [10.0.1.5]}"),
        7,
        "10.0.1.5 is outside subnet-0000000a (10.0.0.0/24)",
        "correct the address",
    ),
    "prefix outside its subnet": (_interfaces(ENI + ", prefixes: [10.0.1.0/28]}"), 7, "10.0.1.0/28 is outside", "or"),
    "address listed apart": (
        APART + "    ipv4:\n      - 10.0.0.5\n      - 10.1.0.5\n",
        11,
        "10.1.0.5 is outside",
        "correct",
    ),
    "same address twice": (
        _interfaces(ENI + ", ipv4: [10.0.0.5]}", OTHER + ", ipv4: [10.0.0.6, 10.0.0.5]}"),
        8,
        "10.0.0.5 is there twice at the same time",
        "the other is on line 7",
    ),
    "same MAC twice": (
        _interfaces(ENI + ', mac: "02:00:00:00:00:0a"}', OTHER + ", mac: 02-00-00-00-00-0A}"),
        8,
        "02:00:00:00:00:0a is there twice",
        "on line 7",
    ),
    "same device in times that overlap": (
        _interfaces(ENI + ", device: tap0, until: 101}", OTHER + ", device: tap0, from: 100}"),
        8,
        "device tap0 is there twice at the same time",
        "from and until",
    ),
    "until before from": (
        APART + "    from: 2026-01-02T00:00:00Z\n    until: 2026-01-01T00:00:00Z\n",
        10,
        "until is not after from",
        "correct one",
    ),
    "time without zone": (_interfaces(ENI + ", from: 2026-01-01T00:00:00}"), 7, "has no time zone", "Z"),
    "no time": (_interfaces(ENI + ", from: yesterday}"), 7, "is no time", "2026"),
    "time too late": (_interfaces(ENI + ", until: 9999999999}"), 7, "after 2262", "leave it out"),
    "tag key too long": (
        f"instances: [{{id: i-0000000a, tags: {{{'k' * 129}: v}}}}]\n",
        6,
        "tag key of 129 characters",
        "128",
    ),
    "tag value too long": (
        f"instances:\n  - id: i-0000000a\n    tags:\n      Name: {LONG}\n",
        9,
        "tag value of 257 characters",
        "256",
    ),
    "missing key": ("interfaces:\n  - id: eni-0000000a\n", 7, "subnet is missing", "add subnet:"),
    "missing key of a route": (
        "route_tables: [{id: rtb-0000000a, routes: [{to: 0.0.0.0/0}]}]\n",
        6,
        "routes.via is missing",
        "add via:",
    ),
    "no value": ("interfaces:\n  - id: eni-0000000a\n    subnet:\n", 8, "subnet: no", "write one word"),
    "list without items": (_interfaces(ENI + ", ipv4: 10.0.0.5}"), 7, "ipv4: not a list", "write it in [ ]"),
    "list that is none": ("instances: i-0000000a\n", 6, "instances is no list", "begin each item with -"),
    "item that is none": ("instances: [i-0000000a]\n", 6, "instances item 1: not keys and values", "{ }"),
    "text that is none": ("instances: [{id: [i-0000000a]}]\n", 6, "id: no text", "write one word"),
    "unknown type": (_interfaces(ENI + ", type: nat}"), 7, "type: 'nat' is not known", "'nat_gateway'"),
    "unknown role": (_interfaces(ENI + ", role: gast}"), 7, "role: 'gast' is not known", "'guest'"),
    "neither true nor false": (_interfaces(ENI + ", efa: maybe}"), 7, "neither true nor false", "write true"),
    "resource of another type": (
        _interfaces(ENI + ", type: nat_gateway, resource: tgw-0000000a}"),
        7,
        "does not go with type nat_gateway",
        "nat_gateway has nat-",
    ),
    "resource of nonsense": (_interfaces(ENI + ", type: vpc_endpoint, resource: x}"), 7, "no id of a gateway", "vpce-"),
    "second key": ("region: eu-west-2\n", 6, "key 'region' is there twice", "the other is on line 2"),
    "alias of nothing": ("instances: *a\n", 6, "alias *a has no value yet", "write &a"),
    "merge key": ("instances:\n  - {id: i-0000000a, <<: {}}\n", 7, "merge key <<", "write the keys out"),
    "tag": ("instances: !!python/object:os.system []\n", 6, "tag ", "remove it"),
    "second document": ("---\naccount: 1\n", 6, "a second YAML document", "keep one"),
    "too deep": (f"instances: {'[' * 40}{']' * 40}\n", 6, "nested deeper than 16", "never needs that"),
    "syntax": ("instances: [\n", 7, "not YAML", "flow node"),
    "tab": ("instances:\n\t- {id: i-0000000a}\n", 7, "not YAML", ""),
    "control character": ("instances: \x07\n", 6, "not YAML: character", "remove it"),
}


def _check(folder: Path, text: str) -> list[Fault]:
    path = folder / "inventory.yaml"
    path.write_text(text, encoding="utf-8")
    return check(path)


def test_the_head_of_the_cases_has_no_fault(tmp_path: Path) -> None:
    assert _check(tmp_path, HEAD) == []


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_a_fault_names_its_line_and_a_remedy(tmp_path: Path, case: tuple[str, int, str, str]) -> None:
    text, line, message, remedy = case
    faults = _check(tmp_path, HEAD + text)
    found = [fault for fault in faults if message in fault.message]
    assert found, faults
    assert found[0].line == line
    assert remedy in found[0].remedy
    assert "\n" not in str(found[0])


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_one_mistake_is_one_fault(tmp_path: Path, case: tuple[str, int, str, str]) -> None:
    faults = _check(tmp_path, HEAD + case[0])
    assert len(faults) == 1, faults


@pytest.mark.parametrize(
    ("text", "line", "message", "remedy"),
    [
        ("", 1, "no inventory in it", "account:"),
        ("- a\n", 1, "no inventory in it", "account:"),
        ("region: eu-west-1\n", 1, "account is missing", "at the top"),
        ('account: "123456789012"\n', 1, "region is missing", "at the top"),
        ("region: r\naccount: 012345670123\n", 2, "is an octal number in YAML", 'quote it: "012345670123"'),
        ("region: r\naccount: 12345\n", 2, "account '12345' is not 12 digits", '"123456789012"'),
        ("region: EU\naccount: 123456789012\n", 1, "region 'EU' is no name", "eu-west-1"),
        ('account: "123456789012"\nregion: r\nexclusions: all\n', 3, "exclusions: 'all' is not known", "'none'"),
    ],
)
def test_faults_of_the_head(tmp_path: Path, text: str, line: int, message: str, remedy: str) -> None:
    faults = _check(tmp_path, text)
    found = [fault for fault in faults if message in fault.message]
    assert found, faults
    assert found[0].line == line
    assert remedy in found[0].remedy


@pytest.mark.parametrize(
    ("subnet", "message"),
    [
        ("{id: subnet-0000000a, vpc: vpc-0000000a, cidr: 10.1.0.0/24, zone: a}", "10.1.0.0/24 is outside"),
        ("{id: subnet-0000000a, vpc: vpc-0000000a, cidr: 10.0.0.0/15, zone: a}", "10.0.0.0/15 is outside"),
        ("{id: subnet-0000000a, vpc: vpc-0000000a, ipv6_cidr: 'fd00::/64', zone: a}", "fd00::/64 is outside"),
        ("{id: subnet-0000000a, vpc: vpc-0000000a, zone: a}", "cidr is missing"),
        ("{id: subnet-0000000a, vpc: vpc-0000000a, cidr: 10.0.0.1/24, zone: a}", "has host bits"),
        ("{id: subnet-0000000a, vpc: vpc-0000000a, cidr: 'fd00::/64', zone: a}", "is IPv6"),
        ("{id: subnet-0000000a, vpc: vpc-0000000a, ipv6_cidr: 10.0.0.0/24, zone: a}", "is IPv4"),
        ("{id: subnet-0000000a, vpc: vpc-0000000a, cidr: 10.0.0.0/24}", "zone is missing"),
        (
            "{id: subnet-0000000a, vpc: vpc-0000000a, cidr: 10.0.0.0/24, zone: a, route_table: rtb-0000000a}",
            "rtb-0000000a is not in route_tables",
        ),
        (
            "{id: subnet-0000000a, vpc: vpc-0000000a, cidr: 10.0.0.0/24, zone: a, sublocation: {type: zone, id: a}}",
            "sublocation.type: 'zone' is not known",
        ),
    ],
)
def test_faults_of_subnets(tmp_path: Path, subnet: str, message: str) -> None:
    head = 'account: "123456789012"\nregion: r\nvpcs: [{id: vpc-0000000a, cidrs: [10.0.0.0/16]}]\n'
    faults = _check(tmp_path, f"{head}subnets:\n  - {subnet}\n")
    assert [fault.line for fault in faults] == [5]
    assert message in faults[0].message


def test_a_subnet_has_its_routes_at_one_place(tmp_path: Path) -> None:
    text = """\
account: "123456789012"
region: r
vpcs: [{id: vpc-0000000a, cidrs: [10.0.0.0/16]}]
route_tables: [{id: rtb-0000000a}]
subnets:
  - id: subnet-0000000a
    vpc: vpc-0000000a
    cidr: 10.0.0.0/24
    zone: a
    route_table: rtb-0000000a
    routes: [{to: 0.0.0.0/0, via: igw-1}]
"""
    assert _check(tmp_path, text) == [Fault(11, "subnet-0000000a has both route_table and routes", "keep one of them")]


def test_all_faults_are_told_at_once_in_order_of_lines(tmp_path: Path) -> None:
    text = HEAD + (
        "interfaces:\n"
        "  - {id: eni-0000000a, subnet: subnet-0000000b, mac: nonsense, efa: maybe, colour: red}\n"
        "  - {id: eni-0000000a, subnet: subnet-0000000a, ipv4: [10.0.0.256, 10.9.0.1]}\n"
        "instances: [{id: i-0000000a, tags: [a]}]\n"
    )
    faults = _check(tmp_path, text)
    assert [fault.line for fault in faults] == [7, 7, 7, 7, 8, 8, 8, 9]
    told = " / ".join(fault.message for fault in faults)
    for part in ("subnet-0000000b", "mac", "efa", "colour", "there twice", "10.0.0.256", "10.9.0.1", "tags"):
        assert part in told


def test_references_to_a_broken_item_are_no_faults_of_their_own(tmp_path: Path) -> None:
    text = HEAD + (
        "instances:\n  - {id: i-0000000a, tags: {a: [b]}, size: 1}\n" + _interfaces(ENI + ", instance: i-0000000a}")
    )
    assert [fault.line for fault in _check(tmp_path, text)] == [7, 7]


def test_owners_in_turn_are_right(tmp_path: Path) -> None:
    owned = 'ipv4: [10.0.0.5], mac: "02:00:00:00:00:0a", device: tap0'
    text = HEAD + _interfaces(f"{ENI}, {owned}, until: 100}}", f"{OTHER}, {owned}, from: 100}}")
    assert _check(tmp_path, text) == []


def test_an_address_may_be_in_two_vpcs(tmp_path: Path) -> None:
    text = """\
account: "123456789012"
region: r
vpcs: [{id: vpc-0000000a, cidrs: [10.0.0.0/16]}, {id: vpc-0000000b, cidrs: [10.0.0.0/16]}]
subnets:
  - {id: subnet-0000000a, vpc: vpc-0000000a, cidr: 10.0.0.0/24, zone: a}
  - {id: subnet-0000000b, vpc: vpc-0000000b, cidr: 10.0.0.0/24, zone: a}
interfaces:
  - {id: eni-0000000a, subnet: subnet-0000000a, ipv4: [10.0.0.5]}
  - {id: eni-0000000b, subnet: subnet-0000000b, ipv4: [10.0.0.5]}
"""
    assert _check(tmp_path, text) == []


def test_published_prefixes_that_are_not_there_or_no_such_file(tmp_path: Path) -> None:
    text = HEAD + "service_prefixes: ranges.json\n"
    assert "No such file" in _check(tmp_path, text)[0].message
    assert _check(tmp_path, text)[0].line == 6
    ranges = tmp_path / "ranges.json"
    for content in ("{", "[]", '{"prefixes": [{}], "ipv6_prefixes": []}'):
        ranges.write_text(content, encoding="utf-8")
        assert "is no ip-ranges.json" in _check(tmp_path, text)[0].message
    wrong = {"ip_prefix": "10.0.0.1/8", "service": "S3", "region": "r"}
    ranges.write_text(json.dumps({"prefixes": [wrong], "ipv6_prefixes": []}), encoding="utf-8")
    assert "has host bits" in _check(tmp_path, text)[0].message


def test_a_service_that_is_not_published(tmp_path: Path) -> None:
    row = {"ip_prefix": "52.0.0.0/8", "service": "DYNAMODB", "region": "eu-west-1"}
    (tmp_path / "ranges.json").write_text(json.dumps({"prefixes": [row], "ipv6_prefixes": []}), encoding="utf-8")
    routes = "route_tables: [{id: rtb-0000000a, routes: [{service: DINAMODB, via: vpce-1}]}]\n"
    faults = _check(tmp_path, HEAD + "service_prefixes: ranges.json\n" + routes)
    assert faults == [Fault(7, "service 'DINAMODB' is not published", "did you mean DYNAMODB?")]


def test_a_wrong_file_is_refused_with_its_first_fault_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "inventory.yaml"
    path.write_text(HEAD + "one: 1\ntwo: 2\nthree: 3\n", encoding="utf-8")
    with pytest.raises(InventoryError) as raised:
        load(path)
    assert str(raised.value) == (
        f"{path}:6: unknown key 'one'; remove it (2 more faults); run flowglass inventory check {path}"
    )


def test_a_file_that_is_not_there_or_not_text(tmp_path: Path) -> None:
    path = tmp_path / "inventory.yaml"
    with pytest.raises(InventoryError, match="No such file"):
        check(path)
    with pytest.raises(InventoryError, match="Is a directory"):
        load(tmp_path)
    path.write_bytes(b"account: x\nregion: \xff\n")
    with pytest.raises(InventoryError, match=":2: not UTF-8"):
        load(path)


def test_many_nested_aliases_stay_small(tmp_path: Path) -> None:
    layers = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    layers += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 30)]
    faults = _check(tmp_path, "\n".join(layers) + "\n")
    assert faults == [Fault(6, "aliases stand for more than 100000 values", "write the values out")]


def test_an_alias_in_its_own_value(tmp_path: Path) -> None:
    faults = _check(tmp_path, HEAD + "instances: &a [*a]\n")
    assert Fault(6, "alias *a has no value yet", "write &a at a value further up") in faults


def test_an_alias_is_the_value_once_more(tmp_path: Path) -> None:
    tags = "instances:\n  - {id: i-0000000a, tags: &tags {Name: web}}\n  - {id: i-0000000b, tags: *tags}\n"
    assert _check(tmp_path, HEAD + tags) == []
    tables = load(tmp_path / "inventory.yaml").tables
    assert tables["instances"]["tags"].to_pylist() == ["Name=web", "Name=web"]


def test_the_example_has_no_fault(tmp_path: Path) -> None:
    assert _check(tmp_path, example()) == []
    assert len(load(tmp_path / "inventory.yaml").interfaces) == 3
