"""The checks of destinations that CreateFlowLogs asks for, answered by the local store.

Rule: whether the operator allows a destination was asked before; here it is whether the store has it.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from flowglass.deliver import faults, policies
from flowglass.deliver.local.store import Bucket, LocalStore
from flowglass.fields.contracts import Destination, DestinationFault, DestinationType, DestinationUse
from flowglass.fields.errors import Error

_KMS_KEY: Final = re.compile(r"arn:[\w-]+:kms:[\w-]+:[0-9]{12}:(?:key|alias)/(?!aws/).+")


class LocalDestinations:
    """Destinations on the local store. `partition`: the second part of ARNs."""

    def __init__(self, store: LocalStore, partition: str = "aws") -> None:
        self._store = store
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
        if use.destination.type is not DestinationType.S3:
            return False  # log groups and delivery streams are made when there is something to write
        try:
            bucket = self._store.bucket(use.destination.name)
        except Error as error:
            return faults.undeliverable(use.destination, str(error))
        if bucket is None:
            return faults.missing(use.destination)
        if not _readable(bucket):
            return faults.undeliverable(use.destination)
        if not policies.allows(bucket.policy, use, self._partition):
            return faults.access_denied(bucket.name)
        grown = self._appended(bucket, use)
        return grown if isinstance(grown, DestinationFault) else grown is not bucket

    def _grow(self, use: DestinationUse) -> DestinationFault | None:
        """Give a bucket's policy what it lacks, however it looks by now."""
        wrong: list[DestinationFault] = []

        def change(bucket: Bucket) -> Bucket:
            grown = self._appended(bucket, use)
            if isinstance(grown, DestinationFault):
                wrong.append(grown)
                return bucket
            return grown

        try:
            self._store.change_bucket(use.destination.name, change)
        except Error as error:
            return faults.undeliverable(use.destination, str(error))
        return wrong[0] if wrong else None

    def write(self, destination: Destination, key: str, content: bytes) -> DestinationFault | None:
        """Put a small file into a bucket under a key without faults; replaces one of that name."""
        try:
            if self._store.bucket(destination.name) is None:
                return faults.missing(destination)
            self._store.replace_object(destination.name, key, content)
        except Error as error:
            return faults.undeliverable(destination, str(error))
        return None

    def _appended(self, bucket: Bucket, use: DestinationUse) -> Bucket | DestinationFault:
        """The bucket with a policy that grants the use."""
        grown = policies.append(bucket.policy, policies.statements(use, self._partition))
        if isinstance(grown, DestinationFault):
            return grown
        return bucket if grown is None else replace(bucket, policy=grown)


def _readable(bucket: Bucket) -> bool:
    """Whether its objects could be read: not with a KMS key that is AWS's, or is not given as an ARN.

    https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-s3-cmk-policy.html
    """
    encryption = bucket.encryption or {}
    if not encryption.get("SSEAlgorithm", "").startswith("aws:kms"):
        return True
    return bool(_KMS_KEY.fullmatch(encryption.get("KMSMasterKeyID", "")))
