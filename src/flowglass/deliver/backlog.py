"""What is not delivered yet, destination by destination, for people and figures.

Rule: it is counted from what the spool has at the moment; nothing is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from flowglass.deliver.circuit import Circuit
from flowglass.deliver.spool import Share, Unit
from flowglass.fields.contracts import FlowLog


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """What is not delivered yet of a destination, due or not.

    `units`: of them, made already; `shares`, `records`, `size_bytes`: in all, of which a segment's bytes count for each
    flow log that has a share in it; `oldest_s`: age of the oldest; `error`: why it fails now, "" if it does not;
    `retry_s`: when it is tried again then.
    """

    destination: str
    units: int
    shares: int
    records: int
    size_bytes: int
    oldest_s: float
    error: str = ""
    retry_s: float = 0.0


def backlogs(
    units: Iterable[Unit],
    shares: Iterable[Share],
    *,
    name_of: Callable[[FlowLog], str],
    circuits: Mapping[Hashable, Circuit],
    now_ms: int,
    monotonic_s: float,
) -> list[Backlog]:
    """The backlog of every destination that has one, by name.

    `shares`: in no unit; `name_of`: the destination of a flow log; `circuits`: what fails (`Work.keys`).
    """
    made: dict[str, list[Unit]] = {}
    waiting: dict[str, list[Share]] = {}
    for unit in units:
        name = name_of(unit.flow_log)
        made.setdefault(name, []).append(unit)
        waiting.setdefault(name, []).extend(unit.shares)
    for share in shares:
        waiting.setdefault(name_of(share.flow_log), []).append(share)
    found = []
    for name in sorted(waiting):
        failing = _failing(name, made.get(name, []), waiting[name], circuits)
        oldest_ms = min((share.segment.created_ms for share in waiting[name]), default=now_ms)
        found.append(
            Backlog(
                destination=name,
                units=len(made.get(name, [])),
                shares=len(waiting[name]),
                records=sum(share.records for share in waiting[name]),
                size_bytes=sum(share.segment.size_bytes for share in waiting[name]),
                oldest_s=max(0, now_ms - oldest_ms) / 1000,
                error=failing[0].error if failing else "",
                retry_s=max(0.0, min(circuit.until_s for circuit in failing) - monotonic_s) if failing else 0.0,
            )
        )
    return found


def _failing(
    name: str, units: Sequence[Unit], shares: Sequence[Share], circuits: Mapping[Hashable, Circuit]
) -> list[Circuit]:
    """What fails of a destination: the whole of it, flow logs of it, units."""
    keys = dict.fromkeys([name, *((name, share.flow_log.id) for share in shares), *(unit.id for unit in units)])
    return [circuits[key] for key in keys if key in circuits]
