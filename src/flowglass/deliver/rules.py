"""What the operator's configuration says of destinations: which flow logs may have, and where they really are.

Rule: no answer here asks anybody.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from flowglass.deliver.aws import BucketSettings, ServiceSettings
from flowglass.deliver.globs import covers
from flowglass.fields.contracts import Destination, DestinationType

LOCAL: Final = "local"
"""Entry of the allow-list for everything that the local store serves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DestinationRules:
    """What the operator's configuration says.

    `allow`: LOCAL, or ARNs with `*` and `?`; an entry that fits a bucket allows all its folders. `buckets`: those that
    a real service has, by name; `cloudwatch_logs`, `firehose`: the real services, None where the local store is it.
    """

    allow: tuple[str, ...] = (LOCAL,)
    buckets: Mapping[str, BucketSettings] = field(default_factory=dict)
    cloudwatch_logs: ServiceSettings | None = None
    firehose: ServiceSettings | None = None

    def settings(self, destination: Destination) -> ServiceSettings | None:
        """How the real service is reached that has it; BucketSettings for a bucket; None for the local store."""
        match destination.type:
            case DestinationType.S3:
                return self.buckets.get(destination.name)
            case DestinationType.CLOUD_WATCH_LOGS:
                return self.cloudwatch_logs
            case DestinationType.FIREHOSE:
                return self.firehose

    def allows(self, destination: Destination, arns: tuple[str, ...]) -> bool:
        """Whether an entry names it by one of its ARNs, or as local."""
        local = LOCAL in self.allow and self.settings(destination) is None
        return local or any(covers(entry, arn) for entry in self.allow for arn in arns)
