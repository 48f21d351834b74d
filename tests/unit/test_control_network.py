"""The describes of what the inventory has, through the real store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.session import get_session
from tests.support.inventoried import ACCOUNT, NOW_MS, OTHER, World, misfits, send, world

from flowglass.control.call import Operation
from flowglass.control.faults import (
    ApiFault,
    DryRunOperation,
    InvalidParameterCombination,
    InvalidParameterValue,
    InvalidVpcIdNotFound,
)
from flowglass.control.operations import describable, network
from flowglass.inventory import Resource

DESCRIBES: dict[str, Operation] = {
    "DescribeVpcs": network.describe_vpcs,
    "DescribeSubnets": network.describe_subnets,
    "DescribeNetworkInterfaces": network.describe_network_interfaces,
    "DescribeInstances": network.describe_instances,
    "DescribeRouteTables": network.describe_route_tables,
    "DescribeSecurityGroups": network.describe_security_groups,
    "DescribeNetworkAcls": network.describe_network_acls,
}
UNDOCUMENTED = "isDefault"
LISTS = {
    "DescribeVpcs": ("VpcIds", "Vpcs", "VpcId"),
    "DescribeSubnets": ("SubnetIds", "Subnets", "SubnetId"),
    "DescribeNetworkInterfaces": ("NetworkInterfaceIds", "NetworkInterfaces", "NetworkInterfaceId"),
    "DescribeRouteTables": ("RouteTableIds", "RouteTables", "RouteTableId"),
    "DescribeSecurityGroups": ("GroupIds", "SecurityGroups", "GroupId"),
}


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = world(tmp_path_factory.mktemp("network"))
    yield made
    made.services.store.close()


def _ask(here: World, action: str, **parameters: Any) -> dict[str, Any]:
    return here.call(DESCRIBES[action], action, **parameters)


def _ids(here: World, action: str, **parameters: Any) -> list[str]:
    _, answer, name = LISTS[action]
    return [str(item[name]) for item in _ask(here, action, **parameters)[answer]]


def _filter(name: str, *values: str) -> list[dict[str, Any]]:
    return [{"Name": name, "Values": list(values)}]


@pytest.mark.parametrize("action", DESCRIBES)
def test_answers_have_only_members_of_botocores_model(here: World, action: str) -> None:
    shape = get_session().get_service_model("ec2").operation_model(action).output_shape
    assert misfits(shape, _ask(here, action)) == []


def test_a_vpc_is_described_as_the_inventory_has_it(here: World) -> None:
    [vpc] = _ask(here, "DescribeVpcs", VpcIds=["vpc-0000000a"])["Vpcs"]
    associated = {"State": "associated"}
    assert vpc == {
        "VpcId": "vpc-0000000a",
        "OwnerId": ACCOUNT,
        "State": "available",
        "IsDefault": False,
        "CidrBlock": "10.0.0.0/16",
        "CidrBlockAssociationSet": [
            {"CidrBlock": "10.0.0.0/16", "CidrBlockState": associated},
            {"CidrBlock": "10.1.0.0/16", "CidrBlockState": associated},
        ],
        "Ipv6CidrBlockAssociationSet": [{"Ipv6CidrBlock": "2001:db8:a::/48", "Ipv6CidrBlockState": associated}],
    }


def test_a_subnets_available_addresses_are_those_nobody_has(here: World) -> None:
    a, b, c = _ask(here, "DescribeSubnets")["Subnets"]
    # Of 256: 5 are AWS's, .10 .11 .12 .14 are taken, and 16 by a prefix.
    assert a["AvailableIpAddressCount"] == 256 - 5 - 4 - 16
    assert (b["AvailableIpAddressCount"], c["AvailableIpAddressCount"]) == (250, 10)
    assert a["SubnetArn"] == f"arn:aws:ec2:eu-west-1:{ACCOUNT}:subnet/subnet-0000000a"
    assert a["AvailabilityZoneId"] == "euw1-az1"
    assert "AvailabilityZone" not in a
    assert c["OwnerId"] == OTHER


@pytest.mark.parametrize(
    ("zone", "member"),
    [
        ("euw1-az1", "AvailabilityZoneId"),
        ("use1-bos1-az1", "AvailabilityZoneId"),
        ("use1-wl1-bos-wlz1", "AvailabilityZoneId"),
        ("eu-west-1a", "AvailabilityZone"),
        ("us-east-1-bos-1a", "AvailabilityZone"),
        ("us-east-1-wl1-bos-wlz-1", "AvailabilityZone"),
        ("rack 7", "AvailabilityZone"),
    ],
)
def test_a_zone_is_an_id_or_a_name_by_its_form(tmp_path: Path, zone: str, member: str) -> None:
    here = world(
        tmp_path,
        f"""
account: "123456789012"
region: eu-west-1
vpcs: [{{id: vpc-0000000a, cidrs: [10.0.0.0/16]}}]
subnets: [{{id: subnet-0000000a, vpc: vpc-0000000a, cidr: 10.0.0.0/24, zone: {zone}}}]
""",
    )
    [subnet] = _ask(here, "DescribeSubnets")["Subnets"]
    assert {name: value for name, value in subnet.items() if name.startswith("Availability")} == {member: zone}
    here.services.store.close()


def test_an_interface_is_described_with_its_addresses_groups_and_instance(here: World) -> None:
    [interface] = _ask(here, "DescribeNetworkInterfaces", NetworkInterfaceIds=["eni-0000000b"])["NetworkInterfaces"]
    assert interface == {
        "NetworkInterfaceId": "eni-0000000b",
        "OwnerId": ACCOUNT,
        "VpcId": "vpc-0000000a",
        "SubnetId": "subnet-0000000a",
        "Status": "in-use",
        "InterfaceType": "interface",
        "MacAddress": "02:00:00:00:00:0a",
        "PrivateIpAddress": "10.0.0.10",
        "PrivateIpAddresses": [
            {"PrivateIpAddress": "10.0.0.10", "Primary": True},
            {"PrivateIpAddress": "10.0.0.11", "Primary": False},
        ],
        "Ipv6Addresses": [{"Ipv6Address": "2001:db8:a::10"}],
        "Groups": [{"GroupId": "sg-0000000a"}, {"GroupId": "sg-0000000b"}],
        "AvailabilityZoneId": "euw1-az1",
        "Attachment": {"InstanceId": "i-0000000a", "Status": "attached"},
        "Ipv4Prefixes": [{"Ipv4Prefix": "10.0.0.32/28"}],
        "Ipv6Prefixes": [{"Ipv6Prefix": "2001:db8:a::1:0/112"}],
        "RequesterManaged": False,
        "TagSet": [{"Key": "Name", "Value": "front"}],
    }


def test_an_interfaces_type_is_spelt_as_the_api_does(here: World) -> None:
    types = {
        item["NetworkInterfaceId"]: (item["InterfaceType"], item["RequesterManaged"])
        for item in _ask(here, "DescribeNetworkInterfaces")["NetworkInterfaces"]
    }
    assert types["eni-0000000c"] == ("natGateway", True)
    assert types["eni-0000000d"] == ("efa", False)


def test_an_instance_is_where_its_first_interface_is(here: World) -> None:
    first, second = _ask(here, "DescribeInstances")["Reservations"]
    [instance] = first["Instances"]
    assert first["OwnerId"] == ACCOUNT
    assert instance["InstanceId"] == "i-0000000a"
    assert instance["State"] == {"Code": 16, "Name": "running"}
    assert (instance["PrivateIpAddress"], instance["SubnetId"]) == ("10.0.0.10", "subnet-0000000a")
    assert [item["NetworkInterfaceId"] for item in instance["NetworkInterfaces"]] == ["eni-0000000b", "eni-0000000a"]
    assert instance["SecurityGroups"] == [{"GroupId": "sg-0000000a"}, {"GroupId": "sg-0000000b"}]
    assert instance["Tags"] == [{"Key": "Name", "Value": "web"}, {"Key": "stage", "Value": "test"}]
    assert second["Instances"][0]["NetworkInterfaces"] == []
    assert "SubnetId" not in second["Instances"][0]


def test_a_route_names_its_target_by_the_member_of_its_kind(here: World) -> None:
    a, b = _ask(here, "DescribeRouteTables")["RouteTables"]
    made = {"Origin": "CreateRoute", "State": "active"}
    assert a["Routes"][2:] == [
        {
            "DestinationIpv6CidrBlock": "2001:db8:a::/48",
            "GatewayId": "local",
            "Origin": "CreateRouteTable",
            "State": "active",
        },
        {"DestinationCidrBlock": "0.0.0.0/0", "GatewayId": "igw-1", **made},
        {"DestinationIpv6CidrBlock": "::/0", "EgressOnlyInternetGatewayId": "eigw-2", **made},
        {"DestinationCidrBlock": "10.20.0.0/16", "VpcPeeringConnectionId": "pcx-3", **made},
        {"DestinationCidrBlock": "10.21.0.0/16", "NetworkInterfaceId": "eni-0000000c", **made},
        {"DestinationCidrBlock": "10.22.0.0/16", "TransitGatewayId": "tgw-4", **made},
    ]
    assert a["VpcId"] == "vpc-0000000a"
    assert [item["SubnetId"] for item in a["Associations"]] == ["subnet-0000000a"]
    assert "VpcId" not in b


def test_a_security_group_is_what_interfaces_name(here: World) -> None:
    groups = _ask(here, "DescribeSecurityGroups")["SecurityGroups"]
    assert groups[0] == {
        "GroupId": "sg-0000000a",
        "OwnerId": ACCOUNT,
        "VpcId": "vpc-0000000a",
        "SecurityGroupArn": f"arn:aws:ec2:eu-west-1:{ACCOUNT}:security-group/sg-0000000a",
    }
    assert len(groups) == 2


def test_a_call_sees_its_account_and_region_only(here: World) -> None:
    def seen(account: str | None, region: str) -> list[str]:
        answer = here.call_as(account, region, network.describe_vpcs, "DescribeVpcs", {})
        return [vpc["VpcId"] for vpc in answer["Vpcs"]]

    assert seen(None, "eu-west-1") == ["vpc-0000000a", "vpc-0000000b"]
    assert seen(OTHER, "eu-west-1") == ["vpc-0000000b"]
    assert seen(ACCOUNT, "us-east-1") == ["vpc-0000000c"]
    with pytest.raises(InvalidVpcIdNotFound, match="The vpc ID 'vpc-0000000a' does not exist"):
        here.call_as(OTHER, "eu-west-1", network.describe_vpcs, "DescribeVpcs", {"VpcIds": ["vpc-0000000a"]})


@pytest.mark.parametrize(
    ("action", "ids", "code", "noun"),
    [
        ("DescribeVpcs", "VpcIds", "InvalidVpcID.NotFound", "vpc"),
        ("DescribeSubnets", "SubnetIds", "InvalidSubnetID.NotFound", "subnet"),
        ("DescribeNetworkInterfaces", "NetworkInterfaceIds", "InvalidNetworkInterfaceID.NotFound", "networkInterface"),
        ("DescribeInstances", "InstanceIds", "InvalidInstanceID.NotFound", "instance"),
        ("DescribeRouteTables", "RouteTableIds", "InvalidRouteTableID.NotFound", "routeTable"),
        ("DescribeSecurityGroups", "GroupIds", "InvalidGroup.NotFound", "security group"),
        ("DescribeSecurityGroups", "GroupNames", "InvalidGroup.NotFound", "security group"),
        ("DescribeNetworkAcls", "NetworkAclIds", "InvalidNetworkAclID.NotFound", "networkAcl"),
    ],
)
def test_unknown_ids_are_refused_and_all_named(here: World, action: str, ids: str, code: str, noun: str) -> None:
    with pytest.raises(ApiFault) as refused:
        _ask(here, action, **{ids: ["x-2", "x-1", "x-2", "vpc-0000000a"][: 3 if ids == "VpcIds" else 2]})
    assert refused.value.code == code
    assert refused.value.message == f"The {noun} IDs 'x-2, x-1' do not exist"


@pytest.mark.parametrize(
    ("action", "name", "value", "found"),
    [
        ("DescribeVpcs", "cidr", "10.0.*", "a b"),
        ("DescribeVpcs", "cidr-block-association.cidr-block", "10.1.0.0/16", "a"),
        ("DescribeVpcs", "ipv6-cidr-block-association.ipv6-cidr-block", "2001:db8:a::/48", "a"),
        ("DescribeVpcs", "is-default", "true", ""),
        ("DescribeVpcs", "owner-id", OTHER, "b"),
        ("DescribeVpcs", "tag-key", "*", ""),
        ("DescribeVpcs", "vpc-id", "vpc-0000000b", "b"),
        ("DescribeSubnets", "availability-zone", "eu-west-1-*", "b"),
        ("DescribeSubnets", "availability-zone-id", "euw1-az?", "a c"),
        ("DescribeSubnets", "available-ip-address-count", "250", "b"),
        ("DescribeSubnets", "cidr-block", "10.0.1.0/24", "b"),
        ("DescribeSubnets", "vpc-id", "vpc-0000000a", "a b"),
        ("DescribeNetworkInterfaces", "addresses.private-ip-address", "10.0.0.11", "b"),
        ("DescribeNetworkInterfaces", "private-ip-address", "10.0.0.11", ""),
        ("DescribeNetworkInterfaces", "attachment.instance-id", "i-0000000a", "a b"),
        ("DescribeNetworkInterfaces", "group-id", "sg-0000000a", "b"),
        ("DescribeNetworkInterfaces", "ipv6-addresses.ipv6-address", "2001:db8:a::10", "b"),
        ("DescribeNetworkInterfaces", "mac-address", "02:00:00:00:00:0a", "b"),
        ("DescribeNetworkInterfaces", "requester-managed", "true", "c"),
        ("DescribeNetworkInterfaces", "tag:Name", "fr*t", "b"),
        ("DescribeRouteTables", "association.subnet-id", "subnet-0000000a", "a"),
        ("DescribeRouteTables", "association.main", "true", ""),
        ("DescribeRouteTables", "route.gateway-id", "igw-1", "a"),
        ("DescribeRouteTables", "route-table-id", "rtb-0000000b", "b"),
        ("DescribeSecurityGroups", "vpc-id", "vpc-0000000a", "a b"),
        ("DescribeSecurityGroups", "group-id", "sg-0000000b", "b"),
    ],
)
def test_filters_look_at_what_is_answered(here: World, action: str, name: str, value: str, found: str) -> None:
    ids = _ids(here, action, Filters=_filter(name, value))
    assert [item[-1] for item in ids] == found.split()


def test_instances_are_filtered_by_their_interfaces_and_tags(here: World) -> None:
    def found(name: str, value: str) -> list[str]:
        answer = _ask(here, "DescribeInstances", Filters=_filter(name, value))
        return [item["Instances"][0]["InstanceId"] for item in answer["Reservations"]]

    assert found("instance-state-name", "running") == ["i-0000000a", "i-0000000b"]
    assert found("network-interface.private-ip-address", "10.0.1.9") == ["i-0000000a"]
    assert found("tag:stage", "test") == ["i-0000000a"]
    assert found("vpc-id", "vpc-0000000b") == []


@pytest.mark.parametrize(
    "described",
    [
        getattr(describable, name)
        for name in ("VPC", "SUBNET", "INTERFACE", "INSTANCE", "ROUTE_TABLE", "SECURITY_GROUP")
    ],
)
def test_every_filter_leads_to_members_of_botocores_model(described: describable.Described) -> None:
    action = {"Reservations": "DescribeInstances"}.get(described.answer, f"Describe{described.answer}")
    listed = get_session().get_service_model("ec2").operation_model(action).output_shape.members[described.answer]
    documented = (
        get_session().get_service_model("ec2").operation_model(action).input_shape.members["Filters"].documentation
    )
    for name, path in described.filters.items():
        shape = listed
        for step in path.split("."):
            shape = shape.member if shape.type_name == "list" else shape
            shape = shape.members[step]
        assert shape.type_name in ("string", "boolean", "integer"), name
        assert f"<code>{name}</code>" in documented or name == UNDOCUMENTED


def test_a_filter_that_no_inventory_can_answer_is_refused_like_an_unknown_one(here: World) -> None:
    with pytest.raises(InvalidParameterValue, match=r"'dhcp-options-id'.*'nonsense'"):
        _ask(here, "DescribeVpcs", Filters=[*_filter("dhcp-options-id", "x"), *_filter("nonsense", "x")])


def test_pages_join_to_the_whole_list(here: World) -> None:
    seen: list[str] = []
    token: str | None = None
    for _ in range(3):
        answer = _ask(here, "DescribeNetworkInterfaces", MaxResults=2, **({"NextToken": token} if token else {}))
        seen.extend(item["NetworkInterfaceId"] for item in answer["NetworkInterfaces"])
        token = answer["NextToken"]
    assert token is None
    assert seen == _ids(here, "DescribeNetworkInterfaces")
    assert len(seen) == 5


def test_ids_and_pages_exclude_each_other_where_aws_says_so(here: World) -> None:
    with pytest.raises(InvalidParameterCombination):
        _ask(here, "DescribeInstances", InstanceIds=["i-0000000a"], MaxResults=5)
    assert _ids(here, "DescribeVpcs", VpcIds=["vpc-0000000a"], MaxResults=5) == ["vpc-0000000a"]


@pytest.mark.parametrize("action", DESCRIBES)
def test_a_dry_run_says_that_it_would_succeed(here: World, action: str) -> None:
    with pytest.raises(DryRunOperation):
        _ask(here, action, DryRun=True)


@pytest.mark.parametrize("attribute", ["enableDnsSupport", "enableDnsHostnames", "enableNetworkAddressUsageMetrics"])
def test_attributes_of_a_vpc_are_false(here: World, attribute: str) -> None:
    answer = here.call(
        network.describe_vpc_attribute, "DescribeVpcAttribute", VpcId="vpc-0000000a", Attribute=attribute
    )
    assert answer == {"VpcId": "vpc-0000000a", attribute[0].upper() + attribute[1:]: {"Value": False}}
    with pytest.raises(InvalidVpcIdNotFound):
        here.call(network.describe_vpc_attribute, "DescribeVpcAttribute", VpcId="vpc-1", Attribute=attribute)


def test_an_attribute_that_no_vpc_has_is_refused(here: World) -> None:
    with pytest.raises(InvalidParameterValue, match="enableDnsSupport"):
        here.call(network.describe_vpc_attribute, "DescribeVpcAttribute", VpcId="vpc-0000000a", Attribute="x")


def test_of_two_agents_the_one_seen_last_is_believed(tmp_path: Path) -> None:
    here = world(tmp_path)
    moved = Resource(
        kind="vpc",
        id="vpc-0000000a",
        account=ACCOUNT,
        region="eu-west-1",
        vpc="vpc-0000000a",
        document={"cidrs": ["192.168.0.0/16"]},
    )
    send(here, "agent-2", [moved], NOW_MS + 1)
    assert [vpc["CidrBlock"] for vpc in _ask(here, "DescribeVpcs")["Vpcs"]] == ["192.168.0.0/16", "10.0.0.0/16"]
    here.services.store.close()
