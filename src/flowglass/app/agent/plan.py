"""Which interfaces each flow log records, and the one run that serves all flow logs of an interval.

Rule: a flow log of a VPC or subnet covers whatever interfaces the snapshot has there, so those that come later join it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from flowglass.app.targets import Builder, Target
from flowglass.fields import FIELDS, Column
from flowglass.fields.contracts import Bools, DestinationType, FlowLog, ResourceType
from flowglass.inventory import Snapshot

_UNKNOWN_PLACE: Final = ("000000000000", "local-1")
_EVENT_FIELDS: Final = ("interface-id", "resource-id", "start")
"""What log streams and events are made of, besides the record's line."""


def covers(flow_log: FlowLog, snapshot: Snapshot) -> Bools:
    """(n,) bool: the snapshot's interfaces that a flow log of an account and Region logs."""
    interfaces = snapshot.interfaces
    column = {
        ResourceType.VPC: interfaces.vpc,
        ResourceType.SUBNET: interfaces.subnet,
        ResourceType.NETWORK_INTERFACE: interfaces.id,
        ResourceType.REGIONAL_NAT_GATEWAY: interfaces.resource_id,
        None: None,
    }[flow_log.resource_type]
    if column is None:
        everything: Bools = np.ones(len(interfaces), np.bool_)
        return everything
    found: Bools = _equals(column, flow_log.resource_id) & _equals(interfaces.region, flow_log.region)
    return found


def _equals(column: pa.StringArray, text: str) -> Bools:
    same: Bools = np.asarray(pc.equal(column, pa.scalar(text)).fill_null(False))  # noqa: FBT003 (null: it has none)
    return same


@dataclass(slots=True)
class AgentPlan:
    """Flow logs of one interval and the builders of their objects, in the same order."""

    interval_s: int
    flow_logs: Sequence[FlowLog]
    builders: Sequence[Builder]
    assume_accept: bool = False
    columns: tuple[Column, ...] = field(init=False)
    version: int = field(init=False)
    place: tuple[str, str] = field(init=False, default=_UNKNOWN_PLACE)

    def __post_init__(self) -> None:
        self.columns = _union(self.flow_logs)
        self.version = max(flow_log.log_format.version for flow_log in self.flow_logs)

    def targets(self, snapshot: Snapshot) -> Sequence[Target]:
        """A target for each flow log that covers any interface."""
        made = []
        for flow_log, builder in zip(self.flow_logs, self.builders, strict=True):
            interfaces = covers(flow_log, snapshot)
            if interfaces.any():
                own_version = flow_log.log_format.version != self.version
                made.append(Target(flow_log, interfaces, builder, own_version=own_version))
        return made


def _union(flow_logs: Sequence[FlowLog]) -> tuple[Column, ...]:
    """Every column that any flow log asks for, once."""
    columns: dict[str, Column] = {}
    for flow_log in flow_logs:
        columns.update((column.label, column) for column in flow_log.log_format.columns)
        if flow_log.destination is not None and flow_log.destination.type is not DestinationType.S3:
            columns.update((name, Column(FIELDS[name])) for name in _EVENT_FIELDS)
    return tuple(columns.values())
