"""What is delivered next, so that no destination, flow log or backlog starves another one.

Rule: destinations take turns, and the flow logs of one do. Within a flow log the oldest and the newest work alternate:
a backlog drains, and what is new does not wait behind it. Where a service wants order, the oldest comes first.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field

from flowglass.deliver.circuit import Circuits
from flowglass.deliver.outlet import Outlet
from flowglass.deliver.spool.model import Share, Unit
from flowglass.fields.contracts import FlowLog


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """Something to deliver: a unit, or the shares that become one when its turn comes."""

    outlet: Outlet
    flow_log: FlowLog
    shares: tuple[Share, ...]
    unit: Unit | None = None

    @property
    def lane(self) -> Hashable:
        """The flow log at its destination."""
        return self.outlet.name, self.flow_log.id

    @property
    def keys(self) -> tuple[Hashable, ...]:
        """What it may fail because of: its destination, its flow log there, itself."""
        own: tuple[Hashable, ...] = () if self.unit is None else (self.unit.id,)
        return (self.outlet.name, self.lane, *own)

    @property
    def created_ms(self) -> int:
        """When its oldest segment was written, since 1970."""
        return min(share.segment.created_ms for share in self.shares)


@dataclass(slots=True)
class Schedule:
    """What waits and what runs. `workers`: how many run at once, but see `take`. Not for several threads at once."""

    circuits: Circuits
    workers: int
    _running: list[Work] = field(default_factory=list)
    _waiting: dict[str, dict[Hashable, deque[Work]]] = field(default_factory=dict)
    _served: dict[Hashable, int] = field(default_factory=dict)
    _newest: dict[Hashable, bool] = field(default_factory=dict)
    _turn: int = 0

    def replace(self, works: Iterable[Work]) -> None:
        """Set what waits."""
        self._waiting = {}
        for work in sorted(works, key=lambda work: work.created_ms):
            self._waiting.setdefault(work.outlet.name, {}).setdefault(work.lane, deque()).append(work)
        known = {key for work in (*self.waiting(), *self._running) for key in work.keys}
        self.circuits.keep(known)
        self._served = {key: turn for key, turn in self._served.items() if key in known}
        self._newest = {key: newest for key, newest in self._newest.items() if key in known}

    def running(self) -> tuple[Work, ...]:
        """All that was begun and has not ended."""
        return tuple(self._running)

    def waiting(self) -> list[Work]:
        """All that waits."""
        return [work for lanes in self._waiting.values() for lane in lanes.values() for work in lane]

    def flow_logs_to(self, name: str) -> set[str]:
        """Ids of the flow logs of which something waits for a destination."""
        return {work.flow_log.id for lane in self._waiting.get(name, {}).values() for work in lane}

    def take(self, now_s: float) -> Work | None:
        """What may begin now, taken out of what waits; None if nothing may.

        A destination of which nothing runs does not wait for the others, even if all `workers` are busy: they may
        be stuck. So at most `workers`, or as many as there are destinations, run at once.
        """
        for name in sorted(self._waiting, key=self._last_served):
            busy = [work for work in self._running if work.outlet.name == name]
            full = bool(busy) and (len(busy) >= busy[0].outlet.parallel or len(self._running) >= self.workers)
            if not full and self.circuits.allow([name], now_s):
                work = self._take_of(name, {work.lane for work in busy}, now_s)
                if work is not None:
                    return work
        return None

    def begin(self, work: Work) -> frozenset[Hashable]:
        """Count it as running; return what it probes."""
        self._turn += 1
        self._served[work.outlet.name] = self._served[work.lane] = self._turn
        self._running.append(work)
        return self.circuits.begin(work.keys)

    def end(self, work: Work) -> None:
        """It runs no more."""
        self._running.remove(work)

    def _take_of(self, name: str, in_use: set[Hashable], now_s: float) -> Work | None:
        """The next work of a destination; `in_use`: lanes of which something runs."""
        lanes = self._waiting[name]
        for key in sorted(lanes, key=self._last_served):
            lane = lanes[key]
            ordered = lane[0].outlet.ordered
            if (ordered and key in in_use) or not self.circuits.allow([key], now_s):
                continue
            newest = not ordered and self._newest.get(key, False)
            for place in reversed(range(len(lane))) if newest else range(len(lane)):
                if self.circuits.allow(lane[place].keys, now_s):
                    self._newest[key] = not newest
                    return self._remove(name, key, place)
        return None

    def _remove(self, name: str, key: Hashable, place: int) -> Work:
        lane = self._waiting[name][key]
        work = lane[place]
        del lane[place]
        if not lane:
            del self._waiting[name][key]
        return work

    def _last_served(self, key: Hashable) -> int:
        return self._served.get(key, 0)
