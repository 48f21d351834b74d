"""The calls that Terraform's AWS provider makes for `aws_flow_log` and `aws_vpc`, replayed in its order.

Rule: Terraform itself was not run. `Provider` does what the provider's sources say that it does with these calls and
their answers (hashicorp/terraform-provider-aws, internal/service/ec2: vpc_flow_log.go, vpc_.go, vpc_data_source.go,
find.go, tags_gen.go), attribute for attribute under Terraform's names; botocore sends them.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import pytest
from botocore.exceptions import ClientError
from tests.support.raw_api import (
    BUCKET,
    ENI,
    GATEWAY,
    OTHER_ACCOUNT,
    OTHER_REGION,
    ROLE,
    SUBNET,
    VPC,
    VPC_B,
    VPC_FAR,
    Api,
    Site,
    open_site,
)
from tests.support.servers import SAMPLE_ACCOUNT, SAMPLE_REGION

from flowglass.fields import DEFAULT_FORMAT

Attributes = dict[str, Any]
"""What a person writes into a resource's block, or Terraform reads of it."""

KINDS: Final = {
    "vpc_id": ("vpc-", "VPC"),
    "subnet_id": ("subnet-", "Subnet"),
    "eni_id": ("eni-", "NetworkInterface"),
    "regional_nat_gateway_id": ("nat-", "RegionalNatGateway"),
}
DEFAULTS: Final[Attributes] = {"log_destination_type": "cloud-watch-logs", "max_aggregation_interval": 600, "tags": {}}
COMPUTED: Final = frozenset({"log_destination", "log_format"})
"""Attributes that are read where nobody wrote them."""
OPTION_DEFAULTS: Final[Attributes] = {
    "file_format": "plain-text",
    "hive_compatible_partitions": False,
    "per_hour_partition": False,
}
OPTION_MEMBERS: Final = {
    "file_format": "FileFormat",
    "hive_compatible_partitions": "HiveCompatiblePartitions",
    "per_hour_partition": "PerHourPartition",
}
MEMBERS: Final = {
    "deliver_cross_account_role": "DeliverCrossAccountRole",
    "iam_role_arn": "DeliverLogsPermissionArn",
    "log_destination": "LogDestination",
    "log_destination_type": "LogDestinationType",
    "log_format": "LogFormat",
    "max_aggregation_interval": "MaxAggregationInterval",
    "traffic_type": "TrafficType",
}
NUMBERS: Final = itertools.count(1)


class ProviderError(Exception):
    """What the provider would show, with the code of the API's fault in front."""


@dataclass(frozen=True, slots=True)
class Provider:
    """The provider of one Region."""

    api: Api

    def create(self, config: Attributes, token: str = "") -> str:
        """Make the flow log of a block; its id. Raises ProviderError."""
        kind = next(name for name in KINDS if name in config)
        whole = DEFAULTS | config
        asked: dict[str, Any] = {
            "ClientToken": token or f"terraform-20261124134545{next(NUMBERS):012d}",
            "ResourceIds": [config[kind]],
            "ResourceType": KINDS[kind][1],
            **{member: whole[name] for name, member in MEMBERS.items() if name in whole},
        }
        if "destination_options" in config:
            options = OPTION_DEFAULTS | config["destination_options"]
            asked["DestinationOptions"] = {member: options[name] for name, member in OPTION_MEMBERS.items()}
        if whole["tags"]:
            asked["TagSpecifications"] = [{"ResourceType": "vpc-flow-log", "Tags": _tag_list(whole["tags"])}]
        answer = self._call("CreateFlowLogs", **asked)
        _raise_unsuccessful(answer)
        return str(answer["FlowLogIds"][0])

    def read(self, flow_log_id: str) -> Attributes | None:
        """What is there under an id, None where it is gone. Raises ProviderError."""
        try:
            found = self._call("DescribeFlowLogs", FlowLogIds=[flow_log_id])["FlowLogs"]
        except ProviderError as error:
            if str(error).startswith("InvalidFlowLogId.NotFound:"):
                return None
            raise
        if len(found) != 1 or found[0]["FlowLogId"] != flow_log_id:
            return None
        [one] = found
        read = {name: one[member] for name, member in MEMBERS.items() if member in one}
        read |= {kind: one["ResourceId"] for kind, (prefix, _) in KINDS.items() if one["ResourceId"].startswith(prefix)}
        if "DestinationOptions" in one:
            options = one["DestinationOptions"]
            read["destination_options"] = {name: options[member] for name, member in OPTION_MEMBERS.items()}
        return read | {"tags": {tag["Key"]: tag["Value"] for tag in one["Tags"]}}

    def update_tags(self, flow_log_id: str, old: Mapping[str, str], new: Mapping[str, str]) -> None:
        """What the provider does where tags are all that changed."""
        removed = {key: value for key, value in old.items() if key not in new}
        updated = {key: value for key, value in new.items() if old.get(key) != value}
        for action, tags in (("DeleteTags", removed), ("CreateTags", updated)):
            if tags:
                self._call(action, Resources=[flow_log_id], Tags=_tag_list(tags))

    def delete(self, flow_log_id: str) -> None:
        """Delete it; one that is gone counts as deleted. Raises ProviderError."""
        try:
            _raise_unsuccessful(self._call("DeleteFlowLogs", FlowLogIds=[flow_log_id]))
        except ProviderError as error:
            if not str(error).startswith("InvalidFlowLogId.NotFound:"):
                raise

    def read_vpc(self, **asked: Any) -> Attributes:
        """The data source `aws_vpc`. Raises ProviderError where there is not exactly one."""
        found = self._call("DescribeVpcs", **asked)["Vpcs"]
        if len(found) != 1:
            raise ProviderError(f"{len(found)} VPCs matched")
        [vpc] = found
        names = ("enableDnsHostnames", "enableDnsSupport", "enableNetworkAddressUsageMetrics")
        answers = [self._call("DescribeVpcAttribute", VpcId=vpc["VpcId"], Attribute=name) for name in names]
        return {
            "id": vpc["VpcId"],
            "cidr_block": vpc["CidrBlock"],
            "default": vpc["IsDefault"],
            "owner_id": vpc["OwnerId"],
            "state": vpc["State"],
            "attributes": [
                answer[name[0].upper() + name[1:]]["Value"] for name, answer in zip(names, answers, strict=True)
            ],
            "main_route_table_id": self._only(
                "DescribeRouteTables", "RouteTables", {"association.main": "true", "vpc-id": vpc["VpcId"]}
            ),
        }

    def read_vpc_resource(self, vpc_id: str) -> Attributes:
        """What the resource `aws_vpc` reads besides; what is not found is no more than a warning there."""
        return {
            "default_network_acl_id": self._only(
                "DescribeNetworkAcls", "NetworkAcls", {"default": "true", "vpc-id": vpc_id}
            ),
            "default_security_group_id": self._only(
                "DescribeSecurityGroups", "SecurityGroups", {"group-name": "default", "vpc-id": vpc_id}
            ),
        }

    def _only(self, action: str, member: str, filters: Mapping[str, str]) -> Any:
        listed = [{"Name": name, "Values": [value]} for name, value in filters.items()]
        try:
            found = self._call(action, Filters=listed)[member]
        except ProviderError:
            return None
        return found[0] if len(found) == 1 else None

    def _call(self, action: str, **parameters: Any) -> dict[str, Any]:
        try:
            return self.api.ask(action, **parameters)
        except ClientError as error:
            told = error.response["Error"]
            raise ProviderError(f"{told['Code']}: {told['Message']}") from None


def _raise_unsuccessful(answer: Mapping[str, Any]) -> None:
    """The provider takes any item as the failure of the call."""
    for item in answer["Unsuccessful"]:
        raise ProviderError(f"{item['Error']['Code']}: {item['Error']['Message']}")


def _tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def differences(config: Attributes, read: Attributes) -> set[str]:
    """The attributes for which a plan would show a change."""
    planned = DEFAULTS | config
    if "destination_options" in planned:
        planned["destination_options"] = OPTION_DEFAULTS | planned["destination_options"]
    suppressed = COMPUTED | {"destination_options"}  # where the block has none, the plan shows no change
    names = planned.keys() | (read.keys() - suppressed)
    return {name for name in names if planned.get(name) != read.get(name)}


GROUP: Final = f"arn:aws:logs:{SAMPLE_REGION}:{SAMPLE_ACCOUNT}:log-group:/vpc/flows"
STREAM: Final = f"arn:aws:firehose:{SAMPLE_REGION}:{OTHER_ACCOUNT}:deliverystream/flows"
TO_BUCKET: Final[Attributes] = {
    "vpc_id": VPC,
    "traffic_type": "ALL",
    "log_destination_type": "s3",
    "log_destination": f"arn:aws:s3:::{BUCKET}",
}
CONFIGS: Final[dict[str, Attributes]] = {
    "a VPC to a bucket": TO_BUCKET,
    "all of it": {
        **TO_BUCKET,
        "log_destination": f"arn:aws:s3:::{BUCKET}/team/flows/",
        "log_format": "${version} ${vpc-id} ${srcaddr} ${dstaddr} ${action} ${log-status}",
        "max_aggregation_interval": 60,
        "traffic_type": "REJECT",
        "destination_options": {
            "file_format": "parquet",
            "hive_compatible_partitions": True,
            "per_hour_partition": True,
        },
        "tags": {"Name": "flows", "stage": "test", "empty": ""},
    },
    "some options": {**TO_BUCKET, "destination_options": {"per_hour_partition": True}},
    "a subnet to a log group": {
        "subnet_id": SUBNET,
        "traffic_type": "ACCEPT",
        "iam_role_arn": ROLE,
        "log_destination": GROUP,
    },
    "an interface to another account's stream": {
        "eni_id": ENI,
        "traffic_type": "ALL",
        "log_destination_type": "kinesis-data-firehose",
        "log_destination": STREAM,
        "iam_role_arn": ROLE,
        "deliver_cross_account_role": f"arn:aws:iam::{OTHER_ACCOUNT}:role/AWSLogDeliveryFirehoseCrossAccountRole",
    },
    "a gateway": {**TO_BUCKET, "regional_nat_gateway_id": GATEWAY},
}
del CONFIGS["a gateway"]["vpc_id"]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    opened = open_site(tmp_path_factory.mktemp("terraform"))
    yield opened
    opened.running.stop()


@pytest.fixture
def provider(site: Site) -> Iterator[Provider]:
    api = site.api()
    yield Provider(api)
    api.clear()


def test_the_provider_finds_who_it_is(site: Site) -> None:
    api = site.api()
    identity = api.ask("GetCallerIdentity")
    assert identity["Account"] == SAMPLE_ACCOUNT
    assert re.fullmatch(rf"arn:aws:iam::{SAMPLE_ACCOUNT}:user/\S+", identity["Arn"])
    attributes = api.ask("DescribeAccountAttributes", AttributeNames=["supported-platforms"])["AccountAttributes"]
    assert attributes == [
        {"AttributeName": "supported-platforms", "AttributeValues": [{"AttributeValue": "VPC"}]},
    ]
    regions = api.ask("DescribeRegions", RegionNames=[SAMPLE_REGION])["Regions"]
    assert [one["RegionName"] for one in regions] == [SAMPLE_REGION]


@pytest.mark.parametrize(
    "asked",
    [
        {"VpcIds": [VPC]},
        {"Filters": [{"Name": "cidr", "Values": ["10.0.0.0/16"]}, {"Name": "state", "Values": ["available"]}]},
        {"Filters": [{"Name": "vpc-id", "Values": [VPC]}, {"Name": "owner-id", "Values": [SAMPLE_ACCOUNT]}]},
    ],
    ids=["id", "cidr", "filter"],
)
def test_the_data_source_of_a_vpc_reads_it(provider: Provider, asked: dict[str, Any]) -> None:
    assert provider.read_vpc(**asked) == {
        "id": VPC,
        "cidr_block": "10.0.0.0/16",
        "default": False,
        "owner_id": SAMPLE_ACCOUNT,
        "state": "available",
        "attributes": [False, False, False],
        "main_route_table_id": None,
    }
    assert provider.read_vpc_resource(VPC) == {"default_network_acl_id": None, "default_security_group_id": None}


def test_there_is_no_default_vpc_and_none_of_another_region(provider: Provider) -> None:
    with pytest.raises(ProviderError, match="0 VPCs matched"):
        provider.read_vpc(Filters=[{"Name": "isDefault", "Values": ["true"]}])
    with pytest.raises(ProviderError, match=r"^InvalidVpcID\.NotFound"):
        provider.read_vpc(VpcIds=[VPC_FAR])
    assert Provider(provider.api.site.api(region=OTHER_REGION)).read_vpc(VpcIds=[VPC_FAR])["id"] == VPC_FAR


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_after_an_apply_a_plan_shows_no_difference(provider: Provider, config: Attributes) -> None:
    made = provider.create(config)
    read = provider.read(made)
    assert read is not None
    assert differences(config, read) == set()
    assert provider.read(made) == read
    assert read["log_format"] == config.get("log_format", str(DEFAULT_FORMAT))


@pytest.mark.parametrize(
    "name", ["traffic_type", "log_format", "max_aggregation_interval", "log_destination", "vpc_id"]
)
def test_a_difference_would_be_seen(provider: Provider, name: str) -> None:
    read = provider.read(provider.create(CONFIGS["all of it"]))
    assert read is not None
    assert differences(CONFIGS["all of it"] | {name: "other"}, read) == {name}


def test_tags_change_in_place(provider: Provider) -> None:
    config = CONFIGS["all of it"]
    made = provider.create(config)
    for tags in ({"Name": "renamed", "team": "net"}, {}, {"Name": "flows"}, {"Name": "", "name": "flows"}):
        read = provider.read(made)
        assert read is not None
        provider.update_tags(made, read["tags"], tags)
        again = provider.read(made)
        assert again is not None
        assert differences({**config, "tags": tags}, again) == set()
    assert len(provider.api.described()) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"traffic_type": "ACCEPT"},
        {"log_format": "${version} ${action}"},
        {"max_aggregation_interval": 600},
        {"log_destination": f"arn:aws:s3:::{BUCKET}/elsewhere"},
        {"vpc_id": VPC_B},
        {"destination_options": {"file_format": "plain-text"}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_any_other_change_replaces_it(provider: Provider, change: Attributes) -> None:
    config = CONFIGS["all of it"]
    first = provider.create(config)
    provider.delete(first)
    second = provider.create(config | change)
    read = provider.read(second)
    assert read is not None
    assert (first != second, provider.read(first), differences(config | change, read)) == (True, None, set())


def test_made_before_destroyed_needs_another_destination_or_traffic_type_as_at_aws(provider: Provider) -> None:
    config = CONFIGS["all of it"]
    first = provider.create(config)
    with pytest.raises(ProviderError, match=r"^FlowLogAlreadyExists: Error\. There is an existing"):
        provider.create(config | {"max_aggregation_interval": 600})
    second = provider.create(config | {"traffic_type": "ALL"})
    provider.delete(first)
    assert [one["FlowLogId"] for one in provider.api.described()] == [second]


def test_destroyed_twice_is_destroyed(provider: Provider) -> None:
    made = provider.create(TO_BUCKET)
    provider.delete(made)
    provider.delete(made)
    assert provider.read(made) is None


def test_what_was_deleted_behind_terraforms_back_is_made_anew(provider: Provider) -> None:
    first = provider.create(TO_BUCKET)
    provider.api.ask("DeleteFlowLogs", FlowLogIds=[first])
    assert provider.read(first) is None
    second = provider.create(TO_BUCKET)
    read = provider.read(second)
    assert read is not None
    assert differences(TO_BUCKET, read) == set()


def test_a_create_that_is_sent_again_because_its_answer_was_lost_makes_one(provider: Provider) -> None:
    assert len({provider.create(TO_BUCKET, token="terraform-again") for _ in range(3)}) == 1  # noqa: S106
    assert len(provider.api.described()) == 1


def test_a_missing_bucket_is_the_error_that_the_providers_own_tests_await(provider: Provider) -> None:
    with pytest.raises(ProviderError, match=r"(Access Denied for LogDestination|does not exist)"):
        provider.create(TO_BUCKET | {"log_destination": "arn:aws:s3:::not-there"})
    assert provider.api.described() == []


def test_no_refusal_is_taken_for_a_role_that_is_not_there_yet(provider: Provider) -> None:
    """The provider sends a call again, for two minutes, on any InvalidParameter with these words."""
    for wrong in ("flow-logs", "arn:aws:iam::123456789012:user/ada"):
        with pytest.raises(ProviderError) as refused:
            provider.create(CONFIGS["a subnet to a log group"] | {"iam_role_arn": wrong})
        assert "Unable to assume given IAM role" not in str(refused.value)


def test_every_call_of_these_tests_has_its_line_in_the_audit_log(site: Site) -> None:
    site.api().ask("DescribeFlowLogs")
    site.check_audit()
