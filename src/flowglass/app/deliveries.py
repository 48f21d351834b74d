"""What the configuration says of deliveries, as `deliver` takes it.

Rule: units change here and nowhere else: megabytes are decimal, as disks and S3 count them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from flowglass.app.config import Bucket, CloudWatchLogs, Config, Firehose
from flowglass.deliver import BucketSettings, DestinationRules, Limits, Retention, ServiceSettings

SPOOL: Final = "spool"
"""The spool's folder in DATA."""
_MEGABYTE: Final = 1_000_000


def rules(config: Config) -> DestinationRules:
    """What flow logs may deliver to, and which destinations are real services."""
    return DestinationRules(
        allow=config.destinations.allow,
        buckets={name: _bucket(bucket) for name, bucket in config.buckets.items() if bucket.endpoint},
        cloudwatch_logs=_service(config.cloudwatch_logs),
        firehose=_service(config.firehose),
    )


def limits(config: Config) -> Limits:
    """The bounds of the spool."""
    return Limits(max_bytes=config.spool.max_megabytes * _MEGABYTE, max_age_s=config.spool.max_age_hours * 3600)


def min_free_bytes(config: Config) -> int:
    """How much of the disk the local store leaves free."""
    return config.local_store.min_free_megabytes * _MEGABYTE


def retention(config: Config) -> Retention:
    """How long, and how much, the local store keeps."""
    kept = config.local_store
    return Retention(max_age_s=kept.retention_days * 86_400, max_bytes=kept.max_megabytes * _MEGABYTE)


def spool_folder(config: Config) -> Path:
    """Where the spool is."""
    return config.data_dir / SPOOL


def _bucket(bucket: Bucket) -> BucketSettings:
    return BucketSettings(
        endpoint=bucket.endpoint,
        region=bucket.region,
        profile=bucket.profile,
        kms_key=bucket.kms_key,
        bucket_key=bucket.bucket_key,
        acl=bucket.acl,
        addressing=bucket.addressing,
    )


def _service(service: CloudWatchLogs | Firehose) -> ServiceSettings | None:
    if not service.endpoint:
        return None
    return ServiceSettings(endpoint=service.endpoint, region=service.region, profile=service.profile)
