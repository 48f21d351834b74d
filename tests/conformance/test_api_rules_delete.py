"""DeleteFlowLogs over loopback: what is there goes, what is not is told of, what was delivered stays.

Source: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeleteFlowLogs.html
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import pytest
from tests.support.raw_api import (
    BUCKET,
    ENI,
    OTHER_REGION,
    VPC,
    VPC_B,
    VPC_FAR,
    VPC_OTHER,
    Api,
    Site,
    open_site,
    tagged,
    to_group,
)

UNKNOWN: Final = "fl-00000000000000000"
DONE: Final[dict[str, Any]] = {"Unsuccessful": []}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    opened = open_site(tmp_path_factory.mktemp("delete"))
    yield opened
    opened.running.stop()


@pytest.fixture
def api(site: Site) -> Iterator[Api]:
    """The API, with no flow log in it."""
    here = site.api()
    yield here
    here.clear()


def _gone(flow_log_id: str) -> dict[str, Any]:
    """The item of an id that is not there."""
    message = f"These flow log ids in the input list are not found: [TotalCount: 1] {flow_log_id}"
    return {"ResourceId": flow_log_id, "Error": {"Code": "InvalidFlowLogId.NotFound", "Message": message}}


def test_flow_logs_are_deleted_and_stay_so(api: Api) -> None:
    made = api.create(VPC, VPC_B)["FlowLogIds"]
    assert api.ask("DeleteFlowLogs", FlowLogIds=made) == DONE
    assert api.described() == []
    assert api.refusal("DescribeFlowLogs", FlowLogIds=made).code == "InvalidFlowLogId.NotFound"


def test_an_empty_list_of_faults_is_on_the_wire(api: Api) -> None:
    [made] = api.create()["FlowLogIds"]
    reply = api.raw("DeleteFlowLogs", ("FlowLogId.1", made))
    assert reply.text == (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<DeleteFlowLogsResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">'
        f"<requestId>{reply.headers['x-amzn-requestid']}</requestId><unsuccessful/></DeleteFlowLogsResponse>"
    )


def test_unknown_ids_are_told_of_and_only_they_and_the_known_ones_are_deleted(api: Api) -> None:
    first, kept, second = (api.create(one)["FlowLogIds"][0] for one in (VPC, VPC_B, VPC_OTHER))
    answer = api.ask("DeleteFlowLogs", FlowLogIds=[UNKNOWN, first, "no id", second])
    assert answer["Unsuccessful"] == [_gone(UNKNOWN), _gone("no id")]
    assert [one["FlowLogId"] for one in api.described()] == [kept]


def test_a_second_deletion_finds_nothing(api: Api) -> None:
    [made] = api.create()["FlowLogIds"]
    assert api.ask("DeleteFlowLogs", FlowLogIds=[made]) == DONE
    assert api.ask("DeleteFlowLogs", FlowLogIds=[made])["Unsuccessful"] == [_gone(made)]


def test_an_id_twice_is_deleted_once_and_not_told_of(api: Api) -> None:
    [made] = api.create()["FlowLogIds"]
    assert api.ask("DeleteFlowLogs", FlowLogIds=[made, made]) == DONE


def test_flow_logs_of_other_regions_are_not_found_and_stay(api: Api) -> None:
    far = api.site.api(region=OTHER_REGION)
    [made] = far.create(VPC_FAR)["FlowLogIds"]
    assert api.ask("DeleteFlowLogs", FlowLogIds=[made])["Unsuccessful"] == [_gone(made)]
    assert [one["FlowLogId"] for one in far.described()] == [made]
    far.clear()


def test_1000_ids_are_taken_and_of_1001_none_is_deleted(api: Api) -> None:
    [made] = api.create()["FlowLogIds"]
    unknown = [f"fl-{number:017x}" for number in range(1000)]
    with api.site.unchanged():
        refusal = api.refusal("DeleteFlowLogs", FlowLogIds=[made, *unknown])
    assert (refusal.code, refusal.status) == ("InvalidParameterValue", 400)
    assert refusal.message == "The request has 1001 FlowLogIds; it may have at most 1000"
    answer = api.ask("DeleteFlowLogs", FlowLogIds=[made, *unknown[:999]])
    assert answer["Unsuccessful"] == [_gone(one) for one in unknown[:999]]
    assert api.described() == []


def test_no_id_is_a_missing_parameter(api: Api) -> None:
    api.create()
    with api.site.unchanged():
        refusal = api.refusal("DeleteFlowLogs", FlowLogIds=[])
    assert (refusal.code, refusal.status) == ("MissingParameter", 400)
    assert refusal.message == (
        "The request must include the FlowLogIds parameter. Add the required parameter and retry the request."
    )


def test_a_dry_run_deletes_nothing(api: Api) -> None:
    [made] = api.create()["FlowLogIds"]
    with api.site.unchanged():
        refusal = api.refusal("DeleteFlowLogs", FlowLogIds=[made, UNKNOWN], DryRun=True)
    assert (refusal.code, refusal.status) == ("DryRunOperation", 412)


@pytest.mark.parametrize(
    ("pairs", "code"),
    [
        ((("FlowLogId.1", UNKNOWN), ("Filter.1.Name", "a")), "UnknownParameter"),
        ((("FlowLogId", UNKNOWN),), "InvalidParameterValue"),
        ((("FlowLogId.1", UNKNOWN), ("FlowLogId.1", UNKNOWN)), "InvalidRequest"),
        ((("FlowLogIds.1", UNKNOWN),), "MissingParameter"),
    ],
    ids=["unknown", "no list", "twice", "the member's name"],
)
def test_forms_that_no_sdk_sends_are_refused(api: Api, pairs: tuple[tuple[str, str], ...], code: str) -> None:
    api.create()
    with api.site.unchanged():
        assert api.raw("DeleteFlowLogs", *pairs).refusal.code == code


def test_what_was_delivered_the_bucket_its_policy_and_the_group_stay(api: Api) -> None:
    sink = api.site.buckets.sink(BUCKET)
    (sink.root / "AWSLogs").mkdir(parents=True)
    (sink.root / "AWSLogs" / "object.log.gz").write_bytes(b"records")
    api.create(VPC)
    api.create(VPC, **to_group())
    before = api.site.files()
    api.clear()
    assert api.site.files() == before
    assert b"AWSLogDeliveryWrite" in before[f"buckets/{BUCKET}.json"]


def test_the_same_can_be_made_again_with_another_id_and_without_the_old_tags(api: Api) -> None:
    [first] = api.create(TagSpecifications=[tagged(("stage", "test"))])["FlowLogIds"]
    api.clear()
    [second] = api.create()["FlowLogIds"]
    assert first != second
    assert [(one["FlowLogId"], one["Tags"]) for one in api.described()] == [(second, [])]


def test_its_agent_is_not_told_of_it_any_more_and_its_report_is_passed_over(api: Api) -> None:
    [made] = api.create(ENI, ResourceType="NetworkInterface")["FlowLogIds"]
    agent = api.site.agent()
    assert [one["id"] for one in agent.call("flow-logs")["flow_logs"]] == [made]
    api.clear()
    assert agent.call("flow-logs")["flow_logs"] == []
    delivery = {"flow_log_id": made, "status": "FAILED", "message": "Access error", "at_ms": 1, "objects": 0}
    assert agent.call("report", {"deliveries": [delivery]}) == {}


def test_of_many_deletions_at_once_exactly_one_deletes(api: Api) -> None:
    [made] = api.create()["FlowLogIds"]
    together = threading.Barrier(8)

    def delete() -> list[dict[str, Any]]:
        together.wait()
        unsuccessful: list[dict[str, Any]] = api.ask("DeleteFlowLogs", FlowLogIds=[made])["Unsuccessful"]
        return unsuccessful

    with ThreadPoolExecutor(8) as threads:
        answers = [call.result() for call in [threads.submit(delete) for _ in range(8)]]
    assert sorted(answers, key=len) == [[], *[[_gone(made)]] * 7]


def test_every_call_of_these_tests_has_its_line_in_the_audit_log(site: Site) -> None:
    site.api().ask("DescribeFlowLogs")
    site.check_audit()
