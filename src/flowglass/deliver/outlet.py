"""From a unit to its destination: objects built, put and confirmed, or log batches cut and sent.

Rule: what is about to be tried is in the journal before it is tried, and what was confirmed right after it; so after a
crash it is known what may have arrived.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple, Protocol

from flowglass.deliver.assemble import merges, rows_of
from flowglass.deliver.builder import ObjectBuilder
from flowglass.deliver.events import EventBuilder
from flowglass.deliver.periods import renamed_key, unit_namer
from flowglass.deliver.rows import Rows
from flowglass.deliver.sinks import EventBatch, EventSink, Sink
from flowglass.deliver.spilled import spilled
from flowglass.deliver.spool import Spool, StagedObject, Step, Unit
from flowglass.fields.contracts import I64, FinishedObject, FlowLog
from flowglass.fields.errors import (
    DestinationRefused,
    DestinationThrottled,
    DestinationUnreachable,
    Error,
    RecordsTooNew,
)
from flowglass.format import PERIOD_S

PARALLEL: Final = 4
"""Units that are delivered to one destination at once."""

_MOST_NAMES: Final = 8
_MOST_RESENDS: Final = 4


class Outlet(Protocol):
    """A destination, to whoever schedules."""

    @property
    def name(self) -> str:
        """What tells it apart from others; also the place in manifests."""
        ...

    @property
    def at_once(self) -> bool:
        """Whether it takes every live segment as it comes, and not five minutes together."""
        ...

    @property
    def parallel(self) -> int:
        """How many units it takes at once."""
        ...

    @property
    def ordered(self) -> bool:
        """Whether units of one flow log are delivered one after the other, oldest first."""
        ...

    def deliver(self, unit: Unit) -> None:
        """Deliver a unit and finish it in the spool; it may be delivered in part already.

        Raises the classes under DeliveryError, and Error where something else must be mended first.
        """
        ...


class Routes(Protocol):
    """Knows where flow logs go; see `Outlets`."""

    def outlet(self, flow_log: FlowLog) -> Outlet:
        """The outlet of a flow log's destination, always the same one."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectOutlet:
    """Delivers units as objects. `build`: what makes them of records; `building`: held while it does."""

    name: str
    at_once: bool
    spool: Spool
    sink: Callable[[FlowLog], Sink]
    build: type[ObjectBuilder | EventBuilder]
    building: threading.Semaphore
    ordered: bool = False
    parallel: int = PARALLEL

    def deliver(self, unit: Unit) -> None:
        """Deliver a unit: build its objects once, or again if the disk damaged one; put each until it is there."""
        if unit.staged is not None:
            unit = self.spool.proven(unit)
        if unit.staged is None:
            with self.building:
                unit = self._built(unit)
        for staged in unit.staged or ():
            if not staged.delivered:
                unit = self._put(unit, staged)
        self.spool.finish(unit)

    def _built(self, unit: Unit) -> Unit:
        stage = self.spool.stage()
        builder = self.build(unit.flow_log, stage, namer=unit_namer(self.spool.writer, unit.id))
        try:
            for rows in rows_of(self.spool, unit):
                ends: I64 = rows.batch.column("end").to_numpy(zero_copy_only=False)
                builder.add(rows.batch, ends, rows.chosen)
            builder.close()
            return self.spool.staged(unit, _staged(stage.objects))
        except BaseException:
            builder.abort()
            if not any(known.id == unit.id and known.staged for known in self.spool.units()):
                stage.clean()
            raise

    def _put(self, unit: Unit, staged: StagedObject) -> Unit:
        sink = self.sink(unit.flow_log)
        tried_before = staged.attempts > 0
        for salt in range(staged.salt + 1, staged.salt + 1 + _MOST_NAMES):
            unit = self.spool.attempting(unit, staged.number)
            created = sink.put(staged.finished)
            self.spool.watch(Step.OBJECT_PUT)
            # What is there after an attempt of before is what that one put, of whose answer nobody knows.
            if created or tried_before:
                return self.spool.delivered(unit, staged.number, place=self.name)
            key = renamed_key(unit.flow_log, staged, self.spool.writer, unit.id, salt)
            staged = replace(staged, finished=replace(staged.finished, key=key))
            unit = self.spool.renamed(unit, staged.number, staged.finished, salt)
        raise DestinationUnreachable(
            f"{self.name}: it answered {_MOST_NAMES} times that an object of a new name is there already; "
            "check the endpoint"
        )


def _staged(objects: Iterable[FinishedObject]) -> list[StagedObject]:
    return [
        StagedObject(number=number, finished=finished, period_start_s=finished.first_end_s // PERIOD_S * PERIOD_S)
        for number, finished in enumerate(objects)
    ]


class _Rest(NamedTuple):
    """What is left to send of a unit's batch that was begun: `left`, or all of it. `doubtful`: it may have arrived."""

    number: int
    left: EventBatch | None = None
    doubtful: bool = True
    rejected: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventOutlet:
    """Delivers units as batches of log events. `sink`: of a flow log; `building`: held while windows are merged."""

    name: str
    spool: Spool
    sink: Callable[[FlowLog], EventSink]
    building: threading.Semaphore
    at_once: bool = True
    ordered: bool = True
    parallel: int = PARALLEL
    _rests: dict[int, _Rest] = field(default_factory=dict)  # by unit: one may wait while others are delivered

    def deliver(self, unit: Unit) -> None:
        """Send the batches of a unit that were not confirmed yet, in order."""
        with ExitStack() as stack:
            rows = rows_of(self.spool, unit)
            if merges(unit):
                with self.building:
                    rows = stack.enter_context(spilled(rows, self.spool.stage().open_temp()))
            unit = self._send_all(unit, rows)
        self.spool.finish(unit)

    def _send_all(self, unit: Unit, rows: Iterator[Rows]) -> Unit:
        sink = self.sink(unit.flow_log)
        confirmed = unit.progress
        for number, batch in enumerate(sink.cut(rows)):
            if number >= confirmed:
                unit = self._send(unit, sink, number, batch)
        return unit

    def _send(self, unit: Unit, sink: EventSink, number: int, batch: EventBatch) -> Unit:
        rest = self._rests.pop(unit.id, None)
        # A unit that was changed meanwhile is not begun, and what was left of it counts no more.
        if rest is None or (rest.number, True) != (number, unit.begun):
            rest = _Rest(number)
        # Where the journal says that it was begun before, it counts it as doubtful now.
        if rest.doubtful:
            unit = self.spool.sending(unit, number)
        for _ in range(_MOST_RESENDS):
            try:
                sent = sink.send(rest.left or batch)
            except Error as error:
                arrived_not = isinstance(error, DestinationRefused | DestinationThrottled | RecordsTooNew)
                self._keep(unit, rest._replace(doubtful=not arrived_not))
                raise
            self.spool.watch(Step.BATCH_SENT)
            rest = rest._replace(rejected=rest.rejected + sent.rejected, reason=sent.reason or rest.reason)
            if sent.left is None:
                events = len(batch.messages)
                return self.spool.sent(unit, number + 1, events=events, rejected=rest.rejected, reason=rest.reason)
            rest = rest._replace(left=sent.left)
        self._keep(unit, rest._replace(doubtful=False))
        raise DestinationThrottled(
            f"{self.name}: {len((rest.left or batch).messages)} events were not taken {_MOST_RESENDS} times in a row; "
            "they are tried again later; raise the quota if this lasts"
        )

    def _keep(self, unit: Unit, rest: _Rest) -> None:
        """Keep what is left of a unit, and forget what is left of those that are gone."""
        self._rests[unit.id] = rest
        kept = list(self._rests)
        known = {one.id for one in self.spool.units()}
        for gone in [unit_id for unit_id in kept if unit_id not in known]:
            self._rests.pop(gone, None)
