"""CreateFlowLogs as a whole, over loopback: what is there already, tokens, dry runs, the order of faults, the wire.

Source: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateFlowLogs.html and
https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-idempotency.html
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from typing import Any, Final

import pytest
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
    VPC_OTHER,
    Api,
    Site,
    check,
    open_site,
    refused,
    tagged,
    to_group,
    to_stream,
)
from tests.support.servers import SAMPLE_ACCOUNT

from flowglass.fields import DEFAULT_FORMAT

EXISTS: Final = "Error. There is an existing Flow Log with the same configuration and log destination."
S3: Final = "arn:aws:s3:::"
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


# What is there, and what exists already ----------------------------------------------------------------------

UNKNOWN_ROWS: Final = {
    "VPC": ("VPC", [VPC, "vpc-0000dead"], "InvalidVpcID.NotFound", "^The vpc ID 'vpc-0000dead' does not exist$"),
    "VPCs": (
        "VPC",
        ["vpc-0000dead", VPC, "vpc-0000beef"],
        "InvalidVpcID.NotFound",
        "^The vpc IDs 'vpc-0000dead, vpc-0000beef' do not exist$",
    ),
    "a VPC of another Region": ("VPC", [VPC, VPC_FAR], "InvalidVpcID.NotFound", f"'{VPC_FAR}'"),
    "a subnet": ("Subnet", [SUBNET, "subnet-0000dead"], "InvalidSubnetID.NotFound", "subnet ID 'subnet-0000dead'"),
    "an interface": (
        "NetworkInterface",
        [ENI, "eni-0000dead"],
        "InvalidNetworkInterfaceID.NotFound",
        "^The networkInterface ID 'eni-0000dead' does not exist$",
    ),
    "a gateway": ("RegionalNatGateway", [GATEWAY, "nat-0000dead"], "NatGatewayNotFound", "'nat-0000dead'"),
}


@pytest.mark.parametrize("row", UNKNOWN_ROWS.values(), ids=UNKNOWN_ROWS)
def test_one_unknown_resource_refuses_the_request_and_the_known_one_gets_no_flow_log(
    api: Api, row: tuple[str, list[str], str, str]
) -> None:
    kind, ids, code, pattern = row
    check(refused(api, ResourceType=kind, ResourceIds=ids), code, pattern)


def test_an_equal_flow_log_refuses_a_request_for_the_only_resource(api: Api) -> None:
    api.create(LogFormat="${version}")
    check(refused(api, MaxAggregationInterval=60), "FlowLogAlreadyExists", f"^{re.escape(EXISTS)}$")


def test_of_several_resources_the_one_with_an_equal_flow_log_is_told_and_the_others_get_theirs(api: Api) -> None:
    api.create(VPC)
    answer = api.create(VPC, VPC_B)
    assert answer["Unsuccessful"] == [{"ResourceId": VPC, "Error": {"Code": "FlowLogAlreadyExists", "Message": EXISTS}}]
    assert [one["ResourceId"] for one in api.described(FlowLogIds=answer["FlowLogIds"])] == [VPC_B]
    assert len(api.described()) == 2


@pytest.mark.parametrize(
    "other",
    [{"TrafficType": "REJECT"}, {"LogDestination": f"{S3}{BUCKET}/b"}, to_group(), to_stream()],
    ids=["traffic", "folder", "group", "stream"],
)
def test_another_traffic_type_or_destination_is_another_flow_log(api: Api, other: dict[str, Any]) -> None:
    api.create()
    assert api.create(**other)["Unsuccessful"] == []
    assert len(api.described()) == 2


def test_a_resource_has_at_most_250_flow_logs(api: Api) -> None:
    for number in range(249):
        api.create(SUBNET, ResourceType="Subnet", **to_group(f"group-{number}"))
    assert api.create(SUBNET, ResourceType="Subnet", **to_group("the-250th"))["Unsuccessful"] == []
    answer = api.create(SUBNET, ResourceType="Subnet", **to_group("the-251st"))
    [item] = answer["Unsuccessful"]
    assert (answer["FlowLogIds"], item["ResourceId"]) == ([], SUBNET)
    assert item["Error"] == {
        "Code": "FlowLogsLimitExceeded",
        "Message": f"{SUBNET} has 250 flow logs; a resource can have no more",
    }
    assert len(api.described()) == 250
    check(refused(api, ResourceIds=[SUBNET], ResourceType="Subnet", **to_group("group-0")), "FlowLogAlreadyExists", "")


def test_the_flow_log_is_of_the_account_that_owns_the_resource(api: Api) -> None:
    api.create(VPC_OTHER, VPC)
    policy = json.loads(api.site.files()[f"buckets/{BUCKET}.json"])["policy"]
    writes = {one["Resource"] for one in policy["Statement"] if one["Sid"].startswith("AWSLogDeliveryWrite")}
    assert writes == {f"{S3}{BUCKET}/AWSLogs/{account}/*" for account in (OTHER_ACCOUNT, SAMPLE_ACCOUNT)}


def test_resources_and_flow_logs_of_other_regions_are_not_seen(api: Api) -> None:
    far = api.site.api(region=OTHER_REGION)
    [made] = far.create(VPC_FAR)["FlowLogIds"]
    assert api.described() == []
    assert [one["FlowLogId"] for one in far.described()] == [made]
    assert far.refused(VPC).code == "InvalidVpcID.NotFound"
    assert api.refusal("DescribeFlowLogs", FlowLogIds=[made]).code == "InvalidFlowLogId.NotFound"


# Client tokens and dry runs ----------------------------------------------------------------------------------


def test_the_same_token_and_parameters_give_the_same_answer_and_make_nothing_new(api: Api) -> None:
    first = api.create(ClientToken="t" * 64)
    with api.site.unchanged():
        assert api.create(ClientToken="t" * 64) == first
    assert first["ClientToken"] == "t" * 64


@pytest.mark.parametrize(
    "change",
    [
        {"ResourceIds": [VPC_B]},
        {"ResourceIds": [VPC, VPC_B]},
        {"ResourceIds": [VPC_B, VPC]},
        {"TrafficType": "REJECT"},
        {"MaxAggregationInterval": 600},
        {"LogFormat": str(DEFAULT_FORMAT)},
        {"LogDestination": f"{S3}{BUCKET}/"},
        {"TagSpecifications": [tagged(("a", "b"))]},
    ],
    ids=lambda change: next(iter(change)),
)
def test_the_same_token_with_other_parameters_is_a_mismatch(api: Api, change: dict[str, Any]) -> None:
    api.create(ClientToken="mismatch")
    with api.site.unchanged():
        check(api.refused(ClientToken="mismatch", **change), "IdempotentParameterMismatch", "'mismatch' was used")


def test_a_token_is_of_its_region_and_differs_by_case(api: Api) -> None:
    api.create(ClientToken="token")
    assert api.create(VPC_B, ClientToken="Token")["Unsuccessful"] == []
    assert api.site.api(region=OTHER_REGION).create(VPC_FAR, ClientToken="token")["Unsuccessful"] == []


def test_a_token_answers_even_when_what_it_made_was_deleted(api: Api) -> None:
    first = api.create(ClientToken="deleted")
    api.clear()
    assert api.create(ClientToken="deleted") == first
    assert api.described() == []


def test_a_token_of_a_partly_successful_call_gives_the_same_parts_again(api: Api) -> None:
    api.create(VPC)
    first = api.create(VPC, VPC_B, ClientToken="partly")
    api.clear()
    assert api.create(VPC, VPC_B, ClientToken="partly") == first


def test_a_token_of_a_call_that_made_nothing_is_not_kept(api: Api) -> None:
    missing = api.create(ClientToken="made-nothing", LogDestination=f"{S3}not-there")
    assert missing["FlowLogIds"] == []
    assert api.create(ClientToken="made-nothing")["Unsuccessful"] == []


def test_a_token_is_made_where_none_was_sent_and_can_be_sent_again(api: Api) -> None:
    answer = api.create()
    assert len(base64.b64decode(answer["ClientToken"], validate=True)) == 32
    assert api.create(ClientToken=answer["ClientToken"]) == answer
    assert len(api.described()) == 1


def test_a_dry_run_that_would_succeed_says_so_and_does_nothing(api: Api) -> None:
    refusal = refused(api, DryRun=True, TagSpecifications=[tagged(("a", "b"))])
    check(refusal, "DryRunOperation", "^Request would have succeeded, but DryRun flag is set.$", 412)


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"TrafficType": "SOME"}, VALUE),
        ({"LogFormat": "${nothing}"}, WRONG),
        ({"ResourceIds": ["vpc-0000dead"]}, "InvalidVpcID.NotFound"),
    ],
)
def test_a_dry_run_with_a_fault_says_the_fault(api: Api, parameters: dict[str, Any], code: str) -> None:
    check(refused(api, DryRun=True, **parameters), code, "")


# The order of faults -----------------------------------------------------------------------------------------

BAD_PARAMETER: Final = {"TrafficType": "SOME"}
BAD_FORMAT: Final = {"LogFormat": "${nothing}"}
NO_RESOURCE: Final = {"ResourceIds": [VPC, "vpc-0000dead"]}
NO_BUCKET: Final = {"LogDestination": f"{S3}not-there"}
ORDER_ROWS: Final = {
    "parameter and format": (BAD_PARAMETER | BAD_FORMAT, VALUE, "SOME", "nothing"),
    "parameter and resource": (BAD_PARAMETER | NO_RESOURCE, VALUE, "SOME", "vpc-0000dead"),
    "parameter and destination": (BAD_PARAMETER | NO_BUCKET, VALUE, "SOME", "not-there"),
    "format and resource": (BAD_FORMAT | NO_RESOURCE, WRONG, "nothing", "vpc-0000dead"),
    "format and destination": (BAD_FORMAT | NO_BUCKET, WRONG, "nothing", "not-there"),
    "resource and destination": (NO_RESOURCE | NO_BUCKET, "InvalidVpcID.NotFound", "vpc-0000dead", "not-there"),
    "resource and conflict": (NO_RESOURCE, "InvalidVpcID.NotFound", "vpc-0000dead", "existing"),
    "parameter and conflict": (BAD_PARAMETER, VALUE, "SOME", "existing"),
    "format and conflict": (BAD_FORMAT, WRONG, "nothing", "existing"),
    "format and token": (BAD_FORMAT | {"ClientToken": "order"}, WRONG, "nothing", "order"),
}


@pytest.mark.parametrize("row", ORDER_ROWS.values(), ids=ORDER_ROWS)
def test_of_two_kinds_of_faults_the_earlier_is_told(api: Api, row: tuple[dict[str, Any], str, str, str]) -> None:
    parameters, code, told, untold = row
    api.create(ClientToken="order")
    with api.site.unchanged():
        refusal = api.refused(**parameters)
    check(refusal, code, told)
    assert untold not in refusal.message


def test_a_conflict_is_told_before_the_destination(api: Api) -> None:
    api.site.buckets.create_bucket("taken-away", 0)
    gone = {"LogDestination": f"{S3}taken-away"}
    api.create(**gone)
    (api.site.data / "buckets" / "taken-away.json").unlink()
    check(api.refused(**gone), "FlowLogAlreadyExists", "existing Flow Log")
    answer = api.create(VPC, VPC_B, **gone)
    assert {item["ResourceId"]: item["Error"]["Code"] for item in answer["Unsuccessful"]} == {
        VPC: "FlowLogAlreadyExists",
        VPC_B: "400",
    }


def test_the_action_is_told_before_parameters_and_the_signature_before_the_action(api: Api) -> None:
    parameters = [("Bogus", "1")]
    assert api.raw("MakeFlowLogs", *parameters).refusal.code == "InvalidAction"
    forged = api.raw("MakeFlowLogs", *parameters, secret="other")  # noqa: S106, of nobody
    assert (forged.refusal.code, forged.status) == ("SignatureDoesNotMatch", 403)


def test_all_faults_of_the_parameters_are_told_at_once(api: Api) -> None:
    refusal = refused(
        api,
        ResourceIds=[ENI, VPC, VPC],
        TrafficType="SOME",
        MaxAggregationInterval=5,
        LogDestination=f"{S3}{BUCKET}/AWSLogs",
        DeliverLogsPermissionArn=ROLE,
        DestinationOptions={"FileFormat": "orc"},
        TagSpecifications=[tagged(("aws:a", "")), tagged(("b", "v" * 257))],
        TagFieldSpecifications=[{"ResourceType": "instance", "TagKeys": ["a", "b", "c"]}],
    )
    for part in (
        f'Invalid id: "{ENI}"',
        f"{VPC} more than once",
        "SOME",
        "Invalid Flow Log Max Aggregation Interval",
        "AWSLogs is reserved",
        "not applicable for s3",
        "orc",
        "'aws:' are reserved",
        "more than 256",
        "has 3 keys",
    ):
        assert part in refusal.message, (part, refusal.message)


def test_all_faults_of_the_format_are_told_at_once(api: Api) -> None:
    refusal = refused(api, LogFormat="${first} ${second} ${version} ${third}")
    assert all(name in refusal.message for name in ("first", "second", "third"))


# On the wire -------------------------------------------------------------------------------------------------

GOOD: Final = (
    ("ResourceId.1", VPC),
    ("ResourceType", "VPC"),
    ("TrafficType", "ALL"),
    ("LogDestinationType", "s3"),
    ("LogDestination", f"{S3}{BUCKET}"),
)
RAW_ROWS: Final[dict[str, tuple[tuple[tuple[str, str], ...], str, str]]] = {
    "an unknown parameter": ((*GOOD, ("Nonsense", "1")), "UnknownParameter", "^The parameter Nonsense is not recog"),
    "two unknown parameters": ((*GOOD, ("B", "1"), ("A", "2")), "UnknownParameter", "The parameters B, A are not rec"),
    "a parameter twice": ((*GOOD, ("TrafficType", "ALL")), "InvalidRequest", "TrafficType is in the request twice"),
    "a list without numbers": ((*GOOD[1:], ("ResourceId", VPC)), VALUE, r"resourceId is invalid"),
    "a list that begins at 0": (
        (*GOOD[1:], ("ResourceId.0", VPC)),
        "UnknownParameter",
        "^The parameter ResourceId.0 is",
    ),
    "a structure as a value": ((*GOOD, ("DestinationOptions", "x")), VALUE, "destinationOptions is invalid"),
    "an unknown part": ((*GOOD, ("DestinationOptions.Zip", "x")), "UnknownParameter", "DestinationOptions.Zip"),
    "no truth value": ((*GOOD, ("DryRun", "maybe")), VALUE, r"Value \(maybe\) for parameter dryRun is invalid"),
    "no number": ((*GOOD, ("MaxAggregationInterval", "ten")), VALUE, r"Value \(ten\) for parameter maxAggregation"),
    "a fraction": ((*GOOD, ("MaxAggregationInterval", "60.0")), VALUE, r"Value \(60.0\) for parameter maxAggre"),
    "an empty client token": ((*GOOD, ("ClientToken", "")), VALUE, "ClientToken must have 1 to 64"),
    "nothing at all": ((), "MissingParameter", "ResourceIds, ResourceType parameters"),
}


@pytest.mark.parametrize("row", RAW_ROWS.values(), ids=RAW_ROWS)
def test_forms_that_no_sdk_sends_are_refused(api: Api, row: tuple[tuple[tuple[str, str], ...], str, str]) -> None:
    pairs, code, pattern = row
    with api.site.unchanged():
        reply = api.raw("CreateFlowLogs", *pairs)
    check(reply.refusal, code, pattern)
    assert reply.headers["content-type"].startswith("text/xml")


@pytest.mark.parametrize(
    ("version", "code"), [(None, "MissingParameter"), ("2014-10-01", "NoSuchVersion"), ("", "MissingParameter")]
)
def test_the_version_of_the_api_is_needed(api: Api, version: str | None, code: str) -> None:
    with api.site.unchanged():
        assert api.raw("CreateFlowLogs", *GOOD, version=version).refusal.code == code


@pytest.mark.parametrize("method", ["POST", "GET"])
def test_the_answer_has_awss_form(api: Api, method: str) -> None:
    reply = api.raw("CreateFlowLogs", *GOOD, method=method)
    assert reply.status == 200
    request_id, token, made = reply.first("requestId"), reply.first("clientToken"), reply.first("item")
    assert reply.text == (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<CreateFlowLogsResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">'
        f"<requestId>{request_id}</requestId><clientToken>{token}</clientToken>"
        f"<flowLogIdSet><item>{made}</item></flowLogIdSet><unsuccessful/></CreateFlowLogsResponse>"
    )
    assert re.fullmatch("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", str(request_id))
    assert reply.headers["x-amzn-requestid"] == request_id
    assert re.fullmatch("fl-[0-9a-f]{17}", str(made))


def test_a_fault_has_awss_form(api: Api) -> None:
    reply = api.raw("CreateFlowLogs")
    assert re.fullmatch(
        r'<\?xml version="1.0" encoding="UTF-8"\?>\n<Response><Errors><Error><Code>MissingParameter</Code>'
        r"<Message>[^<]+</Message></Error></Errors><RequestID>[0-9a-f-]{36}</RequestID></Response>",
        reply.text,
    )


def test_lists_may_have_holes_and_any_order(api: Api) -> None:
    pairs = (("ResourceId.7", VPC_B), *GOOD[1:], ("ResourceId.3", VPC))
    assert api.raw("CreateFlowLogs", *pairs).status == 200
    assert [one["ResourceId"] for one in api.described()] == [VPC, VPC_B]


def test_ids_of_flow_logs_tell_nothing_and_never_repeat(api: Api) -> None:
    made = []
    for _ in range(5):
        made += api.create(VPC, VPC_B)["FlowLogIds"]
        api.clear()
    assert len(set(made)) == 10


def test_every_call_of_these_tests_has_its_line_in_the_audit_log(site: Site) -> None:
    site.api().ask("DescribeFlowLogs")
    site.check_audit()
