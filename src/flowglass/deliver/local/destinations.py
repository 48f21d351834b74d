"""The checks of destinations that CreateFlowLogs asks for, answered by the local store and the operator's rules.

Rule: codes and texts are AWS's where AWS has one for the case; more is added behind a colon.
Source: https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-troubleshooting.html
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Final

from flowglass.deliver import policies
from flowglass.deliver.globs import covers
from flowglass.deliver.local.names import key_fault
from flowglass.deliver.local.store import Bucket, LocalStore
from flowglass.fields.contracts import Destination, DestinationFault, DestinationType, DestinationUse
from flowglass.fields.errors import Error

LOCAL: Final = "local"
"""Entry of the allow-list for everything that the local store serves."""

_CODE: Final = "400"
_KMS_KEY: Final = re.compile(r"arn:[\w-]+:kms:[\w-]+:[0-9]{12}:(?:key|alias)/(?!aws/).+")


@dataclass(frozen=True, slots=True, kw_only=True)
class DestinationRules:
    """What the operator's configuration says.

    `allow`: LOCAL, or ARNs with `*` and `?`; an entry that fits a bucket allows all its folders. `endpoints`: names of
    buckets that have a real endpoint, which the local store does not serve; the flags say so of the two services.
    """

    allow: tuple[str, ...] = (LOCAL,)
    endpoints: frozenset[str] = frozenset()
    cloudwatch_logs_endpoint: bool = False
    firehose_endpoint: bool = False

    def is_real(self, destination: Destination) -> bool:
        """Whether a real endpoint is configured for it."""
        match destination.type:
            case DestinationType.S3:
                return destination.name in self.endpoints
            case DestinationType.CLOUD_WATCH_LOGS:
                return self.cloudwatch_logs_endpoint
            case DestinationType.FIREHOSE:
                return self.firehose_endpoint

    def allows(self, destination: Destination, arns: tuple[str, ...]) -> bool:
        """Whether an entry names it by one of its ARNs, or as local."""
        local = LOCAL in self.allow and not self.is_real(destination)
        return local or any(covers(entry, arn) for entry in self.allow for arn in arns)


class LocalDestinations:
    """`fields.contracts.Destinations` on the local store. `partition`: the second part of ARNs."""

    def __init__(self, store: LocalStore, rules: DestinationRules, partition: str = "aws") -> None:
        self._store = store
        self._rules = rules
        self._partition = partition

    def check(self, use: DestinationUse) -> DestinationFault | None:
        """What is wrong with a destination; changes nothing."""
        found = self._look(use)
        return found if isinstance(found, DestinationFault) else None

    def prepare(self, use: DestinationUse) -> DestinationFault | None:
        """Add the statements to a bucket's policy that it lacks; nothing else needs to be made beforehand."""
        found = self._look(use)
        if isinstance(found, DestinationFault):
            return found
        return self._grow(use) if found else None

    def _look(self, use: DestinationUse) -> DestinationFault | bool:
        """What is wrong with a destination, else whether its bucket's policy lacks something."""
        refused = self._refused(use.destination, self._arns(use))
        if refused:
            return refused
        if use.destination.type is not DestinationType.S3:
            return False  # log groups and delivery streams are made when there is something to write
        try:
            bucket = self._store.bucket(use.destination.name)
        except Error as error:
            return _undeliverable(use.destination, str(error))
        if bucket is None:
            return _missing(use.destination)
        if not _readable(bucket):
            return _undeliverable(use.destination)
        if not policies.allows(bucket.policy, use, self._partition):
            return DestinationFault(_CODE, policies.access_denied(bucket.name))
        grown = self._appended(bucket, use)
        return grown if isinstance(grown, DestinationFault) else grown is not bucket

    def _grow(self, use: DestinationUse) -> DestinationFault | None:
        """Give a bucket's policy what it lacks, however it looks by now."""
        faults: list[DestinationFault] = []

        def change(bucket: Bucket) -> Bucket:
            grown = self._appended(bucket, use)
            if isinstance(grown, DestinationFault):
                faults.append(grown)
                return bucket
            return grown

        try:
            self._store.change_bucket(use.destination.name, change)
        except Error as error:
            return _undeliverable(use.destination, str(error))
        return faults[0] if faults else None

    def write(self, destination: Destination, name: str, content: bytes) -> DestinationFault | None:
        """Put a small file into a bucket's folder; replaces one of that name."""
        if destination.type is not DestinationType.S3:
            return DestinationFault(_CODE, f"LogDestination: {destination.name} is no bucket; name one")
        refused = self._refused(destination, self._bucket_arns(destination))
        if refused:
            return refused
        key = "/".join(part for part in (destination.folder.strip("/"), name) if part)
        wrong = key_fault(key)
        if wrong or not name or "/" in name:
            return _undeliverable(destination, f"the key {key!r}: {wrong or 'it ends in no file name'}")
        try:
            if self._store.bucket(destination.name) is None:
                return _missing(destination)
            self._store.replace_object(destination.name, key, content)
        except Error as error:
            return _undeliverable(destination, str(error))
        return None

    def _refused(self, destination: Destination, arns: tuple[str, ...]) -> DestinationFault | None:
        """What the rules or the folder's name have against a destination."""
        if self._rules.is_real(destination):
            section = {
                DestinationType.S3: f"buckets.{destination.name}",
                DestinationType.CLOUD_WATCH_LOGS: "cloudwatch_logs",
                DestinationType.FIREHOSE: "firehose",
            }[destination.type]
            return DestinationFault(
                _CODE,
                f"LogDestination {destination.name} is undeliverable: an endpoint is configured for it, and this "
                f"version delivers to the local store only; remove endpoint from [{section}]",
            )
        if not self._rules.allows(destination, arns):
            return DestinationFault(
                _CODE,
                f"{policies.access_denied(destination.name)}: the operator's configuration does not allow it; "
                f'add "{arns[-1]}" to [destinations] allow',
            )
        wrong = key_fault(destination.folder.strip("/"))
        return _undeliverable(destination, f"the folder {destination.folder!r}: {wrong}") if wrong else None

    def _appended(self, bucket: Bucket, use: DestinationUse) -> Bucket | DestinationFault:
        """The bucket with a policy that grants the use."""
        grown = policies.append(bucket.policy, policies.statements(use, self._partition))
        if isinstance(grown, DestinationFault):
            return grown
        return bucket if grown is None else replace(bucket, policy=grown)

    def _arns(self, use: DestinationUse) -> tuple[str, ...]:
        """The ARNs under which the allow-list may name a destination, the one to advise last."""
        to = use.destination
        place = f"{to.region or use.region}:{to.account or use.account}"
        match to.type:
            case DestinationType.S3:
                return self._bucket_arns(to)
            case DestinationType.CLOUD_WATCH_LOGS:
                group = f"arn:{self._partition}:logs:{place}:log-group:{to.name}"
                return (f"{group}:*", group)  # AWS shows both forms
            case DestinationType.FIREHOSE:
                return (f"arn:{self._partition}:firehose:{place}:deliverystream/{to.name}",)

    def _bucket_arns(self, destination: Destination) -> tuple[str, ...]:
        bucket = f"arn:{self._partition}:s3:::{destination.name}"
        folder = destination.folder.strip("/")
        return (bucket, f"{bucket}/{folder}") if folder else (bucket,)


def _missing(destination: Destination) -> DestinationFault:
    return DestinationFault(_CODE, f"LogDestination: {destination.name} does not exist.")


def _undeliverable(destination: Destination, why: str = "") -> DestinationFault:
    text = f"LogDestination {destination.name} is undeliverable"
    return DestinationFault(_CODE, f"{text}: {why}" if why else text)


def _readable(bucket: Bucket) -> bool:
    """Whether its objects could be read: not with a KMS key that is AWS's, or is not given as an ARN.

    https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-s3-cmk-policy.html
    """
    encryption = bucket.encryption or {}
    if not encryption.get("SSEAlgorithm", "").startswith("aws:kms"):
        return True
    return bool(_KMS_KEY.fullmatch(encryption.get("KMSMasterKeyID", "")))
