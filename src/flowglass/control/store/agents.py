"""Agents in the state.

Rule: an agent stays listed after it falls silent; `seen_ms` says since when.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, bindparam, select, update
from sqlalchemy import insert as sql_insert

from flowglass.control.store import rows
from flowglass.control.store.tables import AGENTS


@dataclass(frozen=True, slots=True)
class AgentRow:
    """An agent. `inventory_digest`: of what is stored of its inventory, None before its first; `report`: its last."""

    id: str
    name: str
    version: str
    registered_ms: int
    seen_ms: int
    inventory_digest: str | None
    report: dict[str, Any]


_NAMES: Final = tuple(field.name for field in dataclasses.fields(AgentRow))
_C: Final = AGENTS.c
_ALL: Final = select(*(_C[name] for name in _NAMES)).order_by(_C.registered_ms, _C.id)
_GET: Final = select(*(_C[name] for name in _NAMES)).where(_C.id == bindparam("agent_id"))
_INSERT: Final = sql_insert(AGENTS)
_SEEN: Final = (
    update(AGENTS)
    .where(_C.id == bindparam("agent_id"))
    .values(seen_ms=bindparam("at_ms"), report=bindparam("said", type_=_C.report.type))
)


def insert(connection: Connection, agent: AgentRow) -> None:
    """Store a new agent. Raises Conflict if its id is there."""
    connection.execute(_INSERT, rows.values(agent, _NAMES))


def get(connection: Connection, agent_id: str) -> AgentRow | None:
    """An agent by its id, None if there is none."""
    row = connection.execute(_GET, {"agent_id": agent_id}).first()
    return None if row is None else AgentRow(*row)


def list_all(connection: Connection) -> list[AgentRow]:
    """Every agent, in the order of registration."""
    return [AgentRow(*row) for row in connection.execute(_ALL)]


def seen(connection: Connection, agent_id: str, at_ms: int, report: Mapping[str, Any]) -> None:
    """Note when an agent was heard of, and what it reported. Nothing is noted of an agent that is not there."""
    connection.execute(_SEEN, {"agent_id": agent_id, "at_ms": at_ms, "said": dict(report)})
