"""Filters, wildcards and pages, which all describes share."""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.flow_log_calls import Api, api

from flowglass.control.faults import InvalidParameterValue
from flowglass.control.operations.filters import Filters, compile_filters
from flowglass.control.operations.wildcards import compile_wildcard

KNOWN = ("colour", "shape")


def _filters(*filters: tuple[str, list[str]]) -> Filters:
    return compile_filters([{"Name": name, "Values": values} for name, values in filters], KNOWN)


def _matches(pattern: str, text: str) -> bool:
    compiled = compile_wildcard(pattern)
    return compiled == text if isinstance(compiled, str) else compiled.matches(text)


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    made = api(tmp_path_factory.mktemp("pages"))
    for vpc, folder in itertools.product(("vpc-a", "vpc-b"), "abcde"):
        made.create(vpc, LogDestination=f"arn:aws:s3:::logs/{folder}")
    yield made
    made.services.store.close()


# Wildcards ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("vpc-*", "vpc-1", True),
        ("vpc-*", "vpc-", True),
        ("vpc-*", "xvpc-1", False),
        ("vpc-?", "vpc-1", True),
        ("vpc-?", "vpc-", True),
        ("vpc-?", "vpc-12", False),
        ("a??b", "ab", True),
        ("a??b", "axyb", True),
        ("a??b", "axyzb", False),
        ("*", "", True),
        ("?", "ab", False),
        ("*a*b*", "xxaxxbxx", True),
        ("*a*b*", "xxbxxaxx", False),
        ("VPC-*", "vpc-1", False),
        ("a.c", "abc", False),
        (r"\*amazon\?\\", r"*amazon?\ ".strip(), True),
        (r"a\*", "ab", False),
        (r"a\bc", r"a\bc", True),
        ("a*\n", "ab\n", True),
    ],
)
def test_wildcards_mean_what_ec2_says(pattern: str, text: str, expected: bool) -> None:
    assert _matches(pattern, text) is expected


@given(st.text("ab*?\\", max_size=8), st.text("ab*\\", max_size=8))
def test_wildcards_match_as_the_regular_expression_of_the_same_meaning(pattern: str, text: str) -> None:
    pieces = re.findall(r"\\[*?\\]|.", pattern)
    meaning = {"*": ".*", "?": ".?"}
    expression = "".join(meaning.get(piece, re.escape(piece[-1])) for piece in pieces)
    assert _matches(pattern, text) is (re.fullmatch(expression, text) is not None)


@pytest.mark.parametrize("pattern", ["*a" * 120 + "b", "?a" * 120 + "b", "?" * 254 + "b"])
def test_no_pattern_holds_up_the_server(pattern: str) -> None:
    began = time.perf_counter()
    assert not _matches(pattern, "a" * 256)
    assert time.perf_counter() - began < 0.5, "a backtracking matcher takes years"


# Filters -----------------------------------------------------------------------------------------------------


def test_values_are_alternatives_and_filters_must_all_match() -> None:
    filters = _filters(("colour", ["red", "blu*"]), ("shape", ["round"]))
    assert filters.match({"colour": ("blue",), "shape": ("flat", "round")}, {})
    assert not filters.match({"colour": ("green",), "shape": ("round",)}, {})
    assert not filters.match({"colour": ("red",), "shape": ("Round",)}, {})
    assert not filters.match({"colour": ("red",)}, {})


def test_tags_are_filtered_by_key_and_by_value() -> None:
    tags = {"team": "net", "a:b": "c"}
    assert _filters(("tag:team", ["n?t"])).match({}, tags)
    assert _filters(("tag:a:b", ["c"])).match({}, tags)
    assert not _filters(("tag:Team", ["net"])).match({}, tags)
    assert _filters(("tag-key", ["te*"])).match({}, tags)
    assert not _filters(("tag-key", ["net"])).match({}, tags)


def test_exact_values_are_given_where_no_wildcard_is() -> None:
    assert _filters(("colour", ["red", r"b\*"])).exact("colour") == ["b*", "red"]
    assert _filters(("colour", ["red", "b*"])).exact("colour") is None
    assert _filters(("colour", ["red"])).exact("shape") is None
    assert _filters(("colour", ["red", "blue"]), ("colour", ["blue", "green"])).exact("colour") == ["blue"]
    assert _filters(("colour", ["red"]), ("colour", ["blue"])).exact("colour") == []


@pytest.mark.parametrize("name", ["color", "Colour", "tag:", "tag", "", "colou*"])
def test_unknown_filters_are_refused(name: str) -> None:
    with pytest.raises(InvalidParameterValue, match=re.escape(f"The filter '{name or 'null'}' is invalid")):
        _filters((name, ["x"]))


def test_every_unknown_filter_is_named() -> None:
    with pytest.raises(InvalidParameterValue, match=r"'a' is invalid.*'b' is invalid"):
        _filters(("a", ["x"]), ("colour", ["x"]), ("b", ["x"]))


@pytest.mark.parametrize(
    "filters",
    [[("colour", ["x"])] * 51, [("colour", ["x"] * 201)], [("colour", ["x" * 256])], [("colour", [])]],
)
def test_more_than_ec2_takes_is_refused(filters: list[tuple[str, list[str]]]) -> None:
    with pytest.raises(InvalidParameterValue):
        _filters(*filters)


def test_as_much_as_ec2_takes_is_taken() -> None:
    _filters(*[("colour", ["x" * 255] * 200)] * 50)


def test_filters_about_tags_are_refused_where_an_action_has_none() -> None:
    with pytest.raises(InvalidParameterValue):
        compile_filters([{"Name": "tag-key", "Values": ["a"]}], KNOWN, tags=False)


# Pages -------------------------------------------------------------------------------------------------------


def _pages(here: Api, size: int, **parameters: Any) -> list[list[str]]:
    pages: list[list[str]] = []
    token: dict[str, str] = {}
    while True:
        answer = here.ask("DescribeFlowLogs", MaxResults=size, **parameters, **token)
        pages.append([one["FlowLogId"] for one in answer["FlowLogs"]])
        if "NextToken" not in answer:
            return pages
        token = {"NextToken": answer["NextToken"]}


@pytest.mark.parametrize("size", [1, 3, 5, 10, 11, 1000])
def test_pages_are_the_whole_in_pieces(here: Api, size: int) -> None:
    whole = [one["FlowLogId"] for one in here.described()]
    pages = _pages(here, size)
    assert list(itertools.chain(*pages)) == whole
    assert [len(page) for page in pages[:-1]] == [size] * (len(pages) - 1)
    assert len(pages) == -(-len(whole) // size), "the last page has no token"


def test_pages_hold_what_the_filters_leave(here: Api) -> None:
    pages = _pages(
        here, 2, Filter=[{"Name": "resource-id", "Values": ["vpc-?"]}, {"Name": "flow-log-id", "Values": ["*"]}]
    )
    assert sum(map(len, pages)) == 10
    assert [len(page) for page in _pages(here, 2, Filter=[{"Name": "resource-id", "Values": ["*b"]}])] == [2, 2, 1]


def test_pages_go_on_where_they_were_though_flow_logs_come_and_go(tmp_path: Path) -> None:
    own = api(tmp_path)
    first, second, third = (own.create(LogDestination=f"arn:aws:s3:::logs/{n}")["FlowLogIds"][0] for n in "abc")
    answer = own.ask("DescribeFlowLogs", MaxResults=2)
    own.ask("DeleteFlowLogs", FlowLogIds=[first, second])
    fourth = own.create("vpc-b")["FlowLogIds"][0]
    rest = own.described(MaxResults=2, NextToken=answer["NextToken"])
    assert [one["FlowLogId"] for one in rest] == [third, fourth]


@pytest.mark.parametrize("size", [0, -1, 1001])
def test_a_page_has_1_to_1000_items(here: Api, size: int) -> None:
    code, message = here.refusal("DescribeFlowLogs", MaxResults=size)
    assert (code, "It must be 1 to 1000" in message) == ("InvalidParameterValue", True)


def test_tokens_hold_for_their_request_alone(here: Api) -> None:
    token = here.ask("DescribeFlowLogs", MaxResults=2)["NextToken"]
    assert here.described(MaxResults=3, NextToken=token) == here.described()[2:5]
    flipped = token[:-1] + ("A" if token[-1] != "A" else "B")
    for changed in (
        {"NextToken": token, "Filter": [{"Name": "resource-id", "Values": ["vpc-a"]}]},
        {"NextToken": flipped},
        {"NextToken": token[4:]},
        {"NextToken": "2"},
        {"NextToken": "AAAA"},
        {"NextToken": "€"},
    ):
        assert here.refusal("DescribeFlowLogs", MaxResults=2, **changed)[0] == "InvalidNextToken", changed
    assert here.refusal("DescribeTags", MaxResults=5, NextToken=token)[0] == "InvalidNextToken"


def test_pages_do_not_go_with_ids(here: Api) -> None:
    [one, *_] = here.described()
    code, _ = here.refusal("DescribeFlowLogs", MaxResults=5, FlowLogIds=[one["FlowLogId"]])
    assert code == "InvalidParameterCombination"
