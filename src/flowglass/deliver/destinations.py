"""The checks of destinations that CreateFlowLogs asks for, passed on to who has the destination.

Rule: what the operator's configuration does not allow is refused here, before any store or service is asked.
"""

from __future__ import annotations

from flowglass.deliver import faults
from flowglass.deliver.local.destinations import LocalDestinations
from flowglass.deliver.local.names import key_fault
from flowglass.deliver.remote import RealDestinations
from flowglass.deliver.rules import DestinationRules
from flowglass.fields.contracts import Destination, DestinationFault, DestinationType, DestinationUse


class AnyDestinations:
    """`fields.contracts.Destinations` for all that the rules allow. `partition`: the second part of ARNs."""

    def __init__(
        self, local: LocalDestinations, real: RealDestinations, rules: DestinationRules, partition: str = "aws"
    ) -> None:
        self._local = local
        self._real = real
        self._rules = rules
        self._partition = partition

    def check(self, use: DestinationUse) -> DestinationFault | None:
        """What is wrong with a destination; changes nothing."""
        return self._refused(use.destination, self._arns(use)) or self._owner(use.destination).check(use)

    def prepare(self, use: DestinationUse) -> DestinationFault | None:
        """Make it ready, as AWS does."""
        return self._refused(use.destination, self._arns(use)) or self._owner(use.destination).prepare(use)

    def write(self, destination: Destination, name: str, content: bytes) -> DestinationFault | None:
        """Put a small file into a bucket's folder; replaces one of that name."""
        if destination.type is not DestinationType.S3:
            return faults.no_bucket(destination)
        refused = self._refused(destination, self._bucket_arns(destination))
        if refused:
            return refused
        key = "/".join(part for part in (destination.folder.strip("/"), name) if part)
        wrong = key_fault(key)
        if wrong or not name or "/" in name:
            return faults.undeliverable(destination, f"the key {key!r}: {wrong or 'it ends in no file name'}")
        return self._owner(destination).write(destination, key, content)

    def _owner(self, destination: Destination) -> LocalDestinations | RealDestinations:
        return self._local if self._rules.settings(destination) is None else self._real

    def _refused(self, destination: Destination, arns: tuple[str, ...]) -> DestinationFault | None:
        """What the rules or the folder's name have against a destination."""
        if not self._rules.allows(destination, arns):
            return faults.access_denied(
                destination.name,
                f'the operator\'s configuration does not allow it; add "{arns[-1]}" to [destinations] allow',
            )
        wrong = key_fault(destination.folder.strip("/"))
        return faults.undeliverable(destination, f"the folder {destination.folder!r}: {wrong}") if wrong else None

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
