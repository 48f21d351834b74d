"""DescribeFlowLogs over loopback: members, filters, pages and refusals, with two agents' inventories.

Source: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeFlowLogs.html and, for filters,
https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Filtering.html
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import pytest
from botocore.exceptions import ClientError
from tests.support.raw_api import (
    BUCKET,
    ENI,
    ENIS,
    OTHER_REGION,
    ROLE,
    SUBNET,
    VPC,
    VPC_B,
    VPC_FAR,
    VPC_OTHER,
    Api,
    Site,
    open_site,
    tagged,
    to_group,
    to_stream,
    write_inventory,
)
from tests.support.servers import SAMPLE_ACCOUNT, SAMPLE_INVENTORY, SAMPLE_REGION, SAMPLE_VPC

from flowglass.fields import DEFAULT_FORMAT

_PLACE: Final = f"aws:logs:{SAMPLE_REGION}:{SAMPLE_ACCOUNT}"
VALUE: Final = "InvalidParameterValue"
NOT_FOUND: Final = "These flow log ids in the input list are not found: [TotalCount: {}] {}"


@dataclass(frozen=True, slots=True)
class Filled:
    """A server with six flow logs, oldest first, by the name of each."""

    site: Site
    ids: dict[str, str]

    @property
    def api(self) -> Api:
        """The administrator's view."""
        return self.site.api()

    def found(self, *filters: tuple[str, list[str]], **parameters: Any) -> list[str]:
        """The names of the flow logs that filters leave."""
        listed = [{"Name": name, "Values": values} for name, values in filters]
        names = {made: name for name, made in self.ids.items()}
        return [names[one["FlowLogId"]] for one in self.api.described(Filters=listed, **parameters)]

    def told(self, name: str) -> dict[str, Any]:
        """One of them as it is described."""
        [described] = self.api.described(FlowLogIds=[self.ids[name]])
        return described


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("describe")
    opened = open_site(folder, inventories=[write_inventory(folder / "rack.yaml"), SAMPLE_INVENTORY])
    yield opened
    opened.running.stop()


@pytest.fixture(scope="module")
def filled(site: Site) -> Filled:
    api = site.api()

    def made(resource: str, **parameters: Any) -> str:
        [one] = api.create(resource, **parameters)["FlowLogIds"]
        return str(one)

    tags = {"TagSpecifications": [tagged(("stage", "test"), ("team", "net"))]}
    ids = {
        "bucket": made(VPC, **tags),
        "rejects": made(VPC, TrafficType="REJECT", TagSpecifications=[tagged(("stage", "Test"))]),
        "group": made(VPC_B, **to_group("/vpc/flows")),
        "subnet": made(
            SUBNET, ResourceType="Subnet", **to_group(None, LogDestination=f"arn:{_PLACE}:log-group:subnet:*")
        ),
        "stream": made(ENI, ResourceType="NetworkInterface", TrafficType="ACCEPT", **to_stream()),
        "sample": made(SAMPLE_VPC, MaxAggregationInterval=60, LogFormat="${version}", **tags),
    }
    return Filled(site, ids)


# What is told ------------------------------------------------------------------------------------------------


def test_a_flow_log_to_a_bucket_is_described_whole(filled: Filled) -> None:
    told = filled.told("bucket")
    created = told.pop("CreationTime")
    assert abs(time.time() - created.timestamp()) < 300
    assert created.microsecond % 1000 == 0
    assert told == {
        "DeliverLogsStatus": "SUCCESS",
        "FlowLogId": filled.ids["bucket"],
        "FlowLogStatus": "ACTIVE",
        "ResourceId": VPC,
        "TrafficType": "ALL",
        "LogDestinationType": "s3",
        "LogDestination": f"arn:aws:s3:::{BUCKET}",
        "LogFormat": str(DEFAULT_FORMAT),
        "Tags": [{"Key": "stage", "Value": "test"}, {"Key": "team", "Value": "net"}],
        "MaxAggregationInterval": 600,
        "DestinationOptions": {
            "FileFormat": "plain-text",
            "HiveCompatiblePartitions": False,
            "PerHourPartition": False,
        },
    }


def test_the_log_group_is_told_of_its_name_or_its_arn_and_of_nothing_else(filled: Filled) -> None:
    named, by_arn = filled.told("group"), filled.told("subnet")
    assert (named["LogGroupName"], named["DeliverLogsPermissionArn"]) == ("/vpc/flows", ROLE)
    assert (by_arn["LogGroupName"], by_arn["LogDestination"]) == ("subnet", f"arn:{_PLACE}:log-group:subnet:*")
    assert not [name for name in ("bucket", "stream") if "LogGroupName" in filled.told(name)]


def test_the_answer_has_awss_element_names(filled: Filled) -> None:
    reply = filled.api.raw("DescribeFlowLogs", ("FlowLogId.1", filled.ids["bucket"]))
    item = re.search("<flowLogSet><item>(.*)</item></flowLogSet></DescribeFlowLogsResponse>$", reply.text)
    assert item, reply.text
    assert re.search(r"<creationTime>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z</creationTime>", item[1])
    options = "<fileFormat>plain-text</fileFormat><hiveCompatiblePartitions>false</hiveCompatiblePartitions>"
    assert f"<destinationOptions>{options}<perHourPartition>false</perHourPartition></destinationOptions>" in item[1]
    assert "<tagSet><item><key>stage</key><value>test</value></item>" in item[1]
    assert "nextToken" not in reply.text


def test_flow_logs_are_listed_in_order_of_creation(filled: Filled) -> None:
    assert filled.found() == list(filled.ids)
    asked = [filled.ids[name] for name in ("sample", "bucket", "group", "bucket")]
    assert [one["FlowLogId"] for one in filled.api.described(FlowLogIds=asked)] == [
        filled.ids[name] for name in ("bucket", "group", "sample")
    ]


# Filters -----------------------------------------------------------------------------------------------------

FILTER_ROWS: Final[dict[str, tuple[list[tuple[str, list[str]]], list[str]]]] = {
    "traffic type": ([("traffic-type", ["REJECT"])], ["rejects"]),
    "values are alternatives": ([("traffic-type", ["REJECT", "ACCEPT"])], ["rejects", "stream"]),
    "filters must all match": ([("traffic-type", ["ALL"]), ("resource-id", [VPC])], ["bucket"]),
    "filters that exclude each other": ([("traffic-type", ["ALL"]), ("traffic-type", ["REJECT"])], []),
    "resource": ([("resource-id", [VPC, ENI])], ["bucket", "rejects", "stream"]),
    "a resource that is not there": ([("resource-id", ["vpc-0000dead"])], []),
    "destination type": ([("log-destination-type", ["s3"])], ["bucket", "rejects", "sample"]),
    "the default destination type": ([("log-destination-type", ["cloud-watch-logs"])], ["group", "subnet"]),
    "group by name": ([("log-group-name", ["/vpc/flows"])], ["group"]),
    "group by ARN": ([("log-group-name", ["subnet"])], ["subnet"]),
    "status": ([("deliver-log-status", ["SUCCESS"])], ["bucket", "rejects", "group", "subnet", "stream", "sample"]),
    "case differs": ([("traffic-type", ["reject"])], []),
    "tag": ([("tag:stage", ["test"])], ["bucket", "sample"]),
    "tag with either value": ([("tag:stage", ["test", "Test"])], ["bucket", "rejects", "sample"]),
    "tag that nothing has": ([("tag:Stage", ["test"])], []),
    "tag key": ([("tag-key", ["team"])], ["bucket", "sample"]),
    "tag key or another": ([("tag-key", ["stage", "nothing"])], ["bucket", "rejects", "sample"]),
    "a star": ([("log-group-name", ["/vpc/*"])], ["group"]),
    "a question mark": ([("tag:stage", ["?est"])], ["bucket", "rejects", "sample"]),
    "a star alone": ([("log-group-name", ["*"])], ["group", "subnet"]),
    "a star that is meant": ([("log-group-name", [r"\*"])], []),
}


@pytest.mark.parametrize("row", FILTER_ROWS.values(), ids=FILTER_ROWS)
def test_filters_leave_what_matches(filled: Filled, row: tuple[list[tuple[str, list[str]]], list[str]]) -> None:
    filters, names = row
    assert filled.found(*filters) == names


def test_the_filter_of_ids_finds_those_there_are_and_the_member_of_ids_is_filtered_too(filled: Filled) -> None:
    ids = [filled.ids["stream"], filled.ids["bucket"], "fl-00000000000000000"]
    assert filled.found(("flow-log-id", ids)) == ["bucket", "stream"]
    assert filled.found(("traffic-type", ["ACCEPT"]), FlowLogIds=ids[:2]) == ["stream"]


def test_the_models_own_name_of_the_filters_works_as_its_alias(filled: Filled) -> None:
    [one] = filled.api.described(Filter=[{"Name": "resource-id", "Values": [VPC_B]}])
    assert one["FlowLogId"] == filled.ids["group"]


BAD_FILTERS: Final[dict[str, tuple[list[dict[str, Any]], str]]] = {
    "unknown": ([{"Name": "no-such", "Values": ["a"]}], "^The filter 'no-such' is invalid$"),
    "all unknown ones": (
        [{"Name": "a", "Values": ["1"]}, {"Name": "resource-id", "Values": [VPC]}, {"Name": "b", "Values": ["2"]}],
        "'a' is invalid.*'b' is invalid",
    ),
    "the member's name": ([{"Name": "deliver-logs-status", "Values": ["FAILED"]}], "'deliver-logs-status' is invalid"),
    "capitals": ([{"Name": "Resource-Id", "Values": [VPC]}], "'Resource-Id' is invalid"),
    "a tag without a key": ([{"Name": "tag:", "Values": ["a"]}], "'tag:' is invalid"),
    "no name": ([{"Values": ["a"]}], "is invalid"),
    "no value": ([{"Name": "resource-id", "Values": []}], "'resource-id' has no value"),
    "201 values": ([{"Name": "resource-id", "Values": [f"vpc-{n}" for n in range(201)]}], "more than 200"),
    "256 characters": ([{"Name": "resource-id", "Values": ["v" * 256]}], "longer than 255"),
    "51 filters": ([{"Name": f"tag:{n}", "Values": ["a"]} for n in range(51)], "There are 51 filters"),
}


@pytest.mark.parametrize("row", BAD_FILTERS.values(), ids=BAD_FILTERS)
def test_filters_that_are_none_are_refused(filled: Filled, row: tuple[list[dict[str, Any]], str]) -> None:
    listed, pattern = row
    refusal = filled.api.refusal("DescribeFlowLogs", Filters=listed)
    assert (refusal.code, refusal.status) == (VALUE, 400)
    assert re.search(pattern, refusal.message), refusal.message


def test_filters_at_their_limits_are_taken(filled: Filled) -> None:
    assert filled.found(("resource-id", [VPC_B, *(f"vpc-{n}" for n in range(199))])) == ["group"]
    assert filled.found(("resource-id", ["v" * 255])) == []
    assert filled.found(*[("resource-id", [VPC_B])] * 50) == ["group"]


# Pages -------------------------------------------------------------------------------------------------------


def _pages(api: Api, **parameters: Any) -> list[list[str]]:
    pages = []
    token: dict[str, str] = {}
    while True:
        answer = api.ask("DescribeFlowLogs", **parameters, **token)
        pages.append([one["FlowLogId"] for one in answer["FlowLogs"]])
        if "NextToken" not in answer:
            return pages
        token = {"NextToken": answer["NextToken"]}


@pytest.mark.parametrize(
    ("size", "lengths"), [(1, [1] * 6), (4, [4, 2]), (3, [3, 3]), (5, [5, 1]), (6, [6]), (1000, [6])]
)
def test_pages_have_every_flow_log_once_and_the_last_has_no_token(
    filled: Filled, size: int, lengths: list[int]
) -> None:
    pages = _pages(filled.api, MaxResults=size)
    assert [len(page) for page in pages] == lengths
    assert [made for page in pages for made in page] == list(filled.ids.values())


def test_filtered_pages_are_full(filled: Filled) -> None:
    listed = [{"Name": "log-destination-type", "Values": ["s3"]}]
    assert _pages(filled.api, MaxResults=2, Filters=listed) == [
        [filled.ids["bucket"], filled.ids["rejects"]],
        [filled.ids["sample"]],
    ]


def test_botocores_paginator_gets_all(filled: Filled) -> None:
    client = filled.site.client("ec2", filled.api.key, SAMPLE_REGION, validates=True)
    pages = list(client.get_paginator("describe_flow_logs").paginate(PaginationConfig={"PageSize": 2}))
    filled.site.calls += [("DescribeFlowLogs", None, filled.api.key.id)] * len(pages)
    assert [len(page["FlowLogs"]) for page in pages] == [2, 2, 2]
    assert [one["FlowLogId"] for page in pages for one in page["FlowLogs"]] == list(filled.ids.values())


def test_what_is_made_and_deleted_between_pages_moves_nothing(filled: Filled) -> None:
    api = filled.api
    answer = api.ask("DescribeFlowLogs", MaxResults=4)
    made = api.create(VPC_OTHER)
    rest = api.ask("DescribeFlowLogs", MaxResults=4, NextToken=answer["NextToken"])
    assert [one["FlowLogId"] for one in rest["FlowLogs"]] == [*list(filled.ids.values())[4:], *made["FlowLogIds"]]
    api.ask("DeleteFlowLogs", FlowLogIds=made["FlowLogIds"])
    again = api.ask("DescribeFlowLogs", NextToken=answer["NextToken"])
    assert [one["FlowLogId"] for one in again["FlowLogs"]] == list(filled.ids.values())[4:]


@pytest.mark.parametrize("size", [-1, 0, 1001])
def test_a_page_has_1_to_1000(filled: Filled, size: int) -> None:
    refusal = filled.api.refusal("DescribeFlowLogs", MaxResults=size)
    assert refusal.code == VALUE
    assert f"Value ({size}) for parameter MaxResults is invalid. It must be 1 to 1000" in refusal.message


def test_ids_and_pages_exclude_each_other(filled: Filled) -> None:
    refusal = filled.api.refusal("DescribeFlowLogs", MaxResults=5, FlowLogIds=[filled.ids["bucket"]])
    assert refusal.code == "InvalidParameterCombination"


def test_a_token_is_good_for_its_own_request_alone(filled: Filled) -> None:
    api = filled.api
    listed = [{"Name": "log-destination-type", "Values": ["s3"]}]
    token = api.ask("DescribeFlowLogs", MaxResults=1)["NextToken"]
    other = {
        "filters": api.refusal("DescribeFlowLogs", MaxResults=1, NextToken=token, Filters=listed),
        "region": filled.site.api(region=OTHER_REGION).refusal("DescribeFlowLogs", NextToken=token),
        "action": api.refusal("DescribeVpcs", NextToken=token),
        "changed": api.refusal("DescribeFlowLogs", NextToken=token[:-4] + "AAA="),
        "made up": api.refusal("DescribeFlowLogs", NextToken="eyJvZmZzZXQiOjJ9"),
        "no base64": api.refusal("DescribeFlowLogs", NextToken="ü"),
    }
    assert {name: refusal.code for name, refusal in other.items()} == dict.fromkeys(other, "InvalidNextToken")
    assert len(api.ask("DescribeFlowLogs", MaxResults=1, NextToken=token)["FlowLogs"]) == 1


# Ids ---------------------------------------------------------------------------------------------------------


def test_unknown_ids_are_all_told_in_awss_words_and_refuse_the_request(filled: Filled) -> None:
    unknown = ["fl-00000000000000000", "fl-1"]
    refusal = filled.api.refusal("DescribeFlowLogs", FlowLogIds=[unknown[0], filled.ids["bucket"], unknown[1]])
    assert (refusal.code, refusal.status) == ("InvalidFlowLogId.NotFound", 400)
    assert refusal.message == NOT_FOUND.format(2, " ".join(unknown))


def test_1000_ids_are_taken_and_1001_are_not(site: Site, filled: Filled) -> None:
    api = site.api()
    made: list[str] = []
    for name in ("a", "b", "c", "d"):
        made += api.create(*ENIS[:250], ResourceType="NetworkInterface", **to_group(name))["FlowLogIds"]
    assert [one["FlowLogId"] for one in api.described(FlowLogIds=made)] == made
    assert len(_pages(api, MaxResults=1000)) == 2
    refusal = api.refusal("DescribeFlowLogs", FlowLogIds=[*made, filled.ids["bucket"]])
    assert (refusal.code, refusal.message) == (VALUE, "The request has 1001 FlowLogIds; it may have at most 1000")
    assert api.ask("DeleteFlowLogs", FlowLogIds=made) == {"Unsuccessful": []}
    assert filled.found() == list(filled.ids)


def test_a_dry_run_says_that_it_would_have_listed(filled: Filled) -> None:
    assert filled.api.refusal("DescribeFlowLogs", DryRun=True).code == "DryRunOperation"
    unknown = filled.api.refusal("DescribeFlowLogs", DryRun=True, FlowLogIds=["fl-0"])
    assert unknown.code == "InvalidFlowLogId.NotFound"


def test_flow_logs_of_other_regions_are_not_there(filled: Filled) -> None:
    far = filled.site.api(region=OTHER_REGION)
    assert far.described() == []
    [made] = far.create(VPC_FAR)["FlowLogIds"]
    assert filled.found() == list(filled.ids)
    with pytest.raises(ClientError, match=r"InvalidFlowLogId\.NotFound"):
        filled.api.described(FlowLogIds=[made])
    far.clear()


# Deliveries --------------------------------------------------------------------------------------------------


def _report(filled: Filled, name: str, status: str, message: str | None = None, *, agent: int = 0) -> None:
    delivery = {
        "flow_log_id": filled.ids[name],
        "status": status,
        "message": message,
        "at_ms": time.time_ns() // 1_000_000,
        "objects": 1,
    }
    filled.site.agent(agent).call("report", {"deliveries": [delivery]})


@pytest.mark.parametrize("message", ["Access error", "Rate limited", "Unknown error"])
def test_a_delivery_that_failed_is_told_until_one_succeeds(filled: Filled, message: str) -> None:
    _report(filled, "group", "FAILED", message)
    told = filled.told("group")
    assert (told["DeliverLogsStatus"], told["DeliverLogsErrorMessage"]) == ("FAILED", message)
    assert told["FlowLogStatus"] == "ACTIVE"
    assert filled.found(("deliver-log-status", ["FAILED"])) == ["group"]
    assert "group" not in filled.found(("deliver-log-status", ["SUCCESS"]))
    _report(filled, "group", "SUCCESS")
    told = filled.told("group")
    assert told["DeliverLogsStatus"] == "SUCCESS"
    assert "DeliverLogsErrorMessage" not in told
    assert filled.found(("deliver-log-status", ["FAILED"])) == []


def test_an_agent_speaks_of_its_own_resources_alone(filled: Filled) -> None:
    _report(filled, "bucket", "FAILED", "Access error", agent=1)
    assert filled.told("bucket")["DeliverLogsStatus"] == "SUCCESS"
    _report(filled, "sample", "FAILED", "Access error", agent=1)
    assert filled.told("sample")["DeliverLogsStatus"] == "FAILED"


def test_an_agent_is_told_the_flow_logs_of_its_own_resources(filled: Filled) -> None:
    first, second = (filled.site.agent(number).call("flow-logs")["flow_logs"] for number in (0, 1))
    assert [one["id"] for one in second] == [filled.ids["sample"]]
    assert [one["id"] for one in first] == [made for name, made in filled.ids.items() if name != "sample"]


def test_an_integration_template_needs_data_and_is_written_into_the_bucket(filled: Filled) -> None:
    asked = {
        "FlowLogId": filled.ids["rejects"],
        "ConfigDeliveryS3DestinationArn": f"arn:aws:s3:::{BUCKET}/templates/",
        "IntegrateServices": {
            "AthenaIntegrations": [
                {
                    "IntegrationResultS3DestinationArn": f"arn:aws:s3:::{BUCKET}/results/",
                    "PartitionLoadFrequency": "daily",
                }
            ]
        },
    }
    with filled.site.unchanged():
        refusal = filled.api.refusal("GetFlowLogsIntegrationTemplate", **asked)
    assert (refusal.code, refusal.status) == ("InvalidParameter", 400)
    _report(filled, "rejects", "SUCCESS")
    result = filled.api.ask("GetFlowLogsIntegrationTemplate", **asked)["Result"]
    name = f"templates/VPCFlowLogsIntegrationTemplate_{filled.ids['rejects']}_"
    assert result.startswith(f"https://{BUCKET}.s3.{SAMPLE_REGION}.amazonaws.com/{name}")
    assert [path for path in filled.site.files() if path.startswith(f"s3/{BUCKET}/{name}")]


# Other describes ---------------------------------------------------------------------------------------------


def test_both_inventories_are_described_each_in_its_region(filled: Filled) -> None:
    vpcs = filled.api.ask("DescribeVpcs")["Vpcs"]
    assert {one["VpcId"] for one in vpcs} == {VPC, VPC_B, VPC_OTHER, SAMPLE_VPC}
    far = filled.site.api(region=OTHER_REGION).ask("DescribeVpcs")["Vpcs"]
    assert [one["VpcId"] for one in far] == [VPC_FAR]


def test_301_interfaces_come_in_pages(filled: Filled) -> None:
    listed = [{"Name": "subnet-id", "Values": [SUBNET]}]
    first = filled.api.ask("DescribeNetworkInterfaces", MaxResults=300, Filters=listed)
    rest = filled.api.ask("DescribeNetworkInterfaces", NextToken=first["NextToken"], Filters=listed)
    found = [one["NetworkInterfaceId"] for page in (first, rest) for one in page["NetworkInterfaces"]]
    assert found == list(ENIS)
    assert "NextToken" not in rest


def test_every_call_of_these_tests_has_its_line_in_the_audit_log(site: Site) -> None:
    site.api().ask("DescribeFlowLogs")
    site.check_audit()
