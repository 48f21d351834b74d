"""Bucket policies: what is added, what counts as there already, and what denies."""

from __future__ import annotations

import copy
import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowglass.deliver import globs, policies
from flowglass.fields.contracts import Destination, DestinationFault, DestinationType, DestinationUse

ACCOUNT = "123456789012"
SOURCE = f"arn:aws:logs:us-east-1:{ACCOUNT}:*"
USE = DestinationUse(Destination(DestinationType.S3, "team-logs"), ACCOUNT, "us-east-1")
WRITE, ACL = policies.statements(USE)
OTHERS = {
    "Sid": "Readers",
    "Effect": "Allow",
    "Principal": {"AWS": "arn:aws:iam::111122223333:root"},
    "Action": ["s3:GetObject"],
    "Resource": "arn:aws:s3:::team-logs/*",
}


def use(folder: str = "", *, account: str = ACCOUNT, region: str = "us-east-1", hive: bool = False) -> DestinationUse:
    return DestinationUse(Destination(DestinationType.S3, "team-logs", folder), account, region, hive)


def policy(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def grown(document: dict[str, Any] | None, of: DestinationUse = USE) -> dict[str, Any]:
    result = policies.append(document, policies.statements(of))
    assert isinstance(result, dict)
    assert policies.fault(result) is None
    return result


def is_enough(*statements: dict[str, Any]) -> bool:
    return policies.append(policy(*statements), (WRITE, ACL)) is None


def deny(**more: Any) -> dict[str, Any]:
    """A statement that denies everything to everybody, but for what is said."""
    statement = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "arn:aws:s3:::team-logs/*", **more}
    return {key: value for key, value in statement.items() if value is not None}


def allowed(statement: dict[str, Any], of: DestinationUse = USE) -> bool:
    assert policies.fault(policy(statement)) is None
    return policies.allows(policy(OTHERS, statement), of)


def test_the_statements_are_those_that_aws_documents() -> None:
    source = {"aws:SourceAccount": ACCOUNT}
    assert {
        "Sid": "AWSLogDeliveryWrite",
        "Effect": "Allow",
        "Principal": {"Service": "delivery.logs.amazonaws.com"},
        "Action": "s3:PutObject",
        "Resource": f"arn:aws:s3:::team-logs/AWSLogs/{ACCOUNT}/*",
        "Condition": {
            "StringEquals": {"s3:x-amz-acl": "bucket-owner-full-control", **source},
            "ArnLike": {"aws:SourceArn": SOURCE},
        },
    } == WRITE
    assert {
        "Sid": "AWSLogDeliveryAclCheck",
        "Effect": "Allow",
        "Principal": {"Service": "delivery.logs.amazonaws.com"},
        "Action": "s3:GetBucketAcl",
        "Resource": "arn:aws:s3:::team-logs",
        "Condition": {"StringEquals": source, "ArnLike": {"aws:SourceArn": SOURCE}},
    } == ACL


@pytest.mark.parametrize(
    ("of", "resource"),
    [
        (use("flows/"), f"arn:aws:s3:::team-logs/flows/AWSLogs/{ACCOUNT}/*"),
        (use("a/b", hive=True), f"arn:aws:s3:::team-logs/a/b/AWSLogs/aws-account-id={ACCOUNT}/*"),
    ],
)
def test_the_resource_has_the_folder_and_the_form_of_the_keys(of: DestinationUse, resource: str) -> None:
    write, acl = policies.statements(of)
    assert write["Resource"] == resource
    assert acl["Resource"] == "arn:aws:s3:::team-logs"


def test_arns_are_of_the_partition() -> None:
    write, acl = policies.statements(USE, "aws-cn")
    arns = [write["Resource"], acl["Resource"], acl["Condition"]["ArnLike"]["aws:SourceArn"]]
    assert all(arn.startswith("arn:aws-cn:") for arn in arns)


def test_a_bucket_without_policy_gets_one() -> None:
    assert grown(None) == {
        "Version": "2012-10-17",
        "Id": "AWSLogDeliveryWrite20150319",
        "Statement": [WRITE, ACL],
    }


def test_other_statements_stay_as_they_are() -> None:
    before = {"Version": "2008-10-17", "Id": "mine", "Statement": OTHERS}
    kept = copy.deepcopy(before)
    result = grown(before)
    assert before == kept
    assert result == {"Version": "2008-10-17", "Id": "mine", "Statement": [OTHERS, WRITE, ACL]}


def test_nothing_is_added_twice() -> None:
    assert policies.append(grown(policy(OTHERS)), (WRITE, ACL)) is None


def test_only_what_is_missing_is_added_under_a_name_of_its_own() -> None:
    first = grown(None)
    second = grown(first, use("other"))
    assert [one["Sid"] for one in second["Statement"]] == [
        "AWSLogDeliveryWrite",
        "AWSLogDeliveryAclCheck",
        "AWSLogDeliveryWrite1",
    ]
    third = grown(second, use("other", account="210987654321"))
    assert [one["Sid"] for one in third["Statement"][3:]] == ["AWSLogDeliveryWrite2", "AWSLogDeliveryAclCheck1"]
    assert third["Statement"][:3] == second["Statement"]


def test_the_same_meaning_in_other_words_is_enough() -> None:
    write = {
        "Condition": {
            "StringLike": {"AWS:SourceAccount": [ACCOUNT, "2*"]},
            "ArnEquals": {"aws:sourcearn": ["arn:aws:logs:*:1*:*"]},
        },
        "Action": ["s3:GetObject", "S3:put*"],
        "Principal": {"Service": ["config.amazonaws.com", "delivery.logs.amazonaws.com"]},
        "Effect": "Allow",
        "Resource": ["arn:aws:s3:::other", "arn:aws:s3:::team-logs/*"],
    }
    acl = {**ACL, "Resource": ["arn:aws:s3:::team-logs"], "Condition": {}}
    assert is_enough(acl, write)
    assert is_enough({"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"})


@pytest.mark.parametrize(
    "change",
    [
        {"Effect": "Deny"},
        {"Principal": {"Service": "config.amazonaws.com"}},
        {"Principal": {"AWS": "*"}},  # says nothing of services
        {"Action": "s3:PutObjectAcl"},
        {"Resource": f"arn:aws:s3:::team-logs/flows/AWSLogs/{ACCOUNT}/*"},
        {"Resource": f"arn:aws:s3:::team-logs/AWSLogs/{ACCOUNT}/?"},
        {"Resource": f"arn:aws:s3:::team-logs/AWSLogs/{ACCOUNT}/a*"},
        {"Resource": "arn:aws:s3:::team-logs/${aws:username}*"},
        {"Condition": {**WRITE["Condition"], "Bool": {"aws:SecureTransport": "true"}}},
        {"Condition": {"StringEquals": {"aws:SourceAccount": "210987654321"}}},
        {"Condition": {"StringNotEquals": {"aws:SourceAccount": ACCOUNT}}},
        {"Condition": {"ArnLike": {"aws:SourceArn": f"arn:aws:logs:eu-west-1:{ACCOUNT}:*"}}},
        {"Condition": {"ArnLike": {"aws:SourceArn": "arn:aws:*"}}},  # ARNs are compared part by part
        {"Condition": {"StringEquals": {"aws:SourceArn": SOURCE}}},  # no pattern here
        {"Condition": {"StringEquals": {"aws:SourceAccount": "${aws:PrincipalAccount}"}}},
        {"Condition": {"ForAnyValue:StringEquals": {"aws:SourceAccount": ACCOUNT}}},
    ],
)
def test_what_grants_less_is_not_enough(change: dict[str, Any]) -> None:
    assert is_enough(WRITE, ACL)
    document = policy({**WRITE, **change}, ACL)
    assert policies.fault(document) is None
    added = grown(document)["Statement"][2:]
    assert added == [{**WRITE, "Sid": "AWSLogDeliveryWrite1"}]


@pytest.mark.parametrize(
    "statement",
    [
        deny(Principal=None, NotPrincipal={"AWS": "arn:aws:iam::111122223333:root"}),
        deny(Action=None, NotAction="s3:Get*"),
    ],
)
def test_nothing_is_added_to_a_policy_of_negations(statement: dict[str, Any]) -> None:
    result = policies.append(policy(statement), (WRITE, ACL))
    assert isinstance(result, DestinationFault)
    assert result.code == "400"
    assert result.message == (
        "Access Denied for LogDestination: team-logs. Please check LogDestination permission: its bucket policy has "
        "NotPrincipal or NotAction, to which nothing is added; add the statement AWSLogDeliveryWrite and "
        "AWSLogDeliveryAclCheck for delivery.logs.amazonaws.com by hand"
    )
    assert policies.append(policy(statement, WRITE, ACL), (WRITE, ACL)) is None


def test_a_policy_of_twenty_kilobytes_takes_no_more_and_the_remedy_works() -> None:
    document: dict[str, Any] | None = None
    for number in range(100):
        result = policies.append(document, policies.statements(use(f"folder-{number}")))
        if isinstance(result, DestinationFault):
            break
        document = result
    else:
        pytest.fail("a policy grew without end")
    assert document is not None
    assert len(json.dumps(document, separators=(",", ":"))) <= 20_480
    assert result.code == "LogDestinationPermissionIssueException"
    assert re.search(r"would have 20\d\d\d bytes and may have 20480", result.message)
    assert result.message.endswith("by one with the resource arn:aws:s3:::team-logs/*")
    broad = policy({**WRITE, "Resource": "arn:aws:s3:::team-logs/*"}, ACL)
    assert policies.append(broad, policies.statements(use("folder-99"))) is None


def test_no_policy_and_no_denial_allow() -> None:
    assert policies.allows(None, USE)
    assert policies.allows(policy(OTHERS), USE)


@pytest.mark.parametrize(
    "statement",
    [
        deny(),
        deny(Principal={"AWS": "*"}),
        deny(Principal={"Service": ["delivery.logs.amazonaws.com"]}),
        deny(Principal=None, NotPrincipal={"AWS": "arn:aws:iam::111122223333:root"}),
        deny(Action=["s3:GetObject", "s3:Put*"]),
        deny(Action="S3:PUTOBJECT"),
        deny(Action=None, NotAction=["s3:GetObject"]),
        deny(Resource=f"arn:aws:s3:::team-logs/AWSLogs/{ACCOUNT}/vpcflowlogs/us-east-1/2*"),
        deny(Resource="arn:aws:s3:::team-logs/AWSLogs/*/*.log.gz"),
        deny(Resource="arn:aws:s3:::team-logs/${aws:PrincipalTag/team}/*"),
        deny(Resource=None, NotResource="arn:aws:s3:::team-logs/mine/*"),
        deny(Condition={"StringNotEquals": {"s3:x-amz-acl": "private"}}),
        deny(Condition={"StringEquals": {"aws:SourceAccount": [ACCOUNT]}}),
        deny(Condition={"ArnNotLike": {"aws:SourceArn": "arn:aws:logs:*:210987654321:*"}}),
        deny(Condition={"ArnLike": {"aws:SourceArn": f"arn:aws:logs:*:{ACCOUNT}:delivery-source*"}}),
        deny(Condition={"Null": {"aws:SourceArn": "false"}}),
        deny(Condition={"Bool": {"aws:PrincipalIsAWSService": True}}),
        deny(Condition={"StringNotEquals": {"aws:PrincipalOrgID": "o-1"}}),  # not known here
        deny(Condition={"StringNotEquals": {"s3:x-amz-server-side-encryption": "aws:kms"}}),
        deny(Condition={"NumericLessThan": {"s3:TlsVersion": 1.2}}),
    ],
)
def test_a_denial_that_hits_or_might_hit_a_delivery_denies(statement: dict[str, Any]) -> None:
    assert not allowed(statement)


@pytest.mark.parametrize(
    "statement",
    [
        deny(Effect="Allow"),
        deny(Principal={"AWS": "arn:aws:iam::111122223333:root"}),
        deny(Principal={"Service": "config.amazonaws.com"}),
        deny(Principal=None, NotPrincipal={"Service": "delivery.logs.amazonaws.com"}),
        deny(Action=["s3:GetObject", "s3:PutObjectAcl"]),
        deny(Action=None, NotAction="s3:P*"),
        deny(Resource="arn:aws:s3:::team-logs"),
        deny(Resource=["arn:aws:s3:::team-logs/mine/*", "arn:aws:s3:::team-logs/AWSLogs/210987654321/*"]),
        deny(Resource=None, NotResource="arn:aws:s3:::team-logs/AWSLogs/*"),
        deny(Condition={"Bool": {"aws:SecureTransport": "false"}}),
        deny(Condition={"BoolIfExists": {"aws:PrincipalIsAWSService": ["false"]}}),
        deny(
            Condition={"StringNotEquals": {"aws:PrincipalOrgID": "o-1"}, "Bool": {"aws:PrincipalIsAWSService": False}}
        ),
        deny(Condition={"StringNotEquals": {"s3:x-amz-acl": "bucket-owner-full-control"}}),
        deny(Condition={"StringNotEqualsIgnoreCase": {"aws:principalservicename": "Delivery.logs.amazonaws.com"}}),
        deny(Condition={"StringNotLike": {"aws:SourceAccount": ["9*", "12345678901?"]}}),
        deny(Condition={"ArnNotLike": {"aws:SourceArn": "arn:aws:logs:*:123456789012:*"}}),
        deny(Condition={"ArnLike": {"aws:SourceArn": "arn:aws:logs:eu-west-1:*:*"}}),
        deny(Condition={"StringEquals": {"aws:SourceArn": "arn:aws:sns:us-east-1:123456789012:topic"}}),
        deny(Condition={"Null": {"aws:SourceAccount": "true"}}),
    ],
)
def test_a_denial_that_cannot_hit_a_delivery_does_not_deny(statement: dict[str, Any]) -> None:
    assert allowed(statement)


def test_a_denial_is_of_the_folder_and_form_of_the_use() -> None:
    mine = deny(Resource="arn:aws:s3:::team-logs/mine/*")
    hive = deny(Resource="arn:aws:s3:::team-logs/AWSLogs/aws-account-id=*")
    assert [allowed(mine, use("mine")), allowed(mine, use("mined"))] == [False, True]
    assert [allowed(hive, use(hive=True)), allowed(hive, use())] == [False, True]


@pytest.mark.parametrize(
    ("document", "wrong"),
    [
        ([], "it is no JSON object"),
        ({"Version": "2012-10-17"}, "it has no Statement"),
        ({"Statement": ["Allow"]}, "statement 1: it is no JSON object"),
        (policy(OTHERS, deny(Effect="No")), "statement 2: its Effect is neither Allow nor Deny"),
        (policy(deny(NotAction="s3:*")), "statement 1: it has not exactly one of Action and NotAction"),
        (policy(deny(Principal=None)), "statement 1: it has not exactly one of Principal and NotPrincipal"),
        (policy(deny(Resource=[])), "statement 1: its Resource is neither a text nor a list of texts"),
        (policy(deny(Action=[1])), "statement 1: its Action is neither a text nor a list of texts"),
        (policy(deny(Principal="me")), "statement 1: its Principal is neither * nor an object of texts"),
        (policy(deny(Principal={"AWS": 1})), "statement 1: its Principal is neither * nor an object of texts"),
        (policy(deny(Condition={"Bool": "x"})), "statement 1: its Condition is no object of objects"),
        (policy(deny(Sid="x" * 21_000)), "it has 21135 bytes, a bucket policy at most 20480"),
    ],
)
def test_what_is_no_policy_is_told(document: object, wrong: str) -> None:
    assert policies.fault(document) == wrong


class TestGlobs:
    """A pattern covers a text when every text that the text's own stars may stand for fits it."""

    @given(st.text("ab*?", max_size=8), st.text("ab", max_size=8))
    def test_patterns_match_as_the_regular_expression_of_the_same_meaning(self, pattern: str, text: str) -> None:
        expression = "".join({"*": ".*", "?": "."}.get(c, c) for c in pattern)
        assert globs.covers(pattern, text) == bool(re.fullmatch(expression, text))

    @given(st.text("ab*?", max_size=6), st.text("ab", max_size=4), st.text("ab", max_size=4))
    def test_what_covers_a_star_covers_all_it_stands_for(self, pattern: str, start: str, end: str) -> None:
        if globs.covers(pattern, start + "*"):
            assert globs.covers(pattern, start + end)

    @given(st.text("ab*?", max_size=6), st.text("ab", max_size=4), st.text("ab", max_size=6))
    def test_what_matches_a_text_meets_its_beginning(self, pattern: str, start: str, end: str) -> None:
        if globs.covers(pattern, start + end):
            assert globs.meets(pattern, start)

    @given(st.text("ab*?", max_size=6), st.text("ab", max_size=4))
    def test_what_meets_a_beginning_matches_a_text_with_it(self, pattern: str, start: str) -> None:
        filled = [pattern[cut:].replace("*", "").replace("?", "a") for cut in range(len(pattern) + 1)]
        assert globs.meets(pattern, start) == any(globs.covers(pattern, start + rest) for rest in filled)

    def test_no_pattern_takes_long(self) -> None:
        assert not globs.covers("*a" * 300, "a" * 299)
        assert globs.covers("*a" * 300, "a" * 300)
