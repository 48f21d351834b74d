"""CreateFlowLogs: every rule of AWS's page, through botocore's own requests, the real store and the local store."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.support.flow_log_calls import ACCOUNT, NOW_MS, OTHER, REGION, ROLE, Api, api, to_log_group

from flowglass.control import arns
from flowglass.control.operations.create import MAX_FLOW_LOGS, TOKEN_LIFE_MS
from flowglass.control.store import flow_logs
from flowglass.control.store.flow_logs import FlowLogRow
from flowglass.fields import DEFAULT_FORMAT
from flowglass.fields.vocabulary import DestinationType

EXISTS = "Error. There is an existing Flow Log with the same configuration and log destination."
MISSING = "The request must include the {} parameter. Add the required parameter and retry the request."
GROUP = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:"
CROSS = f"arn:aws:iam::{OTHER}:role/AWSLogDeliveryFirehoseCrossAccountRole-1"


def _stream(account: str = ACCOUNT, **parameters: Any) -> dict[str, Any]:
    arn = f"arn:aws:firehose:{REGION}:{account}:deliverystream/flows"
    return {"LogDestinationType": "kinesis-data-firehose", "LogDestination": arn, **parameters}


def _tags(*tags: tuple[str, str], kind: str = "vpc-flow-log") -> dict[str, Any]:
    return {"ResourceType": kind, "Tags": [{"Key": key, "Value": value} for key, value in tags]}


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Api]:
    made = api(tmp_path)
    yield made
    made.services.store.close()


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """For calls that are refused, so nothing is ever in it."""
    made = api(tmp_path_factory.mktemp("empty"))
    yield made
    made.services.store.close()


# What is made ------------------------------------------------------------------------------------------------


def test_a_flow_log_a_resource_is_made_and_described(here: Api) -> None:
    answer = here.create("vpc-a", "vpc-b")
    assert answer["Unsuccessful"] == []
    assert all(re.fullmatch("fl-[0-9a-f]{17}", one) for one in answer["FlowLogIds"])
    assert [(one["FlowLogId"], one["ResourceId"]) for one in here.described()] == list(
        zip(answer["FlowLogIds"], ["vpc-a", "vpc-b"], strict=True)
    )


def test_the_defaults_are_awss(here: Api) -> None:
    here.create(**to_log_group())
    [one] = here.described()
    assert one["LogFormat"] == str(DEFAULT_FORMAT)
    assert one["MaxAggregationInterval"] == 600
    assert one["LogDestinationType"] == "cloud-watch-logs"
    assert one["LogGroupName"] == "group"


@pytest.mark.parametrize(
    ("kind", "resource"), [("Subnet", "subnet-a"), ("NetworkInterface", "eni-a"), ("RegionalNatGateway", "nat-a")]
)
def test_every_kind_that_can_be_recorded_is_taken(here: Api, kind: str, resource: str) -> None:
    here.create(resource, ResourceType=kind)
    assert [one["ResourceId"] for one in here.described()] == [resource]


def test_everything_sent_is_described_as_sent(here: Api) -> None:
    sent = {
        "TrafficType": "REJECT",
        "LogDestination": "arn:aws:s3:::logs/team/flows/",
        "LogFormat": "${log-status} ${instance-tag} ${x-decided-by}",
        "MaxAggregationInterval": 60,
        "DestinationOptions": {"FileFormat": "parquet", "HiveCompatiblePartitions": True, "PerHourPartition": True},
        "TagFieldSpecifications": [{"ResourceType": "instance", "TagKeys": ["Name", "stage"]}],
    }
    here.create(**sent, TagSpecifications=[_tags(("team", "net"), ("empty", ""))])
    [one] = here.described()
    assert {name: one[name] for name in sent} == sent
    assert one["Tags"] == [{"Key": "empty", "Value": ""}, {"Key": "team", "Value": "net"}]


def test_the_flow_log_is_made_in_the_account_that_owns_the_resource(here: Api) -> None:
    here.create("vpc-other", "vpc-a", **to_log_group())
    rows = here.services.store.read(lambda connection: flow_logs.find(connection, account=None, region=REGION))
    assert [(row.resource_id, row.account) for row in rows] == [("vpc-other", OTHER), ("vpc-a", ACCOUNT)]
    assert len({row.destination_key for row in rows}) == 2, "each account has a group of that name"


def test_the_buckets_policy_is_made_ready(here: Api) -> None:
    here.create("vpc-a")
    bucket = here.buckets.bucket("logs")
    assert bucket is not None
    assert bucket.policy is not None


# Parameters --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameters", "code", "text"),
    [
        ({"ResourceIds": None}, "MissingParameter", MISSING.format("ResourceIds")),
        ({"ResourceType": None}, "MissingParameter", MISSING.format("ResourceType")),
        ({"TrafficType": None}, "MissingParameter", MISSING.format("TrafficType")),
        ({"TrafficType": "all"}, "InvalidParameterValue", "It must be ALL, ACCEPT or REJECT"),
        ({"ResourceType": "Vpc"}, "InvalidParameterValue", "It must be VPC, Subnet, NetworkInterface or Regional"),
        ({"ResourceType": "TransitGateway"}, "InvalidParameter", "nothing here can record them yet"),
        ({"ResourceType": "CoreNetworkEdge", "TrafficType": None}, "InvalidParameter", "can record them yet"),
        ({"ResourceIds": ["subnet-a"]}, "InvalidParameterValue", 'Invalid id: "subnet-a" (expecting "vpc-...")'),
        ({"ResourceIds": ["vpc-"]}, "InvalidParameterValue", 'Invalid id: "vpc-"'),
        ({"ResourceIds": ["vpc-" + "a" * 300]}, "InvalidParameterValue", "Invalid id:"),
        ({"ResourceIds": [f"vpc-{n}" for n in range(301)]}, "InvalidParameterValue", "301 ResourceIds"),
        ({"ResourceIds": ["vpc-a", "vpc-b", "vpc-a"]}, "InvalidParameter", "vpc-a more than once"),
        ({"MaxAggregationInterval": 61}, "InvalidParameter", "Invalid Flow Log Max Aggregation Interval"),
        ({"MaxAggregationInterval": 0}, "InvalidParameter", "Invalid Flow Log Max Aggregation Interval"),
        ({"LogDestinationType": "kafka"}, "InvalidParameterValue", "cloud-watch-logs, s3 or kinesis-data-firehose"),
        ({"ClientToken": "x" * 65}, "InvalidParameterValue", "ClientToken must have 1 to 64"),
        ({"ClientToken": "ü"}, "InvalidParameterValue", "ClientToken must have 1 to 64"),
        ({"DestinationOptions": {"FileFormat": "orc"}}, "InvalidParameterValue", "plain-text or parquet"),
    ],
)
def test_wrong_parameters_are_refused(empty: Api, parameters: dict[str, Any], code: str, text: str) -> None:
    found, message = empty.refused(**parameters)
    assert (found, text in message) == (code, True), message
    assert empty.described() == []


def test_all_faults_of_the_parameters_are_told_at_once(empty: Api) -> None:
    code, message = empty.refused("eni-a", TrafficType="SOME", MaxAggregationInterval=5, LogDestination=None)
    assert code == "InvalidParameterValue"
    for part in ("eni-a", "SOME", "Aggregation Interval", "LogDestination can't be empty"):
        assert part in message


def test_parameters_come_before_the_format_and_that_before_resources(empty: Api) -> None:
    assert "Interval" in empty.refused("vpc-x", LogFormat="x", MaxAggregationInterval=1)[1]
    assert empty.refused("vpc-x", LogFormat="${x}")[0] == "InvalidParameter"
    assert empty.refused("vpc-x")[0] == "InvalidVpcID.NotFound"


# Destinations ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        ({"LogDestination": None}, "LogDestination can't be empty if LogGroupName is not provided."),
        ({"LogDestination": ""}, "LogDestination can't be empty if LogGroupName is not provided."),
        ({"LogGroupName": "g"}, "LogDestination type must be cloud-watch-logs if LogGroupName is provided."),
        (
            to_log_group(DeliverLogsPermissionArn=None),
            "DeliverLogsPermissionArn can't be empty if LogDestinationType is cloud-watch-logs.",
        ),
        (
            to_log_group(LogDestination=f"{GROUP}g"),
            "Give LogDestination or LogGroupName, not both.",
        ),
        (to_log_group("a b"), "LogGroupName 'a b' is not a log group's name"),
        (to_log_group("a" * 513), "is not a log group's name"),
        ({"DeliverLogsPermissionArn": ROLE}, "DeliverLogsPermissionArn is not applicable for s3 delivery"),
        ({"DeliverCrossAccountRole": CROSS}, "DeliverCrossAccountRole is not applicable for s3 delivery"),
        (to_log_group(DeliverLogsPermissionArn="role"), "'role' is not the ARN of an IAM role"),
        (_stream(OTHER, DeliverLogsPermissionArn=ROLE, DeliverCrossAccountRole=ROLE), "the role's name must begin"),
        (_stream(DeliverLogsPermissionArn=ROLE), "not applicable for delivery to a stream in the same account"),
        (
            _stream(OTHER, DeliverLogsPermissionArn=ROLE),
            "DeliverCrossAccountRole can't be empty if the",
        ),
        (_stream(DestinationOptions={"FileFormat": "parquet"}), "FileFormat parquet is only for"),
        (to_log_group(DestinationOptions={"PerHourPartition": True}), "PerHourPartition is only for"),
        ({"LogDestination": "arn:aws:s3:::logs/AWSLogs/"}, "the folder name AWSLogs is reserved"),
        ({"LogDestination": "arn:aws:s3:::logs/a/AWSLogs/b"}, "the folder name AWSLogs is reserved"),
        ({"LogDestination": "arn:aws:s3:::logs/a/../b"}, "no part that is empty"),
        ({"LogDestination": "arn:aws:s3:::logs//"}, "no part that is empty"),
        ({"LogDestination": "arn:aws:s3:::" + "logs/" + "a" * 513}, "at most 512"),
        ({"LogDestination": "arn:aws:s3:::logs/a\nb"}, "printable"),
        ({"LogDestination": "arn:aws:s3:::Logs"}, "is not the ARN of an S3 bucket"),
        ({"LogDestination": "arn:aws:s3:::a..b"}, "no bucket can be named 'a..b'"),
        ({"LogDestination": "arn:aws:s3:::10.0.0.1"}, "no bucket can be named"),
        ({"LogDestination": "logs"}, "is not the ARN of an S3 bucket"),
        ({"LogDestinationType": "kinesis-data-firehose"}, "is not the ARN of a delivery stream"),
    ],
)
def test_destinations_that_do_not_fit_are_refused(empty: Api, parameters: dict[str, Any], text: str) -> None:
    code, message = empty.refused(**parameters)
    assert (code, text in message) == ("InvalidParameter", True), message
    assert empty.described() == []


@pytest.mark.parametrize(
    "parameters",
    [
        to_log_group(None, LogDestinationType="cloud-watch-logs", LogDestination=f"{GROUP}/a.b-c_d#e:*"),
        to_log_group(DeliverLogsPermissionArn=f"arn:aws-cn:iam::{ACCOUNT}:role/service-role/team/flow-logs"),
        to_log_group(DestinationOptions={"FileFormat": "plain-text"}),
        {"LogDestination": "arn:aws-us-gov:s3:::logs/"},
        {"LogDestination": "arn:aws:s3:::logs/AWSLogs2/x/"},
        {"DeliverLogsPermissionArn": "", "LogGroupName": ""},
        _stream(),
        _stream(LogDestination=f"arn:aws:firehose:{REGION}:{ACCOUNT}:deliverystream:flows"),
        _stream(OTHER, DeliverLogsPermissionArn=ROLE, DeliverCrossAccountRole=CROSS),
    ],
)  # fmt: skip
def test_destinations_that_fit_are_taken(here: Api, parameters: dict[str, Any]) -> None:
    assert here.create(**parameters)["Unsuccessful"] == []


def test_the_log_group_of_an_arn_is_named_and_found(here: Api) -> None:
    arn = f"{GROUP}flows:*"
    here.create(**to_log_group(None, LogDestination=arn))
    [one] = here.described(Filter=[{"Name": "log-group-name", "Values": ["flows"]}])
    assert (one["LogGroupName"], one["LogDestination"]) == ("flows", arn)


def test_one_destination_written_in_two_ways_is_one() -> None:
    s3, cwl, firehose = DestinationType.S3, DestinationType.CLOUD_WATCH_LOGS, DestinationType.FIREHOSE
    stream = "arn:aws:firehose:r:123456789012:deliverystream"
    pairs: list[tuple[DestinationType, str, str]] = [
        (s3, "arn:aws:s3:::logs/a", "arn:aws:s3:::logs/a/"),
        (s3, "arn:aws:s3:::logs", "arn:aws:s3:::logs/"),
        (cwl, "arn:aws:logs:r:123456789012:log-group:g", "arn:aws:logs:r:123456789012:log-group:g:*"),
        (firehose, f"{stream}/s", f"{stream}:s"),
    ]
    for kind, first, second in pairs:
        keys = {arns.destination_key(arns.parse_destination(kind, arn)) for arn in (first, second)}
        assert len(keys) == 1
    assert arns.log_group("g", "123456789012", "r") == arns.parse_destination(
        cwl, "arn:aws:logs:r:123456789012:log-group:g"
    )


def test_a_missing_bucket_is_an_unsuccessful_item_and_leaves_nothing(here: Api) -> None:
    answer = here.create("vpc-a", LogDestination="arn:aws:s3:::nowhere", ClientToken="t")
    assert answer["FlowLogIds"] == []
    assert answer["Unsuccessful"] == [
        {"ResourceId": "vpc-a", "Error": {"Code": "400", "Message": "LogDestination: nowhere does not exist."}}
    ]
    assert here.described() == []
    here.buckets.create_bucket("nowhere", NOW_MS)
    assert here.create("vpc-a", LogDestination="arn:aws:s3:::nowhere", ClientToken="t")["Unsuccessful"] == []


# Formats -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", " ", "${start} ", " ${start}", "${start}  ${end}", "start", "${start}x"])
def test_a_format_of_another_form_is_answered_in_awss_words(empty: Api, text: str) -> None:
    code, message = empty.refused(LogFormat=text)
    assert code == "InvalidParameter"
    assert message.startswith(f"1 validation error detected: Value '{text}' at 'logFormat' has an invalid format")


def test_every_unknown_field_is_named_with_its_nearest_match(empty: Api) -> None:
    _, message = empty.refused(LogFormat="${versoin} ${start} ${src_addr} ${qqqq}")
    assert "${versoin}, did you mean ${version}" in message
    assert "${src_addr}, did you mean ${srcaddr}" in message
    assert "${qqqq}" in message


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        ({"LogFormat": "${start} ${end} ${start}"}, "${start} is there twice"),
        ({"LogFormat": "${tgw-id}"}, "only flow logs of transit gateways have: ${tgw-id}"),
        ({"LogFormat": "${version} " * 1000}, "at most 8192"),
        (
            {"LogFormat": "${instance-tag}"},
            "needs a tag key of resource type instance; name it in TagFieldSpecifications",
        ),
        (
            {
                "LogFormat": "${instance-tag} ${instance-tag-2}",
                "TagFieldSpecifications": [{"ResourceType": "instance", "TagKeys": ["Name"]}],
            },
            "needs a second tag key of resource type instance; name it in TagFieldSpecifications",
        ),
        (
            {"TagFieldSpecifications": [{"ResourceType": "instance", "TagKeys": ["Name"]}]},
            "no field of LogFormat shows them: leave them out, or add ${instance-tag} or ${instance-tag-2}",
        ),
    ],
)
def test_formats_that_cannot_be_written_are_refused(empty: Api, parameters: dict[str, Any], text: str) -> None:
    code, message = empty.refused(**parameters)
    assert (code, text in message) == ("InvalidParameter", True), message


@pytest.mark.parametrize(
    ("listed", "code", "text"),
    [
        ([("volume", ["a"])], "InvalidParameterValue", "It must be instance, network-interface or auto-scaling-group"),
        ([("instance", ["a"])] * 2, "InvalidParameter", "more than once"),
        ([("instance", ["a"])] * 4, "InvalidParameterValue", "4 TagFieldSpecifications"),
        ([("instance", ["a", "b", "c"])], "InvalidParameterValue", "3 keys; it must have 1 or 2"),
        ([("instance", ["a" * 129])], "InvalidParameterValue", "1 to 128 characters"),
        ([("instance", [""])], "InvalidParameterValue", "1 to 128 characters"),
        ([("instance", ["a", "a"])], "InvalidParameter", "one tag key twice"),
    ],
)
def test_wrong_tag_fields_are_refused(empty: Api, listed: list[tuple[str, list[str]]], code: str, text: str) -> None:
    specifications = [{"ResourceType": kind, "TagKeys": keys} for kind, keys in listed]
    found, message = empty.refused(LogFormat="${instance-tag}", TagFieldSpecifications=specifications)
    assert (found, text in message) == (code, True), message


# Tags --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("specifications", "code", "text"),
    [
        ([_tags(("a", "b"), kind="vpc")], "InvalidParameterValue", "'vpc' is not a valid taggable resource type"),
        ([_tags(("a", "b")), _tags(("c", "d"))], "InvalidParameter", "vpc-flow-log more than once"),
        ([_tags(("k" * 128, "b"))], "InvalidParameterValue", "more than 127 characters"),
        ([_tags(("a", "v" * 257))], "InvalidParameterValue", "more than 256 characters"),
        ([_tags(("AWS:x", "b"))], "InvalidParameterValue", "Tag keys starting with 'aws:' are reserved"),
        ([_tags(("a", "b"), ("a", "c"))], "InvalidParameterValue", "Duplicate tag key 'a' specified"),
        ([_tags(("", "b"))], "InvalidParameterValue", "A tag has no key"),
        ([_tags(*((str(n), "") for n in range(51)))], "TagLimitExceeded", "51 tags"),
    ],
)
def test_wrong_tags_are_refused(empty: Api, specifications: list[dict[str, Any]], code: str, text: str) -> None:
    found, message = empty.refused(TagSpecifications=specifications)
    assert (found, text in message) == (code, True), message
    assert empty.described() == []


def test_as_many_and_as_long_tags_as_may_be_are_kept(here: Api) -> None:
    here.create(TagSpecifications=[_tags(*((f"{n:02}".ljust(127, "k"), "v" * 256) for n in range(50)))])
    assert len(here.described()[0]["Tags"]) == 50


# Resources and conflicts -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "ids", "code", "text"),
    [
        ("VPC", ["vpc-x"], "InvalidVpcID.NotFound", "The vpc ID 'vpc-x' does not exist"),
        ("VPC", ["vpc-x", "vpc-a", "vpc-y"], "InvalidVpcID.NotFound", "The vpc IDs 'vpc-x, vpc-y' do not exist"),
        ("VPC", ["vpc-far"], "InvalidVpcID.NotFound", "vpc-far"),
        ("Subnet", ["subnet-x"], "InvalidSubnetID.NotFound", "The subnet ID 'subnet-x' does not exist"),
        ("NetworkInterface", ["eni-x"], "InvalidNetworkInterfaceID.NotFound", "eni-x"),
        ("RegionalNatGateway", ["nat-x"], "NatGatewayNotFound", "nat-x"),
    ],
)
def test_missing_resources_fail_the_whole_request(empty: Api, kind: str, ids: list[str], code: str, text: str) -> None:
    found, message = empty.refused(*ids, ResourceType=kind)
    assert (found, text in message) == (code, True), message
    assert empty.described() == []


def test_a_key_of_one_account_sees_no_other_resources(here: Api) -> None:
    bound = replace(here, account=ACCOUNT)
    assert bound.refused("vpc-other")[0] == "InvalidVpcID.NotFound"
    here.create("vpc-other")
    assert bound.described() == []
    assert len(here.described()) == 1


def test_an_equal_flow_log_fails_the_request_of_one_resource(here: Api) -> None:
    here.create("vpc-a", LogDestination="arn:aws:s3:::logs/x")
    assert here.refused("vpc-a", LogDestination="arn:aws:s3:::logs/x/") == ("FlowLogAlreadyExists", EXISTS)
    assert here.refused("vpc-a", LogDestination="arn:aws:s3:::logs/x/", LogFormat="${start}")[1] == EXISTS


def test_another_traffic_type_or_destination_is_another_flow_log(here: Api) -> None:
    here.create("vpc-a")
    here.create("vpc-a", TrafficType="REJECT")
    here.create("vpc-a", LogDestination="arn:aws:s3:::logs/x")
    assert len(here.described()) == 3


def test_of_several_resources_those_that_can_be_logged_are(here: Api) -> None:
    here.create("vpc-a")
    answer = here.create("vpc-a", "vpc-b")
    assert answer["Unsuccessful"] == [
        {"ResourceId": "vpc-a", "Error": {"Code": "FlowLogAlreadyExists", "Message": EXISTS}}
    ]
    assert [one["ResourceId"] for one in here.described()] == ["vpc-a", "vpc-b"]


def test_a_resource_has_no_more_flow_logs_than_aws_allows(here: Api) -> None:
    here.create("vpc-a")
    [row] = here.services.store.read(lambda connection: flow_logs.find(connection, account=None, region=None))
    more: list[FlowLogRow] = [replace(row, id=f"fl-{n:017x}", destination_key=str(n)) for n in range(MAX_FLOW_LOGS - 2)]
    here.services.store.write(lambda connection: flow_logs.insert(connection, more))
    assert here.create("vpc-a", LogDestination="arn:aws:s3:::logs/last")["Unsuccessful"] == []
    answer = here.create("vpc-a", "vpc-b", LogDestination="arn:aws:s3:::logs/over")
    assert [(one["ResourceId"], one["Error"]["Code"]) for one in answer["Unsuccessful"]] == [
        ("vpc-a", "FlowLogsLimitExceeded")
    ]
    assert len(answer["FlowLogIds"]) == 1


def test_of_equal_requests_at_once_one_makes_the_flow_log(here: Api) -> None:
    def attempt(_: int) -> str:
        try:
            return str(here.create("vpc-a")["FlowLogIds"])
        except Exception as fault:
            return type(fault).__name__

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(attempt, range(16)))
    assert outcomes.count("FlowLogAlreadyExists") == 15, outcomes
    assert len(here.described()) == 1


# Tokens and dry runs -----------------------------------------------------------------------------------------


def test_a_client_token_gives_its_first_answer_again(here: Api) -> None:
    first = here.create("vpc-a", ClientToken="token")
    assert first["ClientToken"] == "token"
    assert here.create("vpc-a", ClientToken="token") == first
    assert len(here.described()) == 1


def test_a_client_token_with_other_parameters_is_refused(here: Api) -> None:
    here.create("vpc-a", ClientToken="token")
    assert here.refused("vpc-b", ClientToken="token")[0] == "IdempotentParameterMismatch"
    assert here.refused("vpc-a", ClientToken="token", DryRun=True)[0] == "DryRunOperation"


def test_client_tokens_differ_by_case_account_and_region(here: Api) -> None:
    here.create("vpc-a", ClientToken="token")
    here.create("vpc-b", ClientToken="TOKEN")
    replace(here, account=OTHER).create("vpc-other", ClientToken="token")
    replace(here, region="us-east-1").create("vpc-far", ClientToken="token")


def test_a_client_token_is_forgotten_after_a_day(here: Api) -> None:
    here.create("vpc-a", ClientToken="token")
    here.now_ms += TOKEN_LIFE_MS
    assert here.refused("vpc-b", ClientToken="token")[0] == "IdempotentParameterMismatch"
    here.now_ms += 1
    assert len(here.create("vpc-b", ClientToken="token")["FlowLogIds"]) == 1


def test_a_token_is_made_where_none_was_sent_and_holds(here: Api) -> None:
    first, second = here.create("vpc-a"), here.create("vpc-b")
    assert len(base64.b64decode(first["ClientToken"])) == 32
    assert first["ClientToken"] != second["ClientToken"]
    assert here.create("vpc-a", ClientToken=first["ClientToken"]) == first


def test_of_equal_requests_with_one_token_at_once_all_get_one_answer(here: Api) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: here.create("vpc-a", ClientToken="token"), range(16)))
    assert all(answer == answers[0] for answer in answers)
    assert len(here.described()) == 1


def test_a_dry_run_makes_nothing_and_checks_before(here: Api) -> None:
    code, message = here.refused("vpc-a", DryRun=True)
    assert (code, message) == ("DryRunOperation", "Request would have succeeded, but DryRun flag is set.")
    assert here.refused("vpc-x", DryRun=True)[0] == "InvalidVpcID.NotFound"
    assert here.described() == []
    bucket = here.buckets.bucket("logs")
    assert bucket is not None
    assert bucket.policy is None
