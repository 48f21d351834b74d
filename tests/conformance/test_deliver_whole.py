"""From the spool to real services and back: everything arrives once, and the manifests say so."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest
from tests.support import credentials
from tests.support.records import flow_log, parquet_log
from tests.support.servers import Key
from tests.support.services import REGION, Moto, SeaweedFS
from tests.support.spooled import PERIOD_S, Clock, Heard, delivered_bytes, record, wait_until

from flowglass.deliver import (
    BucketSettings,
    Delivery,
    DestinationRules,
    Fault,
    LocalStore,
    Outlets,
    ServiceSettings,
    Spool,
    objects_at,
    verify_objects,
)
from flowglass.fields.contracts import Destination, DestinationType, FlowLog

WINDOWS: Final = 11
"""Of 60 s, which end in three periods of five minutes."""
RECORDS: Final = 2000
_NUMBERS: Final = itertools.count()

SetKey = Callable[[Key | None], None]


@pytest.fixture
def set_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> SetKey:
    """Puts a key where this process's clients look for credentials."""
    return lambda key: credentials.use(monkeypatch, tmp_path, key)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def spool(tmp_path: Path, clock: Clock) -> Iterator[Spool]:
    opened = Spool.open(tmp_path / "spool", now_ms=clock.now_ms)
    yield opened
    opened.close()


def delivery(data: Path, spool: Spool, clock: Clock, rules: DestinationRules) -> Delivery:
    outlets = Outlets(spool, LocalStore(data), rules)
    made = Delivery(spool, outlets, now_ms=clock.now_ms, told=Heard(), monotonic=clock.monotonic, chance=lambda: 1.0)
    made.start()
    return made


def bucket_rules(server: SeaweedFS, bucket: str) -> DestinationRules:
    return DestinationRules(buckets={bucket: BucketSettings(endpoint=server.url, region=REGION)})


def to_bucket(log: FlowLog, bucket: str) -> FlowLog:
    return replace(log, destination=Destination(DestinationType.S3, bucket))


def download(server: SeaweedFS, bucket: str, root: Path, wanted: str) -> Path:
    """The objects of a flow log in a folder."""
    s3 = server.client()
    for found in s3.list_objects_v2(Bucket=bucket).get("Contents", []):
        if wanted in found["Key"]:
            target = root / found["Key"]
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(s3.get_object(Bucket=bucket, Key=found["Key"])["Body"].read())
    return root


def test_a_bucket_gets_every_record_once_and_any_change_in_it_is_found(
    tmp_path: Path, spool: Spool, clock: Clock, s3_server: SeaweedFS, set_key: SetKey
) -> None:
    bucket = s3_server.make_bucket(f"whole-{next(_NUMBERS)}")
    set_key(s3_server.key)
    rules = bucket_rules(s3_server, bucket)
    logs = [to_bucket(flow_log(id="fl-0000000a"), bucket), to_bucket(parquet_log(), bucket)]
    for window in range(WINDOWS):
        record(spool, logs, PERIOD_S + 60 * window, RECORDS, first=RECORDS * window)
    assert delivery(tmp_path, spool, clock, rules).stop(30.0)
    assert [(status.message, status.objects, status.records) for status in spool.statuses()] == [
        (None, 3, WINDOWS * RECORDS)
    ] * 2
    for log in logs:
        root = download(s3_server, bucket, tmp_path / "read" / log.id, log.id)
        assert delivered_bytes(root) == list(range(WINDOWS * RECORDS))

    def findings() -> list[tuple[Fault, str, str]]:
        report = verify_objects(tmp_path, lambda place: objects_at(place, tmp_path, rules))
        assert (report.manifests, report.objects) == (2, 6)
        return [(found.fault, found.flow_log_id, found.where) for found in report.findings]

    assert findings() == []
    s3 = s3_server.client()
    keys = [found["Key"] for found in s3.list_objects_v2(Bucket=bucket)["Contents"] if "fl-0000000a" in found["Key"]]
    s3.put_object(Bucket=bucket, Key=keys[0], Body=b"other")
    s3.delete_object(Bucket=bucket, Key=keys[1])
    added = keys[2][: -len("01234567.log.gz")] + "ffffffff.log.gz"
    s3.put_object(Bucket=bucket, Key=added, Body=b"added")
    assert set(findings()) == {
        (Fault.CHANGED, "fl-0000000a", f"s3://{bucket}/{keys[0]}"),
        (Fault.REMOVED, "fl-0000000a", f"s3://{bucket}/{keys[1]}"),
        (Fault.ADDED, "fl-0000000a", f"s3://{bucket}/{added}"),
    }


def test_a_bucket_that_refuses_is_told_and_loses_nothing_once_it_is_mended(
    tmp_path: Path, spool: Spool, clock: Clock, s3_server: SeaweedFS, set_key: SetKey
) -> None:
    bucket = s3_server.make_bucket(f"whole-{next(_NUMBERS)}")
    set_key(s3_server.writer)
    log = to_bucket(flow_log(), bucket)
    record(spool, log, PERIOD_S, RECORDS)
    clock.s += 331
    made = delivery(tmp_path, spool, clock, bucket_rules(s3_server, bucket))
    wait_until(spool.statuses)
    (status,) = spool.statuses()
    assert status.message == "Access error"
    assert f"bucket {bucket}" in status.reason
    s3_server.allow_writer(bucket, StringEquals={"s3:x-amz-acl": "bucket-owner-full-control"})
    spool.request("retry", log.id)
    clock.s += 1.1
    made.poke()
    wait_until(lambda: not spool.units())
    assert made.stop(10.0)
    assert delivered_bytes(download(s3_server, bucket, tmp_path / "read", log.id)) == list(range(RECORDS))
    assert spool.statuses()[0].message is None


@pytest.mark.parametrize("traffic", [DestinationType.CLOUD_WATCH_LOGS, DestinationType.FIREHOSE])
def test_a_log_service_gets_every_record_in_batches(
    tmp_path: Path, spool: Spool, clock: Clock, moto_server: Moto, set_key: SetKey, traffic: DestinationType
) -> None:
    name = f"whole-{next(_NUMBERS)}"
    set_key(moto_server.key)
    service = ServiceSettings(endpoint=moto_server.url, region=REGION)
    clock.s = time.time() // 60 * 60  # what is older than two weeks is refused
    if traffic is DestinationType.FIREHOSE:
        moto_server.client("s3").create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
        target = {"RoleARN": "arn:aws:iam::123456789012:role/x", "BucketARN": f"arn:aws:s3:::{name}"}
        moto_server.client("firehose").create_delivery_stream(
            DeliveryStreamName=name, DeliveryStreamType="DirectPut", ExtendedS3DestinationConfiguration=target
        )
    log = flow_log(destination=Destination(traffic, name, account="123456789012", region=REGION))
    for window in range(2):
        record(spool, log, int(clock.s) - 120 + 60 * window, RECORDS, first=RECORDS * window)
    rules = DestinationRules(cloudwatch_logs=service, firehose=service)
    assert delivery(tmp_path, spool, clock, rules).stop(30.0)
    (status,) = spool.statuses()
    assert (status.message, status.records, status.rejected, status.doubtful) == (None, 2 * RECORDS, 0, 0)
    lines = _events(moto_server, name) if traffic is DestinationType.CLOUD_WATCH_LOGS else _stored(moto_server, name)
    assert sorted(int(line.split()[9]) for line in lines) == list(range(2 * RECORDS))


def _events(server: Moto, group: str) -> list[str]:
    pages = server.client("logs").get_paginator("filter_log_events").paginate(logGroupName=group)
    return [event["message"] for page in pages for event in page["events"]]


def _stored(server: Moto, bucket: str) -> list[str]:
    s3 = server.client("s3")
    found: list[Any] = s3.list_objects_v2(Bucket=bucket)["Contents"]
    bodies = [s3.get_object(Bucket=bucket, Key=one["Key"])["Body"].read() for one in found]
    return [json.loads(line)["message"] for body in bodies for line in body.splitlines()]
