"""`record --out s3://…`: objects straight into a bucket, by AWS's own credentials and endpoint variables."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from tests.support.program import PROGRAM, capture, udp
from tests.support.servers import Key, program, run
from tests.support.services import REGION, SeaweedFS

import flowglass
from flowglass.fields.errors import DestinationRefused, DestinationUnreachable, OptionError

BUCKET = "recorded"


def variables(url: str, key: Key) -> dict[str, str]:
    """What AWS's tools take from the environment."""
    return {
        "AWS_ACCESS_KEY_ID": key.id,
        "AWS_SECRET_ACCESS_KEY": key.secret,
        "AWS_ENDPOINT_URL_S3": url,
        "AWS_REGION": REGION,
    }


def record(tmp_path: Path, out: str, given: dict[str, str], *, code: int = 0) -> str:
    """Record two packets of two periods; standard output, or the messages of a failure."""
    path = capture(tmp_path / "in.pcap", [udp(0), udp(400)])
    return run([PROGRAM, "record", path, "--out", out, "--json"], given, code=code)


@pytest.fixture(scope="module")
def bucket(s3_server: SeaweedFS) -> str:
    return s3_server.make_bucket(BUCKET)


def listed(server: SeaweedFS) -> dict[str, bytes]:
    client: Any = server.client()
    keys = [one["Key"] for one in client.list_objects_v2(Bucket=BUCKET).get("Contents", [])]
    return {key: client.get_object(Bucket=BUCKET, Key=key)["Body"].read() for key in keys}


def test_objects_lie_in_the_buckets_folder_as_in_a_local_one_and_are_there_already_the_second_time(
    s3_server: SeaweedFS, bucket: str, tmp_path: Path
) -> None:
    given = variables(s3_server.url, s3_server.key)
    first = json.loads(record(tmp_path, f"s3://{bucket}/lab/a", given))
    there = listed(s3_server)
    program(tmp_path, "record", tmp_path / "in.pcap", "--out", tmp_path / "out")
    local = {f"lab/a/{path.relative_to(tmp_path / 'out')}": path for path in (tmp_path / "out").rglob("*.gz")}
    assert sorted(there) == sorted(local)
    for key, path in local.items():
        assert gzip.decompress(there[key]) == gzip.decompress(path.read_bytes())
    assert [one["created"] for one in first["objects"]] == [True, True]
    said = run([PROGRAM, "record", tmp_path / "in.pcap", "--out", f"s3://{bucket}/lab/a"], given)
    for key in there:
        assert f"  s3://{bucket}/{key} (already there)\n" in said
    assert f"aws s3 cp --recursive s3://{bucket}/lab/a logs" in said
    again = json.loads(record(tmp_path, f"s3://{bucket}/lab/a/", given))
    assert [one["created"] for one in again["objects"]] == [False, False]
    assert listed(s3_server) == there


def test_a_bucket_that_is_missing_or_refuses_or_does_not_answer_is_one_line_with_a_remedy(
    s3_server: SeaweedFS, bucket: str, tmp_path: Path
) -> None:
    right = variables(s3_server.url, s3_server.key)
    missing = record(tmp_path, "s3://nobodys-bucket", right, code=DestinationRefused.exit_code)
    assert missing.startswith(f"flowglass: bucket nobodys-bucket at {s3_server.url}: ")
    wrong = variables(s3_server.url, Key(s3_server.key.id, "wrong"))
    refused = record(tmp_path, f"s3://{bucket}", wrong, code=DestinationRefused.exit_code)
    assert "check the secret key" in refused
    nobody = variables("http://127.0.0.1:9", s3_server.key)
    unreachable = record(tmp_path, f"s3://{bucket}", nobody, code=DestinationUnreachable.exit_code)
    assert "check the endpoint and the network" in unreachable
    mistaken = record(tmp_path, f"s3://{bucket}", variables("notaurl", s3_server.key), code=OptionError.exit_code)
    assert mistaken.startswith("flowglass: AWS_ENDPOINT_URL")
    assert {text.count("\n") for text in (missing, refused, unreachable, mistaken)} == {1}


@pytest.mark.parametrize(
    ("out", "fault"),
    [
        ("s3://", "the bucket's name ''"),
        ("s3://Not_A_Bucket/x", "the bucket's name 'Not_A_Bucket': it has 3 to 63"),
        ("s3://logs/AWSLogs/x", "AWSLogs begins the layout below the folder"),
        ("s3://logs/a//b", "no part of it may be empty"),
        ("s3://logs/a?b=c", "name a folder, or a bucket as s3://BUCKET/FOLDER"),
        ("gs://logs/a", "name a folder, or a bucket as s3://BUCKET/FOLDER"),
        ("s3://[", "is no URL"),
        ("s3:/logs/a", "name a folder, or a bucket as s3://BUCKET/FOLDER"),
    ],
)
def test_what_is_no_place_is_refused_before_anything_is_read(out: str, fault: str) -> None:
    with pytest.raises(OptionError) as caught:
        flowglass.record("not-there.pcap", out)
    assert str(caught.value).startswith(f"--out {out}: ")
    assert fault in str(caught.value)
