"""What waits in a spool, a line for each flow log, destination, period and state.

Rule: it is read from the spool's journal at one moment, whoever runs; nothing is asked of a destination.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from flowglass.deliver import DestinationRules, Share, SpoolView, Unit, place_of
from flowglass.fields.contracts import FlowLog


@enum.unique
class State(enum.Enum):
    """How far what waits has come."""

    WAITING = "waiting"
    """its time has not come, or its destination fails"""
    STAGED = "staged"
    """its objects are built"""
    SENDING = "sending"
    """log batches of it were begun"""
    SKIPPED = "skipped"
    """its records were given up; SKIPDATA records wait in their place"""


class _Line(NamedTuple):
    """What makes two shares the same line. Ordered by flow log and time."""

    flow_log: str
    destination: str
    period_start_s: int
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """Records of one flow log and period that wait.

    `period_start_s`: first second of their five minutes; `size_bytes`: of their segments, which flow logs share, or of
    the objects where they are built; `oldest_ms`: when the oldest came, since 1970; `error`: what the flow log's last
    attempt said, "" where it went well.
    """

    flow_log: str
    destination: str
    period_start_s: int
    state: State
    records: int
    size_bytes: int
    oldest_ms: int
    error: str


def waiting(view: SpoolView, rules: DestinationRules) -> list[Waiting]:
    """Everything that waits, by flow log, destination and time."""
    errors = reasons(view)
    lines: dict[_Line, list[tuple[Share, int]]] = {}
    for share, state, size_bytes in _all(view):
        to = name_of(share.flow_log, rules)
        line = _Line(share.flow_log.id, to, share.segment.period_start_s, state.value)
        lines.setdefault(line, []).append((share, size_bytes))
    return [
        Waiting(
            flow_log=line.flow_log,
            destination=line.destination,
            period_start_s=line.period_start_s,
            state=State(line.state),
            records=sum(share.records for share, _ in shares),
            size_bytes=sum(size_bytes for _, size_bytes in shares),
            oldest_ms=min(share.segment.created_ms for share, _ in shares),
            error=errors.get(line.flow_log, ""),
        )
        for line, shares in sorted(lines.items())
    ]


def name_of(flow_log: FlowLog, rules: DestinationRules) -> str:
    """How a flow log's destination is called."""
    return place_of(flow_log.destination, rules) if flow_log.destination is not None else "none"


def reasons(view: SpoolView) -> Mapping[str, str]:
    """Why the last delivery failed, by id of the flow logs of which it did."""
    return {one.flow_log_id: one.reason or one.message for one in view.statuses if one.message is not None}


def _all(view: SpoolView) -> Iterator[tuple[Share, State, int]]:
    """Every share with its state and its bytes."""
    for share in view.shares:
        yield share, State.SKIPPED if share.skipped else State.WAITING, share.segment.size_bytes
    for unit in view.units:
        staged = sum(told.finished.size_bytes for told in unit.staged or ())
        for place, share in enumerate(unit.shares):
            size_bytes = share.segment.size_bytes if unit.staged is None else staged if place == 0 else 0
            yield share, _state(unit, share), size_bytes


def _state(unit: Unit, share: Share) -> State:
    if share.skipped:
        return State.SKIPPED
    if unit.staged is not None:
        return State.STAGED
    return State.SENDING if unit.progress or unit.begun else State.WAITING
