"""What the state holds at one moment, and which actions there are, for who watches over the server.

Rule: one read, which changes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from flowglass.control.agents import AGENT_OPERATIONS
from flowglass.control.operations import OPERATIONS
from flowglass.control.store import Conflict, Store, StoreUnavailable, agents, deliveries, flow_logs

ACTIONS: Final = frozenset((*OPERATIONS, *AGENT_OPERATIONS))
"""Every action that is answered, agents' own too."""


@dataclass(frozen=True, slots=True)
class AgentReport:
    """An agent and what it last reported. `seen_ms`: when, since 1970; `counters`: its numbers by name."""

    id: str
    name: str
    version: str
    seen_ms: int
    counters: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class DeliveryReport:
    """The last delivery of a flow log by an agent. `objects`: delivered in all."""

    flow_log_id: str
    agent: str
    failed: bool
    at_ms: int
    objects: int


@dataclass(frozen=True, slots=True)
class Overview:
    """`flow_logs`: how many there are, by AWS's name of their destination's type."""

    agents: tuple[AgentReport, ...]
    deliveries: tuple[DeliveryReport, ...]
    flow_logs: Mapping[str, int]


def overview(store: Store) -> Overview:
    """Agents, deliveries and flow logs. Raises StoreUnavailable."""

    def work(connection: Connection) -> Overview:
        found = flow_logs.find(connection, account=None, region=None)
        delivered = deliveries.of(connection, [row.id for row in found])
        return Overview(
            tuple(
                AgentReport(row.id, row.name, row.version, row.seen_ms, row.report.get("counters", {}))
                for row in agents.list_all(connection)
            ),
            tuple(
                DeliveryReport(row.flow_log_id, row.agent, row.status == "FAILED", row.at_ms, row.objects)
                for rows in delivered.values()
                for row in rows
            ),
            Counter(row.log_destination_type for row in found),
        )

    try:
        return store.read(work)
    except Conflict as error:
        raise StoreUnavailable(str(error)) from error
