"""Flow logs in the state.

Rule: a flow log is inserted and deleted, never changed. `seq` is the order of creation, in which all lists are.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, and_, bindparam, case, func, select
from sqlalchemy import delete as sql_delete
from sqlalchemy import insert as sql_insert

from flowglass.control.store import rows
from flowglass.control.store.lists import among, listed
from flowglass.control.store.tables import FLOW_LOGS, RESOURCES


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowLogRow:
    """A flow log as CreateFlowLogs stored it.

    `resource_type`, `traffic_type`, `log_destination_type`, `file_format`: AWS's texts; `log_destination`: the ARN as
    sent; `log_format`: the text as sent, or the default format's; `max_aggregation_interval`: seconds;
    `tag_fields`: resource types with their tag
    keys; `destination_key`: the destination in the one form in which two are compared; `seq`: 0 before it is stored.
    """

    id: str
    account: str
    region: str
    resource_id: str
    resource_type: str
    traffic_type: str
    log_destination_type: str
    log_destination: str | None
    log_group_name: str | None
    deliver_logs_permission_arn: str | None
    deliver_cross_account_role: str | None
    log_format: str
    max_aggregation_interval: int
    file_format: str
    hive_compatible_partitions: bool
    per_hour_partition: bool
    tag_fields: tuple[tuple[str, tuple[str, ...]], ...]
    destination_key: str
    created_ms: int
    seq: int = 0


_NAMES: Final = tuple(field.name for field in dataclasses.fields(FlowLogRow))
_STORED: Final = tuple(name for name in _NAMES if name != "seq")
_C: Final = FLOW_LOGS.c
_INSERT: Final = sql_insert(FLOW_LOGS)
_DELETE: Final = sql_delete(FLOW_LOGS).where(among(_C.id, "ids"))
_EQUAL: Final = and_(_C.destination_key == bindparam("destination_key"), _C.traffic_type == bindparam("traffic_type"))
_TAKEN: Final = (
    select(_C.resource_id, func.count(), func.count(case((_EQUAL, 1))))
    .where(_C.account == bindparam("account"), _C.region == bindparam("region"), among(_C.resource_id, "resource_ids"))
    .group_by(_C.resource_id)
)


_OF_AGENT: Final = (
    select(*(_C[name] for name in _NAMES))
    .where(_C.resource_id.in_(select(RESOURCES.c.id).where(RESOURCES.c.agent == bindparam("agent"))))
    .order_by(_C.seq)
)
_REVISION: Final = select(func.coalesce(func.max(_C.seq), 0), func.count())


@cache
def _find(given: frozenset[str]) -> Select[Any]:
    """The statement for the parameters that are given: a clause for each, so that the indices serve it."""
    clauses = {
        "account": _C.account == bindparam("account"),
        "region": _C.region == bindparam("region"),
        "ids": among(_C.id, "ids"),
        "resource_ids": among(_C.resource_id, "resource_ids"),
        "after_seq": _C.seq > bindparam("after_seq"),
    }
    found = select(*(_C[name] for name in _NAMES)).order_by(_C.seq)
    found = found.where(*(clause for name, clause in clauses.items() if name in given))
    return found.limit(bindparam("limit")) if "limit" in given else found


def _row(row: Row[Any]) -> FlowLogRow:
    stored = dict(zip(_NAMES, row, strict=True))
    stored["tag_fields"] = tuple((kind, tuple(keys)) for kind, keys in stored["tag_fields"])
    return FlowLogRow(**stored)


def insert(connection: Connection, flow_logs: Sequence[FlowLogRow]) -> None:
    """Store new flow logs, in this order. Raises Conflict if one has an id, or a destination, that is there."""
    rows.insert_all(connection, _INSERT, (rows.values(row, _STORED) for row in flow_logs))


def find(
    connection: Connection,
    *,
    account: str | None,
    region: str | None,
    ids: Sequence[str] | None = None,
    resource_ids: Sequence[str] | None = None,
    after_seq: int = 0,
    limit: int | None = None,
) -> list[FlowLogRow]:
    """Flow logs by all that is given, ordered by `seq`: None asks for any, an empty list for none."""
    asked: dict[str, Any] = {
        "account": account,
        "region": region,
        "ids": None if ids is None else listed(ids),
        "resource_ids": None if resource_ids is None else listed(resource_ids),
        "after_seq": after_seq or None,
        "limit": limit,
    }
    given = {name: value for name, value in asked.items() if value is not None}
    return [_row(row) for row in connection.execute(_find(frozenset(given)), given)]


def of_agent(connection: Connection, agent: str) -> list[FlowLogRow]:
    """The flow logs of the resources that an agent reported, ordered by `seq`."""
    return [_row(row) for row in connection.execute(_OF_AGENT, {"agent": agent})]


def revision(connection: Connection) -> str:
    """A text that changes whenever a flow log is made or deleted: they are never changed, nor their numbers reused."""
    newest, count = connection.execute(_REVISION).one()
    return f"{newest}.{count}"


def delete(connection: Connection, ids: Sequence[str]) -> None:
    """Forget flow logs, with their tags and deliveries; unknown ids are nothing to forget."""
    connection.execute(_DELETE, {"ids": listed(ids)})


def taken(
    connection: Connection,
    account: str,
    region: str,
    resource_ids: Collection[str],
    *,
    destination_key: str,
    traffic_type: str,
) -> dict[str, tuple[int, bool]]:
    """How many flow logs each of the resources has, and whether one of them is for this destination and traffic."""
    asked = {
        "account": account,
        "region": region,
        "resource_ids": listed(resource_ids),
        "destination_key": destination_key,
        "traffic_type": traffic_type,
    }
    found = {str(resource): (count, equal > 0) for resource, count, equal in connection.execute(_TAKEN, asked)}
    return dict.fromkeys(resource_ids, (0, False)) | found
