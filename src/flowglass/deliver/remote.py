"""The checks of destinations that CreateFlowLogs asks for, answered by the real services.

Rule: who asks here need not be who delivers, so what we may not know passes; what is certainly not there, or does not
answer, is a fault. On AWS itself nothing is changed: rights are its owner's to grant.
Source: https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-s3-permissions.html
"""

from __future__ import annotations

import json
import threading
from contextlib import AbstractContextManager
from typing import Any, Final

from flowglass.deliver import faults, policies
from flowglass.deliver.aws import BucketSettings, Service, ServiceSettings
from flowglass.deliver.aws_errors import code_of, is_missing
from flowglass.deliver.rules import DestinationRules
from flowglass.deliver.sinks.s3 import put_options
from flowglass.fields.contracts import Destination, DestinationFault, DestinationType, DestinationUse
from flowglass.fields.errors import DestinationRefused, Error
from flowglass.fields.vocabulary import AWS

CONNECT_S: Final = 3.0
READ_S: Final = 10.0
"""How long a caller of CreateFlowLogs is kept waiting for a connection, and for each answer."""


class RealDestinations:
    """Destinations on the services that the rules name. Threads share it. `partition`: the second part of ARNs."""

    def __init__(self, rules: DestinationRules, partition: str = "aws") -> None:
        self._rules = rules
        self._partition = partition
        self._services: dict[tuple[str, ServiceSettings, str], Service] = {}
        self._changing = threading.Lock()

    def check(self, use: DestinationUse) -> DestinationFault | None:
        """What is wrong with a destination; changes nothing."""
        found = self._look(use)
        return found if isinstance(found, DestinationFault) else None

    def prepare(self, use: DestinationUse) -> DestinationFault | None:
        """Add the statements to a bucket's policy that it lacks, where the service has policies and lets us.

        S3 cannot make a change depend on what was read: what others change in the same moment is overwritten.
        """
        with self._changing:
            found = self._look(use)
            if not isinstance(found, dict):
                return found
            try:
                with self._calling(use.destination) as s3:
                    s3.put_bucket_policy(Bucket=use.destination.name, Policy=json.dumps(found))
            except Error as error:
                return _fault(use.destination, error)
        return None

    def write(self, destination: Destination, key: str, content: bytes) -> DestinationFault | None:
        """Put a small file into a bucket; replaces one of that name."""
        options = put_options(self._rules.buckets[destination.name])
        try:
            with self._calling(destination) as s3:
                s3.put_object(Bucket=destination.name, Key=key, Body=content, **options)
        except Error as error:
            return _fault(destination, error) or faults.undeliverable(destination, str(error))
        return None

    def _look(self, use: DestinationUse) -> DestinationFault | dict[str, Any] | None:
        """What is wrong with a destination, else the policy that its bucket ought to get, if it lacks something."""
        try:
            match use.destination.type:
                case DestinationType.S3:
                    return self._look_at_bucket(use)
                case DestinationType.FIREHOSE:
                    with self._calling(use.destination, use.destination.region or use.region) as firehose:
                        firehose.describe_delivery_stream(DeliveryStreamName=use.destination.name)
                case DestinationType.CLOUD_WATCH_LOGS:
                    pass  # the group is made when there is something to write
        except Error as error:
            return _fault(use.destination, error)
        return None

    def _look_at_bucket(self, use: DestinationUse) -> DestinationFault | dict[str, Any] | None:
        """As `_look`, for a bucket. Raises what `Service.calling` does."""
        name = use.destination.name
        try:
            with self._calling(use.destination) as s3:
                s3.head_bucket(Bucket=name)
        except DestinationRefused as error:
            if is_missing(error):
                raise
        if self._rules.buckets[name].endpoint == AWS:
            return None
        with self._calling(use.destination) as s3:
            try:
                policy = json.loads(s3.get_bucket_policy(Bucket=name)["Policy"])
            except s3.exceptions.ClientError as error:
                if code_of(error) != "NoSuchBucketPolicy":
                    raise
                policy = None
            except ValueError:
                return None  # a service without policies, which took the question for another one
        if policy is not None and policies.fault(policy):
            return None
        if not policies.allows(policy, use, self._partition):
            return faults.access_denied(name)
        return policies.append(policy, policies.statements(use, self._partition))

    def _calling(self, destination: Destination, region: str = "") -> AbstractContextManager[Any]:
        """Calls of the service that has a bucket or delivery stream. `region`: where the settings name none."""
        settings = self._rules.settings(destination)
        if isinstance(settings, BucketSettings):
            name, what = "s3", f"bucket {destination.name}"
        elif settings is not None:
            name, what = "firehose", f"delivery stream {destination.name}"
        else:
            raise ValueError(f"{destination.name} is in the local store")
        made = Service(name, settings, region=region, connect_s=CONNECT_S, read_s=READ_S)
        return self._services.setdefault((name, settings, region), made).calling(what)


def _fault(destination: Destination, error: Error) -> DestinationFault | None:
    """What a failed call says of a destination; None where it says only that we may not know."""
    if not isinstance(error, DestinationRefused):
        return faults.undeliverable(destination, str(error))
    return faults.missing(destination) if is_missing(error) else None
