"""DeleteFlowLogs: what is there goes, what is not is told of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.flow_log_calls import OTHER, Api, api

from flowglass.control.store import deliveries


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Api]:
    made = api(tmp_path)
    yield made
    made.services.store.close()


def _not_found(one: str) -> dict[str, object]:
    message = f"These flow log ids in the input list are not found: [TotalCount: 1] {one}"
    return {"ResourceId": one, "Error": {"Code": "InvalidFlowLogId.NotFound", "Message": message}}


def test_a_deleted_flow_log_is_gone_with_what_belongs_to_it(here: Api) -> None:
    tagged = [{"ResourceType": "vpc-flow-log", "Tags": [{"Key": "a", "Value": "b"}]}]
    first, second = here.create("vpc-a", "vpc-b", TagSpecifications=tagged)["FlowLogIds"]
    here.deliver(first, "SUCCESS")
    assert here.ask("DeleteFlowLogs", FlowLogIds=[first]) == {"Unsuccessful": []}
    assert [one["FlowLogId"] for one in here.described()] == [second]
    assert [tag["ResourceId"] for tag in here.ask("DescribeTags")["Tags"]] == [second]
    assert here.services.store.read(lambda connection: deliveries.of(connection, [first])) == {first: []}
    assert here.create("vpc-a")["Unsuccessful"] == [], "its place is free"


def test_unknown_ids_keep_no_other_from_being_deleted(here: Api) -> None:
    [one] = here.create("vpc-a")["FlowLogIds"]
    answer = here.ask("DeleteFlowLogs", FlowLogIds=["fl-1", one, "not an id", one])
    assert answer == {"Unsuccessful": [_not_found("fl-1"), _not_found("not an id")]}
    assert here.described() == []


def test_a_second_deletion_finds_nothing(here: Api) -> None:
    [one] = here.create("vpc-a")["FlowLogIds"]
    here.ask("DeleteFlowLogs", FlowLogIds=[one])
    assert here.ask("DeleteFlowLogs", FlowLogIds=[one]) == {"Unsuccessful": [_not_found(one)]}


def test_flow_logs_of_another_account_or_region_are_not_found(here: Api) -> None:
    [one] = here.create("vpc-a")["FlowLogIds"]
    for elsewhere in (replace(here, account=OTHER), replace(here, region="us-east-1")):
        assert elsewhere.ask("DeleteFlowLogs", FlowLogIds=[one]) == {"Unsuccessful": [_not_found(one)]}
    assert len(here.described()) == 1


def test_the_buckets_policy_stays(here: Api) -> None:
    [one] = here.create("vpc-a")["FlowLogIds"]
    before = here.buckets.bucket("logs")
    here.ask("DeleteFlowLogs", FlowLogIds=[one])
    assert here.buckets.bucket("logs") == before


def test_a_dry_run_deletes_nothing(here: Api) -> None:
    [one] = here.create("vpc-a")["FlowLogIds"]
    assert here.refusal("DeleteFlowLogs", FlowLogIds=[one], DryRun=True)[0] == "DryRunOperation"
    assert len(here.described()) == 1


def test_no_id_and_more_than_1000_are_refused(here: Api) -> None:
    assert here.refusal("DeleteFlowLogs")[0] == "MissingParameter"
    assert here.refusal("DeleteFlowLogs", FlowLogIds=[f"fl-{n}" for n in range(1001)])[0] == "InvalidParameterValue"
    assert len(here.ask("DeleteFlowLogs", FlowLogIds=[f"fl-{n}" for n in range(1000)])["Unsuccessful"]) == 1000
