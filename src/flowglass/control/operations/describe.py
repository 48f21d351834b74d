"""DescribeFlowLogs: the flow logs that a call sees, oldest first, by page.

Rule: what ids and resources ask for is looked up by index; the rest is filtered here, with tags and deliveries fetched
for all of a page at once. The status tells of the last delivery of each agent, never of what should be.
Source: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeFlowLogs.html
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection

from flowglass.control.arns import destination_of
from flowglass.control.call import Call, Services
from flowglass.control.operations.filters import Filters, compile_filters
from flowglass.control.operations.paging import page_size, page_start, page_token
from flowglass.control.operations.refusal import end_dry_run, no_flow_logs, too_many
from flowglass.control.store import deliveries, flow_logs, tags
from flowglass.control.store.deliveries import DeliveryRow
from flowglass.control.store.flow_logs import FlowLogRow
from flowglass.fields.vocabulary import DestinationType

MAX_IDS: Final = 1000

FILTERS: Final = frozenset(
    {
        "deliver-log-status",
        "log-destination-type",
        "flow-log-id",
        "log-group-name",
        "resource-id",
        "traffic-type",
    }
)
"""Beside those about tags."""

_CHUNK: Final = 256
"""Flow logs that are looked at in one go at least, where a page is wanted and filters may leave most out."""

_FAILED: Final = "FAILED"
_SUCCESS: Final = "SUCCESS"


@dataclass(frozen=True, slots=True)
class _Known:
    """A flow log with what belongs to it."""

    row: FlowLogRow
    tags: dict[str, str]
    failure: DeliveryRow | None

    @property
    def status(self) -> str:
        return _SUCCESS if self.failure is None else _FAILED


def describe_flow_logs(call: Call, services: Services) -> dict[str, Any]:
    """List flow logs. Answers `FlowLogs` and, where there are more, `NextToken`.

    Raises InvalidFlowLogIdNotFound that names every unknown id, whether or not a filter would leave it out; and the
    faults of filters and pages.
    """
    ids = list(dict.fromkeys(call.parameters.get("FlowLogIds", ())))
    if len(ids) > MAX_IDS:
        raise too_many("FlowLogIds", len(ids), MAX_IDS)
    filters = compile_filters(call.parameters.get("Filter"), FILTERS)
    size = page_size(call, "FlowLogIds")
    start = page_start(call, services)

    def look(connection: Connection) -> list[_Known]:
        named = _named(connection, call, ids)
        end_dry_run(call)
        if ids:  # which never come with a page
            return _matching(connection, named, filters)
        return _found(connection, call, filters, after_seq=int(start or 0), wanted=size)

    found = services.store.read(look)
    answer: dict[str, Any] = {"FlowLogs": [_described(known) for known in found[:size]]}
    if size is not None and len(found) > size:
        answer["NextToken"] = page_token(call, services, str(found[size - 1].row.seq))
    return answer


def _named(connection: Connection, call: Call, ids: Sequence[str]) -> list[FlowLogRow]:
    """The flow logs of these ids. Raises the fault that names all that are not there."""
    if not ids:
        return []
    rows = flow_logs.find(connection, account=call.account, region=call.region, ids=ids)
    there = {row.id for row in rows}
    missing = [one for one in ids if one not in there]
    if missing:
        raise no_flow_logs(missing)
    return rows


def _found(connection: Connection, call: Call, filters: Filters, *, after_seq: int, wanted: int | None) -> list[_Known]:
    """The flow logs that match, in order of creation: all, or a few more than `wanted`."""
    chunk = None if wanted is None else max(wanted + 1, _CHUNK if filters.clauses else 0)
    found: list[_Known] = []
    while True:
        rows = flow_logs.find(
            connection,
            account=call.account,
            region=call.region,
            ids=filters.exact("flow-log-id"),
            resource_ids=filters.exact("resource-id"),
            after_seq=after_seq,
            limit=chunk,
        )
        found += _matching(connection, rows, filters)
        if chunk is None or wanted is None or len(found) > wanted or len(rows) < chunk:
            return found
        after_seq = rows[-1].seq


def _matching(connection: Connection, rows: Sequence[FlowLogRow], filters: Filters) -> list[_Known]:
    return [known for known in _known(connection, rows) if filters.match(_values(known), known.tags)]


def _known(connection: Connection, rows: Sequence[FlowLogRow]) -> Iterator[_Known]:
    ids = [row.id for row in rows]
    of_row, delivered = tags.tags(connection, ids), deliveries.of(connection, ids)
    for row in rows:
        failures = [delivery for delivery in delivered[row.id] if delivery.status == _FAILED]
        yield _Known(row, of_row[row.id], max(failures, key=lambda delivery: delivery.at_ms, default=None))


def _group_of(row: FlowLogRow) -> str | None:
    """The log group, of its name or its ARN; None for other destinations."""
    kind = DestinationType(row.log_destination_type)
    if kind is not DestinationType.CLOUD_WATCH_LOGS:
        return None
    return destination_of(kind, row.log_destination, row.log_group_name, row.account, row.region).name


def _values(known: _Known) -> dict[str, Sequence[str]]:
    """What the filters look at, by their names."""
    group = _group_of(known.row)
    return {
        "deliver-log-status": (known.status,),
        "log-destination-type": (known.row.log_destination_type,),
        "flow-log-id": (known.row.id,),
        "log-group-name": () if group is None else (group,),
        "resource-id": (known.row.resource_id,),
        "traffic-type": (known.row.traffic_type,),
    }


def _described(known: _Known) -> dict[str, Any]:
    """A flow log as AWS shows it; a member that is None is not shown."""
    row = known.row
    options = {
        "FileFormat": row.file_format,
        "HiveCompatiblePartitions": row.hive_compatible_partitions,
        "PerHourPartition": row.per_hour_partition,
    }
    return {
        "CreationTime": row.created_ms,
        "DeliverLogsErrorMessage": None if known.failure is None else known.failure.message,
        "DeliverLogsPermissionArn": row.deliver_logs_permission_arn,
        "DeliverCrossAccountRole": row.deliver_cross_account_role,
        "DeliverLogsStatus": known.status,
        "FlowLogId": row.id,
        "FlowLogStatus": "ACTIVE",
        "LogGroupName": _group_of(row),
        "ResourceId": row.resource_id,
        "TrafficType": row.traffic_type,
        "LogDestinationType": row.log_destination_type,
        "LogDestination": row.log_destination,
        "LogFormat": row.log_format,
        "Tags": [{"Key": key, "Value": value} for key, value in known.tags.items()],
        "MaxAggregationInterval": row.max_aggregation_interval,
        "DestinationOptions": options if row.log_destination_type == DestinationType.S3.value else None,
        "TagFieldSpecifications": [{"ResourceType": kind, "TagKeys": list(keys)} for kind, keys in row.tag_fields]
        or None,
    }
