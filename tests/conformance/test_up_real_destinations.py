"""`up` with real services as destinations, as an operator configures them: made by the API, delivered, read back.

Rule: what breaks is broken outside the program, in the service or in the files of credentials, and mended there.
"""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow.parquet as pq
import pytest
from tests.support.program import START_S
from tests.support.servers import (
    SAMPLE_ACCOUNT,
    SAMPLE_INVENTORY,
    SAMPLE_REGION,
    SAMPLE_VPC,
    SEED_FORMAT,
    Key,
    Running,
    compile_kernels,
    drop,
    program,
    start,
    traffic,
    wait_for,
    wait_for_captures,
    wait_for_deliveries,
)
from tests.support.services import REGION, Moto, SeaweedFS

BUCKET: Final = "team-logs"
GROUP: Final = "vpc-flow-logs"
STREAM: Final = "flow-logs-stream"
ROLE: Final = f"arn:aws:iam::{SAMPLE_ACCOUNT}:role/flow-logs"
WRONG: Final = "a-secret-that-is-nobodys"
RECORDS: Final = 6
"""Of a capture of three packets, each seen by two interfaces."""


def write_credentials(path: Path, s3: Key, moto: Key) -> None:
    """The profiles of both services."""
    path.write_text(
        "".join(
            f"[{name}]\naws_access_key_id = {key.id}\naws_secret_access_key = {key.secret}\n"
            for name, key in (("s3", s3), ("moto", moto))
        )
    )


@dataclass(slots=True)
class Site:
    """A running `up`, the services that it delivers to, and the file of its credentials."""

    up: Running
    s3: SeaweedFS
    moto: Moto
    credentials: Path
    captures: int = 0

    def create(self, **parameters: Any) -> str:
        """Make a flow log for the sample VPC, and wait until the agent knows it."""
        defaults = {
            "ResourceType": "VPC",
            "ResourceIds": [SAMPLE_VPC],
            "TrafficType": "ALL",
            "MaxAggregationInterval": 60,
        }
        answer = self.up.client().create_flow_logs(**{**defaults, **parameters})
        assert answer["Unsuccessful"] == []
        made = str(answer["FlowLogIds"][0])
        wait_for("the agent to know", lambda: made in {one["flow_log"] for one in self.up.events("flow_log_added")})
        return made

    def drop(self, folder: Path) -> str:
        """Drop another capture, of ten minutes ago: services refuse old events; return its name."""
        self.captures += 1
        name = f"{self.captures}.pcap"
        drop(self.up.data / "captures", traffic(folder / name, time.time() - START_S - 600))
        return name

    def status(self, flow_log: str) -> tuple[str | None, str | None]:
        """DeliverLogsStatus and its message."""
        (row,) = self.up.client().describe_flow_logs(FlowLogIds=[flow_log])["FlowLogs"]
        return row.get("DeliverLogsStatus"), row.get("DeliverLogsErrorMessage")

    def await_status(self, flow_log: str, status: str, message: str | None) -> None:
        """Wait until DescribeFlowLogs says so of its deliveries."""
        wait_for(f"{status} of {flow_log}", lambda: self.status(flow_log) == (status, message))

    def objects(self, flow_log: str) -> dict[str, bytes]:
        """The bucket's objects of a flow log, by key."""
        client = self.s3.client()
        listed = client.list_objects_v2(Bucket=BUCKET).get("Contents", [])
        keys = [one["Key"] for one in listed if f"_{flow_log}_" in one["Key"]]
        return {key: client.get_object(Bucket=BUCKET, Key=key)["Body"].read() for key in keys}

    def events(self, group: str) -> list[dict[str, Any]]:
        """The events of a log group; its streams are called as AWS calls them."""
        client = self.moto.client("logs")
        streams = [stream["logStreamName"] for stream in client.describe_log_streams(logGroupName=group)["logStreams"]]
        assert all(stream.startswith("eni-") and stream.endswith("-all") for stream in streams)
        found = [client.get_log_events(logGroupName=group, logStreamName=stream)["events"] for stream in streams]
        return [event for events in found for event in events]

    def delete(self, *flow_logs: str) -> None:
        self.up.client().delete_flow_logs(FlowLogIds=list(flow_logs))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, s3_server: SeaweedFS, moto_server: Moto) -> Iterator[Site]:
    compile_kernels()
    folder = tmp_path_factory.mktemp("real")
    data, credentials = folder / "data", folder / "credentials"
    data.mkdir(mode=0o700)
    s3_server.make_bucket(BUCKET)
    (data / "config.toml").write_text(
        f"""
[destinations]
allow = ["arn:aws:s3:::{BUCKET}", "arn:aws:logs:*", "arn:aws:firehose:*"]
[buckets.{BUCKET}]
endpoint = "{s3_server.url}"
addressing = "path"
profile = "s3"
[cloudwatch_logs]
endpoint = "{moto_server.url}"
profile = "moto"
[firehose]
endpoint = "{moto_server.url}"
profile = "moto"
[agent]
poll_s = 1
[server]
metrics = ""
"""
    )
    write_credentials(credentials, Key(s3_server.key.id, WRONG), Key(moto_server.key.id, WRONG))
    up = start(
        data,
        "up",
        *("--listen", "127.0.0.1:0", "--inventory", SAMPLE_INVENTORY),
        AWS_SHARED_CREDENTIALS_FILE=str(credentials),
        AWS_CONFIG_FILE=str(folder / "none"),
        AWS_EC2_METADATA_DISABLED="true",
        FLOWGLASS_CAPTURE_ASSUME_ACCEPT="true",
    )
    wait_for("the inventory", lambda: up.client().describe_vpcs()["Vpcs"])
    yield Site(up, s3_server, moto_server, credentials)
    assert up.stop() == 0


def test_wrong_keys_are_an_access_error_and_everything_arrives_once_they_are_mended(site: Site, tmp_path: Path) -> None:
    to_bucket = site.create(LogDestinationType="s3", LogDestination=f"arn:aws:s3:::{BUCKET}/mended")
    to_group = site.create(LogDestinationType="cloud-watch-logs", LogGroupName="mended", DeliverLogsPermissionArn=ROLE)
    site.drop(tmp_path)
    for made in (to_bucket, to_group):
        site.await_status(made, "FAILED", "Access error")
    assert site.objects(to_bucket) == {}
    write_credentials(site.credentials, site.s3.key, site.moto.key)
    wait_for_deliveries(site.up.data)
    ((_, content),) = site.objects(to_bucket).items()
    assert len(gzip.decompress(content).splitlines()) == 1 + RECORDS
    assert len(site.events("mended")) == RECORDS
    for made in (to_bucket, to_group):
        site.await_status(made, "SUCCESS", None)
    for secret in (WRONG, site.s3.key.secret, site.moto.key.secret):
        assert secret not in site.up.log.read_text()
    site.delete(to_bucket, to_group)


def test_a_bucket_that_vanishes_is_an_access_error_and_loses_nothing(site: Site, tmp_path: Path) -> None:
    made = site.create(LogDestinationType="s3", LogDestination=f"arn:aws:s3:::{BUCKET}/kept")
    client = site.s3.client()
    for one in client.list_objects_v2(Bucket=BUCKET).get("Contents", []):
        client.delete_object(Bucket=BUCKET, Key=one["Key"])
    client.delete_bucket(Bucket=BUCKET)
    site.drop(tmp_path)
    site.await_status(made, "FAILED", "Access error")
    site.s3.make_bucket(BUCKET)
    wait_for_deliveries(site.up.data)
    ((_, content),) = site.objects(made).items()
    assert len(gzip.decompress(content).splitlines()) == 1 + RECORDS
    site.await_status(made, "SUCCESS", None)
    site.delete(made)


def test_text_and_parquet_objects_arrive_in_the_bucket_with_the_policy_statements_in_place(
    site: Site, tmp_path: Path
) -> None:
    to = {"LogDestinationType": "s3", "LogDestination": f"arn:aws:s3:::{BUCKET}"}
    text = site.create(**to, LogFormat=SEED_FORMAT)
    parquet = site.create(
        LogDestinationType="s3",
        LogDestination=f"arn:aws:s3:::{BUCKET}/hive/",
        DestinationOptions={"FileFormat": "parquet", "HiveCompatiblePartitions": True, "PerHourPartition": True},
    )
    policy = json.loads(site.s3.client().get_bucket_policy(Bucket=BUCKET)["Policy"])
    sids = [statement["Sid"] for statement in policy["Statement"]]
    assert any(sid.startswith("AWSLogDeliveryWrite") for sid in sids)
    wait_for_captures(site.up, site.drop(tmp_path))
    ((key, content),) = site.objects(text).items()
    assert key.startswith(f"AWSLogs/{SAMPLE_ACCOUNT}/vpcflowlogs/{SAMPLE_REGION}/")
    assert len(gzip.decompress(content).splitlines()) == 1 + RECORDS
    ((key, content),) = site.objects(parquet).items()
    assert key.startswith(f"hive/AWSLogs/aws-account-id={SAMPLE_ACCOUNT}/aws-service=vpcflowlogs/")
    (tmp_path / "object").write_bytes(content)
    assert pq.read_table(tmp_path / "object").num_rows == RECORDS
    wait_for("both to be told", lambda: {site.status(one) for one in (text, parquet)} == {("SUCCESS", None)})
    for made in (text, parquet):
        assert program(site.up.data, "spool", "verify", made, AWS_SHARED_CREDENTIALS_FILE=str(site.credentials))
    of_all = program(
        site.up.data, "spool", "verify", "--json", check=False, AWS_SHARED_CREDENTIALS_FILE=str(site.credentials)
    )
    assert "removed" in of_all  # what lay in the bucket that vanished
    site.delete(text, parquet)


def test_log_events_arrive_in_groups_and_streams_made_on_demand(site: Site, tmp_path: Path) -> None:
    made = site.create(LogDestinationType="cloud-watch-logs", LogGroupName=GROUP, DeliverLogsPermissionArn=ROLE)
    wait_for_captures(site.up, site.drop(tmp_path))
    events = site.events(GROUP)
    assert len(events) == RECORDS
    for event in events:
        assert event["timestamp"] == 1000 * int(event["message"].split(" ")[10])
    site.delete(made)


def test_a_delivery_stream_gets_every_record(site: Site, tmp_path: Path) -> None:
    site.moto.client("s3").create_bucket(Bucket="of-firehose", CreateBucketConfiguration={"LocationConstraint": REGION})
    arn = site.moto.client("firehose").create_delivery_stream(
        DeliveryStreamName=STREAM,
        ExtendedS3DestinationConfiguration={"RoleARN": ROLE, "BucketARN": "arn:aws:s3:::of-firehose"},
    )["DeliveryStreamARN"]
    made = site.create(LogDestinationType="kinesis-data-firehose", LogDestination=arn)
    wait_for_captures(site.up, site.drop(tmp_path))
    client = site.moto.client("s3")
    keys = [one["Key"] for one in client.list_objects_v2(Bucket="of-firehose").get("Contents", [])]
    content = b"".join(client.get_object(Bucket="of-firehose", Key=key)["Body"].read() for key in keys)
    assert content.count(b'{"message"') == RECORDS
    site.delete(made)
