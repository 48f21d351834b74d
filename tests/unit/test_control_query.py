"""Requests of the query protocol: decoding, the action, members by type, and what is said of faults."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.support.ec2_shapes import ACTIONS, known

from flowglass.control import inputs, model, query
from flowglass.control.faults import (
    ApiFault,
    InvalidAction,
    InvalidParameterValue,
    InvalidRequest,
    MissingAction,
    MissingParameter,
    NoSuchVersion,
    UnknownParameter,
)

Pairs = list[tuple[str, str]]

REQUIRED: Pairs = [("ResourceId.1", "vpc-1"), ("ResourceType", "VPC")]
HEAD: Pairs = [("Action", "DescribeFlowLogs"), ("Version", "2016-11-15")]


def create(*pairs: tuple[str, str]) -> dict[str, Any]:
    return query.parse(known("CreateFlowLogs"), [*REQUIRED, *pairs])


def integration(date: str) -> datetime:
    prefix = "IntegrateService.AthenaIntegration.1."
    pairs = [
        ("FlowLogId", "fl-1"),
        ("ConfigDeliveryS3DestinationArn", "arn:aws:s3:::a"),
        (f"{prefix}IntegrationResultS3DestinationArn", "arn:aws:s3:::a"),
        (f"{prefix}PartitionLoadFrequency", "daily"),
        (f"{prefix}PartitionStartDate", date),
    ]
    members = query.parse(known("GetFlowLogsIntegrationTemplate"), pairs)
    time = members["IntegrateServices"]["AthenaIntegrations"][0]["PartitionStartDate"]
    assert isinstance(time, datetime)
    return time


class TestTheModel:
    @pytest.mark.parametrize("action", ACTIONS)
    def test_every_answered_action_is_in_its_services_model(self, action: str) -> None:
        operation = known(action)
        assert operation.name == action
        assert operation.service_model.api_version == model.VERSIONS[operation.service_model.service_name]
        assert model.operation(action) is operation
        assert inputs.of(operation) is inputs.of(operation)

    @pytest.mark.parametrize("action", ["RunInstances", "createflowlogs", "", "__class__", "AssumeRole"])
    def test_other_actions_have_no_model(self, action: str) -> None:
        assert model.operation(action) is None

    def test_an_action_is_of_one_service_only(self) -> None:
        assert model.operation("GetCallerIdentity", service="ec2") is None
        assert model.operation("CreateFlowLogs", service="sts") is None
        assert model.operation("CreateFlowLogs", service="ec2") is known("CreateFlowLogs")

    def test_models_in_the_users_folder_are_not_read(self, tmp_path: Path) -> None:
        folder = tmp_path / ".aws" / "models" / "ec2" / model.VERSIONS["ec2"]
        folder.mkdir(parents=True)
        (folder / "service-2.json").write_text("not a model")
        program = "from flowglass.control import model; print(model.operation('CreateFlowLogs').name)"
        done = subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout == "CreateFlowLogs\n"


class TestDecoding:
    def test_blanks_percent_signs_and_utf8_are_decoded(self) -> None:
        assert query.decode(b"a=v+w%2F%26%3D&%C3%A4=%e2%82%ac&b=1=2") == [("a", "v w/&="), ("ä", "€"), ("b", "1=2")]

    def test_a_part_without_an_equals_sign_is_empty_and_empty_parts_are_left_out(self) -> None:
        assert query.decode(b"&a&&b=&") == [("a", ""), ("b", "")]
        assert query.decode(b"") == []

    @pytest.mark.parametrize(
        ("encoded", "told"),
        [
            (b"a=1&b=%4", "byte 6"),
            (b"a=100%", "%25"),
            (b"a=%g0", "byte 2"),
            (b"a=1&b=%ff", "Parameter 2 of the request is not UTF-8"),
            (b"a=%ED%A0%80", "not UTF-8"),  # a surrogate
            (b"a=\xff", "not UTF-8"),
            (b"a=x%00y", "Parameter 1 of the request has a NUL"),
            (b"=1", "Parameter 1 of the request has no name"),
            (b"a" * 257 + b"=1", "longer than 256"),
            (b"a=" + b"x" * 65_537, "longer than 65536"),
            (b"a=1&" * 10_001, "more than 10000 parameters"),
        ],
    )
    def test_what_is_no_form_is_refused_and_the_place_told(self, encoded: bytes, told: str) -> None:
        with pytest.raises(InvalidRequest, match=told):
            query.decode(encoded)


class TestTheAction:
    def test_action_version_and_the_signatures_parameters_are_taken_off(self) -> None:
        presigned = [(name, "x") for name in sorted(query.SIGNATURE_PARAMETERS)]
        assert len(presigned) == 7
        pairs = [*presigned, *HEAD, ("X-Amz-Other", "y"), ("MaxResults", "5")]
        assert query.split_action(pairs) == (
            "DescribeFlowLogs",
            "2016-11-15",
            [("X-Amz-Other", "y"), ("MaxResults", "5")],
        )

    def test_the_version_of_an_action_that_is_not_answered_is_not_looked_at(self) -> None:
        assert query.split_action([("Action", "Nope"), ("Version", "1")]) == ("Nope", "1", [])

    @pytest.mark.parametrize(
        ("pairs", "fault", "told"),
        [
            ([("Version", "2016-11-15")], MissingAction, "must include the Action parameter"),
            ([("Action", ""), ("Version", "2016-11-15")], MissingAction, "Action"),
            ([("Action", "a\nb" + "c" * 900), ("Version", "1")], InvalidAction, "action a�bc{97}… is not valid"),
            ([("Action", "DescribeFlowLogs")], MissingParameter, "must include the Version parameter"),
            ([("Action", "DescribeFlowLogs"), ("Version", "2011-06-15")], NoSuchVersion, "2016-11-15"),
            ([("Action", "GetCallerIdentity"), ("Version", "2016-11-15")], NoSuchVersion, "2011-06-15"),
            ([*HEAD, ("Action", "DeleteFlowLogs")], InvalidRequest, "Action is in the request twice"),
        ],
    )
    def test_what_names_no_action_of_a_known_version_is_refused(
        self, pairs: Pairs, fault: type[ApiFault], told: str
    ) -> None:
        with pytest.raises(fault, match=told):
            query.split_action(pairs)


class TestMembers:
    def test_the_command_of_awss_announcement_is_read_from_the_wire(self) -> None:
        body = (
            b"Action=CreateFlowLogs&Version=2016-11-15&ResourceId.1=vpc-8190accaab4496a06&ResourceType=VPC&TrafficType=ALL"
            b"&LogDestinationType=s3&LogDestination=arn%3Aaws%3As3%3A%3A%3Asst-vpc-demo"
            b"&LogFormat=%24%7Bversion%7D+%24%7Bvpc-id%7D"
        )
        action, _, pairs = query.split_action(query.decode(body))
        assert query.parse(known(action), pairs) == {
            "ResourceIds": ["vpc-8190accaab4496a06"],
            "ResourceType": "VPC",
            "TrafficType": "ALL",
            "LogDestinationType": "s3",
            "LogDestination": "arn:aws:s3:::sst-vpc-demo",
            "LogFormat": "${version} ${vpc-id}",
        }

    def test_lists_are_in_the_order_of_their_numbers_and_gaps_close(self) -> None:
        pairs = [("FlowLogId.10", "c"), ("FlowLogId.2", "a"), ("FlowLogId.9", "b"), ("FlowLogId.999999", "d")]
        assert query.parse(known("DeleteFlowLogs"), pairs) == {"FlowLogIds": ["a", "b", "c", "d"]}

    def test_structures_in_lists_are_gathered_from_their_parts(self) -> None:
        pairs = [
            ("Filter.2.Value.1", "ALL"),
            ("Filter.1.Value.2", "b"),
            ("Filter.1.Name", "resource-id"),
            ("Filter.2.Name", "traffic-type"),
            ("Filter.1.Value.1", "a"),
        ]
        assert query.parse(known("DescribeFlowLogs"), pairs) == {
            "Filter": [
                {"Name": "resource-id", "Values": ["a", "b"]},
                {"Name": "traffic-type", "Values": ["ALL"]},
            ]
        }

    @pytest.mark.parametrize(("text", "value"), [("true", True), ("false", False), ("True", True), ("FALSE", False)])
    def test_booleans_are_true_or_false_in_any_case(self, text: str, value: bool) -> None:
        assert create(("DryRun", text))["DryRun"] is value

    @pytest.mark.parametrize(("text", "value"), [("0", 0), ("-2147483648", -(2**31)), ("2147483647", 2**31 - 1)])
    def test_integers_have_32_bits(self, text: str, value: int) -> None:
        assert create(("MaxAggregationInterval", text))["MaxAggregationInterval"] == value

    @pytest.mark.parametrize(
        ("text", "value"),
        [
            ("2026-01-31", datetime(2026, 1, 31, tzinfo=UTC)),
            ("2026-01-31T08:09", datetime(2026, 1, 31, 8, 9, tzinfo=UTC)),
            ("2026-01-31T08:09:10Z", datetime(2026, 1, 31, 8, 9, 10, tzinfo=UTC)),
            ("2026-01-31T08:09:10.5+02:00", datetime(2026, 1, 31, 6, 9, 10, 500_000, tzinfo=UTC)),
        ],
    )
    def test_times_are_read_as_utc(self, text: str, value: datetime) -> None:
        assert integration(text) == value
        assert integration(text).utcoffset() == UTC.utcoffset(None)

    @pytest.mark.parametrize(
        "text", ["", "yesterday", "1767225600", "2026-02-30", "2026-W05", "20260131", "0001-01-01T00:00:00+23:59"]
    )
    def test_what_is_no_time_is_refused(self, text: str) -> None:
        with pytest.raises(InvalidParameterValue, match=r"PartitionStartDate is invalid\. It must be a time"):
            integration(text)

    def test_an_empty_text_is_a_value(self) -> None:
        assert create(("LogFormat", ""))["LogFormat"] == ""


class TestFaults:
    def test_one_missing_parameter_is_told_in_awss_words(self) -> None:
        with pytest.raises(MissingParameter) as caught:
            query.parse(known("DeleteFlowLogs"), [])
        assert caught.value.message == (
            "The request must include the FlowLogIds parameter. Add the required parameter and retry the request."
        )

    def test_all_missing_parameters_are_told_nested_ones_by_their_path(self) -> None:
        pairs = [("FlowLogId", "fl-1"), ("IntegrateService.AthenaIntegration.7.PartitionLoadFrequency", "daily")]
        with pytest.raises(MissingParameter) as caught:
            query.parse(known("GetFlowLogsIntegrationTemplate"), pairs)
        assert caught.value.message == (
            "The request must include the ConfigDeliveryS3DestinationArn, "
            "IntegrateServices.AthenaIntegrations.7.IntegrationResultS3DestinationArn parameters. "
            "Add the required parameters and retry the request."
        )

    def test_a_required_parameter_under_a_wrong_name_is_told_with_that_name(self) -> None:
        with pytest.raises(
            MissingParameter, match=r"include the FlowLogIds .* The parameter FlowLogIds.1 is not recog"
        ):
            query.parse(known("DeleteFlowLogs"), [("FlowLogIds.1", "fl-1")])

    def test_one_unknown_parameter_is_told_in_awss_words(self) -> None:
        with pytest.raises(UnknownParameter) as caught:
            create(("LogFromat", "x"))
        assert caught.value.message == "The parameter LogFromat is not recognized"

    def test_all_unknown_parameters_are_told_before_any_wrong_value(self) -> None:
        with pytest.raises(UnknownParameter) as caught:
            create(("DryRun", "perhaps"), ("DestinationOptions.Format", "x"), ("ResourceType.1", "VPC"), ("Tag.1", ""))
        assert caught.value.message == (
            "The parameters DestinationOptions.Format, ResourceType.1, Tag.1 are not recognized"
        )

    @pytest.mark.parametrize(
        "name",
        ["ResourceId.0", "ResourceId.01", "ResourceId.-1", "ResourceId.1000000", "ResourceId.٣", "ResourceId.",
         "resourceId.1", "ResourceId.1.1", "__class__", "DestinationOptions.__class__",
         "TagSpecification.1.Tag.1.Key.1"],
    )  # fmt: skip
    def test_names_that_lead_nowhere_are_unknown(self, name: str) -> None:
        with pytest.raises(UnknownParameter):
            create((name, "x"))

    def test_all_wrong_values_are_told(self) -> None:
        with pytest.raises(InvalidParameterValue) as caught:
            create(("DryRun", "perhaps"), ("MaxAggregationInterval", "abc"))
        assert caught.value.message == (
            "Value (perhaps) for parameter dryRun is invalid. It must be true or false. "
            "Value (abc) for parameter maxAggregationInterval is invalid. "
            "It must be a whole number from -2147483648 to 2147483647."
        )

    @pytest.mark.parametrize("text", ["", " 1", "1.0", "1e3", "+1", "2147483648", "-2147483649", "٣", "9" * 5_000])
    def test_what_is_no_integer_of_32_bits_is_refused(self, text: str) -> None:
        with pytest.raises(InvalidParameterValue, match="maxAggregationInterval"):
            create(("MaxAggregationInterval", text))

    def test_a_list_without_numbers_is_a_wrong_value_not_a_missing_one(self) -> None:
        with pytest.raises(
            InvalidParameterValue, match=r"\(fl-1\) for parameter flowLogId is invalid\. It must be a list"
        ):
            query.parse(known("DeleteFlowLogs"), [("FlowLogId", "fl-1")])

    def test_a_structure_without_parts_is_a_wrong_value(self) -> None:
        with pytest.raises(InvalidParameterValue, match=r"destinationOptions is invalid\. It must have parts"):
            create(("DestinationOptions", "x"), ("DestinationOptions.FileFormat", "parquet"))

    def test_a_name_that_is_there_twice_is_refused(self) -> None:
        with pytest.raises(InvalidRequest, match="ResourceType is in the request twice"):
            create(("ResourceType", "VPC"))

    def test_a_message_is_one_short_line_whatever_was_sent(self) -> None:
        with pytest.raises(UnknownParameter) as unknown:
            create(*[(f"X{number}\n{'x' * 200}", "") for number in range(500)])
        assert unknown.value.message.isprintable()
        assert len(unknown.value.message) < 3_000
        assert "and 480 more" in unknown.value.message
        with pytest.raises(InvalidParameterValue) as invalid:
            create(("DryRun", "a\nb" + "x" * 1_000))
        assert "Value (a�b" in invalid.value.message
        assert len(invalid.value.message) < 300
