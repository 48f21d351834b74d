"""Which interfaces each flow log records, and the one run that serves all of them.

Rule: a flow log of a VPC or subnet covers whatever interfaces the snapshot has there, so those that come later join it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from flowglass.app.targets import Target
from flowglass.deliver import BASE_WINDOW_S, union
from flowglass.fields import Column
from flowglass.fields.contracts import Bools, FlowLog, ResourceType
from flowglass.inventory import Snapshot

_UNKNOWN_PLACE: Final = ("000000000000", "local-1")


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
    """One run for all flow logs, in base windows: longer intervals are merged when their objects are built."""

    flow_logs: Sequence[FlowLog]
    assume_accept: bool = False
    columns: tuple[Column, ...] = field(init=False)
    version: int = field(init=False)
    interval_s: int = field(init=False, default=BASE_WINDOW_S)
    place: tuple[str, str] = field(init=False, default=_UNKNOWN_PLACE)

    def __post_init__(self) -> None:
        self.columns = union(self.flow_logs)
        self.version = max(flow_log.log_format.version for flow_log in self.flow_logs)

    def targets(self, snapshot: Snapshot) -> Sequence[Target]:
        """A target for each flow log that covers any interface."""
        found = [Target(flow_log, covers(flow_log, snapshot)) for flow_log in self.flow_logs]
        return [target for target in found if target.interfaces.any()]
