"""What agents last reported of each flow log's delivery.

Rule: one row a flow log and agent, the last report.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, bindparam, delete, insert, select

from flowglass.control.store import rows
from flowglass.control.store.lists import among, listed
from flowglass.control.store.tables import DELIVERIES, FLOW_LOGS


@dataclass(frozen=True, slots=True)
class DeliveryRow:
    """The last delivery of a flow log by one agent.

    `status`: SUCCESS or FAILED; `message`: AWS's text where it failed; `objects`: how many the agent delivered of it.
    """

    flow_log_id: str
    agent: str
    status: str
    message: str | None
    at_ms: int
    objects: int


_NAMES: Final = tuple(field.name for field in dataclasses.fields(DeliveryRow))
_C: Final = DELIVERIES.c
_KNOWN: Final = select(FLOW_LOGS.c.id).where(among(FLOW_LOGS.c.id, "ids"))
_DELETE: Final = delete(DELIVERIES).where(_C.flow_log_id == bindparam("flow_log"), _C.agent == bindparam("by"))
_INSERT: Final = insert(DELIVERIES)
_OF: Final = (
    select(*(_C[name] for name in _NAMES)).where(among(_C.flow_log_id, "ids")).order_by(*DELIVERIES.primary_key)
)


def report(connection: Connection, deliveries: Sequence[DeliveryRow]) -> None:
    """Keep the deliveries in place of the agents' former ones; those of flow logs that are not there are ignored.

    An agent may still deliver for a flow log that was deleted a moment ago.
    """
    known = set(connection.scalars(_KNOWN, {"ids": listed({row.flow_log_id for row in deliveries})}))
    last = {(row.flow_log_id, row.agent): row for row in deliveries if row.flow_log_id in known}
    if last:
        connection.execute(_DELETE, [{"flow_log": flow_log_id, "by": agent} for flow_log_id, agent in last])
        rows.insert_all(connection, _INSERT, (rows.values(row, _NAMES) for row in last.values()))


def of(connection: Connection, ids: Sequence[str]) -> dict[str, list[DeliveryRow]]:
    """The deliveries of each flow log, ordered by agent; an empty list where nothing was reported."""
    found: dict[str, list[DeliveryRow]] = {flow_log_id: [] for flow_log_id in ids}
    for row in connection.execute(_OF, {"ids": listed(ids)}):
        found[row[0]].append(DeliveryRow(*row))
    return found
