"""Object keys: where AWS puts flow-log objects in a bucket, both ways.

Rule: a key is a pure function of flow log, period and digest.
Source: https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-s3-path.html
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from flowglass.fields.contracts import FileFormat, FlowLog

PERIOD_S: Final = 300
"""An object holds records whose `end` lies in these five minutes, aligned to Unix time."""

SUFFIXES: Final[dict[FileFormat, str]] = {
    FileFormat.PLAIN_TEXT: ".log.gz",
    FileFormat.PARQUET: ".log.parquet",
}

_NAME: Final = re.compile(
    r"(?P<account>[0-9]{12})_vpcflowlogs_(?P<region>[a-z0-9-]+)_(?P<id>fl-[0-9a-f]{8,17})"
    r"_(?P<time>[0-9]{8}T[0-9]{4})Z_(?P<hash>[0-9a-f]+)(?:\.log)?(?P<end>\.parquet|\.gz)?"
)


@dataclass(frozen=True, slots=True)
class KeyParts:
    """What the name of an object tells. `period_start_s`: Unix time of its first second; `hash`: hex
    digits.
    """

    account: str
    region: str
    flow_log_id: str
    period_start_s: int
    hash: str
    file_format: FileFormat


def object_key(flow_log: FlowLog, period_start_s: int, hex8: str) -> str:
    """The key of an object of `flow_log` with records that end in the 300 s from `period_start_s` (Unix
    time).

    `hex8`: eight hex digits that tell the objects of one period apart.
    """
    time = datetime.fromtimestamp(period_start_s, UTC)
    root, pattern = folders(flow_log)
    name = f"{flow_log.account}_vpcflowlogs_{flow_log.region}_{flow_log.id}_{time:%Y%m%dT%H%M}Z_{hex8}"
    return f"{root}/{time.strftime(pattern)}/{name}{SUFFIXES[flow_log.file_format]}"


def folders(flow_log: FlowLog) -> tuple[str, str]:
    """The folder of all objects of `flow_log`, and below it those of times, as a pattern of strftime."""
    account, region = flow_log.account, flow_log.region
    prefix = flow_log.prefix.strip("/")
    root = [*([prefix] if prefix else []), "AWSLogs"]
    if flow_log.hive:
        root += [f"aws-account-id={account}", "aws-service=vpcflowlogs", f"aws-region={region}"]
        times = ["year=%Y", "month=%m", "day=%d", "hour=%H"]
    else:
        root += [account, "vpcflowlogs", region]
        times = ["%Y", "%m", "%d", "%H"]
    return "/".join(root), "/".join(times if flow_log.per_hour else times[:3])


def parse_key(key: str) -> KeyParts | None:
    """What a key or path says by its last part; None where it is no flow-log object's.

    AWS's own variants are read: flow log ids of 8 or 17 hex digits, `.parquet` without `.log`, longer hashes.
    """
    match = _NAME.fullmatch(key.rsplit("/", 1)[-1])
    if match is None:
        return None
    try:
        time = datetime.strptime(match["time"] + "+0000", "%Y%m%dT%H%M%z")
    except ValueError:
        return None
    file_format = FileFormat.PARQUET if match["end"] == ".parquet" else FileFormat.PLAIN_TEXT
    return KeyParts(match["account"], match["region"], match["id"], int(time.timestamp()), match["hash"], file_format)
