"""CreateTags, DeleteTags and DescribeTags of flow logs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.support.flow_log_calls import OTHER, Api, api


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Api]:
    made = api(tmp_path)
    yield made
    made.services.store.close()


@pytest.fixture
def pair(here: Api) -> list[str]:
    ids: list[str] = here.create("vpc-a", "vpc-b")["FlowLogIds"]
    return ids


def _tags(**tags: str) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def _of(here: Api, one: str) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in here.described(FlowLogIds=[one])[0]["Tags"]}


def test_tags_are_set_and_set_anew_on_all_that_are_named(here: Api, pair: list[str]) -> None:
    here.ask("CreateTags", Resources=pair, Tags=_tags(team="net", stage="test"))
    here.ask("CreateTags", Resources=pair[:1], Tags=_tags(team="ops"))
    here.ask("CreateTags", Resources=pair[:1], Tags=_tags(team="ops"))
    assert _of(here, pair[0]) == {"team": "ops", "stage": "test"}
    assert _of(here, pair[1]) == {"team": "net", "stage": "test"}


def test_tags_are_removed_by_key_by_value_or_all(here: Api, pair: list[str]) -> None:
    here.ask("CreateTags", Resources=pair, Tags=_tags(a="1", b="2", c="", d="4"))
    here.ask("DeleteTags", Resources=pair[:1], Tags=[{"Key": "a"}, {"Key": "b", "Value": "x"}, {"Key": "e"}])
    assert _of(here, pair[0]) == {"b": "2", "c": "", "d": "4"}
    here.ask("DeleteTags", Resources=pair[:1], Tags=[{"Key": "b", "Value": ""}, {"Key": "c", "Value": ""}])
    assert _of(here, pair[0]) == {"b": "2", "d": "4"}
    here.ask("DeleteTags", Resources=pair[:1])
    assert _of(here, pair[0]) == {}
    assert _of(here, pair[1]) == {"a": "1", "b": "2", "c": "", "d": "4"}


@pytest.mark.parametrize("action", ["CreateTags", "DeleteTags"])
def test_only_flow_logs_that_are_there_can_be_tagged(here: Api, pair: list[str], action: str) -> None:
    tags = _tags(a="1")
    code, message = here.refusal(action, Resources=[pair[0], "vpc-a", "i-1"], Tags=tags)
    assert (code, "'vpc-a, i-1' is not valid: only flow logs" in message) == ("InvalidID", True)
    code, message = here.refusal(action, Resources=[pair[0], "fl-1"], Tags=tags)
    assert (code, message.endswith("[TotalCount: 1] fl-1")) == ("InvalidFlowLogId.NotFound", True)
    assert replace(here, account=OTHER).refusal(action, Resources=pair, Tags=tags)[0] == "InvalidFlowLogId.NotFound"
    assert here.refusal(action, Resources=[f"fl-{n}" for n in range(1001)], Tags=tags)[0] == "InvalidParameterValue"
    assert _of(here, pair[0]) == {}


@pytest.mark.parametrize(
    ("tags", "code"),
    [
        ([{"Key": "aws:x", "Value": ""}], "InvalidParameterValue"),
        ([{"Key": "k" * 128, "Value": ""}], "InvalidParameterValue"),
        ([{"Key": "k", "Value": "v" * 257}], "InvalidParameterValue"),
        ([{"Key": "k", "Value": "1"}, {"Key": "k", "Value": "2"}], "InvalidParameterValue"),
        ([{"Value": "2"}], "InvalidParameterValue"),
        ([{"Key": str(n), "Value": ""} for n in range(51)], "TagLimitExceeded"),
    ],
)
def test_wrong_tags_are_refused(here: Api, pair: list[str], tags: list[dict[str, str]], code: str) -> None:
    assert here.refusal("CreateTags", Resources=pair, Tags=tags)[0] == code
    assert _of(here, pair[0]) == {}


def test_the_limit_counts_what_is_there_and_holds_for_all_or_none(here: Api, pair: list[str]) -> None:
    here.ask("CreateTags", Resources=pair[1:], Tags=_tags(**{f"k{n}": "" for n in range(50)}))
    assert here.refusal("CreateTags", Resources=pair, Tags=_tags(more=""))[0] == "TagLimitExceeded"
    assert _of(here, pair[0]) == {}
    here.ask("CreateTags", Resources=pair[1:], Tags=_tags(k7="new"))
    assert _of(here, pair[1])["k7"] == "new"


def test_a_dry_run_changes_nothing(here: Api, pair: list[str]) -> None:
    here.ask("CreateTags", Resources=pair, Tags=_tags(a="1"))
    assert here.refusal("CreateTags", Resources=pair, Tags=_tags(b="2"), DryRun=True)[0] == "DryRunOperation"
    assert here.refusal("DeleteTags", Resources=pair, DryRun=True)[0] == "DryRunOperation"
    assert here.refusal("DescribeTags", DryRun=True)[0] == "DryRunOperation"
    assert _of(here, pair[0]) == {"a": "1"}


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ([], ["a1", "b2", "a3"]),
        ([("key", ["a"])], ["a1", "a3"]),
        ([("value", ["2", "3"])], ["b2", "a3"]),
        ([("key", ["?"]), ("value", ["1"])], ["a1"]),
        ([("tag:a", ["3"])], ["a3"]),
        ([("resource-type", ["vpc-flow-log"])], ["a1", "b2", "a3"]),
        ([("resource-type", ["vpc"])], []),
        ([("resource-id", ["first"])], ["a1", "b2"]),
        ([("resource-id", ["fl-*"])], ["a1", "b2", "a3"]),
    ],
)
def test_tags_are_listed_by_flow_log_and_key(
    here: Api, pair: list[str], filters: list[tuple[str, list[str]]], expected: list[str]
) -> None:
    first, second = sorted(pair)
    here.ask("CreateTags", Resources=[first], Tags=_tags(b="2", a="1"))
    here.ask("CreateTags", Resources=[second], Tags=_tags(a="3"))
    asked: list[dict[str, Any]] = [
        {"Name": name, "Values": [first if value == "first" else value for value in values]} for name, values in filters
    ]
    found = here.ask("DescribeTags", Filters=asked)["Tags"]
    assert [tag["Key"] + tag["Value"] for tag in found] == expected
    assert {tag["ResourceType"] for tag in found} <= {"vpc-flow-log"}


def test_tags_are_listed_by_page(here: Api, pair: list[str]) -> None:
    here.ask("CreateTags", Resources=pair, Tags=_tags(**{f"k{n}": "" for n in range(3)}))
    first = here.ask("DescribeTags", MaxResults=4)
    second = here.ask("DescribeTags", MaxResults=4, NextToken=first["NextToken"])
    assert first["Tags"] + second["Tags"] == here.ask("DescribeTags")["Tags"]
    assert "NextToken" not in second


def test_tags_are_the_only_part_that_changes(here: Api, pair: list[str]) -> None:
    before = here.described(FlowLogIds=pair[:1])[0]
    here.ask("CreateTags", Resources=pair[:1], Tags=_tags(a="1"))
    after = here.described(FlowLogIds=pair[:1])[0]
    assert {**after, "Tags": []} == before
