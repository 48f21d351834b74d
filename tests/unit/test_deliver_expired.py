"""Credentials that expire: the documented status, and once they are renewed everything arrives, once."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Final

import pytest
from tests.support import credentials
from tests.support.records import flow_log
from tests.support.scripted import Answer, Asked, s3_error, scripted
from tests.support.servers import Key
from tests.support.spooled import PERIOD_S, Clock, Heard, record, wait_until

from flowglass.deliver import (
    BucketSettings,
    Delivery,
    DestinationRules,
    LocalStore,
    Outlets,
    ServiceSettings,
    Spool,
)
from flowglass.fields.contracts import Destination, DestinationType

BUCKET: Final = Destination(DestinationType.S3, "team-logs", account="123456789012", region="us-east-1")
GROUP: Final = Destination(DestinationType.CLOUD_WATCH_LOGS, "/vpc", account="123456789012", region="us-east-1")
EXPIRED: Final = Answer(400, json.dumps({"__type": "ExpiredTokenException", "message": "told by a test"}).encode())
STORED: Final = Answer(headers={"ETag": '"9a0364b9e99bb480dd25e1f0284c8555"'})
TAKEN: Final = Answer(200, json.dumps({"nextSequenceToken": "1"}).encode())
RECORDS: Final = 50


def key_of(asked: Asked) -> str:
    """The access key that a request is signed with."""
    return asked.headers["authorization"].split("Credential=")[1].split("/")[0]


def numbers_of(asked: Asked) -> list[int]:
    """The records that a request brings, by their bytes."""
    if asked.method == "PUT":
        lines = gzip.decompress(asked.body).decode().splitlines()[1:]
    else:
        lines = [event["message"] for event in json.loads(asked.body)["logEvents"]]
    return [int(line.split()[9]) for line in lines]


@pytest.fixture(params=[(BUCKET, s3_error(400, "ExpiredToken"), STORED), (GROUP, EXPIRED, TAKEN)], ids=["s3", "logs"])
def case(request: pytest.FixtureRequest) -> tuple[Destination, Answer, Answer]:
    """A destination, how it refuses, how it takes."""
    found: tuple[Destination, Answer, Answer] = request.param
    return found


def test_an_expired_token_is_an_access_error_until_it_is_renewed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: tuple[Destination, Answer, Answer]
) -> None:
    destination, refused, taken = case
    credentials.use(monkeypatch, tmp_path, Key("EXPIRED", "old"))
    clock, heard = Clock(), Heard()
    spool = Spool.open(tmp_path / "spool", now_ms=clock.now_ms)
    record(spool, flow_log(destination=destination), PERIOD_S, RECORDS)
    clock.s += 331  # the five minutes are over
    with scripted([refused, refused, taken]) as service:
        rules = DestinationRules(
            buckets={BUCKET.name: BucketSettings(endpoint=service.url, region=BUCKET.region)},
            cloudwatch_logs=ServiceSettings(endpoint=service.url),
        )
        outlets = Outlets(spool, LocalStore(tmp_path), rules)
        delivery = Delivery(
            spool, outlets, now_ms=clock.now_ms, told=heard, monotonic=clock.monotonic, chance=lambda: 1.0
        )
        delivery.start()
        for attempt in (1, 2):
            wait_until(lambda: len(service.asked) == attempt)  # noqa: B023
            wait_until(lambda: delivery.backlog()[0].retry_s > 0)
            wait_until(spool.statuses)
            (status,) = spool.statuses()
            assert (status.message, status.records) == ("Access error", 0)
            assert f"{destination.name} at {service.url}: Expired" in status.reason
            assert status.reason.endswith("; renew the credentials in use")
            if attempt == 2:
                credentials.use(monkeypatch, tmp_path, Key("RENEWED", "new"))
            clock.s += 3.0
            delivery.poke()
        wait_until(lambda: not spool.units())
        assert delivery.stop(5.0)
    (status,) = spool.statuses()
    spool.close()
    assert (status.message, status.reason) == (None, "")
    assert (status.records, status.rejected, status.dropped, status.doubtful) == (RECORDS, 0, 0, 0)
    renewed = service.asked[2:]  # of log events a request a stream
    assert {key_of(asked) for asked in service.asked[:2]} == {"EXPIRED"}
    assert {key_of(asked) for asked in renewed} == {"RENEWED"}
    assert sorted(number for asked in renewed for number in numbers_of(asked)) == list(range(RECORDS))
    assert heard.names() == ["delivery_failed", "delivery_recovered"]
