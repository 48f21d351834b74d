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
    account, region = flow_log.account, flow_log.region
    if flow_log.hive:
        folders = [
            f"aws-account-id={account}",
            "aws-service=vpcflowlogs",
            f"aws-region={region}",
            f"{time:year=%Y}",
            f"{time:month=%m}",
            f"{time:day=%d}",
        ]
    else:
        folders = [account, "vpcflowlogs", region, f"{time:%Y}", f"{time:%m}", f"{time:%d}"]
    if flow_log.per_hour:
        folders.append(f"{time:hour=%H}" if flow_log.hive else f"{time:%H}")
    prefix = flow_log.prefix.strip("/")
    name = f"{account}_vpcflowlogs_{region}_{flow_log.id}_{time:%Y%m%dT%H%M}Z_{hex8}"
    return "/".join([*([prefix] if prefix else []), "AWSLogs", *folders, name + SUFFIXES[flow_log.file_format]])


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
