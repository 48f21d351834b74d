"""Flow logs as JSON, as the journal and the segments keep them.

Rule: a flow log comes back equal, whichever fields it has.
"""

from __future__ import annotations

import json
from typing import Any, Final

from flowglass.fields import FIELDS, Column, LogFormat
from flowglass.fields.contracts import Destination, DestinationType, FileFormat, FlowLog, ResourceType, TrafficType
from flowglass.fields.errors import StateError
from flowglass.fields.table import TRANSIT_GATEWAY_FIELDS, Resource

_FIELDS: Final = {
    Resource.VPC: FIELDS,
    Resource.TRANSIT_GATEWAY: {field.name: field for field in TRANSIT_GATEWAY_FIELDS},
}


def to_json(flow_log: FlowLog) -> str:
    """One line; the same flow log always gives the same text."""
    to = flow_log.destination
    return json.dumps(
        {
            "id": flow_log.id,
            "account": flow_log.account,
            "region": flow_log.region,
            "columns": [
                [column.field.resource.value, column.field.name, column.parameter]
                for column in flow_log.log_format.columns
            ],
            "traffic_type": flow_log.traffic_type.value,
            "interval_s": flow_log.interval_s,
            "file_format": flow_log.file_format.value,
            "hive": flow_log.hive,
            "per_hour": flow_log.per_hour,
            "parquet_codec": flow_log.parquet_codec,
            "prefix": flow_log.prefix,
            "resource_type": flow_log.resource_type.value if flow_log.resource_type is not None else None,
            "resource_id": flow_log.resource_id,
            "destination": [to.type.value, to.name, to.folder, to.account, to.region] if to is not None else None,
        }
    )


def from_json(text: str) -> FlowLog:
    """The flow log that `to_json` wrote. Raises StateError where another version wrote it."""
    try:
        return _flow_log(json.loads(text))
    except (KeyError, ValueError, TypeError) as error:
        raise StateError(
            f"the spool has a flow log that this version does not know ({error!r}); deliver it with the version that "
            "recorded it"
        ) from error


def _flow_log(told: dict[str, Any]) -> FlowLog:
    kind, to = told["resource_type"], told["destination"]
    return FlowLog(
        id=told["id"],
        account=told["account"],
        region=told["region"],
        log_format=LogFormat(
            tuple(Column(_FIELDS[Resource(of)][name], parameter) for of, name, parameter in told["columns"])
        ),
        traffic_type=TrafficType(told["traffic_type"]),
        interval_s=told["interval_s"],
        file_format=FileFormat(told["file_format"]),
        hive=told["hive"],
        per_hour=told["per_hour"],
        parquet_codec=told["parquet_codec"],
        prefix=told["prefix"],
        resource_type=ResourceType(kind) if kind is not None else None,
        resource_id=told["resource_id"],
        destination=Destination(DestinationType(to[0]), *to[1:]) if to is not None else None,
    )
