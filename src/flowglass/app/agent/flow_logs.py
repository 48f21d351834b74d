"""The server's flow logs as this agent records them, and what it last knew of them.

Rule: a flow log that this version cannot read is left out and told, never a reason to stop. Names of files are made of
its id, account and Region, so these are checked, whoever the server is.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from flowglass.app.private_file import write_private
from flowglass.fields import LogFormat
from flowglass.fields.contracts import (
    Destination,
    DestinationType,
    FileFormat,
    FlowLog,
    ResourceType,
    TrafficType,
)
from flowglass.fields.errors import LogFormatError
from flowglass.format import object_key, parse_key

FILE: Final = "flow-logs.json"
Told = Callable[[str, str], None]
"""Told of a flow log that cannot be recorded: its id and why."""


def keep(data: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Keep what the server said, for times when it is away."""
    write_private(data / FILE, json.dumps(list(rows)).encode())


def kept(data: Path) -> list[dict[str, Any]]:
    """What the server last said; nothing where it never did or the file is damaged."""
    try:
        rows = json.loads((data / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def flow_logs(rows: Sequence[Mapping[str, Any]], told: Told) -> list[FlowLog]:
    """The flow logs, those that cannot be read left out and told."""
    made = []
    for row in rows:
        try:
            flow_log = _flow_log(row)
            _check_names(flow_log)
            made.append(flow_log)
        except (KeyError, TypeError, ValueError, LogFormatError) as error:
            told(str(row.get("id")), str(error) or type(error).__name__)
    return made


def _flow_log(row: Mapping[str, Any]) -> FlowLog:
    destination = Destination(
        DestinationType(row["destination"]["type"]),
        row["destination"]["name"],
        folder=row["destination"]["folder"],
        account=row["destination"]["account"],
        region=row["destination"]["region"],
    )
    tag_keys = {kind: tuple(names) for kind, names in row["tag_fields"]}
    return FlowLog(
        id=row["id"],
        account=row["account"],
        region=row["region"],
        log_format=LogFormat.parse(row["log_format"], tag_keys),
        traffic_type=TrafficType(row["traffic_type"]),
        interval_s=int(row["max_aggregation_interval"]),
        file_format=FileFormat(row["file_format"]),
        hive=bool(row["hive_compatible_partitions"]),
        per_hour=bool(row["per_hour_partition"]),
        prefix=destination.folder,
        resource_type=ResourceType(row["resource_type"]),
        resource_id=row["resource_id"],
        destination=destination,
    )


def _check_names(flow_log: FlowLog) -> None:
    """Raises ValueError where id, account and Region cannot be read back from the name of an object."""
    parts = parse_key(object_key(flow_log, 0, "0" * 8))
    named = (flow_log.id, flow_log.account, flow_log.region)
    if parts is None or (parts.flow_log_id, parts.account, parts.region) != named:
        raise ValueError("id {!r}, account {!r}, region {!r}: no name of an object can hold them".format(*named))
