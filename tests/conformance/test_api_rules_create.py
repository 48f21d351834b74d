"""CreateFlowLogs over loopback: every rule of AWS's page, and that nothing is half done after a refusal.

Source: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateFlowLogs.html; errors:
https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final

import pytest
from tests.support.raw_api import (
    BUCKET,
    ENI,
    ENIS,
    GATEWAY,
    OTHER_ACCOUNT,
    OTHER_REGION,
    ROLE,
    SUBNET,
    VPC,
    VPC_B,
    Api,
    Site,
    check,
    open_site,
    refused,
    tagged,
    to_group,
    to_stream,
)
from tests.support.servers import SAMPLE_ACCOUNT, SAMPLE_REGION

from flowglass.fields import DEFAULT_FORMAT

Row = tuple[dict[str, Any], str, str]
"""Parameters, the code that refuses them with status 400, and a pattern that is found in the message."""

MUST: Final = "The request must include the {} parameter. Add the required parameter and retry the request."
EXISTS: Final = "Error. There is an existing Flow Log with the same configuration and log destination."
GROUP_ARN: Final = f"arn:aws:logs:{SAMPLE_REGION}:{SAMPLE_ACCOUNT}:log-group:"
CROSS_ROLE: Final = f"arn:aws:iam::{OTHER_ACCOUNT}:role/AWSLogDeliveryFirehoseCrossAccountRole-1"
UNRECORDED: Final = (
    "TransitGateway",
    "TransitGatewayAttachment",
    "CoreNetwork",
    "CoreNetworkEdge",
    "CoreNetworkAttachment",
)
WRONG, VALUE = "InvalidParameter", "InvalidParameterValue"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    opened = open_site(tmp_path_factory.mktemp("create"))
    yield opened
    opened.running.stop()


@pytest.fixture
def api(site: Site) -> Iterator[Api]:
    """The API, with no flow log in it and a bucket that has no policy."""
    site.buckets.put_policy(BUCKET, None)
    here = site.api()
    yield here
    here.clear()
    site.api(region=OTHER_REGION).clear()


# Resources, traffic, interval --------------------------------------------------------------------------------

PLAIN_ROWS: Final[dict[str, Row]] = {
    "no resource": ({"ResourceIds": []}, "MissingParameter", f"^{re.escape(MUST.format('ResourceIds'))}$"),
    "no type": ({"ResourceType": None}, "MissingParameter", f"^{re.escape(MUST.format('ResourceType'))}$"),
    "no traffic type": ({"TrafficType": None}, "MissingParameter", f"^{re.escape(MUST.format('TrafficType'))}$"),
    "301 resources": ({"ResourceIds": list(ENIS), "ResourceType": "NetworkInterface"}, VALUE, "301 ResourceIds.* 300"),
    "a type in small letters": ({"ResourceType": "vpc"}, VALUE, "It must be VPC, Subnet, NetworkInterface or Reg"),
    "an unknown type": ({"ResourceType": "Instance"}, VALUE, r"Value \(Instance\) for parameter ResourceType"),
    "an id of another kind": ({"ResourceIds": [SUBNET]}, VALUE, rf'Invalid id: "{SUBNET}" \(expecting "vpc-...'),
    "kinds mixed": ({"ResourceIds": [VPC, SUBNET]}, VALUE, f'Invalid id: "{SUBNET}"'),
    "an empty id": ({"ResourceIds": [""]}, VALUE, 'Invalid id: ""'),
    "a resource twice": ({"ResourceIds": [VPC, VPC_B, VPC]}, WRONG, f"{VPC} more than once"),
    "traffic in small letters": ({"TrafficType": "all"}, VALUE, "It must be ALL, ACCEPT or REJECT"),
    "an unknown traffic type": ({"TrafficType": "DROP"}, VALUE, r"Value \(DROP\) for parameter TrafficType"),
    **{
        f"interval {seconds}": (
            {"MaxAggregationInterval": seconds},
            WRONG,
            "^Invalid Flow Log Max Aggregation Interval$",
        )
        for seconds in (-60, 0, 59, 61, 599, 601, 2**31 - 1)
    },
    "an interval beyond 32 bits": ({"MaxAggregationInterval": 2**31}, VALUE, "maxAggregationInterval is invalid"),
    "a client token of 65": ({"ClientToken": "x" * 65}, VALUE, "ClientToken must have 1 to 64"),
    "a client token beyond ASCII": ({"ClientToken": "tökén"}, VALUE, "ClientToken must have 1 to 64"),
    **{
        f"{kind}, which nothing records": (
            {"ResourceType": kind, "ResourceIds": ["tgw-0a"]},
            WRONG,
            f"{kind} cannot be",
        )
        for kind in UNRECORDED
    },
    "a transit gateway has no traffic type": (
        {"ResourceType": "TransitGateway", "ResourceIds": ["tgw-0a"], "TrafficType": None},
        WRONG,
        "^Flow logs of resource type TransitGateway cannot be made",
    ),
}


@pytest.mark.parametrize("row", PLAIN_ROWS.values(), ids=PLAIN_ROWS)
def test_resources_traffic_and_interval_have_their_rules(api: Api, row: Row) -> None:
    parameters, code, pattern = row
    check(refused(api, **parameters), code, pattern)


@pytest.mark.parametrize(
    ("kind", "resource"),
    [("VPC", VPC), ("Subnet", SUBNET), ("NetworkInterface", ENI), ("RegionalNatGateway", GATEWAY)],
)
@pytest.mark.parametrize("traffic", ["ALL", "ACCEPT", "REJECT"])
def test_every_kind_and_traffic_type_that_can_be_recorded_is_taken(
    api: Api, kind: str, resource: str, traffic: str
) -> None:
    [made] = api.create(resource, ResourceType=kind, TrafficType=traffic)["FlowLogIds"]
    [described] = api.described()
    assert (described["FlowLogId"], described["ResourceId"], described["TrafficType"]) == (made, resource, traffic)


def test_300_resources_are_taken_in_one_call_and_each_gets_its_flow_log(api: Api) -> None:
    answer = api.create(*ENIS[:300], ResourceType="NetworkInterface")
    assert answer["Unsuccessful"] == []
    made = [(one["FlowLogId"], one["ResourceId"]) for one in api.described()]
    assert made == list(zip(answer["FlowLogIds"], ENIS[:300], strict=True))
    assert len(set(answer["FlowLogIds"])) == 300


@pytest.mark.parametrize(("sent", "kept"), [(60, 60), (600, 600), (None, 600)])
def test_the_interval_is_60_or_600_seconds_and_600_by_default(api: Api, sent: int | None, kept: int) -> None:
    api.create(MaxAggregationInterval=sent)
    assert api.described()[0]["MaxAggregationInterval"] == kept


# Destinations ------------------------------------------------------------------------------------------------

S3: Final = "arn:aws:s3:::"
DESTINATION_ROWS: Final[dict[str, Row]] = {
    "an unknown type": (
        {"LogDestinationType": "kafka"},
        VALUE,
        "It must be cloud-watch-logs, s3 or kinesis-data-firehose",
    ),
    "neither destination nor group": (
        {"LogDestination": None},
        WRONG,
        "^LogDestination can't be empty if LogGroupName is not provided.$",
    ),
    "neither, for a log group": (to_group(None), WRONG, "^LogDestination can't be empty if LogGroupName is not p"),
    "an empty destination": ({"LogDestination": ""}, WRONG, "^LogDestination can't be empty"),
    "a group name for s3": (
        {"LogDestination": None, "LogGroupName": "group"},
        WRONG,
        "^LogDestination type must be cloud-watch-logs if LogGroupName is provided.$",
    ),
    "a group name beside a bucket": ({"LogGroupName": "group"}, WRONG, "^LogDestination type must be cloud-watch-logs"),
    "a group name for a stream": (to_stream(LogGroupName="group"), WRONG, "^LogDestination type must be cloud-watch-l"),
    "group and destination": (to_group(LogDestination=f"{GROUP_ARN}a"), WRONG, "LogDestination or LogGroupName, not"),
    "no role for a log group": (
        to_group(DeliverLogsPermissionArn=None),
        WRONG,
        "^DeliverLogsPermissionArn can't be empty if LogDestinationType is cloud-watch-logs.$",
    ),
    "a role for s3": (
        {"DeliverLogsPermissionArn": ROLE},
        WRONG,
        "^DeliverLogsPermissionArn is not applicable for s3 delivery$",
    ),
    "a role that is none": (to_group(DeliverLogsPermissionArn="flow-logs"), WRONG, "'flow-logs' is not the ARN of an"),
    "a user in place of a role": (
        to_group(DeliverLogsPermissionArn=f"arn:aws:iam::{SAMPLE_ACCOUNT}:user/ada"),
        WRONG,
        "is not the ARN of an IAM role",
    ),
    "a cross-account role for s3": ({"DeliverCrossAccountRole": CROSS_ROLE}, WRONG, "not applicable for s3"),
    "a cross-account role for a group": (
        to_group(DeliverCrossAccountRole=CROSS_ROLE),
        WRONG,
        "not applicable for cloud-watch-logs",
    ),
    "a cross-account role of another name": (
        to_stream(account=OTHER_ACCOUNT, DeliverLogsPermissionArn=ROLE, DeliverCrossAccountRole=ROLE),
        WRONG,
        "must begin AWSLogDeliveryFirehoseCrossAccountRole",
    ),
    "another account's stream without roles": (
        to_stream(account=OTHER_ACCOUNT),
        WRONG,
        "DeliverLogsPermissionArn can't be empty.* DeliverCrossAccountRole can't be empty",
    ),
    "roles for a stream of one's own": (
        to_stream(DeliverLogsPermissionArn=ROLE, DeliverCrossAccountRole=CROSS_ROLE),
        WRONG,
        "DeliverLogsPermissionArn is not applicable.* DeliverCrossAccountRole is not applicable",
    ),
    "a bucket's name alone": ({"LogDestination": BUCKET}, WRONG, f"'{BUCKET}' is not the ARN of an S3 bucket"),
    "a bucket's ARN for a log group": (
        to_group(None, LogDestination=f"{S3}{BUCKET}"),
        WRONG,
        "is not the ARN of a log group",
    ),
    "a log group's ARN for s3": ({"LogDestination": f"{GROUP_ARN}a"}, WRONG, "is not the ARN of an S3 bucket"),
    "a stream's ARN for s3": ({"LogDestination": to_stream()["LogDestination"]}, WRONG, "is not the ARN of an S3"),
    "a bucket's ARN for a stream": (to_stream(LogDestination=f"{S3}{BUCKET}"), WRONG, "not the ARN of a delivery str"),
    "no bucket can have that name": ({"LogDestination": f"{S3}10.0.0.1"}, WRONG, "no bucket can be named '10.0.0.1'"),
    "the folder AWSLogs": ({"LogDestination": f"{S3}{BUCKET}/AWSLogs/"}, WRONG, "the folder name AWSLogs is reserved"),
    "a folder AWSLogs further down": ({"LogDestination": f"{S3}{BUCKET}/a/AWSLogs"}, WRONG, "AWSLogs is reserved"),
    "an empty part of a folder": ({"LogDestination": f"{S3}{BUCKET}/a//b"}, WRONG, "no part that is empty"),
    "a folder that leads out": ({"LogDestination": f"{S3}{BUCKET}/../other"}, WRONG, r"no part that is empty, \. or"),
    "a group's name of other characters": (to_group("a group"), WRONG, "'a group' is not a log group's name"),
    "a group's name of 513": (to_group("g" * 513), WRONG, "1 to 512 letters"),
    "an unknown file format": (
        {"DestinationOptions": {"FileFormat": "orc"}},
        VALUE,
        "DestinationOptions.FileFormat is invalid. It must be plain-text or parquet",
    ),
    **{
        f"{option} for {where}": (
            {**place, "DestinationOptions": {option: value}},
            WRONG,
            f"{option}.* only for the log destination type s3",
        )
        for option, value in (("FileFormat", "parquet"), ("HiveCompatiblePartitions", True), ("PerHourPartition", True))
        for where, place in (("a group", to_group()), ("a stream", to_stream()))
    },
}


@pytest.mark.parametrize("row", DESTINATION_ROWS.values(), ids=DESTINATION_ROWS)
def test_destinations_have_their_rules(api: Api, row: Row) -> None:
    parameters, code, pattern = row
    check(refused(api, **parameters), code, pattern)


@pytest.mark.parametrize(
    ("place", "again"),
    [
        ({"LogDestination": f"{S3}{BUCKET}/team/net"}, {"LogDestination": f"{S3}{BUCKET}/team/net/"}),
        ({"LogDestination": f"{S3}{BUCKET}"}, {"LogDestination": f"{S3}{BUCKET}/"}),
        (to_group("/vpc/flows"), to_group(None, LogDestination=f"{GROUP_ARN}/vpc/flows:*")),
        (to_group("/vpc/flows"), to_group(None, LogDestination=f"{GROUP_ARN}/vpc/flows")),
        (
            to_stream(),
            to_stream(LogDestination=f"arn:aws:firehose:{SAMPLE_REGION}:{SAMPLE_ACCOUNT}:deliverystream:flows"),
        ),
    ],
    ids=["a folder", "a bucket", "a group", "a group without the star", "a stream"],
)
def test_both_ways_to_write_a_destination_are_taken_and_mean_the_same(
    api: Api, place: dict[str, Any], again: dict[str, Any]
) -> None:
    api.create(**place)
    check(refused(api, **again), "FlowLogAlreadyExists", f"^{re.escape(EXISTS)}$")
    api.clear()
    api.create(**again)
    described = api.described()[0]
    if "LogDestination" in again:
        assert described["LogDestination"] == again["LogDestination"], "as it was sent"


def test_a_log_group_or_stream_that_is_not_there_is_taken_and_nothing_is_made_before_there_is_something(
    api: Api,
) -> None:
    before = api.site.files()
    api.create(**to_group("not/there"))
    api.create(**to_stream("not-there"))
    assert api.site.files() == before


def test_streams_of_other_accounts_are_taken_with_both_roles(api: Api) -> None:
    roles = {"DeliverLogsPermissionArn": ROLE, "DeliverCrossAccountRole": CROSS_ROLE}
    api.create(**to_stream(account=OTHER_ACCOUNT, **roles))
    [described] = api.described()
    assert {name: described[name] for name in roles} == roles


def test_destination_options_are_kept_and_false_ones_are_taken_everywhere(api: Api) -> None:
    options = {"FileFormat": "parquet", "HiveCompatiblePartitions": True, "PerHourPartition": True}
    plain = {"FileFormat": "plain-text", "HiveCompatiblePartitions": False, "PerHourPartition": False}
    api.create(DestinationOptions=options)
    api.create(VPC_B, **to_group(DestinationOptions=plain))
    first, second = api.described()
    assert first["DestinationOptions"] == options
    assert "DestinationOptions" not in second, "only objects have a format"


def test_a_missing_bucket_makes_nothing_and_says_which(api: Api) -> None:
    with api.site.unchanged():
        answer = api.create(VPC, VPC_B, LogDestination=f"{S3}not-there")
    error = {"Code": "400", "Message": "LogDestination: not-there does not exist."}
    assert answer["FlowLogIds"] == []
    assert answer["Unsuccessful"] == [{"ResourceId": one, "Error": error} for one in (VPC, VPC_B)]


def _policy(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


DENY: Final = {"Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": f"{S3}{BUCKET}/*"}
ALLOW: Final = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "s3:GetObject", "Resource": f"{S3}{BUCKET}/*"}


@pytest.mark.parametrize(
    ("policy", "code", "pattern"),
    [
        (_policy(DENY), "400", f"^Access Denied for LogDestination: {BUCKET}. Please check LogDestination permission$"),
        (
            _policy({**ALLOW, "NotPrincipal": {"AWS": "*"}} | {"Principal": None}),
            "400",
            "NotPrincipal or NotAction, to which nothing is added",
        ),
        (
            _policy({**ALLOW, "Resource": [f"{S3}{BUCKET}/{n:05}/" + "x" * 480 for n in range(40)]}),
            "LogDestinationPermissionIssueException",
            "may have 20480",
        ),
    ],
    ids=["denied", "NotPrincipal", "over 20 KB"],
)
def test_a_bucket_whose_policy_stands_against_it_keeps_it_and_no_flow_log_is_made(
    api: Api, policy: dict[str, Any], code: str, pattern: str
) -> None:
    policy["Statement"] = [
        {key: value for key, value in one.items() if value is not None} for one in policy["Statement"]
    ]
    api.site.buckets.put_policy(BUCKET, policy)
    with api.site.unchanged():
        answer = api.create()
    [item] = answer["Unsuccessful"]
    assert (answer["FlowLogIds"], item["ResourceId"], item["Error"]["Code"]) == ([], VPC, code)
    assert re.search(pattern, item["Error"]["Message"]), item


def test_a_bucket_encrypted_with_a_key_that_is_no_arn_is_undeliverable(api: Api) -> None:
    encryption = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "1234abcd-12ab-34cd-56ef-1234567890ab"}
    api.site.buckets.put_encryption(BUCKET, encryption)
    try:
        answer = api.create()
    finally:
        api.site.buckets.put_encryption(BUCKET, None)
    assert [item["Error"]["Message"] for item in answer["Unsuccessful"]] == [
        f"LogDestination {BUCKET} is undeliverable"
    ]
    assert api.described() == []


def test_the_policy_gets_what_delivery_needs_once_and_keeps_what_it_had(api: Api) -> None:
    api.site.buckets.put_policy(BUCKET, _policy(ALLOW))
    api.create(LogDestination=f"{S3}{BUCKET}/team")
    path = "buckets/flows.json"
    first = api.site.files()[path]
    statements = json.loads(first)["policy"]["Statement"]
    assert statements[0] == ALLOW
    assert [one["Sid"] for one in statements[1:]] == ["AWSLogDeliveryWrite", "AWSLogDeliveryAclCheck"]
    assert statements[1]["Resource"] == f"{S3}{BUCKET}/team/AWSLogs/{SAMPLE_ACCOUNT}/*"
    api.create(VPC_B, LogDestination=f"{S3}{BUCKET}/team")
    assert api.site.files()[path] == first


# Formats -----------------------------------------------------------------------------------------------------

INVALID: Final = r"^1 validation error detected: Value '{}' at 'logFormat' has an invalid format"
FORMAT_ROWS: Final[dict[str, tuple[str, str]]] = {
    "unknown, and garbage": ("${no-such-field} garbage", INVALID.format(r"\$\{no-such-field\} garbage")),
    "unknown fields": ("${srcadr} ${version} ${dstprt}", r"srcadr.*srcaddr.*dstprt.*dstport"),
    "a trailing blank": ("${version} ", INVALID.format(r"\$\{version\} ")),
    "a leading blank": (" ${version}", INVALID.format(r" \$\{version\}")),
    "two blanks": ("${version}  ${action}", INVALID.format(r"\$\{version\}  \$\{action\}")),
    "a comma": ("${version},${action}", INVALID.format(r"\$\{version\},\$\{action\}")),
    "names without braces": ("version action", INVALID.format("version action")),
    "a brace that is missing": ("${version} ${action", INVALID.format(r"\$\{version\} \$\{action")),
    "a doubled dollar": ("$${version}", INVALID.format(r"\$\$\{version\}")),
    "quotes": ("'${version}'", INVALID.format(r"'\$\{version\}'")),
    "nothing": ("", INVALID.format("")),
    "a line end": ("${version}\n${action}", "has an invalid format"),
    "capitals": ("${Version}", "Version"),
    "a field twice": ("${version} ${action} ${version}", "version"),
    "transit gateways' fields": ("${version} ${tgw-id}", r"only flow logs of transit gateways have: \$\{tgw-id\}"),
    "more than there can be": (" ".join(["${version}"] * 900), "it may have at most 8192"),
}


@pytest.mark.parametrize("row", FORMAT_ROWS.values(), ids=FORMAT_ROWS)
def test_a_format_that_is_none_is_refused(api: Api, row: tuple[str, str]) -> None:
    text, pattern = row
    check(refused(api, LogFormat=text), WRONG, pattern)


@pytest.mark.parametrize(
    "text", ["${version}", "${log-status} ${version} ${action}", "${version} ${x-verdict-source}", None]
)
def test_the_format_is_described_as_sent_and_awss_default_where_none_was(api: Api, text: str | None) -> None:
    api.create(LogFormat=text)
    assert api.described()[0]["LogFormat"] == (text or str(DEFAULT_FORMAT))


# Tags and tag fields -----------------------------------------------------------------------------------------

TAG_ROWS: Final[dict[str, Row]] = {
    "of another resource type": (
        {"TagSpecifications": [tagged(("a", "b"), kind="vpc")]},
        VALUE,
        "'vpc' is not a valid",
    ),
    "of no resource type": (
        {"TagSpecifications": [{"Tags": [{"Key": "a", "Value": "b"}]}]},
        VALUE,
        "not a valid taggable resource type",
    ),
    "two specifications": (
        {"TagSpecifications": [tagged(("a", "b")), tagged(("c", "d"))]},
        WRONG,
        "vpc-flow-log more than once",
    ),
    "a key of 128": ({"TagSpecifications": [tagged(("k" * 128, ""))]}, VALUE, "has more than 127 characters"),
    "a value of 257": ({"TagSpecifications": [tagged(("k", "v" * 257))]}, VALUE, "more than 256 characters"),
    "no key": ({"TagSpecifications": [tagged(("", "v"))]}, VALUE, "A tag has no key"),
    "AWS's keys": ({"TagSpecifications": [tagged(("aws:a", "v"))]}, VALUE, "'aws:' are reserved"),
    "AWS's keys in capitals": ({"TagSpecifications": [tagged(("AWS:a", "v"))]}, VALUE, "'aws:' are reserved"),
    "a key twice": ({"TagSpecifications": [tagged(("a", "b"), ("a", "c"))]}, VALUE, "Duplicate tag key 'a'"),
    "51 tags": (
        {"TagSpecifications": [tagged(*((f"k{n}", "") for n in range(51)))]},
        "TagLimitExceeded",
        "has 51 tags; a flow log has at most 50",
    ),
}
TAGGED_FORMAT: Final = "${version} ${instance-tag}"


def _fields(*keys: str, kind: str = "instance", text: str = TAGGED_FORMAT) -> dict[str, Any]:
    return {"LogFormat": text, "TagFieldSpecifications": [{"ResourceType": kind, "TagKeys": list(keys)}]}


TAG_FIELD_ROWS: Final[dict[str, Row]] = {
    "an unknown kind": (_fields("a", kind="vpc"), VALUE, "It must be .*network-interface"),
    "three keys": (_fields("a", "b", "c"), VALUE, "has 3 keys; it must have 1 or 2"),
    "no key": (_fields(), VALUE, "has 0 keys; it must have 1 or 2"),
    "an empty key": (_fields(""), VALUE, "must have 1 to 128 characters"),
    "a key of 129": (_fields("k" * 129), VALUE, "must have 1 to 128 characters"),
    "a key twice": (_fields("a", "a"), WRONG, "has one tag key twice"),
    "a kind twice": (
        {"LogFormat": TAGGED_FORMAT, "TagFieldSpecifications": [*_fields("a")["TagFieldSpecifications"]] * 2},
        WRONG,
        "instance more than once",
    ),
    "four kinds": (
        {
            "LogFormat": TAGGED_FORMAT,
            "TagFieldSpecifications": [{"ResourceType": f"kind-{n}", "TagKeys": ["a"]} for n in range(4)],
        },
        VALUE,
        "has 4 TagFieldSpecifications; it may have at most 3",
    ),
    "a field without keys": ({"LogFormat": TAGGED_FORMAT}, WRONG, "instance-tag"),
    "a second field with one key": (_fields("a", text="${instance-tag} ${instance-tag-2}"), WRONG, "instance-tag-2"),
    "keys without a field": (_fields("a", text="${version}"), WRONG, "no field of LogFormat shows them"),
    "keys with the default format": (_fields("a") | {"LogFormat": None}, WRONG, "no field of LogFormat shows them"),
}


@pytest.mark.parametrize("row", TAG_ROWS.values(), ids=TAG_ROWS)
def test_tags_have_their_rules(api: Api, row: Row) -> None:
    parameters, code, pattern = row
    check(refused(api, **parameters), code, pattern)


@pytest.mark.parametrize("row", TAG_FIELD_ROWS.values(), ids=TAG_FIELD_ROWS)
def test_tag_fields_have_their_rules(api: Api, row: Row) -> None:
    parameters, code, pattern = row
    check(refused(api, **parameters), code, pattern)


def test_tags_at_their_limits_are_put_on_every_flow_log_of_the_call(api: Api) -> None:
    tags = [("k" * 127, "v" * 256), ("Empty", ""), ("empty", "ä/%+ &="), *((f"k{n}", "v") for n in range(47))]
    api.create(VPC, VPC_B, TagSpecifications=[tagged(*tags)])
    for described in api.described():
        assert {tag["Key"]: tag["Value"] for tag in described["Tags"]} == dict(tags)


def test_tag_fields_of_all_kinds_at_their_limits_are_described_as_sent(api: Api) -> None:
    kinds = ("network-interface", "instance", "auto-scaling-group")
    specifications = [{"ResourceType": kind, "TagKeys": ["k" * 128, "Ä"]} for kind in kinds]
    names = [f"${{{kind}-tag{which}}}" for kind in ("interface", "instance", "asg") for which in ("", "-2")]
    api.create(LogFormat=" ".join(names), TagFieldSpecifications=specifications)
    assert api.described()[0]["TagFieldSpecifications"] == specifications


def test_every_call_of_these_tests_has_its_line_in_the_audit_log(site: Site) -> None:
    site.api().ask("DescribeFlowLogs")
    site.check_audit()
