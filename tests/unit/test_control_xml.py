"""Answers as XML: the form of each service, every type of value, and what is refused to be written."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from tests.support.ec2_shapes import ACTIONS, known, read_by_botocore

from flowglass.control import xml

DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'
EC2 = "http://ec2.amazonaws.com/doc/2016-11-15/"
STS = "https://sts.amazonaws.com/doc/2011-06-15/"


def described(flow_log: dict[str, Any]) -> str:
    return xml.answer(known("DescribeFlowLogs"), {"FlowLogs": [flow_log]}, "id").decode()


class TestForms:
    def test_ec2_answers_have_the_form_of_awss_sample(self) -> None:
        result = {"ClientToken": "t=", "FlowLogIds": ["fl-1a2b3c4d"], "Unsuccessful": []}
        assert xml.answer(known("CreateFlowLogs"), result, "r-1").decode() == (
            f'{DECLARATION}<CreateFlowLogsResponse xmlns="{EC2}"><requestId>r-1</requestId>'
            "<clientToken>t=</clientToken><flowLogIdSet><item>fl-1a2b3c4d</item></flowLogIdSet><unsuccessful/></CreateFlowLogsResponse>"
        )

    def test_an_action_without_an_output_returns_true(self) -> None:
        assert xml.answer(known("CreateTags"), {}, "r-1").decode() == (
            f'{DECLARATION}<CreateTagsResponse xmlns="{EC2}"><requestId>r-1</requestId><return>true</return>'
            "</CreateTagsResponse>"
        )

    def test_sts_answers_wrap_the_result(self) -> None:
        result = {"UserId": "u", "Account": "123456789012", "Arn": "arn:aws:iam::123456789012:user/u"}
        assert xml.answer(known("GetCallerIdentity"), result, "r-1").decode() == (
            f'{DECLARATION}<GetCallerIdentityResponse xmlns="{STS}"><GetCallerIdentityResult><UserId>u</UserId>'
            "<Account>123456789012</Account><Arn>arn:aws:iam::123456789012:user/u</Arn></GetCallerIdentityResult>"
            "<ResponseMetadata><RequestId>r-1</RequestId></ResponseMetadata></GetCallerIdentityResponse>"
        )

    def test_errors_of_ec2(self) -> None:
        assert xml.error("InvalidParameter", "a < b & c", "r-1", service="ec2").decode() == (
            f"{DECLARATION}<Response><Errors><Error><Code>InvalidParameter</Code><Message>a &lt; b &amp; c</Message>"
            "</Error></Errors><RequestID>r-1</RequestID></Response>"
        )

    @pytest.mark.parametrize(
        ("code", "side"),
        [("SignatureDoesNotMatch", "Sender"), ("InternalError", "Receiver"), ("ServiceUnavailable", "Receiver")],
    )
    def test_errors_of_sts_tell_whose_fault_it_is(self, code: str, side: str) -> None:
        assert xml.error(code, "m", "r-1", service="sts").decode() == (
            f'{DECLARATION}<ErrorResponse xmlns="{STS}"><Error><Type>{side}</Type><Code>{code}</Code>'
            "<Message>m</Message></Error><RequestId>r-1</RequestId></ErrorResponse>"
        )

    @pytest.mark.parametrize("action", ACTIONS)
    def test_every_action_can_answer_nothing(self, action: str) -> None:
        parsed = read_by_botocore(known(action), xml.answer(known(action), {}, "r-1"))
        assert parsed == {"ResponseMetadata": {"RequestId": "r-1"}}


class TestValues:
    def test_none_leaves_a_member_out(self) -> None:
        assert "<item></item>" in described({"LogGroupName": None, "Tags": None})

    def test_an_empty_list_and_an_empty_text_are_empty_elements(self) -> None:
        assert "<item><tagSet/><logGroupName></logGroupName></item>" in described({"Tags": [], "LogGroupName": ""})

    def test_booleans_and_integers(self) -> None:
        text = described({"MaxAggregationInterval": 0, "DestinationOptions": {"PerHourPartition": False}})
        assert "<maxAggregationInterval>0</maxAggregationInterval>" in text
        assert "<destinationOptions><perHourPartition>false</perHourPartition></destinationOptions>" in text

    @pytest.mark.parametrize(
        "time",
        [
            1_767_225_600_120,
            datetime(2026, 1, 1, 0, 0, 0, 120_999, tzinfo=UTC),
            datetime(2026, 1, 1, 5, 30, 0, 120_000, tzinfo=timezone(timedelta(hours=5, minutes=30))),
        ],
    )
    def test_times_have_milliseconds_and_z(self, time: datetime | int) -> None:
        assert "<creationTime>2026-01-01T00:00:00.120Z</creationTime>" in described({"CreationTime": time})

    @pytest.mark.parametrize(
        ("text", "written"),
        [
            ("a&b<c>d]]>", "a&amp;b&lt;c&gt;d]]&gt;"),
            ("line\r\nline\ttab", "line&#13;\nline\ttab"),
            ("\x00\x1b\ufffe\ud800\udfff", "�" * 5),
            ("€ 🦔 \x85", "€ 🦔 \x85"),
        ],
    )
    def test_any_text_is_written_as_xml_allows(self, text: str, written: str) -> None:
        assert f"<logFormat>{written}</logFormat>" in described({"LogFormat": text})


class TestFaultsOfThisProgram:
    @pytest.mark.parametrize(
        "flow_log",
        [
            {"FlowlogId": "fl-1"},
            {"FlowLogId": 1},
            {"FlowLogId": ["fl-1"]},
            {"Tags": "Name"},
            {"Tags": {"Name": "x"}},
            {"Tags": [None]},
            {"Tags": [{"Name": "x"}]},
            {"MaxAggregationInterval": "600"},
            {"CreationTime": "2026-01-01T00:00:00Z"},
            {"CreationTime": datetime(2026, 1, 1)},
            {"DestinationOptions": {"PerHourPartition": "false"}},
            {"DestinationOptions": "parquet"},
        ],
    )
    def test_what_the_model_does_not_have_raises(self, flow_log: dict[str, Any]) -> None:
        with pytest.raises((KeyError, TypeError, ValueError, AttributeError)):
            described(flow_log)

    def test_an_answer_without_members_has_none(self) -> None:
        with pytest.raises(KeyError, match="Tags"):
            xml.answer(known("CreateTags"), {"Tags": []}, "id")
