"""DescribeFlowLogs: who sees what, by which filter, and how deliveries went."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.support.flow_log_calls import ACCOUNT, NOW_MS, OTHER, ROLE, Api, api, to_log_group

from flowglass.control.store import agents, flow_logs, tags
from flowglass.control.store.agents import AgentRow


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Api]:
    made = api(tmp_path)
    yield made
    made.services.store.close()


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    made = api(tmp_path_factory.mktemp("several"))
    tagged = [{"ResourceType": "vpc-flow-log", "Tags": [{"Key": "team", "Value": "net"}]}]
    [failing] = made.create("vpc-a", TagSpecifications=tagged)["FlowLogIds"]
    made.create("vpc-b", TrafficType="REJECT")
    made.create("subnet-a", ResourceType="Subnet", TrafficType="ACCEPT", **to_log_group("web"))
    made.create("vpc-other", **to_log_group("all"))
    made.deliver(failing, "FAILED", "Access error")
    yield made
    made.services.store.close()


def _resources(here: Api, *filters: tuple[str, list[str]], **parameters: Any) -> list[str]:
    asked = [{"Name": name, "Values": values} for name, values in filters]
    return [one["ResourceId"] for one in here.described(Filter=asked, **parameters)]


def test_a_flow_log_is_shown_as_aws_shows_it(here: Api) -> None:
    [one] = here.create(**to_log_group(TagFieldSpecifications=None))["FlowLogIds"]
    assert here.ask("DescribeFlowLogs") == {
        "FlowLogs": [
            {
                "CreationTime": datetime.fromtimestamp(NOW_MS / 1000, tz=UTC),
                "DeliverLogsPermissionArn": ROLE,
                "DeliverLogsStatus": "SUCCESS",
                "FlowLogId": one,
                "FlowLogStatus": "ACTIVE",
                "LogGroupName": "group",
                "ResourceId": "vpc-a",
                "TrafficType": "ALL",
                "LogDestinationType": "cloud-watch-logs",
                "LogFormat": "${version} ${account-id} ${interface-id} ${srcaddr} ${dstaddr} ${srcport} ${dstport} "
                "${protocol} ${packets} ${bytes} ${start} ${end} ${action} ${log-status}",
                "Tags": [],
                "MaxAggregationInterval": 600,
            }
        ]
    }


def test_destination_options_are_shown_of_buckets_alone(several: Api) -> None:
    plain = {"FileFormat": "plain-text", "HiveCompatiblePartitions": False, "PerHourPartition": False}
    assert [one.get("DestinationOptions") for one in several.described()] == [plain, plain, None, None]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ([("deliver-log-status", ["FAILED"])], ["vpc-a"]),
        ([("deliver-log-status", ["SUCCESS"])], ["vpc-b", "subnet-a", "vpc-other"]),
        ([("log-destination-type", ["cloud-watch-logs"])], ["subnet-a", "vpc-other"]),
        ([("log-group-name", ["web", "all"])], ["subnet-a", "vpc-other"]),
        ([("log-group-name", ["*"])], ["subnet-a", "vpc-other"]),
        ([("resource-id", ["vpc-b", "subnet-a"])], ["vpc-b", "subnet-a"]),
        ([("resource-id", ["vpc-?"])], ["vpc-a", "vpc-b"]),
        ([("resource-id", ["VPC-a"])], []),
        ([("traffic-type", ["REJECT", "ACCEPT"])], ["vpc-b", "subnet-a"]),
        ([("tag:team", ["net"])], ["vpc-a"]),
        ([("tag:team", ["NET"])], []),
        ([("tag-key", ["te*"])], ["vpc-a"]),
        ([("resource-id", ["vpc-*"]), ("traffic-type", ["ALL"])], ["vpc-a", "vpc-other"]),
        ([("resource-id", ["vpc-a"]), ("resource-id", ["vpc-b"])], []),
        ([("flow-log-id", ["fl-*"])], ["vpc-a", "vpc-b", "subnet-a", "vpc-other"]),
        ([("flow-log-id", ["fl-0"])], []),
    ],
)
def test_every_filter_leaves_what_it_says(
    several: Api, filters: list[tuple[str, list[str]]], expected: list[str]
) -> None:
    assert _resources(several, *filters) == expected


def test_the_filter_by_id_finds_what_the_id_finds(several: Api) -> None:
    [one, *_] = several.described()
    assert several.described(Filter=[{"Name": "flow-log-id", "Values": [one["FlowLogId"]]}]) == [one]
    assert several.described(FlowLogIds=[one["FlowLogId"]] * 2) == [one]


def test_ids_and_filters_must_both_match(several: Api) -> None:
    ids = [one["FlowLogId"] for one in several.described()]
    assert _resources(several, ("traffic-type", ["ALL"]), FlowLogIds=ids[:2]) == ["vpc-a"]
    assert _resources(several, ("flow-log-id", [ids[1]]), FlowLogIds=[ids[0]]) == []


def test_the_filter_that_one_would_expect_has_another_name(several: Api) -> None:
    asked = [{"Name": "deliver-logs-status", "Values": ["FAILED"]}]
    code, message = several.refusal("DescribeFlowLogs", Filter=asked)
    assert (code, message) == ("InvalidParameterValue", "The filter 'deliver-logs-status' is invalid")


def test_unknown_ids_are_all_named(several: Api) -> None:
    known = several.described()[0]["FlowLogId"]
    code, message = several.refusal("DescribeFlowLogs", FlowLogIds=["fl-1", known, "x"])
    assert code == "InvalidFlowLogId.NotFound"
    assert message == "These flow log ids in the input list are not found: [TotalCount: 2] fl-1 x"


def test_at_most_1000_ids_are_asked_for(several: Api) -> None:
    assert (
        several.refusal("DescribeFlowLogs", FlowLogIds=[f"fl-{n}" for n in range(1001)])[0] == "InvalidParameterValue"
    )
    assert "TotalCount: 1000" in several.refusal("DescribeFlowLogs", FlowLogIds=[f"fl-{n}" for n in range(1000)])[1]


def test_accounts_and_regions_do_not_see_each_other(several: Api) -> None:
    theirs = replace(several, account=OTHER)
    assert _resources(theirs) == ["vpc-other"]
    assert _resources(replace(several, account=ACCOUNT)) == ["vpc-a", "vpc-b", "subnet-a"]
    assert _resources(replace(several, region="us-east-1")) == []
    ours = several.described()[0]["FlowLogId"]
    assert theirs.refusal("DescribeFlowLogs", FlowLogIds=[ours])[0] == "InvalidFlowLogId.NotFound"


def test_a_dry_run_tells_whether_it_would_succeed(several: Api) -> None:
    assert several.refusal("DescribeFlowLogs", DryRun=True)[0] == "DryRunOperation"
    assert several.refusal("DescribeFlowLogs", DryRun=True, FlowLogIds=["fl-1"])[0] == "InvalidFlowLogId.NotFound"
    assert len(several.described(DryRun=False)) == 4


def test_the_status_is_that_of_the_last_deliveries(here: Api) -> None:
    row = AgentRow(id="agent-2", name="2", version="1", registered_ms=1, seen_ms=1, inventory_digest=None, report={})
    here.services.store.write(lambda connection: agents.insert(connection, row))
    [one] = here.create("vpc-a")["FlowLogIds"]

    def shown() -> tuple[str, str | None]:
        [described] = here.described()
        return described["DeliverLogsStatus"], described.get("DeliverLogsErrorMessage")

    assert shown() == ("SUCCESS", None)
    here.deliver(one, "FAILED", "Access error", at_ms=2)
    here.deliver(one, "SUCCESS", agent="agent-2", at_ms=3)
    assert shown() == ("FAILED", "Access error"), "one agent's success is not the other's"
    here.deliver(one, "FAILED", "Rate limited", agent="agent-2", at_ms=4)
    assert shown() == ("FAILED", "Rate limited"), "the newest failure is told"
    here.deliver(one, "SUCCESS", agent="agent-2", at_ms=5)
    here.deliver(one, "SUCCESS", at_ms=6)
    assert shown() == ("SUCCESS", None)


def test_one_of_many_is_found_as_fast_as_one_of_few(here: Api) -> None:
    [first] = here.create("vpc-a")["FlowLogIds"]

    def fastest(times: int, **parameters: Any) -> float:
        spent = []
        for _ in range(times):
            began = time.perf_counter()
            here.described(**parameters)
            spent.append(time.perf_counter() - began)
        return min(spent)

    few = fastest(20, FlowLogIds=[first])
    [row] = here.services.store.read(lambda connection: flow_logs.find(connection, account=None, region=None))
    more = [replace(row, id=f"fl-{n:017x}", destination_key=str(n)) for n in range(10_000)]
    here.services.store.write(lambda connection: flow_logs.insert(connection, more))
    here.services.store.write(lambda connection: tags.put(connection, [one.id for one in more], {"a": "b"}))
    assert fastest(20, FlowLogIds=[first]) < 20 * few
    assert fastest(20, Filter=[{"Name": "flow-log-id", "Values": [first]}]) < 20 * few
    assert len(here.described()) == 10_001
    page = here.ask("DescribeFlowLogs", MaxResults=1000)
    assert page["FlowLogs"][-1]["FlowLogId"] == more[998].id
    last = here.create("vpc-b")["FlowLogIds"]
    found = here.described(MaxResults=1, Filter=[{"Name": "resource-id", "Values": ["*-b"]}])
    assert [one["FlowLogId"] for one in found] == last, "a page is filled from wherever its items are"
