"""Names of destinations: one a place, whatever the folder."""

from __future__ import annotations

from dataclasses import replace

from flowglass.deliver import BucketSettings, DestinationRules, ServiceSettings, place_of
from flowglass.fields.contracts import Destination, DestinationType

S3, LOGS, FIREHOSE = DestinationType.S3, DestinationType.CLOUD_WATCH_LOGS, DestinationType.FIREHOSE
AWS = ServiceSettings(endpoint="aws")
LOCAL = DestinationRules()
REAL = DestinationRules(buckets={"logs": BucketSettings(endpoint="aws")}, cloudwatch_logs=AWS, firehose=AWS)
PLACE = {"account": "123456789012", "region": "eu-west-1"}


def test_the_local_store_is_told_from_services() -> None:
    for rules, names in (
        (LOCAL, ("local:s3/logs", "local:logs/%2Fnetwork%2Fflows", "local:firehose/flows")),
        (
            REAL,
            ("s3://logs", "logs:eu-west-1:123456789012:/network/flows", "firehose:eu-west-1:123456789012:flows"),
        ),
    ):
        group, stream = Destination(LOGS, "/network/flows", **PLACE), Destination(FIREHOSE, "flows", **PLACE)
        assert tuple(place_of(to, rules) for to in (Destination(S3, "logs"), group, stream)) == names


def test_folders_of_a_bucket_are_one_place_and_groups_of_two_accounts_are_two() -> None:
    bucket, group = Destination(S3, "logs"), Destination(LOGS, "flows", **PLACE)
    assert place_of(replace(bucket, folder="team"), REAL) == place_of(bucket, REAL)
    assert place_of(replace(group, account="210987654321"), REAL) != place_of(group, REAL)
