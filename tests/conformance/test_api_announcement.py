"""The announcement's command by the real AWS CLI and boto3, and the whole loop behind it: traffic to records.

Source of the command and its answer: AWS's announcement of custom formats of VPC flow logs, September 2019.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import boto3
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from botocore.exceptions import ClientError
from tests.support.program import PROGRAM
from tests.support.servers import (
    DATABASE,
    SAMPLE_ACCOUNT,
    SAMPLE_CAPTURE,
    SAMPLE_INVENTORY,
    SAMPLE_REGION,
    SAMPLE_VPC,
    SEED_FORMAT,
    WEB,
    Running,
    compile_kernels,
    drop,
    lines,
    objects,
    program,
    run,
    start,
    traffic,
    wait_for,
    wait_for_captures,
)

import flowglass

AWS: Final = Path(PROGRAM).with_name("aws")
BUCKET: Final = "sst-vpc-demo"
COMMAND: Final = (
    "ec2 create-flow-logs --resource-type VPC --traffic-type ALL --log-destination-type s3 "
    f"--log-destination arn:aws:s3:::{BUCKET} --resource-ids {SAMPLE_VPC} --log-format"
)
"""The announcement's, but for the id of the VPC; its last word is the format."""
SEED_NAMES: Final = re.findall(r"\$\{([^}]+)\}", SEED_FORMAT)
FOLDERS: Final = f"AWSLogs/{SAMPLE_ACCOUNT}/vpcflowlogs/{SAMPLE_REGION}"
ROLE: Final = f"arn:aws:iam::{SAMPLE_ACCOUNT}:role/logs"


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Server and agent with the sample inventory, and the announcement's bucket."""
    compile_kernels()
    running = begin(tmp_path_factory.mktemp("announcement") / "data")
    program(running.data, "buckets", "create", BUCKET)
    yield running
    running.stop()  # the last test ended it, if it ran


def begin(data: Path) -> Running:
    """`flowglass up`, its agent in touch with its server."""
    running = start(data, "up", "--inventory", SAMPLE_INVENTORY, "--listen", "127.0.0.1:0")
    running.event("agent_started")
    wait_for("the inventory", lambda: running.client().describe_vpcs()["Vpcs"])
    return running


def keys(up: Running, **more: str) -> dict[str, str]:
    """The environment of a client: the administrator's key and the Region, nothing else."""
    admin = up.admin
    return {
        "AWS_ACCESS_KEY_ID": admin.id,
        "AWS_SECRET_ACCESS_KEY": admin.secret,
        "AWS_DEFAULT_REGION": SAMPLE_REGION,
        **more,
    }


def by_cli_and_option(up: Running, _patch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The command with --endpoint-url."""
    words = [AWS, "--endpoint-url", up.url, *COMMAND.split(), SEED_FORMAT]
    return dict(json.loads(run(words, keys(up))))


def by_cli_and_environment(up: Running, _patch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The command unchanged."""
    return dict(json.loads(run([AWS, *COMMAND.split(), SEED_FORMAT], keys(up, AWS_ENDPOINT_URL_EC2=up.url))))


def by_boto3(up: Running, patch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The command's call, the endpoint from the environment alone."""
    for name, value in keys(up, AWS_ENDPOINT_URL_EC2=up.url).items():
        patch.setenv(name, value)
    answer = boto3.session.Session().client("ec2").create_flow_logs(**seed_parameters())
    return {name: value for name, value in answer.items() if name != "ResponseMetadata"}


def seed_parameters() -> dict[str, Any]:
    return {
        "ResourceType": "VPC",
        "ResourceIds": [SAMPLE_VPC],
        "TrafficType": "ALL",
        "LogDestinationType": "s3",
        "LogDestination": f"arn:aws:s3:::{BUCKET}",
        "LogFormat": SEED_FORMAT,
    }


@pytest.mark.parametrize("create", [by_cli_and_option, by_cli_and_environment, by_boto3])
def test_the_announcements_command_gives_the_announcements_answer(
    up: Running, monkeypatch: pytest.MonkeyPatch, create: Callable[[Running, pytest.MonkeyPatch], dict[str, Any]]
) -> None:
    answer = create(up, monkeypatch)

    assert set(answer) == {"ClientToken", "FlowLogIds", "Unsuccessful"}
    assert answer["Unsuccessful"] == []
    assert len(answer["FlowLogIds"]) == 1
    assert re.fullmatch(r"fl-[0-9a-f]{17}", answer["FlowLogIds"][0])
    assert len(answer["ClientToken"]) == 44
    assert len(base64.b64decode(answer["ClientToken"], validate=True)) == 32
    client = up.client()
    assert only(client.describe_flow_logs(FlowLogIds=answer["FlowLogIds"]))["LogFormat"] == SEED_FORMAT
    assert client.delete_flow_logs(FlowLogIds=answer["FlowLogIds"])["Unsuccessful"] == []


def only(answer: dict[str, Any]) -> dict[str, Any]:
    """The only flow log of a DescribeFlowLogs."""
    (found,) = answer["FlowLogs"]
    return dict(found)


@pytest.fixture(scope="module")
def flow_logs(up: Running) -> dict[str, str]:
    """One flow log of each kind, all of the same VPC: their ids by name."""
    client = up.client()
    common = {"ResourceType": "VPC", "ResourceIds": [SAMPLE_VPC]}
    s3 = {"LogDestinationType": "s3", "MaxAggregationInterval": 60}
    options = {"FileFormat": "parquet", "HiveCompatiblePartitions": True, "PerHourPartition": True}
    wanted: dict[str, dict[str, Any]] = {
        "seed": {**seed_parameters(), "MaxAggregationInterval": 60},
        "parquet": {
            **common,
            "TrafficType": "ALL",
            "LogDestinationType": "s3",
            "LogDestination": f"arn:aws:s3:::{BUCKET}/columns/",
            "MaxAggregationInterval": 600,
            "DestinationOptions": options,
        },
        "accepted": {**common, **s3, "TrafficType": "ACCEPT", "LogDestination": f"arn:aws:s3:::{BUCKET}/accepted"},
        "rejected": {**common, **s3, "TrafficType": "REJECT", "LogDestination": f"arn:aws:s3:::{BUCKET}/rejected"},
        "logs": {**common, "TrafficType": "ALL", "LogGroupName": "/vpc/demo", "DeliverLogsPermissionArn": ROLE},
        "firehose": {
            **common,
            "TrafficType": "ALL",
            "LogDestinationType": "kinesis-data-firehose",
            "LogDestination": f"arn:aws:firehose:{SAMPLE_REGION}:{SAMPLE_ACCOUNT}:deliverystream/flows",
        },
    }
    ids = {}
    for name, parameters in wanted.items():
        answer = client.create_flow_logs(**parameters)
        assert answer["Unsuccessful"] == [], name
        (ids[name],) = answer["FlowLogIds"]
    drop(up.data / "captures", SAMPLE_CAPTURE)
    wait_for_captures(up, SAMPLE_CAPTURE.name)
    return ids


def of(up: Running, flow_log: str, folder: str = "s3") -> list[Path]:
    """The objects that bear a flow log's name."""
    return [path for path in sorted((up.data / folder).rglob(f"*{flow_log}*")) if ".partial" not in path.parts]


class TestLoop:
    """What one capture gives each of the flow logs."""

    def test_objects_lie_in_folders_of_the_records_day_and_have_the_format(
        self, up: Running, flow_logs: dict[str, str]
    ) -> None:
        path = only_path(of(up, flow_logs["seed"]))
        assert str(path.parent.relative_to(up.data / "s3" / BUCKET)) == f"{FOLDERS}/2026/11/02"
        header, *records = lines(path)
        assert header.split(" ") == SEED_NAMES
        assert {len(line.split(" ")) for line in records} == {21}
        assert {line.split(" ")[0] for line in records} == {"3"}
        assert {line.split(" ")[1] for line in records} == {SAMPLE_VPC}
        assert len(records) > 200

    def test_traffic_types_part_the_records_and_both_are_told_of_silence(
        self, up: Running, flow_logs: dict[str, str]
    ) -> None:
        def actions(name: str) -> list[tuple[str, str]]:
            path = only_path(of(up, flow_logs[name]))
            return [(words[-2], words[-1]) for words in (line.split(" ") for line in lines(path)[1:])]

        accepted, rejected = actions("accepted"), actions("rejected")
        assert set(accepted) == {("ACCEPT", "OK"), ("-", "NODATA")}
        assert set(rejected) == {("REJECT", "OK"), ("-", "NODATA")}
        seed = [line.split(" ") for line in lines(only_path(of(up, flow_logs["seed"])))[1:]]
        for action, some in (("ACCEPT", accepted), ("REJECT", rejected)):
            assert some.count((action, "OK")) == sum(words[18] == action for words in seed)

    def test_parquet_with_hive_folders_by_hour_merges_ten_minutes(self, up: Running, flow_logs: dict[str, str]) -> None:
        found = of(up, flow_logs["parquet"])
        assert {"".join(path.suffixes) for path in found} == {".log.parquet"}
        folders = f"aws-account-id={SAMPLE_ACCOUNT}/aws-service=vpcflowlogs/aws-region={SAMPLE_REGION}"
        for path in found:
            folder = path.parent.relative_to(up.data / "s3" / BUCKET)
            assert str(folder) == f"columns/AWSLogs/{folders}/year=2026/month=11/day=02/hour=09"
        merged = pa.concat_tables(flowglass.read(path).to_arrow() for path in found)
        single = flowglass.read(only_path(of(up, flow_logs["seed"]))).to_arrow()
        assert merged.num_rows < single.num_rows
        for name in ("bytes", "packets"):
            assert pc.sum(merged[name]) == pc.sum(single[name])

    def test_log_events_lie_in_a_stream_for_each_interface(self, up: Running, flow_logs: dict[str, str]) -> None:
        assert flow_logs["logs"]
        streams = {path.parent.name for path in (up.data / "logs").rglob("*.jsonl")}
        assert streams == {f"eni-0a1b2c3d4e5f6000{number}-all" for number in range(1, 7)}
        for path in (up.data / "logs").rglob("*.jsonl"):
            for line in path.read_text().splitlines():
                event = json.loads(line)
                words = event["message"].split(" ")
                assert len(words) == 14
                assert f"{words[2]}-all" == path.parent.name
                assert event["timestamp"] == int(words[10]) * 1000

    def test_a_delivery_stream_gets_each_record_as_a_message(self, up: Running, flow_logs: dict[str, str]) -> None:
        assert flow_logs["firehose"]
        texts = [line for path in (up.data / "firehose").rglob("*.jsonl") for line in path.read_text().splitlines()]
        messages = {json.loads(line)["message"] for line in texts}
        events = {
            json.loads(line)["message"]
            for path in (up.data / "logs").rglob("*.jsonl")
            for line in path.read_text().splitlines()
        }
        assert messages == events

    def test_describe_tells_of_the_deliveries(self, up: Running, flow_logs: dict[str, str]) -> None:
        answer = up.client().describe_flow_logs(FlowLogIds=list(flow_logs.values()))
        assert {row["DeliverLogsStatus"] for row in answer["FlowLogs"]} == {"SUCCESS"}
        assert {row["FlowLogStatus"] for row in answer["FlowLogs"]} == {"ACTIVE"}


def only_path(found: list[Path]) -> Path:
    (path,) = found
    return path


def everything(up: Running) -> dict[str, bytes]:
    """Every delivered file and its content."""
    return {
        str(path.relative_to(up.data)): path.read_bytes()
        for folder in ("s3", "logs", "firehose")
        for path in (up.data / folder).rglob("*")
        if path.is_file() and ".partial" not in path.parts
    }


def test_a_capture_dropped_again_doubles_nothing(up: Running, flow_logs: dict[str, str]) -> None:
    assert flow_logs
    before = everything(up)
    drop(up.data / "captures", SAMPLE_CAPTURE, "again.pcapng")
    assert wait_for_captures(up, "again.pcapng")["event"] == "capture_known"
    assert everything(up) == before


def test_a_flow_log_made_later_gets_an_old_capture_alone(up: Running, flow_logs: dict[str, str]) -> None:
    before = everything(up)
    later = up.client().create_flow_logs(
        ResourceType="NetworkInterface",
        ResourceIds=["eni-0a1b2c3d4e5f60001"],
        TrafficType="ALL",
        LogDestinationType="s3",
        LogDestination=f"arn:aws:s3:::{BUCKET}/later",
        MaxAggregationInterval=60,
        LogFormat=SEED_FORMAT,
    )["FlowLogIds"][0]
    drop(up.data / "captures", SAMPLE_CAPTURE, "for-later.pcapng")
    wait_for_captures(up, "for-later.pcapng")

    after = everything(up)
    path = only_path(of(up, later))
    assert set(after) - set(before) == {str(path.relative_to(up.data))}
    assert {name: after[name] for name in before} == before
    whole = lines(only_path(of(up, flow_logs["seed"])))
    assert lines(path) == [line for line in whole if line.split(" ")[4] in ("interface-id", "eni-0a1b2c3d4e5f60001")]
    up.client().delete_flow_logs(FlowLogIds=[later])


def test_everything_but_tags_refuses_change(up: Running, flow_logs: dict[str, str]) -> None:
    client = up.client()
    before = only(client.describe_flow_logs(FlowLogIds=[flow_logs["seed"]]))
    client.create_tags(Resources=[flow_logs["seed"]], Tags=[{"Key": "team", "Value": "network"}])
    again = {**seed_parameters(), "MaxAggregationInterval": 600, "LogFormat": "${version} ${bytes}"}
    with pytest.raises(ClientError, match="FlowLogAlreadyExists"):
        client.create_flow_logs(**again)
    with pytest.raises(ClientError, match="InvalidAction"):
        client.modify_vpc_attribute(VpcId=SAMPLE_VPC, EnableDnsSupport={"Value": True})

    after = only(client.describe_flow_logs(FlowLogIds=[flow_logs["seed"]]))
    assert after == {**before, "Tags": [{"Key": "team", "Value": "network"}]}


def test_a_bucket_that_is_gone_shows_and_the_capture_waits_for_it(up: Running, tmp_path: Path) -> None:
    program(up.data, "buckets", "create", "gone-soon")
    client = up.client()
    flow_log = client.create_flow_logs(
        ResourceType="VPC",
        ResourceIds=[SAMPLE_VPC],
        TrafficType="ALL",
        LogDestinationType="s3",
        LogDestination="arn:aws:s3:::gone-soon",
        MaxAggregationInterval=60,
    )["FlowLogIds"][0]
    wait_for("the agent to know", lambda: flow_log in {one["flow_log"] for one in up.events("flow_log_added")})
    (up.data / "buckets" / "gone-soon.json").unlink()
    shutil.rmtree(up.data / "s3" / "gone-soon")
    drop(up.data / "captures", traffic(tmp_path / "waits.pcap", 5000))

    def status() -> dict[str, Any]:
        return only(client.describe_flow_logs(FlowLogIds=[flow_log]))

    wait_for("the failure to show", lambda: status()["DeliverLogsStatus"] == "FAILED")
    assert status()["DeliverLogsErrorMessage"] == "Access error"
    assert not (up.data / "captures" / "waits.pcap").exists()  # its records are safe in the spool
    assert not (up.data / "s3" / "gone-soon").exists()

    program(up.data, "buckets", "create", "gone-soon")
    wait_for_captures(up, "waits.pcap")
    wait_for("the success to show", lambda: status()["DeliverLogsStatus"] == "SUCCESS")
    assert "DeliverLogsErrorMessage" not in status()
    assert len(lines(only_path(objects(up.data, "gone-soon")))) == 1 + 2 * 3  # each packet at two interfaces
    client.delete_flow_logs(FlowLogIds=[flow_log])


def test_all_of_it_outlives_restarts_and_power_cuts_and_ends_with_delete(
    up: Running, flow_logs: dict[str, str], tmp_path: Path
) -> None:
    data, seed = up.data, flow_logs["seed"]
    before = up.client().describe_flow_logs()
    assert {row["FlowLogId"] for row in before["FlowLogs"]} == set(flow_logs.values())

    def recorded(running: Running, number: int) -> list[str]:
        """The lines that a new capture gave the announcement's flow log."""
        there = set(of(running, seed))
        drop(data / "captures", traffic(tmp_path / f"{number}.pcap", 600 * number))
        wait_for_captures(running, f"{number}.pcap")
        return lines(only_path([path for path in of(running, seed) if path not in there]))

    assert up.stop() == 0
    second = begin(data)
    assert described(second) == described_of(before)
    first_lines = recorded(second, 1)
    assert first_lines[0].split(" ") == SEED_NAMES
    assert {(words[7], words[8]) for words in (line.split(" ") for line in first_lines[1:])} == {(WEB, DATABASE)}
    assert len(first_lines) == 1 + 2 * 3  # each packet at two interfaces

    parts = second.parts
    second.kill()
    for number in parts.values():
        os.kill(number, signal.SIGKILL)
    third = begin(data)
    assert described(third) == described_of(before)
    assert len(recorded(third, 2)) == len(first_lines)

    client = third.client()
    assert client.delete_flow_logs(FlowLogIds=list(flow_logs.values()))["Unsuccessful"] == []
    assert client.describe_flow_logs()["FlowLogs"] == []
    there = everything(third)
    third.event("flow_log_removed", count=len(flow_logs))
    drop(data / "captures", traffic(tmp_path / "3.pcap", 1800))
    third.event("captures_wait")
    assert everything(third) == there
    assert third.stop() == 0


def described(running: Running) -> dict[str, dict[str, Any]]:
    return described_of(running.client().describe_flow_logs())


def described_of(answer: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Flow logs by id, without what deliveries change."""
    return {
        row["FlowLogId"]: {name: value for name, value in row.items() if not name.startswith("DeliverLogs")}
        for row in answer["FlowLogs"]
    }
