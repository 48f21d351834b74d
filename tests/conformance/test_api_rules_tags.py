"""CreateTags, DeleteTags and DescribeTags over loopback: the only part of a flow log that can be changed.

Source: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateTags.html, its neighbours, and
https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

import pytest
from tests.support.raw_api import OTHER_REGION, VPC, VPC_B, VPC_FAR, VPC_OTHER, Api, Site, open_site, tagged

from flowglass.control import model

VALUE: Final = "InvalidParameterValue"
UNKNOWN: Final = "fl-00000000000000000"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    opened = open_site(tmp_path_factory.mktemp("tags"))
    yield opened
    opened.running.stop()


@pytest.fixture
def api(site: Site) -> Iterator[Api]:
    """The API, with no flow log in it."""
    here = site.api()
    yield here
    here.clear()


@pytest.fixture
def ids(api: Api) -> list[str]:
    """Two flow logs with one tag each."""
    made: list[str] = api.create(VPC, VPC_B, TagSpecifications=[tagged(("stage", "test"))])["FlowLogIds"]
    return made


def _tags(**tags: str) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def _of(api: Api, flow_log_id: str) -> dict[str, str]:
    [described] = api.described(FlowLogIds=[flow_log_id])
    return {tag["Key"]: tag["Value"] for tag in described["Tags"]}


# CreateTags --------------------------------------------------------------------------------------------------


def test_tags_are_added_and_changed_on_all_flow_logs_of_the_call(api: Api, ids: list[str]) -> None:
    assert api.ask("CreateTags", Resources=ids, Tags=_tags(stage="live", Team="net")) == {}
    for one in ids:
        assert _of(api, one) == {"stage": "live", "Team": "net"}
    api.ask("CreateTags", Resources=ids[:1], Tags=_tags(team="other"))
    assert _of(api, ids[0]) == {"stage": "live", "Team": "net", "team": "other"}
    assert _of(api, ids[1]) == {"stage": "live", "Team": "net"}


def test_the_same_call_again_changes_nothing(api: Api, ids: list[str]) -> None:
    for _ in range(2):
        api.ask("CreateTags", Resources=[*ids, ids[0]], Tags=_tags(a="b"))
    assert _of(api, ids[0]) == {"stage": "test", "a": "b"}


def test_the_answers_say_true_as_awss_do(api: Api, ids: list[str]) -> None:
    pairs = (("ResourceId.1", ids[0]), ("Tag.1.Key", "a"))
    for action in ("CreateTags", "DeleteTags"):
        reply = api.raw(action, *pairs)
        assert re.fullmatch(
            rf'<\?xml version="1.0" encoding="UTF-8"\?>\n<{action}Response xmlns="[^"]+">'
            rf"<requestId>[0-9a-f-]+</requestId><return>true</return></{action}Response>",
            reply.text,
        )


def test_a_tag_at_its_limits_and_of_any_characters_is_kept(api: Api, ids: list[str]) -> None:
    tags = {"k" * 127: "v" * 256, "empty": "", "Ключ +-=._:/@": "Größe & <Wert> %20", "😀": "line\nend\ttab"}
    api.ask("CreateTags", Resources=ids[:1], Tags=_tags(**tags))
    assert _of(api, ids[0]) == tags | {"stage": "test"}


def test_fifty_tags_are_taken_and_the_51st_refuses_the_whole_call(api: Api, ids: list[str]) -> None:
    api.ask("CreateTags", Resources=ids[:1], Tags=_tags(**{f"k{number}": "v" for number in range(49)}))
    assert len(_of(api, ids[0])) == 50
    with api.site.unchanged():
        refusal = api.refusal("CreateTags", Resources=ids, Tags=_tags(k0="new", one_more=""))
    assert (refusal.code, refusal.status) == ("TagLimitExceeded", 400)
    assert ids[0] in refusal.message
    api.ask("CreateTags", Resources=ids, Tags=_tags(k0="new"))
    assert _of(api, ids[0])["k0"] == "new"


TAG_ROWS: Final[dict[str, tuple[list[dict[str, str]], str, str]]] = {
    "a key of 128": (_tags(**{"k" * 128: "v"}), VALUE, "has more than 127 characters"),
    "a value of 257": (_tags(k="v" * 257), VALUE, "has more than 256 characters"),
    "no key": ([{"Value": "v"}], VALUE, "A tag has no key"),
    "AWS's keys": (_tags(**{"aws:k": "v"}), VALUE, "Tag keys starting with 'aws:' are reserved for internal use"),
    "AWS's keys in capitals": (_tags(**{"Aws:k": "v"}), VALUE, "reserved"),
    "a key twice": ([*_tags(k="a"), *_tags(k="b")], VALUE, "Duplicate tag key 'k' specified"),
    "51 tags": (_tags(**{f"k{number}": "" for number in range(51)}), "TagLimitExceeded", "has 51 tags"),
    "no tag": ([], "MissingParameter", "The request must include the Tags parameter"),
    "several faults": (_tags(**{"aws:k": "v", "a": "v" * 257}), VALUE, "reserved.*more than 256"),
}


@pytest.mark.parametrize("row", TAG_ROWS.values(), ids=TAG_ROWS)
def test_tags_that_are_none_are_refused_and_change_nothing(
    api: Api, ids: list[str], row: tuple[list[dict[str, str]], str, str]
) -> None:
    tags, code, pattern = row
    with api.site.unchanged():
        refusal = api.refusal("CreateTags", Resources=ids, Tags=tags)
    assert (refusal.code, refusal.status) == (code, 400)
    assert re.search(pattern, refusal.message), refusal.message


RESOURCE_ROWS: Final[dict[str, tuple[list[str], str, str]]] = {
    "unknown": ([UNKNOWN], "InvalidFlowLogId.NotFound", rf"\[TotalCount: 1\] {UNKNOWN}$"),
    "some unknown": (["fl-1", UNKNOWN], "InvalidFlowLogId.NotFound", rf"\[TotalCount: 2\] fl-1 {UNKNOWN}$"),
    "a VPC": ([VPC], "InvalidID", f"The ID '{VPC}' is not valid.*written in the inventory"),
    "none": ([], "MissingParameter", "The request must include the Resources parameter"),
    "1001 with the right ones": (
        [f"fl-{number:017x}" for number in range(999)],
        VALUE,
        "1001 Resources; it may have at most 1000",
    ),
}


@pytest.mark.parametrize("action", ["CreateTags", "DeleteTags"])
@pytest.mark.parametrize("row", RESOURCE_ROWS.values(), ids=RESOURCE_ROWS)
def test_one_wrong_resource_refuses_the_call_and_the_right_one_is_left_alone(
    api: Api, ids: list[str], row: tuple[list[str], str, str], action: str
) -> None:
    wrong, code, pattern = row
    with api.site.unchanged():
        refusal = api.refusal(action, Resources=[*ids, *wrong] if wrong else [], Tags=_tags(stage="live"))
    assert (refusal.code, refusal.status) == (code, 400)
    assert re.search(pattern, refusal.message), refusal.message


@pytest.mark.parametrize("action", ["CreateTags", "DeleteTags"])
def test_a_dry_run_changes_no_tag(api: Api, ids: list[str], action: str) -> None:
    with api.site.unchanged():
        refusal = api.refusal(action, Resources=ids, Tags=_tags(stage="test"), DryRun=True)
    assert (refusal.code, refusal.status) == ("DryRunOperation", 412)


def test_flow_logs_of_other_regions_have_no_tags_to_change(api: Api) -> None:
    far = api.site.api(region=OTHER_REGION)
    made = far.create(VPC_FAR)["FlowLogIds"]
    assert api.refusal("CreateTags", Resources=made, Tags=_tags(a="b")).code == "InvalidFlowLogId.NotFound"
    assert _of(far, made[0]) == {}
    far.clear()


def test_everything_but_tags_refuses_change_since_there_is_no_action_for_it(api: Api, ids: list[str]) -> None:
    before = api.described()
    for action in ("ModifyFlowLogs", "UpdateFlowLogs", "ModifyVpcAttribute", "DeleteVpc"):
        assert model.operation(action) is None
        assert api.raw(action, ("FlowLogId.1", ids[0]), ("TrafficType", "REJECT")).refusal.code == "InvalidAction"
    api.ask("CreateTags", Resources=ids, Tags=_tags(stage="live"))
    assert [{**one, "Tags": None} for one in api.described()] == [{**one, "Tags": None} for one in before]


# DeleteTags --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "left"),
    [
        ([{"Key": "a"}], {"b": "2", "c": ""}),
        ([{"Key": "a", "Value": "1"}], {"b": "2", "c": ""}),
        ([{"Key": "a", "Value": "other"}], {"a": "1", "b": "2", "c": ""}),
        ([{"Key": "a", "Value": ""}, {"Key": "c", "Value": ""}], {"a": "1", "b": "2"}),
        ([{"Key": "A"}, {"Key": "nothing"}], {"a": "1", "b": "2", "c": ""}),
        ([{"Key": "a"}, {"Key": "b", "Value": "2"}], {"c": ""}),
        (None, {}),
    ],
    ids=["key", "value", "other value", "empty value", "not there", "several", "all"],
)
def test_tags_are_removed_by_key_or_by_key_and_value(
    api: Api, sent: list[dict[str, str]] | None, left: dict[str, str]
) -> None:
    made = api.create(VPC, VPC_OTHER, TagSpecifications=[tagged(("a", "1"), ("b", "2"), ("c", ""))])["FlowLogIds"]
    for _ in range(2):
        api.ask("DeleteTags", Resources=made, **({} if sent is None else {"Tags": sent}))
        assert [_of(api, one) for one in made] == [left, left]


# DescribeTags ------------------------------------------------------------------------------------------------


def _described(api: Api, *filters: tuple[str, list[str]]) -> list[tuple[str, str, str]]:
    listed = [{"Name": name, "Values": values} for name, values in filters]
    answer = api.ask("DescribeTags", Filters=listed)
    assert {tag["ResourceType"] for tag in answer["Tags"]} <= {"vpc-flow-log"}
    return [(tag["ResourceId"], tag["Key"], tag["Value"]) for tag in answer["Tags"]]


def test_tags_are_described_by_every_filter(api: Api, ids: list[str]) -> None:
    api.ask("CreateTags", Resources=ids[:1], Tags=_tags(team="net", Stage="x"))
    first, second = ids
    whole = sorted([(first, "Stage", "x"), (first, "stage", "test"), (first, "team", "net"), (second, "stage", "test")])
    assert _described(api) == whole
    assert _described(api, ("resource-id", [first]), ("key", ["stage", "team"])) == [
        (first, "stage", "test"),
        (first, "team", "net"),
    ]
    assert _described(api, ("value", ["net", "x"])) == [(first, "Stage", "x"), (first, "team", "net")]
    assert _described(api, ("tag:team", ["n*"])) == [(first, "team", "net")]
    assert _described(api, ("resource-type", ["vpc-flow-log"])) == whole
    assert _described(api, ("resource-type", ["vpc"])) == []
    assert _described(api, ("resource-id", [UNKNOWN])) == []


def test_tags_come_in_pages(api: Api) -> None:
    tags = [tagged(*((f"k{number:02}", "v") for number in range(5)))]
    made = api.create(VPC, VPC_B, TagSpecifications=tags)["FlowLogIds"]
    found: list[tuple[str, str]] = []
    token: dict[str, Any] = {}
    while True:
        answer = api.ask("DescribeTags", MaxResults=5, **token)
        found += [(tag["ResourceId"], tag["Key"]) for tag in answer["Tags"]]
        if "NextToken" not in answer:
            break
        token = {"NextToken": answer["NextToken"]}
    assert found == [(one, f"k{number:02}") for one in sorted(made) for number in range(5)]


def test_what_describe_tags_does_not_know_is_refused(api: Api) -> None:
    assert api.refusal("DescribeTags", Filters=[{"Name": "tag-name", "Values": ["a"]}]).code == VALUE
    assert api.refusal("DescribeTags", MaxResults=1001).code == VALUE
    assert api.refusal("DescribeTags", NextToken="made up").code == "InvalidNextToken"
    assert api.refusal("DescribeTags", DryRun=True).code == "DryRunOperation"


def test_tags_go_with_their_flow_log(api: Api, ids: list[str]) -> None:
    api.ask("DeleteFlowLogs", FlowLogIds=ids[:1])
    assert _described(api) == [(ids[1], "stage", "test")]


def test_every_call_of_these_tests_has_its_line_in_the_audit_log(site: Site) -> None:
    site.api().ask("DescribeFlowLogs")
    site.check_audit()
