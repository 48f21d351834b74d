"""Delivery to a real S3 server: every object arrives as it is, once, with the one right that it needs."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import pytest
from tests.support import credentials
from tests.support.destinations import destinations
from tests.support.flow_log_calls import ACCOUNT, REGION, Api, api, to_log_group
from tests.support.objects import finished
from tests.support.records import default_records, flow_log, parquet_log
from tests.support.scripted import Answer, s3_error, scripted
from tests.support.servers import Key
from tests.support.services import Moto, SeaweedFS

from flowglass.deliver import BucketSettings, DirectorySink, LocalStore, ObjectBuilder, ServiceSettings, aws
from flowglass.deliver.sinks.s3 import S3Sink
from flowglass.fields.contracts import (
    Destination,
    DestinationFault,
    Destinations,
    DestinationType,
    DestinationUse,
    FlowLog,
)
from flowglass.fields.errors import DestinationRefused, DestinationUnreachable

PERIOD_S: Final = 1_529_511_600  # 2018-06-20 16:20:00 UTC
KEY: Final = "AWSLogs/1/x.log.gz"
UNKNOWN: Final = Key("NOBODYNOBODYNOBODY01", "nobodys-secret")
KMS_KEY: Final = "arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
_NUMBERS: Final = itertools.count()

SetKey = Callable[[Key | None], None]


@pytest.fixture
def set_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> SetKey:
    """Puts a key where this process's clients look for credentials."""
    return lambda key: credentials.use(monkeypatch, tmp_path, key)


@pytest.fixture
def bucket(s3_server: SeaweedFS, set_key: SetKey) -> str:
    """A new bucket of the server, into which the key in use may put objects with the ACL and nothing else."""
    name = s3_server.make_bucket(f"bucket-{next(_NUMBERS)}")
    s3_server.allow_writer(name, StringEquals={"s3:x-amz-acl": "bucket-owner-full-control"})
    set_key(s3_server.writer)
    return name


def settings(url: str, **more: Any) -> BucketSettings:
    return BucketSettings(endpoint=url, region=REGION, **more)


def sink(server: SeaweedFS, bucket: str, folder: Path, **more: Any) -> S3Sink:
    return S3Sink(bucket, settings(server.url, **more), folder / "work")


def content_of(server: SeaweedFS, bucket: str, key: str = KEY) -> bytes:
    body: bytes = server.client().get_object(Bucket=bucket, Key=key)["Body"].read()
    return body


def keys_of(server: SeaweedFS, bucket: str) -> list[str]:
    return [one["Key"] for one in server.client().list_objects_v2(Bucket=bucket).get("Contents", [])]


class TestObjects:
    """What is put is there, byte for byte, and what is there is never replaced."""

    @pytest.mark.parametrize(
        "log",
        [flow_log(), flow_log(hive=True, per_hour=True, prefix="team"), parquet_log("zstd"), parquet_log("gzip")],
        ids=["text", "text-hive-hourly", "parquet", "parquet-gzip"],
    )
    def test_every_format_arrives_as_it_does_in_a_folder(
        self, s3_server: SeaweedFS, bucket: str, tmp_path: Path, log: FlowLog
    ) -> None:
        batch, ends = default_records(600, PERIOD_S)
        to_bucket = ObjectBuilder(log, sink(s3_server, bucket, tmp_path))
        to_folder = ObjectBuilder(log, DirectorySink(tmp_path / "folder"))
        for builder in (to_bucket, to_folder):
            builder.add(batch, ends)
        results = to_bucket.close()
        assert results == to_folder.close()
        assert sum(result.records for result in results) == 600
        assert keys_of(s3_server, bucket) == sorted(result.key for result in results)
        for result in results:
            assert content_of(s3_server, bucket, result.key) == (tmp_path / "folder" / result.key).read_bytes()
        assert not list((tmp_path / "work").glob("*"))

    def test_an_object_that_is_there_stays(self, s3_server: SeaweedFS, bucket: str, tmp_path: Path) -> None:
        s3 = sink(s3_server, bucket, tmp_path)
        assert s3.put(finished(tmp_path, b"first", KEY))
        assert not s3.put(finished(tmp_path, b"second", KEY))
        assert content_of(s3_server, bucket) == b"first"

    def test_of_many_at_once_one_wins(self, s3_server: SeaweedFS, bucket: str, tmp_path: Path) -> None:
        s3 = sink(s3_server, bucket, tmp_path)
        racing = [finished(tmp_path, f"{number}".encode(), KEY) for number in range(8)]
        with ThreadPoolExecutor(8) as threads:
            created = list(threads.map(s3.put, racing))
        assert sum(created) == 1
        assert content_of(s3_server, bucket) == f"{created.index(True)}".encode()

    def test_content_that_is_not_what_was_digested_is_refused(
        self, s3_server: SeaweedFS, bucket: str, tmp_path: Path
    ) -> None:
        damaged = dataclasses.replace(finished(tmp_path, b"content", KEY), sha256="00" * 32)
        with pytest.raises(DestinationUnreachable, match="BadDigest"):
            sink(s3_server, bucket, tmp_path).put(damaged)
        assert keys_of(s3_server, bucket) == []

    def test_sse_kms_is_asked_for(self, moto_server: Moto, set_key: SetKey, tmp_path: Path) -> None:
        name = f"bucket-{next(_NUMBERS)}"
        moto_server.client("s3").create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
        set_key(moto_server.user(f"putter-{name}", "s3:PutObject"))
        encrypted = settings(moto_server.url, kms_key=KMS_KEY, bucket_key=True, addressing="path")
        assert S3Sink(name, encrypted, tmp_path / "work").put(finished(tmp_path, b"content", KEY))
        head = moto_server.client("s3").head_object(Bucket=name, Key=KEY)
        assert (head["ServerSideEncryption"], head["SSEKMSKeyId"]) == ("aws:kms", KMS_KEY)
        assert head["BucketKeyEnabled"] is True


class TestRefusals:
    """A refusal says which bucket and what to do; once that is done the same sink delivers, and nothing is lost."""

    @pytest.mark.parametrize(
        ("wrong", "remedy"),
        [
            (UNKNOWN, "InvalidAccessKeyId: .*; check the access key"),
            (Key(SeaweedFS.writer.id, "wrong"), "SignatureDoesNotMatch: .*; check the secret key"),
            (SeaweedFS.reader, "AccessDenied: .*; allow PutObject there"),
            (None, "Unable to locate credentials; give this process credentials"),
        ],
        ids=["unknown-key", "wrong-secret", "no-right", "no-credentials"],
    )
    def test_credentials(
        self, s3_server: SeaweedFS, bucket: str, tmp_path: Path, set_key: SetKey, wrong: Key | None, remedy: str
    ) -> None:
        set_key(wrong)
        s3, object_ = sink(s3_server, bucket, tmp_path), finished(tmp_path, b"content", KEY)
        for _ in range(2):
            with pytest.raises(DestinationRefused, match=f"bucket {bucket} at {s3_server.url}: {remedy}"):
                s3.put(object_)
        set_key(s3_server.writer)
        assert s3.put(object_)
        assert content_of(s3_server, bucket) == b"content"

    def test_a_bucket_that_is_not_there(self, s3_server: SeaweedFS, tmp_path: Path, set_key: SetKey) -> None:
        set_key(s3_server.key)
        name = f"bucket-{next(_NUMBERS)}"
        s3, object_ = sink(s3_server, name, tmp_path), finished(tmp_path, b"content", KEY)
        with pytest.raises(DestinationRefused, match=f"bucket {name} at .*: NoSuchBucket: .*; make it, or correct"):
            s3.put(object_)
        s3_server.make_bucket(name)
        assert s3.put(object_)

    def test_a_put_that_the_policy_denies(self, s3_server: SeaweedFS, bucket: str, tmp_path: Path) -> None:
        without_acl, object_ = sink(s3_server, bucket, tmp_path, acl=""), finished(tmp_path, b"content", KEY)
        with pytest.raises(DestinationRefused, match=r"AccessDenied: .*; allow PutObject there"):
            without_acl.put(object_)
        s3_server.allow_writer(bucket)
        assert without_acl.put(object_)

    def test_a_server_that_does_not_answer(self, s3_server: SeaweedFS, bucket: str, tmp_path: Path) -> None:
        hasty = aws.client("s3", settings(s3_server.url), read_s=0.3)
        object_ = finished(tmp_path, b"content", KEY)
        s3_server.pause()
        try:
            with pytest.raises(DestinationUnreachable, match=f"bucket {bucket} at .*: Read timeout"):
                S3Sink(bucket, settings(s3_server.url), tmp_path, hasty).put(object_)
        finally:
            s3_server.resume()
        # The answer was lost, and the request perhaps not: it is there now, or was already.
        sink(s3_server, bucket, tmp_path).put(object_)
        assert content_of(s3_server, bucket) == b"content"


def use_of(name: str, **more: Any) -> DestinationUse:
    return DestinationUse(Destination(DestinationType.S3, name, "team"), ACCOUNT, REGION, **more)


def message(fault: DestinationFault | None) -> str:
    assert fault is not None
    assert fault.code == "400"
    return fault.message


class TestPreparation:
    """CreateFlowLogs finds the bucket, and gives its policy what log delivery needs; others' statements stay."""

    OTHERS: Final = {
        "Sid": "others",
        "Effect": "Allow",
        "Principal": {"AWS": "arn:aws:iam::000000000000:user/writer"},
        "Action": "s3:PutObject",
        "Resource": "arn:aws:s3:::BUCKET/theirs/*",
    }

    @pytest.fixture
    def name(self, s3_server: SeaweedFS, set_key: SetKey) -> str:
        """A new bucket, of which the key in use may do all."""
        set_key(s3_server.key)
        return s3_server.make_bucket(f"bucket-{next(_NUMBERS)}")

    @pytest.fixture
    def local(self, tmp_path: Path) -> LocalStore:
        return LocalStore(tmp_path / "data")

    def served(self, local: LocalStore, url: str, *names: str) -> Destinations:
        return destinations(local, allow=("arn:aws:s3:::*",), buckets={name: settings(url) for name in names})

    def policy(self, server: SeaweedFS, name: str) -> list[dict[str, Any]]:
        document = json.loads(server.client().get_bucket_policy(Bucket=name)["Policy"])
        statements: list[dict[str, Any]] = document["Statement"]
        return statements

    def put_policy(self, server: SeaweedFS, name: str, *statements: dict[str, Any]) -> None:
        text = json.dumps({"Version": "2012-10-17", "Statement": statements}).replace("BUCKET", name)
        server.client().put_bucket_policy(Bucket=name, Policy=text)

    def test_statements_are_added_once(self, s3_server: SeaweedFS, name: str, local: LocalStore) -> None:
        served = self.served(local, s3_server.url, name)
        self.put_policy(s3_server, name, self.OTHERS)
        assert served.check(use_of(name)) is None
        assert len(self.policy(s3_server, name)) == 1, "a check changes nothing"
        assert served.prepare(use_of(name)) is None
        others, write, acl = self.policy(s3_server, name)
        assert others["Sid"] == "others"
        assert write["Action"] == "s3:PutObject"
        assert write["Resource"] == f"arn:aws:s3:::{name}/team/AWSLogs/{ACCOUNT}/*"
        assert write["Condition"]["StringEquals"]["s3:x-amz-acl"] == "bucket-owner-full-control"
        assert acl["Action"] == "s3:GetBucketAcl"
        assert served.prepare(use_of(name)) is None
        assert len(self.policy(s3_server, name)) == 3
        assert served.prepare(use_of(name, hive=True)) is None
        assert len(self.policy(s3_server, name)) == 4

    def test_a_bucket_without_policy_gets_one(self, s3_server: SeaweedFS, name: str, local: LocalStore) -> None:
        served = self.served(local, s3_server.url, name)
        assert served.prepare(use_of(name)) is None
        assert [one["Sid"] for one in self.policy(s3_server, name)] == ["AWSLogDeliveryWrite", "AWSLogDeliveryAclCheck"]

    def test_a_policy_that_denies_deliveries_is_told(self, s3_server: SeaweedFS, name: str, local: LocalStore) -> None:
        deny = {"Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::BUCKET/*"}
        self.put_policy(s3_server, name, deny)
        served = self.served(local, s3_server.url, name)
        denied = f"Access Denied for LogDestination: {name}. Please check LogDestination permission"
        assert message(served.check(use_of(name))) == message(served.prepare(use_of(name))) == denied

    def test_a_bucket_that_is_not_there_is_told(self, s3_server: SeaweedFS, name: str, local: LocalStore) -> None:
        served = self.served(local, s3_server.url, "missing-bucket")
        assert message(served.check(use_of("missing-bucket"))) == "LogDestination: missing-bucket does not exist."
        to = Destination(DestinationType.S3, "missing-bucket")
        assert message(served.write(to, "x.yml", b"")) == "LogDestination: missing-bucket does not exist."

    @pytest.mark.parametrize("key", [SeaweedFS.reader, UNKNOWN, None], ids=["reader", "unknown", "none"])
    def test_who_may_not_look_passes(
        self, s3_server: SeaweedFS, name: str, local: LocalStore, set_key: SetKey, key: Key | None
    ) -> None:
        set_key(key)
        served = self.served(local, s3_server.url, name)
        assert served.check(use_of(name)) is None
        assert served.prepare(use_of(name)) is None

    @pytest.mark.parametrize(
        "answer",
        [
            s3_error(501, "NotImplemented"),
            s3_error(403, "AccessDenied"),
            s3_error(409, "BucketAlreadyExists"),
            s3_error(404, "NoSuchKey"),
            Answer(200, b"<ListBucketResult/>"),
            Answer(200, b'{"Statement": []}'),
        ],
    )
    def test_a_service_without_policies_passes(self, set_key: SetKey, local: LocalStore, answer: Answer) -> None:
        set_key(UNKNOWN)
        with scripted([Answer(), answer]) as service:
            assert self.served(local, service.url, "team-logs").prepare(use_of("team-logs")) is None
        assert [asked.method for asked in service.asked] == ["HEAD", "GET"]

    @pytest.mark.parametrize("answers", [[s3_error(501, "NotImplemented")], [s3_error(403, "AccessDenied")]])
    def test_a_policy_that_may_not_be_put_passes(
        self, set_key: SetKey, local: LocalStore, answers: list[Answer]
    ) -> None:
        set_key(UNKNOWN)
        with scripted([Answer(), s3_error(404, "NoSuchBucketPolicy"), *answers]) as service:
            assert self.served(local, service.url, "team-logs").prepare(use_of("team-logs")) is None
        assert [asked.method for asked in service.asked] == ["HEAD", "GET", "PUT"]

    @pytest.mark.parametrize(
        "answers",
        [
            [s3_error(500, "InternalError")],
            [Answer(hang_up=True)],
            [Answer(), s3_error(503, "SlowDown")],
            [Answer(), s3_error(404, "NoSuchBucketPolicy"), s3_error(500, "InternalError")],
        ],
    )
    def test_a_service_that_fails_is_told(self, set_key: SetKey, local: LocalStore, answers: list[Answer]) -> None:
        set_key(UNKNOWN)
        with scripted(answers) as service:
            text = message(self.served(local, service.url, "team-logs").prepare(use_of("team-logs")))
        assert text.startswith(f"LogDestination team-logs is undeliverable: bucket team-logs at {service.url}: ")

    def test_small_files_are_put_and_replaced(self, s3_server: SeaweedFS, name: str, local: LocalStore) -> None:
        served = self.served(local, s3_server.url, name)
        to = Destination(DestinationType.S3, name, "templates/")
        for content in (b"first", b"second"):
            assert served.write(to, "Wed Jul 21 2021.yml", content) is None
            assert content_of(s3_server, name, "templates/Wed Jul 21 2021.yml") == content

    def test_the_operators_list_holds_for_services_too(
        self, s3_server: SeaweedFS, name: str, local: LocalStore
    ) -> None:
        served = destinations(local, allow=("local",), buckets={name: settings(s3_server.url)})
        for fault in (
            served.check(use_of(name)),
            served.prepare(use_of(name)),
            served.write(Destination(DestinationType.S3, name), "x", b""),
        ):
            assert "the operator's configuration does not allow it" in message(fault)

    def test_on_aws_itself_a_bucket_is_only_looked_for(
        self, set_key: SetKey, local: LocalStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        set_key(UNKNOWN)
        with scripted([Answer()]) as service:
            monkeypatch.setenv("AWS_ENDPOINT_URL_S3", service.url)
            assert self.served(local, "aws", "team-logs").prepare(use_of("team-logs")) is None
        assert [asked.method for asked in service.asked] == ["HEAD"]


class TestFirehose:
    """CreateFlowLogs finds the delivery stream."""

    def test_a_stream_has_to_be_there(self, moto_server: Moto, set_key: SetKey, tmp_path: Path) -> None:
        name = f"stream-{next(_NUMBERS)}"
        use = DestinationUse(Destination(DestinationType.FIREHOSE, name), ACCOUNT, REGION)
        settings = ServiceSettings(endpoint=moto_server.url)
        served = destinations(LocalStore(tmp_path), allow=("*",), firehose=settings, cloudwatch_logs=settings)
        set_key(moto_server.user(f"blind-{name}"))
        assert served.check(use) is None, "who may not look passes"
        set_key(moto_server.key)
        assert message(served.check(use)) == f"LogDestination: {name} does not exist."
        moto_server.client("firehose").create_delivery_stream(
            DeliveryStreamName=name,
            S3DestinationConfiguration={"RoleARN": "arn:aws:iam::1:role/x", "BucketARN": "arn:aws:s3:::b"},
        )
        assert served.prepare(use) is None
        group = Destination(DestinationType.CLOUD_WATCH_LOGS, "not-there-yet", account=ACCOUNT, region=REGION)
        assert served.prepare(DestinationUse(group, ACCOUNT, REGION)) is None


class TestCreateFlowLogs:
    """The API answers with what the real service says."""

    @pytest.fixture
    def inside(self, s3_server: SeaweedFS, set_key: SetKey, tmp_path: Path) -> Iterator[Api]:
        set_key(s3_server.key)
        made = api(tmp_path)
        names = ("elsewhere",)
        served = destinations(
            made.buckets,
            allow=("*",),
            buckets={name: settings(s3_server.url) for name in names},
            cloudwatch_logs=ServiceSettings(endpoint="http://127.0.0.1:1"),
        )
        made.services = dataclasses.replace(made.services, destinations=served)
        yield made
        made.services.store.close()

    def test_buckets_of_both_kinds(self, inside: Api, s3_server: SeaweedFS) -> None:
        assert inside.create(LogDestination="arn:aws:s3:::logs")["Unsuccessful"] == []
        (missing,) = inside.create(LogDestination="arn:aws:s3:::elsewhere")["Unsuccessful"]
        assert missing["Error"] == {"Code": "400", "Message": "LogDestination: elsewhere does not exist."}
        s3_server.make_bucket("elsewhere")
        assert len(inside.create(LogDestination="arn:aws:s3:::elsewhere/team/")["FlowLogIds"]) == 1
        document = json.loads(s3_server.client().get_bucket_policy(Bucket="elsewhere")["Policy"])
        resource = f"arn:aws:s3:::elsewhere/team/AWSLogs/{ACCOUNT}/*"
        assert resource in [one["Resource"] for one in document["Statement"]]
        assert inside.create("vpc-b", **to_log_group())["Unsuccessful"] == []
