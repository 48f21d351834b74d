"""Closed sets of words that rooms and the command line share.

Rule: nothing is imported here that takes time, so that the command line can use it before it does any work.
"""

from __future__ import annotations

import enum
from typing import Final

AWS: Final = "aws"
"""Stands for the endpoint of AWS's own service."""


@enum.unique
class Direction(enum.IntEnum):
    """Direction as the capture point or the interface sees it."""

    UNKNOWN = 0
    IN = 1
    OUT = 2


@enum.unique
class Verdict(enum.IntEnum):
    """What was decided about a packet, where anything decided."""

    UNKNOWN = 0
    ACCEPT = 1
    REJECT = 2


@enum.unique
class FileFormat(enum.Enum):
    """AWS's names of object formats."""

    PLAIN_TEXT = "plain-text"
    PARQUET = "parquet"


@enum.unique
class TrafficType(enum.Enum):
    """Which verdicts a flow log asks for. Unknown verdicts go to ALL only."""

    ALL = "ALL"
    ACCEPT = "ACCEPT"
    REJECT = "REJECT"


@enum.unique
class ResourceType(enum.Enum):
    """AWS's names of what a flow log can be made for; those that records can be produced of here."""

    VPC = "VPC"
    SUBNET = "Subnet"
    NETWORK_INTERFACE = "NetworkInterface"
    REGIONAL_NAT_GATEWAY = "RegionalNatGateway"


@enum.unique
class DestinationType(enum.Enum):
    """AWS's names of where records go (LogDestinationType)."""

    CLOUD_WATCH_LOGS = "cloud-watch-logs"
    S3 = "s3"
    FIREHOSE = "kinesis-data-firehose"
