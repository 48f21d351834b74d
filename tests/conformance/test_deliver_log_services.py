"""CloudWatch Logs and Firehose over HTTP: what is sent arrives and reads back equal, and refusals can be mended.

Rule: moto checks keys and rights; ministack, which takes every key, is a second opinion.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from flowlogs_reader import FlowLogsReader
from tests.support.events import GROUP, STREAM, Record, event_log, line_of, rows_with
from tests.support.records import default_records, flow_log
from tests.support.servers import Key

from flowglass.deliver.aws import Service, ServiceSettings
from flowglass.deliver.rows import Rows
from flowglass.deliver.sinks import CloudWatchSink, EventBatch, EventSink, FirehoseSink
from flowglass.fields import DEFAULT_FORMAT
from flowglass.fields.errors import DeliveryError, DestinationRefused, DestinationUnreachable
from flowglass.format import TextFormat

if TYPE_CHECKING:
    from tests.support.services import MiniStack, Moto

RIGHTS = ("logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents")
NOW_MS = time.time_ns() // 1_000_000
NOW_S = NOW_MS // 1000


@pytest.fixture(params=["moto", "ministack"])
def service(request: pytest.FixtureRequest) -> Moto | MiniStack:
    running: Moto | MiniStack = request.getfixturevalue(f"{request.param}_server")
    return running


@pytest.fixture
def group() -> str:
    return f"/vpc/{uuid.uuid4()}"


@pytest.fixture(autouse=True)
def no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")


def use(monkeypatch: pytest.MonkeyPatch, key: Key) -> None:
    """Have AWS's ordinary chain find a key."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", key.id)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", key.secret)


def reached(name: str, service: Moto | MiniStack, made: Any = None) -> Service:
    """How the product reaches a service; `made`: by this client."""
    return Service(name, ServiceSettings(endpoint=service.url), region=GROUP.region, made=made)


def deliver(sink: EventSink, *records: Record) -> int:
    """Send records; return how many batches they were."""
    count = 0
    for batch in sink.cut([rows_with(records)]):
        left: EventBatch | None = batch
        while left:
            sent = sink.send(left)
            assert sent.rejected == 0, sent.reason
            left = sent.left
        count += 1
    return count


def stored_events(logs: Any, group: str) -> dict[str, list[tuple[int, str]]]:
    """Every stream of a group, from its first event to its last."""
    found = {}
    for stream in logs.describe_log_streams(logGroupName=group)["logStreams"]:
        names = {"logGroupName": group, "logStreamName": stream["logStreamName"], "startFromHead": True}
        page = logs.get_log_events(**names)
        events = list(page["events"])
        while page["events"]:
            page = logs.get_log_events(**names, nextToken=page["nextForwardToken"])
            events += page["events"]
        found[stream["logStreamName"]] = [(event["timestamp"], event["message"]) for event in events]
    return found


class TestCloudWatchLogs:
    """Every record is an event of its interface's stream, in order of time."""

    def test_every_event_arrives_in_groups_and_streams_that_are_made_for_it(
        self, service: Moto | MiniStack, group: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        use(monkeypatch, service.key)
        sink = CloudWatchSink(group, reached("logs", service), event_log())
        records: list[Record] = [
            (f"eni-{number % 3:017x}", NOW_S - 60 + number * 7 % 60, f"é\\{'x' * (number % 50)}")
            for number in range(11_000)
        ]
        records += [("eni-large", NOW_S, "y" * 200_000)] * 7
        assert deliver(sink, *records) == 5
        expected: dict[str, list[tuple[int, str]]] = {}
        for number, record in enumerate(records):
            expected.setdefault(f"{record[0]}-all", []).append((record[1] * 1000, line_of(number, record).decode()))
        for events in expected.values():
            events.sort(key=lambda event: event[0])
        assert stored_events(service.client("logs"), group) == expected

    def test_every_reader_of_flow_logs_reads_them(self, moto_server: Moto, group: str) -> None:
        batch, ends = default_records(500, NOW_S - 500)
        batch = batch.append_column("resource-id", pa.nulls(500, pa.string()))
        log = flow_log(DEFAULT_FORMAT, destination=replace(GROUP, name=group))
        logs = moto_server.client("logs")
        sink = CloudWatchSink(group, reached("logs", moto_server, logs), log)
        for cut in sink.cut([Rows(batch)]):
            assert sink.send(cut).rejected == 0
        start = datetime.fromtimestamp(NOW_S, UTC) - timedelta(hours=1)
        reader = FlowLogsReader(
            group, boto_client=logs, start_time=start, end_time=start + timedelta(hours=2), raise_on_error=True
        )
        read = sorted(reader, key=lambda record: record.end)
        lines = TextFormat(DEFAULT_FORMAT).lines(batch).decode().splitlines()
        # It prints every field that it knows, in AWS's order, which begins with the default format.
        assert [record.to_message().split()[:14] for record in read] == [line.split() for line in lines]
        assert [record.end.timestamp() for record in read] == ends.tolist()

    def test_wrong_keys_are_told_and_once_mended_everything_arrives(
        self, moto_server: Moto, group: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        good = moto_server.user(f"writer-{uuid.uuid4()}", *RIGHTS)
        sink = CloudWatchSink(group, reached("logs", moto_server), event_log())
        told = [self.refused(sink)]
        for key in (Key(good.id, "wrong-secret"), Key("AKIAUNKNOWNUNKNOWN00", good.secret)):
            use(monkeypatch, key)
            told.append(self.refused(sink))
        assert all(text.startswith(f"log group {group} at {moto_server.url}: ") for text in told)
        causes = ("Unable to locate credentials; give", "SignatureDoesNotMatch", "InvalidClientTokenId")
        assert [cause in text for cause, text in zip(causes, told, strict=True)] == [True] * 3, told
        assert not any(secret in text for text in told for secret in (good.secret, "wrong-secret"))
        use(monkeypatch, good)
        assert deliver(sink, ("eni-a", NOW_S, "a")) == 1
        assert stored_events(moto_server.client("logs"), group) == {"eni-a-all": [(NOW_S * 1000, "a 0")]}

    @pytest.mark.parametrize("missing", RIGHTS)
    def test_a_right_that_is_missing_is_named_and_once_given_everything_arrives(
        self, moto_server: Moto, group: str, monkeypatch: pytest.MonkeyPatch, missing: str
    ) -> None:
        name = f"writer-{uuid.uuid4()}"
        use(monkeypatch, moto_server.user(name, *(right for right in RIGHTS if right != missing)))
        sink = CloudWatchSink(group, reached("logs", moto_server), event_log())
        assert missing.removeprefix("logs:") in self.refused(sink)
        moto_server.allow(name, *RIGHTS)
        assert deliver(sink, ("eni-a", NOW_S, "a")) == 1
        assert stored_events(moto_server.client("logs"), group) == {"eni-a-all": [(NOW_S * 1000, "a 0")]}

    def test_who_may_not_make_groups_uses_those_of_others(
        self, moto_server: Moto, group: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        moto_server.client("logs").create_log_group(logGroupName=group)
        use(monkeypatch, moto_server.user(f"writer-{uuid.uuid4()}", "logs:CreateLogStream", "logs:PutLogEvents"))
        assert deliver(CloudWatchSink(group, reached("logs", moto_server), event_log()), ("eni-a", NOW_S, "a")) == 1

    def test_a_service_that_was_away_gets_what_it_did_not_take(self, group: str) -> None:
        from tests.support.services import MiniStack, NotInstalled

        try:
            service = MiniStack()
        except NotInstalled as missing:
            pytest.skip(str(missing))
        sink = CloudWatchSink(group, reached("logs", service, service.client("logs")), event_log())
        assert deliver(sink, ("eni-a", NOW_S, "a")) == 1
        service.kill()
        with pytest.raises(DestinationUnreachable, match=group):
            deliver(sink, ("eni-a", NOW_S, "b"))
        service.start()
        assert deliver(sink, ("eni-a", NOW_S, "b")) == 1
        assert stored_events(service.client("logs"), group)["eni-a-all"][-1] == (NOW_S * 1000, "b 0")
        service.close()

    @staticmethod
    def refused(sink: CloudWatchSink) -> str:
        with pytest.raises(DestinationRefused) as raised:
            deliver(sink, ("eni-a", NOW_S, "a"))
        return str(raised.value)


def make_stream(service: Moto | MiniStack, name: str) -> None:
    """A delivery stream into a bucket of its name."""
    service.client("s3").create_bucket(
        Bucket=name, CreateBucketConfiguration={"LocationConstraint": service.client("s3").meta.region_name}
    )
    service.client("firehose").create_delivery_stream(
        DeliveryStreamName=name,
        DeliveryStreamType="DirectPut",
        ExtendedS3DestinationConfiguration={
            "RoleARN": "arn:aws:iam::123456789012:role/firehose",
            "BucketARN": f"arn:aws:s3:::{name}",
        },
    )


def stored_messages(service: Moto | MiniStack, bucket: str) -> Iterator[str]:
    """The messages of every object, each of which is lines of JSON."""
    s3 = service.client("s3")
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        for entry in page.get("Contents", []):
            text = s3.get_object(Bucket=bucket, Key=entry["Key"])["Body"].read().decode()
            yield from (json.loads(line)["message"] for line in text.splitlines())


class TestFirehose:
    """Every record is a line of JSON in what the stream writes."""

    def test_every_record_arrives(self, service: Moto | MiniStack, monkeypatch: pytest.MonkeyPatch) -> None:
        use(monkeypatch, service.key)
        name = f"flows-{uuid.uuid4()}"
        make_stream(service, name)
        records: list[Record] = [("eni-a", NOW_S, f"é\\{'x' * (number % 50)}") for number in range(600)]
        records += [("eni-b", NOW_S, "y" * 1_000_000)] * 4
        assert deliver(FirehoseSink(name, reached("firehose", service), event_log(STREAM)), *records) == 3
        expected = [line_of(number, record).decode() for number, record in enumerate(records)]
        assert sorted(stored_messages(service, name)) == sorted(expected)

    def test_refusals_are_told_and_once_mended_everything_arrives(
        self, moto_server: Moto, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        user, name = f"writer-{uuid.uuid4()}", f"flows-{uuid.uuid4()}"
        key = moto_server.user(user)
        sink = FirehoseSink(name, reached("firehose", moto_server), event_log(STREAM))
        steps: list[tuple[str, Any]] = [
            ("SignatureDoesNotMatch", lambda: use(monkeypatch, Key(key.id, "wrong-secret"))),
            ("allow PutRecordBatch there", lambda: use(monkeypatch, key)),
            ("make it, or correct its name", lambda: moto_server.allow(user, "firehose:PutRecordBatch")),
        ]
        for told, step in steps:
            step()
            with pytest.raises(DeliveryError, match=f"delivery stream {name} at .*{told}") as raised:
                deliver(sink, ("eni-a", NOW_S, "a"))
            assert type(raised.value) is DestinationRefused
        make_stream(moto_server, name)
        assert deliver(sink, ("eni-a", NOW_S, "a")) == 1
        assert list(stored_messages(moto_server, name)) == ["a 0"]
