"""Regions, zones, attributes of the account, and who the caller is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from botocore.session import get_session
from tests.support.inventoried import ACCOUNT, OTHER, World, misfits, world

from flowglass.control.call import Operation
from flowglass.control.faults import DryRunOperation, InvalidParameterValue
from flowglass.control.operations import account

OPERATIONS: dict[str, Operation] = {
    "DescribeRegions": account.describe_regions,
    "DescribeAvailabilityZones": account.describe_availability_zones,
    "DescribeAccountAttributes": account.describe_account_attributes,
}


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = world(tmp_path_factory.mktemp("account"))
    yield made
    made.services.store.close()


def _ask(here: World, action: str, **parameters: Any) -> dict[str, Any]:
    return here.call(OPERATIONS[action], action, **parameters)


@pytest.mark.parametrize("action", OPERATIONS)
def test_answers_have_only_members_of_botocores_model(here: World, action: str) -> None:
    shape = get_session().get_service_model("ec2").operation_model(action).output_shape
    assert misfits(shape, _ask(here, action)) == []
    with pytest.raises(DryRunOperation):
        _ask(here, action, DryRun=True)


def test_regions_are_those_of_the_inventory_and_the_calls_own(here: World) -> None:
    assert _ask(here, "DescribeRegions")["Regions"] == [
        {"RegionName": name, "Endpoint": f"ec2.{name}.amazonaws.com", "OptInStatus": "opt-in-not-required"}
        for name in ("eu-west-1", "us-east-1")
    ]
    answer = here.call_as(OTHER, "local-1", account.describe_regions, "DescribeRegions", {})
    assert [region["RegionName"] for region in answer["Regions"]] == ["eu-west-1", "local-1"]


def test_regions_are_chosen_by_name_or_filter(here: World) -> None:
    by_name = _ask(here, "DescribeRegions", RegionNames=["us-east-1"])
    by_filter = _ask(here, "DescribeRegions", Filters=[{"Name": "endpoint", "Values": ["*us-east*"]}])
    assert by_name == by_filter
    assert len(by_name["Regions"]) == 1
    with pytest.raises(InvalidParameterValue, match=r"x-1, x-2"):
        _ask(here, "DescribeRegions", RegionNames=["x-1", "us-east-1", "x-2"])
    with pytest.raises(InvalidParameterValue):
        _ask(here, "DescribeRegions", Filters=[{"Name": "tag-key", "Values": ["x"]}])


def test_zones_are_those_that_subnets_of_the_region_are_in(here: World) -> None:
    common = {"RegionName": "eu-west-1", "State": "available", "OptInStatus": "opt-in-not-required"}
    assert _ask(here, "DescribeAvailabilityZones")["AvailabilityZones"] == [
        {"ZoneName": "eu-west-1-wl1-lon-wlz-1", "ZoneType": "wavelength-zone", **common},
        {"ZoneId": "euw1-az1", "ZoneType": "availability-zone", **common},
        {"ZoneId": "euw1-az2", "ZoneType": "availability-zone", **common},
    ]


def test_zones_are_chosen_by_id_name_or_filter(here: World) -> None:
    def found(**parameters: Any) -> list[str]:
        zones = _ask(here, "DescribeAvailabilityZones", **parameters)["AvailabilityZones"]
        return [zone.get("ZoneId") or zone["ZoneName"] for zone in zones]

    assert found(ZoneIds=["euw1-az2"]) == ["euw1-az2"]
    assert found(ZoneNames=["eu-west-1-wl1-lon-wlz-1"]) == ["eu-west-1-wl1-lon-wlz-1"]
    assert found(Filters=[{"Name": "zone-type", "Values": ["availability-zone"]}]) == ["euw1-az1", "euw1-az2"]
    with pytest.raises(InvalidParameterValue, match=r"\(use1-az1\) for parameter zoneId"):
        found(ZoneIds=["use1-az1"])
    with pytest.raises(InvalidParameterValue, match=r"\(euw1-az1\) for parameter zoneName"):
        found(ZoneNames=["euw1-az1"])


def test_an_account_is_in_vpcs_and_has_no_default_one(here: World) -> None:
    def found(**parameters: Any) -> dict[str, str]:
        listed = _ask(here, "DescribeAccountAttributes", **parameters)["AccountAttributes"]
        return {item["AttributeName"]: item["AttributeValues"][0]["AttributeValue"] for item in listed}

    assert found() == {"supported-platforms": "VPC", "default-vpc": "none"}
    assert found(AttributeNames=["default-vpc", "max-instances"]) == {"default-vpc": "none"}


def test_the_caller_is_the_key_in_its_account(here: World) -> None:
    identity = here.call(account.get_caller_identity, "GetCallerIdentity")
    assert identity == {"UserId": "FGKEY1", "Account": ACCOUNT, "Arn": f"arn:aws:iam::{ACCOUNT}:user/ada"}


def test_another_partition_is_told_in_arns_and_endpoints(here: World) -> None:
    there = World(replace(here.services, partition="aws-cn"), here.destinations)
    identity = there.call_as(OTHER, "cn-north-1", account.get_caller_identity, "GetCallerIdentity", {})
    assert identity["Arn"] == f"arn:aws-cn:iam::{OTHER}:user/ada"
    endpoints = [region["Endpoint"] for region in there.call(account.describe_regions, "DescribeRegions")["Regions"]]
    assert endpoints[0] == "ec2.eu-west-1.amazonaws.com.cn"
