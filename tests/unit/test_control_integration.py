"""GetFlowLogsIntegrationTemplate: what it refuses, and what it writes and answers."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from tests.support.inventoried import ACCOUNT, NOW_MS, OTHER, World, world

from flowglass.control.faults import (
    ApiFault,
    DryRunOperation,
    InvalidFlowLogIdNotFound,
    InvalidParameter,
    InvalidParameterValue,
    MissingParameter,
)
from flowglass.control.operations.integration import get_flow_logs_integration_template
from flowglass.control.store import deliveries, flow_logs
from flowglass.control.store.deliveries import DeliveryRow
from flowglass.control.store.flow_logs import FlowLogRow

ID = "fl-0123456789abcdef0"
WATCHED, NEVER, FIREHOSE = ID, "fl-0123456789abcdef1", "fl-0123456789abcdef2"
START, END = dt.datetime(2021, 7, 1, tzinfo=dt.UTC), dt.datetime(2021, 7, 21, 23, 59, tzinfo=dt.UTC)
ACTION = "GetFlowLogsIntegrationTemplate"
NAME = f"VPCFlowLogsIntegrationTemplate_{ID}_Thu May 28 20:26:40 UTC 2026.yml"


def _row(flow_log_id: str, **more: Any) -> FlowLogRow:
    chosen: dict[str, Any] = {
        "account": ACCOUNT,
        "region": "eu-west-1",
        "resource_id": "vpc-0000000a",
        "resource_type": "VPC",
        "traffic_type": "ALL",
        "log_destination_type": "s3",
        "log_destination": f"arn:aws:s3:::logs/net/{flow_log_id}/",
        "log_group_name": None,
        "deliver_logs_permission_arn": None,
        "deliver_cross_account_role": None,
        "log_format": "${version} ${srcaddr} ${dstaddr} ${bytes} ${instance-tag}",
        "max_aggregation_interval": 60,
        "file_format": "parquet",
        "hive_compatible_partitions": True,
        "per_hour_partition": False,
        "tag_fields": (("instance", ("Name",)),),
        "destination_key": flow_log_id,
        "created_ms": NOW_MS,
    }
    return FlowLogRow(id=flow_log_id, **{**chosen, **more})


@pytest.fixture
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = world(tmp_path_factory.mktemp("integration"))
    stream = "arn:aws:firehose:eu-west-1:123456789012:deliverystream/s"
    rows = [
        _row(WATCHED),
        _row(NEVER),
        _row(FIREHOSE, log_destination_type="kinesis-data-firehose", log_destination=stream),
    ]
    delivered = [
        DeliveryRow(flow_log_id=name, agent="agent-1", status="SUCCESS", message=None, at_ms=NOW_MS, objects=objects)
        for name, objects in ((WATCHED, 3), (NEVER, 0), (FIREHOSE, 2))
    ]
    made.services.store.write(lambda connection: flow_logs.insert(connection, rows))
    made.services.store.write(lambda connection: deliveries.report(connection, delivered))
    yield made
    made.services.store.close()


def _athena(frequency: str = "none", start: Any = START, end: Any = END, **more: Any) -> dict[str, Any]:
    dates = {"PartitionStartDate": start, "PartitionEndDate": end}
    given = {name: value for name, value in dates.items() if value is not None}
    results = "arn:aws:s3:::results/athena/"
    return {"IntegrationResultS3DestinationArn": results, "PartitionLoadFrequency": frequency, **given, **more}


def _parameters(*integrations: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "FlowLogId": WATCHED,
        "ConfigDeliveryS3DestinationArn": "arn:aws:s3:::templates",
        "IntegrateServices": {"AthenaIntegrations": list(integrations or [_athena()])},
        **more,
    }


def _ask(here: World, *integrations: dict[str, Any], **more: Any) -> dict[str, Any]:
    return here.call(get_flow_logs_integration_template, ACTION, **_parameters(*integrations, **more))


def _refused(here: World, *integrations: dict[str, Any], **more: Any) -> ApiFault:
    with pytest.raises(ApiFault) as refused:
        _ask(here, *integrations, **more)
    assert here.destinations.files == {}
    return refused.value


def test_the_answer_is_the_url_that_aws_would_answer_and_the_template_is_there(here: World) -> None:
    answer = _ask(here)
    assert answer == {
        "Result": "https://templates.s3.eu-west-1.amazonaws.com/VPCFlowLogsIntegrationTemplate_"
        f"{ID}_Thu%20May%2028%2020%3A26%3A40%20UTC%202026.yml"
    }
    assert list(here.destinations.files) == [("templates", "", NAME)]


def test_a_folder_of_the_bucket_is_in_the_url(here: World) -> None:
    answer = _ask(here, ConfigDeliveryS3DestinationArn="arn:aws:s3:::templates/a b/c/")
    assert answer["Result"].startswith("https://templates.s3.eu-west-1.amazonaws.com/a%20b/c/VPCFlowLogs")
    assert list(here.destinations.files) == [("templates", "a b/c", NAME)]


def test_the_template_is_of_the_flow_log_as_it_is_stored(here: World) -> None:
    _ask(here, _athena(), _athena("weekly", None, None))
    [content] = here.destinations.files.values()
    resources = yaml.safe_load(content)["Resources"]
    fixed = resources["Table1"]["Properties"]["TableInput"]
    assert [column["Name"] for column in fixed["StorageDescriptor"]["Columns"]] == [
        "version",
        "srcaddr",
        "dstaddr",
        "bytes",
        "instance_tag",
    ]
    assert "Parquet" in fixed["StorageDescriptor"]["InputFormat"]
    assert fixed["Parameters"]["projection.day.range"] == ("year=2021/month=07/day=01,year=2021/month=07/day=21")
    assert fixed["StorageDescriptor"]["Location"] == (
        f"s3://logs/net/{ID}/AWSLogs/aws-account-id={ACCOUNT}/aws-service=vpcflowlogs/aws-region=eu-west-1/"
    )
    loaded = resources["PartitionLoader2"]["Properties"]["Environment"]["Variables"]
    assert (loaded["FOLDERS"], loaded["DAYS"], loaded["FIRST"]) == ("year=%Y/month=%m/day=%d", "7", "")


def test_faults_of_the_parameters_are_told_together(here: World) -> None:
    fault = _refused(
        here,
        _athena(start=None),
        _athena("hourly"),
        _athena("daily", None, END),
        _athena(IntegrationResultS3DestinationArn="s3://results"),
        ConfigDeliveryS3DestinationArn="arn:aws:s3:::logs/AWSLogs/x",
    )
    assert isinstance(fault, InvalidParameter)
    for text in (
        "ConfigDeliveryS3DestinationArn 'arn:aws:s3:::logs/AWSLogs/x': the folder name AWSLogs is reserved",
        "PartitionLoadFrequency none needs PartitionStartDate",
        "Value (hourly) for parameter PartitionLoadFrequency is invalid. It must be none, daily, weekly or monthly",
        "PartitionEndDate needs PartitionStartDate",
        "IntegrationResultS3DestinationArn 's3://results' is not the ARN of an S3 bucket",
    ):
        assert text in fault.message


@pytest.mark.parametrize(
    ("integration", "kind", "text"),
    [
        (_athena(end=None), MissingParameter, "none needs PartitionEndDate"),
        (
            _athena(start=None, end=None),
            MissingParameter,
            "^PartitionLoadFrequency none needs PartitionStartDate and PartitionEndDate: [^:]*$",
        ),
        (_athena(end=dt.datetime(2026, 5, 29, tzinfo=dt.UTC)), InvalidParameterValue, "is not in the past"),
        (_athena(start=END, end=START), InvalidParameterValue, "PartitionEndDate 2021-07-01.* is before"),
        (_athena("daily", END, START), InvalidParameterValue, "is before PartitionStartDate"),
    ],
)
def test_dates_must_make_sense(here: World, integration: dict[str, Any], kind: type[ApiFault], text: str) -> None:
    with pytest.raises(kind, match=text):
        _ask(here, integration)


def test_dates_to_come_are_taken_where_partitions_are_loaded(here: World) -> None:
    _ask(here, _athena("monthly", dt.datetime(2026, 1, 1, tzinfo=dt.UTC), dt.datetime(2027, 1, 1, tzinfo=dt.UTC)))
    assert len(here.destinations.files) == 1


def test_a_day_is_that_of_utc(here: World) -> None:
    west = dt.timezone(dt.timedelta(hours=-5))
    _ask(here, _athena(end=dt.datetime(2021, 7, 21, 20, tzinfo=west)))
    [content] = here.destinations.files.values()
    assert b"none2021070120210722\n" in content


def test_there_are_one_to_ten_integrations(here: World) -> None:
    days = [_athena(start=START + dt.timedelta(days=number)) for number in range(11)]
    assert "11 AthenaIntegration; it may have at most 10" in _refused(here, *days).message
    empty = _refused(here, IntegrateServices={})
    assert isinstance(empty, MissingParameter)
    _ask(here, *days[:10])


def test_two_integrations_of_the_same_table_are_refused(here: World) -> None:
    fault = _refused(here, _athena(), _athena(IntegrationResultS3DestinationArn="arn:aws:s3:::other"))
    assert "fl0123456789abcdef0none2021070120210721" in fault.message


def test_a_flow_log_of_another_account_or_region_is_not_found(here: World) -> None:
    for account, region in ((OTHER, "eu-west-1"), (ACCOUNT, "us-east-1")):
        with pytest.raises(InvalidFlowLogIdNotFound, match=rf"\[TotalCount: 1\] {ID}"):
            here.call_as(account, region, get_flow_logs_integration_template, ACTION, _parameters())


def test_only_a_flow_log_with_data_in_s3_is_integrated(here: World) -> None:
    assert "has delivered nothing yet" in _refused(here, FlowLogId=NEVER).message
    assert "delivers to kinesis-data-firehose" in _refused(here, FlowLogId=FIREHOSE).message


def test_a_bucket_that_cannot_be_used_is_told_before_anything_is_written(here: World) -> None:
    here.destinations.missing.add("templates")
    assert _refused(here).message == ("ConfigDeliveryS3DestinationArn: LogDestination: templates does not exist.")


def test_a_dry_run_checks_all_and_writes_nothing(here: World) -> None:
    assert isinstance(_refused(here, DryRun=True), DryRunOperation)
    assert isinstance(_refused(here, DryRun=True, FlowLogId="fl-1"), InvalidFlowLogIdNotFound)
